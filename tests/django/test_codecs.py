"""What becomes of what Django keeps: on this node, and on another."""

import asyncio
import copy
import pickle
from datetime import datetime, timezone
from enum import Enum
from http.cookies import CookieError
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends import cache as cache_sessions
from django.core.cache import caches
from django.db import connection, models
from django.http import (
    FileResponse,
    HttpResponse,
    HttpResponseNotFound,
    HttpResponseNotModified,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template import Context, Template, engines
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.test import Client, RequestFactory, override_settings
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy, ngettext_lazy, override, pgettext_lazy

from lru_cache.codecs import Codec
from lru_cache.django import LRUCacheBackend, model, response
from lru_cache.django.face import pickles as pickled_codec
from lru_cache.faces.pickled import Pickled
from tests.concurrency import eventually
from tests.django import pages
from tests.django.conftest import Make


class Article(models.Model):
    title = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, default="news")
    file = models.FileField(blank=True)
    facts = models.JSONField(default=dict)
    at = models.DateTimeField(null=True)
    author = models.ForeignKey(User, models.CASCADE, null=True)

    class Meta:  # noqa: D106
        app_label = "contenttypes"

    @property
    def shout(self) -> str:
        return self.title.upper()


MODELS = {"models": ["contenttypes.Article", "auth.User", "auth.Group"]}


def seen_there(here: LRUCacheBackend, there: LRUCacheBackend, value: Any) -> Any:
    """What another process reads of a value that is set here."""
    here.set("k", value)
    eventually(lambda: there.has_key("k"))
    return there.get("k")


# -- responses ---------------------------------------------------------------------------------------------------------


def full_response() -> HttpResponse:
    made = HttpResponse("body", status=201, reason="Made", charset="latin-1", headers={"X-Own": "yes"})
    made.write("ü")
    made.set_cookie("a", "1 2", max_age=60, httponly=True, samesite="Strict", domain="example.org")
    made.set_cookie("b", "ü")
    made.xframe_options_exempt = True
    made.notes = ["one"]
    made._of_nobody = object()
    return made


def parts(value: Any) -> Any:
    return (
        type(value), value.content, value.status_code, value.reason_phrase, value.charset, list(value.headers.items()),
        value.cookies, value.closed, value.serialize(),
    )  # fmt: skip


def test_a_response_is_there_as_it_was_set_here(pair: Any) -> None:
    value = full_response()
    there = seen_there(*pair(), value)
    assert parts(there) == parts(value)
    assert (there.xframe_options_exempt, there.notes) == (True, ["one"])
    assert not hasattr(there, "_of_nobody")


def test_a_response_is_here_as_it_was_set_and_everybody_s_own(cache: LRUCacheBackend) -> None:
    value = full_response()
    expected = parts(value)
    cache.set("k", value)
    value["X-Own"] = "changed"
    value.content = "changed"
    for _ in range(2):
        mine = cache.get("k")
        assert parts(mine) == expected
        assert (mine.xframe_options_exempt, mine.notes) == (True, ["one"])
        assert not hasattr(mine, "_of_nobody")
        mine["X-Own"] = "changed"
        mine.cookies["a"]["path"] = "/elsewhere"
        mine.notes.append("two")
        mine.write("more")
        mine.close()


KINDS: list[Any] = [
    HttpResponse(b"\xff", content_type="application/octet-stream"),
    JsonResponse({"a": 1}),
    HttpResponseRedirect("/elsewhere"),
    HttpResponseNotFound("no"),
    HttpResponseNotModified(),
]


@pytest.mark.parametrize("value", KINDS, ids=lambda value: type(value).__name__)
def test_each_kind_of_response_comes_back(pair: Any, value: Any) -> None:
    here, there = pair()
    assert parts(seen_there(here, there, value)) == parts(value)
    assert parts(here.get("k")) == parts(value)


def test_a_rendered_template_comes_back_without_what_it_was_rendered_with(pair: Any) -> None:
    template = engines["django"].from_string("Hello {{ name }}")
    value = TemplateResponse(RequestFactory().get("/"), template, {"name": "Ada"})
    here, there = pair()
    with pytest.raises(TypeError, match="must be rendered before it can be"):
        here.set("k", value)
    value.render()
    for mine in (seen_there(here, there, value), here.get("k")):
        assert (mine.content, mine.is_rendered, type(mine)) == (b"Hello Ada", True, TemplateResponse)
        assert not hasattr(mine, "context_data")
        assert not hasattr(mine, "_request")
        called: list[Any] = []
        mine.add_post_render_callback(called.append)
        assert called == [mine]


