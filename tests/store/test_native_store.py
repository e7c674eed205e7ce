"""What only the store in C has: its lock, its short cuts, its dealings with the garbage collector.

Without it there is nothing to test here; `.ci/run` sees to it that there is.
"""

import gc
import subprocess
import sys
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lru_cache.store
from lru_cache import LRUCache, LRUCacheDistributed
from lru_cache.store import REAPED_PER_WRITE, RemovalCause
from lru_cache.testing import ManualClock
from tests.concurrency import Gate, Started
from tests.store.twins import TWINS, native_store

Start = Callable[..., Started]

pytestmark = pytest.mark.filterwarnings("error")
if native_store is None:
    pytest.skip("the store in C was not built", allow_module_level=True)

is_used = lru_cache.store.implementation == "native"
NOW = 100.0


def test_what_is_used_is_what_was_built_and_not_refused() -> None:
    import os

    refused = os.environ.get("LRU_CACHE_PURE_PYTHON", "") not in ("", "0")
    assert lru_cache.store.implementation == ("python" if refused else "native")


def test_both_reap_as_many_with_a_write() -> None:
    assert native_store.REAPED_PER_WRITE == REAPED_PER_WRITE


# -- deadlines: a lane for who comes in order, a heap for the others --------------------------------------------------

Put = tuple[int, float]


def test_an_index_that_grows_is_whole_while_its_cells_move() -> None:
    """A large one is filled a little at each insertion: then a key is in one of two."""
    store = TWINS["native"](150_000)
    removed = set()
    for number in range(150_000):
        store.put(number, number, NOW)
        if number % 3 == 0 and number > 16_000:
            gone = number - 16_000
            store.remove(store.find(gone), RemovalCause.INVALIDATED, NOW)
            removed.add(gone)
            assert store.find(gone) is None
        if number % 20_011 == 0 or number in (16_385, 16_400, 32_769, 32_800, 65_600, 131_100):
            store._check()
            assert store.crowd(number) == 1
            assert [store.find(key) is None for key in range(0, number, 97)] == [
                key in removed for key in range(0, number, 97)
            ]
    assert len(store.clear(NOW)) == 150_000 - len(removed)
    store._check()


def test_a_crowd_of_keys_with_one_hash_is_counted_without_comparing_them() -> None:
    class Twin:
        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

    store = TWINS["native"](1_000)
    twins = [Twin() for _ in range(3)]
    assert store.crowd(twins[0]) == 0
    for number in range(500):
        store.put(number, number, NOW)
    assert (store.crowd(7), store.crowd(8), store.crowd(501)) == (1, 1, 0)
    assert store.crowd(twins[0]) == 1


def test_the_size_of_a_crowd_is_counted_up_to_a_limit() -> None:
    store = TWINS["native"](1_000)
    for number in range(100):
        assert store.crowd(Same(number)) == min(number, 64)
        store.put(Same(number), number, NOW)
    with pytest.raises(TypeError, match="unhashable"):
        store.crowd([])


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([1.0, 5.0, 5.5, 60.0, 1e9, inf])), max_size=150),
    st.integers(1, 30),
)
def test_whatever_the_lives_what_is_due_leaves_and_nothing_else(puts: list[Put], capacity: int) -> None:
    store = TWINS["native"](capacity)
    now, held = 0.0, {}  # key -> deadline, in order of use
    for key, life in puts:
        now += 0.25
        store.put(key, life, now, now + life)
        store._check()
        held = {k: deadline for k, deadline in held.items() if deadline > now and k != key}
        if len(held) == capacity:
            held.pop(next(iter(held)))
        held[key] = now + life
        assert {entry.key: entry.deadline for entry in store.entries()} == held
        assert store.count(now + 4) == sum(deadline > now + 4 for deadline in held.values())


def test_one_long_life_in_between_does_not_spoil_the_lane() -> None:
    """Entries of one life cost links; those that come out of order cost a place in a heap, which is memory."""
    store = TWINS["native"](10_000)
    before = sys.getsizeof(store)
    for i in range(1_000):
        store.put(i, i, NOW + i, NOW + i + (1e9 if i % 100 == 50 else 5_000))
    grown = sys.getsizeof(store) - before
    for i in range(1_000, 10_000):
        store.put(i, i, NOW + i, NOW + i + 5_000)
    store._check()
    assert sys.getsizeof(store) - before < 10 * grown + 10_000


