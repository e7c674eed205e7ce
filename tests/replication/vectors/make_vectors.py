"""Writes encoding.json, the test vectors of docs/encoding.md, from the expressions below.

Run it only for a change of the protocol; for any other change, vectors that differ are a mistake in the code.

    python tests/replication/vectors/make_vectors.py
"""

import json
import zlib
from collections import OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path, PurePosixPath, PureWindowsPath
from uuid import UUID
from zoneinfo import ZoneInfo

from msgpack import ExtType, packb  # type: ignore[import-untyped]

from lru_cache.codecs import Codec
from lru_cache.replication.encoding import OF_ALL_VERSIONS, Keys, Values, encode_key, encode_value, encode_version

VECTORS = Path(__file__).with_name("encoding.json")

NAMES: dict[str, object] = {
    **{kind.__name__: kind for kind in (date, datetime, time, timedelta, timezone, Decimal, UUID, ZoneInfo)},
    **{kind.__name__: kind for kind in (Fraction, OrderedDict, PurePosixPath, PureWindowsPath, defaultdict, deque)},
    **{kind.__name__: kind for kind in (IPv4Address, IPv4Interface, IPv4Network)},
    **{kind.__name__: kind for kind in (IPv6Address, IPv6Interface, IPv6Network)},
    "nan": float("nan"),
    "inf": float("inf"),
}

VALUES = {
    "nil": "None",
    "true": "True",
    "false": "False",
    "zero": "0",
    "largest of one byte": "127",
    "a negative byte": "-32",
    "largest of 64 bits": "2**64 - 1",
    "smallest of 64 bits": "-2**63",
    "first beyond 64 bits": "2**64",
    "first below 64 bits": "-2**63 - 1",
    "a large int": "10**40",
    "a large negative int": "-10**40",
    "float": "1.5",
    "negative zero": "-0.0",
    "infinity": "-inf",
    "nan": "nan",
    "empty str": "''",
    "str": "'h\\u00e9llo \\U0001f600'",
    "str of 32 bytes": "'x' * 32",
    "bytes": "b'\\x00\\xff'",
    "list": "[1, 'a', None]",
    "tuple": "(1, 'a')",
    "empty tuple": "()",
    "tuple in a tuple": "((1,), [2])",
    "set": "{1}",
    "empty set": "set()",
    "frozenset": "frozenset({'a'})",
    "dict": "{'b': 1, 'a': 2}",
    "dict with other keys": "{1: 'a', (1, 2): 'b', None: 'c', 2.5: 'd'}",
    "Decimal": "Decimal('-1.50')",
    "Decimal with an exponent": "Decimal('1E+3')",
    "Decimal zero": "Decimal('-0.00')",
    "Decimal infinity": "Decimal('-Infinity')",
    "Decimal signalling nan": "Decimal('sNaN12')",
    "complex": "complex(1.5, -0.0)",
    "naive datetime": "datetime(2024, 2, 29, 23, 59, 58, 999999)",
    "naive datetime, folded": "datetime(2024, 10, 27, 1, 30, fold=1)",
    "datetime in UTC": "datetime(2024, 2, 29, tzinfo=timezone.utc)",
    "datetime with an offset": "datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=-5, microseconds=1)))",
    "datetime with a named offset": "datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), 'CET'))",
    "datetime in a zone": "datetime(2024, 10, 27, 1, 30, fold=1, tzinfo=ZoneInfo('Europe/London'))",
    "date": "date(2024, 2, 29)",
    "time": "time(23, 59, 58, 999999)",
    "time with an offset": "time(1, 2, 3, fold=1, tzinfo=timezone(timedelta(minutes=-90)))",
    "timedelta": "timedelta(days=-1, seconds=86399, microseconds=999999)",
    "uuid": "UUID('12345678-1234-5678-1234-567812345678')",
    "Fraction": "Fraction(-3, 4)",
    "range": "range(1, 10, 2)",
    "deque": "deque([1, (2,)])",
    "deque with a bound": "deque(['a'], 5)",
    "OrderedDict": "OrderedDict([('b', 1), ('a', 2)])",
    "defaultdict": "defaultdict(None, {'a': [1]})",
    "a path of POSIX": "PurePosixPath('/etc/hosts')",
    "a path of Windows": "PureWindowsPath('c:/Users')",
    "IPv4 address": "IPv4Address('192.0.2.1')",
    "IPv6 address": "IPv6Address('2001:db8::1')",
    "IPv6 address with a scope": "IPv6Address('fe80::1%eth0')",
    "IPv4 network": "IPv4Network('192.0.2.0/24')",
    "IPv6 network": "IPv6Network('2001:db8::/32')",
    "IPv4 interface": "IPv4Interface('192.0.2.1/24')",
    "IPv6 interface": "IPv6Interface('2001:db8::1/64')",
    "objects within objects": "[deque([Fraction(1, 2)]), {range(0, 3, 1): OrderedDict([(1, deque())])}]",
    "nested": "{'at': (1, 2.5), 'of': [{'x': {frozenset({b'y'})}}]}",
}

