"""What was news lately is remembered in its order, as far as there is room."""

import pytest

from tests.replication.build import recent_keys
from tests.replication.finalizers import collecting_at_once


def news(*keys: bytes, limit: int = 10) -> recent_keys.RecentKeys:
    remembered = recent_keys.RecentKeys(limit)
    for key in keys:
        remembered.add(key)
    return remembered


def test_says_what_was_news_since_then_and_not_before() -> None:
    assert news(b"a", b"b", b"c", b"d").since(2) == {b"c": 0, b"d": 0}


def test_says_nothing_if_nothing_was_news_since() -> None:
    assert news(b"a").since(1) == {}


def test_says_each_key_once_at_its_last_place() -> None:
    assert list(news(b"a", b"b", b"a").since(0) or {}) == [b"b", b"a"]


def test_says_of_each_key_the_hops_that_it_had_last() -> None:
    remembered = news()
    for key, hops in ((b"a", 3), (b"b", 1), (b"a", 2)):
        remembered.add(key, hops)
    assert remembered.since(0) == {b"b": 1, b"a": 2}


def test_says_nothing_of_what_is_yet_to_be_news() -> None:
    assert news(b"a").since(2) == {}


def test_says_that_it_has_forgotten_some() -> None:
    assert news(b"a", b"b", b"c", limit=2).since(0) is None


def test_remembers_as_many_as_it_may() -> None:
    assert news(b"a", b"b", b"c", limit=2).since(1) == {b"b": 0, b"c": 0}


@pytest.mark.parametrize("after", range(1, 8))
def test_says_nothing_wrong_if_a_collection_makes_news_while_it_looks(after: int) -> None:
    remembered = news(b"a")
    with collecting_at_once(lambda: remembered.add(b"more"), after):
        since = remembered.since(0)
        _ = [[] for _ in range(20)]
    assert since in (None, {b"a": 0}, {b"a": 0, b"more": 0})
