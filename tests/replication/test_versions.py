"""Versions of the application's data in one cluster: keys apart, invalidations in common, whoever passes them on."""

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding import (
    OF_ALL_VERSIONS,
    OpaqueKey,
    decode_key,
    encode_key,
    encode_version,
    plain_start,
)
from lru_cache.replication.rules.store_view import MOST_VERSIONS
from lru_cache.store import RemovalCause, Store
from tests.replication.build import BUILDS, part_of

WALL = 1.7e9


class Node:
    """A store and a replica of one version of the data."""

    def __init__(self, cluster: "Cluster", name: str, version: int | str | None, graves: int, capacity: int) -> None:
        self.cluster = cluster
        self.name = name
        self.version = version
        self.store: Store[Any, bytes] = Store(capacity)
        self.loads: dict[str, Any] = {}
        limits = cluster.rules.Limits(graves=graves)
        self.view, self.replica = cluster.rules.wire(
            self.store,
            name.encode().ljust(8, b"-"),
            cluster.now,
            WALL + cluster.now,
            limits,
            loading=self.loads,
            fence=lambda key: self.loads.pop(key, None),
            version=version,
        )

    def set(self, key: str, value: bytes = b"\x01") -> None:
        now = self.cluster.now
        stamp = self.replica.set(self.view.bytes_of(key), value, now)
        self.replica.left(self.store.put(key, value, now, inf, inf, stamp))
        self.cluster.now += 0.001

    def load(self, key: str, value: bytes = b"\x02") -> None:
        now = self.cluster.now
        stamp = self.replica.keep_load(self.view.bytes_of(key), value, self.replica.begin_load(now), now)
        assert stamp is not None
        self.replica.left(self.store.put(key, value, now, inf, inf, stamp))

    def invalidate(self, key: str) -> None:
        now = self.cluster.now
        entry = self.store.find(key)
        if entry is not None:
            self.store.remove(entry, RemovalCause.INVALIDATED, now)
        self.replica.invalidate(self.view.bytes_of(key), now)
        self.cluster.now += 0.001

    def get(self, key: str) -> bytes | None:
        entry = self.store.find(key)
        return None if entry is None else entry.value


class Cluster:
    """Links that carry all at once, or nothing."""

    def __init__(self, build: str) -> None:
        self.rules = part_of(build, "public")
        self.now = 100.0
        self.links: list[tuple[Node, Node]] = []
        self.nodes: list[Node] = []

    def node(self, version: int | str | None = None, graves: int = 100, capacity: int = 100) -> Node:
        self.nodes.append(Node(self, f"n{len(self.nodes)}", version, graves, capacity))
        return self.nodes[-1]

    def link(self, one: Node, other: Node) -> None:
        self.links.append((one, other))
        for here, there in ((one, other), (other, one)):
            here.replica.link_up(there.name, there.replica.node, there.store.capacity, 1_000_000)
        self.settle()

    def cut(self, one: Node, other: Node) -> None:
        self.links.remove((one, other))
        one.replica.link_down(other.name)
        other.replica.link_down(one.name)

    def settle(self) -> None:
        for _ in range(200):
            self.now += 0.05
            said = False
            for node in self.nodes:
                node.replica.work(self.now)
            for one, other in self.links:
                for here, there in ((one, other), (other, one)):
                    for body in here.replica.to_send(there.name, self.now, 1_000_000):
                        said = True
                        there.replica.received(here.name, body, self.now)
            if not said:
                return
        raise AssertionError("they never stop talking")


@pytest.fixture(params=BUILDS)
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(request.param)


HUBS = [None, 1, 2, "another"]


@pytest.mark.parametrize("hub_version", HUBS)
def test_each_version_has_its_own_values_whoever_passes_them_on(cluster: Cluster, hub_version: Any) -> None:
    hub, one, uno, two = (cluster.node(v) for v in (hub_version, 1, 1, 2))
    for each in (one, uno, two):
        cluster.link(hub, each)
    one.set("k", b"\x01")
    two.set("k", b"\x02")
    cluster.settle()
    assert [node.get("k") for node in (one, uno, two)] == [b"\x01", b"\x01", b"\x02"]
    late = cluster.node(2)
    cluster.link(hub, late)
    assert late.get("k") == b"\x02"
    assert hub.get("k") == {1: b"\x01", 2: b"\x02"}.get(hub_version)
    assert len(late.store) == 1


@pytest.mark.parametrize("hub_version", HUBS)
@pytest.mark.parametrize("by", [0, 1, 2], ids=["the hub", "version 1", "version 2"])
@pytest.mark.parametrize("write", ["set", "load"])
def test_an_invalidation_is_of_all_versions(cluster: Cluster, hub_version: Any, by: int, write: str) -> None:
    nodes = [cluster.node(v) for v in (hub_version, 1, 2)]
    hub, one, two = nodes
    cluster.link(hub, one)
    cluster.link(hub, two)
    for each in (one, two):
        getattr(each, write)("k")
    cluster.settle()
    cluster.now += 5
    nodes[by].invalidate("k")
    cluster.settle()
    assert [node.get("k") for node in nodes] == [None, None, None]
    late = cluster.node(1)
    cluster.link(hub, late)
    assert late.get("k") is None


