"""`LRUCacheBackend`: a cache of cachelib, made of what stands in the configuration of Flask-Caching.

This file must not know what is asked of a cache, nor how a value becomes data.
"""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response
from flask_caching.backends.base import BaseCache

from lru_cache.cachelib import CachelibFace
from lru_cache.cachelib import LRUCacheBackend as CachelibBackend
from lru_cache.codecs import Codec
from lru_cache.flask import codecs

_THRESHOLD_BY_DEFAULT = 500  # Flask-Caching's own, which it also gives to who has not asked for any


class _FlaskFace(CachelibFace):
    whose = "Flask-Caching's caches"
    prefix = "CACHE_KEY_PREFIX"
    location = "CACHE_LOCATION"
    options = "CACHE_OPTIONS"
    loads = "a view loads what is missing: use cached, memoize, or get_or_set of cache.cache"
    life = "give CACHE_DEFAULT_TIMEOUT"
    pickled_name = "lru_cache.flask.pickled"
    unchanging = codecs.UNCHANGING
    advice = staticmethod(codecs.advice)

    def option(self, name: str) -> str:
        return f"{self.options}[{name!r}]"

    def codecs(self, options: Mapping[str, Any]) -> list[Codec[Any]]:  # noqa: ARG002
        return codecs.standard()


class LRUCacheBackend(CachelibBackend, BaseCache):  # type: ignore[misc]  # likewise
    """Flask-Caching in this process's memory, the same in all processes that are linked.

    CACHE_LOCATION is the location, CACHE_OPTIONS has the options, CACHE_KEY_PREFIX stands before each key.
    """

    face = _FlaskFace()

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> "LRUCacheBackend":
        """Make one, as Flask-Caching asks for it. `kwargs` has CACHE_OPTIONS in it."""
        if args:
            raise ValueError("CACHE_ARGS is nothing for lru_cache: give CACHE_LOCATION and CACHE_OPTIONS")
        options = {
            "location": config.get("CACHE_LOCATION", ""),
            "key_prefix": config["CACHE_KEY_PREFIX"],
            **kwargs,
        }
        if config["CACHE_THRESHOLD"] != _THRESHOLD_BY_DEFAULT:
            options.setdefault("threshold", config["CACHE_THRESHOLD"])
        if options.get("pickle") is True:
            options["pickle"] = _secrets_of(app)
        if app.response_class is not Response:
            given = options.get("codecs", ())
            given = [given] if isinstance(given, (str, Codec)) else given
            options["codecs"] = [codecs.response(app.response_class), *given]
        return cls(**options)


def _secrets_of(app: Flask) -> list[Any]:
    """The one that signs, and those that are taken, too."""
    if not app.config.get("SECRET_KEY"):
        raise ValueError("CACHE_OPTIONS['pickle'] signs with SECRET_KEY, and there is none: give it before the cache")
    return [app.config["SECRET_KEY"], *(app.config.get("SECRET_KEY_FALLBACKS") or ())]
