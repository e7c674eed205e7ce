"""Messages come back as they were; a peer's bytes give a message, nothing, or a ProtocolError."""

import json
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.errors import ProtocolError
from lru_cache.replication import (
    BUCKETS,
    MAXIMUM_EVENTS,
    NODE_BYTES,
    NOTHING,
    Event,
    Goodbye,
    Kind,
    Message,
    Ping,
    Pong,
    Seen,
    Type,
    Version,
)
from lru_cache.replication.encoding import MAXIMUM_KEY_BYTES
from tests.effort import some_or_many
from tests.replication.build import event, messages, version
from tests.replication.events import invalidate_event, load_event, set_event, touch_event

if TYPE_CHECKING:
    from collections.abc import Callable

MAXIMUM_LIFE_MS, MAXIMUM_TIME = event.MAXIMUM_LIFE_MS, version.MAXIMUM_TIME
MAXIMUM_ORIGINS, MAXIMUM_REASON_CHARACTERS = messages.MAXIMUM_ORIGINS, messages.MAXIMUM_REASON_CHARACTERS
FloorRange, Floors = messages.FloorRange, messages.Floors
Reached, Prune, Graft = messages.Reached, messages.Prune, messages.Graft
decode, encode = messages.decode, messages.encode
VECTORS = json.loads((Path(__file__).parent / "vectors" / "messages.json").read_text())
A = b"\x81" * NODE_BYTES
SET = set_event(b"key", Version(5, A), b"value")
CLEAR = FloorRange(0, BUCKETS, 9, {})

# -- what messages there are -------------------------------------------------------------------------------------------

nodes = st.binary(min_size=NODE_BYTES, max_size=NODE_BYTES)
some_nodes = st.sampled_from([bytes([i]) * NODE_BYTES for i in range(3)]) | nodes
numbers = st.integers(0, MAXIMUM_TIME)
versions = st.builds(Version, numbers, some_nodes)
keys = st.binary(min_size=1, max_size=40)
payloads = st.binary(max_size=100)
lives = st.none() | st.integers(0, MAXIMUM_LIFE_MS)
hops = st.integers(0, 255)
nothing = st.just(NOTHING)
none = st.none()
events = st.one_of(
    st.tuples(st.just(Kind.SET), keys, versions, hops, payloads, lives, nothing),
    st.tuples(st.just(Kind.INVALIDATE), keys, versions, hops, none, none, nothing),
    st.tuples(st.just(Kind.LOAD), keys, versions, hops, payloads, lives, versions),
    st.tuples(st.just(Kind.TOUCH), keys, versions, hops, none, lives, versions),
).map(lambda fields: Event(*fields))
times = st.dictionaries(nodes, numbers, max_size=8)
confirmed = st.dictionaries(keys, versions, max_size=4)
ranges = st.integers(0, BUCKETS - 1).flatmap(
    lambda first: st.builds(
        FloorRange,
        st.just(first),
        st.integers(1, BUCKETS - first),
        numbers,
        st.dictionaries(keys, versions, max_size=4),
    )
)


def in_order(reaches: list[FloorRange]) -> list[FloorRange]:
    """As many of these as may stand in one message."""
    kept: list[FloorRange] = []
    for reach in sorted(reaches, key=lambda reach: (reach.buckets != BUCKETS, reach.first)):
        before = kept[-1] if kept and kept[-1].buckets != BUCKETS else None
        if not kept or (reach.buckets != BUCKETS and (before is None or reach.first >= before.first + before.buckets)):
            kept.append(reach)
    return kept


any_message: st.SearchStrategy[Message] = st.one_of(
    st.lists(events, max_size=8),
    st.builds(Seen, st.booleans(), times, st.just(False), st.none()),
    st.builds(Seen, st.just(False), times, st.just(True), times),
    st.builds(Reached, times, times),
    st.builds(Prune, st.lists(nodes, max_size=8)),
    st.builds(Graft, times),
    st.builds(Floors, nodes, numbers, hops, times, st.lists(ranges, max_size=4).map(in_order)),
    st.builds(Ping, numbers),
    st.builds(Pong, numbers),
    st.builds(Goodbye, st.text(max_size=60)),
)


