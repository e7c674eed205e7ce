"""A cache of cachelib on `LRUCacheDistributed`, as Flask-Session and others take one. docs/flask.md is for who uses it.

    sessions = lru_cache.cachelib.LRUCacheBackend("my-service")

This file must not know Flask, nor how a node is linked or a value becomes data.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from lru_cache import Loaded
from lru_cache.copies import UNCHANGING
from lru_cache.extras import require
from lru_cache.faces.face import NO_COUNTERS, Face
from lru_cache.faces.nodes import node_of

require("cachelib", "lru_cache.cachelib", "cachelib", "flask")
from cachelib.base import BaseCache  # noqa: E402 - not before it is known to be there

__all__ = ["LRUCacheBackend"]

Timeout = int | float | timedelta | None


class CachelibFace(Face):
    """What is said of these caches."""

    whose = "cachelib's caches"
    prefix = "key_prefix"
    options = "LRUCacheBackend()"
    loads = "the application loads what is missing: use get_or_set"
    pickled_name = "lru_cache.cachelib.pickled"
    own_options = frozenset(("counters", "pickle"))

    def option(self, name: str) -> str:
        """As an argument."""
        return f"{name}="


FACE = CachelibFace()


class LRUCacheBackend(BaseCache):  # type: ignore[misc]  # of which some releases have no types
    """A cache of cachelib in this process's memory, the same in all processes that are linked.

    location: "" for this process alone, "my-service" for all processes of this user on this machine, "host:port" or
    "dns://name:port" for where others listen, "redis://..." or "nats://..." for a log on an engine.

    options: what `LRUCacheDistributed` takes, and `counters`, `pickle`. `threshold` is cachelib's name for
    `maximum_capacity`. `default_timeout` is in seconds, 0 is for ever.
    """

    face: CachelibFace = FACE

    def __init__(
        self,
        location: Any = "",
        *,
        threshold: int | None = None,
        default_timeout: Any = 300,
        key_prefix: str = "",
        ignore_delete_many_errors: bool = True,  # noqa: ARG002 - others have it; here no deletion fails
        ignore_errors: bool = True,  # noqa: ARG002 - the same, as older releases call it
        **options: Any,
    ) -> None:
        BaseCache.__init__(self, default_timeout=default_timeout)
        if not isinstance(key_prefix, str):
            raise TypeError(f"{self.face.prefix} must be a text, and not {key_prefix!r}"[:200])
        if threshold:
            options.setdefault("maximum_capacity", threshold)
        self._counts = self.face.counts(options)
        self.key_prefix = key_prefix
        self.node = node_of(self.face, location, options)
        self._held = self.node.get
        self._own = self.node.own
        self._own_of = self.node.own_of
        self._kept = self.node.kept
        self._copiers = self.node.copiers.of_name

    def _life(self, timeout: Timeout) -> float | None:
        """How long a value lives, in seconds: for ever, or not at all, too."""
        if timeout is None:
            timeout = self.default_timeout
        number = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        return None if number == 0 else max(number, 0)

    def get(self, key: str) -> Any:
        """Look up a value, of the caller's own; None if there is none."""
        name = self.key_prefix + key
        value = self._held(name)
        if type(value) in UNCHANGING:
            return value
        known = self._copiers.get(name)
        if known is not None and known[0] is value:
            return known[1](value)
        return self._own_of(name, value)

    def get_many(self, *keys: str) -> list[Any]:
        """Look up several."""
        return [self.get(key) for key in keys]

    def set(self, key: str, value: Any, timeout: Timeout = None) -> bool:
        """Keep a value. What was there is gone also if this raises, so that no old session stays for a new one."""
        name = self.key_prefix + key
        try:
            self.node.set(name, self._kept(value), expiration_time=self._life(timeout))
        except BaseException:
            self.node.invalidate(name)
            raise
        return True

    def add(self, key: str, value: Any, timeout: Timeout = None) -> bool:
        """Keep a value if there is none, and say whether it was. Of two processes both may be told that it was."""
        return self.node.add(self.key_prefix + key, self._kept(value), expiration_time=self._life(timeout))

    def set_many(self, mapping: Mapping[str, Any], timeout: Timeout = None) -> list[str]:
        """Keep all of them, or none if one of them cannot be kept; then what was there is gone, too."""
        names = {key: self.key_prefix + key for key in mapping}
        try:
            kept = {names[key]: self._kept(value) for key, value in mapping.items()}
            self.node.set_many(kept, expiration_time=self._life(timeout))
        except BaseException:
            self.node.invalidate_many(names.values())
            raise
        return list(names)

    def has(self, key: str) -> bool:
        """Say whether there is a value, without a use of it."""
        return self.key_prefix + key in self.node

    def delete(self, key: str) -> bool:
        """Drop a value in all processes, and say whether there was one in this."""
        return self.node.invalidate(self.key_prefix + key)

    def delete_many(self, *keys: str) -> list[str]:
        """Drop several in all processes. All of them are gone, so all are in the answer."""
        self.node.invalidate_many([self.key_prefix + key for key in keys])
        return list(keys)

    def clear(self) -> bool:
        """Drop all values, of all who share this location and these options, in all processes."""
        self.node.clear()
        return True

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add to a value, in one step on this node. What two processes add at once may count once."""
        return self._count("inc", key, delta)

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Likewise."""
        return self._count("dec", key, -delta)

    def _count(self, method: str, key: str, delta: int) -> int | None:
        if not self._counts:
            raise NotImplementedError(f"{method} {NO_COUNTERS.format(self.face.option('counters'))}")
        name = self.key_prefix + key
        counted: int = self.node.count(name, lambda held: self._own(held) + delta, delta, self._life(None))
        return counted

    def get_or_set(self, key: str, load: Callable[[], Any], timeout: Timeout = None) -> Any:
        """Get a value; or keep what `load` gives, which is called once, however many threads miss it at once.

        What it gives is not kept if the key is set or deleted meanwhile, here or on another node. cachelib has no such
        method; this is ours.
        """
        name, life = self.key_prefix + key, self._life(timeout)
        return self._own(self._held(name, load=lambda _: Loaded(self._kept(load()), life)))
