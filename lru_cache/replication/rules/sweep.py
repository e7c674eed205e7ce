"""What newly raised floors doom, or a clock that was set: to be dropped from the store, which may hold a million.

So it goes through the store in slices, and until it is over whoever meets an entry asks whether it is doomed. What is
raised meanwhile is doomed at once, too, and the sweep goes through the store once more. This file must not know links,
nor what is told of it.
"""

from typing import TYPE_CHECKING, Any

from .forgetting import BUCKETS, bucket_of
from .messages import FloorRange
from .stamp import Stamp

if TYPE_CHECKING:
    from lru_cache.store import Entry

    from .store_view import StoreView

PAUSE_SECONDS = 1.0  # between two sweeps through a large store: else few bytes of a peer could keep us busy for ever
LARGE = 10_000  # entries


class Sweep:
    """One store's. `hold` is a span of times."""

    __slots__ = (
        "_again",
        "_begin_at",
        "_everywhere",
        "_hold",
        "_loads",
        "_raised",
        "_slice",
        "_store",
        "_walk",
        "is_pending",
    )

    def __init__(self, store: "StoreView", hold: int, slice_: int) -> None:
        self.is_pending = False  # something may be held that is doomed
        self._store = store
        self._hold = hold
        self._slice = slice_
        self._raised: dict[int, FloorRange] = {}  # by bucket
        self._everywhere: FloorRange | None = None
        self._loads = False  # all loads are doomed
        self._walk: Any = None
        self._again = False
        self._begin_at = 0.0

    def add_floors(self, ranges: dict[int, FloorRange], everywhere: FloorRange | None) -> None:
        """What is older than these floors is doomed, unless it is confirmed."""
        for bucket, reach in ranges.items():
            self._raised[bucket] = _joined(self._raised.get(bucket), reach)
        if everywhere is not None:
            self._everywhere = _joined(self._everywhere, everywhere)
        self._begin()

    def add_loads(self) -> None:
        """All loads are doomed."""
        self._loads = True
        self._begin()

    def dooms(self, stamp: object) -> bool:
        """Whether what has this stamp, or none, is doomed."""
        if not isinstance(stamp, Stamp):
            return self._loads or self._everywhere is not None
        if self._loads and not stamp.is_set:
            return True
        if self._everywhere is not None and self._is_below(stamp, self._everywhere):
            return True
        if not self._raised:
            return False
        reach = self._raised.get(bucket_of(stamp.key))
        return reach is not None and self._is_below(stamp, reach)

    def is_due(self, now: float) -> bool:
        """Whether `next_slice` would give something."""
        return self.is_pending and (self._walk is not None or now >= self._begin_at)

    def next_slice(self, now: float) -> "list[Entry[Any, Any]] | None":
        """Some more entries to look at, of which perhaps none is doomed; None if there is nothing to do now."""
        if self._walk is None:
            if not self.is_pending or now < self._begin_at:
                return None
            self._again = False
            self._walk = self._store.walk()
        entries: list[Entry[Any, Any]] = self._walk.next(self._slice)
        if len(entries) < self._slice:
            last = self._walk.next(self._slice)
            entries += last
            if not last:
                self._walk = None
                self._begin_at = now + PAUSE_SECONDS if self._store.count() > LARGE else now
        return entries

    def end_slice(self) -> None:
        """What was doomed of the last slice was dropped."""
        if self._walk is None and not self._again:
            self._raised, self._everywhere, self._loads, self.is_pending = {}, None, False, False

    def _begin(self) -> None:
        self.is_pending = self._again = True

    def _is_below(self, stamp: Stamp, reach: FloorRange) -> bool:
        if not stamp.is_set:
            return stamp.version.time <= reach.floor + self._hold
        if stamp.version.time > reach.floor:
            return False
        confirmed = reach.confirmed.get(stamp.key)
        return confirmed is None or confirmed.after(stamp.version)


def raised_by(ranges: list[FloorRange]) -> tuple[dict[int, FloorRange], FloorRange | None]:
    """The floors of an announcement by bucket, and the one of all buckets, if there is one."""
    everywhere = None
    raised: dict[int, FloorRange] = {}
    for reach in ranges:
        if reach.buckets == BUCKETS:
            everywhere = reach
        else:
            for bucket in range(reach.first, reach.first + reach.buckets):
                raised[bucket] = reach
    return raised, everywhere


def _joined(one: FloorRange | None, other: FloorRange) -> FloorRange:
    """Of two announcements: what one of them does not confirm is doomed."""
    if one is None:
        return other
    both = {key: max(version, other.confirmed[key]) for key, version in one.confirmed.items() if key in other.confirmed}
    return FloorRange(other.first, other.buckets, max(one.floor, other.floor), both)
