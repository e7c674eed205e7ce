"""Codecs of what views give to Flask-Caching: responses, errors of HTTP, headers, and texts that are safe.

What comes is made of data by classes that stand here or that the application named. This file must not know caches.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Response
from flask_caching import CachedResponse
from markupsafe import Markup
from werkzeug import exceptions
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as PlainResponse

from lru_cache.codecs import Codec
from lru_cache.copies import UNCHANGING as PLAIN
from lru_cache.faces.codecs import CopyingCodec, an, members

UNCHANGING = PLAIN | {Markup}
RESPONSES = (Response, PlainResponse, CachedResponse)
ERRORS = (exceptions.HTTPException, *exceptions.default_exceptions.values())
_OF_RESPONSE = frozenset(("_on_close", "_status", "_status_code", "direct_passthrough", "headers", "response"))

Copied = Callable[[Any], Any]

# -- responses ---------------------------------------------------------------------------------------------------------


@cache
def response(cls: Any, *, name: str | None = None) -> Codec[Any]:
    """A class of responses: body, status, headers, and what else was set on it that is data. None that is streamed."""
    if not (isinstance(cls, type) and issubclass(cls, PlainResponse)):
        raise TypeError(f"response takes a class of Response, not {cls!r}"[:200])

    def encode(value: Any) -> dict[str, Any]:
        return {
            "body": _body_of(value),
            "status": value.status,
            "headers": list(map(list, value.headers)),
            "more": _more(vars(value), _OF_RESPONSE),
        }

    def decode(data: Any) -> Any:
        an(dict, data)
        return _response(cls, an(bytes, data["body"]), an(str, data["status"]), _headers(data["headers"]), data["more"])

    return CopyingCodec(cls, name, encode, decode, copied_response)


def copied_response(value: Any, copied: Copied) -> Any:
    """What `decode` would make of it, without the way through data. `copied` makes copies of what was set on it."""
    made: Any = object.__new__(value.__class__)
    held = made.__dict__
    for field, kept in value.__dict__.items():
        if field in _OF_RESPONSE:
            held[field] = kept  # those that somebody can change are replaced below
        elif field[:1] != "_":
            held[field] = copied(kept)
    held["headers"] = headers = Headers()
    headers._list.extend(value.headers._list)
    held["response"], held["_on_close"] = [_body_of(value)], []
    return made


def _body_of(value: Any) -> bytes:
    body = value.response
    if type(body) is list and len(body) == 1 and type(body[0]) is bytes and not value.direct_passthrough:
        whole: bytes = body[0]
        return whole
    if value.direct_passthrough or value.is_streamed:
        raise TypeError("it is streamed")
    return b"".join(value.iter_encoded())


def _response(cls: Any, body: bytes, status: str, headers: Headers, more: Any) -> Any:
    _refuse_methods(cls, more, _OF_RESPONSE)
    if not status.isprintable():
        raise ValueError("its status has a control character")
    made = object.__new__(cls)
    PlainResponse.__init__(made, body, status)
    made.headers = headers  # in the place of those that it has of its own accord
    vars(made).update(more)
    return made


def _headers(data: Any) -> Headers:
    return Headers([(an(str, name), an(str, said)) for name, said in an(list, data)])


# -- errors ------------------------------------------------------------------------------------------------------------


def _error(cls: Any) -> Codec[Any]:
    """A class of errors of HTTP, as `abort` raises them: what was set on it that is data, and its response."""

    def encode(value: Any) -> dict[str, Any]:
        return _more(vars(value), frozenset())

    def decode(data: Any) -> Any:
        _refuse_methods(cls, data, frozenset())
        if not isinstance(data.get("response"), (PlainResponse, type(None))):
            raise TypeError("its response is none")
        made = cls.__new__(cls)
        vars(made).update(data)
        return made

    def copy(value: Any, copied: Copied) -> Any:
        return decode({field: copied(kept) for field, kept in encode(value).items()})

    return CopyingCodec(cls, f"werkzeug.exceptions:{cls.__name__}", encode, decode, copy)


# -- both --------------------------------------------------------------------------------------------------------------


def _more(held: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """What was set on an object beside what is known. An attribute that is nobody's business is left out."""
    return {field: kept for field, kept in held.items() if field not in known and field[:1] != "_"}


def _refuse_methods(cls: Any, more: Any, known: frozenset[str]) -> None:
    for field in an(dict, more):
        if an(str, field)[:1] == "_" or field in known or callable(getattr(cls, field, None)):
            raise ValueError("it has what stands in the place of a method")


def _safe(data: Any) -> Markup:
    return Markup(an(str, data))  # noqa: S704 - it was one where it was set


def standard() -> list[Codec[Any]]:
    """What every cache of Flask-Caching has: what views give, and what Flask-Caching keeps of them."""
    return [
        *map(response, RESPONSES),
        *map(_error, ERRORS),
        Codec(Headers, "werkzeug.headers", lambda value: list(map(list, value)), _headers),
        Codec(Markup, "markupsafe.markup", str.__str__, _safe),
    ]


def advice(value: Any) -> str | None:
    """What to do about the first response in a value that is no data, if there is one."""
    for each in members(value):
        kind = type(each).__qualname__
        if isinstance(each, PlainResponse):
            if each.direct_passthrough or each.is_streamed:
                return f"a {kind} that is streamed can be read only once: give one whose body is known"
            return f"a {kind} is kept if CACHE_OPTIONS['codecs'] has lru_cache.flask.response({kind})"
    return None
