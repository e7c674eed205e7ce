"""The codec of the common messages beside messages.py, the contract: it writes the same and reads no more."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.errors import ProtocolError
from lru_cache.replication import MAXIMUM_EVENTS, Event, Kind, Version
from tests.replication.any_events import any_times, any_versions, events, nodes, of_build, wide_events
from tests.replication.build import BUILDS, part_of
from tests.replication.events import invalidate_event, set_event, touch_event
from tests.replication.test_messages import VECTORS

LARGE = 65_536  # bytes, about: what is larger is left to messages.py
A, B = b"a" * 8, b"b" * 8

lists_of_events = st.lists(events() | wide_events(), min_size=1, max_size=8) | st.lists(
    events(), min_size=1, max_size=MAXIMUM_EVENTS
)
some_seen = st.dictionaries(nodes, any_times, max_size=20)


@pytest.fixture(params=BUILDS)
def build(request: Any) -> str:
    return str(request.param)


class Wire:
    """The codec and the contract of one build."""

    def __init__(self, build: str) -> None:
        self.build = build
        self.codec = part_of(build, "wire")
        self.messages = part_of(build, "messages")

    def of(self, told: list[Event]) -> list[Any]:
        return [of_build(event, self.build) for event in told]

    def pack(self, told: list[Event]) -> bytes | None:
        packed: bytes | None = self.codec.pack_events(self.of(told))
        return packed

    def encode(self, told: list[Event]) -> bytes:
        encoded: bytes = self.messages.encode(self.of(told))
        return encoded

    def read(self, body: bytes, last_node: bytes = b"") -> Any:
        return self.codec.read_events(body, last_node)

    def reads_what_is_decoded(self, body: bytes) -> None:
        """Whatever these bytes are: they are read as messages.py does, or not at all."""
        try:
            decoded = self.messages.decode(body)
        except ProtocolError:
            decoded = None
        read = self.codec.read_events(body, A)
        assert read is None or repr(read) == repr(decoded)
        flat = self.codec.read_seen(body)
        times = None if flat is None else dict(zip(flat[::2], flat[1::2], strict=True))
        assert times is None or decoded == self.messages.Seen(False, times)


@pytest.fixture
def wire(build: str) -> Wire:
    return Wire(build)


# -- out ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(lists_of_events)
def test_what_is_written_is_what_messages_write(told: list[Event]) -> None:
    for wire in map(Wire, BUILDS):
        packed, encoded = wire.pack(told), wire.encode(told)
        assert packed == encoded or (packed is None and len(encoded) > LARGE - 5_000)


@settings(max_examples=50, deadline=None)
@given(st.lists(any_versions, min_size=2 * MAXIMUM_EVENTS, max_size=2 * MAXIMUM_EVENTS))
def test_every_event_may_be_of_nodes_of_its_own(versions: list[Version]) -> None:
    told = [
        touch_event(b"k" * (number + 1), versions[number], versions[-number - 1], None)
        for number in range(MAXIMUM_EVENTS)
    ]
    for wire in map(Wire, BUILDS):
        assert wire.pack(told) == wire.encode(told)
        assert wire.read(wire.encode(told)) == wire.of(told)


@pytest.mark.parametrize("count", [0, MAXIMUM_EVENTS + 1])
def test_no_events_and_too_many_are_left_to_messages(wire: Wire, count: int) -> None:
    assert wire.pack([invalidate_event(b"k", Version(5, A))] * count) is None


@pytest.mark.parametrize("size", [LARGE - 6_000, LARGE - 4_200, LARGE - 4_100, LARGE, 10 * LARGE])
def test_a_large_message_is_left_to_messages_and_none_is_cut(wire: Wire, size: int) -> None:
    told = [set_event(b"k", Version(5, A), b"v" * size)]
    assert wire.pack(told) == (wire.encode(told) if size < LARGE - 4_150 else None)


@pytest.mark.parametrize("count", range(1, MAXIMUM_EVENTS + 1))
def test_as_much_as_has_room_is_written_whole(wire: Wire, count: int) -> None:
    """The longest of everything: the room that is kept for all but keys and values must do."""
    latest = (1 << 63) - 1
    told = [
        Event(Kind.LOAD, b"k" * 300, Version(latest, b"%08d" % number), 255, b"v" * 300, 1 << 53,
              Version(latest, b"%08x" % (1 << 20 | number)))
        for number in range(count)
    ]  # fmt: skip
    assert wire.pack(told) == wire.encode(told)


@settings(deadline=None)
@given(some_seen)
def test_what_was_seen_is_written_as_messages_write_it(times: dict[bytes, int]) -> None:
    for wire in map(Wire, BUILDS):
        packed = wire.codec.pack_seen(list(times), list(times.values()))
        assert packed == wire.messages.encode(wire.messages.Seen(False, times))


@pytest.mark.parametrize(("count", "is_packed"), [(128, True), (129, False)])
def test_what_was_seen_of_many_nodes_is_left_to_messages(wire: Wire, count: int, is_packed: bool) -> None:
    times = {b"%08d" % number: (1 << 63) - 1 for number in range(count)}
    packed = wire.codec.pack_seen(list(times), list(times.values()))
    assert packed == (wire.messages.encode(wire.messages.Seen(False, times)) if is_packed else None)


# -- in ----------------------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(lists_of_events)
def test_what_we_write_is_read_as_it_was(told: list[Event]) -> None:
    """And not left to messages.py: else it would be slow, and no other test would notice."""
    for wire in map(Wire, BUILDS):
        assert repr(wire.read(wire.encode(told))) == repr(wire.of(told))


@settings(deadline=None)
@given(some_seen)
def test_what_was_seen_is_read_as_it_was(times: dict[bytes, int]) -> None:
    for wire in map(Wire, BUILDS):
        flat = wire.codec.read_seen(wire.messages.encode(wire.messages.Seen(False, times)))
        assert flat == [item for pair in times.items() for item in pair]


def test_a_greeting_is_left_to_messages(wire: Wire) -> None:
    assert wire.codec.read_seen(wire.messages.encode(wire.messages.Seen(True, {A: 5}))) is None


def test_the_node_that_spoke_last_stays_the_same_object(wire: Wire) -> None:
    last = bytes(bytearray(A))
    told = [invalidate_event(b"k", Version(5, A)), invalidate_event(b"k", Version(5, B))]
    read = wire.read(wire.encode(told), last)
    assert read[0].version.node is last
    assert read[1].version.node == B


@settings(max_examples=300, deadline=None)
@given(lists_of_events, st.data())
def test_events_cut_anywhere_are_not_read(told: list[Event], data: st.DataObject) -> None:
    for wire in map(Wire, BUILDS):
        body = wire.encode(told)
        assert wire.read(body[: data.draw(st.integers(0, len(body) - 1))]) is None


@settings(max_examples=400, deadline=None)
@given(lists_of_events, st.data())
def test_changed_bytes_of_events_are_read_as_messages_read_them_or_not_at_all(
    told: list[Event], data: st.DataObject
) -> None:
    body = bytearray(Wire(BUILDS[0]).encode(told)[:4_000])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(body) - 1, 60)) | st.integers(0, len(body) - 1))
        body[place] = data.draw(st.integers(0, 255))
    for wire in map(Wire, BUILDS):
        wire.reads_what_is_decoded(bytes(body))


@settings(max_examples=300, deadline=None)
@given(some_seen, st.data())
def test_changed_bytes_of_what_was_seen_are_read_as_messages_read_them_or_not_at_all(
    times: dict[bytes, int], data: st.DataObject
) -> None:
    for wire in map(Wire, BUILDS):
        body = bytearray(wire.messages.encode(wire.messages.Seen(False, times)))
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        wire.reads_what_is_decoded(bytes(body))
        wire.reads_what_is_decoded(bytes(body[: data.draw(st.integers(0, len(body)))]))


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([b"", b"\x9a\x02", b"\x9a\x02\x91\xc4\x08aaaaaaaa", b"\x93\x03\xc2"]), st.binary(max_size=200))
def test_random_bytes_are_read_as_messages_read_them_or_not_at_all(beginning: bytes, rest: bytes) -> None:
    for wire in map(Wire, BUILDS):
        wire.reads_what_is_decoded(beginning + rest)


def test_a_large_claim_is_not_believed(wire: Wire) -> None:
    """Neither an array's length nor that of bytes is believed before the bytes are there."""
    for body in (
        b"\x9a\x02\xdc\xff\xff", b"\x9a\x02\x91\xc6\xff\xff\xff\xff", b"\x9a\x02\x91\xc6\x7f\xff\xff\xff" + b"a" * 50,
        b"\x93\x03\xc2\xdc\xff\xff", b"\x93\x03\xc2\x92\xc6\xff\xff\xff\xff",
    ):  # fmt: skip
        assert wire.read(body) is None
        assert wire.codec.read_seen(body) is None


@pytest.mark.parametrize(
    "vector", VECTORS["messages"] + VECTORS["accepted"] + VECTORS["refused"], ids=lambda vector: vector["name"]
)
def test_vectors_are_read_as_messages_read_them_or_not_at_all(wire: Wire, vector: Any) -> None:
    body = bytes.fromhex(vector["hex"])
    wire.reads_what_is_decoded(body)
    for end in range(len(body)):
        wire.reads_what_is_decoded(body[:end])
