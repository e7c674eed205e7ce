"""Greeting: a new connection until both ends know and accept each other, or part. The same for who dialled and who
accepted; they differ in how they wait for the socket.

This file must not know what links do, nor how connections come about.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from lru_cache.errors import ProtocolError
from lru_cache.network.address import is_local, shown
from lru_cache.network.connection import ClosedError, Connection
from lru_cache.network.handshake import Handshake, Hello, RefusedError, Side
from lru_cache.network.security import Contexts
from lru_cache.replication import FRAME_MARGIN_BYTES


class Terms:
    """What this node says of itself to whoever it meets, and what it asks of them."""

    def __init__(
        self,
        introduce: Callable[[], Hello],
        judge: Callable[[Hello, float, float], str | None],
        clock: Callable[[], float],
        secrets: Sequence[bytes],
        contexts: Contexts | None,
        insecure: bool,
        silence_seconds: float,
    ) -> None:
        self.contexts = contexts
        self.silence_seconds = silence_seconds
        self._introduce = introduce
        self._judge = judge
        self._clock = clock
        self._secrets = secrets
        self._trusts_all = insecure or bool(secrets) or contexts is not None

    def with_secret(self, secret: bytes) -> "Terms":
        """The same for those who know this secret, whatever they know beside it."""
        return Terms(self._introduce, self._judge, self._clock, (secret,), self.contexts, False, self.silence_seconds)

    def refusal(self, family: int, where: Any) -> str | None:
        """Why there must be no link to this socket address, if there must not."""
        if self._trusts_all or is_local(family, where):
            return None
        return (
            f"{shown(family, where)} is another machine, and without a secret or tls only this machine's own nodes "
            "are linked with; give all nodes the same secret=..., or insecure=True if everybody on the network may "
            "read and write this cache"
        )

    def greet(self, connection: Connection, side: Side) -> "Greeting":
        """Begin to greet over a new connection."""
        handshake = Handshake(side, self._introduce, self._secrets, self._judge)
        return Greeting(connection, handshake, self._clock, time.monotonic() + self.silence_seconds)


class Greeting:
    """One connection on its way to become a link. At `deadline` its owner gives it up."""

    def __init__(
        self, connection: Connection, handshake: Handshake, clock: Callable[[], float], deadline: float
    ) -> None:
        self.connection = connection
        self.handshake = handshake
        self.deadline = deadline
        self._clock = clock
        self._begun = False

    def step(self) -> bool:
        """Go on as far as the bytes that are here allow. True once the handshake is over, and well.

        ProtocolError (RefusedError among them) and OSError are its other ends, after which it is to `part`.
        """
        if not self.connection.agree():
            return False
        try:
            if not self._begun:
                self._begun = True
                self._send(self.handshake.begin(self._clock()))
            self.connection.flush()
        except OSError:
            self._fill()  # it has closed; perhaps it had said why
            self._take_bodies()
            raise
        self._fill()
        self._take_bodies()
        if self.handshake.done:
            self._open_up()
        return self.handshake.done

    def _fill(self) -> None:
        try:
            self.connection.fill()
        except ClosedError:
            if self.is_unheard and self.handshake.side is Side.DIALLER and not self.connection.is_tls:
                raise ClosedError("it closed the connection without a word; perhaps only it has tls") from None
            raise

    def _take_bodies(self) -> None:
        while not self.handshake.done and (body := next(self.connection.bodies, None)) is not None:
            self._send(self.handshake.receive(body, self._clock()))

    def part(self, error: Exception) -> None:
        """Say why, if it is for us to say, and close."""
        try:
            if isinstance(error, RefusedError) and error.parting:
                self.connection.send([error.parting])
            self.connection.finish_sending()
        except (OSError, ProtocolError, ValueError):
            pass
        self.connection.close()

    @property
    def is_unheard(self) -> bool:
        """Whether the other end has not said a word so far."""
        return not self.connection.bytes_in

    @property
    def peer(self) -> Hello:
        """Who it is, once that is known."""
        assert self.handshake.peer is not None
        return self.handshake.peer

    def _send(self, bodies: list[bytes]) -> None:
        self.connection.send(bodies)
        self.connection.sealing = self.handshake.sealing  # from here on: the proof itself goes without

    def _open_up(self) -> None:
        self.connection.open_up(
            self.handshake.hello.value_bytes + FRAME_MARGIN_BYTES,
            self.peer.value_bytes + FRAME_MARGIN_BYTES,
            self.handshake.opening,
        )
