"""Django's cache framework on `LRUCacheDistributed`. docs/django.md is for who uses it.

    CACHES = {"default": {"BACKEND": "lru_cache.django.LRUCacheBackend", "LOCATION": "my-service"}}

    backend.py   LRUCacheBackend: what Django asks of a cache
    nodes.py     which caches of this process stand behind it: one for each LOCATION and OPTIONS
    codecs.py    responses, models, texts that are safe or lazy: how they become data, and come back
    copying.py   copies for who asks, made quickly
    pickled.py   what the application wants pickled, and who may make such

The other parts of the package know nothing of these, and never import Django.
"""

from lru_cache.django.backend import LRUCacheBackend
from lru_cache.django.codecs import model, response

__all__ = ["LRUCacheBackend", "model", "response"]
