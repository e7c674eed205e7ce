"""What is answered from the cache, and what the endpoint is asked for."""

import asyncio
import threading
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, BackgroundTasks, Body, Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route

from lru_cache.fastapi import AppCache, cached_response, invalidate_response, lifespan
from lru_cache.fastapi.lifespan import responses_of
from lru_cache.testing import ManualClock
from tests.fastapi.asking import Gate, ask, run, until


def app_with(**options: Any) -> FastAPI:
    return FastAPI(lifespan=lifespan(**options))


def waiting(app: FastAPI) -> int:
    """How many wait for what others have begun."""
    return sum(len(flight.landed._waiters) for flight in responses_of(app)._flights.values())


class Counted:
    """How often an endpoint ran."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> int:
        self.runs += 1
        return self.runs


def simple(seconds: float = 60, clock: ManualClock | None = None, **options: Any) -> tuple[FastAPI, Counted]:
    """An app with one endpoint, whose answer says how often it ran."""
    app, count = FastAPI(lifespan=lifespan(**({"clock": clock} if clock else {}))), Counted()

    @app.get("/items/{number}")
    @cached_response(seconds, **options)
    async def read(number: int, q: str = "") -> dict[str, Any]:
        return {"number": number, "q": q, "run": count()}

    return app, count


# -- hits and misses ---------------------------------------------------------------------------------------------------


def test_the_second_request_is_a_hit() -> None:
    clock = ManualClock()
    app, count = simple(clock=clock)

    @run(app)
    async def _() -> None:
        first = await ask(app, "/items/5")
        assert (first.status, first.json) == (200, {"number": 5, "q": "", "run": 1})
        assert first.cache == "fwd=miss; stored"
        assert "age" not in first.headers
        clock.advance(2.5)
        second = await ask(app, "/items/5")
        assert second.body == first.body
        assert second.cache == "hit; ttl=57"
        assert second.headers["age"] == "2"
        assert second.headers["content-type"] == "application/json"
        assert second.headers["content-length"] == str(len(first.body))
        assert count.runs == 1


def test_what_has_lived_its_life_is_a_miss() -> None:
    clock = ManualClock()
    app, _ = simple(10, clock)

    @run(app)
    async def _() -> None:
        await ask(app, "/items/5")
        clock.advance(9.9)
        assert (await ask(app, "/items/5")).cache == "hit; ttl=0"
        clock.advance(0.2)
        assert (await ask(app, "/items/5")).cache == "fwd=miss; stored"


def test_a_plain_function_runs_in_a_thread_and_its_hits_on_the_loop() -> None:
    app = app_with()
    threads: list[int] = []

    @app.get("/")
    @cached_response(60)
    def read() -> str:
        threads.append(threading.get_ident())
        return "text"

    @run(app)
    async def _() -> None:
        assert [(await ask(app, "/")).json for _ in range(2)] == ["text", "text"]
        assert len(threads) == 1
        assert threads[0] != threading.get_ident()


def test_path_and_query_are_in_the_key_whatever_the_order_of_names() -> None:
    app, _ = simple()

    @run(app)
    async def _() -> None:
        assert (await ask(app, "/items/5?q=a&x=1")).json["run"] == 1
        assert (await ask(app, "/items/5?x=1&q=a")).json["run"] == 1
        assert (await ask(app, "/items/5?q=b&x=1")).json["run"] == 2
        assert (await ask(app, "/items/6?q=a&x=1")).json["run"] == 3


def test_two_endpoints_of_one_path_have_answers_of_their_own() -> None:
    def endpoint(text: str) -> Any:
        async def read(request: Request) -> Response:
            return PlainTextResponse(text)

        read.__qualname__ = text
        return cached_response(60)(read)

    shared = lifespan()
    one = Starlette(routes=[Route("/", endpoint("one"))], lifespan=shared)
    two = Starlette(routes=[Route("/", endpoint("two"))])

    @run(one)
    async def _() -> None:
        two.state = one.state
        assert (await ask(one, "/")).body == b"one"
        assert (await ask(two, "/")).body == b"two"


def test_declared_headers_are_in_the_key_and_in_vary() -> None:
    app, count = app_with(), Counted()

    @app.get("/")
    @cached_response(60, vary=["Accept-Language"])
    async def read(accept_language: Annotated[str | None, Header()] = None) -> dict[str, Any]:
        return {"language": accept_language, "run": count()}

    @run(app)
    async def _() -> None:
        for language, runs in (("de, en", 1), ("en", 2), ("de,en", 1), (None, 3), ("", 4)):
            found = await ask(app, "/", {} if language is None else {"Accept-Language": language})
            assert found.json["run"] == runs
            assert found.headers["vary"] == "accept-language"


def test_a_header_that_comes_twice_is_not_one_with_both() -> None:
    """Or who sends two could have others given what the first of them is answered with."""
    app = app_with()

    @app.get("/")
    @cached_response(60, vary=["x-tag"])
    async def read(x_tag: Annotated[str, Header()]) -> str:
        return x_tag

    @run(app)
    async def _() -> None:
        assert (await ask(app, "/", [("x-tag", "a"), ("x-tag", "b")])).json == "a"
        assert (await ask(app, "/", [("x-tag", "a, b")])).json == "a, b"
        assert (await ask(app, "/", [("x-tag", "a"), ("x-tag", "b")])).cache.startswith("hit")


def test_the_host_that_one_client_asks_for_is_in_no_link_for_others() -> None:
    app = app_with()

    @app.get("/")
    @cached_response(60)
    async def read(request: Request) -> str:
        return str(request.url)

    @app.get("/one")
    @cached_response(60, vary=())
    async def one(request: Request) -> str:
        return "the same for all hosts"

    @run(app)
    async def _() -> None:
        for host in ("evil.test", "shop.test"):
            assert (await ask(app, "/", {"host": host})).json == f"http://{host}/"
        assert (await ask(app, "/", {"host": "shop.test"}, scheme="https")).json == "https://shop.test/"
        await ask(app, "/one", {"host": "evil.test"})
        assert (await ask(app, "/one", {"host": "shop.test"})).cache.startswith("hit")


def test_dependencies_run_each_time_and_what_is_said_of_them_is_in_the_key() -> None:
    app, users, count = app_with(), [], Counted()

    async def user(x_user: Annotated[str, Header()]) -> dict[str, str]:
        users.append(x_user)
        if x_user == "nobody":
            raise HTTPException(401)
        return {"name": x_user}

    @app.get("/")
    @cached_response(60, by={"user": lambda user: user["name"]})
    async def read(user: Annotated[dict[str, str], Depends(user)], cache: AppCache) -> dict[str, Any]:
        return {"user": user["name"], "run": count()}

    @run(app)
    async def _() -> None:
        answers = [await ask(app, "/", {"x-user": name}) for name in ("ada", "bob", "ada", "nobody")]
        assert [each.status for each in answers] == [200, 200, 200, 401]
        assert [each.json for each in answers[:3]] == [
            {"user": "ada", "run": 1},
            {"user": "bob", "run": 2},
            {"user": "ada", "run": 1},
        ]
        assert users == ["ada", "bob", "ada", "nobody"]
        assert answers[2].headers["cache-control"] == "private, no-cache"


def test_values_of_different_types_are_different_users() -> None:
    app, count, values = app_with(), Counted(), iter([1, True, "1", 1])

    def user() -> Any:
        return next(values)

    @app.get("/")
    @cached_response(60, by={"user": lambda user: user})
    async def read(user: Annotated[Any, Depends(user)]) -> int:
        return count()

    @run(app)
    async def _() -> None:
        assert [(await ask(app, "/")).json for _ in range(4)] == [1, 2, 3, 1]


def test_a_value_that_is_no_data_is_refused() -> None:
    app = app_with()

    @app.get("/")
    @cached_response(60, by={"user": lambda user: user})
    async def read(user: Annotated[Any, Depends(object)]) -> int:
        return 1

    @run(app)
    async def _() -> None:
        with pytest.raises(TypeError, match=r"by\['user'\] must give a text.*not object: .*lambda user: user.id"):
            await ask(app, "/")


def test_cookies_and_a_body_can_be_in_the_key() -> None:
    app, count = app_with(), Counted()

    @app.get("/")
    @cached_response(60, by={"theme": str, "wanted": lambda wanted: wanted["id"]})
    async def read(theme: Annotated[str, Cookie()], wanted: Annotated[dict[str, int], Body()]) -> int:
        return count()

    @run(app)
    async def _() -> None:
        asked = [("dark", 1), ("light", 1), ("dark", 2), ("dark", 1)]
        answers = [
            await ask(
                app, "/", {"cookie": f"theme={theme}", "content-type": "application/json"}, body=b'{"id": %d}' % number
            )
            for theme, number in asked
        ]
        assert [each.json for each in answers] == [1, 2, 3, 1]


# -- credentials -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["authorization", "cookie"])
def test_credentials_pass_by_where_nobody_knows_what_the_endpoint_makes_of_them(header: str) -> None:
    app, count = app_with(), Counted()

    @app.get("/request")
    @cached_response(60)
    async def with_request(request: Request) -> int:
        return count()

    @app.get("/guarded", dependencies=[Depends(lambda: None)])
    @cached_response(60)
    async def guarded() -> int:
        return count()

    @app.get("/said")
    @cached_response(60, vary=())
    async def said(request: Request) -> int:
        return count()

    @app.get("/open")
    @cached_response(60)
    async def unguarded() -> int:
        return count()

    @run(app)
    async def _() -> None:
        for path, cached in (("/request", False), ("/guarded", False), ("/said", True), ("/open", True)):
            await ask(app, path)
            found = await ask(app, path, {header: "x"})
            assert found.cache.startswith("hit" if cached else "fwd=bypass; detail=credentials"), path
            before = count.runs
            await ask(app, path)
            assert count.runs == before  # nor was what they got kept


def test_a_guard_of_an_included_router_counts() -> None:
    app, count = app_with(), Counted()
    router = APIRouter()

    @router.get("/")
    @cached_response(60)
    async def read() -> int:
        return count()

    app.include_router(router, prefix="/guarded", dependencies=[Depends(lambda: None)])
    app.include_router(router, prefix="/open")

    @run(app)
    async def _() -> None:
        for path, status in (("/guarded/", "fwd=bypass; detail=credentials"), ("/open/", "fwd=miss; stored")):
            assert (await ask(app, path, {"cookie": "a=b"})).cache == status


def test_a_word_on_another_parameter_is_none_on_the_request() -> None:
    """`by` and `vary` that the endpoint's other parameters ask for do not open the Request to all users."""
    app = app_with()

    @app.get("/session")
    @cached_response(60, by={"db": None})
    async def session(request: Request, db: Annotated[str, Depends(lambda: "db")]) -> str | None:
        return request.cookies.get("user")

    @app.get("/header")
    @cached_response(60, vary=["accept-language"])
    async def header(request: Request, accept_language: Annotated[str, Header()] = "en") -> str | None:
        return request.cookies.get("user")

    @app.get("/named")
    @cached_response(60, by={"db": None, "request": lambda request: request.cookies.get("user")})
    async def named(request: Request, db: Annotated[str, Depends(lambda: "db")]) -> str | None:
        return request.cookies.get("user")

    @run(app)
    async def _() -> None:
        for path in ("/session", "/header", "/named"):
            for user in ("ada", "bob"):
                answer = await ask(app, path, {"cookie": f"user={user}"})
                assert answer.json == user
                assert answer.cache == ("fwd=miss; stored" if path == "/named" else "fwd=bypass; detail=credentials")


