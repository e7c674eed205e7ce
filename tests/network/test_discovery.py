"""Addresses that change: a name that is asked again and again, or a function of the application."""

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lru_cache import AddressError, LRUCacheDistributed
from lru_cache.network import client, discovery
from lru_cache.network.choosing import ALL_OF
from lru_cache.network.sources import Source
from tests.concurrency import Gate, Started, eventually
from tests.conftest import Nodes

Cache = LRUCacheDistributed[Any, Any]


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(discovery, "SHORTEST_ASK_SECONDS", 0.01)


class Fleet:
    """Caches that find each other by asking this, which lists some of them."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.caches: list[Cache] = []
        self.listed: list[Any] = []
        self.asked = 0

    def __call__(self) -> list[Any]:
        self.asked += 1
        return list(self.listed)

    def grow(self, count: int, **options: Any) -> None:
        while len(self.caches) < count:
            cache = self._nodes(local_address=("127.0.0.1", 0), remote_address=self, **options)
            self.caches.append(cache)
            self.listed.append(cache.local_address)

    def shrink(self, count: int) -> None:
        while len(self.caches) > count:
            self.listed.pop()
            self.caches.pop().close()

    def is_whole(self) -> bool:
        """Whether each is linked with as many of the others as it is to be, and looks for nobody else."""
        count = len(self.caches)
        return all(
            all(peer.state == "connected" for peer in cache.peers())
            and (len(cache.peers()) == count - 1 if count <= ALL_OF + 1 else 4 <= len(cache.peers()) <= 8)
            for cache in self.caches
        )

    def all_have(self, key: str, value: object) -> bool:
        return all(cache.peek(key) == value for cache in self.caches)


@pytest.fixture
def fleet(nodes: Nodes) -> Fleet:
    return Fleet(nodes)


def test_a_fleet_finds_itself_grows_and_shrinks(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    """Without a complaint of those that have gone."""
    for count in (3, 12, 5):
        fleet.grow(count)
        fleet.shrink(count)
        eventually(fleet.is_whole)
        fleet.caches[0].set("count", count)
        eventually(lambda count=count: fleet.all_have("count", count))  # type: ignore[misc]
    assert [line for line in caplog.messages if "cannot reach" in line or "myself" in line] == []


def test_a_peer_says_how_it_was_found(fleet: Fleet) -> None:
    fleet.grow(2)
    eventually(fleet.is_whole)
    assert sorted(peer.found for cache in fleet.caches for peer in cache.peers()) == ["Fleet", "accepted"]


def test_more_than_eight_by_hand_are_not_all_dialled(nodes: Nodes) -> None:
    servers = [nodes(local_address=("127.0.0.1", 0)) for _ in range(ALL_OF + 1)]
    few = nodes(remote_address=[server.local_address for server in servers[:-1]])
    many = nodes(remote_address=[server.local_address for server in servers])
    assert few.wait_connected(ALL_OF, timeout=10)
    assert many.wait_connected(4, timeout=10)
    assert sum(isinstance(each, client.Dialler) for each in few._transports) == ALL_OF
    assert (len(many.peers()), {peer.found for peer in many.peers()}) == (4, {"given"})


def test_a_name_stands_for_all_of_its_addresses(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for this node's own, which it passes over."""
    hosts = [f"127.0.0.{number}" for number in range(2, 5)]
    first = nodes(local_address=(hosts[0], 0))
    port = first.local_address[1]  # type: ignore[index]
    resolve = socket.getaddrinfo

    def answer(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        if host != "cache-headless":
            return resolve(host, port, *more, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    others = [nodes(local_address=(host, port), remote_address=f"dns://cache-headless:{port}") for host in hosts[1:]]
    assert all(cache.wait_connected(2, timeout=10) for cache in (first, *others))
    eventually(lambda: all(len(cache.peers()) == 2 for cache in others))
    assert {peer.found for peer in others[0].peers()} <= {f"dns://cache-headless:{port}", "accepted"}


def test_when_nobody_can_be_asked_the_last_answer_stays(
    fleet: Fleet, nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lru_cache")
    fleet.grow(1)
    failing = False

    def ask() -> list[Any]:
        if failing:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return fleet()

    cache = nodes(remote_address=ask)
    assert cache.wait_connected(timeout=10)
    failing = True
    eventually(lambda: "cannot be asked" in caplog.text)
    assert [peer.state for peer in cache.peers()] == ["connected"]
    failing = False
    eventually(lambda: "can be asked for addresses again" in caplog.text)
    (line,) = [line for line in caplog.messages if "cannot be asked" in line]
    assert line.endswith(".ask cannot be asked for addresses, the last ones stay: Temporary failure in name resolution")


@pytest.mark.parametrize("answer", [["nonsense"], 7, [("127.0.0.1", 0)], [None]])
def test_an_answer_that_is_none_costs_a_log_line(nodes: Nodes, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    cache = nodes(remote_address=lambda: answer)
    eventually(lambda: "cannot be asked for addresses" in caplog.text)
    assert cache.peers() == []


def test_who_is_gone_from_the_answer_keeps_its_link_until_that_ends(fleet: Fleet, nodes: Nodes) -> None:
    fleet.grow(1)
    cache = nodes(remote_address=fleet)
    assert cache.wait_connected(timeout=10)
    fleet.listed.clear()
    asked = fleet.asked
    eventually(lambda: fleet.asked > asked + 3)
    assert [peer.state for peer in cache.peers()] == ["connected"]
    fleet.caches[0].close()
    eventually(lambda: cache.peers() == [])


def test_a_loss_is_a_reason_to_ask_at_once(fleet: Fleet, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ASK_SECONDS", 1_000.0)
    fleet.grow(1)
    cache = nodes(remote_address=fleet)
    assert cache.wait_connected(timeout=10)
    asked = fleet.asked
    fleet.caches[0].close()
    eventually(lambda: fleet.asked > asked)


def accepted_links() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lru_cache-link-")]


@pytest.mark.parametrize("is_of_a_local_cluster", [False, True])
def test_so_is_the_loss_of_a_link_that_others_have_dialled(
    is_of_a_local_cluster: bool, fleet: Fleet, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "ASK_SECONDS", 1_000.0)
    options = {"local_cluster": str(tmp_path / "socket")} if is_of_a_local_cluster else {}
    cache = nodes(local_address=("127.0.0.1", 0), remote_address=fleet, **options)
    eventually(lambda: isinstance(cache.local_address, tuple))
    other = nodes(remote_address=cache.local_address)
    assert cache.wait_connected(timeout=10)
    eventually(lambda: fleet.asked == 1)
    other.close()
    eventually(lambda: fleet.asked > 1)


def test_many_links_that_end_at_once_are_one_reason_to_ask(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ASK_SECONDS", 1_000.0)
    gates = [Gate(), Gate(), Gate(), Gate()]
    for index in (0, 2, 3):
        gates[index].open()
    asked = 0

    def ask() -> list[Any]:
        nonlocal asked
        asked += 1
        gates[asked - 1].pass_through()
        return []

    cache = nodes(local_address=("127.0.0.1", 0), remote_address=ask)
    first, *others = [nodes(remote_address=cache.local_address) for _ in range(6)]
    assert cache.wait_connected(6, timeout=10)
    first.close()
    gates[1].wait_entered()  # it asks because of that, and the others end meanwhile
    for other in others:
        other.close()
    eventually(lambda: accepted_links() == [])
    gates[1].open()
    gates[2].wait_entered()
    last = nodes(remote_address=cache.local_address)
    assert cache.wait_connected(timeout=10)
    assert not gates[3].is_entered()
    last.close()
    gates[3].wait_entered()
    assert asked == 4


def test_what_costs_all_nodes_is_not_asked_for_a_link_that_others_have_dialled(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "ASK_SECONDS", 1_000.0)
    asked: list[str] = []

    def source(name: str, costs_all: bool) -> Source:
        return Source(name, lambda: asked.append(name) or [], costs_all)  # type: ignore[func-returns-value]

    found = discovery.Discovery([], [source("cheap", False), source("dear", True)], no_dialler, lambda: None, bytes)
    found.start()
    eventually(lambda: asked == ["cheap", "dear"])
    found.note_loss()
    eventually(lambda: asked == ["cheap", "dear", "cheap"])
    found._note_change()
    eventually(lambda: asked == ["cheap", "dear", "cheap", "cheap", "dear"])
    found.stop()
    found.join(10)


def no_dialler(*_: Any) -> Any:
    raise AssertionError("there is nobody to dial")


def test_an_address_that_does_not_answer_is_complained_of_when_that_lasts(
    nodes: Nodes, free_port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FORBEARANCE_SECONDS", 0.2)
    nodes(remote_address=lambda: [("127.0.0.1", free_port)])
    eventually(lambda: "cannot reach" in caplog.text)
    assert caplog.text.count("cannot reach") == 1


@pytest.mark.parametrize(
    ("remote", "error", "line"),
    [
        ("dns://", AddressError, "remote_address: 'dns://' is no name with a port; write \"dns://cache.example:7000\""),
        ("dns://name", AddressError, "is no name with a port"),
        ("dns://name:0", AddressError, "nobody listens on port 0"),
        ("dns://name:70000", AddressError, "has a port beyond 65535"),
        ("dns://user@name:7000/x", AddressError, "is no name with a port"),
        ([None], TypeError, "remote_address must be an address, not None"),
        ([len, "http://x:1"], AddressError, "is a URL"),
    ],
)
def test_a_wrong_argument_gets_one_line(remote: Any, error: type[Exception], line: str) -> None:
    with pytest.raises(error) as refused:
        LRUCacheDistributed(remote_address=remote)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_source_and_addresses_may_be_mixed(fleet: Fleet, nodes: Nodes) -> None:
    fleet.grow(1)
    given = nodes(local_address=("127.0.0.1", 0))
    cache = nodes(remote_address=[fleet, given.local_address])
    assert cache.wait_connected(2, timeout=10)
    assert sorted(peer.found for peer in cache.peers()) == ["Fleet", "given"]


def test_close_while_a_source_hangs_is_no_longer_than_any(nodes: Nodes, start: Callable[..., Started]) -> None:
    gate = Gate()
    cache = nodes(remote_address=lambda: gate.pass_through() or [], connection_timeout=200)
    gate.wait_entered()
    closing = start(cache.close)
    closing.result()
    gate.open()
