"""What is shown of caches, wherever it is shown."""

import dataclasses
import gc
from typing import Any

import pytest

import lru_cache
from lru_cache import LRUCache, LRUCacheDistributed, Peer
from lru_cache.metrics.figures import MOST_REGIONS, OTHER_REGIONS
from tests.concurrency import CountingLock, eventually
from tests.metrics.places import Place, of


def numbers(cache: Any) -> dict[str, float]:
    """What `stats()` tells, but for texts and what it has nothing to tell of."""
    return {name: value for name, value in vars(cache.stats()).items() if not isinstance(value, str | None)}


@pytest.mark.parametrize("kind", [LRUCache, LRUCacheDistributed])
def test_every_figure_of_stats_is_shown(place: Place, kind: Any) -> None:
    cache = kind(str)
    cache.get("a")
    cache.get("a")
    place.show(cache, "users")
    found = {name: value for (name, labels), value in place.read().items() if labels == of("users")}
    found.pop("listens", None)
    assert found == numbers(cache)
    assert (found["hits"], found["misses"], found["size"]) == (1, 1, 1)


def test_figures_are_those_of_the_moment_at_which_they_are_read(place: Place) -> None:
    cache = LRUCache[str, str](str)
    place.show(cache, "users")
    for hits in range(3):
        assert place.read()["hits", of("users")] == hits
        cache.set("a", "b")
        cache.get("a")


