"""A machine of a simulated cluster with a whole `LRUCacheDistributed`: what applications do goes by its public methods.

The cache has no addresses; its replica's messages are carried by the simulation. A load runs in a thread of its own,
which waits in the loader until the simulation goes on with it, so at any time one thread runs and a seed is one run.
It must not know the network, nor what the adversary is about to do.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

from lru_cache.lru_cache_distributed import LRUCacheDistributed
from lru_cache.replication import Limits, Version
from lru_cache.store import Entry
from lru_cache.testing.setting import Setting
from lru_cache.testing.simulated_node import Load, MachineClock, Node, T

PATIENCE_SECONDS = 60.0  # for a thread of ours that has nothing else to do


class SimulatedCache(LRUCacheDistributed[str, bytes]):
    """A cache whose node id and limits are the simulation's."""

    def __init__(self, node: bytes, capacity: int, limits: Any, clock: MachineClock) -> None:
        self._simulated = node, limits
        super().__init__(
            None, capacity, None, clock=clock, max_clock_skew=limits.max_clock_skew, source_lag=limits.source_lag
        )

    def _make_replica(self, limits: Limits) -> None:
        node, wanted = self._simulated
        super()._make_replica(
            replace(
                limits,
                graves=wanted.graves,
                outbox=wanted.outbox,
                origins=wanted.origins,
                origin_silence=wanted.origin_silence,
                slice=wanted.slice,
            )
        )
        self._replica.renew(node, self._monotonic())


class CacheLoad(Load):
    """A `get` in a thread of its own."""

    def __init__(self, cache: SimulatedCache, key: str, began: Version) -> None:
        super().__init__(key, began)
        self.is_in_loader = False  # else it was a hit
        self._cache = cache
        self._progress = threading.Event()  # it is in the loader, or has ended without
        self._may_end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._progress.wait(PATIENCE_SECONDS), "a load does not begin"

    def end(self) -> None:
        """Let the loader return what it has read."""
        self._may_end.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "a load does not end"

    def _run(self) -> None:
        try:
            self._cache.get(self.key, load=self._load)
        finally:
            self._progress.set()

    def _load(self, _: str) -> bytes:
        self.is_in_loader = True
        self._progress.set()
        self._may_end.wait()
        return self.read or b""


class CacheNode(Node):
    """A machine whose store and replica are those of a cache."""

    def begin(self, setting: Setting) -> None:
        sizes = setting.sizes[self.name]
        self.cache = SimulatedCache(self.id, sizes.capacity, setting.limits(self.name, self.core), self.clock)
        self.store, self.view, self.replica = self.cache._store, self.cache._view, self.cache._replica
        self._loads_begun = 0

    def end(self) -> None:
        for load in self.loads.values():
            assert isinstance(load, CacheLoad)
            load.end()
        self.loads.clear()
        self.cache.close()

    def set(self, key: str, payload: bytes, life: float) -> Version:
        if life == inf:
            self.cache.set(key, payload)  # the way of most writes
        else:
            self.cache.set(key, payload, expiration_time=life)
        return self.last_told()

    def invalidate(self, key: str) -> Version:
        self.cache.invalidate(key)
        return self.last_told()

    def clear(self) -> Version:
        self.cache.clear()
        return self.last_told()

    def touch(self, entry: Entry[str, bytes], life: float) -> None:
        self.cache.touch(entry.key, None if life == inf else life)

    def begin_load(self, key: str) -> Load | None:
        if key in self.cache._flights.running:  # whoever asks now would wait for that one
            return None
        load = CacheLoad(self.cache, key, self.replica.begin_load(self.now))
        if not load.is_in_loader:
            return None
        self._loads_begun += 1
        self.loads[self._loads_begun] = load  # not by its key: one that was fenced goes on, beside the next
        return load

    def end_load(self, name: Any) -> None:
        load = self.loads.pop(name)
        assert isinstance(load, CacheLoad)
        load.end()

    def get(self, key: str) -> None:
        self.cache.get(key)

    def use(self, entry: Entry[str, bytes]) -> None:
        self.cache.get(entry.key)

    def expire(self) -> None:
        self.cache.expire()

    def take(self, act: Callable[[], T]) -> T:
        with self.cache._lock:
            result = act()
            if not self.works_slowly:
                self.work_off()
            gone = self.view.pop_gone()
        self.cache._notify(gone)
        return result

    def value_of(self, entry: Entry[str, bytes]) -> bytes:
        stamp: Any = entry.version
        value: bytes = self.core.decode_value(entry.value) if entry.value is stamp.payload else entry.value
        return value
