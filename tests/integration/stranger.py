"""A peer of our own making, from docs/protocol.md and not from the library's code, that can say anything at all.

It must not import `lru_cache`: what it gets right is what the document tells, and what it gets wrong is on purpose.
"""

import hmac
import os
import socket
import struct
import time
from typing import Any

import msgpack

from tests.integration.addresses import Address, connect

HELLO, PROOF, EVENTS, SEEN, FLOORS, PING, PONG, GOODBYE = range(8)
PRESENT = 7  # its place in a hello
SEAL_BYTES = 16
VALUE_BYTES = 8 << 20


def now_as_time() -> int:
    """The present, as nodes tell it."""
    return time.time_ns() // 1_000_000 << 16


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def hello(**changed: Any) -> list[Any]:
    """A hello that any node of the default cluster accepts, but for what is changed."""
    fields = {
        "version": 2,
        "cluster": "default",
        "node": os.urandom(8),
        "region": "",
        "role": "client",
        "capacity": 1000,
        "present": now_as_time(),
        "value_bytes": VALUE_BYTES,
        "silence_ms": 60_000,
        "signed": False,
        "nonce": os.urandom(32),
    }
    assert changed.keys() <= fields.keys()
    return [HELLO, *(fields | changed).values()]


def events(*told: tuple[int, bytes, bytes | None], node: bytes, first: int | None = None) -> list[Any]:
    """Sets (0) and invalidations (1) of encoded keys, by this node, at times from `first` on."""
    count = len(told)
    first = now_as_time() if first is None else first
    return [
        EVENTS,
        [node],
        bytes(kind for kind, _, _ in told),
        bytes([1] * count),
        bytes(count),
        [first + i for i in range(count)],
        [key for _, key, _ in told],
        [value for _, _, value in told],
        [None] * count,
        [],
    ]


class Stranger:
    """One connection to a node. `greet` does what a client does; all else is up to the test."""

    def __init__(self, address: Address, *, secret: bytes | None = None, node: bytes | None = None) -> None:
        self.node = os.urandom(8) if node is None else node
        self.socket = connect(address)
        self._secret = secret
        self._keys: dict[str, bytes] = {}
        self._sent = self._heard = 0
        self._received = b""

    # -- frames --------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def say(self, message: Any) -> bytes:
        """Send a message as a frame, sealed if that is agreed. What was sent."""
        body = msgpack.packb(message)
        if self._keys:
            body += self.seal("dialler", self._sent, body)
            self._sent += 1
        self.send(frame(body))
        return frame(body)

    def hear(self) -> Any:
        """The next message, or None if the node has closed the connection."""
        body = self.hear_body()
        if body is not None and self._keys:
            body, seal = body[:-SEAL_BYTES], body[-SEAL_BYTES:]
            assert seal == self.seal("acceptor", self._heard, body)
            self._heard += 1
        return None if body is None else msgpack.unpackb(body, strict_map_key=False)

    def hear_body(self) -> bytes | None:
        while len(self._received) < 4 or len(self._received) < 4 + self._length():
            try:
                chunk = self.socket.recv(65_536)
            except ConnectionError:
                chunk = b""
            if not chunk:
                return None
            self._received += chunk
        length = self._length()
        body, self._received = self._received[4 : 4 + length], self._received[4 + length :]
        return body

    def _length(self) -> int:
        return int(struct.unpack(">I", self._received[:4])[0])

    def seal(self, side: str, count: int, body: bytes) -> bytes:
        return hmac.digest(self._keys[side], count.to_bytes(8, "big") + body, "sha256")[:SEAL_BYTES]

    # -- what a well-behaved client does -----------------------------------------------------------------------------

    def greet(self, **changed: Any) -> "Stranger":
        """The handshake and the greeting, up to where events may follow."""
        self.shake_hands(**changed)
        self.say([SEEN, True, []])
        said = self.hear()
        assert said[:2] == [SEEN, True], said
        return self

    def shake_hands(self, **changed: Any) -> None:
        mine = msgpack.packb(hello(node=self.node, signed=self._secret is not None, **changed))
        self.send(frame(mine))
        theirs = self.hear_body()
        assert theirs is not None, "closed instead of a hello"
        assert msgpack.unpackb(theirs)[0] == HELLO, msgpack.unpackb(theirs)
        transcript = struct.pack(">I", len(mine)) + mine + theirs
        self.say([PROOF, *self._prove("dialler", transcript, msgpack.unpackb(mine)[PRESENT])])
        if self._secret is not None:
            self._keys = {"dialler": self._derive("key", "dialler", transcript)}
        answer = self.hear_body()
        assert answer is not None, "closed instead of a proof"
        proof = msgpack.unpackb(answer)
        assert proof[0] == PROOF, proof
        assert proof[1:] == self._prove("acceptor", transcript, proof[2]), proof
        if self._secret is not None:
            self._keys["acceptor"] = self._derive("key", "acceptor", transcript)

    def _prove(self, side: str, transcript: bytes, present: int) -> list[Any]:
        if self._secret is None:
            return [b"", present]
        return [self._derive("proof", side, transcript + present.to_bytes(8, "big")), present]

    def _derive(self, what: str, side: str, transcript: bytes) -> bytes:
        assert self._secret is not None
        return hmac.digest(self._secret, f"cf_LRU_cache 1 {what} {side}\0".encode() + transcript, "sha256")

    def is_closed(self, patience: float = 10.0) -> bool:
        """Wait until the node has closed the connection; what it says before does not matter."""
        self.socket.settimeout(patience)
        try:
            while self.socket.recv(65_536):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True

    def last_words(self) -> str:
        """Why the node ends it: the reason of its goodbye; nothing if it closes without one."""
        while (message := self.hear()) is not None:
            if message[0] == GOODBYE:
                return str(message[1])
        return ""

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def reset(connection: socket.socket) -> None:
    """Close without a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
