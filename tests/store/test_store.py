"""The contract of a store, which every implementation must pass."""

import contextlib
import gc
import weakref
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from lru_cache.store import REAPED_PER_WRITE, RemovalCause, Store
from tests.store.twins import READ_PATHS, TWINS, check_whole

Make = Callable[..., Store[Any, Any]]

NOW = 100.0


@pytest.fixture(params=TWINS)
def make(request: pytest.FixtureRequest) -> Any:
    """Both implementations, whichever this process uses."""
    return TWINS[request.param]


def keys(store: Store[Any, Any]) -> list[Any]:
    return [entry.key for entry in store.entries()]


def test_finds_what_was_put(make: Make) -> None:
    store: Store[str, int] = make(2)
    store.put("a", 1, NOW, version="v")
    entry = store.find("a")
    assert entry is not None
    assert (entry.key, entry.value, entry.version, entry.deadline) == ("a", 1, "v", inf)


def test_finds_nothing_for_an_absent_key(make: Make) -> None:
    assert make(2).find("a") is None


def test_evicts_the_least_recently_put_when_full_and_tells(make: Make) -> None:
    store: Store[str, int] = make(2)
    store.put("a", 1, NOW, version="v")
    store.put("b", 2, NOW)
    assert store.put("c", 3, NOW) == [("a", 1, "v", RemovalCause.EVICTED)]
    assert keys(store) == ["b", "c"]
    assert store.find("a") is None


def test_a_use_saves_from_eviction(make: Make) -> None:
    store: Store[str, int] = make(2)
    store.put("a", 1, NOW)
    store.put("b", 2, NOW)
    entry = store.find("a")
    assert entry is not None
    store.use(entry)
    store.put("c", 3, NOW)
    assert keys(store) == ["a", "c"]


def test_finding_is_not_a_use(make: Make) -> None:
    store: Store[str, int] = make(2)
    store.put("a", 1, NOW)
    store.put("b", 2, NOW)
    store.find("a")
    store.put("c", 3, NOW)
    assert keys(store) == ["b", "c"]


def test_an_update_is_a_use_and_tells_what_it_replaced(make: Make) -> None:
    store: Store[str, int] = make(2)
    store.put("a", 1, NOW, version=7)
    store.put("b", 2, NOW)
    assert store.put("a", 3, NOW) == [("a", 1, 7, RemovalCause.REPLACED)]
    assert keys(store) == ["b", "a"]


def test_an_equal_key_finds_the_first_one_as_in_a_dict(make: Make) -> None:
    store: Store[Any, str] = make(2)
    store.put(1, "int", NOW)
    store.put(True, "bool", NOW)
    assert [(e.key, type(e.key), e.value) for e in store.entries()] == [(1, int, "bool")]


def test_never_holds_more_than_its_capacity(make: Make) -> None:
    store: Store[int, int] = make(3)
    for i in range(10):
        store.put(i, i, NOW)
        assert len(store) <= 3


def test_what_has_expired_leaves_before_anything_alive(make: Make) -> None:
    store: Store[str, int] = make(2)
    store.put("alive", 1, NOW)
    store.put("expired", 2, NOW, deadline=NOW + 1)
    gone = store.put("new", 3, NOW + 1)
    assert [(key, cause) for key, _, _, cause in gone] == [("expired", RemovalCause.EXPIRED)]
    assert keys(store) == ["alive", "new"]


def test_replacing_or_removing_what_has_expired_counts_as_its_expiry(make: Make) -> None:
    store: Store[str, int] = make(9, retention=100)
    store.put("a", 1, NOW, deadline=NOW + 1)
    store.put("b", 1, NOW, deadline=NOW + 1)
    assert store.put("a", 2, NOW + 1)[0][3] is RemovalCause.EXPIRED
    entry = store.find("b")
    assert entry is not None
    gone = store.remove(entry, RemovalCause.INVALIDATED, NOW + 1)
    assert gone is not None
    assert gone[3] is RemovalCause.EXPIRED
    assert store.expirations == 2