@pytest.mark.parametrize("hub_version", HUBS)
@pytest.mark.parametrize("is_forgotten", [False, True])
def test_who_missed_an_invalidation_of_another_version_hears_of_it_later(
    cluster: Cluster, hub_version: Any, is_forgotten: bool
) -> None:
    hub, one, two = cluster.node(hub_version, graves=10), cluster.node(1, graves=10), cluster.node(2, graves=10)
    cluster.link(hub, one)
    cluster.link(hub, two)
    two.set("k")
    cluster.settle()
    cluster.cut(hub, two)
    cluster.now += 5
    one.invalidate("k")
    one.set("k")
    for i in range(40 if is_forgotten else 0):
        one.invalidate(f"filler {i}")
    cluster.settle()
    cluster.link(hub, two)
    assert two.get("k") is None
    late = cluster.node(2)
    cluster.link(hub, late)
    assert late.get("k") is None
    assert one.get("k") == b"\x01"


def test_an_old_value_of_another_version_that_comes_after_the_invalidation_is_not_kept(cluster: Cluster) -> None:
    """1: two sets, unheard. 2: one invalidates; the hub has nothing to drop. 3: the set comes to the hub. 4: the graves
    go, and another asks the hub.
    """
    hub, one, two = cluster.node(graves=10), cluster.node(1, graves=10), cluster.node(2)
    cluster.link(hub, one)
    two.set("k")
    cluster.now += 5
    one.invalidate("k")
    cluster.settle()
    cluster.link(hub, two)
    for i in range(40):
        one.invalidate(f"filler {i}")
    cluster.settle()
    cluster.cut(hub, two)
    late = cluster.node(2)
    cluster.link(hub, late)
    assert late.get("k") is None


def test_a_newer_value_outlives_an_older_invalidation_of_all(cluster: Cluster) -> None:
    one, two = cluster.node(1), cluster.node(2)
    one.invalidate("k")
    cluster.now += 5
    two.set("k")
    cluster.link(one, two)
    late = cluster.node(2)
    cluster.link(one, late)
    assert (two.get("k"), late.get("k")) == (b"\x01", b"\x01")


def test_a_set_without_a_version_whose_value_is_gone_says_nothing_of_the_age_of_ours(cluster: Cluster) -> None:
    """1: two sets of one version, the newer one evicted. 2: who holds the older one hears a set without a version.
    3: its value ends, and who has the newer grave hears of it as of an invalidation. 4: the two meet.
    """
    plain, older, newer = cluster.node(), cluster.node(1), cluster.node(1, capacity=1)
    older.set("k", b"\x01")
    newer.set("k", b"\x02")
    newer.set("x")
    cluster.now += 5
    cluster.link(older, plain)
    plain.set("k")
    cluster.settle()
    cluster.cut(older, plain)
    entry = plain.store.find("k")
    assert entry is not None
    gone = plain.store.remove(entry, RemovalCause.EVICTED, cluster.now)
    plain.replica.left([gone])
    cluster.link(plain, newer)
    cluster.cut(plain, newer)
    cluster.link(newer, older)
    assert older.get("k") is None


@pytest.mark.parametrize("hub_version", [None, 1])
def test_an_old_value_does_not_come_back_past_an_invalidation_without_a_version(
    cluster: Cluster, hub_version: Any
) -> None:
    hub, plain, two = cluster.node(hub_version, graves=10), cluster.node(), cluster.node(2)
    two.set("k")
    cluster.now += 5
    plain.invalidate("k")
    cluster.link(hub, plain)
    cluster.link(hub, two)
    assert two.get("k") is None
    late = cluster.node(2)
    cluster.link(hub, late)
    assert late.get("k") is None


def test_what_has_expired_of_other_versions_is_let_go_of(cluster: Cluster) -> None:
    hub, one = cluster.node(2), cluster.node(1)
    cluster.link(hub, one)
    for i in range(50):
        key = one.view.bytes_of(f"k{i}")
        stamp = one.replica.set(key, b"\x01", cluster.now)
        one.replica.left(one.store.put(f"k{i}", b"\x01", cluster.now, cluster.now + 5, inf, stamp))
    cluster.settle()
    assert hub.view.count() == 50
    cluster.now += 10
    hub.replica.time_passed(cluster.now, WALL + cluster.now)
    assert hub.view.count() == 0


@pytest.mark.parametrize("kind", ["SET", "LOAD", "TOUCH"])
def test_a_value_of_all_versions_is_refused(cluster: Cluster, kind: str) -> None:
    hub, one = cluster.node(), cluster.node(1)
    cluster.link(hub, one)
    rules = cluster.rules
    version = rules.Version(one.replica.present(cluster.now), one.replica.node)
    payload = None if kind == "TOUCH" else b"\x01"
    other = rules.NOTHING if kind == "SET" else version
    event = rules.Event(rules.Kind[kind], OF_ALL_VERSIONS + b"\xa1k", version, 1, payload, None, other)
    with pytest.raises(ProtocolError, match="of all versions"):
        hub.replica.received(one.name, rules.messages.encode([event]), cluster.now)


