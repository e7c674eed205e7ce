"""The records of a log: their fields, and their bytes. docs/protocol.md describes them.

This file must not know what is done with a record. What it decodes is whole, or was refused with `ProtocolError`.
"""

from struct import Struct
from typing import NamedTuple, Protocol

from lru_cache.errors import ProtocolError
from lru_cache.replication import BUCKETS, messages

RECORD_BYTES = 262_144  # at most, with its seal
SEAL_BYTES = 16

Place = tuple[int, int]
"""Where a record stands: the engine's milliseconds since 1970 when it was appended, and a number within it."""

NEWS, RETURN = 0, 1
_NEWS = Struct(">B8sQQQQ")  # type, publisher, serial, since, prev, made
_RETURN = Struct(">B8sQQ")  # type, publisher, serial, back to
_LENGTH = Struct(">L")
NEWS_BYTES = _NEWS.size

Name = tuple[int, bytes, int]
"""Of a record: its type, its publisher and its serial. A record that is appended again has the same."""


class Record(NamedTuple):
    """A record as the engine has it: the chain is a digest of all up to it, `before` the same up to the one before."""

    place: Place
    number: int  # of all that were ever appended; the first is 1
    before: bytes
    chain: bytes
    content: bytes


class Standing(NamedTuple):
    """What an engine says of a log when it is opened: the first record that is left, if any is, and its clock."""

    token: bytes  # the chain before the very first record, new for each log; of one that is to begin it is not known
    first: Record | None
    engine_ms: int


class Handover(NamedTuple):
    """What somebody who has all that a node has heard of needs to read on in its place."""

    token: bytes
    place: Place  # of the record that was read last
    chain: bytes
    base: int  # up to when records may have been missed
    has: dict[bytes, int]  # what the log has of each node
    heard: dict[bytes, int]  # and what there was: up to which times it must be known of each


class Seal(Protocol):
    """What shows that a member of the cluster has made a record, for this log."""

    def close(self, content: bytes) -> bytes:
        """The content with its seal behind it."""

    def open(self, sealed: bytes) -> bytes | None:
        """The content, or None if the seal is none of ours."""


class News(NamedTuple):
    """A record that says what happened. Times are the engine's milliseconds."""

    publisher: bytes
    serial: int
    since: int  # its publisher has told anew all that was in those before this serial
    prev: int  # when its publisher's record before was appended; 0 if there was none
    made: int  # when it was made, by what its publisher took for the engine's clock
    bodies: list[bytes]


class Return(NamedTuple):
    """A record that says: the log has lost what I had read, and I give back what was appended after this time."""

    publisher: bytes
    serial: int
    back_to: int


def name_of(record: News | Return) -> Name:
    """What it has in common with itself, appended again."""
    return (RETURN if isinstance(record, Return) else NEWS, record.publisher, record.serial)


def length_of(body: bytes) -> int:
    """How many bytes a message takes in a record."""
    return _LENGTH.size + len(body)


def encode_record(record: News | Return) -> bytes:
    """The content of a record, before it is sealed."""
    if isinstance(record, Return):
        return _RETURN.pack(RETURN, *record)
    head = _NEWS.pack(NEWS, *record[:-1])
    return b"".join([head, *[piece for body in record.bodies for piece in (_LENGTH.pack(len(body)), body)]])


def decode_record(content: bytes) -> News | Return | None:
    """The record; None for a type that is not known here. ProtocolError for anything that is none."""
    if not content:
        raise ProtocolError("an empty record")
    if content[0] == RETURN and len(content) >= _RETURN.size:
        return Return(*_RETURN.unpack_from(content)[1:])
    if content[0] == NEWS and len(content) >= _NEWS.size:
        _, publisher, serial, since, prev, made = _NEWS.unpack_from(content)
        return News(publisher, serial, since, prev, made, _bodies(content))
    if content[0] in (NEWS, RETURN):
        raise ProtocolError("a record that ends before its fields do")
    return None


def _bodies(content: bytes) -> list[bytes]:
    bodies: list[bytes] = []
    at = _NEWS.size
    while at < len(content):
        if at + _LENGTH.size > len(content):
            raise ProtocolError("a record with half a length")
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        if not 0 < length <= len(content) - at:
            raise ProtocolError("a record that ends within a message")
        bodies.append(content[at : at + length])
        at += length
    return bodies


def is_announcement(body: bytes) -> bool:
    """Whether a message is a chunk of one."""
    return isinstance(messages.decode(body), messages.Floors)


def without_confirmed(body: bytes) -> bytes:
    """A chunk of an announcement that confirms nothing: that is as true, and costs who reads it hits.

    For one that is longer than a record. If its ranges are as many as that, all buckets have their highest floor.
    """
    floors = messages.decode(body)
    assert isinstance(floors, messages.Floors)
    ranges = [reach._replace(confirmed={}) for reach in floors.ranges]
    shorter = messages.encode(floors._replace(ranges=ranges))
    if len(shorter) <= RECORD_BYTES // 2:
        return shorter
    highest = max(reach.floor for reach in ranges)
    return messages.encode(floors._replace(ranges=[messages.FloorRange(0, BUCKETS, highest, {})]))
