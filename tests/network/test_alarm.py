"""Waking a thread that waits for sockets."""

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from lru_cache.network import alarm as alarms
from lru_cache.network.alarm import READABLE, WRITABLE, Alarm
from tests.concurrency import PATIENCE, Started, interrupted_after

Start = Callable[..., Started]


@pytest.fixture(params=[True, False], ids=["eventfd", "pipe"])
def alarm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Alarm]:
    if not request.param:
        monkeypatch.delattr(os, "eventfd", raising=False)
    made = Alarm()
    yield made
    made.abandon()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_ring_wakes_who_waits(alarm: Alarm, start: Start) -> None:
    waiting = start(alarm.wait, PATIENCE * 2)
    alarm.ring()
    assert waiting.result() == {}


def test_a_ring_before_the_wait_counts(alarm: Alarm) -> None:
    alarm.ring()
    assert alarm.wait(PATIENCE * 2) == {}


def test_many_rings_are_one(alarm: Alarm) -> None:
    """And do not fill whatever carries them."""
    for _ in range(100_000):
        alarm.ring()
    alarm.wait(0)
    assert alarm._selector.select(0) == []


def test_it_can_be_rung_again_after_each_wait(alarm: Alarm, start: Start) -> None:
    for _ in range(100):
        waiting = start(alarm.wait, PATIENCE * 2)
        alarm.ring()
        waiting.result()


def test_a_ring_that_was_interrupted_anywhere_does_not_silence_the_next(alarm: Alarm) -> None:
    lines = 1
    while interrupted_after(lines, alarm.ring, "alarm.py"):
        alarm.wait(0)
        alarm.ring()
        assert alarm._selector.select(0), f"after {lines} lines"
        alarm.wait(0)
        lines += 1
    assert lines > 3


def test_no_ring_is_lost_among_threads(alarm: Alarm, start: Start) -> None:
    """Each ring is followed by a wait that ends early; else the last one would last."""
    todo: list[int] = []
    done: list[int] = []

    def work() -> None:
        while len(done) < 4_000:
            alarm.wait(PATIENCE)
            while todo:
                done.append(todo.pop())

    def ask() -> None:
        for i in range(1_000):
            todo.append(i)
            alarm.ring()

    worker = start(work)
    for asking in [start(ask) for _ in range(4)]:
        asking.result()
    worker.result()
    assert len(done) == 4_000


def test_tells_which_sockets_are_ready_and_for_what(alarm: Alarm, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    alarm.watch(one, writable=True)
    assert alarm.wait(0)[one.fileno()] & WRITABLE
    other.send(b"x")
    alarm.watch(one)
    assert alarm.wait(PATIENCE)[one.fileno()] & READABLE


def test_tells_a_ring_also_when_a_socket_is_ready(alarm: Alarm, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    alarm.watch(one)
    other.send(b"x")
    found = []
    for rings in (0, 1, 0):
        for _ in range(rings):
            alarm.ring()
        found.append((alarm.wait(PATIENCE), alarm.has_rung))
    ready = {one.fileno(): READABLE}
    assert found == [(ready, False), (ready, True), (ready, False)]


def test_the_end_of_a_stream_is_readable(alarm: Alarm, pair: tuple[socket.socket, socket.socket]) -> None:
    alarm.watch(pair[0])
    pair[1].close()
    assert alarm.wait(PATIENCE)[pair[0].fileno()] & READABLE


def test_what_is_watched_no_longer_wakes_nobody(alarm: Alarm, pair: tuple[socket.socket, socket.socket]) -> None:
    alarm.watch(pair[0])
    alarm.unwatch(pair[0].fileno())
    alarm.unwatch(pair[0].fileno())
    pair[1].send(b"x")
    assert alarm.wait(0) == {}


def test_a_part_of_a_millisecond_does_not_spin(alarm: Alarm) -> None:
    """A wait that ends early would be followed by another one, and so on until the moment has come."""
    before = time.monotonic()
    alarm.wait(0.0004)
    assert time.monotonic() - before >= 0.0004


@pytest.mark.parametrize("kind", [selectors.SelectSelector, selectors.DefaultSelector])
def test_any_selector_does(
    kind: type[selectors.BaseSelector], pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the system has no `poll`."""
    monkeypatch.setattr(alarms, "_Selector", kind)
    alarm = Alarm()
    try:
        alarm.watch(pair[0], writable=True)
        assert alarm.wait(0) == {pair[0].fileno(): WRITABLE}
        alarm.watch(pair[0], readable=False)
        alarm.ring()
        assert alarm.wait(PATIENCE) == {}
    finally:
        alarm.close()


def test_closing_gives_the_descriptors_back_and_may_be_done_twice(alarm: Alarm) -> None:
    numbers = {alarm._reading, alarm._writing}
    alarm.close()
    alarm.close()
    for number in numbers:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


def test_a_ring_after_the_end_writes_nowhere(alarm: Alarm) -> None:
    """The numbers may be somebody's file by then."""
    alarm.close()
    reader, writer = os.pipe()  # which get the numbers that are free again
    try:
        os.set_blocking(reader, False)
        alarm.ring()
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
    finally:
        os.close(reader)
        os.close(writer)


def test_what_a_fork_inherits_is_let_go_though_a_thread_that_is_gone_holds_the_lock(alarm: Alarm) -> None:
    holder = threading.Thread(target=alarm._lock.acquire)
    holder.start()
    holder.join()
    alarm.abandon()
    assert alarm._reading == -1
