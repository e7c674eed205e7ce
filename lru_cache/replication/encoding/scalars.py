"""Single values as payloads of msgpack extensions, and what values and keys have in common.

This file must not know what a value or a key may hold. docs/encoding.md describes the bytes.
"""

import re
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Context, Decimal
from types import NoneType
from typing import Any, Final, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from msgpack import ExtType, Packer, Unpacker  # type: ignore[import-untyped]
from msgpack.exceptions import UnpackException  # type: ignore[import-untyped]

from lru_cache.errors import ProtocolError

MAXIMUM_DEPTH: Final = 128  # containers within containers; far below what msgpack and Python's stack bear
MAXIMUM_KEY_BYTES: Final = 65_536  # encoded
MAXIMUM_NUMBER_BYTES: Final = 65_536  # of one integer or Decimal
MAXIMUM_KEY_NUMBER_BYTES: Final = 1_024  # of one number in a key; Decimal("1E+999999999") is equal to an int of 400 MB
MAXIMUM_COLLISIONS: Final = 100  # members of one collection with a hash that another member has
MAXIMUM_ZONE_NAME_BYTES: Final = 255
FIXSTR: Final = 0xA0  # a text of 0 to 31 bytes begins with this plus its length
STR8: Final = 0xD9  # and one of up to 255 with this and its length


(
    COLLECTION_CODE,
    INTEGER_CODE,
    DECIMAL_CODE,
    COMPLEX_CODE,
    DATETIME_CODE,
    DATE_CODE,
    TIME_CODE,
    TIMEDELTA_CODE,
    UUID_CODE,
) = range(1, 10)
INSTANT_CODE, OFFSET_TIME_CODE = 10, 11  # in keys only
TUPLE, SET, FROZENSET = b"\x00", b"\x01", b"\x02"  # what the array that a collection mark stands first in is
_NAIVE, _OFFSET, _NAMED_OFFSET, _ZONE = range(4)  # which kind of time zone follows

_TUPLE_MARK = ExtType(COLLECTION_CODE, TUPLE)
_SET_MARK = ExtType(COLLECTION_CODE, SET)
FROZENSET_MARK = ExtType(COLLECTION_CODE, FROZENSET)

SCALARS = frozenset((NoneType, bool, int, float, str, bytes))  # msgpack's own
CONTAINERS = frozenset((list, dict, tuple, set, frozenset))

# What our own code and the standard library raise over bytes that make no sense. ZoneInfo's not-found is a KeyError,
# and a zone's name that is a directory an OSError; decimal's are ArithmeticErrors.
NONSENSE = (
    ValueError, TypeError, KeyError, ArithmeticError, OSError, RecursionError, struct.error, UnpackException,
)  # fmt: skip

# What a byte means is decided by where it stands, and to find that out costs as much as to decode. But a byte that
# is nowhere can be no header, and to look for it is one pass in C. So plain data, the most by far, is spared the
# costly checks; where a number or a text has such a byte by chance, one is made and finds nothing.
_LONG_CONTAINERS = 0xDC, 0xDD, 0xDE, 0xDF
MARK_HEADER, MARK = 0xD4, b"\xd4\x01"  # sought one after the other: one byte is found 20 times as fast as two
SMALL_BYTES = 512  # whatever so few claim is less than a megabyte


def undecodable(what: str, error: BaseException) -> ProtocolError:
    """What is raised over bytes that make no sense, and why."""
    return ProtocolError(f"a {what} that does not decode: {type(error).__name__}: {str(error).strip()[:120]}")


_idle_packers: list[Any] = []  # to make one costs as much as a small value; append and pop are atomic
_LARGE_BYTES = 65_536  # a packer keeps the largest buffer that it ever needed, so one that needed much is dropped


def pack(value: object) -> bytes:
    """The bytes of a value of a type that is supported."""
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


def make_set(members: list[object]) -> set[object]:
    """A set of members that a peer chose."""
    limit_collisions(members)
    made = set(members)
    if len(made) != len(members):
        raise ValueError("a set with equal members")
    return made


def make_frozenset(members: list[object]) -> frozenset[object]:
    """A frozenset of members that a peer chose."""
    return frozenset(make_set(members))


def limit_collisions(members: list[object]) -> None:
    """Refuse members made to collide: the hashes of numbers and UUIDs are no secret, and n of them take n * n steps."""
    if len(members) > MAXIMUM_COLLISIONS and len(members) - len(set(map(hash, members))) > MAXIMUM_COLLISIONS:
        raise ValueError("too many equal hashes")


def require_whole(data: bytes) -> None:
    """Refuse data that is not all there, without making anything of it.

    msgpack sets memory aside for an array or pairs when it has read the header; a thousand nested ones, each of which
    claims as many members as there are bytes, are 3 KB on the wire and megabytes to gigabytes in memory.
    """
    if any(header in data for header in _LONG_CONTAINERS):
        unpacker = Unpacker(None, max_buffer_size=len(data))
        unpacker.feed(data)
        unpacker.skip()


LONE_SURROGATE = " is a str with a lone surrogate, for which UTF-8 has no bytes"


def not_supported(kind: type, supported: str, why: str = "which cannot be encoded") -> str:
    """Why a type is refused, to stand behind the place where it was met."""
    return f" is of type {type_name(kind)}, {why}; supported are {supported}"


