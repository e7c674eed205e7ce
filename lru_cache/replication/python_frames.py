"""Frames: where one message ends and the next begins in a stream of bytes. The reference; native_frames.c is a twin.

This file must not know what is in a body, nor where the bytes come from and go to. A frame is the body's length,
in four bytes, most significant first, and then the body, which is never empty.

    reader.receive(chunk)
    for body in reader:  # until NEED_DATA
        ...
"""

import enum
import struct
from collections.abc import Iterator
from typing import Final, NoReturn

from lru_cache.errors import ProtocolError

_HEADER = struct.Struct(">I")
HEADER_BYTES: Final = _HEADER.size
LARGEST_LIMIT_BYTES: Final = 0xFFFF_FFFF  # what the header can say


class _Need(enum.Enum):
    """One value, and a type for it: to look at a result `is NEED_DATA` is to know that it is no body."""

    DATA = enum.auto()

    def __repr__(self) -> str:
        return "NEED_DATA"


NEED_DATA: Final = _Need.DATA


def encode_frame(body: bytes, limit: int) -> bytes:
    """The frame of this body. `limit` is what the peer accepts; a longer body is a mistake of ours."""
    length = len(body)
    if not 0 < length <= limit:
        raise ValueError(f"a frame's body must have 1 to {limit} bytes, this one has {length}")
    return _HEADER.pack(length) + body


def encode_frames(bodies: list[bytes], limit: int) -> bytes:
    """The frames of these bodies, one behind the other."""
    return b"".join([encode_frame(body, limit) for body in bodies])


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
        return len(self._buffer) - self._start

    def receive(self, chunk: bytes) -> None:
        """Take in what arrived, however it was cut."""
        if self._refusal:
            raise ProtocolError(self._refusal)
        buffer, start = self._buffer, self._start
        if start == len(buffer):
            self._buffer = chunk
        else:  # Once per chunk, not per frame: the bytes that stay behind the taken ones move, a frame's worth at most.
            if not isinstance(buffer, bytearray):
                self._buffer = buffer = bytearray(memoryview(buffer)[start:])
            elif start:
                del buffer[:start]
            buffer += chunk
        self._start = 0

    def next_frame(self) -> bytes | _Need:
        """The next complete body, or `NEED_DATA`."""
        if self._refusal:
            raise ProtocolError(self._refusal)
        buffer, start = self._buffer, self._start + HEADER_BYTES
        if len(buffer) < start:
            return NEED_DATA
        (length,) = _HEADER.unpack_from(buffer, self._start)
        if not 0 < length <= self._limit:
            self._refuse(f"a frame of {length} bytes, where 1 to {self._limit} are allowed")
        end = start + length
        if len(buffer) < end:
            return NEED_DATA
        if end < len(buffer):
            self._start = end
        else:
            self._drop()
        if isinstance(buffer, bytes):
            return buffer[start:end]
        return bytes(memoryview(buffer)[start:end])  # a slice of this would be a copy to be copied again

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
