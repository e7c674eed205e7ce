"""Processes of one local cluster: whichever listens may end in any way, and another takes its place."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.effort import some_or_many
from tests.integration.cluster import CONNECTION_TIMEOUT_MS, PATIENCE, Cluster, Node, until
from tests.integration.nursery import ROOT

IN_TIME = CONNECTION_TIMEOUT_MS / 1000
NOISE = 10.0  # seconds that the machine may take for other things
WORKERS = 8
DEATHS = some_or_many(20, 60)


@pytest.fixture
def path() -> Iterator[str]:
    """With a short path, as a socket's must be."""
    with TemporaryDirectory(prefix="lru") as made:
        yield f"{made}/app.sock"


@pytest.fixture
def cluster(path: str, tmp_path: Path) -> Iterator[Cluster]:
    """It ends before its directory does, which it would else make anew."""
    with Cluster(tmp_path) as made:
        yield made


def build(cluster: Cluster, count: int, **options: Any) -> list[Node]:
    """So many nodes that run, and are one cluster."""
    for _ in range(count):
        cluster.add(**options)
    cluster.start()
    gather(cluster.nodes)
    return list(cluster.nodes)


def leaders(nodes: list[Node]) -> list[Node]:
    return [node for node in nodes if node.address() is not None]


def leader(nodes: list[Node]) -> Node:
    """Wait until one of these listens."""
    until(lambda: len(leaders(nodes)) == 1, "one leads")
    return leaders(nodes)[0]


def gather(nodes: list[Node]) -> tuple[Node, list[Node]]:
    """Wait until one listens and all others are linked with it: that one, and the others."""

    def is_star() -> bool:
        leading = leaders(nodes)
        if len(leading) != 1:
            return False
        links = [len(node.connected()) for node in nodes if node is not leading[0]]
        return links == [1] * len(links) and len(leading[0].connected()) >= len(links)

    until(is_star, "all are linked with the one that leads")
    first = leader(nodes)
    return first, [node for node in nodes if node is not first]


def all_have(nodes: list[Node], key: str, value: Any) -> None:
    for node in nodes:
        until(lambda n=node: n.has(key, value), f"{node.name} has {key}: {value}")


def all_lack(nodes: list[Node], key: str) -> None:
    for node in nodes:
        until(lambda n=node: n.lacks(key), f"{node.name} lacks {key}")


def close(node: Node) -> None:
    """Its cache, which goes on as a local one."""
    node.ask("close")


# -- ends --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("die", [close, Node.kill, Node.end, Node.stop], ids=["close", "kill", "end", "stop"])
def test_another_takes_over_in_time(cluster: Cluster, path: str, die: Callable[[Node], None]) -> None:
    """Who is stopped has ended once it was silent for so long; who takes over is given as long again."""
    nodes = build(cluster, 4, local_cluster=path)
    first, rest = gather(nodes)
    first.set("kept", 1)
    first.set("dropped", 1)
    all_have(nodes, "dropped", 1)
    rest[0].invalidate("dropped")
    all_lack(nodes, "dropped")
    die(first)
    began = time.monotonic()
    second = leader(rest)
    assert time.monotonic() - began < 2 * IN_TIME + NOISE
    gather(rest)
    second.set("after", 1)
    all_have(rest, "after", 1)
    all_have(rest, "kept", 1)
    all_lack(rest, "dropped")
    assert not any("Traceback" in node.log for node in rest)


def test_who_was_stopped_comes_back_as_one_of_the_others(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 3, local_cluster=path)
    first, rest = gather(nodes)
    first.set("old", 1)
    all_have(nodes, "old", 1)
    first.stop()
    second = leader(rest)
    second.set("new", 1)
    second.invalidate("old")
    first.resume()
    until(lambda: first.address() is None, "it has noticed")
    assert gather(nodes)[0] is second
    all_have(nodes, "new", 1)
    all_lack(nodes, "old")
    first.set("back", 1)
    all_have(nodes, "back", 1)


def test_each_of_them_may_be_stopped_in_turn(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 3, local_cluster=path)
    for turn in range(3):
        first, rest = gather(nodes)
        first.stop()
        leader(rest).set("turn", turn)
        first.resume()
        all_have(nodes, "turn", turn)
    gather(nodes)
    assert sorted(each.name for each in Path(path).parent.iterdir()) == ["app.sock.3", "app.sock.3.lock"]


