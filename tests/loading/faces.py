"""A cache whose look-ups are those of tasks: what is claimed of loading for threads is claimed of them, too."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from lru_cache import LRUCache
from lru_cache.loading.loaders import AsyncLoader


def as_async(load: Any) -> Any:
    """The same loader to be awaited; what it does in between, its loop does not wait for."""
    if not callable(load) or isinstance(load, AsyncLoader):
        return load

    async def load_later(key: Any) -> Any:
        return await asyncio.to_thread(load, key)

    return load_later


def on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class ALoop:
    """An event loop in a thread of its own, on which tasks of all threads of a test run: loads outlive who asks."""

    current: "asyncio.AbstractEventLoop"

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[None]:
        cls.current = asyncio.new_event_loop()
        cls.current.set_default_executor(ThreadPoolExecutor(100))  # each of a chain of loads waits in one for the next
        thread = threading.Thread(target=cls.current.run_forever, name="the loop of a test")
        thread.start()
        yield
        cls.run(cancel_all())
        cls.current.call_soon_threadsafe(cls.current.stop)
        thread.join()
        cls.current.close()

    @classmethod
    def run(cls, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, cls.current).result()


async def cancel_all() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


class ByTasks(LRUCache[Any, Any]):
    """Each look-up is a task's; loaders are as they are given, and run in threads."""

    adapt = staticmethod(lambda load: load)

    def __init__(self, load_callback: Any = None, *args: Any, load_many: Any = None, **options: Any) -> None:
        super().__init__(self.adapt(load_callback), *args, load_many=self.adapt(load_many), **options)

    def get(self, key: Any, default: Any = None, *, load: Any = None) -> Any:
        """By `aget`, unless it is that which asks."""
        if on_a_loop():
            return super().get(key, default, load=load)
        return ALoop.run(self.aget(key, default, load=self.adapt(load)))

    def get_many(self, keys: Iterable[Any], *, load_many: Any = None) -> Any:
        """By `aget_many`, likewise."""
        if on_a_loop():
            return super().get_many(keys, load_many=load_many)
        return ALoop.run(self.aget_many(keys, load_many=self.adapt(load_many)))


class ByTasksOfTasks(ByTasks):
    """The same, where loaders are to be awaited."""

    adapt = staticmethod(as_async)
