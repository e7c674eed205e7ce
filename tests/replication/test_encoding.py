"""Values come back as they were, equal keys have equal bytes, and a peer's bytes give a value or a ProtocolError."""

import enum
import gc
import json
import math
import os
import subprocess
import sys
import threading
import tracemalloc
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, FloatOperation, InvalidOperation, localcontext
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lru_cache.codecs import Codec
from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding import (
    MAXIMUM_COLLISIONS,
    MAXIMUM_DEPTH,
    MAXIMUM_KEY_BYTES,
    MAXIMUM_KEY_NUMBER_BYTES,
    MAXIMUM_NUMBER_BYTES,
    Keys,
    Values,
    decode_key,
    decode_value,
    encode_key,
    encode_value,
)
from tests.effort import some_or_many
from tests.naming import named

VECTORS = json.loads((Path(__file__).parent / "vectors" / "encoding.json").read_text())
NAMES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (Fraction, OrderedDict, PurePosixPath, PureWindowsPath, defaultdict, deque)},
    **{kind.__name__: kind for kind in (IPv4Address, IPv4Interface, IPv4Network)},
    **{kind.__name__: kind for kind in (IPv6Address, IPv6Interface, IPv6Network)},
    **{kind.__name__: kind for kind in (date, datetime, time, timedelta, timezone, Decimal, UUID, ZoneInfo)},
    "nan": math.nan,
    "inf": math.inf,
}
LONDON = ZoneInfo("Europe/London")


def evaluated(expression: str) -> Any:
    return eval(expression, dict(NAMES))


