"""The contract of a store, which every implementation must pass."""

import gc
import weakref
from typing import Any

import pytest

from lru_cache.store import FOREVER, REAPED_PER_WRITE, RemovalCause, Store

NOW = 100.0


def keys(store: Store[Any, Any]) -> list[Any]:
    return [entry.key for entry in store.entries()]


def test_finds_what_was_put() -> None:
    store: Store[str, int] = Store(2)
    store.put("a", 1, NOW, version="v")
    entry = store.find("a")
    assert entry is not None
    assert (entry.key, entry.value, entry.version, entry.deadline) == ("a", 1, "v", FOREVER)


def test_finds_nothing_for_an_absent_key() -> None:
    assert Store[str, int](2).find("a") is None


def test_evicts_the_least_recently_put_when_full_and_tells() -> None:
    store: Store[str, int] = Store(2)
    store.put("a", 1, NOW, version="v")
    store.put("b", 2, NOW)
    assert store.put("c", 3, NOW) == [("a", 1, "v", RemovalCause.EVICTED)]
    assert keys(store) == ["b", "c"]
    assert store.find("a") is None


def test_a_use_saves_from_eviction() -> None:
    store: Store[str, int] = Store(2)
    store.put("a", 1, NOW)
    store.put("b", 2, NOW)
    entry = store.find("a")
    assert entry is not None
    store.use(entry)
    store.put("c", 3, NOW)
    assert keys(store) == ["a", "c"]


def test_finding_is_not_a_use() -> None:
    store: Store[str, int] = Store(2)
    store.put("a", 1, NOW)
    store.put("b", 2, NOW)
    store.find("a")
    store.put("c", 3, NOW)
    assert keys(store) == ["b", "c"]


def test_an_update_is_a_use_and_tells_what_it_replaced() -> None:
    store: Store[str, int] = Store(2)
    store.put("a", 1, NOW, version=7)
    store.put("b", 2, NOW)
    assert store.put("a", 3, NOW) == [("a", 1, 7, RemovalCause.REPLACED)]
    assert keys(store) == ["b", "a"]


def test_an_equal_key_finds_the_first_one_as_in_a_dict() -> None:
    store: Store[Any, str] = Store(2)
    store.put(1, "int", NOW)
    store.put(True, "bool", NOW)
    assert [(e.key, type(e.key), e.value) for e in store.entries()] == [(1, int, "bool")]


def test_never_holds_more_than_its_capacity() -> None:
    store: Store[int, int] = Store(3)
    for i in range(10):
        store.put(i, i, NOW)
        assert len(store) <= 3


def test_what_has_expired_leaves_before_anything_alive() -> None:
    store: Store[str, int] = Store(2)
    store.put("alive", 1, NOW)
    store.put("expired", 2, NOW, deadline=NOW + 1)
    gone = store.put("new", 3, NOW + 1)
    assert [(key, cause) for key, _, _, cause in gone] == [("expired", RemovalCause.EXPIRED)]
    assert keys(store) == ["alive", "new"]


def test_replacing_or_removing_what_has_expired_counts_as_its_expiry() -> None:
    store: Store[str, int] = Store(9, retention=100)
    store.put("a", 1, NOW, deadline=NOW + 1)
    store.put("b", 1, NOW, deadline=NOW + 1)
    assert store.put("a", 2, NOW + 1)[0][3] is RemovalCause.EXPIRED
    entry = store.find("b")
    assert entry is not None
    gone = store.remove(entry, RemovalCause.INVALIDATED, NOW + 1)
    assert gone is not None
    assert gone[3] is RemovalCause.EXPIRED
    assert store.expirations == 2


def test_removes_once() -> None:
    store: Store[str, int] = Store(2)
    store.put("a", 1, NOW, version="v")
    entry = store.find("a")
    assert entry is not None
    assert store.remove(entry, RemovalCause.INVALIDATED, NOW) == ("a", 1, "v", RemovalCause.INVALIDATED)
    assert store.remove(entry, RemovalCause.INVALIDATED, NOW) is None
    assert store.find("a") is None
    assert len(store) == 0


def test_count_leaves_out_what_has_expired_and_is_still_retained() -> None:
    store: Store[str, int] = Store(9, retention=50)
    store.put("a", 1, NOW, deadline=NOW + 10)
    store.put("b", 1, NOW)
    assert store.count(NOW + 9) == 2
    assert store.count(NOW + 10) == 1
    assert len(store) == 2


