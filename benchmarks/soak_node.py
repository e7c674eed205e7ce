"""A node of the soak: a cache under load in a process of its own, which tells how it is doing.

Its writes are told apart by when they were made, on the machine's one monotonic clock, so that in the end everybody can
say which was the newest. What it remembers of them is as large at the start as at the end.
"""

import random
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from harness.processes import open_descriptors, resident_bytes
from harness.remote_objects import Held
from lru_cache import LRUCacheDistributed

KEYS = 3_000  # that are written, by all nodes
LOADED_KEYS = 500  # that are only loaded and invalidated
CAPACITY = 2_000  # less than the keys, so that there are evictions and graves
SILENCE_MILLISECONDS = 2_000
WORKERS = 2
LIFE_SECONDS = 60.0
NEVER = -1.0

Write = tuple[float, float | None]  # when, and the value, which is when it was made; None: an invalidation


def written_key(number: int) -> str:
    """One of the keys that are written."""
    return f"user:{number}"


def load(key: str) -> str:
    """What the source has for a key: always the same."""
    return f"what the source has for {key}" * 3


class SoakNode(Held):
    """A cache in a ring, and threads that use it."""

    def __init__(self, seed: int, local: Any, remotes: Sequence[Any], operations_per_second: float) -> None:
        self.cache: LRUCacheDistributed[str, Any] = LRUCacheDistributed(
            load,
            CAPACITY,
            LIFE_SECONDS,
            SILENCE_MILLISECONDS,
            remote_address=list(remotes),
            local_address=local,
            expiration_jitter=0.1,
        )
        self.operations = 0
        self._pause = WORKERS / operations_per_second
        self._last: list[Write] = [(NEVER, None)] * KEYS
        self._working = True
        self._locks = [threading.Lock() for _ in range(KEYS)]  # so that what is noted last was also written last
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(seed * WORKERS + number),), daemon=True)
            for number in range(WORKERS)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, chance: random.Random) -> None:
        due = time.monotonic()
        while self._working:
            self._act(chance)
            self.operations += 1
            due = max(due + self._pause, time.monotonic() - 1.0)  # after a stop, it does not make up for all of it
            time.sleep(max(0.0, due - time.monotonic()))

    def _act(self, chance: random.Random) -> None:
        number = min(int(chance.expovariate(6 / KEYS)), KEYS - 1)  # some keys are hotter than others
        act = chance.random()
        if act < 0.55:
            self._write(number, invalidates=False)
        elif act < 0.65:
            self._write(number, invalidates=True)
        elif act < 0.70:
            self.cache.touch(written_key(number))
        elif act < 0.85:
            self.cache.peek(written_key(number))
        elif act < 0.98:
            self.cache.get(f"loaded:{number % LOADED_KEYS}")
        else:
            self.cache.invalidate(f"loaded:{number % LOADED_KEYS}")

    def _write(self, number: int, invalidates: bool) -> None:
        with self._locks[number]:
            now = time.monotonic()
            if invalidates:
                self.cache.invalidate(written_key(number))
            else:
                self.cache.set(written_key(number), (now, "v" * 100))
            self._last[number] = (now, None if invalidates else now)

    # -- what it is asked ----------------------------------------------------------------------------------------------

    def figures(self) -> dict[str, float]:
        """Say how it is doing now."""
        peers = self.cache.peers()
        lags = [peer.lag for peer in peers if peer.lag is not None]
        return {
            "megabytes": resident_bytes() / 1e6,
            "blocks": sys.getallocatedblocks() / 1e3,
            "threads": threading.active_count(),
            "descriptors": open_descriptors(),
            "lag": max(lags, default=float("nan")),
            "links": sum(peer.state == "connected" for peer in peers),
            "queued": sum(peer.queued for peer in peers),
            "operations": self.operations,
        }

    def rest(self) -> None:
        """Let the load end."""
        self._working = False
        for thread in self._threads:
            thread.join()

    def writes(self) -> list[Write]:
        """Return the last write of each key that was made here in this life."""
        return list(self._last)

    def held(self) -> list[float | None]:
        """Return when the value was made that each key has here; None where there is none."""
        found = (self.cache.peek(written_key(number)) for number in range(KEYS))
        return [None if value is None else value[0] for value in found]

    def wrong_loads(self) -> int:
        """How many loaded keys have something else than the source."""
        keys = (f"loaded:{number}" for number in range(LOADED_KEYS))
        return sum(self.cache.peek(key) not in (None, load(key)) for key in keys)

    def close(self) -> None:
        """Leave."""
        self._working = False
        self.cache.close()
