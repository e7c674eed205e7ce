"""What nodes say to each other once they are linked, as bodies of frames: arrays of msgpack that begin with their type.

This file must not know what is done with a message. What it decodes is of the right types and within the limits, or was
refused with `ProtocolError`; whether it makes sense is for others. Fields that follow the known ones, and kinds of
events and types of messages that are not known, are passed over, so that the protocol can grow. docs/protocol.md
describes the bytes.
"""

from collections.abc import Callable, Iterator
from enum import IntEnum
from itertools import compress
from typing import Any, NamedTuple, TypeVar

from msgpack import OutOfData, Unpacker, packb, unpackb  # type: ignore[import-untyped]

from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding import MAXIMUM_KEY_BYTES

from .event import MAXIMUM_EVENTS, MAXIMUM_LIFE_MS, NO_END, Event, Kind, event_of
from .forgetting import BUCKETS
from .version import MAXIMUM_TIME, NODE_BYTES, NOTHING, Version, version_of
from .wire import is_shallow

T = TypeVar("T")

MAXIMUM_ORIGINS = 4_096  # in one message
FRAME_MARGIN_BYTES = 1 << 20  # beyond the largest value: keys, columns, a chunk of an announcement
MAXIMUM_REASON_CHARACTERS = 500
SMALL_BYTES = 16_384  # whatever so few claim is less than a megabyte; to count takes as long as to decode an event
LONGEST_BUT_EVENTS_BYTES = FRAME_MARGIN_BYTES  # only events carry values
MOST_ITEMS = 2 * MAXIMUM_ORIGINS  # in one array
MOST_ITEMS_OF_FLOORS = 4 * (BUCKETS + 1)
MOST_COLLECTIONS = 64  # in one message, but for the floors' own: seven are ours, and there is room to grow
DEEPEST = 6  # collections within each other: three are ours
_PING, _PONG = b"\x92\x05", b"\x92\x06"
# How long a ping is, by the first byte of its number; 0 for a number as we do not write it.
_PING_LENGTHS = bytes([3] * 0x80 + [0] * 0x4C + [4, 5, 7] + [0] * 0x31)
_HEADS = b"\xdc\xdd\xc7\xd6\xd7"  # of long arrays, and of dates: those of msgpack's extensions that no hook sees
_MANY_HEADS = 8


class Type(IntEnum):
    """The first item of a message. 0 and 1 belong to the handshake."""

    EVENTS = 2
    SEEN = 3
    FLOORS = 4
    PING = 5
    PONG = 6
    GOODBYE = 7
    REACHED = 8
    PRUNE = 9
    GRAFT = 10
    RESTING = 11


class Seen(NamedTuple):
    """Up to which time the sender has everything of each node. `whole`: of all it knows, not only what changed.

    `rests`: also on what the sender keeps from the receiver. Then it is a type of its own. `on`: of each node, up to
    which time; if it is not said, on all that is kept.
    """

    whole: bool
    times: dict[bytes, int]
    rests: bool = False
    on: dict[bytes, int] | None = None


class FloorRange(NamedTuple):
    """Neighbouring buckets with one floor, and the sets that the announcer holds there, with their versions."""

    first: int
    buckets: int
    floor: int
    confirmed: dict[bytes, Version]


class Floors(NamedTuple):
    """One chunk of an announcement, with an id, so that each node handles it once."""

    announcer: bytes
    serial: int
    hops: int
    heard: dict[bytes, int]
    ranges: list[FloorRange]


class Ping(NamedTuple):
    """Is anybody there? Answered by a pong with the same number."""

    number: int


class Pong(NamedTuple):
    """The answer to a ping."""

    number: int


class Goodbye(NamedTuple):
    """The sender ends the link, and says why."""

    reason: str


class Reached(NamedTuple):
    """What the sender has of nodes whose news it keeps from the receiver: so nothing of it has come over this link."""

    seen: dict[bytes, int]
    """Up to which time it has everything of each."""
    news: dict[bytes, int]
    """The time of the latest that it keeps."""


class Prune(NamedTuple):
    """Keep the news of these nodes from me: it has come another way each time."""

    nodes: list[bytes]


class Graft(NamedTuple):
    """Tell me the news of these nodes again, from the time on up to which I have everything of each."""

    times: dict[bytes, int]


Message = list[Event] | Seen | Floors | Ping | Pong | Goodbye | Reached | Prune | Graft


