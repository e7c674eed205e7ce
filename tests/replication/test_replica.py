"""What a replica keeps, tells and believes: two or three of them, wired by hand.

What happens in the worst order is the simulator's to find; here is one small case for each rule.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise, permutations
from math import inf
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.errors import ProtocolError
from lru_cache.replication import (
    BUCKETS,
    FRAME_MARGIN_BYTES,
    MAXIMUM_EVENTS,
    MAXIMUM_HOPS,
    NOTHING,
    Event,
    Goodbye,
    Kind,
    Limits,
    Message,
    Ping,
    Pong,
    Seen,
    Stamp,
    Version,
    bucket_of,
    time_of,
    wire,
)
from lru_cache.replication.encoding import encode_key
from lru_cache.store import Entry, RemovalCause, Store
from tests.effort import some_or_many
from tests.replication.build import event as events
from tests.replication.build import messages
from tests.replication.build import version as versions
from tests.replication.events import invalidate_event, load_event, set_event, touch_event

FloorRange, Floors = messages.FloorRange, messages.Floors
decode, encode, MAXIMUM_ORIGINS = messages.decode, messages.encode, messages.MAXIMUM_ORIGINS
MAXIMUM_LIFE_MS, span_of = events.MAXIMUM_LIFE_MS, versions.span_of

NOW = 1_000.0
WALL = 1.7e9
SKEW = 0.5
HOLD = 1.05  # seconds: twice the skew, and a little
DAY = 86_400.0
TURNS = 1_000  # after which machines that still talk are said never to stop
BUDGET = 1_000_000


def at(seconds: float) -> int:
    """The time that it is so many seconds after the beginning."""
    return time_of(WALL + seconds)


class Machine:
    """A store, a replica, and an application with loads in flight."""

    def __init__(self, network: "Network", name: str, capacity: int, skew: float, limits: Limits) -> None:
        self.network = network
        self.id = name.encode().ljust(8, b"-")
        self.name = name
        self.skew = skew
        self.store: Store[str, bytes] = Store(capacity)
        self.loads: dict[str, Version] = {}  # key -> when it began
        self.fenced: list[str] = []
        self.begin(self.store, limits)

    def begin(self, store: Any, limits: Limits) -> None:
        """Put a replica over this store."""
        wall = WALL + self.network.passed + self.skew
        _, self.replica = wire(store, self.id, self.now, wall, limits, loading=self.loads, fence=self._fence)

    def _fence(self, key: str) -> None:
        if self.loads.pop(key, None) is not None:
            self.fenced.append(key)

    @property
    def now(self) -> float:
        return NOW + self.network.passed

    # What its application does, as the cache would pass it on.

    def set(self, key: str, value: bytes = b"value", life: float = inf) -> Version:
        stamp = self.replica.set(encode_key(key), value, self.now)
        self._put(key, value, self.now + life, stamp)
        return stamp.version

    def invalidate(self, key: str) -> Version:
        self._drop(key, RemovalCause.INVALIDATED)
        self.replica.invalidate(encode_key(key), self.now)
        return Version(self.replica.told_time(), self.id)

    def evict(self, key: str) -> None:
        gone = self._drop(key, RemovalCause.EVICTED)
        assert gone is not None
        self.replica.left([gone])

    def clear(self) -> None:
        self.loads.clear()
        self.store.clear(self.now)
        self.replica.clear(self.now)

    def touch(self, key: str, life: float) -> None:
        entry = self.entry(key)
        self.store.prolong(entry, self.now + life, self.now + life)
        self.replica.touch(entry, self.now)

    def begin_load(self, key: str) -> None:
        self.loads[key] = self.replica.begin_load(self.now)

    def end_load(self, key: str, value: bytes | None = b"loaded", life: float = inf) -> bool:
        """Whether its result was kept."""
        began = self.loads.pop(key, None)
        stamp = None if began is None else self.replica.keep_load(encode_key(key), value, began, self.now)
        if stamp is not None:
            self._put(key, value or b"untold", self.now + life, stamp)
        return stamp is not None

    def load(self, key: str, value: bytes | None = b"loaded", life: float = inf) -> bool:
        self.begin_load(key)
        return self.end_load(key, value, life)

    def _put(self, key: str, value: bytes, deadline: float, stamp: Stamp) -> None:
        self.replica.left(self.store.put(key, value, self.now, deadline, deadline, stamp))

    def _drop(self, key: str, cause: RemovalCause) -> Any:
        entry = self.store.find(key)
        return None if entry is None else self.store.remove(entry, cause, self.now)

    # What it holds.

    def entry(self, key: str) -> Entry[str, bytes]:
        entry = self.store.find(key)
        assert entry is not None, f"{self.name} does not hold {key}"
        return entry

    def stamp(self, key: str) -> Stamp:
        stamp = self.entry(key).version
        assert isinstance(stamp, Stamp)
        return stamp

    def get(self, key: str) -> bytes | None:
        entry = self.store.find(key)
        return None if entry is None or entry.deadline <= self.now else entry.value

    def set_versions(self) -> dict[str, Version]:
        return {e.key: self.stamp(e.key).version for e in self.store.entries() if self.stamp(e.key).is_set}

    def grave(self, key: str) -> Version:
        return self.replica.forgotten.grave(encode_key(key))

    def told(self, key: str) -> list[Version]:
        """The invalidations of a key that it would tell."""
        return list(self.replica.forgotten.versions(encode_key(key)))

    # Messages without a machine at the other end.

    def receive(self, *messages: Message, link: object = "wire") -> None:
        for message in messages:
            self.replica.received(link, encode(message), self.now)

    def send(self, link: object = "wire", budget: int = BUDGET) -> list[Message]:
        messages = [decode(body) for body in self.replica.to_send(link, self.now, budget)]
        assert None not in messages
        return messages  # type: ignore[return-value]

    def send_events(self, link: object = "wire") -> list[Event]:
        return [event for message in self.send(link) if isinstance(message, list) for event in message]


class Network:
    """Machines, the links between them, and the time. Messages go when somebody carries them."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.machines: list[Machine] = []
        self.carried: list[tuple[str, str, Message]] = []
        self._links = 0
        self._ends: dict[tuple[str, str], tuple[Machine, Machine, int]] = {}

    def machine(self, name: str, capacity: int = 100, skew: float = 0.0, **limits: Any) -> Machine:
        self.machines.append(Machine(self, name, capacity, skew, Limits(max_clock_skew=SKEW, **limits)))
        return self.machines[-1]

    def wait(self, seconds: float) -> None:
        self.passed += seconds

    def link(self, *machines: Machine, value_limit: int = BUDGET, half_trip: float = 0.0) -> None:
        """Link each to the next."""
        for here, there in pairwise(machines):
            self._links += 1
            for one, other, dialled in ((here, there, True), (there, here, False)):
                one.replica.link_up(
                    self._links, other.id, other.store.capacity, value_limit, half_trip, dialled=dialled
                )
                self._ends[one.name, other.name] = one, other, self._links

    def cut(self, here: Machine, there: Machine) -> None:
        for one, other in ((here, there), (there, here)):
            _, _, link = self._ends.pop((one.name, other.name))
            one.replica.link_down(link)

    def name_of_link(self, here: Machine, there: Machine) -> int:
        return self._ends[here.name, there.name][2]

    def carry(self, here: Machine, there: Machine, budget: int = BUDGET) -> list[Message]:
        """Let one machine tell another what it has to tell."""
        link = self.name_of_link(here, there)
        messages = []
        for body in here.replica.to_send(link, here.now, budget):
            message = decode(body)
            assert message is not None
            there.replica.received(link, body, there.now)
            messages.append(message)
            self.carried.append((here.name, there.name, message))
        return messages

    def settle(self, *without: tuple[Machine, Machine]) -> None:
        """Carry everything, but from one machine of such a pair to the other, until nobody has anything to tell."""
        held_back = {(here.name, there.name) for here, there in without}
        for _ in range(TURNS):
            if not [1 for ends in list(self._ends) if ends not in held_back and self._carry_some(ends)]:
                return
        raise AssertionError("they talk for ever")

    def _carry_some(self, ends: tuple[str, str]) -> bool:
        here, there, link = self._ends[ends]
        if not here.replica.has_to_send(link):
            return False
        self.carry(here, there)
        return True

    def events(self, here: str | None = None, there: str | None = None) -> list[Event]:
        """What was carried from one to another so far."""
        return [
            event
            for sender, receiver, message in self.carried
            if isinstance(message, list) and here in (None, sender) and there in (None, receiver)
            for event in message
        ]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def pair(network: Network) -> tuple[Machine, Machine]:
    a, b = network.machine("a"), network.machine("b")
    network.link(a, b)
    network.settle()
    return a, b


@pytest.fixture
def chain(network: Network) -> tuple[Machine, Machine, Machine]:
    a, b, c = (network.machine(name) for name in "abc")
    network.link(a, b, c)
    network.settle()
    return a, b, c


@pytest.fixture
def ring(network: Network) -> tuple[Machine, Machine, Machine]:
    a, b, c = (network.machine(name) for name in "abc")
    network.link(a, b, c, a)
    network.settle()
    return a, b, c


def greet(machine: Machine, link: str, node: bytes, *, value_limit: int = BUDGET, half_trip: float = 0.0) -> None:
    """Link a machine to nobody, who greets it and lets it tell everything so far."""
    machine.replica.link_up(link, node, 100, value_limit, half_trip)
    machine.receive(Seen(True, dict(machine.replica.seen)), link=link)
    machine.send(link)  # its greeting
    machine.send(link)


def alone(capacity: int = 100, value_limit: int = BUDGET, half_trip: float = 0.0, **limits: Any) -> Machine:
    """A machine with a link to nobody."""
    machine = Network().machine("a", capacity, **limits)
    greet(machine, "wire", PEER, value_limit=value_limit, half_trip=half_trip)
    return machine


PEER, X, Y, Z = b"the peer", b"origin-x", b"origin-y", b"origin-z"
KEY = encode_key("k")


def a_set(seconds: float, node: bytes = X, value: bytes = b"value", key: str = "k", **more: Any) -> Event:
    return set_event(encode_key(key), Version(at(seconds), node), value, hops=more.pop("hops", 1), **more)


def an_invalidation(seconds: float, node: bytes = X, key: str = "k", hops: int = 1) -> Event:
    return invalidate_event(encode_key(key), Version(at(seconds), node), hops=hops)


