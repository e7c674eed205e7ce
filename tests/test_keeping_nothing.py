"""A cache that is off, one without bound, lives of zero, and what a subclass may not bring."""

from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import Loaded, LRUCache, LRUCacheDistributed
from lru_cache.testing import ManualClock
from tests.concurrency import Gate, Started, eventually

pytestmark = pytest.mark.usefixtures("each_cache")


# -- a capacity of zero ------------------------------------------------------------------------------------------------


def test_a_cache_without_room_keeps_nothing_that_is_set() -> None:
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=0)
    assert cache.set("a", 1) == 1
    cache["b"] = 2
    cache.set_many({"c": 3})
    assert cache.setdefault("d", 4) == 4
    assert cache.add("e", 5)
    assert cache.add("e", 5)
    assert (len(cache), list(cache), cache.get("a"), cache.peek("b"), "c" in cache) == (0, [], None, None, False)
    assert not cache.invalidate("a")
    assert not cache.touch("a")
    with pytest.raises(KeyError):
        cache["a"]
    assert (cache.maxsize, cache.stats().capacity, cache.stats().size) == (0, 0, 0)
    assert "0 of 0 entries" in repr(cache)


def test_a_cache_without_room_loads_for_each_get() -> None:
    asked: list[str] = []
    cache: LRUCache[str, str] = LRUCache(lambda key: asked.append(key) or key.upper(), maximum_capacity=0)
    assert [cache.get("a"), cache["a"], cache.get_many(["a"]), cache.set("a")] == ["A", "A", {"A".lower(): "A"}, "A"]
    assert len(asked) == 4
    assert len(cache) == 0


def test_a_cache_without_room_shares_a_load_among_those_who_wait(start: Callable[..., Started]) -> None:
    gate, runs = Gate(), []

    def load(key: str) -> str:
        runs.append(key)
        gate.pass_through()
        return "loaded"

    cache: LRUCache[str, str] = LRUCache(load, maximum_capacity=0)
    leader = start(cache.get, "a")
    gate.wait_entered()
    waiting = [start(cache.get, "a") for _ in range(5)]
    eventually(lambda: cache.stats().misses == 6)
    gate.open()
    assert [each.result() for each in [leader, *waiting]] == ["loaded"] * 6
    assert runs == ["a"]
    cache.get("a")
    assert runs == ["a", "a"]


def test_a_set_answers_those_who_wait_in_a_cache_without_room(start: Callable[..., Started]) -> None:
    gate = Gate()
    cache: LRUCache[str, str] = LRUCache(lambda key: gate.pass_through() or "loaded", maximum_capacity=0)
    leader = start(cache.get, "a")
    gate.wait_entered()
    waiting = start(cache.get, "a")
    eventually(lambda: cache.stats().misses == 2)
    cache.set("a", "set")
    assert waiting.result() == "set"
    gate.open()
    assert leader.result() == "loaded"


def test_memoize_on_a_cache_without_room_computes_each_time() -> None:
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=0)
    double = cache.memoize()(lambda n: 2 * n)
    assert [double(1), double(1)] == [2, 2]
    assert double.cache_info() == (0, 2, 0, 0)


def test_a_listener_of_a_cache_without_room_hears_of_nothing() -> None:
    heard: list[Any] = []
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=0, on_removal=heard.append)
    cache.set("a", 1)
    cache.get("a", load=len)
    assert heard == []


@pytest.mark.parametrize("value", [-1, "0", 0.0, False])
def test_any_other_capacity_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="maximum_capacity"):
        LRUCache(maximum_capacity=value)


# -- no capacity -------------------------------------------------------------------------------------------------------


def test_none_is_a_capacity_without_bound() -> None:
    cache: LRUCache[int, int] = LRUCache(maximum_capacity=None)
    for number in range(60_000):
        cache.set(number, number)
    assert (len(cache), cache.stats().evictions, cache.maxsize, cache.stats().capacity) == (60_000, 0, None, None)
    assert "60000 entries" in repr(cache)
    assert cache.memoize()(len).cache_parameters()["maxsize"] is None


# -- lives of zero -----------------------------------------------------------------------------------------------------


def test_a_set_with_a_life_of_zero_drops_what_was_held() -> None:
    cache: LRUCache[str, int] = LRUCache()
    cache.set("a", 1)
    assert cache.set("a", 2, expiration_time=0) == 2
    assert "a" not in cache
    cache.set_many({"a": 1, "b": 2}, expiration_time=0)
    assert len(cache) == 0


def test_a_set_without_a_value_and_with_a_life_of_zero_loads_and_keeps_nothing() -> None:
    cache: LRUCache[str, str] = LRUCache(str.upper)
    cache.set("a", "old")
    assert cache.set("a", expiration_time=0) == "A"
    assert "a" not in cache


def test_a_touch_with_a_life_of_zero_ends_the_life() -> None:
    cache: LRUCache[str, int] = LRUCache()
    cache.set("a", 1)
    assert cache.touch("a", 0)
    assert "a" not in cache
    assert not cache.touch("a", 0)


def test_a_loaded_value_with_a_life_of_zero_goes_to_who_asked_alone() -> None:
    asked: list[str] = []
    cache: LRUCache[str, str] = LRUCache(lambda key: asked.append(key) or Loaded("value", expiration_time=0))
    assert [cache.get("a"), cache.get("a")] == ["value", "value"]
    assert asked == ["a", "a"]
    assert "a" not in cache


def test_a_refresh_that_is_not_to_be_kept_drops_the_older_value(clock: ManualClock) -> None:
    cache: LRUCache[str, str] = LRUCache(
        lambda key: Loaded("new", expiration_time=0), expiration_time=10, refresh_time=5, clock=clock
    )
    cache.set("a", "old")
    clock.advance(6)
    assert cache.get("a") == "old"
    eventually(lambda: "a" not in cache)


@pytest.mark.parametrize("life", [-1, float("nan")])
def test_other_lives_are_refused(life: float) -> None:
    cache: LRUCache[str, int] = LRUCache()
    with pytest.raises(ValueError, match="expiration_time"):
        cache.set("a", 1, expiration_time=life)
    with pytest.raises(ValueError, match="expiration_time"):
        LRUCache(expiration_time=0)


# -- between nodes -----------------------------------------------------------------------------------------------------


def test_a_node_without_room_reads_nothing_of_others_and_tells_them_what_it_has_written(nodes: Any) -> None:
    server: LRUCacheDistributed[str, int] = nodes(local_address=("127.0.0.1", 0))
    client: LRUCacheDistributed[str, int] = nodes(remote_address=server.local_address, maximum_capacity=0)
    assert client.wait_connected(timeout=10)
    server.set("a", 1)
    server.flush(timeout=10)
    assert (client.get("a"), "a" in client, list(client), len(client)) == (None, False, [], 0)
    assert client.stats().size == 0
    client.set("a", 2)
    assert client.flush(timeout=10)
    assert server.get("a") in (None, 2)


# -- subclasses --------------------------------------------------------------------------------------------------------


def test_a_subclass_that_brings_a_missing_is_told_what_to_do() -> None:
    """A dict would ask it; a hit would pay for that here."""
    with pytest.raises(TypeError, match="__missing__ would never be asked: pass load_callback"):
        type("Mine", (LRUCache,), {"__missing__": lambda self, key: key})
