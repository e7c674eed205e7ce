"""Keeping values: bounded, ordered by use, with expiry. This file chooses the implementation.

The contract is `python_store.Store` with its `ReadPath`, and `tests/store/` checks it. Nothing in this folder may know
loading, listeners or the network.
"""

import os
import sys
from typing import TYPE_CHECKING, Literal

from lru_cache.store.python_store import REAPED_PER_WRITE
from lru_cache.store.removal import Gone, RemovalCause

implementation: Literal["native", "python"] = "python"
"""Which store this process uses. The native one if it was built, unless LRU_CACHE_PURE_PYTHON=1 refuses it."""

reason = ""
"""Why it is the one in Python, if it is."""

if TYPE_CHECKING:
    from lru_cache.store.python_store import Cleared, Entry, Lock, ReadPath, Store, Walk, with_short_cuts
else:
    # Without the interpreter lock only the Python store is right: whoever switched it off finds that one.
    refused = os.environ.get("LRU_CACHE_PURE_PYTHON", "") not in ("", "0")
    try:
        if refused:
            raise ImportError("LRU_CACHE_PURE_PYTHON refuses them")
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise ImportError("the interpreter runs without its global lock")
        from lru_cache.store.native_store import Cleared, Entry, Lock, ReadPath, Store, Walk, with_short_cuts

        implementation = "native"
    except ModuleNotFoundError:
        reason = "they are not built, which takes a C compiler"
    except ImportError as error:
        reason = str(error)
    if implementation == "python":
        from lru_cache.store.python_store import Cleared, Entry, Lock, ReadPath, Store, Walk, with_short_cuts

__all__ = [
    "REAPED_PER_WRITE",
    "Cleared",
    "Entry",
    "Gone",
    "Lock",
    "ReadPath",
    "RemovalCause",
    "Store",
    "Walk",
    "implementation",
    "reason",
    "with_short_cuts",
]
