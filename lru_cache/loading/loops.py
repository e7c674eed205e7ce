"""What a task of an event loop does when its look-up is no plain hit, and loads that run in tasks.

What is to be done the `Planner` decides, and how a load ends stands there too; here it is carried out for asyncio, for
any number of loops. A load belongs to the cache: it runs in a task or a thread of its own, and who asks waits for
its flight, so that to cancel one who waits touches nobody else. This file must not know the cache's mapping face.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from threading import get_ident
from typing import TYPE_CHECKING, Any

from lru_cache.arguments import MISSING
from lru_cache.loading.circles import leading, waiting
from lru_cache.loading.loaders import AsyncLoader, is_awaitable
from lru_cache.loading.many import AsyncOneOfMany, OneOfMany, lead_many
from lru_cache.loading.single_flight import Flight, Landing, NothingLoadedError
from lru_cache.loading.threads import LOOK_AFTER_SECONDS

if TYPE_CHECKING:
    from lru_cache.loading.load_path import LoadPath
    from lru_cache.loading.plan import Plan

    Path = LoadPath[Any, Any]
    Loop = asyncio.AbstractEventLoop


async def look_up(path: "Path", key: Any, default: Any, loader: Any) -> Any:
    """The value of a key that is no plain hit: what `LoadPath._miss` is for a thread."""
    loop = _this_loop()
    again = False
    while True:
        own: Flight[Any] = Flight(path._flights, key, path._monotonic(), get_ident())
        try:
            plan = path._plan(key, own, again)
            answer = plan.answer if plan.flight is None else await _carry_out(path, plan, plan.flight, loader, loop)
        except NothingLoadedError:
            path._notify_of_rest()
            if plan.leads or isinstance(_called(loader), OneOfMany | AsyncOneOfMany):
                return default
            answer = MISSING  # another loader has left it out: ask this one
        finally:
            path._give_up(own)
        if answer is not MISSING:
            return answer
        again = True


async def look_up_many(path: "Path", keys: list[Any], load_many: Any) -> dict[Any, Any]:
    """The values of these keys, all different, by one call of the loader for all that nobody else loads."""
    loop = _this_loop()
    answers: dict[Any, Any] = {}
    asked, again = keys, False
    while asked:
        plans: list[tuple[Any, Plan]] = []
        own: list[Flight[Any]] = []
        try:
            for key in asked:
                own.append(Flight(path._flights, key, path._monotonic(), get_ident()))
                plans.append((key, path._plan(key, own[-1], again)))
            led = [plan.flight for _, plan in plans if plan.leads and plan.flight is not None]
            if led:
                _start_many(path, led, load_many, loop)
            asked = await _answers_of(path, plans, answers, loop)
        finally:
            for flight in own:
                path._give_up(flight)
        again = True
    return {key: answers[key] for key in keys if key in answers}


async def each(look_ups: "list[Awaitable[Any]]") -> list[Any]:
    """Wait for all of these. The first failure, in their order, is raised once all are over."""
    found = await asyncio.gather(*look_ups, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found


async def until(
    subscribe: Callable[[Callable[[], None]], Callable[[], None]],
    is_so: Callable[[], bool],
    seconds: float | None,
) -> bool:
    """Wait until something is so, which is to be looked at whenever what was subscribed is called, from any thread."""
    loop = _this_loop()
    changed = asyncio.Event()

    def note() -> None:
        try:
            loop.call_soon_threadsafe(changed.set)
        except RuntimeError:
            pass  # the loop is closed

    unsubscribe = subscribe(note)
    ends = None if seconds is None else loop.time() + seconds
    try:
        while not is_so():
            left = None if ends is None else ends - loop.time()
            if left is not None and left <= 0:
                return False
            changed.clear()
            if is_so():
                return True
            try:
                await asyncio.wait_for(changed.wait(), left)
            except asyncio.TimeoutError:  # before 3.11 not the built-in
                return is_so()
        return True
    finally:
        unsubscribe()


# -- one flight ------------------------------------------------------------------------------------------------------


async def _carry_out(path: "Path", plan: "Plan", flight: Flight[Any], loader: Any, loop: "Loop") -> Any:
    """Do what was planned with a flight, and return the answer. MISSING: there is none, the look-up begins again."""
    if plan.leads:
        _start(path, flight, loader, loop, plan.answer is not MISSING)
    if plan.answer is not MISSING:
        return plan.answer
    landing = await _wait(path, flight, plan.patience, loop)
    if landing is Landing.ABANDONED and plan.leads and plan.patience is None:
        raise asyncio.CancelledError(f"the load of {flight.key!r} was cancelled")  # not by us, who still want it
    answer = path._answer_of(flight, landing, plan.patience)
    if landing is Landing.FAILURE and plan.leads and plan.patience is None:
        path._log_failure(flight.key, flight.outcome)
    return answer


async def _answers_of(
    path: "Path", plans: "list[tuple[Any, Plan]]", answers: dict[Any, Any], loop: "Loop"
) -> list[Any]:
    """Wait for all of these, and note their answers. The keys whose loads came to nothing, to be asked for again."""
    again: list[Any] = []
    failure: BaseException | None = None
    left = list(plans)
    try:
        while left:
            key, plan = left.pop(0)
            answer = plan.answer
            if answer is MISSING and plan.flight is not None:
                try:
                    landing = await _wait(path, plan.flight, plan.patience, loop)
                    answer = path._answer_of(plan.flight, landing, plan.patience)
                except NothingLoadedError:
                    continue
                except Exception as error:  # noqa: BLE001 - raised once all are over
                    failure = failure or error
                    continue
                if answer is MISSING:
                    again.append(key)
                    continue
            if answer is not MISSING:
                answers[key] = answer
    finally:
        for _, plan in left:
            if plan.flight is not None and plan.answer is MISSING:
                path._stop_asking(plan.flight)
    if failure is not None:
        raise failure
    return again


class _Waiter:
    """A task that waits for a flight: its future, which whoever lands the flight sets, from any thread."""

    __slots__ = ("_future", "_loop", "_thread")

    def __init__(self, future: "asyncio.Future[None]", loop: "Loop") -> None:
        self._future = future
        self._loop = loop
        self._thread = get_ident()

    def release(self) -> None:
        """It has landed."""
        if get_ident() == self._thread:
            _set(self._future)
        else:
            self._loop.call_soon_threadsafe(_set, self._future)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


async def _wait(path: "Path", flight: Flight[Any], patience: float | None, loop: "Loop") -> Landing | None:
    """Wait for the landing; None if it takes longer than that. Refuses to wait in a circle."""
    try:
        with waiting(flight):
            ends = None if patience is None else loop.time() + patience
            while flight.landing is None:
                carrier = flight.carrier
                if carrier is not None and carrier.is_gone():
                    flight.give_up()
                    break
                is_elsewhere = carrier is not None and flight.place != get_ident()
                left = LOOK_AFTER_SECONDS if is_elsewhere else None
                if ends is not None:
                    left = min(ends - loop.time(), LOOK_AFTER_SECONDS) if is_elsewhere else ends - loop.time()
                    if left <= 0:
                        break
                await _sleep_until_landed(flight, left, loop)
    except BaseException:
        path._stop_asking(flight)
        raise
    return flight.landing


async def _sleep_until_landed(flight: Flight[Any], seconds: float | None, loop: "Loop") -> None:
    future = loop.create_future()
    waiter = _Waiter(future, loop)
    alarm = None if seconds is None else loop.call_later(seconds, _set, future)
    flight.waiters[waiter] = None
    try:
        # Looked at only now that the waiter can be seen: who landed it before that has not released this one.
        if flight.landing is None:
            await future
    finally:
        flight.waiters.pop(waiter, None)
        if alarm is not None:
            alarm.cancel()


# -- where a load runs -----------------------------------------------------------------------------------------------


class _Carrier:
    """The task that runs the load of so many flights."""

    __slots__ = ("_loop", "_task", "_wanted")

    def __init__(self, task: "asyncio.Task[None]", loop: "Loop", flights: int) -> None:
        self._task = task
        self._loop = loop
        self._wanted = [None] * flights

    def cancel(self) -> None:
        """Nobody wants one of them any more. With the last of them the task is cancelled."""
        self._wanted.pop()  # one step, so that of two threads one is the last
        if self._wanted:
            return
        try:
            self._loop.call_soon_threadsafe(self._task.cancel)
        except RuntimeError:
            pass  # the loop is closed

    def is_gone(self) -> bool:
        """Whether its loop was closed, or dropped it."""
        return self._loop.is_closed() or self._task.done()


def _start(path: "Path", flight: Flight[Any], loader: Any, loop: "Loop", is_refresh: bool) -> None:
    """Let a load begin that this look-up leads. A refresh sees none of the caller's context."""
    context = Context() if is_refresh else copy_context()
    flight.shared = True
    lead = path._lead_quietly if is_refresh or flight.goes_on else lambda *load: _lead_for_others(path, *load)
    if type(loader) is AsyncLoader:
        _start_task(flight, [flight], loader.load, flight.key, lead_one(flight, lead), loop, context)
        flight.handed_over = True  # now that it is: what goes wrong before that gives it up
        return
    flight.place = None

    def run() -> None:
        _run_in_thread(flight, [flight], loader, flight.key, lead_one(flight, lead), loop, path)

    if not is_refresh:
        path._threads.run(run, context)
    elif not path._threads.start(run, context):
        path._retry_later(flight)
        path._give_up(flight)
        return
    flight.handed_over = True


