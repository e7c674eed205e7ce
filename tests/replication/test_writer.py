"""The whole of a plain set: kept, told and counted as by the long way, or not begun; and the lock is free after it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache import LRUCacheDistributed
from lru_cache.replication.encoding import encode_key, encode_value
from tests.replication.build import BUILDS, part_of
from tests.replication.node import Node, plain

LIFE = 9.0
LONGEST = 100


class Lock:
    """A lock that knows whether it is held."""

    def __init__(self) -> None:
        self.held = 0
        self._lock = threading.RLock()

    def acquire(self) -> bool:
        self.held += 1
        return self._lock.acquire()

    def release(self) -> None:
        self._lock.release()
        self.held -= 1


class Written:
    """A node and its writer. `told` has, for each write that was told of, how often the lock was held then."""

    def __init__(self, build: str, capacity: int = 100, life: float = LIFE) -> None:
        self.node = Node(graves=3, capacity=capacity, build=build)
        self.lock = Lock()
        self.told: list[int] = []
        self.pace = part_of(build, "pace").Pace()
        self.pace.has_links = True
        self.writer = part_of(build, "writer").Writer(
            self.node.replica, self.node.view, self.lock, lambda: self.node.now, life, LONGEST,
            self.pace, lambda act, now: self.told.append(self.lock.held), encode_value,
        )  # fmt: skip

    def state(self) -> Any:
        return self.node.state()


@pytest.fixture(params=BUILDS)
def build(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def written(build: str) -> Written:
    return Written(build)


def test_keeps_the_value_itself_for_as_long_as_entries_live(written: Written) -> None:
    value = ["a list"]
    assert written.writer.write("k", value)
    entry = written.node.store.find("k")
    assert entry is not None
    assert entry.value is value
    assert entry.deadline == entry.fresh_until == written.node.now + LIFE


def test_stamps_it_as_a_set(written: Written) -> None:
    written.writer.write("k", [1])
    stamp = written.node.store.find("k").version  # type: ignore[union-attr]
    assert (stamp.key, stamp.payload, stamp.is_set) == (encode_key("k"), encode_value([1]), True)
    assert stamp.version.node == written.node.replica.node


def test_every_link_is_told(written: Written) -> None:
    written.writer.write("k", [1])
    for link in ("a", "b"):
        (event,) = written.node.said(link)
        assert (event.key, event.payload, event.life_ms) == (encode_key("k"), encode_value([1]), LIFE * 1000)


def test_a_value_without_an_end_is_told_without_one(build: str) -> None:
    written = Written(build, life=float("inf"))
    written.writer.write("k", 1)
    (event,) = written.node.said("a")
    assert event.life_ms is None


def test_the_links_hear_of_it_once_and_when_the_lock_is_free(written: Written) -> None:
    written.writer.write("k", 1)
    assert written.told == [0]


@pytest.mark.parametrize(("size", "is_kept"), [(LONGEST - 2, True), (LONGEST - 1, False)])
def test_a_value_of_more_than_the_longest_is_not_taken(written: Written, size: int, is_kept: bool) -> None:
    """The bytes count that it takes when it is told."""
    value = "v" * size
    assert len(encode_value(value)) == size + 2
    before = written.state()
    assert written.writer.write("k", value) == is_kept
    assert (written.node.store.find("k") is not None) == is_kept
    assert written.told == ([0] if is_kept else [])
    assert is_kept or written.state() == before
    assert written.lock.held == 0


def test_while_anything_is_loaded_it_is_not_taken(written: Written) -> None:
    """To fence a load is the long way's."""
    written.node.loading["another"] = None
    before = written.state()
    assert not written.writer.write("k", 1)
    assert written.state() == before
    assert (written.lock.held, written.told) == (0, [])


class NoKey:
    """Has no bytes."""


