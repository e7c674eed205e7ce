"""Which keys were news lately, in order, and how far it had come: who missed the last is told of those, and no more.

This file must not know links, versions or messages.
"""

import sys
from collections import deque
from itertools import islice

MOST_TO_REMEMBER = 20_000  # at once: one to three milliseconds


class RecentKeys:
    """Remembers the last `limit` times that a key was news. So what it costs is never more than was news meanwhile."""

    __slots__ = ("_append", "_append_hops", "_hops", "_keys", "count")

    def __init__(self, limit: int) -> None:
        self.count = 0  # of all news so far
        self._keys: deque[bytes] = deque(maxlen=min(limit, sys.maxsize))
        self._hops: deque[int] = deque(maxlen=self._keys.maxlen)  # that each of them had crossed
        self._append, self._append_hops = self._keys.append, self._hops.append

    def add(self, key: bytes, hops: int = 0) -> int:
        """Take note that a key is news. Its number."""
        self.count = number = self.count + 1
        self._append(key)
        if self.count != number:  # a finalizer has added more meanwhile: which hops are whose nobody could tell
            self._keys.clear()
            self._hops.clear()
            return number
        self._append_hops(hops)
        return number

    def since(self, count: int) -> dict[bytes, int] | None:
        """The keys that were news when there had been so many already, each once, the latest last, with its last hops.

        None if it does not remember them all, if they are so many that to list them takes longer than the lock may be
        held, or there was more while it looked: a finalizer may write at any time.
        """
        now = self.count
        missed = now - count
        if missed > len(self._keys) or missed > MOST_TO_REMEMBER:
            return None
        if missed <= 0:
            return {}
        try:
            keys = list(islice(reversed(self._keys), missed))
            hops = list(islice(reversed(self._hops), missed))
        except RuntimeError:
            return None
        if self.count != now:
            return None
        once = list(dict.fromkeys(keys))
        once.reverse()
        if not any(hops):  # all of it was written here
            return dict.fromkeys(once, 0)
        latest = dict(zip(reversed(keys), reversed(hops), strict=True))
        return {key: latest[key] for key in once}
