"""What type checkers must make of a user's code. Checked by `tests/test_packaging.py`, never run."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from typing_extensions import assert_type

from lru_cache import Loaded, LRUCache, LRUCacheDistributed, Removal
from lru_cache.lru_cache import LRUCache as SeedsOwnImport


@dataclass
class User:
    name: str


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
assert_type(cache.get("a", load=load), int | None)
assert_type(cache.get("a", load=load_with_life), int | None)
assert_type(cache.get("a", load=lambda key: Loaded(len(key), 5)), int | None)
assert_type(cache["a"], int)


async def load_later(key: str) -> int:
    return len(key)


async def load_later_with_life(key: str) -> Loaded[int]:
    return Loaded(len(key), 5)


async def use_a_loop() -> None:
    later: LRUCache[str, int] = LRUCache(load_later)
    between: LRUCacheDistributed[str, int] = LRUCacheDistributed(load_later)
    assert_type(await later.aget("a"), int | None)
    assert_type(await between.aget("a", 5), int)
    assert_type(await cache.aget("a", "none"), int | str)
    assert_type(await cache.aget("a", load=load_later), int | None)
    assert_type(await cache.aget("a", load=load_later_with_life), int | None)
    assert_type(await cache.aget("a", load=load), int | None)
    assert_type(await cache.aget_many(["a"]), dict[str, int])
    assert_type(await cache.aset("a"), int | None)
    assert_type(await cache.aset("a", 1), int)
    assert_type(await between.aflush(), bool)
    assert_type(await between.aconnected(), bool)
    cache.get("a", load=load_later)  # type: ignore[arg-type]
    await cache.aget("a", load=str)  # type: ignore[arg-type]


assert_type(cache.set("a", 1), int)
assert_type(cache.set("a"), int | None)
assert_type(cache.peek("a"), int | None)
assert_type(cache.pop("a"), int)
assert_type(cache.popitem(), tuple[str, int])
assert_type(cache.get_many(["a"]), dict[str, int])
assert_type(list(cache.items()), list[tuple[str, int]])
assert_type(cache.expires_in("a"), float | None)
assert_type(cache.invalidate("a"), bool)
cache.set_many({"a": 1})
cache.set_many([("a", 1)], expiration_time=5)

cache.get(5)  # type: ignore[call-overload]
cache.get("a", load=str)  # type: ignore[arg-type]
cache.set("a", "wrong")  # type: ignore[call-overload]
cache.set(1, 1)  # type: ignore[call-overload]
cache.set("a", expiration_time="5")  # type: ignore[call-overload]
cache.set_many({"a": "wrong"})  # type: ignore[arg-type]


# What does not exist is forgotten soon: the life is chosen by the loader, in each way that one would write it.


def find(name: str) -> User | Loaded[User | None]:
    return User(name) if name else Loaded(None, expiration_time=5)


def find_shortly(name: str) -> User | Loaded[None]:
    return User(name) if name else Loaded(None, expiration_time=5)


def find_at_length(name: str) -> User | None | Loaded[User | None]:
    return User(name) if name else Loaded(None, expiration_time=5)


def find_always(name: str) -> User | Loaded[User]:
    return Loaded(User(name), 5)


def kind(name: str) -> type[User]:
    return User


def reader(name: str) -> Callable[[], bytes]:
    return name.encode


Value = TypeVar("Value")


class Named(LRUCache[str, Value]):
    """A cache of the user's own."""


users: LRUCache[str, User | None] = LRUCache(find)
users = LRUCache(find_shortly)
users = LRUCache(find_at_length)
everybody: LRUCacheDistributed[str, User | None] = LRUCacheDistributed(find)
existing: LRUCache[str, User] = LRUCache(find_always)
assert_type(users.get("a", load=find), User | None)
assert_type(LRUCache(find).get("a"), User | None)
assert_type(LRUCache(find_shortly).get("a"), User | None)
assert_type(LRUCache(find_at_length).get("a"), User | None)
assert_type(LRUCacheDistributed(find).get("a"), User | None)
assert_type(LRUCache(find_always)["a"], User)
assert_type(LRUCache(load_with_life)["a"], int)
assert_type(LRUCache(kind)["a"], type[User])
assert_type(LRUCache(reader).get("a"), Callable[[], bytes] | None)
named: Named[User | None] = Named(find)
assert_type(named.get("a"), User | None)
existing = LRUCache(find)  # type: ignore[arg-type]


# Functions and methods.


@cache.memoize(expiration_time=5)
def shout(text: str, times: int = 1) -> str:
    return text.upper() * times


assert_type(shout("a", times=2), str)
shout.cache_invalidate("a", 2)
assert_type(shout.cache_info().hits, int)
assert_type(shout.cache_parameters()["maxsize"], int | None)
whatever: Any = shout.__wrapped__
shout(5)  # type: ignore[arg-type]
shout.cache_invalidate(5)  # type: ignore[arg-type]

half = cache.memoize(typed=True)(functools.partial(shout, times=2))
assert_type(half("a"), str)


class Shop:
    @cache.memoize()
    def price(self, article: str, pieces: int = 1) -> float:
        return len(article) * pieces

    @staticmethod
    @cache.memoize()
    def tax(article: str) -> float:
        return len(article)


shop = Shop()
assert_type(shop.price("a", pieces=2), float)
assert_type(Shop.price(shop, "a"), float)
assert_type(Shop.tax("a"), float)
assert_type(shop.price.cache_info().misses, int)
assert_type(shop.price.cache_invalidate(shop, "a"), bool)
assert_type(Shop.price.cache_invalidate(shop, "a", 2), bool)
shop.price(5)  # type: ignore[arg-type]
