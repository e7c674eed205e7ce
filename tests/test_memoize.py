"""`@cache.memoize()`: the function's results, under its name and arguments."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lru_cache import Loaded, LRUCache
from lru_cache.testing import ManualClock
from tests.concurrency import Gate, Started, eventually

pytestmark = pytest.mark.usefixtures("each_cache")


@pytest.fixture
def cache(clock: ManualClock) -> LRUCache[Any, Any]:
    return LRUCache(maximum_capacity=100, expiration_time=10, clock=clock)


def test_computes_once_for_each_arguments(cache: LRUCache[Any, Any]) -> None:
    calls = []

    @cache.memoize()
    def add(a: int, b: int) -> int:
        calls.append((a, b))
        return a + b

    assert [add(1, 2), add(1, 2), add(2, 1)] == [3, 3, 3]
    assert calls == [(1, 2), (2, 1)]


@pytest.mark.parametrize("call", [lambda f: f(1, 2), lambda f: f(1, b=2), lambda f: f(b=2, a=1), lambda f: f(1)])
def test_equal_calls_are_one_however_they_are_written(cache: LRUCache[Any, Any], call: Callable[[Any], Any]) -> None:
    """Else an invalidation that is written in another way would leave the old result."""
    calls = []

    @cache.memoize()
    def add(a: int, b: int = 2) -> int:
        calls.append((a, b))
        return a + b

    add(1, 2)
    assert call(add) == 3
    assert calls == [(1, 2)]
    assert add.cache_invalidate(b=2, a=1)


def test_keyword_only_and_variable_arguments_tell_calls_apart(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def show(*args: Any, sep: str = ",", **kwargs: Any) -> str:
        return f"{args} {sep} {kwargs}"

    assert show(1, 2) == "(1, 2) , {}"
    assert show(1, 2, sep=";") == "(1, 2) ; {}"
    assert show(1, 2, sep=";", y=1, x=2) == "(1, 2) ; {'y': 1, 'x': 2}"
    assert show(1, 2, x=2, y=1, sep=";") == "(1, 2) ; {'y': 1, 'x': 2}"


def test_a_wrong_call_raises_as_the_function_would(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def one(a: int) -> int:
        return a

    with pytest.raises(TypeError):
        one()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        one(1, 2)  # type: ignore[call-arg]


def test_a_default_that_is_not_hashable_is_no_obstacle(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def count(a: int, more: Any = []) -> int:  # noqa: B006
        return a + len(more)

    assert [count(1), count(1)] == [1, 1]


def test_two_functions_share_a_cache_and_no_results(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def one(a: int) -> str:
        return "one"

    @cache.memoize()
    def two(a: int) -> str:
        return "two"

    assert [one(1), two(1)] == ["one", "two"]


def test_the_key_names_the_module_and_the_function(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def function(a: int) -> int:
        return a

    function(1)
    (key,) = cache
    assert key[0] == f"{__name__}.{function.__qualname__}"


def test_a_key_function_stands_for_the_arguments(cache: LRUCache[Any, Any]) -> None:
    calls = []

    @cache.memoize(key=lambda user, verbose=False: user["id"])
    def name(user: dict[str, Any], verbose: bool = False) -> Any:
        calls.append(user)
        return user["name"]

    assert name({"id": 1, "name": "x"}) == name({"id": 1, "name": "y"}, verbose=True) == "x"
    assert len(calls) == 1
    assert name.cache_invalidate({"id": 1})


def test_a_life_of_its_own(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    calls = []

    @cache.memoize(expiration_time=3)
    def f(a: int) -> int:
        calls.append(a)
        return a

    f(1)
    clock.advance(3)
    f(1)
    assert calls == [1, 1]


def test_a_result_that_chooses_its_life_does(cache: LRUCache[Any, Any], clock: ManualClock) -> None:
    @cache.memoize(expiration_time=3)
    def f(a: int) -> Any:
        return Loaded("value", expiration_time=7)

    assert f(1) == "value"
    assert [cache.expires_in(key) for key in cache] == [7]


def test_methods_are_memoized_by_their_object(cache: LRUCache[Any, Any]) -> None:
    class Thing:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        @cache.memoize()
        def times(self, n: int) -> int:
            return self.factor * n

    two, three = Thing(2), Thing(3)
    assert [two.times(5), three.times(5)] == [10, 15]


def test_the_wrapper_looks_like_the_function(cache: LRUCache[Any, Any]) -> None:
    def function(a: int) -> int:
        """Say what it does."""
        return a

    wrapped = cache.memoize()(function)
    assert wrapped.__wrapped__ is function
    assert (wrapped.__name__, wrapped.__doc__) == ("function", "Say what it does.")  # type: ignore[attr-defined]


def test_cache_info_counts_this_function_alone(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def f(a: int) -> int:
        return a

    cache.set("something else", 1)
    f(1), f(1), f(2)
    assert f.cache_info() == (1, 2, 100, 2)
    assert f.cache_info()._fields == functools.lru_cache()(len).cache_info()._fields


def test_cache_clear_clears_this_function_alone(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def f(a: int) -> int:
        return a

    @cache.memoize()
    def g(a: int) -> int:
        return a

    cache.set("something else", 1)
    f(1), f(2), g(1)
    f.cache_clear()
    assert len(cache) == 2
    assert f.cache_info() == (0, 0, 100, 0)
    assert g.cache_info().currsize == 1


def test_cache_clear_clears_results_of_calls_with_keywords_too(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def f(*, a: int) -> int:
        return a

    f(a=1)
    f.cache_clear()
    assert len(cache) == 0


def test_cache_clear_fences_what_is_being_computed(cache: LRUCache[Any, Any], start: Callable[..., Started]) -> None:
    gate = Gate()

    @cache.memoize()
    def f(a: int) -> int:
        gate.pass_through()
        return a

    running = start(f, 1)
    gate.wait_entered()
    f.cache_clear()
    gate.open()
    running.result()
    assert len(cache) == 0


def test_cache_invalidate_forgets_one_result(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def f(a: int) -> int:
        return a

    f(1), f(2)
    assert f.cache_invalidate(1)
    assert not f.cache_invalidate(1)
    assert f.cache_info().currsize == 1


def test_a_function_that_calls_itself_for_less_is_fine(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(50) == 12586269025


def test_none_is_a_result(cache: LRUCache[Any, Any]) -> None:
    calls = []

    @cache.memoize()
    def f(a: int) -> None:
        calls.append(a)

    f(1), f(1)
    assert calls == [1]


def test_results_are_refreshed_ahead(clock: ManualClock) -> None:
    cache: LRUCache[Any, Any] = LRUCache(expiration_time=10, refresh_time=4, clock=clock)
    calls: list[int] = []

    @cache.memoize()
    def f(a: int) -> int:
        calls.append(a)
        return len(calls)

    f(1)
    clock.advance(6.1)
    assert f(1) == 1
    eventually(lambda: f(1) == 2)
    assert f.cache_info().misses == 2


def test_without_parentheses_says_what_to_write(cache: LRUCache[Any, Any]) -> None:
    with pytest.raises(TypeError, match=r"@cache\.memoize\(\)"):

        @cache.memoize  # type: ignore[arg-type]
        def f(a: int) -> int:
            return a


async def coroutine(a: int) -> int:
    return a


def generator(a: int) -> Iterator[int]:
    yield a


@pytest.mark.parametrize("function", [coroutine, generator])
def test_what_can_be_used_once_is_refused(cache: LRUCache[Any, Any], function: Any) -> None:
    with pytest.raises(TypeError, match="runs only once"):
        cache.memoize()(function)


def test_a_function_that_hides_its_signature_is_memoized_as_it_is_called(cache: LRUCache[Any, Any]) -> None:
    smallest = cache.memoize()(min)
    assert [smallest(3, 1, 2), smallest(3, 1, 2)] == [1, 1]
    assert smallest.cache_info()[:2] == (1, 1)


def test_a_wrapper_that_takes_other_arguments_than_what_it_wraps_keeps_its_own(cache: LRUCache[Any, Any]) -> None:
    def inner(connection: str, n: int) -> str:
        return f"{connection} {n}"

    @functools.wraps(inner)
    def outer(n: int) -> str:
        return inner("connection", n)

    assert cache.memoize()(outer)(5) == "connection 5"


@pytest.mark.parametrize("nameless", [functools.partial(int, base=2), type("Callable", (), {"__call__": int})()])
def test_what_has_no_name_is_refused_in_words(cache: LRUCache[Any, Any], nameless: Any) -> None:
    """Two of a kind would share their results."""
    with pytest.raises(TypeError, match="wrap it in a def"):
        cache.memoize()(nameless)
