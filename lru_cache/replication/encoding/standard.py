"""Classes of the standard library that are encoded as objects are which have a codec: by a name, and plain data.

Their names begin with a point, as no other codec's does. This file must not know what becomes of the data.
"""

import ipaddress
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

MAXIMUM_FRACTION_BITS = 8_192  # of each part: to bring them to lowest terms costs the square of it


class StandardCodec(NamedTuple):
    """What `codecs.Codec` is for classes of an application."""

    type: type
    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any, int], Any]
    version: int = 1
    takes_older: bool = False
    of_bytes: Callable[[bytes], Any] | None = None


def _must(is_so: bool, kind: str) -> None:
    if not is_so:
        raise ValueError(f"no {kind}")


def _fraction(data: Any, _: int) -> Fraction:
    _must(type(data) is list and [type(each) for each in data] == [int, int], "fraction")
    _must(all(each.bit_length() <= MAXIMUM_FRACTION_BITS for each in data), "fraction of such long numbers")
    made = Fraction(*data)
    _must([made.numerator, made.denominator] == data, "fraction in lowest terms")
    return made


def _parts(value: Fraction) -> list[int]:
    parts = [value.numerator, value.denominator]
    _must(all(each.bit_length() <= MAXIMUM_FRACTION_BITS for each in parts), "fraction of such long numbers")
    return parts


def _path_text(value: Any) -> str:
    text = str(value)
    _must(type(value)(text) == value, "path that its text is read as")  # PureWindowsPath("./c:y")
    return text


def _range(data: Any, _: int) -> range:
    _must(type(data) is list and [type(each) for each in data] == [int, int, int], "range")
    return range(*data)


def _deque(data: Any, _: int) -> "deque[Any]":
    _must(type(data) is list and len(data) == 2 and type(data[1]) is list, "deque")
    length, members = data
    is_bounded = type(length) is int and len(members) <= length < 1 << 62
    _must(length is None or is_bounded, "deque of that length")
    return deque(members, length)


def _dict(kind: Callable[[Any], Any]) -> Callable[[Any, int], Any]:
    def decode(data: Any, _: int) -> Any:
        _must(type(data) is dict, "dict")
        return kind(data)

    return decode


def _text(kind: Any) -> Callable[[Any, int], Any]:
    def decode(data: Any, _: int) -> Any:
        _must(type(data) is str, "text")
        made = kind(data)
        _must(str(made) == data, "text of one in its usual form")
        return made

    return decode


STANDARD = (
    StandardCodec(Fraction, ".fraction", _parts, _fraction),
    StandardCodec(range, ".range", lambda value: [value.start, value.stop, value.step], _range),
    StandardCodec(deque, ".deque", lambda value: [value.maxlen, list(value)], _deque),
    StandardCodec(OrderedDict, ".ordered_dict", dict, _dict(OrderedDict)),
    StandardCodec(defaultdict, ".defaultdict", dict, _dict(lambda data: defaultdict(None, data))),
    StandardCodec(PurePosixPath, ".posix_path", _path_text, _text(PurePosixPath)),
    StandardCodec(PureWindowsPath, ".windows_path", _path_text, _text(PureWindowsPath)),
    StandardCodec(ipaddress.IPv4Address, ".ipv4_address", str, _text(ipaddress.IPv4Address)),
    StandardCodec(ipaddress.IPv6Address, ".ipv6_address", str, _text(ipaddress.IPv6Address)),
    StandardCodec(ipaddress.IPv4Network, ".ipv4_network", str, _text(ipaddress.IPv4Network)),
    StandardCodec(ipaddress.IPv6Network, ".ipv6_network", str, _text(ipaddress.IPv6Network)),
    StandardCodec(ipaddress.IPv4Interface, ".ipv4_interface", str, _text(ipaddress.IPv4Interface)),
    StandardCodec(ipaddress.IPv6Interface, ".ipv6_interface", str, _text(ipaddress.IPv6Interface)),
)
