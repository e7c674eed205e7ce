"""The messages that come by the thousand, events and what was seen or reached, written and read byte by byte.

messages.py does the same by msgpack, and is the contract: what is written here is what it writes, and what is read here
it reads alike. It serves where this is not compiled, where a message is large or rare, and for bytes that are not
written as we write them: only messages.py knows what is wrong with bytes. This file must not know what is done with an
event.
"""

from typing import Any

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from lru_cache.replication.encoding import MAXIMUM_KEY_BYTES

from .event import MAXIMUM_EVENTS, MAXIMUM_LIFE_MS, Event, Kind
from .version import MAXIMUM_TIME, NODE_BYTES, NOTHING, version_of

# The same as C numbers: a literal beyond 32 bits is compared as an object.
_EVENTS, _SEEN, _REACHED = 2, 3, 8
_SET, _LOAD, _TOUCH = Kind.SET, Kind.LOAD, Kind.TOUCH
_MOST_EVENTS, _LONGEST_KEY, _LONGEST_LIFE, _LATEST = MAXIMUM_EVENTS, MAXIMUM_KEY_BYTES, MAXIMUM_LIFE_MS, MAXIMUM_TIME
_NODE = NODE_BYTES
_MOST_NODES = 128  # of 64 events, each with another version
_FOUR_BYTES = 1 << 32
_MOST_SEEN = 128  # nodes, in what is read and written here
_FIXED_BYTES = 8 + 11 * _MOST_NODES + MAXIMUM_EVENTS * (3 + 9 + 5 + 5 + 9 + 11) + 32  # all but keys and values
# Of msgpack, by an item's first byte: how many bytes say its length, and how many follow besides.
_LENGTH_BYTES = bytearray(256)
_FOLLOWING = bytearray(256)
for _first, _count in zip(
    b"\xc4\xc5\xc6\xc7\xc8\xc9\xd9\xda\xdb\xdc\xdd\xde\xdf", b"\1\2\4\1\2\4\1\2\4\2\4\2\4", strict=True
):
    _LENGTH_BYTES[_first] = _count
for _first, _count in zip(
    b"\xc7\xc8\xc9\xca\xcb\xcc\xcd\xce\xcf\xd0\xd1\xd2\xd3\xd4\xd5\xd6\xd7\xd8",
    b"\x01\x01\x01\x04\x08\x01\x02\x04\x08\x01\x02\x04\x08\x02\x03\x05\x09\x11",
    strict=True,
):
    _FOLLOWING[_first] = _count
_ROOM_BYTES = 65_536
_ROOM = bytearray(_ROOM_BYTES)  # where a message is put together, with nothing else running meanwhile


# -- in ----------------------------------------------------------------------------------------------------------------


class Reader:
    """A place in a message. What is not there as we would write it is -1, or False."""

    __slots__ = ("_at", "_data", "_end", "_view", "extensions", "length", "start")

    def __init__(self, data: bytes) -> None:
        self._data = data  # holds what the view looks at
        self._view = data
        self._at = 0
        self._end = len(data)
        self.start = 0  # of the binary that was read last
        self.length = 0
        self.extensions = 0  # that were passed over

    def array(self) -> int:
        """The length of an array."""
        first = self._byte()
        if first & 0xF0 == 0x90:
            return first & 0x0F
        return self._big_endian(2) if first == 0xDC else -1

    def number(self, limit: int) -> int:
        """A number from 0 to that."""
        first = self._byte()
        if first < 128:
            return first if first <= limit else -1
        if not 0xCC <= first <= 0xCF:
            return -1
        value = self._big_endian(1 << (first - 0xCC))
        return value if value <= limit else -1

    def binary(self) -> bool:
        """Whether bytes come next: then they are read."""
        first = self._byte()
        if not 0xC4 <= first <= 0xC6:
            return False
        length = self._big_endian(1 << (first - 0xC4))
        if length < 0 or length > self._end - self._at:
            return False
        self.start = self._at
        self.length = length
        self._at += length
        return True

    def is_next(self, byte: int) -> bool:
        """Whether that comes next: then it is read."""
        if self._at >= self._end or self._view[self._at] != byte:
            return False
        self._at += 1
        return True

    def taken(self) -> bytes:
        """The bytes that were read last."""
        return self._view[self.start : self.start + self.length]

    def skip(self) -> int:
        """Pass over the next item, or a collection's head: how many members follow that. -1 if it is cut off."""
        first = self._byte()
        if first < 0x80 or first >= 0xE0:
            return 0
        if first < 0xA0:
            return first & 0x0F if first >= 0x90 else (first & 0x0F) << 1
        if first < 0xC0:
            self._at += first & 0x1F
            return 0
        length = self._big_endian(_LENGTH_BYTES[first])
        if length < 0 or first == 0xC1:
            return -1
        if first >= 0xDC:
            return length if first < 0xDE else length << 1
        self.extensions += 0xC7 <= first <= 0xC9 or 0xD4 <= first <= 0xD8
        self._at += length + _FOLLOWING[first]
        return 0

    def byte_at(self, place: int) -> int:
        """One byte, wherever it stands."""
        return self._view[place]

    def is_over(self) -> bool:
        """Whether that was all."""
        return self._at == self._end

    def _byte(self) -> int:
        """The next byte; one that nothing of ours begins with, where there is none."""
        if self._at >= self._end:
            return 0xC1
        self._at += 1
        return self._view[self._at - 1]

    def _big_endian(self, count: int) -> int:
        if self._end - self._at < count or (count == 8 and self._view[self._at] > 127):
            return -1
        value = 0
        for i in range(self._at, self._at + count):
            value = value << 8 | self._view[i]
        self._at += count
        return value


