"""The short way of objects whose codec makes bytes of them gives what the long way gives, on both builds."""

import enum
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache import LRUCacheDistributed, codecs
from lru_cache.codecs import Codec
from lru_cache.replication.encoding import Values
from tests.replication.build import BUILDS, part_of


class Order(msgspec.Struct):
    number: int
    text: str = ""
    data: bytes = b""


class Other(msgspec.Struct):
    number: float


class Unlike(msgspec.Struct):
    """Comes back as another class."""

    number: int


class Color(enum.Enum):
    RED = 1


class Whatever:
    """Its codec says that its data are bytes, and they need not be."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Whatever({self.data!r})"


class Derived(Order):
    pass


class Picky:
    """A codec of it refuses some, on both ends."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Picky({self.data!r})"


def encode_picky(value: Picky) -> bytes:
    if not value.data:
        raise LookupError("nothing in it")
    return value.data


def decode_picky(data: bytes) -> Picky:
    if data == b"bad":
        raise RuntimeError("a bad one")
    return Picky(data)


def of_bytes(codec: Codec[Any], decode: Any) -> Codec[Any]:
    codec.of_bytes = decode
    return codec


CODECS: list[Codec[Any]] = [
    codecs.msgspec(Order, name="order"),
    codecs.msgspec(Other, name="x" * 40, version=300),
    of_bytes(Codec(Unlike, "unlike", lambda value: b"a", lambda data: Order(1)), lambda data: Order(1)),
    of_bytes(Codec(Picky, "picky", encode_picky, decode_picky), decode_picky),
    of_bytes(Codec(Whatever, "whatever", lambda value: value.data, Whatever), Whatever),
    codecs.enum(Color, name="color"),
]  # fmt: skip
VALUES = [Values(CODECS), Values(CODECS, 100), Values(CODECS, longest=300)]
WAYS = [(values, part_of(build, "objects").shortened(values)) for values in VALUES for build in BUILDS]
LENGTHS = [0, 1, 2, 3, 4, 5, *range(225, 262), 300, 1_000, *range(1_020, 1_026), 65_500, *range(65_515, 65_540), 70_000]

numbers = st.integers(-(1 << 63), (1 << 63) - 1)
orders = st.builds(Order, numbers, st.text(max_size=30), st.binary(max_size=300))
any_value = st.one_of(
    orders,
    st.builds(Other, st.floats(allow_nan=False)),
    st.builds(Unlike, numbers),
    st.builds(Picky, st.sampled_from([b"", b"bad", b"good"])),
    st.builds(Whatever, st.binary(max_size=20) | st.text(max_size=20) | st.builds(object)),
    st.builds(Derived, numbers),
    st.sampled_from([Color.RED, "a text", b"bytes", 5, None, ["a list"], {"a": object()}, 2**70]),
)
any_value |= st.lists(any_value, max_size=3)


def outcome_of(function: Any, argument: object) -> Any:
    """What a call gives, or what it raises."""
    try:
        return repr(function(argument))
    except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
        return type(error), str(error), type(error.__cause__)


def compare(data: bytes) -> None:
    for values, way in WAYS:
        assert outcome_of(way.decode, data) == outcome_of(values.decode, data)


@given(any_value)
def test_any_value_is_encoded_and_comes_back_as_the_long_way_has_it(value: object) -> None:
    for values, way in WAYS:
        told = outcome_of(values.encode, value)
        assert outcome_of(way.encode, value) == told
        if isinstance(told, str):
            compare(values.encode(value))


@pytest.mark.parametrize("length", LENGTHS)
def test_whatever_its_length(length: int) -> None:
    for value in (Picky(b"x" * length), Order(1, "", b"x" * length)):
        for values, way in WAYS:
            assert outcome_of(way.encode, value) == outcome_of(values.encode, value)
        if length or isinstance(value, Order):
            compare(VALUES[0].encode(value))


def objects_of(head: bytes, data: bytes) -> list[bytes]:
    """An object, with each header that there is, and wrong ones."""
    payload = head + data
    size = len(payload)
    headers = [size.to_bytes(1, "big") + b"\x0d"] if size < 256 else []
    found = [b"\xc7" + header + payload for header in headers]
    for first, count in ((b"\xc8", 2), (b"\xc9", 4)):
        found += [first + max(0, size + more).to_bytes(count, "big") + b"\x0d" + payload for more in (-1, 0, 1)]
    return [*found, *(each.replace(b"\x0d", b"\x0e", 1) for each in found)]


LONG = b"\xd9\x28" + b"x" * 40
ORDER = msgspec.msgpack.encode(Order(5, "five"))
HEADS = [
    b"\xa5order\x01", b"\xa5order\x02", b"\xa5order\xcc\x01", b"\xd9\x05order\x01", b"\xa5picky\x01", b"\xa5pick",
    LONG + b"\xcd\x01\x2c", LONG + b"\xcd\x01\x2b", b"\xa6unlike\x01", b"\xa5color\x01",
    b"\xd9", b"\xbf", b"\xff", b"\xd9\xff", b"\xa0", b"\x85", b"",
]  # fmt: skip
DATA = [
    b"\xc4\x03bad", b"\xc5\0\x04good", b"\xc6\0\0\0\x04good", b"\xc4\x04goods", b"\xa4good", b"\xc4\x06ab\xd6\xffcd",
    b"\xc4" + bytes((len(ORDER),)) + ORDER, ORDER, b"\xc4\x01\xff", b"\xc4\xff" + b"x" * 255, b"\xc0",
    b"", b"\xc4", b"\xc5", b"\xc5\0", b"\xc6", b"\xc6\0\0\0", b"\xc4\0", b"\xc5\0\0", b"\xc6\0\0\0\0",
]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("data", DATA)
def test_odd_bytes_are_decoded_alike(head: bytes, data: bytes) -> None:
    for told in objects_of(head, data):
        compare(told)
        compare(told[:-1])


@given(any_value, st.randoms(use_true_random=False))
def test_damaged_bytes_are_decoded_alike(value: object, chance: random.Random) -> None:
    try:
        told = bytearray(VALUES[0].encode(value))
    except (TypeError, ValueError):
        return
    for _ in range(5):
        at = chance.randrange(len(told) + 1)
        told[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        compare(bytes(told))
        compare(bytes(told[:at]))


def test_without_such_codecs_there_is_no_other_way() -> None:
    values = Values([codecs.enum(Color)])
    for build in BUILDS:
        assert part_of(build, "objects").shortened(values) is values


def test_a_cache_that_has_such_a_codec_goes_it() -> None:
    with LRUCacheDistributed[str, Order](codecs=CODECS) as cache:
        assert type(cache._values).__name__ == "ShortWay"
        cache.set("a", Order(1))
        assert cache.get("a") == Order(1)


@pytest.mark.parametrize("build", BUILDS)
def test_what_ends_a_program_goes_through(build: str) -> None:
    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    codec = of_bytes(Codec(Picky, "picky", interrupted, interrupted), interrupted)
    way = part_of(build, "objects").shortened(Values([codec]))
    for act in (lambda: way.encode(Picky(b"")), lambda: way.decode(b"\xc7\x0a\x0d\xa5picky\x01\xc4\x01a")):
        with pytest.raises(KeyboardInterrupt):
            act()
