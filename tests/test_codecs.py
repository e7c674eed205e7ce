"""Values of an application's own classes: a closed registry says what becomes of them, and nothing else does."""

import dataclasses
import enum
import ipaddress
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import attr
import msgpack
import msgspec
import pydantic
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lru_cache import LRUCacheDistributed, ProtocolError, codecs
from lru_cache.codecs import Codec
from lru_cache.replication.encoding import UnreadableError, Values, decode_value, encode_value
from tests.concurrency import eventually, link, settle
from tests.conftest import Nodes
from tests.effort import some_or_many


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0


@dataclasses.dataclass(frozen=True)
class Place:
    name: str
    at: tuple[int, int] = (0, 0)
    seen: int = dataclasses.field(default=0, init=False)


class Color(enum.Enum):
    RED = 1
    BLUE = "two"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Row = namedtuple("Row", "a b", defaults=[None])


class Typed(NamedTuple):
    n: int
    m: str = "m"


@attr.define
class Item:
    _code: int
    label: str = "none"
    tags: list[Any] = attr.field(factory=list)


class User(pydantic.BaseModel):
    id: int
    name: str = pydantic.Field(default="", alias="Name")
    groups: set[str] = set()
    color: Color = Color.RED


class Order(msgspec.Struct):
    number: int
    amount: Decimal = Decimal(0)
    lines: list[str] = []


class Temperature:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Temperature) and other.degrees == self.degrees

    def __hash__(self) -> int:
        return hash(self.degrees)


ALL: list[Codec[Any]] = [
    codecs.dataclass(Point), codecs.dataclass(Place, name="place", version=3), codecs.enum(Color), codecs.enum(Access),
    codecs.namedtuple(Row), codecs.namedtuple(Typed), codecs.attrs(Item), codecs.pydantic(User), codecs.msgspec(Order),
    Codec(Temperature, "temperature", lambda value: value.degrees, Temperature),
]  # fmt: skip
VALUES = Values(ALL)

numbers = st.integers() | st.floats(allow_nan=False) | st.fractions() | st.decimals(allow_nan=False)
frozen = st.one_of(
    st.text(),
    numbers,
    st.sampled_from(Color),
    st.sampled_from([Access.READ, Access.WRITE, Access.READ | Access.WRITE, Access(0)]),
    st.builds(Place, st.text(), st.tuples(st.integers(), st.integers())),
    st.builds(Typed, st.integers(), st.text()),
    st.builds(Temperature, st.floats(allow_nan=False)),
    st.ip_addresses(),
    st.ip_addresses(v=4).map(lambda address: ipaddress.IPv4Interface(f"{address}/24")),
    st.ip_addresses(v=6).map(lambda address: ipaddress.IPv6Network(f"{address}/64", strict=False)),
    st.text("ab/.").map(PurePosixPath),
    st.text("ab/\\.:").map(PureWindowsPath),
    st.builds(range, st.integers(), st.integers(), st.integers(min_value=1)),
)
anything = st.recursive(
    frozen | st.builds(User, id=st.integers(), Name=st.text(), groups=st.sets(st.text(max_size=3), max_size=3))
    | st.builds(Order, st.integers(-(1 << 63), (1 << 63) - 1), st.just(Decimal("1.50")), st.lists(st.text(max_size=3))),
    lambda inner: st.one_of(
        st.lists(inner),
        st.tuples(inner, inner),
        st.dictionaries(frozen, inner, max_size=3),
        st.frozensets(frozen, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Row, inner, inner),
        st.builds(Item, st.integers(), st.text(), st.lists(inner, max_size=2)),
        st.builds(deque, st.lists(inner, max_size=3), st.none() | st.integers(3, 1000)),
        st.dictionaries(frozen, inner, max_size=3).map(OrderedDict),
        st.dictionaries(frozen, inner, max_size=3).map(lambda items: defaultdict(None, items)),
    ),
    max_leaves=10,
)  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type, all the way down."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict):
        return [*map(type, one)] == [*map(type, other)] and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple, deque)):
        return getattr(one, "maxlen", 0) == getattr(other, "maxlen", 0) and all(map(same, one, other))
    if isinstance(one, (Point, Place)):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    return True


