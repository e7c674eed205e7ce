"""Roll calls: on any graph everybody is asked, answers once it has all, and the caller knows when that is so."""

import asyncio
import contextlib
import random
from collections import deque
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache import LRUCacheDistributed, ProtocolError
from lru_cache.network import roll_call
from lru_cache.network.roll_call import ANSWER, CALL, Call, RollCalls
from tests.concurrency import eventually, link
from tests.conftest import Nodes
from tests.effort import some_or_many

NODES = [bytes([number]) * 8 for number in range(12)]


class World:
    """Nodes with links between them, over which messages travel in order, and otherwise at any time."""

    def __init__(self, chance: random.Random, count: int) -> None:
        self.chance = chance
        self.has = [chance.random() < 0.7 for _ in range(count)]  # what node 0 has written
        self.has[0] = True
        self.calls = [self.make(number) for number in range(count)]
        self.links: dict[frozenset[int], dict[int, deque[bytes]]] = {}  # by its ends, what is on its way to each
        self.sent = 0

    def make(self, number: int) -> RollCalls:
        return RollCalls(
            lambda: (NODES[number], f"region {number}", "both", "", number),
            lambda _, __: self.has[number],
            host_of=lambda joint: f"host {next(iter(joint - {number}))}",
        )

    def links_of(self, number: int) -> list[frozenset[int]]:
        return [each for each in self.links if number in each]

    def join(self, one: int, other: int) -> None:
        self.links[frozenset((one, other))] = {one: deque(), other: deque()}

    def cut(self, joint: frozenset[int]) -> None:
        del self.links[joint]
        for number in joint:
            self.post(number, self.calls[number].link_down(joint))

    def post(self, number: int, out: list[tuple[Any, bytes]]) -> None:
        for joint, body in out:
            self.sent += 1
            if joint in self.links:
                (other,) = joint - {number}
                self.links[joint][other].append(body)

    def begin(self) -> Call:
        call, out = self.calls[0].begin(NODES[0], 1, self.links_of(0))
        self.post(0, out)
        return call

    def step(self) -> bool:
        """Let something happen. False if nothing can."""
        waiting = [(joint, number) for joint, ends in self.links.items() for number in ends if ends[number]]
        lacking = [number for number, has in enumerate(self.has) if not has]
        if not waiting and not lacking:
            return False
        if lacking and (not waiting or self.chance.random() < 0.2):
            number = self.chance.choice(lacking)
            self.has[number] = True
            self.post(number, self.calls[number].progress())
            return True
        joint, number = self.chance.choice(waiting)
        self.post(
            number, self.calls[number].received(joint, self.links[joint][number].popleft(), self.links_of(number))
        )
        return True

    def reachable(self) -> set[int]:
        found, waiting = {0}, [0]
        for number in waiting:
            for joint in self.links_of(number):
                waiting += joint - found
                found |= joint
        return found


def world_of(seed: int) -> World:
    chance = random.Random(seed)
    count = chance.randint(1, len(NODES))
    world = World(chance, count)
    for number in range(1, count):
        if chance.random() < 0.95:
            world.join(number, chance.randrange(number))
    for _ in range(chance.randint(0, 2 * count)):
        one, other = chance.randrange(count), chance.randrange(count)
        if one != other:
            world.join(one, other)
    return world


@pytest.mark.parametrize("seed", range(some_or_many(300, 5_000)))
def test_all_that_can_be_reached_answer_and_have_it(seed: int) -> None:
    world = world_of(seed)
    call = world.begin()
    while not call.is_done:
        assert world.step(), "it waits for nothing"
    assert call.is_whole
    reachable = world.reachable()
    assert sorted(each.node for each in call.nodes) == sorted(NODES[number] for number in reachable - {0})
    assert all(world.has[number] for number in reachable)
    for each in call.nodes:  # each has its host from its neighbour, who knows it
        number = NODES.index(each.node)
        assert (each.region, each.host, each.port) == (f"region {number}", f"host {number}", number)
    while world.step():
        pass
    assert not any(calls.are_pending for calls in world.calls)
    assert world.sent <= 4 * len(world.links)


