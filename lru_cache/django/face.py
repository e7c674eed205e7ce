"""What Django calls things, and what of Django's becomes data: settings, codecs, pickles signed by SECRET_KEY.

This file must not know what is asked of a cache.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.safestring import SafeString

from lru_cache.codecs import Codec
from lru_cache.copies import UNCHANGING as PLAIN
from lru_cache.django import codecs
from lru_cache.faces import pickled
from lru_cache.faces.face import Face

UNCHANGING = PLAIN | {SafeString, *codecs.LAZY_TEXTS}


def _secrets() -> list[str | bytes]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def pickles() -> Codec[Any]:
    """How pickles travel between the nodes of one project."""
    return pickled.codec("lru_cache.django.pickled", _secrets, "SECRET_KEY")


class _DjangoFace(Face):
    whose = "Django's caches"
    location = "LOCATION"
    options = "OPTIONS"
    loads = "a view loads what is missing: use get_or_set"
    life = "give TIMEOUT"
    own_options = frozenset(("counters", "models", "pickle", "MAX_ENTRIES", "CULL_FREQUENCY"))
    refusal = ImproperlyConfigured
    unchanging = UNCHANGING
    resolved = staticmethod(codecs.resolved)
    advice = staticmethod(codecs.advice)

    def prepared(self, options: dict[str, Any]) -> dict[str, Any]:
        if "MAX_ENTRIES" in options:
            options.setdefault("maximum_capacity", int(options["MAX_ENTRIES"]))
        return super().prepared(options)

    def codecs(self, options: Mapping[str, Any]) -> list[Codec[Any]]:
        return [*codecs.standard(), *codecs.models_named(options.get("models", ()))]

    def pickles(self, options: Mapping[str, Any]) -> Codec[Any] | None:
        asked_for = options.get("pickle", False)
        if asked_for is not True and asked_for is not False:
            raise ImproperlyConfigured(f"{self.option('pickle')} must be True or False, not {asked_for!r}")
        return pickles() if asked_for else None


FACE = _DjangoFace()
