"""Objects whose codec makes bytes of them: what encoding/ does with those, without its generality.

This file must not know what values are for.
"""

from typing import TYPE_CHECKING, Any

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from lru_cache.replication.encoding import MOST_OPEN_BYTES, OBJECT_CODE, Codec, Values

if TYPE_CHECKING:
    from collections.abc import Callable

_OBJECT_CODE = OBJECT_CODE
_MOST_BYTES = MOST_OPEN_BYTES
_LEAST_BYTES = 6  # of a header
_KEPT = 1024  # beginnings, by the length of what follows


def shortened(values: Values) -> "Values | ShortWay":
    """The quickest way to make bytes of values, and values of bytes: the same ones."""
    return ShortWay(values) if values.codecs_of_bytes() else values


class ShortWay:
    """`encode` and `decode` of values. What is no such object, or makes no sense, goes the long way."""

    __slots__ = ("_decode_any", "_encode_any", "_last", "_most_bytes", "_of_name", "_of_type")

    def __init__(self, values: Values) -> None:
        self._encode_any, self._decode_any = values.encode, values.decode
        self._most_bytes = min(values.compress_over, _MOST_BYTES)
        self._of_type: dict[Any, _Told] = {}
        self._of_name: dict[bytes, _Told] = {}
        for codec in values.codecs_of_bytes():
            self._know(_Told(codec, values))

    def _know(self, told: "_Told") -> None:
        self._of_type[told.type] = self._of_name[told.name] = told
        self._last = told  # that was read

    def encode(self, value: object) -> bytes:
        """What `Values.encode` makes of it."""
        told = self._of_type.get(type(value))
        if told is None:
            return self._encode_any(value)
        try:
            data = told.encode(value)
        except Exception:  # noqa: BLE001 - the long way it is raised again, as it should be said
            return self._encode_any(value)
        if type(data) is not bytes:
            return self._encode_any(value)
        length = len(data)
        start = told.starts[length] if length < _KEPT else None
        if start is None:
            start = told.start_of(length)
        if len(start) + length > self._most_bytes:
            return self._encode_any(value)
        return start + data

    def decode(self, data: bytes) -> object:
        """What `Values.decode` makes of it."""
        length = len(data)
        at = _object_start(data, length)
        if at == 0:
            return self._decode_any(data)
        told = self._told_at(data, length, at)
        if told is None:
            return self._decode_any(data)
        at = _binary_start(data, length, at + len(told.head))
        if at == 0:
            return self._decode_any(data)
        view = data
        try:
            value = told.decode(view[at:length])
        except Exception:  # noqa: BLE001 - likewise
            return self._decode_any(data)
        return value if type(value) is told.type else self._decode_any(data)

    def _told_at(self, data: bytes, length: int, at: int) -> "_Told | None":
        """The codec whose name and version stand there, if it is one of these."""
        told = self._last
        if _stands_at(data, length, at, told.head):
            return told
        view = data
        first = view[at]
        end = at + first - 0x9F
        if first == 0xD9 and at + 1 < length:
            end = at + 2 + view[at + 1]
        if not at < end <= length:
            return None
        found = self._of_name.get(view[at:end])
        if found is not None and _stands_at(data, length, at, found.head):
            self._last = found
            return found
        return None


class _Told:
    """One such codec, as its objects are told."""

    __slots__ = ("codec", "decode", "encode", "head", "name", "starts", "type", "values")

    def __init__(self, codec: Codec, values: Values) -> None:
        self.codec = codec
        self.values = values
        self.type: Any = codec.type
        self.encode: Callable[[Any], Any] = codec.encode
        self.decode: Any = codec.of_bytes
        self.name, self.head = values.name_and_head(codec)
        self.starts: list[bytes | None] = [None] * _KEPT

    def start_of(self, length: int) -> bytes:
        """What stands before so many bytes of data."""
        start = self.values.start_of(self.codec, length)
        if length < _KEPT:
            self.starts[length] = start
        return start


def _object_start(data: bytes, length: int) -> int:
    """Where the payload begins, if all of this is an object with one of the longer headers; else 0."""
    if not _LEAST_BYTES < length <= _MOST_BYTES:
        return 0
    view = data
    first = view[0]
    if first == 0xC7:
        return 3 if view[1] == length - 3 and view[2] == _OBJECT_CODE else 0
    if first == 0xC8:
        return 4 if view[1] << 8 | view[2] == length - 4 and view[3] == _OBJECT_CODE else 0
    if first == 0xC9:
        return 6 if _number_at(data, 1) == length - 6 and view[5] == _OBJECT_CODE else 0
    return 0


def _binary_start(data: bytes, length: int, at: int) -> int:
    """Where the bytes begin, if the rest is a binary; else 0."""
    view = data
    left = length - at
    if left >= 2 and view[at] == 0xC4:
        return at + 2 if view[at + 1] == left - 2 else 0
    if left >= 3 and view[at] == 0xC5:
        return at + 3 if view[at + 1] << 8 | view[at + 2] == left - 3 else 0
    if left >= 5 and view[at] == 0xC6:
        return at + 5 if _number_at(data, at + 1) == left - 5 else 0
    return 0


def _stands_at(data: bytes, length: int, at: int, head: bytes) -> bool:
    """Whether these bytes, and more, stand there."""
    if not cython.compiled:
        return data.startswith(head, at)
    count = len(head)
    if count >= length - at:
        return False
    view: Any = data
    sought: Any = head
    for i in range(count):  # noqa: SIM110 - compiled, a generator is slow
        if view[at + i] != sought[i]:
            return False
    return True


def _number_at(data: bytes, at: int) -> int:
    """Of four bytes."""
    view = data
    number = view[at]
    return number << 24 | view[at + 1] << 16 | view[at + 2] << 8 | view[at + 3]
