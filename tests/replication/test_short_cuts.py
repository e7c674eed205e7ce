"""The short cuts lead where the rules lead. Both twins of Stamp, Batch and ShortCuts are held to one contract."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache.replication import messages, python_short_cuts, short_cuts
from lru_cache.replication.encoding import encode_key
from lru_cache.replication.forgetting import Forgotten
from lru_cache.replication.messages import Event, Kind, Seen
from lru_cache.replication.replica import Limits, Replica
from lru_cache.replication.version import NOTHING, Version, time_of
from lru_cache.replication.wiring import wire
from lru_cache.store import Store, implementation
from lru_cache.testing.simulation import PROFILES, Simulation
from tests.effort import some_or_many
from tests.replication.broken import by_the_rules

SEEDS = some_or_many(60, 1_000)
SEEDS_OF_A_PROFILE = some_or_many(10, 100)
TWINS: list[Any] = [python_short_cuts]
if implementation == "native":
    from lru_cache.replication import native_short_cuts

    TWINS.append(native_short_cuts)

X, Y = b"x" * 8, b"y" * 8


def test_they_are_in_c_where_the_store_is() -> None:
    assert (short_cuts.ShortCuts is python_short_cuts.ShortCuts) == (implementation == "python")


# -- one simulated cluster by both -------------------------------------------------------------------------------------


def everything_said(seed: int, profile: str | None = None) -> tuple[str, int]:
    """A digest of all messages of a simulated cluster, and how many short cuts were taken."""
    digest = blake2b(digest_size=16)
    send, take = Simulation.send, []

    def noted(self: Simulation, channel: Any, sender: Any, body: bytes) -> None:
        digest.update(len(body).to_bytes(4, "big") + sender.name.encode() + body)
        take.append(body)
        send(self, channel, sender, body)

    with patch.object(Simulation, "send", noted):
        tally = Simulation(seed, profile=profile).run()
    return digest.hexdigest() + repr(tally), len(take)


@pytest.mark.parametrize("profile", [None, *sorted(PROFILES)])
def test_every_message_is_what_the_rules_say(profile: str | None) -> None:
    for seed in range(SEEDS if profile is None else SEEDS_OF_A_PROFILE):
        taken = everything_said(seed, profile)
        with by_the_rules():
            assert everything_said(seed, profile) == taken, f"seed {seed}"


# -- one replica -------------------------------------------------------------------------------------------------------


class Node:
    """A replica with a store, linked with a peer that says what the test says."""

    def __init__(self, graves: int = 100, capacity: int = 100) -> None:
        self.now = 100.0
        self.store: Store[Any, Any] = Store(capacity)
        self.loading: dict[Any, Any] = {}
        self.shelf, self.replica = wire(
            self.store,
            b"n" * 8,
            self.now,
            1.7e9,
            Limits(graves=graves),
            loading=self.loading,
            fence=lambda key: self.loading.pop(key, None),
        )
        for link, node in (("a", X), ("b", Y)):
            self.replica.link_up(link, node, 100, 1_000_000)
            self.replica.received(link, messages.encode(Seen(True, {})), self.now)
            self.said(link)

    def said(self, link: str) -> list[Event]:
        """The events that it sends on a link now."""
        found: list[Event] = []
        while bodies := self.replica.to_send(link, self.now, 1_000_000):
            for message in map(messages.decode, bodies):
                found += message if isinstance(message, list) else []
        return found

    def hears(self, *events: Event) -> None:
        """The peer behind link a says this."""
        self.replica.received("a", messages.encode(list(events)), self.now)

    def held(self, key: str) -> Any:
        """What is held for a key: its payload, version and deadline."""
        entry = self.store.find(key)
        return None if entry is None else (entry.value, entry.version.version, entry.version.is_set, entry.deadline)

    def state(self) -> Any:
        """All that may depend on what it heard."""
        replica = self.replica
        return (
            [(entry.key, self.held(entry.key)) for entry in self.store.entries()],
            replica.forgotten.graves(),
            dict(replica.seen),
            dict(replica.heard),
            replica.counts,
            [(gone[0], gone[1], gone[3]) for gone in self.shelf.gone],
            list(self.loading),
            [self.said(link) for link in ("a", "b")],
        )


BASE = time_of(1.7e9)
keys = st.sampled_from(["k", "l", "ключ", "x" * 40, 7, 200, 70_000, (1, "a"), None])
times = st.integers(0, 3).map(lambda steps: BASE + steps) | st.integers(0, 90).map(lambda s: BASE - (s * 20 << 16))
versions = st.builds(Version, times, st.sampled_from([X, Y]))
lives = st.none() | st.integers(0, 100_000)


@st.composite
def events(draw: Callable[[Any], Any]) -> Event:
    """Any event."""
    kind = draw(st.sampled_from(Kind))
    has_value = kind in (Kind.SET, Kind.LOAD)
    return Event(
        kind,
        encode_key(draw(keys)),
        draw(versions),
        draw(st.sampled_from([1, 2, 31, 32, 33])),
        draw(st.binary(max_size=300)) if has_value else None,
        draw(lives) if kind is not Kind.INVALIDATE else None,
        draw(versions) if kind >= Kind.LOAD else NOTHING,
    )


@given(st.lists(st.lists(events(), min_size=1, max_size=8), max_size=6), st.integers(1, 5), st.lists(keys, max_size=2))
def test_what_is_heard_ends_as_the_rules_say(batches: list[list[Event]], capacity: int, loading: list[Any]) -> None:
    def heard() -> Any:
        node = Node(capacity=capacity, graves=3)
        node.loading.update(dict.fromkeys(loading))
        states = []
        for batch in batches:
            node.hears(*batch)
            states.append(node.state())
            node.now += 0.3
        return states

    taken = heard()
    with by_the_rules():
        assert heard() == taken


@given(st.lists(st.tuples(st.sampled_from("klm"), st.sampled_from(["set", "set", "invalidate", "touch"]), lives)))
def test_what_is_written_is_told_as_the_rules_say(writes: list[tuple[str, str, int | None]]) -> None:
    def told() -> Any:
        node = Node(capacity=2, graves=2)
        for key, act, life in writes:
            entry = node.store.find(key)
            if act == "set":
                stamp = node.replica.set(encode_key(key), b"\x01", node.now)
                deadline = float("inf") if life is None else node.now + life / 1000
                node.replica.left(node.store.put(key, b"\x01", node.now, deadline, deadline, stamp))
            elif act == "invalidate":
                node.replica.invalidate(encode_key(key), node.now)
            elif entry is not None:
                node.replica.touch(entry, node.now)
            node.now += 0.1
        return node.state()

    taken = told()
    with by_the_rules():
        assert told() == taken


def test_a_plain_set_reaches_the_rules_only_without_short_cuts() -> None:
    """Else the comparison above compares the rules with themselves."""
    node = Node()
    with patch.object(Replica, "_merge", autospec=True) as merge:
        node.hears(Event(Kind.SET, encode_key("k"), Version(BASE, X), 1, b"\x01"))
    assert merge.called == (implementation == "python")
    assert (node.held("k") is None) == (implementation == "python")


def test_a_key_that_is_not_text_is_refused_as_the_rules_refuse_it() -> None:
    node = Node()
    with pytest.raises(messages.ProtocolError, match="key"):
        node.hears(Event(Kind.SET, b"\xa2\xff\xff", Version(BASE, X), 1, b"\x01"))


def test_a_time_from_the_future_is_refused() -> None:
    node = Node()
    with pytest.raises(messages.ProtocolError, match="ahead of our clock"):
        node.hears(Event(Kind.SET, encode_key("k"), Version(time_of(1.7e9 + 60), X), 1, b"\x01"))


@given(st.data())
def test_bytes_of_strangers_are_refused_or_known(data: st.DataObject) -> None:
    """Whatever becomes of a message, the short cut neither crashes nor takes what `decode` would not."""
    body = bytearray(messages.encode(data.draw(st.lists(events(), min_size=1, max_size=5))))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)) | st.just(len(body)))]

    def outcome() -> Any:
        node = Node()
        try:
            node.replica.received("a", bytes(body), node.now)
        except messages.ProtocolError as error:
            return str(error), node.held("k")
        return node.state()

    taken = outcome()
    with by_the_rules():
        assert outcome() == taken


# -- the parts ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=TWINS, ids=lambda twin: twin.__name__.rpartition(".")[2])
def twin(request: Any) -> Any:
    return request.param


class TestStamp:
    def test_says_what_it_was_made_of(self, twin: Any) -> None:
        stamp = twin.Stamp(b"k", Version(5, X), True, b"v")
        assert (stamp.key, stamp.payload, stamp.is_set) == (b"k", b"v", True)
        assert stamp.version == stamp.told == stamp.life_version == Version(5, X)
        assert isinstance(stamp.version, Version)

    def test_of_a_load_says_when_it_was_told(self, twin: Any) -> None:
        stamp = twin.Stamp(b"k", Version(5, X), False, None, Version(7, Y))
        assert (stamp.version, stamp.told, stamp.payload, stamp.is_set) == (Version(5, X), Version(7, Y), None, False)

    def test_nothing_told_is_its_own_version(self, twin: Any) -> None:
        assert twin.Stamp(b"k", Version(5, X), False, b"v", NOTHING).told == Version(5, X)

    def test_its_life_can_begin_anew(self, twin: Any) -> None:
        stamp = twin.Stamp(b"k", Version(5, X), True, b"v")
        stamp.life_version = Version(9, Y)
        assert (stamp.version, stamp.life_version) == (Version(5, X), Version(9, Y))

    def test_shows_itself(self, twin: Any) -> None:
        assert repr(twin.Stamp(b"k", Version(5, X), True, b"v")) == f"Stamp(SET, b'k', {Version(5, X)!r})"


class TestBatch:
    @given(st.lists(events(), max_size=150), st.sampled_from([1, 500, 1_000_000]))
    def test_makes_the_messages_that_the_reference_makes(self, told: list[Event], limit: int) -> None:
        batches = [twin.Batch(limit) for twin in TWINS]
        for event in told:
            for batch in batches:
                batch.add(*event)
            assert len({batch.has_room for batch in batches}) == 1
        assert all(batch.bodies() == batches[0].bodies() for batch in batches)

    def test_what_it_says_can_be_read(self, twin: Any) -> None:
        event = Event(Kind.LOAD, b"k", Version(5, X), 2, b"v" * 70_000, 1 << 40, Version(1 << 62, Y))
        batch = twin.Batch(1_000_000)
        batch.add(*event)
        assert [messages.decode(body) for body in batch.bodies()] == [[event]]

    def test_is_full_with_as_many_events_as_a_message_takes(self, twin: Any) -> None:
        batch = twin.Batch(1_000_000)
        for _ in range(messages.MAXIMUM_EVENTS - 1):
            batch.add(Kind.INVALIDATE, b"k", Version(5, X), 1)
        assert batch.has_room
        batch.add(Kind.INVALIDATE, b"k", Version(5, X), 1)
        assert not batch.has_room

    @pytest.mark.parametrize("wrong", [(0, "k", Version(5, X), 1), (0, b"k", (5, 6), 1), (0, b"k", Version(5, X), 300)])
    def test_refuses_what_is_no_event(self, wrong: Any) -> None:
        for twin in TWINS[1:]:  # the reference trusts its callers
            with pytest.raises((TypeError, ValueError)):
                twin.Batch(100).add(*wrong)


def test_a_replica_that_nobody_holds_is_collected() -> None:
    replica = weakref.ref(Node().replica)
    gc.collect()
    assert replica() is None


# -- foreign code within a short cut -----------------------------------------------------------------------------------


class Double:
    """Has the hash of another key, and is not equal to it; `on_compare` runs once, at the next comparison."""

    def __init__(self, key: str) -> None:
        self._hash = hash(key)
        self.on_compare: Callable[[], object] | None = None

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        act, self.on_compare = self.on_compare, None
        if act is not None:
            act()
        return self is other


def with_double(node: Node, act: Callable[[], object]) -> Node:
    """A loader of this node's has brought a key that acts when it is next compared with "k"."""
    double = Double("k")
    node.store.put(double, "untold", node.now)
    double.on_compare = act
    return node


