"""Keys as bytes. A key comes back as an equal one, and its bytes are canonical: keys have the same bytes if and only if
they are equal, whichever process encodes them.

This file must not know of values, must not run what it reads, and must not answer a peer's bytes with anything but a
key or `ProtocolError`. docs/encoding.md describes the bytes.
"""

import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import NoneType
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from msgpack import ExtType, unpackb  # type: ignore[import-untyped]

from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding.scalars import (
    COLLECTION_CODE,
    COMPLEX_CODE,
    DATE_CODE,
    DATETIME_CODE,
    DECIMAL_CODE,
    FIXSTR,
    FROZENSET,
    FROZENSET_MARK,
    INSTANT_CODE,
    INTEGER_CODE,
    LONE_SURROGATE,
    MARK,
    MARK_HEADER,
    MAXIMUM_DEPTH,
    MAXIMUM_KEY_BYTES,
    MAXIMUM_KEY_NUMBER_BYTES,
    MICROSECOND,
    MICROSECONDS,
    NONSENSE,
    OFFSET_TIME_CODE,
    RESTORE,
    SECOND,
    SECONDS_AND_MICROSECONDS,
    SMALL_BYTES,
    STR8,
    TIME_CODE,
    TIMEDELTA_CODE,
    TWO_DOUBLES,
    UUID_CODE,
    encode_date,
    encode_datetime,
    encode_integer,
    encode_time,
    encode_timedelta,
    encode_uuid,
    make_frozenset,
    not_supported,
    pack,
    require_whole,
    type_name,
    undecodable,
)

_SUPPORTED_IN_KEYS = (
    "None, bool, int, float, complex, Decimal, str, bytes, tuple, frozenset, datetime, date, time, timedelta and UUID"
)


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
        if first == STR8 and len(data) == 2 + data[1] and data[1] >= 32:
            return data[2:].decode()
        if FIXSTR <= first < FIXSTR + 32 and len(data) == 1 + first - FIXSTR:
            return data[1:].decode()
        if len(data) > SMALL_BYTES:
            require_whole(data)
        if MARK_HEADER in data and data.find(MARK) >= 0:
            key = unpackb(data, ext_hook=_restore_in_key, list_hook=_make_in_key)
        else:
            key = unpackb(data, ext_hook=_restore_in_key, use_list=False)
        canonical = _encode_key(key, 0)
    except (*NONSENSE, IndexError) as error:
        raise undecodable("key", error) from None
    if canonical != data:
        raise ProtocolError("a key in other than its canonical bytes")
    return key


def _restore_in_key(code: int, payload: bytes) -> object:
    return _RESTORE_IN_KEY[code](payload)


def _make_in_key(items: list[object]) -> object:
    if items and items[0] is FROZENSET_MARK:
        return make_frozenset(items[1:])
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
        raise TypeError(not_supported(kind, _SUPPORTED_IN_KEYS))
    if not _compares_like(kind, base):
        raise TypeError(f" is of type {type_name(kind)}, which does not compare or hash like {base.__name__}")
    return _ENCODE_KEY[base](_EXACTLY[base](key), depth)


def _compares_like(kind: Any, base: Any) -> bool:
    return kind.__eq__ is base.__eq__ and kind.__hash__ is base.__hash__


_SHORT_TEXT_HEADERS = [bytes((FIXSTR + n,)) for n in range(32)] + [bytes((STR8, n)) for n in range(32, 256)]


def _encode_text(key: str, _depth: int) -> bytes:
    try:
        text = key.encode()
    except UnicodeEncodeError:
        raise TypeError(LONE_SURROGATE) from None
    if len(text) < len(_SHORT_TEXT_HEADERS):
        return _SHORT_TEXT_HEADERS[len(text)] + text
    return pack(key)