def test_who_was_stopped_for_a_moment_goes_on_leading(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 3, local_cluster=path, connection_timeout=20_000)
    first, rest = gather(nodes)
    first.stop()
    rest[0].set("k", 1)
    first.resume()
    all_have(nodes, "k", 1)
    assert gather(nodes)[0] is first


def test_a_follower_that_was_stopped_deposes_nobody(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 3, local_cluster=path)
    first, rest = gather(nodes)
    rest[0].stop()
    until(lambda: len(first.connected()) == 1, "its silence is noticed")
    rest[0].resume()
    assert gather(nodes)[0] is first
    assert [each.name for each in sorted(Path(path).parent.iterdir())] == ["app.sock", "app.sock.lock"]


def test_one_that_is_killed_and_started_again_joins_the_others(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 3, local_cluster=path)
    for _ in range(5):
        first, _ = gather(nodes)
        first.set("from", first.name)
        all_have(nodes, "from", first.name)
        first.kill()
        first.start().wait_started()
        all_have(nodes, "from", first.name)


def test_all_are_killed_and_what_they_leave_is_no_obstacle(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 3, local_cluster=path)
    for node in nodes:
        node.kill()
    assert Path(path).exists()
    cluster.start()
    gather(nodes)


def test_files_that_are_tidied_up_under_a_living_cluster(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 3, local_cluster=path)
    for each in Path(path).parent.iterdir():
        each.unlink()
    nodes.append(cluster.add(local_cluster=path).start().wait_started())
    gather(nodes)
    nodes[-1].set("k", 1)
    all_have(nodes, "k", 1)
    assert not any("Traceback" in node.log for node in nodes)


def test_who_is_not_let_in_is_told_and_deposes_nobody(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 2, local_cluster=path, secret="a secret that is long enough")
    stranger = cluster.add(local_cluster=path, secret="another that is long enough").start().wait_started()
    until(lambda: "its secret is not ours" in stranger.log, "it is told")
    first, rest = gather(nodes)
    first.kill()
    leader([*rest, stranger])


# -- the rest of the world ---------------------------------------------------------------------------------------------


def test_the_port_and_the_regions_are_handed_over(cluster: Cluster, path: str) -> None:
    """Also by one that is stopped, which still has the port: other regions come to the one after it."""
    region = cluster.add(local_address=cluster.reserve()).start().wait_started()
    port = cluster.reserve()
    outside = cluster.add(remote_address=[port]).start().wait_started()
    options = {"local_cluster": path, "local_address": port, "remote_address": [region.options["local_address"]]}
    workers = [cluster.add(**options) for _ in range(4)]
    cluster.start()
    gather(workers)
    living = list(workers)
    for die in (close, Node.stop, Node.kill):
        first, rest = gather(living)
        die(first)
        living = rest
        second = leader(rest)
        until(lambda n=second: n.address() == list(port), "it has the port")
        for other in (region, outside):
            until(
                lambda o=other, n=second: [peer["node"] for peer in o.connected()] == [n.node()],
                "one link to each region, and it is to the one that listens",
            )
        rest[-1].set("by", second.name)
        all_have([*rest, region, outside], "by", second.name)
    for node in workers:
        node.resume()


def test_who_was_stopped_lets_nobody_in_any_more(cluster: Cluster, path: str) -> None:
    """The port is two processes' until the old one runs again; then it is the new one's alone."""
    port = cluster.reserve()
    workers = build(cluster, 2, local_cluster=path, local_address=port)
    first, (second,) = gather(workers)
    first.stop()
    until(lambda: second.address() == list(port), "the other has the port")
    outside = [cluster.add(remote_address=[port]).start() for _ in range(6)]
    for node in outside:
        node.wait_started()
    first.resume()
    for node in outside:
        until(lambda n=node: [peer["node"] for peer in n.connected()] == [second.node()], "all came to the new one")
    gather(workers)
    log = first.log[first.log.rindex("listening for the local cluster") :]
    assert not any(node.node() in log for node in outside), "the old one was linked with none of them"


# -- forks -------------------------------------------------------------------------------------------------------------