# -- memory -----------------------------------------------------------------------------------------------------------


class Thing:
    """Something that can be watched, and that the garbage collector knows."""


def test_a_cycle_through_the_store_is_collected() -> None:
    store = TWINS["native"](9)
    thing = Thing()
    thing.store = store  # type: ignore[attr-defined]
    store.put("a", thing, NOW, version=thing)
    seen = weakref.ref(thing)
    del thing, store
    gc.collect()
    assert seen() is None


def test_a_cycle_through_an_entry_that_somebody_holds_is_collected() -> None:
    store = TWINS["native"](9)
    thing = Thing()
    store.put("a", thing, NOW)
    thing.entry = store.find("a")  # type: ignore[attr-defined]
    seen = weakref.ref(thing)
    del thing, store
    gc.collect()
    assert seen() is None


def test_a_cycle_through_a_cache_is_collected() -> None:
    cache: LRUCache[Any, Any] = LRUCache()
    cache.set("a", cache)
    cache.set("loaders", [cache.get])
    seen = weakref.ref(cache)
    del cache
    gc.collect()
    assert seen() is None


def test_a_value_that_loses_its_cache_may_still_use_it_when_it_is_finalized() -> None:
    done: list[Any] = []

    class Last:
        def __init__(self, cache: LRUCache[Any, Any]) -> None:
            self.cache = cache

        def __del__(self) -> None:
            done.append((self.cache.get("b"), self.cache.set("c", 3), self.cache.get("c"), len(self.cache)))

    cache: LRUCache[Any, Any] = LRUCache()
    cache.set("a", Last(cache))
    cache.set("b", 2)
    del cache
    gc.collect()
    assert len(done) == 1


def test_texts_and_numbers_are_never_shown_to_the_garbage_collector() -> None:
    """So a million of them do not make a collection slow."""
    store = TWINS["native"](9)
    store.put("a", 1, NOW)
    store.put(b"b", 2.5, NOW, version="v")
    assert [kind for kind in map(type, gc.get_referents(store)) if kind in (str, int, float, bytes)] == []
    value = ["seen"]
    store.put("c", value, NOW)
    assert any(referent is value for referent in gc.get_referents(store))
    store.put("c", "text", NOW)
    assert not any(referent is value for referent in gc.get_referents(store))


def live_a_life(store: Any, key: Any, value: Any, version: Any) -> None:
    """Every way in and out."""
    for round_number in range(3):
        store.put(key, value, NOW, NOW + 10 + round_number, version=version)
    entry = store.find(key)
    entry.value, entry.version, entry.fresh_until = value, version, NOW + 1
    store.prolong(entry, NOW + 30, NOW + 20)
    store.use(entry)
    entries = store.entries()
    store.remove(entry, RemovalCause.INVALIDATED, NOW)
    assert repr(entry)
    del entry, entries
    store.put(key, value, NOW, NOW + 5, NOW + 4, version)
    store.reap(NOW + 6)
    for number in range(30):
        store.put((key, number), value, NOW, NOW + 40 - number, version=version)
    store.pop_oldest(NOW)
    store.pop_oldest(NOW + 35, 3)
    store.capacity = 3
    store.put(key, value, NOW)
    store.capacity = 20
    store.clear(NOW)
    store.put(key, value, NOW)
    with pytest.raises(TypeError):
        store.put([], value, NOW)
    with pytest.raises(TypeError):
        store.put(key, value, "now")


@pytest.mark.parametrize("twin", TWINS)
def test_no_reference_is_lost_and_none_is_kept(twin: str) -> None:
    key, value, version = ("key", object()), ["value"], ["version"]
    live_a_life(TWINS[twin](20), key, value, version)
    gc.collect()
    before = [sys.getrefcount(thing) for thing in (key, value, version, None)]
    for _ in range(100):
        live_a_life(TWINS[twin](20), key, value, version)
    gc.collect()
    after = [sys.getrefcount(thing) for thing in (key, value, version, None)]
    assert after[:3] == before[:3]
    assert abs(after[3] - before[3]) < 50


def use_a_cache() -> None:
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=50)
    for number in range(200):
        cache.set(number % 70, [number])
        cache.get(number % 60)
        cache.get(number % 60, load=lambda key: (key,))
    cache.invalidate(60)
    list(cache.items())
    with pytest.raises(TypeError):
        cache.get([])  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        cache.get()  # type: ignore[call-overload]
    with cache._lock:
        cache.set("held", 1)


