"""Refreshes: a hit near its end is answered at once, and the app is asked anew behind it."""

import asyncio
import contextvars
import logging
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from starlette.middleware.base import BaseHTTPMiddleware

from lru_cache.fastapi import cached_response, invalidate_response, lifespan, responses
from lru_cache.fastapi.lifespan import responses_of
from lru_cache.testing import ManualClock
from tests.fastapi.asking import Gate, ask, run, until


class Service:
    """An app with one endpoint that is refreshed in the last ten of sixty seconds."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.app = FastAPI(lifespan=lifespan(clock=self.clock))
        self.gate = Gate()
        self.gate.opened.set()
        self.runs = 0
        self.error: Exception | None = None
        self.users: list[str] = []

        async def user(x_user: Annotated[str, Header()] = "") -> str:
            self.users.append(x_user)
            return x_user

        @self.app.api_route("/price/{name}", methods=["GET", "HEAD"])
        @cached_response(60, refresh_time=10, by={"user": str})
        async def read(name: str, user: Annotated[str, Depends(user)], q: str = "") -> Any:
            self.runs += 1
            number = self.runs
            await self.gate.pass_through()
            if self.error is not None:
                raise self.error
            return {"name": name, "q": q, "user": user, "run": number}

    def refreshing(self) -> int:
        return len(responses_of(self.app)._refreshes)


def test_a_hit_near_its_end_is_answered_and_the_app_is_asked_anew() -> None:
    service = Service()

    @run(service.app)
    async def _() -> None:
        asked = "/price/a?q=x", {"x-user": "ada", "if-none-match": '"other"'}
        await ask(service.app, *asked)
        service.clock.advance(49)
        assert (await ask(service.app, *asked)).cache == "hit; ttl=11"
        assert service.refreshing() == 0
        service.clock.advance(2)
        assert (await ask(service.app, *asked)).cache == "hit; ttl=9"
        await until(lambda: service.runs == 2 and not service.refreshing())
        found = await ask(service.app, *asked)
        assert (found.cache, found.json) == ("hit; ttl=60", {"name": "a", "q": "x", "user": "ada", "run": 2})
        assert service.users == ["ada"] * 5  # four requests, and one of ours, with dependencies of its own


def test_there_is_one_refresh_for_all_who_hit() -> None:
    service = Service()

    @run(service.app)
    async def _() -> None:
        await ask(service.app, "/price/a")
        service.clock.advance(55)
        service.gate.opened.clear()
        for _ in range(5):
            assert (await ask(service.app, "/price/a")).cache == "hit; ttl=5"
        await until(lambda: service.runs == 2)
        assert service.refreshing() == 1
        service.gate.opened.set()
        await until(lambda: not service.refreshing())
        assert service.runs == 2


def test_refreshes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MOST_REFRESHES", 2)
    service = Service()

    @run(service.app)
    async def _() -> None:
        for name in "abc":
            await ask(service.app, f"/price/{name}")
        service.clock.advance(55)
        service.gate.opened.clear()
        for name in "abc":
            assert (await ask(service.app, f"/price/{name}")).cache == "hit; ttl=5"
        await until(lambda: service.runs == 5)
        assert service.refreshing() == 2


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), HTTPException(503)])
def test_a_refresh_that_fails_is_a_line_in_the_log_and_the_old_answer_stays(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service()

    @run(service.app)
    async def _() -> None:
        await ask(service.app, "/price/a")
        service.clock.advance(55)
        service.error = error
        with caplog.at_level(logging.WARNING, "lru_cache"):
            await ask(service.app, "/price/a")
            await until(lambda: caplog.records)
            assert (await ask(service.app, "/price/a")).cache == "hit; ttl=5"
        (record,) = caplog.records
        assert record.getMessage().startswith("refreshing the answer of /price/a failed, the kept one stays: ")
        assert service.runs == 2  # and not at once again
        assert service.refreshing() == 1


def test_after_a_while_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "RETRY_SECONDS", 0)
    service = Service()

    @run(service.app)
    async def _() -> None:
        await ask(service.app, "/price/a")
        service.clock.advance(55)
        service.error = HTTPException(503)
        await ask(service.app, "/price/a")
        await until(lambda: service.runs == 2 and not service.refreshing())
        service.error = None
        await ask(service.app, "/price/a")
        await until(lambda: service.runs == 3 and not service.refreshing())
        assert (await ask(service.app, "/price/a")).cache == "hit; ttl=60"


def test_the_end_of_the_app_ends_refreshes() -> None:
    service = Service()
    cancelled = []

    async def main() -> None:
        async with service.app.router.lifespan_context(service.app):
            await ask(service.app, "/price/a")
            service.clock.advance(55)
            service.gate.opened.clear()
            await ask(service.app, "/price/a")
            await until(lambda: service.runs == 2)
            (task,) = responses_of(service.app)._refreshes.values()
        cancelled.append(task.cancelled())  # type: ignore[union-attr]

    asyncio.run(main())
    assert cancelled == [True]


def test_a_refresh_of_what_was_invalidated_brings_nothing_back() -> None:
    service = Service()

    @run(service.app)
    async def _() -> None:
        await ask(service.app, "/price/a")
        service.clock.advance(55)
        service.gate.opened.clear()
        await ask(service.app, "/price/a")
        await until(lambda: service.runs == 2)
        invalidate_response(service.app, "/price/a")
        service.gate.opened.set()
        await until(lambda: not service.refreshing())
        assert (await ask(service.app, "/price/a")).cache == "fwd=miss; stored"


def test_a_hit_of_a_head_refreshes_what_a_get_is_answered_with() -> None:
    service = Service()

    @run(service.app)
    async def _() -> None:
        await ask(service.app, "/price/a")
        service.clock.advance(55)
        await ask(service.app, "/price/a", method="HEAD")
        await until(lambda: service.runs == 2 and not service.refreshing())
        assert (await ask(service.app, "/price/a")).json["run"] == 2


def test_middleware_sees_the_request_but_not_the_context_of_who_asked() -> None:
    clock, variable, seen = ManualClock(), contextvars.ContextVar("who", default="nobody"), []

    async def middleware(request: Request, call_next: Any) -> Any:
        seen.append((request.url.path, variable.get(), dict(request.query_params)))
        request.state.user = "ada"
        return await call_next(request)

    app = FastAPI(lifespan=lifespan(clock=clock))
    app.add_middleware(BaseHTTPMiddleware, dispatch=middleware)

    @app.get("/")
    @cached_response(60, refresh_time=10, vary=())
    async def read(request: Request) -> str:
        return str(request.state.user)

    @run(app)
    async def _() -> None:
        variable.set("a client")
        await ask(app, "/?q=1")
        clock.advance(55)
        await ask(app, "/?q=1")
        await until(lambda: len(seen) == 3 and not responses_of(app)._refreshes)
        assert seen == [("/", who, {"q": "1"}) for who in ("a client", "a client", "nobody")]
        assert (await ask(app, "/?q=1")).cache == "hit; ttl=60"


@pytest.mark.parametrize("root_path", ["", "/api"])
def test_what_a_mounted_app_answers_is_refreshed_through_the_middleware_of_the_outer_one(root_path: str) -> None:
    clock, variable, inner = ManualClock(), contextvars.ContextVar("tenant", default="nobody"), FastAPI()
    outer = FastAPI(lifespan=lifespan(clock=clock))
    outer.mount("/sub", inner)

    class Tenant:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            variable.set("ada")
            await self.app(scope, receive, send)

    outer.add_middleware(Tenant)

    @inner.get("/tenant")
    @cached_response(60, refresh_time=10)
    async def read() -> str:
        return variable.get()

    @run(outer)
    async def _() -> None:
        for _ in range(2):
            assert (await ask(outer, f"{root_path}/sub/tenant", root_path=root_path)).json == "ada"
            clock.advance(55)
        await until(lambda: not responses_of(outer)._refreshes)
        clock.advance(10)
        kept = await ask(outer, f"{root_path}/sub/tenant", root_path=root_path)
        assert (kept.json, kept.cache) == ("ada", "hit; ttl=50")
