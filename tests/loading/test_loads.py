"""Loading on a miss: once per key, for everybody, whatever the loader does."""

import gc
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import Loaded, LRUCache, RecursiveLoadError
from lru_cache.testing import ManualClock
from tests.concurrency import Gate, Started, eventually, interrupted_after

pytestmark = pytest.mark.usefixtures("each_face")

Start = Callable[..., Started]


class BoomError(Exception):
    pass


def test_a_miss_loads_and_keeps() -> None:
    asked: list[str] = []
    cache = LRUCache(lambda key: asked.append(key) or key.upper())
    assert [cache.get("a"), cache.get("a")] == ["A", "A"]
    assert asked == ["a"]


def test_a_miss_without_loader_gives_the_default() -> None:
    cache: LRUCache[str, int] = LRUCache()
    assert cache.get("a") is None
    assert cache.get("a", 5) == 5
    assert "a" not in cache


def test_the_load_of_one_call_goes_before_the_callback_and_is_kept() -> None:
    cache: LRUCache[str, str] = LRUCache(lambda key: "callback")
    assert cache.get("a", load=lambda key: f"own {key}") == "own a"
    assert cache.get("a") == "own a"


def test_none_is_an_answer_and_is_asked_for_once() -> None:
    asked: list[str] = []
    cache: LRUCache[str, None] = LRUCache(asked.append)
    assert [cache.get("a", "default"), cache.get("a", "default"), cache["a"]] == [None, None, None]
    assert asked == ["a"]
    assert "a" in cache


def test_loaded_chooses_the_life_of_its_own_value(clock: ManualClock) -> None:
    cache: LRUCache[str, str] = LRUCache(
        lambda key: Loaded("short", expiration_time=5), expiration_time=100, clock=clock
    )
    assert cache.get("a") == "short"
    assert cache.expires_in("a") == 5


def test_loaded_without_a_life_has_that_of_the_cache(clock: ManualClock) -> None:
    cache: LRUCache[str, str] = LRUCache(lambda key: Loaded("v"), expiration_time=100, clock=clock)
    cache.get("a")
    assert cache.expires_in("a") == 100


def test_loaded_with_none_never_expires() -> None:
    cache: LRUCache[str, str] = LRUCache(lambda key: Loaded("v", expiration_time=None), expiration_time=100)
    cache.get("a")
    assert cache.expires_in("a") is None


@pytest.mark.parametrize("life", [-1, float("nan")])
def test_loaded_refuses_a_life_that_is_none(life: float) -> None:
    with pytest.raises(ValueError, match="expiration_time"):
        Loaded("v", expiration_time=life)


def test_the_life_of_a_load_begins_when_it_ends(clock: ManualClock) -> None:
    def slow(key: str) -> str:
        clock.advance(50)
        return key

    cache = LRUCache(slow, expiration_time=60, clock=clock)
    cache.get("a")
    assert cache.expires_in("a") == 60


def test_ten_threads_share_one_load(start: Start) -> None:
    gate, runs = Gate(), []

    def loader(key: str) -> object:
        runs.append(key)
        gate.pass_through()
        return object()

    cache = LRUCache(loader)
    threads = [start(cache.get, "a") for _ in range(10)]
    gate.wait_entered()
    eventually(lambda: cache.stats().misses == 10)
    gate.open()
    assert len({id(thread.result()) for thread in threads}) == 1
    assert runs == ["a"]
    assert cache.stats().loads == 1


def test_loads_of_different_keys_run_at_the_same_time(start: Start) -> None:
    gates = {"a": Gate(), "b": Gate()}

    def loader(key: str) -> str:
        gates[key].pass_through()
        return key

    cache = LRUCache(loader)
    first, second = start(cache.get, "a"), start(cache.get, "b")
    gates["a"].wait_entered()
    gates["b"].wait_entered()
    for gate in gates.values():
        gate.open()
    assert [first.result(), second.result()] == ["a", "b"]


def test_other_keys_are_read_and_written_while_a_load_runs(start: Start) -> None:
    gate = Gate()
    cache: LRUCache[str, str] = LRUCache(lambda key: gate.pass_through() or "loaded")
    loading = start(cache.get, "a")
    gate.wait_entered()
    cache.set("b", "set")
    assert cache.get("b") == "set"
    assert len(cache) == 1
    gate.open()
    assert loading.result() == "loaded"


