"""The bytes of roll calls are those of docs/protocol.md: its vectors are what we make, and what the text says."""

import json
from pathlib import Path

import pytest
from msgpack import unpackb

from lru_cache import ProtocolError
from tests.network.vectors import make_roll_calls
from tests.network.vectors.make_roll_calls import CALLER, A, B, node

VECTORS = json.loads(make_roll_calls.VECTORS.read_text(encoding="utf-8"))
TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def test_the_vectors_are_what_the_script_makes() -> None:
    assert make_roll_calls.vectors() == VECTORS


def test_a_call_goes_there_and_an_answer_back() -> None:
    said = [unpackb(bytes.fromhex(sent["body"])) for step in VECTORS["steps"] for sent in step["sends"]]
    assert [(kind, caller, number) for kind, caller, number, *_ in said] == [
        (16, CALLER, 1), (16, CALLER, 1), (17, CALLER, 1), (17, CALLER, 1)
    ]  # fmt: skip
    assert [hops for *_, hops in said[:2]] == [1, 2]
    near, far = [A, "", "both", "10.1.2.3", 7000, 1], [B, "sydney", "both", "", 7000, 2]
    assert said[2][3:] == [True, far]
    far[3] = "far"  # as its neighbour sees it
    assert said[3][3:] == [True, near + far]


@pytest.mark.parametrize("name", VECTORS["accepted"])
def test_what_is_to_be_accepted_is(name: str) -> None:
    body = bytes.fromhex(VECTORS["accepted"][name])
    answers = node((A, "", "client", "", 0)).received("link", body, ["link"])
    assert len(answers) == (body[1] == 16)


@pytest.mark.parametrize("name", VECTORS["refused"])
def test_what_is_to_be_refused_is(name: str) -> None:
    calls = node((CALLER, "", "client", "", 0))
    calls.begin(CALLER, 0, ["link"])
    with pytest.raises(ProtocolError):
        calls.received("link", bytes.fromhex(VECTORS["refused"][name]), ["link"])


def test_the_documented_bytes_are_those_of_the_vectors() -> None:
    call, answer = VECTORS["steps"][0]["sends"][0]["body"], VECTORS["steps"][2]["sends"][0]["body"]
    assert bytes.fromhex(call).hex(" ") in TEXT
    assert bytes.fromhex(answer)[:15].hex(" ") in TEXT