def a_load(began: float, told: float, node: bytes = X, value: bytes = b"loaded", life_ms: int | None = None) -> Event:
    return load_event(KEY, Version(at(began), node), Version(at(told), node), value, life_ms)


# -- news arrives ------------------------------------------------------------------------------------------------------


def test_a_set_arrives(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k", b"told")
    network.settle()
    assert b.get("k") == b"told"


def test_a_set_arrives_at_its_version(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    version = a.set("k")
    network.settle()
    assert b.stamp("k").version == version


def test_what_was_set_before_the_link_arrives(network: Network) -> None:
    a, b = network.machine("a"), network.machine("b")
    a.set("k", b"told")
    network.link(a, b)
    network.settle()
    assert b.get("k") == b"told"


def test_an_invalidation_arrives(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k")
    network.settle()
    a.invalidate("k")
    network.settle()
    assert b.get("k") is None


def test_an_invalidation_of_what_one_does_not_hold_arrives(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    b.set("k")
    network.settle()
    a.evict("k")
    a.invalidate("k")
    network.settle()
    assert b.get("k") is None


def test_a_load_arrives(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.load("k", b"row")
    network.settle()
    assert b.get("k") == b"row"


def test_a_load_that_cannot_be_told_stays_where_it_is(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.load("k", None)
    network.settle()
    assert (a.get("k"), b.get("k")) == (b"untold", None)


def test_news_travels_on(network: Network, chain: tuple[Machine, Machine, Machine]) -> None:
    a, _, c = chain
    a.set("k", b"told")
    network.settle()
    assert c.get("k") == b"told"


def test_news_does_not_go_back_where_it_came_from(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, _ = pair
    a.set("k")
    network.settle()
    assert network.events("b", "a") == []


def test_news_in_a_ring_crosses_each_link_at_most_once(
    network: Network, ring: tuple[Machine, Machine, Machine]
) -> None:
    ring[0].set("k")
    network.settle()
    for here, there in permutations("abc", 2):
        assert len(network.events(here, there)) <= 1


def test_a_hot_key_is_told_once(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, _ = pair
    for i in range(50):
        a.set("k", b"%d" % i)
    network.settle()
    assert [event.payload for event in network.events()] == [b"49"]


def test_one_message_has_no_more_than_the_allowed_events(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, _ = pair
    for i in range(100):
        a.set(f"k{i}")
    network.settle()
    batches = [len(message) for _, _, message in network.carried if isinstance(message, list)]
    assert batches == [MAXIMUM_EVENTS, 100 - MAXIMUM_EVENTS]


# -- what is newest ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["older first", "newer first"])
def test_the_newest_set_wins_whichever_comes_first(order: tuple[int, int]) -> None:
    machine, sets = alone(), (a_set(-2, X, b"older"), a_set(-1, Y, b"newer"))
    for i in order:
        machine.receive([sets[i]])
    assert machine.get("k") == b"newer"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_sets_of_one_time_that_of_the_greater_node_wins(order: tuple[int, int]) -> None:
    machine, sets = alone(), (a_set(-1, X, b"x"), a_set(-1, Y, b"y"))
    for i in order:
        machine.receive([sets[i]])
    assert machine.get("k") == b"y"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_newer_invalidation_wins_whichever_comes_first(order: tuple[int, int]) -> None:
    machine, events = alone(), (a_set(-2), an_invalidation(-1, Y))
    for i in order:
        machine.receive([events[i]])
    assert machine.get("k") is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_older_invalidation_leaves_a_newer_set(order: tuple[int, int]) -> None:
    machine, events = alone(), (an_invalidation(-2, Y), a_set(-1))
    for i in order:
        machine.receive([events[i]])
    assert machine.get("k") == b"value"


def test_two_who_set_at_once_agree(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k", b"of a")
    b.set("k", b"of b")
    network.settle()
    assert a.set_versions() == b.set_versions() != {}


def test_a_write_is_newer_than_all_that_was_heard() -> None:
    machine = alone()
    machine.receive([a_set(0.4)])  # of a clock that is ahead, as far as is allowed
    assert machine.set("k") > Version(at(0.4), X)


def test_a_set_that_was_evicted_does_not_let_an_older_one_in() -> None:
    machine = alone()
    machine.set("k")
    machine.evict("k")
    machine.receive([a_set(-3)])
    assert machine.get("k") is None


def test_a_set_that_was_forgotten_does_not_let_an_older_one_in() -> None:
    machine = alone(graves=0)
    machine.set("k")
    machine.evict("k")
    machine.receive([a_set(-3)])
    assert machine.get("k") is None


# -- merging does not depend on the order ------------------------------------------------------------------------------

moments = st.sampled_from([-9.0, -4.0, -3.5, -3.0, -1.5, -1.0, -0.5])
origins = st.sampled_from([X, Y, Z])
authorities = st.builds(
    lambda is_set, seconds, node, key: (
        a_set(seconds, node, b"%r %s" % (seconds, node), key) if is_set else an_invalidation(seconds, node, key)
    ),
    st.booleans(), moments, origins, st.sampled_from("kl"),
)  # fmt: skip
loads = st.builds(lambda began, lasted, node: a_load(began, began + lasted, node), moments, st.floats(0, 1), origins)


def distinct(events: Iterable[Event]) -> list[Event]:
    """Of each key and version no more than one: a node gives a time out once."""
    return list({(event.key, event.version): event for event in events}.values())


@st.composite
def orders_of(draw: st.DrawFn, events: st.SearchStrategy[Event]) -> tuple[list[Event], list[Event], list[Event]]:
    """Some events, and two orders in which they may come, some more than once."""
    told = distinct(draw(st.lists(events, min_size=1, max_size=8)))
    first, second = (draw(st.permutations(told + draw(st.lists(st.sampled_from(told))))) for _ in range(2))
    return told, first, second


def merged(events: list[Event]) -> Machine:
    machine = alone()
    for event in events:
        machine.receive([event])
    return machine


@settings(max_examples=some_or_many(200, 1000))
@given(orders_of(authorities))
def test_the_same_news_in_any_order_and_repeated_gives_the_same_sets(
    orders: tuple[list[Event], list[Event], list[Event]],
) -> None:
    _, first, second = orders
    assert merged(first).set_versions() == merged(second).set_versions()


@settings(max_examples=some_or_many(200, 1000))
@given(orders_of(authorities | loads))
def test_nothing_but_the_newest_set_is_held_whatever_the_order(
    orders: tuple[list[Event], list[Event], list[Event]],
) -> None:
    told, order, _ = orders
    for key, version in merged(order).set_versions().items():
        assert version == max(e.version for e in told if e.key == encode_key(key) and e.kind != Kind.LOAD)


@settings(max_examples=some_or_many(200, 1000))
@given(orders_of(authorities | loads))
def test_no_load_is_held_that_began_before_a_write_or_a_hold_after_it(
    orders: tuple[list[Event], list[Event], list[Event]],
) -> None:
    told, order, _ = orders
    machine = merged(order)
    for entry in machine.store.entries():
        stamp = machine.stamp(entry.key)
        for event in told:
            if not stamp.is_set and event.key == stamp.key and event.kind != Kind.LOAD:
                assert stamp.version.time > event.version.time + span_of(HOLD)


@settings(max_examples=some_or_many(100, 500))
@given(orders_of(authorities | loads))
def test_what_was_merged_changes_nothing_when_it_comes_again(
    orders: tuple[list[Event], list[Event], list[Event]],
) -> None:
    told, order, _ = orders
    machine = merged(order)
    before = machine.set_versions()
    machine.receive(told)
    assert machine.set_versions() == before


def test_a_repeat_is_ignored() -> None:
    machine = alone()
    machine.receive([a_set(-5)], Seen(False, {X: at(-5)}))
    machine.evict("k")
    machine.receive([a_set(-5)])
    assert machine.replica.counts.repeated == 1


def test_a_repeat_is_not_passed_on() -> None:
    machine = alone()
    machine.receive([a_set(-5)], Seen(False, {X: at(-5)}))
    greet(machine, "other", Y)
    machine.receive([a_set(-5)])
    assert machine.send_events("other") == []


def test_a_repeat_fences_nothing() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-5)}))
    machine.begin_load("k")
    machine.receive([an_invalidation(-5)])
    assert machine.fenced == []


def test_a_load_counts_as_a_repeat_by_when_it_was_told() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-5)}), [a_load(-6, -4)])
    assert machine.get("k") == b"loaded"


# -- loads -------------------------------------------------------------------------------------------------------------


def test_a_load_never_replaces_a_set() -> None:
    machine = alone()
    machine.receive([a_set(-9), a_load(-1, -1)])
    assert machine.get("k") == b"value"


def test_a_set_replaces_a_load() -> None:
    machine = alone()
    machine.receive([a_load(-9, -9), a_set(-1)])
    assert machine.get("k") == b"value"


def test_a_set_does_not_replace_a_load_that_began_a_hold_after_it() -> None:
    machine = alone()
    machine.receive([a_load(-1, -1), a_set(-9)])
    assert machine.get("k") == b"loaded"


def test_a_younger_load_replaces_an_older_one() -> None:
    machine = alone()
    machine.receive([a_load(-9, -9), a_load(-8, -8, Y, b"younger")])
    assert machine.get("k") == b"younger"


def test_an_older_load_does_not_replace_a_younger_one() -> None:
    machine = alone()
    machine.receive([a_load(-8, -8), a_load(-9, -7, Y, b"older")])
    assert machine.get("k") == b"loaded"


@pytest.mark.parametrize(("after", "is_kept"), [(HOLD, False), (HOLD + 0.001, True)])
def test_a_load_is_kept_if_it_began_more_than_a_hold_after_an_invalidation(after: float, is_kept: bool) -> None:
    machine = alone()
    machine.receive([an_invalidation(-5), a_load(-5 + after, -1, Y)])
    assert (machine.get("k") is not None) == is_kept


@pytest.mark.parametrize(("after", "is_kept"), [(HOLD, False), (HOLD + 0.001, True)])
def test_a_kept_load_stays_if_it_began_more_than_a_hold_after_an_invalidation(after: float, is_kept: bool) -> None:
    machine = alone()
    machine.receive([a_load(-5 + after, -1, Y), an_invalidation(-5)])
    assert (machine.get("k") is not None) == is_kept


def test_a_load_is_not_kept_within_the_hold_of_a_floor() -> None:
    machine = alone()
    machine.receive(Floors(X, 1, 1, {}, [FloorRange(bucket_of(KEY), 1, at(-5), {})]), [a_load(-4.5, -1)])
    assert machine.get("k") is None


def test_a_load_made_here_needs_no_hold() -> None:
    machine = alone()
    machine.invalidate("k")
    assert machine.load("k")


def test_a_load_made_here_within_the_lag_of_its_source_is_not_kept() -> None:
    machine = alone(source_lag=2.0)
    machine.invalidate("k")
    machine.network.wait(1.9)
    assert not machine.load("k")


def test_a_load_made_here_after_the_lag_of_its_source_is_kept() -> None:
    machine = alone(source_lag=2.0)
    machine.invalidate("k")
    machine.network.wait(2.1)
    assert machine.load("k")


def test_a_load_is_dated_by_its_beginning() -> None:
    machine = alone()
    machine.begin_load("k")
    machine.network.wait(3)
    machine.end_load("k")
    assert machine.stamp("k").version.time == at(0)


def test_a_load_is_told_by_its_end() -> None:
    machine = alone()
    machine.begin_load("k")
    machine.network.wait(3)
    machine.end_load("k")
    assert machine.send_events()[0].other == Version(at(3), machine.id)


def test_a_load_made_here_that_displaces_a_set_leaves_its_age() -> None:
    machine = alone()
    version = machine.set("k")
    machine.network.wait(1)
    machine.load("k")
    assert machine.grave("k") == version


def test_a_load_is_not_kept_if_a_younger_one_has_come_meanwhile() -> None:
    machine = alone()
    machine.begin_load("k")
    machine.network.wait(2)
    machine.receive([a_load(1, 1)])
    assert not machine.end_load("k")


def test_a_load_that_leaves_has_no_grave() -> None:
    machine = alone()
    machine.load("k")
    machine.evict("k")
    assert machine.grave("k") is NOTHING


# -- the fence ---------------------------------------------------------------------------------------------------------

everything = FloorRange(0, BUCKETS, at(-5), {})


@pytest.mark.parametrize(
    "message",
    [
        [an_invalidation(-5)],
        [a_set(-5)],
        Floors(X, 1, 1, {}, [everything]),
        Floors(X, 1, 1, {}, [FloorRange(bucket_of(KEY), 1, at(-5), {})]),
    ],
    ids=["invalidation", "set", "clear", "floor"],
)
def test_what_arrives_fences_a_load_in_flight_however_old_it_is(message: Message) -> None:
    machine = alone()
    machine.begin_load("k")
    machine.receive(message)
    assert machine.fenced == ["k"]


def test_a_write_that_is_known_already_fences_all_the_same() -> None:
    machine = alone()
    machine.invalidate("k")
    machine.begin_load("k")
    machine.receive([an_invalidation(-5)])
    assert machine.fenced == ["k"]


@pytest.mark.parametrize(
    "message",
    [
        [a_load(-5, -5)],
        [an_invalidation(-5, key="other")],
        Floors(X, 1, 1, {}, [FloorRange(bucket_of(KEY) - 1, 1, at(-5), {})]),
        Seen(False, {X: at(-5)}),
    ],
    ids=["load", "another key", "another bucket", "seen"],
)
def test_what_says_nothing_of_a_key_fences_no_load_of_it(message: Message) -> None:
    machine = alone()
    machine.begin_load("k")
    machine.receive(message)
    assert machine.fenced == []


def test_a_load_made_after_a_write_from_the_future_is_dropped_by_a_write_that_looks_older() -> None:
    machine = alone()
    machine.receive([an_invalidation(0.4)])
    machine.replica.forgotten.bury(KEY, Version(at(10), machine.id))  # by a clock that was ahead
    machine.load("k")
    machine.network.wait(0.5)
    machine.receive([an_invalidation(0.45, Y)])
    assert machine.get("k") is None


# -- refusals and concurrent writes ------------------------------------------------------------------------------------


def linked_twice(**more: Any) -> Machine:
    """A machine with two links to nobody."""
    machine = alone(**more)
    greet(machine, "onwards", b"onwards!")
    return machine


def with_a_floor(seconds: float) -> Machine:
    machine = linked_twice()
    machine.receive(Floors(Z, 1, 1, {}, [FloorRange(bucket_of(KEY), 1, at(seconds), {})]))
    machine.send("onwards")
    return machine


def test_a_set_that_only_a_floor_stands_above_is_refused() -> None:
    machine = with_a_floor(-2)
    machine.receive([a_set(-3)])
    assert machine.get("k") is None


def test_a_refusal_is_counted() -> None:
    machine = with_a_floor(-2)
    machine.receive([a_set(-3)])
    assert machine.replica.counts.refused == 1


def test_a_refused_set_travels_on_as_an_invalidation() -> None:
    machine = with_a_floor(-2)
    machine.receive([a_set(-3)])
    assert machine.send_events("onwards") == [an_invalidation(-3, hops=2)]


def test_a_set_newer_than_the_floor_is_kept() -> None:
    machine = with_a_floor(-2)
    machine.receive([a_set(-1)])
    assert machine.get("k") == b"value"


def test_a_floor_is_no_bar_where_a_set_is_held() -> None:
    machine = alone()
    machine.receive([a_set(-4, X, b"confirmed")])
    confirmed = {KEY: Version(at(-4), X)}
    machine.receive(Floors(Z, 1, 1, {}, [FloorRange(bucket_of(KEY), 1, at(-2), confirmed)]))
    machine.receive([a_set(-3)])
    assert machine.get("k") == b"value"


LATE = [an_invalidation(-3.5, Y), a_set(-3.5, Y)]


@pytest.mark.parametrize("late", LATE, ids=["invalidation", "set"])
@pytest.mark.parametrize("first", [an_invalidation(-3), a_set(-3)], ids=["invalidation", "set"])
def test_a_write_that_lost_by_less_than_the_hold_is_passed_on_as_an_invalidation(first: Event, late: Event) -> None:
    machine = linked_twice()
    machine.receive([first])
    machine.send("onwards")
    machine.receive([late])
    assert an_invalidation(-3.5, Y, hops=2) in machine.send_events("onwards")


@pytest.mark.parametrize("late", LATE, ids=["invalidation", "set"])
def test_a_write_that_lost_by_less_than_the_hold_is_passed_on_once(late: Event) -> None:
    machine = linked_twice()
    machine.receive([an_invalidation(-3), late])
    machine.send("onwards")
    machine.receive([late])
    assert machine.send_events("onwards") == []


def test_a_write_that_lost_by_the_hold_is_passed_on_once() -> None:
    """Beyond, somebody may have neither: the newer one takes the ways of its own origin."""
    machine = linked_twice()
    machine.receive([an_invalidation(-3)])
    machine.send("onwards")
    machine.receive([an_invalidation(-3 - HOLD, Y)])
    assert an_invalidation(-3 - HOLD, Y, hops=2) in machine.send_events("onwards")
    machine.receive([an_invalidation(-3 - HOLD, Y)])
    assert machine.send_events("onwards") == []


def test_an_older_write_of_the_node_that_won_is_not_passed_on() -> None:
    machine = linked_twice()
    machine.receive([an_invalidation(-3)])
    machine.send("onwards")
    machine.receive([an_invalidation(-3.5)])
    assert machine.send_events("onwards") == []


@pytest.mark.parametrize("late", [an_invalidation(-0.6, Y), a_set(-0.6, Y)], ids=["invalidation", "set"])
def test_a_write_that_lost_by_less_than_the_hold_drops_a_kept_load(late: Event) -> None:
    machine = alone()
    machine.receive([an_invalidation(-0.2)])
    machine.load("k")
    machine.receive([late])
    assert machine.get("k") is None


def test_a_set_that_is_displaced_by_a_load_and_an_older_set_on_its_way_leave_no_load(network: Network) -> None:
    """The load was begun after the newer set was seen, and before the older one was."""
    a, b, c = network.machine("a", skew=-0.24), network.machine("b", skew=0.24), network.machine("c", skew=0.24)
    network.link(a, c)
    network.link(b, c)
    network.settle()
    b.set("k", b"newer by its clock")
    network.settle()
    network.wait(0.01)
    assert c.load("k", b"row")
    a.set("k", b"newer in truth")
    network.settle()
    assert c.get("k") != b"row"


@pytest.mark.parametrize("winner", ["invalidate", "set"])
def test_an_invalidation_that_lost_before_it_was_told_drops_a_kept_load(network: Network, winner: str) -> None:
    a, b, c = network.machine("a", skew=-0.24), network.machine("b", skew=0.24), network.machine("c", skew=0.24)
    between = network.machine("between")
    network.link(a, between, c, b, between)
    network.settle()
    getattr(b, winner)("k")
    network.carry(b, c)
    network.wait(0.01)
    assert c.load("k", b"row")
    a.invalidate("k")
    network.carry(a, between)
    network.carry(b, between)
    network.settle()
    assert c.get("k") != b"row"


def test_concurrent_invalidations_are_recorded_in_either_order() -> None:
    for order in permutations([an_invalidation(-3), an_invalidation(-3.5, Y)]):
        assert {version.node for version in merged(list(order)).told("k")} == {X, Y}


# -- touch -------------------------------------------------------------------------------------------------------------


def test_a_touch_arrives(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k", life=5)
    network.settle()
    a.touch("k", 60)
    network.settle()
    assert b.entry("k").deadline == b.now + 60


def test_a_touch_travels_on(network: Network, chain: tuple[Machine, Machine, Machine]) -> None:
    a, _, c = chain
    a.set("k", life=5)
    network.settle()
    a.touch("k", 60)
    network.settle()
    assert c.entry("k").deadline == c.now + 60


def test_a_touch_of_a_load_arrives(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.load("k", life=5)
    network.settle()
    a.touch("k", 60)
    network.settle()
    assert b.entry("k").deadline == b.now + 60


def test_a_touch_before_the_link_arrives(network: Network) -> None:
    a, b = network.machine("a"), network.machine("b")
    a.set("k", life=5)
    a.touch("k", 60)
    network.link(a, b)
    network.settle()
    assert b.stamp("k").life_version == a.stamp("k").life_version > a.stamp("k").version


def test_a_touch_of_a_value_that_the_neighbour_has_goes_without_the_value(
    network: Network, pair: tuple[Machine, Machine]
) -> None:
    a, _ = pair
    a.set("k", life=5)
    network.settle()
    network.carried.clear()
    a.touch("k", 60)
    network.settle()
    assert [event.kind for event in network.events()] == [Kind.TOUCH]


def test_a_touch_of_a_value_that_the_neighbour_may_lack_goes_with_the_value() -> None:
    machine = alone()
    machine.set("k", life=5)
    machine.send()
    machine.touch("k", 60)
    assert [event.kind for event in machine.send_events()] == [Kind.SET, Kind.TOUCH]


def test_a_touch_of_a_load_goes_on_without_the_load(network: Network, chain: tuple[Machine, Machine, Machine]) -> None:
    a, _, c = chain
    a.load("k", life=5)
    network.settle()
    network.carried.clear()
    a.touch("k", 60)
    network.settle()
    assert [event.kind for event in network.events()] == [Kind.TOUCH, Kind.TOUCH]
    assert c.entry("k").deadline == pytest.approx(c.now + 60)


def a_touch(seconds: float, of: Version, life_ms: int | None, node: bytes = X) -> Event:
    return touch_event(KEY, Version(at(seconds), node), of, life_ms)


def test_a_touch_applies_to_its_version_only() -> None:
    machine = alone()
    machine.receive([a_set(-3, life_ms=5_000), a_touch(-1, Version(at(-4), X), 60_000)])
    assert machine.entry("k").deadline == machine.now + 5


def test_a_touch_of_what_is_not_held_is_nothing() -> None:
    machine = linked_twice()
    machine.receive([a_touch(-1, Version(at(-4), X), 60_000)])
    assert machine.send_events("onwards") == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_newest_touch_wins(order: tuple[int, int]) -> None:
    machine, version = alone(), Version(at(-3), X)
    touches = a_touch(-2, version, 60_000), a_touch(-1, version, 7_000, Y)
    machine.receive([a_set(-3)], [touches[i] for i in order])
    assert machine.entry("k").deadline == machine.now + 7


def test_a_touch_may_take_the_end_away() -> None:
    machine = alone()
    machine.receive([a_set(-3, life_ms=5_000), a_touch(-1, Version(at(-3), X), None)])
    assert machine.entry("k").deadline == inf


def test_a_touch_is_no_newer_set() -> None:
    machine = alone()
    version = machine.set("k")
    machine.touch("k", 60)
    assert machine.stamp("k").version == version


# -- life --------------------------------------------------------------------------------------------------------------


def test_the_life_that_remains_is_told_in_milliseconds() -> None:
    machine = alone()
    machine.set("k", life=10)
    machine.network.wait(4)
    assert machine.send_events()[0].life_ms == 6_000


def test_a_life_without_end_is_told_as_none() -> None:
    machine = alone()
    machine.set("k")
    assert machine.send_events()[0].life_ms is None


@pytest.mark.parametrize("life", [1e14, 1e17, 1e300, 1.7e308])
def test_a_life_longer_than_a_message_can_say_is_told_as_the_longest(life: float) -> None:
    machine = alone()
    machine.set("k", life=life)
    machine.touch("k", life)
    assert {event.life_ms for event in machine.send_events()} == {MAXIMUM_LIFE_MS}


def test_a_life_is_shortened_by_half_the_round_trip() -> None:
    machine = alone(half_trip=0.25)
    machine.receive([a_set(-1, life_ms=6_000)])
    assert machine.entry("k").deadline == machine.now + 5.75


def test_the_life_of_a_touch_is_shortened_by_half_the_round_trip() -> None:
    machine = alone(half_trip=0.25)
    machine.receive([a_set(-3), a_touch(-1, Version(at(-3), X), 6_000)])
    assert machine.entry("k").deadline == machine.now + 5.75


def test_a_set_that_has_expired_is_told_as_an_invalidation() -> None:
    machine = alone()
    version = machine.set("k", life=5)
    machine.network.wait(6)
    assert machine.send_events() == [invalidate_event(KEY, version)]


def test_a_load_that_has_expired_is_not_told() -> None:
    machine = alone()
    machine.load("k", life=5)
    machine.network.wait(6)
    assert machine.send_events() == []


def test_a_set_that_expires_on_its_way_counts_as_an_invalidation() -> None:
    machine = linked_twice(half_trip=0.25)
    machine.receive([a_set(-5, Y, b"older")])
    machine.receive([a_set(-1, life_ms=200)])
    assert (machine.get("k"), machine.grave("k")) == (None, Version(at(-1), X))


# -- values that are gone or too large ---------------------------------------------------------------------------------


def test_a_set_that_was_evicted_before_it_was_told_is_told_as_an_invalidation() -> None:
    machine = alone()
    version = machine.set("k")
    machine.evict("k")
    assert machine.send_events() == [invalidate_event(KEY, version)]


def test_a_load_that_was_evicted_before_it_was_told_is_not_told() -> None:
    machine = alone()
    machine.load("k")
    machine.evict("k")
    assert machine.send_events() == []


def test_a_value_of_the_peer_s_limit_is_told() -> None:
    machine = alone(value_limit=10)
    machine.set("k", bytes(10))
    assert [event.kind for event in machine.send_events()] == [Kind.SET]


def test_a_value_above_the_peer_s_limit_is_told_as_an_invalidation() -> None:
    machine = alone(value_limit=10)
    machine.set("k", bytes(11))
    assert [event.kind for event in machine.send_events()] == [Kind.INVALIDATE]


def test_a_value_above_the_peer_s_limit_is_counted() -> None:
    machine = alone(value_limit=10)
    machine.set("k", bytes(11))
    machine.send()
    assert machine.replica.counts.too_large == 1


def test_messages_keep_to_the_peer_s_limit_of_values() -> None:
    machine = alone(value_limit=1_000)
    for i in range(20):
        machine.set(f"k{i}", bytes(400))
    assert all(len(encode(message)) < 1_000 + 500 for message in machine.send())


# -- clear -------------------------------------------------------------------------------------------------------------


def test_a_clear_reaches_everyone(network: Network, chain: tuple[Machine, Machine, Machine]) -> None:
    a, b, c = chain
    for machine, key in zip(chain, "xyz", strict=True):
        machine.set(key)
    network.settle()
    a.clear()
    network.settle()
    assert [len(machine.store) for machine in (a, b, c)] == [0, 0, 0]


def test_a_clear_confirms_nothing() -> None:
    machine = alone()
    machine.set("k")
    machine.store.clear(machine.now)
    machine.replica.clear(machine.now)
    (floors,) = (message for message in machine.send() if isinstance(message, Floors))
    assert floors.ranges == [FloorRange(0, BUCKETS, machine.replica.told_time(), {})]


def test_what_was_set_after_a_clear_stays(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.clear()
    a.set("k", b"later")
    network.settle()
    assert (a.get("k"), b.get("k")) == (b"later", b"later")


def test_what_was_set_elsewhere_before_a_clear_does_not_come_back(
    network: Network, pair: tuple[Machine, Machine]
) -> None:
    a, b = pair
    b.set("k")
    network.wait(1)
    a.clear()
    network.settle()
    assert (a.get("k"), b.get("k")) == (None, None)


def test_a_clear_reaches_a_peer_that_was_away(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k")
    network.settle()
    network.cut(a, b)
    a.clear()
    network.link(a, b)
    network.settle()
    assert b.get("k") is None


def test_a_clear_drops_the_loads_that_began_within_a_hold_of_it(
    network: Network, pair: tuple[Machine, Machine]
) -> None:
    a, b = pair
    a.clear()
    network.wait(HOLD / 2)
    b.load("k")
    network.settle()
    assert b.get("k") is None


# -- announcements -----------------------------------------------------------------------------------------------------


def test_an_announcement_floods_once(network: Network, ring: tuple[Machine, Machine, Machine]) -> None:
    ring[0].clear()
    network.settle()
    crossed = [(here, there) for here, there, message in network.carried if isinstance(message, Floors)]
    assert len(crossed) == len(set(crossed)) <= 4


def test_an_announcement_is_handled_once() -> None:
    machine = linked_twice()
    floors = Floors(X, 1, 1, {}, [everything])
    machine.receive(floors, floors)
    assert len([m for m in machine.send("onwards") if isinstance(m, Floors)]) == 1


def test_an_announcement_drops_older_sets_in_its_buckets() -> None:
    machine = alone()
    machine.receive([a_set(-3)], Floors(Z, 1, 1, {}, [FloorRange(bucket_of(KEY), 1, at(-2), {})]))
    assert machine.get("k") is None


def test_an_announcement_leaves_newer_sets() -> None:
    machine = alone()
    machine.receive([a_set(-1)], Floors(Z, 1, 1, {}, [FloorRange(bucket_of(KEY), 1, at(-2), {})]))
    assert machine.get("k") == b"value"


def test_an_announcement_leaves_other_buckets() -> None:
    machine = alone()
    machine.receive([a_set(-3)], Floors(Z, 1, 1, {}, [FloorRange(bucket_of(KEY) - 1, 1, at(-2), {})]))
    assert machine.get("k") == b"value"


@pytest.mark.parametrize(
    ("confirmed", "stays"), [(-3, True), (-4, True), (-2.5, False)], ids=["itself", "an older", "a newer"]
)
def test_an_announcement_leaves_sets_that_are_no_older_than_what_it_confirms(confirmed: float, stays: bool) -> None:
    machine = alone()
    reach = FloorRange(bucket_of(KEY), 1, at(-2), {KEY: Version(at(confirmed), X)})
    machine.receive([a_set(-3)], Floors(Z, 1, 1, {}, [reach]))
    assert (machine.get("k") is not None) == stays


def test_an_announcement_s_heard_is_taken_over() -> None:
    machine = alone()
    machine.receive(Floors(Z, 1, 1, {Y: at(-2)}, []))
    assert machine.replica.heard[Y] == at(-2)


def test_an_announcement_s_heard_is_not_seen() -> None:
    machine = alone()
    machine.receive(Floors(Z, 1, 1, {Y: at(-2)}, []))
    assert Y not in machine.replica.seen


def test_what_has_not_been_forgotten_is_not_announced(network: Network) -> None:
    a, b = network.machine("a"), network.machine("b")
    a.set("k")
    a.invalidate("l")
    network.link(a, b)
    network.settle()
    assert [m for _, _, m in network.carried if isinstance(m, Floors)] == []


def test_what_was_forgotten_is_announced_with_the_sets_that_are_held_there(network: Network) -> None:
    a, b = network.machine("a", graves=0), network.machine("b")
    version = a.set("k")
    a.replica.forgotten.raise_floor(bucket_of(KEY), at(0.001))
    network.link(a, b)
    network.settle()
    assert b.set_versions() == {"k": version}


def test_what_was_forgotten_while_a_peer_was_away_is_announced(network: Network) -> None:
    a, b = network.machine("a", graves=0), network.machine("b")
    network.link(a, b)
    a.set("k")
    network.settle()
    network.cut(a, b)
    a.invalidate("k")
    network.link(a, b)
    network.settle()
    assert b.get("k") is None


def long_keys_of_one_bucket(count: int) -> list[str]:
    """Of 60,000 characters. The checksum of what they share is taken once."""
    shared = "k" * 60_000
    beginning = crc32(encode_key(f"{shared}{0:07}")[:-7])
    of_bucket: dict[int, list[str]] = {}
    for number in range(1_000_000):
        end = f"{number:07}"
        found = of_bucket.setdefault(crc32(end.encode(), beginning) % BUCKETS, [])
        found.append(shared + end)
        if len(found) == count:
            return found
    raise AssertionError("no bucket has so many")


def test_no_message_of_an_announcement_is_too_long_though_all_that_is_confirmed_is_in_one_bucket(
    network: Network,
) -> None:
    a, b = network.machine("a", graves=0), network.machine("b")
    *keys, forgotten = long_keys_of_one_bucket(7)
    for key in keys:
        a.set(key)
    network.wait(1)
    a.invalidate(forgotten)
    network.link(a, b)
    network.settle()
    floors = [message for sender, _, message in network.carried if sender == "a" and isinstance(message, Floors)]
    assert all(len(encode(message)) < FRAME_MARGIN_BYTES for message in floors)
    assert sum(len(reach.confirmed) for message in floors for reach in message.ranges) == 4


# -- seen --------------------------------------------------------------------------------------------------------------


def test_the_first_message_is_a_greeting() -> None:
    machine = Network().machine("a")
    machine.replica.link_up("wire", PEER, 100, BUDGET, 0.0)
    assert machine.send() == [Seen(True, {})]


def test_a_greeting_says_all_that_was_seen() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-5)}))
    machine.set("k")
    machine.replica.link_up("other", Y, 100, BUDGET, 0.0)
    assert machine.send("other") == [Seen(True, {X: at(-5), machine.id: machine.replica.told_time()})]


def test_nothing_but_the_greeting_is_told_before_the_other_s_has_come() -> None:
    machine = Network().machine("a")
    machine.set("k")
    machine.replica.link_up("wire", PEER, 100, BUDGET, 0.0)
    machine.send()
    assert (machine.send(), machine.replica.has_to_send("wire")) == ([], False)


def test_a_second_greeting_is_refused() -> None:
    machine = alone()
    with pytest.raises(ProtocolError, match="second greeting"):
        machine.receive(Seen(True, {}))


def test_seen_before_the_greeting_is_refused() -> None:
    machine = Network().machine("a")
    machine.replica.link_up("wire", PEER, 100, BUDGET, 0.0)
    with pytest.raises(ProtocolError, match="greeting"):
        machine.receive(Seen(False, {}))


def test_seen_is_taken_over() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-5)}))
    assert machine.replica.seen[X] == at(-5)


