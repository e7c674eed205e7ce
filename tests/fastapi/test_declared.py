"""What an endpoint takes is in the key, or it is said how its answers vary by it."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import fastapi
import pytest
from fastapi import (
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Header,
    Path,
    Query,
    Request,
    Response,
    Security,
)  # fmt: skip
from fastapi.requests import HTTPConnection  # noqa: TC002 - FastAPI looks it up here
from fastapi.security import HTTPBearer, SecurityScopes
from pydantic import BaseModel

from lru_cache.fastapi import AppCache, cached_response
from lru_cache.fastapi.declared import read

NOT_GIVEN: Any = inspect.signature(cached_response).parameters["vary"].default


class Filters(BaseModel):
    limit: int = 10


class Names(BaseModel):
    accept_language: str = ""
    x_tenant: str = ""


def user() -> str:
    return "ada"


bearer = HTTPBearer()


async def with_header(user_agent: Annotated[str, Header()]) -> None: ...
async def with_alias(lang: Annotated[str, Header(alias="Accept-Language")]) -> None: ...
async def with_dependency(user: Annotated[str, Depends(user)]) -> None: ...
async def with_default(user: str = Depends(user)) -> None: ...
async def with_security(token: Annotated[Any, Security(bearer)]) -> None: ...
async def with_cookie(theme: Annotated[str, Cookie()]) -> None: ...
async def with_body(wanted: Annotated[dict[str, int], Body()]) -> None: ...
async def with_model(filters: Filters) -> None: ...


@pytest.mark.parametrize(
    ("endpoint", "line"),
    [
        (with_header, r"takes the header 'user_agent': say .* vary=\['user-agent'\], .* by={'user_agent': None}"),
        (with_alias, r"takes the header 'lang': say .* vary=\['accept-language'\], .* by={'lang': None}"),
        (with_dependency, r"takes the dependency 'user': say .* by={'user': lambda user: .*}, .* by={'user': None}"),
        (with_default, "takes the dependency 'user'"),
        (with_security, "takes the dependency 'token'"),
        (with_cookie, "takes the cookie 'theme'"),
        (with_body, "takes the body 'wanted'"),
        (with_model, "takes the body 'filters'"),
    ],
)
def test_what_may_change_an_answer_has_to_be_said(endpoint: Any, line: str) -> None:
    with pytest.raises(TypeError, match=f"tests.fastapi.test_declared.{endpoint.__name__} {line}") as raised:
        cached_response(60)(endpoint)
    assert "\n" not in str(raised.value)
    (parameter,) = inspect.signature(endpoint).parameters
    cached_response(60, by={parameter: None})(endpoint)
    cached_response(60, by={parameter: str})(endpoint)


def test_one_that_was_said_does_not_stand_for_another() -> None:
    async def endpoint(one: Annotated[str, Depends(user)], two: Annotated[str, Depends(user)]) -> None: ...

    with pytest.raises(TypeError, match="'two'"):
        cached_response(60, by={"one": None})(endpoint)


def test_a_header_may_stand_in_vary_in_any_letters() -> None:
    cached_response(60, vary=["USER-agent"])(with_header)
    cached_response(60, vary=["accept-language"])(with_alias)
    with pytest.raises(TypeError, match="'lang'"):
        cached_response(60, vary=["lang"])(with_alias)


@pytest.mark.skipif(
    tuple(map(int, fastapi.__version__.split(".")[:2])) < (0, 115), reason="this FastAPI has no models of headers"
)
def test_a_model_of_headers_has_all_of_them() -> None:
    async def endpoint(names: Annotated[Names, Header()]) -> None: ...

    cached_response(60, vary=["accept-language", "x-tenant"])(endpoint)
    with pytest.raises(TypeError, match="'names'"):
        cached_response(60, vary=["accept-language"])(endpoint)


def test_what_is_in_the_key_or_is_no_input_needs_no_word() -> None:
    async def endpoint(
        number: int,
        size: Annotated[int, Path()],
        request: Request,
        response: Response,
        tasks: BackgroundTasks,
        scopes: SecurityScopes,
        cache: AppCache,
        q: str = "",
        tags: Annotated[list[str], Query()] = [],  # noqa: B006 - as FastAPI has it
    ) -> None: ...

    found = read(endpoint, NOT_GIVEN, NOT_GIVEN)
    assert (found.request, found.response, found.sees_request, found.says) == ("request", "response", True, False)


def test_what_it_lacks_is_added_to_its_signature() -> None:
    async def endpoint(number: int, **rest: Any) -> Names: ...

    found = read(endpoint, (), NOT_GIVEN)
    assert list(found.signature.parameters) == ["number", "lru_cache_request", "lru_cache_response", "rest"]
    assert found.signature.return_annotation is Names  # with names of this module, which is another than FastAPI's
    assert found.signature.parameters["number"].annotation is int
    assert (found.sees_request, found.says) == (False, True)


def test_a_connection_is_as_good_as_a_request() -> None:
    async def endpoint(connection: HTTPConnection) -> None: ...

    assert read(endpoint, NOT_GIVEN, NOT_GIVEN).sees_request


@pytest.mark.parametrize(
    ("vary", "by", "is_private"),
    [
        (NOT_GIVEN, NOT_GIVEN, False),
        (["accept-language"], NOT_GIVEN, False),
        (["Authorization"], NOT_GIVEN, True),
        (["cookie"], NOT_GIVEN, True),
        (NOT_GIVEN, {"number": None}, False),
        (NOT_GIVEN, {"number": str}, True),
    ],
)
def test_answers_are_private_if_they_vary_by_a_user(vary: Any, by: Any, is_private: bool) -> None:
    async def endpoint(number: int) -> None: ...

    assert read(endpoint, vary, by).is_private is is_private


def test_a_stream_is_refused() -> None:
    async def asynchronous() -> Any:
        yield 1

    def plain() -> Any:
        yield 1

    for endpoint in (asynchronous, plain):
        with pytest.raises(TypeError, match="makes a stream"):
            cached_response(60)(endpoint)


def test_names_of_another_module_s_annotations_are_found() -> None:
    """Here all annotations are texts."""
    app = FastAPI()
    app.get("/{number}")(cached_response(60, by={"user": None})(endpoint_of_this_module))
    assert "Names" in app.openapi()["components"]["schemas"]


async def endpoint_of_this_module(number: int, user: Annotated[str, Depends(user)]) -> Names:
    return Names()


@pytest.mark.parametrize(
    ("vary", "by", "says"),
    [
        (NOT_GIVEN, {}, False),
        (NOT_GIVEN, {"request": None}, True),
        ((), {}, True),
    ],
)
def test_what_is_said_of_a_session_is_not_said_of_the_request(vary: Any, by: Any, says: bool) -> None:
    async def endpoint(request: Request, db: Annotated[str, Depends(lambda: "")]) -> None: ...

    assert read(endpoint, vary, {"db": None, **by}).says is says