def is_message(message: object) -> bool:
    """Whether it is what `decode` may give."""
    if isinstance(message, list):
        return all(type(each) is Event and each.kind in set(Kind) for each in message)
    return message is None or isinstance(message, Seen | Floors | Ping | Pong | Goodbye | Reached | Prune | Graft)


def packed(*items: Any) -> bytes:
    body: bytes = msgpack.packb(items)
    return body


# -- there and back ----------------------------------------------------------------------------------------------------


@settings(max_examples=some_or_many(300, 1500))
@given(any_message)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert decode(encode(message)) == message


@settings(max_examples=some_or_many(100, 500))
@given(any_message)
def test_a_message_comes_back_of_the_same_types(message: Message) -> None:
    assert repr(decode(encode(message))) == repr(message)  # a Ping equals a Pong, as tuples do


@given(any_message)
def test_a_message_begins_with_its_type(message: Message) -> None:
    known = {list: 2, Seen: 3, Floors: 4, Ping: 5, Pong: 6, Goodbye: 7, Reached: 8, Prune: 9, Graft: 10}
    expected = 11 if isinstance(message, Seen) and message.rests else known[type(message)]
    assert msgpack.unpackb(encode(message), strict_map_key=False)[0] == expected


def test_as_many_events_as_are_allowed_fit() -> None:
    assert decode(encode([SET] * MAXIMUM_EVENTS)) == [SET] * MAXIMUM_EVENTS


def test_the_longest_key_comes_back() -> None:
    sent = [invalidate_event(b"k" * MAXIMUM_KEY_BYTES, Version(5, A))]
    assert decode(encode(sent)) == sent


def test_every_event_may_be_of_nodes_of_its_own() -> None:
    sent = [
        load_event(b"k", Version(i, b"began%03d" % i), Version(i, b"told_%03d" % i), b"") for i in range(MAXIMUM_EVENTS)
    ]
    assert decode(encode(sent)) == sent


def test_a_node_is_listed_once_however_many_events_it_has() -> None:
    assert encode([SET] * 10).count(A) == 1


def test_a_long_reason_is_cut() -> None:
    assert decode(encode(Goodbye("x" * 1000))) == Goodbye("x" * MAXIMUM_REASON_CHARACTERS)


def test_a_long_reason_of_a_peer_is_cut() -> None:
    assert decode(packed(Type.GOODBYE, "x" * 1000)) == Goodbye("x" * MAXIMUM_REASON_CHARACTERS)


# -- the vectors -------------------------------------------------------------------------------------------------------


def message_of(plain: Any) -> Message | None:
    """The message that a vector describes."""
    if plain is None:
        return None
    read: dict[str, Callable[[], Message]] = {
        "events": lambda: [event_of(each) for each in plain["events"]],
        "seen": lambda: Seen(plain["whole"], times_of(plain["times"])),
        "floors": lambda: Floors(
            bytes.fromhex(plain["announcer"]), plain["serial"], plain["hops"], times_of(plain["heard"]),
            [range_of(reach) for reach in plain["ranges"]],
        ),
        "resting": lambda: Seen(
            False, times_of(plain["times"]), True, times_of(plain["on"]) if "on" in plain else None
        ),
        "reached": lambda: Reached(times_of(plain["seen"]), times_of(plain["news"])),
        "prune": lambda: Prune([bytes.fromhex(node) for node in plain["nodes"]]),
        "graft": lambda: Graft(times_of(plain["times"])),
        "ping": lambda: Ping(plain["number"]),
        "pong": lambda: Pong(plain["number"]),
        "goodbye": lambda: Goodbye(plain["reason"]),
    }  # fmt: skip
    return read[plain["type"]]()


