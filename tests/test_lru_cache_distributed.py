"""What one of two or three linked caches does, the others know: the contract of `LRUCacheDistributed`.

Its arguments and its links have tests of their own: test_distributed_arguments.py, test_distributed_links.py. What it
shares with `LRUCache` the tests of that one check for both.
"""

import importlib.util
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache import Loaded, LRUCache, LRUCacheDistributed, Removal
from lru_cache.loading.single_flight import Flight
from lru_cache.replication import messages
from lru_cache.replication.encoding import encode_key, encode_value
from lru_cache.testing import ManualClock
from tests.concurrency import PATIENCE, CountingLock, Gate, Started, eventually, link, settle
from tests.naming import named

Cache = LRUCacheDistributed[Any, Any]
Pair = tuple[Cache, Cache]
Nodes = Callable[..., Cache]
Start = Callable[..., Started]

VALUE = {
    "tuple": (1, "two", b"three"),
    "set": {Decimal("4.00")},
    "at": datetime(2020, 1, 1, tzinfo=timezone.utc),
    5: None,
}


# -- the seed's words --------------------------------------------------------------------------------------------------


def test_the_seed_s_snippet_works_as_printed_with_other_addresses(nodes: Nodes) -> None:
    from lru_cache.lru_cache_distributed import LRUCacheDistributed

    def load_callback(key: str) -> str:
        return key

    other_region = nodes(local_address=("", "0"))
    address = ("127.0.0.1", str(other_region.local_address[1]))  # type: ignore[index]
    local_cache = LRUCacheDistributed(
        load_callback=load_callback,
        maximum_capacity=5555,
        expiration_time=5555,
        connection_timeout=5555,
        remote_address=address,  # to be a client
        local_address=("", "0"),  # to be a server
    )
    with local_cache:
        assert local_cache.get("test_key") == "test_key"
        assert local_cache.set("test_key", "test_value") == "test_value"
        link(local_cache)
        settle(local_cache)
        assert other_region.get("test_key") == "test_value"


def test_the_arguments_that_the_seed_names_may_be_given_by_position(nodes: Nodes) -> None:
    cache = nodes(str, 3, 60)
    assert (cache.maxsize, cache.ttl, cache.get(1)) == (3, 60, "1")


def test_is_an_lru_cache() -> None:
    assert issubclass(LRUCacheDistributed, LRUCache)


# -- writes travel -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", [0, 1], ids=["client writes", "server writes"])
@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.set("k", VALUE),
        lambda c: c.set_many({"k": VALUE}),
        lambda c: c.update(k=VALUE),
        lambda c: c.__setitem__("k", VALUE),
        lambda c: c.setdefault("k", VALUE),
    ],
    ids=["set", "set_many", "update", "setitem", "setdefault"],
)
def test_what_is_set_on_one_is_read_on_the_other(pair: Pair, writer: int, write: Callable[[Cache], Any]) -> None:
    write(pair[writer])
    settle(pair[writer])
    assert pair[1 - writer].get("k") == VALUE


@pytest.mark.parametrize("writer", [0, 1], ids=["client writes", "server writes"])
@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.invalidate("k"),
        lambda c: c.invalidate_many(["x", "k"]),
        lambda c: c.clear(),
        lambda c: c.pop("k"),
        lambda c: c.popitem(),
        lambda c: c.__delitem__("k"),
        lambda c: c.set("k"),
        lambda c: c.set("k", 2, expire_at=datetime(2001, 1, 1)),
    ],
    ids=["invalidate", "invalidate_many", "clear", "pop", "popitem", "del", "set without value", "set in the past"],
)
def test_what_is_invalidated_on_one_is_gone_on_the_other(
    pair: Pair, writer: int, write: Callable[[Cache], Any]
) -> None:
    pair[0].set("k", 1)
    settle(pair[0])
    write(pair[writer])
    settle(pair[writer])
    assert [("k" in cache, cache.get("k")) for cache in pair] == [(False, None)] * 2


def test_an_invalidation_of_a_key_that_is_absent_here_is_told_all_the_same(pair: Pair) -> None:
    one, other = pair
    one.set("k", 1)
    settle(one)
    other._store.remove(other._store.find("k"), "evicted", 0)  # type: ignore[arg-type]
    assert other.invalidate("k") is False
    settle(other)
    assert "k" not in one


def test_an_invalidation_fences_the_load_of_another_node(pair: Pair, start: Start) -> None:
    one, other = pair
    gate = Gate()

    def slow(key: str) -> str:
        gate.pass_through()
        return "read before"

    loading = start(one.get, "k", load=slow)
    gate.wait_entered()
    other.invalidate("k")
    settle(other)
    gate.open()
    assert loading.result() == "read before"
    assert "k" not in one
    assert one.stats().fenced_loads == 1


@pytest.mark.parametrize("write", [lambda c: c.set("k", "set"), lambda c: c.clear()], ids=["set", "clear"])
def test_a_set_and_a_clear_fence_the_load_of_another_node(
    pair: Pair, start: Start, write: Callable[[Cache], Any]
) -> None:
    one, other = pair
    gate = Gate()

    def slow(key: str) -> str:
        gate.pass_through()
        return "read before"

    loading = start(one.get, "k", load=slow)
    gate.wait_entered()
    write(other)
    settle(other)
    gate.open()
    loading.result()
    assert one.peek("k") != "read before"


def test_of_two_sets_the_later_stays_on_both(pair: Pair) -> None:
    one, other = pair
    one.set("k", 1)
    settle(one)
    other.set("k", 2)
    settle(other)
    one.set("k", 3)
    settle(one)
    assert (one.get("k"), other.get("k")) == (3, 3)


def test_sets_at_the_same_time_end_in_the_same_value_on_both(pair: Pair, start: Start) -> None:
    one, other = pair

    def count(cache: Cache, name: str) -> None:
        for i in range(200):
            cache.set("k", (name, i))

    for counting in [start(count, one, "one"), start(count, other, "other")]:
        counting.result()
    settle(one, other)
    assert one.get("k") == other.get("k")
    assert one.get("k") in {("one", 199), ("other", 199)}