@pytest.mark.parametrize(
    "key", [NoKey(), "k" * 70_000, ["a list"], "\ud800", float("nan")], ids=lambda key: type(key).__name__
)
def test_a_key_without_bytes_raises_as_encoding_does_and_leaves_nothing(written: Written, key: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as expected:
        encode_key(key)
    before = written.state()
    with pytest.raises(type(expected.value)) as raised:
        written.writer.write(key, 1)
    assert str(raised.value) == str(expected.value)
    assert written.state() == before
    assert (written.lock.held, written.told) == (0, [])


@pytest.mark.parametrize("value", [NoKey(), object(), lambda: None], ids=lambda value: type(value).__name__)
def test_a_value_without_bytes_raises_as_encoding_does_and_leaves_nothing(written: Written, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as expected:
        encode_value(value)
    before = written.state()
    with pytest.raises(type(expected.value)) as raised:
        written.writer.write("k", value)
    assert str(raised.value) == str(expected.value)
    assert written.state() == before
    assert (written.lock.held, written.told) == (0, [])


def test_a_clock_that_raises_leaves_the_lock_free(build: str) -> None:
    node = Node(build=build)
    lock = Lock()

    def broken() -> float:
        raise RuntimeError("no time")

    told: list[None] = []
    pace = part_of(build, "pace").Pace()
    writer = part_of(build, "writer").Writer(
        node.replica, node.view, lock, broken, LIFE, LONGEST, pace, lambda act, now: told.append(None), encode_value
    )
    with pytest.raises(RuntimeError, match="no time"):
        writer.write("k", 1)
    assert (lock.held, told) == (0, [])
    assert node.store.find("k") is None


def test_a_key_that_raises_when_it_is_compared_leaves_the_lock_free(written: Written) -> None:
    class Hostile:
        """Has the hash of a text, and raises when it is compared with one."""

        def __hash__(self) -> int:
            return hash("k")

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("not with me")

    written.node.store.put(Hostile(), 1, 0.0, float("inf"), float("inf"), None)
    with pytest.raises(RuntimeError, match="not with me"):
        written.writer.write("k", 1)
    assert written.lock.held == 0


def test_what_is_evicted_for_it_is_buried(build: str) -> None:
    written = Written(build, capacity=1)
    written.writer.write("k", 1)
    written.writer.write("l", 1)
    assert [key for key, _ in written.node.replica.forgotten.graves()] == [encode_key("k")]


def test_what_it_replaces_is_not_buried(written: Written) -> None:
    written.writer.write("k", 1)
    written.writer.write("k", 2)
    assert written.node.replica.forgotten.graves() == []


some_keys = st.sampled_from(["k", "l", "m", "n", 7, (1, "a")])
values = st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=3) | st.just("v" * 200)


@settings(deadline=None)
@given(st.lists(st.tuples(some_keys, values.filter(lambda value: not isinstance(value, int) or abs(value) < 1 << 60))))
def test_any_writes_end_as_by_the_rules_one_by_one(writes: list[tuple[Any, Any]]) -> None:
    """On both builds, as the long way does it: a set, the store's put, and what left for it."""
    states = []
    for build in BUILDS:
        short, long = Written(build, capacity=3), Written(build, capacity=3)
        for key, value in writes:
            taken = short.writer.write(key, value)
            payload = encode_value(value)
            assert taken == (len(payload) <= LONGEST)
            if taken:
                node, deadline = long.node, long.node.now + LIFE
                stamp = node.replica.set(encode_key(key), payload, node.now)
                node.replica.left(node.store.put(key, value, node.now, deadline, deadline, stamp))
            short.node.now += 0.01
            long.node.now += 0.01
        states += [short.state(), long.state()]
    assert all(state == states[0] for state in states)


# -- in a cache --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, "text", [1, 2], None])
def test_a_cache_s_set_is_told_the_same_by_either_way(value: Any) -> None:
    """A subclass with a `_set` of its own goes the long way."""

    class Long(LRUCacheDistributed[Any, Any]):
        def _set(self, *arguments: Any, **named: Any) -> Any:
            return super()._set(*arguments, **named)

    def told(kind: Callable[..., Any]) -> Any:
        with kind(None, 10, 5.0) as cache:
            replica = cache._replica
            replica.link_up("a", b"x" * 8, 100, 1_000_000)
            rules = part_of("native" if "native" in type(replica).__module__ else "python", "public")
            replica.received("a", rules.messages.encode(rules.Seen(True, {})), cache._monotonic())
            while replica.to_send("a", cache._monotonic(), 1_000_000):
                pass
            cache.set("k", value)
            events = [
                event
                for body in replica.to_send("a", cache._monotonic(), 1_000_000)
                for event in [rules.messages.decode(body)]
                if isinstance(event, list)
            ]
            ((event,),) = events
            kind_, key, _, hops, payload, life_ms, other = plain(event)
            return kind_, key, hops, payload, 4_000 < life_ms <= 5_000, other, cache.get("k")

    assert told(LRUCacheDistributed) == told(Long)
