"""Keys and values as bytes: msgpack, with extensions for what Python has and msgpack has not.

This file must not know of messages, versions or links, must not run what it reads, and must not answer a peer's
bytes with anything but a value or `ProtocolError`. docs/encoding.md describes the bytes, for other implementations.

A *value* comes back as it was, type and all; what would come back as something else is refused when it is encoded.
A *key* comes back as an equal one, and its bytes are canonical: keys have the same bytes if and only if they
are equal, whichever process encodes them.
"""

import gc
import math
import re
import reprlib
import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Context, Decimal
from types import NoneType
from typing import Any, Final, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from msgpack import ExtType, Packer, Unpacker, unpackb  # type: ignore[import-untyped]
from msgpack.exceptions import UnpackException  # type: ignore[import-untyped]

from lru_cache.errors import ProtocolError

# -- limits, part of the protocol ------------------------------------------------------------------------

MAXIMUM_DEPTH: Final = 128  # containers within containers; far below what msgpack and Python's stack bear
MAXIMUM_KEY_BYTES: Final = 65_536  # encoded
MAXIMUM_NUMBER_BYTES: Final = 65_536  # of one integer or Decimal
MAXIMUM_KEY_NUMBER_BYTES: Final = 1_024  # of one number in a key; Decimal("1E+999999999") is equal to an int of 400 MB
MAXIMUM_COLLISIONS: Final = 100  # members of one collection with a hash that another member has
MAXIMUM_ZONE_NAME_BYTES: Final = 255

# -- extension codes, part of the protocol ---------------------------------------------------------------

_COLLECTION, _INTEGER, _DECIMAL, _COMPLEX, _DATETIME, _DATE, _TIME, _TIMEDELTA, _UUID = range(1, 10)
_INSTANT, _OFFSET_TIME = 10, 11  # in keys only
_TUPLE, _SET, _FROZENSET = b"\x00", b"\x01", b"\x02"  # what the array that a collection mark stands first in is
_NAIVE, _OFFSET, _NAMED_OFFSET, _ZONE = range(4)  # which kind of time zone follows

_TUPLE_MARK = ExtType(_COLLECTION, _TUPLE)
_SET_MARK = ExtType(_COLLECTION, _SET)
_FROZENSET_MARK = ExtType(_COLLECTION, _FROZENSET)

_SCALARS = frozenset((NoneType, bool, int, float, str, bytes))  # msgpack's own
_CONTAINERS = frozenset((list, dict, tuple, set, frozenset))
_SUPPORTED = (
    "None, bool, int, float, complex, Decimal, str, bytes, list, dict, tuple, set, frozenset, "
    "datetime, date, time, timedelta and UUID"
)
_SUPPORTED_IN_KEYS = (
    "None, bool, int, float, complex, Decimal, str, bytes, tuple, frozenset, datetime, date, time, timedelta and UUID"
)

# What our own code and the standard library raise over bytes that make no sense. ZoneInfo's not-found is a KeyError,
# and a zone's name that is a directory an OSError; decimal's are ArithmeticErrors.
_NONSENSE = (
    ValueError, TypeError, KeyError, ArithmeticError, OSError, RecursionError, struct.error, UnpackException,
)  # fmt: skip

# -- what a look at the bytes tells ----------------------------------------------------------------------
#
# What a byte means is decided by where it stands, and to find that out costs as much as to decode. But a byte that
# is nowhere can be no header, and to look for it is one pass in C. So plain data, the most by far, is spared the
# costly checks; where a number or a text has such a byte by chance, one is made and finds nothing.

_LONG_CONTAINERS = 0xDC, 0xDD, 0xDE, 0xDF
_MARK_HEADER, _MARK = 0xD4, b"\xd4\x01"  # sought one after the other: one byte is found 20 times as fast as two
_TIMESTAMP_ENDS = b"\xd6\xff", b"\xd7\xff", b"\x04\xff", b"\x08\xff", b"\x0c\xff"  # how headers of those may end

