"""The cache of an app begins and ends with it, and is there for its endpoints."""

import asyncio
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import APIRouter, FastAPI, Request, WebSocket
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Host, Mount, Route, Router

from lru_cache import LRUCache, LRUCacheDistributed
from lru_cache.fastapi import AppCache, cache_of, cached_response, invalidate_response, lifespan
from tests.fastapi.asking import ask, run, started


def test_it_takes_the_options_of_a_cache() -> None:
    app = FastAPI(lifespan=lifespan(maximum_capacity=7, region="here"))

    @run(app)
    async def _() -> None:
        cache = cache_of(app)
        assert (cache.maxsize, cache.region) == (7, "here")


def test_or_a_function_that_makes_one() -> None:
    made = []

    def make() -> LRUCacheDistributed[Any, Any]:
        made.append(LRUCacheDistributed[Any, Any](region="mine"))
        return made[-1]

    app = FastAPI(lifespan=lifespan(make))
    assert made == []  # before it starts: a process that forks then has no cache yet

    @run(app)
    async def _() -> None:
        assert cache_of(app) is made[0]


def test_the_cache_ends_with_the_app_and_each_start_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(LRUCacheDistributed, "close", lambda self: closed.append((self, threading.get_ident())))
    app, found = FastAPI(lifespan=lifespan()), []
    for _ in range(2):

        @run(app)
        async def _() -> None:
            found.append(cache_of(app))

    assert [cache for cache, _ in closed] == found
    assert found[0] is not found[1]
    assert threading.get_ident() not in [thread for _, thread in closed]  # where it would hold up the loop
    with pytest.raises(RuntimeError, match="this app has no cache"):
        cache_of(app)


def test_it_can_be_part_of_a_lifespan_of_one_s_own() -> None:
    seen = []

    @asynccontextmanager
    async def own(app: FastAPI) -> Any:
        async with lifespan(region="inner")(app):
            seen.append(cache_of(app).region)
            yield
            seen.append(cache_of(app).region)

    @run(FastAPI(lifespan=own))
    async def _() -> None: ...

    assert seen == ["inner", "inner"]