# A value of a class that has a codec: that one's name and version, and the data that it makes of the value.
OBJECTS: dict[str, tuple[str, int, str]] = {
    "fields": ("point", 1, "{'x': 1, 'y': -2}"),
    "a later version": ("point", 300, "{'x': 1}"),
    "a number": ("temperature", 1, "21.5"),
    "bytes": ("order", 2, "b'\\x81\\xa1n\\x07'"),
    "nothing": ("nothing", 1, "None"),
    "a name beyond ASCII": ("größe", 1, "'x'"),
    "other objects": ("box", 1, "[Fraction(1, 2), (1,)]"),
}

# The same in a key, where fields have an order, and numbers one form.
OBJECTS_IN_KEYS: dict[str, tuple[str, int, str]] = {
    "fields": ("point", 1, "{'y': -2, 'x': 1.0, 'yy': True}"),
    "no fields": ("nowhere", 1, "{}"),
    "a text": ("color", 1, "'RED'"),
    "a number, a later version": ("temperature", 300, "Decimal('21.50')"),
    "several": ("line", 1, "(0, frozenset({2, 1}))"),
}

# Each with keys that are equal to it, and so have the same bytes.
KEYS: dict[str, list[str]] = {
    "nil": ["None"],
    "str": ["'user:1'"],
    "empty str": ["''"],
    "str of 31 bytes": ["'x' * 31"],
    "str of 32 bytes": ["'x' * 32"],
    "str of 256 bytes": ["'x' * 256"],
    "str beyond ASCII": ["'\\u00e9\\u20ac\\U0001f600'"],
    "bytes": ["b'user:1'"],
    "zero": ["0", "0.0", "-0.0", "False", "Decimal('-0.000')", "Decimal('0E+99')", "complex(-0.0, 0.0)"],
    "one": ["1", "1.0", "True", "Decimal('1.00')", "complex(1, 0)"],
    "a small negative": ["-1", "-1.0"],
    "a hundred": ["100", "Decimal('1E+2')"],
    "largest of 64 bits": ["2**64 - 1"],
    "first beyond 64 bits": ["2**64", "float(2**64)", "Decimal(2**64)"],
    "smallest of 64 bits": ["-2**63", "float(-2**63)"],
    "first below 64 bits": ["-2**63 - 1"],
    "a large float": ["1e30", "int(1e30)"],
    "half": ["0.5", "Decimal('0.50')", "complex(0.5, -0.0)"],
    "a tenth as float": ["0.1", "Decimal(0.1)"],
    "a tenth as Decimal": ["Decimal('0.1')", "Decimal('0.100')"],
    "a negative Decimal": ["Decimal('-1.10')"],
    "a tiny Decimal": ["Decimal('1E-400')"],
    "infinity": ["inf", "Decimal('Infinity')", "complex(inf, 0)"],
    "negative infinity": ["-inf"],
    "complex": ["complex(0.0, 1.5)", "complex(-0.0, 1.5)"],
    "tuple": ["('user', 42)", "('user', 42.0)"],
    "empty tuple": ["()"],
    "nested tuple": ["(1, (None, b'x'), ())"],
    "tuple of 16": ["(0,) * 16"],
    "frozenset": ["frozenset({1, 3, 'a', 'b', 200})", "frozenset({True, 3.0, 'b', 'a', 200})"],
    "empty frozenset": ["frozenset()"],
    "nested frozenset": ["frozenset({frozenset({1}), (1,), frozenset()})"],
    "naive datetime": ["datetime(2024, 10, 27, 1, 30)", "datetime(2024, 10, 27, 1, 30, fold=1)"],
    "aware datetime": [
        "datetime(2024, 7, 1, 12, tzinfo=timezone.utc)",
        "datetime(2024, 7, 1, 14, tzinfo=timezone(timedelta(hours=2)))",
        "datetime(2024, 7, 1, 13, tzinfo=ZoneInfo('Europe/London'))",
    ],
    "aware datetime before 1970": ["datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)"],
    "date": ["date(2024, 2, 29)"],
    "time": [
        "time(1, 2, 3, 4)",
        "time(1, 2, 3, 4, fold=1)",
        "time(1, 2, 3, 4, tzinfo=ZoneInfo('Europe/London'))",  # without a date, that zone has no offset
    ],
    "time in UTC": ["time(1, tzinfo=timezone.utc)", "time(2, tzinfo=timezone(timedelta(hours=1)))"],
    "time before midnight in UTC": ["time(0, 30, tzinfo=timezone(timedelta(hours=1)))"],
    "time after midnight in UTC": ["time(23, 30, tzinfo=timezone(timedelta(hours=-1)))"],
    "timedelta": ["timedelta(microseconds=-1)"],
    "uuid": ["UUID('12345678-1234-5678-1234-567812345678')"],
}

