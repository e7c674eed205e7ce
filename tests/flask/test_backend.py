"""What Flask-Caching makes of its configuration, and what its decorators do in two processes."""

import logging
import threading
from typing import Any

import flask
import pytest
from flask import Flask
from flask_caching import Cache

from lru_cache.flask import LRUCacheBackend
from tests.concurrency import eventually
from tests.flask.conftest import Make

# -- configuration -----------------------------------------------------------------------------------------------------


def test_all_applications_of_one_location_and_the_same_options_have_one_node(make: Make) -> None:
    one, two = (make("", {"maximum_capacity": 10})[1].cache for _ in range(2))
    assert type(one) is LRUCacheBackend
    assert one.node is two.node
    assert make("", {"maximum_capacity": 11})[1].cache.node is not one.node


def test_a_factory_of_applications_makes_one_cache_for_each() -> None:
    cache = Cache()
    backends = []
    for prefix in ("a_", "b_"):
        app = Flask("shop")
        cache.init_app(app, {"CACHE_TYPE": "lru_cache.flask.LRUCacheBackend", "CACHE_KEY_PREFIX": prefix})
        with app.app_context():
            cache.set("k", prefix)
            backends.append(cache.cache)
    assert [each.get("k") for each in backends] == ["a_", "b_"]
    assert sorted(backends[0].node) == ["a_k", "b_k"]


def test_the_key_prefix_is_flask_caching_s_own_by_default(make: Make) -> None:
    _, cache = make()
    cache.set("k", 1)
    assert list(cache.cache.node) == ["flask_cache_k"]


@pytest.mark.parametrize(
    ("config", "options", "capacity"),
    [
        ({}, None, 50_000),
        ({"CACHE_THRESHOLD": 500}, None, 50_000),  # which Flask-Caching gives to who has not asked for any
        ({"CACHE_THRESHOLD": 7}, None, 7),
        ({"CACHE_THRESHOLD": 7}, {"maximum_capacity": 8}, 8),
        ({}, {"threshold": 500}, 500),
    ],
)
def test_the_bound_of_other_caches_is_ours(make: Make, config: Any, options: Any, capacity: int) -> None:
    assert make("", options, **config)[1].cache.node.stats().capacity == capacity


def test_the_default_timeout_is_that_of_the_configuration(make: Make) -> None:
    _, cache = make(CACHE_DEFAULT_TIMEOUT=7)
    cache.set("k", 1)
    left = cache.cache.node.expires_in("flask_cache_k")
    assert 0 < left <= 7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"load_callback": print},
            "CACHE_OPTIONS['load_callback'] is nothing for Flask-Caching's caches: a view loads",
        ),
        ({"expiration_time": 3}, "give CACHE_DEFAULT_TIMEOUT"),
        ({"max_entries": 3}, "CACHE_OPTIONS has 'max_entries', and there is only clock, cluster, codecs, "),
        ({"counters": "global"}, "CACHE_OPTIONS['counters'] must be one of ('local', 'refuse'), not 'global'"),
        ({"pickle": True}, "CACHE_OPTIONS['pickle'] signs with SECRET_KEY, and there is none"),
        ({"pickle": 7}, "CACHE_OPTIONS['pickle'] must be the secret that signs pickles, or a list of secrets"),
    ],
)
def test_an_option_that_means_nothing_is_refused_in_one_line(make: Make, options: Any, said: str) -> None:
    with pytest.raises(ValueError) as error:
        make("", options)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("prefix", [None, lambda: "tenant"])
def test_a_prefix_that_is_no_text_is_refused_before_views_go_uncached(make: Make, prefix: Any) -> None:
    with pytest.raises(TypeError, match=r"^CACHE_KEY_PREFIX must be a text, and not "):
        make(CACHE_KEY_PREFIX=prefix)


def test_places_have_a_key_of_their_own_in_the_configuration(make: Make) -> None:
    with pytest.raises(ValueError, match="CACHE_ARGS is nothing for lru_cache: give CACHE_LOCATION and CACHE_OPTIONS"):
        make(CACHE_ARGS=["app"])
    with pytest.raises(ValueError, match=r"^CACHE_LOCATION='app' is local_cluster=, and CACHE_OPTIONS has"):
        make("app", {"local_cluster": "other"})


# -- decorators --------------------------------------------------------------------------------------------------------


@pytest.fixture
def shops(tmp_path: Any, make: Make) -> list[Any]:
    """An application with what it has rendered, twice, as two workers have it."""
    tmp_path.chmod(0o700)
    found = []
    for region in ("here", "there"):
        app, cache = make(str(tmp_path / "c.sock"), {"region": region})
        found.append((app, cache, *pages_of(app, cache)))
    for _, cache, *_ in found:
        assert cache.cache.node.wait_connected(timeout=30)
    return found