def test_a_class_of_responses_of_one_s_own_needs_a_codec(make: Make) -> None:
    class Page(SimpleTemplateResponse):
        pass

    value = Page(engines["django"].from_string("x")).render()
    with pytest.raises(TypeError, match=r"a .*Page is kept if OPTIONS\['codecs'\] has lru_cache.django.response"):
        make().set("k", value)
    cache = make("", {"codecs": [response(Page, name="page")]})
    cache.set("k", [value])
    assert cache.get("k")[0].content == b"x"


@pytest.mark.parametrize("value", [StreamingHttpResponse(["a"]), FileResponse([b"a"])], ids=lambda v: type(v).__name__)
def test_what_is_read_once_is_refused(cache: LRUCacheBackend, value: Any) -> None:
    with pytest.raises(TypeError, match="can be read only once: keep an HttpResponse"):
        cache.set("k", value)


DAMAGE: dict[str, Any] = {
    "a header of two lines": lambda data: data["headers"].append(["X", "a\r\nSet-Cookie: b"]),
    "a cookie of two lines": lambda data: data["cookies"].append(["c", "v", "v\r\nX: y", {}]),
    "an attribute of two lines": lambda data: data["cookies"].append(["c", "v", "v", {"path": "/\r\nX: y"}]),
    "an attribute that no cookie has": lambda data: data["cookies"].append(["c", "v", "v", {"x": "y"}]),
    "a method": lambda data: data["more"].update(close="x"),
    "a part": lambda data: data["more"].update(headers={}),
    "no bytes": lambda data: data.update(content="text"),
    "a status of 1000": lambda data: data.update(status=1000),
    "no headers": lambda data: data.pop("headers"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_response_that_a_peer_has_made_up_is_refused(what: str) -> None:
    codec = response(HttpResponse)
    data = codec.encode(full_response())
    codec.decode(copy.deepcopy({**data, "more": {}}), 1)
    data["more"] = {}
    DAMAGE[what](data)
    with pytest.raises((ValueError, TypeError, KeyError, CookieError)):
        codec.decode(data, 1)


@pytest.mark.parametrize("location", ["", "shared"])
def test_django_s_middleware_serves_its_pages_out_of_it(location: str, tmp_path: Any, monkeypatch: Any) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    pages.rendered.clear()
    backend = {"BACKEND": "lru_cache.django.LRUCacheBackend", "LOCATION": location}
    middleware = ["django.middleware.clickjacking.XFrameOptionsMiddleware"]
    with override_settings(CACHES={"default": backend}, MIDDLEWARE=middleware):
        answers = [Client().get(url) for url in ("/plain", "/template?name=Ada") for _ in range(3)]
    assert pages.rendered == ["plain", "template"]
    assert [answer.content for answer in answers] == [b"plain"] * 3 + [b"Hello Ada"] * 3
    assert {answer["X-Own"] for answer in answers[:3]} == {"yes"}
    assert {answer.cookies["seen"]["samesite"] for answer in answers[:3]} == {"Lax"}
    assert not any("X-Frame-Options" in answer for answer in answers[3:])


# -- sessions, fragments -----------------------------------------------------------------------------------------------


def test_sessions_are_kept_and_read_on_a_loop() -> None:
    settings = {
        "SESSION_ENGINE": "django.contrib.sessions.backends.cache",
        "MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware"],
    }
    with override_settings(**settings):
        client = Client()
        assert [client.get("/visits").content for _ in range(3)] == [b"1", b"2", b"3"]


def test_a_session_is_there_where_another_worker_reads_it(pair: Any) -> None:
    here, there = pair()
    session = cache_sessions.SessionStore()
    session._cache = here
    session.update({"cart": [1, {"at": datetime(2026, 1, 1, tzinfo=timezone.utc)}], "_auth_user_id": "7"})
    session.create()
    other = cache_sessions.SessionStore(session.session_key)
    other._cache = there
    eventually(lambda: other.exists(session.session_key))
    assert dict(other.items()) == dict(session.items())


def test_a_fragment_of_a_template_is_rendered_once() -> None:
    caches["default"].clear()
    text = "{% load cache %}{% cache 60 side name %}<b>{{ text }}</b>{% endcache %}"
    rendered = [Template(text).render(Context({"name": 1, "text": each})) for each in ("a", "b")]
    assert rendered == ["<b>a</b>", "<b>a</b>"]


# -- texts -------------------------------------------------------------------------------------------------------------


def test_a_safe_text_stays_safe(pair: Any) -> None:
    here, there = pair()
    value = mark_safe("<b>")
    for mine in (seen_there(here, there, value), here.get("k")):
        assert (mine, type(mine)) == ("<b>", SafeString)


def test_a_text_to_translate_is_translated_where_it_is_shown(pair: Any) -> None:
    here, there = pair()
    with override("en"):
        mine = seen_there(here, there, [gettext_lazy("Monday"), pgettext_lazy("alt. month", "May")])
    with override("de"):
        assert [str(each) for each in mine] == ["Montag", "Mai"]
        assert str(here.get("k")[0]) == "Montag"


def test_other_lazy_texts_are_what_they_are_when_they_are_set(cache: LRUCacheBackend) -> None:
    lazy = [format_lazy("{}!", gettext_lazy("Monday")), ngettext_lazy("a day", "%d days", 2) % 2]
    with override("de"):
        cache.set("k", {"texts": lazy})
    found = cache.get("k")["texts"]
    assert found[0] == "Montag!"
    assert {type(each) for each in found} <= {str, SafeString}


def test_what_is_behind_a_lazy_object_is_kept(cache: LRUCacheBackend) -> None:
    cache.set("k", (SimpleLazyObject(lambda: {"a": 1}), 2))
    assert cache.get("k") == ({"a": 1}, 2)
    assert type(cache.get("k")[0]) is dict


# -- models ------------------------------------------------------------------------------------------------------------


class Kind(Enum):
    NEWS = "news"


def article(**more: Any) -> Article:
    return Article.from_db(
        "default",
        ["id", "title", "kind", "file", "facts", "at", "author_id"],
        [7, "A title", "news", "a.txt", {"tags": ["x"]}, datetime(2026, 1, 1, tzinfo=timezone.utc), 3],
    )


def test_a_model_is_refused_and_the_line_says_how_to_keep_it(cache: LRUCacheBackend) -> None:
    said = r"a Article is kept if OPTIONS has 'models': \['contenttypes.Article'\]; without, keep its key or some of"
    with pytest.raises(TypeError, match=said):
        cache.set("k", [article()])


def test_a_query_is_refused_and_the_line_says_what_to_keep(make: Make) -> None:
    for options in ({}, MODELS):
        with pytest.raises(TypeError, match=r"a query and not what it finds: keep list\(queryset\)"):
            make("", options).set("k", Article.objects.all())


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_model_that_is_named_comes_back_as_its_row(pair: Any, where: str) -> None:
    here, there = pair(**MODELS)
    value = article()
    value.author = User(pk=3, username="ada")
    value.rank = 5  # as by annotate()
    value.title = mark_safe("A title")
    value.kind = Kind.NEWS
    mine = seen_there(here, there, value)
    mine = here.get("k") if where == "here" else mine
    assert (type(mine), mine.pk, mine.title, mine.kind, mine.facts, mine.at, mine.author_id) == (
        Article, 7, "A title", "news", {"tags": ["x"]}, value.at, 3,
    )  # fmt: skip
    assert mine.file.name == "a.txt"
    assert mine.file.instance is mine
    assert mine.rank == 5
    assert (mine._state.db, mine._state.adding) == ("default", False)
    assert not Article.author.is_cached(mine)
    assert mine == value


def test_a_model_is_everybody_s_own(make: Make) -> None:
    cache = make("", MODELS)
    value = article()
    cache.set("k", value)
    value.facts["tags"].append("changed")
    cache.get("k").facts["tags"].append("changed")
    cache.get("k").title = "changed"
    assert (cache.get("k").facts, cache.get("k").title) == ({"tags": ["x"]}, "A title")


def test_fields_that_were_not_fetched_are_deferred(pair: Any) -> None:
    here, there = pair(**MODELS)
    value = Article.from_db("default", ["id", "title"], [7, "A title"])
    for mine in (seen_there(here, there, value), here.get("k")):
        assert mine.get_deferred_fields() == value.get_deferred_fields() != set()


def test_fields_that_another_version_of_the_model_has_are_passed_over() -> None:
    codec = model(Article)
    data = codec.encode(article())
    data["fields"]["new"] = 1
    del data["fields"]["at"]
    assert codec.decode(data, 1).get_deferred_fields() == {"at"}


@pytest.mark.parametrize("name", ["save", "_state", "shout", "objects"])
def test_no_peer_puts_anything_in_the_place_of_an_attribute(name: str) -> None:
    codec = model(Article)
    data = codec.encode(article())
    data["more"][name] = 1
    with pytest.raises(ValueError, match="in the place of an attribute"):
        codec.decode(data, 1)


def test_all_models_can_be_named_at_once(make: Make) -> None:
    cache = make("", {"models": "__all__"})
    cache.set("k", [User(username="ada"), Group(name="g")])
    found = cache.get("k")
    assert (found[0].username, found[1].name, found[0]._state.adding) == ("ada", "g", True)
    with pytest.raises(TypeError, match="models must be '__all__' or a list such as"):
        make("", {"models": "auth.User"})


def test_what_is_named_by_codecs_may_be_dotted_names(make: Make) -> None:
    for name in ("CODEC", "CODECS", "codecs"):
        cache = make("", {"codecs": [f"{__name__}.{name}"]})
        cache.set("k", Point(1))
        assert cache.get("k").x == 1


class Point:
    def __init__(self, x: int) -> None:
        self.x = x


CODEC = Codec(Point, "point", lambda value: value.x, Point)
CODECS = [CODEC]


def codecs() -> list[Codec[Any]]:
    return CODECS


# -- pickles -----------------------------------------------------------------------------------------------------------


def test_what_is_pickled_is_signed_and_read_by_who_has_the_secret_key(pair: Any) -> None:
    here, there = pair(pickle=True)
    mine = seen_there(here, there, [Point(2), Kind.NEWS])
    assert (mine[0].x, mine[1]) == (2, Kind.NEWS)
    assert type(here.node.get(":1:k")) is Pickled
    here.set("k", {"plain": 1})
    eventually(lambda: there.get("k") == {"plain": 1})
    assert type(here.node.get(":1:k")) is dict


def test_a_query_is_pickled_with_what_it_finds(make: Make) -> None:
    cache = make("", {"pickle": True})
    with connection.schema_editor() as editor:
        editor.create_model(User)
        editor.create_model(Article)
    Article.objects.create(title="A title")
    cache.set("k", Article.objects.all())
    with connection.schema_editor() as editor:
        editor.delete_model(Article)
        editor.delete_model(User)
    assert [found.title for found in cache.get("k")] == ["A title"]


class Bomb:
    went_off = 0

    def __reduce__(self) -> Any:
        return Bomb.explode, ()

    @staticmethod
    def explode() -> None:
        Bomb.went_off += 1


def test_a_pickle_without_our_signature_is_never_read() -> None:
    codec = pickled_codec()
    data = pickle.dumps(Bomb())
    with override_settings(SECRET_KEY="another"):
        foreign = codec.encode(Pickled(data))
    for signed in (foreign, [b"", data], [b"x" * 32, data], data, [data], {"data": data}, [data, foreign[0]]):
        with pytest.raises(ValueError, match=r"signed|signature"):
            codec.decode(signed, 1)
    with override_settings(SECRET_KEY_FALLBACKS=["another"]):
        assert codec.decode(foreign, 1).data == data
    assert Bomb.went_off == 0


def test_where_pickles_were_not_asked_for_none_is_read(pair: Any, make: Make, tmp_path: Any) -> None:
    here, _ = pair(pickle=True)
    plain = make(str(tmp_path / "c.sock"))
    assert plain.node.wait_connected(timeout=30)
    here.set("k", Bomb())
    here.set("after", 1)
    eventually(lambda: plain.get("after") == 1)
    assert plain.get("k") is None
    assert Bomb.went_off == 0


def test_values_that_stay_are_pickled_here_and_a_miss_elsewhere(pair: Any) -> None:
    here, there = pair(values="local")
    here.set("k", [Point(3)])
    assert here.get("k")[0].x == 3
    there.set("k", "theirs")
    eventually(lambda: here.get("k") is None)


def test_all_of_it_is_so_for_tasks(make: Make) -> None:
    cache = make("", MODELS)

    async def ask() -> Any:
        await cache.aset("k", [article(), full_response()])
        return await cache.aget("k")

    found = asyncio.run(ask())
    assert (found[0].title, found[1].status_code) == ("A title", 201)
