"""What an application does to a cache: the contract of `LRUCache`, apart from loading."""

import math
from collections.abc import Callable, MutableMapping
from datetime import datetime, timedelta, timezone
from typing import Any

import cachetools
import pytest

from lru_cache import LRUCache, Removal, RemovalCause
from lru_cache.testing import ManualClock
from tests.concurrency import CountingLock, Gate, eventually

pytestmark = pytest.mark.usefixtures("each_cache")


@pytest.fixture
def cache(clock: ManualClock) -> LRUCache[Any, Any]:
    return LRUCache(maximum_capacity=100, expiration_time=10, clock=clock)


def loading(clock: ManualClock) -> LRUCache[Any, Any]:
    return LRUCache(lambda key: f"loaded {key}", expiration_time=10, clock=clock)


# -- the seed's words ------------------------------------------------------------------------------------------------


def test_the_seed_s_snippet_works_as_printed() -> None:
    from lru_cache.lru_cache import LRUCache

    def load_callback(key: str) -> str:
        return key

    local_cache = LRUCache(load_callback=load_callback, maximum_capacity=5555, expiration_time=5555)
    assert local_cache.get("test_key") == "test_key"
    assert local_cache.set("test_key", "test_value") == "test_value"
    assert local_cache.get("test_key") == "test_value"


def test_the_arguments_that_the_seed_names_may_be_given_by_position() -> None:
    cache = LRUCache(str, 3, 60)
    assert (cache.maxsize, cache.ttl) == (3, 60)


# -- add -------------------------------------------------------------------------------------------------------------


def test_add_keeps_what_is_absent_and_says_so(cache: LRUCache[Any, Any]) -> None:
    assert (cache.add("a", 1), cache.add("a", 2), cache.get("a")) == (True, False, 1)
    cache.invalidate("a")
    assert (cache.add("a", 3), cache.get("a")) == (True, 3)


def test_add_takes_the_place_of_what_has_expired(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.advance(10)
    assert (cache.add("a", 2), cache.get("a"), cache.stats().expirations) == (True, 2, 1)


def test_add_takes_a_life(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    assert cache.add("a", 1, expiration_time=5)
    assert not cache.add("a", 2, expiration_time=50)
    assert cache.expires_in("a") == 5
    assert cache.add("b", 1, expire_at=datetime.fromtimestamp(clock.time() + 7, timezone.utc))
    assert cache.expires_in("b") == pytest.approx(7, abs=1e-3)
    with pytest.raises(ValueError, match="not both"):
        cache.add("c", 1, expire_at=datetime.now(), expiration_time=5)


def test_add_of_what_has_ended_already_keeps_nothing(cache: LRUCache[Any, Any]) -> None:
    past = datetime(2001, 1, 1)
    assert (cache.add("a", 1, expire_at=past), "a" in cache) == (True, False)
    cache.set("a", 1)
    assert (cache.add("a", 2, expire_at=past), cache.get("a")) == (False, 1)


def test_add_to_what_is_held_is_no_use_of_it(clock: ManualClock) -> None:
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=2, clock=clock)
    cache["a"], cache["b"] = 1, 2
    cache.add("a", 3)
    cache["c"] = 3
    assert list(cache) == ["b", "c"]
    assert cache.stats().hits == 0


def test_add_answers_who_waits_for_a_load(cache: LRUCache[Any, Any], start: Callable[..., Any]) -> None:
    gate = Gate()

    def slow(key: str) -> str:
        gate.pass_through()
        return "loaded"

    loading = start(cache.get, "a", load=slow)
    gate.wait_entered()
    assert cache.add("a", "added")
    gate.open()
    assert loading.result() == "added"
    assert cache.get("a") == "added"


def test_add_tells_the_listener_of_what_it_evicts(clock: ManualClock) -> None:
    told: list[Any] = []
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=1, clock=clock, on_removal=told.append)
    cache.add("a", 1)
    cache.add("b", 2)
    assert [(removal.key, removal.cause) for removal in told] == [("a", "evicted")]


# -- nothing takes longer because there is much -----------------------------------------------------------------------

MANY = 5_000


