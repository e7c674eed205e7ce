"""A connection: frames in and out of a socket that never blocks, plain or under TLS, sealed once that was agreed.

This file must not know what a frame says, who is at the other end, or when to read and write; its owner waits for the
socket. One thread at a time reads, and one at a time sends; under TLS one at a time does either.
"""

import socket
import ssl
from typing import TYPE_CHECKING

from lru_cache import fork
from lru_cache.errors import ProtocolError
from lru_cache.network.security import SEAL_BYTES, Seal
from lru_cache.replication import LARGEST_LIMIT_BYTES, FrameReader, encode_frames, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

RECEIVED_AT_ONCE_BYTES = 262_144  # at most
RECEIVED_AT_LEAST_BYTES = 8_192  # room for: it is made each time, and a lone write should not pay for a flood
TLS_RECORD_BYTES = 16_384
TLS_RECORDS_AT_ONCE = 16
UNSENT_BYTES = 131_072  # in the kernel, on one link: what waits there, a ping cannot overtake
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux; the name came with Python 3.12

# The last is a renegotiation; the next bytes that come let it go on.
_NOT_NOW = BlockingIOError, InterruptedError, ssl.SSLWantWriteError, ssl.SSLWantReadError


class ClosedError(ConnectionError):
    """The other end has closed the connection."""


class Connection:
    """A socket, and what of a frame is on its way in and out."""

    def __init__(
        self, sock: socket.socket, limit_bytes: int, context: ssl.SSLContext | None = None, accepted: bool = False
    ) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES)
            except OSError:
                pass  # another system; a ping may then wait behind more data
        self.is_tls = context is not None
        if context is not None:
            sock = context.wrap_socket(sock, server_side=accepted, do_handshake_on_connect=False)
        self.socket = sock
        self.sealing: Seal | None = None
        self.bytes_in = 0
        self.bytes_out = 0
        self.has_more = False  # the last `fill` stopped before the socket was empty, and need not be waited for
        self._room = RECEIVED_AT_LEAST_BYTES  # for what is received next, by what came last
        self._reader = FrameReader(limit_bytes)
        self.bodies: Iterator[bytes] = self._reader
        """The messages that are here completely. It ends where they do, and goes on when more have come."""
        self._limit_out = limit_bytes
        self.wants_write = self.is_tls and not accepted  # whether it waits for the socket to take more
        self._unsent: bytes | memoryview = b""
        self._agreed = not self.is_tls
        self._overhead = 0  # of a seal

    @property
    def unsent(self) -> int:
        """How many bytes wait for the socket."""
        return len(self._unsent)

    def agree(self) -> bool:
        """Go on with the TLS handshake, if there is one. True once it is over. OSError if it failed."""
        if not self._agreed:
            assert isinstance(self.socket, ssl.SSLSocket)
            self.wants_write = False
            try:
                self.socket.do_handshake()
                self._agreed = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                self.wants_write = True
        return self._agreed

    def open_up(self, limit_in: int, limit_out: int, opening: Seal | None) -> None:
        """The handshake is over: longer frames are allowed from here on, and those that come are sealed."""
        if opening is not None:
            self.bodies = map(opening.open, self._reader)
        self._overhead = SEAL_BYTES if opening is not None else 0
        self._reader.limit = limit_in + self._overhead
        self._limit_out = min(limit_out + self._overhead, LARGEST_LIMIT_BYTES)  # a peer may say that it takes more

    # -- in ----------------------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Take in what has arrived. ClosedError at the end of the stream."""
        self.has_more = False
        try:
            if self.is_tls:
                self._fill_from_tls()
                return
            room = self._room
            chunk = self.socket.recv(room)
        except (BlockingIOError, InterruptedError):
            return
        self._take(chunk)
        if len(chunk) == room:
            self._room = min(2 * room, RECEIVED_AT_ONCE_BYTES)
        elif room > RECEIVED_AT_LEAST_BYTES and len(chunk) < room // 8:
            self._room = max(room // 2, RECEIVED_AT_LEAST_BYTES)

    def require_plausible(self) -> None:
        """ProtocolError if the message that has begun ends before its frame: the frame's length is wrong, then."""
        length, begun = self._reader.unfinished()
        end = messages.end_of(begun)
        if end is not None and end + self._overhead != length:
            raise ProtocolError(f"a frame of {length} bytes holds a message of {end}")

    def discard(self) -> None:
        """Throw away what has arrived. ClosedError at the end of the stream."""
        try:
            if not self.socket.recv(RECEIVED_AT_ONCE_BYTES):
                raise ClosedError("it closed the connection")
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass

    def _fill_from_tls(self) -> None:
        for already in range(TLS_RECORDS_AT_ONCE):
            try:
                chunk = self.socket.recv(TLS_RECORD_BYTES)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLWantWriteError:
                self.wants_write = True
                return
            if not chunk and already:
                break  # the end of the stream; what came before it is to be read first
            self._take(chunk)
        self.has_more = True  # perhaps in the SSL object, where the poll cannot see it

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            raise ClosedError("it closed the connection")
        self.bytes_in += len(chunk)
        self._reader.receive(chunk)

    # -- out ---------------------------------------------------------------------------------------------------------

    def send(self, bodies: list[bytes]) -> None:
        """Send messages, or as much of them as the socket takes now; the rest waits for `flush`."""
        if self.sealing is not None:
            bodies = [self.sealing.close(body) for body in bodies]
        frames = encode_frames(bodies, self._limit_out)
        if self._unsent:
            self._unsent = bytes(self._unsent) + frames
            self.flush()
            return
        try:
            sent = self.socket.send(frames)
        except _NOT_NOW:
            self._unsent = frames
            self.wants_write = True
            return
        self.bytes_out += sent
        if sent < len(frames):
            self._unsent = memoryview(frames)[sent:]
            self.flush()
        else:
            self.wants_write = False

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        while unsent := self._unsent:
            try:
                sent = self.socket.send(unsent)
            except _NOT_NOW:
                self.wants_write = True
                return
            self.bytes_out += sent
            self._unsent = memoryview(unsent)[sent:] if sent < len(unsent) else b""
        self.wants_write = False

    def finish_sending(self) -> None:
        """Nothing more will be sent: the other end reads what was, and then the end of the stream."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it is gone already

    def close(self) -> None:
        """Close it, without a word."""
        with fork.opening:
            try:
                self.socket.close()
            except OSError:
                pass

    def __repr__(self) -> str:
        return f"<Connection {self.socket.fileno()}: {self.unsent} bytes unsent, {self._reader!r}>"
