"""Values as bytes. A value comes back as it was, type and all, or is refused when it is encoded.

This file must not know of keys, must not run what it reads, and must not answer a peer's bytes with anything but a
value or `ProtocolError`. docs/encoding.md describes the bytes.
"""

import gc
import reprlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgpack import unpackb  # type: ignore[import-untyped]

from lru_cache.replication.encoding.scalars import (
    ALL_TYPES,
    COLLECTION_CODE,
    CONTAINERS,
    FIXSTR,
    FROZENSET,
    LONE_SURROGATE,
    MARK,
    MARK_HEADER,
    MAXIMUM_DEPTH,
    NONSENSE,
    PLAIN_TYPES,
    RESTORE,
    SCALARS,
    SET,
    SMALL_BYTES,
    STR8,
    TUPLE,
    limit_collisions,
    make_frozenset,
    make_set,
    not_supported,
    pack,
    require_whole,
    undecodable,
)

_SUPPORTED = (
    "None, bool, int, float, complex, Decimal, str, bytes, list, dict, tuple, set, frozenset, "
    "datetime, date, time, timedelta and UUID"
)
_TIMESTAMP_ENDS = b"\xd6\xff", b"\xd7\xff", b"\x04\xff", b"\x08\xff", b"\x0c\xff"  # how headers of those may end

_CONTAINER, _BINARY_OR_EXTENSION = 1, 2
_CLASSES = dict.fromkeys((*range(0x80, 0xA0), *range(0xDC, 0xE0)), _CONTAINER)
_CLASSES |= dict.fromkeys((*range(0xC4, 0xCA), *range(0xD4, 0xD9)), _BINARY_OR_EXTENSION)
_CLASS_OF_BYTE = bytes(_CLASSES.get(byte, 0) for byte in range(256))
_FEW_KEYS_BYTES = 4_096  # has room for a few hundred keys made to collide, which take a millisecond
_FEW_LOOKS_BYTES = 4_096  # beyond, a check of the members may well cost less than a look at each byte


def encode_value(value: object) -> bytes:
    """The bytes of a value, which `decode_value` turns into the same value, on any node.

    `TypeError` for what would not come back as it was, with where it stands; `ValueError` for a number too large and
    for what is nested too deep, or in itself.
    """
    kind = type(value)
    try:
        data = pack(value)
        if kind in CONTAINERS:
            if len(data) > _FEW_LOOKS_BYTES or _may_hold_more_than_plain(data):
                _check(value)
        elif kind not in ALL_TYPES:
            _check(value)
    except RecursionError:
        raise ValueError("value is nested deeper than the stack that is left allows") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise (_refusal(value) or error) from None
    return data


def decode_value(data: bytes) -> object:
    """The value that `encode_value` made these bytes of. `ProtocolError` for any other bytes."""
    value: object
    try:
        first = data[0] if data else 0
        if FIXSTR <= first < FIXSTR + 32 and len(data) == 1 + first - FIXSTR:
            return data[1:].decode()
        if first == STR8 and len(data) == 2 + data[1]:
            return data[2:].decode()
        if len(data) > SMALL_BYTES:
            value = _unpack_large(data)
        elif MARK_HEADER in data and data.find(MARK) >= 0:
            value = _unpack_collections(data, strict_map_key=False)
        else:
            value = unpackb(data, strict_map_key=False, ext_hook=_restore)
        if 0xFF in data and any(data.find(end) >= 0 for end in _TIMESTAMP_ENDS):
            _check(value)  # msgpack makes its own timestamps, extension -1, without asking
    except NONSENSE as error:
        raise undecodable("value", error) from None
    return value


def _may_hold_more_than_plain(data: bytes) -> bool:
    """Whether it can be nested too deep, or have in it what msgpack writes without asking: bytearray, memoryview, and
    its own ExtType and Timestamp. Each of those shows as a binary or an extension.
    """
    classes = data.translate(_CLASS_OF_BYTE)
    return _BINARY_OR_EXTENSION in classes or classes.count(_CONTAINER) > MAXIMUM_DEPTH


def _unpack_large(data: bytes) -> object:
    require_whole(data)
    unpack = _unpack_collections if MARK_HEADER in data and data.find(MARK) >= 0 else _unpack_plain
    if len(data) <= _FEW_KEYS_BYTES:
        return unpack(data, strict_map_key=False)
    try:  # Only keys that are str or bytes have hashes that a peer cannot foresee, and most dicts have no others.
        return unpack(data)
    except (ValueError, TypeError):  # Where there are others, dicts are made by a function that counts collisions.
        return unpack(data, strict_map_key=False, object_pairs_hook=_make_dict)


