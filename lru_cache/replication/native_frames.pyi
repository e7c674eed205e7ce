"""Frames, in C. Their names mean what they mean in `python_frames`, which is the contract."""

from lru_cache.replication.python_frames import FrameReader as FrameReader
from lru_cache.replication.python_frames import encode_frames as encode_frames