def description(value: Any) -> Any:
    """What two values have in common if and only if they are the same, type and all; NaN is like NaN."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, [description(member) for member in value]
    if kind is dict:
        return kind, [(description(key), description(member)) for key, member in value.items()]
    if kind in (set, frozenset):
        return kind, sorted(repr(description(member)) for member in value)
    if kind is Decimal:
        return kind, value.as_tuple()
    return kind, repr(value)  # of floats, dates and times: exact, with the sign of zero, zone and fold


# -- what values there are -------------------------------------------------------------------------------

zones = st.one_of(
    st.none(),
    st.just(timezone.utc),
    st.sampled_from(["Europe/London", "America/New_York", "UTC", "Etc/GMT+5", "Australia/Lord_Howe"]).map(ZoneInfo),
    st.timedeltas(-timedelta(hours=23), timedelta(hours=23)).map(timezone),
    st.builds(timezone, st.timedeltas(-timedelta(hours=23), timedelta(hours=23)), st.text(max_size=5)),
)
folds = st.sampled_from([0, 1])
datetimes = st.builds(lambda at, fold, zone: at.replace(fold=fold, tzinfo=zone), st.datetimes(), folds, zones)
times = st.builds(lambda at, fold, zone: at.replace(fold=fold, tzinfo=zone), st.times(), folds, zones)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**70), 2**70), st.integers(-(2**600), 2**600),
    st.floats(), st.text(), st.binary(), st.complex_numbers(), st.decimals(), st.uuids(),
    st.dates(), st.timedeltas(), datetimes, times,
)  # fmt: skip


def is_no_snan(value: object) -> bool:
    """Whether Python can hash it; a signalling NaN has no hash."""
    return all(map(is_no_snan, value)) if type(value) is tuple else not (type(value) is Decimal and value.is_snan())


hashables = st.recursive(
    scalars,
    lambda members: st.lists(members, max_size=4).map(tuple) | st.frozensets(members.filter(is_no_snan), max_size=4),
    max_leaves=8,
)


keys_of_dicts = hashables.filter(is_no_snan)
values = st.recursive(
    hashables,
    lambda members: (
        st.lists(members, max_size=5)
        | st.dictionaries(keys_of_dicts, members, max_size=5)
        | st.lists(members, max_size=5).map(tuple)
        | st.sets(keys_of_dicts, max_size=5)
    ),
    max_leaves=15,
)


# -- values ----------------------------------------------------------------------------------------------


@settings(max_examples=some_or_many(150, 750))
@given(values)
@example(math.nan)
@example(Decimal("sNaN7"))
@example({math.nan: [math.nan]})
@example(datetime(2024, 10, 27, 1, 30, fold=1, tzinfo=LONDON))
def test_a_value_comes_back_as_it_was(value: object) -> None:
    assert description(decode_value(encode_value(value))) == description(value)


@pytest.mark.parametrize("size", [15, 16, 31, 32, 255, 256, 4095, 4096, 65_535, 65_536])
def test_a_value_of_any_size_comes_back_as_it_was(size: int) -> None:
    for value in ("é" * size, b"\xff" * size, [None] * size, (1,) * size, set(range(size)), dict.fromkeys(range(size))):
        assert description(decode_value(encode_value(value))) == description(value)


def test_a_dict_keeps_its_order() -> None:
    assert list(decode_value(encode_value({"b": 1, "a": 2, 0: 3}))) == ["b", "a", 0]  # type: ignore[call-overload]


def test_the_same_zone_comes_back() -> None:
    at = decode_value(encode_value(datetime(2024, 1, 1, tzinfo=LONDON)))
    assert isinstance(at, datetime)
    assert at.tzinfo is LONDON


def test_a_named_offset_keeps_its_name() -> None:
    at = decode_value(encode_value([time(1, tzinfo=timezone(timedelta(0), "Zulu"))]))
    assert repr(at) == "[datetime.time(1, 0, tzinfo=datetime.timezone(datetime.timedelta(0), 'Zulu'))]"


Point = namedtuple("Point", "x y")


class Number(enum.IntEnum):
    ONE = 1


class Word(str):
    __slots__ = ()


class Zone(tzinfo):
    def utcoffset(self, at: datetime | None) -> timedelta:
        return timedelta(0)


class Moment(datetime):
    pass


UNSUPPORTED = [
    Point(1, 2), Number.ONE, Word("a"), Moment(2024, 1, 1), bytearray(b"a"), memoryview(b"a"), Path("a"),
    msgpack.ExtType(1, b"\0"), msgpack.Timestamp(1), object(), int, timezone.utc,
]  # fmt: skip


@pytest.mark.parametrize("value", UNSUPPORTED, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("size", [0, 10_000])
def test_what_would_come_back_as_something_else_is_refused_with_its_type_and_place(value: object, size: int) -> None:
    kind = type(value).__qualname__
    with pytest.raises(TypeError, match=rf"^value is of type \S*{kind}\b"):
        encode_value(value)
    with pytest.raises(TypeError, match=rf"^value\['a'\]\[3\] is of type \S*{kind}\b"):
        encode_value({"b": "x" * size, "a": [1, (2,), "3", value]})
    with pytest.raises(TypeError, match=rf"^value\[1\] is of type \S*{kind}\b"):
        encode_value((b"x" * size, value))
    if isinstance(value, Hashable):
        with pytest.raises(TypeError, match=rf"^a key of value\[0\] is of type \S*{kind}\b"):
            encode_value([{value: 1}])
        with pytest.raises(TypeError, match=rf"^a member of value\[0\] is of type \S*{kind}\b"):
            encode_value([{value}])


@pytest.mark.parametrize(
    ("value", "what_to_do"),
    [
        (Point(1, 2), "for which this cache has no codec: give it codecs=[codecs.namedtuple(Point)]"),
        (Number.ONE, "for which this cache has no codec: give it codecs=[codecs.enum(Number)]"),
        (Word("a"), "for which this cache has no codec: give it codecs=[codecs.Codec(Word, encode=..., decode=...)]"),
        (bytearray(b"a"), "which cannot be encoded: keep bytes(value)"),
        (Path("a"), "which cannot be encoded: keep PurePath(value)"),
        (object(), "which cannot be encoded; supported are None, bool, int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_says_what_to_do(value: object, what_to_do: str) -> None:
    with pytest.raises(TypeError) as refusal:
        encode_value(value)
    assert what_to_do in str(refusal.value)


@pytest.mark.parametrize("value", ["\ud800", ["\udfff"], {"\ud800": 1}, {1: {"a\ud800b"}}], ids=ascii)
def test_a_lone_surrogate_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="lone surrogate"):
        encode_value(value)


@pytest.mark.parametrize("kind", [list, tuple])
def test_the_deepest_value_comes_back_and_a_deeper_one_is_refused(kind: Callable[[list[Any]], Any]) -> None:
    deepest: Any = kind([])
    for _ in range(MAXIMUM_DEPTH - 1):
        deepest = kind([deepest])
    assert decode_value(encode_value(deepest)) == deepest
    with pytest.raises(ValueError, match="nested more than 128 deep"):
        encode_value(kind([deepest]))
    with pytest.raises(ValueError, match="nested more than 128 deep"):
        encode_value([b"x" * 10_000, {"a": deepest}])


def test_what_is_wrong_in_the_deepest_container_is_found_there() -> None:
    value: Any = [object()]
    for _ in range(MAXIMUM_DEPTH - 1):
        value = [value]
    with pytest.raises(TypeError, match=r"\[0\] is of type object"):
        encode_value(value)


def test_a_value_within_itself_is_refused() -> None:
    list_in_itself: list[Any] = [1]
    list_in_itself.append(list_in_itself)
    dict_in_itself: dict[str, Any] = {}
    dict_in_itself["a"] = ({"b": dict_in_itself},)
    for value in (list_in_itself, dict_in_itself):
        with pytest.raises(ValueError, match="nested"):
            encode_value(value)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_value_nested_deeper_than_any_stack_is_refused(kind: Callable[[list[Any]], Any]) -> None:
    value: Any = None
    for _ in range(100_000):
        value = kind([value])
    with pytest.raises(ValueError, match="nested"):
        encode_value(value)
    with pytest.raises((TypeError, ValueError)):
        encode_key(value)


def test_a_number_too_large_is_refused() -> None:
    largest = 2 ** (MAXIMUM_NUMBER_BYTES * 8 - 1) - 1
    assert decode_value(encode_value(largest)) == largest
    with pytest.raises(ValueError, match=r"^value\[0\] is an int of 65537 bytes"):
        encode_value([largest + 1])
    with pytest.raises(ValueError, match="is a Decimal of 65537 characters"):
        encode_value(Decimal("1" * (MAXIMUM_NUMBER_BYTES + 1)))


def test_a_zone_with_an_endless_name_is_refused() -> None:
    named = timezone(timedelta(0), "é" * 127)
    assert repr(decode_value(encode_value([time(tzinfo=named)]))) == repr([time(tzinfo=named)])
    with pytest.raises(ValueError, match=r"^value\[0\] has a time zone whose name has more than 255 bytes"):
        encode_value([time(tzinfo=timezone(timedelta(0), "é" * 128))])


@pytest.mark.parametrize("zone", [Zone(), None], ids=["of another maker", "without a name"])
def test_a_zone_that_could_not_come_back_is_refused(zone: tzinfo | None) -> None:
    if zone is None:
        zone = unnamed_zone()
    with pytest.raises(TypeError, match=r"value\[0\] has a time zone of type .*; supported are datetime.timezone"):
        encode_value([datetime(2024, 1, 1, tzinfo=zone)])


def unnamed_zone() -> ZoneInfo:
    for directory in __import__("zoneinfo").TZPATH:
        path = Path(directory) / "Europe" / "London"
        if path.exists():
            with path.open("rb") as file:
                return ZoneInfo.from_file(file)
    pytest.skip("no zone files here")


def test_the_decimal_context_of_the_thread_changes_nothing() -> None:
    with localcontext() as context:
        context.prec, context.capitals = 2, 0
        context.traps[FloatOperation] = True
        data = encode_value(Decimal("1.23456E+9"))
        assert data == bytes.fromhex("c70a03") + b"1.23456E+9"
        assert description(decode_value(data)) == description(Decimal("1.23456E+9"))
        assert encode_key(Decimal("0.5")) == encode_key(0.5)
        assert encode_key(Decimal("1.23456789")) == b"\xc7\x0c\x03123456789E-8"
        context.traps[InvalidOperation] = False
        with pytest.raises(ProtocolError):
            decode_value(msgpack.packb(msgpack.ExtType(3, b"1E+9999999999999999999")))


def test_threads_encode_at_the_same_time() -> None:
    together = threading.Barrier(4)

    def encode(number: int) -> bool:
        together.wait()
        value = {"number": number, "at": (number, [str(number)] * 50)}
        return all(decode_value(encode_value(value)) == value for _ in range(300))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(encode, range(4)))


def test_a_large_value_leaves_no_large_buffer_behind() -> None:
    tracemalloc.start()
    try:
        encode_value([b"x" * 5_000_000])
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()


# -- keys ------------------------------------------------------------------------------------------------


class Odd(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Hashed(int):
    def __hash__(self) -> int:
        return 7


class Misleading(str):
    def __str__(self) -> str:
        return "something else"

    def encode(self, *_: Any) -> bytes:  # type: ignore[override]
        return b"something else"


class Shuffled(tuple[Any, ...]):
    def __iter__(self) -> Any:
        return iter(("something", "else"))


# Numbers that are equal in many ways, or nearly.
near_numbers = st.sampled_from(
    [
        0, 1, -1, 2, 10, 100, 2**53, 2**53 + 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**22, 10**23, 2**100,
        0.1, 0.5, 1.5, -1.5, 1e22, 1e23, 1e300, 5e-324, 1e-7, math.inf, -math.inf,
    ]
)  # fmt: skip


def as_float(number: float) -> object:
    return float(number)


def as_decimal(number: float) -> object:
    return Decimal(number)


def as_written(number: float) -> object:
    return Decimal(repr(number))


def as_padded(number: float) -> object:
    return Decimal(repr(number) + ("000" if "." in repr(number) and "e" not in repr(number) else ""))


def as_complex(number: float) -> object:
    return complex(number, -0.0)


def as_turned(number: float) -> object:
    return complex(-0.0, number)


def as_int(number: float) -> object:
    return int(number) if math.isfinite(number) else number


def as_bool(number: float) -> object:
    return bool(number) if number in (0, 1) else number


def unchanged(number: float) -> object:
    return number


forms = [unchanged, as_float, as_decimal, as_written, as_padded, as_complex, as_turned, as_int, as_bool]
numbers = st.builds(
    lambda number, form: form(number), near_numbers | st.integers() | st.floats(allow_nan=False), st.sampled_from(forms)
)
near_instants = st.builds(
    lambda at, zone, fold: (at + (zone.utcoffset(None) or timedelta())).replace(tzinfo=zone, fold=fold),
    st.sampled_from([datetime(2024, 7, 1, 12), datetime(2024, 7, 1, 13), datetime(2024, 1, 1), datetime(1950, 1, 1)]),
    st.sampled_from(
        [timezone.utc, timezone(timedelta(hours=1)), timezone(timedelta(hours=-5)), timezone(timedelta(0), "Z")]
    ),
    folds,
)
near_in_zones = st.builds(
    lambda at, zone, fold: at.replace(tzinfo=zone, fold=fold),
    st.datetimes(datetime(2024, 1, 1), datetime(2024, 12, 31)).map(
        lambda at: at.replace(minute=0, second=0, microsecond=0)
    ),
    st.sampled_from([None, timezone.utc, LONDON, ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York")]),
    folds,
)
near_times = st.builds(
    lambda hour, zone, fold: time(hour, tzinfo=zone, fold=fold),
    st.integers(0, 23),
    st.sampled_from(
        [None, timezone.utc, LONDON, ZoneInfo("Etc/GMT-1")] + [timezone(timedelta(hours=h)) for h in (-23, -1, 1, 23)]
    ),
    folds,
)
plain_keys = st.one_of(
    numbers, near_instants, near_in_zones, near_times, st.none(),
    st.sampled_from(["", "a", "1", "1.0", b"", b"a", b"1", Word("a"), Number.ONE, Point(1, 2), Point(1.0, 2)]),
    st.sampled_from([UUID(int=1), UUID(int=2)]),
    st.sampled_from([date(2024, 7, 1), datetime(2024, 7, 1), Moment(2024, 7, 1), timedelta(1), timedelta(hours=24)]),
)  # fmt: skip
keys = st.recursive(
    plain_keys,
    lambda members: st.lists(members, max_size=3).map(tuple) | st.frozensets(members, max_size=3),
    max_leaves=6,
)


def bytes_or_refusal(key: object) -> bytes | None:
    try:
        return encode_key(key)
    except (TypeError, ValueError):
        return None


@settings(max_examples=some_or_many(500, 2500))
@given(keys, keys)
@example(datetime(2024, 10, 27, 0, 30, tzinfo=timezone.utc), datetime(2024, 10, 27, 1, 30, tzinfo=LONDON))
@example(Decimal("0.1000000000000000055511151231257827021181583404541015625"), 0.1)
@example(Decimal("0.1"), 0.1)
@example(time(1, tzinfo=LONDON), time(1))
@example(time(1, tzinfo=ZoneInfo("Etc/GMT-1")), time(0, tzinfo=timezone.utc))
def test_keys_have_the_same_bytes_if_and_only_if_they_are_equal(one: object, other: object) -> None:
    bytes_of_one, bytes_of_other = bytes_or_refusal(one), bytes_or_refusal(other)
    if bytes_of_one is not None and bytes_of_other is not None:
        assert (one == other) == (bytes_of_one == bytes_of_other)


@settings(max_examples=some_or_many(300, 1500))
@given(near_numbers | st.integers() | st.floats(allow_nan=False))
def test_a_number_has_the_same_bytes_in_every_form_that_is_equal(number: float) -> None:
    for form in forms:
        key = form(number)
        if key == number:
            assert encode_key(key) == encode_key(number)
        else:
            assert encode_key(key) != encode_key(number)


@settings(max_examples=some_or_many(200, 1000))
@given(st.one_of(hashables, keys))
def test_a_key_comes_back_as_an_equal_one(key: object) -> None:
    data = bytes_or_refusal(key)
    if data is not None:
        back = decode_key(data)
        assert back == key
        assert hash(back) == hash(key)
        assert encode_key(back) == data


@settings(max_examples=some_or_many(200, 1000))
@given(
    st.timedeltas(timedelta(days=-1000), timedelta(days=1000)), st.sampled_from(["Europe/London", "America/St_Johns"])
)
def test_a_moment_has_the_same_bytes_in_every_zone_or_is_refused(since: timedelta, name: str) -> None:
    moment = datetime(2024, 1, 1, tzinfo=timezone.utc) + since
    there = moment.astimezone(ZoneInfo(name))
    if there == moment:
        assert encode_key(there) == encode_key(moment)
    else:
        with pytest.raises(TypeError, match="clocks skip or repeat"):
            encode_key(there)


@pytest.mark.parametrize(
    ("key", "data"),
    [
        (Point(1, 2), (1, 2)), (Number.ONE, 1), (Word("a"), "a"), (Misleading("a"), "a"), (Shuffled((1, 2)), (1, 2)),
        (Moment(2024, 1, 1, tzinfo=timezone.utc), datetime(2024, 1, 1, tzinfo=timezone.utc)),
    ],
    ids=repr,
)  # fmt: skip
def test_an_instance_of_a_subclass_is_the_base_that_it_is_equal_to(key: object, data: object) -> None:
    assert encode_key(key) == encode_key(data)


SUBCLASSES = [
    type(f"Sub_{base.__name__}", (base,), {})
    for base in (int, float, complex, Decimal, str, bytes, tuple, frozenset, datetime, date, time, timedelta, UUID)
]


@pytest.mark.parametrize(
    "key",
    [7, 2**80, 1.5, 2.5j, Decimal("0.1"), "a", b"a", (1, "a"), frozenset({1}), UUID(int=5), date(2024, 1, 2),
     datetime(2024, 1, 1, 2, 3, 4, 5, timezone.utc), time(1, 2, 3, 4, timezone.utc), timedelta(1, 2, 3)],
    ids=repr,
)  # fmt: skip
def test_an_instance_of_any_supported_type_s_subclass_has_the_bytes_of_its_base(key: Any) -> None:
    subclass: Any = next(kind for kind in SUBCLASSES if kind.__base__ is type(key))
    if isinstance(key, datetime):
        same = subclass(key.year, key.month, key.day, key.hour, key.minute, key.second, key.microsecond, key.tzinfo)
    elif isinstance(key, time):
        same = subclass(key.hour, key.minute, key.second, key.microsecond, key.tzinfo)
    elif isinstance(key, date):
        same = subclass(key.year, key.month, key.day)
    elif isinstance(key, timedelta):
        same = subclass(key.days, key.seconds, key.microseconds)
    elif isinstance(key, UUID):
        same = subclass(int=key.int)
    else:
        same = subclass(key)
    assert type(same) is subclass
    assert encode_key(same) == encode_key(key)
    assert type(decode_key(encode_key((same,)))[0]) is type(key)  # type: ignore[index]


@pytest.mark.parametrize(
    "key",
    [
        [], {}, set(), bytearray(), object(), range(3), Fraction(1, 2), Odd("a"), Hashed(1), math.nan, Decimal("NaN"),
        Decimal("sNaN"), complex(0, math.nan), "\ud800", datetime(2024, 10, 27, 1, 30, tzinfo=LONDON),
        datetime(2024, 3, 31, 1, 30, tzinfo=LONDON), datetime(2024, 1, 1, tzinfo=Zone()), time(1, tzinfo=Zone()),
        time(1, tzinfo=timezone(timedelta(microseconds=1))), enum.Enum("E", "A").A, timezone.utc,  # type: ignore[attr-defined]
    ],
    ids=named,
)  # fmt: skip
def test_what_is_no_key_is_refused_with_its_place(key: object) -> None:
    with pytest.raises(TypeError, match=r"^key (is|has) "):
        encode_key(key)
    with pytest.raises(TypeError, match=r"^key\[1\]\[0\] (is|has) "):
        encode_key((1, (key,)))


@pytest.mark.parametrize(
    "key",
    [
        2**9000,
        -(2**9000),
        Decimal("1E+3000"),
        Decimal("1E+999999999999"),
        Decimal("1" * 3000),
        Decimal("0." + "1" * 3000),
    ],
    ids=lambda key: type(key).__name__,
)
def test_a_number_too_large_for_a_key_is_refused_at_once(key: object) -> None:
    with pytest.raises(ValueError, match=f"^key is a number of more than {MAXIMUM_KEY_NUMBER_BYTES} bytes$"):
        encode_key(key)


def test_every_form_of_the_largest_number_is_a_key() -> None:
    largest = 2 ** (MAXIMUM_KEY_NUMBER_BYTES * 8 - 1) - 1
    assert encode_key(largest) == encode_key(Decimal(largest))
    for key in (largest + 1, Decimal(largest + 1)):
        with pytest.raises(ValueError, match="is a number of more than"):
            encode_key(key)


@pytest.mark.parametrize("at", [datetime.min, datetime.max])
def test_a_moment_at_the_end_of_the_calendar_comes_back_or_is_refused(at: datetime) -> None:
    for hours in (-23, 0, 23):
        key = at.replace(tzinfo=timezone(timedelta(hours=hours)))
        try:
            data = encode_key(key)
        except ValueError:
            continue
        assert decode_key(data) == key
    assert decode_key(encode_key(at.replace(tzinfo=timezone.utc))) == at.replace(tzinfo=timezone.utc)


def test_the_deepest_key_comes_back_and_a_deeper_one_is_refused() -> None:
    deepest: tuple[Any, ...] = ()
    for _ in range(MAXIMUM_DEPTH - 1):
        deepest = (deepest,)
    assert decode_key(encode_key(deepest)) == deepest
    with pytest.raises(ValueError, match="nested more than 128 deep"):
        encode_key((deepest,))
    with pytest.raises(ValueError, match="nested more than 128 deep"):
        encode_key(frozenset([deepest]))
    with pytest.raises(ProtocolError):
        decode_key(b"\x91" + encode_key(deepest))


@settings(max_examples=some_or_many(200, 1000))
@given(st.text(max_size=70) | st.sampled_from([31, 32, 255, 256, 65_000]).map(lambda size: "x" * size))
def test_a_str_has_the_bytes_that_msgpack_gives_it(key: str) -> None:
    assert encode_key(key) == msgpack.packb(key)
    assert decode_key(msgpack.packb(key)) == key


# -- what a peer may send --------------------------------------------------------------------------------


def value_or_refusal(data: bytes) -> None:
    """Decode as both, let nothing but ProtocolError out, and hold what was decoded to its promises."""
    try:
        value = decode_value(data)
    except ProtocolError:
        pass
    else:
        assert description(decode_value(encode_value(value))) == description(value)
    try:
        key = decode_key(data)
    except ProtocolError:
        pass
    else:
        assert encode_key(key) == data


encodings = values.map(encode_value) | keys.map(bytes_or_refusal).filter(lambda data: data is not None)
extensions = st.builds(msgpack.ExtType, st.integers(0, 12), st.binary(max_size=24))
shaped = st.recursive(
    st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.floats()
    | st.none()
    | extensions
    | st.builds(msgpack.Timestamp, st.integers(-(2**40), 2**40), st.integers(0, 999_999_999)),
    lambda members: (
        st.lists(members, max_size=4)
        | st.lists(members, max_size=3).map(lambda rest: [msgpack.ExtType(1, b"\x01"), *rest])
        | st.dictionaries(st.integers(0, 9) | st.text(max_size=2), members, max_size=3)
    ),
    max_leaves=10,
).map(msgpack.packb)


@settings(max_examples=some_or_many(500, 2500))
@given(st.binary(max_size=60) | shaped)
def test_random_bytes_give_a_value_or_a_protocol_error(data: bytes) -> None:
    value_or_refusal(data)


@settings(max_examples=some_or_many(200, 1000))
@given(encodings, st.data())
def test_mutated_bytes_give_a_value_or_a_protocol_error(encoded: bytes, draw: st.DataObject) -> None:
    data = bytearray(encoded)
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data)))
        match draw.draw(st.sampled_from(["change", "insert", "remove", "cut"])):
            case "change" if at < len(data):
                data[at] = draw.draw(st.integers(0, 255) | st.sampled_from([0xD4, 0xDC, 0xDD, 0xFF, 0xC1, 0x80, 0x91]))
            case "insert":
                data[at:at] = draw.draw(st.binary(min_size=1, max_size=4))
            case "remove":
                del data[at : at + 2]
            case "cut":
                del data[at:]
    value_or_refusal(bytes(data))


@settings(max_examples=some_or_many(100, 500))
@given(encodings, encodings)
def test_truncated_and_joined_bytes_give_a_protocol_error(one: bytes, other: bytes) -> None:
    for data in (one[:-1], one + other, one + b"\0"):
        value_or_refusal(data)
        with pytest.raises(ProtocolError):
            decode_value(data)
        with pytest.raises(ProtocolError):
            decode_key(data)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "Europe/../UTC", "Europe//London", ".", "", "a" * 256, "a" * 9999, "UTC\n"],
)
def test_a_name_that_no_zone_can_have_is_not_looked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("lru_cache.replication.encoding.scalars.ZoneInfo", asked.append)
    data = msgpack.packb(msgpack.ExtType(5, bytes.fromhex("07e8010100000000000000") + b"\x03" + name.encode()))
    with pytest.raises(ProtocolError, match=r"a time zone whose name (no zone can have|is too long)"):
        decode_value(data)
    assert not asked


LENGTH = 0xFFFF_FFFF.to_bytes(4, "big")
FILL = b"\xa0" * 300_000
CLAIMS = {
    "arrays of 2**32": (b"\xdd" + LENGTH) * 1000,
    "arrays of as many as there are bytes": (b"\xdd" + (300_000).to_bytes(4, "big")) * 1000 + FILL,
    "arrays of 65,535": b"\xdc\xff\xff" * 1000 + FILL,
    "marked arrays": (b"\xdd" + (300_000).to_bytes(4, "big") + b"\xd4\x01\x00") * 1000 + FILL,
    "maps of 2**32": (b"\xdf" + LENGTH) * 1000,
    "maps within maps": (b"\xdf" + (100_000).to_bytes(4, "big") + b"\x01") * 1000 + FILL,
    "maps with maps as keys": (b"\xdf" + (100_000).to_bytes(4, "big")) * 1000 + FILL,
    "a few arrays in few bytes": b"\xdc\x01\xf0" * 170,
    "nothing but arrays": b"\x91" * 300_000,
    "nothing but arrays of 15": b"\x9f" * 300_000,
    "nothing but maps of 15": b"\x8f" * 300_000,
    "a str of 4 GB": b"\xdb" + LENGTH + FILL,
    "a bin of 4 GB": b"\xc6" + LENGTH + FILL,
    "an extension of 4 GB": b"\xc9" + LENGTH + b"\x02" + FILL,
    "a large unknown extension": b"\xc9" + (300_000).to_bytes(4, "big") + b"\x50" + FILL,
    "a large unknown mark": b"\x91\xd4\x01\x00\x91\xc9" + (300_000).to_bytes(4, "big") + b"\x01" + FILL,
    "a large int": b"\xc9" + (300_000).to_bytes(4, "big") + b"\x02" + FILL,
    "a large Decimal": b"\xc9" + (300_000).to_bytes(4, "big") + b"\x03" + b"1" * 300_000,
    "a large zone": b"\xc9"
    + (300_000).to_bytes(4, "big")
    + b"\x05"
    + bytes.fromhex("07e8010100000000000000")
    + b"\x03"
    + FILL,
}


@pytest.mark.parametrize("data", CLAIMS.values(), ids=CLAIMS.keys())
@pytest.mark.parametrize("decode", [decode_value, decode_key])
def test_memory_is_taken_for_what_is_there_and_not_for_what_is_claimed(
    decode: Callable[[bytes], object], data: bytes
) -> None:
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            decode(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000 + 6 * len(data)


def colliding(count: int) -> list[int]:
    return [2**64 + step * (2**61 - 1) for step in range(count)]


@pytest.mark.parametrize("make", [set, frozenset, dict.fromkeys, lambda members: {tuple(members[:2]): set(members)}])
def test_members_chosen_to_collide_are_refused(make: Callable[[list[int]], object]) -> None:
    data = encode_value(make(colliding(2_000)))
    with pytest.raises(ProtocolError, match="too many equal hashes"):
        decode_value(data)


def test_a_key_of_members_chosen_to_collide_is_refused() -> None:
    data = encode_key(frozenset(colliding(2_000)))
    with pytest.raises(ProtocolError, match="too many equal hashes"):
        decode_key(data)


def test_members_that_collide_by_chance_are_not_refused() -> None:
    members = [*colliding(MAXIMUM_COLLISIONS - 2), *range(-5_000, 5_000)]  # -1 and -2 collide, too
    for value in (set(members), dict.fromkeys(members)):
        assert decode_value(encode_value(value)) == value


def test_the_error_names_what_is_wrong_in_one_short_line() -> None:
    for refused in (*VECTORS["refused_values"], *VECTORS["refused_keys"]):
        decode = decode_value if refused in VECTORS["refused_values"] else decode_key
        with pytest.raises(ProtocolError, match=r"^a (value|key) .{5,250}$") as caught:
            decode(bytes.fromhex(refused["hex"]))
        assert "\n" not in str(caught.value)


# -- the same everywhere ---------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["values"], ids=lambda vector: vector["name"])
def test_a_value_has_the_bytes_of_its_vector_and_back(vector: dict[str, str]) -> None:
    value = evaluated(vector["python"])
    assert encode_value(value).hex() == vector["hex"]
    assert description(decode_value(bytes.fromhex(vector["hex"]))) == description(value)


class Thing:
    def __init__(self, data: Any = None) -> None:
        self.data = data


@pytest.mark.parametrize("vector", VECTORS["objects"], ids=lambda vector: vector["name"])
def test_an_object_has_the_bytes_of_its_vector_and_back(vector: dict[str, Any]) -> None:
    codec = Codec(Thing, vector["codec"], lambda thing: thing.data, Thing, vector["version"])
    data = evaluated(vector["data"])
    assert Values([codec]).encode(Thing(data)).hex() == vector["hex"]
    assert description(Values([codec]).decode(bytes.fromhex(vector["hex"])).data) == description(data)  # type: ignore[attr-defined]


@pytest.mark.parametrize("vector", VECTORS["objects_in_keys"], ids=lambda vector: vector["name"])
def test_an_object_in_a_key_has_the_bytes_of_its_vector_and_back(vector: dict[str, Any]) -> None:
    keys = Keys([Codec(Thing, vector["codec"], lambda thing: thing.data, Thing, vector["version"], keys=True)])
    data = evaluated(vector["data"])
    assert keys.encode(Thing(data)).hex() == vector["hex"]
    assert keys.decode(bytes.fromhex(vector["hex"])).data == data  # type: ignore[attr-defined]


@pytest.mark.parametrize("vector", VECTORS["compressed"], ids=lambda vector: vector["name"])
def test_a_compressed_value_is_read(vector: dict[str, Any]) -> None:
    assert decode_value(bytes.fromhex(vector["hex"])) == evaluated(vector["python"])


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda vector: vector["name"])
def test_a_key_and_its_equals_have_the_bytes_of_their_vector_and_back(vector: dict[str, Any]) -> None:
    for expression in vector["python"]:
        key = evaluated(expression)
        assert encode_key(key).hex() == vector["hex"]
        assert decode_key(bytes.fromhex(vector["hex"])) == key


@pytest.mark.parametrize("vector", VECTORS["refused_values"], ids=lambda vector: vector["name"])
def test_what_no_value_has_as_its_bytes_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(ProtocolError):
        decode_value(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("vector", VECTORS["refused_keys"], ids=lambda vector: vector["name"])
def test_what_is_no_key_s_canonical_bytes_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(ProtocolError):
        decode_key(bytes.fromhex(vector["hex"]))


IN_ANOTHER_PROCESS = """
import json, sys
from collections import OrderedDict, defaultdict, deque
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePosixPath, PureWindowsPath
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo
from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding import decode_key, decode_value, encode_key, encode_value
import msgpack

