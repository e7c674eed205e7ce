"""Handing over a log: what its reader tells those who may have to go on in its place.

In a local cluster one process reads the log for all. Who takes its place has all that it had, or will see that it has
not, and so needs no more than to know where to read on. docs/protocol.md has the message.

Without I/O. This file must not know when anything is told, nor what is done with it.
"""

from struct import Struct
from typing import Any

from msgpack import Unpacker, packb  # type: ignore[import-untyped]

from lru_cache.errors import ProtocolError
from lru_cache.network.roll_call import scalar
from lru_cache.replication import NODE_BYTES, messages
from lru_cache.replication.log_records import Handover

HANDOVER = 18  # the type of the message
MOST_NODES = 4_096
LONGEST_BYTES = 1 << 18
LONGEST_NAME = 200
_ITEM = Struct(f">{NODE_BYTES}sQ")
_LARGEST = (1 << 63) - 1
_KINDS = (int, str, bytes, int, int, bytes, int, bytes, bytes)
MOST_KEPT = 3  # that were told: the last may stand for what is still on its way


def pack(stream: str, handover: Handover) -> bytes | None:
    """The message; None if there are more nodes than it may tell of."""
    if max(len(handover.has), len(handover.heard)) > MOST_NODES:
        return None
    ms, number = handover.place
    has, heard = (b"".join([_ITEM.pack(*item) for item in times.items()]) for times in (handover.has, handover.heard))
    fields = [HANDOVER, stream, handover.token, ms, number, handover.chain, handover.base, has, heard]
    body: bytes = packb(fields)
    return body


def unpack(body: bytes) -> tuple[str, Handover]:
    """The log's name, and what was told of it. ProtocolError if this is no such message."""
    if len(body) > LONGEST_BYTES:
        raise ProtocolError(f"a handover of {len(body)} bytes")
    fields = messages.read_by(_read, body)
    numbers = (fields[3], fields[4], fields[6])
    if any(type(field) is not kind for field, kind in zip(fields, _KINDS, strict=True)) or not all(
        0 <= number <= _LARGEST for number in numbers
    ):
        raise ProtocolError("a handover in other than its form")
    _, stream, token, ms, number, chain, base, has, heard = fields
    if max(len(stream), len(token), len(chain)) > LONGEST_NAME:
        raise ProtocolError("a handover with a name too long")
    return stream, Handover(token, (ms, number), chain, base, _times(has), _times(heard))


def _read(body: bytes) -> list[Any]:
    """The fields, none of them a collection, since of arrays within arrays each byte might ask for much memory."""
    reader = Unpacker(max_buffer_size=max(1, len(body)))
    reader.feed(body)
    count = reader.read_array_header()
    if count < len(_KINDS):
        raise ProtocolError("a handover that lacks a field")
    return [scalar(reader, body) for _ in _KINDS]


def _times(packed: bytes) -> dict[bytes, int]:
    if len(packed) % _ITEM.size or len(packed) > MOST_NODES * _ITEM.size:
        raise ProtocolError("a handover with half a node, or too many")
    times = dict(_ITEM.iter_unpack(packed))
    if any(time > _LARGEST for time in times.values()):
        raise ProtocolError("a handover with a time that cannot be")
    return times