def _start_many(path: "Path", led: list[Flight[Any]], load_many: Any, loop: "Loop") -> None:
    keys = [flight.key for flight in led]
    context = copy_context()
    for flight in led:
        flight.shared = True

    def lead(found: Callable[[Any], Any]) -> None:
        try:
            lead_many(path, led, found)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - who waits is told
            if any(flight.goes_on for flight in led):
                path._log_failure(led[0].key, led[0].outcome)

    if type(load_many) is AsyncLoader:
        _start_task(led[0], led, load_many.load, keys, lead, loop, context)
    else:
        for flight in led:
            flight.place = None
        path._threads.run(lambda: _run_in_thread(led[0], led, load_many, keys, lead, loop, path), context)
    for flight in led:
        flight.handed_over = True


def lead_one(
    flight: Flight[Any], lead: Callable[[Flight[Any], Callable[[Any], Any]], object]
) -> Callable[[Callable[[Any], Any]], object]:
    """How the load of a single flight ends, as that of many does."""
    return lambda answer: lead(flight, answer)


def _lead_for_others(path: "Path", flight: Flight[Any], answer: Callable[[Any], Any]) -> None:
    """Let a load end. Who waits for it is told, and nobody else has to be, unless a stale value was given for it."""
    try:
        path._lead(flight, answer)
    except (NothingLoadedError, asyncio.CancelledError):
        pass
    except Exception as error:  # noqa: BLE001 - a loader may raise anything
        if flight.goes_on:
            path._log_failure(flight.key, error)


