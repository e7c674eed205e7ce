"""Keys whose own code uses the cache, changes its mind or raises, in the middle of the cache's own steps."""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import LRUCache, LRUCacheDistributed, Removal
from lru_cache.testing import ManualClock
from tests.concurrency import Gate, Started
from tests.store.twins import check_whole as check_store

Start = Callable[..., Started]


class Key:
    """Equal by name, all with one hash; `on_compare` runs once, at the first comparison after it was set."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.on_compare: Callable[[], Any] | None = None

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        for key in (self, other):
            if isinstance(key, Key) and key.on_compare is not None:
                act, key.on_compare = key.on_compare, None
                act()
        return isinstance(other, Key) and other.name == self.name

    def __repr__(self) -> str:
        return self.name


def check_whole(cache: LRUCache[Any, Any]) -> None:
    """What must hold whenever no call is in progress."""
    check_store(cache._store)
    assert len(cache._store) <= cache.maxsize
    assert len(list(cache)) == len(cache)
    assert all(cache.peek(key) is value for key, value in cache.items())


ACTS: dict[str, Callable[[LRUCache[Any, Any], Key], Any]] = {
    "get": lambda cache, key: cache.get(key),
    "get with load": lambda cache, key: cache.get(key, load=lambda key: "loaded"),
    "set": lambda cache, key: cache.set(key, "set"),
    "invalidate": lambda cache, key: cache.invalidate(key),
    "clear": lambda cache, key: cache.clear(),
    "pop": lambda cache, key: cache.pop(key, None),
    "popitem": lambda cache, key: cache.popitem() if cache else None,
    "setdefault": lambda cache, key: cache.setdefault(key, "default"),
    "touch": lambda cache, key: cache.touch(key),
    "fill": lambda cache, key: [cache.set(Key(f"filler {i}"), i) for i in range(5)],
}


@pytest.mark.parametrize("outer", ACTS)
@pytest.mark.parametrize("inner", ACTS)
@pytest.mark.parametrize("same", [True, False], ids=["same key", "another key"])
@pytest.mark.parametrize("held", [True, False], ids=["held", "absent"])
@pytest.mark.parametrize("capacity", [1, 3])
def test_a_key_that_uses_the_cache_while_it_is_compared(
    outer: str, inner: str, same: bool, held: bool, capacity: int
) -> None:
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=capacity)
    if held:
        cache.set(Key("a"), "first")
    cache.set(Key("b"), "second")
    key = Key("a")
    key.on_compare = lambda: ACTS[inner](cache, Key("a" if same else "c"))
    ACTS[outer](cache, key)
    check_whole(cache)
    cache.set(Key("a"), "last")
    assert cache.get(Key("a")) == "last"
    cache.clear()
    assert (len(cache), cache.get(Key("a"))) == (0, None)
    check_whole(cache)


@pytest.mark.parametrize("write", ["set", "invalidate", "clear"])
def test_a_write_from_within_the_keeping_of_a_load_is_not_undone_by_it(write: str) -> None:
    """The load began before that write; keeping it now would lose an invalidation."""
    cache: LRUCache[Any, Any] = LRUCache()
    cache.set(Key("other"), 0)
    key = Key("a")

    def loader(key: Any) -> str:
        key.on_compare = lambda: ACTS[write](cache, Key("a"))
        return "loaded"

    cache.get(key, load=loader)
    assert key.on_compare is None, "the write has happened"
    assert cache.peek(Key("a")) in (None, "set")
    check_whole(cache)


def test_a_key_whose_comparison_raises_changes_nothing() -> None:
    cache: LRUCache[Any, Any] = LRUCache()
    cache.set(Key("a"), 1)

    def fail() -> None:
        raise ArithmeticError("cannot compare")

    for act in (cache.get, cache.invalidate, lambda key: cache.set(key, 2)):
        key = Key("a")
        key.on_compare = fail
        with pytest.raises(ArithmeticError):
            act(key)
    assert cache.get(Key("a")) == 1
    check_whole(cache)


class Moody:
    """A key whose hash, once it is in the cache, raises or is another."""

    def __init__(self) -> None:
        self.mood: int | None = 1

    def __hash__(self) -> int:
        if self.mood is None:
            raise ArithmeticError("cannot hash")
        return self.mood


@pytest.mark.parametrize("mood", [None, 2])
def test_a_key_that_cannot_be_found_again_is_evicted_all_the_same(mood: int | None) -> None:
    """The innocent who come after it must not pay: neither with its exception, nor with the room that it took."""
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=2)
    moody = Moody()
    cache.set(moody, "moody")
    moody.mood = mood
    for i in range(5):
        cache.set(i, i)
    assert list(cache) == [3, 4]
    check_whole(cache)


@pytest.mark.parametrize("mood", [None, 2])
def test_a_key_that_cannot_be_found_again_expires_all_the_same(mood: int | None, clock: ManualClock) -> None:
    cache: LRUCache[Any, Any] = LRUCache(expiration_time=10, clock=clock)
    moody = Moody()
    cache.set(moody, "moody")
    moody.mood = mood
    clock.advance(10)
    assert cache.expire() == 1
    cache.set("a", 1)
    assert dict(cache) == {"a": 1}


def test_a_key_that_is_itself_again_after_its_eviction_is_absent() -> None:
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=1)
    moody = Moody()
    cache.set(moody, "moody")
    moody.mood = None
    cache.set("a", 1)
    moody.mood = 1
    assert cache.get(moody) is None
    assert moody not in cache
    cache.set(moody, "new")
    assert dict(cache) == {moody: "new"}


class Finalized:
    """A value that uses the cache when it goes."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def __del__(self) -> None:
        self.act()


