"""Values as what JSON can say, or why it cannot. It must not know where they come from, nor who asks.

What has a codec is the data that it is encoded as, so a class made of fields is an object, and an enum its name. What
is only written otherwise has its usual text: dates, `Decimal` and the like.
"""

import math
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID

from lru_cache.codecs import Codec

DEEPEST = 128  # members of members, where an object's fields are one of it; three frames of Python's stack for each
LONGEST_INTEGER_BITS = 1_024  # what readers of JSON can hold; where it is much longer, Python may refuse to write it

Way = Callable[[Any, int], Any]


class NotJSONError(ValueError):
    """JSON cannot say it; the message names what."""


class Data:
    """Makes data of values, of classes with these codecs, too."""

    def __init__(self, codecs: Iterable[Codec[Any]]) -> None:
        self._ways: dict[type, Way] = {
            **_WAYS,
            **dict.fromkeys((list, tuple, set, frozenset, deque), self._array),
            **dict.fromkeys((dict, OrderedDict, defaultdict), self._object),
            **{codec.type: self._encoded_by(codec) for codec in codecs},
        }

    def of(self, value: Any, depth: int = 0) -> Any:
        """What JSON can say of a value, or `NotJSONError`."""
        way = self._ways.get(type(value))
        if way is None:
            raise NotJSONError(f"a {type(value).__name__}, for which this node has no codec")
        if depth > DEEPEST:
            raise NotJSONError("what is nested so deep")
        return way(value, depth)

    def _array(self, members: Any, depth: int) -> list[Any]:
        return [self.of(member, depth + 1) for member in members]

    def _object(self, members: Any, depth: int) -> dict[str, Any]:
        for key in members:
            if type(key) is not str:
                raise NotJSONError(f"a key of a dict that is no text but a {type(key).__name__}")
        return {_text(key, depth): self.of(member, depth + 1) for key, member in members.items()}

    def _encoded_by(self, codec: Codec[Any]) -> Way:
        def encoded(value: Any, depth: int) -> Any:
            try:
                data = codec.encode(value)
                if type(data) is bytes and hasattr(codec.type, "__struct_fields__"):
                    data = _members_of_struct(value)
            except Exception as error:
                raise NotJSONError(
                    f"a {codec.type.__name__} that its codec does not encode ({type(error).__name__})"
                ) from error
            return self.of(data, depth + 1)

        return encoded


def _members_of_struct(value: Any) -> Any:
    """What msgspec would write, which is not JSON's yet: its codec encodes to bytes."""
    import msgspec

    return msgspec.to_builtins(value, builtin_types=(bytes, datetime, date, time, timedelta, Decimal, UUID))


def _as_it_is(value: Any, _: int) -> Any:
    return value


def _text(value: str, _: int) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotJSONError("text that is not valid Unicode") from None
    return value


def _bytes(value: bytes, _: int) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise NotJSONError("bytes that are not UTF-8") from None


def _integer(value: int, _: int) -> int:
    if value.bit_length() > LONGEST_INTEGER_BITS:
        raise NotJSONError(f"an integer of more than {LONGEST_INTEGER_BITS:,} bits")
    return value


def _number(value: float, _: int) -> float:
    if not math.isfinite(value):
        raise NotJSONError(f"the number {value}")
    return value


def _in_words(value: Any, _: int) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no longer integers than it is told to
        raise NotJSONError(f"a {type(value).__name__} of such long integers") from None


def _date(value: Any, _: int) -> str:
    text: str = value.isoformat()
    return text


def _seconds(value: timedelta, _: int) -> float:
    return value.total_seconds()


_NAMED_BY_TEXT = (
    Decimal, complex, Fraction, UUID, range, PurePosixPath, PureWindowsPath,
    IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface,
)  # fmt: skip
_WAYS: dict[type, Way] = {
    type(None): _as_it_is,
    bool: _as_it_is,
    int: _integer,
    float: _number,
    str: _text,
    bytes: _bytes,
    timedelta: _seconds,
    **dict.fromkeys((datetime, date, time), _date),
    **dict.fromkeys(_NAMED_BY_TEXT, _in_words),
}