def test_a_touch_restarts_the_life_on_both(pair: Pair, clock: ManualClock) -> None:
    one, other = pair
    one.set("k", 1)
    settle(one)
    clock.advance(50)
    assert other.touch("k")
    settle(other)
    assert (one.expires_in("k"), other.expires_in("k")) == (60, 60)


def test_a_touch_takes_a_life_along(pair: Pair, clock: ManualClock) -> None:
    one, other = pair
    one.set("k", 1)
    settle(one)
    one.touch("k", expiration_time=500)
    settle(one)
    assert other.expires_in("k") == 500


def test_get_leaves_the_process_never(pair: Pair) -> None:
    one, other = pair
    one.set("k", 1)
    settle(one)
    with one._lock:  # so that it could not answer
        assert other.get("k") == 1
        assert other.get("absent") is None


def test_a_set_does_not_wait_for_a_peer_that_does_not_read(pair: Pair) -> None:
    one, other = pair
    with one._lock:
        for i in range(1_000):
            other.set(i, "x" * 1_000)
    settle(other)
    assert len(one) == 1_000


def test_what_was_written_before_the_link_is_told_when_it_comes_up(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0))
    server.set("of the server", 1)
    client = nodes()
    client.close()
    client = nodes(remote_address=server.local_address)
    client.set("of the client", 2)
    link(client, server)
    settle(client, server)
    both = {"of the server": 1, "of the client": 2}
    assert (dict(server), dict(client)) == (both, both)


@pytest.mark.parametrize(
    "key", ["text", b"bytes", 5, 1 << 80, None, (1, ("a", b"b")), frozenset([1]), 1.5, Decimal("0.1")]
)
def test_keys_of_every_kind_are_the_same_key_there(pair: Pair, key: Any) -> None:
    pair[0].set(key, "v")
    settle(pair[0])
    assert pair[1].get(key) == "v"
    pair[1].invalidate(key)
    settle(pair[1])
    assert key not in pair[0]


def test_keys_that_are_equal_are_one_on_every_node(pair: Pair) -> None:
    pair[0].set(1, "v")
    settle(pair[0])
    assert pair[1].invalidate(True)
    settle(pair[1])
    assert 1.0 not in pair[0]


def test_memoized_results_are_shared_and_invalidated_everywhere(pair: Pair) -> None:
    runs: list[int] = []

    def double(n: int) -> int:
        runs.append(n)
        return 2 * n

    one, other = (cache.memoize()(double) for cache in pair)
    assert one(4) == 8
    settle(pair[0])
    assert other(4) == 8
    assert runs == [4]
    assert other.cache_invalidate(4)
    settle(pair[1])
    assert one(4) == 8
    assert runs == [4, 4]


# -- lives travel ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", [None, 5, 500])
def test_the_life_that_remains_travels(pair: Pair, life: float | None) -> None:
    pair[0].set("k", 1, expiration_time=life)
    settle(pair[0])
    assert pair[1].expires_in("k") == life


def test_a_value_ends_on_both_at_the_same_time(pair: Pair, clock: ManualClock) -> None:
    pair[0].set("k", 1, expiration_time=5)
    settle(pair[0])
    clock.advance(4.9)
    assert pair[1].get("k") == 1
    clock.advance(0.1)
    assert [cache.get("k") for cache in pair] == [None, None]


def test_what_is_left_of_a_life_is_told_to_who_comes_later(nodes: Nodes, clock: ManualClock) -> None:
    server = nodes(local_address=("127.0.0.1", 0), expiration_time=60, clock=clock)
    server.set("k", 1)
    clock.advance(20)
    client = nodes(remote_address=server.local_address, expiration_time=999, clock=clock)
    link(server, client)
    settle(server)
    assert client.expires_in("k") == 40


# -- loads -------------------------------------------------------------------------------------------------------------


def test_what_one_loads_the_other_need_not(pair: Pair) -> None:
    assert pair[0].get("k", load=lambda key: VALUE) == VALUE
    settle(pair[0])
    assert pair[1].get("k", load=lambda key: "loaded again") == VALUE
    assert pair[1].stats().loads == 0


def test_the_life_that_a_loader_chose_travels(pair: Pair) -> None:
    pair[0].get("k", load=lambda key: Loaded(None, expiration_time=3))
    settle(pair[0])
    assert "k" in pair[1]
    assert pair[1].expires_in("k") == 3


def test_loads_stay_here_if_they_are_not_to_be_replicated_and_writes_are_told(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0))
    client = nodes(remote_address=server.local_address, replicate_loads=False)
    link(client, server)
    assert client.get("loaded", load=str) == "loaded"
    client.set("set", 1)
    settle(client)
    assert dict(server) == {"set": 1}
    assert "loaded" in client
    server.invalidate("loaded")
    settle(server)
    assert "loaded" not in client


def test_a_load_never_replaces_what_was_set(pair: Pair, clock: ManualClock) -> None:
    one, other = pair
    one.set("k", "set")
    settle(one)
    other._store.remove(other._store.find("k"), "evicted", 0)  # type: ignore[arg-type]
    clock.advance(5)
    other.get("k", load=lambda key: "loaded")
    settle(other)
    assert one.get("k") == "set"


