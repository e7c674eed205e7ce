"""Events on their way into messages. This file must not know what a link is, nor why something is told."""

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from . import messages
from .event import MAXIMUM_EVENTS, NO_END, Event, event_of
from .outbox import Notice
from .version import NOTHING, Version
from .wire import pack_events

SHARED_SECONDS = 0.001  # in which the life that remains of a value is taken for the same
_MOST_EVENTS, _SHARED_SECONDS = MAXIMUM_EVENTS, SHARED_SECONDS


class Batch:
    """Events of which messages are made, none of which exceeds what the neighbour takes by much."""

    __slots__ = ("_bodies", "_bytes", "_events", "_limit", "count", "has_room", "is_for_all")

    def __init__(self, value_limit: int) -> None:
        self.begin(value_limit)

    def begin(self, value_limit: int) -> None:
        """Be empty."""
        self._limit = value_limit
        self._bodies: list[bytes] = []
        self._events: list[Event] = []
        self._bytes = 0
        self.count = 0  # of all events that it took
        self.has_room = True
        self.is_for_all = True  # nothing in it depends on what this neighbour has, or takes

    def add(
        self,
        kind: int,
        key: bytes,
        version: Version,
        hops: int,
        payload: bytes | None = None,
        life: int = NO_END,
        other: Version = NOTHING,
    ) -> None:
        """Take an event."""
        size = self._bytes + len(key)
        if payload is not None:
            size += len(payload)
        count = len(self._events)
        if count > 0 and (count == _MOST_EVENTS or size > self._limit):
            size -= self._bytes
            self._flush()
            count = 0
        self._events.append(event_of(kind, key, version, hops, payload, life, other))
        self._bytes = size
        self.count += 1
        self.has_room = count + 1 < _MOST_EVENTS and size < self._limit and not self._bodies

    def bodies(self) -> list[bytes]:
        """All of it, as messages."""
        if self._events:
            self._flush()
        return self._bodies

    def _flush(self) -> None:
        events, self._events = self._events, []
        body = pack_events(events) if cython.compiled else None
        self._bodies.append(messages.encode(events) if body is None else body)


def batch_of(value_limit: int) -> Batch:
    """What `Batch(...)` makes, at less cost where this is compiled."""
    batch = Batch.__new__(Batch)
    batch.begin(value_limit)
    return batch


class Shared:
    """What became of the first notices of one outbox. Another that begins with the same ones needs not make it anew."""

    __slots__ = ("_limit", "_until", "bodies", "count", "is_full", "notices")

    def __init__(
        self, notices: list[Notice], bodies: list[bytes], count: int, is_full: bool, value_limit: int, now: float
    ) -> None:
        self.notices = notices
        self.bodies = bodies
        self.count = count  # of the events in them
        self.is_full = is_full  # else there were no more notices then, up to the next message
        self._limit = value_limit
        self._until = now + SHARED_SECONDS

    def serves(self, value_limit: int, now: float) -> bool:
        """Whether a neighbour that takes values of that size may still be sent it."""
        return value_limit == self._limit and now < self._until


def shared_of(
    notices: list[Notice], bodies: list[bytes], count: int, is_full: bool, value_limit: int, now: float
) -> Shared:
    """What `Shared(...)` makes, at less cost where this is compiled."""
    shared = Shared.__new__(Shared)
    shared.notices = notices
    shared.bodies = bodies
    shared.count = count
    shared.is_full = is_full
    shared._limit = value_limit
    shared._until = now + _SHARED_SECONDS
    return shared
