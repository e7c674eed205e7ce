"""What a region asks of its backend, beyond what dogpile's own tests look at."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE, CachedValue
from dogpile.cache.region import CacheRegion

from lru_cache.dogpile import LRUCacheBackend
from lru_cache.dogpile.mutexes import mutex_of
from lru_cache.testing import ManualClock
from tests.concurrency import eventually

CHANGEABLE: list[Any] = [[1, [2]], {"a": {"b": 1}}, {1, 2}, ([1], [2]), [{"a": [1]}, 2], [{"id": 1}] * 40]


# -- where it is -------------------------------------------------------------------------------------------------------


def test_dogpile_finds_it_by_its_entry_point(tmp_path: Path) -> None:
    code = """if True:
    from importlib import metadata
    from dogpile.cache import make_region
    if list(metadata.Distribution.discover(name="cf_LRU_cache")):
        print(make_region().configure("lru_cache").backend)
    else:
        print("not installed")
    """
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if said.stdout == "not installed\n":
        pytest.skip("the package is not installed here")
    assert "LRUCacheBackend" in said.stdout, said.stderr


def test_regions_of_one_location_and_the_same_arguments_have_one_node() -> None:
    one, two = (LRUCacheBackend({"location": "", "maximum_capacity": 10}) for _ in range(2))
    assert one.node is two.node
    assert LRUCacheBackend({"maximum_capacity": 11}).node is not one.node


def test_two_processes_of_one_location_are_one_cache(pair: Any) -> None:
    here, there = pair()
    here.set("k", {"a": [1]})
    eventually(lambda: there.get("k") == {"a": [1]})
    assert there.get_value_metadata("k") == here.get_value_metadata("k")
    there.delete("k")
    eventually(lambda: here.get("k") is NO_VALUE)


def test_what_a_configuration_has_for_it_is_read() -> None:
    region = make_region().configure_from_config(
        {"cache.backend": "lru_cache", "cache.arguments.location": "", "cache.arguments.maximum_capacity": "3"},
        "cache.",
    )
    assert region.backend.node.stats().capacity == 3


def test_an_argument_that_means_nothing_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"arguments\['secrets'\] means nothing to the backend lru_cache"):
        LRUCacheBackend({"secrets": "s"})


def test_a_place_is_given_once() -> None:
    with pytest.raises(
        ValueError, match=r"^arguments\['location'\]='app' is local_cluster=, and arguments has"
    ) as error:
        LRUCacheBackend({"location": "app", "local_cluster": "other"})
    assert "\n" not in str(error.value)


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", CHANGEABLE, ids=str)
@pytest.mark.parametrize("arguments", [{}, {"values": "local"}, {"pickle": "s"}], ids=str)
def test_who_changes_what_he_set_or_got_changes_it_for_nobody(arguments: Any, value: Any) -> None:
    region = make_region().configure("lru_cache", arguments=arguments)
    as_it_was = repr(value)
    mine = eval(as_it_was)
    region.set("k", mine)
    for _ in range(3):
        if isinstance(mine, tuple):
            mine[0].clear()
        else:
            mine.clear()
        mine = region.get("k")
        assert repr(mine) == as_it_was


def test_who_changes_what_dogpile_knows_of_a_value_changes_it_for_nobody(region: CacheRegion) -> None:
    region.set("k", 1)
    region.backend.get("k").metadata.clear()
    assert region.get("k") == 1


def test_what_cannot_be_kept_is_one_line_and_drops_what_was_there(region: CacheRegion) -> None:
    for refused in (lambda: region.set("k", threading.current_thread()), lambda: region.set_multi({"k": Money(7)})):
        region.set("k", "old")
        with pytest.raises(TypeError, match=r"for which this cache has no codec: give arguments\['codecs'\]") as error:
            refused()
        assert "\n" not in str(error.value)
        assert region.get("k") is NO_VALUE


class Money:
    """Of the application, and no data."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


def test_what_is_pickled_is_read_by_who_has_the_secret(pair: Any) -> None:
    here, there = pair(pickle="a secret")
    here.set("k", Money(7))
    eventually(lambda: there.get("k") is not NO_VALUE)
    assert there.get("k").cents == 7


def test_a_pickle_by_another_secret_is_a_miss(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    here, there = (
        make_region().configure("lru_cache", arguments={"location": str(tmp_path / "c.sock"), "pickle": secret})
        for secret in ("a secret", ["another"])
    )
    for each in (here, there):
        assert each.backend.node.wait_connected(timeout=30)
    here.set("k", Money(7))
    here.set("data", 7)
    eventually(lambda: there.get("data") == 7)
    assert there.get("k") is NO_VALUE


@pytest.mark.parametrize("secret", [True, "", [], ["a", ""], 7])
def test_pickles_need_a_secret(secret: Any) -> None:
    with pytest.raises(ValueError, match=r"arguments\['pickle'\] must be the secret that signs pickles"):
        LRUCacheBackend({"pickle": secret})


# -- lives -------------------------------------------------------------------------------------------------------------


def test_expiration_time_is_how_long_a_value_stays_in_memory() -> None:
    clock = ManualClock()
    backend = LRUCacheBackend({"clock": clock, "expiration_time": 10})
    backend.set("k", CachedValue(1, {"ct": 0.0}))
    backend.set_multi({"many": CachedValue(1, {"ct": 0.0})})
    clock.advance(9)
    assert backend.get("k").payload == 1
    clock.advance(1)
    assert backend.get_multi(["k", "many"]) == [NO_VALUE, NO_VALUE]


def test_without_one_it_stays_until_there_is_no_room() -> None:
    clock = ManualClock()
    backend = LRUCacheBackend({"clock": clock, "maximum_capacity": 2})
    for number in range(3):
        backend.set(f"{number}", CachedValue(number, {"ct": 0.0}))
        clock.advance(1e6)
    assert [found.payload for found in backend.get_multi(["0", "1", "2"])] == [NO_VALUE, 1, 2]


# -- mutexes -----------------------------------------------------------------------------------------------------------


def test_two_regions_of_one_node_have_one_mutex_for_a_key() -> None:
    one, two = LRUCacheBackend({}), LRUCacheBackend({})
    assert one.get_mutex("k") is two.get_mutex("k") or one.get_mutex("k").acquire()
    mutex = one.get_mutex("k")
    assert mutex.acquire()
    assert not two.get_mutex("k").acquire(False)
    assert two.get_mutex("other").acquire(False)
    mutex.release()
    assert two.get_mutex("k").acquire(False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_what_another_thread_held_is_free_in_a_forked_child() -> None:
    owner = object()
    held = mutex_of(owner, "k")
    held.acquire()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork where threads run, which web servers do
        child = os.fork()
    if child == 0:
        os._exit(0 if mutex_of(owner, "k").acquire(False) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not mutex_of(owner, "k").acquire(False)


@pytest.mark.parametrize("seconds", ["60", 0, -1])
def test_a_wrong_expiration_time_is_told_at_once(seconds: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^arguments\['expiration_time'\] must be "):
        LRUCacheBackend({"expiration_time": seconds})