def test_a_write_while_what_came_is_looked_up_counts() -> None:
    node = Node()
    with_double(node, lambda: node.replica.invalidate(encode_key("k"), node.now))
    node.hears(Event(Kind.SET, encode_key("k"), Version(BASE - 1, X), 1, b"\x01"))
    assert node.held("k") is None


def test_a_load_that_begins_while_what_came_is_looked_up_is_fenced() -> None:
    node = Node()
    with_double(node, lambda: node.loading.update(k=None))
    node.hears(Event(Kind.SET, encode_key("k"), Version(BASE - 1, X), 1, b"\x01"))
    assert node.held("k") is not None
    assert "k" not in node.loading


def test_a_write_while_what_was_evicted_is_looked_up_keeps_the_newer_grave() -> None:
    node = Node(capacity=2)
    node.hears(Event(Kind.SET, encode_key("k"), Version(BASE - 1, X), 1, b"\x01"))
    with_double(node, lambda: node.replica.invalidate(encode_key("k"), node.now))
    node.hears(Event(Kind.SET, encode_key("l"), Version(BASE, X), 1, b"\x01"))
    assert node.replica.forgotten.grave(encode_key("k")).node == node.replica.node


@contextmanager
def collecting_at_once(act: Callable[[], object], after: int = 1) -> Iterator[None]:
    """The first object made inside that the garbage collector knows makes it run, and with it a finalizer that acts.

    Or one `after` so many.
    """

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            act()

    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        Garbage()
        gc.set_threshold(after, 1, 1)
        gc.enable()
        yield
    finally:
        gc.enable()
        gc.set_threshold(*before)
        gc.collect()


