"""A cache of FastAPI's and Starlette's on `LRUCacheDistributed`. docs/fastapi.md is for who uses it.

    app = FastAPI(lifespan=lifespan(local_cluster="my-service"))

    lifespan.py      the cache of an app: when it begins and ends, and how an endpoint gets it
    cached.py        cached_response: what is answered from the cache, and what is asked of the endpoint
    declared.py      what an endpoint takes, and how it says that its answers vary by that
    keys.py          under which keys an answer is kept, and what one invalidates
    fields.py        fields of HTTP's heads: what clients ask for, what they have, what they are told
    records.py       an answer as data that a cache can keep
    rendering.py     what an endpoint returns becomes a response, as FastAPI makes it
    responses.py     what an app has beside its cache: one run for all who ask at once, and refreshes

The other parts of the package know nothing of these, and never import FastAPI.
"""

from lru_cache.extras import require

require("fastapi", "lru_cache.fastapi", "fastapi", "fastapi")

from lru_cache.fastapi.cached import cached_response  # noqa: E402 - not before it is known to be there
from lru_cache.fastapi.lifespan import AppCache, cache_of, invalidate_response, lifespan  # noqa: E402 - not before it is known to be there

__all__ = ["AppCache", "cache_of", "cached_response", "invalidate_response", "lifespan"]
