"""How a thread waits for a load, and loads that run in a thread of their own. It must not know what they load."""

import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Any

from lru_cache.errors import RecursiveLoadError
from lru_cache.loading.circles import waiting, waits_for_here
from lru_cache.loading.single_flight import Flight, Landing
from lru_cache.log import logger

LOOK_AFTER_SECONDS = 1.0  # whether what carries a load is still there: an event loop says nothing when it is closed


def is_held_up_here(flight: Flight[Any]) -> bool:
    """Whether this thread has to go on for it to land, and so must not wait for it.

    It may only have been planned: a finalizer came in between. Or it waits for a task of the event loop in this thread.
    """
    if flight.place != threading.get_ident():
        return waits_for_here(flight)
    if flight.runs and flight.runs_here:
        raise RecursiveLoadError(f"the loader of {flight.key!r} asked for the same key")
    return True


def wait(flight: Flight[Any], seconds: float | None = None) -> Landing | None:
    """Wait for the landing; None if it takes longer than that, or cannot come while this thread waits.

    Refuses to wait in a circle.
    """
    with waiting(flight):
        ends = None if seconds is None else monotonic() + seconds
        while flight.landing is None:
            left = LOOK_AFTER_SECONDS if ends is None else min(ends - monotonic(), LOOK_AFTER_SECONDS)
            if left <= 0:
                break
            _wait(flight, left)
            flight.look()
            if flight.landing is None and waits_for_here(flight):
                break
    return flight.landing


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


class Work:
    """A function to call in a context. Equal to nothing but itself."""

    __slots__ = ("_context", "_function")

    def __init__(self, function: Callable[[], object], context: Context) -> None:
        self._function = function
        self._context = context

    def __call__(self) -> None:
        """Do it, once."""
        self._context.run(self._taken())

    def _taken(self) -> Callable[[], object]:
        function, self._function = self._function, _nothing
        return function


def _nothing() -> None:
    """In place of a function that was called: what it holds must not be held by the frame of its call."""


class LoadingThreads:
    """Runs each load in a thread of its own, at most `limit` at a time.

    A thread for each and no pool: a load takes milliseconds where a thread's start takes microseconds, an idle cache
    then has no threads, and one loader that hangs takes none of the others with it. Daemons, so that it cannot keep the
    process from ending either.
    """

    def __init__(self, limit: int) -> None:
        self._free = deque(range(limit))  # a token each; no lock, so that a finalizer may ask for a load from anywhere
        self._waiting: deque[Work] = deque()

    def start(self, function: Callable[[], object], context: Context) -> bool:
        """Run it soon. False if as many as allowed are running, or the machine gives no thread."""
        try:
            token = self._free.pop()
        except IndexError:
            return False
        return self._begin(Work(function, context), token)

    def run(self, function: Callable[[], object], context: Context) -> "Work":
        """Run it as soon as one of them is free: somebody waits for it. RuntimeError if the machine gives no thread."""
        work = Work(function, context)
        self._waiting.append(work)
        try:
            token = self._free.pop()
        except IndexError:
            return work  # who gives one back sees what waits
        if not self._begin(self._run_next, token):
            if not self.forget(work):
                return work  # another has taken it
            raise RuntimeError("no thread to load in")
        return work

    def forget(self, work: "Work") -> bool:
        """Take back what still waits for its turn. False if it does not."""
        try:
            self._waiting.remove(work)
        except ValueError:
            return False
        return True

    def hurry(self, work: "Work") -> None:
        """Run it now, one more than the limit: a load waits for it, and so might each of those that are running."""
        if self.forget(work) and not self._begin(work, None):
            self._waiting.appendleft(work)

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
