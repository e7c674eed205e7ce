"""What waits for other nodes, for tasks of an event loop."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from tests.concurrency import PATIENCE

Cache = LRUCacheDistributed[str, Any]


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        await asyncio.wait_for(main(), PATIENCE)

    asyncio.run(in_time())


def test_a_task_waits_for_links_and_for_what_was_written_to_be_told() -> None:
    async def main() -> None:
        async with LRUCacheDistributed[str, Any](local_address=("127.0.0.1", 0)) as server:
            async with LRUCacheDistributed[str, Any](remote_address=server.local_address) as client:
                assert await asyncio.gather(client.aconnected(timeout=PATIENCE), server.aconnected()) == [True, True]
                client.set("key", 1)
                assert (await client.aflush(PATIENCE), server.get("key")) == (True, 1)
                assert not await client.aconnected(2, timeout=0.01)
            assert client.peers() == []

    run(main)


def test_what_a_task_loads_on_one_node_the_others_have() -> None:
    async def load(key: str) -> list[str]:
        await asyncio.sleep(0)
        return [key]

    async def main() -> None:
        async with (
            LRUCacheDistributed[str, Any](local_address=("127.0.0.1", 0)) as server,
            LRUCacheDistributed[str, Any](load, remote_address=server.local_address) as client,
        ):
            await client.aconnected()
            assert await client.aget("key") == ["key"]
            assert (await client.aflush(), server.peek("key")) == (True, ["key"])

    run(main)


def test_without_anybody_to_tell_there_is_nothing_to_wait_for() -> None:
    async def main() -> None:
        async with LRUCacheDistributed[str, Any]() as alone:
            assert await alone.aflush()
            assert not await alone.aconnected(timeout=0)

    run(main)


def test_closing_ends_the_wait() -> None:
    async def main() -> None:
        cache: Cache = LRUCacheDistributed(local_address=("127.0.0.1", 0))
        waiting = asyncio.create_task(cache.aconnected())
        while not cache._exchange._notes:
            await asyncio.sleep(0)
        await cache.aclose()
        assert not await waiting

    run(main)


def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    async def main() -> None:
        async with LRUCacheDistributed[str, Any](local_address=("127.0.0.1", 0)) as cache:
            waiting = asyncio.create_task(cache.aconnected())
            while not cache._exchange._notes:
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert (cache._exchange._notes, cache._exchange._waiters) == ((), 0)

    run(main)


# -- the ends of processes and caches in the middle of loads -----------------------------------------------------------

FORKED = """
import asyncio, os, warnings
from lru_cache import LRUCache

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork where there are threads

async def load(key):
    began.set()
    await opened.wait()
    return key, os.getpid()

async def load_many(keys):
    return {key: await load(key) for key in keys}

async def ask():
    return [await cache.aget("a", load=load), *(await cache.aget_many(["b"], load_many=load_many)).values()]

async def main():
    global began, opened
    began, opened = asyncio.Event(), asyncio.Event()
    asking = asyncio.create_task(ask())
    await began.wait()
    child = os.fork()
    if not child:
        asyncio._set_running_loop(None)
        async def anew():
            global began, opened
            began, opened = asyncio.Event(), asyncio.Event()
            opened.set()
            return await asyncio.wait_for(ask(), 30)
        code = 1
        try:
            code = 0 if {pid for _, pid in asyncio.run(anew())} == {os.getpid()} else 2
        finally:
            os._exit(code)
    opened.set()
    print({pid for _, pid in await asking} == {os.getpid()}, os.waitpid(child, 0)[1])

cache = LRUCache()
asyncio.run(main())
"""

ENDED = """
import asyncio, sys, time
from lru_cache import LRUCacheDistributed

async def later(key):
    begun.append(key)
    await asyncio.sleep(60)

def in_thread(key):
    begun.append(key)
    time.sleep(60)

async def main():
    asking = [asyncio.create_task(cache.aget(load.__name__, load=load)) for load in (later, in_thread)]
    asking.append(asyncio.create_task(cache.aget_many([1, 2], load_many=later)))
    while len(begun) < 3:
        await asyncio.sleep(0)
    print("ends", flush=True)
    sys.exit(4)

begun = []
cache = LRUCacheDistributed(local_address=("127.0.0.1", 0))
asyncio.run(main())
"""


def ran(program: str) -> tuple[int, str, str]:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    return run.returncode, run.stdout, run.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_loads_anew_what_a_loop_of_its_parent_was_loading() -> None:
    assert ran(FORKED) == (0, "True 0\n", "")


def test_a_process_ends_in_the_middle_of_loads_without_a_word() -> None:
    """Also of one in a thread, which is not waited for."""
    assert ran(ENDED) == (4, "ends\n", "")


def test_a_cache_that_is_closed_in_the_middle_of_loads_goes_on_by_itself() -> None:
    async def main() -> None:
        opened = asyncio.Event()

        async def load(key: str) -> str:
            await opened.wait()
            return f"{key}!"

        cache: Cache = LRUCacheDistributed(local_address=("127.0.0.1", 0))
        asking = [asyncio.create_task(cache.aget(key, load=load)) for key in "ab"]
        while len(cache._flights.running) < 2:
            await asyncio.sleep(0)
        await cache.aclose()
        opened.set()
        assert await asyncio.gather(*asking) == ["a!", "b!"]
        assert (cache.get("a"), await cache.aget("c", load=load)) == ("a!", "c!")

    run(main)