def test_removes_once(make: Make) -> None:
    store: Store[str, int] = make(2)
    store.put("a", 1, NOW, version="v")
    entry = store.find("a")
    assert entry is not None
    assert store.remove(entry, RemovalCause.INVALIDATED, NOW) == ("a", 1, "v", RemovalCause.INVALIDATED)
    assert store.remove(entry, RemovalCause.INVALIDATED, NOW) is None
    assert store.find("a") is None
    assert len(store) == 0


def test_count_leaves_out_what_has_expired_and_is_still_retained(make: Make) -> None:
    store: Store[str, int] = make(9, retention=50)
    store.put("a", 1, NOW, deadline=NOW + 10)
    store.put("b", 1, NOW)
    assert store.count(NOW + 9) == 2
    assert store.count(NOW + 10) == 1
    assert len(store) == 2


def test_reaping_waits_for_the_retention(make: Make) -> None:
    store: Store[str, int] = make(9, retention=50)
    store.put("a", 1, NOW, deadline=NOW + 10)
    assert store.reap(NOW + 59) == []
    assert store.reap(NOW + 60) == [("a", 1, None, RemovalCause.EXPIRED)]


def test_a_write_reaps_a_bounded_number_and_more_than_it_adds(make: Make) -> None:
    store: Store[int, int] = make(10_000)
    for i in range(1000):
        store.put(i, i, NOW, deadline=NOW + 1)
    writes = 0
    while len(store) > writes:
        gone = store.put(-1 - writes, 0, NOW + 1)
        writes += 1
        assert 1 <= len(gone) <= REAPED_PER_WRITE
    assert writes == -(-1000 // REAPED_PER_WRITE)


def test_prolonging_moves_the_end_both_ways(make: Make) -> None:
    store: Store[str, int] = make(9)
    store.put("a", 1, NOW, deadline=NOW + 10)
    entry = store.find("a")
    assert entry is not None
    store.prolong(entry, NOW + 20, NOW + 20)
    assert store.reap(NOW + 19) == []
    store.prolong(entry, NOW + 5, NOW + 5)
    assert len(store.reap(NOW + 5)) == 1


def test_a_put_with_an_earlier_end_expires_at_it(make: Make) -> None:
    store: Store[str, int] = make(9)
    store.put("a", 1, NOW, deadline=NOW + 10)
    store.put("a", 2, NOW, deadline=NOW + 5)
    assert store.reap(NOW + 4) == []
    assert [gone[1] for gone in store.reap(NOW + 5)] == [2]


def test_a_put_gives_the_entry_its_new_version_and_forgets_a_failed_load(make: Make) -> None:
    store: Store[str, int] = make(9)
    store.put("a", 1, NOW, version="old")
    entry = store.find("a")
    assert entry is not None
    entry.retry_at = NOW + 100
    store.put("a", 2, NOW, version="new")
    assert (entry.version, entry.retry_at < NOW) == ("new", True)


def test_pop_oldest_takes_a_bounded_number_of_expired_entries_at_a_time(make: Make) -> None:
    store: Store[int, int] = make(1000, retention=50)
    for i in range(100):
        store.put(i, i, NOW, deadline=NOW + 1)
    store.put(-1, -1, NOW)
    assert len(store.pop_oldest(NOW + 1)) == REAPED_PER_WRITE


def test_pop_oldest_gives_the_least_recently_used_that_lives(make: Make) -> None:
    store: Store[str, int] = make(9, retention=50)
    store.put("expired", 1, NOW, deadline=NOW + 1)
    store.put("old", 2, NOW)
    store.put("new", 3, NOW)
    gone = store.pop_oldest(NOW + 1)
    assert [(key, cause) for key, _, _, cause in gone] == [
        ("expired", RemovalCause.EXPIRED),
        ("old", RemovalCause.INVALIDATED),
    ]
    assert keys(store) == ["new"]


def test_pop_oldest_of_nothing_is_nothing(make: Make) -> None:
    assert make(9).pop_oldest(NOW) == []


def test_clear_returns_everything_and_leaves_nothing(make: Make) -> None:
    store: Store[str, int] = make(9)
    store.put("a", 1, NOW, deadline=NOW + 1)
    store.put("b", 2, NOW, version="v")
    cleared = store.clear(NOW)
    assert len(cleared) == 2
    assert (len(store), store.count(NOW), store.entries(), store.find("a")) == (0, 0, [], None)
    assert store.reap(NOW + 1) == []
    assert cleared.next(9) == [("a", 1, None, RemovalCause.CLEARED), ("b", 2, "v", RemovalCause.CLEARED)]
    assert (len(cleared), cleared.next(9)) == (0, [])


def test_what_was_cleared_is_given_up_in_slices_whatever_the_store_does_meanwhile(make: Make) -> None:
    store: Store[int, int] = make(100)
    for i in range(10):
        store.put(i, i, NOW, deadline=NOW + 1 + i % 2)
    cleared = store.clear(NOW + 1)
    assert [gone[0] for gone in cleared.next(3)] == [0, 1, 2]
    for i in range(20):
        store.put(i, -i, NOW)
    assert cleared.drop(4)
    assert cleared.next(9) == [
        (7, 7, None, RemovalCause.CLEARED),
        (8, 8, None, RemovalCause.EXPIRED),
        (9, 9, None, RemovalCause.CLEARED),
    ]
    assert not cleared.drop(1)
    assert [entry.value for entry in store.entries()] == [-i for i in range(20)]
    assert store.expirations == 5
    check_whole(store)


def test_an_entry_that_was_cleared_keeps_what_it_had_and_changes_nothing(make: Make) -> None:
    store: Store[str, int] = make(9)
    store.put("a", 1, NOW, deadline=NOW + 10, version="v")
    entry = store.find("a")
    assert entry is not None
    cleared = store.clear(NOW)
    store.put("a", 2, NOW)
    for _ in range(2):
        store.use(entry)
        store.prolong(entry, NOW + 1, NOW + 1)
        assert store.remove(entry, RemovalCause.INVALIDATED, NOW) is None
        assert (entry.key, entry.value, entry.version) == ("a", 1, "v")
        assert [(e.value, e.deadline) for e in store.entries()] == [(2, inf)]
        assert store.reap(NOW + 5) == []
        cleared.drop(9)
    check_whole(store)


def test_a_finalizer_of_what_was_cleared_may_do_anything(make: Make) -> None:
    store: Store[int, Any] = make(100)

    class Nosy:
        def __del__(self) -> None:
            cleared.drop(1)
            store.put(-1, 0, NOW)
            store.clear(NOW)

    for i in range(20):
        store.put(i, Nosy(), NOW)
    cleared = store.clear(NOW)
    while cleared.drop(3):
        pass
    assert (len(cleared), len(store)) == (0, 0)
    check_whole(store)


def walked(walk: Any, limit: int = 3) -> list[Any]:
    found = []
    while entries := walk.next(limit):
        assert len(entries) <= limit
        found += [entry.key for entry in entries]
    assert walk.next(limit) == []
    return found


def test_a_walk_gives_all_least_recently_used_first(make: Make) -> None:
    store: Store[int, int] = make(100)
    assert walked(store.walk()) == []
    for i in range(10):
        store.put(i, i, NOW)
    store.use(store.find(4))  # type: ignore[arg-type]
    assert walked(store.walk()) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 4]


