"""What becomes of what views give: on this node, and on another."""

from typing import Any

import flask
import pytest
from flask import Flask, Response
from flask_caching import Cache, CachedResponse
from markupsafe import Markup
from werkzeug import exceptions
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as PlainResponse

from lru_cache.flask import response
from lru_cache.flask.codecs import ERRORS
from tests.concurrency import eventually
from tests.flask.conftest import Make


def seen(pair: Any, value: Any, **options: Any) -> list[Any]:
    """What this process and another read of a value that is set here."""
    here, there = pair(**options)
    here.set("k", value)
    eventually(lambda: there.has("k"))
    return [here.get("k"), there.get("k")]


def full_response(cls: Any = Response) -> Any:
    made = cls("ü", status="201 Made", headers={"X-Own": "yes"}, content_type="text/plain; charset=utf-8")
    made.set_cookie("a", "1", httponly=True)
    made.set_cookie("b", "2")
    made.notes = ["one"]
    made._of_nobody = object()
    return made


@pytest.mark.parametrize("cls", [Response, PlainResponse])
def test_a_response_comes_back_with_all_that_it_says(pair: Any, cls: Any) -> None:
    set_here = full_response(cls)
    for found in seen(pair, set_here):
        assert type(found) is cls
        assert found.get_data() == "ü".encode()
        assert found.status == "201 Made"
        assert list(found.headers) == list(set_here.headers)
        assert found.notes == ["one"]
        assert not hasattr(found, "_of_nobody")


def test_a_response_without_a_type_gets_none(pair: Any) -> None:
    set_here = Response(b"", status=304)
    del set_here.headers["Content-Type"]
    for found in seen(pair, set_here):
        assert list(found.headers) == list(set_here.headers)


def test_who_changes_a_response_changes_it_for_nobody(make: Make) -> None:
    cache = make()[1].cache
    set_here = full_response()
    cache.set("k", set_here)
    for spoilt in (set_here, cache.get("k"), cache.get("k")):
        spoilt.set_data(b"other")
        spoilt.headers["X-Own"] = "no"
        spoilt.notes.append("two")
        found = cache.get("k")
        assert (found.get_data(), found.headers["X-Own"], found.notes) == ("ü".encode(), "yes", ["one"])


def test_a_response_with_a_timeout_of_its_own_keeps_it(pair: Any) -> None:
    for found in seen(pair, CachedResponse(Response("a"), 7)):
        assert (type(found), found.timeout, found.get_data()) == (CachedResponse, 7, b"a")


class Own(Response):
    """The application's."""


class Other(Response):
    """One that nobody has named."""


def test_the_application_s_class_of_responses_is_known() -> None:
    app = Flask("shop")
    app.response_class = Own
    app.config["CACHE_TYPE"] = "lru_cache.flask.LRUCacheBackend"
    one, two = Cache(app).cache, Cache(app).cache
    one.set("k", Own("a"))
    assert one.node is two.node
    assert type(two.get("k")) is Own


def test_another_class_of_responses_has_to_be_named(make: Make) -> None:
    cache = make()[1].cache
    with pytest.raises(
        TypeError, match=r"a Other is kept if CACHE_OPTIONS\['codecs'\] has lru_cache.flask.response\(Other\)"
    ):
        cache.set("k", {"a": [Other("a")]})
    named = make("", {"codecs": [response(Other)]})[1].cache
    named.set("k", Other("a"))
    assert type(named.get("k")) is Other


@pytest.mark.parametrize(
    "options", [{"codecs": "tests.flask.test_codecs.CODECS"}, {"codecs": ["tests.flask.test_codecs:CODECS"]}]
)
def test_codecs_can_be_named_by_their_place(make: Make, options: Any) -> None:
    cache = make("", options)[1].cache
    cache.set("k", Other("a"))
    assert cache.get("k").get_data() == b"a"


CODECS = [response(Other)]


def test_what_is_streamed_is_refused_in_one_line_and_drops_what_was_there(make: Make, tmp_path: Any) -> None:
    cache = make()[1].cache
    (tmp_path / "a.txt").write_text("a")
    app = Flask("shop", root_path=str(tmp_path))
    with app.test_request_context():
        sent = flask.send_file(tmp_path / "a.txt")
    for streamed in (Response(iter("ab")), sent):
        cache.set("k", "old")
        with pytest.raises(TypeError, match="a Response that is streamed can be read only once") as error:
            cache.set("k", streamed)
        assert "\n" not in str(error.value)
        assert cache.get("k") is None
    sent.close()


@pytest.mark.parametrize("cls", sorted(set(ERRORS), key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__)
def test_an_error_comes_back_as_it_was_raised(pair: Any, cls: Any) -> None:
    for found in seen(pair, cls(description="why")):
        assert type(found) is cls
        assert (found.code, found.description) == (cls.code, "why")


def test_an_error_comes_back_with_its_response_and_what_belongs_to_its_kind(pair: Any) -> None:
    value = [exceptions.MethodNotAllowed(["GET"]), exceptions.HTTPException(response=Response("own", status=418))]
    value.append(exceptions.TooManyRequests(retry_after=7))
    for allowed, own, soon in seen(pair, value):
        assert allowed.valid_methods == ["GET"]
        assert own.get_response().get_data() == b"own"
        assert dict(soon.get_headers())["Retry-After"] == "7"


def test_texts_that_are_safe_stay_so(pair: Any) -> None:
    for found in seen(pair, [Markup("<b>"), "<b>"]):
        assert list(map(type, found)) == [Markup, str]


@pytest.mark.parametrize(
    "answer",
    [
        "text",
        b"bytes",
        {"a": [1, 2.5, None]},
        ["a", "b"],
        ("made", 201),
        ("made", 201, {"X-Own": "yes"}),
        ("made", {"X-Own": "yes"}),
        ("made", 201, Headers([("X-Own", "yes"), ("X-Own", "no")])),
        (Markup("<b>"), 200),
    ],
    ids=repr,
)
def test_what_a_view_may_give_is_kept(make: Make, answer: Any) -> None:
    app, cache = make()
    asked = []

    @app.route("/")
    @cache.cached()
    def view() -> Any:
        asked.append(1)
        return answer

    first, second = (app.test_client().get("/") for _ in range(2))
    assert asked == [1]
    assert first.status == second.status
    assert first.data == second.data
    assert list(first.headers) == list(second.headers)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"body": "text", "status": "200 OK", "headers": [], "more": {}},
        {"body": b"", "status": 200, "headers": [], "more": {}},
        {"body": b"", "status": "200 OK\r\nA: b", "headers": [], "more": {}},
        {"body": b"", "status": "200 OK", "headers": [["A", "b\r\nC: d"]], "more": {}},
        {"body": b"", "status": "200 OK", "headers": [["A", 1]], "more": {}},
        {"body": b"", "status": "200 OK", "headers": [], "more": {"get_data": 1}},
        {"body": b"", "status": "200 OK", "headers": [], "more": {"_on_close": 1}},
        {"body": b"", "status": "200 OK", "headers": [], "more": {"response": ["x"]}},
    ],
    ids=repr,
)
def test_what_is_no_response_is_none(data: Any) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        response(Response).decode(data, 1)


def test_only_a_class_of_responses_has_such_a_codec() -> None:
    with pytest.raises(TypeError, match="response takes a class of Response, not <class 'dict'>"):
        response(dict)