def test_what_a_guard_leaves_in_the_request_is_not_given_to_others() -> None:
    """Whatever header it came in, and whether the endpoint is asked first with it or without."""
    app = app_with()

    def guard(request: Request, x_api_key: Annotated[str, Header()]) -> None:
        request.state.tenant = x_api_key

    @app.get("/", dependencies=[Depends(guard)])
    @cached_response(60)
    async def read(request: Request) -> Any:
        return request.state.tenant

    @app.get("/said", dependencies=[Depends(guard)])
    @cached_response(60, by={"request": lambda request: request.state.tenant})
    async def said(request: Request) -> Any:
        return request.state.tenant

    @run(app)
    async def _() -> None:
        for tenant in ("ada", "bob"):
            answer = await ask(app, "/", {"x-api-key": tenant})
            assert (answer.json, answer.cache) == (tenant, "fwd=bypass; detail=guard")
            answer = await ask(app, "/said", {"x-api-key": tenant})
            assert (answer.json, answer.cache) == (tenant, "fwd=miss; stored")


def test_by_sees_the_request_of_an_endpoint_of_starlette() -> None:
    @cached_response(60, by={"request": lambda request: request.headers["x-user"]})
    async def read(request):  # type: ignore[no-untyped-def]
        return PlainTextResponse(request.headers["x-user"])

    app = Starlette(routes=[Route("/", read)], lifespan=lifespan())

    @run(app)
    async def _() -> None:
        assert [(await ask(app, "/", {"x-user": user})).body for user in ("ada", "bob")] == [b"ada", b"bob"]


