"""A wrong argument gets one line that names it."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from lru_cache import LRUCache, LRUCacheDistributed
from lru_cache.testing import ManualClock
from tests.naming import named

pytestmark = pytest.mark.usefixtures("each_cache")

DURATIONS = ["expiration_time", "stale_time", "refresh_time", "load_timeout", "retry_time"]


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [-1, -0.001, float("nan"), float("-inf"), timedelta(seconds=-1)])
def test_a_duration_must_be_positive(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        LRUCache(**{name: value})


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", ["5", b"5", [], True, Decimal(5), 5j, datetime.now])
def test_a_duration_is_a_number_or_a_timedelta(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        LRUCache(**{name: value})


@pytest.mark.parametrize("name", [name for name in DURATIONS if name != "stale_time"])
@pytest.mark.parametrize("value", [0, 0.0, timedelta(0)])
def test_no_duration_may_be_zero_but_the_stale_time(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        LRUCache(**{name: value})


@pytest.mark.parametrize("options", [{"stale_time": 0}, {}])
def test_the_stale_time_may_be_zero_and_is_by_default(options: Any, clock: ManualClock) -> None:
    def fail(key: str) -> int:
        raise OSError

    cache: LRUCache[str, int] = LRUCache(fail, expiration_time=1, clock=clock, **options)
    cache.set("a", 1)
    clock.advance(1)
    with pytest.raises(OSError):
        cache.get("a")


@pytest.mark.parametrize("name", ["stale_time", "retry_time"])
def test_these_durations_may_not_be_left_out_by_none(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        LRUCache(**{name: None})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DURATIONS)
def test_a_duration_beyond_floats_is_refused_in_a_short_line(name: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        LRUCache(**{name: 10**10000})  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200


def test_a_capacity_is_not_negative() -> None:
    with pytest.raises(ValueError, match="maximum_capacity"):
        LRUCache(maximum_capacity=-1)


@pytest.mark.parametrize("value", ["10", 10.0, True])
def test_a_capacity_is_an_int(value: Any) -> None:
    with pytest.raises(TypeError, match="maximum_capacity"):
        LRUCache(maximum_capacity=value)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_jitter_is_a_fraction(value: float) -> None:
    with pytest.raises(ValueError, match="expiration_jitter"):
        LRUCache(expiration_jitter=value)


@pytest.mark.parametrize("value", ["0.5", None, True])
def test_a_jitter_is_a_number(value: Any) -> None:
    with pytest.raises(TypeError, match="expiration_jitter"):
        LRUCache(expiration_jitter=value)


@pytest.mark.parametrize("name", ["load_callback", "on_removal"])
def test_callbacks_are_callable(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        LRUCache(**{name: "not a function"})  # type: ignore[arg-type]


def test_a_load_for_one_call_is_callable() -> None:
    cache: LRUCache[str, int] = LRUCache()
    with pytest.raises(TypeError, match="load must be callable"):
        cache.get("a", load="not a function")  # type: ignore[call-overload]


def test_a_clock_has_both_times() -> None:
    with pytest.raises(TypeError, match=r"clock must have monotonic\(\) and time\(\)"):
        LRUCache(clock=object())  # type: ignore[arg-type]


@pytest.mark.parametrize("life", [-1, float("nan")])
def test_a_life_for_one_entry_must_be_positive_and_changes_nothing_if_not(life: float) -> None:
    cache: LRUCache[str, int] = LRUCache()
    cache.set("a", 1)
    for act in (
        lambda: cache.set("a", 2, expiration_time=life),
        lambda: cache.set("a", expiration_time=life),
        lambda: cache.touch("a", expiration_time=life),
        lambda: cache.set_many({"a": 2}, expiration_time=life),
        lambda: cache.memoize(expiration_time=life),
    ):
        with pytest.raises(ValueError, match="expiration_time"):
            act()
    assert cache.get("a") == 1


def test_a_set_takes_an_end_or_a_life_and_not_both() -> None:
    cache: LRUCache[str, int] = LRUCache()
    with pytest.raises(ValueError, match="either expire_at or expiration_time"):
        cache.set("a", 1, expire_at=datetime.now(), expiration_time=5)
    assert "a" not in cache


@pytest.mark.parametrize("end", [5, "tomorrow", date(2030, 1, 1), timedelta(5)])
def test_an_end_is_a_datetime(end: Any) -> None:
    cache: LRUCache[str, int] = LRUCache()
    with pytest.raises(TypeError, match="expire_at"):
        cache.set("a", 1, expire_at=end)


@pytest.mark.parametrize(("end", "held"), [(datetime.min, False), (datetime.max, True)])
def test_an_end_that_no_clock_can_show_is_past_or_never_comes(end: datetime, held: bool) -> None:
    cache: LRUCache[str, int] = LRUCache()
    cache.set("a", 1, expire_at=end)
    assert ("a" in cache) is held


def test_a_stale_time_without_end_is_refused() -> None:
    """Such a value would never have expired."""
    with pytest.raises(ValueError, match="stale_time"):
        LRUCache(stale_time=float("inf"))


@pytest.mark.parametrize(
    "loader", [Mock(), Mock().load, str, "a".__add__, partial(max, "a"), lambda key: key], ids=named
)
def test_whatever_can_be_called_is_a_loader(loader: Any) -> None:
    LRUCache(loader).get("b")


@pytest.mark.parametrize("given", [5, [1], "abc", [("a", 1), ("b",)], [("a", 1, 2)], None], ids=named)
def test_set_many_takes_pairs_and_says_so(given: Any) -> None:
    cache: LRUCache[Any, Any] = LRUCache()
    with pytest.raises(TypeError, match=r"^mapping must be "):
        cache.set_many(given)
    assert not cache


def test_several_keys_are_to_be_iterable() -> None:
    cache: LRUCache[Any, Any] = LRUCache()
    for act in (cache.get_many, cache.invalidate_many):
        with pytest.raises(TypeError, match="keys must be iterable, and int is not"):
            act(5)  # type: ignore[operator]


def test_set_many_keeps_all_or_nothing() -> None:
    cache: LRUCache[Any, Any] = LRUCache()
    with pytest.raises(TypeError, match="unhashable"):
        cache.set_many([("a", 1), ([], 2)])
    assert not cache
    with LRUCacheDistributed[Any, Any]() as replicated:
        with pytest.raises(TypeError, match="cannot be encoded"):
            replicated.set_many({"a": 1, "b": object()})
        assert not replicated
