"""`set_many`: all of it, or nothing."""

from typing import Any

import pytest

from lru_cache import LRUCache, LRUCacheDistributed


@pytest.mark.parametrize("kind", [LRUCache, LRUCacheDistributed])
@pytest.mark.parametrize("pairs", [[("a", 2), ([], 3)], [("a", 2), ("b",)], [("a", 2), 5]])
@pytest.mark.parametrize("life", [10, 0])
def test_a_key_that_cannot_be_one_changes_nothing(kind: Any, pairs: Any, life: float) -> None:
    cache = kind()
    cache.set("a", 1)
    with pytest.raises((TypeError, ValueError)):
        cache.set_many(pairs, expiration_time=life)
    assert dict(cache.items()) == {"a": 1}


@pytest.mark.parametrize(("value", "error"), [(object(), TypeError), ("x" * 100, ValueError)])
def test_a_value_that_cannot_be_told_changes_nothing(value: object, error: type[Exception]) -> None:
    with LRUCacheDistributed(maximum_value_bytes=50) as cache:
        cache.set("a", 1)
        with pytest.raises(error):
            cache.set_many({"a": 2, "b": value})
        assert dict(cache.items()) == {"a": 1}
        cache.set_many({"a": 2, "b": 3})
        assert dict(cache.items()) == {"a": 2, "b": 3}
