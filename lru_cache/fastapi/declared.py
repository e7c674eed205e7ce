"""What an endpoint takes, and how it says that its answers vary by that: what is in the key, and what is refused.

Path and query are in each key. By what else an endpoint takes its answers may differ, so it has to say whether they do.
This file must not know how an answer is kept.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request, Response
from fastapi.dependencies.utils import get_dependant, get_typed_return_annotation, get_typed_signature
from pydantic import BaseModel

from lru_cache import arguments
from lru_cache.arguments import MISSING, Missing
from lru_cache.fastapi.lifespan import cache_of_connection

By = Mapping[str, Callable[[Any], Any] | None]

OUR_REQUEST, OUR_RESPONSE = (
    "lru_cache_request",
    "lru_cache_response",
)  # parameters of an endpoint that has none of its own
OUR_GENERATION = "lru_cache_generation"  # and one before all that it depends on
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OF_ONE_USER = frozenset(("authorization", "cookie"))


class Declared(NamedTuple):
    """What is known of an endpoint before it is asked."""

    name: str
    signature: inspect.Signature  # with the request and the response, so that FastAPI gives them
    request: str  # the names of those two
    response: str
    vary: tuple[str, ...]  # headers, in small letters
    by: tuple[tuple[str, Callable[[Any], Any]], ...]  # parameters, each with what of it counts
    says: bool  # whether it was said by what else it varies, beside what had to be said of its other parameters
    sees_request: bool  # so that nobody but its author can know by what it varies
    is_private: bool  # its answers are each for one user
    depends: bool  # on what reads a source before the endpoint is called


def read(endpoint: Any, vary: Sequence[str] | Missing, by: By | Missing) -> Declared:
    """Look at an endpoint. TypeError if it takes anything of which it was not said how its answers vary by it."""
    name = f"{endpoint.__module__}.{endpoint.__qualname__}"
    if inspect.isgeneratorfunction(endpoint) or inspect.isasyncgenfunction(endpoint):
        raise TypeError(f"{name} makes a stream, which cannot be kept: it must return its answer")
    headers = _headers(vary)
    functions = _functions(by)
    taken = get_dependant(path="/", call=endpoint)
    parameters = inspect.signature(endpoint).parameters
    request = taken.request_param_name or taken.http_connection_param_name
    in_vary = {header for _, _, varies in _taken(taken) for header in varies}  # where a parameter has it named there
    for parameter in functions:
        if parameter not in parameters:
            raise TypeError(f"by names {parameter!r}, and {name} takes no such parameter")
    for what, parameter, varies in _taken(taken):
        if parameter in functions or (varies and set(varies) <= set(headers)):
            continue
        said = f"vary={list(varies)}" if varies else f"by={{{parameter!r}: lambda {parameter}: ...}}"
        raise TypeError(
            f"{name} takes {what} {parameter!r}: say how its answers vary by it, {said}, or that they do not, "
            f"by={{{parameter!r}: None}}"
        )
    return Declared(
        name=name,
        signature=_signature(endpoint, taken.request_param_name, taken.response_param_name),
        request=taken.request_param_name or OUR_REQUEST,
        response=taken.response_param_name or OUR_RESPONSE,
        vary=tuple(headers),
        by=tuple((parameter, function) for parameter, function in functions.items() if function is not None),
        # What a database's session or a Header() asks for is no word on a Request beside it.
        says=(request or _request_of_starlette(parameters)) in functions
        or (vary is not MISSING and (not in_vary or not in_vary.issuperset(headers)))
        or (request is None and any(functions.values())),
        sees_request=request is not None,
        is_private=any(functions.values()) or bool(_OF_ONE_USER & set(headers)),
        depends=any(each.call is not cache_of_connection for each in taken.dependencies),
    )


def signature_after(first: Callable[..., Any], signature: inspect.Signature) -> inspect.Signature:
    """A signature before whose dependencies FastAPI calls another one, and gives what that returns."""
    before = inspect.Parameter(
        OUR_GENERATION, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[Any, Depends(first)]
    )
    return signature.replace(parameters=[before, *signature.parameters.values()])


def _request_of_starlette(parameters: Mapping[str, inspect.Parameter]) -> str | None:
    """The parameter that Starlette gives the request to, whatever it is called: the last one, mostly without a type."""
    last = next(reversed(parameters.values()), None)  # type: ignore[call-overload]
    return last.name if last is not None and last.annotation is last.default is inspect.Parameter.empty else None


def _headers(vary: Any) -> list[str]:
    if vary is MISSING:
        return []
    if isinstance(vary, str):
        raise TypeError(f"vary must be a list of names of headers, such as [{vary!r}], not a text")
    found = []
    for name in arguments.items("vary", vary):
        if not isinstance(name, str) or _TOKEN.fullmatch(name) is None or name == "*":
            raise ValueError(f"vary must have names of headers, such as 'accept-language', not {name!r}"[:200])
        found.append(name.lower())
    return list(dict.fromkeys(found))


def _functions(by: Any) -> dict[str, Callable[[Any], Any] | None]:
    if by is MISSING:
        return {}
    if not isinstance(by, Mapping):
        raise TypeError(
            f"by must have a function, or None, for each parameter, such as {{'user': None}}, not {by!r}"[:200]
        )
    for parameter, function in by.items():
        if function is not None and not callable(function):
            raise TypeError(
                f"by[{parameter!r}] must be a function of the parameter's value, or None if answers do not vary by it, "
                f"not {function!r}"[:200]
            )
    return dict(by)


def _taken(dependant: Any) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What is not in the key by itself: what kind of parameter, its name, and the headers that have all of it."""
    for each in dependant.header_params:
        yield "the header", each.name, tuple(_headers_in(each))
    for each in dependant.cookie_params:
        yield "the cookie", each.name, ()
    for each in dependant.body_params:
        yield "the body", each.name, ()
    for each in dependant.dependencies:
        if each.call is not cache_of_connection:
            yield "the dependency", each.name, ()


def _headers_in(field: Any) -> Iterator[str]:
    """The headers behind a parameter: one, or all fields of a model of them."""
    kind = field.field_info.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, each in kind.model_fields.items():
            yield (each.alias or name.replace("_", "-")).lower()
    else:
        yield (getattr(field, "validation_alias", None) or field.alias).lower()


def _signature(endpoint: Any, request: str | None, response: str | None) -> inspect.Signature:
    """The endpoint's, with the request and the response where it has none, before `**rest` if there is one.

    Names in it are looked up where the endpoint was written: FastAPI would look for them in the wrapper's module.
    """
    signature = get_typed_signature(endpoint)
    parameters = list(signature.parameters.values())
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)
        for name, kind, own in ((OUR_REQUEST, Request, request), (OUR_RESPONSE, Response, response))
        if own is None
    ]
    rest = [each for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD]
    returned = inspect.signature(endpoint).return_annotation
    if returned is not inspect.Signature.empty:
        returned = get_typed_return_annotation(endpoint)
    return inspect.Signature(
        [*(each for each in parameters if each not in rest), *added, *rest], return_annotation=returned
    )
