"""`copy_on_get=True`: whoever changes what it got changes nothing for anybody else."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import Loaded, LRUCacheDistributed, Removal, codecs
from tests.concurrency import Gate, Started, link, settle
from tests.conftest import Nodes

Cache = LRUCacheDistributed[Any, Any]


@dataclasses.dataclass
class Point:
    x: Any


@pytest.fixture
def cache() -> Any:
    with LRUCacheDistributed[Any, Any](copy_on_get=True, codecs=[codecs.dataclass(Point)]) as made:
        yield made


def listed(cache: Cache) -> Any:
    return next(iter(cache.values()))


def of_items(cache: Cache) -> Any:
    return dict(cache.items())["a"]


def awaited(cache: Cache) -> Any:
    return asyncio.run(cache.aget("a"))


def awaited_many(cache: Cache) -> Any:
    return asyncio.run(cache.aget_many(["a"]))["a"]


READS: list[Callable[[Cache], Any]] = [
    lambda c: c.get("a"), lambda c: c.get("a", 1), lambda c: c["a"], lambda c: c.get_many(["a"])["a"],
    lambda c: c.peek("a"), lambda c: c.setdefault("a", []), listed, of_items, awaited, awaited_many,
]  # fmt: skip


@pytest.mark.parametrize("read", READS)
def test_each_who_asks_has_a_value_of_its_own(cache: Cache, read: Callable[[Cache], Any]) -> None:
    given = {"list": [Point([1])]}
    cache.set("a", given)
    given["list"].append(Point(0))  # what was set is kept as it was then
    first = read(cache)
    assert first == {"list": [Point([1])]}
    first["list"][0].x.append(2)
    first.clear()
    assert read(cache) == {"list": [Point([1])]}
    assert read(cache) is not read(cache)


def test_what_leaves_the_cache_is_what_was_set(cache: Cache) -> None:
    given = [1]
    cache.set("a", given)
    cache.set("b", given)
    given.append(2)
    assert (cache.pop("a"), cache.popitem()) == ([1], ("b", [1]))


def test_a_listener_has_one_of_its_own() -> None:
    told: list[Removal[Any, Any]] = []
    with LRUCacheDistributed[Any, Any](copy_on_get=True, on_removal=told.append) as cache:
        given = [1]
        cache.set("a", given)
        given.append(2)
        cache.invalidate("a")
    assert [removal.value for removal in told] == [[1]]


def test_all_who_wait_for_one_load_have_values_of_their_own(start: Callable[..., Started]) -> None:
    gate = Gate()

    def load(key: str) -> list[int]:
        gate.pass_through()
        return [1]

    with LRUCacheDistributed[str, list[int]](load, copy_on_get=True) as cache:
        asking = [start(cache.get, "a") for _ in range(3)]
        gate.wait_entered()
        gate.open()
        found = [each.result() for each in asking]
        for each in found:
            each.append(2)
        assert found == [[1, 2]] * 3
        assert cache.get("a") == [1]


def test_what_is_not_kept_and_what_cannot_be_encoded_is_given_all_the_same(cache: Cache) -> None:
    class Own:
        pass

    own = Own()
    assert cache.get("a", load=lambda key: Loaded([1], 0)) == [1]
    assert cache.get("b", load=lambda key: own) is own
    assert cache.get("b") is own
    assert cache.get("c") is None
    with pytest.raises(KeyError):
        cache["c"]


def test_memoized_functions_too(cache: Cache) -> None:
    calls: list[int] = []

    @cache.memoize()
    def numbers(n: int) -> list[int]:
        calls.append(n)
        return [n]

    @cache.memoize()
    async def later(n: int) -> list[int]:
        return [n]

    numbers(1).append(2)
    assert (numbers(1), calls) == ([1], [1])
    asyncio.run(later(1)).append(2)
    assert asyncio.run(later(1)) == [1]


def test_what_comes_from_another_node_too(nodes: Nodes) -> None:
    one = nodes(local_address=("127.0.0.1", 0))
    other = nodes(remote_address=one.local_address, copy_on_get=True)
    link(one, other)
    one.set("a", [1])
    settle(one)
    other.get("a").append(2)
    assert other.get("a") == [1]


def test_it_is_a_cache_of_the_same_class_and_of_a_subclass() -> None:
    class Named(LRUCacheDistributed[Any, Any]):
        pass

    for kind in (LRUCacheDistributed, Named):
        with kind(copy_on_get=True) as cache:
            assert isinstance(cache, kind)
            assert type(cache).__name__ == kind.__name__
            cache.set("a", [1])
            cache.get("a").append(2)
            assert cache.get("a") == [1]


def test_a_subclass_may_ask_for_it_by_itself() -> None:
    class Own(LRUCacheDistributed[Any, Any]):
        def __init__(self) -> None:
            super().__init__(copy_on_get=True)

    with Own() as cache:
        cache.set("a", [1])
        cache.get("a").append(2)
        assert (cache.get("a"), isinstance(cache, Own)) == ([1], True)


def test_who_waits_for_a_load_that_a_set_answers_has_what_was_set(start: Callable[..., Started]) -> None:
    gate = Gate()

    def load(key: str) -> list[int]:
        gate.pass_through()
        return [0]

    with LRUCacheDistributed[str, list[int]](load, copy_on_get=True, maximum_capacity=1) as cache:
        waiting = [start(cache.get, "a") for _ in range(2)]
        gate.wait_entered()
        given = [1]
        cache.set("a", given)
        given.append(2)
        cache.set("b", [3])  # and it was evicted before they looked
        gate.open()
        assert [each.result() for each in waiting] == [[1], [1]] or [each.result() for each in waiting] == [[0], [1]]


def test_what_a_loader_keeps_and_changes_is_not_what_is_held() -> None:
    own: list[int] = [1]
    with LRUCacheDistributed[str, list[int]](lambda key: own, copy_on_get=True, replicate_loads=False) as cache:
        assert cache.get("a") == [1]
        own.append(2)
        assert cache.get("a") == [1]


def test_a_wrong_argument_gets_one_line() -> None:
    with pytest.raises(ValueError, match="values='local' keeps none"):
        LRUCacheDistributed(copy_on_get=True, values="local")
    with pytest.raises(TypeError, match="copy_on_get must be True or False"):
        LRUCacheDistributed(copy_on_get=1)  # type: ignore[arg-type]
