"""A proxy between two nodes that makes the network bad: slow, far away, lossy, cut, or wrong.

It must not know what the bytes mean. One thread runs each proxy; a method returns when what it asks for is in force.
Everything it holds is bounded, and closed when it is closed.

    with Proxy(server_address) as proxy:  # dial proxy.address
        proxy.delay(0.150)
        proxy.swallow()
        proxy.heal()
"""

import enum
import errno
import os
import selectors
import socket
import struct
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.ports import ReservedPort
from tests.integration.addresses import Address, family_of

CHUNK_BYTES = 65_536
HELD_BYTES = 16 << 20  # of one direction of a connection: what a link of 1 Gbit/s holds in 130 ms
HELD_BYTES_THROTTLED = 65_536  # a narrow link has a small queue, so that who sends feels it
RECORDED_BYTES = 65_536
CONNECTIONS = 256  # at once; one more is closed at once
PATIENCE = 10.0  # seconds that a method waits for the proxy's thread


class Direction(enum.Enum):
    """Towards the target, or back from it."""

    OUT = "out"
    BACK = "back"


BOTH = (Direction.OUT, Direction.BACK)


@dataclass
class Weather:
    """What happens to bytes that travel in one direction."""

    delay: float = 0.0  # seconds
    rate: float | None = None  # bytes a second
    swallows: bool = False
    flips: int = 0  # bytes still to be spoilt


@dataclass(eq=False)
class Stream:
    """One direction of one connection: what was read and is not passed on yet."""

    direction: Direction
    source: socket.socket
    sink: socket.socket
    held: deque[tuple[float, bytes]] = field(default_factory=deque)  # when it is due, and what
    held_bytes: int = 0
    ended: bool = False  # the source says no more
    closed: bool = False  # the sink was told so
    lost: bool = False  # bytes were swallowed, so nothing after them makes sense
    allowance_at: float = 0.0  # when the throttle lets the next byte pass


@dataclass(eq=False)
class Connection:
    """Two sockets and the streams between them. `recorded`: the first bytes of each direction."""

    dialled: socket.socket
    answered: socket.socket
    streams: dict[Direction, Stream]
    recorded: dict[Direction, bytearray]
    connected: bool = False


