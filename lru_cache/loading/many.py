"""`load_many`: one call for all keys that are missing, and still one load for each key among all who ask.

It drives a `LoadPath` as its own `_miss` does, with many flights at once. It must not know the cache's mapping face.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from threading import get_ident
from typing import TYPE_CHECKING, Any

from lru_cache import arguments
from lru_cache.arguments import MISSING
from lru_cache.loading.circles import leading
from lru_cache.loading.freshness import value_and_life
from lru_cache.loading.loaders import AsyncLoader, is_awaitable
from lru_cache.loading.single_flight import Flight, Landing, NothingLoadedError
from lru_cache.loading.threads import is_held_up_here

if TYPE_CHECKING:
    from lru_cache.loading.load_path import LoadPath
    from lru_cache.loading.plan import Planner

ManyLoader = Callable[[list[Any]], Mapping[Any, Any]]


class OneOfMany:
    """A loader for one key that asks the one for many."""

    def __init__(self, load_many: ManyLoader) -> None:
        self._load_many = load_many

    def __call__(self, key: Any) -> Any:
        """Load it; `NothingLoadedError` if there is nothing."""
        found: Any = self._load_many([key])
        return _one_later(found, key) if is_awaitable(found) else _one_of(found, key)


async def _one_later(found: Any, key: Any) -> Any:
    return _one_of(await found, key)


def _one_of(found: Any, key: Any) -> Any:
    found = _checked(found)
    if key not in found:
        raise NothingLoadedError(key)
    return found[key]


class AsyncOneOfMany:
    """The same for one that is to be awaited."""

    def __init__(self, load_many: Callable[[list[Any]], Any]) -> None:
        self._load_many = load_many

    async def __call__(self, key: Any) -> Any:
        """Load it; `NothingLoadedError` if there is nothing."""
        return _one_of(await self._load_many([key]), key)


def one_of_many(load_many: Any) -> Any:
    """A loader for one key, of one for many as `loaders.read` gives it, or None."""
    if type(load_many) is AsyncLoader:
        return AsyncLoader(AsyncOneOfMany(load_many.load))
    return None if load_many is None else OneOfMany(load_many)


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


def lead_many(
    path: "Planner[Any, Any]", led: list[Flight[Any]], load_many: ManyLoader, answer: Any = MISSING
) -> dict[Any, Any]:
    """Call the loader once for all of these, keep what it returns, and release who waits. What it has found.

    It has been called already if there is an answer.
    """
    try:
        if answer is MISSING:
            with ExitStack() as stack:
                for flight in led:
                    stack.enter_context(leading(flight))
                answer = load_many([flight.key for flight in led])
        found = _checked(answer)
        outcomes = [_keep(path, flight, found) for flight in led]
    except BaseException as error:
        is_failure = isinstance(error, Exception)
        landing = Landing.FAILURE if is_failure else Landing.ABANDONED
        for flight in led if is_failure else []:
            path._retry_later(flight)
        path._leave_many(led, landing)
        for flight in led:
            flight.land(landing, error if is_failure else None)
        del flight, led  # the exception holds this frame: no circle
        raise
    path._leave_many(led, Landing.VALUE)
    for flight, (landing, outcome) in zip(led, outcomes, strict=True):
        flight.land(landing, outcome)
    return {flight.key: outcome for flight, (_, outcome) in zip(led, outcomes, strict=True) if outcome is not MISSING}


def _keep(path: "Planner[Any, Any]", flight: Flight[Any], found: Mapping[Any, Any]) -> tuple[Landing, Any]:
    gone: list[Any] = []
    if flight.key in found:
        value, life = value_and_life(found[flight.key])
        path._refuse_awaitable(flight.key, value)
        landing, outcome = Landing.VALUE, path._keep_load(flight, value, life, gone)
    else:
        landing, outcome = path._keep_nothing(flight, gone)
    path._notify(gone)
    return landing, outcome


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
            own: Flight[Any] = Flight(path._flights, key, path._monotonic(), get_ident())
            self._planned.append(own)
            plan = path._plan(key, own, again)
            if plan.flight is None or plan.answer is not MISSING:
                answer = plan.answer if plan.flight is None else path._carry_out(plan, plan.flight, self._one, within)
                if answer is not MISSING:
                    self._answers[key] = answer
            elif plan.leads:
                self._led.append(own)
            elif within or is_held_up_here(plan.flight):
                path._stop_asking(plan.flight)
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
        led = self._led
        if not led:
            return
        for flight in led:
            flight.runs_here = True
        try:
            self._answers.update(lead_many(self._path, led, self._load_many))
        except Exception as error:
            instead = {flight.key: self._path._value_instead(flight.key) for flight in led}
            if MISSING in instead.values():
                raise
            self._path._log_failure(led[0].key, error)
            self._answers.update(instead)

    def wait(self) -> list[Any]:
        """Wait for what others load. The keys whose loads came to nothing, to be asked for again."""
        again = []
        for flight in self._awaited:
            landing = self._path._wait_for(flight, None)
            if landing is Landing.NOTHING:
                continue
            if landing is None:  # it cannot come while this thread waits
                self._path._stop_asking(flight)
                self._load_alone(flight.key)
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
        if is_awaitable(found):
            arguments.refuse_awaitable("many keys", found)
        raise TypeError(f"load_many must return a mapping from keys to values, not {type(found).__name__}")
    return found
