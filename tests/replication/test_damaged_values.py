"""Damaged encodings of values of every kind of codec: a value, or `ProtocolError`, and little memory.

What a peer may send is made of what one may have sent: cut, changed, spliced, with other names, versions and lengths,
and compressed again, so that little of it is refused by the first byte. DAMAGED_PAYLOADS is how many there are for each
seed, DAMAGED_SEED the first seed; a failure has the seed and the bytes.
"""

import gc
import ipaddress
import os
import random
import struct
import tracemalloc
import zlib
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import msgpack
import pytest

from harness.processes import resident_bytes
from lru_cache import ProtocolError
from lru_cache.replication.encoding import UnreadableError, Values
from tests.effort import some_or_many
from tests.replication.build import BUILDS, part_of
from tests.test_codecs import ALL, Access, Color, Item, Order, Place, Point, Row, Temperature, Typed, User

PAYLOADS = int(os.environ.get("DAMAGED_PAYLOADS", "5000"))
SEED = int(os.environ.get("DAMAGED_SEED", "1"))
LONGEST_BYTES = 1 << 20
MOST_BYTES = 1 << 20  # that one payload, of some thousand bytes at most, may make of itself
GROWTH_BYTES = 8 << 20  # of the process, from a tenth of the payloads to the last

OBJECT, COMPRESSED = 13, 14
NAMES = [
    *(codec.name for codec in ALL),
    ".fraction",
    ".range",
    ".deque",
    ".ordered_dict",
    ".ipv4_address",
    "os.system",
    "",
]
NUMBERS = [0, 1, 2, 3, 127, 128, 255, 256, 65_535, 65_536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, -1, 1 << 63]
HEADERS = bytes((*range(0xC4, 0xCA), *range(0xD4, 0xE0), *range(0x80, 0xA0), 0xC0, 0xC1))

SAMPLES: list[Any] = [
    Point(1, [Place("a", (1, 2)), Color.BLUE]),
    Point(Point(Point(Order(1, Decimal(2)), {Row(1, None): Typed(2)}))),
    Item(3, "x", [Row(1, Typed(2)), Item(4)]),
    User(id=4, groups={"a", "b"}),
    [Order(5, Decimal("1.5"), ["x", "y"]), Order(6)],
    Order(7, lines=["line"] * 100),
    {Temperature(1.5): deque([1, 2], 5), Color.RED: {Place("b"): 1, Typed(1): (Access.READ, None)}},
    [Fraction(1, 3), range(1, 9, 2), PurePosixPath("/a"), ipaddress.ip_address("::1"), ipaddress.ip_network("::/8")],
    OrderedDict(a=Access.READ | Access.WRITE, b=defaultdict(None, {1: frozenset((Color.RED, 2))})),
    ["long " * 300, Point(2)],
    [Point(number, str(number)) for number in range(60)],
    {"plain": [1, 2.5, (None, {b"x", True}), datetime(2026, 1, 2, tzinfo=timezone.utc), 1 << 70]},
    {number: Place(str(number)) for number in range(200)},
]  # fmt: skip


