"""What cachelib asks of a cache, beyond what its own tests look at."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lru_cache.cachelib import LRUCacheBackend
from lru_cache.faces.nodes import end_all
from lru_cache.testing import ManualClock
from tests.concurrency import eventually


@pytest.fixture(autouse=True)
def _fresh_nodes() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(clock: ManualClock) -> LRUCacheBackend:
    return LRUCacheBackend(clock=clock)


# -- where it is -------------------------------------------------------------------------------------------------------


def test_two_processes_of_one_location_are_one_cache(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    here, there = (LRUCacheBackend(str(tmp_path / "c.sock"), region=region) for region in ("here", "there"))
    for each in (here, there):
        assert each.node.wait_connected(timeout=30)
    here.set("k", {"a": [1]})
    eventually(lambda: there.get("k") == {"a": [1]})
    there.delete("k")
    eventually(lambda: here.get("k") is None)


def test_a_prefix_stands_before_each_key() -> None:
    cache = LRUCacheBackend(key_prefix="session:")
    cache.set("a", 1)
    cache.set_many({"b": 2})
    cache.inc("c")
    cache.get_or_set("d", lambda: 4)
    cache.add("e", 5)
    assert sorted(cache.node) == [f"session:{key}" for key in "abcde"]
    assert cache.get_dict("a", "b", "c", "d", "e") == {"a": 1, "b": 2, "c": 1, "d": 4, "e": 5}
    assert cache.has("a")
    cache.delete_many("a", "b")
    cache.delete("c")
    assert sorted(cache.node) == ["session:d", "session:e"]


def test_threshold_is_how_many_there_may_be() -> None:
    cache = LRUCacheBackend(threshold=2)
    cache.set_many({"a": 1, "b": 2})
    cache.set("c", 3)
    assert cache.get_many("a", "b", "c") == [None, 2, 3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"load_callback": print},
            "load_callback= is nothing for cachelib's caches: the application loads what is missing",
        ),
        ({"expiration_time": 3}, "give default_timeout"),
        ({"max_entries": 3}, "LRUCacheBackend() has 'max_entries', and there is only clock, cluster, codecs, "),
        ({"counters": "global"}, "counters= must be one of ('local', 'refuse'), not 'global'"),
        ({"pickle": True}, "pickle= must be the secret that signs pickles, or a list of secrets"),
        (
            {"local_cluster": "other"},
            "location='app' is local_cluster=, and LRUCacheBackend() has 'local_cluster', too",
        ),
    ],
)
def test_an_option_that_means_nothing_is_refused_in_one_line(options: Any, said: str) -> None:
    with pytest.raises(ValueError) as error:
        LRUCacheBackend("app", **options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


# -- values ------------------------------------------------------------------------------------------------------------

CHANGEABLE: list[Any] = [[1, [2]], {"a": {"b": 1}}, {1, 2}, ([1], [2]), [{"a": [1]}, 2], [{"id": 1}] * 40]


def spoil(value: Any) -> None:
    for each in value.values() if isinstance(value, dict) else value:
        if isinstance(each, (dict, list)):
            spoil(each)
    if not isinstance(value, tuple):
        value.clear()


@pytest.mark.parametrize("value", CHANGEABLE, ids=str)
@pytest.mark.parametrize("options", [{}, {"values": "local"}, {"pickle": "s"}], ids=str)
def test_who_changes_what_he_set_or_got_changes_it_for_nobody(value: Any, options: Any) -> None:
    cache = LRUCacheBackend(**options)
    as_it_was = repr(value)
    ways: Any = (
        lambda mine: cache.set("k", mine),
        lambda mine: cache.add("k", mine),
        lambda mine: cache.set_many({"k": mine}),
        lambda mine: cache.get_or_set("k", lambda: mine),
    )
    for keep in ways:
        cache.clear()
        mine = eval(as_it_was)
        keep(mine)
        spoil(mine)
        for _ in range(2):
            assert repr(cache.get("k")) == as_it_was
            spoil(cache.get("k"))
            spoil(cache.get_many("k")[0])
            spoil(cache.get_or_set("k", list))


class Money:
    """Of the application, and no data."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


