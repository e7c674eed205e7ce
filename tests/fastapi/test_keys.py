"""Equal keys for what is the same answer, and for nothing else."""

from datetime import date
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache.fastapi import keys
from lru_cache.fastapi.keys import (
    joined,
    key_of_answer,
    key_of_path,
    path_of,
    text_of_header,
    text_of_query,
    text_of_value,
)

PAIRS = st.lists(
    st.tuples(st.text("ab&=%+\n;é", min_size=1, max_size=2), st.text("xy&=%+\né ", max_size=2)), max_size=4
)


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_count_and_that_of_their_values_does(
    pairs: list[tuple[str, str]], chance: object
) -> None:
    names = list(dict.fromkeys(name for name, _ in pairs))
    chance.shuffle(names)  # type: ignore[attr-defined]
    shuffled = [pair for name in names for pair in pairs if pair[0] == name]
    one, two = (text_of_query(urlencode(each).encode()) for each in (pairs, shuffled))
    assert one == two
    assert "\n" not in one


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_queries_that_an_endpoint_can_tell_apart_have_different_texts(one: bytes, two: bytes) -> None:
    """But for the order of their names."""
    if text_of_query(one) == text_of_query(two):
        assert _as_read(one) == _as_read(two)


def _as_read(query: bytes) -> list[tuple[str, str]]:
    text = query.decode("latin-1").replace("\n", "%0A")
    return sorted(parse_qsl(text, keep_blank_values=True), key=lambda pair: pair[0])


def test_a_name_that_is_written_otherwise_is_sorted_as_what_it_is() -> None:
    assert text_of_query(b"a=2&%61=1") != text_of_query(b"%61=1&a=2")


def test_what_is_long_stands_there_as_a_digest() -> None:
    one, two = "/" + "a" * 1000, "/" + "a" * 1001
    assert key_of_path(one) != key_of_path(two)
    assert len(key_of_path(one)[1]) < keys.LONGEST_TEXT
    assert not key_of_path(one)[1].startswith("/")  # so no path has the key of another by itself
    assert key_of_answer("g", one) != key_of_answer("g", two)
    assert len(key_of_answer("g", one)[2]) < keys.LONGEST_TEXT


def test_a_header_that_is_not_there_is_no_empty_one() -> None:
    assert text_of_header(None) != text_of_header(b"")
    assert text_of_header(b" a ,b") == text_of_header(b"a, b")
    assert "\n" not in text_of_header(b"a\nb")


def test_values_that_differ_have_different_texts() -> None:
    values = [
        1,
        1.0,
        True,
        "1",
        b"1",
        None,
        "None",
        (),
        (1,),
        ("1",),
        (1, 1),
        ((1,), 1),
        (1, (1,)),
        "(1,1)",
        date(2020, 1, 1),
    ]
    texts = [text_of_value("user", value) for value in values]
    assert len(set(texts)) == len(values)
    assert "\n" not in "".join([*texts, text_of_value("user", "a\nb")])
    assert text_of_value("user", UUID(int=1)) == text_of_value("user", UUID(int=1))


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, {1}, ([1],), type("Text", (str,), {})("a")])
def test_what_equals_itself_only_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"by\['user'\] must give a text"):
        text_of_value("user", value)


def test_headers_that_come_once_are_as_they_are() -> None:
    assert joined([(b"a", b"1"), (b"b", b"2")]) == {b"a": b"1", b"b": b"2"}
    assert joined([(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", b"4")]) == {b"a": b"1,\n3,\n4", b"b": b"2"}


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/items"}, "/items"),
        ({"path": "/items", "root_path": "/api"}, "/items"),  # a proxy has taken it away
        ({"path": "/api/items", "root_path": "/api"}, "/items"),  # or the server has put it back
        ({"path": "/apis/items", "root_path": "/api"}, "/apis/items"),
        ({"path": "/sub/items", "root_path": "/sub", "app_root_path": ""}, "/sub/items"),  # mounted
        ({"path": "/api/sub/items", "root_path": "/api/sub", "app_root_path": "/api"}, "/sub/items"),
    ],
)
def test_a_path_is_that_within_the_outermost_app(scope: dict[str, str], path: str) -> None:
    assert path_of(scope) == path


def test_a_generation_outlives_its_answers() -> None:
    assert keys.new_generation(1).expiration_time == keys.SHORTEST_GENERATION_SECONDS
    assert keys.new_generation(1e6).expiration_time == 2e6
    assert keys.new_generation(1).value != keys.new_generation(1).value
