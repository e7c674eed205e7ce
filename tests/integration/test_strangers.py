"""Whatever strangers send, a node serves on, within its memory, and does not fill the log."""

import contextlib
import json
import os
import random
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import pytest

from tests.integration.addresses import Address, connect
from tests.integration.cluster import CONNECTION_TIMEOUT_MS, Cluster, Node, until
from tests.integration.nursery import ROOT
from tests.integration.stranger import (
    EVENTS,
    FLOORS,
    GOODBYE,
    HELLO,
    PING,
    PONG,
    PROOF,
    SEEN,
    Stranger,
    events,
    frame,
    hello,
    now_as_time,
    reset,
)

KEY, VALUE = msgpack.packb("key"), msgpack.packb("value")
LINES_A_SECOND = 6  # of all kinds that strangers can cause together
MEMORY_BYTES = 20_000_000
TIMEOUT_MS = 20_000  # so that what ends sooner did not end for silence
SOON = 5.0  # seconds
MOST_LINKS = 200


def greets(address: Address) -> bool:
    """Whether a link comes about now. Behind thousands that wait, a newcomer may be taken for the oldest of them."""
    with Stranger(address) as late:
        try:
            late.greet()
        except (AssertionError, ConnectionError):
            return False
        return True


class Served:
    """A server and a client of it, that must not notice what strangers do."""

    def __init__(self, cluster: Cluster) -> None:
        cluster.build([(1, 0)], maximum_capacity=1000, connection_timeout=TIMEOUT_MS)
        self.server: Node = cluster.nodes[0]
        self.client: Node = cluster.nodes[1]
        self.address = self.server.options["local_address"]
        self._cluster = cluster
        self._count = 0
        self._linked = cluster.proxies[1, 0].accepted
        self._began = time.monotonic()
        self._lines = self._warnings()
        self._memory = self.server.memory_bytes()
        self._files = self.server.open_files()
        self._threads = len(self.server.threads())

    def _warnings(self) -> int:
        return sum(" INFO " not in line for line in self.server.log.splitlines())

    def check(self) -> None:
        """It serves on, nothing was left behind, and nothing was said too often."""
        self._count += 1
        for node in (self.server, self.client):
            node.set("served", self._count)
            self._cluster.wait_all_have("served", self._count)
        until(lambda: greets(self.address), "who greets gets in")
        assert self._cluster.proxies[1, 0].accepted == self._linked, "the client lost its link"
        until(lambda: self.server.open_files() <= self._files + 1, "all connections are closed")
        until(lambda: len(self.server.threads()) <= self._threads, "no thread is left")
        assert self.server.memory_bytes() - self._memory < MEMORY_BYTES
        lines = self._warnings() - self._lines
        assert lines <= LINES_A_SECOND * (time.monotonic() - self._began + 2), self.server.log[-3000:]
        assert "Traceback" not in self.server.log
        assert "mistake" not in self.server.log


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Cluster(tmp_path_factory.mktemp("served")) as cluster:
        yield Served(cluster)


@pytest.fixture
def served(shared: Served) -> Iterator[Served]:
    """The tests share two nodes. After each of them they must be as before."""
    yield shared
    shared.check()


@pytest.fixture
def stranger(served: Served) -> Iterator[Stranger]:
    with Stranger(served.address) as made:
        yield made


# -- before the handshake is over --------------------------------------------------------------------------------------


def test_random_bytes(served: Served) -> None:
    chance = random.Random(4)
    for _ in range(300):
        with connect(served.address) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(chance.randbytes(chance.choice([1, 3, 4, 5, 100, 5000])))


def test_frames_of_random_bytes(served: Served) -> None:
    chance = random.Random(5)
    for _ in range(300):
        with connect(served.address) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(frame(chance.randbytes(chance.randrange(1, 300))))


def test_a_hello_with_one_byte_changed(served: Served) -> None:
    chance = random.Random(6)
    for _ in range(300):
        spoilt = bytearray(frame(msgpack.packb(hello())))
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        with connect(served.address) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(spoilt)