@given(anything)
@example(Item(1, tags=[Point(Color.RED, (Row(1),))]))
def test_what_has_a_codec_comes_back_as_it_was(value: Any) -> None:
    assert same(VALUES.decode(VALUES.encode(value)), value)


def test_what_a_constructor_does_not_take_comes_back_too() -> None:
    place = Place("a")
    object.__setattr__(place, "seen", 5)
    assert VALUES.decode(VALUES.encode(place)).seen == 5  # type: ignore[attr-defined]


def test_a_defaultdict_comes_back_without_its_factory() -> None:
    back = decode_value(encode_value(defaultdict(list, {1: [2]})))
    assert (type(back), back, back.default_factory) == (defaultdict, {1: [2]}, None)  # type: ignore[attr-defined]


def test_a_subclass_of_a_class_with_a_codec_is_another_class() -> None:
    class Near(Point):
        pass

    with pytest.raises(TypeError, match="Near, for which this cache has no codec"):
        VALUES.encode(Near(1))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (Point(1), "codecs=[codecs.dataclass(Point)]"),
        (User(id=1), "codecs=[codecs.pydantic(User)]"),
        (Order(1), "codecs=[codecs.msgspec(Order)]"),
        (Item(1), "codecs=[codecs.attrs(Item)]"),
        (Color.RED, "codecs=[codecs.enum(Color)]"),
        (Row(1), "codecs=[codecs.namedtuple(Row)]"),
        (Temperature(1), "codecs=[codecs.Codec(Temperature, encode=..., decode=...)]"),
    ],
)
def test_without_a_codec_set_says_which_line_to_write(value: Any, line: str) -> None:
    with LRUCacheDistributed[str, Any]() as cache:
        with pytest.raises(TypeError) as refusal:
            cache.set("a", [value])
        assert str(refusal.value).endswith(line)
        assert "\n" not in str(refusal.value)
        assert "a" not in cache


def test_what_is_wrong_within_an_object_is_said_with_its_place() -> None:
    with pytest.raises(TypeError, match=r"value\[0\].data\['x'\].data\['y'\]\[1\] is of type object"):
        VALUES.encode([Point(Point(1, [2, object()]))])
    for unasked in (bytearray(b"a"), [bytearray(b"a")], {1: (memoryview(b"a"),)}):
        with pytest.raises(TypeError, match=r"value.data\['x'\].* is of type .*keep bytes\(value\)"):
            VALUES.encode(Point(unasked))
    in_itself = Point(1)
    in_itself.y = [in_itself]
    with pytest.raises(ValueError, match="nested more than 128 deep, or contains itself"):
        VALUES.encode(in_itself)


def test_a_codec_that_fails_is_a_type_error_that_names_the_class() -> None:
    values = Values([Codec(Temperature, "t", lambda value: 1 / 0, Temperature)])
    with pytest.raises(
        TypeError, match=r"value\['a'\] is of type .*Temperature, whose codec did not encode it: ZeroDiv"
    ):
        values.encode({"a": Temperature(1)})


# -- other versions of a class -----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Newer:
    """A `Point` of later: with another field, and without one."""

    x: int
    z: int = 9


def test_fields_that_are_new_here_have_their_defaults_and_others_are_ignored_or_refused() -> None:
    told = Values([codecs.dataclass(Point, name="p")]).encode(Point(1, 2))
    assert Values([codecs.dataclass(Newer, name="p")]).decode(told) == Newer(1, 9)
    with pytest.raises(UnreadableError, match=r"refuses.*fields that are not known here.*'y'"):
        Values([codecs.dataclass(Newer, name="p", unknown="refuse")]).decode(told)