def read_events(data: bytes, last_node: bytes) -> list[Event] | None:
    """The events of a message that is written as we write it; None for any other.

    `last_node`: of the message before. Where it is the same, it is the same object, which costs less to compare.
    """
    reader = Reader(data)
    if reader.array() != 10 or reader.number(255) != _EVENTS:
        return None
    nodes = _read_nodes(reader, last_node)
    if nodes is None or not reader.binary() or not 0 < reader.length <= _MOST_EVENTS:
        return None
    count = reader.length
    events = _read_versions(reader, count, nodes)
    if events is None or not _read_keys(reader, events, count) or not _read_values(reader, events, count):
        return None
    if not _read_lives(reader, events, count) or not _read_others(reader, events, count, nodes):
        return None
    return events if reader.is_over() else None


def _read_nodes(reader: Reader, last_node: bytes) -> list[bytes] | None:
    listed = reader.array()
    if not 0 < listed <= _MOST_NODES:
        return None
    nodes = []
    for _ in range(listed):
        if not reader.binary() or reader.length != _NODE:
            return None
        node = reader.taken()
        nodes.append(last_node if node == last_node else node)
    return nodes


def _read_versions(reader: Reader, count: int, nodes: list[bytes]) -> list[Event] | None:
    """Events with what the first four columns say. The first of them, the kinds, was read last."""
    kinds = reader.start
    if not reader.binary() or reader.length != count:
        return None
    hops = reader.start
    if not reader.binary() or reader.length != count:
        return None
    origins = reader.start
    if reader.array() != count:
        return None
    listed = len(nodes)
    events = []
    for i in range(count):
        kind, origin, time = reader.byte_at(kinds + i), reader.byte_at(origins + i), reader.number(_LATEST)
        if kind > _TOUCH or origin >= listed or time < 0:
            return None
        event = Event.__new__(Event)
        event.kind = kind
        event.hops = reader.byte_at(hops + i)
        event.version = version_of(time, nodes[origin])
        event.other = NOTHING
        event.life = -1
        event.payload = None
        events.append(event)
    return events


def _read_keys(reader: Reader, events: list[Event], count: int) -> bool:
    if reader.array() != count:
        return False
    for i in range(count):
        if not reader.binary() or not 0 < reader.length <= _LONGEST_KEY:
            return False
        event = events[i]
        event.key = reader.taken()
    return True


def _read_values(reader: Reader, events: list[Event], count: int) -> bool:
    if reader.array() != count:
        return False
    for i in range(count):
        event = events[i]
        if event.kind == _SET or event.kind == _LOAD:
            if not reader.binary():
                return False
            event.payload = reader.taken()
        elif not reader.is_next(0xC0):
            return False
    return True


def _read_lives(reader: Reader, events: list[Event], count: int) -> bool:
    if reader.array() != count:
        return False
    for i in range(count):
        if not reader.is_next(0xC0):
            time = reader.number(_LONGEST_LIFE)
            if time < 0:
                return False
            event = events[i]
            event.life = time
    return True


