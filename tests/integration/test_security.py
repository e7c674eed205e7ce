"""Who has the secret gets in, and nobody else; both logs say why; and what was overheard is of no use."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
import pytest

from tests.integration.addresses import connect
from tests.integration.cluster import Cluster, Node, until
from tests.integration.namespaces import NEAR, Cable, why_not
from tests.integration.proxy import Direction, Proxy
from tests.integration.stranger import GOODBYE, HELLO, PING, Stranger, events, frame

OLD, NEW, OTHER = "the old secret of this test", "the new secret of this test", "what somebody else made up"
KEY, VALUE = msgpack.packb("key"), msgpack.packb("value")


def pair(cluster: Cluster, server: dict[str, Any], client: dict[str, Any]) -> tuple[Node, Node]:
    """A server and a client with these options, that may or may not come together."""
    first = cluster.add(local_address=cluster.reserve(), **server).start().wait_started()
    proxy = cluster.proxy(1, 0)
    second = cluster.add(remote_address=[proxy.address], **client).start().wait_started()
    return first, second


def require_linked(first: Node, second: Node) -> None:
    until(lambda: first.connected() and second.connected(), "they are linked")
    first.set("first", 1)
    second.set("second", 2)
    until(lambda: first.has("second", 2) and second.has("first", 1), "writes go both ways")


def require_refused(first: Node, second: Node, reason: str) -> None:
    """Both logs say why, nothing is told, and both are good local caches."""
    for node in (first, second):
        until(lambda n=node: reason in n.log, f"the log of {node.name} says {reason!r}")
        assert node.connected() == []
    first.set("key", 1)
    second.set("key", 2)
    assert first.has("key", 1)
    assert second.has("key", 2)


# -- the secret ------------------------------------------------------------------------------------------------------


def test_the_same_secret_links(cluster: Cluster) -> None:
    require_linked(*pair(cluster, {"secret": OLD}, {"secret": OLD}))


def test_a_wrong_secret_is_refused(cluster: Cluster) -> None:
    require_refused(*pair(cluster, {"secret": OLD}, {"secret": OTHER}), "secret is not ours")


@pytest.mark.parametrize(("server", "client"), [({"secret": OLD}, {}), ({}, {"secret": OLD})])
def test_a_missing_secret_is_refused(cluster: Cluster, server: dict[str, Any], client: dict[str, Any]) -> None:
    require_refused(*pair(cluster, server, client), "only one side has a secret")


@pytest.mark.parametrize(
    ("server", "client"),
    [(OLD, [OLD, NEW]), ([OLD, NEW], OLD), ([OLD, NEW], [NEW, OLD]), ([NEW, OLD], NEW), (NEW, [NEW, OLD])],
)
def test_a_secret_can_be_changed_step_by_step(cluster: Cluster, server: Any, client: Any) -> None:
    """All learn the new one, then all use it, then all forget the old one: each step lets the ones before it in."""
    require_linked(*pair(cluster, {"secret": server}, {"secret": client}))


def test_a_secret_that_only_one_side_uses_already_is_refused(cluster: Cluster) -> None:
    require_refused(*pair(cluster, {"secret": OLD}, {"secret": [NEW, OLD]}), "secret is not ours")


def test_the_secret_may_come_from_the_environment(cluster: Cluster) -> None:
    first = cluster.add(local_address=cluster.reserve()).start(LRU_CACHE_SECRET=OLD).wait_started()
    second = cluster.add(remote_address=[first.options["local_address"]], secret=OLD).start().wait_started()
    require_linked(first, second)


def test_an_environment_without_the_secret_is_refused(cluster: Cluster) -> None:
    first = cluster.add(local_address=cluster.reserve()).start(LRU_CACHE_SECRET=OLD).wait_started()
    second = cluster.add(remote_address=[first.options["local_address"]]).start().wait_started()
    require_refused(first, second, "only one side has a secret")


def test_a_short_secret_warns(cluster: Cluster) -> None:
    node = cluster.add(local_address=cluster.reserve(), secret="short").start().wait_started()
    assert "WARNING" in node.log
    assert "short" not in node.log


def test_the_secret_is_never_sent(cluster: Cluster) -> None:
    require_linked(*pair(cluster, {"secret": OLD}, {"secret": OLD}))
    said = b"".join(bytes(each) for recorded in cluster.proxies[1, 0].recordings for each in recorded.values())
    assert b"default" in said  # the hellos are in it
    assert OLD.encode() not in said


def test_other_clusters_are_refused(cluster: Cluster) -> None:
    require_refused(*pair(cluster, {"cluster": "red"}, {"cluster": "blue"}), "different clusters")


def test_a_server_with_a_secret_can_be_joined_by_who_only_knows_the_document(cluster: Cluster) -> None:
    node = cluster.add(local_address=cluster.reserve(), secret=OLD).start().wait_started()
    with Stranger(node.options["local_address"], secret=OLD.encode()) as stranger:
        stranger.greet()
        stranger.say(events((0, KEY, VALUE), node=stranger.node))
        until(lambda: node.has("key", "value"), "it is believed")


# -- what was overheard ----------------------------------------------------------------------------------------------


@pytest.fixture
def overheard(cluster: Cluster) -> Iterator[tuple[Cluster, bytes, bytes]]:
    """Two linked nodes, and what each of them has said."""
    first, second = pair(cluster, {"secret": OLD}, {"secret": OLD})
    require_linked(first, second)
    recorded = cluster.proxies[1, 0].recordings[-1]
    yield cluster, bytes(recorded[Direction.OUT]), bytes(recorded[Direction.BACK])
    require_linked(first, second)


def test_a_handshake_that_is_played_again_to_the_server_is_refused(overheard: tuple[Cluster, bytes, bytes]) -> None:
    cluster, out, _ = overheard
    server = cluster.nodes[0]
    before = server.stats()["news_applied"], len(server.connected())
    with Stranger(server.options["local_address"]) as stranger:
        stranger.send(out)
        assert stranger.hear()[0] == HELLO
        said = stranger.hear()
        assert said[0] == GOODBYE
        assert "secret" in said[1]
        assert stranger.is_closed()
    assert (server.stats()["news_applied"], len(server.connected())) == before


def answer_once(say: bytes) -> tuple[socket.socket, threading.Thread]:
    """A server that says this to who connects, and reads until that has enough. With say=b"", it is an echo."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(10)
                accepted.sendall(say)
                while heard := accepted.recv(65_536):
                    if not say:
                        accepted.sendall(heard)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listener, thread