def test_no_time_is_given_out_twice_whatever_a_collection_writes() -> None:
    node = Node()
    write, now, stamps = node.replica.short_cuts.set, node.now, []
    with collecting_at_once(lambda: stamps.append(node.replica.set(b"\xa1l", b"\x01", node.now))):
        stamp = write(b"\xa1k", b"\x01", now)
    versions = {each.version for each in [stamp, *stamps]}
    assert len(versions) == 2
    assert node.replica.told_time() == max(versions).time


def test_what_was_seen_is_told_whole_whatever_a_collection_writes() -> None:
    node = Node()
    others = {bytes([number]) * 8: BASE - number for number in range(1, 17)}
    node.replica.received("a", messages.encode(Seen(False, others)), node.now)
    alone, now = node.replica.short_cuts.alone, node.now
    with collecting_at_once(lambda: node.replica.heartbeat(node.now)):
        bodies = alone("b", now)
    bodies += node.replica.to_send("b", node.now, 1_000_000)
    told = [message for message in map(messages.decode, bodies) if isinstance(message, Seen)]
    assert {each for message in told for each in message.times} == {*others, node.replica.node}


def keys_told_before_they_were_seen(bodies: list[bytes], node: Node) -> dict[bytes, int]:
    """Keys with the newest time that was told of each. AssertionError if `seen` covers a write that is told later."""
    told: dict[bytes, int] = {}
    seen = 0
    for message in map(messages.decode, bodies):
        if isinstance(message, list):
            assert all(event.version.time > seen for event in message)
            told.update((event.key, event.version.time) for event in message)
        elif isinstance(message, Seen):
            seen = message.times.get(node.replica.node, seen)
    assert seen == node.replica.told_time()
    return told


