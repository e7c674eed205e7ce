"""Which keys were news lately, in order: who missed the last of them is told of those, and not of everything.

This file must not know links, versions or messages.
"""

import sys
from collections import deque
from itertools import islice

MOST_TO_REMEMBER = 20_000  # at once: about two milliseconds


class RecentKeys:
    """Remembers the last `limit` times that a key was news. So what it costs is never more than was news meanwhile."""

    __slots__ = ("_append", "_keys", "count")

    def __init__(self, limit: int) -> None:
        self.count = 0  # of all news so far
        self._keys: deque[bytes] = deque(maxlen=min(limit, sys.maxsize))
        self._append = self._keys.append

    def add(self, key: bytes) -> int:
        """Take note that a key is news. Its number."""
        self.count = number = self.count + 1
        self._append(key)
        return number

    def since(self, count: int) -> list[bytes] | None:
        """The keys that were news when there had been so many already, each once, the latest last.

        None if it does not remember them all, if they are so many that to list them takes longer than the lock may be
        held, or there was more while it looked: a finalizer may write at any time.
        """
        latest = reversed(self._keys)
        missed = self.count - count
        if missed > len(self._keys) or missed > MOST_TO_REMEMBER:
            return None
        try:
            return list(dict.fromkeys(islice(latest, missed)))[::-1]
        except RuntimeError:
            return None