@pytest.mark.parametrize("odd", [object(), [1, {2: lambda: 3}], type], ids=named)
def test_a_load_that_cannot_be_encoded_is_returned_kept_here_counted_and_logged_once(
    pair: Pair, odd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = pair
    assert [one.get(key, load=lambda key: odd) for key in "aab"] == [odd] * 3
    one.set("after", 1)
    settle(one)
    assert ("a" in one, list(other)) == (True, ["after"])
    assert one.stats().loads_untold == 2
    assert len([line for line in caplog.messages if "stays on this node" in line]) == 1


def test_a_load_for_a_key_that_cannot_be_encoded_stays_here(pair: Pair) -> None:
    key = object()
    assert pair[0].get(key, load=lambda key: "loaded") == "loaded"
    assert key in pair[0]
    assert pair[0].stats().loads_untold == 1


def test_a_clear_of_another_node_drops_what_was_loaded_for_a_key_that_cannot_be_encoded(pair: Pair) -> None:
    one, other = pair
    keys = [object() for _ in range(3)]
    for key in keys:
        one.get(key, load=lambda key: "loaded")
    one.get("k", load=lambda key: "loaded")
    other.clear()
    settle(other)
    assert [key in one for key in (*keys, "k")] == [False] * 4


def test_a_clear_of_another_node_fences_the_load_of_a_key_that_cannot_be_encoded(pair: Pair, start: Start) -> None:
    one, other = pair
    gate = Gate()
    key = object()

    def slow(_: object) -> str:
        gate.pass_through()
        return "read before"

    loading = start(one.get, key, load=slow)
    gate.wait_entered()
    other.clear()
    settle(other)
    gate.open()
    assert loading.result() == "read before"
    assert key not in one
    assert one.get(key, load=lambda key: "read after") == "read after"
    assert key in one


def test_a_flush_of_a_clear_waits_until_a_large_store_is_swept(nodes: Nodes) -> None:
    """Readers take no lock, and may be handed what is cleared until it is swept."""
    large = nodes(local_address=("127.0.0.1", 0), maximum_capacity=30_000)
    other = nodes(remote_address=large.local_address, maximum_capacity=10)
    link(other, large)
    for _ in range(2):
        for number in range(30_000):
            large.set(number, number)
        settle(large)
        other.clear()
        settle(other)
        assert [number for number in range(30_000) if number in large] == []


class Seven:
    """Equal to 7 and to its like, and no data that can be encoded: as `numpy.int64(7)` is."""

    def __hash__(self) -> int:
        return hash(7)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seven) or other == 7


SEVENS: list[Any] = [Seven]
if importlib.util.find_spec("numpy") is not None:
    import numpy as np

    SEVENS.append(lambda: np.int64(7))


@pytest.mark.parametrize("make", SEVENS)
@pytest.mark.parametrize(
    "invalidate",
    [
        lambda c, key: c.invalidate(key),
        lambda c, key: c.pop(key),
        lambda c, key: c.__delitem__(key),
        lambda c, key: c.invalidate_many(["x", key]),
        lambda c, key: c.set(key),
    ],
    ids=["invalidate", "pop", "del", "invalidate_many", "set without value"],
)
def test_what_is_invalidated_by_an_equal_of_its_key_is_gone_on_the_other(
    pair: Pair, make: Callable[[], Any], invalidate: Callable[[Cache, Any], Any]
) -> None:
    one, other = pair
    other.set(7, "seven")
    settle(other)
    invalidate(one, make())
    settle(one)
    assert (7 in one, 7 in other) == (False, False)


@pytest.mark.parametrize(
    "invalidate",
    [
        lambda c, key: c.invalidate(key),
        lambda c, key: c.pop(key, None),
        lambda c, key: c.__delitem__(key),
        lambda c, key: c.invalidate_many(["held", key]),
        lambda c, key: c.set(key),
    ],
    ids=["invalidate", "pop", "del", "invalidate_many", "set without value"],
)
@pytest.mark.parametrize("loaded", [True, False], ids=["loaded here", "not held"])
def test_an_invalidation_that_cannot_be_told_is_refused_and_changes_nothing(
    pair: Pair, loaded: bool, invalidate: Callable[[Cache, Any], Any]
) -> None:
    one, other = pair
    one.set("held", 1)
    key = Seven()
    if loaded:
        one.get(key, load=lambda key: "loaded")
    before = dict(one), one.stats().invalidations
    with pytest.raises(TypeError, match="a key of class Seven cannot be encoded"):
        invalidate(one, key)
    settle(one)
    assert (dict(one), one.stats().invalidations) == before
    assert dict(other) == {"held": 1}


def test_an_invalidation_that_cannot_be_told_leaves_the_load_of_its_key(nodes: Nodes, start: Start) -> None:
    cache, key, gate = nodes(), Seven(), Gate()

    def slow(key: Any) -> str:
        gate.pass_through()
        return "loaded"

    loading = start(cache.get, key, load=slow)
    gate.wait_entered()
    with pytest.raises(TypeError):
        cache.invalidate(key)
    gate.open()
    assert loading.result() == "loaded"
    assert cache.peek(key) == "loaded"


def test_what_a_memoized_function_keeps_here_alone_is_cleared_too(nodes: Nodes) -> None:
    cache = nodes()
    runs = []

    @cache.memoize()
    def double(value: Any) -> str:
        runs.append(value)
        return "seven"

    for _ in range(2):
        double(Seven())
        double.cache_clear()
    assert len(runs) == 2


def test_add_keeps_what_is_absent_and_tells_it(pair: Pair) -> None:
    one, other = pair
    assert one.add("k", VALUE)
    settle(one)
    assert other.get("k") == VALUE
    assert not other.add("k", 2)
    other.invalidate("k")
    settle(other)
    assert one.add("k", 3)
    settle(one)
    assert other.get("k") == 3


@pytest.mark.parametrize("value", [object(), "x" * 2_000], ids=["cannot be encoded", "too large"])
def test_add_refuses_what_cannot_be_told(nodes: Nodes, value: Any) -> None:
    cache = nodes(maximum_value_bytes=1_000)
    with pytest.raises((TypeError, ValueError)):
        cache.add("k", value)
    assert len(cache) == 0


@pytest.mark.parametrize("part", [list, lambda c: list(c.items()), lambda c: list(c.values())])
def test_what_came_is_listed_in_slices_with_the_lock_free_in_between(pair: Pair, part: Callable[[Cache], Any]) -> None:
    one, other = pair
    one.set_many((number, str(number)) for number in range(1_000))
    settle(one)
    expected, locks = part(one), CountingLock(other._lock)
    other._lock = locks
    assert part(other) == expected
    assert locks.taken > 10


