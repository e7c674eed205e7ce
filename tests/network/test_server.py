"""The server's side: strangers are bounded in number, bytes and time, and whatever they send, the node serves on."""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from lru_cache.network import server
from lru_cache.replication import Goodbye, Ping, Seen, messages
from tests.concurrency import PATIENCE, eventually, link
from tests.network.conftest import Meet
from tests.network.strangers import Stranger, goodbye_of, packed

Cache = LRUCacheDistributed[Any, Any]
Nodes = Callable[..., Cache]


@pytest.fixture
def node(nodes: Nodes) -> Cache:
    return nodes(local_address=("127.0.0.1", 0))


def serves_on(nodes: Nodes, node: Cache) -> bool:
    link(nodes(remote_address=node.local_address))
    return True


def server_of(node: Cache) -> server.Server:
    (found,) = node._transports
    assert isinstance(found, server.Server)
    return found


def strangers_of(node: Cache) -> int:
    return len(server_of(node)._strangers)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: cache\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        bytes(4),
        b"\xff" * 4,
        struct.pack(">I", 4_097) + bytes(4_097),
        struct.pack(">I", 5) + b"\xc1\xc1\xc1\xc1\xc1",
        struct.pack(">I", 4_096) + b"\x91" * 4_096,
        struct.pack(">I", 5) + b"\xdd\xff\xff\xff\xff",
        struct.pack(">I", 1) + b"\x90",
        struct.pack(">I", 2) + b"\x91\x05",
    ],
    ids=["HTTP", "TLS", "empty frame", "4 GB", "too long", "no msgpack", "nested", "claims", "empty list", "ping"],
)
def test_nonsense_ends_the_connection_and_nothing_else(nodes: Nodes, node: Cache, meet: Meet, said: bytes) -> None:
    stranger = meet(node)
    stranger.socket.sendall(said)
    assert stranger.hear_out() == []
    assert serves_on(nodes, node)


def test_random_bytes_from_many_are_survived(nodes: Nodes, node: Cache, meet: Meet) -> None:
    for i in range(100):
        with contextlib.suppress(OSError):
            meet(node).socket.sendall(os.urandom(i * 37 + 1))
    assert serves_on(nodes, node)


def test_who_says_nothing_is_told_nothing(node: Cache, meet: Meet) -> None:
    stranger = meet(node)
    eventually(lambda: strangers_of(node) == 1)
    stranger.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        stranger.socket.recv(1)


def test_a_stranger_costs_no_thread(node: Cache, meet: Meet) -> None:
    import threading

    before = threading.active_count()
    for _ in range(20):
        meet(node)
    eventually(lambda: strangers_of(node) == 20)
    assert threading.active_count() == before


def test_who_does_not_greet_in_time_is_sent_away(nodes: Nodes, meet: Meet, caplog: pytest.LogCaptureFixture) -> None:
    node = nodes(local_address=("127.0.0.1", 0), connection_timeout=50)
    stranger = meet(node)
    stranger.socket.sendall(b"\0")
    assert stranger.hear_out() == []
    assert "it did not greet in time" in caplog.text


def test_a_trickle_is_no_way_to_stay(nodes: Nodes, meet: Meet) -> None:
    """A byte now and then does not put off the end."""
    node = nodes(local_address=("127.0.0.1", 0), connection_timeout=100)
    stranger = meet(node)

    def sent_away() -> bool:
        try:
            stranger.socket.send(b"\0\0\x0f\xff"[:1])
        except OSError:
            return True
        return False

    eventually(sent_away)


def test_a_newcomer_takes_the_place_of_the_oldest_stranger(nodes: Nodes, node: Cache, meet: Meet) -> None:
    met = [meet(node) for _ in range(server.MOST_STRANGERS + 10)]
    for early in met[:10]:
        assert early.hear_out() == []
    eventually(lambda: strangers_of(node) == server.MOST_STRANGERS)
    assert serves_on(nodes, node)


def test_a_neighbour_is_no_stranger_and_stays_however_many_come(nodes: Nodes, node: Cache, meet: Meet) -> None:
    neighbour = nodes(remote_address=node.local_address)
    link(neighbour, node)
    before = neighbour._exchange._links
    for _ in range(server.MOST_STRANGERS * 2):
        meet(node)
    eventually(lambda: strangers_of(node) == server.MOST_STRANGERS)
    assert neighbour._exchange._links == before


