"""The handshake: who is at the other end, whether we may talk, and under which seals. Bytes in, bytes out.

This file must not know sockets, threads, or what nodes say afterwards. docs/protocol.md describes the bytes.

    dialler                          acceptor
       | -- hello ------------------> |      each checks the other's: version, cluster, whether both have a secret
       | <------------------- hello - |
       | -- proof ------------------> |      then the proof, and with the round trip known, the clock
       | <------------------- proof - |
       | <====== sealed frames =====> |

Who dials proves first: whoever connects to a node learns nothing from it that was made with the secret. A proof covers
both hellos, so also the nonces of both, and names the side that makes it: one that was recorded, or is sent back to who
made it, proves nothing. Without a secret a proof is empty, and only says that its sender is ready.
"""

import os
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from msgpack import packb, unpackb  # type: ignore[import-untyped]

from lru_cache.errors import ProtocolError
from lru_cache.network.security import Seal, find_secret, proof
from lru_cache.replication import NODE_BYTES, Goodbye, messages

PROTOCOL_VERSION = 2
FRAME_LIMIT_BYTES = 4_096  # of every frame before the end of the handshake
NONCE_BYTES = 32
LONGEST_NAME_CHARACTERS = 200
_HELLO = 0
_PROOF = 1
_LARGEST = (1 << 63) - 1


class Side(Enum):
    """Which end of a connection somebody is."""

    DIALLER = "dialler"
    ACCEPTOR = "acceptor"

    @property
    def other(self) -> "Side":
        """The end across."""
        return Side.ACCEPTOR if self is Side.DIALLER else Side.DIALLER


class Hello(NamedTuple):
    """What a node says of itself, in the order in which it is sent."""

    version: int
    cluster: str
    node: bytes
    region: str
    role: str  # "server", "client" or "both"
    capacity: int  # entries
    present: int  # the time that it is there
    value_bytes: int  # the longest value that it takes
    silence_ms: int  # after which it takes the other side for dead
    signed: bool  # whether it has a secret
    nonce: bytes


def printable(text: str) -> str:
    """What a stranger wrote, without what could pass for a log line of ours or move a terminal's cursor."""
    return "".join(character if character.isprintable() else "?" for character in text)


class RefusedError(ProtocolError):
    """The handshake came to nothing. `parting` is what to send before closing, empty if it was the peer who refused."""

    def __init__(self, reason: str, by_peer: bool = False) -> None:
        super().__init__(f"it refused us: {printable(reason)}" if by_peer else reason)
        self.by_peer = by_peer
        self.parting = b"" if by_peer else messages.encode(Goodbye(reason))


class Handshake:
    """One side of a handshake.

    `introduce()` makes our hello at the moment at which it is sent: it tells the time. So does a proof: what each end
    is told was told between something that it sent and the answer, however long anything waited before that.
    `judge(peer, half_trip, told_at)` says why this peer must be refused, if it must: a matter of clocks.
    """

    def __init__(
        self,
        side: Side,
        introduce: Callable[[], Hello],
        secrets: Sequence[bytes],
        judge: Callable[[Hello, float, float], str | None],
    ) -> None:
        self.side = side
        self.hello: Hello
        self.peer: Hello | None = None
        self.half_trip = 0.0
        self.sealing: Seal | None = None  # of what we send from the moment at which our proof is out
        self.opening: Seal | None = None  # of what the peer sends from its proof on
        self.done = False
        self._secrets = secrets
        self._judge = judge
        self._introduce = introduce
        self._own_bytes = b""
        self._transcript = b""
        self._told_at = 0.0
        self._expect: Callable[[bytes, float], list[bytes]] = (
            self._hello_of_acceptor if side is Side.DIALLER else self._hello_of_dialler
        )

    def begin(self, now: float) -> list[bytes]:
        """What is to be sent before anything was received."""
        if self.side is Side.ACCEPTOR:
            return []
        self._make_hello(now)
        return [self._own_bytes]

    def receive(self, body: bytes, now: float) -> list[bytes]:
        """A frame came: what to send in answer. RefusedError if this is the end; `done` if it is the beginning."""
        if body[1:2] == bytes([messages.Type.GOODBYE]):  # alone or sealed, it is read as what it says it is
            goodbye = messages.decode(body)
            if isinstance(goodbye, Goodbye):
                raise RefusedError(goodbye.reason, by_peer=True)
        return self._expect(body, now)

    # -- the states, each a method that takes the frame it expects ---------------------------------------------------

    def _hello_of_dialler(self, body: bytes, now: float) -> list[bytes]:
        self._make_hello(now)
        self._meet(body)
        self._transcript = _joined(body, self._own_bytes)
        self._expect = self._proof_of_dialler
        return [self._own_bytes]

    def _hello_of_acceptor(self, body: bytes, now: float) -> list[bytes]:
        self._meet(body)
        self._transcript = _joined(self._own_bytes, body)
        self._refuse_clock(now)
        self._expect = self._proof_of_acceptor
        return [self._prove()]

    def _proof_of_acceptor(self, body: bytes, _now: float) -> list[bytes]:
        self._verify(body)
        self._finish()
        return []

    def _proof_of_dialler(self, body: bytes, now: float) -> list[bytes]:
        present = self._verify(body)
        assert self.peer is not None
        self.peer = self.peer._replace(present=present)  # its hello may have waited for us since nobody knows when
        self._refuse_clock(now)
        self._finish()
        return [self._prove()]

    def _nothing_more(self, _body: bytes, _now: float) -> list[bytes]:
        raise AssertionError("the handshake is over, this frame is for the link")

    # -- their parts -------------------------------------------------------------------------------------------------

    def _make_hello(self, now: float) -> None:
        self.hello = self._introduce()._replace(signed=bool(self._secrets), nonce=os.urandom(NONCE_BYTES))
        self._own_bytes = _pack([_HELLO, *self.hello])
        self._told_at = now

    def _meet(self, body: bytes) -> None:
        peer = _read_hello(body)
        if peer.cluster != self.hello.cluster:
            raise RefusedError(f"different clusters: {self.hello.cluster!r} here, {peer.cluster!r} there")
        if peer.signed != self.hello.signed:
            raise RefusedError("only one side has a secret: give the other one the same")
        if peer.nonce == self.hello.nonce:
            raise RefusedError("that is our own hello sent back")
        self.peer = peer

    def _prove(self) -> bytes:
        present = self._introduce().present
        if not self._secrets:
            return _pack([_PROOF, b"", present])
        body = _pack([_PROOF, proof(self._secrets[0], self.side.value, _dated(self._transcript, present)), present])
        self.sealing = Seal(self._secrets[0], self.side.value, self._transcript)
        return body

    def _verify(self, body: bytes) -> int:
        """Check the peer's proof, and return the time that it tells."""
        said, present = _read_proof(body)
        if self._secrets:
            other = self.side.other.value
            secret = find_secret(self._secrets, other, _dated(self._transcript, present), said)
            if secret is None:
                raise RefusedError("its secret is not ours")
            self.opening = Seal(secret, other, self._transcript)
        return present

    def _refuse_clock(self, now: float) -> None:
        assert self.peer is not None
        self.half_trip = (now - self._told_at) / 2
        reason = self._judge(self.peer, self.half_trip, self._told_at + self.half_trip)
        if reason is not None:
            raise RefusedError(reason)

    def _finish(self) -> None:
        self._expect = self._nothing_more
        self.done = True