def test_seen_never_sinks() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-5)}), Seen(False, {X: at(-6)}))
    assert machine.replica.seen[X] == at(-5)


def test_what_a_greeting_has_seen_is_not_ours() -> None:
    machine = Network().machine("a")
    machine.replica.link_up("wire", PEER, 100, BUDGET, 0.0)
    machine.receive(Seen(True, {X: at(-5)}))
    assert machine.replica.seen == {}


def test_seen_tells_only_what_has_changed() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-5)}))
    machine.set("k")
    machine.send()
    machine.set("k")
    assert machine.send()[-1] == Seen(False, {machine.id: machine.replica.told_time()})


def test_seen_goes_behind_what_it_covers(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    for i in range(100):
        a.set(f"k{i}")
        if i % 3 == 0:
            for message in network.carry(a, b, budget=1):
                if isinstance(message, Seen):
                    assert message.times.get(a.id, 0) <= max(v.time for v in b.set_versions().values())


@settings(max_examples=some_or_many(50, 250))
@given(st.lists(st.sampled_from(["set", "carry", "resync"]), max_size=60))
def test_seen_never_precedes_what_it_covers(acts: list[str]) -> None:
    network = Network()
    a, b = network.machine("a", outbox=8), network.machine("b")
    network.link(a, b)
    written: list[tuple[str, int]] = []
    for number, act in enumerate(acts):
        if act == "set":
            written.append((f"k{number}", a.set(f"k{number}").time))
        elif act == "carry":
            network.carry(b, a, budget=1)
            network.carry(a, b, budget=1)
        else:
            network.cut(a, b)
            network.link(a, b)
        covered = b.replica.seen.get(a.id, 0)
        assert all(b.get(key) for key, time in written if time <= covered)


def test_a_node_that_only_heard_of_news_passes_seen_on(
    network: Network, chain: tuple[Machine, Machine, Machine]
) -> None:
    a, _, c = chain
    version = a.set("k")
    network.settle()
    assert c.replica.seen[a.id] == version.time


def test_a_heartbeat_tells_how_far_we_are(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    network.wait(7)
    a.replica.heartbeat(a.now)
    network.settle()
    assert b.replica.seen[a.id] == at(7)


def test_has_all_once_the_neighbour_has_said_so(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k")
    network.settle()
    b.replica.heartbeat(b.now)
    network.settle()
    assert a.replica.has_all(network.name_of_link(a, b), a.replica.told_time())


def test_news_alone_is_acknowledged(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k")
    network.settle()
    assert a.replica.has_all(network.name_of_link(a, b), a.replica.told_time())


def test_has_not_all_as_long_as_something_is_on_its_way(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k")
    assert not a.replica.has_all(network.name_of_link(a, b), a.replica.told_time())


def test_has_not_all_before_the_greeting(network: Network) -> None:
    a, b = network.machine("a"), network.machine("b")
    network.link(a, b)
    assert not a.replica.has_all(network.name_of_link(a, b), 0)


# -- overflow ----------------------------------------------------------------------------------------------------------


def test_an_overflow_leads_to_a_resync(network: Network) -> None:
    a, b = network.machine("a", outbox=5), network.machine("b")
    network.link(a, b)
    network.settle()
    for i in range(20):
        a.set(f"k{i}")
    network.settle()
    assert (a.replica.counts.overflows, a.set_versions()) == (1, b.set_versions())


def test_an_overflow_loses_no_invalidation(network: Network) -> None:
    a, b = network.machine("a", outbox=5), network.machine("b")
    network.link(a, b)
    for i in range(20):
        a.set(f"k{i}")
    network.settle()
    for i in range(20):
        a.invalidate(f"k{i}")
    network.settle()
    assert len(b.store) == 0


def test_an_overflow_loses_no_forgotten_invalidation(network: Network) -> None:
    a, b = network.machine("a", outbox=5, graves=3), network.machine("b")
    network.link(a, b)
    for i in range(20):
        a.set(f"k{i}")
    network.settle()
    for i in range(20):
        a.invalidate(f"k{i}")
    network.settle()
    assert len(b.store) == 0


def test_an_overflow_loses_no_forgotten_invalidation_though_an_older_write_is_buried_since(network: Network) -> None:
    a, b, c = network.machine("a"), network.machine("b", outbox=1, graves=1), network.machine("c")
    network.link(a, b, c)
    b.set("m")
    network.settle()
    c.set("k")
    network.wait(0.1)
    a.invalidate("k")
    a.set("l")
    network.carry(a, b)  # more than the outbox takes
    b.evict("m")  # more than the graveyard takes: the invalidation goes into a floor
    network.carry(c, b)  # a set that this floor refuses, and which is buried
    network.settle()
    assert c.get("k") is None


def with_a_concurrent_invalidation_forgotten(network: Network, outbox: int) -> Machine:
    """A machine that holds a load made after a set, and is to be told of an invalidation hardly older than that set.

    Its neighbour still holds the set, and no longer has the invalidation's grave.
    """
    a, c, late = network.machine("a"), network.machine("c"), network.machine("late", skew=-0.4)
    b = network.machine("b", outbox=outbox, graves=1)
    network.link(a, b, c)
    network.link(late, b)
    network.settle()
    a.set("k")
    network.settle((b, late))
    c.evict("k")
    c.load("k")
    late.invalidate("k")
    late.invalidate("l")
    network.carry(late, b)
    network.settle()
    return c


def test_an_overflow_loses_no_forgotten_invalidation_though_a_set_hardly_newer_is_held(network: Network) -> None:
    assert with_a_concurrent_invalidation_forgotten(network, outbox=1).get("k") is None


def test_an_invalidation_forgotten_before_it_was_told_is_told_beside_a_set_hardly_newer(network: Network) -> None:
    assert with_a_concurrent_invalidation_forgotten(network, outbox=10).get("k") is None


def test_an_overflow_loses_no_announcement(network: Network) -> None:
    a, b, c = network.machine("a"), network.machine("b", outbox=3), network.machine("c")
    network.link(a, b, c)
    a.set("k")
    network.settle()
    a.clear()
    network.carry(a, b)
    for i in range(20):
        b.set(f"k{i}")
    network.settle()
    assert c.set_versions() == b.set_versions() != {}


def test_an_overflow_in_the_middle_of_a_resync_is_made_good(network: Network) -> None:
    a, b = network.machine("a", outbox=5), network.machine("b")
    for i in range(200):
        a.set(f"k{i % 90}")
    network.link(a, b)
    network.carry(a, b)
    network.carry(b, a)
    network.carry(a, b, budget=1)
    for i in range(20):
        a.invalidate(f"k{i}")
    network.settle()
    assert a.set_versions() == b.set_versions()


def floors(serial: int, seconds: float, confirmed: dict[bytes, Version]) -> Message:
    return Floors(Z, serial, 1, {}, [FloorRange(bucket_of(KEY), 1, at(seconds), confirmed)])


def test_an_overflow_by_announcements_alone_tells_no_news_again() -> None:
    """What X left behind no `seen` covers. Who forgets at once would take it for news each time."""
    machine = linked_twice(outbox=1)
    machine.receive([an_invalidation(-4, X, "left behind")])
    assert len(machine.send_events("onwards")) == 1
    machine.receive(floors(1, -3, {}), floors(2, -2, {}))
    said = machine.send("onwards")
    assert [type(message) for message in said] == [Floors, Seen]
    assert machine.replica.counts.overflows == 1


def test_an_overflow_loses_nothing_of_several_announcements() -> None:
    machine = linked_twice(outbox=1)
    machine.receive([a_set(-4)], floors(1, -3, {KEY: Version(at(-4), X)}), floors(2, -2, {}))
    told = [reach for message in machine.send("onwards") if isinstance(message, Floors) for reach in message.ranges]
    assert told == [FloorRange(bucket_of(KEY), 1, at(-2), {})]


def test_an_overflow_loses_no_announcement_of_what_is_yet_to_be_dropped() -> None:
    """Its floor is below ours: that a set which we had confirmed is dead shows only once that has gone."""
    machine = linked_twice(outbox=1, slice=1)
    for number in range(40):
        machine.receive([a_set(-10, key=f"other {number}")])
    machine.receive([a_set(-9)], floors(1, -2, {KEY: Version(at(-9), X)}))
    while machine.replica.work(machine.now) or machine.send("onwards"):
        pass
    machine.receive(floors(2, -3, {}), floors(3, -3, {}))
    before = machine.send("onwards")
    while machine.replica.work(machine.now):
        pass
    after = machine.send("onwards")
    told = [reach for message in (*before, *after) if isinstance(message, Floors) for reach in message.ranges]
    assert told == [FloorRange(bucket_of(KEY), 1, at(-2), {})]


def test_an_overflow_lets_no_news_cross_more_links_than_it_may() -> None:
    machine = linked_twice(outbox=1)
    machine.receive([an_invalidation(-4, hops=7), a_set(-4, key="l", hops=9), an_invalidation(-4, key="m", hops=31)])
    assert machine.replica.neighbours["onwards"].outbox.overflowed
    told = {event.key: event.hops for event in machine.send_events("onwards")}
    assert told == {KEY: 8, encode_key("l"): 10, encode_key("m"): 32}


class CountingStore:
    """A store that counts how many entries it is asked for."""

    def __init__(self, store: Store[str, bytes]) -> None:
        self.looked_at = 0
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in ("find", "entries", "walk"):
            return method

        def counted(*arguments: Any) -> Any:
            self.looked_at += 1 if name == "find" else len(self._store)
            return method(*arguments)

        return counted


def looked_at_by_a_resync_after(network: Network, entries: int, news: int) -> int:
    """How many entries a machine looks at when news of so many keys has overflowed its outbox."""
    a, b = network.machine("a", entries, outbox=10), network.machine("b", entries)
    store = CountingStore(a.store)
    a.begin(store, a.replica.limits)
    network.link(a, b)
    for number in range(entries):
        a.set(f"k{number}")
    network.settle()
    for number in range(news):
        a.set(f"k{number}")
    store.looked_at = 0
    network.settle()
    assert a.set_versions() == b.set_versions()
    return store.looked_at


def test_an_overflow_looks_at_what_was_news_and_not_at_the_whole_store(network: Network) -> None:
    assert looked_at_by_a_resync_after(network, 2_000, 20) <= 3 * 20


def test_an_overflow_of_more_news_than_is_remembered_looks_at_the_store(network: Network) -> None:
    a, b = network.machine("a", 50, outbox=10, graves=20), network.machine("b", 50)
    network.link(a, b)
    network.settle()
    for number in range(200):
        a.set(f"k{number % 50}")
    network.settle()
    assert a.set_versions() == b.set_versions()
    assert len(b.set_versions()) == 50


def test_an_outbox_that_is_full_to_the_brim_does_not_overflow_by_what_was_seen(network: Network) -> None:
    a, b = network.machine("a", outbox=3), network.machine("b")
    network.link(a, b)
    network.settle()
    for key in "klm":
        a.set(key)
    assert a.send(network.name_of_link(a, b)) != []
    assert a.replica.counts.overflows == 0


def test_whoever_has_something_to_send_sends_it(network: Network) -> None:
    a, b = network.machine("a", outbox=3), network.machine("b")
    network.link(a, b)
    network.settle()
    link = network.name_of_link(a, b)
    for number in range(20):
        a.set(f"k{number}")
        if number % 5 == 0:
            assert a.replica.has_to_send(link)
            assert a.send(link) != []


# -- resync ------------------------------------------------------------------------------------------------------------


def test_a_resync_tells_only_what_differs(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    for i in range(50):
        a.set(f"k{i}")
    network.settle()
    network.cut(a, b)
    for i in range(3):
        a.set(f"k{i}")
    network.carried.clear()
    network.link(a, b)
    network.settle()
    assert sorted(event.key for event in network.events()) == [encode_key(f"k{i}") for i in range(3)]


def test_a_resync_of_what_does_not_differ_tells_nothing(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k")
    b.invalidate("l")
    network.settle()
    network.cut(a, b)
    network.carried.clear()
    network.link(a, b)
    network.settle()
    assert all(isinstance(message, Seen) for _, _, message in network.carried)


def test_a_resync_goes_both_ways(network: Network) -> None:
    a, b = network.machine("a"), network.machine("b")
    a.set("of a")
    b.set("of b")
    network.link(a, b)
    network.settle()
    assert a.set_versions() == b.set_versions()
    assert len(a.store) == 2


def larger_and_smaller(network: Network) -> tuple[Machine, Machine]:
    a, b = network.machine("a"), network.machine("b", capacity=4)
    for i in range(10):
        a.set(f"k{i}")
    network.link(a, b)
    network.settle()
    return a, b


def test_a_resync_sends_no_more_values_than_the_peer_has_room_for(network: Network) -> None:
    larger_and_smaller(network)
    assert len([event for event in network.events() if event.kind == Kind.SET]) == 4


def test_a_resync_sends_the_versions_of_sets_without_room(network: Network) -> None:
    larger_and_smaller(network)
    assert len([event for event in network.events() if event.kind == Kind.INVALIDATE]) == 6


def test_a_resync_sends_the_values_used_last(network: Network) -> None:
    _, b = larger_and_smaller(network)
    assert [entry.key for entry in b.store.entries()] == ["k6", "k7", "k8", "k9"]


def test_a_resync_leaves_out_loads_without_room(network: Network) -> None:
    a, b = network.machine("a"), network.machine("b", capacity=4)
    for i in range(10):
        a.load(f"k{i}")
    network.link(a, b)
    network.settle()
    assert (len(network.events()), a.replica.counts.loads_left_out) == (4, 6)


def test_a_resync_tells_values_then_the_announcement_then_seen(network: Network) -> None:
    a, b = network.machine("a", graves=0), network.machine("b")
    a.set("k")
    a.invalidate("l")
    network.link(a, b)
    network.settle()
    told = [type(message) for here, _, message in network.carried if here == "a"]
    assert told == [Seen, list, Floors, Seen]


def test_a_resync_tells_concurrent_invalidations(network: Network) -> None:
    a, b = network.machine("a"), network.machine("b")
    a.replica.link_up("wire", PEER, 100, BUDGET, 0.0)
    a.receive([an_invalidation(-3), an_invalidation(-3.5, Y)])
    network.link(a, b)
    network.settle()
    assert {event.version.node for event in network.events("a", "b")} == {X, Y}


# -- what is too far ---------------------------------------------------------------------------------------------------


def test_news_that_has_crossed_as_many_links_as_allowed_is_applied() -> None:
    machine = linked_twice()
    machine.receive([a_set(-1, hops=MAXIMUM_HOPS)])
    assert machine.get("k") == b"value"


def test_news_that_has_crossed_as_many_links_as_allowed_goes_no_further() -> None:
    machine = linked_twice()
    machine.receive([a_set(-1, hops=MAXIMUM_HOPS), an_invalidation(-1, key="l", hops=MAXIMUM_HOPS)])
    assert machine.send_events("onwards") == []


def test_news_that_may_cross_one_more_link_does() -> None:
    machine = linked_twice()
    machine.receive([a_set(-1, hops=MAXIMUM_HOPS - 1)])
    assert [event.hops for event in machine.send_events("onwards")] == [MAXIMUM_HOPS]


def test_an_announcement_that_has_crossed_as_many_links_as_allowed_goes_no_further() -> None:
    machine = linked_twice()
    machine.receive(Floors(X, 1, MAXIMUM_HOPS, {}, [everything]))
    assert [message for message in machine.send("onwards") if isinstance(message, Floors)] == []


# -- clocks ------------------------------------------------------------------------------------------------------------

FUTURE = Version(at(0.6), X)


@pytest.mark.parametrize(
    "message",
    [
        [invalidate_event(KEY, FUTURE)],
        [load_event(KEY, Version(at(-1), X), FUTURE, b"")],
        Seen(False, {X: FUTURE.time}),
        Floors(X, 1, 1, {}, [FloorRange(0, BUCKETS, FUTURE.time, {})]),
        Floors(X, 1, 1, {X: FUTURE.time}, []),
    ],
    ids=["event", "load", "seen", "floor", "heard"],
)
class TestATimeFromTheFuture:
    def test_is_refused(self, message: Message) -> None:
        with pytest.raises(ProtocolError, match=r"0\.600 s ahead"):
            alone().receive(message)

    def test_does_not_move_the_clock(self, message: Message) -> None:
        machine = alone()
        with pytest.raises(ProtocolError):
            machine.receive(message)
        assert machine.set("k").time < FUTURE.time

    def test_is_taken_if_it_is_no_further_ahead_than_the_way_takes(self, message: Message) -> None:
        alone(half_trip=0.1).receive(message)


def test_a_greeting_from_the_future_is_refused() -> None:
    machine = Network().machine("a")
    machine.replica.link_up("wire", PEER, 100, BUDGET, 0.0)
    with pytest.raises(ProtocolError, match=r"0\.600 s ahead"):
        machine.receive(Seen(True, {X: FUTURE.time}))


def test_a_message_with_one_time_from_the_future_is_refused_whole() -> None:
    machine = alone()
    with pytest.raises(ProtocolError):
        machine.receive([a_set(-1), invalidate_event(KEY, FUTURE)])
    assert machine.get("k") is None


@pytest.mark.parametrize(("seconds", "side"), [(2.0, "2.000 s ahead of"), (-2.0, "2.000 s behind")])
def test_a_clock_too_far_off_is_refused_and_told_by_how_much(seconds: float, side: str) -> None:
    refusal = alone().replica.clock_refusal(at(seconds), 0.0, NOW)
    assert refusal == f"its clock is {side} ours, where 0.5 s are allowed"


@pytest.mark.parametrize("seconds", [-0.5, 0.0, 0.5])
def test_a_clock_that_is_near_enough_is_not_refused(seconds: float) -> None:
    assert alone().replica.clock_refusal(at(seconds), 0.0, NOW) is None


def test_half_the_round_trip_is_allowed_beside_the_skew() -> None:
    assert alone().replica.clock_refusal(at(0.7), 0.25, NOW) is None


@pytest.mark.parametrize("step", [-10.0, -0.26, 0.26, 10.0])
class TestASteppedWallClock:
    def test_is_noticed(self, step: float) -> None:
        machine = alone()
        assert machine.replica.time_passed(machine.now, WALL + step)

    def test_drops_kept_loads(self, step: float) -> None:
        machine = alone()
        machine.load("k")
        machine.replica.time_passed(machine.now, WALL + step)
        assert machine.get("k") is None

    def test_fences_loads_in_flight(self, step: float) -> None:
        machine = alone()
        machine.begin_load("k")
        machine.replica.time_passed(machine.now, WALL + step)
        assert machine.fenced == ["k"]

    def test_leaves_sets_unless_they_were_dated_too_early_by_more_than_the_hold_allows_for(self, step: float) -> None:
        machine = alone()
        machine.set("k")
        machine.replica.time_passed(machine.now, WALL + step)
        assert machine.get("k") == (b"value" if step < 0.5 else None)

    def test_is_the_present_from_then_on(self, step: float) -> None:
        machine = alone()
        machine.replica.time_passed(machine.now, WALL + step)
        assert machine.replica.present(machine.now) == at(step)

    def test_does_not_take_writes_back(self, step: float) -> None:
        machine = alone()
        before = machine.set("k")
        machine.replica.time_passed(machine.now, WALL + step)
        assert machine.set("k") > before


@pytest.mark.parametrize("drift", [-0.25, 0.0, 0.25])
def test_a_wall_clock_that_drifts_a_little_drops_nothing(drift: float) -> None:
    machine = alone()
    machine.load("k")
    assert not machine.replica.time_passed(machine.now, WALL + drift)
    assert machine.get("k") == b"loaded"


def test_a_load_after_a_clock_was_set_back_is_not_dated_by_the_times_given_out(
    network: Network, pair: tuple[Machine, Machine]
) -> None:
    a, _ = pair
    a.set("k")
    a.replica.time_passed(a.now, WALL - 10)
    assert a.replica.begin_load(a.now).time == at(-10)


# -- nodes that are gone -----------------------------------------------------------------------------------------------


def test_a_node_that_was_silent_for_a_day_is_forgotten() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-5)}))
    machine.network.wait(DAY)
    machine.replica.time_passed(machine.now, WALL + DAY)
    assert X not in machine.replica.heard.keys() | machine.replica.seen.keys()


def test_a_node_that_was_heard_of_today_is_not_forgotten() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-5)}))
    machine.network.wait(DAY - 1)
    machine.replica.time_passed(machine.now, WALL + DAY - 1)
    assert machine.replica.seen[X] == at(-5)


