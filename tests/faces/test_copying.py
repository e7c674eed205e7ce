"""Copies for who asks, once it is known how a value is copied."""

import array
from typing import Any

import pytest

from lru_cache.cachelib import LRUCacheBackend
from lru_cache.codecs import Codec
from lru_cache.faces.copying import LEAST_MARSHALLED_BYTES
from lru_cache.faces.nodes import end_all

NUMBERS = array.array("d", range(LEAST_MARSHALLED_BYTES))


class Digest(bytes):
    """Of the application's own."""


@pytest.mark.parametrize(
    "value",
    [
        {"numbers": NUMBERS},
        [NUMBERS],
        {"deep": [{"numbers": (NUMBERS,)}]},
        {"digest": Digest(b"x" * LEAST_MARSHALLED_BYTES)},
        {"keys": {Digest(b"x" * LEAST_MARSHALLED_BYTES): [1]}},
    ],
)
def test_what_has_a_buffer_comes_back_as_what_it_was(value: Any) -> None:
    """A value is copied otherwise when it is asked for again: that is quicker, and must be the same."""
    codecs = [
        Codec(array.array, "array", array.array.tobytes, lambda data: array.array("d", data)),
        Codec(Digest, "digest", bytes, Digest),
    ]
    cache = LRUCacheBackend("", codecs=codecs)
    try:
        cache.set("k", value)
        assert [shown(cache.get("k")) for _ in range(3)] == [shown(value)] * 3
    finally:
        end_all()


def shown(value: Any) -> Any:
    """A value with the types that are in it."""
    if isinstance(value, dict):
        return [(shown(key), shown(each)) for key, each in value.items()]
    return type(value), [shown(each) for each in value] if isinstance(value, (list, tuple)) else value
