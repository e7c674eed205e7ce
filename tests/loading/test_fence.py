"""No lost invalidation: what was being loaded when its key was written is not kept."""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from lru_cache import LRUCache
from lru_cache.testing import ManualClock
from tests.concurrency import Gate, Started, eventually

pytestmark = pytest.mark.usefixtures("each_face")

Start = Callable[..., Started]
LONG_AGO = datetime(2001, 1, 1, tzinfo=timezone.utc)


class Source:
    """A database whose reads stop in the middle: what they return was true before the gate."""

    def __init__(self) -> None:
        self.value = "old"
        self.gate: Gate | None = Gate()
        self.reads = 0

    def read(self, key: Any) -> str:
        self.reads += 1
        value, gate = self.value, self.gate
        if gate is not None:
            gate.pass_through()
        return value

    def change(self) -> None:
        self.value, self.gate = "new", None


@pytest.fixture
def source() -> Source:
    return Source()


def in_the_middle_of_a_load(
    cache: LRUCache[str, str], source: Source, start: Start, act: Callable[[], Any]
) -> tuple[Any, Gate]:
    gate = source.gate
    assert gate is not None
    loading = start(cache.get, "a")
    gate.wait_entered()
    source.change()
    act()
    return loading, gate


@pytest.mark.parametrize(
    "write",
    [
        lambda cache: cache.invalidate("a"),
        lambda cache: cache.invalidate_many(["x", "a"]),
        lambda cache: cache.clear(),
        lambda cache: cache.pop("a", None),
        lambda cache: cache.set("a", "v", expire_at=LONG_AGO),
    ],
    ids=["invalidate", "invalidate_many", "clear", "pop", "set in the past"],
)
def test_a_load_that_races_an_invalidation_is_returned_and_not_kept(
    source: Source, start: Start, write: Callable[[Any], Any]
) -> None:
    cache: LRUCache[str, str] = LRUCache(source.read)
    loading, gate = in_the_middle_of_a_load(cache, source, start, lambda: write(cache))
    gate.open()
    assert loading.result() == "old"
    assert "a" not in cache
    assert cache.get("a") == "new"
    eventually(lambda: cache.stats().fenced_loads == 1)  # a task has its answer before the load has ended


def test_a_deletion_of_an_absent_key_fences_too(source: Source, start: Start) -> None:
    cache: LRUCache[str, str] = LRUCache(source.read)

    def delete() -> None:
        with pytest.raises(KeyError):
            del cache["a"]

    loading, gate = in_the_middle_of_a_load(cache, source, start, delete)
    gate.open()
    loading.result()
    assert "a" not in cache


@pytest.mark.parametrize("write", ["set", "setitem", "setdefault", "set_many", "update"])
def test_a_load_that_races_a_set_gives_way_to_it(source: Source, start: Start, write: str) -> None:
    cache: LRUCache[str, str] = LRUCache(source.read)
    writes: dict[str, Callable[[], Any]] = {
        "set": lambda: cache.set("a", "set"),
        "setitem": lambda: cache.__setitem__("a", "set"),
        "setdefault": lambda: cache.setdefault("a", "set"),
        "set_many": lambda: cache.set_many({"a": "set"}),
        "update": lambda: cache.update(a="set"),
    }
    loading, gate = in_the_middle_of_a_load(cache, source, start, writes[write])
    gate.open()
    assert loading.result() == "set"
    assert cache.get("a") == "set"
    eventually(lambda: cache.stats().fenced_loads == 1)  # a task has its answer before the load has ended


def test_who_waits_for_a_load_gets_what_is_set_meanwhile_without_waiting_on(source: Source, start: Start) -> None:
    cache: LRUCache[str, str] = LRUCache(source.read)
    gate = source.gate
    assert gate is not None
    loading = start(cache.get, "a")
    gate.wait_entered()
    waiting = start(cache.get, "a")
    cache.set("a", "set")
    assert waiting.result() == "set"
    gate.open()
    assert loading.result() == "set"


def test_a_get_after_an_invalidation_loads_anew_while_the_old_load_still_runs(source: Source, start: Start) -> None:
    cache: LRUCache[str, str] = LRUCache(source.read)
    loading, gate = in_the_middle_of_a_load(cache, source, start, lambda: cache.invalidate("a"))
    assert cache.get("a") == "new"
    gate.open()
    assert loading.result() == "new", "there was a newer value by then"
    assert cache.get("a") == "new"
    assert source.reads == 2


def test_a_get_after_a_clear_loads_anew_while_the_old_load_still_runs(source: Source, start: Start) -> None:
    cache: LRUCache[str, str] = LRUCache(source.read)
    loading, gate = in_the_middle_of_a_load(cache, source, start, cache.clear)
    assert cache.get("a") == "new"
    gate.open()
    loading.result()
    assert cache.peek("a") == "new"


def test_the_old_load_does_not_disturb_the_new_one(source: Source, start: Start) -> None:
    """The fenced load ends while the second still runs: a third get must join the second, and start none."""
    cache: LRUCache[str, str] = LRUCache(source.read)
    loading, gate = in_the_middle_of_a_load(cache, source, start, lambda: cache.invalidate("a"))
    second_gate = source.gate = Gate()
    second = start(cache.get, "a")
    second_gate.wait_entered()
    gate.open()
    loading.result()
    third = start(cache.get, "a")
    cache_is_loading = cache.keys_known()
    second_gate.open()
    assert [second.result(), third.result()] == ["new", "new"]
    assert cache_is_loading == ["a"]
    assert source.reads == 2


def test_invalidating_another_key_fences_nothing(source: Source, start: Start) -> None:
    cache: LRUCache[str, str] = LRUCache(source.read)
    loading, gate = in_the_middle_of_a_load(cache, source, start, lambda: cache.invalidate("b"))
    gate.open()
    loading.result()
    assert "a" in cache
    assert cache.stats().fenced_loads == 0


def test_a_failing_load_after_an_invalidation_raises_and_keeps_nothing(start: Start) -> None:
    gate = Gate()

    def loader(key: str) -> str:
        gate.pass_through()
        raise ValueError("gone")

    cache: LRUCache[str, str] = LRUCache(loader)
    loading = start(cache.get, "a")
    gate.wait_entered()
    cache.invalidate("a")
    gate.open()
    with pytest.raises(ValueError, match="gone"):
        loading.result()


def test_set_without_a_value_loads_anew(clock: ManualClock) -> None:
    answers = iter(["first", "second"])
    cache: LRUCache[str, str] = LRUCache(lambda key: next(answers), expiration_time=100, clock=clock)
    assert cache.get("a") == "first"
    assert cache.set("a") == "second"
    assert cache.get("a") == "second"


def test_set_without_a_value_fences_a_load_that_runs(source: Source, start: Start) -> None:
    cache: LRUCache[str, str] = LRUCache(source.read)
    loading, gate = in_the_middle_of_a_load(cache, source, start, lambda: cache.set("a"))
    assert cache.peek("a") == "new"
    gate.open()
    loading.result()
    assert cache.peek("a") == "new"


def test_set_without_a_value_or_a_loader_is_an_invalidation() -> None:
    cache: LRUCache[str, str] = LRUCache()
    cache.set("a", "v")
    assert cache.set("a") is None
    assert "a" not in cache


def test_set_without_a_value_gives_the_load_the_life_asked_for(clock: ManualClock) -> None:
    cache: LRUCache[str, str] = LRUCache(str, expiration_time=100, clock=clock)
    cache.set("a", expiration_time=7)
    assert cache.expires_in("a") == 7
