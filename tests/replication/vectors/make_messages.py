"""Writes messages.json, the test vectors of docs/protocol.md, from the messages below.

Run it only for a change of the protocol; for any other change, vectors that differ are a mistake in the code.

    python -m tests.replication.vectors.make_messages
"""

import json
from pathlib import Path
from typing import Any

from lru_cache.replication import BUCKETS, Event, Goodbye, Kind, Message, Ping, Pong, Seen, Version
from lru_cache.replication.encoding import encode_key, encode_value
from tests.replication.build import event, messages, version
from tests.replication.events import invalidate_event, load_event, set_event, touch_event

MAXIMUM_LIFE_MS, MAXIMUM_TIME = event.MAXIMUM_LIFE_MS, version.MAXIMUM_TIME
FloorRange, Floors = messages.FloorRange, messages.Floors
Reached, Prune, Graft = messages.Reached, messages.Prune, messages.Graft
VECTORS = Path(__file__).with_name("messages.json")

A, B, C = bytes.fromhex("0102030405060708"), bytes.fromhex("1112131415161718"), bytes(8)
TIME = 1_700_000_000_000 << 16
KEY, OTHER_KEY = encode_key("user:1"), encode_key(("user", 42))
VALUE = encode_value({"name": "Ada"})

# Each of them is encoded to exactly these bytes, and these bytes decode to it.
MESSAGES: dict[str, Message] = {
    "no events": [],
    "a set": [set_event(KEY, Version(TIME, A), VALUE)],
    "a set with a life": [set_event(KEY, Version(TIME, A), VALUE, 60_000)],
    "a set with the longest life": [set_event(KEY, Version(TIME, A), VALUE, MAXIMUM_LIFE_MS)],
    "a set of nothing": [set_event(KEY, Version(TIME, A), b"")],
    "an invalidation": [invalidate_event(KEY, Version(TIME, A))],
    "an invalidation from far away": [invalidate_event(KEY, Version(TIME, A), hops=32)],
    "a load": [load_event(KEY, Version(TIME, A), Version(TIME + 9, A), VALUE, 5_000)],
    "a touch": [touch_event(KEY, Version(TIME + 9, A), Version(TIME, B), 5_000)],
    "a touch that ends all ends": [touch_event(KEY, Version(TIME + 9, A), Version(TIME, B), None)],
    "events of two nodes": [
        set_event(KEY, Version(TIME, A), VALUE),
        invalidate_event(OTHER_KEY, Version(TIME + 1, B), hops=2),
        invalidate_event(KEY, Version(TIME + 2, A), hops=3),
    ],
    "events with other versions": [
        load_event(KEY, Version(TIME, A), Version(TIME + 9, A), VALUE),
        invalidate_event(OTHER_KEY, Version(TIME + 1, A)),
        touch_event(KEY, Version(TIME + 3, B), Version(TIME, C), 1, hops=2),
    ],
    "the largest time": [invalidate_event(KEY, Version(MAXIMUM_TIME, A))],
    "a greeting that has seen nothing": Seen(True, {}),
    "a greeting": Seen(True, {A: TIME, B: TIME + 1}),
    "seen": Seen(False, {A: TIME}),
    "an announcement of nothing": Floors(A, 1, 1, {}, []),
    "a clear": Floors(A, 1, 1, {A: TIME, B: TIME - 5}, [FloorRange(0, BUCKETS, TIME, {})]),
    "floors with confirmed sets": Floors(
        A,
        300,
        2,
        {A: TIME},
        [
            FloorRange(7, 1, TIME - 9, {KEY: Version(TIME - 10, B), OTHER_KEY: Version(TIME - 20, A)}),
            FloorRange(16_380, 4, TIME - 8, {}),
        ],
    ),
    "seen that rests on all that is kept": Seen(False, {A: TIME, B: TIME + 1}, True),
    "seen that rests on some of it": Seen(False, {A: TIME}, True, {B: TIME + 1}),
    "reached": Reached({A: TIME + 9}, {A: TIME, B: TIME + 5}),
    "reached, and nothing is kept any more": Reached({}, {A: 0}),
    "a prune": Prune([A, B]),
    "a graft": Graft({A: TIME, B: 0}),
    "ping": Ping(0),
    "pong": Pong(70_000),
    "goodbye": Goodbye("it is closed"),
    "goodbye beyond ASCII": Goodbye("tschüss"),
}

