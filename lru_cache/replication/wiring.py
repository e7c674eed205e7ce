"""How a store, its shelf and a replica are put together, for whoever drives a replica: one way for all of them.

This file must not know who that is: a cache, a simulated machine, a measurement, a test.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lru_cache.replication.encoding import encode_key
from lru_cache.replication.replica import Limits, Replica
from lru_cache.replication.shelf import Shelf
from lru_cache.store.removal import RemovalCause

if TYPE_CHECKING:
    from lru_cache.store import Store


def wire(
    store: "Store[Any, Any]",
    node: bytes,
    now: float,
    wall: float,
    limits: Limits,
    *,
    loading: dict[Any, Any],
    fence: Callable[[Any], object],
) -> tuple[Shelf, Replica]:
    """Put a replica called `node` over a store. `loading` has the keys that are being loaded; `fence` cancels one."""
    shelf = Shelf(store, fence, loading, encode_key, RemovalCause.REMOTE)
    return shelf, Replica(node, shelf, now, wall, limits)
