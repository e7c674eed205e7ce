"""What was measured: answers added up while they come, and the figures in the end.

Must not know how figures are written, or where the answers come from.
"""

import math
import statistics
import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from workload.workers import Answer

_LATEST = 1_000  # answers that are looked at while there are more to come


@dataclass(frozen=True)
class Summary:
    """The figures of one run. None stands where nothing was measured."""

    requests: int
    distinct_keys: int
    database_reads: int
    database_writes: int
    cache_calls: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    cached_requests: int
    cached_ms: float | None  # the median of the requests that the cache in front could answer by itself
    total_seconds: float
    complete: bool


class Tally:
    """Adds up answers, from any thread. Keeps eight bytes for each, and each key once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects all below
        self._keys: set[str] = set()
        self._seconds = array("d")
        self._cached_seconds = array("d")

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        with self._lock:
            self._keys.add(answer.key)
            self._seconds.append(answer.seconds)
            if answer.cached:
                self._cached_seconds.append(answer.seconds)

    @property
    def requests(self) -> int:
        """How many answers were counted so far."""
        return len(self._seconds)

    @property
    def distinct_keys(self) -> int:
        """How many keys were asked for so far."""
        return len(self._keys)

    def latest_ms(self) -> tuple[float | None, float | None]:
        """The medians of the latest requests, and of the latest that the cache in front could answer by itself."""
        with self._lock:
            latest = self._seconds[-_LATEST:], self._cached_seconds[-_LATEST:]
        every, cached = (_milliseconds(statistics.median(each) if each else None) for each in latest)
        return every, cached

    def summary(
        self,
        *,
        database_reads: int,
        database_writes: int,
        cache_calls: int,
        total_seconds: float,
        complete: bool,
    ) -> Summary:
        """Return the figures of what was added, with those that only others know."""
        with self._lock:
            ordered = sorted(self._seconds)
            return Summary(
                requests=len(ordered),
                distinct_keys=len(self._keys),
                database_reads=database_reads,
                database_writes=database_writes,
                cache_calls=cache_calls,
                p50_ms=_milliseconds(percentile(ordered, 50)),
                p95_ms=_milliseconds(percentile(ordered, 95)),
                p99_ms=_milliseconds(percentile(ordered, 99)),
                max_ms=_milliseconds(percentile(ordered, 100)),
                cached_requests=len(self._cached_seconds),
                cached_ms=_milliseconds(statistics.median(self._cached_seconds) if self._cached_seconds else None),
                total_seconds=total_seconds,
                complete=complete,
            )


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that `percent` of all do not exceed (nearest rank); None without values."""
    if not ordered:
        return None
    assert 0 < percent <= 100
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