_CONTAINER, _BINARY_OR_EXTENSION = 1, 2
_CLASSES = dict.fromkeys((*range(0x80, 0xA0), *range(0xDC, 0xE0)), _CONTAINER)
_CLASSES |= dict.fromkeys((*range(0xC4, 0xCA), *range(0xD4, 0xD9)), _BINARY_OR_EXTENSION)
_CLASS_OF_BYTE = bytes(_CLASSES.get(byte, 0) for byte in range(256))

_SMALL_BYTES = 512  # whatever so few claim is less than a megabyte
_FEW_KEYS_BYTES = 4_096  # has room for a few hundred keys made to collide, which take a millisecond
_FEW_LOOKS_BYTES = 4_096  # beyond, a check of the members may well cost less than a look at each byte


# -- values ----------------------------------------------------------------------------------------------


def encode_value(value: object) -> bytes:
    """The bytes of a value, which `decode_value` turns into the same value, on any node.

    `TypeError` for what would not come back as it was, with where it stands; `ValueError` for a number too large and
    for what is nested too deep, or in itself.
    """
    kind = type(value)
    try:
        data = _pack(value)
        if kind in _CONTAINERS:
            if len(data) > _FEW_LOOKS_BYTES or _may_hold_more_than_plain(data):
                _check(value)
        elif kind not in _ALL_TYPES:
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
        if len(data) > _SMALL_BYTES:
            value = _unpack_large(data)
        elif _MARK_HEADER in data and data.find(_MARK) >= 0:
            value = _unpack_collections(data, strict_map_key=False)
        else:
            value = unpackb(data, strict_map_key=False, ext_hook=_restore)
        if 0xFF in data and any(data.find(end) >= 0 for end in _TIMESTAMP_ENDS):
            _check(value)  # msgpack makes its own timestamps, extension -1, without asking
    except _NONSENSE as error:
        raise _undecodable("value", error) from None
    return value


def _undecodable(what: str, error: BaseException) -> ProtocolError:
    return ProtocolError(f"a {what} that does not decode: {type(error).__name__}: {str(error).strip()[:120]}")


_idle_packers: list[Any] = []  # to make one costs as much as a small value; append and pop are atomic
_LARGE_BYTES = 65_536  # a packer keeps the largest buffer that it ever needed, so one that needed much is dropped


def _pack(value: object) -> bytes:
    try:
        packer = _idle_packers.pop()
    except IndexError:
        packer = Packer(strict_types=True, default=_extend)
    data: bytes = packer.pack(value)
    if len(data) <= _LARGE_BYTES:
        _idle_packers.append(packer)
    return data


def _extend(value: object) -> object:
    """What msgpack should write for a value that it does not know."""
    try:
        extend = _EXTEND[type(value)]
    except KeyError:
        raise TypeError from None
    return extend(value)


def _may_hold_more_than_plain(data: bytes) -> bool:
    """Whether it can be nested too deep, or have in it what msgpack writes without asking: bytearray, memoryview, and
    its own ExtType and Timestamp. Each of those shows as a binary or an extension.
    """
    classes = data.translate(_CLASS_OF_BYTE)
    return _BINARY_OR_EXTENSION in classes or classes.count(_CONTAINER) > MAXIMUM_DEPTH


def _unpack_large(data: bytes) -> object:
    _require_whole(data)
    unpack = _unpack_collections if _MARK_HEADER in data and data.find(_MARK) >= 0 else _unpack_plain
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
        if code != _COLLECTION:
            return _RESTORE[code](payload)
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
    _limit_collisions([key for key, _ in members])
    return dict(members)


def _make_set(members: list[object]) -> set[object]:
    _limit_collisions(members)
    made = set(members)
    if len(made) != len(members):
        raise ValueError("a set with equal members")
    return made


def _make_frozenset(members: list[object]) -> frozenset[object]:
    return frozenset(_make_set(members))


_COLLECTIONS = {_TUPLE: _Collection(tuple), _SET: _Collection(_make_set), _FROZENSET: _Collection(_make_frozenset)}


