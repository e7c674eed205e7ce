"""Replication's short cuts, in Python: the reference for those in C, which do the same for what is plain.

`Stamp` is what is known of a value, `Batch` makes messages of events, and `ShortCuts` is where a replica's busiest
methods pass: here they go by its rules, one by one. This file must not know what a link or a socket is.
"""

# ruff: noqa: ARG002 - what these methods are given, those in C use

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from lru_cache.replication import messages
from lru_cache.replication.messages import Event, Kind, event_of
from lru_cache.replication.version import NOTHING, Version

if TYPE_CHECKING:
    from lru_cache.replication.neighbour import Neighbour
    from lru_cache.replication.replica import Replica


class Stamp:
    """What replication knows of a value that the store holds; the store's `version`."""

    __slots__ = ("is_set", "key", "life_version", "payload", "told", "version")

    def __init__(
        self, key: bytes, version: Version, is_set: bool, payload: bytes | None, told: Version = NOTHING
    ) -> None:
        self.key = key
        self.version = version
        self.is_set = is_set  # else it is a load: a copy, which may always be dropped
        self.payload = payload  # None: a load that cannot be told
        self.told = version if told is NOTHING else told  # what `seen` counts
        self.life_version = version  # newer than the version if it was touched since

    def __repr__(self) -> str:
        return f"Stamp({'SET' if self.is_set else 'LOAD'}, {self.key!r}, {self.version!r})"


class Batch:
    """Events on their way into messages, none of which exceeds what the neighbour takes by much."""

    def __init__(self, value_limit: int) -> None:
        self._limit = value_limit
        self._bodies: list[bytes] = []
        self._events: list[Event] = []
        self._bytes = 0
        self.has_room = True

    def add(
        self,
        kind: Kind,
        key: bytes,
        version: Version,
        hops: int,
        payload: bytes | None = None,
        life_ms: int | None = None,
        other: Version = NOTHING,
    ) -> None:
        """Take an event."""
        size = self._bytes + len(key)
        if payload is not None:
            size += len(payload)
        events = self._events
        if events and (len(events) == messages.MAXIMUM_EVENTS or size > self._limit):
            size -= self._bytes
            events = self._flush()
        events.append(event_of((kind, key, version, hops, payload, life_ms, other)))
        self._bytes = size
        self.has_room = len(events) < messages.MAXIMUM_EVENTS and size < self._limit and not self._bodies

    def bodies(self) -> list[bytes]:
        """All of it, as messages."""
        if self._events:
            self._flush()
        return self._bodies

    def _flush(self) -> list[Event]:
        self._bodies.append(messages.encode(self._events))
        self._events = []
        return self._events


class ShortCuts:
    """A replica's ways for what comes by the thousand."""

    def __init__(self, replica: "Replica") -> None:
        self._replica = replica

    def set(self, key: bytes, payload: bytes, now: float) -> Stamp:
        """A value was told: the stamp to keep it with."""
        replica = self._replica
        version = replica._write(now)
        replica.forgotten.exhume(key, version)
        replica._tell(key, version, None)
        return Stamp(key, version, True, payload)

    def allow_writes(
        self,
        lock: Any,
        monotonic: Callable[[], float],
        life: float,
        longest_value: int,
        after: Callable[[], object],
    ) -> Callable[[Any, Any], bool] | None:
        """What a cache's plain `set` may call with a key and a value: it keeps and tells them, if it returns True.

        That is: both encoded, and under the lock, with a life of so many seconds; `after` the lock is free again.
        None: there is no such short cut.
        """
        return None

    def take(self, body: bytes, source: "Neighbour", now: float) -> bool:
        """Take in a message of events, if that needs no more than a short cut. False if it does."""
        return False

    def alone(self, link: Hashable, now: float) -> list[bytes] | None:
        """The next messages for a link, for who has just written; None if to make them may take its time."""
        replica = self._replica
        if link not in replica.neighbours or not replica.is_calm(link):
            return None
        return replica.to_send(link, now, 1)  # whatever one turn gives

    def drain(self, batch: Batch, neighbour: "Neighbour", now: float) -> bytes | None:
        """Move news from the outbox into a batch, up to the next remark, which is returned."""
        for item in neighbour.outbox.taking():
            if isinstance(item, bytes):
                return item
            self._replica._add_events(batch, neighbour, item[0], item[1], now)
            if not batch.has_room:
                break
        return None
