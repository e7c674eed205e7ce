"""What one neighbour is still to be told: keys, each once, in the order in which they first became news.

A key's value is that which is held when it is sent, so a hot key takes one slot. Between the keys stand encoded
*messages* that must not overtake what was queued before them, nor be overtaken: what was seen, and floors. This file
must not know what a value or a link is, nor what is in a message.
"""

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from .stamp import Stamp
from .version import NOTHING, Version

ALSO_LIMIT = 16  # nodes that may have written one key before a slow neighbour has heard of the first
_ALSO_LIMIT = ALSO_LIMIT
_TIDY_AFTER = 1024  # places of what was taken
_NOTHING_DROPPED = (1 << 63) - 1  # a number that no news has


@cython.no_gc
@cython.freelist(256)
@cython.cclass
class Notice:
    """What is to be said of one key: whatever is held, and that anything older than the authority is dead.

    Nobody changes one: the same stands in the outboxes of all links, and what it became as bytes can serve them all.
    """

    __slots__ = ("also", "authority", "hops", "key", "number", "stamp", "valueless")

    def __init__(
        self,
        key: bytes,
        authority: Version = NOTHING,
        hops: int = 0,
        number: int = 0,
        valueless: bool = False,
        also: tuple[Version, ...] = (),
        stamp: Stamp | None = None,
    ) -> None:
        self.key = key
        self.authority = authority
        self.hops = hops  # links that the news has crossed
        self.number = number  # of the news that it was first, among all of this replica
        self.valueless = valueless  # the peer has no room for the value; the authority alone does
        self.also = also  # older authorities of other nodes: a load may have seen the newest and not these
        self.stamp = stamp  # of the value that was news, where it may still be held

    def joined(self, later: "Notice") -> "Notice":
        """What is to be said once there is more news of the key."""
        one, other = self.authority, later.authority
        newest = one if one.after(other) else other
        also = self.also
        if one is NOTHING or other is NOTHING or one.node == other.node:
            if also:
                also = tuple([version for version in also if version.node != newest.node])
        else:
            older = other if newest is one else one
            also = (older, *[version for version in also if version.node not in (newest.node, older.node)])[:ALSO_LIMIT]
        hops = later.hops if newest is other else self.hops
        return Notice(self.key, newest, hops, self.number, False, also, later.stamp)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Notice):
            return NotImplemented
        mine = (self.key, self.authority, self.hops, self.number, self.valueless, self.also)
        return mine == (other.key, other.authority, other.hops, other.number, other.valueless, other.also)

    def __hash__(self) -> int:
        return hash((self.key, self.authority, self.number))

    def __repr__(self) -> str:
        rest = f"{self.authority!r}, {self.hops}, {self.number}, {self.valueless}, {self.also!r}"
        return f"Notice({self.key!r}, {rest})"


def notice_of(key: bytes, authority: Version, hops: int, number: int, stamp: Stamp | None) -> Notice:
    """What `Notice(...)` makes, at a quarter of its cost where this is compiled: every write has one."""
    notice = Notice.__new__(Notice)
    notice.key = key
    notice.authority = authority
    notice.hops = hops
    notice.number = number
    notice.valueless = False
    notice.also = ()
    notice.stamp = stamp
    return notice


