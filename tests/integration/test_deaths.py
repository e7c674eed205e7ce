"""A peer that dies, however it does, is noticed in time; the rest goes on; it comes back and is told what it missed."""

import time
from collections.abc import Callable

import pytest

from tests.integration.cluster import CONNECTION_TIMEOUT_MS, SHAPES, Cluster, Node, until
from tests.integration.proxy import Direction

IN_TIME = CONNECTION_TIMEOUT_MS / 1000
NOISE = 10.0  # seconds that the machine may take for other things; without us it would be the minutes that TCP takes
HEALED_WITHIN = 5.0

STAR = [(1, 0), (2, 0)]


def close(cluster: Cluster, index: int) -> None:
    cluster.nodes[index].close()


def kill(cluster: Cluster, index: int) -> None:
    cluster.nodes[index].kill()


def stop(cluster: Cluster, index: int) -> None:
    cluster.nodes[index].stop()


def swallow(cluster: Cluster, index: int) -> None:
    """The cable is cut: no packet comes back, and no end."""
    for link, proxy in cluster.proxies.items():
        if index in link:
            proxy.swallow()


def swallow_what_it_says(cluster: Cluster, index: int) -> None:
    """It hears all, and is not heard."""
    for (client, server), proxy in cluster.proxies.items():
        if index in (client, server):
            proxy.swallow((Direction.OUT if client == index else Direction.BACK,))


DEATHS = [close, kill, stop, swallow, swallow_what_it_says]


@pytest.mark.parametrize("die", DEATHS)
@pytest.mark.parametrize("index", [0, 2], ids=["server", "client"])
def test_a_death_is_noticed_in_time(cluster: Cluster, die: Callable[[Cluster, int], None], index: int) -> None:
    cluster.build(STAR)
    others = [node for i, node in enumerate(cluster.nodes) if i != index]
    dead = cluster.nodes[index].node()
    die(cluster, index)
    began = time.monotonic()
    for node in others:
        until(lambda n=node: dead not in [peer["node"] for peer in n.connected()], f"{node.name} notices")
    assert time.monotonic() - began < IN_TIME + NOISE


@pytest.mark.parametrize("die", [kill, stop, swallow])
def test_the_rest_goes_on(cluster: Cluster, die: Callable[[Cluster, int], None]) -> None:
    """While nobody has noticed yet, and after: others get every write, and no call waits."""
    cluster.build(STAR)
    die(cluster, 2)
    for i in range(18):  # longer than it takes to notice
        began = time.monotonic()
        cluster.nodes[1].set("key", i)
        assert cluster.nodes[1].has("key", i)
        until(lambda n=i: cluster.nodes[0].has("key", n), "the other has it")
        assert time.monotonic() - began < IN_TIME
        time.sleep(0.1)


@pytest.mark.parametrize("die", DEATHS[1:])
def test_it_rejoins_by_itself_and_gets_what_it_missed(cluster: Cluster, die: Callable[[Cluster, int], None]) -> None:
    cluster.build(STAR)
    cluster.nodes[0].set("changed", "old")
    cluster.nodes[0].set("dropped", "old")
    cluster.wait_all_have("dropped", "old")
    die(cluster, 2)
    until(lambda: len(cluster.nodes[0].connected()) == 1, "its death is noticed")
    cluster.nodes[1].set("changed", "new")
    cluster.nodes[1].invalidate("dropped")
    cluster.nodes[1].set("added", "new")
    cluster.heal()
    began = time.monotonic()
    cluster.wait_all_have("added", "new")
    cluster.wait_all_have("changed", "new")
    cluster.wait_all_lack("dropped")
    assert time.monotonic() - began < HEALED_WITHIN + NOISE


def test_both_sides_of_a_cut_go_on_alone_and_agree_after(cluster: Cluster) -> None:
    """The seed: the caches that remain go on as networks of their own."""
    cluster.build(SHAPES["chain"])
    for key in ("left", "right", "gone"):
        cluster.nodes[2].set(key, "old")
        cluster.wait_all_have(key, "old")
    cut = cluster.proxies[2, 1]
    cut.refuse()
    cluster.nodes[0].set("left", "new")
    cluster.nodes[4].set("right", "new")
    cluster.nodes[4].invalidate("gone")
    until(lambda: cluster.nodes[1].has("left", "new"), "the left goes on")
    until(lambda: cluster.nodes[2].has("right", "new") and cluster.nodes[2].lacks("gone"), "the right goes on")
    assert cluster.nodes[2].has("left", "old")
    assert cluster.nodes[1].has("right", "old")
    cut.heal()
    began = time.monotonic()
    cluster.wait_all_have("left", "new")
    cluster.wait_all_have("right", "new")
    cluster.wait_all_lack("gone")
    assert time.monotonic() - began < HEALED_WITHIN + NOISE


def test_a_load_from_before_an_invalidation_on_the_other_side_of_a_cut_is_dropped(cluster: Cluster) -> None:
    cluster.build(SHAPES["chain"])
    cut = cluster.proxies[3, 2]
    cut.refuse()
    cluster.nodes[4].begin_load("key", "stale")
    cluster.nodes[0].invalidate("key")
    cluster.nodes[4].end_load("key")
    until(lambda: cluster.nodes[3].has("key", "stale"), "who cannot know better keeps it")
    cut.heal()
    cluster.wait_all_lack("key")


