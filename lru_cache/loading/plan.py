"""What a look-up has to do, decided under the cache's lock: answer, load, wait, refresh, or serve a stale value.

`Planner` owns the lock and everything that the lock protects: the rules of loading stand here, once for threads and
for event loops. It never waits, and calls no loader but in `_lead`. This file must not know threads, event loops, the
mapping face of the cache, or that replication exists.
"""

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lru_cache import arguments
from lru_cache.arguments import MISSING
from lru_cache.clock import Clock
from lru_cache.loading.circles import leading
from lru_cache.loading.freshness import Freshness, value_and_life
from lru_cache.loading.loaders import Loader, use_aget
from lru_cache.loading.single_flight import Flight, Flights, Landing, NothingLoadedError
from lru_cache.log import logger
from lru_cache.store import REAPED_PER_WRITE, Entry, Gone, Lock, ReadPath, RemovalCause, Store

if TYPE_CHECKING:
    from lru_cache.removal import Removal

K = TypeVar("K")
V = TypeVar("V")

SECONDS_BETWEEN_FAILURE_LINES = 1.0  # a source that is down fails once for every key


class Plan(NamedTuple):
    """What a look-up has to do, as decided under the lock. No flight: return the answer, or there is none."""

    answer: Any = MISSING
    flight: Flight[Any] | None = None
    leads: bool = False  # the flight is this look-up's to run
    patience: float | None = None  # run it aside, and wait so many seconds; None: run it here, or wait until it lands


_NOTHING = Plan()


