"""Loaders: which are called, and which are to be awaited. It must not know what is done with what they return."""

import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from lru_cache import arguments
from lru_cache.loading.freshness import Loaded

K = TypeVar("K")
Loader = Callable[[K], Any]
_COROUTINE = 0x80 | 0x100  # flags of the code of `async def`, and of what `types.coroutine` has marked
_NOT_PLAIN = _COROUTINE | arguments.ANY_THAT_RUNS_ONCE


class AsyncLoader:
    """A loader that is known to return what is to be awaited."""

    __slots__ = ("load",)

    def __init__(self, load: Callable[[Any], Any]) -> None:
        self.load = load

    def __call__(self, key: Any) -> Any:
        """Refuse: nobody here can await what it returns."""
        raise use_aget(key)


def read(name: str, value: Any) -> Any:
    """Read something to load with, or None. Not what returns something that cannot be used twice."""
    if value is None or (type(value) is FunctionType and not value.__code__.co_flags & _NOT_PLAIN):
        return value
    arguments.function(name, value)
    if is_async(value):
        return AsyncLoader(value)
    arguments.refuse_what_runs_once(f"{name}: a cache", value)
    return value


def is_async(value: Any) -> bool:
    """Whether calling this gives something to await, as far as that can be seen before it is called."""
    inner, code = arguments.code_of(value)
    if code is not None and code.co_flags & _COROUTINE:
        return True
    mark = getattr(sys.modules.get("inspect"), "_is_coroutine_mark", None)  # of inspect.markcoroutinefunction
    return mark is not None and getattr(inner, "_is_coroutine_mark", None) is mark


def with_life(loader: Any, life: float) -> Any:
    """The same loader, whose answers live so long unless they say otherwise themselves."""
    if type(loader) is AsyncLoader:
        load = loader.load

        async def load_later(key: Any) -> Any:
            return _with_life(await load(key), life)

        return AsyncLoader(load_later)
    return lambda key: _with_life(loader(key), life)


def _with_life(answer: Any, life: float) -> Any:
    if is_awaitable(answer):
        return _with_life_later(answer, life)
    return answer if isinstance(answer, Loaded) else Loaded(answer, life)


async def _with_life_later(answer: Any, life: float) -> Any:
    return _with_life(await answer, life)


def is_awaitable(value: Any) -> bool:
    """Whether this is to be awaited."""
    return hasattr(type(value), "__await__")


def use_aget(key: object) -> TypeError:
    """What to raise where a load would have to be awaited and cannot be."""
    return TypeError(f"loading {key!r} has to be awaited, which a plain call cannot do: use aget, aget_many or aset")