def test_a_node_is_not_forgotten_by_itself() -> None:
    machine = alone()
    machine.set("k")
    machine.network.wait(2 * DAY)
    machine.replica.time_passed(machine.now, WALL + 2 * DAY)
    assert machine.id in machine.replica.seen


@pytest.mark.parametrize("everyone_notices", [True, False])
def test_a_peer_that_was_away_while_a_node_was_forgotten_gets_the_announcement(
    network: Network, everyone_notices: bool
) -> None:
    a, b, gone = network.machine("a", graves=0), network.machine("b"), network.machine("gone")
    network.link(gone, a, b)
    gone.set("k", b"old")
    network.settle()
    network.cut(a, b)
    network.wait(1)
    gone.invalidate("k")
    network.settle()
    network.cut(gone, a)
    network.wait(DAY + 1)
    for machine in (a, b) if everyone_notices else (a,):
        machine.replica.time_passed(machine.now, WALL + network.passed)
    assert gone.id not in a.replica.heard
    network.link(a, b)
    network.settle()
    assert b.get("k") is None


def test_a_day_old_seen_of_an_unknown_node_is_not_taken() -> None:
    machine = alone()
    machine.receive(Seen(False, {X: at(-DAY - 1)}))
    assert X not in machine.replica.seen


def many_nodes() -> Iterator[bytes]:
    return (b"node%04d" % i for i in range(2_000))


