"""Encoded values, compressed: the bytes of a whole value, in an extension that stands for them.

This file must not know what the bytes say, and must not set more memory aside than a reader allows.
"""

import struct
import zlib

from msgpack import ExtType, packb  # type: ignore[import-untyped]

from lru_cache.replication.encoding.scalars import COMPRESSED_CODE

_HEAD = struct.Struct(">BI")  # the method, and how many bytes come out
_ZLIB = 1  # which every node has
MOST_TIMES = 100  # longer than when compressed: what shrinks more is told as it is, so that few bytes stay few
_HEADER_BYTES = 6  # of the longest extension
_LEVEL = 1  # three times as fast as the usual one, for a tenth more bytes


class NotForUsError(ValueError):
    """It was compressed in a way that this node does not know, or to less than it takes: others may read it."""


def compressed(data: bytes) -> bytes:
    """The bytes of an encoded value in fewer bytes, or as they are if there are none."""
    packed: bytes = packb(ExtType(COMPRESSED_CODE, _HEAD.pack(_ZLIB, len(data)) + zlib.compress(data, _LEVEL)))
    return packed if len(packed) < len(data) <= MOST_TIMES * len(packed) else data


def decompressed(payload: bytes, longest: int) -> bytes:
    """What was compressed. ValueError if it claims to be, or is, longer than that, and for what is not whole."""
    method, length = _HEAD.unpack_from(payload)
    if method != _ZLIB:
        raise NotForUsError(f"compressed by the method {method}, which this node does not have")
    if length > MOST_TIMES * (len(payload) + _HEADER_BYTES):
        raise ValueError(f"compressed to less than a {MOST_TIMES}th")
    if length > longest:
        raise NotForUsError(f"compressed, and {length} bytes without that: more than {longest}")
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(payload[_HEAD.size :], length + 1)  # one more than there should be, to see it
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(data) != length or not unpacker.eof or unpacker.unused_data:
        raise ValueError("compressed, and not what it claims to be")
    return data