# Bytes that a decoder takes, and what it makes of them; an encoder writes them otherwise, or not at all.
ACCEPTED: dict[str, tuple[str, Message | None]] = {
    "a message of a type that nobody knows": ("93cc8001a178", None),
    "a message of a type of the handshake": ("9100", None),
    "a type below zero": ("91ff", None),
    "a ping with more fields": ("940501c0a178", Ping(1)),
    "a goodbye with more fields": ("9307a3657865" + "93010203", Goodbye("exe")),
    "numbers with long headers": ("92d005" + "d30000000000000001", Ping(1)),
    "an event of an unknown kind, which takes one other version": (
        "9a0291c408" + A.hex()
        + "c4020401" + "c4020101" + "c4020000"
        + "920203"
        + "92c401aac401bb"
        + "92c0c0" + "92c0c0"
        + "920100",
        [invalidate_event(b"\xbb", Version(3, A))],
    ),
    "a floor for all buckets, and another for one": (
        "9604c408" + A.hex() + "01019098" + "00cd40000590" + "07010690",
        Floors(A, 1, 1, {}, [FloorRange(0, 16_384, 5, {}), FloorRange(7, 1, 6, {})]),
    ),
}  # fmt: skip


def one_event(**columns: str) -> str:
    """The bytes of a message with one invalidation, some of its columns replaced."""
    usual = {
        "nodes": "91c408" + A.hex(), "kinds": "c40101", "hops": "c40101", "origins": "c40100", "times": "9101",
        "keys": "91c401aa", "payloads": "91c0", "lives": "91c0", "others": "90",
    }  # fmt: skip
    return "9a02" + "".join((usual | columns).values())


# Bytes that end the link.
REFUSED: dict[str, str] = {
    "nothing": "",
    "no array": "05",
    "an empty array": "90",
    "a type that is no integer": "91a178",
    "two messages": "920501920501",
    "a bucket with two floors": "9604c408" + A.hex() + "01019098" + "07010590" + "07010690",
    "floors out of order": "9604c408" + A.hex() + "01019098" + "08010590" + "07010690",
    "floors of all buckets twice": "9604c408" + A.hex() + "01019098" + "00cd40000590" + "00cd40000690",
    "not all there": "9205",
    "a byte that msgpack has no use for": "9205c1",
    "an array of 2**32 - 1": "ddffffffff",
    "UTF-8 that is none": "9207a1ff",
    "a ping without a number": "9105",
    "a ping with a negative number": "9205ff",
    "a ping with a number beyond 63 bits": "9205cf8000000000000000",
    "a ping with a float": "9205cb3ff0000000000000",
    "a ping with a boolean": "9205c3",
    "a goodbye with bytes": "9207c40178",
    "a seen that says neither": "93030190",
    "a seen with half a pair": "9303c391c408" + A.hex(),
    "a seen with a short node": "9303c392c4020102" + "01",
    "a seen with a node in text": "9303c392a8" + "61" * 8 + "01",
    "a seen with a negative time": "9303c392c408" + A.hex() + "ff",
    "a prune of a short node": "9209" + "91c4020102",
    "a prune of a node in text": "9209" + "91a8" + "61" * 8,
    "a graft with half a pair": "920a" + "91c408" + A.hex(),
    "a reached with a negative time": "930890" + "92c408" + A.hex() + "ff",
    "a reached without its news": "920890",
    "a seen that rests on nothing told": "910b",
    "a set without a value": one_event(kinds="c40100"),
    "a set with a value in text": one_event(kinds="c40100", payloads="91a161"),
    "an invalidation with a value": one_event(payloads="91c400"),
    "an invalidation with a number for a value": one_event(payloads="9100"),
    "a load without its other version": one_event(kinds="c40102", payloads="91c400"),
    "a touch with half its other version": one_event(kinds="c40103", others="9101"),
    "a touch of a node that is not listed": one_event(kinds="c40103", others="920101"),
    "an event of an unknown kind without its other version": one_event(kinds="c40104"),
    "an event of a node that is not listed": one_event(origins="c40101"),
    "a short node": one_event(nodes="91c4020102"),
    "an empty key": one_event(keys="91c400"),
    "a key in text": one_event(keys="91a161"),
    "a negative time": one_event(times="91ff"),
    "a time beyond 63 bits": one_event(times="91cf8000000000000000"),
    "a negative life": one_event(lives="91ff"),
    "a life too long": one_event(lives="91cf0020000000000001"),
    "columns of different lengths": one_event(hops="c4020101"),
    "a column too few": "9902" + one_event()[4:-2],
    "floors in threes": "9604c408" + A.hex() + "010190" + "93070105",
    "floors with too few fields": "9504c408" + A.hex() + "010190",
    "a floor of no bucket": "9604c408" + A.hex() + "010190" + "9407000590",
    "a floor beyond the last bucket": "9604c408" + A.hex() + "010190" + "94cd4000010590",
    "a floor of too many buckets": "9604c408" + A.hex() + "010190" + "9401cd40000590",
    "a confirmed set without a version": "9604c408" + A.hex() + "010190" + "9407010592c401aa01",
}  # fmt: skip


