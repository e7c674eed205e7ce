"""Links that are far, narrow, stuck or wrong cost time, and neither truth, nor memory, nor the writer's patience."""

import time

import pytest

from tests.integration.cluster import CONNECTION_TIMEOUT_MS, SHAPES, Cluster, until
from tests.integration.proxy import BOTH, Direction

IN_TIME = CONNECTION_TIMEOUT_MS / 1000
SECRET = "a secret that only this test knows"


@pytest.mark.parametrize("round_trip_ms", [80, 150, 300])
def test_over_a_wan_a_write_takes_one_way_and_no_more(cluster: Cluster, round_trip_ms: int) -> None:
    """Many at once take as long as one: nothing waits for an answer."""
    one_way = round_trip_ms / 2000
    cluster.build([(1, 0)])
    near, far = cluster.nodes
    proxy = cluster.proxies[1, 0]
    proxy.delay(one_way)
    proxy.cut()  # the round trip is that of the handshake
    until(lambda: [peer["rtt"] > one_way for peer in far.connected()] == [True], "they are linked anew")
    linked = proxy.accepted
    far.write_many("key", 2000, "x" * 100)
    began = time.monotonic()
    far.set("last", 1)
    took = until(lambda: near.has("last", 1), "the other has it", pause=0.002)
    assert one_way * 0.9 <= took
    assert time.monotonic() - began < one_way * 8 + IN_TIME  # one answer for each batch of 64 would be 31 round trips
    assert len(near.held()) == 2001
    assert near.connected()[0]["rtt"] >= 2 * one_way * 0.9
    assert far.flush(timeout=10) is True
    assert proxy.accepted == linked, "the link was lost, and dialled anew"


def test_a_life_over_a_wan_is_not_longer_than_it_was(cluster: Cluster) -> None:
    cluster.build([(1, 0)])
    cluster.proxies[1, 0].delay(0.15)
    cluster.nodes[1].set("key", 1, expiration_time=100)
    began = time.monotonic()
    cluster.wait_all_have("key", 1)
    assert cluster.nodes[0].expires_in("key") <= 100
    assert cluster.nodes[0].expires_in("key") > 99 - (time.monotonic() - began)


def test_what_was_told_on_both_ends_of_a_wan_ends_the_same(cluster: Cluster) -> None:
    cluster.build(SHAPES["ring"])
    for proxy in cluster.proxies.values():
        proxy.delay(0.075)
    for i, node in enumerate(cluster.nodes):
        for n in range(20):
            node.set(f"contended{n}", i)
    until(lambda: all(node.held() == cluster.nodes[0].held() for node in cluster.nodes), "all hold the same")
    assert len(cluster.nodes[0].held()) == 20


def test_a_backlog_on_a_narrow_link_never_looks_like_a_death(cluster: Cluster) -> None:
    """350 kB at 60 kB a second take almost four times the connection's timeout."""
    cluster.build([(1, 0)], buffer_bytes=16_384)
    near, far = cluster.nodes
    proxy = cluster.proxies[1, 0]
    linked = proxy.accepted
    proxy.throttle(60_000, (Direction.OUT,))
    began = time.monotonic()
    far.write_many("key", 35, {"bytes": 10_000})
    far.set("last", 1)
    until(lambda: near.has("last", 1), "all has arrived")
    assert time.monotonic() - began > 3 * IN_TIME, "this was no backlog"
    assert proxy.accepted == linked, "the link was lost, and dialled anew"
    assert near.connected()[0]["rtt"] < IN_TIME * 20


def test_one_large_value_on_a_narrow_link_does_not_look_like_a_death(cluster: Cluster) -> None:
    cluster.build([(1, 0)], buffer_bytes=16_384)
    near, far = cluster.nodes
    proxy = cluster.proxies[1, 0]
    linked = proxy.accepted
    proxy.throttle(100_000, (Direction.OUT,))
    far.write_many("large", 1, {"bytes": 350_000})
    until(lambda: "large0" in near.held(), "it has arrived")
    assert proxy.accepted == linked, "the link was lost, and dialled anew"


