"""The client's side: dialling again, for ever, at a pace that spares who is dialled."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed, Peer
from lru_cache.network import client
from lru_cache.network.client import Dialler
from tests.concurrency import eventually, link

Cache = LRUCacheDistributed[Any, Any]
Nodes = Callable[..., Cache]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long every dialler would have waited between its attempts; after twenty it stands still."""
    asked: list[float] = []
    pause = Dialler._pause

    def noting(self: Dialler, seconds: float) -> None:
        asked.append(seconds)
        if len(asked) >= 20:
            pause(self, threading.TIMEOUT_MAX if self._stopped else 1_000.0)

    monkeypatch.setattr(Dialler, "_pause", noting)
    return asked


def test_attempts_become_rarer_down_to_one_in_two_seconds(
    nodes: Nodes, free_port: int, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.random, "uniform", lambda least, most: most)
    nodes(remote_address=("127.0.0.1", free_port))
    eventually(lambda: len(pauses) == 20)
    assert pauses[:7] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0])
    assert set(pauses[6:]) == {client.LONGEST_PAUSE_SECONDS}


def test_attempts_are_never_further_apart_than_the_connection_timeout(
    nodes: Nodes, free_port: int, pauses: list[float]
) -> None:
    nodes(remote_address=("127.0.0.1", free_port), connection_timeout=300)
    eventually(lambda: len(pauses) == 20)
    assert max(pauses) <= 0.3


def test_not_all_come_back_at_one_moment(nodes: Nodes, free_port: int, pauses: list[float]) -> None:
    nodes(remote_address=("127.0.0.1", free_port))
    eventually(lambda: len(pauses) == 20)
    assert len(set(pauses[6:])) > 5
    assert all(1.0 <= pause <= 2.0 for pause in pauses[6:])


def test_a_needless_dialler_stands_still(nodes: Nodes, pauses: list[float]) -> None:
    """There is a link to that node already: another would only be refused again."""
    server = nodes(local_address=("127.0.0.1", 0))
    port = server.local_address[1]  # type: ignore[index]
    dialling = nodes(remote_address=[("127.0.0.1", port), ("localhost", port)])
    link(dialling, server)
    eventually(lambda: all(dialler._answered for dialler in dialling._transports))  # type: ignore[attr-defined]
    eventually(lambda: len(dialling.peers()) == 1)
    assert len(pauses) < 20


def test_a_peer_is_a_frozen_value() -> None:
    peer = Peer(None, None, "h:1", None, "connecting", None, None, 0)
    assert peer == Peer(None, None, "h:1", None, "connecting", None, None, 0)
    with pytest.raises(AttributeError):
        peer.state = "connected"  # type: ignore[misc]


# -- a name with several addresses -------------------------------------------------------------------------------------


def lead_to(*ports: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on each name stands for these ports of this machine."""
    monkeypatch.setattr(client, "resolve", lambda _: [(socket.AF_INET, ("127.0.0.1", port)) for port in ports])


def port_of(cache: Cache) -> int:
    address = cache.local_address
    assert isinstance(address, tuple)
    return address[1]


def test_of_several_addresses_its_own_is_passed_over_and_the_log_says_so(
    nodes: Nodes, free_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    other = nodes(local_address=("127.0.0.1", 0))
    lead_to(free_port, port_of(other), monkeypatch=monkeypatch)
    one = nodes(local_address=("127.0.0.1", free_port), remote_address=("a-name", 1))
    link(one, other)
    assert [peer.node for peer in one.peers()] == [other.node]
    assert "this is myself" in caplog.text


def test_who_refuses_does_not_keep_it_from_the_next_address(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = nodes(local_address=("127.0.0.1", 0), cluster="another")
    other = nodes(local_address=("127.0.0.1", 0))
    lead_to(port_of(refusing), port_of(other), monkeypatch=monkeypatch)
    link(nodes(remote_address=("a-name", 1)), other)


def test_a_name_that_leads_to_others_later_is_looked_up_again(
    nodes: Nodes, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of several that are started: for a moment the name stands for it alone."""
    lead_to(free_port, monkeypatch=monkeypatch)
    one = nodes(local_address=("127.0.0.1", free_port), remote_address=("a-name", 1), connection_timeout=2_000)
    eventually(lambda: [peer.state for peer in one.peers()] == [client.MYSELF])
    other = nodes(local_address=("127.0.0.1", 0))
    lead_to(free_port, port_of(other), monkeypatch=monkeypatch)
    link(one, other)
