"""Many threads at once: the invariants hold, and nothing is lost or mixed up."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import LRUCache, LRUCacheDistributed, Removal
from lru_cache.testing import ManualClock
from tests.concurrency import Started, eventually
from tests.store.twins import check_tidy

pytestmark = pytest.mark.usefixtures("each_cache")

Start = Callable[..., Started]

THREADS = 16
STEPS = 4_000
CAPACITY = 50
KEYS = 120


@pytest.fixture(autouse=True)
def _switch_often() -> Any:
    """Change threads every few bytecodes, so that seconds here are hours elsewhere."""
    import sys

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def scaled(steps: int) -> int:
    """A write of a replicated cache is several times the work."""
    return steps // 4 if LRUCache is LRUCacheDistributed else steps


def belongs(key: int, value: Any) -> bool:
    return value is None or value[0] == key


def do_everything(cache: LRUCache[int, tuple[int, str]], clock: ManualClock, seed: int) -> None:
    chance = random.Random(seed)
    acts: list[Callable[[int], Any]] = [
        lambda key: belongs(key, cache.get(key)),
        lambda key: belongs(key, cache.get(key)),
        lambda key: belongs(key, cache.peek(key)),
        lambda key: belongs(key, cache.set(key, (key, "set"))),
        lambda key: belongs(key, cache.set(key, (key, "short"), expiration_time=0.5)),
        lambda key: belongs(key, cache.set(key)),
        lambda key: cache.invalidate(key) in (True, False),
        lambda key: belongs(key, cache.pop(key, None)),
        lambda key: belongs(key, cache.setdefault(key, (key, "default"))),
        lambda key: cache.touch(key) in (True, False),
        lambda key: all(belongs(k, v) for k, v in cache.get_many([key, (key + 1) % KEYS]).items()),
        lambda key: all(belongs(k, v) for k, v in cache.items()),
        lambda key: len(list(cache)) <= CAPACITY,
        lambda key: 0 <= len(cache) <= CAPACITY,
        lambda key: cache.stats().size <= CAPACITY,
        lambda key: (key in cache) in (True, False),
    ]
    for step in range(scaled(STEPS)):
        key = int(chance.triangular(0, KEYS, 0))
        assert chance.choice(acts)(key)
        if step % 100 == 0:
            clock.advance(0.1)
            cache.expire()
        if step % 1000 == 500:
            cache.clear()
        if step % 500 == 0 and cache:
            try:
                key, value = cache.popitem()
                assert belongs(key, value)
            except KeyError:
                pass  # another thread was quicker


@pytest.mark.parametrize(
    "options", [{}, {"stale_time": 0.3, "refresh_time": 0.2, "load_timeout": 10}, {"expiration_time": None}]
)
def test_sixteen_threads_doing_everything(options: dict[str, Any], clock: ManualClock, start: Start) -> None:
    started, ended = {"n": 0}, {"n": 0}
    removals: list[Removal[int, tuple[int, str]]] = []

    def loader(key: int) -> tuple[int, str]:
        started["n"] += 1
        if key % 10 == 3 and started["n"] % 2:
            raise LookupError(key)
        ended["n"] += 1
        return (key, "loaded")

    def forgiving(key: int) -> tuple[int, str]:
        try:
            return loader(key)
        except LookupError:
            return (key, "none")

    settings = {"expiration_time": 1.0, **options}
    cache: LRUCache[int, tuple[int, str]] = LRUCache(
        forgiving, CAPACITY, on_removal=removals.append, clock=clock, **settings
    )
    threads = [start(do_everything, cache, clock, seed) for seed in range(THREADS)]
    for thread in threads:
        thread.result()
    eventually(lambda: not cache._flights.running)
    assert len(cache._store) <= CAPACITY
    assert all(belongs(removal.key, removal.value) for removal in removals)
    store = cache._store
    check_tidy(store)
    clock.advance(1e9)
    cache.expire()
    if settings["expiration_time"] is not None:
        assert len(store) == 0
        check_tidy(store)


def test_hits_of_many_threads_are_all_counted(start: Start) -> None:
    cache: LRUCache[int, int] = LRUCache()
    cache.set(1, 1)

    def hit() -> None:
        for _ in range(20_000):
            cache.get(1)

    for thread in [start(hit) for _ in range(8)]:
        thread.result()
    assert cache.stats().hits == 8 * 20_000


def test_hits_do_not_wait_for_the_lock(start: Start) -> None:
    cache: LRUCache[str, int] = LRUCache()
    cache.set("a", 1)
    with cache._lock:
        assert start(cache.get, "a").result() == 1


def test_hits_race_evictions_without_an_error(start: Start) -> None:
    cache: LRUCache[int, int] = LRUCache(maximum_capacity=4)
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            for key in range(8):
                assert cache.get(key) in (None, key)

    readers = [start(read) for _ in range(4)]
    for i in range(scaled(30_000)):
        cache.set(i % 8, i % 8)
    stop.set()
    for reader in readers:
        reader.result()
    assert len(cache) == 4


def test_a_key_never_goes_back_in_time(start: Start) -> None:
    """One writer counts up; whoever reads may miss, and must not see less than it has seen."""
    cache: LRUCache[str, int] = LRUCache(maximum_capacity=2)
    stop = threading.Event()

    def read() -> None:
        highest = 0
        while not stop.is_set():
            value = cache.get("counter", highest)
            assert value >= highest
            highest = value

    readers = [start(read) for _ in range(6)]
    for i in range(scaled(20_000)):
        cache.set("counter", i)
        if i % 7 == 0:
            cache.invalidate("counter")
        if i % 11 == 0:
            cache.set(f"other {i % 3}", 0)
    stop.set()
    for reader in readers:
        reader.result()


def test_no_load_outlives_an_invalidation_under_stress(start: Start) -> None:
    """Write the source, then invalidate: whoever reads after that never finds what was before."""
    source = {"value": 0}
    cache: LRUCache[str, int] = LRUCache(lambda key: source["value"])
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            floor = source["invalidated"]
            assert cache.get("a", 0) >= floor

    source["invalidated"] = 0
    readers = [start(read) for _ in range(6)]
    for i in range(1, scaled(10_000)):
        source["value"] = i
        cache.invalidate("a")
        source["invalidated"] = i
    stop.set()
    for reader in readers:
        reader.result()


def test_iteration_while_others_write(start: Start) -> None:
    cache: LRUCache[int, int] = LRUCache(maximum_capacity=200)
    stop = threading.Event()

    def write(offset: int) -> None:
        i = offset
        while not stop.is_set():
            cache.set(i % 300, i % 300)
            cache.invalidate((i * 7) % 300)
            i += 1

    writers = [start(write, offset) for offset in range(4)]
    for _ in range(300):
        assert all(key == value for key, value in cache.items())
        assert len(list(cache)) <= 200
        assert len(list(cache.values())) <= 200
    stop.set()
    for writer in writers:
        writer.result()
