"""A cache that is closed leaves nothing behind, however often."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.cluster import CONNECTION_TIMEOUT_MS, PATIENCE, Cluster, Node, NodeError, until
from tests.integration.nursery import ROOT

IN_TIME = CONNECTION_TIMEOUT_MS / 1000
NOISE = 10.0  # seconds that the machine may take for other things; without us it would be the minutes that TCP takes


def test_a_thousand_rounds_leak_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.integration.leaks", "1000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    first, last = found["first"], found["last"]
    for what in ("files", "threads", "tasks"):
        assert last[what] == first[what], f"{what}: {first} became {last}"
    assert last["bytes"] - first["bytes"] < 5_000_000  # 900 rounds: a leaked cache would be 50 kB and more each
    assert found["left"] == []


def close_in_any_state(node: Node, threads: int, files: int) -> None:
    began = time.monotonic()
    node.close()
    assert time.monotonic() - began < IN_TIME + NOISE
    assert len(node.threads()) == threads
    assert node.open_files() == files


@pytest.mark.parametrize("state", ["linked", "alone", "stopped", "swallowed", "stuck"])
def test_close_leaves_no_thread_and_no_file_whatever_the_peers_do(cluster: Cluster, state: str) -> None:
    bare = cluster.add().start().wait_started()
    bare.close()
    threads, files = len(bare.threads()), bare.open_files()
    cluster.nodes.pop().kill()
    cluster.build([(1, 0), (2, 1)])
    node = cluster.nodes[1]
    if state == "alone":
        cluster.nodes[0].kill()
    elif state == "stopped":
        cluster.nodes[0].stop()
        cluster.nodes[2].stop()
    elif state == "swallowed":
        for proxy in cluster.proxies.values():
            proxy.swallow()
    elif state == "stuck":
        for proxy in cluster.proxies.values():
            proxy.throttle(0)
        node.write_many("key", 20_000, "x" * 1000)
    close_in_any_state(node, threads, files)


def test_close_removes_the_socket_file(cluster: Cluster) -> None:
    cluster.build([(1, 0)], family="unix")
    path = Path(cluster.nodes[0].options["local_address"])
    assert path.is_socket()
    cluster.nodes[0].close()
    assert not path.exists()


def test_the_end_of_the_interpreter_removes_the_socket_file(cluster: Cluster) -> None:
    cluster.build([(1, 0)], family="unix")
    path = Path(cluster.nodes[0].options["local_address"])
    cluster.nodes[0].end()
    assert not path.exists()


def test_a_socket_file_that_a_killed_node_left_is_replaced(cluster: Cluster) -> None:
    cluster.build([(1, 0)], family="unix")
    cluster.nodes[0].kill()
    assert Path(cluster.nodes[0].options["local_address"]).is_socket()
    cluster.start()
    cluster.wait_linked([(1, 0)])


def test_a_socket_file_that_somebody_listens_on_is_not(cluster: Cluster) -> None:
    cluster.build([(1, 0)], family="unix")
    second = cluster.add(local_address=cluster.nodes[0].options["local_address"])
    with pytest.raises(NodeError, match="AddressError"):
        second.start().wait_started()
    cluster.nodes[0].set("key", 1)
    until(lambda: cluster.nodes[1].has("key", 1), "the first one serves on")


def test_a_file_that_is_no_socket_is_not_replaced(cluster: Cluster) -> None:
    path = Path(str(cluster.reserve("unix")))
    path.write_text("precious")
    with pytest.raises(NodeError, match="AddressError"):
        cluster.add(local_address=str(path)).start().wait_started()
    assert path.read_text() == "precious"


def test_a_port_that_is_taken_raises_at_construction(cluster: Cluster) -> None:
    cluster.build([(1, 0)])
    second = cluster.add(local_address=cluster.nodes[0].options["local_address"])
    with pytest.raises(NodeError, match="AddressError"):
        second.start().wait_started()


def test_a_process_with_a_cache_ends_by_itself(cluster: Cluster) -> None:
    """Also with a peer that does not answer."""
    cluster.build([(1, 0), (2, 0), (2, 1)])
    cluster.nodes[0].stop()
    for node in cluster.nodes[1:]:
        began = time.monotonic()
        node.end()
        assert time.monotonic() - began < IN_TIME + NOISE


def test_an_idle_cluster_costs_next_to_nothing(cluster: Cluster) -> None:
    """Heartbeats alone. The benchmark holds it to less; here it is only that nothing spins."""
    cluster.build([(1, 0), (2, 0)])
    before = [node.cpu_seconds() for node in cluster.nodes]
    time.sleep(2)
    used = [node.cpu_seconds() - b for node, b in zip(cluster.nodes, before, strict=True)]
    assert max(used) < 0.1