@pytest.mark.parametrize("how", ["seen", "event", "heard"])
def test_nodes_that_are_remembered_are_bounded(how: str) -> None:
    machine = alone(origins=10)
    machine.set("k")
    for node in many_nodes():
        if how == "seen":
            machine.receive(Seen(False, {node: at(-5)}))
        elif how == "event":
            machine.receive([an_invalidation(-5, node)])
        else:
            machine.receive(Floors(X, 1, 1, {node: at(-5)}, []))
        assert len(machine.replica.heard) <= 10
        assert len(machine.replica.seen) <= 10


def test_of_too_many_nodes_one_that_said_goodbye_is_forgotten_first() -> None:
    machine = alone(origins=3)
    machine.set("k")
    machine.receive(Seen(False, {X: at(-5)}), Seen(False, {PEER: at(-5)}), Goodbye("closed"))
    machine.receive(Seen(False, {Y: at(-5)}))
    assert set(machine.replica.heard) == {machine.id, X, Y}


def full_of_nodes(network: Network, name: str, *nodes: bytes) -> Machine:
    """A machine that heard of these and has not seen all of them, and that can remember no more."""
    machine = network.machine(name, origins=3)
    greet(machine, "wire", PEER)
    machine.receive(*([an_invalidation(number - 5, node, key=node.decode())] for number, node in enumerate(nodes)))
    machine.replica.link_down("wire")
    return machine


