"""Loads that nobody waits for to the end: a bounded number of daemon threads. It must not know what it runs."""

import threading
from collections import deque
from collections.abc import Callable

from lru_cache.log import logger


class BackgroundThreads:
    """Runs each function in a thread of its own, at most `limit` at a time.

    A thread for each and no pool: a refresh takes milliseconds where a thread's start takes microseconds, an idle cache
    then has no threads, and one loader that hangs takes none of the others with it. Daemons, so that it cannot keep the
    process from ending either.
    """

    def __init__(self, limit: int) -> None:
        self._free = deque(range(limit))  # a token each; no lock, so that a finalizer may ask for a load from anywhere

    def start(self, function: Callable[[], object]) -> bool:
        """Run it soon. False if as many as allowed are running, or the machine gives no thread."""
        try:
            token = self._free.pop()
        except IndexError:
            return False
        try:
            threading.Thread(target=self._run, args=(function, token), name="lru_cache-load", daemon=True).start()
        except RuntimeError:
            self._free.append(token)
            return False
        return True

    def _run(self, function: Callable[[], object], token: int) -> None:
        try:
            function()
        except BaseException:  # noqa: BLE001 - even SystemExit has nobody to go to in this thread
            logger().exception("a background load ended abnormally")
        finally:
            self._free.append(token)
