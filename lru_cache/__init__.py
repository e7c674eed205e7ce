"""A local LRU cache with expiry and loading, and the same cache replicated between regions.

    lru_cache.py             LRUCache: what an application does to a cache
    lru_cache_distributed.py LRUCacheDistributed: its writes become news, and news what it holds
    memoize.py               @cache.memoize()
    codecs.py                how values of your own classes become data
    copies.py                copy_on_get: who asks gets a value of its own
    store/                   keeping: bounded, ordered by use, with expiry
    loading/                 filling on a miss: one load per key, fenced; stale answers in need
    replication/             what to keep, what to tell and what to believe: no sockets, no threads, no clock
    network/                 links to other nodes: sockets and threads, no rules
    django/                  LRUCacheBackend, for Django's CACHES
    testing/                 ManualClock, for your tests too; and the simulator that proves the replication
    metrics/                 what a cache tells, for Prometheus and OpenTelemetry
    removal.py stats.py      what a cache tells
    arguments.py clock.py errors.py fork.py log.py    what all of these share

Names are imported when they are first used, so that the local cache never imports a socket.
"""

__version__ = "0.1.0.dev0"  # the one place: pyproject.toml reads it here

TYPE_CHECKING = False  # type checkers know the name; importing `typing` for it would double the cost of this module
if TYPE_CHECKING:
    from typing import Any

    from lru_cache.errors import AddressError, LRUCacheError, ProtocolError, RecursiveLoadError
    from lru_cache.loading.freshness import Loaded
    from lru_cache.lru_cache import LRUCache
    from lru_cache.lru_cache_distributed import LRUCacheDistributed
    from lru_cache.network.peer import Peer
    from lru_cache.network.security import TLS
    from lru_cache.removal import Removal
    from lru_cache.stats import DistributedStats, Stats
    from lru_cache.store.removal import RemovalCause

_HOMES = {
    "AddressError": "errors",
    "DistributedStats": "stats",
    "LRUCache": "lru_cache",
    "LRUCacheDistributed": "lru_cache_distributed",
    "LRUCacheError": "errors",
    "Loaded": "loading.freshness",
    "Peer": "network.peer",
    "ProtocolError": "errors",
    "RecursiveLoadError": "errors",
    "Removal": "removal",
    "RemovalCause": "store.removal",
    "Stats": "stats",
    "TLS": "network.security",
}

__all__ = [
    "TLS",
    "AddressError",
    "DistributedStats",
    "LRUCache",
    "LRUCacheDistributed",
    "LRUCacheError",
    "Loaded",
    "Peer",
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
