"""An engine in memory, for tests of what stands on engines: it may stand still, refuse, fail, and lose what it has."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from lru_cache.engines.engine import Engine, EngineError, ForkedError
from lru_cache.engines.options import Options
from lru_cache.replication.log_records import Place, Record, Standing


class MemoryServer:
    """What keeps the log. Any thread may call anything."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.failure: EngineError | None = None  # raised by whatever is asked
        self.runs = threading.Event()  # cleared: whatever is asked waits
        self.runs.set()
        self.offset_ms = 0  # of its clock
        self.asked: list[str] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.token = os.urandom(16)

    def ms(self) -> int:
        return int(time.time() * 1000) + self.offset_ms

    def wipe(self) -> None:
        with self.lock:
            self.records, self.token = [], os.urandom(16)

    def truncate(self, count: int) -> None:
        """Lose the newest, as a failover does."""
        with self.lock:
            del self.records[len(self.records) - count :]

    def trim(self, count: int) -> None:
        """Forget the oldest."""
        with self.lock:
            del self.records[:count]

    def put(self, content: bytes) -> Place:
        """Append whatever it is."""
        with self.lock:
            last = self.records[-1] if self.records else None
            before = self.token if last is None else last.chain
            ms = self.ms()
            place = (ms, 0) if last is None or ms > last.place[0] else (last.place[0], last.place[1] + 1)
            chain = blake2b(before + content, digest_size=16).digest()
            self.records.append(Record(place, 1 if last is None else last.number + 1, before, chain, content))
            return place

    def options(self, **given: Any) -> "MemoryOptions":
        """What to give as `engine`."""
        options = MemoryOptions("memory://here", **given)
        object.__setattr__(options, "server", self)
        return options


@dataclass(frozen=True, repr=False)
class MemoryOptions(Options):
    """Names a `MemoryServer`."""

    SCHEMES = ("memory",)
    PORT = 1
    EXAMPLE = "memory://here"
    PACKAGE = ("os", "memory")

    server = MemoryServer()

    def engine(self, cluster: str, refusal: Callable[[int, Any], str | None]) -> Engine:
        return MemoryEngine(self.server)


class MemoryEngine:
    """One connection."""

    pause = 0.0

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    def _ask(self, what: str) -> MemoryServer:
        server = self._server
        server.asked.append(what)
        if not server.runs.wait(2.0):
            raise EngineError("it did not answer in time")
        if server.failure is not None:
            raise server.failure
        return server

    def connect(self, deadline: float) -> Standing:
        server = self._ask("connect")
        server.connections += 1
        first = server.records[0] if server.records else None
        return Standing(server.token if first else b"", first, server.ms())

    def find(self, tail: Iterable[tuple[Place, bytes]]) -> Place | None:
        chains = {record.place: record.chain for record in self._ask("find").records}
        return next((place for place, chain in tail if chains.get(place) == chain), None)

    def append(self, content: bytes, place: Place | None, chain: bytes) -> Place:
        server = self._ask("append")
        self._require(server, place, chain)
        return server.put(content)

    def read(self, after: Place | None, limit: int) -> list[Record]:
        return [r for r in self._ask("read").records if after is None or r.place > after][:limit]

    def look(self, place: Place | None, chain: bytes) -> int:
        server = self._ask("look")
        self._require(server, place, chain)
        return server.ms()

    def _require(self, server: MemoryServer, place: Place | None, chain: bytes) -> None:
        if place is None:
            is_there = not server.records or server.records[0].number == 1 or server.records[0].before == chain
        else:
            is_there = any(each.place == place and each.chain == chain for each in server.records)
        if not is_there:
            raise ForkedError("it has not what was read")

    def close(self) -> None:
        pass

    def abandon(self) -> None:
        pass