def event_of(plain: Any) -> Event:
    payload = None if plain["payload"] is None else bytes.fromhex(plain["payload"])
    other = NOTHING if plain["other"] is None else version_of(plain["other"])
    kind, key = Kind[plain["kind"].upper()], bytes.fromhex(plain["key"])
    return Event(kind, key, version_of(plain["version"]), plain["hops"], payload, plain["life_ms"], other)


def version_of(plain: Any) -> Version:
    return Version(int(plain[0]), bytes.fromhex(plain[1]))


def times_of(plain: Any) -> dict[bytes, int]:
    return {bytes.fromhex(node): int(time) for node, time in plain.items()}


def range_of(plain: Any) -> FloorRange:
    confirmed = {bytes.fromhex(key): version_of(version) for key, version in plain["confirmed"].items()}
    return FloorRange(plain["first"], plain["buckets"], int(plain["floor"]), confirmed)


def by_name(vector: Any) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=by_name)
def test_a_message_has_the_bytes_of_its_vector(vector: Any) -> None:
    message = message_of(vector["message"])
    assert message is not None
    assert encode(message).hex() == vector["hex"]


@pytest.mark.parametrize("vector", VECTORS["messages"] + VECTORS["accepted"], ids=by_name)
def test_the_bytes_of_a_vector_are_its_message(vector: Any) -> None:
    assert repr(decode(bytes.fromhex(vector["hex"]))) == repr(message_of(vector["message"]))


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=by_name)
def test_what_is_no_message_is_refused(vector: Any) -> None:
    with pytest.raises(ProtocolError):
        decode(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("number", [0, 1, 127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1])
def test_the_pong_to_a_ping_is_what_is_encoded_for_its_number(number: int) -> None:
    assert messages.pong_to(encode(Ping(number))) == encode(Pong(number))


@pytest.mark.parametrize("vector", VECTORS["messages"] + VECTORS["accepted"] + VECTORS["refused"], ids=by_name)
def test_there_is_a_pong_to_nothing_but_a_ping_as_we_write_it(vector: Any) -> None:
    body = bytes.fromhex(vector["hex"])
    try:
        message = decode(body)
    except ProtocolError:
        message = None
    is_ours = type(message) is Ping and body == encode(message)
    assert messages.pong_to(body) == (encode(Pong(message.number)) if is_ours else None)


@given(st.binary(max_size=10).map(lambda rest: b"\x92\x05" + rest) | st.binary(max_size=3))
def test_whatever_is_answered_is_a_ping_of_that_number(body: bytes) -> None:
    pong = messages.pong_to(body)
    if pong is not None:
        ping = decode(body)
        assert type(ping) is Ping
        assert repr(decode(pong)) == repr(Pong(ping.number))


def test_there_is_a_vector_of_every_type() -> None:
    first_items = {bytes.fromhex(vector["hex"])[1] for vector in VECTORS["messages"]}
    assert first_items == set(Type)


# -- what is not known is passed over ----------------------------------------------------------------------------------


@given(st.integers(-(2**63), 2**64 - 1).filter(lambda number: number not in set(Type)))
def test_a_message_of_an_unknown_type_is_nothing(number: int) -> None:
    assert decode(packed(number, "anything")) is None


fields = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda members: st.lists(members, max_size=3),
    max_leaves=5,
)


@settings(max_examples=some_or_many(200, 1000))
@given(any_message, st.lists(fields, min_size=1, max_size=3))
def test_fields_that_follow_the_known_ones_are_ignored(message: Message, more: list[Any]) -> None:
    items = msgpack.unpackb(encode(message), strict_map_key=False)
    assert decode(packed(*items, *more)) == message


