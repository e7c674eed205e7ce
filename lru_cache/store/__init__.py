"""Keeping values: bounded, ordered by use, with expiry. This file chooses the implementation.

The contract is `python_store.Store` with its `ReadPath`, and `tests/store/` checks it. Nothing in this folder may know
loading, locks, listeners or the network.
"""

from lru_cache.store.python_store import FOREVER, REAPED_PER_WRITE, Entry, Lock, ReadPath, Store, with_short_cuts
from lru_cache.store.removal import Gone, RemovalCause

implementation = "python"
"""Which store this process uses."""

__all__ = [
    "FOREVER",
    "REAPED_PER_WRITE",
    "Entry",
    "Gone",
    "Lock",
    "ReadPath",
    "RemovalCause",
    "Store",
    "implementation",
    "with_short_cuts",
]
