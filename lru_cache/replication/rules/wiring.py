"""How a store, its view and a replica are put together, for whoever drives a replica: one way for all of them.

This file must not know who that is: a cache, a simulated machine, a measurement, a test.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lru_cache.replication.encoding import ANY_KEYS, Keys

from .limits import Limits
from .replica import Replica
from .store_view import StoreView

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
    version: int | str | None = None,
    keys: Keys = ANY_KEYS,
) -> tuple[StoreView, Replica]:
    """Put a replica called `node` over a store. `loading` has the keys that are being loaded; `fence` cancels one.

    `version` is that of the application's data, `keys` what makes bytes of keys.
    """
    view = StoreView(store, fence, loading, version, keys)
    return view, Replica(node, view, now, wall, limits)
