"""`cachetools.cached` on our caches, with the keys that it makes."""

import cachetools
import cachetools.keys
import pytest

from lru_cache import LRUCache, LRUCacheDistributed


def add(a: int, b: int = 2) -> int:
    add.calls += 1  # type: ignore[attr-defined]
    return a + b


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    add.calls = 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", [cachetools.keys.hashkey, cachetools.keys.typedkey])
def test_calls_with_keywords_are_kept_in_a_local_cache(key: object) -> None:
    cached = cachetools.cached(LRUCache(), key=key)(add)  # type: ignore[call-overload]
    assert [cached(1, b=3), cached(1, b=3), cached(1)] == [4, 4, 3]
    assert add.calls == 2  # type: ignore[attr-defined]


def test_in_a_replicated_cache_a_key_of_cachetools_own_is_refused_with_what_to_do() -> None:
    """It holds a class, which no other process need have."""
    with LRUCacheDistributed() as cache:
        cached = cachetools.cached(cache)(add)
        with pytest.raises(TypeError, match=r"@cache\.memoize\(\), or pass cachetools\.cached a key="):
            cached(1, b=3)
        with pytest.raises(TypeError) as refused:
            cache.set((1, int), 5)
        assert "cachetools" not in str(refused.value)


def test_a_key_of_data_is_kept_in_a_replicated_cache() -> None:
    with LRUCacheDistributed() as cache:
        cached = cachetools.cached(cache, key=lambda *args, **kwargs: (args, tuple(kwargs.items())))(add)
        assert [cached(1, b=3), cached(1, b=3)] == [4, 4]
        assert add.calls == 1  # type: ignore[attr-defined]
