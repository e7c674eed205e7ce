"""One load per key at a time: who leads it, who waits for it, and what fences it.

It must not know loaders, stores or values' lives. `Flights` is guarded by its cache's lock; a `Flight` belongs to the
thread that leads it until it has landed, and never changes after that.
"""

import threading
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lru_cache.errors import RecursiveLoadError

if TYPE_CHECKING:
    from types import TracebackType

K = TypeVar("K")


class Landing(Enum):
    """How a flight ended."""

    VALUE = "value"
    FAILURE = "failure"  # the loader raised: all who waited get its exception
    NOTHING = "nothing"  # the loader of many keys left this one out: a miss for all who waited
    ABANDONED = "abandoned"  # nobody knows (the loading thread was interrupted): who waited starts again


class NothingLoadedError(Exception):
    """The loader of many keys left this one out. It never leaves the cache: who asked gets the default."""


class Flight(Generic[K]):
    """One load in progress, or one that may begin."""

    __slots__ = (
        "_latches", "_unclaimed", "fenced", "handed_over", "key", "landing", "leader", "outcome", "outer", "over",
        "owner", "planner", "registered", "shared", "started", "traceback",
    )  # fmt: skip

    def __init__(self, owner: object, key: K, started: float) -> None:
        self.owner = owner  # its cache's flights, only to be compared
        self.key = key
        self.started = started
        self.planner: int | None = None  # the thread that registered it and is to lead it, or to hand it over
        self.leader: int | None = None  # the loading thread, once it runs
        self.handed_over = False  # to a thread that leads it in the background
        self.outer: Flight[Any] | None = None  # the load of that thread from within which this one was asked for
        self.registered = False  # guarded by the cache's lock: `Flights` may know it
        self.fenced = False  # guarded by the cache's lock: its result must not be kept
        self.shared = False  # guarded by the cache's lock: somebody else waits for it, or is about to
        self.landing: Landing | None = None
        self.outcome: Any = None  # the value, or the exception with the traceback that it had
        self.traceback: TracebackType | None = None
        self.over = False  # landed, and all who waited then are woken
        self._unclaimed = [True]  # taken by who lands it: one step, so that of two only one does
        # One for each who waits, made by that one, so that nobody depends on what becomes of another. Changes in single
        # steps, without a lock.
        self._latches: dict[threading.Lock, None] = {}

    def is_planned_here(self) -> bool:
        """Whether it only waits for this thread to begin it, further up its stack."""
        return self.leader is None and self.planner == threading.get_ident()

    def land(self, landing: Landing, outcome: Any = None) -> None:
        """Release all who wait. Only the first landing counts: a `set` may have answered them before the loader did."""
        try:
            self._unclaimed.pop()
        except IndexError:
            self._wake()
            return
        if self.shared:  # else only the leader wants it, whose frames an exception holds: no circle without need
            self.outcome = outcome
            self.traceback = outcome.__traceback__ if landing is Landing.FAILURE else None
        self.landing = landing
        try:
            self._wake()
        finally:
            if not self.over:
                self._wake()  # a signal's handler raised in the middle of it

    def give_up(self) -> None:
        """Land it in any case, also if a landing was interrupted half-way."""
        self.land(Landing.ABANDONED)
        if self.landing is None:
            self.landing = Landing.ABANDONED
            self._wake()

    def wait(self, timeout: float | None = None) -> Landing | None:
        """Wait for the landing; None if it takes longer than that. Refuses to wait in a circle."""
        limit = -1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
        with _Waiting(self):
            if limit and self.landing is None:
                self._wait(limit)
        return self.landing

    def _wait(self, limit: float) -> None:
        latch = threading.Lock()
        latch.acquire()
        self._latches[latch] = None
        try:
            # Looked at only now that the latch can be seen: who landed it before that has not opened this latch, and
            # who lands it after that does.
            if self.landing is None:
                latch.acquire(timeout=limit)
        finally:
            self._latches.pop(latch, None)

    def _wake(self) -> None:
        """If it has landed, open each latch. May be called again, by whoever is not sure that it was done."""
        if self.landing is None:
            return
        if self._latches:
            for latch in list(self._latches):
                try:
                    latch.release()
                except RuntimeError:  # noqa: PERF203 - each by itself: one that is open must not keep others shut
                    pass
        self.over = True

    def __repr__(self) -> str:
        return f"Flight({self.key!r}, landing={self.landing}, fenced={self.fenced})"


