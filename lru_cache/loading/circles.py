"""Loads that wait for each other: which load this code runs for, and a refusal where to wait would never end.

A load is known by the context that its loader runs in, which tasks and threads inherit that are started from it; so it
is found again wherever its loader asks from. This file must not know caches, nor who waits how.
"""

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from lru_cache.errors import RecursiveLoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Token

    from lru_cache.loading.single_flight import Flight

_innermost: "ContextVar[Flight[Any] | None]" = ContextVar("lru_cache_load", default=None)

_lock = threading.RLock()  # protects `awaited` of every flight; reentrant, since a finalizer may load from anywhere


def load_of_this_context() -> "Flight[Any] | None":
    """The load that this code runs for, as far as it is in the air."""
    flight = _innermost.get()
    while flight is not None and flight.landing is not None:
        flight = flight.outer  # its leader was interrupted on its way out, or has left a task behind
    return flight


class leading:  # noqa: N801 - reads as the statement that it is
    """`with leading(flight):` around the loader's call: marks whose load this context is of."""

    __slots__ = ("_flight", "_token")

    def __init__(self, flight: "Flight[Any]") -> None:
        self._flight = flight

    def __enter__(self) -> None:
        flight = self._flight
        outer = None if _innermost.get() is None else load_of_this_context()
        if outer is not None and outer is not flight:
            flight.outer = outer
            if flight.runs_here:  # then the outer one cannot end before it, as if it waited
                _add(outer, flight)
        flight.runs = True
        self._token: Token[Flight[Any] | None] = _innermost.set(flight)

    def __exit__(self, *_: object) -> None:
        flight = self._flight
        flight.runs = False
        try:
            _innermost.reset(self._token)
        except ValueError:
            pass  # a task that was dropped with its loop is closed in another context
        outer = flight.outer
        if outer is not None:
            if flight.runs_here:
                _remove(outer, flight)
            flight.outer = None


@contextmanager
def leading_many(flights: "list[Flight[Any]]") -> "Iterator[None]":
    """Likewise for one call that loads all of these, none of which lands before it has ended."""
    first, *others = flights
    with leading(first):
        for flight in others:
            _add(flight, first)
        try:
            yield
        finally:
            for flight in others:
                _remove(flight, first)


class waiting:  # noqa: N801 - likewise
    """`with waiting(flight):` while this context waits for it. Entering raises if that waits for this context's load.

    Registered under one lock with the check: of two that close a circle, the second sees the first.
    """

    __slots__ = ("_asking", "_flight")

    def __init__(self, flight: "Flight[Any]") -> None:
        self._flight = flight

    def __enter__(self) -> None:
        self._asking: Flight[Any] | None = None
        if _innermost.get() is None:
            return  # for who is no load, nobody waits
        asking = load_of_this_context()
        if asking is None:
            return
        with _lock:
            if _reaches(self._flight, asking):
                raise RecursiveLoadError(
                    f"the loader of {asking.key!r} asked, directly or through others, for {self._flight.key!r}, "
                    "which cannot be loaded before it"
                )
            _add(asking, self._flight)
            self._asking = asking
        self._flight.hurried = True  # before its carrier is looked for, as who sets that looks for this after it
        carrier = self._flight.carrier
        if carrier is not None:
            carrier.hurry()

    def __exit__(self, *_: object) -> None:
        if self._asking is not None:
            _remove(self._asking, self._flight)


def waits_for_here(flight: "Flight[Any]") -> bool:
    """Whether a flight cannot land before who asks has gone on, as far as can be seen now."""
    return _any_awaited(flight, lambda each: each.carrier is not None and each.carrier.is_here())


def refuse_recursion(flight: "Flight[Any]") -> None:
    """Raise if this context is loading the same key already, in a load that was fenced meanwhile.

    `waiting` sees a loader that asks for its own key, as long as its flight is registered. It no longer is once it
    was fenced: loader(k) invalidates k, asks for k, so starts loader(k), which invalidates k ... without end.
    """
    outer = _innermost.get()
    while outer is not None:
        if outer.owner is flight.owner and outer.fenced and outer.runs and outer.key == flight.key:
            raise RecursiveLoadError(f"the loader of {flight.key!r} asked for the same key")
        outer = outer.outer


def forget_other_threads() -> None:
    """After a fork: none of the threads that waited is in this process, and one of them may have held the lock."""
    global _lock
    _lock = threading.RLock()


def _reaches(flight: "Flight[Any]", other: "Flight[Any]") -> bool:
    """Whether a flight cannot land before the other has."""
    return _any_awaited(flight, lambda each: each is other)


def _any_awaited(flight: "Flight[Any]", is_it: "Callable[[Flight[Any]], bool]") -> bool:
    """Whether this is so of a flight, or of one that it waits for, directly or through others."""
    seen, ahead = {flight}, [flight]
    while ahead:
        each = ahead.pop()
        if is_it(each):
            return True
        if each.landing is None and each.awaited:
            more = [inner for inner in list(each.awaited) if inner not in seen]
            seen.update(more)
            ahead += more
    return False


def _add(flight: "Flight[Any]", awaited: "Flight[Any]") -> None:
    with _lock:
        if flight.awaited is None:
            flight.awaited = {}
        flight.awaited[awaited] = flight.awaited.get(awaited, 0) + 1


def _remove(flight: "Flight[Any]", awaited: "Flight[Any]") -> None:
    with _lock:
        flights = flight.awaited or {}
        left = flights.get(awaited, 0) - 1
        if left > 0:
            flights[awaited] = left
        else:
            flights.pop(awaited, None)
