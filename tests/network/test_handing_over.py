"""Handing over a log: what is said of it, and what strangers may say."""

import random

import pytest
from msgpack import packb, unpackb  # type: ignore[import-untyped]

from lru_cache.errors import ProtocolError
from lru_cache.network.handing_over import HANDOVER, MOST_NODES, pack, unpack
from lru_cache.replication.log_records import Handover

NODE, OTHER = b"a" * 8, b"b" * 8
GIVEN = Handover(b"token", (1_700_000_000_000, 3), b"chain", 7, {NODE: 5}, {NODE: 6, OTHER: 1 << 62})


def test_what_is_told_is_what_is_heard() -> None:
    body = pack("users", GIVEN)
    assert body is not None
    assert unpack(body) == ("users", GIVEN)
    assert unpackb(body)[0] == HANDOVER


def test_later_versions_may_say_more() -> None:
    body = pack("users", GIVEN)
    assert body is not None
    assert unpack(packb([*unpackb(body), [[]]])) == ("users", GIVEN)


def test_of_too_many_nodes_nothing_is_told() -> None:
    many = {number.to_bytes(8, "big"): 1 for number in range(MOST_NODES + 1)}
    assert pack("users", GIVEN._replace(heard=many)) is None


WRONG = [
    [HANDOVER],
    [HANDOVER, "users", b"t", 1, 1, b"c", 1, b"", b"x"],
    [HANDOVER, "users", b"t", 1, 1, b"c", 1, b"", NODE + b"\xff" * 8],
    [HANDOVER, "users", b"t", -1, 1, b"c", 1, b"", b""],
    [HANDOVER, "users", "t", 1, 1, b"c", 1, b"", b""],
    [HANDOVER, "users", b"t", True, 1, b"c", 1, b"", b""],
    [HANDOVER, ["users"], b"t", 1, 1, b"c", 1, b"", b""],
    [HANDOVER, "users" * 100, b"t", 1, 1, b"c", 1, b"", b""],
    [HANDOVER, "users", b"t", 1, 1, b"c", 1, b"", (NODE + b"\0" * 8) * (MOST_NODES + 1)],
    HANDOVER,
]


@pytest.mark.parametrize("fields", WRONG, ids=range(len(WRONG)))
def test_what_is_no_handover_ends_the_link(fields: object) -> None:
    with pytest.raises(ProtocolError):
        unpack(packb(fields))


def test_damaged_ones_are_handovers_or_end_the_link() -> None:
    chance = random.Random(1)
    body = pack("users", GIVEN)
    assert body is not None
    for _ in range(5_000):
        damaged = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            stream, found = unpack(
                bytes(damaged[: chance.randint(1, len(damaged))] if chance.random() < 0.3 else damaged)
            )
        except ProtocolError:
            continue
        assert isinstance(stream, str)
        assert isinstance(found, Handover)
