"""How long after a write all neighbours have it, as measured here, of the last minutes.

The time runs from the write until every neighbour has said that it has applied it, so the way back is in it. It must
not know who writes, nor who wants to know. What other nodes write is measured where they write.
"""

import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lru_cache import LRUCacheDistributed

WINDOW_SECONDS = 300.0
PAUSE_SECONDS = 0.1  # between two measurements: they wake a thread, and a busy node has other things to do
PATIENCE_SECONDS = 5.0  # a neighbour that needs longer counts as this long
MOST_MEASURED = int(WINDOW_SECONDS / PAUSE_SECONDS)
ENDING_SECONDS = 1.0


@dataclass(frozen=True)
class Confirmed:
    """What was measured. None where nothing was."""

    count: int
    p50: float | None
    p99: float | None


class Confirmations:
    """Measures a few writes a second, in a thread of its own."""

    def __init__(self, cache: "LRUCacheDistributed[Any, Any]") -> None:
        self._cache = cache
        self._measured: deque[tuple[float, float]] = deque(maxlen=MOST_MEASURED)  # when, and how long it took
        self._wrote_at: float | None = None  # the write to be measured next; without a lock, since any will do
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lru_cache-confirmations", daemon=True)

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """Measure no more, and wait for the thread, if it is not waiting for a neighbour itself."""
        self._stopping.set()
        self._due.set()
        self._thread.join(ENDING_SECONDS)

    def wrote(self) -> None:
        """Something was written just now."""
        if self._wrote_at is None:
            self._wrote_at = time.monotonic()
            self._due.set()

    def figures(self) -> Confirmed:
        """What was measured in the last minutes."""
        since = time.monotonic() - WINDOW_SECONDS
        ordered = sorted(seconds for when, seconds in self._measured.copy() if when >= since)
        return Confirmed(len(ordered), _percentile(ordered, 0.5), _percentile(ordered, 0.99))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._due.wait()
            self._due.clear()
            self._measure()
            self._stopping.wait(PAUSE_SECONDS)

    def _measure(self) -> None:
        wrote_at, self._wrote_at = self._wrote_at, None
        if wrote_at is None or self._stopping.is_set() or not self._has_links():
            return
        is_confirmed = self._cache.flush(PATIENCE_SECONDS)
        ended = time.monotonic()
        if is_confirmed or self._has_links():  # else the neighbour has gone, and there is nobody to have it
            self._measured.append((ended, ended - wrote_at))

    def _has_links(self) -> bool:
        return any(peer.state == "connected" for peer in self._cache.peers())


def _percentile(ordered: list[float], share: float) -> float | None:
    """The smallest that so large a share of all does not exceed."""
    return ordered[math.ceil(len(ordered) * share) - 1] if ordered else None