class Flights(Generic[K]):
    """The loads in progress whose result may still be kept, by key. Every method expects the cache's lock held."""

    def __init__(self) -> None:
        self.running: dict[K, Flight[K]] = {}

    def join(self, flight: Flight[K]) -> Flight[K]:
        """Return the flight for its key that is in the air: this one, if there was none."""
        flight.planner = threading.get_ident()  # before it can be seen
        flight.registered = True
        while True:
            other = self.running.setdefault(flight.key, flight)
            if other is flight:
                _refuse_recursion(flight)
                return flight
            if other.landing is None:
                break
            self.leave(other)  # whose leader was interrupted before it could
        flight.planner = None
        flight.registered = False
        other.shared = True
        return other

    def leave(self, flight: Flight[K]) -> None:
        """It no longer counts as running: the next who asks starts another."""
        popped = self.running.pop(flight.key, None)
        flight.registered = False
        if popped is not None and popped is not flight:
            self.running.setdefault(popped.key, popped)  # that one is younger and still in the air

    def fence(self, key: K) -> Flight[K] | None:
        """A write happened: what is being loaded for this key is too old to keep."""
        flight = self.running.pop(key, None)
        if flight is not None:
            flight.fenced = True
            flight.registered = False
        return flight

    def fence_all(self) -> None:
        """Everything that is being loaded is too old to keep."""
        for flight in list(self.running.values()):
            flight.fenced = True
            flight.registered = False
        self.running.clear()


class _Innermost(threading.local):
    flight: Flight[Any] | None = None


_innermost = _Innermost()

_waits_lock = threading.RLock()  # protects _waits; reentrant, since a finalizer may load from anywhere
_waits: dict[int, Flight[Any]] = {}  # thread -> what it waits for; of the whole process, since loaders cross caches


class leading:  # noqa: N801 - reads as the statement that it is
    """`with leading(flight):` around the loader's call: marks whose load this thread is running."""

    __slots__ = ("_flight",)

    def __init__(self, flight: Flight[Any]) -> None:
        self._flight = flight

    def __enter__(self) -> None:
        outer = _innermost.flight
        while outer is not None and outer.landing is not None:
            outer = outer.outer  # its leader was interrupted on its way out
        self._flight.outer = outer
        self._flight.leader = threading.get_ident()
        _innermost.flight = self._flight

    def __exit__(self, *_: object) -> None:
        _innermost.flight = self._flight.outer
        self._flight.outer = None


def _refuse_recursion(flight: Flight[Any]) -> None:
    """Raise if this thread is loading the same key already, in a load that was fenced meanwhile.

    `_Waiting` sees a loader that asks for its own key, as long as its flight is registered. It no longer is once it
    was fenced: loader(k) invalidates k, asks for k, so starts loader(k), which invalidates k ... without end.
    """
    outer = _innermost.flight
    while outer is not None:
        if outer.owner is flight.owner and outer.fenced and outer.key == flight.key:
            raise RecursiveLoadError(f"the loader of {flight.key!r} asked for the same key")
        outer = outer.outer


def forget_other_threads() -> None:
    """After a fork: none of the threads that waited is in this process."""
    global _waits_lock
    _waits_lock = threading.RLock()
    me = threading.get_ident()
    for thread in [thread for thread in _waits if thread != me]:
        del _waits[thread]


class _Waiting:
    """While inside, this thread is known to wait for a flight. Entering raises if that flight waits for this thread.

    Registered under one lock with the check: of two threads that close a circle, the second sees the first.
    """

    def __init__(self, flight: Flight[Any]) -> None:
        self._flight = flight

    def __enter__(self) -> None:
        me = threading.get_ident()
        with _waits_lock:
            ahead: Flight[Any] | None = self._flight
            while ahead is not None and ahead.landing is None:
                if ahead.leader == me:
                    raise RecursiveLoadError(
                        f"the loader of {ahead.key!r} asked, directly or through others, for {self._flight.key!r}, "
                        "which cannot be loaded before it"
                    )
                ahead = _waits.get(ahead.leader) if ahead.leader is not None else None
            self._before = _waits.get(me)
            _waits[me] = self._flight

    def __exit__(self, *_: object) -> None:
        me = threading.get_ident()
        with _waits_lock:
            if self._before is None:
                _waits.pop(me, None)
            else:
                _waits[me] = self._before
