"""What leaves a store, and why. Plain values: this file must not know stores or caches."""

from enum import Enum
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class RemovalCause(str, Enum):
    """Why a value is no longer kept. Equal to its own name as a string."""

    EVICTED = "evicted"  # the cache was full, and nothing had gone unused for longer
    EXPIRED = "expired"  # its life had ended before anything else took it
    REPLACED = "replaced"  # a newer value for the same key took its place
    INVALIDATED = "invalidated"  # the application said that it no longer holds
    CLEARED = "cleared"  # clear()
    REMOTE = "remote"  # another node said so

    def __str__(self) -> str:
        return self.value


Gone = tuple[K, V, object, RemovalCause]
"""What a store returns for each value that left: key, value, version, cause. A bare tuple, since every eviction
makes one and a frozen dataclass costs ten times as much; who has a listener makes `Removal`s of them."""
