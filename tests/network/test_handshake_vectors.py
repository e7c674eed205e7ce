"""The handshake's bytes are those of docs/protocol.md: its vectors are what we make, and what the text says.

What the text says is computed here anew, with nothing of ours but the vectors.
"""

import hashlib
import hmac
import json
from pathlib import Path
from unittest.mock import patch

import pytest
from msgpack import unpackb

from lru_cache.errors import ProtocolError
from lru_cache.network.handshake import FRAME_LIMIT_BYTES, Side
from lru_cache.network.security import Seal
from tests.network.vectors import make_handshake

VECTORS = json.loads(make_handshake.VECTORS.read_text(encoding="utf-8"))
HANDSHAKES = VECTORS["handshakes"]
OTHER = {"dialler": "acceptor", "acceptor": "dialler"}
ENDS = [(name, side) for name in HANDSHAKES for side in OTHER]


def hmac_sha256(key: bytes, said: bytes) -> bytes:
    return hmac.new(key, said, hashlib.sha256).digest()


def of(name: str, side: str) -> tuple[bytes, bytes]:
    """The transcript of a handshake, and the secret with which a side proves itself."""
    secrets = HANDSHAKES[name][side]["secrets"]
    return bytes.fromhex(HANDSHAKES[name]["transcript"]), secrets[0].encode() if secrets else b""


def test_the_vectors_are_what_the_script_makes() -> None:
    assert make_handshake.vectors() == VECTORS


@pytest.mark.parametrize("name", HANDSHAKES)
def test_the_transcript_is_both_hellos_behind_the_length_of_the_first(name: str) -> None:
    dialler, acceptor = (bytes.fromhex(HANDSHAKES[name][side]["hello"]) for side in OTHER)
    assert bytes.fromhex(HANDSHAKES[name]["transcript"]) == len(dialler).to_bytes(4, "big") + dialler + acceptor


@pytest.mark.parametrize(("name", "side"), ENDS)
def test_a_proof_is_a_mac_over_its_label_the_transcript_and_the_time_that_it_tells(name: str, side: str) -> None:
    transcript, secret = of(name, side)
    kind, said, present = unpackb(bytes.fromhex(HANDSHAKES[name][side]["proof"]))
    covered = b"cf_LRU_cache 1 proof " + side.encode() + b"\0" + transcript + present.to_bytes(8, "big")
    assert (kind, said) == (1, hmac_sha256(secret, covered) if secret else b"")


@pytest.mark.parametrize(("name", "side"), ENDS)
def test_a_key_is_a_mac_over_its_label_and_the_transcript(name: str, side: str) -> None:
    transcript, secret = of(name, side)
    expected = (
        hmac_sha256(secret, b"cf_LRU_cache 1 key " + side.encode() + b"\0" + transcript).hex() if secret else None
    )
    assert HANDSHAKES[name][side]["key"] == expected


@pytest.mark.parametrize(("name", "side"), ENDS)
def test_a_frame_is_its_length_the_body_and_sixteen_bytes_of_a_mac_over_the_count_and_the_body(
    name: str, side: str
) -> None:
    end = HANDSHAKES[name][side]
    for count, (body, frame) in enumerate(
        zip(map(bytes.fromhex, end["messages"]), map(bytes.fromhex, end["frames"]), strict=True)
    ):
        seal = b""
        if end["key"]:
            seal = hmac_sha256(bytes.fromhex(end["key"]), count.to_bytes(8, "big") + body)[:16]
        assert frame == len(body + seal).to_bytes(4, "big") + body + seal


def test_seals_count_from_nought() -> None:
    for count, vector in enumerate(VECTORS["seals"]):
        body = bytes.fromhex(vector["body"])
        mac = hmac_sha256(bytes.fromhex(vector["key"]), count.to_bytes(8, "big") + body)[:16]
        assert bytes.fromhex(vector["sealed"]) == body + mac


@pytest.mark.parametrize(("name", "side"), [end for end in ENDS if HANDSHAKES[end[0]][end[1]]["key"]])
def test_what_one_end_seals_the_other_one_opens(name: str, side: str) -> None:
    transcript, secret = of(name, side)
    opening = Seal(secret, side, transcript)
    end = HANDSHAKES[name][side]
    assert [opening.open(bytes.fromhex(frame)[4:]).hex() for frame in end["frames"]] == end["messages"]


def acceptor_receives(body: bytes) -> list[bytes]:
    handshake = make_handshake.handshake(Side.ACCEPTOR, [])
    with patch("os.urandom", return_value=make_handshake.NONCES[Side.ACCEPTOR]):
        return handshake.receive(body, 0.0)


@pytest.mark.parametrize("name", VECTORS["hellos_accepted"])
def test_a_hello_that_is_to_be_accepted_is_answered_with_ours(name: str) -> None:
    (answer,) = acceptor_receives(bytes.fromhex(VECTORS["hellos_accepted"][name]))
    assert unpackb(answer)[0] == 0


@pytest.mark.parametrize("name", VECTORS["hellos_refused"])
def test_a_hello_that_is_to_be_refused_is(name: str) -> None:
    with pytest.raises(ProtocolError):
        acceptor_receives(bytes.fromhex(VECTORS["hellos_refused"][name]))


def test_every_frame_of_a_handshake_is_within_the_limit() -> None:
    sent = [HANDSHAKES[name][side][what] for name, side in ENDS for what in ("hello", "proof")]
    assert max(len(body) for body in sent) // 2 <= FRAME_LIMIT_BYTES


def test_the_documented_labels_and_lengths_are_those_of_the_vectors() -> None:
    """The text is what another implementation is written from."""
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert "cf_LRU_cache 1 proof dialler" in text
    assert "cf_LRU_cache 1 key dialler" in text
    assert HANDSHAKES["with one secret"]["dialler"]["key"] in text