class Proxy:
    """Listens at `address`, and passes on to `target`. `target` may be changed: it holds for connections to come."""

    def __init__(self, target: Address, *, address: Address | None = None, buffer_bytes: int | None = None) -> None:
        self.target = target
        self.passed = {Direction.OUT: 0, Direction.BACK: 0}  # bytes
        self.accepted = 0  # connections
        self.accepted_at: deque[float] = deque(maxlen=CONNECTIONS)  # on the monotonic clock
        self.recordings: list[dict[Direction, bytearray]] = []  # of the connections, oldest first
        self._weather = {Direction.OUT: Weather(), Direction.BACK: Weather()}
        self._buffer_bytes = buffer_bytes  # of the sockets, or what the system gives
        self._connections: set[Connection] = set()
        self._orders: deque[Callable[[], None]] = deque()
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._port: ReservedPort | None = None
        self.address = self._choose(address)
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._listener: socket.socket | None = None
        self._listen()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    # -- what a test says -------------------------------------------------------------------------------------------

    def delay(self, seconds: float, directions: tuple[Direction, ...] = BOTH) -> None:
        """Every byte takes so long; as many as come may be on the way. For both directions: half a round trip."""
        self._change(directions, delay=seconds)

    def throttle(self, bytes_per_second: float | None, directions: tuple[Direction, ...] = BOTH) -> None:
        """No more than so many bytes a second; 0 stalls, and who sends fills its buffers. None: as many as come."""
        self._change(directions, rate=bytes_per_second)

    def swallow(self, directions: tuple[Direction, ...] = BOTH) -> None:
        """Take bytes, and ends, and pass on nothing. Nobody is told. Connections are still accepted."""
        self._change(directions, swallows=True)

    def corrupt(self, directions: tuple[Direction, ...] = BOTH, count: int = 1) -> None:
        """Spoil one byte in each of the next `count` chunks."""
        self._change(directions, flips=count)

    def cut(self) -> None:
        """Reset all connections there are. New ones may come."""
        self._order(self._drop_all)

    def refuse(self) -> None:
        """Reset all connections and refuse new ones."""
        self._order(self._stop_listening, self._drop_all)

    def heal(self) -> None:
        """All is well again. Connections that lost bytes are reset: a real network would not have lost them."""
        self._order(self._heal)

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    def close(self) -> None:
        """Reset all connections, and leave nothing behind."""
        if self._thread.is_alive():
            self._order(self._end)
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), "the proxy hangs"

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Proxy {self.address} -> {self.target}, {self.open} connections, {self._weather}>"

    # -- orders, from the test's thread to the proxy's ---------------------------------------------------------------

    def _change(self, directions: tuple[Direction, ...], **what: Any) -> None:
        def change() -> None:
            for direction in directions:
                for name, value in what.items():
                    setattr(self._weather[direction], name, value)

        self._order(change)

    def _order(self, *acts: Callable[[], None]) -> None:
        done = threading.Event()
        self._orders.extend(acts)
        self._orders.append(done.set)
        self._waker.send(b"!")
        assert done.wait(PATIENCE), "the proxy does not answer"

    def _heal(self) -> None:
        self._weather = {Direction.OUT: Weather(), Direction.BACK: Weather()}
        for connection in list(self._connections):
            if any(stream.lost for stream in connection.streams.values()):
                self._drop(connection)
        if self._listener is None:
            self._listen()

    def _drop_all(self) -> None:
        for connection in list(self._connections):
            self._drop(connection)

    def _end(self) -> None:
        self._closing = True
        self._stop_listening()
        self._drop_all()
        if self._port is not None:
            self._port.close()
        if self._directory is not None:
            self._directory.cleanup()

    # -- the listener ------------------------------------------------------------------------------------------------

    def _choose(self, address: Address | None) -> Address:
        if address is not None:
            return address
        if isinstance(self.target, str):
            self._directory = tempfile.TemporaryDirectory(prefix="proxy")
            return f"{self._directory.name}/socket"
        self._port = ReservedPort("::1" if ":" in self.target[0] else "127.0.0.1")
        return self._port.address

    def _listen(self) -> None:
        if isinstance(self.address, str) and os.path.exists(self.address):  # noqa: PTH110 - one module for paths of sockets
            os.unlink(self.address)  # noqa: PTH108
        self._listener = self._socket(self.address)
        self._listener.bind(self.address)
        self._listener.listen(128)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _socket(self, address: Address) -> socket.socket:
        made = socket.socket(family_of(address))
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._buffer_bytes is not None:  # before it listens or connects: later it is too late for TCP's window
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer_bytes)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer_bytes)
        return made

    def _accept(self, listener: socket.socket) -> None:
        try:
            dialled, _ = listener.accept()
        except OSError:
            return  # it is gone again
        dialled.setblocking(False)
        self.accepted += 1
        self.accepted_at.append(time.monotonic())
        answered = self._socket(self.target)
        for each in (dialled, answered):
            if each.family != socket.AF_UNIX:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        out, back = Stream(Direction.OUT, dialled, answered), Stream(Direction.BACK, answered, dialled)
        recorded = {Direction.OUT: bytearray(), Direction.BACK: bytearray()}
        connection = Connection(dialled, answered, {Direction.OUT: out, Direction.BACK: back}, recorded)
        self._connections.add(connection)
        refused = answered.connect_ex(self.target) not in (0, errno.EINPROGRESS)
        if refused or len(self._connections) > CONNECTIONS:
            self._drop(connection)
            return
        self.recordings = [*self.recordings[-CONNECTIONS:], recorded]

    def _drop(self, connection: Connection) -> None:
        """Reset: what is on the way is lost, and both ends are told so."""
        self._connections.discard(connection)
        for each in (connection.dialled, connection.answered):
            if each in self._selector.get_map():
                self._selector.unregister(each)
            if each.family != socket.AF_UNIX:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.close()

    # -- the loop ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            pause = self._watch(time.monotonic())
            ready = {key.fileobj: events for key, events in self._selector.select(pause)}
            if self._wake in ready:
                self._wake.recv(CHUNK_BYTES)
                while self._orders:
                    self._orders.popleft()()
            if self._listener is not None and self._listener in ready:
                self._accept(self._listener)
            for connection in list(self._connections):
                self._carry(connection, ready, time.monotonic())
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def _watch(self, now: float) -> float | None:
        """Ask the selector for what can be done, and return how long until something else can."""
        pauses: list[float] = []
        for connection in self._connections:
            wanted = {connection.dialled: 0, connection.answered: 0}
            if not connection.connected:
                wanted[connection.answered] |= selectors.EVENT_WRITE
            for stream in connection.streams.values():
                if not stream.ended and stream.held_bytes < self._room(stream):
                    wanted[stream.source] |= selectors.EVENT_READ
                wait = self._wait(stream, now)
                if wait is not None and wait <= 0:
                    wanted[stream.sink] |= selectors.EVENT_WRITE
                elif wait is not None:
                    pauses.append(wait)
            for each, events in wanted.items():
                self._select(each, events)
        return min(pauses, default=None)

    def _select(self, each: socket.socket, events: int) -> None:
        if each not in self._selector.get_map():
            if events:
                self._selector.register(each, events)
        elif events:
            self._selector.modify(each, events)
        else:
            self._selector.unregister(each)

    def _room(self, stream: Stream) -> int:
        return HELD_BYTES if self._weather[stream.direction].rate is None else HELD_BYTES_THROTTLED

    def _wait(self, stream: Stream, now: float) -> float | None:
        """How long until the first held bytes may go on. None: there are none, or they may not at all."""
        rate = self._weather[stream.direction].rate
        if not stream.held or rate == 0:
            return None
        return max(stream.held[0][0], stream.allowance_at if rate else 0.0) - now

    def _carry(self, connection: Connection, ready: dict[Any, int], now: float) -> None:
        try:
            if not connection.connected and ready.get(connection.answered, 0) & selectors.EVENT_WRITE:
                error = connection.answered.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, "the target refuses")
                connection.connected = True
            for stream in connection.streams.values():
                if ready.get(stream.source, 0) & selectors.EVENT_READ:
                    self._take(stream, connection, now)
                if connection.connected and ready.get(stream.sink, 0) & selectors.EVENT_WRITE:
                    self._give(stream, now)
                self._pass_end(stream)
        except OSError:
            if not any(self._weather[each].swallows for each in Direction):
                self._drop(connection)
            else:  # one end was reset, and the other must not hear of it
                for stream in connection.streams.values():
                    stream.ended = stream.closed = stream.lost = True
                    stream.held.clear()
            return
        if all(stream.closed and not stream.lost for stream in connection.streams.values()):
            self._drop(connection)

    def _take(self, stream: Stream, connection: Connection, now: float) -> None:
        weather = self._weather[stream.direction]
        try:
            chunk = stream.source.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            stream.ended = True
        if weather.swallows:
            stream.lost = True
            return
        recorded = connection.recorded[stream.direction]
        recorded += chunk[: RECORDED_BYTES - len(recorded)]
        if weather.flips and chunk:
            weather.flips -= 1
            middle = len(chunk) // 2
            chunk = chunk[:middle] + bytes([chunk[middle] ^ 0x10]) + chunk[middle + 1 :]
        if chunk:
            stream.held.append((now + weather.delay, chunk))
            stream.held_bytes += len(chunk)

    def _give(self, stream: Stream, now: float) -> None:
        rate = self._weather[stream.direction].rate
        wait = self._wait(stream, now)
        if wait is None or wait > 0:
            return
        due, chunk = stream.held.popleft()
        part = chunk if rate is None else chunk[: max(1, int(rate / 50))]  # a fiftieth of a second's worth
        try:
            sent = stream.sink.send(part)
        except BlockingIOError:
            sent = 0
        if sent < len(chunk):
            stream.held.appendleft((due, chunk[sent:]))
        if rate:
            stream.allowance_at = now + sent / rate
        stream.held_bytes -= sent
        self.passed[stream.direction] += sent

    def _pass_end(self, stream: Stream) -> None:
        if stream.ended and not stream.closed and not stream.held and not stream.lost:
            stream.closed = True
            stream.sink.shutdown(socket.SHUT_WR)