class Planner(ReadPath[K, V]):
    """A store with its loads in progress, behind one lock."""

    _keeps_nothing = False  # whether the cache is off: what is loaded goes to who waits for it, and nowhere else

    def __init__(
        self,
        store: Store[K, V],
        clock: Clock,
        freshness: Freshness,
        load_callback: Loader[K] | None,
        on_removal: "Callable[[Removal[K, V]], object] | None",
    ) -> None:
        super().__init__(store, clock.monotonic)
        self._freshness = freshness
        self._load_callback = load_callback
        self._on_removal = on_removal
        if on_removal is not None:
            from lru_cache.removal import Removal

            self._removal = Removal
        # Protects the store (but for plain hits), the flights and the counters below. Held for dict operations only:
        # no loader, listener or waiting under it. Reentrant, since a key's __eq__ or a finalizer may call the cache
        # from within.
        self._lock = Lock()
        self._flights: Flights[K] = Flights()
        self._to_notify: deque[Gone[K, V]] = deque()  # what left within the lock; who leaves it notifies the listener
        self._misses = 0
        self._loads = 0
        self._load_failures = 0
        self._fenced_loads = 0
        self._stale_served = 0
        self._failures_unlogged = 0
        self._next_failure_line = -inf
        # The type of the last value loaded, which is none to await: to ask that of each costs 4% of a load.
        self._usual_type: type = type(None)
        self._write_shortly(self._plain_life())

    def _write_shortly(self, life: float | None, write: Callable[[K, V], bool] | None = None) -> None:
        """Say what the store's `get` and `set` may do by themselves, as `ReadPath._allow_short_cuts` describes it."""
        misses = self._misses_are_plain()
        self._allow_short_cuts(self._lock, self._flights.running, MISSING, misses, life, write)

    # -- what a look-up has to do ------------------------------------------------------------------------------------

    def _plan(self, key: K, own: Flight[K] | None, again: bool) -> Plan:
        """Decide what this look-up does; `own` is the flight that it may lead, if it has a loader."""
        plan = self._plan_unless_due(key, own, again)
        if plan is None:
            with self._lock:
                plan = self._plan_locked(self._find_locked(key), self._monotonic(), own, again)
        return plan

    def _plan_unless_due(self, key: K, own: Flight[K] | None, again: bool) -> Plan | None:
        """Plan at once, unless something has to leave: that goes first, and then it is to be planned anew.

        Not in one locked step, since what leaves may run a listener or a finalizer, which may ask for this very key,
        and so must find no flight that only waits for this thread to begin it.
        """
        with self._lock:
            now = self._monotonic()
            gone = self._reap_locked(now, REAPED_PER_WRITE)
            entry = self._find_locked(key)
            if entry is not None and not now < entry.deadline + self._freshness.stale_time:
                gone += self._remove_locked(key, RemovalCause.EXPIRED, now)
            if not gone and not self._to_notify:
                return self._plan_locked(entry, now, own, again)
        self._notify(gone)
        return None

    def _plan_locked(self, entry: Entry[K, V] | None, now: float, own: Flight[K] | None, again: bool) -> Plan:
        if entry is not None and now < entry.deadline:
            return self._plan_hit_locked(entry, now, own, again)
        self._misses += not again
        stale = entry is not None and now < entry.deadline + self._freshness.stale_time
        return self._plan_load_locked(entry if stale else None, now, own)

    def _notify_of_rest(self) -> None:
        """Notify of what a key's own code has removed in a locked step of ours that removed nothing itself."""
        if self._to_notify:
            self._notify([])

    def _plan_hit_locked(self, entry: Entry[K, V], now: float, own: Flight[K] | None, again: bool) -> Plan:
        """A hit that is due for a refresh, or whose entry came while we waited for the lock."""
        if not again:
            self._count_hit()
        self._store.use(entry)
        refreshes = self._freshness.refresh_time is not None
        if now < entry.fresh_until or (refreshes and (own is None or not own.may_begin)):
            return Plan(entry.value)
        entry.fresh_until = entry.deadline  # one refresh is enough: unless it fails, further hits are plain ones
        if own is None or not refreshes:
            return Plan(entry.value)
        flight = self._flights.join(own)
        if flight is not own:
            return Plan(entry.value)
        own.goes_on = True
        return Plan(entry.value, own, True, patience=0.0)

    def _plan_load_locked(self, stale: Entry[K, V] | None, now: float, own: Flight[K] | None) -> Plan:
        if own is None:
            return _NOTHING
        if stale is not None and now < stale.retry_at:
            self._stale_served += 1
            self._store.use(stale)
            return Plan(stale.value)
        if not own.may_begin and own.key not in self._flights.running:
            raise use_aget(own.key)
        flight = self._flights.join(own)
        timeout = self._freshness.load_timeout
        if stale is None or timeout is None:
            return Plan(MISSING, flight, flight is own)
        flight.shared = True  # it lands in another thread, also for the look-up that leads it
        return Plan(MISSING, flight, flight is own, patience=max(0.0, flight.started + timeout - now))

    # -- the load ----------------------------------------------------------------------------------------------------

    def _lead(self, flight: Flight[K], loader: Loader[K], answer: Any = MISSING) -> Any:
        """Run the loader, keep what it returns unless the key was written meanwhile, and release who waits.

        It has been run already if there is an answer.
        """
        landing, outcome = Landing.ABANDONED, None
        gone: list[Gone[K, V]] = []  # to be told of, and let go, after the landing: that may take its time
        try:
            if answer is MISSING:
                with leading(flight):
                    answer = loader(flight.key)
            value, life = value_and_life(answer)
            if type(value) is not self._usual_type:
                self._refuse_awaitable(flight.key, value)
            outcome = self._keep_load(flight, value, life, gone)
            landing = Landing.VALUE
        except NothingLoadedError:
            landing, outcome = self._keep_nothing(flight, gone)
            if outcome is MISSING:
                if self._on_removal is not None:
                    self._to_notify.extend(gone)
                raise
        except Exception as error:
            landing, outcome = Landing.FAILURE, error
            self._retry_later(flight)
            raise
        except BaseException as error:
            outcome = error  # for who has it loaded elsewhere; all others load again
            if flight.goes_on:
                self._retry_later(flight)
            raise
        finally:
            try:
                self._leave(flight, landing)
            finally:
                flight.land(landing, outcome)
                outcome = outcome if landing is Landing.VALUE else None  # the exception holds this frame
                del flight, loader
        self._notify(gone)
        return outcome

    def _answer_of(
        self, flight: Flight[K], landing: Landing | None, patience: float | None = None, leads: bool = False
    ) -> Any:
        """What a look-up that has waited for a flight is to return. MISSING: it begins again.

        None landed within its `patience`, if it had any. Then a stale value serves, and what serves it keeps the load.
        Of all to whom a stale value hides a failure, who leads logs it.
        """
        if landing is Landing.VALUE:
            return flight.outcome
        if landing is Landing.FAILURE:
            value = self._value_instead(flight.key)
            if value is MISSING:
                error, traceback = flight.outcome, flight.traceback
                del flight
                try:
                    raise error.with_traceback(traceback)
                finally:
                    del error, traceback  # which hold this frame: no circle
            if leads and not flight.goes_on:
                self._log_failure(flight.key, flight.outcome)
            return value
        if landing is Landing.NOTHING:
            raise NothingLoadedError(flight.key)
        if patience is None:
            return MISSING
        with self._lock:
            value = self._value_instead(flight.key)
            if value is not MISSING:
                flight.goes_on = True
            elif landing is None:
                flight.askers -= 1  # it will ask once more
        return value

    def _stop_asking(self, flight: Flight[K]) -> None:
        """A look-up no longer waits for a flight that was handed over. When none does, nobody wants the load."""
        with self._lock:
            flight.askers -= 1
            if flight.askers > 0 or flight.goes_on or flight.landing is not None:
                return
            flight.fenced = True
            self._flights.leave(flight)
            carrier = flight.carrier
        flight.give_up()
        if carrier is not None:
            carrier.cancel()

    def _lead_aside(self, flight: Flight[K], loader: Loader[K], answer: Any = MISSING) -> None:
        """`_lead` in nobody's stack: who waits is told how it ended, and the log if somebody did not wait for that."""
        try:
            self._lead(flight, loader, answer)
        except NothingLoadedError:
            pass  # what is left of a life is over
        except Exception as error:  # noqa: BLE001 - a loader may raise anything
            if flight.goes_on:
                self._log_failure(flight.key, error)
        finally:
            del flight, loader  # an exception holds this frame: no circle

    def _count_load(self) -> None:
        with self._lock:
            self._loads += 1

    def _value_alone(self, key: K, answer: Any) -> Any:
        """The value of a load that was for one caller only."""
        value, _ = value_and_life(answer)
        self._refuse_awaitable(key, value)
        return value

    def _refuse_awaitable(self, key: K, value: Any) -> None:
        if hasattr(type(value), "__await__"):
            arguments.refuse_awaitable(key, value)
        self._usual_type = type(value)

    def _keep_load(self, flight: Flight[K], value: Any, life: float | None, gone: list[Gone[K, V]]) -> Any:
        """Keep what was loaded; if the key was written meanwhile, keep nothing and prefer what was written."""
        prepared = self._prepare_load(flight.key, value)
        with self._lock:
            now = self._monotonic()
            fenced = flight.fenced
            if fenced:
                entry = self._find_locked(flight.key)
                if entry is not None and now < entry.deadline:
                    value = entry.value
            elif self._keeps_nothing or life == 0:
                gone += self._remove_locked(flight.key, RemovalCause.REPLACED, now)  # it is older
            else:
                gone += self._put_load_locked(flight, value, life, now, prepared)
                fenced = flight.fenced
                if fenced:  # by the key's own code, while the store compared it
                    gone += self._remove_locked(flight.key, RemovalCause.INVALIDATED, now)
            self._fenced_loads += fenced
        return value

    def _keep_nothing(self, flight: Flight[K], gone: list[Gone[K, V]]) -> tuple[Landing, Any]:
        """The source has no such key: what was held of it goes, unless it was written meanwhile."""
        with self._lock:
            now = self._monotonic()
            if not flight.fenced:
                gone += self._remove_locked(flight.key, RemovalCause.EXPIRED, now)
                return Landing.NOTHING, MISSING
            entry = self._find_locked(flight.key)
            if entry is not None and now < entry.deadline:
                return Landing.VALUE, entry.value
        return Landing.NOTHING, MISSING

    def _retry_later(self, flight: Flight[K]) -> None:
        """The load came to nothing: as long as there is something to serve, ask again only after `retry_time`."""
        with self._lock:
            entry = None if flight.fenced else self._find_locked(flight.key)
            if entry is not None:
                now = self._monotonic()
                entry.retry_at = now + self._freshness.retry_time
                if now < entry.deadline:
                    entry.fresh_until = min(entry.retry_at, entry.deadline)

    def _value_instead(self, key: K) -> Any:
        """What can be served in place of a load: a value written meanwhile, or one that expired not too long ago."""
        with self._lock:
            now = self._monotonic()
            entry = self._find_locked(key)
            if entry is None or not now < entry.deadline + self._freshness.stale_time:
                return MISSING
            self._stale_served += not now < entry.deadline
            self._store.use(entry)
            return entry.value

    def _leave(self, flight: Flight[K], landing: Landing) -> None:
        """The loader has returned: from here on a look-up starts a load of its own."""
        with self._lock:
            self._loads += 1
            self._load_failures += landing is Landing.FAILURE
            if not flight.fenced:
                self._flights.leave(flight)

    def _leave_many(self, flights: list[Flight[K]], landing: Landing) -> None:
        """Likewise for all that one call has loaded."""
        with self._lock:
            self._loads += 1
            self._load_failures += landing is Landing.FAILURE
            for flight in flights:
                if not flight.fenced:
                    self._flights.leave(flight)

    def _give_up(self, flight: Flight[K]) -> None:
        """See to it that a flight of this look-up is over. Fenced, in case that somebody leads it all the same."""
        if not flight.planned or flight.handed_over:
            return
        if flight.registered or not flight.over:
            self._give_up_now(flight)

    def _give_up_now(self, flight: Flight[K]) -> None:
        """What carried a flight has ended. If it has not landed, nobody will land it."""
        with self._lock:
            flight.fenced = True
            self._flights.leave(flight)
        flight.give_up()

    # -- what a cache that is more than local does otherwise ---------------------------------------------------------

    def _find_locked(self, key: K) -> Entry[K, V] | None:
        """The entry for a key, whatever its age, with a value that can be handed out."""
        return self._store.find(key)

    def _prepare_load(self, key: K, value: V) -> Any:
        """Outside the lock, before a load is kept: what `_put_load_locked` will need."""

    def _put_load_locked(
        self,
        flight: Flight[K],
        value: V,
        life: float | None,
        now: float,
        prepared: Any,  # noqa: ARG002 - what `_prepare_load` returned, for who overrides both
    ) -> list[Gone[K, V]]:
        return self._store.put(flight.key, value, now, *self._freshness.ends(now, life))

    def _reap_locked(self, now: float, limit: int | None = None) -> list[Gone[K, V]]:
        return self._store.reap(now, limit)

    def _remove_locked(self, key: K, cause: RemovalCause, now: float) -> list[Gone[K, V]]:
        entry = self._store.find(key)
        gone = None if entry is None else self._store.remove(entry, cause, now)
        return [] if gone is None else [gone]

    def _misses_are_plain(self) -> bool:
        """Whether a look-up of what is not there has nothing to do but to say so, and to be counted."""
        return self._nobody_hears_of_misses() and not self._overrides(Planner, "_plan")

    def _nobody_hears_of_misses(self) -> bool:
        return self._load_callback is None and self._on_removal is None

    def _plain_life(self) -> float | None:
        """How long a value lives that is set without more said, if setting it is nothing but putting it; else None."""
        return None

    def _overrides(self, cls: type, *names: str) -> bool:
        """Whether a subclass does any of this its own way."""
        return any(getattr(type(self), name) is not getattr(cls, name) for name in names)

    # -- around the lock ---------------------------------------------------------------------------------------------

    def _after_fork_in_child(self) -> None:
        """Only the thread that forked is in this process: what the others were loading, nobody is."""
        self._lock._at_fork_reinit()  # type: ignore[attr-defined]  # what threading does with its own
        self._flights.fence_all()

    def _within_lock(self) -> bool:
        """Whether this thread was in a locked step of ours already when it called, that is, runs a key's own code."""
        owned: bool = self._lock._is_owned()  # type: ignore[attr-defined]  # what threading.Condition asks, too
        return owned

    def _notify(self, gone: list[Gone[K, V]]) -> None:
        """Notify the listener of what left. Outside the lock; from within it, leave that to the step that holds it."""
        listener = self._on_removal
        if listener is None or not (gone or self._to_notify):
            return
        self._to_notify.extend(gone)
        if self._within_lock():
            return
        while self._to_notify:
            try:
                key, value, _, cause = self._to_notify.popleft()
            except IndexError:
                return  # another thread was quicker
            try:
                listener(self._removal(key, value, cause))
            except Exception:  # noqa: BLE001 - a listener may raise anything, and the cache goes on
                logger().exception("on_removal raised for key %r (%s)", key, cause)

    def _log_failure(self, key: K, error: BaseException) -> None:
        """One line for a loader's exception that reaches no caller, and not more than one a second."""
        with self._lock:
            now = self._monotonic()
            if now < self._next_failure_line:
                self._failures_unlogged += 1
                return
            self._next_failure_line = now + SECONDS_BETWEEN_FAILURE_LINES
            unlogged, self._failures_unlogged = self._failures_unlogged, 0
        more = f" ({unlogged} more failures since the last such line)" if unlogged else ""
        logger().warning("loading %r failed, a kept value stands in: %r%s", key, error, more)
