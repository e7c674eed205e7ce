"""A link: what its thread and the writers' threads do to one socket."""

import logging
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from lru_cache.network import client
from lru_cache.network import link as links
from lru_cache.network.link import Link
from lru_cache.replication import Goodbye, Ping, Pong, messages, pace
from tests.concurrency import PATIENCE, Gate, Started, eventually, interrupted_after, link, settle
from tests.network.conftest import Meet
from tests.network.strangers import NODE, Stranger

Cache = LRUCacheDistributed[Any, Any]
Pair = tuple[Cache, Cache]
Nodes = Callable[..., Cache]
Start = Callable[..., Started]


def link_of(cache: Cache) -> Link:
    (there,) = cache._exchange._links
    return there


def is_idle(there: Link) -> bool:
    return not there._feed.has_more


def rested(cache: Cache) -> None:
    """As if the last write were long ago: the next one is a lone one."""
    cache._exchange.pace.wrote_at = cache._exchange.pace.hurried_at = -inf


def can_be_had(lock: Any) -> bool:
    """By another thread than who may have kept it."""
    had: bool = lock.acquire(timeout=5)
    if had:
        lock.release()
    return had


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that dial again soon, however often the last link has ended."""
    monkeypatch.setattr(client, "LONGEST_PAUSE_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_write_that_was_interrupted_anywhere_keeps_no_lock(pair: Pair, start: Start) -> None:
    """As by Ctrl-C: the link may end for it, since half a frame may be out, but nothing hangs."""
    one, other = pair
    lines = 0
    interrupted = True
    while interrupted:
        lines += 1
        link(one, other)
        settle(one)
        there = link_of(one)
        rested(one)
        interrupted = interrupted_after(lines, lambda lines=lines: one.set("k", lines), "link.py")  # type: ignore[misc]
        assert start(can_be_had, there._send_lock).result(), f"after {lines} lines"
        eventually(lambda there=there: there._failure is None or there not in one._exchange._links)
    assert lines > 10
    settle(one)
    assert other.get("k") == lines


def test_a_finalizer_that_writes_amid_a_send_does_not_send_into_it(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    there = link_of(one)
    settle(one)
    depth: list[int] = [0]
    deepest: list[int] = []
    send = there._connection.send

    def sending(bodies: list[bytes]) -> None:
        depth[0] += 1
        deepest.append(depth[0])
        rested(one)
        one.set("from a finalizer", len(deepest))
        send(bodies)
        depth[0] -= 1

    monkeypatch.setattr(there._connection, "send", sending)
    rested(one)
    one.set("k", 1)
    monkeypatch.setattr(there._connection, "send", send)
    settle(one)
    assert set(deepest) <= {1}
    assert (other.get("k"), other.get("from a finalizer")) == (1, one.get("from a finalizer"))


@pytest.mark.parametrize(("writes", "batches"), [(pace.BURST_WRITES - 1, 0), (2 * pace.BURST_WRITES, 2)])
def test_of_writes_that_follow_each_other_fast_a_writer_sends_whole_batches(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, writes: int, batches: int
) -> None:
    one, other = pair
    settle(one)
    one._exchange.pace.burst_seconds = 1e9
    there, asked = link_of(one), []
    direct = there._send_directly
    monkeypatch.setattr(there, "_send_directly", lambda *much: asked.append("direct") or direct(*much))

    def burst() -> int:
        """It does not insist: a batch that is due while the link's own thread is sending is left to that."""
        asked.clear()
        one._exchange.pace.hurried = 0
        for i in range(writes):
            one.set(i, i)
        return len(asked)

    eventually(lambda: settle(one) or burst() == batches)
    settle(one)
    assert len(other) == writes


