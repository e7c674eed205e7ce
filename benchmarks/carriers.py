"""What carries a set from one process into another: ours, and what people would use instead, driven as documented.

A carrier is a writer and, where the values do not stay in a server, a reader: one process each. It knows how it is
used, and nothing of rounds, ratios or tables. All of them carry the same events, whose keys and values exist
beforehand; all time is the machine's monotonic clock, which is one for all processes.
"""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, ClassVar

from msgpack import Unpacker, packb, unpackb  # type: ignore[import-untyped]

from benchmarks import servers
from benchmarks.servers import HOST
from harness.ports import free_port
from harness.remote_objects import Held, RemoteObject
from lru_cache import LRUCacheDistributed
from lru_cache.engines.options import read_engine

BATCH = 64
VALUE_CHARACTERS = 100
RECEIVED_AT_ONCE_BYTES = 262_144
CONNECT_SECONDS = 20.0
APPLY_SECONDS = 120.0
CHANNEL = "events"
UNLIMITED = 1 << 40


def events(count: int, keys: int) -> tuple[list[str], list[str]]:
    """Make that many sets, of so many different keys in turn, each with a value of its own."""
    names = [f"user:{number}" for number in range(keys)]
    return [names[number % keys] for number in range(count)], [
        str(number).zfill(VALUE_CHARACTERS) for number in range(count)
    ]


def final(count: int, keys: int) -> dict[str, str]:
    """Return what must be held once all of them were applied."""
    return dict(zip(*events(count, keys), strict=True))


class Reader(Held):
    """The process in which the sets arrive, by default in a dict."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.held: dict[str, str] = {}
        self._left = 0
        self._last = "", ""
        self._applied = threading.Event()
        self._applied_at = 0.0

    def listen(self, place: Any) -> Any:
        """Be ready for the writer. Takes the server's port, if there is a server; returns what the writer needs."""
        raise NotImplementedError

    def expect(self, count: int, keys: int) -> None:
        """So many events are about to come, of so many keys."""
        self._left = count
        self._last = f"user:{(count - 1) % keys}", str(count - 1).zfill(VALUE_CHARACTERS)
        self._applied.clear()

    def took(self, count: int) -> None:
        """So many more were applied. For the thread that applies them."""
        self._left -= count
        if self._left <= 0:
            self._applied_at = time.monotonic()
            self._applied.set()

    def wait(self) -> float:
        """When the last of the expected events was applied."""
        if not self._applied.wait(APPLY_SECONDS):
            raise TimeoutError(f"{self._left} events have not come")
        return self._applied_at

    def look_until_held(self) -> float:
        """The same, where nobody tells: look every millisecond whether the last is there."""
        deadline = time.monotonic() + APPLY_SECONDS
        key, value = self._last
        while self.read(key) != value:
            if time.monotonic() > deadline:
                raise TimeoutError("events have not come")
            time.sleep(0.001)
        return time.monotonic()

    def wrong(self, count: int, keys: int) -> int:
        """How many keys do not have their last value."""
        return sum(self.read(key) != value for key, value in final(count, keys).items())

    def read(self, key: str) -> str | None:
        """Return what is held for a key."""
        return self.held.get(key)

    def start_thread(self, run: Callable[[], None]) -> None:
        """Let a thread receive."""
        threading.Thread(target=run, daemon=True).start()