def test_log_lines_that_strangers_cause_are_few(node: Cache, meet: Meet, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(50):
        stranger = meet(node)
        stranger.socket.sendall(bytes(4))
        stranger.hear_out()
    assert len(caplog.messages) < 10


def test_a_stranger_writes_no_lines_of_its_own(node: Cache, meet: Meet, caplog: pytest.LogCaptureFixture) -> None:
    stranger = meet(node)
    stranger.send(Goodbye("bye\nCRITICAL all is lost\x1b[2J"))
    stranger.hear_out()
    assert all(line.isprintable() for line in caplog.messages)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([0, 99], "different versions of the protocol: 2 here, 99 there"),
        ([0, 2, "other", b"12345678", "", "client", 1, 1, 1, 1, False, bytes(32)], "different clusters"),
        ([0, 2, "default", b"12345678", "", "client", 1, 1, 1, 1, True, bytes(32)], "only one side has a secret"),
    ],
)
def test_who_is_refused_is_told_why(node: Cache, meet: Meet, fields: list[Any], reason: str) -> None:
    stranger = meet(node)
    stranger.say(packed(*fields))
    assert reason in goodbye_of(stranger.hear_out())


def test_who_is_refused_for_its_clock_is_told_why(node: Cache, meet: Meet) -> None:
    stranger = meet(node)
    present = int((node._clock.time() - 100) * 1000) << 16
    stranger.say(packed(0, 2, "default", b"12345678", "", "client", 1, present, 1, 1, False, bytes(32)))
    stranger.hear()
    stranger.say(packed(1, b"", present))
    assert "behind ours, where 0.5 s are allowed" in goodbye_of(stranger.hear_out())


# -- after the handshake -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\xc1", "not msgpack"),
        (b"\x90", "an array that begins with its type"),
        (packed(2), "events are ten fields"),
        (messages.encode(Seen(True, {})), "a second greeting"),
        (messages.encode(Seen(False, {b"12345678": (1 << 63) - 1})), "ahead of our clock"),
    ],
)
def test_a_neighbour_that_breaks_the_protocol_is_told_and_left(
    nodes: Nodes, node: Cache, meet: Meet, said: bytes, reason: str
) -> None:
    stranger = meet(node)
    stranger.greet(node)
    stranger.say(said)
    assert reason in goodbye_of(stranger.hear_out())
    eventually(lambda: node.stats().links == 0)
    assert serves_on(nodes, node)


def test_a_frame_that_is_longer_than_was_agreed_is_refused_by_its_length(nodes: Nodes, meet: Meet, node: Cache) -> None:
    stranger = meet(node)
    stranger.greet(node)
    stranger.socket.sendall(struct.pack(">I", 0x7FFF_FFFF))
    assert "a frame of 2147483647 bytes" in goodbye_of(stranger.hear_out())


def test_messages_and_fields_of_the_future_are_passed_over(node: Cache, meet: Meet) -> None:
    stranger = meet(node)
    stranger.greet(node)
    stranger.say(packed(200, "something new"))
    stranger.say(packed(5, 77, "a new field"))
    assert answer_to_ping(stranger) == 77


def test_a_ping_is_answered_with_its_number(node: Cache, meet: Meet) -> None:
    stranger = meet(node)
    stranger.greet(node)
    stranger.send(Ping(12_345))
    assert answer_to_ping(stranger) == 12_345


def answer_to_ping(stranger: Stranger) -> int:
    for _ in range(100):
        message = messages.decode(stranger.hear() or b"")
        if isinstance(message, messages.Pong):
            return message.number
    raise AssertionError("no pong")


def test_a_neighbour_without_the_secret_s_seal_is_left(nodes: Nodes, meet: Meet) -> None:
    node = nodes(local_address=("127.0.0.1", 0), secret="a secret of more than sixteen bytes")
    stranger = meet(node)
    stranger.greet(node, b"a secret of more than sixteen bytes")
    eventually(lambda: node.stats().links == 1)
    stranger._sealing = None
    stranger.send(Ping(1))
    assert "seal does not match" in goodbye_of([messages_of(body) for body in rest_of(stranger)])


