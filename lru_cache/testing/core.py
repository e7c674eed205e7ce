"""The rules of replication, as one object: what a simulation runs on.

One simulation uses one core throughout: another build of the rules has types of its own, which this one's do not know.
This file is the only one in `testing/` that says where the rules are. It must not know what they are used for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from lru_cache import replication
from lru_cache.replication import encoding

PACKAGES = {"python": "lru_cache.replication.rules", "native": "lru_cache.replication.native_rules"}


@dataclass(frozen=True)
class Core:
    """A build of the rules: its types, its functions, its bounds."""

    Limits: type[replication.Limits]
    Stamp: type[replication.Stamp]
    Version: type[replication.Version]
    Kind: type[replication.Kind]
    FrameReader: type[replication.FrameReader]
    NOTHING: replication.Version
    MAXIMUM_HOPS: int
    FRAME_MARGIN_BYTES: int
    goodbye: bytes  # a message
    wire: Callable[..., Any]  # a view of a store, and a replica
    decode_message: Callable[[bytes], Any]
    encode_frame: Callable[[bytes, int], bytes]
    encode_key: Callable[[Any], bytes]
    decode_value: Callable[[bytes], Any]
    bucket_of: Callable[[bytes], int]
    span_of: Callable[[float], int]


def core_of(build: Literal["python", "native"] | None = None) -> Core:
    """A build of the rules; by default the one that caches use. ImportError if there is no such build."""
    rules: Any = replication if build is None else import_module(f"{PACKAGES[build]}.public")
    return Core(
        Limits=rules.Limits,
        Stamp=rules.Stamp,
        Version=rules.Version,
        Kind=rules.Kind,
        FrameReader=rules.FrameReader,
        NOTHING=rules.NOTHING,
        MAXIMUM_HOPS=rules.MAXIMUM_HOPS,
        FRAME_MARGIN_BYTES=rules.FRAME_MARGIN_BYTES,
        goodbye=rules.messages.encode(rules.messages.Goodbye("closed")),
        wire=rules.wire,
        decode_message=rules.messages.decode,
        encode_frame=rules.encode_frame,
        encode_key=encoding.encode_key,
        decode_value=encoding.decode_value,
        bucket_of=rules.bucket_of,
        span_of=rules.span_of,
    )