def test_neighbours_full_of_different_nodes_do_not_remind_each_other_for_ever(network: Network) -> None:
    a, b = full_of_nodes(network, "a", X, Y), full_of_nodes(network, "b", Z, b"origin-w")
    network.link(a, b)
    network.settle()
    a.set("k")
    network.settle()


def test_a_node_that_would_be_one_too_many_does_not_displace_a_younger_one() -> None:
    machine = alone(origins=3)
    machine.set("k")
    machine.receive(Seen(False, {X: at(-5)}), Seen(False, {Y: at(-4)}), Seen(False, {Z: at(-6)}))
    assert set(machine.replica.heard) == {machine.id, X, Y}


def test_a_node_that_said_goodbye_and_is_heard_of_since_is_not_forgotten_first() -> None:
    machine = alone(origins=3)
    machine.set("k")
    machine.receive(Seen(False, {X: at(-5)}), Seen(False, {PEER: at(-5)}), Goodbye("closed"))
    machine.receive(Seen(False, {PEER: at(-4)}), Seen(False, {Y: at(-4)}))
    assert set(machine.replica.heard) == {machine.id, PEER, Y}


def test_nodes_that_said_goodbye_are_bounded() -> None:
    machine = Network().machine("a", origins=10)
    for number, node in enumerate(many_nodes()):
        machine.replica.link_up(number, node, 100, BUDGET)
        machine.receive(Goodbye("closed"), link=number)
        machine.replica.link_down(number)
    assert len(machine.replica.origins._departed) <= 10