def test_a_field_without_a_default_must_be_there() -> None:
    told = Values([codecs.dataclass(Newer, name="p")]).encode(Newer(1))

    @dataclasses.dataclass
    class Strict:
        x: int
        y: int

    with pytest.raises(UnreadableError, match="refuses"):
        Values([codecs.dataclass(Strict, name="p")]).decode(told)


def test_an_older_version_is_upgraded_and_a_newer_one_is_unreadable() -> None:
    older = Values([codecs.dataclass(Point, name="p")])
    newer = Values([codecs.dataclass(Newer, name="p", version=2, upgrade=lambda data, of: {"x": data["x"], "z": of})])
    assert newer.decode(older.encode(Point(5, 6))) == Newer(5, 1)
    with pytest.raises(UnreadableError, match="'p' of version 2, where this node has 1"):
        older.decode(newer.encode(Newer(5)))


def test_a_decode_of_one_argument_takes_no_older_version() -> None:
    def values(version: int, decode: Any) -> Values:
        return Values([Codec(Temperature, "t", lambda value: value.degrees, decode, version)])

    told = values(1, Temperature).encode(Temperature(20))
    with pytest.raises(UnreadableError, match="of version 1, where this node has 2"):
        values(2, lambda data: Temperature(data)).decode(told)  # noqa: PLW0108 - of one argument
    assert values(2, lambda data, version: Temperature(data * version)).decode(told) == Temperature(20)


# -- what comes from others --------------------------------------------------------------------------------------------


def object_of(name: Any, version: Any, data: bytes = b"\xc0") -> bytes:
    payload = encode_value(name) + encode_value(version) + data
    return bytes((0xC8,)) + len(payload).to_bytes(2, "big") + b"\x0d" + payload


@pytest.mark.parametrize(
    "data",
    [
        object_of("os.system", 1, encode_value("true")),
        object_of("builtins.eval", 1, encode_value("1")),
        object_of("tests.test_codecs.Temperature", 1, encode_value(1)),
        object_of("", 1),
        object_of(".fraction", 1, encode_value([1, 0])),
        object_of(".fraction", 1, encode_value([2, 4])),
        object_of(".range", 1, encode_value([1, 2])),
        object_of(".deque", 1, encode_value([1, [1, 2]])),
        object_of(".deque", 1, encode_value([1 << 70, []])),
        object_of(".posix_path", 1, encode_value(b"a")),
        object_of(".ipv4_address", 1, encode_value("1.2.3.4/24")),
        object_of(".ordered_dict", 1, encode_value([])),
        object_of("tests.test_codecs.Color", 1, encode_value("__class__")),
        object_of("tests.test_codecs.Color", 1, encode_value("GREEN")),
        object_of("tests.test_codecs.Point", 1, encode_value({"x": 1, "__class__": 2, "y": object_of.__name__})),
        object_of("tests.test_codecs.Point", 2, encode_value({"x": 1})),
        object_of("tests.test_codecs.Point", 0, encode_value({"x": 1})),
        object_of("tests.test_codecs.Point", True, encode_value({"x": 1})),
        object_of(5, 1),
        object_of("x" * 1000, 1),
        object_of("place", 3, b"\xc1"),
        object_of("place", 3, b""),
        object_of("place", 3, b"\xc0\xc0"),
        b"\xc7\x00\x0d",
    ],
)  # fmt: skip
def test_bytes_reach_no_code_but_the_codec_of_that_name(data: bytes) -> None:
    imported = set(sys.modules)
    try:
        value = VALUES.decode(data)
    except ProtocolError:
        pass
    else:
        assert value == Point(1, "object_of")  # which ignores what it does not know
    assert set(sys.modules) == imported


def test_objects_nested_without_end_are_refused() -> None:
    data = b"\xc0"
    for _ in range(3_000):
        payload = encode_value("tests.test_codecs.Point") + b"\x01" + b"\x81\xa1x" + data
        data = bytes((0xC9,)) + len(payload).to_bytes(4, "big") + b"\x0d" + payload
    with pytest.raises(ProtocolError):
        VALUES.decode(data)
    assert VALUES.decode(VALUES.encode(Point(1))) == Point(1)


