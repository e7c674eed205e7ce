"""What was made for one link serves the others, and a large store is swept in slices: nobody is told anything wrong."""

import contextlib
import random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.errors import ProtocolError
from lru_cache.replication import BUCKETS, Seen, Version
from lru_cache.replication.encoding import encode_key
from lru_cache.replication.rules.outbox import Outbox
from lru_cache.testing.simulation import Simulation
from tests.effort import some_or_many
from tests.replication.broken import as_python
from tests.replication.build import implementation, part_of
from tests.replication.events import set_event
from tests.replication.test_messages import any_message, encode
from tests.replication.test_replica import BUDGET, PEER, Machine, Network, X, Y, at, greet

messages: Any = part_of(implementation, "messages")
FloorRange, Floors = messages.FloorRange, messages.Floors
LARGE = 10_500  # entries, more than are swept twice without a pause


def hub(*limits_of_values: int) -> Machine:
    """A machine with links to nobody."""
    machine = Network().machine("a")
    for number, limit in enumerate(limits_of_values):
        greet(machine, f"link {number}", b"peer %03d" % number, value_limit=limit)
    return machine


def bodies(machine: Machine, link: str) -> list[bytes]:
    return list(machine.replica.to_send_at_once(link, machine.now) or [])


# -- one message for all links -----------------------------------------------------------------------------------------


def test_a_lone_write_is_made_once_for_all_links() -> None:
    machine = hub(BUDGET, BUDGET, BUDGET)
    machine.set("k")
    (first, *_), (second, *_), (third, *_) = (bodies(machine, f"link {number}") for number in range(3))
    assert first is second
    assert first is third


def test_a_neighbour_that_takes_less_is_not_sent_what_another_takes() -> None:
    machine = hub(BUDGET, 3)
    machine.set("k", b"more than three")
    kinds = []
    for number in range(2):
        events = messages.decode(bodies(machine, f"link {number}")[0])
        kinds.append([(event.kind, event.payload) for event in events])
    assert kinds == [[(0, b"more than three")], [(1, None)]]


def test_a_neighbour_that_joins_later_is_sent_its_own() -> None:
    machine = hub(BUDGET, BUDGET)
    machine.set("k")
    bodies(machine, "link 0")
    greet(machine, "late", PEER)
    machine.set("k", b"second")
    for link in ("link 1", "late", "link 0"):
        told = [message for message in map(messages.decode, bodies(machine, link)) if isinstance(message, list)]
        assert [(event.key, event.payload) for events in told for event in events] == [(encode_key("k"), b"second")]


def test_a_value_that_was_replaced_meanwhile_is_not_told_to_the_second() -> None:
    machine = hub(BUDGET, BUDGET)
    machine.set("k", b"first")
    bodies(machine, "link 0")
    machine.set("k", b"second")
    (event,) = messages.decode(bodies(machine, "link 1")[0])
    assert event.payload == b"second"


@pytest.mark.parametrize("seed", range(some_or_many(60, 600)))
def test_clusters_end_alike_with_and_without_it(seed: int) -> None:
    """The adversary does the same to both, joins, overflows and touches among it."""

    def contents(shares: bool) -> Any:
        with as_python():
            if not shares:
                patched = patch.object(Outbox, "begins_with", lambda self, notices, ends: False)
                with patched:
                    return ending(Simulation(seed))
            return ending(Simulation(seed))

    def ending(simulation: Simulation) -> Any:
        tally = simulation.run()
        held = {
            name: sorted((e.key, *node.holds_set(e.key), e.value) for e in node.store.entries())
            for name, node in simulation.nodes.items()
        }
        return tally, held

    assert contents(True) == contents(False)


# -- sweeps ------------------------------------------------------------------------------------------------------------


def full(count: int = LARGE) -> Machine:
    """A machine that holds so much, with a link to somebody."""
    machine = Network().machine("a", capacity=2 * count, slice=64)
    for number in range(count):
        machine.set(f"k{number}")
    machine.network.wait(10)
    greet(machine, "wire", PEER)
    while machine.send():
        pass
    return machine


def clear_by(node: bytes, seconds: float = 5.0, serial: int = 1) -> Any:
    return Floors(node, serial, 1, {node: at(seconds)}, [FloorRange(0, BUCKETS, at(seconds), {})])


def own_seen(machine: Machine) -> list[dict[bytes, int]]:
    return [message.times for message in machine.send() if isinstance(message, Seen)]