def _joined(dialler: bytes, acceptor: bytes) -> bytes:
    """Both hellos as one: no other two give the same."""
    return len(dialler).to_bytes(4, "big") + dialler + acceptor


def _dated(transcript: bytes, present: int) -> bytes:
    return transcript + present.to_bytes(8, "big")


def _pack(items: list[Any]) -> bytes:
    packed: bytes = packb(items)
    return packed


def _unpack(body: bytes, kind: int, what: str) -> list[Any]:
    try:
        items = unpackb(body)
    except Exception as error:  # noqa: BLE001 - msgpack raises whatever it met, and strangers choose the bytes
        raise ProtocolError(f"its {what} is no msgpack: {type(error).__name__}") from None
    if type(items) is not list or not items or type(items[0]) is not int or items[0] != kind:
        raise ProtocolError(f"it sent something else where a {what} belongs")
    return items[1:]


def _read_hello(body: bytes) -> Hello:
    """Fields after the known ones are passed over; another version may mean anything by all but the first."""
    fields = _unpack(body, _HELLO, "hello")
    version = fields[0] if fields else None
    if version != PROTOCOL_VERSION:
        raise RefusedError(f"different versions of the protocol: {PROTOCOL_VERSION} here, {version!r} there"[:200])
    if len(fields) < len(Hello._fields):
        raise ProtocolError("its hello lacks fields")
    hello = Hello(*fields[: len(Hello._fields)])
    for name, value in hello._asdict().items():
        kind = Hello.__annotations__[name]
        if type(value) is not kind or (kind is int and not 0 <= value <= _LARGEST):
            raise ProtocolError(f"its hello has an odd {name}")
    if len(hello.node) != NODE_BYTES or len(hello.nonce) != NONCE_BYTES:
        raise ProtocolError("its hello has an odd node or nonce")
    if max(map(len, (hello.cluster, hello.region, hello.role))) > LONGEST_NAME_CHARACTERS:
        raise ProtocolError("its hello has a name that is too long")
    if not (hello.cluster + hello.region + hello.role).isprintable():
        raise ProtocolError("its hello has a name that is not printable")
    if not hello.capacity or not hello.value_bytes or not hello.silence_ms:
        raise ProtocolError("its hello has a limit of zero")
    return hello


def _read_proof(body: bytes) -> tuple[bytes, int]:
    fields = _unpack(body, _PROOF, "proof")
    if len(fields) < 2 or type(fields[0]) is not bytes or type(fields[1]) is not int:
        raise ProtocolError("its proof lacks the proof or the time")
    if not 0 <= fields[1] <= _LARGEST:
        raise ProtocolError("its proof has an odd time")
    return fields[0], fields[1]