def test_a_hello_cut_anywhere(served: Served) -> None:
    whole = frame(msgpack.packb(hello()))
    for length in range(len(whole)):
        with connect(served.address) as connection:
            connection.sendall(whole[:length])


@pytest.mark.parametrize("length", [0, 4097, 1 << 20, 0xFFFF_FFFF])
def test_a_frame_that_claims_too_much_or_nothing(stranger: Stranger, length: int) -> None:
    """It ends with its four bytes, whatever follows or does not."""
    stranger.send(struct.pack(">I", length))
    assert stranger.is_closed(patience=SOON)


@pytest.mark.parametrize(
    "message",
    [
        [PROOF, b"x" * 32],
        [EVENTS, [b"x" * 8], b"", b"", b"", [], [], [], [], []],
        [SEEN, True, []],
        [FLOORS, b"x" * 8, 1, 1, [], []],
        [PING, 1],
        [PONG, 1],
        [99, "new"],
        ["hello"],
        {},
        [],
        7,
        [[[[]]]],
    ],
)
def test_a_message_before_the_hello(stranger: Stranger, message: object) -> None:
    stranger.send(frame(msgpack.packb(message)))
    assert stranger.is_closed(patience=SOON)


def test_a_goodbye_before_the_hello(stranger: Stranger) -> None:
    stranger.send(frame(msgpack.packb([GOODBYE, "x" * 4000])))
    assert stranger.is_closed(patience=SOON)


def test_events_in_the_place_of_the_proof(served: Served, stranger: Stranger) -> None:
    stranger.send(frame(msgpack.packb(hello(node=stranger.node))))
    assert stranger.hear()[0] == 0
    stranger.say(events((0, KEY, VALUE), node=stranger.node))
    assert stranger.is_closed(patience=SOON)
    assert served.server.lacks("key")


def test_two_hellos(stranger: Stranger) -> None:
    stranger.send(2 * frame(msgpack.packb(hello(node=stranger.node))))
    assert stranger.is_closed(patience=SOON)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"version": 1}, "version"),
        ({"version": "one"}, "version"),
        ({"cluster": "another"}, "cluster"),
        ({"signed": True}, "secret"),
    ],
)
def test_refusals_say_why(stranger: Stranger, changed: dict[str, object], reason: str) -> None:
    stranger.send(frame(msgpack.packb(hello(node=stranger.node, **changed))))
    said = stranger.hear()
    assert said[0] == GOODBYE
    assert reason in said[1]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_off_is_refused_and_told_by_how_much(stranger: Stranger, hours: int) -> None:
    stranger.send(frame(msgpack.packb(hello(node=stranger.node))))
    assert stranger.hear()[0] == HELLO
    stranger.say([PROOF, b"", now_as_time() + (hours * 3_600_000 << 16)])
    said = stranger.last_words()
    assert "clock" in said
    assert re.search(r"3(600|599)\.\d+ s", said)


def test_a_hello_that_had_to_wait_is_no_clock_that_is_behind(cluster: Cluster) -> None:
    """In the queue of a server that was stopped, or busy."""
    server = cluster.add(local_address=cluster.reserve(), connection_timeout=TIMEOUT_MS).start().wait_started()
    server.stop()
    with Stranger(server.options["local_address"]) as stranger:
        stranger.send(frame(msgpack.packb(hello(node=stranger.node))))
        time.sleep(1)  # twice the skew that is allowed
        server.resume()
        assert stranger.hear()[0] == HELLO
        stranger.say([PROOF, b"", now_as_time()])
        assert stranger.hear()[0] == PROOF


def test_links_are_bounded_in_number(cluster: Cluster) -> None:
    """Who comes too late is told so; the node serves on."""
    # None may be taken for dead, as silent as they are, while a busy machine takes its time for the others.
    node = cluster.add(local_address=cluster.reserve(), connection_timeout=3_600_000).start().wait_started()
    with contextlib.ExitStack() as links:
        for _ in range(MOST_LINKS):
            links.enter_context(Stranger(node.options["local_address"])).greet()
        with Stranger(node.options["local_address"]) as late:
            late.shake_hands()
            assert "links" in late.last_words()
        assert len(node.peers()) == MOST_LINKS
        node.write_many("key", 100, "value")
        assert node.has("key99", "value")
    until(lambda: greets(node.options["local_address"]), "there is room again")


