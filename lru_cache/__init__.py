"""A local LRU cache with expiry and loading, and the same cache replicated between regions.

    lru_cache.py             LRUCache: what an application does to a cache
    memoize.py               @cache.memoize()
    store/                   keeping: bounded, ordered by use, with expiry
    loading/                 filling on a miss: one load per key, fenced; stale answers in need
    testing/                 ManualClock, for your tests too
    removal.py stats.py      what a cache tells
    arguments.py clock.py errors.py log.py    what all of these share

Names are imported when they are first used, so that the local cache never imports a socket.
"""

TYPE_CHECKING = False  # type checkers know the name; importing `typing` for it would double the cost of this module
if TYPE_CHECKING:
    from typing import Any

    from lru_cache.errors import AddressError, LRUCacheError, ProtocolError, RecursiveLoadError
    from lru_cache.loading.freshness import Loaded
    from lru_cache.lru_cache import LRUCache
    from lru_cache.removal import Removal
    from lru_cache.stats import Stats
    from lru_cache.store.removal import RemovalCause

_HOMES = {
    "AddressError": "errors",
    "LRUCache": "lru_cache",
    "LRUCacheError": "errors",
    "Loaded": "loading.freshness",
    "ProtocolError": "errors",
    "RecursiveLoadError": "errors",
    "Removal": "removal",
    "RemovalCause": "store.removal",
    "Stats": "stats",
}

__all__ = [
    "AddressError",
    "LRUCache",
    "LRUCacheError",
    "Loaded",
    "ProtocolError",
    "RecursiveLoadError",
    "Removal",
    "RemovalCause",
    "Stats",
]


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