def _encode_whole(key: int, _depth: int = 0) -> bytes:
    if -(1 << 63) <= key < 1 << 64:
        return pack(key)
    _limit_number((key.bit_length() + 8) // 8)
    return pack(ExtType(INTEGER_CODE, encode_integer(key)))


def _encode_real(key: float, _depth: int = 0) -> bytes:
    if key.is_integer():
        return _encode_whole(int(key))
    if math.isnan(key):
        raise TypeError(_NOT_A_NUMBER)
    return pack(key)


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
    return pack(ExtType(DECIMAL_CODE, text))


def _limit_number(size_bytes: int) -> None:
    if size_bytes > MAXIMUM_KEY_NUMBER_BYTES:
        raise ValueError(f" is a number of more than {MAXIMUM_KEY_NUMBER_BYTES} bytes")


def _encode_plane(key: complex, _depth: int) -> bytes:
    if math.isnan(key.real) or math.isnan(key.imag):
        raise TypeError(_NOT_A_NUMBER)
    if key.imag == 0:
        return _encode_real(key.real)
    return pack(ExtType(COMPLEX_CODE, TWO_DOUBLES.pack(key.real + 0.0, key.imag + 0.0)))  # -0.0 + 0.0 is 0.0


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
    return b"".join((header, MARK, FROZENSET, *members))


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
        return pack(ExtType(DATETIME_CODE, encode_datetime(key.replace(tzinfo=None, fold=0))))
    if type(key.tzinfo) is ZoneInfo and key.replace(fold=1 - key.fold).utcoffset() != offset:
        raise TypeError(
            " is a datetime that its zone's clocks skip or repeat, which Python does not compare by its moment"
        )
    moment = key.replace(tzinfo=None) - _EPOCH - offset
    try:
        _EPOCH_UTC + moment
    except OverflowError:
        raise ValueError(" is a datetime that is not within the years 1 to 9999 in UTC") from None
    return pack(ExtType(INSTANT_CODE, MICROSECONDS.pack(moment // MICROSECOND)))


def _decode_moment(payload: bytes) -> datetime:
    return _EPOCH_UTC + timedelta(microseconds=MICROSECONDS.unpack(payload)[0])


def _encode_time_of_day(key: time, _depth: int) -> bytes:
    offset = _offset_in_key(key)
    if offset is None:
        return pack(ExtType(TIME_CODE, encode_time(key.replace(tzinfo=None, fold=0))))
    if offset % SECOND:
        raise TypeError(" is a time with an offset of part of a second, which Python does not compare as it hashes")
    # Compared by the seconds since midnight in UTC, on whichever day that is: 00:30+01:00 is not 23:30+00:00.
    seconds = key.hour * 3600 + key.minute * 60 + key.second - offset // SECOND
    return pack(ExtType(OFFSET_TIME_CODE, SECONDS_AND_MICROSECONDS.pack(seconds, key.microsecond)))


def _decode_time_of_day(payload: bytes) -> time:
    seconds, microseconds = SECONDS_AND_MICROSECONDS.unpack(payload)
    on_clock = min(max(seconds, 0), _DAY_SECONDS - 1)
    zone = timezone(timedelta(seconds=on_clock - seconds))
    return time(on_clock // 3600, on_clock // 60 % 60, on_clock % 60, microseconds, zone)


def _offset_in_key(key: datetime | time) -> timedelta | None:
    # Zones of other makers may give two readings of their clocks the same moment, and still find them different.
    if key.tzinfo is not None and type(key.tzinfo) not in (timezone, ZoneInfo):
        raise TypeError(
            f" has a time zone of type {type_name(type(key.tzinfo))}; "
            "supported are datetime.timezone and zoneinfo.ZoneInfo"
        )
    return key.utcoffset()


def _encoder_in_key(code: int, encode: Callable[[Any], bytes]) -> Callable[[Any, int], bytes]:
    return lambda key, _depth: pack(ExtType(code, encode(key)))


_ENCODE_KEY: dict[type, Callable[[Any, int], bytes]] = {
    NoneType: lambda key, _depth: pack(key),
    bool: lambda key, _depth: pack(int(key)),
    int: _encode_whole,
    float: _encode_real,
    complex: _encode_plane,
    Decimal: _encode_fraction,
    str: _encode_text,
    bytes: lambda key, _depth: pack(key),
    tuple: _encode_tuple,
    frozenset: _encode_frozenset,
    datetime: _encode_moment,
    date: _encoder_in_key(DATE_CODE, encode_date),
    time: _encode_time_of_day,
    timedelta: _encoder_in_key(TIMEDELTA_CODE, encode_timedelta),
    UUID: _encoder_in_key(UUID_CODE, encode_uuid),
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
    **RESTORE,
    COLLECTION_CODE: {FROZENSET: FROZENSET_MARK}.__getitem__,
    INSTANT_CODE: _decode_moment,
    OFFSET_TIME_CODE: _decode_time_of_day,
}
