"""Fields of HTTP's heads, as their RFCs have them."""

import re

import pytest

from lru_cache.fastapi.fields import (
    NO_WISHES,
    Wishes,
    cache_status,
    directives,
    has_it,
    merged,
    names_of,
    told,
    wishes_of,
)

# RFC 8941: a token, and parameters with keys in small letters whose values here are none, a token or a number.
TOKEN = r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"
MEMBER = re.compile(rf"{TOKEN}(; *[a-z*][a-z0-9_.*-]*(=({TOKEN}|-?\d{{1,15}}))?)*")


@pytest.mark.parametrize(
    ("headers", "wishes"),
    [
        ({}, NO_WISHES),
        ({b"cache-control": b""}, NO_WISHES),
        ({b"cache-control": b"no-cache"}, Wishes(anew=True)),
        ({b"cache-control": b"No-Cache, NO-STORE"}, Wishes(anew=True, no_store=True)),
        ({b"cache-control": b"max-age=0"}, Wishes(anew=True, oldest=0.0)),
        ({b"cache-control": b'max-age="5", min-fresh=3'}, Wishes(oldest=5.0, least_left=3.0)),
        ({b"cache-control": b"max-age=-1, min-fresh=x"}, NO_WISHES),
        ({b"cache-control": b'unknown="no-cache, no-store", max-age=7'}, Wishes(oldest=7.0)),
        ({b"cache-control": b"only-if-cached,max-stale"}, Wishes(only_if_cached=True)),
        ({b"pragma": b"No-Cache"}, Wishes(anew=True)),
        ({b"pragma": b"other"}, NO_WISHES),
        ({b"pragma": b"no-cache", b"cache-control": b"max-age=9"}, Wishes(oldest=9.0)),
    ],
)
def test_what_a_client_asks_for(headers: dict[bytes, bytes], wishes: Wishes) -> None:
    assert wishes_of(headers) == wishes


@pytest.mark.parametrize(
    ("wishes", "age", "left", "admitted"),
    [
        (NO_WISHES, 50, 0, True),
        (Wishes(anew=True), 0, 60, False),
        (Wishes(oldest=5), 5, 1, True),
        (Wishes(oldest=5), 5.1, 1, False),
        (Wishes(least_left=5), 0, 5, True),
        (Wishes(least_left=5), 0, 4.9, False),
    ],
)
def test_which_answers_will_do(wishes: Wishes, age: float, left: float, admitted: bool) -> None:
    assert wishes.admit(age, left) is admitted


def test_directives_have_their_arguments() -> None:
    assert directives(b'a, b=1 , c="x, y",,=,d = 2') == {"a": "", "b": "1", "c": "x, y", "d": "", "2": ""}


@pytest.mark.parametrize(
    ("asked", "tag", "has"),
    [
        (b'"a"', b'"a"', True),
        (b'"b"', b'"a"', False),
        (b'"b", W/"a"', b'"a"', True),
        (b'"a"', b'W/"a"', True),
        (b'"x,y","a"', b'"x,y"', True),
        (b'"b""a"', b'"b"', True),
        (b" * ", b'"a"', True),
        (b'"*"', b'"a"', False),
        (b"a", b'"a"', False),
        (b"", b'"a"', False),
    ],
)
def test_which_tags_a_client_has(asked: bytes, tag: bytes, has: bool) -> None:
    assert has_it(asked, tag) is has


@pytest.mark.parametrize(
    "parameters",
    [
        "hit; ttl=57",
        "fwd=miss; stored",
        "fwd=miss; collapsed",
        "fwd=bypass; detail=credentials",
        "detail=only-if-cached",
    ],
)
def test_cache_status_is_a_structured_field(parameters: str) -> None:
    name, value = cache_status(parameters)
    assert name == b"cache-status"
    assert value.startswith(b"lru_cache; ")
    assert MEMBER.fullmatch(value.decode())


def test_names_in_vary() -> None:
    assert names_of("Accept,, X-A ") == ["accept", "x-a"]
    assert merged(["a", "b"], ["b", "c"]) == "a, b, c"


@pytest.mark.parametrize(
    ("is_private", "given", "said"),
    [
        (False, None, "no-cache"),
        (True, None, "private, no-cache"),
        (False, "max-age=9", "max-age=9"),
        (True, "max-age=9", "private, max-age=9"),
        (True, "Private, max-age=9", "Private, max-age=9"),
        (True, "public, max-age=9", "public, max-age=9"),
        (True, "s-maxage=9", "s-maxage=9"),
        (True, "no-store", "no-store"),
    ],
)
def test_proxies_keep_no_answer_of_one_user_unless_that_is_said(is_private: bool, given: str | None, said: str) -> None:
    assert told(is_private, given) == said
