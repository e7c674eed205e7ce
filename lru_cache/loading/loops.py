"""What a task of an event loop does when its look-up is no plain hit, and loads that run in tasks.

What is to be done the `Planner` decides, and how a load ends stands there too; here it is carried out for asyncio, for
any number of loops. A load belongs to the cache: it runs in a task or a thread of its own, and who asks waits for
its flight, so that to cancel one who waits touches nobody else. This file must not know the cache's mapping face.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from lru_cache.arguments import MISSING
from lru_cache.loading.circles import leading, leading_many, waiting
from lru_cache.loading.loaders import AsyncLoader, is_awaitable
from lru_cache.loading.many import AsyncOneOfMany, OneOfMany, lead_many, one_of_many
from lru_cache.loading.single_flight import Flight, Landing, NothingLoadedError
from lru_cache.loading.threads import LOOK_AFTER_SECONDS, Work

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lru_cache.loading.load_path import LoadPath
    from lru_cache.loading.plan import Plan

    Path = LoadPath[Any, Any]
    Loop = asyncio.AbstractEventLoop

_OF_THE_PROCESS = (KeyboardInterrupt, SystemExit)  # which end a loop, whichever task raises them
_USUAL = (asyncio.CancelledError, GeneratorExit, *_OF_THE_PROCESS)  # what a load ends by that was not to end so


async def look_up(path: "Path", key: Any, default: Any, loader: Any) -> Any:
    """The value of a key that is no plain hit: what `LoadPath._miss` is for a thread."""
    loop = _this_loop()
    again = False
    while True:
        own: Flight[Any] = Flight(path._flights, key, path._monotonic())
        try:
            plan = path._plan(key, own, again)
            answer = plan.answer
            if plan.leads:
                _start(path, plan, own, loader, loop)
            if answer is MISSING and plan.flight is not None:
                answer = _answer_of(path, plan, plan.flight, await _landing(path, plan.flight, plan.patience, loop))
        except NothingLoadedError:
            path._notify_of_rest()
            if plan.leads or isinstance(_called(loader), OneOfMany | AsyncOneOfMany):
                return default
            answer = MISSING  # another loader has left it out: ask this one
        finally:
            path._give_up(own)
            own = plan = None  # type: ignore[assignment]  # an exception holds this frame: no circle
        if answer is not MISSING:
            return answer
        again = True


async def look_up_many(path: "Path", keys: list[Any], loader: Any, load_many: Any) -> dict[Any, Any]:
    """The values of these keys, all different. What nobody else loads is loaded by one call, if there is a loader for
    many, else side by side.
    """
    loop = _this_loop()
    one = loader if load_many is None else one_of_many(load_many)
    answers: dict[Any, Any] = {}
    asked, again = keys, False
    while asked:
        own: list[Flight[Any]] = []
        together: list[Flight[Any]] = []
        plans: deque[tuple[Any, Plan, float]] = deque()
        try:
            for key in asked:
                own.append(Flight(path._flights, key, path._monotonic()))
                plans.append((key, path._plan(key, own[-1], again), loop.time()))
            for flight, (_, plan, _) in zip(own, plans, strict=True):
                if plan.leads and (load_many is None or plan.answer is not MISSING):
                    _start(path, plan, flight, one, loop)
                elif plan.leads:
                    together.append(flight)
            if together:
                _start_many(path, together, load_many, loop)
            asked = await _answers_of(path, plans, answers, load_many is not None, loop)
        finally:
            for _, plan, _ in plans:
                if plan.flight is not None and plan.answer is MISSING:
                    path._stop_asking(plan.flight)
            for flight in own:
                path._give_up(flight)
            own = together = flight = plan = None  # type: ignore[assignment]  # an exception holds this frame: no circle
        again = True
    return answers


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


async def in_a_thread(function: Callable[[], object]) -> None:
    """Call it in a thread of its own: the loop's may all be taken."""
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()  # to cancel who waits does not touch it

    def call() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            done.set_exception(error)
        else:
            done.set_result(None)

    Thread(target=call, name="lru_cache-close", daemon=True).start()
    await asyncio.wrap_future(done)


# -- one flight ------------------------------------------------------------------------------------------------------


async def _answers_of(
    path: "Path", plans: "deque[tuple[Any, Plan, float]]", answers: dict[Any, Any], by_many: bool, loop: "Loop"
) -> list[Any]:
    """Take one after the other from these plans, each with when it was made, and note its answer.

    Returns the keys that are to be asked for again. The first failure is raised once all are over.
    """
    again: list[Any] = []
    failure: Exception | None = None
    while plans:
        key, plan, made_at = plans.popleft()
        flight, answer = plan.flight, plan.answer
        if answer is MISSING and flight is not None:
            try:
                left = None if plan.patience is None else made_at + plan.patience - loop.time()
                landing = flight.landing or await _landing(path, flight, left, loop)
                answer = _answer_of(path, plan, flight, landing)
            except NothingLoadedError:
                if not (plan.leads or by_many):
                    again.append(key)  # another loader has left it out: ask this one
            except Exception as error:  # noqa: BLE001 - raised once all are over
                failure = failure or error
            else:
                if answer is MISSING:
                    again.append(key)
        if answer is not MISSING:
            answers[key] = answer
        del plan, flight
    try:
        if failure is not None:
            raise failure
    finally:
        del failure  # which holds this frame: no circle
    return again


