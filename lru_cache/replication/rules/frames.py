"""Frames: where one message ends and the next begins in a stream of bytes.

This file must not know what is in a body, nor where the bytes come from and go to. A frame is the body's length,
in four bytes, most significant first, and then the body, which is never empty.

    reader.receive(chunk)
    for body in reader:  # until NEED_DATA
        ...
"""

import enum
import struct
from collections.abc import Iterator
from typing import Any, Final, NoReturn

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from lru_cache.errors import ProtocolError

_HEADER = struct.Struct(">I")
HEADER_BYTES: Final = 4
_HEADER_BYTES = HEADER_BYTES
_ROOM_BYTES = 16_384
_ROOM = bytearray(_ROOM_BYTES)  # where frames are put together, with nothing else running meanwhile
LARGEST_LIMIT_BYTES: Final = 0xFFFF_FFFF  # what the header can say


class _Need(enum.Enum):
    """One value, and a type for it: to look at a result `is NEED_DATA` is to know that it is no body."""

    DATA = enum.auto()

    def __repr__(self) -> str:
        return "NEED_DATA"


NEED_DATA: Final = _Need.DATA


def encode_frame(body: bytes, limit: int) -> bytes:
    """The frame of this body. `limit` is what the peer accepts; a longer body is a mistake of ours."""
    return encode_frames([body], limit)


def encode_frames(bodies: list[bytes], limit: int) -> bytes:
    """The frames of these bodies, one behind the other."""
    size = 0
    for body in bodies:
        length = len(body)
        if not 0 < length <= limit:
            raise ValueError(f"a frame's body must have 1 to {limit} bytes, this one has {length}")
        size += _HEADER_BYTES + length
    if cython.compiled and size <= _ROOM_BYTES:
        return _put_together(bodies)
    parts = []
    for body in bodies:
        parts.append(_header(len(body)))
        parts.append(body)
    return b"".join(parts)


def _header(length: int) -> bytes:
    if not cython.compiled:
        return _HEADER.pack(length)
    room: Any = _ROOM
    _put_header(room, 0, length)
    header: bytes = room[0:_HEADER_BYTES]
    return header


def _put_header(room: bytearray, at: int, length: int) -> None:
    room[at] = length >> 24 & 255
    room[at + 1] = length >> 16 & 255
    room[at + 2] = length >> 8 & 255
    room[at + 3] = length & 255


def _put_together(bodies: list[bytes]) -> bytes:
    """Frames that are short together, as most are: without an object for each header."""
    room: Any = _ROOM
    at = 0
    for body in bodies:
        length = len(body)
        view = body
        _put_header(room, at, length)
        at += _HEADER_BYTES
        for i in range(length):
            room[at + i] = view[i]
        at += length
    frames: bytes = room[0:at]
    return frames


