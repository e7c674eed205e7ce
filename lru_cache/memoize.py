"""`@cache.memoize()`: a function's results, kept in a cache under the function's name and arguments.

It must not know how a cache works: it asks for `get(key, load=...)`, iteration and invalidation, like any user.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from lru_cache.arguments import MISSING, Duration, Missing
from lru_cache.loading.freshness import Loaded

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class CacheInfo(NamedTuple):
    """What one memoized function did, in the words of `functools`."""

    hits: int
    misses: int
    maxsize: int
    currsize: int


class Memoized(Protocol[P, T_co]):
    """What `memoize` makes of a function."""

    @property
    def __wrapped__(self) -> Callable[P, T_co]:
        """The function itself."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Return the kept result for these arguments, or compute and keep it."""
        ...

    def cache_info(self) -> CacheInfo:
        """Hits and misses of this function, the cache's capacity, and how many results it holds of this function."""
        ...

    def cache_clear(self) -> None:
        """Invalidate the results of this function that this node holds, or is computing."""
        ...

    def cache_invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Invalidate the result for these arguments. True if one was held."""
        ...


class MemoizingCache(Protocol):
    """What a memoized function needs of its cache."""

    @property
    def maxsize(self) -> int: ...  # noqa: D102 - as everywhere

    def get(self, key: Any, /, *, load: Callable[[Any], Any]) -> Any: ...  # noqa: D102

    def invalidate(self, key: Any, /) -> bool: ...  # noqa: D102

    def forget(self, key: Any, /) -> bool: ...  # noqa: D102

    def keys_known(self) -> list[Any]:
        """The keys that are held or being loaded."""
        ...


class _Results:
    """The results of one function in a cache. Its counts are approximate where threads race, as hits take no lock."""

    def __init__(self, cache: MemoizingCache, function: Callable[..., Any], key: Callable[..., Any] | None) -> None:
        self._cache = cache
        self._name = _name_of(function)
        self._custom_key = key
        self._normalize = _normalizer(function)
        self.calls = 0
        self.runs = 0

    def key_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        if self._custom_key is not None:
            return (self._name, self._custom_key(*args, **kwargs))
        args, kwargs = self._normalize(args, kwargs)
        return (self._name, args, tuple(sorted(kwargs.items()))) if kwargs else (self._name, args)

    def keys(self) -> list[Any]:
        known = self._cache.keys_known()
        return [key for key in known if isinstance(key, tuple) and len(key) in (2, 3) and key[0] == self._name]

    def info(self) -> CacheInfo:
        runs = self.runs
        return CacheInfo(self.calls - runs, runs, self._cache.maxsize, len(self.keys()))

    def clear(self) -> None:
        for key in self.keys():
            self._cache.forget(key)
        self.calls = self.runs = 0

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        return self._cache.invalidate(self.key_of(args, kwargs))


def memoized(
    cache: MemoizingCache,
    function: Callable[P, T],
    expiration_time: Duration | None | Missing,
    key: Callable[..., Any] | None,
) -> Memoized[P, T]:
    """Wrap a function so that its results are kept in the cache."""
    _refuse_what_runs_once(function)
    results = _Results(cache, function, key)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        def load(_: object) -> Any:
            results.runs += 1
            result = function(*args, **kwargs)
            if expiration_time is MISSING or isinstance(result, Loaded):
                return result
            return Loaded(result, expiration_time)

        results.calls += 1
        return cast(T, cache.get(results.key_of(args, kwargs), load=load))

    wrapper.cache_info = results.info  # type: ignore[attr-defined]  # a plain function, so that methods bind
    wrapper.cache_clear = results.clear  # type: ignore[attr-defined]
    wrapper.cache_invalidate = results.invalidate  # type: ignore[attr-defined]
    return cast(Memoized[P, T], wrapper)


def _name_of(function: Callable[..., Any]) -> str:
    """Its module and qualified name, under which its results are kept."""
    if not hasattr(function, "__qualname__"):
        raise TypeError(
            f"memoize keeps results by the function's name, and a {type(function).__name__} has none: wrap it in a def"
        )
    return f"{function.__module__}.{function.__qualname__}"


def _refuse_what_runs_once(function: Callable[..., Any]) -> None:
    if not callable(function):
        raise TypeError(f"memoize decorates a function, not {type(function).__name__}")
    name = _name_of(function)
    for what, kind in (
        (inspect.iscoroutinefunction, "coroutine"),
        (inspect.isasyncgenfunction, "asynchronous generator"),
        (inspect.isgeneratorfunction, "generator"),
    ):
        if what(function):
            raise TypeError(f"memoize cannot keep what {name}() returns: a {kind} runs only once")


def _normalizer(
    function: Callable[..., Any],
) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]:
    """Make a function that writes equal calls equally: f(1, 2), f(1, b=2) and, if b is 2 by default, f(1).

    Else `cache_invalidate(1, b=2)` would leave what f(1, 2) has kept. Defaults that are not hashable are left out.
    """
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except ValueError:  # some functions written in C do not tell
        return lambda args, kwargs: (args, kwargs)
    parameters = signature.parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty and _is_hashable(p.default)}
    plain = all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)

    def normalize(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if plain and not kwargs and len(args) == len(signature.parameters):
            return args, kwargs
        bound = signature.bind(*args, **kwargs)
        for name in signature.parameters:
            if name not in bound.arguments and name in defaults:
                bound.arguments[name] = defaults[name]
        bound.arguments = {n: bound.arguments[n] for n in signature.parameters if n in bound.arguments}
        return bound.args, bound.kwargs

    return normalize


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
