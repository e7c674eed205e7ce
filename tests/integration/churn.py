"""Random work on one node, that writes down what it did, and what it saw that must not be.

Records of the source are of three kinds, by their number:
- *told*: values come from sets alone, and one thread of one node owns each, so its writes have an order.
- *mixed*: told in the same way, after the source was written; everybody may load them.
- *loaded*: everybody raises them at the source and then invalidates; values come from loads alone.

What is written is the number that the source gave, so newer is greater, whoever looks.
"""

import json
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.source import Source

KINDS = ("told", "mixed", "loaded")
RECORDS = 120  # a third of each kind
SLOWEST_LOAD = 0.02  # seconds: long enough to be overtaken by an invalidation
PAUSE = 0.006  # seconds between two acts, at most
FLUSH_TIME = 0.5


def kind_of(record: int) -> str:
    return KINDS[record % 3]


def key_of(record: int) -> str:
    return f"{kind_of(record)}:{record}"


def record_of(key: str) -> int:
    return int(key.split(":")[1])


class Journal:
    """What lives of one node wrote. It survives a kill: each line is in the kernel when `write` returns."""

    def __init__(self, path: Path | str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **line: Any) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Churn:
    """Threads that work on a cache until they are told to stop. `wrong` is what they saw that must not be."""

    def __init__(
        self, cache: Any, source: Source, journal: Journal, node: int, nodes: int, seed: int, clears: bool
    ) -> None:
        self.wrong: list[str] = []
        self.acts = 0
        self._cache = cache
        self._source = source
        self._journal = journal
        self._clears = clears  # the journals do not say when, so who has to know what is there must not ask for it
        self._own = [r for r in range(RECORDS) if kind_of(r) != "loaded" and r // 3 % nodes == node]
        self._stopped = threading.Event()
        self._newest_seen: dict[int, int] = {}  # of told records; each is looked at by one thread, the reader
        runs = [(self._write, 0), (self._read, 1), (self._invalidate, 2), (self._flush, 3)]
        self._threads = [threading.Thread(target=self._run, args=(run, seed + i), daemon=True) for run, i in runs]
        for thread in self._threads:
            thread.start()

    def stop(self) -> dict[str, Any]:
        self._stopped.set()
        for thread in self._threads:
            thread.join(10)
        return {
            "wrong": self.wrong,
            "acts": self.acts,
            "hanging": [thread.name for thread in self._threads if thread.is_alive()],
        }

    def _run(self, act: Callable[[random.Random], None], seed: int) -> None:
        chance = random.Random(seed)
        while not self._stopped.wait(chance.uniform(0, PAUSE)):
            try:
                act(chance)
            except Exception as error:  # noqa: BLE001 - no error may reach an application because of the network
                self.wrong.append(f"{type(error).__name__}: {error}")
            self.acts += 1

    def _expect(self, is_so: bool, complaint: str) -> None:
        if not is_so and len(self.wrong) < 100:
            self.wrong.append(complaint)

    def _load(self, record: int, chance: random.Random) -> Any:
        def load(_: str) -> int:
            number = self._source.read(record)
            time.sleep(chance.uniform(0, SLOWEST_LOAD))
            return number

        return self._cache.get(key_of(record), load=load)

    # -- the acts ------------------------------------------------------------------------------------------------------

    def _write(self, chance: random.Random) -> None:
        record = chance.choice(self._own)
        key, number = key_of(record), self._source.raise_number(record)
        dies = chance.random() < 0.2
        if dies:
            self._cache.invalidate(key)
        else:
            self._cache.set(key, number)
        self._journal.write(key=key, number=number, dies=dies)
        if kind_of(record) == "told":
            read = self._cache.peek(key)
            self._expect(read is None or (read == number and not dies), f"{key}: wrote {number} {dies=}, read {read}")
        else:
            read = self._load(record, chance)
            self._expect(read >= number, f"{key}: wrote {number}, loaded {read}")
        if chance.random() < 0.1:
            self._cache.touch(key, 3600)

    def _read(self, chance: random.Random) -> None:
        record = chance.randrange(RECORDS)
        if kind_of(record) != "told":
            self._load(record, chance)
            return
        read = self._cache.get(key_of(record))
        if read is not None:
            newest = self._newest_seen.get(record, 0)
            self._expect(read >= newest, f"{key_of(record)}: read {newest}, and then {read}")
            self._newest_seen[record] = max(newest, read)

    def _invalidate(self, chance: random.Random) -> None:
        count = chance.choice([1, 1, 1, 5])
        records = chance.sample(range(2, RECORDS, 3), count)
        numbers = [self._source.raise_number(record) for record in records]
        if self._clears and chance.random() < 0.005:
            self._cache.clear()
        elif count == 1:
            self._cache.invalidate(key_of(records[0]))
        else:
            self._cache.invalidate_many(map(key_of, records))
        for record, number in zip(records, numbers, strict=True):
            self._journal.write(key=key_of(record), number=number, dies=True)
        read = self._load(records[0], chance)
        self._expect(read >= numbers[0], f"{key_of(records[0])}: invalidated at {numbers[0]}, then loaded {read}")

    def _flush(self, chance: random.Random) -> None:
        self._stopped.wait(chance.uniform(0, 0.2))
        self._journal.write(flush="begins")
        if self._cache.flush(timeout=FLUSH_TIME):
            self._journal.write(flush="done")
