"""Values of own classes between two nodes, each a process: how many sets a second, and what it costs to read them.

A way is a kind of value and who makes bytes of it: the cache by its codec ("ours"), or the application, by a library
and by hand.
"""

import gc
import time
from statistics import median
from typing import Any

from benchmarks.carriers import APPLY_SECONDS, CONNECT_SECONDS, HOST
from benchmarks.codec_kinds import FIELDS, KINDS, kind_of
from harness.remote_objects import Held, RemoteObject
from lru_cache import LRUCacheDistributed

TEXT = "a text, ours"


class Node(Held):
    """One of the two. `by_hand`: the application makes the bytes."""

    def __init__(self, name: str, by_hand: bool, count: int) -> None:
        kind = kind_of(name)
        assert kind is not None
        self.kind, self.by_hand, self.count = kind, by_hand, count
        self.options = {"maximum_capacity": 2 * count, "codecs": [] if by_hand else kind.codecs}
        self.values = [kind.make({**FIELDS, "id": number}) for number in range(count)]
        self.keys = [f"user:{number}" for number in range(count)]

    def listen(self) -> Any:
        """Wait for the other one, at the address that this returns."""
        self.cache: LRUCacheDistributed[str, Any] = LRUCacheDistributed(local_address=(HOST, 0), **self.options)
        return self.cache.local_address

    def connect(self, address: Any) -> None:
        """Link with the other one."""
        self.cache = LRUCacheDistributed(remote_address=address, **self.options)
        if not self.cache.wait_connected(timeout=CONNECT_SECONDS):
            raise TimeoutError("not linked")

    def write(self) -> float:
        """Set all, and return how many a second until the other one had them."""
        set_one, dumps = self.cache.set, self.kind.dumps
        gc.collect()
        start = time.monotonic()
        if self.by_hand:
            for key, value in zip(self.keys, self.values, strict=True):
                set_one(key, dumps(value))
        else:
            for key, value in zip(self.keys, self.values, strict=True):
                set_one(key, value)
        if not self.cache.flush(timeout=APPLY_SECONDS):
            raise TimeoutError("not flushed")
        return self.count / (time.monotonic() - start)

    def read(self) -> float:
        """Get all, and return the microseconds of the processor for each."""
        get, loads = self.cache.get, self.kind.loads
        gc.collect()
        start = time.process_time()
        found = [loads(get(key)) for key in self.keys] if self.by_hand else [get(key) for key in self.keys]
        used = time.process_time() - start
        assert found == self.values
        return used / self.count * 1e6

    def close(self) -> None:
        """Say goodbye."""
        self.cache.close()


def run(name: str, by_hand: bool, count: int) -> dict[str, float]:
    """Two new processes, so many sets in one of them, and two reads of each in the other."""
    with RemoteObject(Node, name, by_hand, count) as reader, RemoteObject(Node, name, by_hand, count) as writer:
        writer.ask("connect", reader.ask("listen"))
        return {"sets": writer.ask("write"), "first": reader.ask("read"), "again": reader.ask("read")}


def ways() -> dict[str, tuple[str, bool]]:
    """Way -> the kind of value, and whether its bytes are made by hand."""
    found = {}
    for name in KINDS:
        kind = kind_of(name)
        if kind is not None:
            found[f"{name}, ours"] = name, False
            if kind.library:
                found[f"{name}, {kind.library}"] = name, True
    return found


def measure(rounds: int, count: int) -> dict[str, dict[str, float]]:
    """Each way in turn, round by round: medians, the rate also as a ratio to a text's in the same round."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for way, (name, by_hand) in ways().items():
            found.setdefault(way, []).append(run(name, by_hand, count))
    for runs in found.values():
        for one, of_text in zip(runs, found[TEXT], strict=True):
            one["of a text"] = one["sets"] / of_text["sets"]
    return {way: {of: median(one[of] for one in runs) for of in runs[0]} for way, runs in found.items()}