def test_an_exception_reaches_all_ten_as_it_is_and_the_next_loads_again(start: Start) -> None:
    gate, boom, runs = Gate(), BoomError("as it is"), []

    def loader(key: str) -> str:
        runs.append(key)
        if len(runs) == 1:
            gate.pass_through()
            raise boom
        return "fine"

    cache = LRUCache(loader)
    threads = [start(cache.get, "a") for _ in range(10)]
    gate.wait_entered()
    eventually(lambda: cache.stats().misses == 10)
    gate.open()
    for thread in threads:
        with pytest.raises(BoomError) as caught:
            thread.result()
        assert caught.value is boom
    assert len(runs) == 1
    assert cache.get("a") == "fine"
    assert cache.stats().load_failures == 1


def test_a_shared_exception_does_not_collect_everybody_s_traceback(start: Start) -> None:
    gate, boom = Gate(), BoomError()

    def loader(key: str) -> str:
        gate.pass_through()
        raise boom

    cache = LRUCache(loader)
    threads = [start(cache.get, "a") for _ in range(10)]
    gate.wait_entered()
    eventually(lambda: cache.stats().misses == 10)
    gate.open()
    for thread in threads:
        with pytest.raises(BoomError):
            thread.result()
    ours = [frame for frame, _ in traceback.walk_tb(boom.__traceback__) if "load_path" in frame.f_code.co_filename]
    assert len(ours) < 10


@pytest.mark.unless_by("aget", "aget, async def")
def test_an_exception_is_not_held_after_its_caller_has_dealt_with_it() -> None:
    """Nor does it wait for the garbage collector: what it refers to may be large."""

    class WatchedError(Exception):
        pass

    seen: list[Any] = []

    def loader(key: str) -> str:
        error = WatchedError()
        seen.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    cache = LRUCache(loader)
    gc.disable()
    try:
        try:
            cache.get("a")
        except WatchedError:
            pass
        assert seen[0]() is None
    finally:
        gc.enable()


def test_a_key_error_of_the_loader_is_its_own() -> None:
    def loader(key: str) -> str:
        raise KeyError("something else")

    with pytest.raises(KeyError, match="something else"):
        LRUCache(loader)["a"]


def test_a_loader_that_asks_for_its_own_key_is_refused() -> None:
    cache: LRUCache[str, str] = LRUCache(lambda key: cache[key])
    with pytest.raises(RecursiveLoadError, match="'a'"):
        cache.get("a")
    assert cache.get("a", load=lambda key: "fine") == "fine"


def test_a_loader_that_asks_for_its_own_key_through_another_is_refused() -> None:
    cache: LRUCache[str, str] = LRUCache(lambda key: cache["b" if key == "a" else "a"])
    with pytest.raises(RecursiveLoadError):
        cache.get("a")


def test_a_loader_that_invalidates_its_own_key_before_asking_for_it_is_refused() -> None:
    """Its own load is fenced by then and counts as running no longer: without care, loads nest for ever."""

    def loader(key: str) -> str:
        cache.invalidate(key)
        return cache[key]

    cache: LRUCache[str, str] = LRUCache(loader)
    with pytest.raises(RecursiveLoadError):
        cache.get("a")


def test_a_loader_may_set_its_own_key_and_read_it() -> None:
    def loader(key: str) -> str:
        cache.set(key, "set")
        return "loaded after " + cache[key]

    cache: LRUCache[str, str] = LRUCache(loader)
    assert cache.get("a") == "set"


def test_a_loader_may_use_the_cache_for_other_keys() -> None:
    cache: LRUCache[int, int] = LRUCache(lambda n: n if n < 2 else cache[n - 1] + cache[n - 2])
    assert cache[60] == 1548008755920


def test_a_loader_that_catches_the_recursion_may_still_answer() -> None:
    def loader(key: str) -> str:
        try:
            return cache[key]
        except RecursiveLoadError:
            return "caught"

    cache: LRUCache[str, str] = LRUCache(loader)
    assert cache.get("a") == "caught"


