"""A log that is limited in rate: for lines that strangers can cause. At most one of each kind a second is written, and
the next one of its kind says how many were left out.

This file must not know what the lines say.
"""

import threading
import time

from lru_cache.log import logger

SECONDS_BETWEEN_LINES = 1.0


class LimitedLog:
    """Writes to the library's logger, and not more often than that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects the two below
        self._next_at: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, kind: str, text: str) -> None:
        """Write a line, unless there was one of this kind within the last second."""
        with self._lock:
            now = time.monotonic()
            if now < self._next_at.get(kind, 0.0):
                self._left_out[kind] = self._left_out.get(kind, 0) + 1
                return
            self._next_at[kind] = now + SECONDS_BETWEEN_LINES
            left_out = self._left_out.pop(kind, 0)
        more = f" ({left_out} more such lines were left out)" if left_out else ""
        logger().warning("%s%s", text, more)