def test_a_walk_ends_and_gives_what_stays_though_that_is_used_all_the_time(make: Make) -> None:
    store: Store[int, int] = make(1_000)
    for i in range(100):
        store.put(i, i, NOW)
    walk, found, calls = store.walk(), [], 0
    while entries := walk.next(5):
        calls += 1
        found += [entry.key for entry in entries]
        for i in range(60, 100):
            store.use(store.find(i))  # type: ignore[arg-type]
        check_whole(store)
    assert sorted(found) == list(range(100))
    assert found[:60] == list(range(60))
    assert calls <= 100


def test_a_walk_passes_over_what_leaves_and_what_comes(make: Make) -> None:
    store: Store[int, int] = make(10)
    for i in range(10):
        store.put(i, i, NOW)
    walk = store.walk()
    assert [entry.key for entry in walk.next(3)] == [0, 1, 2]
    for i in range(10, 15):
        store.put(i, i, NOW)  # so 0 to 4 leave
        check_whole(store)
    store.put(0, 0, NOW)  # and 5
    assert walked(walk) == [6, 7, 8, 9]


def test_a_walk_gives_what_took_the_place_of_its_equal(make: Make) -> None:
    """As a value that came from another node does."""
    store: Store[int, int] = make(10)
    for i in range(5):
        store.put(i, i, NOW)
    walk = store.walk()
    for i in (1, 3):
        store.remove(store.find(i), RemovalCause.REPLACED, NOW)  # type: ignore[arg-type]
        store.put(i, -i, NOW)
        check_whole(store)
    assert sorted(walked(walk)) == [0, 1, 2, 3, 4]


