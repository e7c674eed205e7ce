"""Keys and values that are short texts, which most are: what encoding/ does with them, without its generality.

This file must not know what keys and values are for.
"""

from collections.abc import Callable
from typing import Any

try:
    import cython
except ImportError:
    from . import uncompiled as cython

_LONGEST = 255  # bytes
_HEADERS = [bytes((0xA0 + n,)) for n in range(32)] + [bytes((0xD9, n)) for n in range(32, _LONGEST + 1)]
_ROOM = bytearray(_LONGEST + 3)  # where bytes are put together, with nothing else running meanwhile


def key_of(data: bytes, decode: Callable[[bytes], object]) -> object:
    """What `decode` makes of it, which is that of `Keys`."""
    length = len(data)
    if length > 0:
        view = data
        first = view[0]
        if first & 0xE0 == 0xA0 and length == 1 + (first & 0x1F):
            try:
                return view[1:length].decode("utf-8")
            except UnicodeDecodeError:
                pass  # `decode` says so in its own way
    return decode(data)


def bytes_of_key(key: object, encode: Callable[[object], bytes]) -> bytes:
    """What `encode` makes of it, which is that of `Keys`."""
    data = bytes_of_text(key) if type(key) is str else None
    return encode(key) if data is None else data


def bytes_of_text(text: str) -> bytes | None:
    """A short text's; None if it is not short, or cannot be encoded."""
    length = len(text)
    if length > _LONGEST:
        return None
    if cython.compiled and text.isascii():
        view: Any = text
        room: Any = _ROOM
        at = 1
        if length < 32:
            room[0] = 0xA0 | length
        else:
            room[0] = 0xD9
            room[1] = length
            at = 2
        for i in range(length):
            room[at + i] = view[i]
        data: bytes = room[0 : at + length]
        return data
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        return None
    return _HEADERS[len(data)] + data if len(data) <= _LONGEST else None
