"""`load_many`: one call for all keys that are missing, and still one load for each key among all who ask.

It drives a `LoadPath` as its own `_miss` does, with many flights at once. It must not know the cache's mapping face.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from lru_cache import arguments
from lru_cache.arguments import MISSING
from lru_cache.loading.freshness import value_and_life
from lru_cache.loading.single_flight import Flight, Landing, NothingLoadedError, leading

if TYPE_CHECKING:
    from lru_cache.loading.load_path import LoadPath

ManyLoader = Callable[[list[Any]], Mapping[Any, Any]]


class OneOfMany:
    """A loader for one key that asks the one for many."""

    def __init__(self, load_many: ManyLoader) -> None:
        self._load_many = load_many

    def __call__(self, key: Any) -> Any:
        """Load it; `NothingLoadedError` if there is nothing."""
        found = _checked(self._load_many([key]))
        if key not in found:
            raise NothingLoadedError(key)
        return found[key]


def get_many(path: "LoadPath[Any, Any]", keys: list[Any], load_many: ManyLoader) -> dict[Any, Any]:
    """The values of these keys, all different; those that are neither held nor loaded are left out."""
    answers: dict[Any, Any] = {}
    asked, again = keys, False
    while asked:
        look_up = _LookUp(path, load_many, answers)
        try:
            look_up.plan(asked, again)
            look_up.load()
            asked = look_up.wait()
        finally:
            try:  # also by Ctrl-C between two steps of ours, and once more if that comes in here
                look_up.give_up()
            finally:
                look_up.give_up()
        again = True
    return {key: answers[key] for key in keys if key in answers}


class _LookUp:
    """One look-up of many keys: what is held is answered, what nobody loads is loaded, what others load is waited for.

    In this order, so that two who wait for each other's keys have both loaded before.
    """

    def __init__(self, path: "LoadPath[Any, Any]", load_many: ManyLoader, answers: dict[Any, Any]) -> None:
        self._path = path
        self._load_many = load_many
        self._one = OneOfMany(load_many)
        self._answers = answers
        self._planned: list[Flight[Any]] = []
        self._led: list[Flight[Any]] = []
        self._awaited: list[Flight[Any]] = []

    def plan(self, keys: list[Any], again: bool) -> None:
        path, within = self._path, self._path._within_lock()
        for key in keys:
            own: Flight[Any] = Flight(path._flights, key, path._monotonic())
            self._planned.append(own)
            plan = path._plan(key, own, again)
            if plan.flight is None or plan.answer is not MISSING:
                answer = plan.answer if plan.flight is None else path._carry_out(plan, plan.flight, self._one, within)
                if answer is not MISSING:
                    self._answers[key] = answer
            elif plan.leads:
                self._led.append(own)
            elif within or plan.flight.is_planned_here():
                self._load_alone(key)
            else:
                self._awaited.append(plan.flight)

    def _load_alone(self, key: Any) -> None:
        try:
            self._answers[key] = self._path._load_alone(key, self._one)
        except NothingLoadedError:
            pass

    def load(self) -> None:
        """Call the loader once for all that this look-up leads."""
        if not self._led:
            return
        try:
            with ExitStack() as stack:
                for flight in self._led:
                    stack.enter_context(leading(flight))
                found = _checked(self._load_many([flight.key for flight in self._led]))
            outcomes = [self._keep(flight, found) for flight in self._led]
        except Exception as error:  # noqa: BLE001 - a loader may raise anything
            self._fail(error)
            return
        self._path._leave_many(self._led, Landing.VALUE)
        for flight, (landing, outcome) in zip(self._led, outcomes, strict=True):
            flight.land(landing, outcome)
            if outcome is not MISSING:
                self._answers[flight.key] = outcome

    def _keep(self, flight: Flight[Any], found: Mapping[Any, Any]) -> tuple[Landing, Any]:
        gone: list[Any] = []
        if flight.key in found:
            value, life = value_and_life(found[flight.key])
            self._path._refuse_awaitable(flight.key, value)
            landing, outcome = Landing.VALUE, self._path._keep_load(flight, value, life, gone)
        else:
            landing, outcome = self._path._keep_nothing(flight, gone)
        self._path._notify(gone)
        return landing, outcome

    def _fail(self, error: Exception) -> None:
        """Tell all who wait; raise, unless there is something to serve in place of each value."""
        for flight in self._led:
            self._path._retry_later(flight)
        self._path._leave_many(self._led, Landing.FAILURE)
        for flight in self._led:
            flight.land(Landing.FAILURE, error)
        instead = {flight.key: self._path._value_instead(flight.key) for flight in self._led}
        if MISSING in instead.values():
            raise error
        self._path._log_failure(self._led[0].key, error)
        self._answers.update(instead)

    def wait(self) -> list[Any]:
        """Wait for what others load. The keys whose loads came to nothing, to be asked for again."""
        again = []
        for flight in self._awaited:
            landing = flight.wait()
            if landing is Landing.NOTHING:
                continue
            answer = self._path._answer_of(flight, landing)
            if answer is MISSING:
                again.append(flight.key)
            else:
                self._answers[flight.key] = answer
        return again

    def give_up(self) -> None:
        for flight in self._planned:
            self._path._give_up(flight)


def _checked(found: Any) -> Mapping[Any, Any]:
    if not isinstance(found, Mapping):
        if hasattr(type(found), "__await__"):
            arguments.refuse_awaitable("many keys", found)
        raise TypeError(f"load_many must return a mapping from keys to values, not {type(found).__name__}")
    return found