def run(scenario: str, path: str, port: Any = None) -> Any:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.integration.forked", scenario]
    done = subprocess.run(
        [*command, json.dumps({"path": path, "port": port})],
        cwd=ROOT, capture_output=True, text=True, timeout=3 * PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


def test_a_child_of_the_one_that_listens_follows_it_and_takes_over(cluster: Cluster, path: str) -> None:
    port = cluster.reserve()
    found = run("child_of_a_leader", path, port)
    assert found["kept"] == [], "the child has no descriptor of the lock, the socket or the port"
    assert found["joined"]
    assert found["address"] is None
    assert found["heard"] == "child"
    assert found["address_after_close"] == list(port)


def test_a_child_of_a_follower_follows_too(cluster: Cluster, path: str) -> None:
    first = build(cluster, 1, local_cluster=path)[0]
    found = run("child_of_a_follower", path)
    assert found["kept"] == []
    assert found["joined"]
    assert found["peers"] == [first.node()]
    assert found["heard"] == "child"
    assert first.has("k", "child")


def test_a_child_takes_over_from_its_parent_that_was_killed(path: str) -> None:
    assert run("child_of_a_killed_leader", path) == {"leads": True, "kept": 1, "deposed": False}


def test_children_however_they_were_started_are_one_cluster(path: str) -> None:
    found = run("children_of_each_kind", path)
    assert found == {"said": [True] * 4, "heard": True, "exits": [0] * 4}


def test_forks_in_the_middle_of_takeovers_leave_no_lock_behind(path: str) -> None:
    """Children that live on have nothing of what their parents had open."""
    assert run("forks_amid_takeovers", path) == {"kept": [[]] * 20, "leads_at_last": True}


# -- under load --------------------------------------------------------------------------------------------------------


def test_nothing_flushed_is_lost_when_the_one_that_listens_is_killed_again_and_again(
    cluster: Cluster, path: str, record_property: Callable[[str, object], None]
) -> None:
    """Eight workers write all the while. What one of them has flushed is there in the end, whoever was killed."""
    nodes = build(cluster, WORKERS, local_cluster=path)
    for node in nodes:
        node.begin_flushing()
    takeovers = []
    for _ in range(DEATHS):
        first, rest = gather(nodes)
        began = time.monotonic()
        first.kill()
        until(lambda r=rest: leaders(r), "another leads", pause=0.002)
        takeovers.append(time.monotonic() - began)
        first.start().wait_started()
        first.begin_flushing()
    gather(nodes)
    for node in nodes:
        assert node.end_flushing() > 0
    flushed = {key: value for each in cluster.directory.glob("*.flushed") for key, value in read(each)}
    until(lambda: all(contains(node.held(), flushed) for node in nodes), "all have what any of them has flushed")
    for node in nodes:
        assert "Traceback" not in node.log
    assert len({life for key in flushed for life in [key.split("-")[1]]}) >= WORKERS
    takeovers.sort()
    record_property("takeover_seconds", takeovers)
    print("takeovers in ms:", " ".join(f"{1000 * each:.0f}" for each in takeovers), "flushed:", len(flushed))  # noqa: T201
    assert takeovers[-1] < IN_TIME + NOISE


def read(journal: Path) -> Iterator[tuple[str, int]]:
    for line in journal.read_text().splitlines():
        key, _, value = line.partition(" ")
        if value.isdigit():
            yield key, int(value)


def contains(held: dict[str, Any], flushed: dict[str, int]) -> bool:
    return all(held.get(key, -1) >= value for key, value in flushed.items())


def test_removals_are_told_once_across_takeovers(cluster: Cluster, path: str) -> None:
    nodes = build(cluster, 4, local_cluster=path, listens=True)
    nodes[0].write_many("kept", 200, "value")
    nodes[0].write_many("dropped", 200, "value")
    all_have(nodes, "dropped199", "value")
    for i in range(200):
        nodes[i % 4].invalidate(f"dropped{i}")
    for node in nodes:
        until(lambda n=node: len(n.removals()) == 200, f"{node.name} is told")
    living = nodes
    for die in (Node.kill, Node.stop, close):
        first, living = gather(living)
        die(first)
        gather(living) if len(living) > 1 else leader(living)
    assert sorted(living[0].removals()) == sorted(f"dropped{i}" for i in range(200))
    assert all(living[0].has(f"kept{i}", "value") for i in range(0, 200, 20))


# -- without Unix sockets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("die", [close, Node.kill, Node.stop], ids=["close", "kill", "stop"])
def test_without_unix_sockets_it_is_a_port_and_a_secret(
    cluster: Cluster, path: str, die: Callable[[Node], None]
) -> None:
    nodes = build(cluster, 3, local_cluster=path, unix_sockets=False)
    first, rest = gather(nodes)
    assert Path(path).is_file()
    assert Path(path).stat().st_mode & 0o077 == 0
    die(first)
    gather(rest)
    rest[0].set("k", 1)
    all_have(rest, "k", 1)
    first.resume()
