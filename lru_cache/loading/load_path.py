"""What a look-up does when it is no plain hit: load, wait, refresh ahead, or serve what has expired.

`LoadPath` owns the cache's lock and everything that the lock protects. It must not know the mapping face of the cache,
or that replication exists. What is to be done is decided under the lock, in `_plan`, and done outside it.
"""

from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lru_cache import arguments
from lru_cache.arguments import MISSING
from lru_cache.clock import Clock
from lru_cache.loading.background import BackgroundThreads
from lru_cache.loading.freshness import Freshness, value_and_life
from lru_cache.loading.many import OneOfMany
from lru_cache.loading.single_flight import Flight, Flights, Landing, NothingLoadedError, leading
from lru_cache.log import logger
from lru_cache.store import REAPED_PER_WRITE, Entry, Gone, Lock, ReadPath, RemovalCause, Store

if TYPE_CHECKING:
    from lru_cache.removal import Removal

K = TypeVar("K")
V = TypeVar("V")
Loader = Callable[[K], Any]

BACKGROUND_LOADS = 32  # at once in one cache: a loader that hangs costs a thread each time, and no more than these
SECONDS_BETWEEN_FAILURE_LINES = 1.0  # a source that is down fails once for every key


class _Plan(NamedTuple):
    """What a look-up has to do, as decided under the lock. No flight: return the answer, or there is none."""

    answer: Any = MISSING
    flight: Flight[Any] | None = None
    leads: bool = False  # the flight is this look-up's to run
    patience: float | None = None  # run it aside, and wait so many seconds; None: run it here, or wait until it lands


_NOTHING = _Plan()


