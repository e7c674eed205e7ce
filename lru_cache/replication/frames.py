"""Frames: where one message ends and the next begins. This file chooses the implementation, as short_cuts.py does. The
contract is `python_frames`, and `tests/replication/` checks it.
"""

from typing import TYPE_CHECKING

from lru_cache.replication.python_frames import HEADER_BYTES, LARGEST_LIMIT_BYTES, NEED_DATA, encode_frame
from lru_cache.store import implementation

if TYPE_CHECKING:
    from lru_cache.replication.python_frames import FrameReader, encode_frames
else:
    try:
        if implementation != "native":
            raise ImportError
        from lru_cache.replication.native_frames import FrameReader, encode_frames
    except ImportError:
        from lru_cache.replication.python_frames import FrameReader, encode_frames

__all__ = ["HEADER_BYTES", "LARGEST_LIMIT_BYTES", "NEED_DATA", "FrameReader", "encode_frame", "encode_frames"]