def _answer_of(path: "Path", plan: "Plan", flight: Flight[Any], landing: Landing | None) -> Any:
    """What the look-up is to return. MISSING: it begins again."""
    is_own = plan.leads and plan.patience is None
    error = flight.outcome if landing is Landing.ABANDONED and is_own else None
    try:
        if isinstance(error, _USUAL):
            raise asyncio.CancelledError(f"the load of {flight.key!r} was cancelled")  # not by us, who still want it
        if error is not None:
            raise error
        return path._answer_of(flight, landing, plan.patience, plan.leads)
    finally:
        del error, flight, plan  # an exception holds this frame: no circle


async def _landing(path: "Path", flight: Flight[Any], patience: float | None, loop: "Loop") -> Landing | None:
    """Wait for the landing; None if it takes longer than that. Refuses to wait in a circle."""
    try:
        with waiting(flight):
            flight.look()
            if flight.landing is None and (patience is None or patience > 0):
                tasks: Any = flight.waiters.get(loop)
                if tasks is None:
                    tasks = flight.waiters[loop] = _Tasks(flight, loop)
                future = loop.create_future()
                alarm = None if patience is None else loop.call_later(patience, _set, future)
                tasks.come(future)
                try:
                    # Looked at only now that it can be seen: who landed it before that does not set this future.
                    if flight.landing is None:
                        await future
                finally:
                    tasks.go(future)
                    if alarm is not None:
                        alarm.cancel()
    except BaseException:
        path._stop_asking(flight)
        raise
    return flight.landing


class _Tasks:
    """The tasks of one loop that wait for a flight, each for a future of its own. Only `release` is for any thread."""

    __slots__ = ("_flight", "_futures", "_loop", "_watch")

    def __init__(self, flight: Flight[Any], loop: "Loop") -> None:
        self._flight = flight
        self._loop = loop
        self._futures: dict[asyncio.Future[None], None] = {}
        self._watch: asyncio.TimerHandle | None = None

    def come(self, future: "asyncio.Future[None]") -> None:
        """Another task waits."""
        self._futures[future] = None
        if self._watch is None:
            carrier = self._flight.carrier
            if carrier is None or not carrier.is_here():
                self._watch = self._loop.call_later(LOOK_AFTER_SECONDS, self._look)

    def go(self, future: "asyncio.Future[None]") -> None:
        """And waits no longer."""
        del self._futures[future]
        if not self._futures:
            if self._watch is not None:
                self._watch.cancel()
            self._flight.waiters.pop(self._loop, None)

    def _look(self) -> None:
        self._flight.look()
        self._watch = self._loop.call_later(LOOK_AFTER_SECONDS, self._look)

    def release(self) -> None:
        """It has landed."""
        if asyncio._get_running_loop() is self._loop:
            self._wake()
        else:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for future in self._futures:
            _set(future)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


# -- where a load runs -----------------------------------------------------------------------------------------------


class _Load:
    """The load of one key: what carries its flight, and how it ends. It may run in a thread first."""

    __slots__ = ("_loop", "_task", "_work", "argument", "flights", "path")

    def __init__(self, path: "Path", flights: list[Flight[Any]], argument: Any) -> None:
        self.path = path
        self.flights = flights
        self.argument = argument
        self._loop: Loop | None = None  # on which it runs as a task, if it does
        self._task: asyncio.Task[None] | None = None
        self._work: Work | None = None  # for a thread, which may still wait for its turn
        for flight in flights:
            flight.carrier = self
            flight.shared = True

    def begin(self, call: Callable[[Any], Any], loop: "Loop") -> None:
        """Run in a task of this loop, which has a copy of this context."""
        self._loop = loop
        self._task = task = loop.create_task(_run_in_task(self, call))
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # a loop that is closed in the middle drops it
        task.add_done_callback(self._over)

    def begin_soon(self, answer: Awaitable[Any], loop: "Loop") -> None:
        """Wait for this in a task of this loop, from any thread. RuntimeError if the loop is closed."""
        self._loop = loop
        loop.call_soon_threadsafe(copy_context().run, self._begin_unless_over, answer, loop)

    def _begin_unless_over(self, answer: Awaitable[Any], loop: "Loop") -> None:
        if self._is_wanted():
            self.begin(lambda _: answer, loop)
        else:
            _drop(answer)

    def begin_in_thread(self, call: Callable[[Any], Any], loop: "Loop", context: Context) -> None:
        """Run in a thread, as soon as it is its turn. RuntimeError if the machine gives none."""
        threads = self.path._threads
        self._work = work = threads.run(partial(_run_in_thread, self, call, loop), context)
        if any(flight.hurried for flight in self.flights):
            threads.hurry(work)

    def _over(self, task: "asyncio.Task[None]") -> None:
        """The task has ended, maybe before it began. What it raised, if anything, has reached whom it concerns."""
        if not task.cancelled():
            task.exception()
        for flight in self.flights:
            if not flight.over:
                self.path._give_up_now(flight)

    def end(self, loader: Callable[[Any], Any], answer: Any = MISSING) -> None:
        """Keep this answer, or what the loader gives or raises. Who waits is told."""
        try:
            self.path._lead_aside(self.flights[0], loader, answer)
        except BaseException:  # noqa: BLE001, S110 - who waits is told
            pass
        finally:
            del self, loader  # an exception holds this frame: no circle

    def leading(self) -> "AbstractContextManager[None]":
        """What is around the loader's call."""
        return leading(self.flights[0])

    def _is_wanted(self) -> bool:
        return any(flight.landing is None for flight in self.flights)

    def cancel(self) -> None:
        """Nobody wants one of the flights any more. With the last of them the load is cancelled."""
        if self._is_wanted():
            return
        if self._work is not None and self.path._threads.forget(self._work):
            return
        if self._task is not None and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._task.cancel)
            except RuntimeError:
                pass  # the loop is closed

    def is_gone(self) -> bool:
        """Whether its loop was closed, stands still, or has dropped it."""
        loop, task = self._loop, self._task
        return loop is not None and (not loop.is_running() or (task is not None and task.done()))

    def is_here(self) -> bool:
        """Whether its loop is the one that runs here."""
        return self._loop is not None and asyncio._get_running_loop() is self._loop

    def hurry(self) -> None:
        """Begin, if it waits for a thread: another load waits for it."""
        if self._work is not None:
            self.path._threads.hurry(self._work)