def plain(message: Message | None) -> Any:
    """A message in JSON's terms. Bytes are hex; times are decimal text, since they pass 2**53."""
    if isinstance(message, list):
        return {"type": "events", "events": [plain_event(each) for each in message]}
    if isinstance(message, Seen) and message.rests:
        on = {} if message.on is None else {"on": plain_times(message.on)}
        return {"type": "resting", "times": plain_times(message.times), **on}
    if isinstance(message, Reached):
        return {"type": "reached", "seen": plain_times(message.seen), "news": plain_times(message.news)}
    if isinstance(message, Prune):
        return {"type": "prune", "nodes": [node.hex() for node in message.nodes]}
    if isinstance(message, Graft):
        return {"type": "graft", "times": plain_times(message.times)}
    if isinstance(message, Seen):
        return {"type": "seen", "whole": message.whole, "times": plain_times(message.times)}
    if isinstance(message, Floors):
        return {
            "type": "floors",
            "announcer": message.announcer.hex(),
            "serial": message.serial,
            "hops": message.hops,
            "heard": plain_times(message.heard),
            "ranges": [
                {
                    "first": reach.first,
                    "buckets": reach.buckets,
                    "floor": str(reach.floor),
                    "confirmed": {key.hex(): plain_version(version) for key, version in reach.confirmed.items()},
                }
                for reach in message.ranges
            ],
        }
    if isinstance(message, Ping | Pong):
        return {"type": type(message).__name__.lower(), "number": message.number}
    return None if message is None else {"type": "goodbye", "reason": message.reason}


def plain_event(event: Event) -> dict[str, Any]:
    return {
        "kind": Kind(event.kind).name.lower(),
        "key": event.key.hex(),
        "version": plain_version(event.version),
        "hops": event.hops,
        "payload": None if event.payload is None else event.payload.hex(),
        "life_ms": event.life_ms,
        "other": plain_version(event.other) if event.kind in (Kind.LOAD, Kind.TOUCH) else None,
    }


def plain_version(version: Version) -> list[str]:
    return [str(version.time), version.node.hex()]


def plain_times(times: dict[bytes, int]) -> dict[str, str]:
    return {node.hex(): str(time) for node, time in times.items()}


def vectors() -> dict[str, list[dict[str, Any]]]:
    return {
        "messages": [
            {"name": name, "message": plain(message), "hex": messages.encode(message).hex()}
            for name, message in MESSAGES.items()
        ],
        "accepted": [
            {"name": name, "message": plain(message), "hex": data} for name, (data, message) in ACCEPTED.items()
        ],
        "refused": [{"name": name, "hex": data} for name, data in REFUSED.items()],
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