# -- what is not kept --------------------------------------------------------------------------------------------------


def test_what_is_not_kept_is_passed_on_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    made = {
        "stream": lambda: StreamingResponse(iter(["te", "xt"])),
        "file": lambda: FileResponse(file),
        "cookie": lambda: PlainTextResponse("text", headers={"set-cookie": "a=b"}),
        "no-store": lambda: PlainTextResponse("text", headers={"cache-control": "No-Store"}),
        "private": lambda: PlainTextResponse("text", headers={"cache-control": "private, max-age=3"}),
        "status": lambda: PlainTextResponse("text", 404),
        "vary": lambda: PlainTextResponse("text", headers={"vary": "user-agent"}),
        "everything": lambda: PlainTextResponse("text", headers={"vary": "*"}),
    }
    reasons = {"file": "stream", "cookie": "set-cookie", "no-store": "cache-control", "private": "cache-control"}
    app, count = app_with(), Counted()

    @app.get("/{what}")
    @cached_response(60)
    async def read(what: str) -> Response:
        count()
        return made[what]()

    @run(app)
    async def _() -> None:
        for what in made:
            reason = reasons.get(what, "vary" if what == "everything" else what)
            for _ in range(2):
                found = await ask(app, f"/{what}")
                assert found.body == b"text"
                assert found.cache == f"fwd=miss; detail={reason}"
        assert count.runs == 2 * len(made)


def test_names_of_headers_in_any_letters_are_understood() -> None:
    """Those of another server's answer, which an endpoint passes on as they are."""
    app, count = app_with(), Counted()

    def passed_on(name: bytes, value: bytes) -> Response:
        response = Response(str(count()))
        response.raw_headers = [(b"Content-Length", b"1"), (name, value)]
        return response

    @app.get("/cookie")
    @cached_response(60)
    async def cookie() -> Response:
        return passed_on(b"Set-Cookie", b"session=7")

    @app.get("/private")
    @cached_response(60)
    async def private() -> Response:
        return passed_on(b"Cache-Control", b"private")

    @app.get("/tag")
    @cached_response(60)
    async def tag() -> Response:
        return passed_on(b"ETag", b'"its own"')

    @run(app)
    async def _() -> None:
        for path, detail in (("/cookie", "set-cookie"), ("/private", "cache-control")):
            for _ in range(2):
                assert (await ask(app, path)).cache == f"fwd=miss; detail={detail}"
        assert (await ask(app, "/tag")).all("etag") == ['"its own"']