class _LoadOfMany(_Load):
    """The load of many keys by one call."""

    __slots__ = ()

    def end(self, loader: Callable[[Any], Any], answer: Any = MISSING) -> None:
        try:
            lead_many(self.path, self.flights, loader, answer)
        except Exception as error:  # noqa: BLE001 - who waits is told
            if any(flight.goes_on for flight in self.flights):
                self.path._log_failure(self.flights[0].key, error)
        except BaseException:  # noqa: BLE001, S110 - likewise
            pass
        finally:
            del self, loader

    def leading(self) -> "AbstractContextManager[None]":
        return leading_many(self.flights)


def _start(path: "Path", plan: "Plan", flight: Flight[Any], loader: Any, loop: "Loop") -> None:
    """Let a load begin that this look-up leads. A refresh sees none of the caller's context."""
    load = _Load(path, [flight], flight.key)
    is_refresh = plan.answer is not MISSING
    if type(loader) is AsyncLoader:
        if is_refresh:
            Context().run(load.begin, loader.load, loop)
        else:
            load.begin(loader.load, loop)
    else:
        context = Context() if is_refresh else copy_context()
        if plan.patience is None:
            load.begin_in_thread(loader, loop, context)
        elif not path._threads.start(
            partial(_run_in_thread, load, loader, loop), context
        ):  # there is a value without it
            path._retry_later(flight)
            path._give_up(flight)
            return
    flight.handed_over = True  # now that it is: what goes wrong before that gives it up


def _start_many(path: "Path", led: list[Flight[Any]], load_many: Any, loop: "Loop") -> None:
    load = _LoadOfMany(path, led, [flight.key for flight in led])
    if type(load_many) is AsyncLoader:
        load.begin(load_many.load, loop)
    else:
        load.begin_in_thread(load_many, loop, copy_context())
    for flight in led:
        flight.handed_over = True


async def _run_in_task(load: _Load, call: Callable[[Any], Any]) -> None:
    end = load.end
    try:
        with load.leading():
            answer = call(load.argument)
            del load  # an exception holds this frame: no circle
            if is_awaitable(answer):  # else a plain function, which returned an awaitable before, has a value at hand
                answer = await answer
    except BaseException as error:
        end(_raising(error))
        if isinstance(error, _OF_THE_PROCESS):
            raise
    else:
        end(call, answer)
    finally:
        del end


def _run_in_thread(load: _Load, call: Callable[[Any], Any], loop: "Loop") -> None:
    if not load._is_wanted():
        return  # any more
    try:
        with load.leading():
            answer = call(load.argument)
    except BaseException as error:  # noqa: BLE001 - told to who waits
        load.end(_raising(error))
        del load  # the exception holds this frame: no circle
        return
    if not is_awaitable(answer):
        load.end(call, answer)
        return
    # It was a plain function that returns what is to be awaited. From here on it counts as asynchronous.
    if call is load.path._load_callback:
        load.path._load_callback = AsyncLoader(call)
    try:
        load.begin_soon(answer, loop)
    except RuntimeError as error:  # the loop is closed
        _drop(answer)
        load.end(_raising(error))


def _drop(answer: Any) -> None:
    """Let go of what nobody will await, without a warning."""
    if hasattr(answer, "close"):
        answer.close()


def _raising(error: BaseException) -> Callable[[Any], Any]:
    def fail(_: Any) -> Any:
        nonlocal error
        try:
            raise error
        finally:
            del error  # which holds this frame: no circle

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