def _limit_collisions(members: list[object]) -> None:
    """Refuse members made to collide: the hashes of numbers and UUIDs are no secret, and n of them take n * n steps."""
    if len(members) > MAXIMUM_COLLISIONS and len(members) - len(set(map(hash, members))) > MAXIMUM_COLLISIONS:
        raise ValueError("too many equal hashes")


def _require_whole(data: bytes) -> None:
    """Refuse data that is not all there, without making anything of it.

    msgpack sets memory aside for an array or pairs when it has read the header; a thousand nested ones, each of which
    claims as many members as there are bytes, are 3 KB on the wire and megabytes to gigabytes in memory.
    """
    if any(header in data for header in _LONG_CONTAINERS):
        unpacker = Unpacker(None, max_buffer_size=len(data))
        unpacker.feed(data)
        unpacker.skip()


# -- what is in a value ----------------------------------------------------------------------------------


def _check(value: object) -> None:
    """Raise for anything in a value that is not supported, or is nested too deep."""
    if not _is_supported(value) and (refusal := _refusal(value)):
        raise refusal


def _is_supported(value: object) -> bool:
    """A quick yes or a slow maybe: `gc.get_referents` lists the members of many containers in one call in C."""
    if type(value) not in _CONTAINERS:
        return False
    level = [value]
    for _ in range(MAXIMUM_DEPTH):
        level = gc.get_referents(*level)
        kinds = set(map(type, level))
        if kinds <= _SCALARS:
            return True
        if not kinds <= _ALL_TYPES:
            return False
        if not kinds <= _PLAIN_TYPES:  # others may refer to what is no part of the value
            level = [member for member in level if type(member) in _CONTAINERS]
    return False


def _refusal(value: object) -> Exception | None:
    """What is wrong with the first thing that cannot be encoded, and where it stands.

    Without recursion, since this may run with little stack left.
    """
    open_containers = [iter([(value, "value")])]
    while open_containers:
        for member, place in open_containers[-1]:
            if type(member) in _CONTAINERS:
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
    if kind not in _ALL_TYPES:
        bases = [f"which would come back as {base.__name__}" for base in kind.__mro__ if base in _ALL_TYPES]
        return TypeError(f"{_shorten(place)}{_not_supported(kind, _SUPPORTED, *bases[:1])}")
    try:
        _pack(value)
    except UnicodeEncodeError:
        return TypeError(f"{_shorten(place)}{_LONE_SURROGATE}")
    except (TypeError, ValueError) as error:
        return type(error)(f"{_shorten(place)}{error}")
    return None


def _members(value: object, place: str) -> Iterator[tuple[object, str]]:
    if isinstance(value, dict):
        for key, member in value.items():
            yield key, f"a key of {place}"
            yield member, f"{place}[{reprlib.repr(key) if type(key) in _SCALARS else '...'}]"
    elif isinstance(value, (set, frozenset)):
        for member in value:
            yield member, f"a member of {place}"
    elif isinstance(value, (list, tuple)):
        for position, member in enumerate(value):
            yield member, f"{place}[{position}]"


def _shorten(place: str) -> str:
    return place if len(place) <= 120 else f"{place[:60]}...{place[-50:]}"


_LONE_SURROGATE = " is a str with a lone surrogate, for which UTF-8 has no bytes"


def _not_supported(kind: type, supported: str, why: str = "which cannot be encoded") -> str:
    return f" is of type {_name(kind)}, {why}; supported are {supported}"


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


# -- single values: their payloads -----------------------------------------------------------------------

_DATETIME_FIELDS = struct.Struct(">HBBBBBI")  # the last: microseconds, and fold in the highest bit
_DATE_FIELDS = struct.Struct(">HBB")
_TIME_FIELDS = struct.Struct(">BBBI")
_TIMEDELTA_FIELDS = struct.Struct(">iII")
_TWO_DOUBLES = struct.Struct(">dd")
_MICROSECONDS = struct.Struct(">q")
_SECONDS_AND_MICROSECONDS = struct.Struct(">iI")
_FOLD = 1 << 31