def _read_others(reader: Reader, events: list[Event], count: int, nodes: list[bytes]) -> bool:
    others = 0
    for i in range(count):
        event = events[i]
        if event.kind >= _LOAD:
            others += 1
    if reader.array() != 2 * others:
        return False
    if not others:
        return True
    for i in range(count):
        event = events[i]
        if event.kind >= _LOAD:
            time, origin = reader.number(_LATEST), reader.number(255)
            if time < 0 or not 0 <= origin < len(nodes):
                return False
            event.other = version_of(time, nodes[origin])
    return True


def read_seen(data: bytes) -> list[bytes | int] | None:
    """Nodes and times, in turn, of a message of what was seen that is not the whole of it; None for any other."""
    reader = Reader(data)
    if reader.array() != 3 or reader.number(255) != _SEEN or not reader.is_next(0xC2):
        return None
    found = _read_times(reader)
    return found if found is not None and reader.is_over() else None


def read_reached(data: bytes) -> tuple[list[bytes | int], list[bytes | int]] | None:
    """Likewise twice, of a message of what was reached."""
    reader = Reader(data)
    if reader.array() != 3 or reader.number(255) != _REACHED:
        return None
    seen = _read_times(reader)
    if seen is None:
        return None
    news = _read_times(reader)
    return (seen, news) if news is not None and reader.is_over() else None


def _read_times(reader: Reader) -> list[bytes | int] | None:
    count = reader.array()
    if count < 0 or count > 2 * _MOST_SEEN or count & 1:
        return None
    found: list[bytes | int] = []
    for _ in range(count >> 1):
        if not reader.binary() or reader.length != _NODE:
            return None
        found.append(reader.taken())
        time = reader.number(_LATEST)
        if time < 0:
            return None
        found.append(time)
    return found


def is_shallow(data: bytes, depth: int, extensions: int) -> bool:
    """Whether no more collections than that are within each other, and no more extensions in it all.

    msgpack makes room for all that an array claims to hold, before it looks whether that is there: three bytes within
    three bytes, a thousand times, would ask for 80 MB.
    """
    reader = Reader(data)
    outer: list[int] = []  # what is still to come of each collection that this one is in
    left = 1
    while True:
        while left == 0:
            if not outer:
                return True
            left = outer.pop()
        left -= 1
        members = reader.skip()
        if members < 0:
            return True
        if reader.extensions > extensions or len(outer) > depth:
            return False
        if members:
            outer.append(left)
            left = members


# -- out ---------------------------------------------------------------------------------------------------------------


def pack_events(events: list[Event]) -> bytes | None:
    """The message of these events; None if it is a large one, or there are too many of them."""
    count = len(events)
    if not 0 < count <= _MOST_EVENTS or _size_of(events) > _ROOM_BYTES:
        return None
    nodes: list[bytes] = []
    others = _list_nodes(events, nodes)
    room = _ROOM
    room[0] = 0x9A
    room[1] = _EVENTS
    at = _put_nodes(room, 2, nodes)
    at = _put_small_columns(room, at, events, nodes)
    at = _put_times_and_keys(room, at, events)
    at = _put_values_and_lives(room, at, events)
    at = _put_array(room, at, 2 * others)
    if others:
        for i in range(count):
            event = events[i]
            if event.other is not NOTHING:
                at = _put_number(room, at, event.other.time)
                at = _put_number(room, at, _number_of(nodes, event.other.node))
    return _made(room, at)


def _size_of(events: list[Event]) -> int:
    """How many bytes they take at most."""
    size = _FIXED_BYTES
    for event in events:
        size += len(event.key)
        if event.payload is not None:
            size += len(event.payload)
    return size


def _list_nodes(events: list[Event], nodes: list[bytes]) -> int:
    """List the nodes in the order in which they appear, first those of versions. How many other versions there are."""
    others = 0
    last = None
    for event in events:
        version = event.version
        if version.node is not last:
            last = version.node
            _number_of(nodes, last)
        if event.other is not NOTHING:
            others += 1
    if others:
        for event in events:
            if event.other is not NOTHING:
                _number_of(nodes, event.other.node)
    return others


def pack_seen(nodes: list[bytes], times: list[int]) -> bytes | None:
    """The message of what was seen of these nodes, not the whole of it; None if they are many."""
    count = len(nodes)
    if count > _MOST_SEEN:
        return None
    room = _ROOM
    room[0] = 0x93
    room[1] = _SEEN
    room[2] = 0xC2
    return _made(room, _put_times(room, 3, nodes, times))


