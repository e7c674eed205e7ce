"""Writes roll_calls.json, the test vectors of the roll calls in docs/protocol.md, from the messages below.

Run it only for a change of the protocol; for any other change, vectors that differ are a mistake in the code.

    python tests/network/vectors/make_roll_calls.py
"""

import json
from pathlib import Path
from typing import Any

from msgpack import packb

from lru_cache.network.roll_call import ANSWER, CALL, RollCalls

VECTORS = Path(__file__).with_name("roll_calls.json")

TIME = 1_700_000_000_000 << 16
CALLER, A, B = (bytes.fromhex(each) for each in ("0102030405060708", "1112131415161718", "2122232425262728"))
LATEST = (1 << 63) - 1
FAR = [B, "sydney", "both", "", 7000, 2]

REFUSED: dict[str, Any] = {
    "a call without hops": [CALL, CALLER, 1, TIME],
    "a caller of seven bytes": [CALL, CALLER[:7], 1, TIME, 1],
    "no hops": [CALL, CALLER, 1, TIME, 0],
    "a time that is no number": [CALL, CALLER, 1, None, 1],
    "a number below nought": [CALL, CALLER, -1, TIME, 1],
    "a number beyond 63 bits": [CALL, CALLER, 1 << 63, TIME, 1],
    "an array in the place of a number": [CALL, CALLER, [1], TIME, 1],
    "an answer without nodes": [ANSWER, CALLER, 1, True],
    "whole is no bool": [ANSWER, CALLER, 1, 1, []],
    "five items for a node": [ANSWER, CALLER, 1, True, FAR[:5]],
    "a port beyond 65535": [ANSWER, CALLER, 1, True, [B, "", "client", "", 65536, 1]],
    "a region with a line's end": [ANSWER, CALLER, 1, True, [B, "a\n", "client", "", 0, 1]],
    "a role of 201 characters": [ANSWER, CALLER, 1, True, [B, "", "x" * 201, "", 0, 1]],
    "an array for a node": [ANSWER, CALLER, 1, True, [FAR]],
}


def node(introduction: tuple[bytes, str, str, str, int]) -> RollCalls:
    """One that has everything, and sees its neighbours where they are called."""
    return RollCalls(lambda: introduction, lambda *_: True, host_of=str)


def hexed(out: list[tuple[Any, bytes]]) -> list[dict[str, str]]:
    """What is sent, and to whom."""
    return [{"to": link, "body": body.hex()} for link, body in out]


def steps() -> list[dict[str, Any]]:
    """A call by a node, through one neighbour, to another one behind that; what each receives, and then sends."""
    caller, near, far = (
        node((CALLER, "montreal", "client", "", 0)),
        node((A, "", "both", "10.1.2.3", 7000)),
        node((B, "sydney", "both", "", 7000)),
    )
    _, out = caller.begin(CALLER, TIME, ["near"])
    done = [{"at": "caller", "receives": None, "sends": hexed(out)}]
    for name, at, source, links in (
        ("near", near, "caller", ["caller", "far"]),
        ("far", far, "near", ["near"]),
        ("near", near, "far", ["caller", "far"]),
        ("caller", caller, "near", ["near"]),
    ):
        body = out[0][1]
        out = at.received(source, body, links)
        done.append({"at": name, "receives": {"from": source, "body": body.hex()}, "sends": hexed(out)})
    return done


def accepted() -> dict[str, str]:
    """What need not look as ours does."""
    return {
        "a call of the latest time, over the most links": packb([CALL, CALLER, LATEST, LATEST, LATEST]).hex(),
        "a call with a field that is not known": packb([CALL, CALLER, 1, TIME, 1, {"more": [1]}]).hex(),
        "a call with a long number": (b"\x95\x10\xc4\x08" + CALLER + b"\xcf" + bytes(7) + b"\x01\x00\x01").hex(),
        "an answer with a field that is not known": packb([ANSWER, CALLER, 1, True, [], None]).hex(),
    }


def vectors() -> dict[str, Any]:
    """All of them."""
    return {
        "steps": steps(),
        "accepted": accepted(),
        "refused": {why: packb(fields).hex() for why, fields in REFUSED.items()},
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