@pytest.mark.parametrize("seed", range(some_or_many(300, 5_000)))
def test_what_is_whole_is_true_also_while_links_come_and_go(seed: int) -> None:
    """Of those that could be reached all the time."""
    world = world_of(seed)
    call = world.begin()
    stayed = world.reachable()
    for _ in range(10_000):
        if call.is_done or not world.step():
            break
        if world.links and world.chance.random() < 0.1:
            world.cut(world.chance.choice(sorted(world.links, key=sorted)))
            stayed &= world.reachable()
        if world.chance.random() < 0.1 and len(world.calls) > 2:
            one, other = world.chance.sample(range(len(world.calls)), 2)
            if frozenset((one, other)) not in world.links:
                world.join(one, other)
    assert call.is_done
    if call.is_whole:
        assert all(world.has[number] for number in stayed)
    while world.step():
        pass
    assert not any(calls.are_pending for calls in world.calls)


def alone() -> RollCalls:
    return RollCalls(lambda: (NODES[0], "", "client", "", 0), lambda _, __: True)


def test_who_is_alone_is_done_at_once() -> None:
    call, out = alone().begin(NODES[0], 1, [])
    assert (call.is_done, call.is_whole, call.nodes, out) == (True, True, [], [])


def test_who_waits_for_others_to_come_says_that_it_is_not_whole() -> None:
    call, _ = RollCalls(lambda: (NODES[0], "", "", "", 0), lambda _, __: True, lambda: False).begin(NODES[0], 1, [])
    assert (call.is_done, call.is_whole) == (True, False)


def test_calls_that_nobody_answers_take_no_memory_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "MOST_CALLS", 10)
    calls = alone()
    for number in range(100):
        calls.received("from", msgpack.packb([CALL, NODES[1], number, 5, 1]), ["from", "silent"])
    assert len(calls._calls) == 10
    calls.link_down("silent")
    assert not calls.are_pending


def test_an_answer_that_nobody_asked_for_is_passed_over() -> None:
    calls = alone()
    call, _ = calls.begin(NODES[0], 1, ["asked"])
    assert calls.received("other", msgpack.packb([ANSWER, NODES[0], 1, True, []]), ["asked", "other"]) == []
    assert not call.is_done


@pytest.mark.parametrize(
    "fields",
    [
        [], 16, {16: 1}, [CALL, NODES[1], 1, [1], 1],
        [ANSWER, NODES[0], 1, True, [[]] * 6], [ANSWER, NODES[0], 1, True, {}],
        [CALL], [CALL, b"short", 1, 1, 1], [CALL, NODES[1], -1, 1, 1], [CALL, NODES[1], 1 << 63, 1, 1],
        [CALL, NODES[1], 1, 1, 0], [CALL, NODES[1], True, 1, 1], [CALL, NODES[1], 1, -1, 1],
        [ANSWER, NODES[0], 1, 1, []], [ANSWER, NODES[0], 1, True, [NODES[1]]],
        *([ANSWER, NODES[0], 1, True, node] for node in (
            [b"short", "", "", "", 0, 1], [NODES[1], "", "", "", 0, 0], [NODES[1], "\n", "", "", 0, 1],
            [NODES[1], "", 7, "", 0, 1], [NODES[1], "", "", "", 65536, 1], [NODES[1], "x" * 201, "", "", 0, 1],
        )),
    ],
)  # fmt: skip
def test_what_is_none_ends_the_link(fields: Any) -> None:
    calls = alone()
    calls.begin(NODES[0], 1, ["asked"])
    with pytest.raises(ProtocolError):
        calls.received("asked", msgpack.packb(fields), ["asked"])


@given(st.binary(max_size=50))
def test_any_bytes_are_a_roll_call_or_a_protocol_error(body: bytes) -> None:
    for start in (b"", b"\x95\x10", b"\x95\x11"):
        with contextlib.suppress(ProtocolError):
            alone().received("link", start + body, ["link"])


