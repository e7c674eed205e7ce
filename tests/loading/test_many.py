"""`load_many`: one call for all that is missing, and one load for each key among all who ask for it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from lru_cache import Loaded, LRUCache, RecursiveLoadError
from lru_cache.testing import ManualClock
from tests.concurrency import Gate, Started, eventually

pytestmark = pytest.mark.usefixtures("each_face")

Start = Callable[..., Started]


class Source:
    """Answers for texts without an x, and notes what it was asked."""

    def __init__(self, gate: Gate | None = None) -> None:
        self.calls: list[list[str]] = []
        self._gate = gate

    def __call__(self, keys: list[str]) -> dict[str, Any]:
        self.calls.append(keys)
        if self._gate is not None:
            self._gate.pass_through()
        return {key: key.upper() for key in keys if "x" not in key}


def test_all_missing_keys_are_loaded_by_one_call() -> None:
    source = Source()
    cache: LRUCache[str, str] = LRUCache(load_many=source)
    cache.set("b", "held")
    assert cache.get_many(["a", "b", "c", "a"]) == {"a": "A", "b": "held", "c": "C"}
    assert cache.get_many(iter("abc")) == {"a": "A", "b": "held", "c": "C"}
    assert source.calls == [["a", "c"]]
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.loads, stats.load_failures) == (4, 2, 1, 0)


def test_the_order_is_that_of_the_keys() -> None:
    cache: LRUCache[str, str] = LRUCache(load_many=lambda keys: {key: key for key in reversed(keys)})
    cache.set("b", "b")
    assert list(cache.get_many("cab")) == ["c", "a", "b"]


def test_keys_that_are_left_out_are_misses() -> None:
    source = Source()
    cache: LRUCache[str, str] = LRUCache(load_many=source)
    assert cache.get_many(["a", "x"]) == {"a": "A"}
    assert "x" not in cache
    assert cache.get_many(["x"]) == {}
    assert source.calls == [["a", "x"], ["x"]]
    assert cache.stats().load_failures == 0


def test_a_get_asks_the_loader_of_many_where_there_is_no_other() -> None:
    source = Source()
    cache: LRUCache[str, str] = LRUCache(load_many=source)
    assert [cache.get("a"), cache["a"], cache.get("x"), cache.get("x", "default"), cache.set("x")] == [
        "A", "A", None, "default", None,
    ]  # fmt: skip
    with pytest.raises(KeyError):
        cache["x"]
    cache.set("x", expiration_time=5)
    assert source.calls[:2] == [["a"], ["x"]]
    assert cache.stats().load_failures == 0
    assert not cache._flights.running


def test_a_loader_of_one_answers_get_and_that_of_many_get_many() -> None:
    cache: LRUCache[str, str] = LRUCache(lambda key: f"one {key}", load_many=Source())
    assert cache.get("a") == "one a"
    assert cache.get_many(["a", "b"]) == {"a": "one a", "b": "B"}
    assert cache.get_many(["c"], load_many=lambda keys: {"c": "of this call", "d": "not asked for"}) == {
        "c": "of this call"
    }
    assert "d" not in cache


def test_values_may_choose_their_lives(clock: ManualClock) -> None:
    cache: LRUCache[str, str] = LRUCache(load_many=lambda keys: {key: Loaded(key, 5) for key in keys}, clock=clock)
    assert cache.get_many("ab") == {"a": "a", "b": "b"}
    assert cache.expires_in("b") == 5


def test_a_get_shares_the_load_of_a_get_many(start: Start) -> None:
    gate = Gate()
    source = Source(gate)
    cache: LRUCache[str, str] = LRUCache(load_many=source)
    many = start(cache.get_many, ["a", "b", "x"])
    gate.wait_entered()
    ones = [start(cache.get, key, "none") for key in "abx"]
    eventually(lambda: cache.stats().misses == 6)
    gate.open()
    assert many.result() == {"a": "A", "b": "B"}
    assert [one.result() for one in ones] == ["A", "B", "none"]
    assert source.calls == [["a", "b", "x"]]


def test_a_get_with_a_loader_of_its_own_asks_that_for_what_was_left_out(start: Start) -> None:
    gate = Gate()
    cache: LRUCache[str, str] = LRUCache(load_many=Source(gate))
    many = start(cache.get_many, ["x"])
    gate.wait_entered()
    one = start(lambda: cache.get("x", load=lambda key: "own"))
    eventually(lambda: cache.stats().misses == 2)
    gate.open()
    assert (many.result(), one.result()) == ({}, "own")


def test_a_get_many_shares_the_load_of_a_get_and_loads_the_rest_meanwhile(start: Start) -> None:
    gate, source = Gate(), Source()
    cache: LRUCache[str, str] = LRUCache(lambda key: gate.pass_through() or "one", load_many=source)
    one = start(cache.get, "a")
    gate.wait_entered()
    many = start(cache.get_many, ["a", "b"])
    eventually(lambda: "b" in cache)
    gate.open()
    assert (one.result(), many.result()) == ("one", {"a": "one", "b": "B"})
    assert source.calls == [["b"]]


def test_two_that_need_each_other_s_keys_do_not_wait_in_a_circle(start: Start) -> None:
    first, second = Gate(), Gate()
    cache: LRUCache[str, str] = LRUCache()

    def load(gate: Gate) -> Callable[[list[str]], dict[str, str]]:
        return lambda keys: gate.pass_through() or {key: key for key in keys}

    cache.set("c", "c")
    one = start(lambda: cache.get_many(["a"], load_many=load(first)))
    first.wait_entered()
    two = start(lambda: cache.get_many(["b", "a"], load_many=load(second)))
    second.wait_entered()
    three = start(lambda: cache.get_many(["a", "b", "c"], load_many=load(first)))
    second.open()
    first.open()
    assert [each.result() for each in (one, two, three)] == [
        {"a": "a"}, {"b": "b", "a": "a"}, {"a": "a", "b": "b", "c": "c"},
    ]  # fmt: skip


def test_a_write_during_the_load_fences_its_key_alone(start: Start) -> None:
    gate = Gate()
    cache: LRUCache[str, str] = LRUCache(load_many=Source(gate))
    many = start(cache.get_many, ["a", "b", "c", "x"])
    gate.wait_entered()
    cache.invalidate("a")
    cache.set("b", "newer")
    cache.set("x", "written")
    gate.open()
    assert many.result() == {"a": "A", "b": "newer", "c": "C", "x": "written"}
    assert dict(cache.items()) == {"b": "newer", "c": "C", "x": "written"}
    assert cache.stats().fenced_loads == 2


def test_an_exception_reaches_all_who_wait_and_nothing_is_kept(start: Start) -> None:
    gate = Gate()

    def fail(keys: list[str]) -> Mapping[str, str]:
        gate.pass_through()
        raise OSError("down")

    cache: LRUCache[str, str] = LRUCache(load_many=fail)
    many = start(cache.get_many, ["a", "b"])
    gate.wait_entered()
    one = start(cache.get, "b")
    eventually(lambda: cache.stats().misses == 3)
    gate.open()
    for each in (many, one):
        with pytest.raises(OSError, match="down"):
            each.result()
    assert (len(cache), cache.stats().loads, cache.stats().load_failures) == (0, 1, 1)
    assert not cache._flights.running


def test_stale_values_stand_in_for_a_load_that_fails(clock: ManualClock) -> None:
    down: list[bool] = []

    def load(keys: list[str]) -> dict[str, str]:
        if down:
            raise OSError("down")
        return {key: key for key in keys}

    cache: LRUCache[str, str] = LRUCache(load_many=load, expiration_time=10, stale_time=100, clock=clock)
    cache.get_many("ab")
    clock.advance(11)
    down.append(True)
    assert cache.get_many("ab") == {"a": "a", "b": "b"}
    with pytest.raises(OSError, match="down"):
        cache.get_many("abc")


def test_an_old_value_is_not_served_for_what_the_source_has_no_more(clock: ManualClock) -> None:
    gone: list[str] = []
    cache: LRUCache[str, str] = LRUCache(
        load_many=lambda keys: {key: key for key in keys if key not in gone},
        expiration_time=10, stale_time=100, clock=clock,
    )  # fmt: skip
    cache.get_many("ab")
    clock.advance(11)
    gone += ["a", "b"]
    assert cache.get_many("a") == {}
    assert cache.get("b") is None


def test_a_refresh_ahead_asks_for_its_key_alone(clock: ManualClock) -> None:
    source = Source()
    cache: LRUCache[str, str] = LRUCache(load_many=source, expiration_time=10, refresh_time=4, clock=clock)
    cache.get_many(["a", "b"])
    clock.advance(7)
    assert cache.get_many(["a"]) == {"a": "A"}
    eventually(lambda: source.calls == [["a", "b"], ["a"]])
    eventually(lambda: cache.expires_in("a") == 10)


def test_a_loader_that_asks_for_one_of_its_own_keys_is_refused() -> None:
    cache: LRUCache[str, Any] = LRUCache(load_many=lambda keys: {key: cache.get(key) for key in keys})
    with pytest.raises(RecursiveLoadError):
        cache.get_many(["a", "b"])
    assert cache.get_many(["a"], load_many=lambda keys: {"a": cache.get("b", load=str)}) == {"a": "b"}


@pytest.mark.unless_by("aget", "aget, async def")
def test_an_interrupted_load_leaves_nobody_waiting(start: Start) -> None:
    gate, runs = Gate(), []

    def load(keys: list[str]) -> dict[str, str]:
        runs.append(keys)
        if len(runs) == 1:
            gate.pass_through()
            raise KeyboardInterrupt
        return dict.fromkeys(keys, "second")

    cache: LRUCache[str, str] = LRUCache(load_many=load)
    many = start(cache.get_many, ["a", "b"])
    gate.wait_entered()
    others = [start(cache.get_many, ["b", "a"]), start(cache.get_many, ["a"])]
    eventually(lambda: cache.stats().misses == 5)
    gate.open()
    with pytest.raises(KeyboardInterrupt):
        many.result()
    assert [other.result() for other in others] == [{"b": "second", "a": "second"}, {"a": "second"}]
    assert not cache._flights.running


@pytest.mark.parametrize("answer", [None, [("a", "A")], "a"])
def test_an_answer_that_is_no_mapping_is_refused(answer: Any) -> None:
    cache: LRUCache[str, str] = LRUCache(load_many=lambda keys: answer)
    with pytest.raises(TypeError, match="load_many must return a mapping"):
        cache.get_many(["a"])
    with pytest.raises(TypeError, match="load_many must return a mapping"):
        cache.get("a")


@pytest.mark.unless_by("aget", "aget, async def")
def test_a_loader_must_be_one() -> None:
    async def later(keys: list[str]) -> dict[str, str]:
        return {}

    def each(keys: list[str]) -> Iterator[str]:
        yield from keys

    with pytest.raises(TypeError, match="load_many must be callable"):
        LRUCache(load_many=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="load_many: a cache cannot keep"):
        LRUCache(load_many=each)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a coroutine has to be awaited"):
        LRUCache[str, str](load_many=lambda keys: later([*keys])).get_many(["a"])  # type: ignore[arg-type, return-value]
