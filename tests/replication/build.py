"""The build of the rules that tests of their parts are about: the one that caches use in this process.

`lru_cache.replication` has what the rest of the library uses. The parts within are taken from here, so that the same
tests hold for the rules as Python and compiled. Tests that compare the two ask for `BUILDS`.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lru_cache.replication import implementation

PACKAGES = {"python": "lru_cache.replication.rules", "native": "lru_cache.replication.native_rules"}
BUILDS = ["python", "native"] if implementation == "native" else ["python"]

if os.environ.get("LRU_CACHE_REQUIRE_NATIVE", "") not in ("", "0") and not os.environ.get("LRU_CACHE_PURE_PYTHON"):
    assert implementation == "native", (
        "the rules were not compiled, and LRU_CACHE_REQUIRE_NATIVE says that they must be"
    )


def part_of(build: str, name: str) -> Any:
    """A module of the rules, of that build."""
    return import_module(f"{PACKAGES[build]}.{name}")


if TYPE_CHECKING:
    from lru_cache.replication.rules import (  # noqa: F401 - for who imports them from here
        batch,
        burials,
        event,
        forgetting,
        frames,
        log_neighbour,
        messages,
        objects,
        origins,
        outbox,
        pace,
        public,
        recent_keys,
        replica,
        resync,
        stamp,
        store_view,
        sweep,
        texts,
        version,
        wire,
        wiring,
        writer,
    )
else:

    def __getattr__(name: str) -> Any:
        try:
            return part_of(implementation, name)
        except ModuleNotFoundError:
            raise AttributeError(name) from None
