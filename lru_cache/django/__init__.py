"""Django's cache framework on `LRUCacheDistributed`. docs/django.md is for who uses it.

    CACHES = {"default": {"BACKEND": "lru_cache.django.LRUCacheBackend", "LOCATION": "my-service"}}

    backend.py   LRUCacheBackend: what Django asks of a cache
    face.py      what Django calls things; pickles signed by SECRET_KEY
    codecs.py    responses, models, texts that are safe or lazy: how they become data, and come back

What it shares with other frameworks' caches is in lru_cache/faces. The other parts of the package know nothing of
these, and never import Django.
"""

from lru_cache.extras import require

require("django", "lru_cache.django", "django", "django")

from lru_cache.django.backend import LRUCacheBackend  # noqa: E402 - not before it is known to be there
from lru_cache.django.codecs import model, response  # noqa: E402 - not before it is known to be there

__all__ = ["LRUCacheBackend", "model", "response"]