_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_DECIMAL_TEXT = re.compile(rb"-?(?:\d+(?:\.\d+)?(?:E[+-]\d{1,19})?|Infinity|s?NaN\d*)")
_PLAIN_NOTATION = Context(capitals=1)  # for nothing but the capital E; the thread's own context may say e


def _encode_integer(value: int) -> bytes:
    """Two's complement, most significant byte first, as short as it can be."""
    payload_bytes = ((value if value >= 0 else ~value).bit_length() + 8) // 8
    if payload_bytes > MAXIMUM_NUMBER_BYTES:
        raise ValueError(f" is an int of {payload_bytes} bytes, more than {MAXIMUM_NUMBER_BYTES}")
    return value.to_bytes(payload_bytes, "big", signed=True)


def _decode_integer(payload: bytes) -> int:
    if not 0 < len(payload) <= MAXIMUM_NUMBER_BYTES:
        raise ValueError(f"an int of {len(payload)} bytes")
    return int.from_bytes(payload, "big", signed=True)


def _encode_decimal(value: Decimal) -> bytes:
    text = _PLAIN_NOTATION.to_sci_string(value)
    if len(text) > MAXIMUM_NUMBER_BYTES:
        raise ValueError(f" is a Decimal of {len(text)} characters, more than {MAXIMUM_NUMBER_BYTES}")
    return text.encode()


def _decode_decimal(payload: bytes) -> Decimal:
    if len(payload) > MAXIMUM_NUMBER_BYTES or not _DECIMAL_TEXT.fullmatch(payload):
        raise ValueError("a Decimal that is none")
    value = Decimal(payload.decode())
    if value.is_nan() and b"N" not in payload:  # an absurd exponent, in a thread whose context traps nothing
        raise ValueError("a Decimal out of range")
    return value


def _encode_complex(value: complex) -> bytes:
    return _TWO_DOUBLES.pack(value.real, value.imag)


def _decode_complex(payload: bytes) -> complex:
    return complex(*_TWO_DOUBLES.unpack(payload))


def _encode_datetime(value: datetime) -> bytes:
    fields = _DATETIME_FIELDS.pack(
        value.year, value.month, value.day, value.hour, value.minute, value.second,
        value.microsecond | (_FOLD if value.fold else 0),
    )  # fmt: skip
    return fields + _encode_zone(value.tzinfo)


def _decode_datetime(payload: bytes) -> datetime:
    year, month, day, hour, minute, second, last = _DATETIME_FIELDS.unpack_from(payload)
    zone = _decode_zone(payload[_DATETIME_FIELDS.size :])
    return datetime(year, month, day, hour, minute, second, last & ~_FOLD, zone, fold=last >> 31)


def _encode_date(value: date) -> bytes:
    return _DATE_FIELDS.pack(value.year, value.month, value.day)


def _decode_date(payload: bytes) -> date:
    return date(*_DATE_FIELDS.unpack(payload))


def _encode_time(value: time) -> bytes:
    last = value.microsecond | (_FOLD if value.fold else 0)
    return _TIME_FIELDS.pack(value.hour, value.minute, value.second, last) + _encode_zone(value.tzinfo)


def _decode_time(payload: bytes) -> time:
    hour, minute, second, last = _TIME_FIELDS.unpack_from(payload)
    return time(hour, minute, second, last & ~_FOLD, _decode_zone(payload[_TIME_FIELDS.size :]), fold=last >> 31)