def test_what_a_clear_from_elsewhere_dooms_is_not_told_to_others_before_it_is_swept() -> None:
    machine = full()
    machine.receive(clear_by(X))
    assert machine.replica.has_work(machine.now)
    machine.entry(f"k{LARGE - 1}")
    greet(machine, "late", Y)
    assert [event for event in machine.send_events("late") if event.payload is not None] == []


def test_seen_is_not_told_before_the_sweep_is_over() -> None:
    """Who flushes a clear waits until nobody can read what it has cleared."""
    machine = full()
    machine.receive(clear_by(X), Seen(False, {X: at(5)}))
    told = []
    while machine.replica.has_work(machine.now):
        told += own_seen(machine)
        machine.replica.work(machine.now)
    assert told == []
    assert len(machine.store) == 0
    assert [X in times for times in own_seen(machine)] == [True]


def test_a_second_clear_during_a_sweep_is_swept_too() -> None:
    machine = full()
    machine.receive(clear_by(X, -5.0))
    for _ in range(10):
        machine.replica.work(machine.now)
    machine.receive(clear_by(Y, 5.0, 2))
    while machine.replica.work(machine.now):
        pass
    machine.network.wait(1)
    while machine.replica.work(machine.now):
        pass
    assert len(machine.store) == 0


def test_floors_in_a_row_sweep_a_large_store_no_more_than_once_a_second() -> None:
    """What a peer says in few bytes must not keep the lock busy: a message is a few slices of work at most."""
    machine = full()
    steps = 0
    for serial in range(2_000):
        machine.receive(Floors(X, serial, 1, {}, [FloorRange(serial, 1, at(-9), {})]))
        if serial % 100 == 0:
            machine.set("between")
        steps += machine.replica.has_work(machine.now)
    assert len(machine.store) == LARGE + 1
    walk = -(-LARGE // 64)
    for _ in range(3 * walk):
        if not machine.replica.work(machine.now):
            break
    assert not machine.replica.has_work(machine.now)


# -- what a peer may make us do ----------------------------------------------------------------------------------------


def test_seen_of_many_nodes_again_and_again_is_remembered_of_so_many_only() -> None:
    machine = Network().machine("a", origins=100)
    greet(machine, "wire", PEER)
    chance = random.Random(1)
    for _ in range(20):
        times = {b"%08d" % chance.randrange(10**8): at(0) for _ in range(4_096)}
        machine.receive(Seen(False, times))
    neighbour = machine.replica.neighbours["wire"]
    assert len(machine.replica.heard) <= 100
    assert neighbour.seen is not None
    assert len(neighbour.seen) <= 2 * 4_096


def test_no_more_keys_of_one_hash_are_kept_than_a_lookup_may_compare() -> None:
    """Numbers that are equal modulo a prime have one hash. All of them are remembered, and no value beyond is kept."""
    prime = 2**61 - 1
    machine = Network().machine("a", capacity=1_000, graves=1_000)
    greet(machine, "wire", PEER)
    keys: list[Any] = [number * prime for number in range(1, 201)]
    for number, key in enumerate(keys):
        machine.receive([set_event(encode_key(key), Version(at(0) + number, X), b"v")])
    kept = [key for key in keys if machine.store.find(key) is not None]
    if hasattr(machine.store, "crowd") and machine.store.crowd(keys[0]) > 1:
        assert len(kept) == 64
        known = [machine.replica.forgotten.grave(encode_key(key)).time for key in keys if key not in kept]
        assert known == [at(0) + number for number, key in enumerate(keys) if key not in kept]


@settings(max_examples=some_or_many(300, 1_500))
@given(st.lists(any_message, min_size=1, max_size=4), st.data())
def test_whatever_a_peer_says_is_a_message_or_ends_the_link(said: list[Any], data: st.DataObject) -> None:
    """Nothing but ProtocolError escapes, and what is told to others after it can be read."""
    machine = Network().machine("a", capacity=3, graves=3, origins=4)
    for link, node in (("wire", PEER), ("other", Y)):
        greet(machine, link, node)
    machine.replica.neighbours["wire"].ahead_allowed = (
        1 << 62
    )  # else most of what it says were too far ahead to be read
    for message in said:
        body = bytearray(encode(message)[:2_000])
        for _ in range(data.draw(st.integers(0, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(ProtocolError):
            machine.replica.received("wire", bytes(body), machine.now)
        while machine.replica.work(machine.now):
            pass
        machine.send("other")
