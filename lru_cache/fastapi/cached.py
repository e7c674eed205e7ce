"""`@cached_response(seconds)`: what is answered from the cache, and what is asked of the endpoint.

What happens to one request stands here. Which keys there are, what a kept answer is, and how HTTP says all this, other
files of this folder know; docs/fastapi.md has it for users.
"""

import asyncio
import copy
import functools
from collections.abc import Callable, Collection, Iterable, Sequence
from math import isinf
from typing import Any, TypeVar, cast

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from lru_cache import Loaded, arguments
from lru_cache.arguments import MISSING, Duration, Missing
from lru_cache.fastapi import declared, fields, keys, records
from lru_cache.fastapi.declared import OUR_GENERATION, OUR_REQUEST, OUR_RESPONSE, By
from lru_cache.fastapi.lifespan import note_decorated, responses_of
from lru_cache.fastapi.records import KeptResponse, Record, Refusal
from lru_cache.fastapi.rendering import Rendering, Run, has_guards
from lru_cache.fastapi.responses import REFRESH, Flight, Responses

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_LOOKED_AT = frozenset((b"authorization", b"cookie", b"cache-control", b"pragma"))
"""What may keep a GET from being answered with what is kept. Most have none of it, which is seen in one step."""

_OF_A_REQUEST = frozenset((206, 304))

FLIGHTS_AWAITED = 2  # that failed; after these each who waited asks by itself


def cached_response(
    seconds: Duration,
    *,
    vary: Sequence[str] | Missing = MISSING,
    by: By | Missing = MISSING,
    refresh_time: Duration | None = None,
    statuses: Iterable[int] = (200,),
    cache_control: str | None = None,
    obey_clients: bool = True,
) -> Callable[[Endpoint], Endpoint]:
    """Keep what an endpoint answers for so many seconds, by path and query. It stands below `@app.get(...)`.

    - `vary`: headers by which answers vary. `by`: for each other parameter by which they may (dependencies, cookies, a
      body) a function of its value, or None if they do not vary by it. What is not said is a TypeError.
    - `refresh_time`: a hit with less than that left of its life has the app asked anew in the background.
    - `statuses`: those of answers that are kept.
    - `cache_control`: what browsers and proxies are told, unless the endpoint says it. By default `no-cache`: they ask
      each time, since no invalidation reaches them.
    - `obey_clients=False` passes over what a request's Cache-Control asks for.
    """
    life = arguments.seconds("seconds", seconds)
    if isinf(life):
        raise ValueError("seconds must be finite: what is kept is told for how long it is good")
    ahead = arguments.optional_seconds("refresh_time", refresh_time)
    if ahead is not None and ahead >= life:
        raise ValueError(f"refresh_time must be less than seconds, or each hit would refresh: {ahead:g} of {life:g}")
    if cache_control is not None and not isinstance(cache_control, str):
        raise TypeError(f"cache_control must be a text, such as 'max-age=10', not {cache_control!r}"[:200])
    if not isinstance(obey_clients, bool):
        raise TypeError(f"obey_clients must be True or False, not {obey_clients!r}"[:200])
    kept = frozenset(arguments.count("statuses", status) for status in arguments.items("statuses", statuses))
    if not kept.isdisjoint(_OF_A_REQUEST):
        raise ValueError("statuses must not have 206 or 304: what part or what condition they answer is not in the key")

    def decorate(endpoint: Endpoint) -> Endpoint:
        if not callable(endpoint) or not hasattr(endpoint, "__qualname__"):
            raise TypeError(f"cached_response stands above a function, not {endpoint!r}"[:200])
        found = declared.read(endpoint, vary, by)
        answers = _Answers(endpoint, found, life, ahead, kept, cache_control, obey_clients)

        @functools.wraps(endpoint)
        async def answer(*args: Any, **kwargs: Any) -> Any:
            return await answers.answer(args, kwargs)

        note_decorated(endpoint, answer)
        # FastAPI would look through this at the endpoint, and take what is awaited here for a plain function.
        del answer.__wrapped__
        signature = declared.signature_after(answers.generation, found.signature) if found.depends else found.signature
        answer.__signature__ = signature  # type: ignore[attr-defined]
        return cast("Endpoint", answer)

    return decorate


def _nothing(_: Any) -> Loaded[None]:
    """Load nothing: the cache may have a loader of its own, which is for other keys."""
    return Loaded(None, 0)


class _Visit:
    """One request to an endpoint, which is to be answered from the cache if that can be."""

    __slots__ = ("args", "default", "given", "headers", "key", "kwargs", "request", "responses")

    def __init__(
        self,
        request: Request,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        given: Response | None,
        responses: Responses,
        default: records.Pair,
    ) -> None:
        self.request = request
        self.args = args
        self.kwargs = kwargs
        self.given = given  # which dependencies share with the endpoint
        self.responses = responses
        self.default = default
        self.headers = keys.joined(request.scope["headers"])
        self.key: Any = None

    def kept(self, record: Record, status: str, age: float | None = None) -> KeptResponse:
        """The response that is made of a record. Of what is said on `given`, dependencies have said all there is."""
        return records.response_of(
            record,
            fields.cache_status(status),
            age,
            () if self.given is None else self.given.raw_headers,
            self.headers.get(b"if-none-match"),
            self.request.scope["method"] == "HEAD",
            self.default,
        )