def test_a_handshake_that_is_played_again_to_a_client_is_refused(overheard: tuple[Cluster, bytes, bytes]) -> None:
    cluster, _, back = overheard
    listener, thread = answer_once(back)
    with listener:
        client = cluster.add(remote_address=[listener.getsockname()], secret=OLD).start().wait_started()
        until(lambda: "secret is not ours" in client.log, "the log says that it was refused")
        assert client.connected() == []
        assert client.held() == {}
    thread.join(10)


def test_a_hello_that_is_sent_back_is_refused(cluster: Cluster) -> None:
    listener, thread = answer_once(b"")
    with listener:
        client = cluster.add(remote_address=[listener.getsockname()], secret=OLD).start().wait_started()
        until(lambda: "sent back" in client.log, "the log says that it was refused")
        assert client.connected() == []
    thread.join(10)


def test_a_node_that_is_connected_to_itself_by_somebody_else_makes_no_link(cluster: Cluster) -> None:
    """It proves to itself that it has the secret; that is a link to itself all the same."""
    address = cluster.reserve()
    with Proxy(address) as proxy:
        node = cluster.add(local_address=address, remote_address=[proxy.address], secret=OLD).start().wait_started()
        until(lambda: [peer["state"] for peer in node.peers()] == ["this is myself"], "it has recognised itself")
        node.set("key", 1)
        assert node.has("key", 1)


# -- frames under a secret -------------------------------------------------------------------------------------------


@dataclass
class Member:
    """A node with a secret, and a stranger that has it too."""

    node: Node
    stranger: Stranger


@pytest.fixture
def member(cluster: Cluster) -> Iterator[Member]:
    node = cluster.add(local_address=cluster.reserve(), secret=OLD).start().wait_started()
    with Stranger(node.options["local_address"], secret=OLD.encode()) as stranger:
        stranger.greet()
        yield Member(node, stranger)
    assert node.lacks("key")
    node.set("key", 1)
    assert node.has("key", 1)


def test_a_seal_that_does_not_match_ends_the_link(member: Member) -> None:
    body = msgpack.packb(events((0, KEY, VALUE), node=member.stranger.node))
    member.stranger.send(frame(body + b"x" * 16))
    assert "seal" in member.stranger.last_words()


