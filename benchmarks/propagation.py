"""How long a single write takes to be in another process: from before the call that writes until it is applied there.

Two processes, with all lines between them at once, that take turns: so what else the machine does meets them alike.
A busy process has a second thread that computes in Python and never waits. A write is applied once a look-up would find
it: for raw TCP and a subscriber when it is in a dict, for a cache when its link has merged the message, or, on an
engine, when a listener hears that the value before it is gone.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgpack import Unpacker, packb, unpackb  # type: ignore[import-untyped]

from benchmarks.carriers import (
    APPLY_SECONDS,
    CHANNEL,
    CONNECT_SECONDS,
    RECEIVED_AT_ONCE_BYTES,
    VALUE_CHARACTERS,
    linked,
    redis_client,
    subscribed,
)
from benchmarks.servers import HOST
from harness.remote_objects import Held, RemoteObject
from lru_cache import LRUCacheDistributed, Removal
from lru_cache.replication import Type, messages
from lru_cache.replication.encoding import decode_key

RAW, PUB_SUB = "raw TCP", "Redis pub/sub"
MODES = {"idle": (False, False), "busy writer": (True, False), "busy reader": (False, True), "both busy": (True, True)}
"""Whether the writer's process computes meanwhile, and the reader's."""

Times = dict[str, dict[str, float]]  # line -> key -> when


class Spinner:
    """A thread that computes, or does not."""

    def __init__(self) -> None:
        self._spins = threading.Event()
        self._turns = 0
        threading.Thread(target=self._run, daemon=True).start()

    def spin(self, wanted: bool) -> None:
        """Begin, or leave off."""
        if wanted:
            self._spins.set()
        else:
            self._spins.clear()

    def _run(self) -> None:
        while self._spins.wait():
            for _ in range(10_000):
                self._turns += 1


class End(Held):
    """One of the two processes."""

    def __init__(self, lines: Mapping[str, Mapping[str, Any]]) -> None:
        self.lines = lines
        self.spinner = Spinner()
        self.caches: dict[str, LRUCacheDistributed[str, str]] = {}

    def spin(self, wanted: bool) -> None:
        """Be busy, or idle."""
        self.spinner.spin(wanted)

    def close(self) -> None:
        """Let go."""
        for cache in self.caches.values():
            cache.close()


class ReadingEnd(End):
    """Takes note of when each key's write was applied, on each line."""

    def listen(self) -> dict[str, Any]:
        """Return where each line ends."""
        self.arrivals: Times = {line: {} for line in self.lines}
        places: dict[str, Any] = {}
        for line, options in self.lines.items():
            if line == RAW:
                listener = socket.create_server((HOST, 0))
                threading.Thread(target=self._receive, args=(listener,), daemon=True).start()
                places[line] = listener.getsockname()
            elif line == PUB_SUB:
                threading.Thread(target=self._hear, args=(subscribed(options["port"]),), daemon=True).start()
            elif "engine" in options:
                noting = partial(_note_replaced, self.arrivals[line])
                self.caches[line] = linked(LRUCacheDistributed(on_removal=noting, **options))
            else:
                cache = self.caches[line] = LRUCacheDistributed(local_address=(HOST, 0), **options)
                self._note_what_comes(cache, self.arrivals[line])
                places[line] = cache.local_address
        return places

    def _note_what_comes(self, cache: LRUCacheDistributed[str, str], noted: dict[str, float]) -> None:
        received = cache._exchange._received

        def noting(link: Any, body: bytes) -> Any:
            answer = received(link, body)
            when = time.monotonic()
            if body[1] == Type.EVENTS:
                noted.update((decode_key(event.key), when) for event in messages.decode(body))
            return answer

        cache._exchange._received = noting  # type: ignore[method-assign]

    def _receive(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        unpacker, held, noted = Unpacker(), {}, self.arrivals[RAW]
        while chunk := sock.recv(RECEIVED_AT_ONCE_BYTES):
            unpacker.feed(chunk)
            for key, value in unpacker:
                held[key] = value
                noted[key] = time.monotonic()

    def _hear(self, subscription: Any) -> None:
        held, noted = {}, self.arrivals[PUB_SUB]
        for message in subscription.listen():
            key, value = unpackb(message["data"])
            held[key] = value
            noted[key] = time.monotonic()

    def begin(self, keys: Sequence[str]) -> None:
        """Wait until there is something to replace where the writer cannot know, and forget what has come so far."""
        deadline = time.monotonic() + APPLY_SECONDS
        on_engines = [self.caches[line] for line, options in self.lines.items() if "engine" in options]
        while any(cache.peek(keys[-1]) is None for cache in on_engines):
            if time.monotonic() > deadline:
                raise TimeoutError("the first values have not come")
            time.sleep(0.01)
        self.forget()

    def take(self, count: int) -> Times:
        """Wait until so many have come on every line, and hand over when that was."""
        deadline = time.monotonic() + APPLY_SECONDS
        while any(len(noted) < count for noted in self.arrivals.values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"of {count}: { ({line: len(noted) for line, noted in self.arrivals.items()}) }")
            time.sleep(0.01)
        taken = {line: dict(noted) for line, noted in self.arrivals.items()}
        self.forget()
        return taken

    def forget(self) -> None:
        """What has come so far does not count."""
        for noted in self.arrivals.values():
            noted.clear()


class WritingEnd(End):
    """Writes on each line in turn."""

    def connect(self, places: Mapping[str, Any], keys: Sequence[str]) -> None:
        """Link up, and see to it that the caches at the other end have something to replace."""
        self.set: dict[str, Callable[[str, str], object]] = {}
        for line, options in self.lines.items():
            if line == RAW:
                self.socket = socket.create_connection(places[line])
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.set[line] = lambda key, value: self.socket.sendall(packb((key, value)))
                continue
            if line == PUB_SUB:
                self.client = redis_client(options["port"])
                self.set[line] = lambda key, value: self.client.publish(CHANNEL, packb((key, value)))
                continue
            cache = self.caches[line] = LRUCacheDistributed(remote_address=places.get(line), **options)
            self.set[line] = cache.set
            if not cache.wait_connected(timeout=CONNECT_SECONDS):
                raise TimeoutError(f"not linked: {line}")
            cache.set_many(dict.fromkeys(keys, ""))
            if not cache.flush(timeout=APPLY_SECONDS):
                raise TimeoutError(f"not flushed: {line}")

    def write(self, keys: Sequence[str], pause_seconds: float) -> Times:
        """Write each key once on each line, with a pause before each, and hand over when."""
        written: Times = {line: {} for line in self.lines}
        value = "v" * VALUE_CHARACTERS
        for key in keys:
            for line, noted in written.items():
                time.sleep(pause_seconds)
                set_one = self.set[line]
                noted[key] = time.monotonic()
                set_one(key, value)
        return written


def _note_replaced(noted: dict[str, float], removal: "Removal[str, str]") -> None:
    noted[removal.key] = time.monotonic()


def measure(
    lines: Mapping[str, Mapping[str, Any]], writes: int, pause_seconds: float, modes: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Seconds of every write: mode -> line -> one for each, sorted. `lines` are names with a cache's options."""
    keys = [f"user:{number}" for number in range(writes)]
    found = {}
    with RemoteObject(ReadingEnd, lines) as reader, RemoteObject(WritingEnd, lines) as writer:
        writer.ask("connect", reader.ask("listen"), keys)
        reader.ask("begin", keys)
        for mode in modes:
            for end, busy in zip((writer, reader), MODES[mode], strict=True):
                end.ask("spin", busy)
            written = writer.ask("write", keys, pause_seconds)
            for end in (writer, reader):
                end.ask("spin", False)
            arrived = reader.ask("take", writes)
            found[mode] = {
                line: sorted(arrived[line][key] - when for key, when in noted.items())
                for line, noted in written.items()
            }
    return found