def test_what_cannot_be_kept_is_one_line_and_drops_what_was_there(cache: LRUCacheBackend) -> None:
    for refused in (lambda: cache.set("k", [Money(1)]), lambda: cache.set_many({"a": 1, "k": Money(1)})):
        cache.set_many({"k": "old", "a": "old"})
        with pytest.raises(TypeError, match="for which this cache has no codec: give codecs=") as error:
            refused()
        assert "\n" not in str(error.value)
        assert cache.get("k") is None
    assert cache.get("a") is None


def test_values_that_stay_may_be_of_any_class() -> None:
    cache = LRUCacheBackend(values="local")
    money = Money(7)
    cache.set("k", money)
    money.cents = 8
    assert cache.get("k").cents == 7


# -- lives -------------------------------------------------------------------------------------------------------------


def test_a_timeout_is_how_long_a_value_lives(clock: ManualClock) -> None:
    cache = LRUCacheBackend(clock=clock, default_timeout=10)
    cache.set("default", 1)
    cache.set("half", 1, timedelta(seconds=0.5))
    cache.set_many({"five": 1}, 5)
    cache.set("endless", 1, 0)
    cache.set("so is this", 1, timedelta(0))
    clock.advance(0.5)
    assert cache.get_many("default", "half", "five") == [1, None, 1]
    clock.advance(9.5)
    assert cache.get_many("default", "five", "endless", "so is this") == [None, None, 1, 1]


def test_a_timeout_that_is_over_ends_what_was_there(cache: LRUCacheBackend) -> None:
    cache.set("k", "old")
    cache.set("k", "new", -1)
    assert not cache.has("k")


def test_a_default_of_zero_is_for_ever(clock: ManualClock) -> None:
    cache = LRUCacheBackend(clock=clock, default_timeout=0)
    cache.set("k", 1)
    clock.advance(1e9)
    assert cache.get("k") == 1


def test_counting_begins_a_life_and_does_not_prolong_it(clock: ManualClock) -> None:
    cache = LRUCacheBackend(clock=clock, default_timeout=10)
    assert cache.inc("k", 3) == 3
    clock.advance(9)
    assert cache.dec("k") == 2
    clock.advance(1)
    assert cache.dec("k") == -1


# -- counters ----------------------------------------------------------------------------------------------------------


def test_counting_is_one_step_for_the_threads_of_a_process(cache: LRUCacheBackend) -> None:
    threads = [threading.Thread(target=lambda: [cache.inc("k") for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("k") == 2000


def test_counters_can_be_refused() -> None:
    cache = LRUCacheBackend(counters="refuse")
    for count in (cache.inc, cache.dec):
        with pytest.raises(
            NotImplementedError, match="are refused by counters=, since they are atomic in each process"
        ):
            count("k")


# -- who else takes one ------------------------------------------------------------------------------------------------


def test_flask_session_keeps_its_sessions_in_it(tmp_path: Path) -> None:
    """Of two workers, what one has written of a session the other reads."""
    flask = pytest.importorskip("flask")
    sessions = pytest.importorskip("flask_session")
    tmp_path.chmod(0o700)
    caches = [LRUCacheBackend(str(tmp_path / "c.sock"), region=region) for region in ("here", "there")]
    for each in caches:
        assert each.node.wait_connected(timeout=30)
    apps = []
    for each in caches:
        app = flask.Flask("shop")
        app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=each)
        sessions.Session(app)
        app.add_url_rule("/", view_func=lambda: count(flask.session))
        apps.append(app)
    first, second = (app.test_client() for app in apps)
    first.get("/")
    assert caches[0].node.flush(timeout=30)
    second.set_cookie("session", first.get_cookie("session").value)
    assert second.get("/").data == b"2"


def count(session: Any) -> str:
    session["visits"] = session.get("visits", 0) + 1
    return str(session["visits"])