def test_large_objects_within_objects_are_read_in_one_go() -> None:
    """Dicts with keys that are no texts, in large values, are found to be so only by an attempt."""
    value = Point("x" * 5_000)
    for _ in range(60):
        value = Point(value, {1: 2})  # which would be 2 to the power of 60 attempts
    assert VALUES.decode(VALUES.encode([value])) == [value]


@given(anything, st.data())
def test_damaged_bytes_are_a_value_or_a_protocol_error(value: Any, data: st.DataObject) -> None:
    told = bytearray(VALUES.encode([value]))
    for _ in range(some_or_many(5, 50)):
        told[data.draw(st.integers(0, len(told) - 1))] = data.draw(st.integers(0, 255))
        try:
            VALUES.decode(bytes(told))
        except ProtocolError:
            pass


# -- between nodes -----------------------------------------------------------------------------------------------------


def test_a_value_reaches_other_nodes_as_it_was(nodes: Nodes) -> None:
    one = nodes(local_address=("127.0.0.1", 0), codecs=ALL)
    other = nodes(remote_address=one.local_address, codecs=ALL)
    link(one, other)
    for key, value in enumerate((Point(1, [Place("a")]), Color.BLUE, Item(5), User(id=1, Name="u"), Order(7))):
        one.set(key, value)
        settle(one)
        assert other.get(key) == value
        assert type(other[key]) is type(value)