def _encode_zone(zone: tzinfo | None) -> bytes:
    if zone is None:
        return bytes((_NAIVE,))
    if type(zone) is timezone:
        # What it was made of, as it tells pickle: the offset, and the name if one was given.
        offset, *name = cast("Any", zone).__getinitargs__()
        kind, text = (_NAMED_OFFSET, name[0].encode()) if name else (_OFFSET, b"")
        if len(text) > MAXIMUM_ZONE_NAME_BYTES:
            raise ValueError(f" has a time zone whose name has more than {MAXIMUM_ZONE_NAME_BYTES} bytes")
        return bytes((kind,)) + _MICROSECONDS.pack(offset // _MICROSECOND) + text
    if type(zone) is ZoneInfo and zone.key is not None:
        _require_zone_name(zone.key)
        return bytes((_ZONE,)) + zone.key.encode()
    raise TypeError(
        f" has a time zone of type {_name(type(zone))}; "
        "supported are datetime.timezone, and zoneinfo.ZoneInfo with a name"
    )


def _decode_zone(payload: bytes) -> tzinfo | None:
    if len(payload) > 1 + _MICROSECONDS.size + MAXIMUM_ZONE_NAME_BYTES:
        raise ValueError("a time zone whose name is too long")
    kind, rest = payload[0] if payload else None, payload[1:]
    if kind == _NAIVE and not rest:
        return None
    if kind == _OFFSET:
        return timezone(timedelta(microseconds=_MICROSECONDS.unpack(rest)[0]))
    if kind == _NAMED_OFFSET:
        name = rest[_MICROSECONDS.size :].decode()
        return timezone(timedelta(microseconds=_MICROSECONDS.unpack_from(rest)[0]), name)
    if kind == _ZONE:
        name = rest.decode("ascii")
        _require_zone_name(name)
        return ZoneInfo(name)
    raise ValueError("a time zone of no known kind")


def _require_zone_name(name: str) -> None:
    # ZoneInfo looks for a file of that name; it has guards of its own, but a peer's text shall not even get to them.
    if len(name) > MAXIMUM_ZONE_NAME_BYTES or not _ZONE_NAME.fullmatch(name):
        raise ValueError(" has a time zone whose name no zone can have")


def _encode_timedelta(value: timedelta) -> bytes:
    return _TIMEDELTA_FIELDS.pack(value.days, value.seconds, value.microseconds)


def _decode_timedelta(payload: bytes) -> timedelta:
    days, seconds, microseconds = _TIMEDELTA_FIELDS.unpack(payload)
    if seconds >= 86_400 or microseconds >= 1_000_000:
        raise ValueError("a timedelta whose parts run over")
    return timedelta(days, seconds, microseconds)


def _encode_uuid(value: UUID) -> bytes:
    return value.bytes


def _decode_uuid(payload: bytes) -> UUID:
    return UUID(bytes=payload)


def _extension(code: int, encode: Callable[[Any], bytes]) -> Callable[[Any], object]:
    return lambda value: ExtType(code, encode(value))


_EXTEND: dict[type, Callable[[Any], object]] = {
    tuple: lambda value: [_TUPLE_MARK, *value],
    set: lambda value: [_SET_MARK, *value],
    frozenset: lambda value: [_FROZENSET_MARK, *value],
    int: _extension(_INTEGER, _encode_integer),  # asked only for those beyond 64 bits
    Decimal: _extension(_DECIMAL, _encode_decimal),
    complex: _extension(_COMPLEX, _encode_complex),
    datetime: _extension(_DATETIME, _encode_datetime),
    date: _extension(_DATE, _encode_date),
    time: _extension(_TIME, _encode_time),
    timedelta: _extension(_TIMEDELTA, _encode_timedelta),
    UUID: _extension(_UUID, _encode_uuid),
}
_PLAIN_TYPES = _SCALARS | _CONTAINERS
_ALL_TYPES = _PLAIN_TYPES | _EXTEND.keys()

_RESTORE: dict[int, Callable[[bytes], object]] = {
    _INTEGER: _decode_integer,
    _DECIMAL: _decode_decimal,
    _COMPLEX: _decode_complex,
    _DATETIME: _decode_datetime,
    _DATE: _decode_date,
    _TIME: _decode_time,
    _TIMEDELTA: _decode_timedelta,
    _UUID: _decode_uuid,
}


def _restore(code: int, payload: bytes) -> object:
    return _RESTORE[code](payload)


# -- keys ------------------------------------------------------------------------------------------------
#
# One number has one encoding, whichever of bool, int, float, Decimal and complex it came as, because to Python they
# are equal: an int's if it is integral, else a float's if a float is exactly that, else a Decimal's digits, and a
# complex's only if it is not real. An array is a tuple; a frozenset has a mark, and its members in the order
# of their bytes.


def encode_key(key: object) -> bytes:
    """The canonical bytes of a key: the same for all keys equal to it, and for no others, in every process.

    `TypeError` for what is no key (unhashable, not supported, equal to nothing or to more than its bytes could say),
    with where it stands; `ValueError` for a number too large, a time out of range, for what is nested too deep, and
    for a key of more than `MAXIMUM_KEY_BYTES`, which no node would take.
    """
    try:
        data = _encode_key(key, 0)
    except RecursionError:
        raise ValueError("key is nested deeper than the stack that is left allows") from None
    except (TypeError, ValueError) as error:
        raise type(error)(f"key{error}") from None
    if len(data) > MAXIMUM_KEY_BYTES:
        raise ValueError(f"key takes {len(data)} bytes, more than the {MAXIMUM_KEY_BYTES} that a key may have")
    return data


def decode_key(data: bytes) -> object:
    """A key equal to the one that `encode_key` made these bytes of. `ProtocolError` for any other bytes."""
    key: object
    try:
        first = data[0]
        if first == _STR8 and len(data) == 2 + data[1] and data[1] >= 32:
            return data[2:].decode()
        if _FIXSTR <= first < _FIXSTR + 32 and len(data) == 1 + first - _FIXSTR:
            return data[1:].decode()
        if len(data) > _SMALL_BYTES:
            _require_whole(data)
        if _MARK_HEADER in data and data.find(_MARK) >= 0:
            key = unpackb(data, ext_hook=_restore_in_key, list_hook=_make_in_key)
        else:
            key = unpackb(data, ext_hook=_restore_in_key, use_list=False)
        canonical = _encode_key(key, 0)
    except (*_NONSENSE, IndexError) as error:
        raise _undecodable("key", error) from None
    if canonical != data:
        raise ProtocolError("a key in other than its canonical bytes")
    return key


def _restore_in_key(code: int, payload: bytes) -> object:
    return _RESTORE_IN_KEY[code](payload)


def _make_in_key(items: list[object]) -> object:
    if items and items[0] is _FROZENSET_MARK:
        return _make_frozenset(items[1:])
    return tuple(items)


def _encode_key(key: object, depth: int) -> bytes:
    """The bytes of a key or of a member of one. What it raises begins after the place."""
    kind = type(key)
    if kind is str:
        return _encode_text(cast("str", key), depth)
    encode = _ENCODE_KEY.get(kind)
    if encode is not None:
        return encode(key, depth)
    base = next((base for base in kind.__mro__ if base in _EXACTLY), None)
    if base is None:
        raise TypeError(_not_supported(kind, _SUPPORTED_IN_KEYS))
    if not _compares_like(kind, base):
        raise TypeError(f" is of type {_name(kind)}, which does not compare or hash like {base.__name__}")
    return _ENCODE_KEY[base](_EXACTLY[base](key), depth)


def _compares_like(kind: Any, base: Any) -> bool:
    return kind.__eq__ is base.__eq__ and kind.__hash__ is base.__hash__


_FIXSTR, _STR8 = 0xA0, 0xD9
_SHORT_TEXT_HEADERS = [bytes((_FIXSTR + n,)) for n in range(32)] + [bytes((_STR8, n)) for n in range(32, 256)]


def _encode_text(key: str, _depth: int) -> bytes:
    try:
        text = key.encode()
    except UnicodeEncodeError:
        raise TypeError(_LONE_SURROGATE) from None
    if len(text) < len(_SHORT_TEXT_HEADERS):
        return _SHORT_TEXT_HEADERS[len(text)] + text
    return _pack(key)


def _encode_whole(key: int, _depth: int = 0) -> bytes:
    if -(1 << 63) <= key < 1 << 64:
        return _pack(key)
    _limit_number((key.bit_length() + 8) // 8)
    return _pack(ExtType(_INTEGER, _encode_integer(key)))


def _encode_real(key: float, _depth: int = 0) -> bytes:
    if key.is_integer():
        return _encode_whole(int(key))
    if math.isnan(key):
        raise TypeError(_NOT_A_NUMBER)
    return _pack(key)


def _encode_fraction(key: Decimal, _depth: int) -> bytes:
    if key.is_nan():
        raise TypeError(_NOT_A_NUMBER)
    if key.is_infinite():
        return _encode_real(float(key))
    sign, digits, exponent = key.as_tuple()
    all_digits = "".join(map(str, digits))
    significant = all_digits.strip("0")
    exponent = cast("int", exponent) + len(all_digits) - len(all_digits.rstrip("0"))
    if exponent >= 0 or not significant:
        _limit_number(key.adjusted() * 2 // 5 if significant else 1)  # before it is written out; a digit is 0.415 bytes
        return _encode_whole(int(key))
    nearest = float(key)
    if math.isfinite(nearest) and Decimal.from_float(nearest) == key:  # noqa: FURB164 - the constructor minds a trap
        return _encode_real(nearest)
    text = f"{'-' if sign else ''}{significant}E{exponent}".encode()
    _limit_number(len(text))
    return _pack(ExtType(_DECIMAL, text))


def _limit_number(size_bytes: int) -> None:
    if size_bytes > MAXIMUM_KEY_NUMBER_BYTES:
        raise ValueError(f" is a number of more than {MAXIMUM_KEY_NUMBER_BYTES} bytes")


def _encode_plane(key: complex, _depth: int) -> bytes:
    if math.isnan(key.real) or math.isnan(key.imag):
        raise TypeError(_NOT_A_NUMBER)
    if key.imag == 0:
        return _encode_real(key.real)
    return _pack(ExtType(_COMPLEX, _TWO_DOUBLES.pack(key.real + 0.0, key.imag + 0.0)))  # -0.0 + 0.0 is 0.0


_NOT_A_NUMBER = " is not a number (NaN), which is equal to nothing, not even itself"


def _encode_tuple(key: tuple[object, ...], depth: int) -> bytes:
    parts = [_array_header(len(key), depth)]
    try:
        for member in key:
            parts.append(_encode_key(member, depth + 1))  # noqa: PERF401 - how many there are tells which one failed
    except (TypeError, ValueError) as error:
        raise type(error)(f"[{len(parts) - 1}]{error}") from None
    return b"".join(parts)


def _encode_frozenset(key: frozenset[object], depth: int) -> bytes:
    header = _array_header(len(key) + 1, depth)
    try:
        members = sorted([_encode_key(member, depth + 1) for member in key])
    except (TypeError, ValueError) as error:
        raise type(error)(f"[...]{error}") from None
    return b"".join((header, _MARK, _FROZENSET, *members))


def _array_header(length: int, depth: int) -> bytes:
    if depth == MAXIMUM_DEPTH:
        raise ValueError(f" is nested more than {MAXIMUM_DEPTH} deep")
    if length < 16:
        return bytes((0x90 | length,))
    if length < 1 << 16:
        return b"\xdc" + length.to_bytes(2, "big")
    return b"\xdd" + length.to_bytes(4, "big")


_EPOCH = datetime(1970, 1, 1)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DAY_SECONDS = 86_400


def _encode_moment(key: datetime, _depth: int) -> bytes:
    offset = _offset_in_key(key)
    if offset is None:
        return _pack(ExtType(_DATETIME, _encode_datetime(key.replace(tzinfo=None, fold=0))))
    if type(key.tzinfo) is ZoneInfo and key.replace(fold=1 - key.fold).utcoffset() != offset:
        raise TypeError(
            " is a datetime that its zone's clocks skip or repeat, which Python does not compare by its moment"
        )
    moment = key.replace(tzinfo=None) - _EPOCH - offset
    try:
        _EPOCH_UTC + moment
    except OverflowError:
        raise ValueError(" is a datetime that is not within the years 1 to 9999 in UTC") from None
    return _pack(ExtType(_INSTANT, _MICROSECONDS.pack(moment // _MICROSECOND)))


def _decode_moment(payload: bytes) -> datetime:
    return _EPOCH_UTC + timedelta(microseconds=_MICROSECONDS.unpack(payload)[0])


def _encode_time_of_day(key: time, _depth: int) -> bytes:
    offset = _offset_in_key(key)
    if offset is None:
        return _pack(ExtType(_TIME, _encode_time(key.replace(tzinfo=None, fold=0))))
    if offset % _SECOND:
        raise TypeError(" is a time with an offset of part of a second, which Python does not compare as it hashes")
    # Compared by the seconds since midnight in UTC, on whichever day that is: 00:30+01:00 is not 23:30+00:00.
    seconds = key.hour * 3600 + key.minute * 60 + key.second - offset // _SECOND
    return _pack(ExtType(_OFFSET_TIME, _SECONDS_AND_MICROSECONDS.pack(seconds, key.microsecond)))


def _decode_time_of_day(payload: bytes) -> time:
    seconds, microseconds = _SECONDS_AND_MICROSECONDS.unpack(payload)
    on_clock = min(max(seconds, 0), _DAY_SECONDS - 1)
    zone = timezone(timedelta(seconds=on_clock - seconds))
    return time(on_clock // 3600, on_clock // 60 % 60, on_clock % 60, microseconds, zone)


def _offset_in_key(key: datetime | time) -> timedelta | None:
    # Zones of other makers may give two readings of their clocks the same moment, and still find them different.
    if key.tzinfo is not None and type(key.tzinfo) not in (timezone, ZoneInfo):
        raise TypeError(
            f" has a time zone of type {_name(type(key.tzinfo))}; supported are datetime.timezone and zoneinfo.ZoneInfo"
        )
    return key.utcoffset()


def _encoder_in_key(code: int, encode: Callable[[Any], bytes]) -> Callable[[Any, int], bytes]:
    return lambda key, _depth: _pack(ExtType(code, encode(key)))


_ENCODE_KEY: dict[type, Callable[[Any, int], bytes]] = {
    NoneType: lambda key, _depth: _pack(key),
    bool: lambda key, _depth: _pack(int(key)),
    int: _encode_whole,
    float: _encode_real,
    complex: _encode_plane,
    Decimal: _encode_fraction,
    str: _encode_text,
    bytes: lambda key, _depth: _pack(key),
    tuple: _encode_tuple,
    frozenset: _encode_frozenset,
    datetime: _encode_moment,
    date: _encoder_in_key(_DATE, _encode_date),
    time: _encode_time_of_day,
    timedelta: _encoder_in_key(_TIMEDELTA, _encode_timedelta),
    UUID: _encoder_in_key(_UUID, _encode_uuid),
}

# The member of a base class that an instance of a subclass is equal to, whatever else the subclass overrides.
_EXACTLY: dict[type, Callable[[Any], object]] = {
    int: int.__pos__,
    float: float.__pos__,
    complex: complex.__pos__,
    Decimal: Decimal,
    str: str.__str__,
    bytes: lambda key: bytes.__getitem__(key, slice(None)),
    tuple: lambda key: (*tuple.__iter__(key),),
    frozenset: lambda key: frozenset(frozenset.__iter__(key)),
    datetime: lambda key: datetime.combine(datetime.date(key), datetime.timetz(key)),
    date: lambda key: date.fromordinal(date.toordinal(key)),
    time: lambda key: datetime.combine(date.min, key).timetz(),
    timedelta: timedelta.__pos__,
    UUID: lambda key: UUID(int=key.int),
}

_RESTORE_IN_KEY: dict[int, Callable[[bytes], object]] = {
    **_RESTORE,
    _COLLECTION: {_FROZENSET: _FROZENSET_MARK}.__getitem__,
    _INSTANT: _decode_moment,
    _OFFSET_TIME: _decode_time_of_day,
}
