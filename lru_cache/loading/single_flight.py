"""One load per key at a time: who leads it, who waits for it, and what fences it.

It must not know loaders, stores or values' lives, nor threads and event loops: who waits brings a `Waiter`. `Flights`
is guarded by its cache's lock; a `Flight` belongs to who leads it until it has landed, and never changes after that.
"""

from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from lru_cache.loading.circles import refuse_recursion

if TYPE_CHECKING:
    from types import TracebackType

K = TypeVar("K")


class Landing(Enum):
    """How a flight ended."""

    VALUE = "value"
    FAILURE = "failure"  # the loader raised: all who waited get its exception
    NOTHING = "nothing"  # the loader of many keys left this one out: a miss for all who waited
    ABANDONED = "abandoned"  # nobody knows (who loaded was interrupted or cancelled): who waited starts again


class NothingLoadedError(Exception):
    """The loader of many keys left this one out. It never leaves the cache: who asked gets the default."""


class Waiter(Protocol):
    """Who waits for a flight: a thread, or the tasks of a loop."""

    def release(self) -> object:
        """It has landed. RuntimeError if nobody waits there any longer."""


class Carrier(Protocol):
    """What runs a load that belongs to nobody's own stack, and may end before the load does."""

    def cancel(self) -> None:
        """Nobody wants the load any more. For any thread."""

    def is_gone(self) -> bool:
        """Whether it will never go on."""

    def is_here(self) -> bool:
        """Whether it can only go on once who asks this has."""

    def hurry(self) -> None:
        """Begin, if it only waits for its turn: another load waits for it, which may hold what it waits for."""


class Flight(Generic[K]):
    """One load in progress, or one that may begin."""

    __slots__ = (
        "_unclaimed", "askers", "awaited", "carrier", "fenced", "goes_on", "handed_over", "hurried", "key", "landing",
        "may_begin", "outcome", "outer", "over", "owner", "place", "planned", "registered", "runs", "runs_here",
        "shared", "started", "traceback", "waiters",
    )  # fmt: skip

    def __init__(self, owner: object, key: K, started: float, place: object = None, may_begin: bool = True) -> None:
        self.owner = owner  # its cache's flights, only to be compared
        self.key = key
        self.started = started
        self.may_begin = may_begin  # whether who asks has a way to load, rather than only to wait for others
        self.planned = False  # it was registered, and is to be led or handed over by who did that
        self.place = place  # the thread that has to go on for this to land; None: another than any that may wait
        self.runs_here = False  # on that thread's stack, so that it cannot but be further down there
        self.runs = False  # its loader does
        self.handed_over = False  # to a thread or a task that leads it, in whose stack nobody waits
        self.hurried = False  # another load waits for it
        self.carrier: Carrier | None = None  # of a flight that was handed over to what may be cancelled, or be gone
        self.outer: Flight[Any] | None = None  # the load from within which this one was begun
        self.awaited: dict[Flight[Any], int] | None = (
            None  # for these its loader waits, how often; guarded by `circles`
        )
        self.registered = False  # guarded by the cache's lock: `Flights` may know it
        self.fenced = False  # guarded by the cache's lock: its result must not be kept
        self.shared = False  # guarded by the cache's lock: somebody else waits for it, or is about to
        self.askers = 1  # guarded by the cache's lock: look-ups that want its outcome
        self.goes_on = False  # guarded by the cache's lock: also when there are none
        self.landing: Landing | None = None
        self.outcome: Any = None  # the value, or the exception with the traceback that it had
        self.traceback: TracebackType | None = None
        self.over = False  # landed, and all who waited then are woken
        self._unclaimed = [True]  # taken by who lands it: one step, so that of two only one does
        # A thread's latch by itself, and the tasks of a loop by that loop: made by who waits, so that nobody depends on
        # what becomes of another. Changes in single steps, without a lock.
        self.waiters: dict[object, Waiter] = {}

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
        self.runs = False  # or an interruption kept that from being said
        self.land(Landing.ABANDONED)
        if self.landing is None:
            self.landing = Landing.ABANDONED
            self._wake()

    def look(self) -> None:
        """Give up if what carries it is gone: an event loop says nothing when it is closed, or stands still."""
        carrier = self.carrier
        if carrier is not None and carrier.is_gone():
            self.fenced = True  # in case that it goes on after all
            self.give_up()

    def _wake(self) -> None:
        """If it has landed, release each. May be called again, by whoever is not sure that it was done."""
        if self.landing is None:
            return
        if self.waiters:
            for waiter in list(self.waiters.values()):
                try:
                    waiter.release()
                except RuntimeError:  # noqa: PERF203 - each by itself: one that is gone must not keep others waiting
                    pass
        self.over = True
        self.carrier = None

    def __repr__(self) -> str:
        return f"Flight({self.key!r}, landing={self.landing}, fenced={self.fenced})"


class Flights(Generic[K]):
    """The loads in progress whose result may still be kept, by key. Every method expects the cache's lock held."""

    def __init__(self) -> None:
        self.running: dict[K, Flight[K]] = {}

    def join(self, flight: Flight[K]) -> Flight[K]:
        """Return the flight for its key that is in the air: this one, if there was none."""
        flight.planned = flight.registered = True  # before it can be seen
        while True:
            other = self.running.setdefault(flight.key, flight)
            if other is flight:
                refuse_recursion(flight)
                return flight
            other.look()
            if other.landing is None:
                break
            self.leave(other)  # whose leader was interrupted before it could, or whose loop is gone
        flight.planned = flight.registered = False
        other.shared = True
        other.askers += 1
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