def pages_of(app: Flask, cache: Any) -> tuple[list[Any], Any]:
    rendered: list[Any] = []

    @app.route("/page")
    @cache.cached(timeout=60)
    def page() -> str:
        rendered.append("page")
        return f"page {len(rendered)}"

    @cache.memoize(60)
    def price(name: str) -> str:
        rendered.append(name)
        return f"{name} {len(rendered)}"

    return rendered, price


def settled(shops: list[Any]) -> None:
    for _, cache, *_ in shops:
        assert cache.cache.node.flush(timeout=30)


def test_a_view_that_one_worker_has_rendered_no_other_renders(shops: list[Any]) -> None:
    (here, cache, *_), (there, _, rendered, _) = shops
    assert here.test_client().get("/page").data == b"page 1"
    settled(shops)
    assert there.test_client().get("/page").data == b"page 1"
    assert rendered == []
    cache.delete("view//page")
    settled(shops)
    there.test_client().get("/page")
    assert rendered == ["page"]


def test_what_one_worker_has_memoized_all_have_until_one_deletes_it(shops: list[Any]) -> None:
    (here, cache, _, price), (there, there_cache, there_rendered, there_price) = shops
    with here.app_context():
        assert price("tea") == "tea 1"
    settled(shops)
    with there.app_context():
        assert there_price("tea") == "tea 1"
        there_cache.delete_memoized(there_price, "tea")
    settled(shops)
    with here.app_context():
        assert price("tea") == "tea 2"
        cache.delete_memoized(price)
    settled(shops)
    with there.app_context():
        assert there_price("tea") == "tea 1"
    assert there_rendered == ["tea"]


def test_deleting_many_is_for_all(pair: Any) -> None:
    here, there = pair()
    here.set_many({"a": 1, "b": 2, "c": 3})
    eventually(lambda: there.get_dict("a", "b", "c") == {"a": 1, "b": 2, "c": 3})
    assert there.delete_many("a", "b", "none") == ["a", "b", "none"]
    eventually(lambda: here.get_many("a", "b", "c") == [None, None, 3])


def test_a_page_that_cannot_be_kept_is_served_and_logged(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    app, cache = make()

    @app.route("/stream")
    @cache.cached()
    def stream() -> Any:
        return flask.Response(iter(["a", "b"]))

    with caplog.at_level(logging.ERROR, "flask_caching"):
        assert app.test_client().get("/stream").data == b"ab"
    assert "that is streamed can be read only once" in caplog.text


def test_fragments_of_templates_are_kept(make: Make) -> None:
    app, _ = make()
    seen: list[int] = []
    text = "{% cache 60, 'box' %}{{ count() }}{% endcache %}"
    with app.test_request_context():
        for _ in range(2):
            assert flask.render_template_string(text, count=lambda: seen.append(1) or len(seen)) == "1"


# -- beyond ------------------------------------------------------------------------------------------------------------


def test_a_load_is_called_once_for_all_threads_that_miss(make: Make) -> None:
    backend = make()[1].cache
    called, may_end = [], threading.Event()

    def load() -> list[int]:
        called.append(1)
        may_end.wait(30)
        return [1]

    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(backend.get_or_set("k", load))) for _ in range(5)]
    for thread in threads:
        thread.start()
    eventually(lambda: bool(called))
    may_end.set()
    for thread in threads:
        thread.join()
    assert (found, called) == ([[1]] * 5, [1])
    assert len(set(map(id, found))) == 5


def test_what_is_deleted_elsewhere_while_it_is_loaded_is_not_kept(pair: Any) -> None:
    here, there = pair()

    def load() -> str:
        there.delete("k")
        assert there.node.flush(timeout=30)
        return "old"

    here.get_or_set("k", load)
    assert here.get("k") is None


def test_pickles_are_signed_by_the_secret_key(pair: Any) -> None:
    here, there = pair({"SECRET_KEY": "a"}, pickle=True)
    here.set("k", Money(7))
    eventually(lambda: there.has("k"))
    assert there.get("k").cents == 7


def test_a_secret_key_that_was_replaced_is_taken(tmp_path: Any, make: Make) -> None:
    tmp_path.chmod(0o700)
    old = make(str(tmp_path / "c.sock"), {"pickle": True}, SECRET_KEY="old")[1].cache
    new = make(str(tmp_path / "c.sock"), {"pickle": True}, SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"])[1].cache
    for each in (old, new):
        assert each.node.wait_connected(timeout=30)
    old.set("of old", Money(1))
    new.set("of new", Money(2))
    new.set("data", 3)
    eventually(lambda: new.has("of old") and old.get("data") == 3)
    assert new.get("of old").cents == 1
    assert old.get("of new") is None


class Money:
    """Of the application, and no data."""

    def __init__(self, cents: int) -> None:
        self.cents = cents
