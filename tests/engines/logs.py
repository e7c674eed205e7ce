"""Logs for tests of engines: what makes an engine of each kind, and what an administrator may do to its log.

This file must not know what is claimed of engines.
"""

import json
import time
from typing import Any, Protocol

from lru_cache.engines import redis
from lru_cache.engines.engine import Engine
from lru_cache.engines.jetstream import stream_name
from lru_cache.engines.nats_connection import Connection
from lru_cache.engines.options import JetStream, Redis
from lru_cache.network.address import Address
from tests.concurrency import PATIENCE
from tests.engines.nats_server import NatsServer
from tests.engines.servers import Server


def _documented() -> list[str]:
    """The ACL that is said to suffice."""
    lines = (redis.__doc__ or "").splitlines()
    return [rule for line in lines if line.startswith("    ") for rule in line.split()]


SUFFICIENT = _documented()
USER, PASSWORD = "cache", "secret"


class Logs(Protocol):
    """One server, and its logs."""

    pushes: bool  # what others append comes by itself, and so a little later
    restarts: bool  # the server must, to lose the newest; whoever is connected has to connect anew
    counts: bool  # its places are numbers without gaps: who has read up to the first that is left has missed nothing

    def make(self, cluster: str, stream: str = "s", **options: object) -> Engine:
        """An engine that is not connected."""

    def wipe(self, cluster: str, stream: str = "s") -> None:
        """Forget the log as if it had never been."""

    def trim(self, cluster: str, left: int, stream: str = "s") -> None:
        """Forget all but the newest so many."""

    def truncate(self, cluster: str, count: int, stream: str = "s") -> None:
        """Lose the newest so many."""

    def intrude(self, cluster: str, stream: str = "s") -> None:
        """Put something there that no engine of ours would."""


class RedisLogs:
    """On a server of Redis or Valkey, as a user who may do no more than is documented."""

    pushes = restarts = counts = False

    def __init__(self, server: Server) -> None:
        self.server = server
        server.ask("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *SUFFICIENT)
        self._url = f"redis://{USER}:{PASSWORD}@127.0.0.1:{server.port}"

    def make(self, cluster: str, stream: str = "s", **options: object) -> Engine:
        return Redis(self._url, stream=stream, **options).engine(cluster, lambda _family, _where: None)

    def wipe(self, cluster: str, stream: str = "s") -> None:
        self.server.ask("DEL", key(cluster, stream))

    def trim(self, cluster: str, left: int, stream: str = "s") -> None:
        self.server.ask("XTRIM", key(cluster, stream), "MAXLEN", left)

    def truncate(self, cluster: str, count: int, stream: str = "s") -> None:
        for name, _ in self.server.client.xrevrange(key(cluster, stream), count=count):
            self.server.ask("XDEL", key(cluster, stream), name)

    def intrude(self, cluster: str, stream: str = "s") -> None:
        self.server.ask("XADD", key(cluster, stream), "*", "hello", "world")


class JetStreamLogs:
    """On a server of NATS."""

    pushes = restarts = counts = True

    def __init__(self, server: NatsServer) -> None:
        self.server = server

    def make(self, cluster: str, stream: str = "s", **options: Any) -> Engine:
        return JetStream(self.server.url, stream=stream, **options).engine(cluster, lambda _family, _where: None)

    def wipe(self, cluster: str, stream: str = "s") -> None:
        ask_nats(self.server, f"STREAM.DELETE.{stream_name(cluster, stream)}")

    def trim(self, cluster: str, left: int, stream: str = "s") -> None:
        ask_nats(self.server, f"STREAM.PURGE.{stream_name(cluster, stream)}", {"keep": left})

    def truncate(self, cluster: str, count: int, stream: str = "s") -> None:
        """As a machine does that has not written all to its disk. What was trimmed before might come back."""
        self.server.kill()
        self.server.cut(stream_name(cluster, stream), count)
        self.server.start()

    def intrude(self, cluster: str, stream: str = "s") -> None:
        engine = self.make(cluster, stream)
        engine.connect(time.monotonic() + PATIENCE)  # which makes the stream, if it is not there
        engine.close()
        publish(self.server, stream_name(cluster, stream), b"\0half a record")


def ask_nats(server: NatsServer, what: str, question: Any = None, **who: Any) -> dict[str, Any]:
    """Ask the server's API, as an administrator does."""
    return dict(json.loads(publish(server, f"$JS.API.{what}", json.dumps(question or {}).encode(), **who)))


def publish(server: NatsServer, subject: str, content: bytes, **who: Any) -> bytes:
    """What it answers to a message there."""
    connection = Connection("test", lambda *_: None, lambda: None)
    try:
        connection.open(Address("127.0.0.1", server.port.number), None, False, who, time.monotonic() + PATIENCE)
        return connection.request(subject, content)
    finally:
        connection.end()


def key(cluster: str, stream: str = "s") -> str:
    """What Redis calls a log."""
    return f"cf_LRU_cache:{{{cluster}:{stream}}}"


def replace(server: Server, name: str, number: int, ms: int = 0, **fields: bytes) -> None:
    """Change a record by hand, and leave all others as they are; or move it so much ahead, too."""
    with server.client.pipeline() as pipeline:  # at once
        pipeline.delete(name)
        for place, old in server.client.xrange(name):
            is_meant = int(old[b"n"]) == number
            moved = f"{int(place.partition(b'-')[0]) - ms}-0" if is_meant and ms else place
            changed = {each.encode(): value for each, value in fields.items()} if is_meant else {}
            pipeline.xadd(name, {**old, **changed}, id=moved)
        pipeline.execute()
