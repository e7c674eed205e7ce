"""What Django asks of a cache, beyond what its own tests look at."""

import asyncio
import os
import threading
import warnings
from decimal import Decimal
from typing import Any

import django
import pytest
from django.core.cache import CacheKeyWarning, caches
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished
from django.utils.safestring import SafeString

from lru_cache import LRUCacheDistributed
from lru_cache.django import LRUCacheBackend
from lru_cache.faces.copying import MOST_BYTES
from lru_cache.testing import ManualClock
from tests.concurrency import eventually
from tests.django.conftest import Make


def test_it_is_the_django_that_was_asked_for() -> None:
    assert django.get_version().startswith(os.environ.get("DJANGO_IS", ""))


# -- nodes -------------------------------------------------------------------------------------------------------------


def test_all_threads_of_a_process_have_one_node() -> None:
    found = [caches["default"].node]
    threads = [threading.Thread(target=lambda: found.append(caches["default"].node)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(id, found))) == 1


def test_aliases_of_one_location_and_the_same_options_have_one_node(make: Make) -> None:
    one, two = (
        make("", {"maximum_capacity": 10, "secret": ["a", "b"]}),
        make("", {"secret": ["a", "b"], "maximum_capacity": 10}),
    )
    assert one.node is two.node
    assert make("", {"maximum_capacity": 11}).node is not one.node


def test_the_end_of_a_request_ends_no_node() -> None:
    node = caches["default"].node
    caches["default"].set("k", 1)
    request_finished.send(None)
    asyncio.run(caches["default"].aclose())
    assert caches["default"].node is node
    assert caches["default"].get("k") == 1


def test_two_processes_of_one_location_are_one_cache(pair: Any) -> None:
    here, there = pair()
    here.set("k", {"a": [1]})
    eventually(lambda: there.get("k") == {"a": [1]})
    there.delete("k")
    eventually(lambda: here.get("k") is None)


def test_another_prefix_or_version_is_another_key(pair: Any) -> None:
    here, there = pair()
    there.key_prefix = "other"
    here.set("k", 1)
    here.set("own", 2)
    eventually(lambda: there.node.get(":1:own") == 2)
    assert there.get("k") is None


