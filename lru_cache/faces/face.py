"""`Face`: what one framework calls things, which options it takes, and what it refuses, each with what to do about it.

A framework has one object of a subclass. This file must not know nodes.
"""

from collections.abc import Mapping
from typing import Any

from lru_cache.codecs import Codec
from lru_cache.copies import UNCHANGING
from lru_cache.faces import pickled

COUNTERS = ("local", "refuse")


class Face:
    """The words and the rules of one framework. What is said here is so, unless a subclass says otherwise."""

    whose = "these caches"
    location = "location"  # what users call the place
    options = "options"  # what users call the rest
    loads = "the application loads what is missing"
    lives = "each value has the timeout that it was set with"
    life = "give default_timeout"
    pickled_name = "lru_cache.pickled"  # that of pickles on the wire: another face's are not taken
    own_options: frozenset[str] = frozenset()  # beside what `LRUCacheDistributed` takes
    refusal: type[Exception] = ValueError
    unchanging: frozenset[type] = UNCHANGING  # of these nobody needs a copy

    def option(self, name: str) -> str:
        """How users write an option."""
        return f"{self.options}[{name!r}]"

    def not_here(self) -> Mapping[str, str]:
        """Options of a node that mean nothing here, each with what to do about it."""
        return {
            **dict.fromkeys(("load_callback", "load_many", "load_timeout", "retry_time"), self.loads),
            **dict.fromkeys(("expiration_jitter", "stale_time", "refresh_time"), self.lives),
            "expiration_time": self.life,
            "copy_on_get": "it is always so",
        }

    def prepared(self, options: dict[str, Any]) -> dict[str, Any]:
        """Of options of this face those that a node has."""
        return {name: value for name, value in options.items() if name not in self.own_options}

    def codecs(self, options: Mapping[str, Any]) -> list[Codec[Any]]:
        """What every cache of this framework has, with these options."""
        return []

    def pickles(self, options: Mapping[str, Any]) -> Codec[Any] | None:
        """How pickles travel, if what is no data is to be pickled: `pickle` is a secret, or a list of them."""
        given = options.get("pickle")
        if given is None or given is False:
            return None
        secrets = [given] if isinstance(given, (str, bytes)) else given
        if not isinstance(secrets, (list, tuple)) or not secrets or not all(_is_secret(each) for each in secrets):
            raise self.refusal(f"{self.option('pickle')} must be the secret that signs pickles, or a list of secrets")
        return pickled.codec(self.pickled_name, lambda: secrets, self.option("pickle"))

    def resolved(self, value: Any) -> Any:
        """What is kept of a value that is no data as it stands."""
        return value

    def advice(self, value: Any) -> str | None:
        """What to do about the first thing of the framework's in a value that is no data, if there is one."""
        return None

    def counts(self, options: Mapping[str, Any]) -> bool:
        """Whether there are counters, which are atomic in each process only."""
        counters = options.get("counters", "local")
        if counters not in COUNTERS:
            raise self.refusal(f"{self.option('counters')} must be one of {COUNTERS}, not {counters!r}")
        return bool(counters != "refuse")


def _is_secret(value: Any) -> bool:
    return isinstance(value, (str, bytes)) and bool(value)


NO_COUNTERS = "are refused by {}, since they are atomic in each process only"
