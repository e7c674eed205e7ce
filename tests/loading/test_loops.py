"""`aget` and its like: the same rules of loading, for tasks of any number of event loops beside threads."""

import asyncio
import contextvars
import functools
import gc
import inspect
import itertools
import logging
import random
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvloop

from lru_cache import Loaded, LRUCache, RecursiveLoadError
from lru_cache.loading.load_path import BACKGROUND_LOADS
from lru_cache.loading.single_flight import Flight
from lru_cache.testing import ManualClock
from tests.concurrency import PATIENCE, Gate, Started, eventually
from tests.effort import some_or_many

pytestmark = pytest.mark.usefixtures("each_cache")

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    """Run it on a loop of its own, within a time after which it hangs."""

    async def in_time() -> Any:
        return await asyncio.wait_for(main(), PATIENCE)

    return asyncio.run(in_time())


@pytest.fixture(autouse=True)
def no_line_of_asyncio(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No task was destroyed while it was pending, and no exception was never retrieved."""
    with caplog.at_level(logging.DEBUG, logger="asyncio"):
        yield
        gc.collect()
    assert [line for line in caplog.messages if "destroyed" in line or "never retrieved" in line] == []


class AsyncSource:
    """An `async def` loader that stops until it may go on."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.loads: list[Any] = []
        self.cancelled = 0

    async def __call__(self, key: Any) -> Any:
        self.loads.append(key)
        self.entered.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return f"{key}!"


async def plain(key: Any) -> str:
    await asyncio.sleep(0)
    return f"{key}!"


class Promise:
    def __await__(self) -> Iterator[Any]:
        return plain("a").__await__()


class Callables:
    async def __call__(self, key: str) -> str:
        return await plain(key)

    async def method(self, key: str) -> str:
        return await plain(key)


ASYNC_LOADERS: list[Any] = [
    plain,
    functools.partial(plain),
    Callables(),
    Callables().method,
    lambda key: plain(key),  # noqa: PLW0108 - nobody sees before it is called that it is one
    lambda key: Promise(),
]


@pytest.mark.parametrize("load", [*ASYNC_LOADERS, lambda key: f"{key}!"])
def test_any_loader_fills_what_a_task_asks_for(load: Any) -> None:
    async def main() -> None:
        for cache, options in ((LRUCache[str, str](load), {}), (LRUCache[str, str](), {"load": load})):
            assert await cache.aget("a", **options) == "a!"
            assert (cache.get("a"), await cache.aget("a")) == ("a!", "a!")
            assert await cache.aset("a") in ("a!", None)
            assert cache.stats().hits == 2

    run(main)


def test_without_a_loader_there_is_the_default() -> None:
    async def main() -> None:
        cache: LRUCache[str, int] = LRUCache()
        assert (await cache.aget("a"), await cache.aget("a", 5)) == (None, 5)
        assert (await cache.aset("a", 1), await cache.aget("a"), await cache.aset("a")) == (1, 1, None)
        assert await cache.aget_many(["a", "b"]) == {}

    run(main)


def test_a_def_loader_never_runs_on_the_loop_and_sees_a_copy_of_the_caller_s_context() -> None:
    seen: list[Any] = []

    def load(key: str) -> str:
        seen.append((threading.current_thread() is threading.main_thread(), request_id.get()))
        request_id.set("the loader's")
        return key

    async def main() -> None:
        request_id.set("this one")
        await LRUCache[str, str](load).aget("a")
        assert (seen, request_id.get()) == ([(False, "this one")], "this one")

    run(main)


def test_an_async_load_sees_a_copy_of_the_caller_s_context_and_a_refresh_sees_none(clock: ManualClock) -> None:
    seen: list[str] = []

    async def load(key: str) -> str:
        seen.append(request_id.get())
        request_id.set("the loader's")
        return key

    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache(load, expiration_time=10, refresh_time=5, clock=clock)
        request_id.set("this one")
        await cache.aget("a")
        clock.advance(6)
        assert await cache.aget("a") == "a"
        while len(seen) < 2:
            await asyncio.sleep(0)
        assert (seen, request_id.get()) == (["this one", "none"], "this one")

    run(main)


def test_threads_and_tasks_of_several_loops_share_one_load(start: Callable[..., Started]) -> None:
    gate, loads = Gate(), []

    def load(key: str) -> str:
        loads.append(key)
        gate.pass_through()
        return f"{key}!"

    cache: LRUCache[str, str] = LRUCache(load)

    async def ask() -> list[Any]:
        return await asyncio.gather(*[cache.aget("a") for _ in range(50)])

    leader = start(cache.get, "a")
    gate.wait_entered()
    loops = [start(run, ask) for _ in range(3)]
    threads = [start(cache.get, "a") for _ in range(5)]
    (flight,) = cache._flights.running.values()
    # The threads each by themselves, and of each loop its tasks: their futures are at `_futures`.
    eventually(lambda: sum(len(getattr(each, "_futures", "1")) for each in list(flight.waiters.values())) == 155)
    gate.open()
    assert leader.result() == "a!"
    assert [each.result() for each in threads] == ["a!"] * 5
    assert [each.result() for each in loops] == [["a!"] * 50] * 3
    assert loads == ["a"]
    assert not cache._flights.running


def test_a_thread_waits_for_what_a_task_loads(start: Callable[..., Started]) -> None:
    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache(source)
        task = asyncio.create_task(cache.aget("a"))
        await source.entered.wait()
        thread = start(cache.get, "a")
        (flight,) = cache._flights.running.values()
        while len(flight.waiters) < 2:
            await asyncio.sleep(0)
        source.opened.set()
        assert await task == "a!"
        assert await asyncio.to_thread(thread.result) == "a!"
        assert source.loads == ["a"]

    run(main)


def test_a_get_on_the_loop_that_loads_does_not_wait_for_it() -> None:
    """Nothing could go on."""

    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache(source)
        task = asyncio.create_task(cache.aget("a"))
        await source.entered.wait()
        with pytest.raises(TypeError, match="use aget"):
            cache.get("a")
        assert cache.get("a", load=lambda key: "loaded alone") == "loaded alone"
        source.opened.set()
        assert (await task, cache.get("a")) == ("a!", "a!")

    run(main)


def test_all_who_wait_get_the_exception() -> None:
    async def fail(key: str) -> str:
        await asyncio.sleep(0)
        raise LookupError(key)

    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache(fail)
        found = await asyncio.gather(*[cache.aget("a") for _ in range(20)], return_exceptions=True)
        assert {type(each) for each in found} == {LookupError}
        assert (cache.stats().loads, cache.stats().load_failures, cache.stats().misses) == (1, 1, 20)

    run(main)


def test_to_cancel_one_who_waits_touches_nobody_else() -> None:
    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache(source)
        first, second = asyncio.create_task(cache.aget("a")), asyncio.create_task(cache.aget("a"))
        await source.entered.wait()
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        source.opened.set()
        assert (await second, source.loads, source.cancelled) == ("a!", ["a"], 0)

    run(main)


def test_a_load_that_nobody_waits_for_any_more_is_cancelled_and_not_kept() -> None:
    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache(source)
        tasks = [asyncio.create_task(cache.aget("a")) for _ in range(3)]
        await source.entered.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        while not source.cancelled:
            await asyncio.sleep(0)
        assert (cache._flights.running, len(cache)) == ({}, 0)
        source.opened.set()
        assert (await cache.aget("a"), source.loads) == ("a!", ["a", "a"])

    run(main)


def test_what_a_thread_loads_for_nobody_is_not_kept() -> None:
    gate = Gate()

    def load(key: str) -> str:
        if not gate.is_entered():
            gate.pass_through()
            return "unwanted"
        return "wanted"

    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache(load)
        task = asyncio.create_task(cache.aget("a"))
        await asyncio.to_thread(gate.wait_entered)
        task.cancel()
        await asyncio.wait([task])
        assert await cache.aget("a") == "wanted"
        gate.open()
        while cache.stats().loads < 2:
            await asyncio.sleep(0.001)
        assert cache.get("a") == "wanted"

    run(main)


def test_a_timeout_around_it_ends_the_wait() -> None:
    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache(source)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(cache.aget("a"), 0.01)
        while not source.cancelled:
            await asyncio.sleep(0)
        assert cache._flights.running == {}

    run(main)


def test_a_loader_that_cancels_itself_is_asked_again_for_the_others() -> None:
    async def main() -> None:
        loads = []

        async def load(key: str) -> str:
            loads.append(key)
            await asyncio.sleep(0)
            if len(loads) == 1:
                raise asyncio.CancelledError
            return "loaded"

        cache: LRUCache[str, str] = LRUCache(load)
        first, second = asyncio.create_task(cache.aget("a")), asyncio.create_task(cache.aget("a"))
        await asyncio.wait([first, second])
        assert (first.cancelled(), second.result(), len(loads)) == (True, "loaded", 2)

    run(main)


def test_a_loop_that_is_closed_in_the_middle_of_a_load_leaves_nobody_waiting(start: Callable[..., Started]) -> None:
    """It was stopped: nothing in it is told."""
    cache: LRUCache[str, str] = LRUCache()
    entered = threading.Event()

    async def never(key: str) -> str:
        entered.set()
        await asyncio.get_running_loop().create_future()
        return key

    async def later(key: str) -> str:
        return "loaded elsewhere"

    loop = asyncio.new_event_loop()
    task = loop.create_task(cache.aget("a", load=never))
    running = start(loop.run_forever)
    entered.wait(PATIENCE)
    thread = start(cache.get, "a", load=lambda key: "loaded by a thread")
    elsewhere = start(run, lambda: cache.aget("a", load=later))
    (flight,) = cache._flights.running.values()
    waiters = flight.waiters
    eventually(lambda: len(waiters) == 3)
    loop.call_soon_threadsafe(loop.stop)
    running.result()
    loop.close()
    assert len({thread.result(), elsewhere.result()} - {"loaded elsewhere", "loaded by a thread"}) == 0
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # the test's own
    del task
    assert cache._flights.running == {}


def test_a_loop_that_stands_still_keeps_nobody_waiting_and_what_it_loads_later_is_not_kept() -> None:
    cache: LRUCache[str, str] = LRUCache()
    source: list[AsyncSource] = []

    async def begin() -> "asyncio.Task[Any]":
        source.append(AsyncSource())
        task = asyncio.create_task(cache.aget("a", load=source[0]))
        await source[0].entered.wait()
        return task

    async def end(task: "asyncio.Task[Any]") -> Any:
        source[0].opened.set()
        return await task

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(begin())
    assert cache.get("a", load=lambda key: "loaded by a thread") == "loaded by a thread"
    cache.set("a", "newest")
    assert loop.run_until_complete(end(task)) == "newest"
    loop.close()
    assert cache.get("a") == "newest"


def test_a_loop_that_closes_before_what_a_thread_returned_is_awaited_keeps_nobody_waiting() -> None:
    gate = Gate()
    cache: LRUCache[str, str] = LRUCache()

    def slow(key: str) -> Awaitable[str]:
        gate.pass_through()
        return Promise()  # type: ignore[return-value]

    loop = asyncio.new_event_loop()
    task = loop.create_task(cache.aget("a", load=slow))
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # the test's own
    loop.run_until_complete(asyncio.to_thread(gate.wait_entered))
    gate.open()
    (flight,) = cache._flights.running.values()
    eventually(lambda: flight.carrier is not None and flight.carrier.is_gone())
    loop.close()
    del task
    assert cache.get("a", load=lambda key: "loaded by a thread") == "loaded by a thread"


def test_a_loop_that_ends_as_it_should_cancels_its_loads() -> None:
    cache: LRUCache[str, str] = LRUCache()
    source: list[AsyncSource] = []

    async def main() -> None:
        source.append(AsyncSource())
        tasks.append(asyncio.create_task(cache.aget("a", load=source[0])))
        await source[0].entered.wait()

    tasks: list[asyncio.Task[Any]] = []
    run(main)
    assert (source[0].cancelled, cache._flights.running) == (1, {})


def test_a_loader_that_asks_for_its_own_key_is_refused_however_it_asks() -> None:
    ways: list[Callable[[LRUCache[str, str], str], Awaitable[str]]] = [
        lambda cache, key: cache.aget(key),
        lambda cache, key: asyncio.create_task(cache.aget(key)),
        lambda cache, key: asyncio.to_thread(cache.get, key),
        lambda cache, key: cache.aget("b" if key == "a" else "a"),
    ]

    async def ask(way: Callable[[LRUCache[str, str], str], Awaitable[str]]) -> None:
        async def load(key: str) -> str:
            return await way(cache, key)

        cache: LRUCache[str, str] = LRUCache(load)
        with pytest.raises(RecursiveLoadError):
            await cache.aget("a")
        assert cache._flights.running == {}

    for way in ways:
        run(functools.partial(ask, way))


def test_two_tasks_that_wait_for_each_other_s_keys_are_refused() -> None:
    async def main() -> None:
        begun: list[str] = []
        both = asyncio.Event()

        async def load(key: str) -> str:
            begun.append(key)
            if len(begun) == 2:
                both.set()
            await both.wait()
            return await cache.aget("b" if key == "a" else "a")

        cache: LRUCache[str, str] = LRUCache(load)
        found = await asyncio.gather(cache.aget("a"), cache.aget("b"), return_exceptions=True)
        assert {type(each) for each in found} == {RecursiveLoadError}

    run(main)


def test_a_write_fences_an_async_load_and_answers_who_waits() -> None:
    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache(source)
        task = asyncio.create_task(cache.aget("a"))
        await source.entered.wait()
        cache.set("a", "written")
        assert await task == "written"
        source.opened.set()
        while cache.stats().loads < 1:
            await asyncio.sleep(0)
        assert (cache.get("a"), cache.stats().fenced_loads) == ("written", 1)

    run(main)


def test_loaded_says_the_life_and_a_reload_may_say_it_too(clock: ManualClock) -> None:
    async def load(key: str) -> Loaded[str]:
        return Loaded(key, expiration_time=5)

    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache(load, clock=clock)
        await cache.aget("a")
        assert cache.expires_in("a") == 5
        await cache.aset("a", expiration_time=7)
        assert cache.expires_in("a") == 5
        bare: LRUCache[str, str] = LRUCache(plain, clock=clock)
        await bare.aset("a", expiration_time=7)
        assert bare.expires_in("a") == 7

    run(main)


def test_a_stale_answer_serves_when_the_load_fails_and_is_left_alone_for_a_while(clock: ManualClock) -> None:
    loads = []

    async def load(key: str) -> str:
        loads.append(key)
        if len(loads) > 1:
            raise LookupError(key)
        return "old"

    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache(load, expiration_time=5, stale_time=60, retry_time=3, clock=clock)
        await cache.aget("a")
        clock.advance(6)
        assert [await cache.aget("a"), await cache.aget("a"), cache.get("a")] == ["old"] * 3
        assert (len(loads), cache.stats().stale_served) == (2, 3)

    run(main)


def test_a_stale_answer_serves_when_the_load_is_slow_and_the_load_goes_on(clock: ManualClock) -> None:
    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache(source, expiration_time=5, stale_time=60, load_timeout=0.01, clock=clock)
        cache.set("a", "old")
        clock.advance(6)
        assert await cache.aget("a") == "old"
        source.opened.set()
        while cache.peek("a") != "a!":
            await asyncio.sleep(0)
        assert (source.loads, source.cancelled) == (["a"], 0)

    run(main)


def test_many_keys_are_loaded_by_one_call() -> None:
    calls: list[list[str]] = []

    async def load_many(keys: list[str]) -> dict[str, str]:
        calls.append(keys)
        await asyncio.sleep(0)
        return {key: f"{key}!" for key in keys if key != "none"}

    def load_many_in_a_thread(keys: list[str]) -> dict[str, str]:
        calls.append(keys)
        return {key: f"{key}!" for key in keys if key != "none"}

    async def main(load_many: Any) -> None:
        calls.clear()
        cache: LRUCache[str, str] = LRUCache(load_many=load_many)
        cache.set("a", "held")
        one, other = await asyncio.gather(cache.aget_many(["a", "b", "none"]), cache.aget_many(["c", "b"]))
        assert (one, other) == ({"a": "held", "b": "b!"}, {"c": "c!", "b": "b!"})
        assert calls == [["b", "none"], ["c"]]
        assert (await cache.aget("d"), await cache.aget("none", "default")) == ("d!", "default")

    for each in (load_many, load_many_in_a_thread):
        run(functools.partial(main, each))


def test_a_load_of_many_goes_on_as_long_as_one_of_its_keys_is_wanted() -> None:
    async def main() -> None:
        source = AsyncSource()

        async def load_many(keys: list[str]) -> dict[str, str]:
            await source(tuple(keys))
            return {key: f"{key}!" for key in keys}

        cache: LRUCache[str, str] = LRUCache(load_many=load_many)
        both = asyncio.create_task(cache.aget_many(["a", "b"]))
        await source.entered.wait()
        one = asyncio.create_task(cache.aget("a"))
        await asyncio.sleep(0)
        both.cancel()
        await asyncio.wait([both])
        source.opened.set()
        assert (await one, source.loads, source.cancelled) == ("a!", [("a", "b")], 0)
        assert "b" not in cache

        source.opened.clear()
        source.entered.clear()
        both = asyncio.create_task(cache.aget_many(["c", "d"]))
        await source.entered.wait()
        both.cancel()
        while not source.cancelled:
            await asyncio.sleep(0)
        assert cache._flights.running == {}

    run(main)


@pytest.mark.parametrize("inner", ["b", "c"])
@pytest.mark.parametrize("is_async", [True, False])
def test_a_loader_of_many_that_asks_for_one_of_its_own_keys_is_refused(inner: str, is_async: bool) -> None:
    """Directly, or through another key."""
    cache: LRUCache[str, int] = LRUCache()

    async def other(key: str) -> Any:
        return await cache.aget("b", load=one)

    async def one(key: str) -> int:
        return 1

    async def load_many(keys: list[str]) -> dict[str, int]:
        return {key: await cache.aget(inner, load=one if inner == "b" else other) for key in keys}

    def load_many_here(keys: list[str]) -> dict[str, int]:
        return asyncio.run(load_many(keys))

    async def main() -> None:
        for keys in (["a", "b"], ["b", "a"]):
            with pytest.raises(RecursiveLoadError):
                await cache.aget_many(keys, load_many=load_many if is_async else load_many_here)

    run(main)
    assert cache._flights.running == {}


def test_loads_in_threads_that_need_a_load_behind_them_in_the_queue_get_it() -> None:
    """Each of those that run waits for it, and it for one of them to end."""
    gate = threading.Event()
    entered: list[Any] = []
    cache: LRUCache[Any, str] = LRUCache()

    def needs_it(key: Any) -> str:
        entered.append(key)
        gate.wait(PATIENCE)
        return cache.get("shared", load=lambda key: "shared") or ""

    async def main() -> None:
        tasks = [asyncio.create_task(cache.aget(key, load=needs_it)) for key in range(BACKGROUND_LOADS + 8)]
        tasks.append(asyncio.create_task(cache.aget("shared", load=lambda key: "shared")))
        while len(entered) < BACKGROUND_LOADS:
            await asyncio.sleep(0)
        gate.set()
        assert set(await asyncio.gather(*tasks)) == {"shared"}

    run(main)


def test_a_load_that_nobody_wants_any_more_does_not_begin() -> None:
    gate = threading.Event()
    loads: list[Any] = []
    cache: LRUCache[Any, str] = LRUCache()

    def hang(key: Any) -> str:
        loads.append(key)
        gate.wait(PATIENCE)
        return "late"

    async def main() -> None:
        tasks = [asyncio.create_task(cache.aget(key, load=hang)) for key in range(BACKGROUND_LOADS + 50)]
        while len(loads) < BACKGROUND_LOADS:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert (len(cache._threads._waiting), cache._flights.running) == (0, {})
        gate.set()

    run(main)
    eventually(lambda: len(cache._threads._free) == BACKGROUND_LOADS)
    assert (len(loads), list(cache)) == (BACKGROUND_LOADS, [])


def test_a_get_on_the_loop_that_a_load_waits_for_loads_alone() -> None:
    """Through a load in a thread, which needs one of this loop."""

    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache()
        needed = asyncio.create_task(cache.aget("needed", load=source))
        await source.entered.wait()
        needs_it = asyncio.create_task(cache.aget("a", load=lambda key: cache.get("needed", load=len)))  # type: ignore[arg-type, return-value]
        while not any(flight.awaited for flight in cache._flights.running.values()):
            await asyncio.sleep(0)
        assert cache.get("a", load=lambda key: "alone") == "alone"
        source.opened.set()
        assert await asyncio.gather(needed, needs_it) == ["needed!", "needed!"]

    run(main)


def test_a_get_on_the_loop_does_not_wait_for_what_a_plain_function_has_it_await() -> None:
    async def main() -> None:
        source = AsyncSource()
        cache: LRUCache[str, str] = LRUCache(lambda key: source(key))  # noqa: PLW0108 - nobody sees that it is one
        task = asyncio.create_task(cache.aget("a"))
        await source.entered.wait()
        with pytest.raises(TypeError, match="use aget"):
            cache.get("a")
        task.cancel()
        await asyncio.wait([task])
        while not source.cancelled:  # the `get` wants it no longer, either
            await asyncio.sleep(0)
        assert cache.stats().loads == 1

    run(main)


def test_a_load_that_is_cancelled_before_it_began_is_begun_anew() -> None:
    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache(plain)
        task = asyncio.create_task(cache.aget("a"))
        await asyncio.sleep(0)
        for other in asyncio.all_tasks() - {task, asyncio.current_task()}:
            if "_run_in_task" in repr(other):
                other.cancel()
        assert await task == "a!"

    run(main)


def test_a_write_of_one_of_many_keys_does_not_keep_their_load_from_being_cancelled() -> None:
    async def main() -> None:
        source = AsyncSource()

        async def load_many(keys: list[str]) -> dict[str, str]:
            return await source(tuple(keys))  # type: ignore[no-any-return]

        cache: LRUCache[str, str] = LRUCache(load_many=load_many)
        task = asyncio.create_task(cache.aget_many(["a", "b"]))
        await source.entered.wait()
        cache.set("a", "set")
        task.cancel()
        await asyncio.wait([task])
        while not source.cancelled:
            await asyncio.sleep(0)

    run(main)


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("many", [True, False])
def test_a_load_that_failed_or_was_left_keeps_nothing_alive(is_async: bool, many: bool) -> None:
    """Not even until the collector comes."""
    alive: list[weakref.ref[Any]] = []

    class Large:
        pass

    def fail(_: Any) -> Any:
        large = Large()
        alive.append(weakref.ref(large))
        raise LookupError

    async def fail_later(key: Any) -> Any:
        await asyncio.sleep(0)
        return fail(key)

    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache()
        load: Any = fail_later if is_async else fail
        gc.disable()
        try:
            with pytest.raises(LookupError) as failure:
                await (cache.aget_many(["a", "b"], load_many=load) if many else cache.aget("a", load=load))
            del failure
            for _ in range(1_000):  # the thread that ran it may be about to end
                if alive[0]() is None:
                    break
                await asyncio.sleep(0.001)
            assert alive[0]() is None
        finally:
            gc.enable()

    run(main)


def test_an_exception_that_is_none_of_a_program_reaches_who_began_the_load() -> None:
    class Stop(BaseException):
        pass

    async def stop(key: str) -> str:
        raise Stop(key)

    def stop_here(key: str) -> str:
        raise Stop(key)

    async def main() -> None:
        for load in (stop, stop_here):
            cache: LRUCache[str, str] = LRUCache(load)
            with pytest.raises(Stop):
                await cache.aget("a")
            assert cache._flights.running == {}

    run(main)


def test_a_reload_has_its_life_also_from_a_plain_function_that_returns_an_awaitable() -> None:
    async def main() -> None:
        for load in (plain, lambda key: plain(key)):  # noqa: PLW0108 - nobody sees that it is one
            cache: LRUCache[str, str] = LRUCache(load, expiration_time=100, clock=ManualClock())
            await cache.aset("a", expiration_time=5)
            assert cache.expires_in("a") == 5

    run(main)


def test_a_refresh_of_a_key_asks_a_plain_loader_of_many_that_returns_an_awaitable() -> None:
    async def load_many(keys: list[str]) -> dict[str, str]:
        loads.append(keys)
        return {key: f"{len(loads)}" for key in keys}

    loads: list[list[str]] = []
    clock = ManualClock()

    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache(
            load_many=lambda keys: load_many(keys), expiration_time=10, refresh_time=5, clock=clock  # noqa: PLW0108
        )  # fmt: skip
        assert await cache.aget_many(["a", "b"]) == {"a": "1", "b": "1"}
        clock.advance(6)
        assert await cache.aget("a") == "1"
        while cache.peek("a") != "2":
            await asyncio.sleep(0)
        assert loads == [["a", "b"], ["a"]]

    run(main)


def test_many_stale_keys_are_waited_for_no_longer_than_one() -> None:
    async def main() -> None:
        clock = ManualClock()
        slow = asyncio.Event()
        calls = 0

        async def load(key: str) -> str:
            nonlocal calls
            calls += 1
            if calls > 50:
                await slow.wait()
            return key

        cache: LRUCache[str, str] = LRUCache(
            load, expiration_time=10, stale_time=100, load_timeout=0.2, clock=clock
        )  # fmt: skip
        keys = [str(number) for number in range(50)]
        await cache.aget_many(keys)
        clock.advance(20)
        began = asyncio.get_running_loop().time()
        assert await cache.aget_many(keys) == dict(zip(keys, keys, strict=True))
        assert asyncio.get_running_loop().time() - began < 50 * 0.2  # each by itself would take longer than that
        slow.set()
        await asyncio.sleep(0)

    run(main)


def test_without_a_thread_to_load_in_it_says_so_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        cache: LRUCache[str, str] = LRUCache(str, load_many=lambda keys: {key: key for key in keys})
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for ask in (lambda: cache.aget("a"), lambda: cache.aget_many(["a", "b"])):
                with pytest.raises(RuntimeError, match="no thread to load in"):
                    await ask()
                assert cache._flights.running == {}
        assert (await cache.aget("a"), await cache.aget_many(["b"])) == ("a", {"b": "b"})

    run(main)


def test_without_a_loader_for_many_the_keys_are_loaded_side_by_side() -> None:
    async def main() -> None:
        inside, most = 0, 0

        async def load(key: str) -> str:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            if key == "wrong":
                raise LookupError(key)
            return f"{key}!"

        cache: LRUCache[str, str] = LRUCache(load)
        assert await cache.aget_many(["a", "b"]) == {"a": "a!", "b": "b!"}
        assert most == 2
        with pytest.raises(LookupError):
            await cache.aget_many(["c", "wrong"])
        assert cache.get("c") == "c!"

    run(main)


def test_a_thousand_loads_in_threads_do_not_take_a_thousand_threads() -> None:
    most = 0

    def load(key: int) -> int:
        nonlocal most
        most = max(most, threading.active_count())
        return key

    async def main() -> None:
        cache: LRUCache[int, int] = LRUCache(load)
        before = threading.active_count()
        found = await asyncio.gather(*[cache.aget(key) for key in range(1_000)])
        assert found == list(range(1_000))
        assert most - before <= 33

    run(main)


def test_a_memoized_coroutine_function_is_one() -> None:
    async def main() -> None:
        cache: LRUCache[Any, Any] = LRUCache()
        runs = []

        @cache.memoize(expiration_time=5)
        async def double(number: int) -> int:
            runs.append(number)
            await asyncio.sleep(0)
            return 2 * number

        assert inspect.iscoroutinefunction(double)
        assert await asyncio.gather(*[double(4) for _ in range(10)]) == [8] * 10
        assert (runs, double.cache_info().misses, double.cache_info().hits) == ([4], 1, 9)
        assert double.cache_invalidate(4)
        double.cache_clear()
        assert (await double.__wrapped__(4), double.cache_info().currsize) == (8, 0)

    run(main)


def test_a_memoized_async_method_has_to_say_what_stands_for_self() -> None:
    cache: LRUCache[Any, Any] = LRUCache()
    with pytest.raises(TypeError, match=r"keep each self of the method .*Service.fetch alive.*key=lambda self, x"):

        class Service:
            @cache.memoize()
            async def fetch(self, number: int) -> int:
                return number

    class Named:
        name = "a name"

        @cache.memoize(key=lambda self, number: (self.name, number))
        async def fetch(self, number: int) -> int:
            return number

    assert run(lambda: Named().fetch(5)) == 5


def test_without_a_loop_of_asyncio_it_says_so() -> None:
    coroutine = LRUCache[str, str](plain).aget("a")
    with pytest.raises(RuntimeError, match="for asyncio and uvloop, not for trio"):
        coroutine.send(None)


# A storm: threads, and loops that come and go, ask, invalidate, fail, are slow and are cancelled, all by a seed.


async def cancel_the_rest() -> None:
    """As `asyncio.run` ends a loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Storm:
    """One cache, and a source whose rows only grow. What was loaded before an invalidation is older than its floor."""

    def __init__(self, seed: int, is_async: bool) -> None:
        self.chance = random.Random(seed)
        self.row = itertools.count(1)
        self.floor = dict.fromkeys(range(3), 0)  # of each key: the newest row when it was invalidated last
        self.wrong: list[str] = []
        self.cache: LRUCache[int, int] = LRUCache(
            self.load_later if is_async else self.load,
            expiration_time=0.02,
            stale_time=self.chance.choice([0, 0.02]),
            load_timeout=self.chance.choice([None, 0.002]),
            refresh_time=self.chance.choice([None, 0.01]),
            retry_time=0.005,
        )

    def load(self, key: int) -> int:
        if self.chance.random() < 0.2:
            raise LookupError(key)
        found = next(self.row)
        threading.Event().wait(self.chance.choice([0, 0.001, 0.004]))
        return found

    async def load_later(self, key: int) -> int:
        if self.chance.random() < 0.2:
            raise LookupError(key)
        if self.chance.random() < 0.05:
            raise asyncio.CancelledError
        found = next(self.row)
        await asyncio.sleep(self.chance.choice([0, 0.001, 0.004]))
        return found

    def invalidate(self, key: int) -> None:
        newest = next(self.row)
        self.cache.invalidate(key)
        self.floor[key] = max(self.floor[key], newest)

    def check(self, key: int, floor: int, found: int | None) -> None:
        if found is not None and found < floor:
            self.wrong.append(f"{key}: row {found} after an invalidation at {floor}")

    def in_a_thread(self, chance: random.Random) -> None:
        for _ in range(40):
            key = chance.randrange(3)
            if chance.random() < 0.3:
                self.invalidate(key)
            floor = self.floor[key]
            try:
                self.check(key, floor, self.cache.get(key))
            except (LookupError, TypeError):
                pass

    async def ask(self, key: int) -> None:
        floor = self.floor[key]
        try:
            self.check(key, floor, await self.cache.aget(key))
        except LookupError:
            pass

    async def on_a_loop(self, chance: random.Random) -> None:
        for _ in range(8):
            tasks = [asyncio.create_task(self.ask(chance.randrange(3))) for _ in range(8)]
            await asyncio.sleep(chance.choice([0, 0, 0.001, 0.003]))
            for task in chance.sample(tasks, chance.randrange(8)):
                task.cancel()
            if chance.random() < 0.5:
                self.invalidate(chance.randrange(3))
            if chance.random() < 0.9:
                await asyncio.wait(tasks)

    def loops(self, chance: random.Random) -> None:
        for _ in range(3):
            loop = chance.choice([asyncio.new_event_loop, uvloop.new_event_loop])()
            try:
                loop.run_until_complete(self.on_a_loop(chance))
                loop.run_until_complete(cancel_the_rest())
            finally:
                loop.close()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("seed", range(some_or_many(4, 60)))
def test_in_a_storm_nothing_is_stale_or_left(seed: int, is_async: bool, start: Callable[..., Started]) -> None:
    storm = Storm(seed, is_async)
    workers = [start(storm.in_a_thread, random.Random(seed * 10 + n)) for n in range(3)]
    workers += [start(storm.loops, random.Random(seed * 10 + n)) for n in range(5, 8)]
    for worker in workers:
        worker.result()
    assert storm.wrong == []
    eventually(lambda: not storm.cache._flights.running)
    flights = storm.cache._flights
    # by its type: objects of other tests may pretend to be of another class, and be made when they are asked for it
    left = [each for each in gc.get_objects() if issubclass(type(each), Flight) and each.owner is flights]
    begun = [each for each in left if each.planned]  # others were never needed; a line of the log may keep both
    assert [each for each in begun if not each.over or each.waiters or each.carrier or each.awaited] == []