class FrameReader:
    """Cuts what arrives into bodies. It is a state machine over bytes, for one thread at a time.

    `limit` is the longest body accepted, in bytes. It may be changed at any time, and holds for every frame that is
    not complete yet. A frame that claims more, or nothing, is refused as soon as its four bytes are there. After that
    nothing can say where a frame begins, so the reader stays broken and says the same again.

    What is kept is never more than one unfinished frame and one chunk, as long as every frame is taken before
    more is received.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer: bytes | bytearray = b""  # the latter only for a frame that came in several chunks
        self._start = 0  # of what was not taken yet
        self._body: bytes | None = None  # before it: of a frame of which one chunk had the beginning, the next the rest
        self._refusal = ""  # why the stream is broken, once it is

    @property
    def limit(self) -> int:
        """The longest body accepted, in bytes."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        if not 0 < limit <= LARGEST_LIMIT_BYTES:
            raise ValueError(f"limit must be 1 to {LARGEST_LIMIT_BYTES} bytes, got {limit!r}")
        self._limit = limit

    @property
    def buffered(self) -> int:
        """How many bytes wait here: none between frames, so that a stream which ends then has lost nothing."""
        body = 0 if self._body is None else _HEADER_BYTES + len(self._body)
        return body + len(self._buffer) - self._start

    def receive(self, chunk: bytes) -> None:
        """Take in what arrived, however it was cut."""
        if self._refusal:
            raise ProtocolError(self._refusal)
        buffer, start = self._buffer, self._start
        if start == len(buffer):
            self._buffer = chunk
        elif self._complete(chunk):
            return
        else:  # Once per chunk, not per frame: the bytes that stay behind the taken ones move, a frame's worth at most.
            if not isinstance(buffer, bytearray):
                self._buffer = buffer = bytearray(memoryview(buffer)[start:])
            elif start:
                del buffer[:start]
            buffer += chunk
        self._start = 0

    def _complete(self, chunk: bytes) -> bool:
        """Complete the one frame that has begun, if the chunk can: then the rest of it need not be copied."""
        if self._body is not None or not isinstance(self._buffer, bytes):
            return False
        buffer, start = self._buffer, self._start
        begun = len(buffer) - start - _HEADER_BYTES
        if begun < 0:
            return False
        view = buffer
        length = view[start]  # by itself, as in `next_frame`
        length = length << 24 | view[start + 1] << 16 | view[start + 2] << 8 | view[start + 3]
        lacks = length - begun
        if not 0 < length <= self._limit or not 0 < lacks <= len(chunk):
            return False
        self._body = buffer[start + _HEADER_BYTES :] + chunk[:lacks]
        self._buffer = chunk
        self._start = lacks
        return True

    def next_frame(self) -> bytes | _Need:
        """The next complete body, or `NEED_DATA`."""
        if self._refusal:
            raise ProtocolError(self._refusal)
        if self._body is not None:
            body, self._body = self._body, None
            return body
        start = self._start + _HEADER_BYTES
        if not isinstance(self._buffer, bytes):
            return self._next_of_several(start)
        buffer = self._buffer
        if len(buffer) < start:
            return NEED_DATA
        view = buffer
        length = view[start - 4]  # by itself: as a C number of 32 bits it would have a sign once it is shifted
        length = length << 24 | view[start - 3] << 16 | view[start - 2] << 8 | view[start - 1]
        end = start + self._checked(length)
        if len(buffer) < end:
            return NEED_DATA
        body = view[start:end]
        if end < len(buffer):
            self._start = end
        else:
            self._drop()
        return body

    def unfinished(self) -> tuple[int, bytes]:
        """Of the frame that is partly here, once all whole ones are taken: its body's length, and what is here of it.

        Both are nothing before its four bytes are here.
        """
        begun = bytes(memoryview(self._buffer)[self._start :])
        if len(begun) < _HEADER_BYTES:
            return 0, b""
        (length,) = _HEADER.unpack_from(begun)
        return length, begun[_HEADER_BYTES:]

    def _next_of_several(self, start: int) -> "bytes | _Need":
        """Likewise, of a frame that came in several chunks."""
        buffer = self._buffer
        if len(buffer) < start:
            return NEED_DATA
        (length,) = _HEADER.unpack_from(buffer, start - _HEADER_BYTES)
        end = start + self._checked(length)
        if len(buffer) < end:
            return NEED_DATA
        body = bytes(memoryview(buffer)[start:end])  # a slice of this would be a copy to be copied again
        if end < len(buffer):
            self._start = end
        else:
            self._drop()
        return body

    def _checked(self, length: int) -> int:
        if not 0 < length <= self._limit:
            self._refuse(f"a frame of {length} bytes, where 1 to {self._limit} are allowed")
        return length

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        body = self.next_frame()
        if body is NEED_DATA:
            raise StopIteration
        return body

    def __repr__(self) -> str:
        state = "broken" if self._refusal else f"{self.buffered} bytes buffered"
        return f"<FrameReader limit={self._limit}, {state}>"

    def _refuse(self, reason: str) -> NoReturn:
        self._refusal = reason
        self._drop()
        raise ProtocolError(reason)

    def _drop(self) -> None:
        self._buffer = b""
        self._start = 0