@pytest.mark.parametrize("location", ["", None])
def test_without_a_location_the_cache_is_this_process_s_own(make: Make, location: Any) -> None:
    node = make(location).node
    assert node.peers() == []
    assert not node._transports


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"load_callback": print}, "use get_or_set"),
        ({"expiration_time": 3}, "give TIMEOUT"),
        ({"refresh_time": 3}, "each value has the timeout that it was set with"),
        ({"max_entries": 3}, "OPTIONS has 'max_entries', and there is only CULL_FREQUENCY, MAX_ENTRIES, "),
        ({"counters": "global"}, "OPTIONS['counters'] must be one of ('local', 'refuse'), not 'global'"),
        ({"pickle": "yes"}, "OPTIONS['pickle'] must be True or False, not 'yes'"),
    ],
)
def test_an_option_that_means_nothing_is_refused_in_one_line(make: Make, options: Any, said: str) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        make("", options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_place_is_given_once(make: Make) -> None:
    with pytest.raises(
        ImproperlyConfigured, match="LOCATION='app' is local_cluster=, and OPTIONS has 'local_cluster', too"
    ):
        make("app", {"local_cluster": "other"})


def test_what_a_node_refuses_names_the_option(make: Make) -> None:
    with pytest.raises(TypeError, match="insecure must be True or False"):
        make("", {"insecure": "yes"})


def test_the_bound_of_other_backends_is_ours(make: Make) -> None:
    cache = make("", {"MAX_ENTRIES": "2"})
    for number in range(3):
        cache.set(f"k{number}", number)
    assert cache.get_many(["k0", "k1", "k2"]) == {"k1": 1, "k2": 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_worker_is_a_node_of_its_own_with_what_its_parent_had(make: Make, tmp_path: Any) -> None:
    tmp_path.chmod(0o700)
    cache = make(str(tmp_path / "c.sock"))
    cache.set("k", [1])
    parent = cache.node.node
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork where threads run, which web servers do
        child = os.fork()
    if child == 0:
        try:
            own = make(str(tmp_path / "c.sock"))
            is_well = own.node is cache.node and own.node.node != parent and own.get("k") == [1]
            is_well = is_well and own.node.wait_connected(timeout=30)
            own.set("k", "by the child")
            is_well = is_well and own.node.flush(timeout=30)
            os.write(write, b"y" if is_well else b"n")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1) == b"y"
    assert cache.get("k") == "by the child"


# -- values ------------------------------------------------------------------------------------------------------------

CHANGEABLE: list[Any] = [[1, [2]], {"a": {"b": 1}}, {1, 2}, ([1], [2]), [{"a": [1]}, 2]]
CHANGEABLE += [[{"a": 1}, {"b": 2}], [[1], [2]], [[1], {2}], [[1], 2], {"a": [1], "b": {2}, "c": 3}, {"a": ([1],)}]
CHANGEABLE += [dict.fromkeys("abcdef", None) | {key: [key] for key in "ghijkl"}, {"a": [[1]]}, [], {}]
CHANGEABLE += [[{"id": number, "tags": {number}} for number in range(30)], {"a" * 300: [Decimal(1)]}]  # and long ones
CHANGEABLE += [[[SafeString("a" * 300), number] for number in range(30)] + [7]]


def spoil(value: Any) -> None:
    if isinstance(value, dict):
        for each in value.values():
            spoil(each)
        value.clear()
    elif isinstance(value, (list, tuple)):
        for each in value:
            spoil(each)
    if isinstance(value, (list, set)):
        value.clear()


@pytest.mark.parametrize("value", CHANGEABLE)
@pytest.mark.parametrize("options", [{}, {"values": "local"}, {"pickle": True}], ids=str)
def test_who_changes_what_he_set_or_got_changes_it_for_nobody(make: Make, value: Any, options: Any) -> None:
    cache = make("", options)
    as_it_was = repr(value)
    mine = eval(as_it_was)
    ways = (
        lambda: cache.set("k", mine),
        lambda: cache.add("k", mine),
        lambda: cache.set_many({"k": mine}),
        lambda: cache.get_or_set("k", lambda: mine),
    )
    for keep in ways:
        cache.clear()
        mine = eval(as_it_was)
        keep()
        spoil(mine)
        assert repr(cache.get("k")) == as_it_was
        spoil(cache.get("k"))
        spoil(cache.get_many(["k"])["k"])
        spoil(cache.get_or_set("k", lambda: None))
        spoil(cache.get("k"))
        assert repr(cache.get("k")) == as_it_was


def test_what_was_copied_quickly_once_is_not_given_for_what_came_after(pair: Any) -> None:
    here, there = pair()
    for number in range(3):
        rows = [{"id": each, "text": f"{number}"} for each in range(30)]
        here.set("k", rows)
        assert here.get("k") == here.get("k") == rows
        eventually(lambda rows=rows: there.get("k") == rows)  # type: ignore[misc]
    here.delete("k")
    assert here.get("k") is None


def test_how_to_copy_is_known_of_a_bounded_number_of_values(cache: LRUCacheBackend) -> None:
    copiers = cache.node.copiers
    for number in range(1000):
        copiers.learn(str(number), ["x" * 10_000])
    assert len(copiers.of_name) * 100_000 < MOST_BYTES
    copiers.learn("large", ["x" * MOST_BYTES])
    assert "large" not in copiers.of_name


def test_a_long_value_keeps_what_is_safe_in_it(cache: LRUCacheBackend) -> None:
    cache.set("k", [[SafeString("a" * 300), number] for number in range(30)] + [7])
    for _ in range(2):
        assert type(cache.get("k")[0][0]) is SafeString


def test_what_a_default_gave_is_each_caller_s_own(cache: LRUCacheBackend) -> None:
    made: list[int] = []
    first, second = cache.get_or_set("k", lambda: made), cache.get_or_set("k", lambda: made)
    first.append(1)
    assert (made, second, cache.get("k")) == ([], [], [])


def test_a_value_that_contains_itself_is_refused(cache: LRUCacheBackend) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="contains itself"):
        cache.set("k", endless)


