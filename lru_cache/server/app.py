"""What is asked for over HTTP, and what is answered. It must not know how the node was started, nor who may ask.

Nothing here waits: the cache answers from memory, so all of it runs on the event loop. Every refusal is
`{"message": why}`.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from lru_cache.server import bodies, metrics
from lru_cache.server.data import Data, NotJSONError
from lru_cache.server.guard import Guard, Requests
from lru_cache.server.keys import UUID4_PATTERN, BadKeyError, read_key, read_uuid4
from lru_cache.server.live import Live
from lru_cache.server.page import read_page

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from lru_cache import LRUCacheDistributed
    from lru_cache.codecs import Codec

JSON = "application/json"
LINES = "application/x-ndjson"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAXIMUM_BODY_BYTES = 1024 * 1024
MOST_REASONS = 5
LONGEST_PLACE_CHARACTERS = 200

# Described by hand, and read off the path by hand: FastAPI's way with a parameter takes a sixth of a request's time.
_KEY_IN_PATH = {
    "parameters": [{"name": "key", "in": "path", "required": True, "schema": {"type": "string", "title": "Key"}}]
}
_ABSENT: Any = object()
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class Settings:
    """How a node behaves towards those who ask. With `codecs`, which are its cache's, it answers with any value."""

    read_only: bool = False
    key_format: str | None = None
    show_values: bool = False
    token: str | None = None
    only_local: bool = False
    maximum_body_bytes: int = MAXIMUM_BODY_BYTES
    codecs: "tuple[Codec[Any], ...] | None" = None


