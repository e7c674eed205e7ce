"""What callers pass, turned into what we compute with. Each refusal is one line that names the argument.

This file must not know caches: it sees names and values.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from math import inf, isnan
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


def life(name: str, value: Any) -> float:
    """Read the life of an entry: a positive duration, or None for one without end."""
    return inf if value is None else seconds(name, value)


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


def loader(name: str, value: Any) -> Any:
    """Read what loads a value, or None. What it returns is kept and given to many, so it must not run only once."""
    function(name, value)
    loading = value.func if isinstance(value, partial) else value
    kind = _kind_that_runs_once(loading)
    if kind is not None:
        called = getattr(loading, "__qualname__", type(loading).__qualname__)
        raise TypeError(
            f"{name} must return what is to be kept, and {called}() returns {kind}, which runs only once: "
            "give a function that waits for the value"
        )
    return value


def _kind_that_runs_once(value: Any) -> str | None:
    """By the flags of its code: to import `inspect` takes long."""
    function = value if hasattr(value, "__code__") else type(value).__call__
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return next((kind for flag, kind in _RUN_ONCE.items() if flags & flag), None)


_RUN_ONCE = {0x80: "a coroutine", 0x200: "an asynchronous generator", 0x20: "a generator"}  # as `inspect` has them


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