def test_a_response_that_is_returned_again_and_again_stays_as_it_is() -> None:
    app, same = app_with(), PlainTextResponse("text", 404)

    @app.get("/")
    @cached_response(60)
    async def read() -> Response:
        return same

    @run(app)
    async def _() -> None:
        before = list(same.raw_headers)
        for _ in range(2):
            assert (await ask(app, "/")).all("cache-status") == ["lru_cache; fwd=miss; detail=status"]
        assert same.raw_headers == before


@pytest.mark.parametrize("options", [{"by": {"number": str}}, {"vary": ["authorization"]}])
def test_what_is_private_is_kept_where_each_user_has_answers_of_his_own(options: dict[str, Any]) -> None:
    app, count = app_with(), Counted()

    @app.get("/{number}")
    @cached_response(60, **options)
    async def read(number: int) -> Response:
        return PlainTextResponse(str(count()), headers={"cache-control": "private, max-age=5"})

    @run(app)
    async def _() -> None:
        assert [(await ask(app, "/1", {"authorization": "ada"})).body for _ in range(2)] == [b"1", b"1"]


def test_other_statuses_are_kept_where_that_is_said() -> None:
    app, count = app_with(), Counted()

    @app.get("/")
    @cached_response(60, statuses=[200, 404])
    async def read() -> Response:
        count()
        return JSONResponse({}, 404)

    @run(app)
    async def _() -> None:
        assert [(await ask(app, "/")).status for _ in range(2)] == [404, 404]
        assert count.runs == 1


def test_an_exception_is_as_without_the_decorator() -> None:
    app, count = app_with(), Counted()

    @app.get("/{number}")
    @cached_response(60)
    async def read(number: int) -> int:
        count()
        if number == 1:
            raise HTTPException(418, "no coffee", headers={"x-reason": "tea"})
        raise ZeroDivisionError

    @run(app)
    async def _() -> None:
        for _ in range(2):
            found = await ask(app, "/1")
            assert (found.status, found.json, found.headers["x-reason"]) == (418, {"detail": "no coffee"}, "tea")
            with pytest.raises(ZeroDivisionError):
                await ask(app, "/2")
        assert count.runs == 4
        assert (await ask(app, "/text")).status == 422


def test_other_methods_pass_by() -> None:
    app, count = app_with(), Counted()

    @app.api_route("/", methods=["GET", "HEAD", "POST"])
    @cached_response(60)
    async def read() -> int:
        return count()

    @run(app)
    async def _() -> None:
        assert (await ask(app, "/", method="POST")).cache == "fwd=method"
        assert (await ask(app, "/", method="HEAD")).cache == "fwd=miss"  # what it is without a body nobody knows
        assert (await ask(app, "/")).json == 3
        head = await ask(app, "/", method="HEAD")
        assert (head.cache.startswith("hit"), head.body, head.headers["content-length"]) == (True, b"", "1")


# -- what clients ask --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status", "runs"),
    [
        ({"cache-control": "no-cache"}, "fwd=request; stored", 2),
        ({"cache-control": "max-age=0"}, "fwd=request; stored", 2),
        ({"pragma": "no-cache"}, "fwd=request; stored", 2),
        ({"pragma": "no-cache", "cache-control": "max-age=100"}, "hit; ttl=50", 1),
        ({"cache-control": "max-age=9"}, "fwd=request; stored", 2),
        ({"cache-control": "max-age=10"}, "hit; ttl=50", 1),
        ({"cache-control": 'Max-Age="9"'}, "fwd=request; stored", 2),
        ({"cache-control": "min-fresh=51"}, "fwd=request; stored", 2),
        ({"cache-control": "min-fresh=50"}, "hit; ttl=50", 1),
        ({"cache-control": "max-age=nonsense"}, "hit; ttl=50", 1),
        ({"cache-control": "no-store"}, "fwd=request; detail=no-store", 2),
        ({"cache-control": "only-if-cached"}, "hit; ttl=50", 1),
    ],
)
def test_what_a_client_asks_is_done(headers: dict[str, str], status: str, runs: int) -> None:
    clock = ManualClock()
    app, count = simple(60, clock)

    @run(app)
    async def _() -> None:
        await ask(app, "/items/1")
        clock.advance(10)
        found = await ask(app, "/items/1", headers)
        assert (found.cache, found.json["run"], count.runs) == (status, runs, runs)
        kept = (await ask(app, "/items/1")).json["run"]
        assert kept == (runs if status.endswith("stored") else 1)


def test_a_head_that_is_to_be_anew_changes_nothing_for_a_get() -> None:
    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse("" if request.method == "HEAD" else "body")

    app = Starlette(routes=[Route("/", cached_response(60)(read))], lifespan=lifespan())

    @run(app)
    async def _() -> None:
        await ask(app, "/")
        assert (await ask(app, "/", {"cache-control": "no-cache"}, method="HEAD")).cache == "fwd=request"
        kept = await ask(app, "/")
        assert (kept.body, kept.cache[:4]) == (b"body", "hit;")


