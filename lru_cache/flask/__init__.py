"""Flask-Caching on `LRUCacheDistributed`. docs/flask.md is for who uses it.

    app.config.update(CACHE_TYPE="lru_cache.flask.LRUCacheBackend", CACHE_LOCATION="my-service")

    backend.py   LRUCacheBackend: what Flask-Caching makes of its configuration
    codecs.py    responses, errors, texts that are safe: how they become data, and come back

What is asked of a cache is in lru_cache/cachelib.py, since Flask-Caching's own caches are cachelib's. The other parts
of the package know nothing of these, and never import Flask.
"""

from lru_cache.extras import require

require("flask_caching", "lru_cache.flask", "Flask-Caching", "flask")

from lru_cache.flask.backend import LRUCacheBackend  # noqa: E402 - not before it is known to be there
from lru_cache.flask.codecs import response  # noqa: E402 - not before it is known to be there

__all__ = ["LRUCacheBackend", "response"]
