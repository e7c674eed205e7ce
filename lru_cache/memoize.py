"""`@cache.memoize()`: a function's results, kept in a cache under the function's name and arguments.

It must not know how a cache works: it asks for `get(key, load=...)`, iteration and invalidation, like any user.
"""

import functools
import inspect
from collections.abc import Callable
from types import FunctionType, MethodType, NoneType
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypedDict, TypeVar, cast, overload

from lru_cache import arguments
from lru_cache.arguments import MISSING, Duration, Missing
from lru_cache.hashed_key import HashedKey
from lru_cache.loading import loaders
from lru_cache.loading.freshness import Loaded

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class CacheInfo(NamedTuple):
    """What one memoized function did, in the words of `functools`."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class CacheParameters(TypedDict):
    """How one function is memoized, in the words of `functools`."""

    maxsize: int | None
    typed: bool


class _Reporting(Protocol):
    """What can be asked of a memoized function without its arguments."""

    def cache_info(self) -> CacheInfo:
        """Hits and misses of this function, the cache's capacity, and how many results it holds of this function."""
        ...

    def cache_parameters(self) -> CacheParameters:
        """Tell the cache's capacity, and whether arguments of different types are kept apart."""
        ...

    def cache_clear(self) -> None:
        """Invalidate the results of this function that this node holds, or is computing."""
        ...


class Memoized(_Reporting, Protocol[P, T_co]):
    """What `memoize` makes of a function."""

    @property
    def __wrapped__(self) -> Callable[P, T_co]:
        """The function itself."""
        ...

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Return the kept result for these arguments, or compute and keep it."""
        ...

    def cache_invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Invalidate the result for these arguments. True if one was held."""
        ...

    @overload
    def __get__(self, instance: None, owner: Any = None, /) -> "Memoized[P, T_co]": ...
    @overload
    def __get__(
        self: "Memoized[Concatenate[S, Q], T_co]", instance: S, owner: Any = None, /
    ) -> "MemoizedMethod[S, Q, T_co]": ...
    def __get__(self, instance: Any, owner: Any = None, /) -> Any:
        """In a class it is a method, as any function is."""
        ...


class MemoizedMethod(_Reporting, Protocol[S_contra, Q, T_co]):
    """A memoized function as a method of an object."""

    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> T_co:
        """Return the kept result for the object and these arguments, or compute and keep it."""
        ...

    def cache_invalidate(self, instance: S_contra, /, *args: Q.args, **kwargs: Q.kwargs) -> bool:
        """Invalidate the result for an object and these arguments. True if one was held."""
        ...


class MemoizingCache(Protocol):
    """What a memoized function needs of its cache."""

    @property
    def maxsize(self) -> int | None: ...  # noqa: D102 - as everywhere

    def get(self, key: Any, /, *, load: Callable[[Any], Any]) -> Any: ...  # noqa: D102

    async def aget(self, key: Any, /, *, load: Callable[[Any], Any]) -> Any: ...  # noqa: D102

    def invalidate(self, key: Any, /) -> bool: ...  # noqa: D102

    def forget(self, key: Any, /) -> bool: ...  # noqa: D102

    def keys_known(self) -> list[Any]:
        """The keys that are held or being loaded."""
        ...


KeyOf = Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, ...]]
"""The key of a call with such arguments."""


Normalizer = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]


class _Results:
    """The results of one function in a cache. Its counts are approximate where threads race, as hits take no lock."""

    def __init__(self, cache: MemoizingCache, name: str, key_of: KeyOf, typed: bool) -> None:
        self._cache = cache
        self._name = name
        self._typed = typed
        self.key_of = key_of
        self.calls = 0
        self.runs = 0

    def keys(self) -> list[Any]:
        known = self._cache.keys_known()
        return [key for key in known if isinstance(key, tuple) and 2 <= len(key) <= 4 and key[0] == self._name]

    def info(self) -> CacheInfo:
        runs = self.runs
        return CacheInfo(self.calls - runs, runs, self._cache.maxsize, len(self.keys()))

    def parameters(self) -> CacheParameters:
        return {"maxsize": self._cache.maxsize, "typed": self._typed}

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
    typed: bool,
) -> Memoized[P, T]:
    """Wrap a function so that its results are kept in the cache."""
    if not callable(function):
        raise TypeError(f"memoize decorates a function, not {type(function).__name__}")
    is_async = loaders.is_async(function)
    if not is_async:
        arguments.refuse_what_runs_once("memoize", function)
    inner, bound = _unbind(function)
    name = _name_of(inner)
    if is_async and key is None:
        _refuse_method(inner, name)
    key_of = _by_arguments(name, inner, bound, typed) if key is None else _by_key(name, key, bound, typed)
    results = _Results(cache, name, key_of, typed)

    def with_life(result: Any) -> Any:
        if expiration_time is MISSING or isinstance(result, Loaded):
            return result
        return Loaded(result, expiration_time)

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        def load(_: object) -> Any:
            results.runs += 1
            return with_life(function(*args, **kwargs))

        results.calls += 1
        return cast(T, cache.get(results.key_of(args, kwargs), load=load))

    async def call_later(*args: P.args, **kwargs: P.kwargs) -> Any:
        async def load(_: object) -> Any:
            results.runs += 1
            return with_life(await function(*args, **kwargs))  # type: ignore[misc]  # it is one to await

        results.calls += 1
        return await cache.aget(results.key_of(args, kwargs), load=load)

    wrapper: Any = call_later if is_async else call
    functools.update_wrapper(wrapper, inner)
    wrapper.__wrapped__ = function  # a plain function, so that methods bind
    wrapper.cache_info = results.info
    wrapper.cache_parameters = results.parameters
    wrapper.cache_clear = results.clear
    wrapper.cache_invalidate = results.invalidate
    return cast(Memoized[P, T], wrapper)


