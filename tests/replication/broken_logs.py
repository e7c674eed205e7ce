"""Ends of a log with one rule removed each, beside the replicas in `broken.py`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from lru_cache.replication.log_end import LogEnd
from lru_cache.replication.log_order import Order
from lru_cache.replication.rules.believing import Believer
from lru_cache.replication.rules.log_neighbour import LogNeighbour
from lru_cache.replication.rules.replica import Replica
from tests.replication.broken import Patch, as_python, ignore


def trim_unnoticed() -> list[Patch]:
    """What was trimmed before it was read is taken for read."""
    original = LogEnd._break

    def patched(self: LogEnd, *args: Any) -> None:
        with patch.object(LogEnd, "_lose", ignore):
            original(self, *args)

    return [(LogEnd, "_break", patched)]


def nothing_restored() -> list[Patch]:
    original = LogEnd._break

    def patched(self: LogEnd, *args: Any) -> None:
        original(self, *args)
        self._missing.clear()
        self._own_missing.clear()

    return [(LogEnd, "_break", patched)]


def reads_on() -> list[Patch]:
    """From its place, though the log has become another."""
    original, follows = LogEnd._break, LogEnd._follows

    def patched(self: Any, *args: Any) -> None:
        place = self.place
        original(self, *args)
        self.place, self.skips = place, True

    def patched_follows(self: Any, record: Any) -> bool:
        skips = getattr(self, "skips", False)
        self.skips = False
        return skips or follows(self, record)

    return [(LogEnd, "_break", patched), (LogEnd, "_follows", patched_follows)]


def gap_unnoticed() -> list[Patch]:
    original = Order.is_whole

    def patched(self: Order, news: Any, base: int) -> bool:
        original(self, news, base)
        return True

    return [(Order, "is_whole", patched)]


def no_floor_on_join() -> list[Patch]:
    original = LogEnd.opened

    def patched(self: LogEnd, *args: Any) -> None:
        with ExitStack() as stack:
            if self.token is None:
                stack.enter_context(patch.object(LogNeighbour, "lost", ignore))
            original(self, *args)

    return [(LogEnd, "opened", patched)]


def any_time_is_valid() -> list[Patch]:
    original = LogNeighbour.consume

    def patched(self: LogNeighbour, body: bytes, appended: int, *args: Any) -> bool:
        return original(self, body, appended + 3_600_000, *args)

    return [(LogNeighbour, "consume", patched), (LogNeighbour, "valid_from", lambda self: 0)]


def no_skew_in_floors() -> list[Patch]:
    original = LogNeighbour.lost

    def patched(self: LogNeighbour, appended: int, now: float) -> None:
        original(self, appended - int(self.limits.max_clock_skew * 1000), now)

    return [(LogNeighbour, "lost", patched)]


def acknowledged_is_read() -> list[Patch]:
    """What the engine has acknowledged is taken for what the log has."""
    original = LogEnd.appended

    def patched(self: LogEnd, place: Any) -> None:
        if self._back_to is not None:
            self._back_to = None
        elif self._is_restoring:
            (self._own_missing or self._missing).popitem(last=False)
        else:
            self._waiting = None
        original(self, place)
        self._acknowledged = None

    return [(LogEnd, "appended", patched)]


def live_at_once() -> list[Patch]:
    """It appends before it has read what is there."""
    original = LogEnd.opened

    def patched(self: LogEnd, *args: Any) -> None:
        original(self, *args)
        self.is_live = True

    return [(LogEnd, "opened", patched)]


def told_back() -> list[Patch]:
    """What the log has told is told to it."""
    original = Replica._queue

    def patched(self: Any, key: Any, authority: Any, origin: Any, source: Any, hops: int, stamp: Any) -> None:
        original(self, key, authority, origin, None if source is self._log else source, hops, stamp)

    return [(Replica, "_queue", patched)]


def trimmed_not_restored() -> list[Patch]:
    """Who was away for so long that its place was trimmed gives nothing back."""
    original = LogEnd._break

    def patched(self: LogEnd, first: Any, common: Any, is_same: bool, now: float) -> None:
        place = self.place
        original(self, first, common, is_same, now)
        if is_same and common is None and first is not None and place is not None and first.place > place:
            self._missing.clear()
            self._own_missing.clear()

    return [(LogEnd, "_break", patched)]


BROKEN_LOGS: dict[str, Callable[[], list[Patch]]] = {
    "trim-unnoticed": trim_unnoticed,
    "nothing-restored": nothing_restored,
    "no-chain": lambda: [(LogEnd, "_follows", lambda self, record: True)],
    "reads-on": reads_on,
    "gap-unnoticed": gap_unnoticed,
    "gaps-for-ever": lambda: [(LogEnd, "_give_up_gaps", ignore)],
    "futures-taken": lambda: [(LogEnd, "_is_ahead", lambda self, appended, engine_ms: False)],
    "no-floor-on-join": no_floor_on_join,
    "no-return": lambda: [(LogEnd, "_say_return", ignore)],
    "any-time-is-valid": any_time_is_valid,
    "no-skew-in-floors": no_skew_in_floors,
    "acknowledged-is-read": acknowledged_is_read,
    "live-at-once": live_at_once,
    "refused-not-retold": lambda: [(LogEnd, "_tell_anew", ignore)],
    "told-back": told_back,
    "acknowledgements-told": lambda: [(LogNeighbour, "_seen_changed", Believer._seen_changed)],
    "heartbeats-told": lambda: [(LogNeighbour, "_has_seen_for", Believer._has_seen_for)],
    "trimmed-not-restored": trimmed_not_restored,
    "taken-over-unseen": lambda: [(LogNeighbour, "knows_all_of", lambda self, heard: True)],
}


@contextmanager
def broken_log(name: str) -> Iterator[None]:
    """While inside, this rule is missing from every end of a log."""
    with ExitStack() as stack:
        stack.enter_context(as_python())
        for target, attribute, replacement in BROKEN_LOGS[name]():
            stack.enter_context(patch.object(target, attribute, replacement))
        yield
