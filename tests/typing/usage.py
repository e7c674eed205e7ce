"""What type checkers must make of a user's code. Checked by `tests/test_packaging.py`, never run."""

from typing import Any

from typing_extensions import assert_type

from lru_cache import Loaded, LRUCache, RecursiveLoadError, Removal  # noqa: F401
from lru_cache.lru_cache import LRUCache as SeedsOwnImport


def load(key: str) -> int:
    return len(key)


def load_with_life(key: str) -> Loaded[int]:
    return Loaded(len(key), expiration_time=5)


def told(removal: Removal[str, int]) -> None:
    assert_type(removal.key, str)
    assert_type(removal.value, int)


cache: LRUCache[str, int] = LRUCache(load, on_removal=told)
other: LRUCache[str, int] = SeedsOwnImport(load_with_life)

assert_type(cache.get("a"), int | None)
assert_type(cache.get("a", 5), int)
assert_type(cache.get("a", "none"), int | str)
assert_type(cache["a"], int)
assert_type(cache.set("a", 1), int)
assert_type(cache.peek("a"), int | None)
assert_type(cache.pop("a"), int)
assert_type(cache.popitem(), tuple[str, int])
assert_type(cache.get_many(["a"]), dict[str, int])
assert_type(list(cache.items()), list[tuple[str, int]])
assert_type(cache.expires_in("a"), float | None)
assert_type(cache.invalidate("a"), bool)


@cache.memoize(expiration_time=5)
def shout(text: str, times: int = 1) -> str:
    return text.upper() * times


assert_type(shout("a", times=2), str)
shout.cache_invalidate("a", 2)
assert_type(shout.cache_info().hits, int)
whatever: Any = shout.__wrapped__

cache.get(5)  # type: ignore[call-overload]
cache.set("a", expiration_time="5")  # type: ignore[call-overload]
shout(5)  # type: ignore[arg-type]
