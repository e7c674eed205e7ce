"""How long a look-up takes on an event loop, beside what one would write there by hand; in the same moments.

Each cache runs in a process of its own, on asyncio's loop: `python -m benchmarks.loops` with its name, and the numbers
of rounds, look-ups, loads and tasks, prints what it took as JSON. A cache is here an `async` look-up that loads what it
lacks, made as its own documentation has it. What by hand is compared with each stands in `ROW_MEANINGS`. Times are of
the wall clock, in turn with those by hand; the figure is the median of the rounds' ratios. The collector is on.
"""

import asyncio
import gc
import json
import statistics
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from importlib.metadata import version
from importlib.util import find_spec
from time import perf_counter
from typing import Any, ClassVar

from harness.processes import resident_bytes

HOUR_SECONDS = 3600
LOAD_SECONDS = 0.001
CAPACITY = 100_000

LookUp = Callable[[str], Awaitable[object]]

ROW_MEANINGS = {
    "hit": "a key that is there / `async def get(key): return d.get(key)`",
    "loads": "1,000 keys that each load for a millisecond, gathered / the same coroutines gathered without a cache",
    "ready": "the same, where a load only lets others run once",
    "one key": "10,000 tasks that miss one key / as many that shield one task by hand; and how often it was loaded",
    "bytes": "memory of each of these tasks while it waits",
}


class OnLoop:
    """One cache, as it is used on an event loop."""

    name: ClassVar[str]
    note: ClassVar[str]
    distribution: ClassVar[str] = ""
    module: ClassVar[str] = ""

    @classmethod
    def is_installed(cls) -> bool:
        """Whether it can be imported here."""
        return not cls.module or find_spec(cls.module) is not None

    @classmethod
    def installed_version(cls) -> str:
        """Say what the report prints beside its name."""
        if not cls.is_installed():
            return "not installed"
        return version(cls.distribution) if cls.distribution else "standard library"

    def look_up(self, load: LookUp) -> LookUp:
        """A new cache's look-up, which loads on a miss."""
        raise NotImplementedError

    def one_for_all(self, load: LookUp) -> LookUp:
        """The same, where it has another for many who ask for one key."""
        return self.look_up(load)

    async def gather(self, load: LookUp, keys: list[str]) -> None:
        """Look all of them up side by side, in a new cache."""
        look_up = self.look_up(load)
        await asyncio.gather(*[look_up(key) for key in keys])


class Ours(OnLoop):
    """Our own, one look-up for each key."""

    name = "lru_cache"
    note = "LRUCache(load), aget"
    distribution = "cf_LRU_cache"
    module = "lru_cache"

    def look_up(self, load: LookUp) -> LookUp:
        """Its own method."""
        from lru_cache import LRUCache

        cache: Any = LRUCache(load, maximum_capacity=CAPACITY, expiration_time=HOUR_SECONDS)
        look_up: LookUp = cache.aget
        return look_up


class OursMany(Ours):
    """The same, all keys in one call."""

    name = "lru_cache, many"
    note = "the same, aget_many where there are many keys"

    async def gather(self, load: LookUp, keys: list[str]) -> None:
        """Its own method for it."""
        from lru_cache import LRUCache

        cache: Any = LRUCache(load, maximum_capacity=CAPACITY, expiration_time=HOUR_SECONDS)
        await cache.aget_many(keys)


def function_of(load: LookUp) -> Callable[[str], Coroutine[Any, Any, object]]:
    """A function to be decorated, new each time, as each has its own cache."""

    async def loader(key: str) -> object:
        return await load(key)

    return loader


class AsyncLru(OnLoop):
    """functools.lru_cache for coroutines; for one loop."""

    name = "async-lru"
    note = "@alru_cache(maxsize, ttl=3600)"
    distribution = "async-lru"
    module = "async_lru"

    def look_up(self, load: LookUp) -> LookUp:
        """Decorate the loader."""
        from async_lru import alru_cache

        return alru_cache(maxsize=CAPACITY, ttl=HOUR_SECONDS)(function_of(load))


class Aiocache(OnLoop):
    """A cache of several backends, here its own in memory."""

    name = "aiocache"
    note = "@cached(ttl=3600) in memory; @cached_stampede for many who ask for one key"
    distribution = "aiocache"
    module = "aiocache"

    def _decorate(self, load: LookUp, **options: Any) -> LookUp:
        import aiocache  # type: ignore[import-untyped]

        kind = aiocache.cached_stampede if options else aiocache.cached
        decorated: LookUp = kind(ttl=HOUR_SECONDS, key_builder=lambda _, key: key, **options)(function_of(load))
        return decorated

    def look_up(self, load: LookUp) -> LookUp:
        """Decorate the loader."""
        return self._decorate(load)

    def one_for_all(self, load: LookUp) -> LookUp:
        """Its other decorator, which has a lock for each key."""
        return self._decorate(load, lease=60)


class Cashews(OnLoop):
    """Decorators and a framework of backends, here its own in memory."""

    name = "cashews"
    note = 'setup("mem://"), @cache(ttl=3600); lock=True for many who ask for one key'
    distribution = "cashews"
    module = "cashews"

    def _decorate(self, load: LookUp, **options: Any) -> LookUp:
        from cashews import Cache

        cache = Cache()
        cache.setup("mem://", size=CAPACITY)

        decorated: LookUp = cache(ttl=HOUR_SECONDS, key="{key}", **options)(function_of(load))
        return decorated

    def look_up(self, load: LookUp) -> LookUp:
        """Decorate the loader."""
        return self._decorate(load)

    def one_for_all(self, load: LookUp) -> LookUp:
        """With a lock for each key."""
        return self._decorate(load, lock=True)


