"""The whole of a cache's plain `set`: a value is encoded, kept and queued for the links in one step.

It does what `LRUCache._set` does for any write, for the one that comes by the thousand: with the cache's own life, no
listener, and no load of that key on its way. This file must not know what a link or a socket is.
"""

import time
from collections.abc import Callable
from typing import Any

from .pace import Pace
from .replica import Replica
from .store_view import StoreView
from .texts import bytes_of_text


class Writer:
    """One cache's. `lock` is the cache's, `life` how many seconds its entries live."""

    __slots__ = (
        "_acquire", "_act", "_encode", "_is_system_clock", "_life", "_loading", "_longest_value", "_monotonic", "_pace",
        "_release", "_replica", "_store", "_system_monotonic",
    )  # fmt: skip

    def __init__(
        self,
        replica: Replica,
        store: StoreView,
        lock: Any,
        monotonic: Callable[[], float],
        life: float,
        longest_value: int,
        pace: Pace,
        act: Callable[[int, float], object],
        encode: Callable[[object], bytes],
    ) -> None:
        self._replica = replica
        self._store = store
        self._acquire, self._release = lock.acquire, lock.release
        self._monotonic = monotonic
        self._system_monotonic = time.monotonic  # by which `pace` goes, whatever clock the cache was given
        self._is_system_clock = monotonic is self._system_monotonic
        self._life = life
        self._longest_value = longest_value
        self._pace = pace  # asked when the lock is free again
        self._act = act  # called with what it says, if that is anything, and the time
        self._loading = store._loading
        self._encode = encode  # a value that is no short text

    def write(self, key: object, value: object) -> bool:
        """Keep a value. False: this takes more than that, and nothing was done."""
        name = self._store.bytes_of(key)
        known = bytes_of_text(value) if type(value) is str else None
        payload = self._encode(value) if known is None else known
        if len(payload) > self._longest_value:
            return False
        self._acquire()
        try:
            now = self._monotonic()
            if self._loading:  # after the clock, which may be the user's code and begin a load
                return False
            deadline = now + self._life
            stamp = self._replica.set(name, payload, now)
            gone = self._store.put(key, value, stamp, now, deadline, deadline)
            if gone:
                self._replica.left_for(gone, stamp)
        finally:
            self._release()
        if not self._is_system_clock:
            now = self._system_monotonic()
        act = self._pace.wrote(now)
        if act:
            self._act(act, now)
        return True
