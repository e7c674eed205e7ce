"""Caches on engines of several servers, of which one fails or hands over while all write."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.ports import free_port
from lru_cache.engines.engine import EngineError
from lru_cache.engines.jetstream import stream_name
from tests.concurrency import Started, eventually
from tests.engines.fleet import Cache, Fleet, Lines
from tests.engines.logs import ask_nats, key
from tests.engines.nats_server import NatsCluster
from tests.engines.servers import Server, Servers

Nodes = Callable[..., Cache]
NAME = stream_name("default", "default")
ELECTION_SECONDS = 60.0  # a cluster of NATS takes 4 to 9 to notice that a leader is gone; more where all are busy
AWAY, BACK, BROKEN = "is away: ", "is back", "what it lacks is given back"


pytestmark = pytest.mark.usefixtures("haste")


def patiently(condition: Callable[[], Any]) -> None:
    """Wait for what takes an election."""
    until = time.monotonic() + ELECTION_SECONDS
    while not condition():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.05)


@contextmanager
def under_load(caches: Fleet, start: Callable[..., Started]) -> Iterator[Callable[[], None]]:
    """While inside each cache is written by a thread; what is given waits until each has written some more."""
    over = threading.Event()
    written: list[int] = [0] * len(caches.caches)

    def write(i: int) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            caches.write_one(caches.caches[i], number % 6)
            written[i] += 1
            over.wait(0.002)

    def wait() -> None:
        before = list(written)
        eventually(lambda: all(now > then + 20 for now, then in zip(written, before, strict=True)))

    threads = [start(write, i) for i in range(len(caches.caches))]
    try:
        yield wait
    finally:
        over.set()
        for each in threads:
            each.result()


def have_said(caches: Fleet, *phrases: str, changes: int = 1) -> None:
    """No node has logged anything but these lines, and none of them more often than something has changed."""
    for line in caches.lines.all():
        assert any(phrase in line for phrase in phrases), line
    assert caches.lines.count(AWAY) == caches.lines.count(BACK), caches.lines.all()
    for phrase in phrases:
        assert caches.lines.count(phrase) <= changes * len(caches.caches), caches.lines.all()


# -- NATS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    """Three servers of NATS that have agreed on who leads them."""
    with closing(NatsCluster(tmp_path)) as made:
        patiently(lambda: "error" not in ask_any(made, "INFO"))
        yield made


def ask_any(cluster: NatsCluster, what: str) -> dict[str, Any]:
    """What the first of its servers says that answers."""
    for server in cluster.servers.values():
        if server.process is not None:
            try:
                return ask_nats(server, what)
            except EngineError:
                pass
    return {"error": "none answers"}


def leader(cluster: NatsCluster) -> str:
    """Which server the stream is led by; empty if there is none."""
    return str(ask_any(cluster, f"STREAM.INFO.{NAME}").get("cluster", {}).get("leader", ""))


def is_whole(cluster: NatsCluster) -> bool:
    """Whether the stream has a leader, whom the others follow."""
    found = ask_any(cluster, f"STREAM.INFO.{NAME}").get("cluster", {})
    replicas = found.get("replicas", [])
    return bool(found.get("leader")) and len(replicas) == 2 and all(each["current"] for each in replicas)


def connected(caches: Fleet) -> bool:
    return caches.states() == {"connected"}


def test_a_stream_s_leader_that_is_killed_and_comes_back_costs_nothing(
    cluster: NatsCluster, nodes: Nodes, lines: Lines, start: Callable[..., Started]
) -> None:
    caches = Fleet([nodes(engine=f"{cluster.url}?replicas=3") for _ in range(3)], lines)
    patiently(lambda: connected(caches) and is_whole(cluster))
    with under_load(caches, start) as wait:
        wait()
        first = leader(cluster)
        cluster.servers[first].kill()
        patiently(lambda: leader(cluster) not in ("", first))
        patiently(lambda: connected(caches))
        wait()
        cluster.servers[first].start()
        patiently(lambda: is_whole(cluster) and connected(caches))
        wait()
    caches.agree(whole=True)
    have_said(caches, AWAY, BACK)
    assert caches.lines.count(AWAY) > 0
    assert caches.total("log_lost") == caches.total("log_broken") == 0


def test_a_stream_whose_leader_steps_down_under_load_costs_nothing(
    cluster: NatsCluster, nodes: Nodes, lines: Lines, start: Callable[..., Started]
) -> None:
    caches = Fleet([nodes(engine=f"{cluster.url}?replicas=3") for _ in range(3)], lines)
    patiently(lambda: connected(caches) and is_whole(cluster))
    with under_load(caches, start) as wait:
        for _ in range(3):
            wait()
            first = leader(cluster)
            assert ask_any(cluster, f"STREAM.LEADER.STEPDOWN.{NAME}").get("success")
            patiently(lambda first=first: leader(cluster) not in ("", first))
        patiently(lambda: connected(caches))
    caches.agree(whole=True)
    have_said(caches, AWAY, BACK, changes=3)
    assert caches.total("log_lost") == caches.total("log_broken") == 0


# -- a Cluster of Redis ------------------------------------------------------------------------------------------------

STREAM = key("default", "default")


class RedisCluster:
    """Three that have a third of the slots each, and a replica of the one that has the log."""

    def __init__(self, servers: Servers) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        buses = [free_port() for _ in range(4)]  # a number of its own may be too high for Redis's usual one
        made = [servers(*options, "--cluster-port", str(bus), "--cluster-require-full-coverage", "no") for bus in buses]
        self.masters = made[:3]
        for i, each in enumerate(self.masters):
            each.ask("CLUSTER", "ADDSLOTSRANGE", *((0, 5_460), (5_461, 10_922), (10_923, 16_383))[i])
        for each, bus in zip(made, buses, strict=True):
            made[0].ask("CLUSTER", "MEET", "127.0.0.1", each.port, bus)
        for each in made:
            eventually(lambda each=each: b"cluster_known_nodes:4" in each.ask("CLUSTER", "INFO"))
            eventually(lambda each=each: b"cluster_state:ok" in each.ask("CLUSTER", "INFO"))
        self.slot = int(made[0].ask("CLUSTER", "KEYSLOT", STREAM))
        self.owner = self.masters[0 if self.slot <= 5_460 else 1 if self.slot <= 10_922 else 2]
        self.replica = made[3]
        self.replica.ask("CLUSTER", "REPLICATE", name_of(self.owner))
        eventually(lambda: self.replica.client.info("replication").get("master_link_status") == "up")

    @property
    def url(self) -> str:
        return "redis://" + ",".join(f"127.0.0.1:{each.port}" for each in (*self.masters, self.replica))

    def move_slot(self) -> None:
        """Let another have the log, as an administrator does."""
        target = next(each for each in self.masters if each is not self.owner)
        target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", name_of(self.owner))
        self.owner.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", name_of(target))
        while keys := self.owner.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 10):
            self.owner.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "REPLACE", "KEYS", *keys)
        for each in (target, *self.masters):
            each.ask("CLUSTER", "SETSLOT", self.slot, "NODE", name_of(target))
        self.owner = target


def name_of(server: Server) -> str:
    return str(server.ask("CLUSTER", "MYID").decode())


def test_the_log_s_slot_moves_under_load(
    servers: Servers, nodes: Nodes, lines: Lines, start: Callable[..., Started]
) -> None:
    cluster = RedisCluster(servers)
    caches = Fleet([nodes(engine=cluster.url) for _ in range(3)], lines)
    eventually(lambda: connected(caches))
    with under_load(caches, start) as wait:
        for _ in range(3):
            wait()
            cluster.move_slot()
            wait()
            eventually(lambda: connected(caches))
    caches.agree(whole=True)
    have_said(caches, AWAY, BACK, changes=3)
    assert caches.total("log_lost") == caches.total("log_broken") == 0
    assert cluster.owner.client.xlen(STREAM) > 0


def test_a_master_that_has_the_log_is_killed_under_load_and_its_replica_takes_over(
    servers: Servers, nodes: Nodes, lines: Lines, start: Callable[..., Started]
) -> None:
    """What the replica had not got is given back."""
    cluster = RedisCluster(servers)
    caches = Fleet([nodes(engine=cluster.url) for _ in range(3)], lines)
    eventually(lambda: connected(caches))
    with under_load(caches, start) as wait:
        wait()
        cluster.owner.kill()
        patiently(lambda: cluster.replica.client.info("replication")["role"] == "master")
        patiently(lambda: connected(caches))
        wait()
    caches.agree()
    have_said(caches, AWAY, BACK, BROKEN)
    assert caches.lines.count(AWAY) == 3
    assert caches.total("log_lost") == 0