def _unpack_plain(data: bytes, **options: object) -> object:
    value: object = unpackb(data, ext_hook=_restore, **options)
    return value


def _unpack_collections(data: bytes, **options: object) -> object:
    """Unpack what has tuples or sets in it, which are arrays with a mark in front."""
    waiting = 0  # marks that were read, and whose arrays are not complete yet

    def restore(code: int, payload: bytes) -> object:
        nonlocal waiting
        if code != COLLECTION_CODE:
            return RESTORE[code](payload)
        waiting += 1
        return _COLLECTIONS[payload[:2]]

    def make(items: list[Any]) -> object:
        nonlocal waiting
        if not items or type(items[0]) is not _Collection:
            return items
        waiting -= 1
        return items.pop(0).make(items)

    value: object = unpackb(data, ext_hook=restore, list_hook=make, **options)
    if waiting:
        raise ValueError("a collection mark that no array begins with")
    return value


class _Collection:
    """What a collection mark is decoded to, for as long as its array is not complete."""

    def __init__(self, make: Callable[[list[object]], object]) -> None:
        self.make = make


def _make_dict(pairs: Iterable[tuple[object, object]]) -> dict[object, object]:
    members = list(pairs)  # older msgpacks in pure Python give an iterator, which can be read only once
    limit_collisions([key for key, _ in members])
    return dict(members)


_COLLECTIONS = {TUPLE: _Collection(tuple), SET: _Collection(make_set), FROZENSET: _Collection(make_frozenset)}


def _check(value: object) -> None:
    """Raise for anything in a value that is not supported, or is nested too deep."""
    if not _is_supported(value) and (refusal := _refusal(value)):
        raise refusal


def _is_supported(value: object) -> bool:
    """A quick yes or a slow maybe: `gc.get_referents` lists the members of many containers in one call in C."""
    if type(value) not in CONTAINERS:
        return False
    level = [value]
    for _ in range(MAXIMUM_DEPTH):
        level = gc.get_referents(*level)
        kinds = set(map(type, level))
        if kinds <= SCALARS:
            return True
        if not kinds <= ALL_TYPES:
            return False
        if not kinds <= PLAIN_TYPES:  # others may refer to what is no part of the value
            level = [member for member in level if type(member) in CONTAINERS]
    return False


def _refusal(value: object) -> Exception | None:
    """What is wrong with the first thing that cannot be encoded, and where it stands.

    Without recursion, since this may run with little stack left.
    """
    open_containers = [iter([(value, "value")])]
    while open_containers:
        for member, place in open_containers[-1]:
            if type(member) in CONTAINERS:
                if len(open_containers) > MAXIMUM_DEPTH:
                    return ValueError(f"{_shorten(place)} is nested more than {MAXIMUM_DEPTH} deep, or contains itself")
                open_containers.append(_members(member, place))
                break
            if refusal := _leaf_refusal(member, place):
                return refusal
        else:
            open_containers.pop()
    return None


def _leaf_refusal(value: object, place: str) -> Exception | None:
    kind = type(value)
    if kind not in ALL_TYPES:
        bases = [f"which would come back as {base.__name__}" for base in kind.__mro__ if base in ALL_TYPES]
        return TypeError(f"{_shorten(place)}{not_supported(kind, _SUPPORTED, *bases[:1])}")
    try:
        pack(value)
    except UnicodeEncodeError:
        return TypeError(f"{_shorten(place)}{LONE_SURROGATE}")
    except (TypeError, ValueError) as error:
        return type(error)(f"{_shorten(place)}{error}")
    return None


def _members(value: object, place: str) -> Iterator[tuple[object, str]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield key, f"a key of {place}"
            yield member, f"{place}[{reprlib.repr(key) if type(key) in SCALARS else '...'}]"
    elif isinstance(value, (set, frozenset)):
        for member in value:
            yield member, f"a member of {place}"
    elif isinstance(value, (list, tuple)):
        for position, member in enumerate(value):
            yield member, f"{place}[{position}]"


def _shorten(place: str) -> str:
    return place if len(place) <= 120 else f"{place[:60]}...{place[-50:]}"


def _restore(code: int, payload: bytes) -> object:
    return RESTORE[code](payload)
