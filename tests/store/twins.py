"""Both stores, whichever this process uses, and a look inside them."""

import os
from collections.abc import Callable
from typing import Any

from lru_cache.store import python_store

try:
    from lru_cache.store import native_store
except ImportError:
    if os.environ.get("LRU_CACHE_REQUIRE_NATIVE", "") not in ("", "0"):
        raise
    native_store = None  # type: ignore[assignment]  # a machine without a compiler: .ci/run refuses that one

TWINS: dict[str, Callable[..., Any]] = {"python": python_store.Store}
READ_PATHS: dict[Any, Any] = {python_store.Store: python_store.ReadPath}  # by the store that each reads
if native_store is not None:
    TWINS["native"] = native_store.Store
    READ_PATHS[native_store.Store] = native_store.ReadPath


def check_whole(store: Any) -> None:
    """What must hold at each point at which foreign code can run."""
    if not isinstance(store, python_store.Store):
        store._check()
        return
    # Not looked up by key: a dict itself can be made to hold two equal keys, by one that puts the other while compared.
    indexed = {id(entry) for entry in store._index.values()}
    for entry in store.entries():
        assert id(entry) in indexed, f"{entry} is in the order and not in the index"


def check_tidy(store: Any) -> None:
    """What must hold besides when nothing is in progress and no key has misbehaved: no trace of what has left."""
    check_whole(store)
    if isinstance(store, python_store.Store):
        assert {id(entry) for entry in store.entries()} == {id(entry) for entry in store._index.values()}
        assert len(store) or not len(store._deadlines)
