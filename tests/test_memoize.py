"""`@cache.memoize()`: the function's results, under its name and arguments."""

import functools
import inspect
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
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
    assert len(cache) == 3


def test_named_arguments_are_one_call_in_any_order_unless_the_function_can_see_it(cache: LRUCache[Any, Any]) -> None:
    """With `**kwargs` it can: a result of another order may be a wrong one."""

    @cache.memoize()
    def show(**kwargs: int) -> str:
        return str(kwargs)

    @cache.memoize()
    def add(*, a: int, b: int) -> int:
        return a + b

    assert [show(a=1, b=2), show(b=2, a=1)] == ["{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"]
    assert show.cache_invalidate(b=2, a=1)
    assert show.cache_info().currsize == 1
    assert [add(a=1, b=2), add(b=2, a=1)] == [3, 3]
    assert add.cache_info().currsize == 1
    assert cache.memoize()(dict)(b=1, a=2) == {"b": 1, "a": 2}
    assert list(cache.memoize()(dict)(a=2, b=1)) == ["a", "b"]


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


async def async_generator(a: int) -> AsyncIterator[int]:
    yield a


def generator(a: int) -> Iterator[int]:
    yield a


@pytest.mark.parametrize("function", [async_generator, generator])
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


def test_what_has_no_name_is_refused_in_words(cache: LRUCache[Any, Any]) -> None:
    """Two of a kind would share their results."""
    nameless: Any = type("Callable", (), {"__call__": int})()
    for function in (nameless, functools.partial(nameless, 1)):
        with pytest.raises(TypeError, match="wrap it in a def"):
            cache.memoize()(function)


# -- what brings arguments by itself -----------------------------------------------------------------------------------


def power(base: int, exponent: int = 2, *, modulus: int = 1000) -> int:
    """Take it to a power."""
    power.calls += 1  # type: ignore[attr-defined]
    return int(base**exponent) % modulus


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    power.calls = 0  # type: ignore[attr-defined]


def test_a_partial_is_kept_as_what_it_calls(cache: LRUCache[Any, Any]) -> None:
    """Under that name, with all arguments: those of the partial and those of the call."""
    of_two = cache.memoize()(functools.partial(power, 2))
    of_three = cache.memoize()(functools.partial(functools.partial(power, 3), exponent=3))
    whole = cache.memoize()(power)
    assert [of_two(5), of_three(), of_three(exponent=2), of_two(5)] == [32, 27, 9, 32]
    assert power.calls == 3  # type: ignore[attr-defined]
    assert [whole(2, 5), whole(base=3, exponent=3)] == [32, 27]
    assert power.calls == 3  # type: ignore[attr-defined]
    assert {key[0] for key in cache} == {f"{__name__}.power"}
    assert of_two.cache_invalidate(5)
    assert not whole.cache_invalidate(2, 5)


def test_a_partial_s_wrapper_looks_like_what_it_calls(cache: LRUCache[Any, Any]) -> None:
    partial = functools.partial(power, 2)
    wrapped: Any = cache.memoize()(partial)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__) == ("power", "Take it to a power.", partial)
    assert list(inspect.signature(wrapped).parameters) == ["exponent", "modulus"]


def test_a_key_function_stands_for_the_call_s_arguments_beside_those_of_the_partial(cache: LRUCache[Any, Any]) -> None:
    of_two = cache.memoize(key=lambda exponent: exponent % 10)(functools.partial(power, 2))
    of_three = cache.memoize(key=lambda exponent: exponent % 10)(functools.partial(power, 3))
    assert [of_two(1), of_three(1), of_two(11)] == [2, 3, 2]


def test_an_object_s_method_is_kept_with_its_object(cache: LRUCache[Any, Any]) -> None:
    class Thing:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def times(self, n: int) -> int:
            return self.factor * n

    two, three = cache.memoize()(Thing(2).times), cache.memoize()(Thing(3).times)
    assert [two(5), three(5)] == [10, 15]


# -- types, and what hashing costs -------------------------------------------------------------------------------------


def test_equal_arguments_of_different_types_are_kept_apart_if_typed(cache: LRUCache[Any, Any]) -> None:
    @cache.memoize()
    def loose(a: Any, b: Any = 1) -> str:
        return f"{a!r} {b!r}"

    @cache.memoize(typed=True)
    def strict(a: Any, b: Any = 1) -> str:
        return f"{a!r} {b!r}"

    @cache.memoize(typed=True)
    def named(**kwargs: Any) -> str:
        return repr(kwargs)

    @cache.memoize(typed=True, key=lambda a: a)
    def keyed(a: Any) -> str:
        return repr(a)

    assert [loose(3), loose(3.0)] == ["3 1", "3 1"]
    assert [strict(3), strict(3.0), strict(3, True), strict(3, b=1)] == ["3 1", "3.0 1", "3 True", "3 1"]
    assert strict.cache_info()[:2] == (1, 3)
    assert [named(a=1), named(a=1.0)] == ["{'a': 1}", "{'a': 1.0}"]
    assert [keyed(1), keyed(True)] == ["1", "True"]
    assert strict.cache_invalidate(3.0)
    assert not strict.cache_invalidate(Decimal(3))


def test_tells_its_parameters_as_functools_does(cache: LRUCache[Any, Any]) -> None:
    theirs = functools.lru_cache(maxsize=100, typed=True)(len).cache_parameters()
    assert cache.memoize(typed=True)(len).cache_parameters() == theirs
    assert cache.memoize()(len).cache_parameters() == {"maxsize": 100, "typed": False}


@pytest.mark.parametrize("options", [{}, {"typed": True}, {"key": lambda a, b=0: a}])
def test_an_argument_with_a_hash_of_its_own_is_hashed_once_for_each_call(
    cache: LRUCache[Any, Any], options: dict[str, Any]
) -> None:
    """That may be a costly one, and a miss needs it half a dozen times."""
    hashed: list[int] = []

    class Argument:
        def __init__(self, number: int) -> None:
            self.number = number

        def __hash__(self) -> int:
            hashed.append(self.number)
            return self.number

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Argument) and other.number == self.number

    @cache.memoize(**options)
    def f(a: Argument, b: int = 0) -> int:
        return a.number

    assert [f(Argument(1)), f(Argument(1)), f(a=Argument(2), b=1)] == [1, 1, 2]
    assert f.cache_info()[:2] == (1, 2)
    assert hashed == [1, 1, 2]


def test_a_uuid_can_be_told_to_other_nodes(cache: LRUCache[Any, Any]) -> None:
    """Though its hash is written in Python: the key stays a plain tuple."""
    cache.memoize()(str)(uuid.UUID(int=5))
    assert [type(key) for key in cache] == [tuple]
