"""Whoever connects to a node of a test, with a socket and bytes of its own."""

import socket
import struct
from typing import TYPE_CHECKING, Any

from msgpack import packb, unpackb

from lru_cache import LRUCacheDistributed
from lru_cache.network.handshake import PROTOCOL_VERSION, Handshake, Hello, Side
from lru_cache.replication import Message, messages, time_of
from tests.concurrency import PATIENCE

if TYPE_CHECKING:
    from lru_cache.network.security import Seal

NODE = b"stranger"


class Stranger:
    """A connection to a node: says what it is told to, hears what comes."""

    def __init__(self, cache: LRUCacheDistributed[Any, Any]) -> None:
        address: Any = cache.local_address
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self._buffer = b""
        self._sealing: Seal | None = None
        self._opening: Seal | None = None

    def say(self, body: bytes) -> None:
        """Send one frame."""
        body = body if self._sealing is None else self._sealing.close(body)
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def hear(self) -> bytes | None:
        """The next frame's body, or None at the end of the stream."""
        header = self._exactly(4)
        body = None if header is None else self._exactly(struct.unpack(">I", header)[0])
        return body if body is None or self._opening is None else self._opening.open(body)

    def hear_out(self) -> list[Any]:
        """All messages until the end of the stream."""
        heard = []
        try:
            while (body := self.hear()) is not None:
                heard.append(unpackb(body, strict_map_key=False))
        except ConnectionResetError:
            pass
        return heard

    def greet(self, cache: LRUCacheDistributed[Any, Any], secret: bytes = b"", **fields: Any) -> None:
        """Become a neighbour: the handshake, and the greeting of a node that knows nothing."""
        usual = Hello(
            PROTOCOL_VERSION,
            "default",
            NODE,
            "",
            "client",
            10,
            time_of(cache._clock.time()),
            1 << 20,
            60_000,
            False,
            b"",
        )
        secrets = (secret,) if secret else ()
        handshake = Handshake(Side.DIALLER, lambda: usual._replace(**fields), secrets, lambda *_: None)
        for body in handshake.begin(0.0):
            self.say(body)
        while not handshake.done:
            body = self.hear()
            assert body is not None, "it refused us"
            for answer in handshake.receive(body, 0.0):
                self.say(answer)
        self._sealing, self._opening = handshake.sealing, handshake.opening
        self.send(messages.Seen(True, {}))

    def send(self, message: Message) -> None:
        """Send a message of a link."""
        self.say(messages.encode(message))

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            chunk = self.socket.recv(65_536)
            if not chunk:
                return None
            self._buffer += chunk
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def goodbye_of(heard: list[Any]) -> str:
    """The reason of the goodbye that was the last to be heard."""
    assert heard, "it closed without a word"
    kind, reason = heard[-1]
    assert kind == messages.Type.GOODBYE
    return str(reason)


def packed(*items: Any) -> bytes:
    return bytes(packb(list(items)))
