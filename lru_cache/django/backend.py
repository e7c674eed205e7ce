"""`LRUCacheBackend`: what Django asks of a cache, of a node of this process. docs/django.md says what it promises.

It is quick to make, and holds nothing: Django makes one for each thread, on an event loop for each request. It must
not know how a node is linked, nor how a value becomes data.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import isawaitable
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, MEMCACHE_MAX_KEY_LENGTH, BaseCache, default_key_func

from lru_cache import Loaded
from lru_cache.arguments import MISSING
from lru_cache.django.face import FACE, UNCHANGING
from lru_cache.faces.face import NO_COUNTERS
from lru_cache.faces.nodes import node_of


def _watched(name: str) -> Any:
    """An attribute of a backend, after a change of which keys are made otherwise."""

    def get(self: "LRUCacheBackend") -> Any:
        return self.__dict__[name]

    def change(self: "LRUCacheBackend", value: Any) -> None:
        self.__dict__[name] = value
        self._prefix = self._plain_prefix()

    return property(get, change)


class LRUCacheBackend(BaseCache):  # type: ignore[misc]  # Django has no types
    """A cache of Django in this process's memory, the same in all processes that are linked.

    LOCATION: "" for this process alone, "my-service" for all processes of this user on this machine, "host:port" or
    "dns://name:port" for where others listen, "redis://..." or "nats://..." for a log on an engine.

    OPTIONS: what `LRUCacheDistributed` takes, and `counters`, `models`, `pickle`.
    """

    _prefix: str | None

    def __init__(self, location: Any, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        options = params.get("OPTIONS", {})
        self._counts = FACE.counts(options)
        self.node = node_of(FACE, location, options)
        self._held = self.node.get
        self._own = self.node.own
        self._own_of = self.node.own_of
        self._kept = self.node.kept
        self._copiers = self.node.copiers.of_name

    # -- keys ----------------------------------------------------------------------------------------------------------
    # What Django makes of a key by itself is made here, ten times as fast. `_prefix` is what stands before a key then;
    # None where the project has another way. It is made again when one of these three changes.

    key_prefix, version, key_func = _watched("key_prefix"), _watched("version"), _watched("key_func")

    def _plain_prefix(self) -> str | None:
        here = self.__dict__
        if here.get("key_func") is not default_key_func or type(here["key_prefix"]) is not str:
            return None
        for name in ("make_key", "validate_key", "make_and_validate_key"):
            if getattr(type(self), name) is not getattr(BaseCache, name):
                return None
        return f"{here['key_prefix']}:{here['version']!s}:"  # as `default_key_func` has it

    def _name(self, key: Any, version: Any) -> str:
        """Under what name the node has a key: what Django makes of it, with Django's warnings."""
        if version is None and type(key) is str and self._prefix is not None:
            name: str = self._prefix + key
            if name.isprintable() and " " not in name and len(name) <= MEMCACHE_MAX_KEY_LENGTH:
                return name  # what Django warns of is not printable, a space, or too long
        made: str = self.make_and_validate_key(key, version=version)
        return made

    # -- how long values live ------------------------------------------------------------------------------------------

    def _life(self, timeout: Any) -> Any:
        """How long a value lives, in seconds: for ever, or not at all, too."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return timeout if timeout is None or timeout > 0 else 0

    # -- what Django asks ----------------------------------------------------------------------------------------------

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        if version is None and type(key) is str and self._prefix is not None:
            name = self._prefix + key
            if not name.isprintable() or " " in name or len(name) > MEMCACHE_MAX_KEY_LENGTH:
                name = self._name(key, version)
        else:  # all that is `_name`, without a call, which would cost a fifth of a hit
            name = self._name(key, version)
        value = self._held(name, MISSING)
        if type(value) in UNCHANGING:
            return value
        known = self._copiers.get(name)
        if known is not None and known[0] is value:
            return known[1](value)
        return default if value is MISSING else self._own_of(name, value)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> None:
        """Keep a value. What was there is gone also if this raises, so that no old session stays for a new one."""
        name = self._name(key, version)
        try:
            self.node.set(name, self._kept(value), expiration_time=self._life(timeout))
        except BaseException:
            self.node.invalidate(name)
            raise

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Keep a value if there is none, and say whether it was. Of two processes both may be told that it was."""
        name = self._name(key, version)
        return self.node.add(name, self._kept(value), expiration_time=self._life(timeout))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        return self.node.touch(self._name(key, version), self._life(timeout))

    def delete(self, key: Any, version: Any = None) -> bool:
        return self.node.invalidate(self._name(key, version))

    def has_key(self, key: Any, version: Any = None) -> bool:
        return self._name(key, version) in self.node

    def clear(self) -> None:
        """Drop all values, of all who share this cache: other aliases of this LOCATION, all processes."""
        self.node.clear()

    def incr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        """Add to a value, in one step on this node. What two processes add at once may count once."""
        name = self._name(key, version)
        if not self._counts:
            raise NotImplementedError(f"incr and decr {NO_COUNTERS.format(FACE.option('counters'))}")
        value = self.node.change(name, lambda held: self._kept(self._own(held) + delta))
        if value is MISSING:
            raise ValueError(f"Key {key!r} not found")
        return self._own(value)

    def get_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        found = {key: self._held(self._name(key, version), MISSING) for key in keys}
        return {key: self._own(value) for key, value in found.items() if value is not MISSING}

    def set_many(self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> list[Any]:
        """Keep all of them, or none if one of them cannot be kept; then what was there is gone, too."""
        names = {key: self._name(key, version) for key in data}
        try:
            kept = {names[key]: self._kept(value) for key, value in data.items()}
            self.node.set_many(kept, expiration_time=self._life(timeout))
        except BaseException:
            self.node.invalidate_many(names.values())
            raise
        return []

    def delete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        self.node.invalidate_many([self._name(key, version) for key in keys])

    def get_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> Any:
        """Get a value; or keep the default, which is called once, however many threads and tasks miss it at once.

        What it gives is not kept if the key is set or deleted meanwhile, here or on another node.
        """
        if not callable(default):
            return super().get_or_set(key, default, timeout, version)
        life = self._life(timeout)
        return self._own(self._held(self._name(key, version), load=lambda _: Loaded(self._kept(default()), life)))

    def close(self, **kwargs: Any) -> None:
        """Nothing: Django calls this after each request, and the node is everybody's."""

    # -- the same for tasks: answered at once, on the loop -------------------------------------------------------------

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return self.get(key, default, version)

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> None:
        self.set(key, value, timeout, version)

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        return self.add(key, value, timeout, version)

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        return self.touch(key, timeout, version)

    async def adelete(self, key: Any, version: Any = None) -> bool:
        return self.delete(key, version)

    async def ahas_key(self, key: Any, version: Any = None) -> bool:
        return self.has_key(key, version)

    async def aclear(self) -> None:
        self.clear()

    async def aincr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        return self.incr(key, delta, version)

    async def adecr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        return self.decr(key, delta, version)

    async def aget_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        return self.get_many(keys, version)

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> list[Any]:
        return self.set_many(data, timeout, version)

    async def adelete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        self.delete_many(keys, version)

    async def aincr_version(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        return self.incr_version(key, delta, version)

    async def adecr_version(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        return self.decr_version(key, delta, version)

    async def aget_or_set(
        self,
        key: Any,
        default: Callable[[], Awaitable[Any]] | Any,
        timeout: Any = DEFAULT_TIMEOUT,
        version: Any = None,
    ) -> Any:
        """`get_or_set`, where the default may be an `async def`; any other is called on the loop."""
        if not callable(default):
            return self.get_or_set(key, default, timeout, version)
        life = self._life(timeout)

        async def load(_: str) -> Any:
            value = default()
            return Loaded(self._kept(await value if isawaitable(value) else value), life)

        return self._own(await self.node.aget(self._name(key, version), load=load))

    async def aclose(self, **kwargs: Any) -> None:
        """Nothing, as `close`."""