FRACTION = b"\xa9.fraction\x01".hex()


def extension(payload: str) -> str:
    """An object's, of these bytes."""
    packed: bytes = packb(ExtType(13, bytes.fromhex(payload)))
    return packed.hex()


REFUSED_VALUES = {
    "nothing": "",
    "two values": "0101",
    "a byte that msgpack has no use for": "c1",
    "not all there": "930102",
    "an array of 2**32 - 1": "ddffffffff",
    "UTF-8 that is none": "a1ff",
    "UTF-8 of a surrogate": "a3eda080",
    "an unknown extension": "d45000",
    "a msgpack timestamp": "91d6ff00000001",
    "a collection mark alone": "d40100",
    "a collection mark in second place": "9201d40100",
    "a collection of an unknown kind": "91d40103",
    "a set with an unhashable member": "92d4010190",
    "a set with equal members": "93d4010101c3",
    "a map with an unhashable key": "819001",
    "an integer without bytes": "c70002",
    "a Decimal with a space": "c702032031",
    "a Decimal with an absurd exponent": "c7170331452b" + "39" * 20,
    "a short complex": "d7040000000000000000",
    "the 30th of February": "d60607e8021e",
    "a datetime in the year 0": "c70c05000001010000000000000000",
    "a datetime with a zone of an unknown kind": "c70c0507e801010000000000000004",
    "a datetime with an offset of a day": "c7140507e801010000000000000001000000141dd76000",
    "a datetime in a zone that climbs": "c7150507e8010100000000000000032e2e2f2e2e2f657463",
    "a datetime in a zone that is nowhere": "c7180507e8010100000000000000034e6f77686572652f4e6f7468",
    "a timedelta that runs over": "c70c08000000000001518000000000",
    "a short uuid": "d40900",
    "an object without a name": extension("01 01 c0"),
    "an object without a version": extension("a5 70 6f 69 6e 74"),
    "an object of version 0": extension("a5 70 6f 69 6e 74 00 c0"),
    "an object without data": extension("a5 70 6f 69 6e 74 01"),
    "an object of a codec that nobody has": extension("a5 70 6f 69 6e 74 01 c0"),
    "compressed in no way that there is": "c70a0e00000000012020202020",
    "compressed, and empty": "c7060e010000000020",
    "a fraction of zeros": extension(FRACTION + "92 01 00"),
    "a fraction that is not in lowest terms": extension(FRACTION + "92 02 04"),
    "a fraction with more behind it": extension(FRACTION + "92 01 02 c0"),
    "a range without a step": extension(b"\xa6.range\x01\x92\x01\x03".hex()),
    "a deque beyond its bound": extension(b"\xa6.deque\x01\x92\x01\x92\x01\x02".hex()),
    "an address with a mask": extension(b"\xad.ipv4_address\x01\xaa1.2.3.4/24".hex()),
}

