"""The whole of a cache's plain `set`: a value is encoded, kept and queued for the links in one step.

It does what `LRUCache._set` does for any write, for the one that comes by the thousand: with the cache's own life, no
listener, and no load of that key on its way. This file must not know what a link or a socket is.
"""

from collections.abc import Callable
from typing import Any

from .replica import Replica
from .store_view import StoreView
from .texts import bytes_of_key, bytes_of_value


class Writer:
    """One cache's. `lock` is the cache's, `life` how many seconds its entries live."""

    __slots__ = (
        "_acquire", "_life", "_loading", "_longest_value", "_monotonic", "_release", "_replica", "_store",
        "_written",
    )  # fmt: skip

    def __init__(
        self,
        replica: Replica,
        store: StoreView,
        lock: Any,
        monotonic: Callable[[], float],
        life: float,
        longest_value: int,
        written: Callable[[], object],
    ) -> None:
        self._replica = replica
        self._store = store
        self._acquire, self._release = lock.acquire, lock.release
        self._monotonic = monotonic
        self._life = life
        self._longest_value = longest_value
        self._written = written  # what the links are to hear of: called when the lock is free again
        self._loading = store._loading

    def write(self, key: object, value: object) -> bool:
        """Keep a value. False: this takes more than that, and nothing was done."""
        name, payload = bytes_of_key(key), bytes_of_value(value)
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
        self._written()
        return True
