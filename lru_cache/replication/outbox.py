"""What one neighbour is still to be told: keys, each once, in the order in which they first became news.

A key's value is looked up when it is sent, so a hot key takes one slot. Between the keys stand *remarks*: encoded
messages that must not overtake what was told before them, nor be overtaken. This file must not know what a value, a
link or a message is.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from lru_cache.replication.version import NOTHING, Version

ALSO_LIMIT = 16  # nodes that may have written one key before a slow neighbour has heard of the first
_SEEN: Final = 0  # the slot of the one remark that is replaceable; other remarks have the numbers after it


class Telling(NamedTuple):
    """What is to be told of a key: whatever is held, and that anything older than the authority is dead."""

    authority: Version = NOTHING
    hops: int = 0  # links that the news has crossed
    number: int = 0  # of the news that it was first, among all of this replica
    valueless: bool = False  # the peer has no room for the value; the authority alone does
    also: tuple[Version, ...] = ()  # older authorities of other nodes: a load may have seen the newest and not these

    def joined(self, later: "Telling") -> "Telling":
        """What is to be told once there is more news of the key."""
        newest = max(later.authority, self.authority)
        if NOTHING in (later.authority, self.authority) or later.authority.node == self.authority.node:
            also = tuple(version for version in self.also if version.node != newest.node)
        else:
            older = min(later.authority, self.authority)
            others = (version for version in self.also if version.node not in (newest.node, older.node))
            also = (older, *others)[:ALSO_LIMIT]
        return Telling(newest, later.hops if later.authority is newest else self.hops, self.number, False, also)


telling_of: Callable[[tuple[Version, int, int, bool, tuple[Version, ...]]], Telling] = partial(tuple.__new__, Telling)
"""A telling of all of its fields. What `Telling(...)` makes, in a third of its time: every write has one."""


class Outbox:
    """At most `limit` keys and remarks, and one remark of what was seen, which finds room always.

    Once there were more, it is empty and stays so until it is `restarted`.
    """

    __slots__ = ("_items", "_limit", "_remarks", "_remarks_waiting", "overflowed", "remark_dropped", "told")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[bytes | int, Telling | bytes] = OrderedDict()
        self._remarks = 0  # so far
        self._remarks_waiting = 0
        self.overflowed = False
        self.told = 0  # once overflowed: the number of the last news that was taken before the first that was dropped
        self.remark_dropped = False  # once overflowed: one that cannot be replaced

    def __len__(self) -> int:
        """How many keys and remarks there are, but for what was seen."""
        return len(self._items) - self.has_seen

    def __bool__(self) -> bool:
        """Whether there is anything to take."""
        return bool(self._items)

    @property
    def has_seen(self) -> bool:
        """Whether a remark of what was seen waits."""
        return _SEEN in self._items

    def tell(self, key: bytes, telling: Telling) -> None:
        """Take news of a key. What is to be told already keeps its place."""
        if self.overflowed:
            self.told = min(self.told, telling.number - 1)
            return
        items = self._items
        told = items.get(key)
        if told is None:
            items[key] = telling
            if len(items) > self._limit:
                self._limit_reached()
        else:
            assert isinstance(told, Telling)
            items[key] = told.joined(telling)

    def remark(self, message: bytes) -> None:
        """Send this message behind all that was told so far."""
        if self.overflowed:
            self.remark_dropped = True
            return
        self._remarks += 1
        self._remarks_waiting += 1
        self._items[self._remarks] = message
        self._limit_reached()

    def remark_seen(self, message: bytes) -> None:
        """Send what was seen behind all that was told so far. One such remark at a time."""
        assert not self.has_seen
        if not self.overflowed:
            self._items[_SEEN] = message

    def next(self) -> tuple[bytes, Telling] | bytes:
        """Take the first key with what to tell of it, or the first remark. StopIteration if there is nothing."""
        return next(self.taking())

    def taking(self) -> Iterator[tuple[bytes, Telling] | bytes]:
        """Take one after another, for as long as it is asked."""
        items = self._items
        while items:
            taken = items.popitem(last=False)
            if type(taken[1]) is Telling:
                yield taken  # type: ignore[misc]  # what is told is told of a key
            else:
                self._remarks_waiting -= taken[0] != _SEEN
                yield taken[1]  # type: ignore[misc]

    def overflow(self) -> None:
        """Drop it all: nothing is told any more until it is restarted."""
        items = list(self._items.values())  # at once: a finalizer may write while objects are made
        self.overflowed = True
        self.remark_dropped = self.remark_dropped or self._remarks_waiting > 0
        # Not the first one's: what a finalizer wrote in the middle of other news stands before that, with a later one.
        self.told = min((item.number for item in items if isinstance(item, Telling)), default=1) - 1
        self._clear()

    def restart(self) -> None:
        """Begin anew: all that was dropped is about to be told in another way."""
        self._clear()
        self.overflowed = self.remark_dropped = False

    def _clear(self) -> None:
        self._items.clear()
        self._remarks_waiting = 0

    def _limit_reached(self) -> None:
        if len(self) > self._limit:
            self.overflow()