REFUSED_KEYS = {
    "nothing": "",
    "a long header for a short str": "d90161",
    "a long header for a small int": "cc01",
    "an int in the wrong sign": "d001",
    "an integral float": "cb3ff0000000000000",
    "a float 32": "ca3fc00000",
    "a bool": "c3",
    "nan": "cb7ff8000000000000",
    "a small int as extension": "d40201",
    "a large int with a needless byte": "c70a0200010000000000000000",
    "a Decimal that is integral": "d6033145" + "2b31",
    "a Decimal that a float is": "d60335452d31",
    "a Decimal with a trailing zero": "c705033130452d32",
    "a complex that is real": "d804" + "3ff8000000000000" + "0000000000000000",
    "a complex with a negative zero": "d804" + "8000000000000000" + "3ff8000000000000",
    "a map": "80",
    "a tuple with a mark": "92d4010001",
    "a set": "92d4010101",
    "a frozenset out of order": "93d401020201",
    "a frozenset with a member twice": "93d401020101",
    "a mark in second place": "9201d40102",
    "an aware datetime as in values": "c7140507e801010000000000000001" + "00" * 8,
    "a folded datetime": "c70c0507e801010000008000000000",
    "an instant in the year 10000": "d70a0384440ccc736000",
    "an offset time beyond two days": "d70b0002a30000000000",
    "a version and no key": "92d40c01",
    "a key of two versions": "92d40c0192d40c01a16b",
    "a long header for a version": "92c7010c01a16b",
    "a version that is neither int nor str": "92d40cc0a16b",
    "a version within a tuple": "92a16bd40c01",
}


# A version of an application's data, and a key of it; None: of all versions.
KEYS_OF_VERSIONS: dict[str, tuple[int | str | None, str]] = {
    "of version 1": (1, "k"),
    "of a version with a text of one byte": ("a", "k"),
    "of a version with a longer text": ("2026-11-28", "user:7"),
    "of a negative version": (-1000, 7),
    "of all versions": (None, "k"),
}


def key_of_version(version: int | str | None, key: str) -> str:
    return ((OF_ALL_VERSIONS if version is None else encode_version(version)) + encode_key(key)).hex()


# To be read: others may compress them to other bytes.
COMPRESSED = {"a text": "'again ' * 100", "a list": "[0] * 1000 + [(1, 2)]"}


def zlib_of(data: str) -> str:
    plain = bytes.fromhex(data)
    packed: bytes = packb(ExtType(14, b"\x01" + len(plain).to_bytes(4, "big") + zlib.compress(plain)))
    return packed.hex()


def encoded(expression: str, encode: object) -> str:
    return encode(eval(expression, dict(NAMES))).hex()  # type: ignore[operator, no-any-return]


class Thing:
    """Has a codec."""


def object_of(codec: str, version: int, data: str) -> str:
    plain = eval(data, dict(NAMES))
    return Values([Codec(Thing, codec, lambda _: plain, lambda _: Thing(), version)]).encode(Thing()).hex()


def in_key(codec: str, version: int, data: str) -> str:
    plain = eval(data, dict(NAMES))
    return Keys([Codec(Thing, codec, lambda _: plain, lambda _: Thing(), version, keys=True)]).encode(Thing()).hex()


def vectors() -> dict[str, list[dict[str, object]]]:
    return {
        "values": [
            {"name": name, "python": expression, "hex": encoded(expression, encode_value)}
            for name, expression in VALUES.items()
        ],
        "objects": [
            {"name": name, "codec": codec, "version": version, "data": data, "hex": object_of(codec, version, data)}
            for name, (codec, version, data) in OBJECTS.items()
        ],
        "objects_in_keys": [
            {"name": name, "codec": codec, "version": version, "data": data, "hex": in_key(codec, version, data)}
            for name, (codec, version, data) in OBJECTS_IN_KEYS.items()
        ],
        "keys": [
            {"name": name, "python": expressions, "hex": encoded(expressions[0], encode_key)}
            for name, expressions in KEYS.items()
        ],
        "compressed": [
            {"name": name, "python": expression, "hex": zlib_of(encoded(expression, encode_value))}
            for name, expression in COMPRESSED.items()
        ],
        "keys_of_versions": [
            {"name": name, "version": version, "key": key, "hex": key_of_version(version, key)}
            for name, (version, key) in KEYS_OF_VERSIONS.items()
        ],
        "refused_values": [{"name": name, "hex": data} for name, data in REFUSED_VALUES.items()],
        "refused_keys": [{"name": name, "hex": data} for name, data in REFUSED_KEYS.items()],
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n")