def test_no_memory_is_lost() -> None:
    """In a process of its own: what threads of other tests allocate meanwhile would be counted, too."""
    code = "from tests.store import test_native_store as here; print(here.least_growth_of_memory())"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert int(shown.stdout) < 100 * 50


def least_growth_of_memory() -> int:
    """What is lost is lost each time; what others keep for a while, such as `pytest.raises`, is not."""
    for _ in range(10):
        use_a_cache()
        live_a_life(TWINS["native"](20), "key", ["value"], ["version"])
    return min(growth_of_memory(100) for _ in range(3))


def growth_of_memory(times: int) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(times):
            use_a_cache()
            live_a_life(TWINS["native"](20), "key", ["value"], ["version"])
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


# -- disturbed look-ups -----------------------------------------------------------------------------------------------


class Same:
    """A key with one hash for all, which acts whenever it is compared."""

    def __init__(self, name: str, act: Callable[[], Any] = lambda: None) -> None:
        self.name = name
        self.act = act

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        self.act()
        return isinstance(other, Same) and other.name == self.name


def once(act: Callable[[], Any]) -> Callable[[], Any]:
    left = [act]
    return lambda: left.pop()() if left else None


def test_a_key_that_changes_the_store_whenever_it_is_compared_is_refused_in_the_end() -> None:
    store = TWINS["native"](9)

    def come_and_go() -> None:
        store.put("other", 0, NOW)
        store.remove(store.find("other"), RemovalCause.INVALIDATED, NOW)

    store.put(Same("a", come_and_go), 1, NOW)
    with pytest.raises(RuntimeError, match="changes the cache"):
        store.find(Same("b"))
    store._check()


def test_a_store_that_moves_while_a_key_is_compared_is_looked_through_again() -> None:
    store = TWINS["native"](1_000)
    store.put(Same("a", once(lambda: [store.put(number, 0, NOW) for number in range(500)])), "held", NOW)
    assert store.find(Same("a")).value == "held"
    store._check()


def test_a_store_that_is_emptied_while_a_key_is_compared_holds_it_no_longer() -> None:
    store = TWINS["native"](9)
    store.put(Same("a", once(lambda: store.clear(NOW))), 1, NOW)
    assert store.find(Same("a")) is None
    store._check()


# -- the lock ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def lock() -> Any:
    return native_store.Lock()


def test_the_lock_is_reentrant_and_its_owner_s_alone(lock: Any, start: Start) -> None:
    with lock:
        assert lock.acquire()
        assert lock._is_owned()
        assert start(lock.acquire, False).result() is False
        assert start(lock._is_owned).result() is False
        lock.release()
        assert start(lock.acquire, False).result() is False
    assert not lock._is_owned()
    assert lock.acquire(False)


def test_only_its_owner_releases_the_lock(lock: Any, start: Start) -> None:
    with pytest.raises(RuntimeError):
        lock.release()
    with lock, pytest.raises(RuntimeError):
        start(lock.release).result()


def test_who_waits_for_the_lock_gets_it_when_it_is_released(lock: Any, start: Start) -> None:
    came: list[int] = []

    def come(number: int) -> None:
        with lock:
            came.append(number)

    with lock:
        waiting = [start(come, number) for number in range(5)]
        assert came == []
    for one in waiting:
        one.result()
    assert sorted(came) == [0, 1, 2, 3, 4]


def test_a_lock_that_was_held_across_a_fork_can_be_made_new(lock: Any, start: Start) -> None:
    with lock:
        assert not start(lock.acquire, timeout=0.001).result()
    start(lock.acquire).result()
    assert not lock.acquire(False)
    lock._at_fork_reinit()
    assert lock.acquire(False)


def test_waiting_for_the_lock_ends_with_the_timeout(lock: Any, start: Start) -> None:
    with lock:
        assert start(lock.acquire, timeout=0.001).result() is False
        assert start(lock.acquire, True, 0).result() is False
    assert start(lock.acquire, timeout=5).result() is True


@pytest.mark.parametrize("arguments", [(False, 1), (True, -2), (True, float("nan"))])
def test_a_timeout_that_makes_no_sense_is_refused(lock: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="timeout"):
        lock.acquire(*arguments)


def test_the_lock_serves_a_condition(lock: Any, start: Start) -> None:
    condition, told = threading.Condition(lock), []

    def wait() -> None:
        with condition:
            condition.wait_for(lambda: told, 10)

    waiting = start(wait)
    with condition:
        told.append(True)
        condition.notify_all()
    waiting.result()