def columns(kinds: list[int], others: list[Any]) -> bytes:
    """Events of one node, of any kinds, without values."""
    count = len(kinds)
    return packed(
        Type.EVENTS, [A], bytes(kinds), bytes(count), bytes(count), list(range(count)), [b"k"] * count,
        [None] * count, [None] * count, others,
    )  # fmt: skip


@given(st.lists(st.integers(4, 255), max_size=10))
def test_an_event_of_an_unknown_kind_is_passed_over(kinds: list[int]) -> None:
    assert decode(columns([Kind.INVALIDATE, *kinds, Kind.INVALIDATE], [7, 0] * len(kinds))) == [
        invalidate_event(b"k", Version(0, A), hops=0),
        invalidate_event(b"k", Version(len(kinds) + 1, A), hops=0),
    ]


def test_an_event_of_an_unknown_kind_may_have_a_value_or_none() -> None:
    assert decode(packed(Type.EVENTS, [A], b"\x09", b"\1", b"\0", [5], [b"k"], [{"any": 1}], [None], [5, 0])) == []


def test_an_event_of_an_unknown_kind_takes_its_other_version() -> None:
    found = decode(columns([200, Kind.TOUCH], [7, 0, 8, 0]))
    assert found == [touch_event(b"k", Version(1, A), Version(8, A), None, hops=0)]


# -- what is refused ---------------------------------------------------------------------------------------------------


@settings(max_examples=some_or_many(500, 2500))
@given(st.binary(max_size=200))
def test_random_bytes_are_a_message_or_refused(body: bytes) -> None:
    try:
        assert is_message(decode(body))
    except ProtocolError:
        pass


@settings(max_examples=some_or_many(500, 2500))
@given(st.integers(0, 12), st.lists(fields | nodes | st.lists(nodes | numbers, max_size=8), max_size=10))
def test_random_fields_are_a_message_or_refused(number: int, items: list[Any]) -> None:
    try:
        assert is_message(decode(packed(number, *items)))
    except ProtocolError:
        pass


@settings(max_examples=some_or_many(500, 2500))
@given(any_message, st.data())
def test_a_mutated_message_is_a_message_or_refused(message: Message, data: st.DataObject) -> None:
    body = bytearray(encode(message)[:2000])
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert is_message(decode(bytes(body)))
    except ProtocolError:
        pass


@settings(max_examples=some_or_many(300, 1500))
@given(any_message, st.data())
def test_a_truncated_message_is_refused(message: Message, data: st.DataObject) -> None:
    body = encode(message)
    with pytest.raises(ProtocolError):
        decode(body[: data.draw(st.integers(0, len(body) - 1))])


@given(any_message, any_message)
def test_two_messages_in_one_body_are_refused(one: Message, other: Message) -> None:
    with pytest.raises(ProtocolError):
        decode(encode(one) + encode(other))


def test_too_many_events_are_refused() -> None:
    with pytest.raises(ProtocolError, match="too long"):
        decode(columns([Kind.INVALIDATE] * (MAXIMUM_EVENTS + 1), []))


def test_a_key_too_long_is_refused() -> None:
    with pytest.raises(ProtocolError, match="key"):
        decode(packed(Type.EVENTS, [A], b"\1", b"\1", b"\0", [5], [bytes(MAXIMUM_KEY_BYTES + 1)], [None], [None], []))


def test_times_of_too_many_nodes_are_refused() -> None:
    flat = [item for i in range(MAXIMUM_ORIGINS + 1) for item in (b"%08d" % i, 5)]
    with pytest.raises(ProtocolError):
        decode(packed(Type.SEEN, False, flat))
    with pytest.raises(ProtocolError, match="not too many"):
        decode(packed(Type.FLOORS, A, 1, 1, flat, []))


def test_a_refusal_is_one_line() -> None:
    for vector in VECTORS["refused"]:
        with pytest.raises(ProtocolError, match=r"^.{5,200}$"):
            decode(bytes.fromhex(vector["hex"]))


# -- what a hostile body costs -----------------------------------------------------------------------------------------


