"""How a thread waits for a load, and loads that run in a thread of their own. It must not know what they load."""

import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Any

from lru_cache.errors import RecursiveLoadError
from lru_cache.loading.circles import load_of_this_context, waiting
from lru_cache.loading.single_flight import Flight, Landing
from lru_cache.log import logger

LOOK_AFTER_SECONDS = 1.0  # whether what carries a load is still there: an event loop says nothing when it is closed


def is_held_up_here(flight: Flight[Any]) -> bool:
    """Whether this thread has to go on for it to land, and so must not wait for it.

    It may only have been planned: a finalizer came in between. Or a task of the event loop in this thread loads it.
    """
    if flight.place != threading.get_ident():
        return False
    if flight.runs and flight.runs_here:
        raise RecursiveLoadError(f"the loader of {flight.key!r} asked for the same key")
    return True


def wait(flight: Flight[Any], seconds: float | None = None) -> Landing | None:
    """Wait for the landing; None if it takes longer than that. Refuses to wait in a circle."""
    with waiting(flight):
        if seconds is None or seconds > 0:
            if flight.carrier is None and flight.place is not None:  # led by a thread that cannot but go on with it
                _wait(flight, -1 if seconds is None else min(seconds, threading.TIMEOUT_MAX))
            else:
                _wait_and_look(flight, seconds)
    return flight.landing


def _wait_and_look(flight: Flight[Any], seconds: float | None) -> None:
    ends = None if seconds is None else monotonic() + seconds
    while flight.landing is None:
        left = LOOK_AFTER_SECONDS if ends is None else min(ends - monotonic(), LOOK_AFTER_SECONDS)
        if left <= 0:
            return
        _wait(flight, left)
        carrier = flight.carrier
        if carrier is not None and carrier.is_gone():
            flight.give_up()


def _wait(flight: Flight[Any], limit: float) -> None:
    latch = threading.Lock()
    latch.acquire()
    flight.waiters[latch] = latch
    try:
        # Looked at only now that the latch can be seen: who landed it before that has not opened this latch, and
        # who lands it after that does.
        if flight.landing is None:
            latch.acquire(timeout=limit)
    finally:
        flight.waiters.pop(latch, None)


class LoadingThreads:
    """Runs each load in a thread of its own, at most `limit` at a time.

    A thread for each and no pool: a load takes milliseconds where a thread's start takes microseconds, an idle cache
    then has no threads, and one loader that hangs takes none of the others with it. Daemons, so that it cannot keep the
    process from ending either.
    """

    def __init__(self, limit: int) -> None:
        self._free = deque(range(limit))  # a token each; no lock, so that a finalizer may ask for a load from anywhere
        self._waiting: deque[Callable[[], object]] = deque()

    def start(self, function: Callable[[], object], context: Context) -> bool:
        """Run it soon. False if as many as allowed are running, or the machine gives no thread."""
        try:
            token = self._free.pop()
        except IndexError:
            return False
        return self._begin(lambda: context.run(function), token)

    def run(self, function: Callable[[], object], context: Context) -> None:
        """Run it as soon as one of them is free: somebody waits for it. RuntimeError if the machine gives no thread.

        What a load waits for does not wait for others: of these each might wait for a free thread.
        """
        work = lambda: context.run(function)  # noqa: E731 - a name for what is passed on
        if load_of_this_context() is not None:
            if not self._begin(work, None):
                raise RuntimeError("no thread to load in")
            return
        self._waiting.append(work)
        try:
            token = self._free.pop()
        except IndexError:
            return  # who gives one back sees what waits
        if not self._begin(self._run_next, token):
            try:
                self._waiting.remove(work)
            except ValueError:
                return  # another has taken it
            raise RuntimeError("no thread to load in")

    def _begin(self, work: Callable[[], object], token: int | None) -> bool:
        try:
            threading.Thread(target=self._run, args=(work, token), name="lru_cache-load", daemon=True).start()
        except RuntimeError:
            if token is not None:
                self._free.append(token)
            return False
        return True

    def _run(self, work: Callable[[], object], token: int | None) -> None:
        try:
            _run(work)
        finally:
            if token is not None:
                self._go_on(token)

    def _go_on(self, token: int) -> None:
        """Run what waits, then give the token back, and look once more: something may have come in between."""
        while True:
            while self._waiting:
                _run(self._run_next)
            self._free.append(token)
            if not self._waiting:
                return
            try:
                token = self._free.pop()
            except IndexError:
                return

    def _run_next(self) -> None:
        try:
            work = self._waiting.popleft()
        except IndexError:
            return  # another was quicker
        work()


def _run(work: Callable[[], object]) -> None:
    try:
        work()
    except BaseException:  # noqa: BLE001 - even SystemExit has nobody to go to in this thread
        logger().exception("a background load ended abnormally")
