"""A process that forks goes on as if it had not, and its child is another node with its parent's memory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import PATIENCE, Cluster, Node, until
from tests.integration.nursery import ROOT


@pytest.fixture
def server(cluster: Cluster) -> Node:
    return cluster.add(local_address=cluster.reserve()).start().wait_started()


def run(scenario: str, address: Any) -> Any:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.integration.forked", scenario]
    done = subprocess.run(
        [*command, json.dumps(address)], cwd=ROOT, capture_output=True, text=True, timeout=3 * PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout)


def test_a_child_joins_its_parents_server(server: Node) -> None:
    found = run("child_of_a_client", server.options["local_address"])
    assert found["before"] == 1
    assert found["node"] != found["parent_node"]
    assert found["connected"]
    assert found["flushed"]
    assert found["parent_heard"]
    assert found["same_node"]
    assert found["parent_flushed"]
    assert found["parent_links"] == 1
    assert server.has("child", "was here")
    assert server.has("parent", "goes on")


def test_the_children_of_a_server_join_it_and_share_their_writes() -> None:
    found = run("child_of_a_server", None)
    assert found == {"said": [[True, True, 1, True]] * 3, "parent_has_all": True, "exits": [0, 0, 0]}


def test_a_fork_in_the_middle_of_everything_leaves_both_caches_whole(server: Node) -> None:
    found = run("fork_in_the_middle", server.options["local_address"])
    assert found["children"] == [[1, 2, True, None, ["MainThread"]]] * 40
    assert found["flushed"]
    assert found["links"] == 1
    until(lambda: server.has("after", 1), "the parent's server has its last write")


def test_what_a_child_does_to_its_caches_does_not_touch_its_parents(tmp_path: Path) -> None:
    found = run("child_says_nothing", os.path.relpath(tmp_path / "s", ROOT))
    assert found == {"same_peers": True, "flushed": True, "heard": 1, "file": True, "file_after": False}


def test_a_closed_cache_stays_closed_in_a_child(server: Node) -> None:
    assert run("child_of_a_closed_cache", server.options["local_address"]) == [1, ["MainThread"], 0]


def test_a_load_in_flight_does_not_hang_the_child(server: Node) -> None:
    assert run("load_in_flight", server.options["local_address"]) == {"child": "child", "parent": "parent"}


def test_a_grandchild_joins_too(server: Node) -> None:
    assert run("grandchild", server.options["local_address"]) == {"flushed": True, "heard": True}