def test_a_frame_replayed_within_a_link_ends_it(nodes: Nodes, meet: Meet) -> None:
    node = nodes(local_address=("127.0.0.1", 0), secret="a secret of more than sixteen bytes")
    stranger = meet(node)
    stranger.greet(node, b"a secret of more than sixteen bytes")
    assert stranger._sealing is not None
    sealed = stranger._sealing.close(messages.encode(Ping(1)))
    stranger._sealing = None
    stranger.say(sealed)
    stranger.say(sealed)
    assert "seal does not match" in goodbye_of([messages_of(body) for body in rest_of(stranger)])


def rest_of(stranger: Stranger) -> Iterator[bytes]:
    while (body := stranger.hear()) is not None:
        yield body


def messages_of(body: bytes) -> Any:
    from msgpack import unpackb

    return unpackb(body, strict_map_key=False)


def test_a_node_that_runs_out_of_descriptors_goes_on_when_there_are_some(
    nodes: Nodes, node: Cache, meet: Meet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Exhausted:
        """A listener whose machine has nothing left."""

        def accept(self) -> Any:
            raise OSError(24, "Too many open files")

    server_of(node)._accept(Exhausted())  # type: ignore[arg-type]
    assert "cannot accept connections at 127.0.0.1" in caplog.text
    assert server_of(node)._accepts_at > 0
    assert serves_on(nodes, node)


def test_a_silent_neighbour_is_noticed(nodes: Nodes, meet: Meet, caplog: pytest.LogCaptureFixture) -> None:
    node = nodes(local_address=("127.0.0.1", 0), connection_timeout=1_000)
    meet(node).greet(node)
    eventually(lambda: "nothing came from it for 0.9 s" in caplog.text)
    assert node.stats().links == 0


@pytest.mark.parametrize("secret", [None, "a secret of the cluster"])
@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (b"", "nothing came from it for 0.9 s"),
        (packed(int(messages.Type.PING), 1), "it broke the protocol: a frame of 1000000 bytes holds a message of"),
    ],
    ids=["it trickles", "it swallows messages"],
)
def test_a_frame_that_claims_more_than_comes_does_not_keep_a_deaf_link(
    nodes: Nodes,
    meet: Meet,
    caplog: pytest.LogCaptureFixture,
    secret: str | None,
    piece: bytes,
    reason: str,
) -> None:
    """A bit of its length was changed on its way. All that comes behind it seems to be its body."""
    node = nodes(local_address=("127.0.0.1", 0), connection_timeout=1_000, secret=secret)
    stranger = meet(node)
    stranger.greet(node, *([] if secret is None else [secret.encode()]), signed=secret is not None)
    eventually(lambda: node.stats().links == 1)
    stranger.socket.sendall(struct.pack(">I", 1_000_000) + piece)
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if node.stats().links == 0:
            break
        try:
            stranger.socket.sendall(piece or b"\x93")  # arrays within each other, without an end
        except OSError:
            break
        pause.wait(0.01)
    else:
        pytest.fail("the link is still there")
    eventually(lambda: reason in caplog.text)


def test_a_flood_of_pings_is_answered_with_one_pong_at_a_time(node: Cache, meet: Meet) -> None:
    stranger = meet(node)
    stranger.greet(node)
    ping = messages.encode(Ping(7))
    stranger.socket.sendall((struct.pack(">I", len(ping)) + ping) * 10_000)
    assert answer_to_ping(stranger) == 7
    (there,) = node._exchange._links
    assert there._connection.unsent < 1_000


def test_closing_lets_strangers_go(node: Cache, meet: Meet) -> None:
    stranger = meet(node)
    eventually(lambda: strangers_of(node) == 1)
    node.close()
    assert stranger.hear_out() == []


def test_a_connection_that_is_gone_before_it_is_accepted_is_no_trouble(nodes: Nodes, node: Cache) -> None:
    for _ in range(50):
        gone = socket.create_connection(node.local_address)  # type: ignore[arg-type]
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
    assert serves_on(nodes, node)