class Writer(Held):
    """The process in which the sets happen."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def connect(self, place: Any) -> None:
        """Be ready to write to who listens there."""
        raise NotImplementedError

    def write_all(self, keys: Sequence[str], values: Sequence[str]) -> None:
        """Set each key."""
        raise NotImplementedError

    def settle(self) -> None:
        """Wait until all is applied, if the writer can know."""

    def write(self, count: int, keys: int) -> tuple[float, float, float]:
        """Set them all: when that began, when it was over as far as the writer can know, and processor seconds."""
        names, values = events(count, keys)
        gc.collect()
        used, start = time.process_time(), time.monotonic()
        self.write_all(names, values)
        self.settle()
        return start, time.monotonic(), time.process_time() - used

    def notes(self) -> dict[str, int]:
        """Return what else happened."""
        return {}


class Carrier:
    """One carrier. A subclass names its parts; an object is one carrier with its options."""

    name: ClassVar[str]
    note: ClassVar[str]
    reader: ClassVar[Callable[..., Any] | None]
    writer: ClassVar[Callable[..., Any]]
    modules: ClassVar[tuple[str, ...]] = ()
    program: ClassVar[str] = ""
    server: ClassVar[Callable[[], servers.Server] | None] = None
    environment: ClassVar[dict[str, str]] = {}  # of its processes
    share: ClassVar[float] = 1.0  # of the events that the others are given: some are so slow that nobody would wait

    @classmethod
    def absence(cls) -> str | None:
        """What is missing to measure it, if anything is."""
        missing = [module for module in cls.modules if find_spec(module) is None]
        if cls.program and servers.find_program(cls.program) is None:
            missing.append(cls.program)
        return " and ".join(missing) or None

    @classmethod
    def versions(cls) -> str:
        """The versions of what it needs from elsewhere."""
        names = [{"nats": "nats-py"}.get(module, module) for module in cls.modules]
        return ", ".join(f"{name} {version(name)}" for name in names) if cls.absence() is None else ""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def run(self, count: int, keys: int) -> "Run":
        """Start both processes and what they need, let one write, and end everything."""
        count = max(BATCH, int(count * self.share))
        keys = min(keys, count)
        with self.serve() as server, RemoteObject(self.writer_here, environment=self.environment) as writer:
            place = None if server is None else server.port
            if self.reader is None:
                writer.ask("connect", place)
                return self._run(server, writer, None, count, keys)
            with RemoteObject(self.reader_here, environment=self.environment) as reader:
                writer.ask("connect", reader.ask("listen", place))
                reader.ask("expect", count, keys)
                return self._run(server, writer, reader, count, keys)

    def _run(
        self, server: servers.Server | None, writer: RemoteObject, reader: RemoteObject | None, count: int, keys: int
    ) -> "Run":
        used_by_server = 0.0 if server is None else server.processor_seconds()
        used_by_reader = 0.0 if reader is None else reader.ask("processor_seconds")
        start, end, used = writer.ask("write", count, keys)
        used = {"writer": used}
        if reader is not None:
            end = max(end, reader.ask("wait"))
            used["reader"] = reader.ask("processor_seconds") - used_by_reader
        if server is not None:
            used["server"] = server.processor_seconds() - used_by_server
        return Run(
            rate=count / (end - start),
            microseconds={name: seconds * 1e6 / count for name, seconds in used.items()},
            wrong=(reader or writer).ask("wrong", count, keys),
            notes=writer.ask("notes"),
        )

    def serve(self) -> AbstractContextManager[Any]:
        """Run the server that it needs, or none."""
        return nullcontext() if type(self).server is None else type(self).server()  # type: ignore[misc]

    @property
    def writer_here(self) -> "Made":
        """Make the writer with this carrier's options."""
        return Made(type(self).writer, self.options)

    @property
    def reader_here(self) -> "Made":
        """Make the reader likewise."""
        assert type(self).reader is not None
        return Made(type(self).reader, self.options)


class Made:
    """Makes an object with options; goes to another process, as a lambda could not."""

    def __init__(self, kind: Any, options: dict[str, Any]) -> None:
        self.kind = kind
        self.options = options

    def __call__(self) -> Any:
        """Make it."""
        return self.kind(**self.options)


@dataclass(frozen=True)
class Run:
    """What came of one run of one carrier."""

    rate: float  # events a second, from the first set to the last that was applied
    microseconds: dict[str, float]  # of the processor, for each event, in each process
    wrong: int  # keys without their last value at the end
    notes: dict[str, int]


# -- ours --------------------------------------------------------------------------------------------------------------


class CacheReader(Reader):
    """A cache that listens."""

    def listen(self, place: Any) -> Any:  # noqa: ARG002 - there is no server
        """Listen on a free port."""
        self.cache: LRUCacheDistributed[str, str] = LRUCacheDistributed(local_address=(HOST, 0), **self.options)
        return self.cache.local_address

    def wait(self) -> float:
        """The writer knows better."""
        return 0.0

    def read(self, key: str) -> str | None:
        """Look at it, as an application would."""
        return self.cache.peek(key)

    def close(self) -> None:
        """Say goodbye."""
        self.cache.close()


