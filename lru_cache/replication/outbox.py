"""What one neighbour is still to be told: keys, each once, in the order in which they first became news.

A key's value is looked up when it is sent, so a hot key takes one slot. Between the keys stand *remarks*: encoded
messages that must not overtake what was told before them, nor be overtaken. This file must not know what a value, a
link or a message is.
"""

from collections import OrderedDict
from typing import NamedTuple

from lru_cache.replication.version import NOTHING, Version

ALSO_LIMIT = 16  # nodes that may have written one key before a slow neighbour has heard of the first


class Telling(NamedTuple):
    """What is to be told of a key: whatever is held, and that anything older than the authority is dead."""

    authority: Version = NOTHING
    hops: int = 0  # links that the news has crossed
    touched: bool = False  # its life was changed
    valueless: bool = False  # the peer has no room for the value; the authority alone does
    also: tuple[Version, ...] = ()  # older authorities of other nodes: a load may have seen the newest and not these

    def joined(self, authority: Version, hops: int, touched: bool) -> "Telling":
        """What is to be told once there is more news of the key."""
        newest = max(authority, self.authority)
        if NOTHING in (authority, self.authority) or authority.node == self.authority.node:
            also = tuple(version for version in self.also if version.node != newest.node)
        else:
            older = min(authority, self.authority)
            others = (version for version in self.also if version.node not in (newest.node, older.node))
            also = (older, *others)[:ALSO_LIMIT]
        return Telling(newest, hops if authority is newest else self.hops, touched or self.touched, False, also)


class Outbox:
    """At most `limit` keys and remarks. Once there were more, it is empty and stays so until it is `restarted`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[bytes | int, Telling | bytes] = OrderedDict()
        self._remarks = 0
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._items)

    def tell(self, key: bytes, authority: Version, hops: int, touched: bool = False) -> None:
        """Take news of a key. What is to be told already keeps its place."""
        if self.overflowed:
            return
        told = self._items.get(key)
        if isinstance(told, Telling):
            self._items[key] = told.joined(authority, hops, touched)
        else:
            self._items[key] = Telling(authority, hops, touched)
            self._limit_reached()

    def remark(self, message: bytes) -> None:
        """Send this message behind all that was told so far."""
        if self.overflowed:
            return
        self._remarks += 1
        self._items[self._remarks] = message
        self._limit_reached()

    def next(self) -> tuple[bytes, Telling] | bytes:
        """Take the first key with what to tell of it, or the first remark. KeyError if there is nothing."""
        key, item = self._items.popitem(last=False)
        if isinstance(item, Telling):
            assert isinstance(key, bytes)
            return key, item
        return item

    def overflow(self) -> None:
        """Drop it all: nothing is told any more until it is restarted."""
        self._items.clear()
        self.overflowed = True

    def restart(self) -> None:
        """Begin anew: all that was dropped is about to be told in another way."""
        self._items.clear()
        self.overflowed = False

    def _limit_reached(self) -> None:
        if len(self._items) > self._limit:
            self.overflow()
