"""When something was written, and by whom; and the clock that says so. It must not read a clock: `now` is an argument.

A *time* is a hybrid logical clock's: 64 bits, milliseconds since 1970 above a counter of 16. A *node* is the random id
of one process life. A `Version` is both; the newer is the greater, and of two with one time that of the greater node.
"""

from collections.abc import Iterator

try:
    import cython
except ImportError:
    from . import uncompiled as cython

COUNTER_BITS = 16
NODE_BYTES = 8
MAXIMUM_TIME = (1 << 63) - 1
LONGEST_SPAN_SECONDS = 1e10  # three centuries: a time of ours and a few of these are still less than the maximum


@cython.no_gc
@cython.freelist(256)
@cython.cclass
class Version:
    """The age of a write. Compares as a pair, which is the order that every node agrees on. Nobody changes one."""

    __slots__ = ("node", "time")

    def __init__(self, time: int, node: bytes) -> None:
        self.time = time
        self.node = node

    def after(self, other: "Version") -> bool:
        """Whether this is the newer."""
        return self.time > other.time or (self.time == other.time and self.node > other.node)

    def __lt__(self, other: "Version") -> bool:
        return other.after(self)

    def __gt__(self, other: "Version") -> bool:
        return self.after(other)

    def __le__(self, other: "Version") -> bool:
        return not self.after(other)

    def __ge__(self, other: "Version") -> bool:
        return not other.after(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Version):
            return NotImplemented
        return self is other or (self.time == other.time and self.node == other.node)

    def __hash__(self) -> int:
        return hash((self.time, self.node))

    def __iter__(self) -> Iterator[int | bytes]:
        return iter((self.time, self.node))

    def __repr__(self) -> str:
        return f"Version(time={self.time!r}, node={self.node!r})"


def version_of(time: int, node: bytes) -> Version:
    """What `Version(time, node)` makes, at a quarter of its cost where this is compiled: every event has one."""
    version = Version.__new__(Version)
    version.time = time
    version.node = node
    return version


NOTHING = Version(0, b"")
"""Older than every write."""


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

    Where the wall clock was set back, nobody here knows whether it was wrong before or is now. So times that are given
    out go on as before, ahead of the wall clock by `lead` seconds, until other nodes have shown which it is.
    """

    __slots__ = ("_last", "_offset", "lead")

    def __init__(self, now: float, wall: float) -> None:
        self._last = 0
        self._offset = wall - now
        self.lead = 0.0

    def anchor(self, now: float, wall: float) -> None:
        """Believe the wall clock from here on. Times given out go on from the greatest so far, all the same."""
        if self.lead > 0:
            self.lead = max(self.lead - self.drift(now, wall), 0.0)
        self._offset = wall - now

    def keep_pace(self, seconds: float) -> None:
        """The wall clock was set back by so much: times given out are those that would have been anyway."""
        self.lead = seconds

    def drift(self, now: float, wall: float) -> float:
        """By how many seconds the wall clock is ahead of what we took it for."""
        return wall - now - self._offset

    def present(self, now: float) -> int:
        """The time that it is, whatever was given out or heard."""
        milliseconds = int((now + self._offset) * 1000)
        return milliseconds << 16  # `time_of`, without its call: every write asks

    def tick(self, now: float) -> int:
        """A new time."""
        present = self.present(now + self.lead)
        self._last = present if present > self._last else self._last + 1
        return self._last

    def is_ahead(self, time: int) -> bool:
        """Whether it gave out, or heard of, a time after this one."""
        return self._last > time

    def restart(self) -> None:
        """Times need not go on from the greatest so far: those that were given out are not this node's any more."""
        self._last = 0
        self.lead = 0.0

    def hear(self, time: int) -> None:
        """Another node has given out this time: ours from here on are greater."""
        if time > self._last:
            self._last = time