@pytest.mark.parametrize("inner", ACTS)
@pytest.mark.parametrize("outer", ["set", "invalidate", "clear", "fill", "pop"])
def test_a_value_that_uses_the_cache_when_it_is_finalized(outer: str, inner: str) -> None:
    done: list[str] = []
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=3)
    cache.set(Key("a"), Finalized(lambda: done.append(repr(ACTS[inner](cache, Key("a"))))))
    cache.set(Key("b"), 1)
    ACTS[outer](cache, Key("a"))
    assert len(done) == 1
    check_whole(cache)


def test_a_removal_from_within_a_comparison_is_told_once_the_outer_call_has_left_the_lock() -> None:
    held: list[tuple[str, bool]] = []

    def listener(removal: Removal[Any, Any]) -> None:
        held.append((str(removal.cause), cache._within_lock()))

    cache: LRUCache[Any, Any] = LRUCache(on_removal=listener)
    cache.set(Key("a"), 1)
    cache.set(Key("b"), 1)
    key = Key("c")
    key.on_compare = lambda: cache.invalidate(Key("b"))
    cache.set(key, 2)
    assert held == [("invalidated", False)]


def test_a_key_that_asks_for_a_key_that_another_thread_is_loading_does_not_wait_with_the_lock_held(
    start: Start,
) -> None:
    """The other thread needs the lock to end its load: waiting for it in here would be a deadlock."""
    gate = Gate()
    cache: LRUCache[Any, Any] = LRUCache()
    cache.set(Key("a"), 1)

    def slow(key: Any) -> str:
        gate.pass_through()
        return "slow"

    loading = start(cache.get, "x", load=slow)
    gate.wait_entered()
    answers: list[Any] = []
    key = Key("a")
    key.on_compare = lambda: answers.append(cache.get("x", load=lambda key: "own"))
    cache.set(key, 2)
    assert answers == ["own"]
    gate.open()
    assert loading.result() == "slow"


def test_a_key_s_comparison_may_nest_to_any_sensible_depth() -> None:
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=4)
    numbers = itertools.count()

    def deeper(depth: int) -> None:
        key = Key(f"k{next(numbers) % 6}")
        if depth:
            key.on_compare = lambda: deeper(depth - 1)
        cache.set(key, depth)
        cache.invalidate(Key("k1"))

    cache.set(Key("k0"), 0)
    deeper(20)
    check_whole(cache)


class Hashed:
    """A key that does something when it is hashed; `on_hash` runs once."""

    on_hash: Callable[[], Any] | None = None

    def __hash__(self) -> int:
        if self.on_hash is not None:
            act, self.on_hash = self.on_hash, None
            act()
        return 1


def test_a_key_whose_hash_uses_the_cache_while_it_is_evicted_leaves_no_ghost() -> None:
    """It sets and invalidates the very key for which it has to go."""
    cache: LRUCache[Any, Any] = LRUCache(maximum_capacity=1)
    victim = Hashed()
    cache.set(victim, "old")
    victim.on_hash = lambda: [cache.set("new", "inner"), cache.invalidate("new")]
    cache.set("new", "outer")
    check_whole(cache)
    assert cache.get("new") == "outer"


def test_a_removal_by_a_key_that_is_only_looked_at_is_told_at_once() -> None:
    told: list[str] = []
    cache: LRUCache[Any, Any] = LRUCache(on_removal=lambda removal: told.append(str(removal.cause)))
    for look in (cache.peek, cache.__contains__, cache.touch, cache.expires_in):
        cache.set(Key("a"), 1)
        cache.set(Key("b"), 1)
        told.clear()
        key = Key("a")
        key.on_compare = lambda: cache.invalidate(Key("b"))
        look(key)
        assert told == ["invalidated"], look


# -- the replicated cache: who sets a key must be able to encode it, who looks it up must not --------------------------


class Twin(Key):
    """Equal to the str of its name, which can be encoded as it cannot."""

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return super().__eq__(Twin(other) if isinstance(other, str) else other)


LOOK_UPS = {name: act for name, act in ACTS.items() if name not in ("set", "setdefault", "fill")}


@pytest.mark.parametrize("outer", LOOK_UPS)
@pytest.mark.parametrize("inner", ACTS)
@pytest.mark.parametrize("same", [True, False], ids=["same key", "another key"])
def test_a_key_that_uses_a_replicated_cache_while_it_is_compared(outer: str, inner: str, same: bool) -> None:
    cache: LRUCacheDistributed[Any, Any] = LRUCacheDistributed(maximum_capacity=3)
    cache.set("a", "first")
    cache.set("b", "second")
    key = Twin("a")
    name: Any = "a" if same else "c"
    key.on_compare = lambda: (
        [cache.set(f"filler {i}", i) for i in range(5)] if inner == "fill" else ACTS[inner](cache, name)
    )
    # Its own name is no bytes, and that of what it is equal to is known only as long as that is held.
    with contextlib.suppress(TypeError) if outer in ("invalidate", "pop") else contextlib.nullcontext():
        LOOK_UPS[outer](cache, key)
    check_whole(cache)
    cache.set("a", "last")
    assert cache.get("a") == "last"
    cache.clear()
    assert (len(cache), cache.get("a")) == (0, None)


def test_an_unencodable_key_is_refused_by_set_and_changes_nothing() -> None:
    cache: LRUCacheDistributed[Any, Any] = LRUCacheDistributed()
    cache.set("a", 1)
    with pytest.raises(TypeError, match="key is of type"):
        cache.set(Twin("a"), 2)
    assert dict(cache) == {"a": 1}