def test_what_a_neighbour_has_seen_is_remembered_of_so_many_nodes_only() -> None:
    machine = alone(origins=10)
    for first in range(0, 3 * MAXIMUM_ORIGINS, 1_000):
        machine.receive(Seen(False, {b"%08d" % (first + i): at(-5) for i in range(1_000)}))
    seen = machine.replica.neighbours["wire"].seen
    assert seen is not None
    assert len(seen) <= MAXIMUM_ORIGINS


@pytest.mark.parametrize("origins", [1, MAXIMUM_ORIGINS + 1])
def test_no_more_nodes_are_remembered_than_a_message_takes(origins: int) -> None:
    with pytest.raises(ValueError, match="origins"):
        Limits(origins=origins)


def test_the_child_of_a_fork_remembers_no_more_nodes_than_its_parent() -> None:
    machine = alone(origins=3)
    machine.set("k")
    machine.receive(Seen(False, {X: at(-5)}), Seen(False, {Y: at(-5)}))
    machine.replica.renew(Z, machine.now)
    machine.replica.heartbeat(machine.now)
    assert len(machine.replica.heard) == 3


def test_our_own_node_is_one_of_those_that_are_remembered() -> None:
    machine = alone(origins=3)
    machine.receive(Seen(False, {X: at(-5)}), Seen(False, {Y: at(-5)}), Seen(False, {Z: at(-5)}))
    machine.set("k")
    assert len(machine.replica.heard) == 3


# -- links -------------------------------------------------------------------------------------------------------------


