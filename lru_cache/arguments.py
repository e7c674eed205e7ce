"""What callers pass, turned into what we compute with. Each refusal is one line that names the argument.

This file must not know caches: it sees names and values.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from math import inf, isnan
from types import MethodType
from typing import Any, Final

Duration = int | float | timedelta
"""What stands for a length of time in every public signature: seconds, or a timedelta."""


class Missing(Enum):
    """The type of an argument that was not given, where None means something."""

    MISSING = "not given"

    def __repr__(self) -> str:
        return "<not given>"


MISSING: Final = Missing.MISSING


def seconds(name: str, value: Any, *, zero: bool = False) -> float:
    """Read a duration that must be positive (or zero, where that means something)."""
    if isinstance(value, timedelta):
        number = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            raise ValueError(f"{name} is too large for a number of seconds; None stands for no end") from None
    else:
        raise TypeError(f"{name} must be seconds (int, float) or a timedelta, not {type(value).__name__}")
    if isnan(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} must be {'zero or ' if zero else ''}positive, got {value!r}")
    return number


def life(name: str, value: Any, *, zero: bool = True) -> float:
    """Read the life of an entry: a duration, or None for one without end. Zero, where it may be, is not to be kept."""
    return inf if value is None else seconds(name, value, zero=zero)


def optional_seconds(name: str, value: Any) -> float | None:
    """Read a positive duration that may be left out."""
    return None if value is None else seconds(name, value)


def count(name: str, value: Any) -> int:
    """Read a number of things, at least one."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value!r}")
    return value


def capacity(name: str, value: Any) -> int | None:
    """Read how many things may be kept: none at all, or any number (None)."""
    if value is None or (type(value) is int and value == 0):
        return value
    if isinstance(value, int) and value < 0:
        raise ValueError(f"{name} must be at least 0, or None for no bound, got {value!r}")
    return count(name, value)


def fraction(name: str, value: Any) -> float:
    """Read a number from 0 to 1."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number from 0 to 1, not {type(value).__name__}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value!r}")
    return float(value)


def function(name: str, value: Any) -> Any:
    """Read something to call, or None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}")
    return value


_RUN_ONCE = {0x80: "a coroutine", 0x200: "an asynchronous generator", 0x20: "a generator"}
"""What calling a function gives, by the flags of its code. `inspect` knows them too, and costs 10 ms of start-up."""
ANY_THAT_RUNS_ONCE = sum(_RUN_ONCE)


def code_of(value: Any) -> tuple[Any, Any]:
    """What a call of this runs in the end, without the partials and methods around it, and its code or None."""
    inner = value
    while isinstance(inner, (partial, MethodType)):
        inner = inner.func if isinstance(inner, partial) else inner.__func__
    code = getattr(inner, "__code__", None) or getattr(getattr(type(inner), "__call__", None), "__code__", None)  # noqa: B004
    return inner, code


def refuse_what_runs_once(who: str, value: Any) -> None:
    """Raise if calling this gives something that runs only once, as far as that can be seen before it is called."""
    inner, code = code_of(value)
    for flag, kind in _RUN_ONCE.items():
        if code is not None and code.co_flags & flag:
            called = getattr(inner, "__qualname__", type(inner).__qualname__)
            raise TypeError(f"{who} cannot keep what {called}() returns: {kind} runs only once")


def refuse_awaitable(key: object, value: Any) -> None:
    """Raise for a loaded value that is to be awaited, and see to it that nobody is told that it never was."""
    if hasattr(value, "send"):
        value.close()
    kind = type(value).__name__
    raise TypeError(
        f"a cache cannot keep what was loaded for {key!r}: a {kind} has to be awaited, and runs only once; use aget, "
        "whose loader may be an async def"
    )


def pairs(name: str, value: Any) -> list[tuple[Any, Any]]:
    """Read a mapping, or keys and values in pairs."""
    found = []
    for pair in items(name, value.items() if isinstance(value, Mapping) else value):
        try:
            key, held = pair
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} must be a mapping, or pairs of a key and a value, and got {pair!r}"[:200]
            ) from None
        found.append((key, held))
    return found


def items(name: str, value: Any) -> Iterable[Any]:
    """Read several things."""
    try:
        found: Iterable[Any] = iter(value)
    except TypeError:
        raise TypeError(f"{name} must be iterable, and {type(value).__name__} is not") from None
    return found


def moment(name: str, value: Any) -> float:
    """Read a date as seconds since 1970; naive ones are local time. What no clock can show is past, or never comes."""
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be a datetime, not {type(value).__name__}")
    try:
        return value.timestamp()
    except (OverflowError, OSError, ValueError):
        return inf if value.year > 1970 else -inf