def test_reaping_waits_for_the_retention() -> None:
    store: Store[str, int] = Store(9, retention=50)
    store.put("a", 1, NOW, deadline=NOW + 10)
    assert store.reap(NOW + 59) == []
    assert store.reap(NOW + 60) == [("a", 1, None, RemovalCause.EXPIRED)]


def test_a_write_reaps_a_bounded_number_and_more_than_it_adds() -> None:
    store: Store[int, int] = Store(10_000)
    for i in range(1000):
        store.put(i, i, NOW, deadline=NOW + 1)
    writes = 0
    while len(store) > writes:
        gone = store.put(-1 - writes, 0, NOW + 1)
        writes += 1
        assert 1 <= len(gone) <= REAPED_PER_WRITE
    assert writes == -(-1000 // REAPED_PER_WRITE)


def test_prolonging_moves_the_end_both_ways() -> None:
    store: Store[str, int] = Store(9)
    store.put("a", 1, NOW, deadline=NOW + 10)
    entry = store.find("a")
    assert entry is not None
    store.prolong(entry, NOW + 20, NOW + 20)
    assert store.reap(NOW + 19) == []
    store.prolong(entry, NOW + 5, NOW + 5)
    assert len(store.reap(NOW + 5)) == 1


def test_a_put_with_an_earlier_end_expires_at_it() -> None:
    store: Store[str, int] = Store(9)
    store.put("a", 1, NOW, deadline=NOW + 10)
    store.put("a", 2, NOW, deadline=NOW + 5)
    assert store.reap(NOW + 4) == []
    assert [gone[1] for gone in store.reap(NOW + 5)] == [2]


def test_a_put_gives_the_entry_its_new_version_and_forgets_a_failed_load() -> None:
    store: Store[str, int] = Store(9)
    store.put("a", 1, NOW, version="old")
    entry = store.find("a")
    assert entry is not None
    entry.retry_at = NOW + 100
    store.put("a", 2, NOW, version="new")
    assert (entry.version, entry.retry_at < NOW) == ("new", True)


def test_pop_oldest_takes_a_bounded_number_of_expired_entries_at_a_time() -> None:
    store: Store[int, int] = Store(1000, retention=50)
    for i in range(100):
        store.put(i, i, NOW, deadline=NOW + 1)
    store.put(-1, -1, NOW)
    assert len(store.pop_oldest(NOW + 1)) == REAPED_PER_WRITE


def test_pop_oldest_gives_the_least_recently_used_that_lives() -> None:
    store: Store[str, int] = Store(9, retention=50)
    store.put("expired", 1, NOW, deadline=NOW + 1)
    store.put("old", 2, NOW)
    store.put("new", 3, NOW)
    gone = store.pop_oldest(NOW + 1)
    assert [(key, cause) for key, _, _, cause in gone] == [
        ("expired", RemovalCause.EXPIRED),
        ("old", RemovalCause.INVALIDATED),
    ]
    assert keys(store) == ["new"]


def test_pop_oldest_of_nothing_is_nothing() -> None:
    assert Store[str, int](9).pop_oldest(NOW) == []


def test_clear_returns_everything_and_leaves_nothing() -> None:
    store: Store[str, int] = Store(9)
    store.put("a", 1, NOW, deadline=NOW + 1)
    store.put("b", 2, NOW, version="v")
    assert store.clear(NOW) == [("a", 1, None, RemovalCause.CLEARED), ("b", 2, "v", RemovalCause.CLEARED)]
    assert (len(store), store.count(NOW), store.entries(), store.find("a")) == (0, 0, [], None)
    assert store.reap(NOW + 1) == []


def test_counts_evictions_and_expirations() -> None:
    store: Store[int, int] = Store(1)
    for i in range(3):
        store.put(i, i, NOW, deadline=NOW + 1)
    store.reap(NOW + 1)
    assert (store.evictions, store.expirations) == (2, 1)


class Thing:
    """Something that can be watched."""


@pytest.mark.parametrize("way", ["replaced", "evicted", "removed", "expired", "cleared"])
def test_holds_nothing_of_what_has_left(way: str) -> None:
    """Not until the garbage collector comes: memory must go when the value goes."""
    store: Store[str, Thing] = Store(1)
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