class Theine(OnLoop):
    """Theine's decorator, which takes coroutine functions."""

    name = "theine"
    note = "@Memoize(size, ttl) of an async def"
    distribution = "theine"
    module = "theine"

    def look_up(self, load: LookUp) -> LookUp:
        """Decorate the loader."""
        from theine import Memoize

        memoized: Any = Memoize(CAPACITY, timedelta(seconds=HOUR_SECONDS))(function_of(load))
        memoized.key(lambda key: key)
        decorated: LookUp = memoized
        return decorated


ON_LOOPS: dict[str, type[OnLoop]] = {kind.name: kind for kind in (Ours, OursMany, AsyncLru, Aiocache, Cashews, Theine)}


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """How long it takes, seconds."""
    start = perf_counter()
    await work()
    return perf_counter() - start


async def ratio(rounds: int, own: Callable[[], Awaitable[object]], by_hand: Callable[[], Awaitable[object]]) -> float:
    """The median of what one takes, divided by what the other takes just before."""
    await by_hand()
    await own()
    ratios = []
    for _ in range(rounds):
        base = await timed(by_hand)
        ratios.append(await timed(own) / base)
    return statistics.median(ratios)


async def load_shortly(key: str) -> str:
    """A source that answers after a while."""
    await asyncio.sleep(LOAD_SECONDS)
    return key


async def load_ready(key: str) -> str:
    """A source that only lets others run."""
    await asyncio.sleep(0)
    return key


async def hits(cache: OnLoop, rounds: int, count: int) -> float:
    """A look-up of what is there."""
    look_up = cache.look_up(load_ready)
    held = {"key": await look_up("key")}

    async def get(key: str) -> object:
        return held.get(key)

    async def own() -> None:
        for _ in range(count):
            await look_up("key")

    async def by_hand() -> None:
        for _ in range(count):
            await get("key")

    return await ratio(rounds, own, by_hand)


async def loads(cache: OnLoop, load: LookUp, rounds: int, count: int) -> float:
    """Look-ups side by side, each of which loads."""
    keys = [f"key{number}" for number in range(count)]
    return await ratio(rounds, lambda: cache.gather(load, keys), lambda: asyncio.gather(*[load(key) for key in keys]))


async def crowd(look_up: LookUp, tasks: int) -> None:
    """So many tasks that want one key."""
    await asyncio.gather(*begin_tasks(look_up, tasks))


def begin_tasks(look_up: LookUp, tasks: int) -> "list[asyncio.Task[object]]":
    """Make each a task, also where all get the same object to await, which `gather` would take for one."""

    async def ask() -> object:
        return await look_up("key")

    return [asyncio.ensure_future(ask()) for _ in range(tasks)]


def shared_by_hand(load: LookUp) -> LookUp:
    """What one would write for one key: a task that all wait for, without its being cancelled with one of them."""
    begun: list[asyncio.Future[object]] = []

    async def ask(key: str) -> object:
        if not begun:
            begun.append(asyncio.ensure_future(load(key)))
        return await asyncio.shield(begun[0])

    return ask


async def one_key(cache: OnLoop, rounds: int, tasks: int) -> tuple[float, int]:
    """Many tasks that miss one key: the time, and how often it was loaded in one of the rounds."""
    loaded: list[str] = []

    async def load(key: str) -> str:
        loaded.append(key)
        return await load_shortly(key)

    found = await ratio(
        rounds,
        lambda: crowd(cache.one_for_all(load), tasks),
        lambda: crowd(shared_by_hand(load_shortly), tasks),
    )
    return found, round(len(loaded) / (rounds + 1))


async def bytes_waiting(look_up_of: Callable[[LookUp], LookUp], tasks: int) -> float:
    """What a task takes that waits for a load, with its task and all."""
    gate = asyncio.Event()

    async def load(key: str) -> str:
        await gate.wait()
        return key

    look_up = look_up_of(load)
    gc.collect()
    before = resident_bytes()
    waiting = begin_tasks(look_up, tasks)
    for _ in range(20):  # until each stands where it waits
        await asyncio.sleep(0)
    taken = resident_bytes() - before
    gate.set()
    await asyncio.gather(*waiting)
    return taken / tasks


async def measure(name: str, rounds: int, look_ups: int, loaded: int, tasks: int) -> dict[str, float | int]:
    """All rows of one cache. Memory first, before what was freed is used again."""
    cache = ON_LOOPS[name]()
    waiting = await bytes_waiting(cache.one_for_all, tasks)
    shared, times = await one_key(cache, rounds, tasks)
    return {
        "hit": await hits(cache, rounds, look_ups),
        "loads": await loads(cache, load_shortly, rounds, loaded),
        "ready": await loads(cache, load_ready, rounds, loaded),
        "one key": shared,
        "loaded": times,
        "bytes": waiting,
    }


if __name__ == "__main__":
    chosen, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(measure(chosen, *map(int, numbers)))))
