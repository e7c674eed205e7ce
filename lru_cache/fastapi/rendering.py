"""What an endpoint returns becomes a response: FastAPI itself makes it, by the settings of the route.

A route of our own beside the real one has the same settings (response_model, status_code, response_class, ...), and
calls `_give` where that calls the endpoint. So no rule of FastAPI's is written here a second time. This file must not
know caches.
"""

import copy
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from fastapi.dependencies.utils import get_dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

Pair = tuple[bytes, bytes]
_RUN = "lru_cache.run"  # in a request's scope, for `_give`
_MOST_ROUTES = 1_000  # of one endpoint; if an app makes new ones all the time, they are forgotten again


class Run:
    """One call of an endpoint, with what FastAPI has found for its parameters."""

    def __init__(self, endpoint: Callable[..., Any], args: Any, kwargs: dict[str, Any], given: Response | None) -> None:
        self._endpoint = endpoint
        self.args = args
        self.kwargs = kwargs
        self._given = given
        self._before: list[Pair] = [] if given is None else list(given.raw_headers)
        self.merges = False  # whether what dependencies say of the response counts, since the endpoint returned none

    @property
    def before(self) -> list[Pair]:
        """Headers that dependencies of this request have set, on the response that they share with the endpoint."""
        return self._before

    def call(self) -> Any:
        """Call the endpoint."""
        return self._endpoint(*self.args, **self.kwargs)

    def note(self, returned: Any, response: Response) -> None:
        """Have the response become what the endpoint's own parameter for it says, without what was said before."""
        self.merges = not isinstance(returned, Response)
        if self._given is not None:
            response.status_code = self._given.status_code
            response.raw_headers.extend(pair for pair in self._given.raw_headers if pair not in self._before)


async def _give_awaited(request: Request, response: Response) -> Any:
    run: Run = request.scope[_RUN]
    returned = await run.call()
    run.note(returned, response)
    return returned


def _give(request: Request, response: Response) -> Any:
    run: Run = request.scope[_RUN]
    returned = run.call()
    run.note(returned, response)
    return returned


class Rendering:
    """How the answers of one endpoint become responses, on each route that leads to it."""

    def __init__(self, endpoint: Callable[..., Any]) -> None:
        self._endpoint = endpoint
        self.is_async = iscoroutinefunction(endpoint)
        # With the route, so that none that is made later has its id.
        self._known: dict[int, tuple[Any, Callable[[Request], Awaitable[Response]]]] = {}

    def run(self, args: Any, kwargs: dict[str, Any], given: Response | None) -> Run:
        """A call that is to come."""
        return Run(self._endpoint, args, kwargs, given)

    async def alone(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the endpoint returns. A plain function is called in a thread, as everywhere in Starlette."""
        if self.is_async:
            return await self._endpoint(*args, **kwargs)
        return await run_in_threadpool(self._endpoint, *args, **kwargs)

    async def response(self, run: Run, request: Request) -> Any:
        """The response to a request, made as it is without a cache."""
        route = route_of(request.scope)
        if run.args or not isinstance(request.scope.get("route"), APIRoute):
            return await self.alone(run.args, run.kwargs)
        known = self._known.get(id(route))
        if known is None:
            if len(self._known) >= _MOST_ROUTES:
                self._known.clear()
            known = self._known[id(route)] = (route, self._beside(request.scope["route"], route))
        request.scope[_RUN] = run
        try:
            return await known[1](request)
        finally:
            del request.scope[_RUN]

    def _beside(self, route: APIRoute, settings: Any) -> Callable[[Request], Awaitable[Response]]:
        ours = copy.copy(route)
        if settings is not route:
            for name in vars(route).keys() & vars(settings).keys():
                setattr(ours, name, getattr(settings, name))
        ours.dependant = get_dependant(path="/", call=_give_awaited if self.is_async else _give)
        ours.body_field = None
        return APIRoute.get_route_handler(ours)


def route_of(scope: Any) -> Any:
    """What has the settings of the route that a request took.

    Newer releases of FastAPI share a route among the routers that include it, and say beside it what those add.
    """
    route = scope.get("route")
    beside = scope.get("fastapi")
    context = beside.get("effective_route_context") if isinstance(beside, dict) else None
    return context if context is not None and getattr(context, "original_route", None) is route else route


def has_guards(scope: Any) -> bool:
    """Whether a route has dependencies that its endpoint does not take: what they find, it may find in the request."""
    dependant = getattr(route_of(scope), "dependant", None)
    return dependant is not None and any(each.name is None for each in dependant.dependencies)
