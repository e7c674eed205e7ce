"""Pace: when what waits for the links is to be sent. No sockets, no threads, no clock: `now` is an argument, in the
seconds of a monotonic clock.

News goes out at once, by the thread that has it. Two things are worth waiting for:

- A burst of writes. Writes that follow each other fast are sent in batches: a writer sends at every 64th, and whatever
  is left a link's thread sends after it has lingered for a millisecond.
- What was `seen`. Where it follows news, it is told within milliseconds, for all news of that time together. Where
  nothing is going on, it is told every other second or so on a link: in a large network each heartbeat would else cross
  every link by itself.

This file must not know what is sent, nor by whom.
"""

from enum import IntEnum
from math import inf

BURST_SECONDS = 0.0003  # writes that follow each other faster than this are sent in batches
BURST_WRITES = 64  # of those make a batch
LINGER_SECONDS = 0.001  # what is left of a burst waits so long, since there will soon be more
SEEN_AFTER_NEWS_SECONDS = 0.005  # the protocol allows twice that
SEEN_WHEN_IDLE_SECONDS = 1.25  # between two times that a link is told of heartbeats, if its thread is awake anyway
SEEN_AT_LATEST_SECONDS = 2.5  # likewise, if a thread must wake for it


class Seen(IntEnum):
    """What of our `seen` a neighbour is still to be told."""

    TOLD = 0  # nothing
    IDLE = 1  # changes that follow no news, such as heartbeats
    NEWS = 2  # changes that follow news: somebody may wait for them


class Pace:
    """Of one cache, for all of its links. Any thread may call anything; to decide twice does no harm."""

    def __init__(self) -> None:
        self._wrote_at = -inf
        self._hurried_at = -inf  # when a write last followed another fast
        self._hurried = 0  # such writes, about: threads that write at once may be counted as one
        self._linger_until: float | None = None
        self.seen_at = inf
        """When changes of `seen` that follow news are to be told."""
        self.idle_at = inf
        """When to look for those that follow none."""

    @property
    def lingers(self) -> bool:
        """Whether a link's thread is about to look for what a burst has left."""
        return self._linger_until is not None

    @property
    def due(self) -> float:
        """When the next thing is to be done that no write brings about."""
        due = min(self.seen_at, self.idle_at)
        return due if self._linger_until is None else min(due, self._linger_until)

    def is_lone(self, now: float) -> bool:
        """There was a write. Whether it came by itself: then its thread sends it. Else `is_batch` decides."""
        before, self._wrote_at = self._wrote_at, now
        if now - before >= BURST_SECONDS:
            return True
        self._hurried_at = now
        return False

    def is_batch(self) -> bool:
        """There was a write in a burst. Whether its thread is to send all that there is."""
        self._hurried += 1
        return self._hurried % BURST_WRITES == 0

    def is_rest_due(self, now: float) -> bool:
        """What writers have left to a link's thread: whether it is to be sent now. In a burst it waits for more."""
        until = self._linger_until
        if until is None and now - self._hurried_at < BURST_SECONDS:
            self._linger_until = now + LINGER_SECONDS
            return False
        if until is not None and now < until:
            return False
        self._linger_until = None  # before anybody looks at what there is: who writes after that wakes a thread
        return True

    def seen_rose(self, waiting: int, now: float) -> None:
        """Our `seen` has changed, in a way that a neighbour is to be told of."""
        if waiting == Seen.NEWS:
            if self.seen_at == inf:
                self.seen_at = now + SEEN_AFTER_NEWS_SECONDS
        elif waiting == Seen.IDLE and self.idle_at == inf:
            self.idle_at = now + SEEN_WHEN_IDLE_SECONDS