def peak_of(body: bytes) -> int:
    """The bytes that it takes to decode this."""
    tracemalloc.start()
    try:
        decode(body)
    except ProtocolError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\x92\x03\xdd\xff\xff\xff\xff",
        b"\x92\x07\xdb\xff\xff\xff\xff",
        b"\x92\x07\xc6\xff\xff\xff\xff",
        b"\x92\x07\xdf\xff\xff\xff\xff",
        b"\x92\x07\xc9\xff\xff\xff\xff\x01",
        b"\xdd\x00\x01\x00\x00" * 50,
    ],
    ids=["array", "array within", "str", "bin", "map", "extension", "arrays within arrays"],
)
def test_a_claimed_size_takes_no_memory(body: bytes) -> None:
    assert peak_of(body) < 100_000


@pytest.mark.parametrize("member", [b"\x90", b"\x80", b"\xa0", b"\xc4\x00", b"\xc0", b"\x01", b"\xcb" + b"\1" * 8])
def test_a_body_takes_memory_in_proportion_to_its_bytes(member: bytes) -> None:
    count = 20_000
    body = b"\x92\x03\xdd" + count.to_bytes(4, "big") + member * count
    assert peak_of(body) < 120 * len(body)  # an empty list or dict is one byte there and 56 or 64 here, and its place


@pytest.mark.parametrize(
    ("head", "member", "times"),
    [
        (b"\x9a\x02", b"\xdc\x20\x00", 1_000),
        (b"\x96\x04", b"\xdd\x00\x01\x00\x04", 1_000),
        (b"\x96\x04", b"\xdc\xff\xff", 1_000),
        (b"\x9a\x02", b"\xde\x00\x40", 1_000),
        (b"\x9a\x02", b"\xdc\x20\x00" + b"\x90" * 8_192, 100),
        (b"\x9a\x02", b"\xdc\x20\x00" + b"\x80" * 8_192, 100),
        (b"\x9a\x02", b"\xdc\x20\x00" + b"\xd4\x01\x01" * 8_192, 50),
        (b"\x9a\x02", b"\xdc\x20\x00" + b"\xd6\xff" + bytes(4), 8_192),
        (b"\x9a\x02", b"\x90" * 9_000_000, 1),
    ],
    ids=["arrays", "arrays in floors", "short arrays in floors", "maps", "of empty arrays", "of empty maps",
         "of extensions", "of dates", "nine million"],
)  # fmt: skip
def test_collections_within_collections_take_memory_in_proportion(head: bytes, member: bytes, times: int) -> None:
    """Before msgpack looks whether it is there, it makes room for what an array claims to hold."""
    body = head + member * times
    assert peak_of(body) < 100_000 + 2 * len(body)


def test_too_many_origins_are_named_as_such() -> None:
    flat = [item for i in range(MAXIMUM_ORIGINS + 1) for item in (b"%08d" % i, 5)]
    with pytest.raises(ProtocolError, match=f"more than {MAXIMUM_ORIGINS} nodes"):
        decode(packed(Type.SEEN, False, flat))


def test_arrays_within_arrays_do_not_exhaust_the_stack() -> None:
    with pytest.raises(ProtocolError):
        decode(b"\x91" * 1_000_000)


def test_where_a_message_ends_that_has_begun() -> None:
    body = messages.encode(Goodbye("so long"))
    assert [messages.end_of(body[:length]) for length in range(len(body))] == [None] * len(body)
    assert messages.end_of(body) == messages.end_of(body + b"and what comes behind it") == len(body)


@pytest.mark.parametrize("begun", [b"\xc1", b"\x92\x05\xc1", b"\x91" * 100_000], ids=["byte", "within", "depth"])
def test_what_begins_as_no_message_is_refused(begun: bytes) -> None:
    with pytest.raises(ProtocolError, match="no message"):
        messages.end_of(begun)
