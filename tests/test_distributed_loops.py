"""What waits for other nodes, for tasks of an event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

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
