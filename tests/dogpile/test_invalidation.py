"""`region.invalidate()`, of one process and of all."""

from pathlib import Path

import pytest
from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE
from dogpile.cache.region import CacheRegion

from lru_cache.dogpile import SharedInvalidation
from tests.concurrency import eventually


def made(place: Path, region: str, name: str = "prices", **options: str) -> CacheRegion:
    found = make_region(name=name)
    return found.configure(
        "lru_cache",
        arguments={"location": str(place / "c.sock"), "region": region, **options},
        region_invalidator=SharedInvalidation(found),
    )


@pytest.fixture
def both(tmp_path: Path) -> tuple[CacheRegion, CacheRegion]:
    """Two that are one cache, as two processes have it."""
    tmp_path.chmod(0o700)
    found = made(tmp_path, "here"), made(tmp_path, "there")
    for each in found:
        assert each.backend.node.wait_connected(timeout=30)
    return found


def test_a_region_that_nobody_has_invalidated_is_used(both: tuple[CacheRegion, CacheRegion]) -> None:
    here, there = both
    here.set("k", 1)
    eventually(lambda: there.get("k") == 1)
    for each in both:
        assert not each.region_invalidator.was_hard_invalidated()
        assert not each.region_invalidator.was_soft_invalidated()


def test_a_hard_invalidation_is_everybody_s(both: tuple[CacheRegion, CacheRegion]) -> None:
    here, there = both
    here.set("k", 1)
    eventually(lambda: there.get("k") == 1)
    there.invalidate()
    eventually(lambda: here.get("k") is NO_VALUE)
    assert here.region_invalidator.was_hard_invalidated()
    assert here.region_invalidator.is_hard_invalidated(0.0)
    assert not here.region_invalidator.is_soft_invalidated(0.0)
    assert here.get_or_create("k", lambda: 2) == 2
    eventually(lambda: there.get("k") == 2)


def test_so_is_a_soft_one(both: tuple[CacheRegion, CacheRegion]) -> None:
    here, there = both
    here.set("k", 1)
    eventually(lambda: there.get("k") == 1)
    there.invalidate(hard=False)
    eventually(here.region_invalidator.was_soft_invalidated)
    assert here.region_invalidator.is_soft_invalidated(0.0)
    assert not here.region_invalidator.is_hard_invalidated(0.0)
    assert here.get("k", ignore_expiration=True) == 1
    assert here.get_or_create("k", lambda: 2, expiration_time=60) == 2


def test_a_region_of_another_name_is_not_concerned(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    one, other = made(tmp_path, "here"), made(tmp_path, "here", "names")
    assert one.backend.node is other.backend.node
    other.set("k", 1)
    one.invalidate()
    assert one.region_invalidator.is_invalidated(0.0)
    assert other.get("k") == 1


def test_where_values_stay_it_is_everybody_s_too(tmp_path: Path) -> None:
    """Only that something has changed is told there, and neither when nor how."""
    tmp_path.chmod(0o700)
    own = {
        region: made(tmp_path, region, values="local") for region in ("here", "there")
    }  # who sets a key drops it there
    for key, each in own.items():
        assert each.backend.node.wait_connected(timeout=30)
        assert each.get_or_create(key, lambda: 1) == 1
        assert each.get(key) is NO_VALUE  # it was made before anybody looked whether the region was invalidated
        assert each.get_or_create(key, lambda: 2) == 2
        assert each.get(key) == 2
    own["here"].invalidate()
    eventually(lambda: own["there"].get("there") is NO_VALUE)
    for key, each in own.items():
        assert each.get(key) is NO_VALUE
        assert each.get_or_create(key, lambda: 3) == 3
        assert each.get(key) == 3