@pytest.mark.parametrize("wish", ["no-cache", "max-age=0", "min-fresh=61"])
def test_only_if_cached_asks_no_endpoint_for_another_wish_either(wish: str) -> None:
    app, count = simple()

    @run(app)
    async def _() -> None:
        await ask(app, "/items/1")
        assert (await ask(app, "/items/1", {"cache-control": f"only-if-cached, {wish}"})).status == 504
        assert count.runs == 1


def test_only_if_cached_asks_no_endpoint() -> None:
    app, count = simple()

    @run(app)
    async def _() -> None:
        found = await ask(app, "/items/1", {"cache-control": "only-if-cached"})
        assert (found.status, found.cache, count.runs) == (504, "detail=only-if-cached", 0)


def test_clients_may_be_passed_over() -> None:
    app, count = simple(obey_clients=False)

    @run(app)
    async def _() -> None:
        await ask(app, "/items/1", {"cache-control": "no-store"})
        for asked in ("no-cache", "no-store", "max-age=0"):
            assert (await ask(app, "/items/1", {"cache-control": asked})).cache.startswith("hit")
        assert count.runs == 1


# -- validators and heads ----------------------------------------------------------------------------------------------


def test_who_has_the_answer_is_told_so() -> None:
    app, _ = simple()

    @run(app)
    async def _() -> None:
        tag = (await ask(app, "/items/1")).headers["etag"]
        assert tag.startswith('"')
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            found = await ask(app, "/items/1", {"if-none-match": known})
            assert (found.status, found.body) == (304, b"")
            assert {name for name, _ in found.pairs} == {"etag", "cache-control", "cache-status", "age"}
        assert (await ask(app, "/items/1", {"if-none-match": '"other"'})).status == 200
        assert (await ask(app, "/items/1", {"if-none-match": tag, "cache-control": "no-cache"})).status == 200  # run 2
        miss = await ask(app, "/items/2", {"if-none-match": "*"})
        assert (miss.status, miss.cache) == (304, "fwd=miss; stored")


def test_what_is_no_success_is_answered_whatever_the_client_has() -> None:
    app = app_with()

    @app.get("/")
    @cached_response(60, statuses=(404,))
    async def read() -> Response:
        return Response("no such thing", 404)

    @run(app)
    async def _() -> None:
        for _ in range(2):
            assert (await ask(app, "/", {"if-none-match": "*"})).status == 404


def test_the_tag_says_what_the_body_is() -> None:
    app = app_with()

    @app.get("/{kind}")
    @cached_response(60)
    async def read(kind: str) -> Response:
        return Response("same", media_type=f"text/{kind}")

    @run(app)
    async def _() -> None:
        assert (await ask(app, "/a")).headers["etag"] != (await ask(app, "/b")).headers["etag"]


def test_what_the_endpoint_says_stays() -> None:
    app = app_with()
    said = {"cache-control": "max-age=5", "etag": '"mine"', "vary": "X-B", "x-own": "1"}

    @app.get("/")
    @cached_response(60, vary=["x-a", "x-b"], cache_control="max-age=77")
    async def read() -> Response:
        return PlainTextResponse("text", headers=said)

    @run(app)
    async def _() -> None:
        for _ in range(2):
            found = await ask(app, "/")
            assert {name: found.headers[name] for name in said} == {**said, "vary": "x-b, x-a"}
            assert len(found.all("vary")) == len(found.all("etag")) == len(found.all("cache-control")) == 1


def test_what_browsers_are_told_can_be_chosen() -> None:
    app, _ = simple(cache_control="max-age=10")

    @run(app)
    async def _() -> None:
        assert (await ask(app, "/items/1")).headers["cache-control"] == "max-age=10"


def test_by_default_browsers_ask_each_time() -> None:
    app, _ = simple()

    @run(app)
    async def _() -> None:
        assert (await ask(app, "/items/1")).headers["cache-control"] == "no-cache"


# -- responses as FastAPI makes them -----------------------------------------------------------------------------------


class Item(BaseModel):
    id: int
    name: str = "a"


def of_all_kinds(decorate: Any) -> FastAPI:
    """An app whose endpoints say in all ways of FastAPI's what becomes of their answers."""
    app, router = FastAPI(lifespan=lifespan()), APIRouter()

    def db(response: Response) -> str:
        response.headers["x-of-dependency"] = "1"
        response.set_cookie("seen", "yes")
        return "db"

    @app.get("/model", response_model=Item, status_code=201, response_model_exclude_unset=True)
    @decorate
    async def model(db: Annotated[str, Depends(db)]) -> Any:
        return {"id": 1, "secret": 2}

    @app.get("/annotated")
    @decorate
    def annotated(response: Response, db: Annotated[str, Depends(db)]) -> Item:
        response.headers["x-own"] = "2"
        response.status_code = 202
        return Item(id=3)

    @app.get("/response")
    @decorate
    async def response(db: Annotated[str, Depends(db)]) -> Response:
        return PlainTextResponse("own", 202)

    @router.get("/text")
    @decorate
    async def text(db: Annotated[str, Depends(db)]) -> str:
        return "plain"

    app.include_router(router, prefix="/router", default_response_class=PlainTextResponse)
    return app