def _refuse_method(function: Callable[..., Any], name: str) -> None:
    """Raise for a method: with the object in its key, the cache would keep every object for ever."""
    outer, _, _ = name.rpartition(".")
    code = getattr(function, "__code__", None)
    is_method = code is not None and code.co_argcount > 0 and code.co_varnames[0] in ("self", "cls")
    if is_method and not outer.endswith("<locals>"):
        raise TypeError(
            f"memoize would keep each self of the method {name} alive: say what stands for it, as in "
            "@cache.memoize(key=lambda self, x: (self.id, x))"
        )


def _name_of(function: Callable[..., Any]) -> str:
    """Its module and qualified name, under which its results are kept."""
    if not hasattr(function, "__qualname__"):
        raise TypeError(
            f"memoize keeps results by the function's name, and a {type(function).__name__} has none: wrap it in a def"
        )
    return f"{function.__module__}.{function.__qualname__}"


class _Bound(NamedTuple):
    """The arguments that a partial, or a method of an object, brings by itself."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}  # noqa: RUF012 - a tuple's default, which nobody changes


def _unbind(function: Callable[..., Any]) -> tuple[Callable[..., Any], _Bound]:
    """Take a function out of the partials and methods around it, with the arguments that these bring."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    while True:
        if isinstance(function, functools.partial):
            args, kwargs, function = function.args + args, {**function.keywords, **kwargs}, function.func
        elif isinstance(function, MethodType):
            args, function = (function.__self__, *args), function.__func__
        else:
            return function, _Bound(args, kwargs)


# -- the key of a call -------------------------------------------------------------------------------------------------


def _by_arguments(name: str, function: Callable[..., Any], bound: _Bound, typed: bool) -> KeyOf:
    """Make keys of the arguments themselves, in the order in which they are passed.

    That of the names in `**kwargs` counts, since the function can see it.
    """
    normalize, normal_length = _normalizer(function)

    def key_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        if not kwargs and len(args) == normal_length:
            key: tuple[Any, ...] = (name, args)
            values = args
        else:
            args, kwargs = normalize(args, kwargs)
            values = (*args, *kwargs.values())
            key = (name, args, tuple(kwargs.items())) if kwargs else (name, args)
        for value in values:
            if value.__class__ not in _QUICKLY_HASHED and _hashes_slowly(value):
                return HashedKey(key)
        return key

    def key_with_bound(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        return key_of(bound.args + args, {**bound.kwargs, **kwargs})

    def key_with_types(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        args, kwargs = normalize(bound.args + args, {**bound.kwargs, **kwargs})
        values = (*args, *kwargs.values())
        key = (name, args, tuple(kwargs.items()), _type_names(values))
        return HashedKey(key) if any(map(_hashes_slowly, values)) else key

    if typed:
        return key_with_types
    return key_with_bound if bound.args or bound.kwargs else key_of


def _by_key(name: str, key: Callable[..., Any], bound: _Bound, typed: bool) -> KeyOf:
    """Make keys of what the user's own function says of a call's arguments, and of those that are bound."""
    bound_part = ((bound.args, tuple(bound.kwargs.items())),) if bound.args or bound.kwargs else ()

    def key_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        value = key(*args, **kwargs)
        whole = (name, value, bound_part, _type_names((value,))) if typed else (name, value, *bound_part)
        return HashedKey(whole) if _hashes_slowly(value) else whole

    return key_of


_QUICKLY_HASHED = frozenset({NoneType, bool, bytes, float, int, str})


def _hashes_slowly(value: object) -> bool:
    """Whether hashing this runs Python code, of a class of the application."""
    function = type(value).__hash__
    return isinstance(function, FunctionType) and function.__module__ != "uuid"


def _type_names(values: tuple[Any, ...]) -> tuple[str, ...]:
    """Types as what a replicated cache can tell to others."""
    return tuple([f"{type(value).__module__}.{type(value).__qualname__}" for value in values])


def _normalizer(function: Callable[..., Any]) -> tuple[Normalizer, int | None]:
    """Make a function that writes equal calls equally: f(1, 2), f(1, b=2) and, if b is 2 by default, f(1).

    Else `cache_invalidate(1, b=2)` would leave what f(1, 2) has kept. Defaults that are not hashable are left out.
    Beside it comes how many positional arguments, with no others, need no such change.
    """
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except ValueError:  # some functions written in C do not tell
        return lambda args, kwargs: (args, kwargs), None
    parameters = signature.parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty and _is_hashable(p.default)}
    plain = all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)

    def normalize(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        bound = signature.bind(*args, **kwargs)
        for name in signature.parameters:
            if name not in bound.arguments and name in defaults:
                bound.arguments[name] = defaults[name]
        bound.arguments = {n: bound.arguments[n] for n in signature.parameters if n in bound.arguments}
        return bound.args, bound.kwargs

    return normalize, len(parameters) if plain else None


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