def test_a_peer_that_stops_reading_costs_bounded_memory_and_no_patience(cluster: Cluster) -> None:
    """It answers pings, so it is alive; its link passes nothing on for a while; then it converges."""
    cluster.build([(1, 0), (2, 0)])
    hub, slow = cluster.nodes[0], cluster.nodes[1]
    usual = hub.write_many("warm", 10_000, "x" * 200, 5_000)["median"]
    before = hub.memory_bytes()
    cluster.proxies[1, 0].throttle(0, (Direction.BACK,))
    stuck = hub.write_many("key", 30_000, "x" * 200, 5_000)["median"]
    assert hub.memory_bytes() - before < 60_000_000
    assert stuck < usual * 2 + 20e-6  # 1.2 times is what the benchmark, which runs alone, holds it to
    until(lambda: cluster.nodes[2].has("key4999", "x" * 200), "the other peer has it all")
    hub.set("key4999", "newest")
    cluster.heal()
    until(lambda: slow.has("key4999", "newest"), "the slow one has the newest")
    until(lambda: slow.held() == hub.held(), "the slow one has it all")


def test_a_stopped_process_costs_its_neighbours_bounded_memory(cluster: Cluster) -> None:
    """The same, with a peer that is taken for dead, and comes back."""
    cluster.build([(1, 0)])
    hub, slow = cluster.nodes
    hub.write_many("warm", 10_000, "x" * 200, 5_000)
    before = hub.memory_bytes()
    slow.stop()
    hub.write_many("key", 30_000, "x" * 200, 5_000)
    assert hub.memory_bytes() - before < 60_000_000
    slow.resume()
    until(lambda: slow.held() == hub.held(), "it has it all")


@pytest.mark.parametrize("directions", [BOTH, (Direction.OUT,), (Direction.BACK,)])
def test_a_wrong_byte_ends_the_link_and_it_recovers(cluster: Cluster, directions: tuple[Direction, ...]) -> None:
    cluster.build([(1, 0)], secret=SECRET)
    first, second = cluster.nodes
    proxy = cluster.proxies[1, 0]
    for i in range(5):
        before = proxy.accepted
        proxy.corrupt(directions)
        first.set(f"a{i}", i)
        second.set(f"b{i}", i)
        until(lambda n=before: proxy.accepted > n, "the link ends, and is dialled anew")
        cluster.wait_all_have(f"a{i}", i)
        cluster.wait_all_have(f"b{i}", i)
    assert len(first.held()) == len(second.held()) == 10


def test_the_reason_of_a_wrong_byte_is_in_the_log(cluster: Cluster) -> None:
    cluster.build([(1, 0)], secret=SECRET)
    cluster.proxies[1, 0].corrupt((Direction.OUT,))
    cluster.nodes[1].set("key", 1)
    until(lambda: "seal" in cluster.nodes[0].log or "frame" in cluster.nodes[0].log, "the log says what was wrong")


def test_a_busy_interpreter_is_not_a_death(cluster: Cluster) -> None:
    cluster.build([(1, 0)])
    linked = cluster.proxies[1, 0].accepted
    for node in cluster.nodes:
        for _ in range(3):
            node.be_busy(2.5)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert all(len(node.connected()) == 1 for node in cluster.nodes)
        time.sleep(0.1)
    assert cluster.proxies[1, 0].accepted == linked


def test_lag_says_how_far_a_peer_is_behind(cluster: Cluster) -> None:
    """It rises while a link is stuck, and falls when it is not. At the very beginning it is not known."""
    cluster.build([(1, 0)], connection_timeout=20_000)

    def lag() -> float:
        known = cluster.nodes[1].connected()[0]["lag"]
        return float("nan") if known is None else known

    until(lambda: lag() < 2, "it is up to date")
    cluster.proxies[1, 0].throttle(0, (Direction.BACK,))
    until(lambda: lag() > 2.5, "it falls behind")
    cluster.heal()
    until(lambda: lag() < 2, "it is up to date again")


def test_lives_do_not_depend_on_when_links_break(cluster: Cluster) -> None:
    """A life that ended while a link was cut is over on both sides, and comes back on none."""
    cluster.build([(1, 0)])
    cluster.nodes[0].set("short", 1, expiration_time=1.5)
    cluster.wait_all_have("short", 1)
    cluster.proxies[1, 0].refuse()
    cluster.wait_all_lack("short")
    cluster.heal()
    cluster.wait_linked([(1, 0)])
    cluster.nodes[0].set("done", 1)
    cluster.wait_all_have("done", 1)
    assert all(node.lacks("short") for node in cluster.nodes)
