"""Servers, and engines on them, for tests; all are ended with the test or the run."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lru_cache.engines import log_link
from lru_cache.engines.engine import Engine, Refusal
from lru_cache.engines.options import Redis
from lru_cache.engines.redis import RedisEngine
from lru_cache.replication.log_records import Place, Record, Standing
from tests.concurrency import PATIENCE
from tests.engines.fake_redis import FakeRedis
from tests.engines.fleet import Lines
from tests.engines.logs import SUFFICIENT, JetStreamLogs, Logs, RedisLogs
from tests.engines.nats_server import NatsServer
from tests.engines.servers import Server, Servers, find_server


@pytest.fixture
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again soon, so that more of it happens."""
    monkeypatch.setattr(log_link, "LONGEST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(log_link, "LOOK_SECONDS", 0.2)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """What is warned of."""
    caplog.set_level(logging.WARNING, "lru_cache")
    return Lines(caplog)


@pytest.fixture(scope="session")
def redis_logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Logs]]:
    """Logs on a server of this name, which is started when it is first asked for."""
    started: dict[str, Server] = {}

    def logs(name: str) -> Logs:
        if name not in started:
            started[name] = Server(find_server(name), tmp_path_factory.mktemp(name))
        return RedisLogs(started[name])

    yield logs
    for server in started.values():
        server.close()


@pytest.fixture(scope="session")
def nats_logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Logs]]:
    """Logs on a server of NATS, likewise."""
    started: list[NatsServer] = []

    def logs() -> Logs:
        if not started:
            started.append(NatsServer(tmp_path_factory.mktemp("nats")))
        return JetStreamLogs(started[0])

    yield logs
    for server in started:
        server.close()


@pytest.fixture(params=["redis", "valkey", "nats"])
def logs(request: pytest.FixtureRequest) -> Logs:
    """Of each kind of engine: what `test_contract.py` claims is claimed of all of them."""
    if request.param == "nats":
        made: Logs = request.getfixturevalue("nats_logs")()
    else:
        made = request.getfixturevalue("redis_logs")(request.param)
    return made


@pytest.fixture
def cluster() -> str:
    """A name that no other test has."""
    return uuid4().hex


class Reader:
    """An engine, and what was read over it: as a node's end of the log remembers it."""

    def __init__(self, engine: Engine, looks: bool = False) -> None:
        self.engine = engine
        self._looks = looks  # before it reads: else what was appended just now may still be on its way
        self.place: Place | None = None
        self.chain = b""
        self.records: list[Record] = []

    def connect(self) -> Standing:
        """Connect, and begin at the first record that is left."""
        standing = self.engine.connect(time.monotonic() + PATIENCE)
        self.place, self.chain = None, standing.first.before if standing.first is not None else b""
        self.records = []
        return standing

    def append(self, content: bytes) -> Place:
        return self.engine.append(content, self.place, self.chain)

    def read(self, limit: int = 100) -> list[Record]:
        """All that is there, and that each follows the one before it."""
        if self._looks:
            self.look()
        while records := self.engine.read(self.place, limit):
            for record in records:
                assert record.before == self.chain if self.chain else record.number == 1
                self.place, self.chain = record.place, record.chain
            self.records += records
            if len(records) < limit:
                break
        return self.records

    def look(self) -> int:
        return self.engine.look(self.place, self.chain)

    def find(self) -> Place | None:
        return self.engine.find(self.tail())

    def tail(self) -> Iterator[tuple[Place, bytes]]:
        for record in reversed(self.records):
            yield record.place, record.chain


@pytest.fixture
def reader(logs: Logs, cluster: str) -> Iterator[Callable[..., Reader]]:
    """Make readers of the test's log, connected; they are closed in the end."""
    made: list[Reader] = []

    def make(**options: Any) -> Reader:
        made.append(Reader(logs.make(cluster, **options), logs.pushes))
        made[-1].connect()
        return made[-1]

    yield make
    for each in made:
        each.engine.close()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Start servers of Redis of the test's own."""
    made: list[Server] = []

    def start(*options: str, name: str = "redis", **more: Any) -> Server:
        made.append(Server(find_server(name), tmp_path, *options, **more))
        return made[-1]

    yield start
    for server in made:
        server.close()


def allow(_family: int, _where: Any) -> str | None:
    return None


@pytest.fixture
def make() -> Iterator[Callable[..., RedisEngine]]:
    """Make engines, of which all are closed in the end."""
    made: list[RedisEngine] = []

    def of(url: str, refusal: Refusal = allow, **options: Any) -> RedisEngine:
        made.append(RedisEngine(Redis(url, **{"stream": "s", **options}), "c", refusal))
        return made[-1]

    yield of
    for engine in made:
        engine.close()


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeRedis]]:
    made: list[FakeRedis] = []

    def start(*arguments: Any) -> FakeRedis:
        made.append(FakeRedis(*arguments))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def guarded(servers: Servers) -> Server:
    """A server with one user beside its administrator, who may do no more than is documented."""
    server = servers(password="administrator")
    server.ask("ACL", "SETUSER", "smith-and-sons", "on", ">open sesame", *SUFFICIENT)
    return server
