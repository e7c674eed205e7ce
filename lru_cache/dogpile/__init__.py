"""A backend of dogpile.cache on `LRUCacheDistributed`. docs/dogpile.md is for who uses it.

    region = make_region().configure("lru_cache", expiration_time=300, arguments={"location": "my-service"})

    backend.py        LRUCacheBackend: what a region asks of a backend
    mutexes.py        one lock for each key in a process
    invalidation.py   SharedInvalidation: `region.invalidate()` in all processes

dogpile finds it by its entry point. The other parts of the package know nothing of these, and never import dogpile.
"""

from lru_cache.extras import require

require("dogpile.cache", "lru_cache.dogpile", "dogpile.cache", "dogpile")

from lru_cache.dogpile.backend import LRUCacheBackend  # noqa: E402 - not before it is known to be there
from lru_cache.dogpile.invalidation import SharedInvalidation  # noqa: E402 - not before it is known to be there

__all__ = ["LRUCacheBackend", "SharedInvalidation"]