def test_what_cannot_be_kept_is_one_line_and_drops_what_was_there(cache: LRUCacheBackend) -> None:
    cache.set("k", "old")
    with pytest.raises(
        TypeError, match=r"^value\['a'\]\[0\] is of type .*Thread, for which this cache has no codec: give"
    ) as error:
        cache.set("k", {"a": [threading.current_thread()]})
    assert "\n" not in str(error.value)
    assert cache.get("k") is None


def test_of_many_values_all_are_kept_or_none(cache: LRUCacheBackend) -> None:
    cache.set("a", "old")
    with pytest.raises(TypeError):
        cache.set_many({"a": 1, "b": object()})
    assert cache.get_many(["a", "b"]) == {}


def test_a_value_that_is_too_large_drops_what_was_there(make: Make) -> None:
    cache = make("", {"maximum_value_bytes": 100})
    cache.set("k", "old")
    with pytest.raises(ValueError, match="more than maximum_value_bytes=100"):
        cache.set("k", "x" * 200)
    assert cache.get("k") is None


# -- lives -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_timeout_is_how_long_a_value_lives(make: Make, clock: ManualClock) -> None:
    cache = make("", {"clock": clock}, TIMEOUT=10)
    cache.set("default", 1)
    cache.set("half", 1, 0.5)
    cache.set("endless", 1, None)
    clock.advance(0.5)
    assert set(cache.get_many(["default", "half", "endless"])) == {"default", "endless"}
    clock.advance(9.5)
    assert set(cache.get_many(["default", "half", "endless"])) == {"endless"}


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
def test_a_life_that_is_over_ends_what_was_there(cache: LRUCacheBackend, timeout: float) -> None:
    for key in ("set", "touched", "many"):
        cache.set(key, "old")
    cache.set("set", "new", timeout)
    cache.set_many({"many": "new"}, timeout)
    assert cache.touch("touched", timeout) is True
    assert cache.add("added", 1, timeout) is True
    assert cache.get_or_set("loaded", lambda: 7, timeout) == 7
    assert cache.get_many(["set", "touched", "many", "added", "loaded"]) == {}


def test_counting_does_not_prolong_a_life(make: Make, clock: ManualClock) -> None:
    cache = make("", {"clock": clock})
    cache.set("k", 1, 10)
    clock.advance(9)
    assert cache.incr("k", 4) == 5
    clock.advance(1)
    with pytest.raises(ValueError, match="Key 'k' not found"):
        cache.incr("k")


# -- keys --------------------------------------------------------------------------------------------------------------


class Tenants(LRUCacheBackend):
    """With keys of its own, as a service of many customers has them."""

    tenant = "a"

    def make_key(self, key: Any, version: Any = None) -> str:
        return f"{self.tenant}:{super().make_key(key, version)}"


def test_a_way_of_one_s_own_to_make_keys_is_asked_each_time() -> None:
    cache = Tenants("", {})
    cache.set("k", "of a")
    cache.tenant = "b"
    assert cache.get("k") is None
    cache.tenant = "a"
    assert cache.get("k") == "of a"


def test_a_function_for_keys_is_asked_each_time(make: Make) -> None:
    asked = []

    def named(key: str, prefix: str, version: int) -> str:
        asked.append(key)
        return f"{len(asked)}-{prefix}-{version}-{key}"

    cache = make("", KEY_FUNCTION=named, KEY_PREFIX="p", VERSION=3)
    cache.set("k", 1)
    cache.get("k")
    assert asked == ["k", "k"]
    assert list(cache.node) == ["1-p-3-k"]