def test_a_frame_without_a_seal_ends_the_link(member: Member) -> None:
    member.stranger.send(frame(msgpack.packb(events((0, KEY, VALUE), node=member.stranger.node))))
    assert "seal" in member.stranger.last_words()


def test_a_frame_of_nothing_but_a_seal_ends_the_link(member: Member) -> None:
    member.stranger.send(frame(member.stranger.seal("dialler", 2, b"")))
    assert member.stranger.last_words()


def test_a_frame_that_is_sent_twice_ends_the_link(member: Member) -> None:
    sent = member.stranger.say([PING, 1])
    member.stranger.send(sent)
    assert "seal" in member.stranger.last_words()


def test_frames_in_another_order_end_the_link(member: Member) -> None:
    body = msgpack.packb(events((0, KEY, VALUE), node=member.stranger.node))
    member.stranger.send(frame(body + member.stranger.seal("dialler", 3, body)))  # 2 should be next
    assert "seal" in member.stranger.last_words()


def test_a_frame_that_the_node_sealed_itself_ends_the_link(member: Member) -> None:
    """Each direction has a key of its own."""
    body = msgpack.packb(events((0, KEY, VALUE), node=member.stranger.node))
    member.stranger.send(frame(body + member.stranger.seal("acceptor", 2, body)))
    assert "seal" in member.stranger.last_words()


def test_who_cannot_prove_learns_nothing_that_was_made_with_the_secret(cluster: Cluster) -> None:
    """Who connects gets a hello, and before its proof no more: nothing that secrets could be tried on at home."""
    node = cluster.add(local_address=cluster.reserve(), secret=OLD).start().wait_started()
    with connect(node.options["local_address"]) as connection:
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    with (
        Stranger(node.options["local_address"], secret=OTHER.encode()) as stranger,
        pytest.raises(AssertionError, match="secret is not ours"),
    ):
        stranger.greet()


# -- other machines --------------------------------------------------------------------------------------------------


@dataclass
class Outside:
    """Two places of which one is outside, as seen from the other: an address for the server, and how to run both."""

    host: str
    server: tuple[str, ...]
    client: tuple[str, ...]


def own_address() -> str:
    """An address of this machine that is not loopback. Connecting a UDP socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return ""


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    if not why_not():
        with Cable() as cable:
            yield Outside(NEAR, cable.near, cable.far)
    elif own_address():
        yield Outside(own_address(), (), ())
    else:
        pytest.skip(f"{why_not()}, and it has no address beside loopback: peers outside were not tested")


def over(cluster: Cluster, outside: Outside, server: dict[str, Any], client: dict[str, Any]) -> tuple[Node, Node]:
    first = cluster.add(prefix=outside.server, local_address=["", 0], **server).start().wait_started()
    second = cluster.add(prefix=outside.client, remote_address=[[outside.host, first.address()[1]]], **client)
    return first, second.start().wait_started()


def test_without_a_secret_other_machines_are_not_dialled(cluster: Cluster, outside: Outside) -> None:
    first, second = over(cluster, outside, {}, {})
    until(lambda: "secret=" in second.log and "insecure=True" in second.log, "the log says how to fix it")
    assert [peer["state"] for peer in second.peers()] == ["refused"]
    second.set("key", 1)
    assert second.has("key", 1)
    assert first.lacks("key")


def test_without_a_secret_other_machines_are_not_let_in(cluster: Cluster, outside: Outside) -> None:
    first, second = over(cluster, outside, {}, {"insecure": True})
    until(lambda: "secret=" in first.log and "insecure=True" in first.log, "the log says how to fix it")
    until(lambda: "secret=" in second.log, "the refused one's log says why")
    assert first.connected() == second.connected() == []


@pytest.mark.parametrize("options", [{"insecure": True}, {"secret": OLD}])
def test_who_allows_it_is_linked_with_other_machines(
    cluster: Cluster, outside: Outside, options: dict[str, Any]
) -> None:
    require_linked(*over(cluster, outside, options, options))


def test_insecure_does_not_let_in_who_has_no_secret(cluster: Cluster, outside: Outside) -> None:
    first, second = over(cluster, outside, {"secret": OLD, "insecure": True}, {"insecure": True})
    require_refused(first, second, "only one side has a secret")
