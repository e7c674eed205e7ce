"""`version=`: after a deploy, new code reads nothing that old code has kept; both run side by side in one cluster."""

from typing import Any

import pytest

from lru_cache import LRUCacheDistributed, Removal
from lru_cache.testing import ManualClock
from tests.concurrency import eventually, link, settle
from tests.conftest import Nodes

Cache = LRUCacheDistributed[Any, Any]


@pytest.fixture(params=["replicated", "local"])
def values(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def linked(nodes: Nodes, clock: ManualClock, *versions: int | str | None, **options: Any) -> list[Cache]:
    """A hub of the first version, and a node of each other linked with it."""
    hub = nodes(local_address=("127.0.0.1", 0), version=versions[0], clock=clock, **options)
    leaves = [nodes(remote_address=hub.local_address, version=v, clock=clock, **options) for v in versions[1:]]
    for each in leaves:
        link(each, hub)
    return [hub, *leaves]


def test_new_code_reads_nothing_of_the_old_shape_and_both_go_on(nodes: Nodes, clock: ManualClock) -> None:
    old, new, other_old, other_new = linked(nodes, clock, 1, 2, 1, 2)
    old.set("user:7", {"name": "Ada"})
    eventually(lambda: "user:7" in other_old)
    settle(old)
    assert [cache.get("user:7") for cache in (new, other_new)] == [None, None]
    new.set("user:7", {"name": ["Ada", "Lovelace"]})
    eventually(lambda: "user:7" in other_new)
    assert [cache.get("user:7") for cache in (old, other_old)] == [{"name": "Ada"}] * 2
    assert other_new.get("user:7") == {"name": ["Ada", "Lovelace"]}
    assert [len(cache) for cache in (old, new, other_old, other_new)] == [1, 1, 1, 1]
    assert list(new) == list(other_old) == ["user:7"]


@pytest.mark.parametrize(
    "act",
    [
        lambda cache: cache.invalidate("k"),
        lambda cache: cache.pop("k"),
        lambda cache: cache.__delitem__("k"),
        lambda cache: cache.popitem(),
        lambda cache: cache.invalidate_many(["k"]),
        lambda cache: cache.set("k", 5, expiration_time=0),
        lambda cache: cache.clear(),
    ],
    ids=["invalidate", "pop", "del", "popitem", "invalidate_many", "a life of 0", "clear"],
)
@pytest.mark.parametrize("hub_version", [None, 1])
def test_what_is_invalidated_is_invalid_in_all_versions(
    nodes: Nodes, clock: ManualClock, values: str, hub_version: Any, act: Any
) -> None:
    caches = linked(nodes, clock, hub_version, 1, 2, "three", values=values)
    for cache in caches[1:]:
        cache.set("k", cache.version)
        settle(*caches)
        clock.advance(5)
    new = caches[-1]
    assert new.get("k") == "three"
    act(new)
    eventually(lambda: not any("k" in cache for cache in caches))


def test_memoized_functions_are_of_their_version(nodes: Nodes, clock: ManualClock) -> None:
    old, new = linked(nodes, clock, "2026.1", "2026.2")

    def user(user_id: int) -> Any:
        return shape[0]

    shape = ["old"]
    old_user = old.memoize()(user)
    new_user = new.memoize()(user)
    assert old_user(7) == "old"
    settle(old)
    shape[0] = "new"
    assert (old_user(7), new_user(7)) == ("old", "new")
    clock.advance(5)
    assert new_user.cache_invalidate(7)
    eventually(lambda: old_user.cache_info().currsize == 0)


def test_a_listener_hears_nothing_of_other_versions(nodes: Nodes, clock: ManualClock) -> None:
    heard: list[Removal[Any, Any]] = []
    old, new = linked(nodes, clock, 1, 2, on_removal=heard.append, maximum_capacity=3)
    for i in range(10):
        old.set(i, i)
    settle(old, new)
    heard.clear()
    new.set("k", "v")
    clock.advance(5)
    old.clear()
    eventually(lambda: "k" not in new)
    assert [removal.key for removal in heard if removal.key not in (7, 8, 9)] == ["k"]


def test_a_removal_tells_the_application_s_own_key(nodes: Nodes, clock: ManualClock) -> None:
    (cache,) = linked(nodes, clock, 3)
    cache.set(("a", 1), [1])
    assert list(cache.items()) == [(("a", 1), [1])]
    assert cache.popitem() == (("a", 1), [1])
    assert cache.version == 3


def test_a_key_that_has_no_room_for_its_version_is_refused() -> None:
    with LRUCacheDistributed[Any, Any](version="v" * 100) as cache:
        with pytest.raises(ValueError, match="key and version take"):
            cache.set("k" * 65_500, 1)
        assert len(cache) == 0
        assert cache.get("k" * 65_500, load=lambda key: 1) == 1
        assert cache.stats().loads_untold == 1


@pytest.mark.parametrize("version", [True, 1.0, b"1", (1,), 1 << 63])
def test_a_version_of_another_kind_is_refused_in_a_line(version: Any) -> None:
    with pytest.raises(TypeError, match=r"^version must be an int of at most 64 bits, a str or None, not [^\n]*$"):
        LRUCacheDistributed(version=version)


@pytest.mark.parametrize("version", ["", "v" * 101, "版" * 85, "a\nb"])
def test_a_version_that_is_no_name_is_refused_in_a_line(version: Any) -> None:
    with pytest.raises(ValueError, match=r"^version must be printable and have 1 to 100 bytes, got [^\n]*$"):
        LRUCacheDistributed(version=version)