# -- out ---------------------------------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """The body of a frame."""
    if isinstance(message, list):
        return _encode_events(message)
    if isinstance(message, Seen):
        if message.rests:
            on = [] if message.on is None else [flat_times(message.on)]
            return _pack([Type.RESTING, flat_times(message.times), *on])
        return _pack([Type.SEEN, message.whole, flat_times(message.times)])
    if isinstance(message, Floors):
        return _encode_floors(message)
    if isinstance(message, Reached):
        return _pack([Type.REACHED, flat_times(message.seen), flat_times(message.news)])
    if isinstance(message, Prune):
        return _pack([Type.PRUNE, message.nodes])
    if isinstance(message, Graft):
        return _pack([Type.GRAFT, flat_times(message.times)])
    if isinstance(message, Goodbye):
        return _pack([Type.GOODBYE, message.reason[:MAXIMUM_REASON_CHARACTERS]])
    return _pack([Type.PING if isinstance(message, Ping) else Type.PONG, message.number])


def _pack(items: list[Any]) -> bytes:
    packed: bytes = packb(items)
    return packed


def flat_times(times: dict[bytes, int]) -> list[Any]:
    """Nodes and times, in turn."""
    return [item for pair in times.items() for item in pair]


def _encode_events(events: list[Event]) -> bytes:
    """A column for each field: a list of small lists would take the codec twice as long."""
    versions = [event.version for event in events]
    told = [event.other for event in events if event.other is not NOTHING]
    nodes = list(dict.fromkeys([version.node for version in (*versions, *told)]))
    numbers = {node: number for number, node in enumerate(nodes)}
    return _pack(
        [
            Type.EVENTS,
            nodes,
            bytes([event.kind for event in events]),
            bytes([event.hops for event in events]),
            bytes([numbers[version.node] for version in versions]),
            [version.time for version in versions],
            [event.key for event in events],
            [event.payload for event in events],
            [None if event.life == NO_END else event.life for event in events],
            [item for version in told for item in (version.time, numbers[version.node])],
        ]
    )


def _encode_floors(floors: Floors) -> bytes:
    ranges: list[Any] = []
    for first, buckets, floor, confirmed in floors.ranges:
        flat = [item for key, version in confirmed.items() for item in (key, version.time, version.node)]
        ranges += (first, buckets, floor, flat)
    return _pack([Type.FLOORS, floors.announcer, floors.serial, floors.hops, flat_times(floors.heard), ranges])


# -- in ----------------------------------------------------------------------------------------------------------------


def pong_to(body: bytes) -> bytes | None:
    """The answer, if this is a ping as we write it. None for all else, to be decoded.

    Most of what an idle node does is to answer pings. To decode and encode them takes little but code and data that
    are in no processor's cache by then.
    """
    if body[:2] != _PING or len(body) < 3 or len(body) != _PING_LENGTHS[body[2]]:
        return None
    return _PONG + body[2:]


def decode(body: bytes) -> Message | None:
    """The message, or None for a type that is not known here. ProtocolError for anything that is none."""
    items: Any = read_by(_unpack, body)
    if not isinstance(items, list) or not items or type(items[0]) is not int:
        raise ProtocolError("a message is an array that begins with its type")
    read = _READERS.get(items[0])
    return None if read is None else read(items)


def read_by(unpack: Callable[[bytes], T], body: bytes) -> T:
    """What this makes of a stranger's bytes; ProtocolError if it is nothing, whatever msgpack makes of that."""
    try:
        return unpack(body)
    except ProtocolError:
        raise
    except Exception as error:  # noqa: BLE001 - msgpack has many
        raise ProtocolError(f"not msgpack: {type(error).__name__}") from None


def end_of(begun: bytes) -> int | None:
    """How long the message is that begins so, or None as long as that cannot be told. ProtocolError if it is none."""
    unpacker = Unpacker(max_buffer_size=max(len(begun), 1))
    unpacker.feed(begun)
    try:
        unpacker.skip()
    except OutOfData:
        return None
    except ValueError as error:
        raise ProtocolError(f"what begins is no message: {error}") from None
    end: int = unpacker.tell()
    return end


