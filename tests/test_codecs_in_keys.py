"""Objects of an application's own classes as keys: equal ones are one key on all nodes, others are never."""

import dataclasses
import enum
from collections import namedtuple
from decimal import Decimal
from typing import Any, Generic, TypeVar

import attr
import msgpack
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache import ProtocolError, codecs
from lru_cache.codecs import Codec
from lru_cache.replication.encoding import MAXIMUM_DEPTH, Keys, OpaqueKey, decode_key
from tests.concurrency import eventually, link, settle
from tests.conftest import Nodes

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Place:
    name: Any
    at: Any = (0, 0)


@dataclasses.dataclass(frozen=True, order=True)
class Derived(Place):
    more: int = dataclasses.field(default=0, hash=False)


@attr.frozen
class Item:
    _code: Any
    label: str = "none"


class User(pydantic.BaseModel, frozen=True):
    id: int
    place: Any = pydantic.Field(default=None, alias="Place")


class Order(msgspec.Struct, frozen=True):
    number: Any
    amount: Decimal = Decimal(0)


class Color(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 - another name for it
    BLUE = "two"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Row = namedtuple("Row", "a b")


class Folded:
    """A text in any case."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folded) and other.text.lower() == self.text.lower()

    def __hash__(self) -> int:
        return hash(self.text.lower())


ALL: list[Codec[Any]] = [
    codecs.dataclass(Place), codecs.dataclass(Derived, name="derived", version=7), codecs.attrs(Item),
    codecs.pydantic(User), codecs.msgspec(Order), codecs.enum(Color), codecs.enum(Access), codecs.namedtuple(Row),
    Codec(Folded, "folded", lambda value: value.text.lower(), Folded, keys=True),
]  # fmt: skip
KEYS = Keys(ALL)

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 0.5, Decimal(1), Decimal("0.5")]),
    st.text("aB\r", max_size=2), st.sampled_from(Color), st.sampled_from([Access.READ, Access.READ | Access.WRITE]),
    st.text("aAbB", max_size=2).map(Folded),
)  # fmt: skip
keys = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner),
        st.frozensets(inner, max_size=3),
        st.builds(Place, inner, inner),
        st.builds(Derived, inner, inner, st.integers(0, 2)),
        st.builds(Item, inner, st.sampled_from(["a", "none"])),
        st.builds(User, id=st.integers(0, 2), Place=inner),
        st.builds(Order, inner),
        st.builds(Row, inner, inner),
    ),
    max_leaves=5,
)


@given(keys)
def test_a_key_comes_back_as_an_equal_one(key: Any) -> None:
    data = KEYS.encode(key)
    back = KEYS.decode(data)
    assert back == key
    assert hash(back) == hash(key)
    assert KEYS.encode(back) == data


@given(keys, keys)
def test_keys_have_the_same_bytes_if_and_only_if_they_are_equal(one: Any, other: Any) -> None:
    assert (KEYS.encode(one) == KEYS.encode(other)) == (one == other)


def test_numbers_in_an_object_are_one_key_whatever_they_came_as() -> None:
    assert KEYS.encode(Place(1, (True, 0.5))) == KEYS.encode(Place(1.0, (Decimal(1), Decimal("0.5"))))
    assert KEYS.encode(Order(1)) == KEYS.encode(Order(1.0))
    assert KEYS.encode(Folded("A")) == KEYS.encode(Folded("a"))


def test_what_equals_a_plain_key_has_its_bytes() -> None:
    assert KEYS.encode(Row(1, "x")) == KEYS.encode((1, "x"))


@dataclasses.dataclass(frozen=True)
class ByHand:
    x: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByHand)

    def __hash__(self) -> int:
        return 1


@dataclasses.dataclass(frozen=True)
class InPart:
    x: int
    y: int = dataclasses.field(default=0, compare=False)


@dataclasses.dataclass(unsafe_hash=True)
class Thawed:
    x: int


@attr.define(unsafe_hash=True)
class ThawedItem:
    x: int


@attr.frozen
class Lower:
    x: str = attr.field(eq=str.lower)


class ThawedUser(pydantic.BaseModel):
    x: int = 0

    __hash__ = object.__hash__


class OpenUser(pydantic.BaseModel, frozen=True, extra="allow"):
    x: int = 0


class Of(pydantic.BaseModel, Generic[T], frozen=True):
    x: T


class ThawedOrder(msgspec.Struct):
    x: int = 0

    __hash__ = object.__hash__


class Plain:
    pass


NOT_ALL_FIELDS = "does not compare and hash by all of its fields"


@pytest.mark.parametrize(
    ("codec", "key", "why"),
    [
        (codecs.dataclass(Thawed), Thawed(1), "not frozen"),
        (codecs.dataclass(ByHand), ByHand(1), NOT_ALL_FIELDS),
        (codecs.dataclass(InPart), InPart(1), NOT_ALL_FIELDS),
        (codecs.attrs(ThawedItem), ThawedItem(1), "not frozen"),
        (codecs.attrs(Lower), Lower("x"), NOT_ALL_FIELDS),
        (codecs.pydantic(ThawedUser), ThawedUser(), "not frozen"),
        (codecs.pydantic(OpenUser), OpenUser(), NOT_ALL_FIELDS),
        (codecs.pydantic(Of[int]), Of[int](x=1), NOT_ALL_FIELDS),
        (codecs.msgspec(ThawedOrder), ThawedOrder(), "not frozen"),
        (Codec(Plain, "plain", vars, Plain), Plain(), "give it keys=True"),
    ],
)
def test_a_class_that_does_not_serve_as_a_key_is_refused_and_why(codec: Codec[Any], key: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why) as refused:
        Keys([codec]).encode(("at", key))
    assert str(refused.value).startswith("key[1] is of type ")
    assert type(key).__qualname__ in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_class_without_a_codec_is_told_the_line_to_write() -> None:
    with pytest.raises(TypeError, match=r"^key\[0\] .*no codec: give it codecs=\[codecs.dataclass\(Place\)\]$"):
        Keys().encode((Place(1),))


def test_what_is_wrong_within_a_key_is_said_with_its_place() -> None:
    with pytest.raises(TypeError, match=r"^key\[0\]\.data\['name'\]\[1\] is of type object"):
        KEYS.encode((Place((1, object())),))
    deep: Any = 1
    for _ in range(MAXIMUM_DEPTH):
        deep = Place(deep)
    with pytest.raises(ValueError, match="nested more than"):
        KEYS.encode(deep)


def test_an_unhashable_class_has_no_codec_for_keys() -> None:
    class Point:
        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(TypeError, match="Point is unhashable"):
        Codec(Point, "point", vars, Point, keys=True)


@pytest.mark.parametrize("place", [Place("x"), ("at", Place("x", (1, 2))), frozenset([Place(1), Place(2)])])
def test_a_key_that_lacks_a_codec_is_opaque(place: Any) -> None:
    data = KEYS.encode(place)
    assert decode_key(data) == OpaqueKey(data)
    assert Keys([codecs.dataclass(Place, version=2)]).decode(data) == OpaqueKey(data)


def test_a_key_whose_codec_makes_something_else_of_it_here_is_opaque() -> None:
    def refuse(_: Any) -> Any:
        raise RuntimeError

    class Angry(Folded):
        def __hash__(self) -> int:
            raise RuntimeError

    data = KEYS.encode(Folded("a"))
    for codec in (
        Codec(Folded, "folded", lambda value: value.text.lower(), refuse, keys=True),
        Codec(Folded, "folded", lambda value: value.text.upper(), Folded, keys=True),
        Codec(Folded, "folded", refuse, Folded, keys=True),
        Codec(Angry, "folded", lambda value: value.text.lower(), Angry, keys=True),
    ):
        assert Keys([codec]).decode(data) == OpaqueKey(data)


@given(keys, st.data())
def test_damaged_bytes_are_a_key_or_a_protocol_error(key: Any, data: st.DataObject) -> None:
    whole = bytearray(KEYS.encode(key))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole)
    try:
        back = KEYS.decode(damaged)
    except ProtocolError:
        return
    if type(back) is OpaqueKey:
        assert back.data == damaged
    else:
        assert KEYS.encode(back) == damaged


def test_objects_nested_without_end_are_refused() -> None:
    name = b"\xabtests.Place\x01"
    data = b"\xc0"
    while len(data) < 60_000:
        data = b"\xc9" + (len(name) + len(data)).to_bytes(4, "big") + b"\x0d" + name + data
    codec = codecs.dataclass(Place, name="tests.Place")
    with pytest.raises(ProtocolError):
        Keys([codec]).decode(data)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "tests.test_codecs_in_keys.Plain", "Place", ".fraction"]
)
def test_bytes_reach_no_code_but_the_codec_of_that_name(name: str) -> None:
    payload = msgpack.packb(name) + msgpack.packb(1) + msgpack.packb("echo")
    data = msgpack.packb(msgpack.ExtType(13, payload))
    assert KEYS.decode(data) == OpaqueKey(data)


# -- between nodes -----------------------------------------------------------------------------------------------------


def test_an_object_is_one_key_on_all_nodes(nodes: Nodes) -> None:
    one = nodes(local_address=("127.0.0.1", 0), codecs=ALL)
    other = nodes(remote_address=one.local_address, codecs=ALL)
    link(one, other)
    for key in (Place("a", (1, 2)), User(id=1, Place=Color.RED), Order(3), Item(4), ("x", Derived(1)), Folded("q")):
        one.set(key, 1)
        settle(one)
        assert other.get(key) == 1
        other.invalidate(key)
        settle(other)
        assert one.get(key) is None


def test_memoized_functions_take_objects(nodes: Nodes) -> None:
    one = nodes(local_address=("127.0.0.1", 0), codecs=ALL)
    other = nodes(remote_address=one.local_address, codecs=ALL)
    link(one, other)
    calls = []
    for cache in (one, other):

        @cache.memoize()
        def name(place: Place) -> Any:
            calls.append(place)
            return place.name

        assert name(Place("a")) == "a"
        settle(one)
    assert calls == [Place("a")]


@pytest.mark.parametrize("version", [None, 2])
def test_a_node_without_the_codec_passes_such_keys_on(nodes: Nodes, version: int | None) -> None:
    """Values, invalidations and clears, also to who comes later."""
    knows = nodes(local_address=("127.0.0.1", 0), codecs=ALL, version=version)
    knows_not = nodes(local_address=("127.0.0.1", 0), remote_address=knows.local_address, version=version)
    link(knows, knows_not)
    for number in range(5):
        knows.set(Place(number), number)
    knows.set("plain", 1)
    settle(knows)
    assert list(knows_not) == ["plain"]
    later = nodes(remote_address=knows_not.local_address, codecs=ALL, version=version)
    link(later)
    eventually(lambda: later.get(Place(4)) == 4)
    assert [later.get(Place(number)) for number in range(5)] == [*range(5)]
    later.invalidate(Place(1))
    settle(later)
    eventually(lambda: knows.get(Place(1)) is None)
    knows.set(Place(1), "anew")
    eventually(lambda: later.get(Place(1)) == "anew")
    knows_not.clear()
    eventually(lambda: len(knows) == len(later) == 0)
