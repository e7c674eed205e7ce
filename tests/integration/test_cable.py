"""Two machines, as far as the nodes can tell, and a cable between them that is cut: no packet comes back, and no end.

Where a machine has no network namespaces for us, the skipped tests say so; test_deaths then still cuts links with a
proxy that swallows.
"""

import time
from collections.abc import Iterator

import pytest

from tests.integration.cluster import CONNECTION_TIMEOUT_MS, Cluster, Node, until
from tests.integration.namespaces import NEAR, Cable, why_not

IN_TIME = CONNECTION_TIMEOUT_MS / 1000
NOISE = 10.0  # seconds that the machine may take for other things; without us it would be the minutes that TCP takes
HEALED_WITHIN = 5.0
ATTEMPTS = 5  # to mend a cable in time on a busy machine
SECRET = "a secret that only this test knows"


@pytest.fixture
def cable() -> Iterator[Cable]:
    if why_not():
        pytest.skip(f"{why_not()}: links were cut only by a proxy that swallows, in test_deaths")
    with Cable() as made:
        yield made


@pytest.fixture
def ends(cluster: Cluster, cable: Cable) -> tuple[Node, Node]:
    """A server at the near end and a client at the far one."""
    server = cluster.add(prefix=cable.near, local_address=["", 0], secret=SECRET).start().wait_started()
    client = cluster.add(prefix=cable.far, remote_address=[[NEAR, server.address()[1]]], secret=SECRET)
    client.start().wait_started()
    cluster.wait_linked([(1, 0)])
    return server, client


def test_both_ends_notice_in_time_and_go_on(cable: Cable, ends: tuple[Node, Node]) -> None:
    cable.cut()
    began = time.monotonic()
    for node in ends:
        node.set("key", node.name)
        until(lambda n=node: n.connected() == [], "it notices")
    assert time.monotonic() - began < IN_TIME + NOISE
    assert all(node.has("key", node.name) for node in ends)


def test_they_find_each_other_again_and_agree(cluster: Cluster, cable: Cable, ends: tuple[Node, Node]) -> None:
    server, client = ends
    server.set("dropped", "old")
    server.set("changed", "old")
    cluster.wait_all_have("changed", "old")
    cable.cut()
    server.set("changed", "new")
    client.invalidate("dropped")
    client.begin_load("loaded", "stale")
    server.invalidate("loaded")
    client.end_load("loaded")
    for node in ends:
        until(lambda n=node: n.connected() == [], "it notices")
    cable.mend()
    began = time.monotonic()
    cluster.wait_all_have("changed", "new")
    cluster.wait_all_lack("dropped")
    cluster.wait_all_lack("loaded")
    assert time.monotonic() - began < HEALED_WITHIN + NOISE


def test_a_cut_that_is_mended_in_time_is_no_death(cable: Cable, ends: tuple[Node, Node]) -> None:
    """What was on its way comes late, as TCP has it, and the link lives on."""
    server, client = ends
    for attempt in range(ATTEMPTS):
        addresses = [peer["address"] for peer in server.connected()]
        began = time.monotonic()
        cable.cut()
        time.sleep(IN_TIME / 10)
        client.set(f"key {attempt}", "late")
        cable.mend()
        until(lambda n=attempt: server.has(f"key {n}", "late"), "it has come")
        if time.monotonic() - began < IN_TIME / 2:
            break  # else the machine stood still meanwhile, and it was not mended in time
        until(lambda: len(server.connected()) == 1, "they are linked")
    assert [peer["address"] for peer in server.connected()] == addresses, "it was dialled anew"


def test_a_write_goes_from_machine_to_machine(cluster: Cluster, ends: tuple[Node, Node]) -> None:
    ends[1].write_many("key", 1000, "value")
    ends[0].set("back", 1)
    cluster.wait_all_have("key999", "value")
    cluster.wait_all_have("back", 1)
    assert ends[1].flush(timeout=10) is True