@pytest.mark.parametrize("caches", [1, 2])
def test_two_loads_that_need_each_other_from_two_threads_do_not_deadlock(start: Start, caches: int) -> None:
    """Also if each is in a cache of its own."""
    gates = {"a": Gate(), "b": Gate()}

    def loader(key: str) -> str:
        gates[key].pass_through()
        other = "b" if key == "a" else "a"
        return key + home[other][other]

    one: LRUCache[str, str] = LRUCache(loader)
    home = {"a": one, "b": one if caches == 1 else LRUCache(loader)}
    threads = [start(home[key].get, key) for key in "ab"]
    for gate in gates.values():
        gate.wait_entered()
    for gate in gates.values():
        gate.open()
    refused = 0
    for thread in threads:
        try:
            thread.result()
        except RecursiveLoadError:  # noqa: PERF203 - counting is the point
            refused += 1
    assert refused >= 1
    assert [home[key].get(key, load=str) for key in "ab"] == ["a", "b"]


@pytest.mark.unless_by("aget", "aget, async def")
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_loader_interrupts_its_own_caller_and_the_others_load_again(
    start: Start, interruption: type[BaseException]
) -> None:
    gate, runs = Gate(), []

    def loader(key: str) -> str:
        runs.append(key)
        if len(runs) == 1:
            gate.pass_through()
            raise interruption
        return "second"

    cache = LRUCache(loader)
    interrupted = start(cache.get, "a")
    gate.wait_entered()
    others = [start(cache.get, "a") for _ in range(5)]
    eventually(lambda: cache.stats().misses == 6)
    gate.open()
    with pytest.raises(interruption):
        interrupted.result()
    assert [other.result() for other in others] == ["second"] * 5
    assert len(runs) == 2


def test_a_failing_load_of_a_get_many_raises() -> None:
    cache: LRUCache[int, float] = LRUCache(lambda n: 1 / n)
    with pytest.raises(ZeroDivisionError):
        cache.get_many([1, 0])


def test_counts_hits_misses_and_loads() -> None:
    cache: LRUCache[str, str] = LRUCache(str)
    for key in ["a", "a", "b", "a"]:
        cache.get(key)
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.loads, stats.size) == (2, 2, 2, 2)


# -- listeners and finalizers in the middle of a miss --------------------------------------------------------------


def test_a_listener_may_load_the_very_key_whose_expiry_it_is_told_of(clock: ManualClock) -> None:
    """It is told from within the look-up that misses: a flight that only waits for that one would wait for ever."""
    cache: LRUCache[str, str] = LRUCache(
        str.upper, expiration_time=10, on_removal=lambda removal: cache.get(removal.key), clock=clock
    )
    cache.get("a")
    clock.advance(10)
    assert cache.get("a") == "A"
    assert cache.peek("a") == "A"


@pytest.mark.unless_by("aget", "aget, async def")
def test_a_finalizer_may_load_the_very_key_whose_expiry_finalizes_it(clock: ManualClock) -> None:
    class Value:
        def __del__(self) -> None:
            cache.get("a")

    cache: LRUCache[str, Any] = LRUCache(lambda key: "loaded", expiration_time=10, clock=clock)
    cache.get("a", load=lambda key: Value())
    clock.advance(10)
    assert cache.get("a") == "loaded"


@pytest.mark.unless_by("aget, async def")
def test_who_waits_for_a_load_does_not_wait_for_the_listener_of_what_it_replaced(
    start: Start, clock: ManualClock
) -> None:
    listening, loading = Gate(), Gate()

    def loader(key: str) -> str:
        loading.pass_through()
        return "new"

    cache: LRUCache[str, str] = LRUCache(loader, maximum_capacity=1, on_removal=lambda _: listening.pass_through())
    cache.set("other", "evicted by the load")
    leader = start(cache.get, "a")
    loading.wait_entered()
    waiting = start(cache.get, "a")
    eventually(lambda: cache.stats().misses == 2)
    loading.open()
    assert waiting.result() == "new"
    listening.open()
    assert leader.result() == "new"


@pytest.mark.unless_by("aget", "aget, async def")
def test_an_interrupt_at_any_step_of_a_load_leaves_nobody_waiting(start: Start) -> None:
    """As by Ctrl-C between any two lines of ours: the next who asks loads, whatever was half done."""
    lines = 0
    while True:
        lines += 1
        cache: LRUCache[str, str] = LRUCache(lambda key: "loaded")
        if not interrupted_after(lines, lambda cache=cache: cache.get("a"), "/loading/"):  # type: ignore[misc]
            break
        assert start(cache.get, "a").result() == "loaded", f"after {lines} lines"
        assert not cache._flights.running
    assert lines > 30