def test_endpoints_and_websockets_get_it() -> None:
    app, router = FastAPI(lifespan=lifespan(region="here")), APIRouter()

    @router.get("/")
    async def read(cache: AppCache, request: Request) -> bool:
        return cache is cache_of(app) is cache_of(request)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, cache: AppCache) -> None:
        await websocket.accept()
        await websocket.send_text(str(cache.region))

    app.include_router(router)

    @run(app)
    async def _() -> None:
        assert (await ask(app, "/")).json is True
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/socket", "query_string": b"", "headers": [], "subprotocols": []}
        await app({**scope, "root_path": "", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
        assert sent[1]["text"] == "here"


def test_a_mounted_app_has_it_too() -> None:
    inner = FastAPI()

    @inner.get("/items/{number}")
    @cached_response(60)
    async def read(number: int, cache: AppCache) -> int:
        return number

    app = Starlette(lifespan=lifespan())
    app.mount("/sub", inner)

    @run(app)
    async def _() -> None:
        assert (await ask(app, "/sub/items/1")).json == 1
        assert (await ask(app, "/api/sub/items/1", root_path="/api")).cache.startswith("hit")  # behind a proxy
        assert invalidate_response(app, "/sub/items/1")
        assert (await ask(app, "/sub/items/1")).cache == "fwd=miss; stored"

    with pytest.raises(RuntimeError, match="this app has no cache"):
        cache_of(inner)


def an_app(answer: str) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    @cached_response(60)
    async def read() -> str:
        return answer

    return app


def test_a_mounted_app_has_it_wherever_it_is_mounted_and_behind_whatever() -> None:
    router = APIRouter()
    router.mount("/router", an_app("router"))
    app = FastAPI(lifespan=lifespan())
    app.include_router(router, prefix="/included")
    app.router.routes += [
        Mount("/middleware", app=an_app("middleware"), middleware=[Middleware(GZipMiddleware)]),
        Mount("/wrapped", app=GZipMiddleware(GZipMiddleware(an_app("wrapped")))),
        Mount("/two", routes=[Mount("/deep", app=an_app("deep"))]),
    ]

    @run(app)
    async def _() -> None:
        mounted = ["/middleware/", "/wrapped/", "/two/deep/"]
        if (await ask(app, "/included/router/")).status != 404:  # where FastAPI includes what is mounted in a router
            mounted.append("/included/router/")
        for path in mounted:
            await ask(app, path)
            assert (await ask(app, path)).cache.startswith("hit"), path


def test_hosts_have_answers_of_their_own() -> None:
    @cached_response(60)
    async def read(request: Request) -> JSONResponse:
        return JSONResponse(request.path_params["tenant"])

    app = Starlette(
        routes=[
            Host("{tenant}.tenants.test", Router([Route("/", read)])),
            Host("a.test", an_app("a")),
            Host("b.test", an_app("b")),  # whose endpoint has the same name
        ],
        lifespan=lifespan(),
    )

    @run(app)
    async def _() -> None:
        for host, answer in (("x.tenants.test", "x"), ("y.tenants.test", "y"), ("a.test", "a"), ("b.test", "b")):
            for _ in range(2):
                assert (await ask(app, "/", {"host": host})).json == answer
        assert invalidate_response(app, "/")
        assert (await ask(app, "/", {"host": "b.test"})).cache == "fwd=miss; stored"


def test_the_wrong_order_of_decorators_is_warned_of() -> None:
    router = APIRouter()

    @cached_response(60)
    @router.get("/")
    async def above() -> int:
        return 1

    app = FastAPI(lifespan=lifespan())
    app.include_router(router, prefix="/router")
    with pytest.warns(UserWarning, match=r"above is kept: cached_response must stand below @app\.get"):

        @run(app)
        async def _() -> None:
            assert (await ask(app, "/router/")).json == 1


def test_an_endpoint_may_also_be_asked_without_the_cache() -> None:
    async def read() -> int:
        return 1

    app = FastAPI(lifespan=lifespan())
    app.get("/kept")(cached_response(60)(read))
    app.get("/plain")(read)

    @run(app)
    async def _() -> None:  # no warning, which would be an error
        assert (await ask(app, "/kept")).json == (await ask(app, "/plain")).json


def test_without_one_there_is_one_line_that_says_so() -> None:
    app = FastAPI()

    @app.get("/")
    @cached_response(60)
    async def read() -> int:
        return 1

    @run(app)
    async def _() -> None:
        with pytest.raises(RuntimeError, match=r"this app has no cache: give it one with FastAPI\(lifespan="):
            await ask(app, "/")


def test_what_else_is_found_in_its_place_is_named() -> None:
    app = FastAPI()
    app.state.lru_cache = "something"
    with pytest.raises(RuntimeError, match=r"app\.state\.lru_cache is not what"):
        cache_of(app)


@pytest.mark.parametrize(
    ("arguments", "options", "line"),
    [
        ((), {"maximum_size": 1}, "lifespan has no option 'maximum_size': it takes .*maximum_capacity"),
        (("my-service",), {}, "lifespan takes the options of a cache by name, or a function"),
        ((LRUCacheDistributed,), {"region": "x"}, "a function makes the cache: give it region"),
    ],
)
def test_a_wrong_argument_is_told_at_once(arguments: Any, options: Any, line: str) -> None:
    with pytest.raises(TypeError, match=line):
        lifespan(*arguments, **options)


def test_a_function_that_makes_something_else_is_told_of_at_the_start() -> None:
    with pytest.raises(TypeError, match="must return an LRUCacheDistributed"):

        @run(FastAPI(lifespan=lifespan(LRUCache)))  # type: ignore[arg-type]
        async def _() -> None: ...


@pytest.mark.parametrize("path", ["items", "?/items", 5, ""])
def test_what_is_no_path_is_not_invalidated(path: Any) -> None:
    with pytest.raises(ValueError, match="path must be one that begins with /"):
        invalidate_response(FastAPI(), path)


@pytest.mark.parametrize("asked", ["/items/what%3F", "/items/what?page=2"])
def test_a_path_may_have_a_question_mark_and_a_query_counts_for_nothing(asked: str) -> None:
    app = FastAPI(lifespan=lifespan())

    @app.get("/items/{name}")
    @cached_response(60)
    async def read(name: str) -> str:
        return name

    @run(app)
    async def _() -> None:
        for _ in range(2):
            assert (await ask(app, asked)).cache == "fwd=miss; stored"
            assert invalidate_response(app, unquote(asked))
            assert not invalidate_response(app, unquote(asked))


@pytest.mark.parametrize("replicate_loads", [True, False])
def test_an_invalidation_reaches_the_other_workers(tmp_path: Path, replicate_loads: bool) -> None:
    tmp_path.chmod(0o700)
    options = {"local_cluster": str(tmp_path / "c.sock"), "replicate_loads": replicate_loads}
    price = [1]

    def worker() -> Starlette:
        @cached_response(60)
        async def read(request: Request) -> JSONResponse:
            return JSONResponse(price[0])

        return Starlette(routes=[Route("/price", read)], lifespan=lifespan(**options))

    async def main() -> None:
        one, two = worker(), worker()
        async with started(one, two):
            for app in (one, two):
                assert await cache_of(app).aconnected(timeout=30)
            assert (await ask(one, "/price")).json == 1
            assert await cache_of(one).aflush(30)
            shared = (await ask(two, "/price")).cache
            assert shared.startswith("hit") if replicate_loads else shared == "fwd=miss; stored"
            price[0] = 2
            assert invalidate_response(two, "/price")
            assert await cache_of(two).aflush(30)
            assert [(await ask(app, "/price")).json for app in (one, two)] == [2, 2]

    asyncio.run(main())