def test_it_does_so_also_where_others_leave_at_the_same_time(make: Make) -> None:
    store: Store[int, int] = make(20)
    store.put(0, 0, NOW)
    for i in range(1, 11):
        store.put(i, i, NOW, deadline=NOW + 1)
    walk = store.walk()
    store.remove(store.find(0), RemovalCause.REPLACED, NOW)  # type: ignore[arg-type]
    assert len(store.put(0, -1, NOW + 1)) == 10
    check_whole(store)
    assert walked(walk) == [0]


def test_a_walk_is_over_when_the_store_is_cleared(make: Make) -> None:
    store: Store[str, int] = make(10)
    for key in "abcd":
        store.put(key, 1, NOW)
    walk, other = store.walk(), store.walk()
    other.next(2)
    store.clear(NOW)
    for key in "efgh":
        store.put(key, 2, NOW)
    check_whole(store)
    assert walked(walk) == walked(other) == []


def test_walks_do_not_disturb_each_other(make: Make) -> None:
    store: Store[int, int] = make(100)
    for i in range(50):
        store.put(i, i, NOW)
    walks = [store.walk() for _ in range(5)]
    for walk in walks[1::2]:
        walk.next(7)
    del walks[1]
    store.walk().next(1)
    check_whole(store)
    assert [len(walked(walk)) for walk in walks] == [50, 50, 43, 50]


@pytest.mark.parametrize("call", ["walk", "next", "drop", "pass_time"])
def test_a_limit_is_at_least_one(make: Make, call: str) -> None:
    store = make(9)
    store.put("a", 1, NOW)
    if call == "walk":
        target: Any = store.walk().next
    elif call == "pass_time":
        target = lambda limit: store.pass_time(NOW, limit)  # noqa: E731
    else:
        target = getattr(store.clear(NOW), call)
    with pytest.raises(ValueError, match="limit must be at least 1"):
        target(0)


def test_whose_life_has_ended_is_noted_in_slices(make: Make) -> None:
    store: Store[int, int] = make(1_000, retention=50)
    for i in range(100):
        store.put(i, i, NOW, deadline=NOW + 1 + (i * 7) % 10)
    assert store.pass_time(NOW, 1)
    turns = 1
    while not store.pass_time(NOW + 5, 10):
        turns += 1
        check_whole(store)
    assert turns == 6
    assert store.count(NOW + 5) == 50
    assert store.count(NOW + 1) == 90
    assert store.count(NOW + 100) == 0
    assert not store.has_due(NOW + 50)
    assert store.has_due(NOW + 51)
    assert len(store.reap(NOW + 55)) == 50
    assert store.count(NOW + 5) == 50
    check_whole(store)


def test_counts_evictions_and_expirations(make: Make) -> None:
    store: Store[int, int] = make(1)
    for i in range(3):
        store.put(i, i, NOW, deadline=NOW + 1)
    store.reap(NOW + 1)
    assert (store.evictions, store.expirations) == (2, 1)


class Thing:
    """Something that can be watched."""