@pytest.mark.parametrize("path", ["/model", "/annotated", "/response", "/router/text"])
def test_a_response_is_the_same_with_and_without_the_decorator(path: str) -> None:
    """All that a route, a router and the response parameter say of it, on a miss and on a hit."""
    plain = of_all_kinds(lambda endpoint: endpoint)
    cached = of_all_kinds(cached_response(60, statuses=(200, 201, 202), by={"db": None}))
    ours = {"etag", "cache-control", "cache-status", "age"}

    @run(plain, cached)
    async def _() -> None:
        without = await ask(plain, path)
        for status in ("fwd=miss; stored", "hit; ttl="):
            found = await ask(cached, path)
            assert (found.status, found.body) == (without.status, without.body)
            assert sorted(pair for pair in found.pairs if pair[0] not in ours) == sorted(without.pairs)
            assert found.cache.startswith(status)


def test_the_schema_is_the_same_with_and_without_the_decorator() -> None:
    def made(decorate: Any) -> FastAPI:
        app = FastAPI()

        @app.get("/items/{number}")
        @decorate
        def read_item(number: int, response: Response, tasks: BackgroundTasks, q: str | None = None) -> Item:
            """Read one."""
            return Item(id=number)

        return app

    assert made(cached_response(60)).openapi() == made(lambda each: each).openapi()


def test_what_a_dependency_sets_goes_to_its_own_request_only() -> None:
    app, number = app_with(), Counted()

    def visitor(response: Response) -> None:
        response.set_cookie("visitor", str(number()))

    @app.get("/", dependencies=[Depends(visitor)])
    @cached_response(60)
    async def read() -> int:
        return 1

    @run(app)
    async def _() -> None:
        first, second = await ask(app, "/"), await ask(app, "/")
        assert second.cache.startswith("hit")
        assert [each.headers["set-cookie"].partition(";")[0] for each in (first, second)] == ["visitor=1", "visitor=2"]
        third = await ask(app, "/", {"if-none-match": first.headers["etag"]})
        assert (third.status, third.headers["set-cookie"].partition(";")[0]) == (304, "visitor=3")


def test_what_a_dependency_says_of_caches_is_told_and_heeded() -> None:
    app, number = app_with(), Counted()

    def said(response: Response, cache_control: Annotated[str, Header()] = "no-store") -> None:
        response.headers["cache-control"] = cache_control
        response.headers["vary"] = "origin"

    @app.get("/", dependencies=[Depends(said)])
    @cached_response(60, vary=["accept-language"], obey_clients=False)
    async def read() -> int:
        return number()

    @run(app)
    async def _() -> None:
        for each in ("no-store", "private"):
            answer = await ask(app, "/", {"cache-control": each})
            assert (answer.cache, answer.all("cache-control")) == ("fwd=miss; detail=cache-control", [each])
        for status in ("fwd=miss; stored", "hit"):
            answer = await ask(app, "/", {"cache-control": "max-age=9"})
            assert (answer.cache.startswith(status), answer.all("cache-control")) == (True, ["max-age=9"])
            assert answer.all("vary") == ["accept-language", "origin"]
        answer = await ask(app, "/", {"cache-control": "no-store"})  # that dependency is of this request alone
        assert (answer.cache[:3], answer.all("cache-control")) == ("hit", ["no-store"])


def test_a_mistake_in_what_is_returned_is_fastapi_s_own() -> None:
    from fastapi.exceptions import ResponseValidationError

    app = app_with()

    @app.get("/")
    @cached_response(60)
    async def read() -> Item:
        return {"id": "no number"}  # type: ignore[return-value]

    @run(app)
    async def _() -> None:
        with pytest.raises(ResponseValidationError):
            await ask(app, "/")


def test_background_tasks_run_where_the_endpoint_did() -> None:
    app, done = app_with(), []

    @app.get("/")
    @cached_response(60)
    async def read(tasks: BackgroundTasks) -> int:
        tasks.add_task(done.append, 1)
        return 1

    @run(app)
    async def _() -> None:
        await ask(app, "/")
        await ask(app, "/")
        assert done == [1]


def test_middleware_may_change_what_is_answered() -> None:
    app = app_with()
    app.add_middleware(GZipMiddleware, minimum_size=10)

    @app.get("/")
    @cached_response(60)
    async def read() -> str:
        return "long " * 100

    @run(app)
    async def _() -> None:
        packed = await ask(app, "/", {"accept-encoding": "gzip"})
        plain = await ask(app, "/", {"accept-encoding": "identity"})
        assert plain.cache.startswith("hit")
        assert packed.headers["content-encoding"] == "gzip"
        assert plain.json == "long " * 100


# -- Starlette ---------------------------------------------------------------------------------------------------------