class Outbox:
    """At most `limit` keys and messages, and one message of what was seen, which finds room always.

    Once there were more, it is empty and stays so until it is `restarted`.
    """

    __slots__ = (
        "_first", "_limit", "_messages", "_notices", "_queue", "_seen", "last_kept", "message_dropped", "overflowed",
        "thinned",
    )  # fmt: skip

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._notices: dict[bytes, Notice] = {}
        # Keys, and messages as tuples of one, in their order. Before the first are the places of what was taken.
        self._queue: list[bytes | tuple[bytes] | None] = []
        self._first = 0
        self._seen: tuple[bytes] | None = None  # the message of what was seen, while it waits
        self._messages = 0  # that wait, but for that
        self.overflowed = False
        self.last_kept = 0  # once overflowed: one less than the number of the first news that was dropped
        self.message_dropped = False  # once overflowed: one that cannot be replaced
        self.thinned = False  # of a key that so many have written some writes are told by newer ones alone

    def __len__(self) -> int:
        """How many keys and messages there are, but for what was seen."""
        return len(self._notices) + self._messages

    def __bool__(self) -> bool:
        """Whether there is anything to take."""
        return self._first < len(self._queue)

    def has_any(self) -> bool:
        """Likewise."""
        return self._first < len(self._queue)

    def has_seen(self) -> bool:
        """Whether a message of what was seen waits."""
        return self._seen is not None

    def add(self, notice: Notice) -> None:
        """There is news of a key. What waits for it already keeps its place."""
        if self.overflowed:
            self.last_kept = min(self.last_kept, notice.number - 1)
            return
        waiting = self._notices.get(notice.key)
        if waiting is not None:
            joined = waiting.joined(notice)
            if len(joined.also) >= _ALSO_LIMIT:
                self.thinned = True
            self._notices[notice.key] = joined
            return
        self._notices[notice.key] = notice
        self._queue.append(notice.key)
        if len(self._notices) + self._messages > self._limit:
            self.overflow()

    def add_message(self, message: bytes) -> None:
        """Send this message behind all that was added so far."""
        if self.overflowed:
            self.message_dropped = True
            return
        self._messages += 1
        self._queue.append((message,))
        if len(self._notices) + self._messages > self._limit:
            self.overflow()

    def add_seen(self, message: bytes) -> None:
        """Send what was seen behind all that was added so far. One such message at a time."""
        assert self._seen is None
        if not self.overflowed:
            self._seen = (message,)
            self._queue.append(self._seen)

    def pop(self) -> Notice | bytes | None:
        """Take out what is first: a notice, or a message. None if there is nothing."""
        queue, first = self._queue, self._first
        if first >= len(queue):
            return None
        # No call from here to the end of the change, after which a finalizer could run and add something.
        item = queue[first]
        queue[first] = None
        first += 1
        self._first = first
        if first >= _TIDY_AFTER and 2 * first >= len(queue):
            del queue[:first]
            self._first = 0
        if isinstance(item, bytes):
            return self._notices.pop(item)
        if item is self._seen:
            self._seen = None
        else:
            self._messages -= 1
        assert item is not None
        return item[0]

    def begins_with(self, notices: list[Notice], ends: bool) -> bool:
        """Whether these very notices come first; if it `ends` with them, also whether no other follows at once."""
        first = self._first
        if len(self._queue) - first < len(notices):
            return False
        after = first + len(notices)
        if ends and after < len(self._queue) and isinstance(self._queue[after], bytes):
            return False
        for i in range(len(notices)):
            notice = notices[i]
            if self._queue[first + i] is not notice.key or self._notices.get(notice.key) is not notice:
                return False
        return True

    def drop_first(self, count: int) -> None:
        """Take out so many notices."""
        for _ in range(count):
            self.pop()

    def pop_message(self) -> bytes | None:
        """Take out what is first, if that is a message."""
        if self._first >= len(self._queue) or isinstance(self._queue[self._first], bytes):
            return None
        message = self.pop()
        assert isinstance(message, bytes)
        return message

    def overflow(self) -> None:
        """Drop it all: nothing is taken any more until it is restarted."""
        # The dict goes first: a finalizer may write while objects are made.
        notices, self._notices = self._notices, {}
        self.overflowed = True
        self.message_dropped = self.message_dropped or self._messages > 0
        # Not the first one's: what a finalizer wrote in the middle of other news stands before that, with a later one.
        self.last_kept = min([notice.number for notice in notices.values()], default=_NOTHING_DROPPED) - 1
        self._clear()

    def restart(self) -> None:
        """Begin anew: all that was dropped is about to be told in another way."""
        self._clear()
        self.overflowed = self.message_dropped = False

    def _clear(self) -> None:
        self._queue, self._notices = [], {}
        self._first = self._messages = 0
        self._seen = None