def test_a_link_that_is_down_is_told_nothing(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    network.cut(a, b)
    a.set("k")
    assert a.replica.neighbours == {}


def test_a_link_down_twice_is_down() -> None:
    machine = alone()
    machine.replica.link_down("wire")
    machine.replica.link_down("wire")
    assert machine.replica.neighbours == {}


def test_a_link_to_oneself_is_refused() -> None:
    machine = Network().machine("a")
    assert machine.replica.link_up("wire", machine.id, 100, BUDGET) == ("wire", "this is a link to itself")


def test_a_link_to_oneself_is_not_kept() -> None:
    machine = Network().machine("a")
    machine.replica.link_up("wire", machine.id, 100, BUDGET)
    assert machine.replica.neighbours == {}


@pytest.mark.parametrize("first", [True, False], ids=["dialled first", "accepted first"])
def test_of_two_links_that_of_the_lower_node_stays_at_both_ends(first: bool) -> None:
    network = Network()
    low, high = network.machine("a"), network.machine("b")
    for low_dialled in (first, not first):
        low.replica.link_up(f"{low_dialled}", high.id, 100, BUDGET, dialled=low_dialled)
        high.replica.link_up(f"{low_dialled}", low.id, 100, BUDGET, dialled=not low_dialled)
    assert [list(machine.replica.neighbours) for machine in (low, high)] == [["True"], ["True"]]


def test_of_two_links_that_one_node_dialled_the_younger_stays() -> None:
    machine = Network().machine("a")
    machine.replica.link_up("old", PEER, 100, BUDGET)
    assert machine.replica.link_up("new", PEER, 100, BUDGET) == ("old", "there is another link to this node")


@pytest.mark.parametrize("message", [Ping(3), Pong(3), Goodbye("closed")], ids=["ping", "pong", "goodbye"])
def test_what_is_the_driver_s_is_handed_to_it(message: Message) -> None:
    machine = alone()
    assert machine.replica.received("wire", encode(message), machine.now) == message


@pytest.mark.parametrize("message", [[a_set(-1)], Seen(False, {}), Floors(X, 1, 1, {}, [])])
def test_what_is_the_replica_s_is_not_handed_to_the_driver(message: Message) -> None:
    machine = alone()
    assert machine.replica.received("wire", encode(message), machine.now) is None


def test_a_message_of_an_unknown_type_is_passed_over() -> None:
    machine = alone()
    assert machine.replica.received("wire", b"\x91\x63", machine.now) is None


def test_a_key_that_does_not_decode_ends_the_link() -> None:
    with pytest.raises(ProtocolError):
        alone().receive([invalidate_event(b"\xc1", Version(at(-1), X))])


def test_a_node_that_passes_a_value_on_does_not_decode_it(
    network: Network, chain: tuple[Machine, Machine, Machine]
) -> None:
    a, _, c = chain
    a.set("k", b"\xc1 is no msgpack")
    network.settle()
    assert c.get("k") == b"\xc1 is no msgpack"


def test_a_budget_is_kept_by_about_one_batch() -> None:
    machine = alone()
    for i in range(50):
        machine.set(f"k{i}", bytes(1_000))
    machine.replica.neighbours["wire"].value_limit = 2_000
    assert sum(len(encode(message)) for message in machine.send(budget=5_000)) < 5_000 + 2_500


def test_who_is_told_everything_has_nothing_more_to_hear(network: Network, pair: tuple[Machine, Machine]) -> None:
    a, b = pair
    a.set("k")
    network.settle()
    assert not a.replica.has_to_send(network.name_of_link(a, b))


def test_what_a_neighbour_has_replaced_before_it_was_told_counts_as_told(network: Network) -> None:
    """Its own `seen` covers it, though no news of ours ever went there: else a flush would wait for ever."""
    a, b = network.machine("a"), network.machine("b")
    a.set("k")
    network.wait(10)
    b.set("k")
    network.link(a, b)
    network.carry(a, b)  # the greeting
    network.settle((a, b))
    network.settle()
    assert a.replica.has_all(network.name_of_link(a, b), a.replica.told_time())


# -- a clock that was ahead --------------------------------------------------------------------------------------------

HOUR = 3_600.0
NEW = b"new-node"


def ahead(network: Network, **limits: Any) -> Machine:
    """A machine whose clock is an hour ahead."""
    return network.machine("a", skew=HOUR, **limits)


def set_right(machine: Machine, *, jump: float = -HOUR) -> None:
    machine.skew += jump
    machine.replica.time_passed(machine.now, WALL + machine.network.passed + machine.skew)


def meet(machine: Machine) -> str | None:
    """Another node says that it is the time which it is. If our clock was ahead, we begin to date anew."""
    refusal = machine.replica.clock_refusal(at(machine.network.passed), 0.0, machine.now)
    if machine.replica.must_redate():
        machine.replica.redate(NEW, machine.now)
        machine.id = NEW
    return refusal


def work_off(machine: Machine) -> int:
    """End what goes through all that is held. How many steps that took."""
    steps = 0
    while machine.replica.work(machine.now):
        steps += 1
    return steps


def test_a_clock_that_is_set_back_is_not_known_to_have_been_ahead(network: Network) -> None:
    machine = ahead(network)
    before = machine.set("k")
    set_right(machine)
    assert not machine.replica.must_redate()
    assert machine.set("k") > before


def test_another_node_that_says_the_same_shows_that_it_was_ahead(network: Network) -> None:
    machine = ahead(network)
    machine.set("k")
    set_right(machine)
    assert meet(machine) == "our clock was set right a moment ago, and what we wrote is being dated anew"
    work_off(machine)
    assert machine.stamp("k").version == Version(at(0), NEW)
    assert meet(machine) is None


def test_another_node_that_says_what_our_clock_said_before_shows_nothing(network: Network) -> None:
    machine = ahead(network)
    machine.set("k")
    set_right(machine)
    assert machine.replica.clock_refusal(at(HOUR), 0.0, machine.now) is not None
    assert not machine.replica.must_redate()


@pytest.mark.parametrize("jumps", [(-HOUR,), (-HOUR / 2, -HOUR / 2), (-HOUR + 0.4, -0.4), (-0.6, -HOUR + 0.6)])
def test_a_clock_that_is_set_right_by_and_by_was_ahead(network: Network, jumps: tuple[float, ...]) -> None:
    machine = ahead(network)
    machine.set("k")
    for jump in jumps:
        set_right(machine, jump=jump)
    meet(machine)
    work_off(machine)
    version = machine.stamp("k").version
    assert version.node == NEW
    assert at(-0.1) < version.time <= at(0)


def test_a_clock_that_was_ahead_when_nothing_was_written_dates_nothing_anew(network: Network) -> None:
    machine = ahead(network)
    set_right(machine)
    assert meet(machine) is None


@pytest.mark.parametrize("hours", [0.5, 5])
def test_all_that_was_written_by_a_clock_that_was_ahead_is_dated_anew(network: Network, hours: float) -> None:
    """Also what bears a date that is past by now: else it would win over what others wrote after it."""
    machine = ahead(network)
    machine.set("set")
    machine.set("touched", life=HOUR)
    machine.invalidate("invalidated")
    network.wait(hours * HOUR)
    if hours < 1:
        machine.touch("touched", HOUR)
    set_right(machine)
    meet(machine)
    work_off(machine)
    assert machine.stamp("set").version.time == at(0)
    assert machine.stamp("touched").life_version.time <= at(hours * HOUR)
    assert (machine.grave("invalidated").node, machine.grave("invalidated").time >> 16) == (NEW, at(0) >> 16)


def test_the_order_of_what_was_written_stays(network: Network) -> None:
    machine = ahead(network)
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        machine.set(key)
        network.wait(HOUR / 3)
    set_right(machine)
    meet(machine)
    work_off(machine)
    times = [machine.stamp(key).version.time for key in keys]
    assert times == sorted(times)
    assert len(set(times)) == len(times)


def test_a_clear_by_a_clock_that_was_ahead_is_dated_anew(network: Network) -> None:
    machine = ahead(network)
    machine.clear()
    network.wait(10)
    set_right(machine)
    meet(machine)
    work_off(machine)
    assert machine.replica.forgotten.base == at(0)


def test_a_clear_while_it_is_dated_anew_keeps_its_date(network: Network) -> None:
    machine = ahead(network, slice=1)
    for number in range(20):
        machine.set(f"k{number}")
        machine.invalidate(f"i{number}")
    set_right(machine)
    network.wait(10)
    meet(machine)
    machine.clear()
    work_off(machine)
    assert machine.replica.forgotten.base >= at(10)


def half_redated(network: Network) -> Machine:
    """A machine with sets and graves an hour ahead, of which few are dated anew yet, ten seconds later."""
    machine = ahead(network, slice=1)
    for number in range(20):
        machine.set(f"set {number}")
        machine.invalidate(f"grave {number}")
    network.wait(10)
    set_right(machine)
    meet(machine)
    assert machine.replica.is_redating()
    assert machine.grave("grave 19").time > at(10)
    return machine


def test_it_goes_in_slices(network: Network) -> None:
    assert work_off(half_redated(network)) > 30


def test_there_are_no_links_before_it_is_over(network: Network) -> None:
    machine = half_redated(network)
    refused = machine.replica.link_up("wire", PEER, 100, BUDGET, 0.0)
    assert refused is not None
    assert "dated anew" in refused[1]
    assert "dated anew" in (meet(machine) or "")
    work_off(machine)
    assert meet(machine) is None
    assert machine.replica.link_up("wire", PEER, 100, BUDGET, 0.0) is None


def test_what_is_invalidated_while_it_is_dated_anew_keeps_its_date(network: Network) -> None:
    """Though the grave that was there looked newer than this: else what others wrote in between would come back."""
    machine = half_redated(network)
    version = machine.invalidate("grave 19")
    work_off(machine)
    assert machine.grave("grave 19") == version


def test_what_is_set_and_evicted_while_it_is_dated_anew_keeps_its_date(network: Network) -> None:
    machine = half_redated(network)
    version = machine.set("set 19")
    other = machine.set("grave 19")
    machine.evict("set 19")
    machine.evict("grave 19")
    work_off(machine)
    assert (machine.grave("set 19"), machine.grave("grave 19")) == (version, other)


def test_what_is_evicted_before_it_is_dated_anew_is(network: Network) -> None:
    machine = half_redated(network)
    machine.evict("set 19")
    work_off(machine)
    assert machine.grave("set 19").node == NEW
    assert machine.grave("set 19").time < at(1)


def test_what_is_forgotten_before_it_is_dated_anew_is_no_floor_in_the_future(network: Network) -> None:
    machine = ahead(network, slice=1, graves=20)
    for number in range(20):
        machine.invalidate(f"k{number}")
    network.wait(10)
    set_right(machine)
    meet(machine)
    for number in range(20):
        machine.invalidate(f"later {number}")
    work_off(machine)
    floors = machine.replica.forgotten.floors
    assert len(floors) > 10
    assert max(floors.values()) < at(1)


def test_what_was_written_while_a_clock_was_wrongly_set_back_is_no_loss(network: Network) -> None:
    machine = network.machine("a")
    machine.set("before")
    set_right(machine, jump=-HOUR)
    machine.set("meanwhile")
    network.wait(10)
    set_right(machine, jump=HOUR)
    work_off(machine)
    assert (machine.get("before"), machine.get("meanwhile")) == (b"value", b"value")
    assert meet(machine) is None


def test_two_nodes_that_were_ahead_agree_once_both_are_right(network: Network) -> None:
    a, b = network.machine("a", skew=HOUR), network.machine("b", skew=HOUR)
    network.link(a, b)
    for machine in (a, b):
        machine.set(f"of {machine.name}")
        machine.set("both", machine.name.encode())
    network.settle()
    network.wait(10)
    network.cut(a, b)
    for machine in (a, b):
        set_right(machine)
        machine.replica.clock_refusal(at(10), 0.0, machine.now)
        machine.id = machine.name.encode() * 8
        machine.replica.redate(machine.id, machine.now)
        work_off(machine)
    network.link(a, b)
    network.settle()
    assert a.set_versions() == b.set_versions()
    assert a.get("both") in (b"b", None)
    later = a.set("both", b"later")
    network.settle()
    assert b.stamp("both").version == later
