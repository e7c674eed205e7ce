"""The store in C. Its names mean what they mean in `python_store`, which is the contract."""

from lru_cache.store.python_store import Cleared as Cleared
from lru_cache.store.python_store import Entry as Entry
from lru_cache.store.python_store import Lock as Lock
from lru_cache.store.python_store import ReadPath as ReadPath
from lru_cache.store.python_store import Store as Store
from lru_cache.store.python_store import Walk as Walk
from lru_cache.store.python_store import with_short_cuts as with_short_cuts

REAPED_PER_WRITE: int