@pytest.mark.parametrize(
    "changed",
    [
        {"node": b""},
        {"node": b"x" * 9},
        {"nonce": b"x"},
        {"capacity": -1},
        {"capacity": 0},
        {"present": -1},
        {"present": 1 << 63},
        {"present": 0.5},
        {"value_bytes": None},
        {"silence_ms": 0},
        {"region": "x" * 1000},
        {"region": b"x"},
        {"role": ["client"]},
        {"signed": 1},
    ],
)
def test_an_odd_hello(stranger: Stranger, changed: dict[str, object]) -> None:
    stranger.send(frame(msgpack.packb(hello(**changed))))
    assert stranger.is_closed(patience=SOON)


def test_a_trickle_is_cut_off_in_time(cluster: Cluster) -> None:
    """A byte now and then does not buy more time than silence."""
    server = cluster.add(local_address=cluster.reserve()).start().wait_started()
    began = time.monotonic()
    with Stranger(server.options["local_address"]) as stranger, contextlib.suppress(ConnectionError):
        for byte in frame(msgpack.packb(hello())):
            stranger.send(bytes([byte]))
            time.sleep(0.1)
    assert time.monotonic() - began < 2 * CONNECTION_TIMEOUT_MS / 1000


def test_thousands_of_connections_that_say_nothing(served: Served) -> None:
    """At most 64 are kept, the oldest go first, and a client that greets gets in among them."""
    before = served.server.open_files()
    idle = []
    try:
        for _ in range(2000):
            idle.append(connect(served.address))
            if len(idle) > 500:
                idle.pop(0).close()
        until(lambda: served.server.open_files() <= before + 66, "no more than 64 are kept")
        until(lambda: greets(served.address), "who greets gets in")
    finally:
        for each in idle:
            each.close()


def test_thousands_of_connections_that_are_reset(served: Served) -> None:
    for _ in range(1500):
        reset(connect(served.address))


# -- after it ----------------------------------------------------------------------------------------------------------


def refused_messages() -> list[object]:
    vectors = json.loads((ROOT / "tests/replication/vectors/messages.json").read_text())
    return [pytest.param(bytes.fromhex(each["hex"]), id=each["name"]) for each in vectors["refused"]]


@pytest.mark.parametrize("body", refused_messages())
def test_what_must_be_refused_ends_the_link_with_a_reason(stranger: Stranger, body: bytes) -> None:
    stranger.greet()
    stranger.send(frame(body))
    assert stranger.last_words()


@pytest.mark.parametrize(
    "message", [[0], hello(), [PROOF, b""], [99, {"from": "the future"}], [PONG, 12345], [PING, 1, "and more"]]
)
def test_what_must_be_passed_over_does_not_end_the_link(served: Served, stranger: Stranger, message: object) -> None:
    stranger.greet()
    stranger.say(message)
    stranger.say(events((0, KEY, VALUE), node=stranger.node))
    until(lambda: served.client.has("key", "value"), "the next message counts")
    served.server.invalidate("key")


def test_a_second_greeting_ends_the_link(stranger: Stranger) -> None:
    stranger.greet()
    stranger.say([SEEN, True, []])
    assert stranger.last_words()


def test_a_seen_before_the_greeting_ends_the_link(stranger: Stranger) -> None:
    stranger.shake_hands()
    stranger.say([SEEN, False, []])
    assert stranger.last_words()


def test_a_time_in_the_future_ends_the_link_and_moves_no_clock(served: Served, stranger: Stranger) -> None:
    stranger.greet()
    stranger.say(events((0, KEY, VALUE), node=stranger.node, first=now_as_time() + (60_000 << 16)))
    assert "ahead" in stranger.last_words()
    assert served.server.lacks("key")
    with Stranger(served.address) as another:
        another.greet()
        another.say(events((0, KEY, VALUE), node=another.node))
        until(lambda: served.server.has("key", "value"), "a present time is still newer than all")
    served.server.invalidate("key")