def test_endpoints_of_starlette() -> None:
    count = Counted()

    @cached_response(60)
    async def awaited(request: Request) -> Response:
        return JSONResponse({"number": request.path_params["number"], "run": count()})

    @cached_response(60)
    def plain(request: Request) -> Response:
        return JSONResponse({"run": count()})

    class Page(HTTPEndpoint):
        @cached_response(60)
        async def get(self, request: Request) -> Response:
            return JSONResponse({"run": count()})

    inner = [Route("/items/{number:int}", awaited), Route("/plain", plain), Route("/page", Page)]
    app = Starlette(routes=[Mount("/sub", routes=inner)], lifespan=lifespan())

    @run(app)
    async def _() -> None:
        for path, found in (
            ("/sub/items/1", {"number": 1, "run": 1}),
            ("/sub/items/2", {"number": 2, "run": 2}),
            ("/sub/plain", {"run": 3}),
            ("/sub/page", {"run": 4}),
        ):
            assert [(await ask(app, path)).json for _ in range(2)] == [found, found]
        assert (await ask(app, "/sub/plain", {"cookie": "a=b"})).cache == "fwd=bypass; detail=credentials"
        assert invalidate_response(app, "/sub/plain")
        assert (await ask(app, "/sub/plain")).cache == "fwd=miss; stored"


def test_other_code_may_call_the_endpoint() -> None:
    @cached_response(60)
    async def read(number: int) -> int:
        return number + 1

    assert asyncio.run(read(number=1)) == 2  # type: ignore[arg-type]


# -- invalidation ------------------------------------------------------------------------------------------------------


def test_an_invalidated_path_is_gone_for_all_queries_and_users_and_no_other_is() -> None:
    app, count = app_with(), Counted()

    @app.get("/items/{number}")
    @cached_response(60, vary=["x-user"])
    async def read(number: int) -> int:
        return count()

    @run(app)
    async def _() -> None:
        asked = [(path, user) for path in ("/items/1", "/items/1?q=a") for user in ("a", "b")]
        for path, user in [*asked, ("/items/2", "a")]:
            await ask(app, path, {"x-user": user})
        assert invalidate_response(app, "/items/1")
        for path, user in asked:
            assert (await ask(app, path, {"x-user": user})).cache == "fwd=miss; stored"
        assert (await ask(app, "/items/2", {"x-user": "a"})).cache.startswith("hit")
        assert not invalidate_response(app, "/items/3")


def test_a_run_that_began_before_an_invalidation_is_not_kept() -> None:
    app, gates = app_with(), [Gate(), Gate()]
    left = iter(gates)
    for gate in gates[1:]:
        gate.opened.set()

    @app.get("/")
    @cached_response(60)
    async def read() -> int:
        gate = next(left)
        await gate.pass_through()
        return gates.index(gate)

    @run(app)
    async def _() -> None:
        old = asyncio.ensure_future(ask(app, "/"))
        await until(lambda: gates[0].entered)
        invalidate_response(app, "/")
        assert (await ask(app, "/")).json == 1  # nor does who asks now wait for that one
        gates[0].opened.set()
        assert (await old).json == 0
        assert (await ask(app, "/")).json == 1


def test_what_a_dependency_has_read_before_an_invalidation_is_not_kept() -> None:
    app, gate, prices = app_with(), Gate(), {"tea": 3}

    async def price_of(name: str) -> int:
        price = prices[name]
        await gate.pass_through()
        return price

    @app.get("/prices/{name}")
    @cached_response(60, by={"price": None})
    async def read(name: str, price: Annotated[int, Depends(price_of)]) -> int:
        return price

    @run(app)
    async def _() -> None:
        before = asyncio.create_task(ask(app, "/prices/tea"))
        await until(lambda: gate.entered)
        prices["tea"] = 4
        invalidate_response(app, "/prices/tea")
        gate.opened.set()
        assert (await before).json == 3
        assert [(await ask(app, "/prices/tea")).json for _ in range(2)] == [4, 4]


def test_an_app_s_own_keys_and_loader_are_not_touched() -> None:
    asked = []

    def load(key: Any) -> str:
        asked.append(key)
        return f"value of {key}"

    app = app_with(load_callback=load, refresh_time=5, expiration_time=10)

    @app.get("/items/{number}")
    @cached_response(60)
    async def read(number: int, cache: AppCache) -> Any:
        return await cache.aget(number)

    @run(app)
    async def _() -> None:
        assert [(await ask(app, "/items/1")).json for _ in range(2)] == ["value of 1"] * 2
        assert asked == [1]


# -- many at once ------------------------------------------------------------------------------------------------------


def test_many_who_ask_at_once_have_one_run() -> None:
    app, gate, count = app_with(), Gate(), Counted()

    @app.get("/")
    @cached_response(60)
    async def read() -> int:
        await gate.pass_through()
        return count()

    @run(app)
    async def _() -> None:
        asking = [asyncio.ensure_future(ask(app, "/")) for _ in range(50)]
        await until(lambda: waiting(app) == 49)
        gate.opened.set()
        found = await asyncio.gather(*asking)
        assert {each.json for each in found} == {1}
        assert sorted(each.cache for each in found) == [*["fwd=miss; collapsed"] * 49, "fwd=miss; stored"]