def test_a_load_that_is_too_large_is_returned_kept_here_and_counted(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0))
    client = nodes(remote_address=server.local_address, maximum_value_bytes=1_000)
    link(client, server)
    assert client.get("k", load=lambda key: "x" * 2_000) == "x" * 2_000
    settle(client)
    assert ("k" in client, "k" in server, client.stats().loads_untold) == (True, False, 1)


def test_a_load_that_could_not_be_told_goes_with_what_is_told_of_its_key(pair: Pair) -> None:
    one, other = pair
    one.get("k", load=lambda key: object())
    other.invalidate("k")
    settle(other)
    assert "k" not in one


def test_a_load_begun_within_the_source_s_lag_after_an_invalidation_is_returned_and_not_kept(
    nodes: Nodes, clock: ManualClock
) -> None:
    cache = nodes(lambda key: "perhaps old", source_lag=5, clock=clock)
    cache.invalidate("k")
    clock.advance(5)
    assert cache.get("k") == "perhaps old"
    assert "k" not in cache
    clock.advance(0.001)
    cache.get("k")
    assert "k" in cache


def test_the_source_s_lag_counts_from_an_invalidation_elsewhere_too(nodes: Nodes, clock: ManualClock) -> None:
    server = nodes(local_address=("127.0.0.1", 0), source_lag=5, clock=clock)
    client = nodes(remote_address=server.local_address, source_lag=5, clock=clock)
    link(client, server)
    client.invalidate("k")
    settle(client)
    assert server.get("k", load=lambda key: "perhaps old") == "perhaps old"
    assert "k" not in server


def test_without_a_lag_a_load_right_after_an_invalidation_is_kept(nodes: Nodes, clock: ManualClock) -> None:
    cache = nodes(str, clock=clock)
    cache.invalidate("k")
    cache.get("k")
    assert "k" in cache


# -- what cannot be told -----------------------------------------------------------------------------------------------


WRITES: dict[str, Callable[[Cache, Any, Any], Any]] = {
    "set": lambda cache, key, value: cache.set(key, value),
    "setitem": lambda cache, key, value: cache.__setitem__(key, value),
    "set_many": lambda cache, key, value: cache.set_many({key: value}),
    "set with a life": lambda cache, key, value: cache.set(key, value, expiration_time=5),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "value", [object(), lambda: 1, [1, {"a": object()}], type("Own", (dict,), {})(), bytearray(b"a")], ids=named
)
def test_a_value_that_cannot_be_encoded_is_a_type_error_and_changes_nothing_anywhere(
    pair: Pair, write: str, value: Any
) -> None:
    one, other = pair
    one.set("k", "before")
    with pytest.raises(TypeError, match="value"):
        WRITES[write](one, "k", value)
    settle(one)
    assert (one.get("k"), other.get("k")) == ("before", "before")


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("key", [object(), float("nan"), ("a", object())], ids=named)
def test_a_key_that_cannot_be_encoded_is_a_type_error_and_changes_nothing_anywhere(
    pair: Pair, write: str, key: Any
) -> None:
    one, other = pair
    with pytest.raises(TypeError, match="key"):
        WRITES[write](one, key, 1)
    settle(one)
    assert (len(one), len(other)) == (0, 0)


@pytest.mark.parametrize("write", [*WRITES, "setdefault"])
def test_a_value_that_is_too_large_is_a_value_error_that_says_how_large(nodes: Nodes, write: str) -> None:
    cache = nodes(maximum_value_bytes=1_000)
    act = {**WRITES, "setdefault": lambda cache, key, value: cache.setdefault(key, value)}[write]
    act(cache, "fits", "x" * 900)
    with pytest.raises(ValueError, match=r"the value of 'k' has 1003 bytes .*maximum_value_bytes=1000"):
        act(cache, "k", "x" * 1_000)
    assert "k" not in cache


def test_a_value_that_is_too_large_leaves_the_one_before_it(nodes: Nodes) -> None:
    cache = nodes(maximum_value_bytes=100)
    cache.set("k", "before")
    with pytest.raises(ValueError, match="maximum_value_bytes"):
        cache.set("k", bytes(200))
    assert cache.get("k") == "before"


def test_a_value_of_just_the_largest_size_travels(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0), maximum_value_bytes=1_000_000)
    client = nodes(remote_address=server.local_address, maximum_value_bytes=1_000_000)
    link(client, server)
    value = b"x" * (1_000_000 - 5)
    client.set("k", value)
    settle(client)
    assert server.get("k") == value


def test_a_value_longer_than_a_peer_takes_is_told_to_it_as_an_invalidation(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0), maximum_value_bytes=100)
    client = nodes(remote_address=server.local_address)
    link(client, server)
    client.set("k", "short")
    settle(client)
    client.set("k", "x" * 1_000)
    settle(client)
    assert ("k" in server, client.get("k")) == (False, "x" * 1_000)
    assert client.stats().values_too_large == 1


def test_setdefault_of_what_is_held_asks_nothing_of_the_default(pair: Pair) -> None:
    pair[0].set("k", 1)
    assert pair[0].setdefault("k", object()) == 1


def test_setdefault_of_what_cannot_be_encoded_changes_nothing(pair: Pair) -> None:
    with pytest.raises(TypeError):
        pair[0].setdefault("k", object())
    assert "k" not in pair[0]


# -- values that came encoded ------------------------------------------------------------------------------------------