def type_name(kind: type) -> str:
    """What to call a type in a message."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


_DATETIME_FIELDS = struct.Struct(">HBBBBBI")  # the last: microseconds, and fold in the highest bit
_DATE_FIELDS = struct.Struct(">HBB")
_TIME_FIELDS = struct.Struct(">BBBI")
_TIMEDELTA_FIELDS = struct.Struct(">iII")
TWO_DOUBLES = struct.Struct(">dd")
MICROSECONDS = struct.Struct(">q")
SECONDS_AND_MICROSECONDS = struct.Struct(">iI")
_FOLD = 1 << 31

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_DECIMAL_TEXT = re.compile(rb"-?(?:\d+(?:\.\d+)?(?:E[+-]\d{1,19})?|Infinity|s?NaN\d*)")
_PLAIN_NOTATION = Context(capitals=1)  # for nothing but the capital E; the thread's own context may say e


def encode_integer(value: int) -> bytes:
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
    return TWO_DOUBLES.pack(value.real, value.imag)


def _decode_complex(payload: bytes) -> complex:
    return complex(*TWO_DOUBLES.unpack(payload))


def encode_datetime(value: datetime) -> bytes:
    """The payload of a datetime."""
    fields = _DATETIME_FIELDS.pack(
        value.year, value.month, value.day, value.hour, value.minute, value.second,
        value.microsecond | (_FOLD if value.fold else 0),
    )  # fmt: skip
    return fields + _encode_zone(value.tzinfo)


def _decode_datetime(payload: bytes) -> datetime:
    year, month, day, hour, minute, second, last = _DATETIME_FIELDS.unpack_from(payload)
    zone = _decode_zone(payload[_DATETIME_FIELDS.size :])
    return datetime(year, month, day, hour, minute, second, last & ~_FOLD, zone, fold=last >> 31)


def encode_date(value: date) -> bytes:
    """The payload of a date."""
    return _DATE_FIELDS.pack(value.year, value.month, value.day)


def _decode_date(payload: bytes) -> date:
    return date(*_DATE_FIELDS.unpack(payload))


def encode_time(value: time) -> bytes:
    """The payload of a time of day."""
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
        return bytes((kind,)) + MICROSECONDS.pack(offset // MICROSECOND) + text
    if type(zone) is ZoneInfo and zone.key is not None:
        _require_zone_name(zone.key)
        return bytes((_ZONE,)) + zone.key.encode()
    raise TypeError(
        f" has a time zone of type {type_name(type(zone))}; "
        "supported are datetime.timezone, and zoneinfo.ZoneInfo with a name"
    )


def _decode_zone(payload: bytes) -> tzinfo | None:
    if len(payload) > 1 + MICROSECONDS.size + MAXIMUM_ZONE_NAME_BYTES:
        raise ValueError("a time zone whose name is too long")
    kind, rest = payload[0] if payload else None, payload[1:]
    if kind == _NAIVE and not rest:
        return None
    if kind == _OFFSET:
        return timezone(timedelta(microseconds=MICROSECONDS.unpack(rest)[0]))
    if kind == _NAMED_OFFSET:
        name = rest[MICROSECONDS.size :].decode()
        return timezone(timedelta(microseconds=MICROSECONDS.unpack_from(rest)[0]), name)
    if kind == _ZONE:
        name = rest.decode("ascii")
        _require_zone_name(name)
        return ZoneInfo(name)
    raise ValueError("a time zone of no known kind")


def _require_zone_name(name: str) -> None:
    # ZoneInfo looks for a file of that name; it has guards of its own, but a peer's text shall not even get to them.
    if len(name) > MAXIMUM_ZONE_NAME_BYTES or not _ZONE_NAME.fullmatch(name):
        raise ValueError(" has a time zone whose name no zone can have")


def encode_timedelta(value: timedelta) -> bytes:
    """The payload of a timedelta."""
    return _TIMEDELTA_FIELDS.pack(value.days, value.seconds, value.microseconds)


def _decode_timedelta(payload: bytes) -> timedelta:
    days, seconds, microseconds = _TIMEDELTA_FIELDS.unpack(payload)
    if seconds >= 86_400 or microseconds >= 1_000_000:
        raise ValueError("a timedelta whose parts run over")
    return timedelta(days, seconds, microseconds)


def encode_uuid(value: UUID) -> bytes:
    """The payload of a UUID."""
    return value.bytes


def _decode_uuid(payload: bytes) -> UUID:
    return UUID(bytes=payload)


def _extension(code: int, encode: Callable[[Any], bytes]) -> Callable[[Any], object]:
    return lambda value: ExtType(code, encode(value))


_EXTEND: dict[type, Callable[[Any], object]] = {
    tuple: lambda value: [_TUPLE_MARK, *value],
    set: lambda value: [_SET_MARK, *value],
    frozenset: lambda value: [FROZENSET_MARK, *value],
    int: _extension(INTEGER_CODE, encode_integer),  # asked only for those beyond 64 bits
    Decimal: _extension(DECIMAL_CODE, _encode_decimal),
    complex: _extension(COMPLEX_CODE, _encode_complex),
    datetime: _extension(DATETIME_CODE, encode_datetime),
    date: _extension(DATE_CODE, encode_date),
    time: _extension(TIME_CODE, encode_time),
    timedelta: _extension(TIMEDELTA_CODE, encode_timedelta),
    UUID: _extension(UUID_CODE, encode_uuid),
}
PLAIN_TYPES = SCALARS | CONTAINERS
ALL_TYPES = PLAIN_TYPES | _EXTEND.keys()

RESTORE: dict[int, Callable[[bytes], object]] = {
    INTEGER_CODE: _decode_integer,
    DECIMAL_CODE: _decode_decimal,
    COMPLEX_CODE: _decode_complex,
    DATETIME_CODE: _decode_datetime,
    DATE_CODE: _decode_date,
    TIME_CODE: _decode_time,
    TIMEDELTA_CODE: _decode_timedelta,
    UUID_CODE: _decode_uuid,
}