nan, inf = float("nan"), float("inf")
vectors = json.load(open(sys.argv[1]))
for vector in vectors["values"]:
    assert encode_value(eval(vector["python"])).hex() == vector["hex"], vector
    decode_value(bytes.fromhex(vector["hex"]))
for vector in vectors["keys"]:
    assert {encode_key(eval(key)).hex() for key in vector["python"]} == {vector["hex"]}, vector
    assert encode_key(decode_key(bytes.fromhex(vector["hex"]))).hex() == vector["hex"], vector
hostile = [(decode_value, bytes.fromhex(vector["hex"])) for vector in vectors["refused_values"]]
hostile += [(decode_key, bytes.fromhex(vector["hex"])) for vector in vectors["refused_keys"]]
for nested in (b"\\x91" * 5000, b"\\x81" * 5000, b"\\xdc\\xff\\xff" * 5000):
    hostile += [(decode_value, nested), (decode_key, nested)]
for decode, data in hostile:
    try:
        decode(data)
    except ProtocolError:
        continue
    raise AssertionError(data)
in_itself = []
in_itself.append(in_itself)
for value, refusal in ((in_itself, ValueError), ([bytearray(b"a")], TypeError), ([msgpack.Timestamp(1)], TypeError)):
    try:
        encode_value(value)
    except refusal:
        continue
    raise AssertionError(value)