READS: dict[str, Callable[[Cache], Any]] = {
    "get": lambda cache: cache.get("k"),
    "get with a default": lambda cache: cache.get("k", "default"),
    "get with a loader": lambda cache: cache.get("k", load=lambda key: "loaded"),
    "subscription": lambda cache: cache["k"],
    "get_many": lambda cache: cache.get_many(["k"])["k"],
    "peek": lambda cache: cache.peek("k"),
    "items": lambda cache: dict(cache.items())["k"],
    "values": lambda cache: next(iter(cache.values())),
    "dict": lambda cache: dict(cache)["k"],
    "pop": lambda cache: cache.pop("k"),
    "popitem": lambda cache: cache.popitem()[1],
    "setdefault": lambda cache: cache.setdefault("k", "default"),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("kind", ["set", "load"])
def test_every_read_gives_the_value_that_was_told(pair: Pair, read: str, kind: str) -> None:
    if kind == "set":
        pair[0].set("k", VALUE)
    else:
        pair[0].get("k", load=lambda key: VALUE)
    settle(pair[0])
    assert READS[read](pair[1]) == VALUE


def test_a_value_is_found_among_items_and_values(pair: Pair) -> None:
    pair[0].set("k", VALUE)
    settle(pair[0])
    assert VALUE in pair[1].values()
    assert ("k", VALUE) in pair[1].items()


def test_a_value_is_decoded_once(pair: Pair) -> None:
    pair[0].set("k", VALUE)
    settle(pair[0])
    assert pair[1].get("k") is pair[1].get("k") is pair[1].peek("k")


def test_the_first_read_of_what_came_is_a_hit(pair: Pair) -> None:
    pair[0].set("k", VALUE)
    settle(pair[0])
    pair[1].get("k", load=lambda key: "loaded")
    stats = pair[1].stats()
    assert (stats.hits, stats.misses, stats.loads) == (1, 0, 0)


def test_what_came_and_was_not_read_counts_and_has_a_life(pair: Pair) -> None:
    pair[0].set("k", VALUE)
    settle(pair[0])
    assert (len(pair[1]), list(pair[1]), "k" in pair[1], pair[1].expires_in("k")) == (1, ["k"], True, 60)


def test_a_listener_gets_values_and_not_bytes(nodes: Nodes, clock: ManualClock) -> None:
    told: list[Removal[Any, Any]] = []
    server = nodes(
        local_address=("127.0.0.1", 0), maximum_capacity=2, expiration_time=60, on_removal=told.append, clock=clock
    )
    client = nodes(remote_address=server.local_address, expiration_time=60, clock=clock)
    link(server, client)

    def tell(key: str, value: Any) -> None:
        client.set(key, value)
        settle(client)

    tell("a", (1,))
    tell("a", (2,))  # replaced by one that came
    server.set("a", "own")  # replaced by one of ours
    server.clear()
    settle(server)
    tell("b", (3,))
    tell("c", (4,))
    tell("d", (5,))  # evicts b
    client.invalidate("c")
    settle(client)
    server.invalidate("d")
    tell("e", (6,))
    clock.advance(60)
    server.expire()
    assert [(removal.key, removal.value, str(removal.cause)) for removal in told] == [
        ("a", (1,), "replaced"),
        ("a", (2,), "replaced"),
        ("a", "own", "cleared"),
        ("b", (3,), "evicted"),
        ("c", (4,), "remote"),
        ("d", (5,), "invalidated"),
        ("e", (6,), "expired"),
    ]


def test_what_another_node_clears_is_removed_as_remote(nodes: Nodes) -> None:
    told: list[Removal[Any, Any]] = []
    server = nodes(local_address=("127.0.0.1", 0), on_removal=told.append)
    client = nodes(remote_address=server.local_address)
    link(server, client)
    server.set("k", "own")
    settle(server)
    client.clear()
    settle(client)
    assert [(removal.key, removal.value, removal.cause) for removal in told] == [("k", "own", "remote")]


def test_the_listener_of_what_came_is_called_outside_the_lock_and_may_use_the_cache(nodes: Nodes) -> None:
    held: list[bool] = []

    def listener(removal: Removal[Any, Any]) -> None:
        held.append(server._within_lock())
        server.set("told", str(removal.cause))

    server = nodes(local_address=("127.0.0.1", 0), on_removal=listener)
    client = nodes(remote_address=server.local_address)
    link(server, client)
    server.set("k", 1)
    settle(server)
    client.invalidate("k")
    settle(client, server)
    assert held[0] is False
    assert client.get("told") == "remote"


def test_a_listener_may_close_the_cache_from_the_link_s_own_thread(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0), on_removal=lambda removal: server.close())
    client = nodes(remote_address=server.local_address)
    link(server, client)
    server.set("k", 1)
    settle(server)
    client.invalidate("k")
    eventually(lambda: not [peer for peer in client.peers() if peer.state == "connected"])
    assert server.peers() == []


def test_what_came_is_refreshed_ahead_of_its_end(nodes: Nodes, clock: ManualClock) -> None:
    server = nodes(
        lambda key: "refreshed", local_address=("127.0.0.1", 0), expiration_time=60, refresh_time=10, clock=clock
    )
    client = nodes(remote_address=server.local_address, expiration_time=60, clock=clock)
    link(server, client)
    client.set("k", VALUE)
    settle(client)
    clock.advance(49)
    assert server.get("k") == VALUE
    assert server.stats().loads == 0
    clock.advance(2)
    assert server.get("k") == VALUE
    eventually(lambda: server.get("k") == "refreshed")


def test_what_came_is_served_stale_while_the_loader_fails(nodes: Nodes, clock: ManualClock) -> None:
    def failing(key: str) -> str:
        raise ConnectionError("the source is down")

    server = nodes(failing, local_address=("127.0.0.1", 0), stale_time=100, clock=clock)
    client = nodes(remote_address=server.local_address, expiration_time=60, clock=clock)
    link(server, client)
    client.set("k", VALUE)
    settle(client)
    clock.advance(61)
    assert server.get("k") == VALUE
    assert server.stats().stale_served == 1


def test_a_value_that_came_while_a_refresh_of_it_failed_is_decoded_before_it_is_served(
    nodes: Nodes, clock: ManualClock
) -> None:
    gate = Gate()

    def failing(key: str) -> str:
        gate.pass_through()
        raise ConnectionError("the source is down")

    server = nodes(local_address=("127.0.0.1", 0), expiration_time=100, refresh_time=10, clock=clock)
    client = nodes(remote_address=server.local_address, expiration_time=100, clock=clock)
    link(server, client)
    server.get("k", load=lambda key: ("first",))
    clock.advance(95)
    assert server.get("k", load=failing) == ("first",)
    gate.wait_entered()
    client._store.clear(0)
    client.get("k", load=lambda key: ("second",))
    settle(client)
    gate.open()
    eventually(lambda: server.stats().load_failures == 1)
    assert server.get("k") == ("second",)


