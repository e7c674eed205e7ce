"""What was news lately is remembered in its order, as far as there is room."""

from collections import deque
from collections.abc import Iterator

from lru_cache.replication.news import News


def news(*keys: bytes, limit: int = 10) -> News:
    remembered = News(limit)
    for key in keys:
        remembered.add(key)
    return remembered


def test_says_what_was_news_since_then_and_not_before() -> None:
    assert news(b"a", b"b", b"c", b"d").since(2) == [b"c", b"d"]


def test_says_nothing_if_nothing_was_news_since() -> None:
    assert news(b"a").since(1) == []


def test_says_each_key_once_at_its_last_place() -> None:
    assert news(b"a", b"b", b"a").since(0) == [b"b", b"a"]


def test_says_that_it_has_forgotten_some() -> None:
    assert news(b"a", b"b", b"c", limit=2).since(0) is None


def test_remembers_as_many_as_it_may() -> None:
    assert news(b"a", b"b", b"c", limit=2).since(1) == [b"b", b"c"]


def test_says_that_it_does_not_know_if_there_is_more_while_it_looks() -> None:
    class Busy(deque[bytes]):
        def __reversed__(self) -> Iterator[bytes]:
            latest = super().__reversed__()
            self.append(b"more")
            return latest

    remembered = news(b"a")
    remembered._keys = Busy(remembered._keys)
    assert remembered.since(0) is None
