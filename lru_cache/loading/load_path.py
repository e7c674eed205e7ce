"""What a thread does when its look-up is no plain hit: load here, wait, refresh aside, or serve what has expired.

What is to be done the `Planner` decides, under the lock; here it is done, outside it. The same for tasks of an event
loop stands in `loops.py`, which is imported by the first of them. This file must not know the mapping face of the
cache, or that replication exists.
"""

from contextvars import Context, copy_context
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from lru_cache.arguments import MISSING
from lru_cache.loading import loaders
from lru_cache.loading.loaders import AsyncLoader, Loader, use_aget
from lru_cache.loading.many import OneOfMany
from lru_cache.loading.plan import Plan, Planner
from lru_cache.loading.single_flight import Flight, NothingLoadedError
from lru_cache.loading.threads import LoadingThreads, is_held_up_here, wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from lru_cache.clock import Clock
    from lru_cache.loading.freshness import Freshness
    from lru_cache.removal import Removal
    from lru_cache.store import Store

K = TypeVar("K")
V = TypeVar("V")

BACKGROUND_LOADS = (
    32  # that load, at once in one cache: a loader that hangs costs one each time, and no more than these
)


class LoadPath(Planner[K, V]):
    """A store with loading on a miss, for threads."""

    def __init__(
        self,
        store: "Store[K, V]",
        clock: "Clock",
        freshness: "Freshness",
        load_callback: Loader[K] | None,
        on_removal: "Callable[[Removal[K, V]], object] | None",
    ) -> None:
        self._threads = LoadingThreads(BACKGROUND_LOADS)
        super().__init__(store, clock, freshness, load_callback, on_removal)

    def _miss(self, key: K, default: Any, load: Loader[K] | None) -> Any:
        loader = self._load_callback if load is None else loaders.read("load", load)
        if loader is None:
            plan = self._plan(key, None, False)
            return default if plan.answer is MISSING else plan.answer
        within = self._within_lock()
        again = False
        while True:
            own = Flight(self._flights, key, self._monotonic(), get_ident(), type(loader) is not AsyncLoader)
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

    def _carry_out(self, plan: Plan, flight: Flight[K], loader: Loader[K], within: bool) -> Any:
        """Do what was planned with a flight, and return the answer. MISSING: there is none, the look-up begins again.

        Four ways: the load runs in another thread (`patience`); this look-up leads it; this look-up must not wait for
        it, and loads for itself; or it waits.
        """
        if plan.patience is not None:
            return self._load_aside(plan, flight, loader, 0.0 if within else plan.patience)
        if plan.leads:
            return self._load_here(flight, loader)
        # The flight's leader needs our lock to land, and so cannot while this thread holds it.
        if not (within or is_held_up_here(flight)):
            landing = self._wait_for(flight, None)
            if landing is not None:
                return self._answer_of(flight, landing)
        self._stop_asking(flight)
        return self._load_alone(flight.key, loader)

    def _wait_for(self, flight: Flight[K], patience: float | None) -> Any:
        try:
            return wait(flight, patience)
        except BaseException:
            self._stop_asking(flight)
            raise

    def _load_here(self, flight: Flight[K], loader: Loader[K]) -> Any:
        flight.runs_here = True
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

    def _load_aside(self, plan: Plan, flight: Flight[K], loader: Loader[K], patience: float) -> Any:
        """A refresh that nobody waits for, or a load in whose place a stale value serves once patience ends.

        A refresh belongs to no caller, and sees none of the variables of its context.
        """
        if plan.leads:
            flight.handed_over, flight.place = True, None
            context = copy_context() if plan.answer is MISSING else Context()
            if not self._threads.start(lambda: self._lead_aside(flight, loader), context):
                flight.handed_over = False
                self._retry_later(flight)
                self._give_up(flight)
        if plan.answer is not MISSING:
            return plan.answer
        if not plan.leads and is_held_up_here(flight):
            patience = 0.0
        return self._answer_of(flight, self._wait_for(flight, patience), patience, plan.leads)

    def _load_alone(self, key: K, loader: Loader[K]) -> Any:
        """Load for this caller only, who must not wait for a flight that cannot land before it has gone on."""
        if type(loader) is AsyncLoader:
            raise use_aget(key)
        self._count_load()
        return self._value_alone(key, loader(key))

    def _misses_are_plain(self) -> bool:
        return super()._misses_are_plain() and not self._overrides(LoadPath, "_miss")

    def _after_fork_in_child(self) -> None:
        super()._after_fork_in_child()
        self._threads = LoadingThreads(BACKGROUND_LOADS)