@pytest.fixture
def large(clock: ManualClock) -> LRUCache[Any, Any]:
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=MANY, expiration_time=10, clock=clock)
    cache.set_many((number, str(number)) for number in range(MANY))
    return cache


@pytest.mark.parametrize("act", [list, lambda c: list(c.items()), lambda c: c.keys_known(), lambda c: c.expire()])
def test_what_goes_through_all_lets_others_in(
    large: LRUCache[Any, Any], clock: ManualClock, act: Callable[[Any], Any]
) -> None:
    large._lock = locks = CountingLock(large._lock)
    act(large)
    clock.advance(10)
    assert large.expire() == MANY
    assert locks.taken >= MANY / 1_000


@pytest.mark.parametrize("act", [len, lambda c: c.stats().size, lambda c: int(repr(c).split(": ")[1].split()[0])])
def test_what_counts_lets_others_in_where_many_have_expired(
    large: LRUCache[Any, Any], clock: ManualClock, act: Callable[[Any], Any]
) -> None:
    large.set("last", 1, expiration_time=100)
    clock.advance(10)
    large._lock = locks = CountingLock(large._lock)
    assert act(large) == 1
    taken = locks.taken
    assert len(large) == 1
    assert locks.taken - taken <= 1


def test_a_clear_is_seen_before_the_first_is_told_of_and_the_lock_is_free(clock: ManualClock) -> None:
    seen: list[Any] = []
    cache: LRUCache[Any, Any] = LRUCache(
        maximum_capacity=MANY,
        clock=clock,
        on_removal=lambda removal: seen.append((removal.key, len(cache), cache._within_lock())),
    )
    cache.set_many((number, number) for number in range(MANY))
    cache.clear()
    assert seen == [(number, 0, False) for number in range(MANY)]


def test_what_is_written_while_others_are_listed_disturbs_nothing(large: LRUCache[Any, Any]) -> None:
    keys = iter(large)
    found = [next(keys)]
    large.invalidate_many(range(100))
    large.set("new", 1)
    found += keys
    assert found == list(range(MANY))


# -- lives -----------------------------------------------------------------------------------------------------------