def pack_reached(nodes: list[bytes], times: list[int], late_nodes: list[bytes], late_times: list[int]) -> bytes | None:
    """The message of what was reached, of what is seen and of what is news; None if they are many."""
    if len(nodes) > _MOST_SEEN or len(late_nodes) > _MOST_SEEN:
        return None
    room = _ROOM
    room[0] = 0x93
    room[1] = _REACHED
    return _made(room, _put_times(room, _put_times(room, 2, nodes, times), late_nodes, late_times))


def _put_times(room: bytearray, at: int, nodes: list[bytes], times: list[int]) -> int:
    count = len(nodes)
    at = _put_array(room, at, 2 * count)
    for i in range(count):
        at = _put_binary(room, at, nodes[i])
        at = _put_number(room, at, times[i])
    return at


def _put_nodes(room: bytearray, at: int, nodes: list[bytes]) -> int:
    at = _put_array(room, at, len(nodes))
    for i in range(len(nodes)):
        at = _put_binary(room, at, nodes[i])
    return at


def _put_small_columns(room: bytearray, at: int, events: list[Event], nodes: list[bytes]) -> int:
    """Kinds, hops and origins: bytes each. Where they end."""
    count = len(events)
    kinds = at + 2
    hops = kinds + count + 2
    origins = hops + count + 2
    room[at] = room[kinds + count] = room[hops + count] = 0xC4
    room[at + 1] = room[kinds + count + 1] = room[hops + count + 1] = count
    last = None
    number = 0
    for i in range(count):
        event = events[i]
        version = event.version
        if version.node is not last:
            last = version.node
            number = _number_of(nodes, last)
        room[kinds + i] = event.kind
        room[hops + i] = event.hops
        room[origins + i] = number
    return origins + count


def _put_times_and_keys(room: bytearray, at: int, events: list[Event]) -> int:
    count = len(events)
    at = _put_array(room, at, count)
    for i in range(count):
        event = events[i]
        at = _put_number(room, at, event.version.time)
    at = _put_array(room, at, count)
    for i in range(count):
        event = events[i]
        at = _put_binary(room, at, event.key)
    return at


def _put_values_and_lives(room: bytearray, at: int, events: list[Event]) -> int:
    count = len(events)
    at = _put_array(room, at, count)
    for i in range(count):
        event = events[i]
        if event.payload is None:
            room[at] = 0xC0
            at += 1
        else:
            at = _put_binary(room, at, event.payload)
    at = _put_array(room, at, count)
    for i in range(count):
        event = events[i]
        if event.life < 0:
            room[at] = 0xC0
            at += 1
        else:
            at = _put_number(room, at, event.life)
    return at


def _put_number(room: bytearray, at: int, number: int) -> int:
    """Write a number. Where it ends."""
    if number < 128:
        room[at] = number
        return at + 1
    if number < 256:
        code, count = 0xCC, 1
    elif number < 65_536:
        code, count = 0xCD, 2
    elif number < _FOUR_BYTES:
        code, count = 0xCE, 4
    else:
        code, count = 0xCF, 8
    room[at] = code
    for i in range(count):
        room[at + count - i] = number >> (8 * i) & 255
    return at + count + 1


def _put_array(room: bytearray, at: int, length: int) -> int:
    """Write an array's header. Where it ends."""
    if length < 16:
        room[at] = 0x90 | length
        return at + 1
    room[at] = 0xDC
    room[at + 1] = length >> 8 & 255
    room[at + 2] = length & 255
    return at + 3


def _put_binary(room: bytearray, at: int, data: bytes) -> int:
    """Write bytes. Where they end."""
    length = len(data)
    view = data
    if length < 256:
        room[at] = 0xC4
        room[at + 1] = length
        at += 2
    else:  # whatever is longer than two bytes say is not written here
        room[at] = 0xC5
        room[at + 1] = length >> 8 & 255
        room[at + 2] = length & 255
        at += 3
    for i in range(length):
        room[at + i] = view[i]
    return at + length


def _made(room: Any, length: int) -> bytes:
    """What stands there, up to that."""
    made: bytes = room[0:length]
    return made if cython.compiled else bytes(made)


def _number_of(nodes: list[bytes], node: bytes) -> int:
    """The number of a node in the list, at whose end it is put if it is new."""
    for i in range(len(nodes)):
        each = nodes[i]
        if each is node or each == node:
            return i
    nodes.append(node)
    return len(nodes) - 1
