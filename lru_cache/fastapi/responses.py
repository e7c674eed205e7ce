"""What an app has beside its cache: one run of an endpoint for all who ask at once, and refreshes in the background.

Flights of the cache's own run in tasks of their own. An endpoint runs with what its request's dependencies have opened,
and so within that request; those who ask meanwhile wait for it here. All of this happens on the app's event loop. This
file must not know HTTP's caching, nor how an answer is kept.
"""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from starlette.types import Message, Scope

from lru_cache import LRUCache, LRUCacheDistributed
from lru_cache.log import logger

if TYPE_CHECKING:
    from lru_cache.fastapi.records import Record

REFRESH = "lru_cache.refresh"  # in the scope of a request that we make: no client can put it there
MOST_REFRESHES = 32  # at a time; beyond that, hits are hits, and one of the next begins it
RETRY_SECONDS = 1.0  # after a refresh that failed
PASSING_SECONDS = 10.0  # for which nobody waits for an answer that could not be kept when it was asked for last
_PASSED_ON = frozenset(
    ("type", "asgi", "http_version", "server", "client", "scheme", "method", "path", "raw_path", "query_string")
) | {"extensions"}
_CONDITIONS = frozenset((b"cache-control", b"pragma", b"range"))  # and all that begins with `if-`


class Flight:
    """One run of an endpoint, and how it ended."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.landed = asyncio.Event()
        self.record: Record | None = None
        self.failed = False  # the endpoint raised
        self.passed = False  # it answered with what cannot be kept


class Responses:
    """What belongs to one app, beside its cache."""

    def __init__(self, cache: LRUCacheDistributed[Any, Any], now: Callable[[], float] = time.time) -> None:
        self.is_open = True
        self.cache = cache
        self.now = now
        self.app: Any = None  # that has the cache, perhaps with the one that is asked mounted in it
        self.has_hosts = False  # whether the app has routes by host, so that answers of a path are of one host
        self.flown = 0  # flights that have begun
        self._flights: dict[Any, Flight] = {}
        self.passing: LRUCache[Any, bool] = LRUCache(maximum_capacity=1_000, expiration_time=PASSING_SECONDS)
        self._refreshes: dict[Any, asyncio.Task[None] | None] = {}  # None: one has failed a moment ago

    def flight(self, key: Any) -> Flight | None:
        """The one in the air."""
        return self._flights.get(key)

    def begin(self, key: Any) -> Flight:
        """Another one, which nobody but who calls this leads."""
        self.flown += 1
        flight = self._flights[key] = Flight(self.flown)
        return flight

    def end(self, key: Any, flight: Flight) -> None:
        """It has landed: who asks from now on begins another."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight.passed:
            self.passing.set(key, True)
        flight.landed.set()

    # -- refreshes -----------------------------------------------------------------------------------------------------

    def refresh(self, key: Any, scope: Scope) -> None:
        """Have the app asked anew for what is kept under this key, unless it is being asked."""
        if key in self._refreshes or len(self._refreshes) >= MOST_REFRESHES:
            return
        # Without the context of who asks: what is bound there ends with that request.
        self._refreshes[key] = Context().run(asyncio.create_task, self._ask(key, *self._like(scope)))

    async def _ask(self, key: Any, app: Any, scope: Scope) -> None:
        scope[REFRESH] = True
        is_over = asyncio.Event()
        status = 0
        has_asked = False

        async def receive() -> Message:
            nonlocal has_asked
            if has_asked:
                await is_over.wait()
                return {"type": "http.disconnect"}
            has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]

        why = ""
        try:
            await app(scope, receive, send)
            why = f"the app answered {status}" if status >= 400 else ""
        except Exception as error:  # noqa: BLE001 - an app may raise anything
            why = repr(error)
        finally:
            is_over.set()
            self._refreshes.pop(key, None)
        if why:
            logger().warning("refreshing the answer of %s failed, the kept one stays: %s", scope["path"], why)
            self._refreshes[key] = None
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._refreshes.pop, key, None)

    def _like(self, scope: Scope) -> tuple[Any, Scope]:
        """A request for the same, as a server makes it: without what routers and middleware have put there.

        It is for the outermost app, since the middleware of that belongs to what the endpoint runs in.
        """
        app, root = scope["app"], scope.get("root_path", "")
        if self.app is not None and self.app is not app:
            app, root = self.app, scope.get("app_root_path", root)
        made = {name: value for name, value in scope.items() if name in _PASSED_ON}
        made["root_path"] = root
        made["method"] = "GET"  # a HEAD is answered from what that has
        made["headers"] = [
            pair for pair in scope["headers"] if pair[0] not in _CONDITIONS and not pair[0].startswith(b"if-")
        ]
        if "state" in scope:
            made["state"] = dict(scope["state"])
        return app, made

    async def close(self) -> None:
        """End all refreshes."""
        self.is_open = False
        tasks = [task for task in self._refreshes.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._refreshes.clear()