def test_a_value_that_does_not_decode_is_a_miss(served: Served, stranger: Stranger) -> None:
    stranger.greet()
    stranger.say(events((0, KEY, b"\xc1 is no msgpack"), (0, msgpack.packb("next"), VALUE), node=stranger.node))
    until(lambda: served.server.has("next", "value"), "it has come")
    assert served.server.get("key") is None
    assert served.server.lacks("key")


def test_random_messages_after_the_handshake(served: Served) -> None:
    """Each is a frame of the right form, with a byte of it changed."""
    chance = random.Random(7)
    for _ in range(150):
        with Stranger(served.address) as stranger, contextlib.suppress(ConnectionError):
            stranger.greet()
            body = bytearray(msgpack.packb(events((0, KEY, VALUE), (1, KEY, None), node=stranger.node)))
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            stranger.send(frame(bytes(body)))
    served.server.clear()


def test_a_peer_with_ever_new_keys_fills_no_memory(served: Served, stranger: Stranger) -> None:
    """30,000 keys, where there is room for 1,000: also their graves are bounded."""
    stranger.greet()
    first = now_as_time()
    for start in range(0, 30_000, 64):
        told = [(i % 2, msgpack.packb(f"flood{i}"), VALUE if i % 2 == 0 else None) for i in range(start, start + 64)]
        stranger.say(events(*told, node=stranger.node, first=first + start))
    stranger.say(events((0, msgpack.packb("flooded"), VALUE), node=stranger.node))
    until(lambda: served.server.has("flooded", "value"), "it has come through")
    assert served.server.stats()["size"] <= 1000
    served.server.clear()


def test_a_flood_of_pings_that_reads_no_answer_fills_no_memory(served: Served, stranger: Stranger) -> None:
    stranger.greet()
    stranger.socket.settimeout(0.5)
    ping = frame(msgpack.packb([PING, 1 << 60])) * 1000
    with contextlib.suppress(TimeoutError, ConnectionError):
        for _ in range(400):
            stranger.send(ping)


def test_ever_new_origins_fill_no_memory(served: Served, stranger: Stranger) -> None:
    """Forty thousand nodes that never were."""
    stranger.greet()
    for _ in range(20):
        times = [item for _ in range(2000) for item in (os.urandom(8), now_as_time())]
        stranger.say([SEEN, False, times])
    stranger.say(events((0, msgpack.packb("seen"), VALUE), node=stranger.node))
    until(lambda: served.server.has("seen", "value"), "it has come through")


def test_nodes_that_come_and_go_leave_nothing(served: Served) -> None:
    for i in range(50):
        with Stranger(served.address) as stranger:
            stranger.greet()
            stranger.say(events((1, msgpack.packb(i), None), node=stranger.node))
            stranger.say([GOODBYE, "done"])
            assert stranger.is_closed()


def test_who_goes_on_before_it_has_the_answer_is_served(stranger: Stranger, served: Served) -> None:
    """All that a client says in its life may come in one packet, and byte by byte."""
    stranger.greet()
    data = frame(msgpack.packb([PING, 7])) + frame(msgpack.packb(events((0, KEY, VALUE), node=stranger.node)))
    for byte in data:
        stranger.send(bytes([byte]))
    until(lambda: served.client.has("key", "value"), "the set is here")
    served.server.invalidate("key")


def test_a_unix_socket_has_the_same_manners(cluster: Cluster) -> None:
    server = cluster.add(local_address=cluster.reserve("unix")).start().wait_started()
    path = server.options["local_address"]
    assert Path(path).stat().st_mode & 0o077 == 0, "others may open it"
    for _ in range(100):
        with connect(path) as connection, contextlib.suppress(ConnectionError):
            connection.sendall(os.urandom(100))
    with Stranger(path) as stranger:
        stranger.greet()
        stranger.say(events((0, KEY, VALUE), node=stranger.node))
        until(lambda: server.has("key", "value"), "it serves on")


def test_who_only_half_closes_is_answered_and_let_go(served: Served, stranger: Stranger) -> None:
    stranger.greet()
    stranger.socket.shutdown(socket.SHUT_WR)
    assert stranger.is_closed()
