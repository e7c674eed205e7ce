"""The rules of replication, as one object: what a simulation runs on.

One simulation uses one core throughout: another build of the rules has types of its own, which this one's do not know.
This file is the only one in `testing/` that says where the rules are. It must not know what they are used for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lru_cache.replication import encoding, forgetting, frames, messages, replica, short_cuts, version, wiring


@dataclass(frozen=True)
class Core:
    """A build of the rules: its types, its functions, its bounds."""

    Limits: type[replica.Limits]
    Stamp: type[short_cuts.Stamp]
    Version: type[version.Version]
    Kind: type[messages.Kind]
    FrameReader: type[frames.FrameReader]
    NOTHING: version.Version
    MAXIMUM_HOPS: int
    FRAME_MARGIN_BYTES: int
    wire: Callable[..., Any]  # a shelf and a replica
    decode_message: Callable[[bytes], Any]
    encode_frame: Callable[[bytes, int], bytes]
    encode_key: Callable[[Any], bytes]
    decode_value: Callable[[bytes], Any]
    bucket_of: Callable[[bytes], int]


def core_of() -> Core:
    """The build of the rules that caches use."""
    return Core(
        Limits=replica.Limits,
        Stamp=short_cuts.Stamp,
        Version=version.Version,
        Kind=messages.Kind,
        FrameReader=frames.FrameReader,
        NOTHING=version.NOTHING,
        MAXIMUM_HOPS=replica.MAXIMUM_HOPS,
        FRAME_MARGIN_BYTES=messages.FRAME_MARGIN_BYTES,
        wire=wiring.wire,
        decode_message=messages.decode,
        encode_frame=frames.encode_frame,
        encode_key=encoding.encode_key,
        decode_value=encoding.decode_value,
        bucket_of=forgetting.bucket_of,
    )
