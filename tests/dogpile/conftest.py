"""Backends of dogpile's, and nodes that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dogpile.cache import make_region, register_backend
from dogpile.cache.region import CacheRegion

from lru_cache.faces.nodes import end_all

# By its entry point it is found only where the package is installed as it stands here; one test is of that.
register_backend("lru_cache", "lru_cache.dogpile", "LRUCacheBackend")


@pytest.fixture(autouse=True)
def _fresh_nodes() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def region() -> CacheRegion:
    return make_region().configure("lru_cache")


@pytest.fixture
def pair(tmp_path: Path) -> Callable[..., tuple[CacheRegion, CacheRegion]]:
    """Make two that are one cache, as two processes have it."""
    tmp_path.chmod(0o700)

    def made(**arguments: Any) -> tuple[CacheRegion, CacheRegion]:
        both = [
            make_region().configure(
                "lru_cache", arguments={"location": str(tmp_path / "c.sock"), "region": region, **arguments}
            )
            for region in ("here", "there")
        ]
        assert both[0].backend.node is not both[1].backend.node
        for each in both:
            assert each.backend.node.wait_connected(timeout=30)
        return both[0], both[1]

    return made