@pytest.mark.parametrize("waiting", [0, 1, 2, 4])
@pytest.mark.parametrize("after", range(1, 30))
def test_no_write_of_a_collection_is_seen_before_it_is_told_nor_lost(after: int, waiting: int) -> None:
    """Also where it makes an outbox overflow, and where that one overflows already."""
    node = Node()
    node.replica.neighbours["b"].outbox._limit = 2
    written: dict[bytes, int] = {}

    def write(*keys: str) -> None:
        for key in keys:
            stamp = node.replica.set(encode_key(key), b"\x01", node.now)
            node.replica.left(node.store.put(key, 1, node.now, node.now + 9, node.now + 9, stamp))
            written[stamp.key] = max(written.get(stamp.key, 0), stamp.version.time)

    write(*"defg"[:waiting])
    bodies: list[bytes] = []
    with collecting_at_once(lambda: write("a", "b", "c"), after):
        write("k")
        bodies += node.replica.short_cuts.alone("b", node.now) or []
        bodies += node.replica.to_send("b", node.now, 1)
    while more := node.replica.to_send("b", node.now, 1_000_000):
        bodies += more
    assert keys_told_before_they_were_seen(bodies, node) == written


@pytest.mark.parametrize("after", range(1, 12))
def test_no_floor_is_lost_that_a_collection_raises_during_a_clear(after: int) -> None:
    forgotten = Forgotten(10, 1)
    forgotten.raise_floor(1, 5)
    forgotten.raise_floor(2, 15)
    with collecting_at_once(lambda: forgotten.raise_floor(3, 20), after):
        forgotten.raise_all(10)
        _ = [[] for _ in range(20)]
    assert forgotten.floors == {2: 15, 3: 20}
    assert forgotten.changed_since(0, 0) == (10, {2: 15, 3: 20})


