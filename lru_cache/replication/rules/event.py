"""One piece of news, as it travels. State, no rules."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from .version import NOTHING, Version


class Kind(IntEnum):
    """What an event tells of its key."""

    SET = 0  # a value that an application told
    INVALIDATE = 1  # the value no longer holds
    LOAD = 2  # a copy of what a source had when the load began
    TOUCH = 3  # the value of that version lives so long from now


NO_END = -1  # as a life
MAXIMUM_EVENTS = 64  # in one message: larger ones gain nothing
MAXIMUM_LIFE_MS = 1 << 53


@cython.no_gc
@cython.freelist(256)
@cython.cclass
class Event:
    """News of a key. `life` is what remains in milliseconds, or NO_END; `life_ms` the same with None."""

    __slots__ = ("hops", "key", "kind", "life", "other", "payload", "version")

    def __init__(
        self,
        kind: int,
        key: bytes,
        version: Version,
        hops: int = 1,
        payload: bytes | None = None,
        life_ms: int | None = None,
        other: Version = NOTHING,
    ) -> None:
        self.kind = kind
        self.key = key
        self.version = version
        self.hops = hops
        self.payload = payload  # SET, LOAD
        self.life = NO_END if life_ms is None else life_ms  # SET, LOAD, TOUCH
        self.other = other  # LOAD: when and by whom it was told; TOUCH: the version that is touched

    @property
    def life_ms(self) -> int | None:
        """What remains, None without end."""
        return None if self.life == NO_END else self.life

    def __iter__(self) -> Iterator[Any]:
        return iter((self.kind, self.key, self.version, self.hops, self.payload, self.life_ms, self.other))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Event) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        rest = f"{self.key!r}, {self.version!r}, {self.hops}, {self.payload!r}, {self.life_ms!r}, {self.other!r}"
        return f"Event(Kind.{Kind(self.kind).name}, {rest})"


def event_of(
    kind: int, key: bytes, version: Version, hops: int, payload: bytes | None, life: int, other: Version
) -> Event:
    """What `Event(...)` makes, at a quarter of its cost where this is compiled. A life without end is NO_END."""
    event = Event.__new__(Event)
    event.kind = kind
    event.key = key
    event.version = version
    event.hops = hops
    event.payload = payload
    event.life = life
    event.other = other
    return event