def test_keys_are_those_that_django_makes(make: Make) -> None:
    cache = make("", KEY_PREFIX="p", VERSION=3)
    for key in ("text", "schlüssel", 7, True, ("a", 1), "x" * 240):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CacheKeyWarning)
            cache.set(key, 1)
            cache.set(key, 1, version=4)
            for version in (None, 4):
                assert cache.make_key(key, version) in cache.node
            assert cache.get(key) == 1


@pytest.mark.parametrize("key", ["a b", "a\n", "\x7f", "x" * 251])
def test_a_key_that_memcached_refuses_is_warned_of_each_time(cache: LRUCacheBackend, key: str) -> None:
    for _ in range(2):
        with pytest.warns(CacheKeyWarning):
            cache.get(key)


# -- counters ----------------------------------------------------------------------------------------------------------


def test_counting_is_one_step_for_the_threads_of_a_process(cache: LRUCacheBackend) -> None:
    cache.set("k", 0)

    def count() -> None:
        for _ in range(500):
            cache.incr("k")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("k") == 2000


def test_counters_can_be_refused(make: Make) -> None:
    cache = make("", {"counters": "refuse"})
    cache.set("k", 1)
    for count in (cache.incr, cache.decr):
        with pytest.raises(NotImplementedError, match="atomic in each process only"):
            count("k")
    for acount in (cache.aincr, cache.adecr):
        with pytest.raises(NotImplementedError):
            asyncio.run(acount("k"))
    assert cache.get("k") == 1
    assert cache.incr_version("k") == 2


# -- loading -----------------------------------------------------------------------------------------------------------


def test_a_default_is_called_once_for_all_threads_that_miss(cache: LRUCacheBackend) -> None:
    called, may_end = [], threading.Event()

    def default() -> str:
        called.append(1)
        may_end.wait(30)
        return "loaded"

    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(cache.get_or_set("k", default))) for _ in range(5)]
    for thread in threads:
        thread.start()
    eventually(lambda: bool(called))
    may_end.set()
    for thread in threads:
        thread.join()
    assert (found, called) == (["loaded"] * 5, [1])


def test_a_default_is_not_kept_if_the_key_was_deleted_while_it_was_made(cache: LRUCacheBackend) -> None:
    def default() -> str:
        cache.delete("k")
        return "old"

    assert cache.get_or_set("k", default) == "old"
    assert cache.get("k") is None


def test_a_default_that_cannot_be_kept_is_refused(cache: LRUCacheBackend) -> None:
    with pytest.raises(TypeError, match="has no codec"):
        cache.get_or_set("k", threading.current_thread)


def test_tasks_share_a_default_which_may_be_awaited(cache: LRUCacheBackend) -> None:
    called = []

    async def default() -> list[int]:
        called.append(1)
        await asyncio.sleep(0)
        return [1]

    async def ask() -> list[Any]:
        return list(await asyncio.gather(*(cache.aget_or_set("k", default) for _ in range(5))))

    found = asyncio.run(ask())
    assert found == [[1]] * 5
    assert called == [1]
    found[0].append(2)
    assert cache.get("k") == [1]


def test_on_a_loop_nothing_is_answered_in_another_thread(cache: LRUCacheBackend) -> None:
    threads = []

    async def ask() -> None:
        await cache.aset("k", 1)
        await cache.aget_or_set("other", lambda: threads.append(threading.current_thread()))
        await cache.aincr("k")
        await cache.aset_many({"a": 1})
        assert await cache.aget_many(["k", "a"]) == {"k": 2, "a": 1}
        await cache.aclear()

    before = threading.active_count()
    asyncio.run(ask())
    assert threads == [threading.current_thread()]
    assert threading.active_count() == before


def test_the_node_is_there_to_be_asked_more(cache: LRUCacheBackend) -> None:
    assert isinstance(cache.node, LRUCacheDistributed)
    cache.set("k", 1)
    assert cache.node.stats().size == 1
    assert cache.node.flush()