class LoadPath(ReadPath[K, V]):
    """A store with loading on a miss, behind one lock."""

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
        self._background = BackgroundThreads(BACKGROUND_LOADS)
        self._write_shortly(self._plain_life())

    def _write_shortly(self, life: float | None, write: Callable[[K, V], bool] | None = None) -> None:
        """Say what the store's `get` and `set` may do by themselves, as `ReadPath._allow_short_cuts` describes it."""
        misses = self._misses_are_plain()
        self._allow_short_cuts(self._lock, self._flights.running, MISSING, misses, life, write)

    # -- the look-up -------------------------------------------------------------------------------------------------

    def _miss(self, key: K, default: Any, load: Loader[K] | None) -> Any:
        loader = self._load_callback if load is None else arguments.loader("load", load)
        if loader is None:
            plan = self._plan(key, None, False)
            return default if plan.answer is MISSING else plan.answer
        within = self._within_lock()
        again = False
        while True:
            own = Flight(self._flights, key, self._monotonic())
            try:
                plan = self._plan(key, own, again)
                answer = plan.answer if plan.flight is None else self._carry_out(plan, plan.flight, loader, within)
            except NothingLoadedError:
                self._notify_of_rest()
                if plan.leads or isinstance(loader, OneOfMany):
                    return default
                answer = MISSING  # another loader has left it out: ask this one
            finally:
                # However this ended, also by Ctrl-C between two steps of ours, and once more if that comes in here.
                try:
                    self._give_up(own)
                finally:
                    self._give_up(own)
            if answer is not MISSING:
                return answer
            again = True

    def _carry_out(self, plan: _Plan, flight: Flight[K], loader: Loader[K], within: bool) -> Any:
        """Do what was planned with a flight, and return the answer. MISSING: there is none, the look-up begins again.

        Four ways: the load runs in another thread (`patience`); this look-up leads it; this look-up must not wait for
        it, and loads for itself; or it waits.
        """
        if plan.patience is not None:
            return self._load_aside(plan, flight, loader, 0.0 if within else plan.patience)
        if plan.leads:
            return self._load_here(flight, loader)
        # The flight's leader needs our lock to land, and so cannot while this thread holds it. And a flight that this
        # very thread has planned and not begun yet (a finalizer came in between) begins only after this look-up.
        if within or flight.is_planned_here():
            return self._load_alone(flight.key, loader)
        return self._answer_of(flight, flight.wait())

    def _load_here(self, flight: Flight[K], loader: Loader[K]) -> Any:
        try:
            return self._lead(flight, loader)
        except NothingLoadedError:
            raise
        except Exception as error:
            value = self._value_instead(flight.key)
            if value is MISSING:
                raise
            self._log_failure(flight.key, error)
            return value

    def _load_aside(self, plan: _Plan, flight: Flight[K], loader: Loader[K], patience: float) -> Any:
        """A refresh that nobody waits for, or a load in whose place a stale value serves once patience ends."""
        if plan.leads:
            flight.handed_over = True
            if not self._background.start(lambda: self._lead_quietly(flight, loader)):
                flight.handed_over = False
                self._retry_later(flight)
                self._give_up(flight)
        if plan.answer is not MISSING:
            return plan.answer
        landing = flight.wait(patience)
        if landing is None or landing is Landing.ABANDONED:
            return self._value_instead(flight.key)
        return self._answer_of(flight, landing)

    def _answer_of(self, flight: Flight[K], landing: Landing | None) -> Any:
        """What the landing of a flight means to a look-up that waited for it."""
        if landing is Landing.VALUE:
            return flight.outcome
        if landing is Landing.FAILURE:
            value = self._value_instead(flight.key)
            if value is MISSING:
                raise flight.outcome.with_traceback(flight.traceback)
            return value
        if landing is Landing.NOTHING:
            raise NothingLoadedError(flight.key)
        return MISSING

    def _plan(self, key: K, own: Flight[K] | None, again: bool) -> _Plan:
        """Decide what this look-up does; `own` is the flight that it may lead, if it has a loader."""
        plan = self._plan_unless_due(key, own, again)
        if plan is None:
            with self._lock:
                plan = self._plan_locked(self._find_locked(key), self._monotonic(), own, again)
        return plan

    def _plan_unless_due(self, key: K, own: Flight[K] | None, again: bool) -> _Plan | None:
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

    def _plan_locked(self, entry: Entry[K, V] | None, now: float, own: Flight[K] | None, again: bool) -> _Plan:
        if entry is not None and now < entry.deadline:
            return self._plan_hit_locked(entry, now, own, again)
        self._misses += not again
        stale = entry is not None and now < entry.deadline + self._freshness.stale_time
        return self._plan_load_locked(entry if stale else None, now, own)

    def _notify_of_rest(self) -> None:
        """Notify of what a key's own code has removed in a locked step of ours that removed nothing itself."""
        if self._to_notify:
            self._notify([])

    def _plan_hit_locked(self, entry: Entry[K, V], now: float, own: Flight[K] | None, again: bool) -> _Plan:
        """A hit that is due for a refresh, or whose entry came while we waited for the lock."""
        if not again:
            self._count_hit()
        self._store.use(entry)
        refreshes = self._freshness.refresh_time is not None
        if now < entry.fresh_until or (refreshes and own is None):
            return _Plan(entry.value)
        entry.fresh_until = entry.deadline  # one refresh is enough: unless it fails, further hits are plain ones
        if own is None or not refreshes:
            return _Plan(entry.value)
        flight = self._flights.join(own)
        return _Plan(entry.value, own, True, patience=0.0) if flight is own else _Plan(entry.value)

    def _plan_load_locked(self, stale: Entry[K, V] | None, now: float, own: Flight[K] | None) -> _Plan:
        if own is None:
            return _NOTHING
        if stale is not None and now < stale.retry_at:
            self._stale_served += 1
            self._store.use(stale)
            return _Plan(stale.value)
        flight = self._flights.join(own)
        timeout = self._freshness.load_timeout
        if stale is None or timeout is None:
            return _Plan(MISSING, flight, flight is own)
        flight.shared = True  # it lands in another thread, also for the look-up that leads it
        return _Plan(MISSING, flight, flight is own, patience=max(0.0, flight.started + timeout - now))

    # -- the load ----------------------------------------------------------------------------------------------------

    def _lead(self, flight: Flight[K], loader: Loader[K]) -> Any:
        """Run the loader, keep what it returns unless the key was written meanwhile, and release who waits."""
        landing, outcome = Landing.ABANDONED, None
        gone: list[Gone[K, V]] = []  # to be told of, and let go, after the landing: that may take its time
        try:
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
        finally:
            try:
                self._leave(flight, landing)
            finally:
                flight.land(landing, outcome)
                outcome = outcome if landing is Landing.VALUE else None  # the exception holds this frame
        self._notify(gone)
        return outcome

    def _lead_quietly(self, flight: Flight[K], loader: Loader[K]) -> None:
        try:
            self._lead(flight, loader)
        except NothingLoadedError:
            pass  # what is left of a life is over
        except Exception as error:  # noqa: BLE001 - a loader may raise anything, and who asked has gone on
            self._log_failure(flight.key, error)

    def _load_alone(self, key: K, loader: Loader[K]) -> Any:
        """Load for this caller only. It holds our lock further up its stack (running a key's `__eq__`, say) and so must
        not wait for a flight, whose leader needs that lock to land.
        """
        with self._lock:
            self._loads += 1
        value, _ = value_and_life(loader(key))
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
        if flight.planner is None or flight.handed_over:
            return
        if flight.registered or not flight.over:
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
        return self._nobody_hears_of_misses() and not self._overrides(LoadPath, "_miss", "_plan")

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
        self._background = BackgroundThreads(BACKGROUND_LOADS)

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
