"""What an `on_removal` listener gets. It must not know stores or caches.

Apart from the causes, since `dataclasses` costs as much start-up as all the rest: imported with the first listener.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from lru_cache.store.removal import RemovalCause

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Removal(Generic[K, V]):
    """What an `on_removal` listener gets. It may grow fields."""

    key: K
    value: V
    cause: RemovalCause