@pytest.mark.parametrize("way", ["replaced", "evicted", "removed", "expired", "cleared"])
def test_holds_nothing_of_what_has_left(make: Make, way: str) -> None:
    """Not until the garbage collector comes: memory must go when the value goes."""
    store: Store[str, Thing] = make(1)
    gc.disable()
    try:
        thing = Thing()
        seen = weakref.ref(thing)
        store.put("a", thing, NOW, deadline=NOW + 10)
        del thing
        if way == "replaced":
            store.put("a", Thing(), NOW)
        elif way == "evicted":
            store.put("b", Thing(), NOW)
        elif way == "removed":
            entry = store.find("a")
            assert entry is not None
            store.remove(entry, RemovalCause.INVALIDATED, NOW)
            del entry
        elif way == "expired":
            store.reap(NOW + 10)
        else:
            store.clear(NOW)
        assert seen() is None
    finally:
        gc.enable()


def test_an_entry_that_has_left_keeps_what_it_had(make: Make) -> None:
    """Who took it from a snapshot may still read it, and finds it neither fresh nor alive again."""
    store: Store[str, int] = make(1)
    store.put("a", 1, NOW, deadline=NOW + 10, version="v")
    (entry,) = store.entries()
    store.put("b", 2, NOW)
    assert (entry.key, entry.value, entry.version, entry.deadline) == ("a", 1, "v", NOW + 10)
    assert entry.fresh_until < NOW
    store.put("a", 3, NOW)
    assert entry.value == 1


def test_an_entry_is_one_object_as_long_as_somebody_holds_it(make: Make) -> None:
    store: Store[str, int] = make(9)
    store.put("a", 1, NOW)
    entry = store.find("a")
    store.put("a", 2, NOW)
    assert store.find("a") is entry
    assert store.entries() == [entry]
    assert entry is not None
    assert entry.value == 2


def test_an_entry_may_be_changed_in_place(make: Make) -> None:
    store: Store[str, Any] = make(9)
    store.put("a", b"encoded", NOW, NOW + 10, float("-inf"), "v")
    entry = store.find("a")
    assert entry is not None
    entry.value = "decoded"
    entry.fresh_until = NOW + 5
    entry.version = "w"
    entry.retry_at = NOW + 1
    del entry
    entry = store.find("a")
    assert entry is not None
    assert (entry.value, entry.version, entry.deadline, entry.fresh_until, entry.retry_at) == (
        "decoded", "w", NOW + 10, NOW + 5, NOW + 1,
    )  # fmt: skip


def test_nothing_done_to_an_entry_that_has_left_changes_the_store(make: Make) -> None:
    store: Store[str, int] = make(9)
    store.put("a", 1, NOW)
    entry = store.find("a")
    assert entry is not None
    store.remove(entry, RemovalCause.INVALIDATED, NOW)
    store.put("a", 2, NOW, deadline=NOW + 10)
    store.use(entry)
    store.prolong(entry, NOW + 1, NOW + 1)
    assert entry.fresh_until < NOW
    assert store.reap(NOW + 2) == []
    entry.value = 3
    entry.version = "w"
    entry.fresh_until = entry.retry_at = NOW + 5
    assert [(e.value, e.version, e.deadline) for e in store.entries()] == [(2, None, NOW + 10)]
    check_whole(store)


def test_another_store_s_entry_is_no_entry_of_this_one(make: Make) -> None:
    store, other = make(9), make(9)
    store.put("a", 1, NOW)
    store.put("b", 1, NOW)
    other.put("a", 1, NOW)
    entry = other.find("a")
    assert entry is not None
    store.use(entry)
    assert keys(store) == ["a", "b"]
    assert store.remove(entry, RemovalCause.INVALIDATED, NOW) is None
    assert len(store) == 2


def test_a_smaller_capacity_counts_from_the_next_put(make: Make) -> None:
    store: Store[int, int] = make(100)
    for i in range(100):
        store.put(i, i, NOW)
    store.capacity = 3
    assert len(store.put(100, 100, NOW)) == 98
    assert keys(store) == [98, 99, 100]
    store.capacity = 5
    for i in range(10):
        store.put(i, i, NOW)
    assert keys(store) == [5, 6, 7, 8, 9]
    check_whole(store)