def test_what_a_node_cannot_read_is_a_miss_there_and_is_passed_on(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    """Also to who comes later, after it was asked for here."""
    knows = nodes(local_address=("127.0.0.1", 0), codecs=ALL)
    knows_not = nodes(local_address=("127.0.0.1", 0), remote_address=knows.local_address)
    link(knows, knows_not)
    for number in range(5):
        knows.set(number, Point(number))
    knows.set("plain", 1)
    settle(knows)
    assert [knows_not.get(number, "default") for number in range(5)] == ["default"] * 5
    assert knows_not.get_many([0, 1, "plain"]) == {"plain": 1}
    assert (list(knows_not), 0 in knows_not, knows_not.peek(0)) == (["plain"], False, None)
    assert knows_not.stats().undecodable == 5
    assert len([line for line in caplog.messages if "tests.test_codecs.Point" in line and "is a miss" in line]) == 1
    later = nodes(remote_address=knows_not.local_address, codecs=ALL)
    link(later)
    eventually(lambda: later.get(4) == Point(4))
    assert [later.get(number) for number in range(5)] == [Point(number) for number in range(5)]


def test_what_a_node_cannot_read_it_may_load_set_or_drop(nodes: Nodes) -> None:
    knows = nodes(local_address=("127.0.0.1", 0), codecs=ALL)
    knows_not = nodes(remote_address=knows.local_address)
    link(knows, knows_not)
    for key in "abcd":
        knows.set(key, Point(key))
    settle(knows)
    assert [knows_not.get(key) for key in "abcd"] == [None] * 4
    assert knows_not.get("a", load=lambda key: "loaded") == "loaded"
    knows_not.set("b", "set")
    assert knows_not.pop("c", "default") == "default"
    knows_not.invalidate("d")
    settle(knows_not)
    assert (knows_not.get("a"), knows_not.get("b"), knows_not.get("d")) == ("loaded", "set", None)
    assert (knows.get("b"), knows.get("c"), knows.get("d")) == ("set", None, None)  # `pop` invalidates, too


def test_a_listener_is_told_nothing_of_what_could_not_be_read(nodes: Nodes) -> None:
    told: list[Any] = []
    knows = nodes(local_address=("127.0.0.1", 0), codecs=ALL)
    knows_not = nodes(remote_address=knows.local_address, on_removal=told.append)
    link(knows, knows_not)
    knows.set("a", Point(1))
    settle(knows)
    assert knows_not.get("a") is None
    knows.set("a", Point(2))
    settle(knows)
    knows_not.clear()
    assert told == []


OLD_NODE = """
import dataclasses, sys
from lru_cache import LRUCacheDistributed, codecs

@dataclasses.dataclass
class Point:
    x: int

known = [codecs.dataclass(Point, name="point")] if sys.argv[2] == "old" else []
with LRUCacheDistributed(remote_address=("127.0.0.1", int(sys.argv[1])), codecs=known) as cache:
    assert cache.wait_connected(timeout=30)
    for _ in range(3000):
        if cache.get("done"):
            break
        import time; time.sleep(0.01)
    print(cache.get("a"), cache.stats().undecodable)
    if known:
        cache.set("b", Point(7))
        assert cache.flush(30)
"""


@pytest.mark.parametrize(("age", "printed"), [("old", "Point(x=1) 0"), ("none", "None 1")])
def test_a_process_with_an_older_class_or_none_lives_beside_this_one(nodes: Nodes, age: str, printed: str) -> None:
    cache = nodes(local_address=("127.0.0.1", 0), codecs=[codecs.dataclass(Point, name="point")])
    cache.set("a", Point(1, 2))
    cache.set("done", True)
    address = cache.local_address
    assert isinstance(address, tuple)
    ran = subprocess.run(
        [sys.executable, "-c", OLD_NODE, str(address[1]), age], capture_output=True, text=True, timeout=100, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, printed), ran.stderr
    if age == "old":
        assert cache.get("b") == Point(7, 0)


# -- arguments ---------------------------------------------------------------------------------------------------------


class Bare:
    pass


@pytest.mark.parametrize(
    ("make", "error", "line"),
    [
        (lambda: codecs.dataclass(Bare), TypeError, "takes a dataclass"),
        (lambda: codecs.attrs(Bare), TypeError, "takes a class of attrs"),
        (lambda: codecs.enum(Bare), TypeError, "takes an Enum"),
        (lambda: codecs.namedtuple(Bare), TypeError, "takes a namedtuple"),
        (lambda: codecs.pydantic(Bare), TypeError, "takes a model of pydantic"),
        (lambda: codecs.msgspec(Bare), TypeError, "takes a Struct"),
        (lambda: codecs.dataclass(Point(1)), TypeError, "a codec is of a class"),
        (lambda: codecs.dataclass(Point, name=5), TypeError, "name must be a str"),
        (lambda: codecs.dataclass(Point, name=".a"), ValueError, "name must be printable"),
        (lambda: codecs.dataclass(Point, name="a" * 101), ValueError, "name must be printable"),
        (lambda: codecs.dataclass(Point, version="1"), TypeError, "version must be an int"),
        (lambda: codecs.dataclass(Point, version=0), ValueError, "version must be from 1"),
        (lambda: codecs.dataclass(Point, unknown="skip"), ValueError, "unknown must be 'ignore' or 'refuse'"),
        (lambda: Codec(Bare, "bare", encode=5, decode=Bare), TypeError, "encode of the codec of Bare must be callable"),
        (lambda: Codec(Bare, "bare", encode=str), TypeError, "decode of the codec of Bare must be callable"),
        (lambda: LRUCacheDistributed(codecs=[Point]), TypeError, "codecs must be made by lru_cache.codecs"),
        (lambda: LRUCacheDistributed(codecs=Point), TypeError, "codecs must be iterable"),
        (lambda: Values([ALL[0], ALL[0]]), ValueError, "is encoded already, or has two codecs"),
        (lambda: Values([Codec(int, "int", int, int)]), ValueError, "int is encoded already"),
        (lambda: Values([Codec(bytearray, "b", bytes, bytearray)]), ValueError, "bytearray is encoded already"),
        (
            lambda: Values([codecs.dataclass(Point, name="a"), codecs.enum(Color, name="a")]),
            ValueError, "two of them are named 'a'",
        ),
    ],
)  # fmt: skip
def test_a_wrong_argument_gets_one_line(make: Callable[[], Any], error: type[Exception], line: str) -> None:
    with pytest.raises(error, match=line) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_a_codec_says_what_it_is() -> None:
    assert repr(ALL[1]) == "Codec(Place, name='place', version=3)"
    assert (ALL[0].name, ALL[0].version) == ("tests.test_codecs.Point", 1)


def test_importing_codecs_imports_none_of_the_libraries_that_they_are_for() -> None:
    code = "import lru_cache.codecs, sys; print([m for m in ('attr', 'pydantic', 'msgspec') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_popitem_takes_from_nobody_what_cannot_be_read_here(nodes: Nodes) -> None:
    knows = nodes(local_address=("127.0.0.1", 0), codecs=ALL)
    knows_not = nodes(remote_address=knows.local_address)
    link(knows, knows_not)
    for number in range(3):
        knows.set(number, Point(number))
    knows.set("plain", 1)
    settle(knows)
    knows_not.get(0)
    assert knows_not.popitem() == ("plain", 1)
    settle(knows_not)
    assert (sorted(knows), knows.get(2)) == ([0, 1, 2], Point(2))


def test_what_would_take_too_long_or_too_much_is_refused_on_both_sides() -> None:
    with pytest.raises(ValueError, match="no fraction of such long numbers"):
        encode_value(Fraction(1 << 9_000, 3))
    with pytest.raises(ProtocolError, match="no fraction of such long numbers"):
        decode_value(object_of(".fraction", 1, encode_value([1 << 9_000, 3])))
    deep: Any = "x" * 1_000_000
    for _ in range(100):
        deep = Point(deep)
    with pytest.raises(ValueError, match="too deep for"):
        VALUES.encode(deep)
    data = encode_value(b"\0" * 4_000_000)
    for _ in range(100):
        payload = encode_value(".deque") + b"\x01\x92\xc0\x91" + data
        data = b"\xc9" + len(payload).to_bytes(4, "big") + b"\x0d" + payload
    with pytest.raises(ProtocolError, match="too deep for"):
        VALUES.decode(data)


class Money:
    def __init__(self, amount: int, currency: str = "EUR") -> None:
        self.amount, self.currency = amount, currency


def test_a_second_argument_that_may_be_left_out_is_no_version() -> None:
    values = Values([Codec(Money, "money", lambda money: money.amount, Money)])
    back: Any = values.decode(values.encode(Money(5)))
    assert (back.amount, back.currency) == (5, "EUR")


def test_models_of_pydantic_come_back_by_their_fields_names_or_are_refused() -> None:
    class Aliased(pydantic.BaseModel):
        a: int = pydantic.Field(default=1, validation_alias="A", serialization_alias="b")

    class Rooted(pydantic.RootModel[list[int]]):
        pass

    class Hiding(pydantic.BaseModel):
        a: int = pydantic.Field(default=1, exclude=True)

    values = Values([codecs.pydantic(kind, name=kind.__name__) for kind in (Aliased, Rooted, Hiding)])
    for value in (Aliased(A=9), Rooted([1, 2])):
        assert values.decode(values.encode(value)) == value
    with pytest.raises(TypeError, match="does not come back as it was: write a Codec"):
        values.encode(Hiding(a=5))


def test_an_inherited_init_var_is_noticed() -> None:
    @dataclasses.dataclass
    class Base:
        x: dataclasses.InitVar[int]

    @dataclasses.dataclass
    class Derived(Base):
        y: int = 0

    with pytest.raises(TypeError, match="has an InitVar"):
        codecs.dataclass(Derived)


def test_what_is_longer_than_a_node_takes_is_unreadable_there_and_stays() -> None:
    told = compressing(longest=1 << 22).encode([*range(200_000)])
    with pytest.raises(UnreadableError, match="more than 10000"):
        compressing(longest=10_000).decode(told)


# -- compressed --------------------------------------------------------------------------------------------------------

LARGE = {"text": "".join(map(str, range(5_000))), "point": [Point(n) for n in range(100)]}


def compressing(over: int | None = 1_000, longest: int = 1 << 20) -> Values:
    return Values(ALL, over, longest)


def test_what_is_longer_than_that_is_compressed_and_comes_back() -> None:
    told = compressing().encode(LARGE)
    assert len(told) < len(VALUES.encode(LARGE)) / 2
    assert compressing().encode("a" * 100_000) == encode_value("a" * 100_000)  # a bomb would be no shorter
    assert VALUES.decode(told) == LARGE  # by any node, whether it compresses itself or not
    assert compressing().encode(Point(1)) == VALUES.encode(Point(1))
    noise = bytes(random.Random(1).randbytes(10_000))
    assert compressing().encode(noise) == VALUES.encode(noise)  # it would only grow


def extension_of(payload: bytes) -> bytes:
    packed: bytes = msgpack.packb(msgpack.ExtType(14, payload))
    return packed


def squeezed(data: bytes, length: int | None = None, method: int = 1) -> bytes:
    return extension_of(struct.pack(">BI", method, len(data) if length is None else length) + zlib.compress(data))


@pytest.mark.parametrize(
    "data",
    [
        squeezed(encode_value("a"), 3),
        squeezed(encode_value("a"), 1),
        squeezed(b""),
        squeezed(encode_value("a"))[:-1],
        squeezed(b"\xc0\xc0"),
        squeezed(encode_value("a" * 100) + b"\xc0"),
        squeezed(squeezed(encode_value("a" * 100))),
        encode_value([1])[:1] + squeezed(encode_value("a")),  # within a list
        object_of("tests.test_codecs.Point", 1, b"\x81\xa1x" + squeezed(encode_value("a"))),
        object_of("tests.test_codecs.Temperature", 1, squeezed(encode_value(5.0))),
        extension_of(b"\x01"),
        extension_of(struct.pack(">BI", 1, 5) + b"no zlib's"),
        squeezed(encode_value("a"))[:-4] + b"\0\0\0\0",
    ],
)
def test_what_is_compressed_wrongly_or_not_outermost_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        VALUES.decode(data)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    honest, liar = squeezed(b"\0" * 50_000_000), squeezed(b"\0" * 50_000_000, 1_000)
    values = compressing(longest=1 << 20)
    tracemalloc.start()
    try:
        for bomb in (honest, liar):
            with pytest.raises(ProtocolError):
                values.decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_way_of_compressing_that_a_node_does_not_know_is_unreadable() -> None:
    with pytest.raises(UnreadableError, match="compressed by the method 7"):
        VALUES.decode(squeezed(encode_value("a"), method=7))


def test_a_value_that_would_be_too_long_to_be_read_is_not_compressed() -> None:
    assert len(compressing(100, 10_000).encode("a" * 20_000)) > 20_000
    with (
        LRUCacheDistributed[str, str](compress_over=100, maximum_value_bytes=10_000) as cache,
        pytest.raises(ValueError, match="more than maximum_value_bytes=10000"),
    ):
        cache.set("a", "a" * 20_000)


def test_nodes_tell_each_other_compressed_values_and_one_between_only_passes_them_on(nodes: Nodes) -> None:
    one = nodes(local_address=("127.0.0.1", 0), compress_over=1_000, codecs=ALL)
    middle = nodes(local_address=("127.0.0.1", 0), remote_address=one.local_address)
    last = nodes(remote_address=middle.local_address, codecs=ALL)
    link(one, last)
    link(middle, count=2)
    one.set("a", LARGE)
    one.set("b", "b")
    eventually(lambda: last.get("b") == "b")
    assert last.get("a") == LARGE
    entry: Any = middle._store.find("a")
    assert entry.value is entry.version.payload  # as it came
    assert len(entry.value) < len(VALUES.encode(LARGE)) / 2
    assert (one.get("a") is LARGE, one.stats().bytes_sent < len(VALUES.encode(LARGE))) == (True, True)


@pytest.mark.parametrize("over", [0, -1, "4096", True, 1.5])
def test_a_length_to_compress_over_is_a_number_of_bytes(over: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="compress_over must be"):
        LRUCacheDistributed(compress_over=over)
