"""A loader whose answer is to be awaited is not for `get`, and one whose answer runs only once is refused."""

import functools
import gc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from lru_cache import Loaded, LRUCache
from tests.concurrency import Gate, Started, eventually

pytestmark = pytest.mark.usefixtures("each_cache")


async def load(key: str) -> str:
    return key


class Loader:
    async def __call__(self, key: str) -> str:
        return key

    async def method(self, key: str) -> str:
        return key

    @classmethod
    async def class_method(cls, key: str) -> str:
        return key


async def generate_later(key: str) -> AsyncIterator[str]:
    yield key


def generate(key: str) -> Iterator[str]:
    yield key


TO_BE_AWAITED: list[Any] = [
    load,
    functools.partial(load),
    functools.partial(functools.partial(load)),
    Loader(),
    Loader().method,
    Loader.class_method,
    functools.partial(Loader()),
    AsyncMock(),
]


@pytest.mark.parametrize("loader", TO_BE_AWAITED)
def test_what_has_to_be_awaited_is_a_loader_but_not_for_get(loader: Any) -> None:
    cache: LRUCache[str, Any] = LRUCache(loader)
    plain: LRUCache[str, Any] = LRUCache()
    calls: list[Callable[[], Any]] = [
        lambda: cache.get("a"),
        lambda: cache["a"],
        lambda: cache.set("a"),
        lambda: cache.get_many(["a"]),
        lambda: plain.get("a", load=loader),
        lambda: plain.get_many(["a"], load_many=loader),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="loading 'a' has to be awaited, which a plain call cannot do: use aget"):
            call()
    assert "a" not in cache
    cache.set("a", 1)
    assert (cache.get("a"), cache.get_many(["a"])) == (1, {"a": 1})
    assert cache.stats().loads == 0


@pytest.mark.parametrize("loader", [generate_later, generate])
def test_what_returns_something_that_runs_once_is_no_loader(loader: Any) -> None:
    with pytest.raises(TypeError, match=r"load_callback: a cache cannot keep what .* returns: an? .* runs only once"):
        LRUCache(loader)
    cache: LRUCache[str, Any] = LRUCache()
    with pytest.raises(TypeError, match=r"load: a cache cannot keep what .* returns: an? .* runs only once"):
        cache.get("a", load=loader)
    assert "a" not in cache


@pytest.mark.parametrize(
    "loader", [str, len, Mock(), functools.partial(str), functools.partial(int, base=8), Mock().method]
)
def test_all_else_that_can_be_called_is_a_loader(loader: Any) -> None:
    cache: LRUCache[str, Any] = LRUCache(loader)
    cache.get("7")
    assert "7" in cache or isinstance(loader, Mock)


class Promise:
    def __await__(self) -> Generator[Any, Any, str]:
        yield
        return "value"


@pytest.mark.parametrize("wrap", [lambda answer: answer, Loaded, lambda answer: Loaded(answer, 5)])
@pytest.mark.parametrize("answer", [load, lambda key: Promise()])
def test_an_awaitable_that_a_plain_loader_returns_is_refused_and_not_kept(
    wrap: Callable[[Any], Any], answer: Callable[[str], Awaitable[str]]
) -> None:
    cache: LRUCache[str, Any] = LRUCache(lambda key: wrap(answer(key)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a coroutine that was never awaited
        with pytest.raises(TypeError, match=r"a cache cannot keep what was loaded for 'a': a (coroutine|Promise) "):
            cache.get("a")
        gc.collect()
    assert "a" not in cache
    assert cache.stats().load_failures == 1
    assert cache.get("a", load=str) == "a"


def test_who_waits_for_a_load_that_returns_an_awaitable_is_told_so_too(start: Callable[..., Started]) -> None:
    gate = Gate()

    def loader(key: str) -> Coroutine[Any, Any, str]:
        gate.pass_through()
        return load(key)

    cache: LRUCache[str, Any] = LRUCache(loader)
    leader = start(cache.get, "a")
    gate.wait_entered()
    waiting = start(cache.get, "a")
    eventually(lambda: cache.stats().misses == 2)
    gate.open()
    for each in (leader, waiting):
        with pytest.raises(TypeError, match="coroutine"):
            each.result()


def test_a_memoized_function_that_returns_an_awaitable_keeps_nothing() -> None:
    cache: LRUCache[Any, Any] = LRUCache()

    @cache.memoize(expiration_time=5)
    def later(key: str) -> Coroutine[Any, Any, str]:
        return load(key)

    with pytest.raises(TypeError, match=r"a cache cannot keep what was loaded for .*: a coroutine "):
        later("a")
    assert len(cache) == 0


def test_a_key_s_own_code_that_loads_an_awaitable_is_refused_too() -> None:
    """Within the lock a look-up loads for itself."""
    cache: LRUCache[Any, Any] = LRUCache()
    refused = []

    class Key:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            if not refused:
                refused.append(None)
                with pytest.raises(TypeError, match=r"a cache cannot keep what was loaded for 'a': a coroutine "):
                    cache.get("a", load=lambda key: Loaded(load(key)))
            return self is other

    cache.get(Key(), load=lambda key: None)
    cache.get(Key(), load=lambda key: None)
    assert refused
