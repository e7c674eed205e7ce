"""Keys that compare and finalizers may call the cache in the middle of a rule; nothing is lost or told wrong."""

import gc
import weakref
from collections.abc import Callable

import pytest

from lru_cache.replication import Event, Kind, Seen, Version, messages
from lru_cache.replication.encoding import encode_key
from tests.replication.any_events import BASE
from tests.replication.build import forgetting
from tests.replication.finalizers import collecting_at_once
from tests.replication.node import Node, X

Forgotten = forgetting.Forgotten


def a_set(key: str, time: int) -> bytes:
    """A message of one set."""
    return messages.encode([Event(Kind.SET, encode_key(key), Version(time, X), 1, b"\x01")])


def test_a_replica_that_nobody_holds_is_collected() -> None:
    replica = weakref.ref(Node().replica)
    gc.collect()
    assert replica() is None


# -- keys that compare -------------------------------------------------------------------------------------------------


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
    node.hears(a_set("k", BASE - 1))
    assert node.held("k") is None


def test_a_load_that_begins_while_what_came_is_looked_up_is_fenced() -> None:
    node = Node()
    with_double(node, lambda: node.loading.update(k=None))
    node.hears(a_set("k", BASE - 1))
    assert node.held("k") is not None
    assert "k" not in node.loading


def test_a_write_while_what_was_evicted_is_looked_up_keeps_the_newer_grave() -> None:
    node = Node(capacity=2)
    node.hears(a_set("k", BASE - 1))
    with_double(node, lambda: node.replica.invalidate(encode_key("k"), node.now))
    node.hears(a_set("l", BASE))
    assert node.replica.forgotten.grave(encode_key("k")).node == node.replica.node


# -- finalizers --------------------------------------------------------------------------------------------------------


def test_no_time_is_given_out_twice_whatever_a_collection_writes() -> None:
    node = Node()
    write, now, stamps = node.replica.set, node.now, []
    with collecting_at_once(lambda: stamps.append(node.replica.set(b"\xa1l", b"\x01", node.now))):
        stamp = write(b"\xa1k", b"\x01", now)
    versions = {each.version for each in [stamp, *stamps]}
    assert len(versions) == 2
    assert node.replica.told_time() == max(versions).time


def test_what_was_seen_is_told_whole_whatever_a_collection_writes() -> None:
    node = Node()
    others = {bytes([number]) * 8: BASE - number for number in range(1, 17)}
    node.replica.received("a", messages.encode(Seen(False, others)), node.now)
    at_once, now = node.replica.to_send_at_once, node.now
    with collecting_at_once(lambda: node.replica.heartbeat(node.now)):
        bodies = at_once("b", now)
    bodies += node.replica.to_send("b", node.now, 1_000_000)
    told = [message for message in map(messages.decode, bodies) if isinstance(message, Seen)]
    assert {each for message in told for each in message.times} == {*others, node.replica.node}


def keys_told_before_they_were_seen(bodies: list[bytes], node: Node) -> dict[bytes, int]:
    """Keys with the newest time that was told of each. AssertionError if `seen` covers a write that is told later."""
    told: dict[bytes, int] = {}
    seen = 0
    for message in map(messages.decode, bodies):
        if isinstance(message, list):
            for event in message:  # twice does no harm: what is written while a resync begins is told by both
                assert event.version.time > seen or told.get(event.key) == event.version.time
                told[event.key] = max(told.get(event.key, 0), event.version.time)
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
            stamp = node.put(key, 1)
            written[stamp.key] = max(written.get(stamp.key, 0), stamp.version.time)

    write(*"defg"[:waiting])
    bodies: list[bytes] = []
    with collecting_at_once(lambda: write("a", "b", "c"), after):
        write("k")
        bodies += node.replica.to_send_at_once("b", node.now) or []
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
    node.hears(a_set("k", BASE - 1))
    bodies = node.replica.to_send_at_once("b", node.now)
    assert bodies is not None
    assert [type(message) for message in map(messages.decode, bodies)] == [list]


@pytest.mark.parametrize("after", range(1, 20))
def test_what_a_collection_buries_stays_buried_when_an_older_set_leaves(after: int) -> None:
    node = Node(capacity=1)
    node.hears(a_set("k", BASE - 1))
    body = a_set("l", BASE)
    with collecting_at_once(lambda: node.replica.invalidate(encode_key("k"), node.now), after):
        node.replica.received("a", body, node.now)
    assert node.replica.forgotten.grave(encode_key("k")).node == node.replica.node