def test_a_cache_is_asked_once_for_all_of_its_figures(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LRUCacheDistributed[str, str]()
    asked = []
    stats, peers = cache.stats, cache.peers
    monkeypatch.setattr(cache, "stats", lambda: (asked.append("stats"), stats())[1])
    monkeypatch.setattr(cache, "peers", lambda: (asked.append("peers"), peers())[1])
    place.show(cache, "users")
    assert asked == []
    for _ in range(3):
        place.read()
    assert asked == ["stats", "peers"] * 3


def test_a_cache_that_is_shown_is_the_same_object_with_the_same_methods(place: Place) -> None:
    """So a `get` costs what it costs."""
    cache = LRUCache[str, str](str)
    before = (dict(vars(cache)), type(cache), cache.get, cache.set)
    place.show(cache, "users")
    assert (dict(vars(cache)), type(cache), cache.get, cache.set) == before


def test_nothing_is_done_to_a_cache_between_readings(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LRUCache[str, str](str)
    lock = CountingLock(cache._lock)
    monkeypatch.setattr(cache, "_lock", lock)
    place.show(cache, "users")
    assert lock.taken == 0
    place.read()
    assert lock.taken > 0


def test_several_caches_in_one_place_are_told_apart_by_their_names(place: Place) -> None:
    users, orders = LRUCache[str, str](maximum_capacity=5), LRUCacheDistributed[str, str](maximum_capacity=7)
    place.show(users, "users")
    place.show(orders, "orders")
    found = place.read()
    assert [found["capacity", of(name)] for name in ("users", "orders")] == [5, 7]
    assert ("links", of("users")) not in found
    assert found["links", of("orders")] == 0


def test_a_cache_without_bound_has_no_sample_of_its_capacity(place: Place) -> None:
    cache = LRUCache[str, str](maximum_capacity=None)
    place.show(cache, "users")
    assert "capacity" not in {name for name, _ in place.read()}


def test_a_cache_without_a_log_has_no_lag_of_it(place: Place) -> None:
    cache = LRUCacheDistributed[str, str]()
    place.show(cache, "users")
    assert place.read()["log_lag", of("users")] == 0


def test_the_lag_of_a_log_is_shown(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LRUCacheDistributed[str, str]()
    lagging = dataclasses.replace(cache.stats(), log_lag=1.5)
    monkeypatch.setattr(cache, "stats", lambda: lagging)
    place.show(cache, "users")
    assert place.read()["log_lag", of("users")] == 1.5


def test_what_a_cache_is_made_of_and_where_is_in_labels(place: Place) -> None:
    cache = LRUCacheDistributed[str, str](region="eu-west")
    place.show(cache, "users")
    made_of = {"implementation": cache.stats().implementation, "version": lru_cache.__version__, "region": "eu-west"}
    assert place.read()["info", of("users", **made_of)] == 1


def test_no_key_or_value_is_shown(place: Place) -> None:
    cache = LRUCacheDistributed[str, str](str)
    cache.set("a-secret-key", "a-secret-value")
    cache.get("another-secret")
    place.show(cache, "users")
    assert "secret" not in str(place.read())


# -- neighbours ----------------------------------------------------------------------------------------------------


def test_neighbours_are_counted_by_role_and_state(place: Place) -> None:
    with (
        LRUCacheDistributed[str, str](local_address=("127.0.0.1", 0), region="eu") as hub,
        LRUCacheDistributed[str, str](remote_address=[hub.local_address, "127.0.0.1:1"]) as other,  # type: ignore[list-item]
    ):
        place.show(hub, "hub")
        place.show(other, "other")
        assert hub.wait_connected(timeout=10)
        assert other.wait_connected(timeout=10)
        eventually(lambda: [peer.state for peer in other.peers()] == ["connected", "unreachable"])
        found = place.read()
        assert found["peers", of("hub", role="client", state="connected")] == 1
        assert found["peers", of("other", role="server", state="connected")] == 1
        assert found["peers", of("other", role="unknown", state="unreachable")] == 1
        eventually(lambda: ("peer_lag", of("other", region="eu", role="server")) in place.read())  # with the first news
        assert [found["listens", of(name)] for name in ("hub", "other")] == [1, 0]


def with_peers(monkeypatch: pytest.MonkeyPatch, peers: list[Peer]) -> Any:
    cache = LRUCacheDistributed[str, str]()
    monkeypatch.setattr(cache, "peers", lambda: peers)
    return cache


def peer(node: int, region: str | None, lag: float | None, queued: int, role: str = "server") -> Peer:
    return Peer(f"{node:x}", region, f"10.0.0.{node}:7000", role, "connected", None, lag, queued)


def test_of_the_neighbours_of_a_region_the_worst_is_shown(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = [peer(1, "eu", 0.5, 7), peer(2, "eu", 3.0, 1), peer(3, "us", None, 0)]
    cache = with_peers(monkeypatch, peers)
    place.show(cache, "users")
    found = {series: value for series, value in place.read().items() if series[0].startswith("peer_")}
    eu, us = (of("users", region=region, role="server") for region in ("eu", "us"))
    assert found == {("peer_lag", eu): 3.0, ("peer_queued", eu): 7, ("peer_queued", us): 0}


def test_an_engine_is_a_neighbour_with_a_role_of_its_own(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Peer(None, None, "redis://10.0.0.9", "engine", "connected", None, 0.2, 3)
    cache = with_peers(monkeypatch, [engine, peer(1, None, 0.1, 1)])
    place.show(cache, "users")
    found = place.read()
    assert found["peers", of("users", role="engine", state="connected")] == 1
    assert found["peer_queued", of("users", region="", role="engine")] == 3
    assert found["peer_queued", of("users", region="", role="server")] == 1


def test_neighbours_that_start_anew_all_the_time_are_no_new_series(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers: list[Peer] = []
    cache = with_peers(monkeypatch, peers)
    place.show(cache, "users")
    seen = set()
    for node in range(1, 50):
        peers[:] = [peer(node, "eu", 0.1, 0)]
        seen |= {series for series in place.read() if series[0].startswith("peer")}
    assert seen == {
        ("peers", of("users", role="server", state="connected")),
        ("peer_lag", of("users", region="eu", role="server")),
        ("peer_queued", of("users", region="eu", role="server")),
    }


def test_there_are_no_more_regions_than_a_bound_whatever_nodes_call_themselves(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers: list[Peer] = []
    cache = with_peers(monkeypatch, peers)
    place.show(cache, "users")
    regions = set()
    for number in range(3 * MOST_REGIONS):
        peers[:] = [peer(1, f"made up {number}", None, number)]
        regions |= {dict(labels)["region"] for name, labels in place.read() if name == "peer_queued"}
    assert regions == {*(f"made up {number}" for number in range(MOST_REGIONS)), OTHER_REGIONS}


# -- how long ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [LRUCache, LRUCacheDistributed])
def test_a_cache_that_nobody_has_any_more_is_collected_and_no_longer_shown(place: Place, kind: Any) -> None:
    cache, other = kind(), LRUCache[str, str]()
    watch = place.show(cache, "users")
    place.show(other, "others")
    place.read()
    assert not watch.is_over
    del cache
    gc.collect()
    assert watch.is_over
    assert {dict(labels)["cache"] for _, labels in place.read()} == {"others"}


def test_what_showing_returns_need_not_be_kept(place: Place) -> None:
    cache = LRUCache[str, str]()
    place.show(cache, "users")
    gc.collect()
    assert place.read()["hits", of("users")] == 0


def test_a_cache_is_no_longer_shown_once_what_showing_returned_is_closed(place: Place) -> None:
    cache = LRUCache[str, str]()
    with place.show(cache, "users") as watch:
        assert place.read()
    assert place.read() == {}
    assert watch.is_over
    watch.close()  # again


def test_a_closed_cache_is_shown_as_the_local_one_that_it_has_become(place: Place) -> None:
    cache = LRUCacheDistributed[str, str](str, local_address=("127.0.0.1", 0))
    place.show(cache, "users")
    cache.close()
    cache.get("a")
    found = place.read()
    assert (found["loads", of("users")], found["links", of("users")]) == (1, 0)


def test_two_caches_cannot_have_one_name(place: Place) -> None:
    cache, other = LRUCache[str, str](), LRUCache[str, str]()
    place.show(cache, "users")
    with pytest.raises(ValueError, match="there is a cache named 'users' here already"):
        place.show(other, "users")


def test_a_name_is_free_again_once_its_cache_is_gone(place: Place) -> None:
    cache, second = LRUCache[str, str](), LRUCache[str, str]()
    watch = place.show(cache, "users")
    watch.close()
    place.show(second, "users")
    watch.close()  # has nothing to do with the second
    assert place.read()["hits", of("users")] == 0
    del second
    gc.collect()
    cache.set("a", "b")
    place.show(cache, "users")
    assert place.read()["size", of("users")] == 1


def test_one_cache_may_be_shown_in_two_places_and_under_two_names(place: Place) -> None:
    cache = LRUCache[str, str](str)
    other = type(place)()
    for where, name in ((place, "users"), (place, "people"), (other, "users")):
        where.show(cache, name)
    cache.get("a")
    assert place.read()["misses", of("users")] == place.read()["misses", of("people")] == 1
    assert other.read()["misses", of("users")] == 1


@pytest.mark.parametrize(
    ("cache", "name", "error", "said"),
    [
        ({}, "users", TypeError, "cache must be an LRUCache or an LRUCacheDistributed"),
        (LRUCache(), 7, TypeError, "name must be a text"),
        (LRUCache(), "", ValueError, "name must be 1 to 200 characters"),
        (LRUCache(), "a\nb", ValueError, "name must be 1 to 200 characters"),
        (LRUCache(), "a\ud800", ValueError, "name must be 1 to 200 characters"),
        (LRUCache(), "a" * 201, ValueError, "name must be 1 to 200 characters"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_line(
    place: Place, cache: Any, name: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        place.show(cache, name)
    assert "\n" not in str(caught.value)
    assert place.read() == {}