many = frozenset(str(number) for number in range(300))
print(msgpack.Packer.__module__, encode_key((many, frozenset({many, 1.5, None}))).hex())
"""


def run_elsewhere(**environment: str) -> list[str]:
    vectors = str(Path(__file__).parent / "vectors" / "encoding.json")
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_ANOTHER_PROCESS, vectors],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.split()


def test_processes_that_hash_differently_give_keys_the_same_bytes() -> None:
    _, *one = run_elsewhere(PYTHONHASHSEED="1")
    _, *other = run_elsewhere(PYTHONHASHSEED="2")
    assert one == other


def test_msgpack_in_pure_python_gives_and_refuses_the_same_bytes() -> None:
    module, *pure = run_elsewhere(MSGPACK_PUREPYTHON="1")
    assert module == "msgpack.fallback"
    assert pure == run_elsewhere()[1:]


def test_a_key_of_as_many_bytes_as_a_message_takes_is_encoded() -> None:
    assert len(encode_key("k" * (MAXIMUM_KEY_BYTES - 5))) <= MAXIMUM_KEY_BYTES


@pytest.mark.parametrize("key", ["k" * MAXIMUM_KEY_BYTES, (b"k" * 40_000, b"k" * 40_000)], ids=["str", "tuple"])
def test_a_key_longer_than_a_message_takes_is_refused(key: object) -> None:
    with pytest.raises(ValueError, match=str(MAXIMUM_KEY_BYTES)):
        encode_key(key)


WITHOUT_ZONES = """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "zoneinfo":  # as CPython 3.12 fails in an interpreter with a lock of its own
            raise AttributeError("module 'datetime' has no attribute 'datetime_CAPI'")
sys.meta_path.insert(0, Finder())
from datetime import datetime, timezone
from lru_cache import LRUCacheDistributed
from lru_cache.replication.encoding import decode_value, encode_key, encode_value
LRUCacheDistributed().set(datetime.now(timezone.utc), 1)
moment = datetime(2024, 1, 1, tzinfo=timezone.utc)
assert decode_value(encode_value(moment)) == moment
try:
    decode_value(bytes.fromhex(sys.argv[1]))
except Exception as error:
    print(error)
"""


def test_an_interpreter_that_cannot_import_zoneinfo_does_without_named_zones() -> None:
    named_zone = encode_value(datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/London")))
    shown = subprocess.run(
        [sys.executable, "-c", WITHOUT_ZONES, named_zone.hex()], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert "this interpreter has no zoneinfo" in shown.stdout
