"""Pace: when what waits for the links is to be sent. No sockets, no threads, no clock: `now` is an argument, in the
seconds of a monotonic clock.

News goes out at once, by the thread that has it. Two things are worth waiting for:

- A burst of writes. Writes that follow each other fast are sent in batches: a writer sends at every 256th, and whatever
  is left a link's thread sends after it has lingered for a millisecond.
- What was `seen`. Where it follows news, it is told within milliseconds, for all news of that time together. Where
  nothing is going on, it is told every other second or so on a link: in a large network each heartbeat would else cross
  every link by itself.

It is no rule of replication, and stands with them since each write asks it: most of a burst are told here that nothing
is to be done. This file must not know what is sent, nor by whom.
"""

from enum import IntEnum
from math import inf

BURST_SECONDS = 0.0003  # writes that follow each other faster than this are sent in batches
BURST_WRITES = 256  # of those a writer sends at once: to send costs as much as dozens of writes
LINGER_SECONDS = 0.001  # what is left of a burst waits so long, since there will soon be more
SEEN_AFTER_NEWS_SECONDS = 0.005  # the protocol allows twice that
SEEN_WHEN_IDLE_SECONDS = 1.25  # between two times that a link is told of heartbeats, if its thread is awake anyway
SEEN_AT_LATEST_SECONDS = 2.5  # likewise, if a thread must wake for it


class Act(IntEnum):
    """What a writer does about the links."""

    NOTHING = 0
    SEND = 1  # what there is, which is not much: the write came by itself
    SEND_BATCHES = 2
    WAKE = 3  # one of the links' threads, which sends what the burst leaves


class Seen(IntEnum):
    """What of our `seen` a neighbour is still to be told."""

    TOLD = 0  # nothing
    IDLE = 1  # changes that follow no news, such as heartbeats
    NEWS = 2  # changes that follow news: somebody may wait for them


# The same as C numbers.
_NOTHING, _SEND, _SEND_BATCHES, _WAKE = Act
_BURST_WRITES = BURST_WRITES
_NEVER = inf


class Pace:
    """Of one cache, for all of its links. Any thread may call anything; to decide twice does no harm."""

    __slots__ = (
        "burst_seconds",
        "has_links",
        "hurried",
        "hurried_at",
        "idle_at",
        "is_attended",
        "is_left",
        "linger_until",
        "seen_at",
        "wrote_at",
    )

    def __init__(self) -> None:
        self.burst_seconds = BURST_SECONDS
        self.has_links = False
        self.wrote_at = -inf
        self.hurried_at = -inf  # when a write last followed another fast
        self.hurried = 0  # such writes, about: threads that write at once may be counted as one
        self.is_left = False  # writers have left news to one of the links' threads
        self.is_attended = False  # that thread was woken, or lingers, and has not looked for that news yet
        self.linger_until = inf  # when it looks, if it lingers
        self.seen_at = inf  # when changes of `seen` that follow news are to be told
        self.idle_at = inf  # when to look for those that follow none

    @property
    def lingers(self) -> bool:
        """Whether a link's thread is about to look for what a burst has left."""
        return self.linger_until != inf

    @property
    def due(self) -> float:
        """When the next thing is to be done that no write brings about."""
        return min(self.seen_at, self.idle_at, self.linger_until)

    def wrote(self, now: float) -> int:
        """There was a write, and its news waits for the links. What its thread has to do, as an `Act`."""
        if not self.has_links:
            return _NOTHING
        before = self.wrote_at
        self.wrote_at = now
        if now - before >= self.burst_seconds:
            return _SEND
        self.hurried_at = now
        self.hurried += 1
        if self.hurried % _BURST_WRITES == 0:
            return _SEND_BATCHES
        return self.leave()

    def leave(self) -> int:
        """News is left to one of the links' threads: whether that is to be woken.

        1. A writer has put news into outboxes, and looks whether a thread attends to it.
        2. The thread that does takes that back (`is_rest_due`), and then looks into the outboxes.

        If the writer finds it attending, the thread has not looked yet, and will find the news.
        """
        if self.is_attended:
            self.is_left = True
            return _NOTHING
        self.is_attended = True  # before `is_left`: who takes both back does it in the other order
        self.is_left = True
        return _WAKE

    def is_rest_due(self, now: float) -> bool:
        """For a link's thread, with something left: whether it is to be sent now. In a burst it waits for more."""
        until = self.linger_until
        if until == _NEVER and now - self.hurried_at < self.burst_seconds:
            self.is_attended = True
            self.linger_until = now + LINGER_SECONDS
            return False
        if until != _NEVER and now < until:
            return False
        self.linger_until = _NEVER
        self.is_left = False  # before anybody looks at what there is: who writes after that wakes a thread
        self.is_attended = False
        return True

    def seen_rose(self, waiting: int, now: float) -> None:
        """Our `seen` has changed, in a way that a neighbour is to be told of."""
        if waiting == Seen.NEWS:
            if self.seen_at == inf:
                self.seen_at = now + SEEN_AFTER_NEWS_SECONDS
        elif waiting == Seen.IDLE and self.idle_at == inf:
            self.idle_at = now + SEEN_WHEN_IDLE_SECONDS
