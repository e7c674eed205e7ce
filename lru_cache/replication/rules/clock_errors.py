"""What follows once a clock that was wrong is set right. Both go through all that is held and remembered, in slices.

*Ahead*: no other node believes a time from the future, so none can be linked with. What was written by that clock is
dated anew, as it should have dated it. *Behind*: loads elsewhere that began before our writes look as if they began
safely after them. What was written by that clock is invalidated once more. This file must not know links.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .forgetting import Forgotten
from .stamp import Stamp, stamp_of
from .version import HybridClock, Version

if TYPE_CHECKING:
    from lru_cache.store import Entry

    from .store_view import StoreView


class Ahead:
    """What `forgotten` says is misdated, as soon as it lowers. `old` is this node's id before."""

    is_ahead = True

    __slots__ = ("_clock", "_forgotten", "_grave", "_old", "_store", "_walk")

    def __init__(self, store: "StoreView", forgotten: Forgotten, clock: HybridClock, old: bytes) -> None:
        self._store = store
        self._forgotten = forgotten
        self._clock = clock
        self._old = old
        self._walk: Any = store.walk()
        self._grave = 0

    def step(self, now: float, slice_: int) -> bool:
        """Go on for a slice. False once it is over."""
        if self._walk is not None:
            entries = self._walk.next(slice_)
            for entry in entries:
                self._redate_entry(entry, now)
            if not entries:
                self._walk = None
            return True
        graves, self._grave = self._forgotten.slice(self._grave)
        for grave in graves:
            self._forgotten.lower(grave)
            self._clock.hear(grave.version.time)
        if self._grave < 0:
            self._forgotten.end_lowering()
        return self._grave >= 0

    def _redate_entry(self, entry: "Entry[Any, Any]", now: float) -> None:
        stamp = entry.version
        if not isinstance(stamp, Stamp) or not stamp.is_set:
            return  # loads are dropped whenever a clock was set
        if self._forgotten.is_misdated(stamp.version):
            version = self._forgotten.lowered(stamp.version)
            if stamp.version.node == self._old:
                entry.version = stamp_of(stamp.key, version, True, stamp.payload, version)
            else:
                # Another node's, whose clock was ahead, too. It dates its writes anew by itself, perhaps by a little
                # less, so its value may be newer than this one, which must not be told. What is older is dead.
                self._store.drop(entry, now)
                self._forgotten.bury(stamp.key, version)
            return
        self._clock.hear(stamp.version.time)
        if self._forgotten.is_misdated(stamp.life_version):
            stamp.life_version = self._forgotten.lowered(stamp.life_version)


class Behind:
    """What `node` wrote from one time to before another is to be invalidated once more, by `invalidate(key, now)`."""

    is_ahead = False

    __slots__ = ("_before", "_forgotten", "_from", "_grave", "_invalidate", "_node", "_store", "_walk")

    def __init__(
        self,
        store: "StoreView",
        forgotten: Forgotten,
        node: bytes,
        first: int,
        before: int,
        invalidate: Callable[[bytes, float], object],
    ) -> None:
        self._store = store
        self._forgotten = forgotten
        self._node = node
        self._from = first
        self._before = before
        self._invalidate = invalidate
        self._walk: Any = store.walk()
        self._grave = 0

    def step(self, now: float, slice_: int) -> bool:
        """Go on for a slice. False once it is over."""
        if self._walk is not None:
            entries = self._walk.next(slice_)
            for entry in entries:
                stamp = entry.version
                if isinstance(stamp, Stamp) and stamp.is_set and self._is_misdated(stamp.version):
                    self._store.drop(entry, now)
                    self._invalidate(stamp.key, now)
            if not entries:
                self._walk = None
            return True
        graves, self._grave = self._forgotten.slice(self._grave)
        for grave in graves:
            if any(map(self._is_misdated, self._forgotten.versions(grave.key))):
                entry = self._store.find(grave.key)
                if entry is not None:
                    self._store.drop(entry, now)
                self._invalidate(grave.key, now)
        return self._grave >= 0

    def _is_misdated(self, version: Version) -> bool:
        return version.node == self._node and self._from <= version.time < self._before