class Damage:
    """Makes payloads, by chance from a seed."""

    def __init__(self, seed: int, told: list[bytes]) -> None:
        self.chance = random.Random(seed)
        self.told = told
        self.acts: list[Callable[[bytearray], object]] = [
            self.flip, self.replace, self.put_header, self.cut_out, self.insert, self.end_early, self.splice,
            self.repeat, self.change_number, self.rename, self.change_version,
        ]  # fmt: skip

    def payload(self) -> bytes:
        """One of them."""
        data = bytearray(self.chance.choice(self.told))
        if (
            data[0] in (0xC7, 0xC8, 0xC9)
            and (plain := inflated(bytes(data))) is not None
            and self.chance.random() < 0.7
        ):
            return self.deflated(self.damaged(bytearray(plain)))
        data = self.damaged(data)
        if self.chance.random() < 0.2:
            data = bytearray(self.wrapped(bytes(data)))
        return self.deflated(data) if self.chance.random() < 0.05 else bytes(data)

    def damaged(self, data: bytearray) -> bytearray:
        for _ in range(self.chance.choice((0, 1, 1, 1, 2, 5))):
            self.chance.choice(self.acts)(data)
            if not data:
                data += b"\xc0"
        return data

    def place(self, data: bytearray) -> int:
        return self.chance.randrange(len(data))

    def part(self, data: bytes | bytearray) -> bytes:
        start = self.chance.randrange(len(data))
        return bytes(data[start : start + self.chance.choice((1, 2, 5, 20, 200))])

    def flip(self, data: bytearray) -> None:
        data[self.place(data)] ^= 1 << self.chance.randrange(8)

    def replace(self, data: bytearray) -> None:
        data[self.place(data)] = self.chance.randrange(256)

    def put_header(self, data: bytearray) -> None:
        data[self.place(data)] = self.chance.choice(HEADERS)

    def cut_out(self, data: bytearray) -> None:
        at = self.place(data)
        del data[at : at + self.chance.randrange(1, 6)]

    def insert(self, data: bytearray) -> None:
        at = self.place(data)
        data[at:at] = self.chance.randbytes(self.chance.randrange(1, 5))

    def end_early(self, data: bytearray) -> None:
        del data[self.place(data) :]

    def splice(self, data: bytearray) -> None:
        at = self.place(data)
        data[at : at + self.chance.choice((0, 1, 5))] = self.part(self.chance.choice(self.told))

    def repeat(self, data: bytearray) -> None:
        at = self.place(data)
        data[at:at] = self.part(data) * self.chance.choice((1, 2, 20))

    def change_number(self, data: bytearray) -> None:
        """A length, very likely: behind one of the headers that have one."""
        places = [at for at, byte in enumerate(data) if 0xC4 <= byte <= 0xDF]
        if places:
            at = self.chance.choice(places) + 1
            form = self.chance.choice((">B", ">H", ">I"))
            number = self.chance.choice(NUMBERS) % (1 << 8 * struct.calcsize(form))
            data[at : at + struct.calcsize(form)] = struct.pack(form, number)

    def rename(self, data: bytearray) -> None:
        """Another codec's name in the place of one, whatever the lengths around it say."""
        names = [name.encode() for name in NAMES if name and name.encode() in data]
        if names:
            old, new = packed(self.chance.choice(names).decode()), packed(self.chance.choice(NAMES))
            data[:] = data.replace(old, new, 1)

    def change_version(self, data: bytearray) -> None:
        heads = [packed(name) for name in NAMES if name and packed(name) in data]
        if heads:
            head = self.chance.choice(heads)
            at = data.find(head) + len(head)
            data[at : at + 1] = packed(self.chance.choice((*NUMBERS, None, "1", 1.0, True)))

    def wrapped(self, data: bytes) -> bytes:
        """As the data of an object, or of many within each other."""
        for _ in range(self.chance.choice((1, 1, 1, 2, 140))):
            version = packed(self.chance.choice((1, 1, 1, 3, self.chance.choice(NUMBERS))))
            data = self.chance.choice((b"", b"\x91", b"\x81\xa1x", b"\x81")) + data
            data = extension(OBJECT, packed(self.chance.choice(NAMES)) + version + data)
        return data

    def deflated(self, data: bytes | bytearray) -> bytes:
        length = len(data) if self.chance.random() < 0.9 else self.chance.choice(NUMBERS) % (1 << 32)
        method = 1 if self.chance.random() < 0.95 else self.chance.randrange(256)
        found = bytearray(extension(COMPRESSED, struct.pack(">BI", method, length) + zlib.compress(data, 1)))
        return bytes(self.damaged(found)) if self.chance.random() < 0.2 else bytes(found)


def packed(value: object) -> bytes:
    data: bytes = msgpack.packb(value)
    return data


def extension(code: int, payload: bytes) -> bytes:
    return packed(msgpack.ExtType(code, payload))


def inflated(data: bytes) -> bytes | None:
    """What was compressed, if it was."""
    found = msgpack.unpackb(data, ext_hook=lambda code, payload: (code, payload))
    return zlib.decompress(found[1][5:]) if found[0] == COMPRESSED else None


def outcome_of(decode: Callable[[bytes], object], data: bytes) -> object:
    """The type of what it gives, or what it raises; anything but `ProtocolError` goes through."""
    try:
        return type(decode(data))
    except ProtocolError as error:
        return type(error), str(error)


def try_payloads(seed: int, count: int) -> dict[object, int]:
    """So many, by the long way and by each build's short one; how often each outcome was."""
    values = Values(ALL, 500, LONGEST_BYTES)
    told = [encode(sample) for sample in SAMPLES for encode in (values.encode, Values(ALL).encode)]
    damage = Damage(seed, told)
    ways = [part_of(build, "objects").shortened(values).decode for build in BUILDS]
    outcomes: dict[object, int] = {}
    resident = 0
    for number in range(count):
        if number == count // 10:
            gc.collect()
            resident = resident_bytes()
        data = damage.payload()
        try:
            outcome = outcome_of(values.decode, data)
            assert all(outcome_of(decode, data) == outcome for decode in ways), "the ways differ"
        except BaseException as error:
            raise AssertionError(f"seed {seed}, payload {number}: {data.hex()}") from error
        kind = outcome if isinstance(outcome, type) else outcome[0]  # type: ignore[index]
        outcomes[kind] = outcomes.get(kind, 0) + 1
    gc.collect()
    assert resident_bytes() - resident < GROWTH_BYTES
    return outcomes


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(SEED, SEED + some_or_many(2, 10)))
def test_a_damaged_value_is_a_value_or_a_protocol_error_and_leaves_nothing_behind(seed: int) -> None:
    outcomes = try_payloads(seed, PAYLOADS)
    errors = outcomes.pop(UnreadableError) + outcomes.pop(ProtocolError)
    assert sum(outcomes.values()) > errors / 10  # not all of them are refused by their first byte


def test_a_damaged_value_takes_little_memory_while_it_is_read() -> None:
    values = Values(ALL, 500, LONGEST_BYTES)
    damage = Damage(SEED, [values.encode(sample) for sample in SAMPLES])
    tracemalloc.start()
    try:
        for _ in range(some_or_many(2_000, 20_000)):
            data = damage.payload()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            outcome_of(values.decode, data)
            assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES, data.hex()
    finally:
        tracemalloc.stop()