@pytest.mark.parametrize("after", range(1, 12))
def test_floors_can_be_listed_while_a_collection_clears(after: int) -> None:
    forgotten = Forgotten(10, 1)
    forgotten.raise_floor(1, 5)
    forgotten.raise_floor(2, 15)
    with collecting_at_once(lambda: forgotten.raise_all(10), after):
        changed = forgotten.changed_since(0, 0)
        _ = [[] for _ in range(20)]
    assert changed in [(0, {1: 5, 2: 15}), (10, {2: 15}), (0, {2: 15})]


def test_who_passes_news_on_says_nothing_of_what_was_seen_unless_that_has_changed() -> None:
    node = Node()
    node.hears(Event(Kind.SET, encode_key("k"), Version(BASE - 1, X), 1, b"\x01"))
    bodies = node.replica.short_cuts.alone("b", node.now)
    assert bodies is not None
    assert [type(message) for message in map(messages.decode, bodies)] == [list]


@pytest.mark.parametrize("after", range(1, 20))
def test_what_a_collection_buries_stays_buried_when_an_older_set_leaves(after: int) -> None:
    node = Node(capacity=1)
    node.hears(Event(Kind.SET, encode_key("k"), Version(BASE - 1, X), 1, b"\x01"))
    body = messages.encode([Event(Kind.SET, encode_key("l"), Version(BASE, X), 1, b"\x01")])
    with collecting_at_once(lambda: node.replica.invalidate(encode_key("k"), node.now), after):
        node.replica.received("a", body, node.now)
    assert node.replica.forgotten.grave(encode_key("k")).node == node.replica.node


@pytest.mark.skipif(implementation == "python", reason="they have no types to insist on")
@pytest.mark.parametrize("nonsense", [{}, {b"k": 1}, None, [], 3])
def test_what_is_no_ordered_dict_is_not_written_to_as_one(nonsense: Any) -> None:
    node = Node()
    node.replica.neighbours["b"].outbox._items = nonsense
    with pytest.raises(TypeError, match="OrderedDict"):
        node.replica.set(b"\xa1k", b"\x01", node.now)
