"""What the rest of the library uses of the rules, in one place: the same names, whether they run as Python or compiled.

The names are a namespace as well, `core` in the simulator: what is made by one build must not meet the other's.
"""

from . import messages, pace
from .event import MAXIMUM_EVENTS, Event, Kind
from .forgetting import BUCKETS, bucket_of
from .frames import HEADER_BYTES, LARGEST_LIMIT_BYTES, NEED_DATA, FrameReader, encode_frame, encode_frames
from .limits import Limits
from .messages import FRAME_MARGIN_BYTES, Goodbye, Message, Ping, Pong, Seen, Type
from .objects import ShortWay, shortened
from .replica import Replica
from .stamp import Stamp
from .store_view import StoreView
from .telling import MAXIMUM_HOPS
from .version import NODE_BYTES, NOTHING, Version, seconds_of, span_of, time_of
from .wiring import wire
from .writer import Writer

__all__ = [
    "BUCKETS",
    "FRAME_MARGIN_BYTES",
    "HEADER_BYTES",
    "LARGEST_LIMIT_BYTES",
    "MAXIMUM_EVENTS",
    "MAXIMUM_HOPS",
    "NEED_DATA",
    "NODE_BYTES",
    "NOTHING",
    "Event",
    "FrameReader",
    "Goodbye",
    "Kind",
    "Limits",
    "Message",
    "Ping",
    "Pong",
    "Replica",
    "Seen",
    "ShortWay",
    "Stamp",
    "StoreView",
    "Type",
    "Version",
    "Writer",
    "bucket_of",
    "encode_frame",
    "encode_frames",
    "messages",
    "pace",
    "seconds_of",
    "shortened",
    "span_of",
    "time_of",
    "wire",
]