def test_no_two_threads_hold_the_lock_and_none_is_forgotten(lock: Any, start: Start) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    counts = {"in": 0, "most": 0, "all": 0}

    def work() -> None:
        for turn in range(2_000):
            if turn % 5 == 4 and not lock.acquire(timeout=0.0005):
                continue
            if turn % 5 != 4:
                lock.acquire()
            counts["in"] += 1
            counts["most"] = max(counts["most"], counts["in"])
            counts["all"] += 1
            counts["in"] -= 1
            lock.release()

    try:
        for thread in [start(work) for _ in range(8)]:
            thread.result()
    finally:
        sys.setswitchinterval(before)
    assert counts["most"] == 1
    assert counts["all"] >= 8 * 1_600


def test_an_interrupt_ends_the_wait_for_the_lock() -> None:
    program = """if True:
        import signal, threading
        from lru_cache.store.native_store import Lock
        lock, held, over = Lock(), threading.Event(), threading.Event()
        def hold():
            with lock:
                held.set()
                over.wait(30)
        threading.Thread(target=hold).start()
        held.wait()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        def interrupt(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        try:
            lock.acquire()
        except KeyboardInterrupt:
            print("interrupted")
        over.set()
        with lock:
            print("held")
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("interrupted\nheld\n", "")


# -- short cuts -------------------------------------------------------------------------------------------------------

needs_native = pytest.mark.skipif(not is_used, reason="the store in Python has no short cuts")


@pytest.fixture
def frames() -> Iterator[list[str]]:
    """The names of the Python functions that this thread calls."""
    called: list[str] = []

    def note(frame: Any, event: str, _argument: object) -> None:
        if event == "call":
            called.append(frame.f_code.co_name)

    sys.setprofile(note)
    yield called
    sys.setprofile(None)


class Subclass(LRUCache[Any, Any]):
    """One that changes nothing."""


@needs_native
@pytest.mark.parametrize("kind", [LRUCache, Subclass])
def test_hits_plain_misses_and_plain_writes_run_no_python_frame(kind: Any, frames: list[str]) -> None:
    cache = kind(maximum_capacity=2)
    frames.clear()
    for number in range(5):
        cache.set(number, number)
        cache.get(number)
        cache.get("absent")
        cache.get("absent", 3)
        cache.set(number, "new")
    ran = frames.copy()
    assert ran == []
    assert (cache.stats().hits, cache.stats().misses, cache.stats().evictions) == (5, 10, 3)


@needs_native
@pytest.mark.parametrize("kind", [LRUCache, Subclass])
def test_plain_writes_of_other_kinds_run_no_python_frame_either(kind: Any, frames: list[str]) -> None:
    cache = kind(maximum_capacity=2)
    done: list[Any] = []
    frames.clear()
    done += (cache.add("a", 1), cache.add("a", 2), cache.touch("a"), cache.touch("b"))
    done += (cache.pop("a"), cache.pop("a", 3), cache.add("b", 4), cache.invalidate("b"), cache.invalidate("b"))
    ran = frames.copy()
    assert ran == []
    assert done == [True, False, True, False, 1, 3, True, True, False]
    assert (cache.stats().invalidations, len(cache)) == (4, 0)
    with pytest.raises(KeyError) as raised:
        cache.pop((1, 2))
    assert raised.value.args == ((1, 2),)


@pytest.mark.parametrize("act", ["invalidate", "pop", "touch", "add"])
def test_a_subclass_s_own_way_of_writing_is_kept(act: str) -> None:
    asked: list[Any] = []

    def own(self: Any, *arguments: Any) -> Any:
        asked.append(arguments)
        return getattr(LRUCache, act)(self, *arguments)

    kind = type("Own", (LRUCache,), {act: own})
    cache = kind()
    getattr(cache, act)("a", 1) if act == "add" else getattr(cache, act)("a", *[1][: act == "pop"])
    assert len(asked) == 1


@pytest.mark.parametrize("write", ["invalidate", "pop", "touch", "add"])
def test_each_write_waits_for_a_locked_step_of_another_thread(write: str, start: Start) -> None:
    cache: LRUCache[str, int] = LRUCache()
    cache["a"] = 1
    arguments = {"pop": ("a", None), "add": ("b", 2)}.get(write, ("a",))
    with cache._lock:
        writing = start(getattr(cache, write), *arguments)
        assert cache.peek("a") == 1
        assert "b" not in cache
        cache.clear()
    assert writing.result() == {"pop": None, "add": True}.get(write, False)


@pytest.mark.parametrize("write", ["invalidate", "pop", "add"])
def test_each_write_fences_the_load_that_is_running(write: str, start: Start) -> None:
    cache: LRUCache[str, int] = LRUCache()
    gate = Gate()

    def slow(key: str) -> int:
        gate.pass_through()
        return 1

    loading = start(cache.get, "a", load=slow)
    gate.wait_entered()
    getattr(cache, write)(*{"pop": ("a", None), "add": ("a", 2)}.get(write, ("a",)))
    gate.open()
    loading.result()
    assert cache.peek("a") == (2 if write == "add" else None)


def test_what_ends_by_the_system_s_clock_is_not_touched_popped_or_added_to() -> None:
    cache: LRUCache[str, int] = LRUCache(expiration_time=0.001)
    for act, answer in ((cache.touch, False), (cache.invalidate, False), (lambda key: cache.pop(key, None), None)):
        cache.set("a", 1)
        ends = time.monotonic() + 0.001
        while time.monotonic() < ends:
            pass
        assert act("a") == answer
    cache.set("a", 1)
    ends = time.monotonic() + 0.001
    while time.monotonic() < ends:
        pass
    assert cache.add("a", 2)


@needs_native
def test_len_of_many_that_have_expired_is_counted_in_slices(frames: list[str]) -> None:
    clock = ManualClock()
    cache: LRUCache[int, int] = LRUCache(maximum_capacity=10_000, expiration_time=10, clock=clock)
    cache.set_many((number, number) for number in range(10_000))
    clock.advance(10)
    frames.clear()
    assert len(cache) == 0
    assert "__len__" in frames


@needs_native
def test_a_replicated_cache_reads_and_writes_without_a_python_frame_too(frames: list[str]) -> None:
    cache: LRUCacheDistributed[Any, Any] = LRUCacheDistributed()
    found: list[Any] = []
    frames.clear()
    cache["a"] = cache.set("b", "b")
    found += (cache.get("a"), cache["a"], cache.get("absent", 1), "a" in cache, "absent" in cache, cache.peek("a"))
    ran = set(frames)
    assert ran == set()
    assert found == ["b", "b", 1, True, False, "b"]
    assert cache.stats().misses == 1


@needs_native
@pytest.mark.parametrize("kind", [LRUCache, Subclass])
def test_as_a_mapping_it_runs_no_python_frame_either(kind: Any, frames: list[str]) -> None:
    cache = kind(maximum_capacity=2)
    found: list[Any] = []
    frames.clear()
    for number in range(5):
        cache[number] = number
        found += (cache[number], number in cache, "absent" in cache, cache.peek(number), cache.peek("absent", "none"))
        assert 1 <= len(cache) <= 2
        cache[number] = "new"
    ran = frames.copy()
    assert ran == []
    assert found == [each for number in range(5) for each in (number, True, False, number, "none")]
    assert (cache.stats().hits, cache.stats().misses, cache.stats().evictions) == (5, 0, 3)


def test_to_look_whether_it_is_there_is_no_use_of_it() -> None:
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=2)
    cache["a"], cache["b"] = 1, 2
    assert "a" in cache
    assert cache.peek("a") == 1
    cache["c"] = 3
    assert list(cache) == ["b", "c"]


def test_items_that_are_not_there_are_missed_and_deleted_as_in_a_dict() -> None:
    cache: LRUCache[str, int] = LRUCache()
    cache["a"] = 1
    del cache["a"]
    for act in (lambda: cache["a"], lambda: cache.__delitem__("a")):
        with pytest.raises(KeyError, match=r"^'a'$"):
            act()
    assert cache.stats().invalidations == 2


@pytest.mark.parametrize(
    "act",
    [
        lambda cache: cache[[]],
        lambda cache: cache.__setitem__([], 1),
        lambda cache: cache.__delitem__([]),
        lambda cache: [] in cache,
        lambda cache: cache.peek([]),
    ],
    ids=["get", "set", "delete", "contains", "peek"],
)
def test_a_key_without_a_hash_is_refused_by_every_way(act: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        act(LRUCache())


def test_items_are_what_a_subclass_s_own_get_answers() -> None:
    class Own(LRUCache[Any, Any]):
        def get(self, key: Any, *arguments: Any, **named: Any) -> Any:
            return "own", super().get(key, *arguments, **named)

    class Below(Own):
        pass

    class Again(Own):
        def __getitem__(self, key: Any) -> Any:
            return "again", super().__getitem__(key)

    assert [kind({"a": 1}.get)["a"] for kind in (Own, Below, Again)] == [
        ("own", 1),
        ("own", 1),
        ("again", ("own", 1)),
    ]


def test_a_subclass_s_own_items_are_kept() -> None:
    done: list[Any] = []

    class Own(LRUCache[Any, Any]):
        def __setitem__(self, key: Any, value: Any) -> None:
            done.append(("set", key))
            super().__setitem__(key, value)

        def __delitem__(self, key: Any) -> None:
            done.append(("delete", key))
            super().__delitem__(key)

        def __contains__(self, key: object) -> bool:
            done.append(("contains", key))
            return super().__contains__(key)

        def peek(self, key: Any, default: Any = None) -> Any:
            done.append(("peek", key))
            return super().peek(key, default)

    cache = Own()
    cache["a"] = 1
    assert ("a" in cache, cache.peek("a"), cache.peek("b", 2)) == (True, 1, 2)
    del cache["a"]
    assert done == [("set", "a"), ("contains", "a"), ("peek", "a"), ("peek", "b"), ("delete", "a")]


@needs_native
def test_a_subclass_s_own_writing_and_missing_is_never_passed_by() -> None:
    done: list[Any] = []

    class Own(LRUCache[Any, Any]):
        def _set(self, key: Any, value: Any, life: float | None) -> None:
            done.append(key)
            super()._set(key, value, life)

        def _miss(self, key: Any, default: Any, load: Any) -> Any:
            done.append(("miss", key))
            return super()._miss(key, default, load)

    cache = Own()
    cache.set("a", 1)
    assert cache.get("a") == 1
    cache.get("b")
    assert done == ["a", ("miss", "b")]


def test_a_subclass_s_own_get_and_set_are_kept() -> None:
    class Own(LRUCache[Any, Any]):
        def get(self, key: Any, *arguments: Any, **named: Any) -> Any:
            return "own", super().get(key, *arguments, **named)

        def set(self, key: Any, *arguments: Any, **named: Any) -> Any:
            return "own", super().set(key, *arguments, **named)

    class Below(Own):
        pass

    for kind in (Own, Below):
        cache = kind()
        assert cache.set("a", 1) == ("own", 1)
        assert cache.get("a") == ("own", 1)


@pytest.mark.parametrize("write", ["set", "setdefault"])
def test_a_write_waits_for_a_locked_step_of_another_thread(write: str, start: Start) -> None:
    """setdefault, say: it looks and then writes, and a write in between would be lost."""
    cache: LRUCache[str, int] = LRUCache()
    with cache._lock:
        writing = start(getattr(cache, write), "a", 1)
        assert cache.peek("a") is None
        cache.set("a", 2)
        assert cache.get("a") == 2
    writing.result()
    assert cache.get("a") == (1 if write == "set" else 2)


def test_a_write_fences_the_load_that_is_running(start: Start) -> None:
    gate = Gate()
    cache: LRUCache[str, str] = LRUCache()

    def slow(key: str) -> str:
        gate.pass_through()
        return "loaded"

    loading = start(cache.get, "a", load=slow)
    gate.wait_entered()
    cache.set("a", "set")
    gate.open()
    assert loading.result() == "set"
    assert cache.get("a") == "set"


def test_a_value_that_is_not_fresh_is_never_a_hit(clock: ManualClock) -> None:
    """What came encoded from a peer: whoever reads it has to decode it first."""
    for options in ({}, {"clock": clock}):
        missed: list[Any] = []

        class Own(LRUCache[Any, Any]):
            def _miss(self, key: Any, default: Any, load: Any, missed: list[Any] = missed) -> Any:
                missed.append(key)
                return default

        cache = Own(**options)
        now = cache._monotonic()
        cache._store.put("a", b"encoded", now, inf, float("-inf"), "stamp")
        assert cache.get("a") is None
        assert missed == ["a"]
        with pytest.raises(KeyError):
            cache["a"]
        assert missed == ["a", "a"]


def test_no_value_is_served_after_its_end_by_the_system_s_clock() -> None:
    cache: LRUCache[int, int] = LRUCache()
    for number in range(1_000):
        cache.set(number, number, expiration_time=1e-9)
        assert (cache.get(number), cache.peek(number), number in cache) == (None, None, False)
        cache.set(number, number, expiration_time=3600)
        assert cache.get(number) == number


def test_a_clock_that_writes_to_the_cache_is_survived() -> None:
    acts: list[Callable[[], Any]] = []

    class Busy(ManualClock):
        def monotonic(self) -> float:
            while acts:
                acts.pop()()
            return super().monotonic()

    clock = Busy()
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=3, clock=clock)
    for act in (cache.clear, lambda: cache.set("a", 2), lambda: [cache.set(i, i) for i in range(5)]):
        cache.set("a", 1)
        acts.append(act)
        assert cache.get("a") in (None, 1, 2)
        cache._store.entries()
        acts.append(act)
        cache.set("a", 3)
        assert cache.get("a") == 3


def test_a_clock_that_fails_fails_the_look_up_and_changes_nothing() -> None:
    class Broken(ManualClock):
        broken = False

        def monotonic(self) -> float:
            if self.broken:
                raise OSError("no clock")
            return super().monotonic()

    clock = Broken()
    cache: LRUCache[str, int] = LRUCache(clock=clock)
    cache.set("a", 1)
    clock.broken = True
    for act in (
        lambda: cache.get("a"),
        lambda: cache.set("a", 2),
        lambda: cache.get("b"),
        lambda: cache["a"],
        lambda: cache.__setitem__("a", 2),
        lambda: "a" in cache,
        lambda: cache.peek("a"),
        lambda: len(cache),
    ):
        with pytest.raises(OSError, match="no clock"):
            act()
    clock.broken = False
    assert cache.get("a") == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"key": 1}), ((1,), {"nonsense": 1}), ((), {"default": 1})],
)
def test_get_refuses_arguments_that_it_does_not_have(arguments: Any, named: Any) -> None:
    with pytest.raises(TypeError):
        LRUCache().get(*arguments, **named)


def test_get_takes_its_arguments_by_name() -> None:
    cache: LRUCache[str, int] = LRUCache()
    assert cache.get(key="a", default=1) == 1
    assert cache.get("a", default=1, load=lambda key: 2) == 2
    assert cache.get(key="a") == 2


@needs_native
def test_the_methods_say_what_they_take() -> None:
    import inspect

    assert str(inspect.signature(LRUCache.get)) == "(self, /, key, default=None, *, load=None)"
    assert (LRUCache.get.__doc__ or "").startswith("Return the value")
    assert (LRUCache.set.__doc__ or "").startswith("Keep a value")
    assert str(inspect.signature(LRUCache.peek)) == "(self, /, key, default=None)"
    assert (LRUCache.peek.__doc__ or "").startswith("Return the value")


def test_a_cache_that_was_never_made_says_so() -> None:
    cache: Any = LRUCache.__new__(LRUCache)
    for act in (
        lambda: cache.get("a"),
        lambda: cache.set("a", 1),
        lambda: cache["a"],
        lambda: cache.__setitem__("a", 1),
        lambda: cache.__delitem__("a"),
        lambda: "a" in cache,
        lambda: cache.peek("a"),
        lambda: len(cache),
    ):
        with pytest.raises((RuntimeError, AttributeError)):
            act()


# -- interpreters -----------------------------------------------------------------------------------------------------


def test_each_interpreter_of_a_process_has_its_own() -> None:
    program = """if True:
        import sys
        code = '''if True:
            import sys
            sys.path[:] = {path!r}
            from lru_cache import LRUCache, LRUCacheDistributed
            from lru_cache.store import implementation
            from lru_cache.testing.simulation import Simulation
            class Value: pass
            cache = LRUCache(maximum_capacity=10)
            for i in range(100):
                cache.set(i, Value())
                cache.get(i)
            value = Value()
            value.cache = cache
            cache.set("cycle", value)
            alone = LRUCacheDistributed()  # without links, whose threads such an interpreter does not allow
            for i in range(100):
                alone.set(i, str(i))
            Simulation(1).run()
            print(implementation, len(cache), flush=True)
        '''.format(path=sys.path)
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        exec(code)
        for _ in range(3):
            one = interpreters.create()
            failure = interpreters.run_string(one, code)
            assert not failure, failure
            interpreters.destroy(one)
        exec(code)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{lru_cache.store.implementation} 10\n" * 5