def test_a_value_is_served_until_its_life_ends_and_not_after(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.advance(9.999)
    assert cache.get("a") == 1
    clock.advance(0.001)
    assert cache.get("a") is None


def test_reading_does_not_lengthen_a_life(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.advance(5)
    cache.get("a")
    assert cache.expires_in("a") == 5


def test_a_set_restarts_the_life(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.advance(9)
    cache.set("a", 2)
    assert cache.expires_in("a") == 10


@pytest.mark.parametrize(("first", "second"), [(100, 5), (5, 100), (None, 5), (5, None)])
def test_the_life_of_the_latest_set_counts(
    cache: LRUCache[Any, Any], clock: ManualClock, first: float | None, second: float | None
) -> None:
    cache.set("a", 1, expiration_time=first)
    cache.set("a", 2, expiration_time=second)
    clock.advance(4.999)
    assert cache.get("a") == 2
    clock.advance(0.001)
    assert cache.get("a") == (None if second == 5 else 2)
    assert cache.expires_in("a") == (95 if second == 100 else None) if second != 5 else "a" not in cache


def test_none_never_expires(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1, expiration_time=None)
    clock.advance(1e9)
    assert cache.get("a") == 1
    assert cache.expires_in("a") is None


def test_a_cache_without_expiry_keeps_for_ever(clock: ManualClock) -> None:
    cache: LRUCache[str, int] = LRUCache(expiration_time=None, clock=clock)
    cache.set("a", 1)
    clock.advance(1e12)
    assert (cache.get("a"), cache.ttl) == (1, None)


def test_a_timedelta_is_a_duration(clock: ManualClock) -> None:
    cache: LRUCache[str, int] = LRUCache(expiration_time=timedelta(minutes=1), clock=clock)
    cache.set("a", 1)
    cache.set("b", 1, expiration_time=timedelta(seconds=2))
    assert (cache.expires_in("a"), cache.expires_in("b"), cache.ttl) == (60, 2, 60)


def test_expire_at_takes_an_aware_date(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    end = datetime.fromtimestamp(clock.time() + 77, timezone(timedelta(hours=-5)))
    cache.set("a", 1, expire_at=end)
    assert cache.expires_in("a") == pytest.approx(77)


def test_expire_at_takes_a_naive_date_as_local_time(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1, expire_at=datetime.fromtimestamp(clock.time() + 77))
    assert cache.expires_in("a") == pytest.approx(77)


def test_expire_at_in_the_past_is_an_invalidation(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    assert cache.set("a", 2, expire_at=datetime.fromtimestamp(clock.time() - 1, timezone.utc)) == 2
    assert "a" not in cache
    assert cache.stats().invalidations == 1


def test_expire_at_now_is_past(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1, expire_at=datetime.fromtimestamp(clock.time(), timezone.utc))
    assert "a" not in cache


def test_a_step_of_the_wall_clock_changes_no_life(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.set_time(clock.time() + 1e6)
    assert cache.expires_in("a") == 10


def test_jitter_shortens_lives_within_its_bounds_and_differently(clock: ManualClock) -> None:
    cache: LRUCache[int, int] = LRUCache(expiration_time=100, expiration_jitter=0.25, clock=clock)
    for i in range(200):
        cache.set(i, i)
    lives = [cache.expires_in(i) or math.inf for i in range(200)]
    assert 75 <= min(lives) < 80
    assert 95 < max(lives) <= 100


def test_jitter_leaves_a_life_that_was_asked_for(clock: ManualClock) -> None:
    cache: LRUCache[str, int] = LRUCache(expiration_time=100, expiration_jitter=1, clock=clock)
    cache.set("a", 1, expiration_time=50)
    assert cache.expires_in("a") == 50


def test_touch_restarts_the_life_and_leaves_the_value(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.advance(9)
    assert cache.touch("a")
    assert (cache.expires_in("a"), cache.get("a")) == (10, 1)


def test_touch_takes_a_life(cache: LRUCache[Any, Any]) -> None:
    cache.set("a", 1)
    assert cache.touch("a", expiration_time=3)
    assert cache.expires_in("a") == 3
    assert cache.touch("a", 500)
    assert cache.expires_in("a") == 500


def test_touch_of_what_is_absent_or_expired_is_false(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.advance(10)
    assert not cache.touch("a")
    assert not cache.touch("b")


def test_touch_is_a_use() -> None:
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=2)
    cache.update(a=1, b=2)
    cache.touch("a")
    cache.set("c", 3)
    assert list(cache) == ["a", "c"]


def test_expire_drops_what_has_expired_and_counts_it(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    for i in range(30):
        cache.set(i, i, expiration_time=i + 1)
    clock.advance(20)
    assert cache.expire() == 20
    assert cache.expire() == 0
    assert cache.stats().expirations == 20


def test_expired_entries_leave_memory_with_the_work_of_others(clock: ManualClock) -> None:
    """No thread, and no call that scans everything: each write or miss drops some."""
    left: list[Any] = []
    cache: LRUCache[int, int] = LRUCache(expiration_time=10, on_removal=left.append, clock=clock)
    for i in range(1000):
        cache.set(i, i)
    clock.advance(10)
    for i in range(500):
        before = len(left)
        cache.get(-1)
        cache.set(5000 + i % 3, i)
        assert len(left) - before < 50
    assert sum(removal.cause == "expired" for removal in left) == 1000


def test_expires_in_of_an_absent_key_is_a_key_error(cache: LRUCache[Any, Any]) -> None:
    with pytest.raises(KeyError):
        cache.expires_in("a")


# -- order -----------------------------------------------------------------------------------------------------------


def test_the_least_recently_used_leaves_first() -> None:
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=3)
    cache.update(a=1, b=2, c=3)
    cache.get("a")
    cache.set("d", 4)
    assert list(cache) == ["c", "a", "d"]


@pytest.mark.parametrize(
    "look",
    [
        lambda c: c.peek("a"),
        lambda c: "a" in c,
        lambda c: list(c.items()),
        lambda c: list(c.values()),
        lambda c: c.expires_in("a"),
        len,
        list,
        lambda c: ("a", 1) in c.items(),
        lambda c: c.stats(),
    ],
)
def test_looking_is_no_use_and_no_hit(look: Callable[[Any], Any]) -> None:
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=2)
    cache.update(a=1, b=2)
    look(cache)
    assert (cache.stats().hits, cache.stats().misses) == (0, 0)
    cache.set("c", 3)
    assert "a" not in cache


# -- invalidating ----------------------------------------------------------------------------------------------------


def test_invalidate_tells_whether_something_was_held(cache: LRUCache[Any, Any]) -> None:
    cache.set("a", 1)
    assert cache.invalidate("a") is True
    assert cache.invalidate("a") is False


def test_invalidate_of_what_has_expired_is_false(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.advance(10)
    assert cache.invalidate("a") is False


def test_invalidate_many_counts_those_that_were_held(cache: LRUCache[Any, Any]) -> None:
    cache.update(a=1, b=2, c=3)
    assert cache.invalidate_many(iter(["a", "c", "x"])) == 2
    assert list(cache) == ["b"]
    assert cache.stats().invalidations == 3


def test_clear_leaves_nothing(cache: LRUCache[Any, Any]) -> None:
    cache.update(a=1, b=2)
    cache.clear()
    assert (len(cache), list(cache), cache.get("a")) == (0, [], None)


def test_del_of_an_absent_key_is_a_key_error_and_an_invalidation(cache: LRUCache[Any, Any]) -> None:
    with pytest.raises(KeyError):
        del cache["a"]
    assert cache.stats().invalidations == 1


def test_pop_returns_what_was_held(cache: LRUCache[Any, Any]) -> None:
    cache.set("a", None)
    assert cache.pop("a", "default") is None
    assert cache.pop("a", "default") == "default"
    assert cache.pop("a", default=None) is None
    with pytest.raises(KeyError):
        cache.pop("a")
    assert cache.stats().invalidations == 4


def test_popitem_takes_the_least_recently_used(cache: LRUCache[Any, Any]) -> None:
    cache.update(a=1, b=2)
    cache.get("a")
    assert cache.popitem() == ("b", 2)
    assert cache.popitem() == ("a", 1)
    with pytest.raises(KeyError):
        cache.popitem()
    assert cache.stats().invalidations == 2


def test_popitem_fences_a_refresh_of_what_it_takes(clock: ManualClock) -> None:
    cache: LRUCache[str, str] = LRUCache(expiration_time=10, refresh_time=5, clock=clock)
    gate = Gate()

    def slow(key: str) -> str:
        gate.pass_through()
        return "refreshed"

    cache.set("a", "old")
    clock.advance(6)
    assert cache.get("a", load=slow) == "old"
    gate.wait_entered()
    assert cache.popitem() == ("a", "old")
    gate.open()
    eventually(lambda: cache.stats().fenced_loads == 1)
    assert "a" not in cache


def test_popitem_passes_over_what_has_expired(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("expired", 1, expiration_time=1)
    cache.set("alive", 2)
    clock.advance(1)
    assert cache.popitem() == ("alive", 2)
    with pytest.raises(KeyError):
        cache.popitem()


# -- the mapping -----------------------------------------------------------------------------------------------------


def test_is_a_mutable_mapping(cache: LRUCache[Any, Any]) -> None:
    assert isinstance(cache, MutableMapping)
    cache["a"] = 1
    assert (cache["a"], len(cache), dict(cache), cache == {"a": 1}) == (1, 1, {"a": 1}, True)


def test_subscription_loads_or_raises(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    assert loading(clock)["a"] == "loaded a"
    with pytest.raises(KeyError, match="a"):
        cache["a"]


@pytest.mark.parametrize(
    "act",
    [
        lambda c: "a" in c,
        lambda c: c.pop("a", None),
        lambda c: c.setdefault("b", 1),
        lambda c: list(c.items()),
        lambda c: list(c.values()),
        lambda c: list(c.keys()),
        lambda c: ("a", 1) in c.items(),
        lambda c: "x" in c.values(),
        lambda c: c.peek("a"),
        lambda c: c.invalidate("a"),
        lambda c: c == {},
    ],
)
def test_does_not_load(clock: ManualClock, act: Callable[[Any], Any]) -> None:
    cache = loading(clock)
    cache.set("held", 1)
    clock.advance(10)
    act(cache)
    assert cache.stats().loads == 0


def test_iteration_skips_what_has_expired(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1, expiration_time=1)
    cache.set("b", 2)
    clock.advance(1)
    assert (list(cache), list(cache.items()), list(cache.values()), len(cache)) == (["b"], [("b", 2)], [2], 1)
    assert "a" not in cache
    assert 1 not in cache.values()


def test_iteration_is_a_snapshot(cache: LRUCache[Any, Any]) -> None:
    cache.update({i: i for i in range(10)})
    seen = []
    for key in cache:
        seen.append(key)
        cache.set(key + 100, 0)
        cache.invalidate(9 - key)
    assert seen == list(range(10))


def test_setdefault_keeps_what_is_there(cache: LRUCache[Any, Any]) -> None:
    assert cache.setdefault("a", 1) == 1
    assert cache.setdefault("a", 2) == 1
    assert cache.setdefault("b") is None
    assert "b" in cache


def test_setdefault_is_a_hit_and_a_use_of_what_is_there() -> None:
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=2)
    cache.update(a=1, b=2)
    cache.setdefault("a", 9)
    cache.set("c", 3)
    assert list(cache) == ["a", "c"]
    assert cache.stats().hits == 1


def test_setdefault_replaces_what_has_expired(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set("a", 1)
    clock.advance(10)
    assert cache.setdefault("a", 2) == 2


def test_get_many_loads_what_is_missing(clock: ManualClock) -> None:
    cache = loading(clock)
    cache.set("a", 1)
    assert cache.get_many(["a", "b"]) == {"a": 1, "b": "loaded b"}


def test_get_many_leaves_out_what_is_missing_where_there_is_no_loader(cache: LRUCache[Any, Any]) -> None:
    cache.update(a=1, b=None)
    assert cache.get_many(iter(["a", "b", "c"])) == {"a": 1, "b": None}


def test_set_many_takes_a_mapping_or_pairs_and_a_life(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    cache.set_many({"a": 1, "b": 2}, expiration_time=3)
    cache.set_many([("c", 3)])
    assert (cache.expires_in("a"), cache.expires_in("c"), dict(cache)) == (3, 10, {"a": 1, "b": 2, "c": 3})
    cache.set_many({"a": 9, "c": 9}, expire_at=datetime.fromtimestamp(clock.time() - 1, timezone.utc))
    assert list(cache) == ["b"]


def test_unhashable_keys_are_refused(cache: LRUCache[Any, Any]) -> None:
    for act in (cache.get, cache.invalidate, cache.peek, cache.touch, cache.expires_in, lambda key: cache.set(key, 1)):
        with pytest.raises(TypeError, match=r"unhashable|of type list"):
            act([])
    assert len(cache) == 0


def test_repr_tells_how_full_it_is(cache: LRUCache[Any, Any]) -> None:
    cache.set("a", 1)
    assert repr(cache).startswith(f"<{type(cache).__name__}")
    assert "1 of 100 entries" in repr(cache)


def test_an_empty_cache_is_false_as_mappings_are(cache: LRUCache[Any, Any]) -> None:
    assert not cache
    cache.set("a", 1)
    assert cache


# -- cachetools ------------------------------------------------------------------------------------------------------


def test_reads_as_a_cache_of_cachetools(cache: LRUCache[Any, Any]) -> None:
    cache.set("a", 1)
    assert (cache.maxsize, cache.currsize, cache.ttl) == (100, 1, 10)


@pytest.mark.parametrize("info", [False, True])
def test_cachetools_cached_works_on_it(cache: LRUCache[Any, Any], info: bool) -> None:
    calls = []

    @cachetools.cached(cache, info=info)
    def double(n: int) -> int:
        calls.append(n)
        return 2 * n

    assert [double(1), double(1), double(2)] == [2, 2, 4]
    assert calls == [1, 2]
    if info:
        assert double.cache_info()[:2] == (1, 2)


# -- removals --------------------------------------------------------------------------------------------------------


@pytest.fixture
def removals() -> list[Removal[Any, Any]]:
    return []


@pytest.fixture
def told(removals: list[Removal[Any, Any]], clock: ManualClock) -> LRUCache[Any, Any]:
    return LRUCache(maximum_capacity=2, expiration_time=10, on_removal=removals.append, clock=clock)


def test_the_listener_is_told_of_every_cause(
    told: LRUCache[Any, Any], removals: list[Removal[Any, Any]], clock: ManualClock
) -> None:
    told.set("a", 1)
    told.set("a", 2)
    told.set("b", 3)
    told.set("c", 4)
    told.invalidate("b")
    clock.advance(10)
    told.get("c")
    told.set("d", 5)
    told.clear()
    assert [(r.key, r.value, r.cause) for r in removals] == [
        ("a", 1, "replaced"),
        ("a", 2, "evicted"),
        ("b", 3, "invalidated"),
        ("c", 4, "expired"),
        ("d", 5, "cleared"),
    ]


def test_expire_tells_the_listener(
    told: LRUCache[Any, Any], removals: list[Removal[Any, Any]], clock: ManualClock
) -> None:
    told.set("a", 1)
    clock.advance(10)
    told.expire()
    assert [(r.key, r.cause) for r in removals] == [("a", "expired")]


def test_setdefault_tells_the_listener_of_what_it_evicts(
    told: LRUCache[Any, Any], removals: list[Removal[Any, Any]]
) -> None:
    told.update(a=1, b=2)
    told.setdefault("c", 3)
    assert [(r.key, r.cause) for r in removals] == [("a", "evicted")]


def test_a_removal_is_frozen_and_its_cause_is_its_name() -> None:
    removal = Removal("a", 1, RemovalCause.EVICTED)
    assert (str(removal.cause), removal.cause) == ("evicted", "evicted")
    with pytest.raises(AttributeError):
        removal.key = "b"  # type: ignore[misc]


def test_pop_and_popitem_and_del_are_invalidations_to_the_listener(
    told: LRUCache[Any, Any], removals: list[Removal[Any, Any]]
) -> None:
    told.update(a=1, b=2)
    told.pop("a")
    told.popitem()
    told.set("c", 3)
    del told["c"]
    assert [(r.key, r.cause) for r in removals] == [(key, RemovalCause.INVALIDATED) for key in "abc"]


def test_a_listener_that_raises_costs_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    def listener(removal: Removal[str, int]) -> None:
        raise ValueError("listener's own")

    cache: LRUCache[str, int] = LRUCache(on_removal=listener)
    cache.set("a", 1)
    assert cache.set("a", 2) == 2
    assert "on_removal raised for key 'a'" in caplog.text


def test_a_listener_may_use_the_cache(clock: ManualClock) -> None:
    second: dict[str, int] = {}

    def listener(removal: Removal[str, int]) -> None:
        if removal.cause is RemovalCause.EVICTED:
            second[removal.key] = removal.value
            cache.get("b")
            cache.set("b", removal.value)
            cache.invalidate("a")

    cache: LRUCache[str, int] = LRUCache(maximum_capacity=2, on_removal=listener)
    cache.update(a=1, b=2)
    cache.set("c", 3)
    assert second == {"a": 1}
    assert dict(cache) == {"c": 3, "b": 1}


def test_the_listener_is_called_outside_the_lock() -> None:
    held: list[bool] = []
    cache: LRUCache[str, int] = LRUCache(on_removal=lambda removal: held.append(cache._within_lock()))
    cache.set("a", 1)
    cache.set("a", 2)
    cache.invalidate("a")
    cache.set("b", 1)
    cache.clear()
    assert held == [False] * 3


# -- figures ---------------------------------------------------------------------------------------------------------


def test_stats_are_frozen_and_start_at_nothing() -> None:
    stats = LRUCache[str, int](maximum_capacity=7).stats()
    assert stats.capacity == 7
    assert (stats.hits, stats.misses, stats.loads, stats.load_failures, stats.fenced_loads) == (0, 0, 0, 0, 0)
    assert (stats.stale_served, stats.evictions, stats.expirations, stats.invalidations, stats.size) == (0, 0, 0, 0, 0)
    with pytest.raises(AttributeError):
        stats.hits = 1  # type: ignore[misc]


def test_stats_count_evictions(clock: ManualClock) -> None:
    cache: LRUCache[int, int] = LRUCache(maximum_capacity=3, clock=clock)
    for i in range(10):
        cache.set(i, i)
    assert (cache.stats().evictions, cache.stats().size) == (7, 3)