class CacheWriter(Writer):
    """A cache that dials."""

    def connect(self, place: Any) -> None:
        """Link with the reader."""
        self.cache: LRUCacheDistributed[str, str] = LRUCacheDistributed(remote_address=place, **self.options)
        if not self.cache.wait_connected(timeout=CONNECT_SECONDS):
            raise TimeoutError("not linked")

    def write_all(self, keys: Sequence[str], values: Sequence[str]) -> None:
        """One `set` after another, as fast as they go."""
        set_one = self.cache.set
        for key, value in zip(keys, values, strict=True):
            set_one(key, value)

    def settle(self) -> None:
        """Ask for what `flush` promises: the reader has it all."""
        if not self.cache.flush(timeout=APPLY_SECONDS):
            raise TimeoutError("not flushed")

    def notes(self) -> dict[str, int]:
        """Whether the outbox overflowed, and a resync brought the rest."""
        return {"overflows": self.cache.stats().overflows}

    def close(self) -> None:
        """Say goodbye."""
        self.cache.close()


class Ours(Carrier):
    """LRUCacheDistributed."""

    name = "lru_cache"
    note = "set after set; until flush() says that the reader has all of it"
    reader, writer = CacheReader, CacheWriter


class OursPure(Ours):
    """Without what is written in C."""

    name = "lru_cache (pure)"
    note = "the same, with all of it in Python"
    environment: ClassVar[dict[str, str]] = {"LRU_CACHE_PURE_PYTHON": "1"}


class OursSecret(Ours):
    """With a secret: every frame sealed."""

    name = "lru_cache, secret"
    note = "the same, every frame with a MAC"


class OursTLS(Ours):
    """With TLS."""

    name = "lru_cache, TLS"
    note = "the same, encrypted; both ends with certificates"


# -- raw TCP -----------------------------------------------------------------------------------------------------------


