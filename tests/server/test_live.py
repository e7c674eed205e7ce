"""The stream of figures, and the figures for Prometheus."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lru_cache.server import live
from lru_cache.server.client import Client
from tests.concurrency import Gate, eventually
from tests.server.nodes import ThreadNode

StartNode = Callable[..., ThreadNode]


def test_the_stream_begins_with_what_there_is_and_goes_on(node: ThreadNode) -> None:
    first, second = (
        sample for _, sample in zip(range(2), Client(f"http://127.0.0.1:{node.port}").watch(), strict=False)
    )
    assert (first["node"], first["region"], first["stats"]["capacity"]) == (node.cache.node, "here", 50_000)
    assert "history" in first
    assert "history" not in second
    assert second["time"] > first["time"]


def test_rates_are_a_second(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SAMPLE_SECONDS", 3_600)
    node = start_node()
    watched: live.Live = node.app.state.live
    watched.take_sample()
    for key in range(10):
        node.cache.get(key, load=str)
        node.cache.get(key)
    watched._last_time -= 5
    rates = watched.take_sample()["rates"]
    assert all(0 < rates[name] <= 2 for name in ("hits", "misses", "loads"))
    assert rates["evictions"] == 0


def test_who_comes_late_gets_the_last_minutes_and_no_more(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SAMPLE_SECONDS", 3_600)
    node = start_node()
    for _ in range(live.HISTORY_SAMPLES + 20):
        node.app.state.live.take_sample()
    first = next(iter(Client(f"http://127.0.0.1:{node.port}").watch()))
    assert len(first["history"]) == live.HISTORY_SAMPLES


def test_no_more_watch_than_there_is_room_for(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_WATCHERS", 1)
    node = start_node()
    with node.connect() as watcher:
        watcher.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"application/x-ndjson" in watcher.recv(65_536)
        answer = node.ask("GET", "/live")
        assert (answer.status, answer.message) == (503, "too many are watching this node")


def test_a_node_that_stops_ends_its_streams_and_says_so(start_node: StartNode) -> None:
    node = start_node()
    with node.connect() as watcher:
        watcher.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert watcher.recv(65_536)
        node.app.state.live.stopping = True
        while watcher.recv(65_536)[-5:] != b"0\r\n\r\n":
            pass
    answer = node.ask("GET", "/health")
    assert (answer.status, answer.json) == (503, {"status": "stopping"})


def chain_of_three(start_node: StartNode) -> list[ThreadNode]:
    first = start_node(local_address=("127.0.0.1", 0), region="the first")
    second = start_node(local_address=("127.0.0.1", 0), remote_address=first.cache.local_address)
    third = start_node(remote_address=second.cache.local_address)
    assert third.cache.wait_connected(2, timeout=10, everywhere=True)
    return [first, second, third]


def test_who_watches_sees_how_far_nodes_are_that_are_no_neighbours(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SAMPLE_SECONDS", 0.05)
    first, _, third = chain_of_three(start_node)
    for sample in Client(f"http://127.0.0.1:{third.port}").watch():
        others = {other["node"]: other for other in sample["beyond"]}
        if others.get(first.cache.node, {}).get("hops"):
            break
    found = others[first.cache.node]
    assert (found["hops"], found["region"], found["role"]) == (2, "the first", "server")
    assert sample["listens"] is None
    (near,) = sample["peers"]
    assert (near["hops"], near["role"], near["found"]) == (1, "both", "given")


def test_nobody_is_asked_while_nobody_watches_and_no_request_waits_for_who_is(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SAMPLE_SECONDS", 0.05)
    third = chain_of_three(start_node)[2]
    gate, peers = Gate(), third.cache.peers

    def asked(*, everywhere: bool = False, timeout: float | None = None) -> Any:
        return gate.pass_through() or [] if everywhere else peers()

    monkeypatch.setattr(third.cache, "peers", asked)
    eventually(lambda: third.app.state.live._latest["beyond"])
    assert not gate.is_entered()
    with third.connect() as watcher:
        watcher.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n")
        gate.wait_entered()
        assert third.ask("GET", "/health").status == 200
        gate.open()


def families(node: ThreadNode) -> dict[str, Any]:
    answer = node.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


def test_metrics_have_all_figures_of_the_cache(node: ThreadNode) -> None:
    node.cache.set("a", "1")
    node.cache.get("a")
    found = families(node)
    stats = json.loads(node.ask("GET", "/stats").body)
    for name, figure in stats.items():
        (sample,) = found[f"lru_cache_{name}"].samples
        assert sample.value == figure
    assert (found["lru_cache_size"].type, found["lru_cache_hits"].type) == ("gauge", "counter")


def test_metrics_name_the_links(start_node: StartNode) -> None:
    first = start_node(region='ea"st\\', local_address=("127.0.0.1", 0))
    second = start_node(remote_address=[first.cache.local_address, "127.0.0.1:1"])
    assert second.cache.wait_connected(timeout=10)
    found = families(second)["lru_cache_peer_connected"].samples
    labelled = {(sample.labels["node"], sample.labels["region"]): sample.value for sample in found}
    assert labelled == {(first.cache.node, 'ea"st\\'): 1, ("", ""): 0}


def test_a_neighbour_that_links_again_is_the_same_series(start_node: StartNode) -> None:
    """It comes from another port each time."""
    node = start_node(local_address=("127.0.0.1", 0))
    dialler = start_node(region="west", remote_address=node.cache.local_address)
    assert dialler.cache.wait_connected(timeout=10)

    def series() -> list[tuple[str, str, str]]:
        found = families(node)["lru_cache_peer_connected"].samples
        return [(each.labels["node"], each.labels["region"], each.labels["address"]) for each in found]

    (before,), (peer,) = series(), node.cache.peers()
    assert before == (dialler.cache.node, "west", "127.0.0.1")
    node.cache._exchange._links[0].end("the test says so")
    eventually(lambda: [each.address for each in node.cache.peers()] not in ([], [peer.address]))
    assert series() == [before]


def test_an_address_that_is_dialled_in_vain_keeps_its_port(start_node: StartNode) -> None:
    (sample,) = families(start_node(remote_address="127.0.0.1:1"))["lru_cache_peer_connected"].samples
    assert sample.labels["address"] == "127.0.0.1:1"


def test_two_nodes_in_a_process_have_metrics_of_their_own(start_node: StartNode) -> None:
    first, second = start_node(), start_node()
    first.cache.set("a", "1")
    assert [families(node)["lru_cache_size"].samples[0].value for node in (first, second)] == [1, 0]


def test_prometheus_is_told_who_listens_and_how_neighbours_were_found(start_node: StartNode) -> None:
    first = start_node(local_address=("127.0.0.1", 0))
    second = start_node(remote_address=first.cache.local_address)
    assert second.cache.wait_connected(timeout=10)
    told = families(second)
    (about,) = told["lru_cache_peer_info"].samples
    assert (about.name, about.labels["role"], about.labels["found"]) == ("lru_cache_peer_info", "server", "given")
    assert [families(node)["lru_cache_listens"].samples[0].value for node in (first, second)] == [1, 0]