def _unpack(body: bytes) -> object:
    """What is in a message. A byte may claim to be an array of its own, which takes 56: so in all but small ones they
    are counted.
    """
    if len(body) <= SMALL_BYTES:
        return unpackb(body, raw=False, use_list=True, strict_map_key=False)
    kind = body[1] if len(body) > 1 and body[0] & 0xF0 == 0x90 else -1
    if kind != Type.EVENTS and len(body) > LONGEST_BUT_EVENTS_BYTES:
        raise ProtocolError(f"a message of {len(body)} bytes, which only events may have")
    longest, left = (MOST_ITEMS_OF_FLOORS, BUCKETS) if kind == Type.FLOORS else (MOST_ITEMS, 0)
    left += MOST_COLLECTIONS
    if sum(map(body.count, _HEADS)) > _MANY_HEADS and not is_shallow(body, DEEPEST, MOST_COLLECTIONS):
        raise ProtocolError(f"a message of collections within each other, more than {DEEPEST}, or of many extensions")

    def count(collection: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise ProtocolError("a message of too many collections")
        return collection

    def extension(code: int, _: bytes) -> object:
        return count(code)

    longest = min(longest, len(body))
    try:
        return unpackb(
            body, raw=False, use_list=True, strict_map_key=False, max_array_len=longest, max_map_len=MOST_COLLECTIONS,
            list_hook=count, object_hook=count, ext_hook=extension,
        )  # fmt: skip
    except ValueError as error:
        if "max_array_len" not in str(error):
            raise
        what = f"times of more than {MAXIMUM_ORIGINS} nodes, or" if kind == Type.SEEN else "of"
        raise ProtocolError(f"a message {what} an array of more than {longest} items") from None


class _Fields:
    """The items of a message, asked for one after another."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items
        self._next = 1

    def take(self, kind: type) -> Any:
        if self._next >= len(self._items):
            raise ProtocolError("a message ends before its last field")
        item = self._items[self._next]
        self._next += 1
        if type(item) is not kind:
            raise ProtocolError(f"a {kind.__name__} was expected, not a {type(item).__name__}")
        return item

    def number(self, limit: int) -> int:
        return _number(self.take(int), limit)

    def node(self) -> bytes:
        return _node(self.take(bytes))

    def is_at_end(self) -> bool:
        return self._next >= len(self._items)

    def times(self) -> dict[bytes, int]:
        flat = self.take(list)
        if len(flat) % 2 or len(flat) > 2 * MAXIMUM_ORIGINS:
            raise ProtocolError("times are pairs of node and time, and not too many")
        return {_node(flat[i]): _number(flat[i + 1], MAXIMUM_TIME) for i in range(0, len(flat), 2)}


def _number(item: Any, limit: int) -> int:
    if type(item) is not int or not 0 <= item <= limit:
        raise ProtocolError(f"a number from 0 to {limit} was expected")
    return item


def _node(item: Any) -> bytes:
    if type(item) is not bytes or len(item) != NODE_BYTES:
        raise ProtocolError(f"a node is {NODE_BYTES} bytes")
    return item


def _key(item: Any) -> bytes:
    if type(item) is not bytes or not 0 < len(item) <= MAXIMUM_KEY_BYTES:
        raise ProtocolError(f"a key is 1 to {MAXIMUM_KEY_BYTES} bytes")
    return item


_HAS_VALUE = bytes(kind in (Kind.SET, Kind.LOAD) for kind in range(256))
_TYPES_OF_VALUES = {bytes, type(None)}


_EVENT_FIELDS = [int, list, bytes, bytes, bytes, list, list, list, list, list]


def _read_events(items: list[Any]) -> list[Event]:
    """Each column is checked as a whole, by what is written in C: to check field by field took four times as long."""
    fields = items[: len(_EVENT_FIELDS)]
    if list(map(type, fields)) != _EVENT_FIELDS:
        raise ProtocolError("events are ten fields, each of its type")
    _, nodes, kinds, hops, origins, times, keys, payloads, lives, pairs = fields
    count = len(kinds)
    if count > MAXIMUM_EVENTS:
        raise ProtocolError(f"the columns of events are too long, more than {MAXIMUM_EVENTS}")
    if not len(hops) == len(origins) == len(times) == len(keys) == len(payloads) == len(lives) == count:
        raise ProtocolError("the columns of events differ in length")
    for node in nodes:
        _node(node)
    if not count:
        return []
    if max(origins) >= len(nodes):
        raise ProtocolError("an event of a node that is not listed")
    greatest = max(kinds)
    others = [NOTHING] * count if greatest < Kind.LOAD else _others(kinds, pairs, nodes)
    if greatest > Kind.TOUCH:
        known = [kind <= Kind.TOUCH for kind in kinds]
        kinds = bytes(compress(kinds, known))
        keys, times, origins, hops, payloads, lives, others = (
            list(compress(column, known)) for column in (keys, times, origins, hops, payloads, lives, others)
        )
    _require_numbers(times, MAXIMUM_TIME)
    if lives.count(None) != len(lives):
        _require_numbers([life for life in lives if life is not None], MAXIMUM_LIFE_MS)
    _require_keys(keys)
    is_valued = bytes([payload is not None for payload in payloads])
    if is_valued != kinds.translate(_HAS_VALUE) or not {*map(type, payloads)} <= _TYPES_OF_VALUES:
        raise ProtocolError("a value is bytes, and only with a set or a load")
    versions = map(version_of, times, map(nodes.__getitem__, origins))
    ends = [NO_END if life is None else life for life in lives]
    return list(map(event_of, kinds, keys, versions, hops, payloads, ends, others))


def _require_numbers(column: list[Any], limit: int) -> None:
    if column and ({*map(type, column)} != {int} or min(column) < 0 or max(column) > limit):
        raise ProtocolError(f"numbers from 0 to {limit} were expected")


def _require_keys(column: list[Any]) -> None:
    if column and ({*map(type, column)} != {bytes} or not all(column) or max(map(len, column)) > MAXIMUM_KEY_BYTES):
        raise ProtocolError(f"a key is 1 to {MAXIMUM_KEY_BYTES} bytes")


def _others(kinds: bytes, pairs: list[Any], nodes: list[bytes]) -> list[Version]:
    """Kinds from LOAD on, known or not, take one pair of time and node."""
    rest = iter(pairs)
    return [_other(rest, nodes) if kind >= Kind.LOAD else NOTHING for kind in kinds]


def _other(pairs: Iterator[Any], nodes: list[bytes]) -> Version:
    time, node = next(pairs, None), next(pairs, None)
    if type(node) is not int or not 0 <= node < len(nodes):
        raise ProtocolError("an event lacks its other version")
    return Version(_number(time, MAXIMUM_TIME), nodes[node])


def _read_seen(items: list[Any]) -> Seen:
    fields = _Fields(items)
    return Seen(fields.take(bool), fields.times())


def _read_resting(items: list[Any]) -> Seen:
    fields = _Fields(items)
    return Seen(False, fields.times(), True, None if fields.is_at_end() else fields.times())


def _read_floors(items: list[Any]) -> Floors:
    fields = _Fields(items)
    announcer, serial, hops, heard = fields.node(), fields.number(MAXIMUM_TIME), fields.number(255), fields.times()
    flat = fields.take(list)
    if len(flat) % 4:
        raise ProtocolError("floors are groups of four")
    ranges = [_range(*flat[i : i + 4]) for i in range(0, len(flat), 4)]
    _require_order(ranges)
    return Floors(announcer, serial, hops, heard, ranges)


def _require_order(ranges: list[FloorRange]) -> None:
    """Ranges ascend and do not overlap, so that few bytes cannot ask for much work; one of all buckets may go first."""
    end = 0
    for reach in ranges[1:] if ranges and ranges[0].buckets == BUCKETS else ranges:
        if reach.first < end or reach.buckets == BUCKETS:
            raise ProtocolError("floors of one bucket twice, or out of order")
        end = reach.first + reach.buckets


def _range(first: Any, buckets: Any, floor: Any, flat: Any) -> FloorRange:
    _number(first, BUCKETS - 1)
    if not 0 < _number(buckets, BUCKETS) <= BUCKETS - first:
        raise ProtocolError("floors of buckets that do not exist")
    if type(flat) is not list or len(flat) % 3:
        raise ProtocolError("confirmed sets are groups of three")
    confirmed = {
        _key(flat[i]): Version(_number(flat[i + 1], MAXIMUM_TIME), _node(flat[i + 2])) for i in range(0, len(flat), 3)
    }
    return FloorRange(first, buckets, _number(floor, MAXIMUM_TIME), confirmed)


def _read_reached(items: list[Any]) -> Reached:
    fields = _Fields(items)
    return Reached(fields.times(), fields.times())


def _read_prune(items: list[Any]) -> Prune:
    nodes = _Fields(items).take(list)
    if len(nodes) > MAXIMUM_ORIGINS:
        raise ProtocolError("nodes to prune, and too many")
    return Prune([_node(node) for node in nodes])


def _read_goodbye(items: list[Any]) -> Goodbye:
    reason: str = _Fields(items).take(str)
    return Goodbye(reason[:MAXIMUM_REASON_CHARACTERS])


_READERS: dict[int, Callable[[list[Any]], Message]] = {
    Type.EVENTS: _read_events,
    Type.SEEN: _read_seen,
    Type.FLOORS: _read_floors,
    Type.PING: lambda items: Ping(_Fields(items).number(MAXIMUM_TIME)),
    Type.PONG: lambda items: Pong(_Fields(items).number(MAXIMUM_TIME)),
    Type.GOODBYE: _read_goodbye,
    Type.REACHED: _read_reached,
    Type.PRUNE: _read_prune,
    Type.GRAFT: lambda items: Graft(_Fields(items).times()),
    Type.RESTING: _read_resting,
}