def _start_task(
    innermost: Flight[Any],
    flights: list[Flight[Any]],
    load: Callable[[Any], Awaitable[Any]],
    argument: Any,
    lead: Callable[[Callable[[Any], Any]], object],
    loop: "Loop",
    context: Context,
) -> None:
    work = _run_in_task(innermost, load, argument, lead)
    task = context.run(loop.create_task, work)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # a loop that is closed in the middle of it drops it
    carrier = _Carrier(task, loop, len(flights))
    for flight in flights:
        flight.carrier = carrier


async def _run_in_task(
    innermost: Flight[Any],
    load: Callable[[Any], Awaitable[Any]],
    argument: Any,
    lead: Callable[[Callable[[Any], Any]], object],
) -> None:
    try:
        with leading(innermost):
            answer = await load(argument)
    except BaseException as error:
        lead(_raising(error))
        if not isinstance(error, Exception | asyncio.CancelledError):
            raise
    else:
        lead(lambda _: answer)


def _run_in_thread(
    innermost: Flight[Any],
    flights: list[Flight[Any]],
    load: Callable[[Any], Any],
    argument: Any,
    lead: Callable[[Callable[[Any], Any]], object],
    loop: "Loop",
    path: "Path",
) -> None:
    try:
        with leading(innermost):
            answer = load(argument)
    except BaseException as error:  # noqa: BLE001 - told to who waits
        lead(_raising(error))
        return
    if not is_awaitable(answer):
        lead(lambda _: answer)
        return
    # It was a plain function that returns what is to be awaited. From here on it counts as asynchronous.
    if load is path._load_callback:
        path._load_callback = AsyncLoader(load)
    context = copy_context()
    try:
        loop.call_soon_threadsafe(_start_task, innermost, flights, lambda _: answer, argument, lead, loop, context)
    except RuntimeError as error:  # the loop is closed
        if hasattr(answer, "close"):
            answer.close()
        lead(_raising(error))


def _raising(error: BaseException) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        raise error

    return fail


def _called(loader: Any) -> Any:
    return loader.load if type(loader) is AsyncLoader else loader


def _this_loop() -> "Loop":
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "no event loop of asyncio runs here: aget and its like are for asyncio and uvloop, not for trio"
        ) from None
