"""When which key was loaded, so that the loads of several nodes can be laid side by side.

Must not know how a key is loaded. Times are the machine's monotonic clock's, which all of its processes share.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from workload.sources import Get


@dataclass(frozen=True)
class Load:
    """One load of one key."""

    key: str
    began: float
    ended: float


class Journal:
    """Loads that ended well, in the order in which they ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.loads: list[Load] = []  # only ever appended to, which needs no lock

    def noting(self, get: Get) -> Get:
        """Return a `get` that does the same, and notes it."""

        def noted(key: str) -> str | None:
            began = self._clock()
            value = get(key)
            self.loads.append(Load(key, began, self._clock()))
            return value

        return noted
