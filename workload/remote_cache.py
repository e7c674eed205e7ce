"""An imitation of a distributed cache: what a client of one sees, which is a dict that takes a while.

Must not know what is kept in it, nor what is asked when it has no answer.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")
D = TypeVar("D")


class RemoteCache(Generic[V]):
    """Values under keys. Every call waits `latency_seconds` in `sleep`, holding no lock, and is counted."""

    def __init__(self, *, latency_seconds: float = 0.0, sleep: Callable[[float], None] = time.sleep) -> None:
        self._latency_seconds = latency_seconds
        self._sleep = sleep
        self._lock = threading.Lock()  # protects the values and the counter
        self._values: dict[str, V] = {}
        self._calls = 0

    def get(self, key: str, default: D) -> V | D:
        """Return the value of `key`, or `default`: None may be a value."""
        self._sleep(self._latency_seconds)
        with self._lock:
            self._calls += 1
            return self._values.get(key, default)

    def set(self, key: str, value: V) -> None:
        """Keep `value` under `key`."""
        self._sleep(self._latency_seconds)
        with self._lock:
            self._calls += 1
            self._values[key] = value

    @property
    def calls(self) -> int:
        """How many times it was called, to read or to write."""
        return self._calls

    def __repr__(self) -> str:
        return f"<RemoteCache of {len(self._values)}, calls={self._calls}>"