class _Answers:
    """What one endpoint answers."""

    def __init__(
        self,
        endpoint: Callable[..., Any],
        found: declared.Declared,
        life: float,
        ahead: float | None,
        statuses: Collection[int],
        cache_control: str | None,
        obeys: bool,
    ) -> None:
        self._declared = found
        self._rendering = Rendering(endpoint)
        self._life = life
        self._ahead = ahead
        self._statuses = statuses
        told = fields.told(found.is_private, cache_control)
        self._default = b"cache-control", told.encode("latin-1")
        self._obeys = obeys
        self._doubts = found.sees_request and not found.says
        self._vary = [name.encode() for name in found.vary]
        # The app that asked last, with what it has: to find that anew costs a sixth of a hit.
        self._found: tuple[Any, Responses | None] = (None, None)
        self._new_generation = lambda _: keys.new_generation(life)

    async def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer one call of the endpoint, which FastAPI makes with names and Starlette without."""
        found = self._declared
        request = args[-1] if args else kwargs.get(found.request)
        given = kwargs.get(found.response)
        generation: Any = kwargs.pop(OUR_GENERATION, None)
        kwargs.pop(OUR_REQUEST, None)
        kwargs.pop(OUR_RESPONSE, None)
        if not isinstance(request, Request):
            return await self._rendering.alone(args, kwargs)  # called by other code, and not for a request
        scope = request.scope
        responses = self._responses(scope)
        visit = _Visit(request, args, kwargs, given, responses, self._default)
        wishes = fields.NO_WISHES
        if self._doubts or scope["method"] != "GET" or not _LOOKED_AT.isdisjoint(visit.headers):
            if self._obeys:
                wishes = fields.wishes_of(visit.headers)
            refused = self._refused(visit, wishes)
            if refused is not None:
                return await self._pass(visit, refused)
        if generation is None:
            generation = self._generation(responses, scope)
        visit.key = keys.key_of_answer(generation, self._text_of(visit))
        record = None if REFRESH in scope else responses.cache.get(visit.key, load=_nothing)
        if record is None:
            return await self._miss(visit, wishes)
        age = max(0.0, responses.now() - record["made"])
        left = max(0.0, record["life"] - age)
        if wishes is not fields.NO_WISHES and not wishes.admit(age, left):
            return await self._ask_for(visit, wishes, "fwd=request", is_anew=True)
        if self._ahead is not None and left < self._ahead:
            responses.refresh(visit.key, scope)
        return visit.kept(record, f"hit; ttl={int(left)}", age)

    async def generation(self, connection: HTTPConnection) -> Any:
        """The generation of a request's path, as a dependency that FastAPI calls before those of the endpoint.

        Else: 1. one of those reads the source. 2. The source is changed, and the path is invalidated. 3. The endpoint
        is called, with what was read in 1, and its answer is kept in the generation that began with 2.
        """
        scope = connection.scope
        if scope.get("method") not in ("GET", "HEAD"):
            return None  # nothing of that is kept
        return self._generation(self._responses(scope), scope)

    def _generation(self, responses: Responses, scope: Any) -> Any:
        return responses.cache.get(keys.key_of_path(keys.path_of(scope)), load=self._new_generation)

    def _responses(self, scope: Any) -> Responses:
        app, responses = self._found
        if app is not scope["app"] or responses is None or not responses.is_open:
            responses = responses_of(scope["app"])
            self._found = scope["app"], responses
        return responses

    def _refused(self, visit: _Visit, wishes: fields.Wishes) -> str | None:
        """Why this request is none for the cache, in the words of Cache-Status."""
        scope, headers, found = visit.request.scope, visit.headers, self._declared
        if scope["method"] != "GET" and scope["method"] != "HEAD":
            return "fwd=method"
        if not found.says:
            guarded = has_guards(scope)
            has_credentials = b"authorization" in headers or b"cookie" in headers
            if has_credentials and (guarded or found.sees_request or visit.args):
                return "fwd=bypass; detail=credentials"
            if guarded and found.sees_request:  # what a guard finds, in any header, it leaves in the request's state
                return "fwd=bypass; detail=guard"
        return "fwd=request; detail=no-store" if wishes.no_store else None

    def _text_of(self, visit: _Visit) -> str:
        """What is in the key of an answer beside its path: as many lines each time in an app."""
        found = self._declared
        text = f"{found.name}\n{keys.text_of_query(visit.request.scope['query_string'])}"
        # Else one client's Host would be in the links that others are given: whoever sees a Request makes them of that.
        if visit.responses.has_hosts or (not found.says and (found.sees_request or visit.args)):
            scheme = visit.request.scope.get("scheme", "http")
            text += f"\n{scheme}{keys.text_of_header(visit.headers.get(b'host')).lower()}"
        for header in self._vary:
            text += f"\n{keys.text_of_header(visit.headers.get(header))}"
        for name, function in found.by:
            value = (
                visit.args[-1] if visit.args else visit.kwargs.get(name)
            )  # of Starlette's the request is all there is
            text += f"\n{keys.text_of_value(name, function(value))}"
        return text

    # -- nothing that is kept will do ----------------------------------------------------------------------------------

    async def _miss(self, visit: _Visit, wishes: fields.Wishes) -> Any:
        if REFRESH in visit.request.scope:
            return await self._run(visit, "fwd=request", is_anew=True)
        return await self._ask_for(visit, wishes, "fwd=miss", is_anew=wishes.anew)

    async def _ask_for(self, visit: _Visit, wishes: fields.Wishes, why: str, is_anew: bool) -> Any:
        if wishes.only_if_cached:
            return Response(status_code=504, headers={"cache-status": f"{fields.NAME}; detail=only-if-cached"})
        if visit.request.scope["method"] == "HEAD":
            return await self._pass(visit, why)  # what a GET is answered with nobody knows by that
        return await self._run(visit, why, is_anew=is_anew)

    # -- the endpoint is asked -----------------------------------------------------------------------------------------

    async def _run(self, visit: _Visit, why: str, *, is_anew: bool) -> Any:
        """Ask the endpoint, once for all who ask at the same time.

        `is_anew`: by no run that began before this request did, since what that read may be older.
        """
        responses, key, failures, has_waited = visit.responses, visit.key, 0, False
        flown = responses.flown if is_anew else 0
        while failures < FLIGHTS_AWAITED and key not in responses.passing:
            flight = responses.flight(key)
            if flight is None:
                return await self._lead(visit, why, has_waited, is_anew=is_anew)
            await flight.landed.wait()
            has_waited = True
            if flight.number > flown:
                if flight.record is not None:
                    return visit.kept(flight.record, f"{why}; collapsed")
                # One that was cancelled was its own request's affair. An exception may have been: so another asks
                # before all who wait do.
                failures += flight.failed
        return await self._ask(visit, why, None, is_anew=is_anew)

    async def _lead(self, visit: _Visit, why: str, has_waited: bool, is_anew: bool) -> Any:
        """Ask the endpoint for all who come meanwhile."""
        flight = visit.responses.begin(visit.key)
        try:
            if has_waited:  # so have others, who are about to look for a flight, and this one may never be suspended
                await asyncio.sleep(0)
            return await self._ask(visit, why, flight, is_anew)
        except Exception:
            flight.failed = True
            raise
        finally:
            visit.responses.end(visit.key, flight)

    async def _pass(self, visit: _Visit, status: str) -> Any:
        """Ask the endpoint for this request alone, and keep nothing."""
        run = self._rendering.run(visit.args, visit.kwargs, visit.given)
        return self._passed_on(run, await self._rendering.response(run, visit.request), status)

    async def _ask(self, visit: _Visit, why: str, flight: Flight | None, is_anew: bool) -> Any:
        run = self._rendering.run(visit.args, visit.kwargs, visit.given)
        response = await self._rendering.response(run, visit.request)
        record = self._record(response, run, visit.responses.now())
        if isinstance(record, Refusal):
            if flight is not None:
                flight.passed = True
            return self._passed_on(run, response, f"{why}; detail={record}")
        if flight is not None:
            flight.record = record
        self._keep(visit, record, is_anew)
        told = fields.cache_status(f"{why}; stored")
        known = visit.headers.get(b"if-none-match")
        answer = records.response_of(record, told, None, run.before, known, False, self._default)
        answer.background = response.background
        return answer

    def _record(self, response: Any, run: Run, now: float) -> Record | Refusal:
        if not isinstance(response, Response):
            return Refusal("no-response")
        found = self._declared
        return records.record_of(
            response,
            now=now,
            life=self._life,
            statuses=self._statuses,
            vary=found.vary,
            is_private=found.is_private,
            default=self._default,
            given=run.before if run.merges else None,
        )

    def _keep(self, visit: _Visit, record: Record, is_anew: bool) -> None:
        """Keep it as what was loaded, which stays on this node where loads do."""
        cache = visit.responses.cache
        if is_anew:
            cache.invalidate(visit.key)
        cache.get(visit.key, load=lambda _: Loaded(record, self._life))

    def _passed_on(self, run: Run, response: Any, status: str) -> Any:
        """A response that is not kept, as it is without a cache."""
        if not isinstance(response, Response):
            return response
        told = copy.copy(response)  # an endpoint may return the same one each time
        told.raw_headers = [*response.raw_headers, fields.cache_status(status)]
        told.__dict__.pop("_headers", None)  # a view of the others
        if run.merges:
            told.raw_headers += records.beside(run.before, response.raw_headers)
        return told