def test_no_hit_is_ever_handed_the_bytes_that_came(pair: Pair, start: Start) -> None:
    """Hits take no lock: what replaces a value while it is read must not be seen half done."""
    import sys

    one, other = pair
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            assert isinstance(other.get("k", 0), int)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        readers = [start(read) for _ in range(3)]
        for i in range(1_000):
            one.set("k", i)
        settle(one)
    finally:
        stop.set()
        sys.setswitchinterval(before)
    for reader in readers:
        reader.result()


@pytest.mark.parametrize("held_as", ["set", "load"])
def test_a_touch_of_what_came_restarts_its_life(pair: Pair, clock: ManualClock, held_as: str) -> None:
    if held_as == "set":
        pair[0].set("k", VALUE)
    else:
        pair[0].get("k", load=lambda key: VALUE)
    settle(pair[0])
    clock.advance(50)
    assert pair[1].touch("k")
    assert pair[1].expires_in("k") == 60
    settle(pair[1])
    assert pair[0].expires_in("k") == 60


# -- what does not decode ----------------------------------------------------------------------------------------------


@pytest.fixture
def spoilt(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache to which another has told a value for "k" that does not decode."""
    with monkeypatch.context() as patch:
        patch.setattr(pair[0]._sharing, "_encode", lambda value: b"\xc1")
        pair[0].set("k", "spoilt", expiration_time=None)  # with a life of its own, so at length
    settle(pair[0])
    assert len(pair[1]) == 1
    return pair[1]


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (lambda c: c.get("k"), None),
        (lambda c: c.get("k", "default"), "default"),
        (lambda c: c.get("k", load=lambda key: "loaded"), "loaded"),
        (lambda c: c.get_many(["k"]), {}),
        (lambda c: c.peek("k", "default"), "default"),
        (lambda c: "k" in c, False),
        (list, []),
        (lambda c: list(c.items()), []),
        (lambda c: list(c.values()), []),
        (lambda c: c.pop("k", "default"), "default"),
        (lambda c: c.setdefault("k", "default"), "default"),
        (lambda c: c.touch("k"), False),
    ],
)
def test_what_does_not_decode_is_a_miss(spoilt: Cache, read: Callable[[Cache], Any], answer: Any) -> None:
    assert read(spoilt) == answer


@pytest.mark.parametrize(
    "read", [lambda c: c["k"], lambda c: c.pop("k"), lambda c: c.popitem(), lambda c: c.expires_in("k")]
)
def test_what_does_not_decode_is_a_key_error_where_a_miss_is_one(spoilt: Cache, read: Callable[[Cache], Any]) -> None:
    with pytest.raises(KeyError):
        read(spoilt)


def test_popitem_passes_over_what_does_not_decode(spoilt: Cache) -> None:
    spoilt.set("other", 1)
    assert spoilt.popitem() == ("other", 1)


def test_what_does_not_decode_is_logged_and_gone_once_it_was_asked_for(
    spoilt: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    spoilt.get("k")
    spoilt.get("k")
    assert len(spoilt) == 0
    assert len([line for line in caplog.messages if "'k' does not decode" in line]) == 1


def test_a_listener_is_not_told_of_what_nobody_ever_had(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Removal[Any, Any]] = []
    server = nodes(local_address=("127.0.0.1", 0), on_removal=told.append)
    client = nodes(remote_address=server.local_address)
    link(server, client)
    with monkeypatch.context() as patch:
        patch.setattr(client._sharing, "_encode", lambda value: b"\xc1")
        client.set("k", "spoilt", expiration_time=None)
    settle(client)
    server.invalidate("k")
    assert told == []


# -- a set that is plain, and so may be done in C ---------------------------------------------------------------------

keys = st.text(max_size=300) | st.integers() | st.binary(max_size=20) | st.tuples(st.text(), st.booleans())
values = st.text(max_size=300) | st.binary(max_size=300) | st.integers() | st.floats() | st.booleans() | st.none()


@pytest.fixture(scope="module")
def lonely() -> Iterator[Cache]:
    with LRUCacheDistributed[Any, Any]() as cache:
        yield cache


@given(keys, values | st.lists(values) | st.dictionaries(st.text(), values))
def test_a_plain_set_keeps_what_any_set_keeps(lonely: Cache, key: Any, value: Any) -> None:
    kept = []
    for life in ({}, {"expiration_time": lonely.ttl}):
        assert lonely.set(key, value, **life) is value
        entry = lonely._store.find(key)
        assert entry is not None
        stamp: Any = entry.version
        kept.append((stamp.key, stamp.payload, stamp.is_set, stamp.version.node, entry.value))
        assert entry.deadline == entry.fresh_until
    assert kept[0] == kept[1] == (encode_key(key), encode_value(value), True, bytes.fromhex(lonely.node), kept[0][4])
    assert kept[0][4] is kept[1][4] is value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k", object()),
        ("k", "\ud800"),
        ("\ud800", 1),
        (["unhashable"], 1),
        (float("nan"), 1),
        ("k" * 70_000, 1),
        ("k", 1 << 600_000),
    ],
    ids=["value", "surrogate", "surrogate in a key", "unhashable", "nan", "long key", "long number"],
)
def test_a_plain_set_refuses_what_any_set_refuses(lonely: Cache, key: Any, value: Any) -> None:
    refusals = []
    for life in ({}, {"expiration_time": 5}):
        with pytest.raises((TypeError, ValueError)) as refusal:
            lonely.set(key, value, **life)
        refusals.append((refusal.type, str(refusal.value)))
    assert refusals[0] == refusals[1]


def test_a_plain_set_is_no_longer_than_a_value_may_be(nodes: Nodes) -> None:
    cache = nodes(maximum_value_bytes=100)
    cache.set("k", "v" * 98)
    with pytest.raises(ValueError, match="maximum_value_bytes=100"):
        cache.set("k", "v" * 99)


def test_a_plain_set_fences_a_load(nodes: Nodes, start: Start) -> None:
    gate = Gate()

    def load(_: Any) -> str:
        gate.pass_through()
        return "loaded"

    cache = nodes(load)
    reader = start(cache.get, "k")
    gate.wait_entered()
    cache.set("k", "written")
    gate.open()
    reader.result()
    assert cache.get("k") == "written"


def test_what_a_plain_set_evicts_leaves_its_age(nodes: Nodes) -> None:
    cache = nodes(maximum_capacity=2)
    for key in "abc":
        cache.set(key, 1)
    assert [key for key, _ in cache._replica.forgotten.graves()] == [encode_key("a")]


def test_what_a_plain_set_replaces_leaves_none(nodes: Nodes) -> None:
    cache = nodes()
    cache.set("a", 1)
    cache.set("a", 2)
    assert cache._replica.forgotten.graves() == []


def test_a_subclass_that_keeps_in_its_own_way_is_asked() -> None:
    asked = []

    class Counting(LRUCacheDistributed[Any, Any]):
        def _set(self, key: Any, value: Any, life: float | None) -> None:
            asked.append(key)
            super()._set(key, value, life)

    with Counting() as cache:
        cache.set("k", 1)
        assert (asked, cache.get("k")) == (["k"], 1)


def test_a_plain_set_ends_when_its_life_does(nodes: Nodes) -> None:
    clock = ManualClock()
    cache = nodes(expiration_time=10, clock=clock)
    cache.set("k", 1)
    clock.advance(9.5)
    assert cache.get("k") == 1
    clock.advance(0.5)
    assert cache.get("k") is None


# -- three nodes, shapes -----------------------------------------------------------------------------------------------


def chain(nodes: Nodes, length: int, closed: bool = False) -> list[Cache]:
    made = [nodes(local_address=("127.0.0.1", 0))]
    for i in range(1, length):
        remotes = [made[-1].local_address] + ([made[0].local_address] if closed and i == length - 1 else [])
        made.append(nodes(local_address=("127.0.0.1", 0), remote_address=remotes))
    for i, cache in enumerate(made):
        link(cache, count=2 if closed or 0 < i < length - 1 else 1)
    return made


def star(nodes: Nodes, length: int) -> list[Cache]:
    hub = nodes(local_address=("127.0.0.1", 0))
    made = [hub, *(nodes(remote_address=hub.local_address) for _ in range(length - 1))]
    link(*made)
    link(hub, count=length - 1)
    return made


def mesh(nodes: Nodes, length: int) -> list[Cache]:
    made: list[Cache] = []
    for _ in range(length):
        made.append(nodes(local_address=("127.0.0.1", 0), remote_address=[cache.local_address for cache in made]))
    link(*made, count=length - 1)
    return made


SHAPES: dict[str, Callable[[Nodes], list[Cache]]] = {
    "chain": lambda nodes: chain(nodes, 4),
    "cycle": lambda nodes: chain(nodes, 4, closed=True),
    "star": lambda nodes: star(nodes, 4),
    "mesh": lambda nodes: mesh(nodes, 4),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_in_every_shape_everything_reaches_everybody(nodes: Nodes, shape: str) -> None:
    made = SHAPES[shape](nodes)
    for i, writer in enumerate(made):
        writer.set(i, f"of {i}")
    for cache in made:
        eventually(lambda cache=cache: dict(cache) == {i: f"of {i}" for i in range(len(made))})
    made[0].invalidate(len(made) - 1)
    made[-1].invalidate(0)
    for cache in made:
        eventually(lambda cache=cache: set(cache) == set(range(1, len(made) - 1)))
    made[1].clear()
    for cache in made:
        eventually(lambda cache=cache: not cache)


@pytest.mark.parametrize("shape", SHAPES)
def test_in_every_shape_news_comes_to_rest(nodes: Nodes, shape: str) -> None:
    """No echo goes round a cycle: once all have it, nothing but heartbeats is sent."""
    made = SHAPES[shape](nodes)
    made[0].set("k", 1)
    for cache in made:
        eventually(lambda cache=cache: cache.peek("k") == 1)
    made[-1].clear()
    for cache in made:
        eventually(lambda cache=cache: not cache)
    made[0].set("k", 2)
    for cache in made:
        eventually(lambda cache=cache: cache.peek("k") == 2)
    eventually(lambda: all(peer.queued == 0 for cache in made for peer in cache.peers()))
    applied = [cache.stats().news_applied for cache in made]
    settle(*made)
    assert [cache.stats().news_applied for cache in made] == applied


def test_news_that_was_told_is_counted_once_for_each_link(nodes: Nodes) -> None:
    hub = nodes(local_address=("127.0.0.1", 0))
    leaves = [nodes(remote_address=hub.local_address) for _ in range(3)]
    for leaf in leaves:
        link(leaf, hub)
    hub.set("before", 0)
    settle(hub, *leaves)  # a write that all have seen: so no leaf is still being told what it lacks
    before = hub.stats().news_told
    hub.set("a", 1)
    settle(hub)
    assert hub.stats().news_told == before + 3
    applied = [leaf.stats().news_applied for leaf in leaves[1:]]
    leaves[0].invalidate("b")
    eventually(lambda: [leaf.stats().news_applied - 1 for leaf in leaves[1:]] == applied)
    assert hub.stats().news_told == before + 5
    assert leaves[0].stats().news_told == 1


def test_prunes_and_grafts_that_a_neighbour_asks_for_are_counted(nodes: Nodes) -> None:
    cache = nodes()
    replica, node = cache._replica, bytes.fromhex(cache.node)

    def hear(message: Any) -> tuple[int, int]:
        with cache._lock:
            replica.received("link", messages.encode(message), 0.0)
            while replica.to_send("link", 0.0, 1_000):
                pass
        return cache.stats().prunes, cache.stats().grafts

    replica.link_up("link", b"neighbour"[:8], 100, 1_000)
    assert hear(messages.Seen(True, {})) == (0, 0)
    cache.set("k", VALUE)
    assert hear(messages.Prune([node])) == (1, 0)
    assert hear(messages.Graft({node: 0})) == (1, 1)


def test_a_chain_that_loses_its_middle_goes_on_as_two(nodes: Nodes) -> None:
    first, middle, last = chain(nodes, 3)
    middle.close()
    first.set("a", 1)
    last.set("b", 2)
    assert (first.get("a"), first.get("b"), last.get("a"), last.get("b")) == (1, None, None, 2)


# -- flush, stats, names -----------------------------------------------------------------------------------------------


def test_flush_is_true_once_the_peer_has_what_was_written_before(pair: Pair) -> None:
    one, other = pair
    for i in range(500):
        one.set(i, i)
    assert one.flush(timeout=PATIENCE) is True
    assert len(other) == 500


def test_flush_is_false_if_the_peer_does_not_get_it_in_time(pair: Pair) -> None:
    one, other = pair
    with one._lock:
        other.set("k", 1)
        assert other.flush(timeout=0.01) is False
    assert other.flush(timeout=PATIENCE) is True


def test_flush_waits_for_a_peer_that_is_just_being_greeted(nodes: Nodes) -> None:
    for _ in range(5):
        server = nodes(local_address=("127.0.0.1", 0))
        server.set("k", 1)
        client = nodes(remote_address=server.local_address)
        eventually(lambda server=server: server.peers())
        settle(server)
        assert client.peek("k") == 1


def test_flush_without_anybody_to_have_it_is_true_if_nobody_was_asked_for(nodes: Nodes) -> None:
    assert nodes().flush() is True
    assert nodes(local_address=("127.0.0.1", 0)).flush(timeout=0) is True


def test_flush_is_false_at_once_if_the_configured_peers_are_not_connected(nodes: Nodes, free_port: int) -> None:
    assert nodes(remote_address=("127.0.0.1", free_port)).flush() is False


def test_stats_tell_of_the_links_too(pair: Pair) -> None:
    one, other = pair
    one.set("k", "x" * 10_000)
    one.invalidate("gone")
    settle(one)
    mine, theirs = one.stats(), other.stats()
    assert (mine.links, theirs.links, theirs.news_applied, mine.resyncs, mine.graves) == (1, 1, 2, 1, 1)
    assert mine.bytes_sent > 10_000
    assert theirs.bytes_received > 10_000
    assert (mine.size, theirs.size) == (1, 1)


def test_stats_begin_at_nothing_and_are_frozen(nodes: Nodes) -> None:
    stats = nodes(maximum_capacity=7).stats()
    counts = {name: value for name, value in vars(stats).items() if name != "implementation"}
    assert {name: value for name, value in counts.items() if value} == {"capacity": 7}
    with pytest.raises(AttributeError):
        stats.links = 1  # type: ignore[misc]


def test_bytes_of_links_that_are_gone_stay_counted(pair: Pair) -> None:
    one, other = pair
    one.set("k", "x" * 10_000)
    settle(one)
    other.close()
    eventually(lambda: one.stats().links == 0)
    assert one.stats().bytes_sent > 10_000


def test_a_node_has_a_name_of_its_own_and_a_region_if_it_was_given_one(nodes: Nodes) -> None:
    one, other = nodes(region="Bergen"), nodes()
    assert (one.region, other.region) == ("Bergen", None)
    assert one.node != other.node
    assert len(bytes.fromhex(one.node)) == 8


def test_repr_names_the_node_and_counts_its_links(pair: Pair) -> None:
    assert repr(pair[0]) == f"<LRUCacheDistributed {pair[0].node}: 0 of 50000 entries, 1 links>"


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Whoever starts the tests in the background may have had SIGINT ignored, for them as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_during_sets_leaves_both_caches_working(pair: Pair, start: Start) -> None:
    one, other = pair
    main = threading.get_ident()
    for round_ in range(30):
        writing = threading.Event()

        def interrupt(writing: threading.Event = writing) -> None:
            assert writing.wait(PATIENCE)
            signal.pthread_kill(main, signal.SIGINT)

        def write(writing: threading.Event = writing, round_: int = round_) -> None:
            for i in range(10_000_000):
                one.set(i % 100, i)
                if i == round_:
                    writing.set()

        interrupting = start(interrupt)
        with pytest.raises(KeyboardInterrupt):  # around a call: a loop in here jumps back where 3.13 sees no `with`
            write()
        interrupting.result()
    one.set("after", 1)
    eventually(lambda: one.flush(timeout=PATIENCE))  # the link that was interrupted ends first
    assert other.get("after") == 1
    eventually(lambda: all(other.peek(key, value) == value for key, value in one.items()))


def test_a_plain_set_fences_also_a_load_that_the_clock_itself_has_begun(nodes: Nodes) -> None:
    class Clock(ManualClock):
        act: Callable[[], object] | None = None

        def monotonic(self) -> float:
            act, self.act = self.act, None
            if act is not None:
                act()
            return super().monotonic()

    clock = Clock()
    cache = nodes(clock=clock)
    flight: Flight[str] = Flight(cache._flights, "k", 0.0)
    clock.act = lambda: cache._flights.join(flight)
    cache.set("k", "set")
    assert flight.fenced


@pytest.mark.parametrize("option", [{"maximum_capacity": 10**30}, {"max_clock_skew": 1e12}, {"max_clock_skew": 1e306}])
def test_what_is_larger_than_any_need_is_as_good_as_no_limit(nodes: Nodes, option: Any) -> None:
    server = nodes(local_address=("127.0.0.1", 0), **option)
    client = nodes(remote_address=server.local_address, **option)
    link(client, server)
    client.set("k", 1)
    settle(client)
    assert server.get("k") == 1
