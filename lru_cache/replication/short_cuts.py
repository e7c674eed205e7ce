"""The short cuts of replication. This file chooses the implementation: in C where the store is in C and they were
built, else in Python. The contract is `python_short_cuts`, and `tests/replication/` checks it.
"""

from typing import TYPE_CHECKING

from lru_cache.store import implementation

if TYPE_CHECKING:
    from lru_cache.replication.python_short_cuts import Batch, ShortCuts, Stamp
else:
    try:
        if implementation != "native":
            raise ImportError
        from lru_cache.replication.native_short_cuts import Batch, ShortCuts, Stamp
    except ImportError:
        from lru_cache.replication.python_short_cuts import Batch, ShortCuts, Stamp

__all__ = ["Batch", "ShortCuts", "Stamp"]