class _KeyConvertor(Convertor[str]):
    """All that is left of a path: also slashes and line feeds, which Starlette's own `path` cuts off."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("key", _KeyConvertor())


def make_app(cache: "LRUCacheDistributed[str, str]", settings: Settings | None = None) -> FastAPI:
    """Make the application that serves this cache. Its `state.live.stop()` ends the streams."""
    settings = Settings() if settings is None else settings
    requests = Requests()
    about = {"read_only": settings.read_only, "show_values": settings.show_values}
    live = Live(cache, about, lambda: requests.counts["POST", "/set", 200])

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sampling = asyncio.create_task(live.run())
        live.confirmations.start()
        yield
        sampling.cancel()
        await asyncio.to_thread(live.confirmations.stop)

    app = FastAPI(
        title="cf_LRU_cache node",
        description="A cache node: what is set on one node of its cluster is read on all.",
        version=installed_version(),
        lifespan=lifespan,
        docs_url=None,  # these pages bring scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses=_refusals(settings),
        exception_handlers={
            HTTPException: _refuse,
            RequestValidationError: _refuse_body,
            Exception: _fail,
        },
    )
    app.state.live = live
    app.add_middleware(
        Guard,
        token=settings.token,
        only_local=settings.only_local,
        maximum_body_bytes=settings.maximum_body_bytes,
        requests=requests,
    )
    _add_reading(app, cache, settings)
    _add_writing(app, cache, settings, live.confirmations.wrote)
    _add_watching(app, cache, live, metrics.make_registry(cache, requests, installed_version()))
    app.openapi_schema = deepcopy(app.openapi())  # which would share what all nodes describe their keys with
    _describe_keys(app.openapi_schema, settings)
    if settings.codecs is not None:
        _describe_data(app.openapi_schema)
    return app


def installed_version() -> str:
    """Which version of the library this is."""
    try:
        return version("cf_LRU_cache")
    except PackageNotFoundError:
        return "unknown"


# -- the endpoints -----------------------------------------------------------------------------------------------------


def _add_reading(app: FastAPI, cache: "LRUCacheDistributed[str, str]", settings: Settings) -> None:
    pair, alone, held = bodies.OF_TEXTS if settings.codecs is None else bodies.OF_DATA
    say = _text if settings.codecs is None else _data_with(settings.codecs)

    def read(key: str) -> Any:
        value = cache.get(key, _ABSENT)
        if value is _ABSENT:
            raise HTTPException(404, "the key was not found")
        return say(value)

    @app.get(
        "/get/{key:key}",
        response_model=pair,
        responses=_documented(400, 404, 409, 422),
        openapi_extra=_KEY_IN_PATH,
    )
    async def get(request: Request) -> Response:
        """The value of a key."""
        request.scope["route"] = answering
        key, kept = _key_in_path(request, settings)
        return _answer({"key": key, "val": read(kept)})

    # FastAPI's route is there to be described. Starlette's stands before it and answers, in three quarters of the time.
    answering = Route("/get/{key:key}", get, methods=["GET"])
    app.router.routes.insert(0, answering)

    @app.post("/get_value", response_model=alone, responses=_documented(400, 404, 408, 409, 413, 422))
    async def get_value(wanted: bodies.Wanted) -> Response:
        """The value of a key that is a version 4 UUID."""
        try:
            canonical = read_uuid4(wanted.key)
        except BadKeyError as error:
            raise HTTPException(422, str(error)) from None
        given = wanted.key in cache  # a node that takes any key may hold it as it is written
        return _answer({"value": read(wanted.key if given else canonical)})

    @app.get("/keys/{key:key}", response_model=held, responses=_documented(400, 404, 422), openapi_extra=_KEY_IN_PATH)
    async def look_up(request: Request) -> Response:
        """What is known of a key, without counting as a use of it."""
        key, kept = _key_in_path(request, settings)
        value = cache.peek(kept, _ABSENT)
        try:
            life = cache.expires_in(kept)
        except KeyError:
            value = _ABSENT
        if value is _ABSENT:
            raise HTTPException(404, "the key was not found")
        return _answer(
            {
                "key": key,
                "type": type(value).__name__,
                "characters": len(value) if isinstance(value, str) else None,
                "expires_in": life if life is None or math.isfinite(life) else None,
                "val": _unless_refused(say, value) if settings.show_values else None,
            }
        )


def _add_writing(
    app: FastAPI, cache: "LRUCacheDistributed[str, str]", settings: Settings, wrote: Callable[[], None]
) -> None:
    def refuse_if_read_only() -> None:
        if settings.read_only:
            raise HTTPException(403, "this node is read-only")

    @app.post("/set", response_model=bodies.Pair, responses=_documented(400, 403, 408, 413, 422))
    async def set_value(pair: bodies.NewPair) -> Response:
        """Keep a value, and tell all nodes."""
        refuse_if_read_only()
        key = _readable_key(pair.key, settings)
        try:
            if pair.expires_in is None:
                cache.set(key, pair.val)
            else:
                cache.set(key, pair.val, expiration_time=pair.expires_in)
        except ValueError:
            raise HTTPException(413, "the value is longer than this node keeps any") from None
        wrote()
        return _answer({"key": pair.key, "val": pair.val})

    @app.delete(
        "/keys/{key:key}",
        response_model=bodies.Deleted,
        responses=_documented(400, 403, 413, 422),
        openapi_extra=_KEY_IN_PATH,
    )
    async def delete(request: Request) -> Response:
        """Drop a key on all nodes."""
        refuse_if_read_only()
        key, kept = _key_in_path(request, settings)
        held = cache.invalidate(kept)
        wrote()
        return _answer({"key": key, "deleted": held})


def _add_watching(
    app: FastAPI, cache: "LRUCacheDistributed[str, str]", live: Live, registry: "CollectorRegistry"
) -> None:
    page, page_headers = read_page()

    @app.get("/", include_in_schema=False)
    async def show_page() -> Response:
        return Response(page, headers=page_headers)

    @app.get("/health", response_model=bodies.Health, responses={503: {"model": bodies.Health}})
    async def health() -> Response:
        """Whether this node serves. A node without its peers does."""
        return _answer({"status": "stopping"}, 503) if live.stopping else _answer({"status": "ok"})

    @app.get("/stats", response_model=bodies.StatsShape)
    async def stats() -> Response:
        """What the cache has done since the node started."""
        figures = asdict(cache.stats())
        del figures["implementation"]  # no figure; the log has it
        return _answer(figures)

    @app.get("/peers", response_model=bodies.Peers)
    async def peers() -> Response:
        """The links of this node, as it sees them."""
        found = [asdict(peer) for peer in cache.peers()]
        return _answer({"node": cache.node, "region": cache.region, "peers": found})

    @app.get("/metrics", response_class=_MetricsResponse)
    async def show_metrics() -> Response:
        """The same for Prometheus."""
        return _MetricsResponse(metrics.text(registry))

    @app.get("/live", include_in_schema=False)  # an answer that never ends is beyond what the description can say
    async def watch() -> Response:
        if live.is_crowded:
            raise HTTPException(503, "too many are watching this node")
        lines = (_encode(sample) + "\n" async for sample in live.watch())
        return StreamingResponse(lines, media_type=LINES, headers={"cache-control": "no-store"})


class _MetricsResponse(Response):
    media_type = METRICS_TYPE


# -- keys and answers --------------------------------------------------------------------------------------------------


def _key_in_path(request: Request, settings: Settings) -> tuple[str, str]:
    """The key as it was asked for, and as it is kept."""
    key: str = request.path_params["key"]
    if "\ufffd" in key:  # that is also what stands for bytes that are no text, and it would be another key
        try:
            unquote_to_bytes(request.scope["raw_path"]).decode()
        except UnicodeDecodeError:
            raise HTTPException(400, "the key is not valid UTF-8") from None
    return key, _readable_key(key, settings)


def _readable_key(key: str, settings: Settings) -> str:
    try:
        return read_key(key, settings.key_format)
    except BadKeyError as error:
        raise HTTPException(422, str(error)) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise HTTPException(409, f"the value is no string but a {type(value).__name__}, set by a program in Python")
    return value


def _data_with(codecs: "tuple[Codec[Any], ...]") -> Callable[[Any], Any]:
    data = Data(codecs)

    def data_of(value: Any) -> Any:
        try:
            return data.of(value)
        except NotJSONError as error:
            kind = type(value).__name__
            raise HTTPException(409, f"the value is a {kind}, of which JSON cannot say all: {error}") from None

    return data_of


def _unless_refused(say: Callable[[Any], Any], value: Any) -> Any:
    try:
        return say(value)
    except HTTPException:
        return None


def _answer(content: dict[str, Any], status: int = 200) -> Response:
    return Response(_encode(content), status, media_type=JSON)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _refusal(error.detail, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _refuse_body(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    broken = any(each["type"] == "json_invalid" for each in found)
    places = [".".join(str(part) for part in each["loc"])[:LONGEST_PLACE_CHARACTERS] for each in found]
    reasons = [f"{place}: {_reason(each)}" for place, each in zip(places, found[:MOST_REASONS], strict=False)]
    return _refusal("; ".join(reasons), 400 if broken else 422)


def _reason(error: dict[str, Any]) -> str:
    """In Pydantic's words, and for broken JSON in the parser's."""
    detail = error.get("ctx", {}).get("error")
    return f"{error['msg']}: {detail}" if error["type"] == "json_invalid" else str(error["msg"])


async def _fail(_: Request, __: Exception) -> Response:
    return _refusal("something went wrong in this node; its log says what", 500)


def _refusal(message: str, status: int) -> Response:
    return Response(json.dumps({"message": message}), status, media_type=JSON)  # ASCII: it may quote what is no text


# -- the description ---------------------------------------------------------------------------------------------------

_MEANINGS = {
    400: "The request cannot be understood",
    401: "A token is needed",
    403: "This node is read-only",
    404: "There is no such key",
    408: "The request took too long",
    409: "The value is no string",
    413: "The body or the value is too large",
    421: "This is not a name of this node",
    422: "A key or a value is not of the kind that is taken",
    503: "Try again later",
}


def _documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": bodies.Message, "description": _MEANINGS[status]} for status in statuses}


def _describe_keys(description: dict[str, Any], settings: Settings) -> None:
    """Say where only a UUID will do."""
    shapes = description["components"]["schemas"]
    restricted = [shapes["Wanted"]["properties"]["key"]]
    if settings.key_format == "uuid4":
        restricted.append(shapes["NewPair"]["properties"]["key"])
        for operations in description["paths"].values():
            for operation in operations.values():
                restricted += [parameter["schema"] for parameter in operation.get("parameters", [])]
    for shape in restricted:
        shape["pattern"] = UUID4_PATTERN


def _describe_data(description: dict[str, Any]) -> None:
    """Say what becomes of a value that is no text."""
    for operations in description["paths"].values():
        for operation in operations.values():
            if "409" in operation["responses"]:
                operation["responses"]["409"]["description"] = "JSON cannot say the value"


def _refusals(settings: Settings) -> dict[int | str, dict[str, Any]]:
    """What any endpoint may answer."""
    return _documented(*([401] if settings.token is not None else []), *([421] if settings.only_local else []))
