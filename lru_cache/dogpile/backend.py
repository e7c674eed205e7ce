"""`LRUCacheBackend`: what a region of dogpile.cache asks of a backend, of a node of this process.

It must not know how a node is linked, nor how a value becomes data.
"""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from dogpile.cache.api import NO_VALUE, CacheBackend, CachedValue

from lru_cache.arguments import MISSING, optional_seconds
from lru_cache.copies import UNCHANGING
from lru_cache.dogpile.mutexes import Mutex, mutex_of
from lru_cache.faces.face import Face
from lru_cache.faces.nodes import node_of, options_of_nodes

_OURS = frozenset(("location", "expiration_time"))


class _DogpileFace(Face):
    whose = "regions of dogpile"
    location = "arguments['location']"
    options = "arguments"
    loads = "a region loads what is missing: use get_or_create"
    lives = "a region says how long values live"
    pickled_name = "lru_cache.dogpile.pickled"
    own_options = frozenset(("pickle",))


FACE = _DogpileFace()


class LRUCacheBackend(CacheBackend):  # type: ignore[misc]  # of which some releases have no types
    """A backend in this process's memory, the same in all processes that are linked.

    arguments: `location`: "" for this process alone, "my-service" for all processes of this user on this machine,
    "host:port" or "dns://name:port" for where others listen, "redis://..." or "nats://..." for a log on an engine;
    `expiration_time`: after how many seconds a value leaves memory; what `LRUCacheDistributed` takes; `pickle`.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        known = options_of_nodes(FACE)
        options = {}
        for name, value in arguments.items():
            if name in known:
                options[name] = value
            elif name not in _OURS:  # no error: dogpile's own tests give such, as files of configuration do
                warnings.warn(f"arguments[{name!r}] means nothing to the backend lru_cache", stacklevel=3)
        self._life = optional_seconds(f"{FACE.options}['expiration_time']", arguments.get("expiration_time"))
        self.node = node_of(FACE, arguments.get("location", ""), options)
        self._held = self.node.get
        self._copiers = self.node.copiers.of_name

    def get_mutex(self, key: str) -> Mutex:
        """One lock for this key in this process; other processes have their own."""
        return mutex_of(self.node, key)

    # A value with what dogpile knows of it is kept as a tuple of both, which is data; what a region has serialized is
    # bytes.

    def get(self, key: str) -> Any:
        held = self._held(key, MISSING)
        if type(held) is not tuple:
            return NO_VALUE if held is MISSING else held
        value, metadata = held
        if type(value) in UNCHANGING:
            return CachedValue(value, metadata.copy())
        known = self._copiers.get(key)
        own = known[1](value) if known is not None and known[0] is value else self.node.own_of(key, value)
        return CachedValue(own, metadata.copy())

    def get_multi(self, keys: Iterable[str]) -> list[Any]:
        return [self.get(key) for key in keys]

    def set(self, key: str, value: Any) -> None:
        try:
            self.node.set(key, self._kept(value), expiration_time=self._life)
        except BaseException:
            self.node.invalidate(key)  # so that nothing old stays for what could not be kept
            raise

    def set_multi(self, mapping: Mapping[str, Any]) -> None:
        try:
            kept = {key: self._kept(value) for key, value in mapping.items()}
            self.node.set_many(kept, expiration_time=self._life)
        except BaseException:
            self.node.invalidate_many(mapping)
            raise

    def delete(self, key: str) -> None:
        self.node.invalidate(key)

    def delete_multi(self, keys: Iterable[str]) -> None:
        self.node.invalidate_many(list(keys))

    def _kept(self, value: Any) -> Any:
        if type(value) is bytes:
            return value
        payload, metadata = value
        return self.node.kept(payload), dict(metadata)