def test_what_is_longer_than_any_answer_is_none() -> None:
    """Each byte of it might be an array."""
    for more in (b"\x90" * roll_call.LONGEST_BYTES, b"\xc0" * roll_call.LONGEST_BYTES):
        with pytest.raises(ProtocolError):
            alone().received("link", b"\xdd" + len(more).to_bytes(4, "big") + more, ["link"])


def test_what_later_versions_may_add_is_passed_over() -> None:
    calls = alone()
    call, _ = calls.begin(NODES[0], 1, ["asked"])
    calls.received("asked", msgpack.packb([ANSWER, NODES[0], 1, True, [], {"more": [1]}]), ["asked"])
    assert call.is_done


def test_an_answer_names_as_many_as_fit_into_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_call, "LONGEST_BYTES", 280)
    calls = alone()
    calls.received("caller", msgpack.packb([CALL, NODES[1], 1, 0, 1]), ["caller", "far"])
    nodes = [item for number in range(5) for item in (NODES[number], "x" * 30, "both", "", 0, 2)]
    ((_, body),) = calls.received("far", msgpack.packb([ANSWER, NODES[1], 1, True, nodes]), ["caller", "far"])
    assert len(body) <= 280
    assert len(msgpack.unpackb(body)[4]) // 6 == 3


# -- between nodes -----------------------------------------------------------------------------------------------------


def chain(nodes: Nodes, count: int) -> list[LRUCacheDistributed[Any, Any]]:
    made = [nodes(local_address=("127.0.0.1", 0), region="the first")]
    while len(made) < count:
        made.append(nodes(local_address=("127.0.0.1", 0), remote_address=made[-1].local_address))
    link(*made[1:])
    return made


def test_a_flush_everywhere_waits_for_nodes_behind_neighbours(nodes: Nodes) -> None:
    caches = chain(nodes, 5)
    assert caches[-1].wait_connected(4, timeout=10, everywhere=True)
    for number in range(50):
        caches[0].set("key", number)
        assert caches[0].flush(10, everywhere=True)
        assert [cache.get("key") for cache in caches] == [number] * 5


def test_all_nodes_are_told_with_how_far_they_are(nodes: Nodes) -> None:
    caches = chain(nodes, 4)
    assert caches[-1].wait_connected(3, timeout=10, everywhere=True)
    found = {peer.node: peer for peer in caches[-1].peers(everywhere=True)}
    assert [found[cache.node].hops for cache in caches[:-1]] == [3, 2, 1]
    assert [found[cache.node].state for cache in caches[:-1]] == ["far", "far", "connected"]
    assert found[caches[0].node].region == "the first"
    assert len(caches[-1].peers()) == 1


def test_too_few_are_not_waited_for_longer_than_asked(nodes: Nodes) -> None:
    caches = chain(nodes, 3)
    assert not caches[0].wait_connected(3, timeout=0.1, everywhere=True)
    assert caches[0].wait_connected(2, timeout=10, everywhere=True)


def test_who_is_alone_has_flushed_unless_others_are_to_be_there(nodes: Nodes, free_port: int) -> None:
    assert nodes().flush(0.1, everywhere=True)
    assert not nodes(remote_address=("127.0.0.1", free_port)).flush(0.1, everywhere=True)


def test_a_close_ends_the_waiting(nodes: Nodes, start: Any) -> None:
    cache = nodes()
    waiting = start(cache.wait_connected, 1, everywhere=True)
    eventually(lambda: cache._exchange._waiters)
    cache.close()
    assert waiting.result() is False


async def reach_all(cache: LRUCacheDistributed[Any, Any]) -> list[bool]:
    cache.set("key", 1)
    return [
        await cache.aflush(10, everywhere=True),
        await cache.aconnected(2, 10, everywhere=True),
        await cache.aconnected(3, 0.1, everywhere=True),
    ]


def test_tasks_wait_likewise(nodes: Nodes) -> None:
    caches = chain(nodes, 3)
    assert asyncio.run(reach_all(caches[0])) == [True, True, False]
    assert caches[-1].get("key") == 1
