"""When something was written, and by whom; and the clock that says so. It must not read a clock: `now` is an argument.

A *time* is a hybrid logical clock's: 64 bits, milliseconds since 1970 above a counter of 16. A *node* is the random id
of one process life. A `Version` is both; the newer is the greater, and of two with one time that of the greater node.
"""

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTER_BITS = 16
NODE_BYTES = 8
MAXIMUM_TIME = (1 << 63) - 1
LONGEST_SPAN_SECONDS = 1e10  # three centuries: a time of ours and a few of these are still less than the maximum


class Version(NamedTuple):
    """The age of a write. Compares as a tuple, which is the order that every node agrees on."""

    time: int
    node: bytes


NOTHING = Version(0, b"")
"""Older than every write."""

version_of: "Callable[[tuple[int, bytes]], Version]" = partial(tuple.__new__, Version)
"""The version of a time and a node. What `Version(time, node)` makes, in a third of its time: every event has one."""


def time_of(seconds: float) -> int:
    """The first time of this moment, in seconds since 1970."""
    return int(seconds * 1000) << COUNTER_BITS


def seconds_of(time: int) -> float:
    """The moment of a time, in seconds since 1970."""
    return (time >> COUNTER_BITS) / 1000


def span_of(seconds: float) -> int:
    """How far apart two times are that are so many seconds apart, or `LONGEST_SPAN_SECONDS`."""
    return int(min(seconds, LONGEST_SPAN_SECONDS) * 1000) << COUNTER_BITS


class HybridClock:
    """Gives out times: each greater than all it gave before or heard of, and near the wall clock's.

    The wall clock is asked once and the passing of time after that, so that an administrator's step does not become
    ours at once: it is noticed by `drift`, and taken over by `anchor`.
    """

    __slots__ = ("_last", "_offset")  # here and where else it says so: the short cuts in C read them where they lie

    def __init__(self, now: float, wall: float) -> None:
        self._last = 0
        self.anchor(now, wall)

    def anchor(self, now: float, wall: float) -> None:
        """Believe the wall clock from here on. Times given out go on from the greatest so far, all the same."""
        self._offset = wall - now

    def drift(self, now: float, wall: float) -> float:
        """By how many seconds the wall clock is ahead of what we took it for."""
        return wall - now - self._offset

    def present(self, now: float) -> int:
        """The time that it is, whatever was given out or heard."""
        return int((now + self._offset) * 1000) << COUNTER_BITS  # `time_of`, without its call: every write asks

    def tick(self, now: float) -> int:
        """A new time."""
        present = self.present(now)
        self._last = present if present > self._last else self._last + 1
        return self._last

    def hear(self, time: int) -> None:
        """Another node has given out this time: ours from here on are greater."""
        if time > self._last:
            self._last = time