def test_a_capacity_beyond_all_memory_is_one_like_others(make: Make) -> None:
    store: Store[int, int] = make(10**30)
    store.put(1, 1, NOW)
    assert (store.capacity, len(store)) == (10**30, 1)


@pytest.mark.parametrize("kind", [int, str, float, lambda i: (i, str(i)), lambda i: b"%d" % i])
def test_finds_each_of_many_keys_of_one_kind_and_none_that_has_left(make: Make, kind: Callable[[int], Any]) -> None:
    store: Store[Any, int] = make(1_000)
    for i in range(3_000):
        store.put(kind(i), i, NOW, deadline=NOW + 10 + i % 7)
    for i in range(3_000):
        entry = store.find(kind(i))
        assert (entry and entry.value) == (i if i >= 2_000 else None)
    check_whole(store)


def test_a_put_that_cannot_compare_its_key_changes_nothing(make: Make) -> None:
    class Angry:
        def __hash__(self) -> int:
            return hash("a")

        def __eq__(self, other: object) -> bool:
            raise ArithmeticError("cannot compare")

    store: Store[Any, int] = make(9)
    store.put("a", 1, NOW)
    with pytest.raises(ArithmeticError):
        store.put(Angry(), 2, NOW)
    assert [(e.key, e.value) for e in store.entries()] == [("a", 1)]
    check_whole(store)


def test_unhashable_keys_are_refused(make: Make) -> None:
    store = make(9)
    with pytest.raises(TypeError):
        store.put([], 1, NOW)
    with pytest.raises(TypeError):
        store.find([])
    assert len(store) == 0


def test_a_value_that_came_encoded_is_not_taken_for_the_hit_that_it_replaced(make: Make) -> None:
    """The reader has found the entry fresh, and is interrupted before it takes the value."""
    now = [NOW]

    def overtaken() -> float:
        before = now[0]
        store.put("a", b"encoded", NOW, deadline=inf, fresh_until=float("-inf"))
        return before

    class Missed(Exception):  # noqa: N818 - no error
        pass

    store: Store[str, Any] = make(9)
    read_path = READ_PATHS[type(store)]

    class Reader(read_path):  # type: ignore[misc, valid-type]
        def _miss(self, key: Any, default: Any, load: Any) -> Any:
            raise Missed

    for deadline in (NOW + 10, inf):
        store.put("a", "decoded", NOW, deadline=deadline)
        with pytest.raises(Missed):
            Reader(store, overtaken).get("a")


class Clearing:
    """A key that clears a store as it is hashed or compared, so many times."""

    def __init__(self, store: Store[Any, Any]) -> None:
        self.store = store
        self.times = 0

    def _strike(self) -> None:
        if self.times:
            self.times -= 1
            self.store.clear(NOW)

    def __hash__(self) -> int:
        self._strike()
        return 1

    def __eq__(self, other: object) -> bool:
        self._strike()
        return isinstance(other, Clearing)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("held", [True, False], ids=["held", "absent"])
def test_a_put_whose_key_clears_the_store_meanwhile_keeps_what_it_puts(make: Make, held: bool, times: int) -> None:
    store: Store[Any, int] = make(3)
    key, other = Clearing(store), Clearing(store)
    store.put(other if held else 1, 1, NOW)
    key.times = times
    store.put(key, 2, NOW)
    key.times = 0
    check_whole(store)
    entry = store.find(other)
    assert entry is not None
    assert (entry.value, len(store)) == (2, 1)


def test_a_put_whose_key_never_stops_clearing_the_store_ends(make: Make) -> None:
    store: Store[Any, int] = make(3)
    key = Clearing(store)
    store.put(key, 1, NOW)
    key.times = 100_000
    with contextlib.suppress(RuntimeError):  # the store in C hashes it once, and does not notice
        store.put(key, 2, NOW)
    key.times = 0
    check_whole(store)
