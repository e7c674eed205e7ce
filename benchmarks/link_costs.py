"""What links cost those who call `set`, and what they cost a process that does nothing.

The writer has a cache of each kind and writes to them in turn. Readers are in processes of their own.
"""

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.carriers import APPLY_SECONDS, CONNECT_SECONDS, VALUE_CHARACTERS
from benchmarks.servers import HOST
from harness.remote_objects import Held, RemoteObject
from lru_cache import LRUCache, LRUCacheDistributed

MANY_LINKS = 8
LOCAL, NO_LINK, ONE_LINK, MANY = "LRUCache", "0 links", "1 link", f"{MANY_LINKS} links"
STOPPED = "1 link, its reader stopped"
KINDS = (LOCAL, NO_LINK, ONE_LINK, MANY, STOPPED)
PATIENT_MILLISECONDS = 600_000  # a stopped reader must not be taken for dead while it is measured
KEYS = 1_000
FILLERS = 30_000  # 4 MB, and three times what an outbox takes
MESH = 5
SETTLE_SECONDS = 3.0


class Listeners(Held):
    """Caches that listen, in one process."""

    def __init__(self, caches: int, connection_timeout: float = 3600) -> None:
        self.caches = [
            LRUCacheDistributed[str, str](local_address=(HOST, 0), connection_timeout=connection_timeout)
            for _ in range(caches)
        ]

    def places(self) -> list[Any]:
        """Return where they listen."""
        return [cache.local_address for cache in self.caches]

    def close(self) -> None:
        """Let go."""
        for cache in self.caches:
            cache.close()


class Caller(Held):
    """Calls `set`, and takes the time."""

    def __init__(self) -> None:
        self.caches: dict[str, Any] = {LOCAL: LRUCache()}
        self.keys = [f"user:{number}" for number in range(KEYS)]
        self.value = "v" * VALUE_CHARACTERS

    def link(self, kind: str, places: Sequence[Any]) -> None:
        """Make a cache with these links."""
        cache: LRUCacheDistributed[str, str] = LRUCacheDistributed(
            remote_address=list(places) or None, connection_timeout=PATIENT_MILLISECONDS
        )
        self.caches[kind] = cache
        if places and not cache.wait_connected(len(places), timeout=CONNECT_SECONDS):
            raise TimeoutError(f"not linked: {kind}")

    def fill(self, kind: str) -> None:
        """Write more than the kernel and the outbox take."""
        set_one, value = self.caches[kind].set, self.value
        for number in range(FILLERS):
            set_one(f"filler:{number}", value)

    def paced(self, kinds: Sequence[str], rounds: int, pause_seconds: float) -> dict[str, list[float]]:
        """Seconds of single sets, each after a pause: every kind once a round."""
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        clock, keys, value = time.perf_counter, self.keys, self.value
        for number in range(rounds):
            for kind, taken in seconds.items():
                set_one, key = self.caches[kind].set, keys[number % KEYS]
                time.sleep(pause_seconds)
                start = clock()
                set_one(key, value)
                taken.append(clock() - start)
        return seconds

    def burst(self, kind: str, count: int) -> float:
        """Seconds of a set among many without a pause, on average; what goes on in the links' threads is in it."""
        cache, keys, value = self.caches[kind], self.keys, self.value
        set_one, clock = cache.set, time.perf_counter
        start = clock()
        for number in range(count):
            set_one(keys[number % KEYS], value)
        taken = clock() - start
        if kind not in (LOCAL, NO_LINK, STOPPED) and not cache.flush(timeout=APPLY_SECONDS):
            raise TimeoutError(f"not flushed: {kind}")
        return taken / count

    def close(self) -> None:
        """Let go of what need not wait for anybody."""
        for kind, cache in self.caches.items():
            if kind not in (LOCAL, STOPPED):
                cache.close()


def measure(rounds: int, pause_seconds: float, bursts: int, burst: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of a set: paced or burst -> kind -> samples, sorted."""
    with (
        RemoteObject(Listeners, 1) as one,
        RemoteObject(Listeners, MANY_LINKS) as many,
        RemoteObject(Listeners, 1, PATIENT_MILLISECONDS) as stopped,
        RemoteObject(Caller) as caller,
    ):
        caller.ask("link", NO_LINK, [])
        for kind, listeners in ((ONE_LINK, one), (MANY, many), (STOPPED, stopped)):
            caller.ask("link", kind, listeners.ask("places"))
        stopped.stop()
        try:
            caller.ask("fill", STOPPED)
            paced = caller.ask("paced", KINDS, rounds, pause_seconds)
            flat: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for _ in range(bursts):
                for kind, samples in flat.items():
                    samples.append(caller.ask("burst", kind, burst))
        finally:
            stopped.resume()
    return {
        "paced": {kind: sorted(samples) for kind, samples in paced.items()},
        "burst": {kind: sorted(samples) for kind, samples in flat.items()},
    }


def measure_idle(seconds: float) -> list[float]:
    """Shares of a core that the nodes of a mesh use while nobody does anything; each a process."""
    nodes: list[RemoteObject] = []
    try:
        places: list[Any] = []
        for _ in range(MESH):
            node = RemoteObject(Node)
            nodes.append(node)
            places.append(node.ask("join", list(places)))
        for node in nodes:
            node.ask("await_peers", MESH - 1)
        time.sleep(SETTLE_SECONDS)
        before = [node.ask("processor_seconds") for node in nodes]
        time.sleep(seconds)
        after = [node.ask("processor_seconds") for node in nodes]
    finally:
        for node in nodes:
            node.close()
    return [(late - early) / seconds for early, late in zip(before, after, strict=True)]


class Node(Held):
    """A node of the mesh."""

    def join(self, places: Sequence[Any]) -> Any:
        """Listen, and dial those that are there already."""
        self.cache: LRUCacheDistributed[str, str] = LRUCacheDistributed(
            local_address=(HOST, 0), remote_address=list(places) or None
        )
        return self.cache.local_address

    def await_peers(self, count: int) -> None:
        """Wait until all are linked."""
        if not self.cache.wait_connected(count, timeout=CONNECT_SECONDS):
            raise TimeoutError("not linked")

    def close(self) -> None:
        """Let go."""
        self.cache.close()
