"""Writes handshake.json, the test vectors of the handshake in docs/protocol.md, from the nodes below.

Run it only for a change of the protocol; for any other change, vectors that differ are a mistake in the code.

    python tests/network/vectors/make_handshake.py
"""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

from msgpack import packb

from lru_cache.network.handshake import FRAME_LIMIT_BYTES, PROTOCOL_VERSION, Handshake, Hello, Side
from lru_cache.network.security import Seal
from lru_cache.replication import Goodbye, Ping, Pong, Seen, encode_frame, messages

VECTORS = Path(__file__).with_name("handshake.json")

TIME = 1_700_000_000_000 << 16
A, B = bytes.fromhex("0102030405060708"), bytes.fromhex("1112131415161718")
NONCES = {Side.DIALLER: bytes(range(32)), Side.ACCEPTOR: bytes(range(100, 132))}
HELLOS = {
    Side.DIALLER: Hello(
        PROTOCOL_VERSION, "default", A, "montreal", "client", 50_000, TIME, 8_388_608, 3_600, False, b""
    ),
    Side.ACCEPTOR: Hello(PROTOCOL_VERSION, "default", B, "", "both", 1, TIME + 5, 1_048_576, 600_000, False, b""),
}
OLD, NEW = "correct horse battery staple", "tschüss, altes Geheimnis"

# What the two ends have as their secrets; of several the first is one's own.
CASES = {
    "without a secret": ([], []),
    "with one secret": ([OLD], [OLD]),
    "while the secret is changed": ([NEW, OLD], [OLD, NEW]),
}

# What each end says after the handshake, in order: the seal counts.
SAID = {
    Side.DIALLER: [
        messages.encode(Seen(True, {A: TIME})),
        messages.encode(Ping(1)),
        messages.encode(Goodbye("it is closed")),
    ],
    Side.ACCEPTOR: [messages.encode(Seen(True, {})), messages.encode(Pong(1))],
}


def handshake(side: Side, secrets: list[str], hello: Hello | None = None) -> Handshake:
    """One end, with a hello that stands here."""
    return Handshake(side, lambda: hello or HELLOS[side], [secret.encode() for secret in secrets], lambda *_: None)


def shaken(secrets: dict[Side, list[str]]) -> tuple[dict[Side, Handshake], dict[Side, list[bytes]]]:
    """Two ends after their handshake, and what each of them has sent."""
    ends = {side: handshake(side, secrets[side]) for side in Side}
    with patch("os.urandom", side_effect=list(NONCES.values())):
        dialled = ends[Side.DIALLER].begin(0.0)
        answered = ends[Side.ACCEPTOR].receive(dialled[0], 0.0)
    dialled += ends[Side.DIALLER].receive(answered[0], 0.0)
    answered += ends[Side.ACCEPTOR].receive(dialled[1], 0.0)
    ends[Side.DIALLER].receive(answered[1], 0.0)
    assert all(end.done for end in ends.values())
    return ends, {Side.DIALLER: dialled, Side.ACCEPTOR: answered}


def case(secrets_of_dialler: list[str], secrets_of_acceptor: list[str]) -> dict[str, Any]:
    """One handshake, as an implementation should find it."""
    secrets = {Side.DIALLER: secrets_of_dialler, Side.ACCEPTOR: secrets_of_acceptor}
    ends, sent = shaken(secrets)
    written: dict[str, Any] = {"transcript": ends[Side.DIALLER]._transcript.hex()}
    for side in Side:
        hello, proof = sent[side]
        sealing = ends[side].sealing
        bodies = [body if sealing is None else sealing.close(body) for body in SAID[side]]
        written[side.value] = {
            "secrets": secrets[side],
            "hello": hello.hex(),
            "proof": proof.hex(),
            "key": None if sealing is None else sealing._key.hex(),
            "messages": [body.hex() for body in SAID[side]],
            "frames": [encode_frame(body, FRAME_LIMIT_BYTES).hex() for body in bodies],
        }
    return written


def hello_bytes(side: Side, **changed: Any) -> bytes:
    """A hello with some fields replaced."""
    fields = HELLOS[side]._replace(nonce=NONCES[side])._replace(**changed)
    packed: bytes = packb([0, *fields])
    return packed


def accepted() -> dict[str, bytes]:
    """Hellos of a dialler that an acceptor in cluster "default", without a secret, must go on with."""
    usual = HELLOS[Side.DIALLER]._replace(nonce=NONCES[Side.DIALLER])
    return {
        "the usual one": hello_bytes(Side.DIALLER),
        "with a field that only a later version knows": packb([0, *usual, {"color": "blue"}]),
        "with the longest region": hello_bytes(Side.DIALLER, region="r" * 200),
        "with integers that are longer than need be": hello_bytes(Side.DIALLER).replace(
            b"\x00\x01\xa7", b"\x00\xcc\x01\xa7"
        ),
    }


def refused() -> dict[str, bytes]:
    """And those that it must refuse."""
    usual = HELLOS[Side.DIALLER]._replace(nonce=NONCES[Side.DIALLER])
    return {
        "nothing": b"",
        "no msgpack": b"GET / HTTP/1.1\r\n\r\n",
        "no array": packb("hello"),
        "an empty array": packb([]),
        "a proof": packb([1, b""]),
        "a ping": messages.encode(Ping(0)),
        "bytes after the array": hello_bytes(Side.DIALLER) + b"\xc0",
        "another version": hello_bytes(Side.DIALLER, version=1),
        "a version that is no integer": hello_bytes(Side.DIALLER, version=True),
        "another cluster": hello_bytes(Side.DIALLER, cluster="other"),
        "a secret on one side only": hello_bytes(Side.DIALLER, signed=True),
        "the acceptor's own nonce": hello_bytes(Side.DIALLER, nonce=NONCES[Side.ACCEPTOR]),
        "too few fields": packb([0, *usual[:-1]]),
        "a node of another length": hello_bytes(Side.DIALLER, node=b"short"),
        "a node that is a str": hello_bytes(Side.DIALLER, node="01234567"),
        "a nonce of another length": hello_bytes(Side.DIALLER, nonce=bytes(16)),
        "a region that is too long": hello_bytes(Side.DIALLER, region="r" * 201),
        "a region that is not printable": hello_bytes(Side.DIALLER, region="a\nb"),
        "no capacity": hello_bytes(Side.DIALLER, capacity=0),
        "a negative time": hello_bytes(Side.DIALLER, present=-1),
        "a time beyond 63 bits": hello_bytes(Side.DIALLER, present=1 << 63),
        "a capacity that is a float": hello_bytes(Side.DIALLER, capacity=1.0),
    }


def seals() -> list[dict[str, str]]:
    """One key, and bodies that it seals one after another."""
    seal = Seal(OLD.encode(), Side.DIALLER.value, b"any transcript")
    bodies = [b"", b"\x93\x01\x02\x03", bytes(300)]
    return [{"key": seal._key.hex(), "body": body.hex(), "sealed": seal.close(body).hex()} for body in bodies]


def vectors() -> dict[str, Any]:
    """All of them."""
    return {
        "handshakes": {name: case(*secrets) for name, secrets in CASES.items()},
        "hellos_accepted": {name: body.hex() for name, body in accepted().items()},
        "hellos_refused": {name: body.hex() for name, body in refused().items()},
        "seals": seals(),
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
