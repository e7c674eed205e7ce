"""Whatever is done on one node reaches every other, in every shape, over every kind of socket."""

from collections.abc import Iterator

import pytest

from tests.integration.addresses import has_ipv6
from tests.integration.cluster import SHAPES, Cluster, until

FAMILIES = {"star": "unix", "chain": "ipv6", "ring": "ipv4", "mesh": "unix", "tree": "ipv4"}


@pytest.fixture(scope="module", params=SHAPES)
def five(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Five nodes in a shape. Tests share them, and use keys of their own."""
    family = FAMILIES[request.param]
    if family == "ipv6" and not has_ipv6():
        family = "ipv4"  # test_ipv6 says so
    with Cluster(tmp_path_factory.mktemp(request.param)) as cluster:
        yield cluster.build(SHAPES[request.param], family=family, maximum_capacity=1000)


def test_a_set_of_any_node_reaches_all(five: Cluster) -> None:
    for i, node in enumerate(five.nodes):
        node.set(f"set{i}", [i, {"a": "b"}, None, 1.5])
    for i in range(5):
        five.wait_all_have(f"set{i}", [i, {"a": "b"}, None, 1.5])


def test_the_newest_of_two_sets_wins_everywhere(five: Cluster) -> None:
    five.nodes[4].set("newest", 1)
    five.wait_all_have("newest", 1)
    five.nodes[2].set("newest", 2)
    five.wait_all_have("newest", 2)


def test_an_invalidation_of_any_node_reaches_all(five: Cluster) -> None:
    for i, node in enumerate(five.nodes):
        five.nodes[0].set(f"invalid{i}", "old")
        five.wait_all_have(f"invalid{i}", "old")
        assert node.invalidate(f"invalid{i}") is True
        five.wait_all_lack(f"invalid{i}")


def test_many_invalidations_reach_all(five: Cluster) -> None:
    keys = [f"many{i}" for i in range(200)]
    for key in keys:
        five.nodes[1].set(key, "old")
    five.wait_all_have(keys[-1], "old")
    assert five.nodes[3].invalidate_many(keys) == 200
    five.nodes[3].set("many-done", True)
    five.wait_all_have("many-done", True)
    assert not any(set(keys) & set(node.held()) for node in five.nodes)


def test_an_invalidation_of_what_is_absent_here_reaches_those_who_have_it(five: Cluster) -> None:
    """And a load that was running there when it came leaves nothing behind."""
    five.nodes[0].begin_load("fenced", "stale")
    five.nodes[4].invalidate("fenced")
    five.nodes[4].set("fenced-told", True)
    five.wait_all_have("fenced-told", True)
    assert five.nodes[0].end_load("fenced") == "stale"
    five.nodes[0].set("fenced-done", True)
    five.wait_all_have("fenced-done", True)
    assert all(node.lacks("fenced") for node in five.nodes)


def test_a_load_of_one_node_reaches_all(five: Cluster) -> None:
    five.nodes[2].begin_load("loaded", "from the source")
    assert five.nodes[2].end_load("loaded") == "from the source"
    five.wait_all_have("loaded", "from the source")


def test_touch_gives_every_node_the_new_life(five: Cluster) -> None:
    five.nodes[0].set("touched", 1, expiration_time=1000)
    five.wait_all_have("touched", 1)
    assert five.nodes[4].touch("touched", expiration_time=9000) is True
    until(lambda: all(node.expires_in("touched") > 8000 for node in five.nodes), "the longer life is everywhere")


def test_a_life_ends_everywhere(five: Cluster) -> None:
    five.nodes[3].set("short", 1, expiration_time=1)
    five.wait_all_lack("short")


def test_flush_says_that_all_peers_have_it(five: Cluster) -> None:
    five.nodes[1].write_many("flushed", 300, "x")
    assert five.nodes[1].flush(timeout=10) is True
    hub = five.nodes[0]  # node 1 dials it in every shape
    assert hub.has("flushed299", "x")


def test_clear_reaches_all(five: Cluster) -> None:
    five.nodes[0].set("cleared", 1)
    five.wait_all_have("cleared", 1)
    five.nodes[4].clear()
    five.nodes[4].set("clear-done", 1)
    five.wait_all_have("clear-done", 1)
    assert all(node.lacks("cleared") for node in five.nodes)


def test_names_its_peers(five: Cluster) -> None:
    known = {node.node() for node in five.nodes}
    for node in five.nodes:
        for peer in node.connected():
            assert peer["node"] in known - {node.node()}
            assert peer["rtt"] >= 0


def test_ipv6_is_there_or_its_absence_is_said(cluster: Cluster) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no ::1: nothing was tested over IPv6")
    cluster.build([(1, 0)], family="ipv6")
    cluster.nodes[1].set("key", "over IPv6")
    cluster.wait_all_have("key", "over IPv6")


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_port_0_takes_a_free_one_and_says_which(cluster: Cluster, host: str) -> None:
    server = cluster.add(local_address=[host, 0]).start().wait_started()
    port = server.address()[1]
    assert port > 0
    client = cluster.add(remote_address=[f"127.0.0.1:{port}"]).start().wait_started()
    client.set("key", "value")
    until(lambda: server.has("key", "value"), "the server has it")


def test_a_client_takes_its_address_as_printed_in_the_seed(cluster: Cluster) -> None:
    """('host', 'port'), both strings."""
    server = cluster.add(local_address=["", "0"]).start().wait_started()
    client = cluster.add(remote_address=[["127.0.0.1", str(server.address()[1])]]).start().wait_started()
    server.set("key", "value")
    until(lambda: client.has("key", "value"), "the client has it")


def test_a_node_that_comes_late_gets_what_is_there(cluster: Cluster) -> None:
    cluster.build([(1, 0)])
    cluster.nodes[1].write_many("old", 500, "value")
    late = cluster.add(remote_address=[cluster.proxy(2, 0).address]).start().wait_started()
    until(lambda: len(late.held()) == 500, "the late one has all")


def test_loads_stay_here_if_that_is_wished(cluster: Cluster) -> None:
    cluster.build([(1, 0)], replicate_loads=False)
    cluster.nodes[1].begin_load("loaded", 1)
    cluster.nodes[1].end_load("loaded")
    cluster.nodes[1].set("told", 1)
    cluster.wait_all_have("told", 1)
    assert cluster.nodes[0].lacks("loaded")
    assert cluster.nodes[1].has("loaded", 1)


def test_a_link_to_oneself_is_recognised(cluster: Cluster) -> None:
    address = cluster.reserve()
    node = cluster.add(local_address=address, remote_address=[address]).start().wait_started()
    until(lambda: [peer["state"] for peer in node.peers()] == ["this is myself"], "it looks for nobody any more")
    node.set("key", 1)
    assert node.has("key", 1)


def test_two_links_to_the_same_node_become_one(cluster: Cluster) -> None:
    """Each dials the other, as a deployment does that gives all nodes the same list."""
    first, second = cluster.add(), cluster.add()
    first.options["local_address"], second.options["local_address"] = cluster.reserve(), cluster.reserve()
    first.options["remote_address"] = [second.options["local_address"]]
    second.options["remote_address"] = [first.options["local_address"]]
    cluster.start()
    until(lambda: len(first.connected()) == len(second.connected()) == 1, "one link")
    first.set("a", 1)
    second.set("b", 2)
    cluster.wait_all_have("a", 1)
    cluster.wait_all_have("b", 2)


def test_what_a_key_reads_never_goes_back_in_time(cluster: Cluster) -> None:
    """News comes on two ways, and what comes on the longer one is old when it comes."""
    cluster.build(SHAPES["ring"])
    cluster.proxies[4, 3].delay(0.05)
    reader = cluster.nodes[3]
    reader.begin_watch("k0")
    cluster.nodes[0].write_many("k", 5000, None, 1)
    cluster.wait_all_have("k0", 4999)
    seen = reader.end_watch()
    assert seen == sorted(seen)
    assert len(seen) > 1