def test_an_invalidation_of_a_version_fences_the_loads_of_the_others(cluster: Cluster) -> None:
    one, two, none = cluster.node(1), cluster.node(2), cluster.node()
    cluster.link(one, two)
    cluster.link(one, none)
    for each in (two, none):
        each.loads.update({"k": 1, "other": 2})
    one.invalidate("k")
    cluster.settle()
    assert (list(two.loads), list(none.loads)) == (["other"], ["other"])


def test_a_clear_is_of_all_versions(cluster: Cluster) -> None:
    hub, one, two = cluster.node(), cluster.node(1), cluster.node(2)
    cluster.link(hub, one)
    cluster.link(hub, two)
    one.set("a")
    two.set("b")
    cluster.settle()
    hub.store.clear(cluster.now)
    hub.replica.clear(cluster.now)
    cluster.settle()
    assert (one.get("a"), two.get("b"), hub.view.count()) == (None, None, 0)


def test_what_is_kept_for_other_versions_is_bounded_and_takes_no_room_from_ours(cluster: Cluster) -> None:
    hub, one = cluster.node(2, capacity=10), cluster.node(1)
    cluster.link(hub, one)
    for i in range(10):
        hub.set(f"ours {i}")
    for i in range(50):
        one.set(f"theirs {i}")
    cluster.settle()
    assert len(hub.store) == 10
    assert hub.view.count() == 20
    for i in range(50):
        one.invalidate(f"theirs {i}")
    cluster.settle()
    assert hub.view.count() == 10
    assert hub.view.pop_gone() == []


def test_values_of_too_many_versions_are_not_kept_and_of_others_are_once_there_is_room(cluster: Cluster) -> None:
    hub = cluster.node(capacity=1_000, graves=1_000)
    nodes = [cluster.node(version, capacity=1_000, graves=1_000) for version in range(MOST_VERSIONS + 1)]
    for node in nodes:
        node.set(f"k{node.name}")
        cluster.link(hub, node)
        cluster.cut(hub, node)
    assert hub.view.count() == MOST_VERSIONS
    cluster.link(hub, nodes[0])
    nodes[0].invalidate(f"k{nodes[0].name}")
    cluster.settle()
    cluster.link(hub, nodes[-1])
    nodes[-1].set("another")
    cluster.settle()
    assert hub.view.count() == MOST_VERSIONS


@pytest.mark.parametrize("version", [0, 1, -7, 1 << 40, "1", "a", "2026-11", "é" * 50])
@pytest.mark.parametrize("key", ["k", 7, ("a", 1.5), None, frozenset({1}), (1, 2)])
def test_a_key_of_a_version_is_known_by_its_bytes(version: Any, key: Any) -> None:
    data = encode_version(version) + encode_key(key)
    assert decode_key(data) == OpaqueKey(data)
    assert data[plain_start(data) :] == encode_key(key)
    assert decode_key(OF_ALL_VERSIONS + encode_key(key)) == OpaqueKey(OF_ALL_VERSIONS + encode_key(key))


VECTORS = json.loads((Path(__file__).parent / "vectors" / "encoding.json").read_text())["keys_of_versions"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_bytes_of_a_key_of_a_version(vector: dict[str, Any]) -> None:
    version, data = vector["version"], bytes.fromhex(vector["hex"])
    begin = OF_ALL_VERSIONS if version is None else encode_version(version)
    assert begin + encode_key(vector["key"]) == data
    assert decode_key(data) == OpaqueKey(data)


def test_versions_that_differ_have_keys_that_differ() -> None:
    assert len({encode_version(version) for version in (0, 1, "1", "", "0")} | {OF_ALL_VERSIONS, b""}) == 7


@pytest.mark.parametrize(
    "data",
    [
        encode_version(1),
        OF_ALL_VERSIONS,
        encode_version(1) + encode_version(1) + b"\xa1k",
        OF_ALL_VERSIONS + OF_ALL_VERSIONS + b"\xa1k",
        b"\x92\xc7\x01\x0c\x01\xa1k",  # a long header
        b"\x92\xd4\x0c\xc0\xa1k",  # None is no version
        b"\x92\xd5\x0c\xcc\x01\xa1k",  # 1, but not in its canonical bytes
        b"\x92\xd4\x0c\x01\xcc\x01",  # nor the key
        b"\x92\xd8\x0c\x01",
        b"\x92\xc7\xff\x0c\x01\xa1k",
        b"\x93\xd4\x0c\x01\xa1k\xa1k",
        b"\x92\xa1k\xd4\x0c\x01",
        b"\xd4\x0c\x01",
    ],
)
def test_what_is_no_key_of_a_version_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_key(data)
