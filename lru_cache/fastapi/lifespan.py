"""The cache of an app: it begins and ends with the app, in each worker, and endpoints get it from there.

This file must not know how answers are kept.
"""

import inspect
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any
from weakref import WeakSet

from fastapi import Depends
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Host, Mount

from lru_cache import LRUCacheDistributed
from lru_cache.fastapi.keys import key_of_path
from lru_cache.fastapi.responses import Responses

AnyCache = LRUCacheDistributed[Any, Any]
MakeCache = Callable[[], AnyCache]

_OPTIONS = inspect.signature(LRUCacheDistributed.__init__).parameters.keys() - {"self"}
_STATE = "lru_cache"  # of an app's state
_OF = "lru_cache_decorates"  # at what stands in an endpoint's place: the endpoint
_decorated: WeakSet[Any] = WeakSet()  # endpoints that something stands in the place of
MOST_MIDDLEWARE = 100  # around an app that is mounted: something else may have attributes without end


def lifespan(
    make: MakeCache | None = None, /, **options: Any
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """The lifespan of an app that has a cache: `FastAPI(lifespan=lifespan(local_cluster="my-service"))`.

    It takes what `LRUCacheDistributed` takes, or a function that makes the cache. That is made when the app starts, so
    in each worker by itself, and closed when the app ends; apps that are mounted have it, too. Within your own:
    `async with lifespan(...)(app):`.
    """
    if make is not None and not callable(make):
        raise TypeError(
            f"lifespan takes the options of a cache by name, or a function that makes one, not {make!r}"[:200]
        )
    if make is not None and options:
        raise TypeError(f"a function makes the cache: give it {', '.join(options)}, and not lifespan")
    for name in options:
        if name not in _OPTIONS:
            raise TypeError(f"lifespan has no option {name!r}: it takes {', '.join(sorted(_OPTIONS))}")

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        cache = LRUCacheDistributed[Any, Any](**options) if make is None else make()
        if not isinstance(cache, LRUCacheDistributed):
            raise TypeError(f"what makes the cache must return an LRUCacheDistributed, not {cache!r}"[:200])
        clock = options.get("clock")
        responses = Responses(cache) if clock is None else Responses(cache, clock.time)
        responses.app = app
        within = list(_within(app))
        _warn_of_order(within)
        responses.has_hosts = any(isinstance(each, Host) for each in within)
        # Those that are mounted are asked as apps of their own, and have no lifespan.
        apps = [
            each
            for each in within
            if isinstance(each, Starlette) and (each is app or getattr(each.state, _STATE, None) is None)
        ]
        before = getattr(app.state, _STATE, None)
        for each in apps:
            setattr(each.state, _STATE, responses)
        try:
            yield
        finally:
            for each in apps:
                setattr(each.state, _STATE, before if each is app else None)
            await responses.close()
            await cache.aclose()

    return living


def _within(place: Any) -> Iterator[Any]:
    """An app or a router, and all that are mounted or included in it, behind whatever middleware; and Host routes."""
    yield place
    for route in getattr(place, "routes", ()):
        if isinstance(route, Host):
            yield route
        inner = getattr(route, "app", None) if isinstance(route, (Mount, Host)) else None
        for _ in range(MOST_MIDDLEWARE):
            if inner is None or hasattr(inner, "routes"):
                break
            inner = getattr(inner, "app", None)
        # Newer releases of FastAPI have no copies of the routes of a router that is included, but the router.
        for each in (inner, getattr(route, "original_router", None)):
            if each is not None:
                yield from _within(each)


def note_decorated(endpoint: Any, answer: Any) -> None:
    """Remember what stands in the place of an endpoint."""
    setattr(answer, _OF, endpoint)
    _decorated.add(endpoint)


def _warn_of_order(places: Iterable[Any]) -> None:
    """What stands above `@app.get(...)` is nothing that the app ever asks."""
    asked = [getattr(route, "endpoint", None) for place in places for route in getattr(place, "routes", ())]
    for endpoint in asked:
        if (
            endpoint is not None
            and endpoint in _decorated
            and not any(getattr(each, _OF, None) is endpoint for each in asked)
        ):
            name = f"{endpoint.__module__}.{endpoint.__qualname__}"
            warnings.warn(f"nothing of {name} is kept: cached_response must stand below @app.get(...)", stacklevel=3)


def responses_of(app: Any) -> Responses:
    """What an app has beside its cache."""
    found = getattr(app.state, _STATE, None)
    if found is None:
        raise RuntimeError(
            "this app has no cache: give it one with FastAPI(lifespan=lru_cache.fastapi.lifespan(...)), and start it"
        )
    if not isinstance(found, Responses):
        raise RuntimeError(f"app.state.{_STATE} is not what lru_cache.fastapi.lifespan has put there: {found!r}"[:200])
    return found


def cache_of(place: HTTPConnection | Starlette) -> AnyCache:
    """The cache of an app, or of the app that a request or a WebSocket came to."""
    return responses_of(place if isinstance(place, Starlette) else place.app).cache


async def cache_of_connection(connection: HTTPConnection) -> AnyCache:
    """Likewise, as a dependency: on the loop, without a thread."""
    return cache_of(connection)


AppCache = Annotated[AnyCache, Depends(cache_of_connection)]
"""The app's cache, as a parameter of an endpoint: `async def read(cache: AppCache)`."""


def invalidate_response(place: AnyCache | HTTPConnection | Starlette, path: str) -> bool:
    """What the app answers under this path no longer holds: drop it, for any query and for anybody, on all nodes.

    The path as the app is asked for it, decoded, and without what a proxy puts before it (`root_path`). True if
    anything may have been kept.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError(f"path must be one that begins with /, not {path!r}"[:200])
    cache = place if isinstance(place, LRUCacheDistributed) else cache_of(place)
    # A ? may be part of a path (%3F), or somebody has given a query, which counts for nothing: both are gone.
    paths = {path, path.partition("?")[0]}
    return cache.invalidate_many([key_of_path(each) for each in paths]) > 0