def test_a_writer_in_a_burst_lets_who_is_sending_go_on(
    pair: Pair, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would fill the outbox for as long as the other thread lacks the interpreter, and that overflows."""
    one, other = pair
    one._exchange.next_upkeep = other._exchange.next_upkeep = inf  # no pings: nothing else is sent
    settle(one)
    eventually(lambda: is_idle(link_of(one)) and is_idle(link_of(other)))
    monkeypatch.setattr(links, "ELBOW_SECONDS", PATIENCE)
    there, gate, sent = link_of(one), Gate(), list[object]()
    monkeypatch.setattr(there, "_send_directly", lambda *_: sent.append(1) or True)

    def hold() -> None:
        with there._send_lock:
            gate.pass_through()

    holding = start(hold)
    gate.wait_entered()
    sent.clear()  # what was on its way before
    there.send(1, 0.0)  # by itself: left to the link's thread
    assert sent == []
    sending = start(there.send, 2, 0.0)
    gate.open()
    holding.result()
    sending.result()
    assert sent == [1]


@pytest.mark.parametrize("by", ["the writer", "the link's thread"])
def test_what_was_seen_is_told_also_if_the_news_fills_the_message(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    server = nodes(local_address=("127.0.0.1", 0), maximum_value_bytes=64, connection_timeout=1e9)
    client = nodes(remote_address=server.local_address, maximum_value_bytes=64, connection_timeout=1e9)
    link(client, server)
    server._exchange.next_upkeep = client._exchange.next_upkeep = inf  # nor pings: nothing else that might carry it
    settle(client, server)
    eventually(lambda: is_idle(link_of(client)) and is_idle(link_of(server)))
    if by == "the link's thread":
        monkeypatch.setattr(link_of(client), "_send_directly", lambda *_: False)
        monkeypatch.setattr(links, "SEND_BYTES", 1)
        monkeypatch.setattr(links, "SLICE_BYTES", 1)
    client.set("a key", "x" * 60)
    settle(client)


def test_under_tls_nobody_sends_while_the_link_s_thread_reads(
    nodes: Nodes, ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One state machine for both directions, which two threads would break, and with it the process."""
    server = nodes(local_address=("127.0.0.1", 0), tls=ours)
    client = nodes(remote_address=server.local_address, tls=ours)
    link(client, server)
    settle(client)
    there, reading = link_of(client), Gate()
    eventually(lambda: is_idle(there))
    fill = there._connection.fill

    def fill_slowly() -> None:
        reading.pass_through()
        fill()

    monkeypatch.setattr(there._connection, "fill", fill_slowly)
    sends: list[int] = []
    send = there._connection.send
    monkeypatch.setattr(there._connection, "send", lambda bodies: (sends.append(len(bodies)), send(bodies)))
    server.set("a", 1)
    reading.wait_entered()
    sends.clear()  # a ping may have gone out before that
    rested(client)
    client.set("b", 2)
    assert sends == []
    reading.open()
    settle(client)
    assert (sends != [], server.get("b")) == (True, 2)


def test_under_tls_both_ends_write_at_once(nodes: Nodes, ours: Any, start: Start) -> None:
    server = nodes(local_address=("127.0.0.1", 0), tls=ours)
    client = nodes(remote_address=server.local_address, tls=ours)
    link(client, server)

    def write(cache: Cache, name: str) -> None:
        for number in range(2_000):
            cache.set(f"{name}{number}", "v" * (number % 700))

    writers = [
        start(write, cache, name) for cache, name in ((server, "a"), (server, "b"), (client, "c"), (client, "d"))
    ]
    for writer in writers:
        writer.result()
    settle(server, client)
    assert dict(server.items()) == dict(client.items())
    assert len(server) == 8_000


def test_under_tls_a_lone_write_does_not_wait_for_others(
    nodes: Nodes, ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = nodes(local_address=("127.0.0.1", 0), tls=ours)
    client = nodes(remote_address=server.local_address, tls=ours)
    link(client, server)
    settle(client)
    eventually(lambda: is_idle(link_of(client)))
    for name in ("BURST_SECONDS", "LINGER_SECONDS", "SEEN_AFTER_NEWS_SECONDS"):
        monkeypatch.setattr(pace, name, 1e9)
    rested(client)
    client.set("k", 1)
    eventually(lambda: server.get("k") == 1)


def test_a_round_trip_is_measured_by_pings(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0), connection_timeout=2_000)
    client = nodes(remote_address=server.local_address, connection_timeout=2_000)
    link(client, server)
    there = link_of(client)
    there._pinged_at = -inf
    there.wake()
    eventually(lambda: there._pings >= 1 and there.round_trip > 0)


def test_a_pong_of_another_ping_measures_nothing(nodes: Nodes, meet: Meet) -> None:
    node = nodes(local_address=("127.0.0.1", 0))
    stranger = meet(node)
    stranger.greet(node)
    eventually(lambda: node.stats().links == 1)
    there = link_of(node)
    there.round_trip = 12.5
    stranger.send(Pong(999))
    stranger.send(Ping(1))
    while not isinstance(messages.decode(stranger.hear() or b""), Pong):
        pass
    assert there.round_trip == 12.5


@pytest.fixture
def patient(nodes: Nodes, meet: Meet) -> tuple[Link, Stranger]:
    """A link whose two ends ping each other every few days, and the stranger at the other end."""
    node = nodes(local_address=("127.0.0.1", 0), connection_timeout=1e9)
    stranger = meet(node)
    stranger.greet(node, silence_ms=1_000_000_000)
    eventually(lambda: node.stats().links == 1)
    return link_of(node), stranger


def heard_after(stranger: Stranger, *pings: int) -> list[str]:
    """The pings and pongs that come when these are sent, each after the pong to the one before."""
    heard: list[str] = []
    for number in pings:
        stranger.send(Ping(number))
        while heard[-1:] != [repr(Pong(number))]:
            message = messages.decode(stranger.hear() or b"")
            if isinstance(message, Ping | Pong):
                heard.append(repr(message))
    return heard


def test_a_ping_that_is_due_soon_to_measure_goes_with_a_pong(patient: tuple[Link, Stranger]) -> None:
    """And none with the next pong, or two ends would answer each other for ever."""
    there, stranger = patient
    there._pinged_at -= there._measure_along_seconds
    assert heard_after(stranger, 7, 8, 9) == [
        "Pong(number=7)", "Ping(number=1)", "Pong(number=8)", "Pong(number=9)"
    ]  # fmt: skip


def test_a_pong_is_something_said_which_no_ping_need_follow(
    patient: tuple[Link, Stranger], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, stranger = patient
    receive = there._receive_all

    def receive_late() -> None:
        receive()
        if there._pong is not None:
            there._sent_at -= there._ping_seconds

    monkeypatch.setattr(there, "_receive_all", receive_late)
    assert heard_after(stranger, 7, 8) == ["Pong(number=7)", "Pong(number=8)"]


def test_a_ping_on_an_idle_link_is_answered_without_a_turn(
    patient: tuple[Link, Stranger], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, stranger = patient
    monkeypatch.setattr(pace, "SEEN_WHEN_IDLE_SECONDS", 1e9)
    turns: list[float] = []
    carry_out = there._feed.carry_out
    monkeypatch.setattr(there._feed, "carry_out", lambda now: (turns.append(now), carry_out(now)))

    def is_answered_without() -> bool:
        before = len(turns)
        heard_after(stranger, 7, 8)
        return len(turns) == before

    eventually(is_answered_without)


@pytest.mark.parametrize("due", ["a beat", "a ping", "`seen`", "news"])
def test_what_is_due_as_well_is_done_when_a_ping_comes(
    patient: tuple[Link, Stranger], monkeypatch: pytest.MonkeyPatch, due: str
) -> None:
    there, stranger = patient
    heard_after(stranger, 7)
    answers: list[bool] = []
    answer = there._answers_alone

    def answer_late(until: float) -> bool:
        if due == "a ping":
            there._pinged_at = -inf
        elif due == "`seen`":
            monkeypatch.setattr(there._feed, "sent_at", -inf)
        elif due == "news":
            there._is_owed = True
        answers.append(answer(-inf if due == "a beat" else until))
        return answers[-1]

    monkeypatch.setattr(there, "_answers_alone", answer_late)

    def is_asked() -> bool:
        heard_after(stranger, 8)
        return answers != []

    eventually(is_asked)
    assert True not in answers


def test_who_wakes_a_link_s_thread_as_a_ping_comes_has_its_turn(
    patient: tuple[Link, Stranger], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, stranger = patient
    monkeypatch.setattr(pace, "SEEN_WHEN_IDLE_SECONDS", 1e9)
    wait = there._alarm.wait
    asked: list[float] = []

    def wait_rung(seconds: float) -> dict[int, int]:
        there.wake()
        return wait(seconds)

    monkeypatch.setattr(there._alarm, "wait", wait_rung)
    heard_after(stranger, 7)  # perhaps by a wait that had begun before
    monkeypatch.setattr(there, "_answers_alone", asked.append)
    heard_after(stranger, 8, 9)
    assert asked == []


def test_a_neighbour_s_goodbye_is_no_alarm_and_its_reason_one_line(
    nodes: Nodes, meet: Meet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node = nodes(local_address=("127.0.0.1", 0))
    stranger = meet(node)
    stranger.greet(node)
    eventually(lambda: node.stats().links == 1)
    stranger.send(Goodbye("off to lunch\nCRITICAL"))
    eventually(lambda: any("it said goodbye: off to lunch?CRITICAL" in line for line in caplog.messages))
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_a_neighbour_that_vanishes_is_an_alarm(nodes: Nodes, meet: Meet, caplog: pytest.LogCaptureFixture) -> None:
    node = nodes(local_address=("127.0.0.1", 0))
    stranger = meet(node)
    stranger.greet(node)
    eventually(lambda: node.stats().links == 1)
    stranger.close()
    about = f"the link to node {NODE.hex()}"
    eventually(lambda: [record for record in caplog.records if record.getMessage().startswith(about)])
    assert {record.levelno for record in caplog.records if record.getMessage().startswith(about)} == {logging.WARNING}


def test_the_goodbye_comes_behind_what_was_written(nodes: Nodes, meet: Meet) -> None:
    node = nodes(local_address=("127.0.0.1", 0))
    stranger = meet(node)
    stranger.greet(node)
    link(node)
    node.set("k", 1)
    node.close()
    kinds = [message[0] for message in stranger.hear_out()]
    assert kinds[-1] == messages.Type.GOODBYE


# -- when this process stood still -------------------------------------------------------------------------------------


def test_what_came_while_this_process_stood_still_is_dropped_unread(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The life that it has left counts from when it is read: a value of a second would live that second anew."""
    server = nodes(local_address=("127.0.0.1", 0))
    client = nodes(remote_address=server.local_address)
    link(client, server)
    settle(client, server)
    there = link_of(server)
    received: list[bytes] = []
    monkeypatch.setattr(there, "_awake_at", links.uptime() - there._silence_seconds - 20)
    monkeypatch.setattr(there._feed, "received", received.append)
    client.set("k", 1, expiration_time=1)
    eventually(lambda: there not in server._exchange._links)
    assert received == []
    eventually(lambda: "this process stood still for " in caplog.text)
    link(client, server)


def test_a_pause_that_is_shorter_than_the_silence_is_none(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    server = nodes(local_address=("127.0.0.1", 0))
    client = nodes(remote_address=server.local_address)
    link(client, server)
    there = link_of(server)
    monkeypatch.setattr(there, "_awake_at", links.uptime() - there._silence_seconds / 2)
    client.set("k", 1)
    settle(client)
    assert there in server._exchange._links


def test_a_pause_amid_what_was_read_ends_it_there(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    server = nodes(local_address=("127.0.0.1", 0))
    client = nodes(remote_address=server.local_address)
    link(client, server)
    settle(client, server)
    there = link_of(server)
    taken: list[bytes] = []

    def stand_still(body: bytes) -> None:
        taken.append(body)
        there._awake_at -= 2 * there._silence_seconds

    with monkeypatch.context() as patch:
        patch.setattr(there._feed, "received", stand_still)
        patch.setattr(there._connection, "bodies", iter([b"one", b"two", b"three"]))
        client.set("k", 1)
        eventually(lambda: there not in server._exchange._links)
    assert taken == [b"one"]