class TcpReader(Reader):
    """A thread that receives msgpack and puts it into a dict."""

    def listen(self, place: Any) -> Any:  # noqa: ARG002 - there is no server
        """Take one connection."""
        listener = socket.create_server((HOST, 0))
        self.start_thread(lambda: self._receive(listener))
        return listener.getsockname()

    def _receive(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        unpacker = Unpacker()
        while chunk := sock.recv(RECEIVED_AT_ONCE_BYTES):
            unpacker.feed(chunk)
            for keys, values in unpacker:
                self.held.update(zip(keys, values, strict=True))
                self.took(len(keys))


class TcpWriter(Writer):
    """Sends batches as two columns."""

    def connect(self, place: Any) -> None:
        """Connect to the reader."""
        self.socket = socket.create_connection(place)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write_all(self, keys: Sequence[str], values: Sequence[str]) -> None:
        """One batch after another."""
        for first in range(0, len(keys), BATCH):
            behind = first + BATCH
            self.socket.sendall(packb((keys[first:behind], values[first:behind])))


class Tcp(Carrier):
    """The least that could be done: no cache, no order, no recovery."""

    name = "raw TCP"
    note = f"msgpack, {BATCH} sets a batch, into a plain dict"
    reader, writer = TcpReader, TcpWriter


# -- Redis -------------------------------------------------------------------------------------------------------------


def redis_client(port: int) -> Any:
    """A client of the server on this port."""
    import redis

    client = redis.Redis(HOST, port)
    client.ping()
    return client


def subscribed(port: int) -> Any:
    """A subscription to all that is published there."""
    subscription = redis_client(port).pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(CHANNEL)
    while subscription.get_message(timeout=1) is not None:
        pass
    return subscription


class RedisReader(Reader):
    """Subscribes, and puts what comes into a dict."""

    def listen(self, place: Any) -> Any:
        """Subscribe."""
        subscription = subscribed(place)
        self.start_thread(lambda: self._receive(subscription))
        return place

    def _receive(self, subscription: Any) -> None:
        for message in subscription.listen():
            key, value = unpackb(message["data"])
            self.held[key] = value
            self.took(1)


class RedisWriter(Writer):
    """A client of the server on this port."""

    def connect(self, place: Any) -> None:
        """Connect."""
        self.client = redis_client(place)


class RedisPublisher(RedisWriter):
    """Publishes one event a message, in pipelines."""

    def write_all(self, keys: Sequence[str], values: Sequence[str]) -> None:
        """A pipeline for each batch: waiting for each message's answer would take several times as long."""
        for first in range(0, len(keys), BATCH):
            pipeline = self.client.pipeline(transaction=False)
            for number in range(first, min(first + BATCH, len(keys))):
                pipeline.publish(CHANNEL, packb((keys[number], values[number])))
            pipeline.execute()


class RedisPubSub(Carrier):
    """Redis as a bus between caches."""

    name = "Redis pub/sub"
    note = f"one event a message, published in pipelines of {BATCH}, into a plain dict"
    reader, writer = RedisReader, RedisPublisher
    modules, program, server = ("redis", "hiredis"), "redis-server", servers.redis


class RedisSetter(RedisWriter):
    """Sets keys in the server."""

    def write_all(self, keys: Sequence[str], values: Sequence[str]) -> None:
        """A pipeline for each batch."""
        for first in range(0, len(keys), BATCH):
            pipeline = self.client.pipeline(transaction=False)
            for number in range(first, min(first + BATCH, len(keys))):
                pipeline.set(keys[number], values[number])
            pipeline.execute()

    def wrong(self, count: int, keys: int) -> int:
        """How many keys do not have their last value in the server."""
        expected = final(count, keys)
        found = self.client.mget(list(expected))
        return sum(
            value is None or value.decode() != text for value, text in zip(found, expected.values(), strict=True)
        )


class RedisSet(Carrier):
    """Redis as the cache itself: every read elsewhere costs a round trip."""

    name = "Redis SET"
    note = f"pipelines of {BATCH}, until answered: the values are in the server, not in a reader"
    reader, writer = None, RedisSetter
    modules, program, server = ("redis", "hiredis"), "redis-server", servers.redis


# -- NATS --------------------------------------------------------------------------------------------------------------


class Loop:
    """An asyncio loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for it from another thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(APPLY_SECONDS)


class NatsReader(Reader):
    """Subscribes, and puts what comes into a dict."""

    def listen(self, place: Any) -> Any:
        """Subscribe."""
        Loop().run(self._subscribe(place))
        return place

    async def _subscribe(self, port: int) -> None:
        import nats

        self.client = await nats.connect(f"nats://{HOST}:{port}")
        await self.client.subscribe(CHANNEL, cb=self._take, pending_msgs_limit=UNLIMITED, pending_bytes_limit=UNLIMITED)
        await self.client.flush()

    async def _take(self, message: Any) -> None:
        key, value = unpackb(message.data)
        self.held[key] = value
        self.took(1)


class NatsWriter(Writer):
    """Publishes one event a message; the client gathers them into fewer writes by itself."""

    def connect(self, place: Any) -> None:
        """Connect."""
        self.loop = Loop()
        self.loop.run(self._connect(place))

    async def _connect(self, port: int) -> None:
        import nats

        self.client = await nats.connect(f"nats://{HOST}:{port}")

    def write_all(self, keys: Sequence[str], values: Sequence[str]) -> None:
        """Publish, in the client's own loop."""
        self.loop.run(self._publish(keys, values))

    async def _publish(self, keys: Sequence[str], values: Sequence[str]) -> None:
        publish = self.client.publish
        for key, value in zip(keys, values, strict=True):
            await publish(CHANNEL, packb((key, value)))
        await self.client.flush(timeout=int(APPLY_SECONDS))


class Nats(Carrier):
    """NATS as a bus between caches."""

    name = "NATS"
    note = "one event a message, into a plain dict"
    reader, writer = NatsReader, NatsWriter
    modules, program, server = ("nats",), "nats-server", servers.nats


# -- ours, on an engine ------------------------------------------------------------------------------------------------


def linked(cache: "LRUCacheDistributed[str, str]") -> "LRUCacheDistributed[str, str]":
    """Wait until it reads the log."""
    if not cache.wait_connected(timeout=CONNECT_SECONDS):
        cache.close()
        raise TimeoutError("not linked")
    return cache


class EngineReader(CacheReader):
    """A cache on a log."""

    def listen(self, place: Any) -> Any:
        """Read the log of the server at this port."""
        engine = f"{self.options.pop('scheme')}://{HOST}:{place}"
        self.cache = linked(LRUCacheDistributed(engine=engine, **self.options))
        return engine

    def wait(self) -> float:
        """The writer only knows that the log has it."""
        return self.look_until_held()


class EngineWriter(CacheWriter):
    """Another cache on it. Its `flush` says that the log has all of it."""

    def connect(self, place: Any) -> None:
        """Read the log."""
        del self.options["scheme"]
        self.cache = linked(LRUCacheDistributed(engine=place, **self.options))


class OnEngine(Carrier):
    """LRUCacheDistributed, over a log that a server keeps."""

    scheme: ClassVar[str]
    reader, writer = EngineReader, EngineWriter

    def __init__(self, **options: Any) -> None:
        super().__init__(scheme=self.scheme, **options)


class OnRedis(OnEngine):
    """On a stream of Redis."""

    name = "lru_cache on Redis"
    note = "set after set, over a log on Redis; until the reader has the last"
    scheme = "redis"
    modules, program, server = ("redis", "hiredis"), "redis-server", servers.redis


class OnJetStream(OnEngine):
    """On a stream of NATS."""

    name = "lru_cache on NATS"
    note = "the same, over a log on NATS JetStream"
    scheme = "nats"
    modules, program, server = ("nats",), "nats-server", servers.jetstream
    oldest = (2, 10)

    @classmethod
    def absence(cls) -> str | None:
        """Debian's server may be older than the engine needs."""
        missing = super().absence()
        if missing is None and servers.version_of(cls.program) < cls.oldest:
            return f"{cls.program} {'.'.join(map(str, cls.oldest))} or newer"
        return missing


# -- pysyncobj ---------------------------------------------------------------------------------------------------------


class SyncObjEnd:
    """One of two nodes of a Raft cluster with a replicated dict."""

    def start(self, own: str, other: str) -> None:
        """Join, and wait until there is a leader."""
        from pysyncobj import SyncObj, SyncObjConf
        from pysyncobj.batteries import ReplDict

        self.replicated = ReplDict()
        configuration = SyncObjConf(commandsQueueSize=UNLIMITED)
        self.node = SyncObj(own, [other], conf=configuration, consumers=[self.replicated])

    def await_leader(self) -> None:
        """Wait until writes are taken."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while not self.node.isReady():
            if time.monotonic() > deadline:
                raise TimeoutError("no leader")
            time.sleep(0.01)


class SyncObjReader(Reader):
    """The node that does not write; either may be the leader."""

    def listen(self, place: Any) -> Any:  # noqa: ARG002 - there is no server
        """Join a cluster of two."""
        addresses = [f"{HOST}:{free_port()}" for _ in range(2)]
        self.end = SyncObjEnd()
        self.end.start(*addresses)
        return addresses[::-1]

    def wait(self) -> float:
        """It is the node's own thread that applies them."""
        return self.look_until_held()

    def read(self, key: str) -> str | None:
        """Return what the dict holds."""
        value: str | None = self.end.replicated.get(key)
        return value


class SyncObjWriter(Writer):
    """Sets without waiting for each: as many at once as it takes."""

    def connect(self, place: Any) -> None:
        """Join likewise."""
        self.end = SyncObjEnd()
        self.end.start(*place)
        self.end.await_leader()

    def write_all(self, keys: Sequence[str], values: Sequence[str]) -> None:
        """Hand over every set, then wait for the last one's answer, which is behind all others."""
        last = threading.Event()
        for key, value in zip(keys[:-1], values[:-1], strict=True):
            self.end.replicated.set(key, value)
        self.end.replicated.set(keys[-1], values[-1], callback=lambda *_: last.set())
        if not last.wait(APPLY_SECONDS):
            raise TimeoutError("not committed")


class SyncObj(Carrier):
    """Consensus: it promises more than a cache asks for, and less speed."""

    name = "pysyncobj"
    note = "a replicated dict in a Raft cluster of both processes"
    reader, writer = SyncObjReader, SyncObjWriter
    modules = ("pysyncobj",)
    share = 0.1


OURS, BASE = Ours, Tcp
ENGINES: list[type[OnEngine]] = [
    carrier
    for carrier in (OnRedis, OnJetStream)
    if find_spec(read_engine(f"{carrier.scheme}://").DRIVER[0]) is not None
]
CARRIERS: dict[str, type[Carrier]] = {
    carrier.name: carrier
    for carrier in (Tcp, Ours, OursPure, OursSecret, OursTLS, *ENGINES, RedisPubSub, RedisSet, Nats, SyncObj)
}