def test_who_leaves_takes_nobody_along() -> None:
    """The one whose request the endpoint runs for is cancelled: another runs it, and still only one does."""
    app, gate, count = app_with(), Gate(), Counted()

    @app.get("/")
    @cached_response(60)
    async def read() -> int:
        await gate.pass_through()
        return count()

    @run(app)
    async def _() -> None:
        asking = [asyncio.ensure_future(ask(app, "/")) for _ in range(10)]
        await until(lambda: waiting(app) == 9)
        asking[0].cancel()
        asking[5].cancel()
        await until(lambda: gate.entered == 2)
        gate.opened.set()
        found = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(found[number]) for number in (0, 5)] == [asyncio.CancelledError] * 2
        assert {each.json for each in found if not isinstance(each, BaseException)} == {1}
        assert gate.entered == 2


def test_an_error_of_one_s_own_is_not_told_to_those_who_wait() -> None:
    app, gate, errors = app_with(), Gate(), iter([True])

    @app.get("/")
    @cached_response(60)
    async def read() -> int:
        await gate.pass_through()
        if next(errors, False):
            raise HTTPException(503, "the session of this request was closed")
        return 1

    @run(app)
    async def _() -> None:
        asking = [asyncio.ensure_future(ask(app, "/")) for _ in range(10)]
        await until(lambda: waiting(app) == 9)
        gate.opened.set()
        statuses = [each.status for each in await asyncio.gather(*asking)]
        assert sorted(statuses) == [*[200] * 9, 503]
        assert gate.entered == 2


def test_where_all_fail_nobody_waits_for_more_than_two() -> None:
    app, gate = app_with(), Gate()

    @app.get("/")
    @cached_response(60)
    async def read() -> int:
        await gate.pass_through()
        raise HTTPException(503)

    @run(app)
    async def _() -> None:
        asking = [asyncio.ensure_future(ask(app, "/")) for _ in range(10)]
        await until(lambda: waiting(app) == 9)
        gate.opened.set()
        assert {each.status for each in await asyncio.gather(*asking)} == {503}
        assert gate.entered == 10


def test_nobody_waits_for_what_could_not_be_kept_a_moment_ago() -> None:
    app, gate = app_with(), Gate()

    @app.get("/")
    @cached_response(60)
    async def read(response: Response) -> int:
        await gate.pass_through()
        response.headers["cache-control"] = "no-store"
        return 1

    @run(app)
    async def _() -> None:
        first = asyncio.ensure_future(ask(app, "/"))
        await until(lambda: gate.entered)
        gate.opened.set()
        await first
        gate.opened.clear()
        asking = [asyncio.ensure_future(ask(app, "/")) for _ in range(5)]
        await until(lambda: gate.entered == 6)
        gate.opened.set()
        assert {each.cache for each in await asyncio.gather(*asking)} == {"fwd=miss; detail=cache-control"}


def test_who_wants_it_anew_waits_for_no_run_that_began_before() -> None:
    app, gate, count = app_with(), Gate(), Counted()

    @app.get("/")
    @cached_response(60)
    async def read() -> int:
        run_number = count()
        await gate.pass_through()
        return run_number

    @run(app)
    async def _() -> None:
        first = asyncio.ensure_future(ask(app, "/"))
        await until(lambda: gate.entered)
        anew = [asyncio.ensure_future(ask(app, "/", {"cache-control": "no-cache"})) for _ in range(5)]
        await until(lambda: waiting(app) == 5)
        gate.opened.set()
        assert (await first).json == 1
        assert {each.json for each in await asyncio.gather(*anew)} == {2}
        assert (await ask(app, "/")).json == 2


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "line"),
    [
        ({"seconds": 0}, ValueError, "seconds must be positive"),
        ({"seconds": float("inf")}, ValueError, "seconds must be finite"),
        ({"seconds": "1"}, TypeError, "seconds must be seconds"),
        ({"refresh_time": 60}, ValueError, "refresh_time must be less than seconds"),
        ({"statuses": ["200"]}, TypeError, "statuses must be an int"),
        ({"statuses": (200, 206)}, ValueError, "statuses must not have 206 or 304"),
        ({"cache_control": 1}, TypeError, "cache_control must be a text"),
        ({"obey_clients": "no"}, TypeError, "obey_clients must be True or False"),
        ({"vary": "accept"}, TypeError, r"vary must be a list of names of headers, such as \['accept'\]"),
        ({"vary": ["*"]}, ValueError, "vary must have names of headers"),
        ({"by": ["user"]}, TypeError, "by must have a function, or None"),
        ({"by": {"user": 1}}, TypeError, r"by\['user'\] must be a function"),
        ({"by": {"user": None}}, TypeError, "by names 'user', and .* takes no such parameter"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(options: dict[str, Any], error: type[Exception], line: str) -> None:
    async def read() -> None: ...

    with pytest.raises(error, match=line) as raised:
        cached_response(**{"seconds": 60, **options})(read)
    assert "\n" not in str(raised.value)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="stands above a function"):
        cached_response(60)(5)  # type: ignore[type-var]