def test_what_was_flushed_outlives_the_killed(cluster: Cluster) -> None:
    cluster.build(STAR)
    cluster.nodes[0].set("dropped", "old")
    cluster.wait_all_have("dropped", "old")
    for i in range(200):
        cluster.nodes[1].set(f"key{i}", i)
    cluster.nodes[1].invalidate("dropped")
    assert cluster.nodes[1].flush(timeout=10) is True
    cluster.nodes[1].kill()
    until(lambda: all(f"key{i}" in cluster.nodes[2].held() for i in range(200)), "the third has all")
    assert cluster.nodes[2].lacks("dropped")


def test_a_killed_node_gets_back_what_it_had(cluster: Cluster) -> None:
    cluster.build(STAR)
    cluster.nodes[1].write_many("key", 1000, "value")
    assert cluster.nodes[1].flush(timeout=10) is True
    cluster.nodes[1].kill()
    cluster.start()
    until(lambda: len(cluster.nodes[1].held()) == 1000, "it has all again")


def test_flush_says_no_without_a_peer_and_while_one_does_not_answer(cluster: Cluster) -> None:
    cluster.build([(1, 0)])
    cluster.nodes[1].set("key", 1)
    assert cluster.nodes[1].flush(timeout=10) is True
    cluster.nodes[0].stop()
    cluster.nodes[1].set("key", 2)
    assert cluster.nodes[1].flush(timeout=0.3) is False
    until(lambda: cluster.nodes[1].connected() == [], "the death is noticed")
    assert cluster.nodes[1].flush(timeout=0.3) is False


def test_all_clients_find_a_server_again_that_restarts(cluster: Cluster) -> None:
    """They do not all knock at the same moment: jitter."""
    clients = 8
    cluster.build([(client, 0) for client in range(1, clients + 1)])
    cluster.nodes[5].set("key", "value")
    cluster.wait_all_have("key", "value")
    server = cluster.nodes[0]
    server.kill()
    for node in cluster.nodes[1:]:
        until(lambda n=node: n.connected() == [], "its death is noticed")
        assert node.has("key", "value")
    server.start().wait_started()
    cluster.wait_linked([(client, 0) for client in range(1, clients + 1)], HEALED_WITHIN + NOISE)
    cluster.wait_all_have("key", "value")


def test_clients_knock_at_different_times(cluster: Cluster) -> None:
    """Attempts of eight clients at a server that is away, as their proxies saw them."""
    cluster.build([(client, 0) for client in range(1, 9)])
    cluster.nodes[0].kill()
    before = [proxy.accepted for proxy in cluster.proxies.values()]
    until(
        lambda: all(p.accepted >= b + 3 for p, b in zip(cluster.proxies.values(), before, strict=True)), "all knocked"
    )
    knocks = sorted(proxy.accepted_at[-1] for proxy in cluster.proxies.values())
    assert knocks[-1] - knocks[0] > 0.01, "all of them at once"
    rate = [p.accepted - b for p, b in zip(cluster.proxies.values(), before, strict=True)]
    assert max(rate) < 60


def test_a_node_without_its_peers_is_a_good_local_cache(cluster: Cluster) -> None:
    """Gone, stopped or swallowed: nothing waits, nothing raises."""
    cluster.build([(1, 0), (2, 1), (1, 3)])
    node: Node = cluster.nodes[1]
    cluster.nodes[0].kill()
    cluster.nodes[2].stop()
    cluster.proxies[1, 3].swallow()
    began = time.monotonic()
    node.write_many("key", 20_000, "value")
    assert node.get("key19999") == "value"
    assert node.get("nowhere") is None
    assert node.invalidate("key19999") is True
    assert node.get("key19999") is None
    assert time.monotonic() - began < IN_TIME + 2 * NOISE


def test_close_says_goodbye_and_the_cache_goes_on_alone(cluster: Cluster) -> None:
    cluster.build([(1, 0)])
    node = cluster.nodes[1]
    node.set("key", 1)
    began = time.monotonic()
    node.close()
    assert time.monotonic() - began < IN_TIME + NOISE
    node.close()  # idempotent
    node.set("key", 2)
    assert node.get("key") == 2
    until(lambda: "goodbye" in cluster.nodes[0].log.lower(), "the other's log says that it said goodbye")


def test_the_end_of_the_interpreter_says_goodbye_too(cluster: Cluster) -> None:
    cluster.build([(1, 0)])
    cluster.nodes[1].end()
    until(lambda: "goodbye" in cluster.nodes[0].log.lower(), "the other's log says that it said goodbye")


def test_unreachable_remotes_are_logged_once_per_change_of_state(cluster: Cluster) -> None:
    node = cluster.add(remote_address=[cluster.reserve()], connection_timeout=400).start().wait_started()
    time.sleep(2)  # many attempts: that nothing is logged for them cannot be waited for
    lines = [line for line in node.log.splitlines() if "WARNING" in line or "ERROR" in line]
    assert len(lines) <= 1, lines


def test_a_life_does_not_begin_anew_at_a_reader_that_stood_still(cluster: Cluster) -> None:
    """What had come meanwhile waits in its socket, with the life that it had when it was sent."""
    cluster.build([(1, 0)])
    server, reader = cluster.nodes
    reader.stop()
    stopped = time.monotonic()
    server.set("key", "short-lived", expiration_time=1)
    until(lambda: server.connected() == [], "the server gives it up")
    # Which counts from the last that it heard, so the reader has not stood still for quite as long then.
    until(lambda: time.monotonic() - stopped > IN_TIME, "it stood still for longer than that")
    until(lambda: server.lacks("key"), "its life is over")
    reader.resume()
    until(lambda: "this process stood still for" in reader.log, "it says so")
    assert reader.lacks("key")
    until(lambda: len(reader.connected()) == 1, "it is back")
    assert reader.lacks("key")
