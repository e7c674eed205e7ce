"""Linked caches whose clocks are wrong, and are set right: back within seconds, with the latest value or a miss."""

from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from lru_cache.testing import ManualClock
from tests.concurrency import Started, eventually, link, settle

Cache = LRUCacheDistributed[Any, Any]
Nodes = Callable[..., Cache]
Start = Callable[..., Started]
HOUR = 3_600.0
TODAY = 1_700_000_000.0


def clock_ahead(seconds: float = HOUR) -> ManualClock:
    return ManualClock(time=TODAY + seconds)


def set_right(*clocks: ManualClock) -> None:
    """No time has passed since TODAY."""
    for clock in clocks:
        clock.set_time(TODAY)


@pytest.fixture
def right(nodes: Nodes) -> Cache:
    """A node whose clock is right, at an address."""
    return nodes(local_address=("127.0.0.1", 0), clock=ManualClock(time=TODAY))


def wait_for(key: str, value: Any, *caches: Cache) -> None:
    """Until all of these have this value."""
    eventually(lambda: all(each.get(key) == value for each in caches))


def refused(cache: Cache) -> bool:
    return [peer.state for peer in cache.peers()] == ["refused"]


def test_a_node_whose_clock_was_ahead_is_back_once_it_is_set_right(
    nodes: Nodes, right: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    """And says so, and is another node: of the one that it was nobody would believe a word for an hour."""
    clock = clock_ahead()
    early = nodes(remote_address=right.local_address, clock=clock)
    before = early.node
    early.set("k", "from the future")
    eventually(lambda: refused(early))
    set_right(clock)
    link(early, right)
    settle(early, right)
    assert (early.get("k"), right.get("k")) == ("from the future", "from the future")
    assert early.node != before
    assert (
        f"the wall clock was ahead and has been set right: what was written meanwhile is dated anew, and this is "
        f"node {early.node}" in caplog.text
    )


def test_it_goes_on_from_there(nodes: Nodes, right: Cache) -> None:
    clock = clock_ahead()
    early = nodes(remote_address=right.local_address, clock=clock)
    early.set("k", 0)
    set_right(clock)
    link(early, right)
    for number in range(3):
        early.set("k", number)
        settle(early)
        assert right.get("k") == number
        right.set("k", -number)
        settle(right)
        assert early.get("k") == -number


@pytest.mark.parametrize("after", [-10, 10])
def test_of_what_both_wrote_meanwhile_the_later_stays(nodes: Nodes, after: float) -> None:
    """By when it was really written, and not by what a wrong clock said."""
    there = ManualClock(time=TODAY)
    clock = clock_ahead()
    right = nodes(local_address=("127.0.0.1", 0), clock=there)
    early = nodes(remote_address=right.local_address, clock=clock)
    eventually(lambda: refused(early))
    writers = [(right, "right"), (early, "early")]
    for cache, name in writers if after > 0 else writers[::-1]:
        cache.set("k", name)
        there.advance(10)
        clock.advance(10)
    clock.set_time(there.time())
    link(early, right)
    settle(early, right)
    latest = "early" if after > 0 else "right"
    assert (early.get("k"), right.get("k")) == (latest, latest)


@pytest.mark.parametrize("hours", [0.01, 5])
def test_also_what_was_written_long_before_the_clock_was_set_right(nodes: Nodes, hours: float) -> None:
    """Its date may be one that is past by now. It is wrong all the same."""
    there, clock = ManualClock(time=TODAY), clock_ahead()
    right = nodes(local_address=("127.0.0.1", 0), clock=there)
    early = nodes(clock=clock, local_address=("127.0.0.1", 0))
    early.set("k", "early")
    for each in (there, clock):
        each.advance(HOUR / 2)
    right.set("k", "right")
    for each in (there, clock):
        each.advance(hours * HOUR)
    early.set("another", 1)
    clock.set_time(there.time())
    third = nodes(remote_address=[right.local_address, early.local_address], clock=there)
    link(third, count=2)
    link(early, right)
    settle(early, right, third)
    eventually(lambda: third.get("another") == 1)
    assert [each.get("k") for each in (early, right, third)] == ["right"] * 3


def test_three_nodes_whose_clocks_were_ahead_are_linked_again(nodes: Nodes) -> None:
    clocks = [clock_ahead(HOUR + off) for off in (0.0, 0.1, 0.2)]
    hub = nodes(local_address=("127.0.0.1", 0), clock=clocks[0])
    rest = [nodes(remote_address=hub.local_address, clock=clock) for clock in clocks[1:]]
    link(*rest)
    link(hub, count=2)
    for number, each in enumerate([hub, *rest]):
        each.set(f"of {number}", number)
        settle(hub, *rest)
    before = [each.node for each in (hub, *rest)]
    for number, clock in enumerate(clocks):
        clock.set_time(TODAY + number / 10)
    eventually(lambda: not set(before) & {each.node for each in (hub, *rest)})
    link(*rest)
    link(hub, count=2)
    for number, each in enumerate([hub, *rest]):
        each.set(f"again of {number}", number)
        settle(hub, *rest)
    for number in range(3):
        assert {each.get(f"of {number}") for each in (hub, *rest)} <= {number, None}
        wait_for(f"again of {number}", number, hub, *rest)


@pytest.mark.parametrize("act", ["invalidate", "clear"])
def test_what_was_invalidated_by_a_clock_that_was_ahead_is_gone_elsewhere(nodes: Nodes, act: str) -> None:
    there, clock = ManualClock(time=TODAY), clock_ahead()
    right = nodes(local_address=("127.0.0.1", 0), clock=there)
    early = nodes(remote_address=right.local_address, clock=clock)
    eventually(lambda: refused(early))

    def pass_time() -> None:
        for each in (there, clock):
            each.advance(10)

    right.set("before", 1)
    pass_time()
    if act == "clear":
        early.clear()
    else:
        early.invalidate("before")
    pass_time()
    right.set("after", 2)
    pass_time()
    clock.set_time(there.time())
    link(early, right)
    settle(early, right)
    eventually(lambda: [each.get(key) for each in (early, right) for key in ("before", "after")] == [None, 2] * 2)


def test_a_clock_that_was_set_back_wrongly_and_right_again_loses_and_redates_nothing(nodes: Nodes) -> None:
    there, clock = ManualClock(time=TODAY), ManualClock(time=TODAY)
    right = nodes(local_address=("127.0.0.1", 0), clock=there)
    other = nodes(remote_address=right.local_address, clock=clock)
    link(other, right)
    other.set("before", 1)
    settle(other)
    node = other.node
    clock.set_time(TODAY - HOUR)
    eventually(lambda: refused(other))
    other.set("meanwhile", 2)
    there.advance(10)
    clock.advance(10)
    clock.set_time(there.time())
    link(other, right)
    settle(other, right)
    assert other.node == node
    assert [each.get(key) for each in (other, right) for key in ("before", "meanwhile")] == [1, 2] * 2


def test_a_clock_that_was_ahead_for_a_while_takes_nothing_along_that_is_older(nodes: Nodes) -> None:
    """It was linked before, jumps ahead, and is set right: what others have written meanwhile stays."""
    there, clock = ManualClock(time=TODAY), ManualClock(time=TODAY)
    right = nodes(local_address=("127.0.0.1", 0), clock=there)
    other = nodes(remote_address=right.local_address, clock=clock)
    link(other, right)
    clock.set_time(TODAY + HOUR)
    eventually(lambda: refused(other))
    other.set("k", "ahead")
    other.set("mine", 1)
    for each in (there, clock):
        each.advance(10)
    right.set("k", "right")
    clock.set_time(there.time())
    link(other, right)
    settle(other, right)
    assert [each.get("k") for each in (other, right)] == ["right"] * 2
    assert [each.get("mine") for each in (other, right)] == [1] * 2


def test_many_values_are_dated_anew(nodes: Nodes, right: Cache) -> None:
    clock = clock_ahead()
    early = nodes(clock=clock, remote_address=right.local_address)
    for number in range(3_000):
        early.set(number, number)
    set_right(clock)
    link(early, right)
    early.set("later", 1)
    settle(early, right)
    assert [right.get(number) for number in range(3_000)] == list(range(3_000))


def test_a_flush_that_began_before_the_clock_was_set_right_ends(nodes: Nodes, start: Start) -> None:
    """What it waits for is dated anew: nobody says for an hour to have seen what was written in the future."""
    clocks = [clock_ahead(), clock_ahead()]
    listening = nodes(local_address=("127.0.0.1", 0), clock=clocks[0])
    dialling = nodes(remote_address=listening.local_address, clock=clocks[1])
    link(dialling, listening)
    before = dialling.node
    with listening._lock:  # so it does not say what it has seen
        dialling.set("k", 1)
        flushing = start(dialling.flush, 60)
        eventually(lambda: dialling._exchange._waiters == 1)
        set_right(*clocks)
    eventually(lambda: dialling.node != before)
    assert flushing.result() in (True, False)
