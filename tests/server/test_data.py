"""Values as what JSON can say."""

import dataclasses
import enum
import ipaddress
import json
from collections import OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache import codecs
from lru_cache.replication.encoding import Values
from lru_cache.server.data import DEEPEST, LONGEST_INTEGER_BITS, Data, NotJSONError


class Color(enum.Enum):
    RED = 1


class Size(str, enum.Enum):
    LARGE = "xl"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: Any
    color: Any = Color.RED


@attrs.define
class Item:
    _price: Any
    sizes: Any = ()


class Row(NamedTuple):
    a: Any
    b: Any = None


class User(pydantic.BaseModel):
    id: int = pydantic.Field(alias="number")
    born: date


class Order(msgspec.Struct):
    lines: list[Decimal]
    at: datetime
    mark: bytes = b"ok"


class Angle:
    pass


class Opaque:
    pass


ALL = [
    codecs.dataclass(Point), codecs.attrs(Item), codecs.namedtuple(Row), codecs.enum(Color), codecs.enum(Size),
    codecs.enum(Access), codecs.pydantic(User), codecs.msgspec(Order),
    codecs.Codec(Angle, "angle", encode=lambda _: {"degrees": 90}, decode=lambda _: Angle()),
    codecs.Codec(Opaque, "opaque", encode=lambda _: 1 / 0, decode=lambda _: Opaque()),
]  # fmt: skip
DATA = Data(ALL)
WHEN = datetime(2020, 2, 3, 4, 5, 6, 700, timezone.utc)


def nested(depth: int, value: Any = 1) -> Any:
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, None),
        (True, True),
        (-(2**1000), -(2**1000)),
        (1.5, 1.5),
        ("ключ", "ключ"),
        ("ключ".encode(), "ключ"),
        ([1, (2, [3])], [1, [2, [3]]]),
        ({1}, [1]),
        (frozenset({"a"}), ["a"]),
        (deque([1, 2], 5), [1, 2]),
        ({"a": {"b": ()}}, {"a": {"b": []}}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(None, {"a": b"1"}), {"a": "1"}),
        (WHEN, "2020-02-03T04:05:06.000700+00:00"),
        (date(2020, 2, 3), "2020-02-03"),
        (time(4, 5), "04:05:00"),
        (timedelta(minutes=-1.5), -90.0),
        (Decimal("1.50"), "1.50"),
        (Decimal("NaN"), "NaN"),
        (1 + 2j, "(1+2j)"),
        (Fraction(1, 3), "1/3"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (range(10**18), "range(0, 1000000000000000000)"),
        (PurePosixPath("/a/b"), "/a/b"),
        (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        (Color.RED, "RED"),
        (Size.LARGE, "LARGE"),
        (Access.READ | Access.WRITE, 3),
        (Point(1), {"x": 1, "color": "RED"}),
        (Item(Decimal(2), (Size.LARGE,)), {"_price": "2", "sizes": ["LARGE"]}),
        (Row(1, Row(2)), {"a": 1, "b": {"a": 2, "b": None}}),
        ([Point({"k": Row(Item(b""))}, 1)], [{"x": {"k": {"a": {"_price": "", "sizes": []}, "b": None}}, "color": 1}]),
        (User(number=1, born=date(2000, 1, 1)), {"id": 1, "born": "2000-01-01"}),
        (Order([Decimal(1)], WHEN), {"lines": ["1"], "at": "2020-02-03T04:05:06.000700+00:00", "mark": "ok"}),
        (Angle(), {"degrees": 90}),
        (nested(DEEPEST), nested(DEEPEST)),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_value_is_said_as_plain_data(value: Any, said: Any) -> None:
    found = DATA.of(value)
    assert found == said
    assert json.loads(json.dumps(found, allow_nan=False)) == said


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\xff", "bytes that are not UTF-8"),
        ([{"a": Point(b"\xff")}], "bytes that are not UTF-8"),
        (float("nan"), "the number nan"),
        (Point(float("-inf")), "the number -inf"),
        ({1: 2}, "a key of a dict that is no text but a int"),
        ({Color.RED: 2}, "a key of a dict that is no text but a Color"),
        ({Size.LARGE: 2}, "a key of a dict that is no text but a Size"),
        ("\ud800", "text that is not valid Unicode"),
        ({"\ud800": 1}, "text that is not valid Unicode"),
        (2**LONGEST_INTEGER_BITS, "an integer of more than 1,024 bits"),
        (range(10**5_000), "a range of such long integers"),
        (Order([], WHEN, b"\xff"), "bytes that are not UTF-8"),
        (nested(DEEPEST + 1), "what is nested so deep"),
        (Opaque(), "a Opaque that its codec does not encode (ZeroDivisionError)"),
        ([Data], "a type, for which this node has no codec"),
    ],
    ids=[
        "bytes", "within", "nan", "infinity", "integer", "enum", "text-enum", "surrogate", "key", "long", "range",
        "struct", "deep", "refused", "no-codec",
    ],
)  # fmt: skip
def test_what_json_cannot_say_is_refused_by_name(value: Any, why: str) -> None:
    with pytest.raises(NotJSONError) as refused:
        DATA.of(value)
    assert str(refused.value) == why


def test_a_codec_that_never_ends_is_refused() -> None:
    """It encodes a value as one of the same class."""
    endless = Data([codecs.Codec(Opaque, "opaque", encode=lambda value: value, decode=lambda _: Opaque())])
    with pytest.raises(NotJSONError, match="nested so deep"):
        endless.of(Opaque())


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals()
    | st.fractions() | st.datetimes(timezones=st.timezones()) | st.times() | st.timedeltas() | st.uuids()
    | st.ip_addresses() | st.complex_numbers() | st.sampled_from([*Color, *Size])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda members: (
        st.lists(members) | st.dictionaries(st.text() | st.integers(), members) | st.builds(Point, members, members)
        | st.builds(Item, members, members) | st.lists(members).map(tuple) | st.lists(members).map(deque)
    ),
)  # fmt: skip


@given(VALUES)
def test_whatever_a_cache_can_keep_is_said_or_refused(value: Any) -> None:
    encoding = Values(ALL)
    try:
        kept = encoding.decode(encoding.encode(value))
    except (TypeError, ValueError):
        return
    try:
        said = DATA.of(kept)
    except NotJSONError:
        return
    assert json.loads(json.dumps(said, allow_nan=False, ensure_ascii=False).encode()) == said
