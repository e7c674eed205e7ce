"""One node as a process: a `LRUCacheDistributed` that does what it is told, by a line of JSON on stdin for each act.

    {"act": "set", "arguments": ["key", 1], "options": {}}  ->  {"result": 1}  or  {"error": "ValueError: ..."}

It must not know what is tested. It ends when stdin does, so that nothing outlives its test.
"""

import dataclasses
import json
import logging
import sys
import threading
import time
from collections.abc import Hashable
from typing import Any

from harness.processes import open_descriptors
from lru_cache.lru_cache_distributed import LRUCacheDistributed
from lru_cache.network import local_cluster, post
from tests.integration.churn import RECORDS, Churn, Journal
from tests.integration.source import Source

ABSENT = "(absent)"
PATIENCE = 30.0  # seconds that a load waits to be let go


def as_address(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


class StoppedLoad:
    """A load that has begun, and has its value, and ends when it is told to."""

    def __init__(self, cache: Any, key: Hashable, value: Any) -> None:
        self._value, self.answer = value, None
        self.entered, self._let_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._get, args=(cache, key), daemon=True)
        self._thread.start()
        assert self.entered.wait(PATIENCE), "the loader was not called"

    def _get(self, cache: Any, key: Hashable) -> None:
        self.answer = cache.get(key, load=self._load)

    def _load(self, _: Hashable) -> Any:
        self.entered.set()
        assert self._let_go.wait(PATIENCE), "nobody let the load go"
        return self._value

    def end(self) -> Any:
        self._let_go.set()
        self._thread.join(PATIENCE)
        return self.answer


class Watch:
    """The values that a key has had, in order, from now on."""

    def __init__(self, cache: Any, key: Hashable) -> None:
        self._stopped = threading.Event()
        self._seen: list[Any] = []
        self._thread = threading.Thread(target=self._look, args=(cache, key), daemon=True)
        self._thread.start()

    def _look(self, cache: Any, key: Hashable) -> None:
        while not self._stopped.wait(0.0002):
            value = cache.peek(key)
            if value is not None and [value] != self._seen[-1:]:
                self._seen.append(value)

    def end(self) -> list[Any]:
        self._stopped.set()
        self._thread.join(PATIENCE)
        return self._seen


class Flushing:
    """Sets keys of its own and flushes them, without end; what was flushed is written to a file that outlives it."""

    def __init__(self, cache: Any, journal: str, name: str) -> None:
        self.count = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, args=(cache, journal, name), daemon=True)
        self._thread.start()

    def _write(self, cache: Any, journal: str, name: str) -> None:
        number = 0
        with open(journal, "a", buffering=1) as flushed:  # noqa: PTH123 - a line is one write
            while not self._stopped.wait(0.01):
                number += 1
                key = f"{name}-{cache.node}-{number % 500}"
                cache.set(key, number)
                if cache.flush():
                    flushed.write(f"{key} {number}\n")
                    self.count += 1

    def end(self) -> int:
        self._stopped.set()
        self._thread.join(PATIENCE)
        return self.count


class Acts:
    """What a node can be told, by method. What is not here goes to the cache's method of that name."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._name, self._nodes = options.pop("name", "node"), options.pop("nodes", 1)
        self._directory = options.pop("directory", ".")
        remotes = options.pop("remote_address", None)
        self._removals: list[Any] = []
        if options.pop("listens", False):
            options["on_removal"] = lambda removal: self._removals.append(removal.key)
        if not options.pop("unix_sockets", True):
            local_cluster.HAS_UNIX_SOCKETS = post.HAS_UNIX_SOCKETS = False
        self.cache: LRUCacheDistributed[Any, Any] = LRUCacheDistributed(
            remote_address=[as_address(remote) for remote in remotes] if remotes is not None else None,
            local_address=as_address(options.pop("local_address", None)),
            **options,
        )
        self._journal = Journal(f"{self._directory}/{self._name}.journal")
        self._journal.write(life=self.cache.node)
        self._loads: dict[Hashable, StoppedLoad] = {}
        self._churn: Churn | None = None

    def act(self, name: str, arguments: list[Any], options: dict[str, Any]) -> Any:
        return getattr(self, f"act_{name}", getattr(self.cache, name, None))(*arguments, **options)

    def act_address(self) -> Any:
        return self.cache.local_address

    def act_node(self) -> Any:
        return self.cache.node

    def act_peek(self, key: Hashable) -> Any:
        return self.cache.peek(key, ABSENT)

    def act_held(self) -> dict[Any, Any]:
        return dict(self.cache.items())

    def act_stats(self) -> dict[str, Any]:
        return dataclasses.asdict(self.cache.stats())

    def act_peers(self) -> list[dict[str, Any]]:
        return [dataclasses.asdict(peer) for peer in self.cache.peers()]

    def act_begin_load(self, key: Hashable, value: Any) -> None:
        self._loads[key] = StoppedLoad(self.cache, key, value)

    def act_end_load(self, key: Hashable) -> Any:
        return self._loads.pop(key).end()

    def act_begin_watch(self, key: Hashable) -> None:
        self._watch = Watch(self.cache, key)

    def act_end_watch(self) -> list[Any]:
        return self._watch.end()

    def act_write_many(self, prefix: str, count: int, value: Any, keys: int = 0) -> dict[str, float]:
        """So many sets, over so many keys (or one for each), of a value, of {"bytes": how many}, or of their number.

        Returns how long they took, and their median, in seconds.
        """
        value = "x" * value["bytes"] if isinstance(value, dict) else value
        costs = []
        for i in range(count):
            began = time.perf_counter()
            self.cache.set(f"{prefix}{i % keys if keys else i}", i if value is None else value)
            costs.append(time.perf_counter() - began)
        return {"total": sum(costs), "median": sorted(costs)[count // 2]}

    def act_be_busy(self, seconds: float) -> None:
        """Keep a thread computing, so that all others wait for the interpreter."""

        def compute() -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                sum(range(10_000))

        threading.Thread(target=compute, daemon=True).start()

    def act_begin_churn(self, index: int, seed: int, clears: bool = False) -> None:
        source = Source(f"{self._directory}/source", RECORDS)
        self._churn = Churn(self.cache, source, self._journal, index, self._nodes, seed, clears)

    def act_end_churn(self) -> Any:
        assert self._churn is not None
        return self._churn.stop()

    def act_begin_flushing(self) -> None:
        self._flushing = Flushing(self.cache, f"{self._directory}/{self._name}.flushed", self._name)

    def act_end_flushing(self) -> int:
        return self._flushing.end()

    def act_removals(self) -> list[Any]:
        return self._removals

    def act_threads(self) -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    def act_open_files(self) -> int:
        return open_descriptors()


def main(options: dict[str, Any]) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        acts = Acts(options)
    except Exception as error:  # noqa: BLE001 - the test wants to know
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)  # noqa: T201
        return
    print(json.dumps({"result": "started"}), flush=True)  # noqa: T201
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = {"result": acts.act(order["act"], order["arguments"], order["options"])}
        except Exception as error:  # noqa: BLE001 - the test wants to know
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
