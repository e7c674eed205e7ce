"""Stale answers: better than none when the source is down or slow, and never after an invalidation."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import LRUCache
from lru_cache.loading.single_flight import Flight
from lru_cache.testing import ManualClock
from tests.concurrency import Gate, Started, eventually

pytestmark = pytest.mark.usefixtures("each_face")

Start = Callable[..., Started]


class Source:
    """Answers with how often it was asked, until it is broken or slow."""

    def __init__(self) -> None:
        self.reads = 0
        self.broken = False
        self.gate: Gate | None = None

    def read(self, key: Any) -> int:
        self.reads += 1
        answer = self.reads
        if self.gate is not None:
            self.gate.pass_through()
        if self.broken:
            raise ConnectionError("the source is down")
        return answer


@pytest.fixture
def source() -> Source:
    return Source()


def cache_of(source: Source, clock: ManualClock, **options: Any) -> LRUCache[str, int]:
    return LRUCache(source.read, expiration_time=10, stale_time=100, clock=clock, **options)


def test_a_failing_loader_serves_the_expired_value(source: Source, clock: ManualClock) -> None:
    cache = cache_of(source, clock)
    cache.get("a")
    clock.advance(10)
    source.broken = True
    assert cache.get("a") == 1
    assert cache.stats().stale_served == 1


def test_the_end_of_the_stale_time_is_the_end(source: Source, clock: ManualClock) -> None:
    cache = cache_of(source, clock)
    cache.get("a")
    source.broken = True
    clock.advance(109.9)
    assert cache.get("a") == 1
    clock.advance(0.1)
    with pytest.raises(ConnectionError):
        cache.get("a")


def test_without_a_stale_time_a_failure_is_a_failure(source: Source, clock: ManualClock) -> None:
    cache: LRUCache[str, int] = LRUCache(source.read, expiration_time=10, clock=clock)
    cache.get("a")
    clock.advance(10)
    source.broken = True
    with pytest.raises(ConnectionError):
        cache.get("a")


def test_after_a_failure_the_loader_is_left_alone_for_the_retry_time(source: Source, clock: ManualClock) -> None:
    cache = cache_of(source, clock, retry_time=5)
    cache.get("a")
    clock.advance(10)
    source.broken = True
    for _ in range(3):
        assert cache.get("a") == 1
    assert source.reads == 2
    clock.advance(5)
    source.broken = False
    assert cache.get("a") == 3
    assert cache.expires_in("a") == 10


def test_an_invalidated_value_is_never_served_as_stale(source: Source, clock: ManualClock) -> None:
    cache = cache_of(source, clock)
    cache.get("a")
    clock.advance(10)
    cache.invalidate("a")
    source.broken = True
    with pytest.raises(ConnectionError):
        cache.get("a")


def test_a_value_invalidated_during_the_load_is_not_served_as_stale(
    source: Source, clock: ManualClock, start: Start
) -> None:
    cache = cache_of(source, clock)
    cache.get("a")
    clock.advance(10)
    gate = source.gate = Gate()
    source.broken = True
    loading = start(cache.get, "a")
    gate.wait_entered()
    cache.invalidate("a")
    gate.open()
    with pytest.raises(ConnectionError):
        loading.result()


@pytest.mark.parametrize("clearing", ["clear", "pop"])
def test_a_cleared_value_is_never_served_as_stale(source: Source, clock: ManualClock, clearing: str) -> None:
    cache = cache_of(source, clock)
    cache.get("a")
    clock.advance(10)
    cache.clear() if clearing == "clear" else cache.pop("a", None)
    source.broken = True
    with pytest.raises(ConnectionError):
        cache.get("a")


def test_an_expired_value_is_not_there_for_anything_but_a_failing_load(source: Source, clock: ManualClock) -> None:
    cache = cache_of(source, clock)
    cache.get("a")
    clock.advance(10)
    assert "a" not in cache
    assert (len(cache), list(cache), list(cache.items()), cache.peek("a")) == (0, [], [], None)
    assert not cache.touch("a")
    with pytest.raises(KeyError):
        cache.expires_in("a")


def test_without_a_loader_an_expired_value_is_a_miss(clock: ManualClock) -> None:
    cache: LRUCache[str, int] = LRUCache(expiration_time=10, stale_time=100, clock=clock)
    cache.set("a", 1)
    clock.advance(10)
    assert cache.get("a", "default") == "default"


def test_all_who_wait_get_the_stale_value_when_the_load_fails(source: Source, clock: ManualClock, start: Start) -> None:
    cache = cache_of(source, clock)
    cache.get("a")
    clock.advance(10)
    gate = source.gate = Gate()
    source.broken = True
    threads = [start(cache.get, "a") for _ in range(5)]
    gate.wait_entered()
    eventually(lambda: cache.stats().misses == 6)
    gate.open()
    assert [thread.result() for thread in threads] == [1] * 5
    assert source.reads == 2


def test_a_slow_loader_serves_the_expired_value_and_is_kept_when_done(
    source: Source, clock: ManualClock, start: Start
) -> None:
    cache = cache_of(source, clock, load_timeout=0.001)
    cache.get("a")
    clock.advance(10)
    gate = source.gate = Gate()
    assert cache.get("a") == 1
    gate.open()
    eventually(lambda: cache.peek("a") == 2)
    assert source.reads == 2
    assert cache.stats().stale_served == 1


def test_the_timeout_counts_from_the_start_of_the_load(source: Source, clock: ManualClock) -> None:
    """Who comes later does not wait again: the load has had its hour by the clock, and a real one would hang here."""
    cache: LRUCache[str, int] = LRUCache(
        source.read, expiration_time=10, stale_time=5000, load_timeout=3600, clock=clock
    )
    cache.get("a")
    clock.advance(10)
    cache._flights.join(Flight(cache._flights, "a", clock.monotonic()))  # a load that never ends
    clock.advance(3600)
    assert cache.get("a") == 1


def test_a_load_within_its_timeout_is_waited_for(source: Source, clock: ManualClock) -> None:
    cache = cache_of(source, clock, load_timeout=3600)
    cache.get("a")
    clock.advance(10)
    assert cache.get("a") == 2


def test_a_load_that_fails_within_its_timeout_serves_the_expired_value(source: Source, clock: ManualClock) -> None:
    cache = cache_of(source, clock, load_timeout=3600)
    cache.get("a")
    clock.advance(10)
    source.broken = True
    assert cache.get("a") == 1
    assert cache.get("a") == 1
    assert source.reads == 2
    assert cache.stats().stale_served == 2


def test_without_an_expired_value_the_timeout_means_nothing(source: Source, clock: ManualClock, start: Start) -> None:
    cache = cache_of(source, clock, load_timeout=0.001)
    gate = source.gate = Gate()
    loading = start(cache.get, "a")
    gate.wait_entered()
    gate.open()
    assert loading.result() == 1


def test_a_slow_load_invalidated_meanwhile_is_neither_kept_nor_replaced_by_the_stale_value(
    source: Source, clock: ManualClock, start: Start
) -> None:
    cache = cache_of(source, clock, load_timeout=0.001)
    cache.get("a")
    clock.advance(10)
    gate = source.gate = Gate()
    assert cache.get("a") == 1
    gate.wait_entered()
    cache.invalidate("a")
    source.gate = None
    assert cache.get("a") == 3
    gate.open()
    eventually(lambda: cache.stats().fenced_loads == 1)
    assert cache.peek("a") == 3


@pytest.mark.unless_by("aget, async def")
def test_loaders_that_hang_take_a_bounded_number_of_threads(source: Source, clock: ManualClock) -> None:
    from lru_cache.loading.load_path import BACKGROUND_LOADS

    cache: LRUCache[int, int] = LRUCache(
        source.read, expiration_time=10, stale_time=100, load_timeout=0.001, clock=clock
    )
    for key in range(BACKGROUND_LOADS + 5):
        cache.get(key)
    reads = source.reads
    clock.advance(10)
    gate = source.gate = Gate()
    for key in range(BACKGROUND_LOADS + 5):
        assert cache.get(key) == key + 1
    eventually(lambda: source.reads == reads + BACKGROUND_LOADS)
    gate.open()
    eventually(lambda: cache.stats().loads == reads + BACKGROUND_LOADS)
    assert source.reads == reads + BACKGROUND_LOADS


def test_background_threads_are_given_back(source: Source, clock: ManualClock) -> None:
    """After as many refreshes as may run at once, and one more, refreshes still happen."""
    from lru_cache.loading.load_path import BACKGROUND_LOADS

    cache: LRUCache[str, int] = LRUCache(source.read, expiration_time=10, refresh_time=4, clock=clock)
    for turn in range(1, BACKGROUND_LOADS + 3):
        eventually(lambda turn=turn: cache.get("a") >= turn)  # type: ignore[misc, operator]
        clock.advance(7)
    assert source.reads > BACKGROUND_LOADS


def test_a_failure_of_a_load_that_an_invalidation_fenced_does_not_hold_back_the_next(
    source: Source, clock: ManualClock, start: Start
) -> None:
    cache = cache_of(source, clock, retry_time=50)
    cache.get("a")
    clock.advance(10)
    gate = source.gate = Gate()
    source.broken = True
    failing = start(cache.get, "a")
    gate.wait_entered()
    source.gate, source.broken = None, False
    cache.set("a", 77, expiration_time=1)
    source.broken = True
    gate.open()
    assert failing.result() == 77
    source.broken = False
    clock.advance(1)
    assert cache.get("a") == source.reads, "the loader was asked, though one that was fenced had failed"


def test_a_swallowed_failure_costs_a_log_line_and_many_cost_one(
    source: Source, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    cache = cache_of(source, clock)
    for key in "abc":
        cache.get(key)
    clock.advance(10)
    source.broken = True
    with caplog.at_level(logging.WARNING, "lru_cache"):
        for key in "abc":
            cache.get(key)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        clock.advance(1)
        cache.get("a")
    assert "2 more failures" in caplog.records[-1].getMessage()


# -- refreshing ahead ----------------------------------------------------------------------------------------------


def refreshing(source: Source, clock: ManualClock, **options: Any) -> LRUCache[str, int]:
    return LRUCache(source.read, expiration_time=10, refresh_time=4, clock=clock, **options)


def test_a_hit_with_just_enough_life_left_refreshes_nothing(source: Source, clock: ManualClock) -> None:
    cache = refreshing(source, clock)
    cache.get("a")
    clock.advance(6)
    assert cache.get("a") == 1
    assert source.reads == 1


def test_a_hit_with_little_life_left_returns_at_once_and_refreshes(source: Source, clock: ManualClock) -> None:
    cache = refreshing(source, clock)
    cache.get("a")
    clock.advance(6.1)
    gate = source.gate = Gate()
    assert cache.get("a") == 1
    gate.wait_entered()
    assert cache.get("a") == 1
    gate.open()
    eventually(lambda: cache.peek("a") == 2)
    assert cache.expires_in("a") == pytest.approx(10)
    assert source.reads == 2


def test_a_refresh_is_a_hit(source: Source, clock: ManualClock) -> None:
    cache = refreshing(source, clock)
    cache.get("a")
    clock.advance(6.1)
    cache.get("a")
    eventually(lambda: cache.peek("a") == 2)
    assert (cache.stats().hits, cache.stats().misses, cache.stats().loads) == (1, 1, 2)


def test_a_failing_refresh_leaves_the_value_and_waits_for_the_retry_time(
    source: Source, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    cache = refreshing(source, clock, retry_time=2)
    cache.get("a")
    clock.advance(6.1)
    source.broken = True
    assert cache.get("a") == 1
    eventually(lambda: cache.stats().load_failures == 1)
    assert cache.get("a") == 1
    assert source.reads == 2
    clock.advance(2)
    source.broken = False
    assert cache.get("a") == 1
    eventually(lambda: cache.peek("a") == 3)


def test_an_invalidation_fences_a_refresh(source: Source, clock: ManualClock) -> None:
    cache = refreshing(source, clock)
    cache.get("a")
    clock.advance(6.1)
    gate = source.gate = Gate()
    cache.get("a")
    gate.wait_entered()
    cache.invalidate("a")
    gate.open()
    eventually(lambda: cache.stats().fenced_loads == 1)
    assert "a" not in cache


def test_a_refresh_uses_the_loader_of_the_call_that_began_it(clock: ManualClock) -> None:
    cache: LRUCache[str, str] = LRUCache(expiration_time=10, refresh_time=4, clock=clock)
    cache.set("a", "set")
    clock.advance(6.1)
    assert cache.get("a") == "set"
    assert cache.get("a", load=lambda key: "own") == "set"
    eventually(lambda: cache.peek("a") == "own")
