"""The caches that are compared, each behind the same few verbs, driven as its own documentation says.

A contender knows how its cache is used, and nothing of clocks, rounds or tables. Every cache that can expire
is asked to: one that does not check lives has less to do.
"""

import functools
import importlib
import inspect
import os
import sys
import threading
from collections.abc import Callable, Hashable, Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import FunctionType, TracebackType
from typing import Any, ClassVar

HOUR_SECONDS = 3600.0

Loader = Callable[[Hashable], object]


class Contender(AbstractContextManager["Contender"]):
    """One cache under measurement; used here as caches are that have `get` and `set`."""

    name: ClassVar[str]
    note: ClassVar[str] = ""  # how it is used here, where that is a choice
    distribution: ClassVar[str] = ""  # nothing to install: the standard library
    modules: ClassVar[tuple[str, ...]] = ()  # the first is what its users import
    bounded: ClassVar[bool] = True
    # What its documentation says of threads; a race in probes.py can refute it but never prove it.
    claims_threads: ClassVar[bool | None] = None
    # The verbs that it lacks, so that no row is left out in silence.
    lacks: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        """Give each contender its own copy of the loops that are timed.

        The interpreter specializes bytecode where it stands: in a shared loop, the call of a C function and
        the call of a Python one would undo each other's specialization, and each would pay for the others.
        """
        super().__init_subclass__()
        for name in ("read_all", "write_all"):
            loop = getattr(cls, name)
            own = FunctionType(loop.__code__.replace(), loop.__globals__, name, loop.__defaults__, loop.__closure__)
            own.__doc__ = loop.__doc__
            setattr(cls, name, own)

    def __init__(self, capacity: int, life_seconds: float = HOUR_SECONDS) -> None:
        self.capacity = capacity
        self.life_seconds = life_seconds
        self.cache: Any = self.build()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what the cache would otherwise keep."""
        self.close()

    @classmethod
    def is_installed(cls) -> bool:
        """Whether its modules can be found here."""
        return all(find_spec(module) for module in cls.modules)

    @classmethod
    def installed_version(cls) -> str:
        """Say what the report prints beside its name."""
        if not cls.distribution:
            return "standard library"
        if not cls.is_installed():
            return "not installed"
        try:
            return version(cls.distribution)
        except PackageNotFoundError:
            return "from the work tree"

    def build(self) -> Any:
        """Make the cache itself, empty."""
        raise NotImplementedError

    # The loops that are timed: what a user would write, without a frame of ours inside.

    def read_all(self, keys: Iterable[Hashable]) -> None:
        """Look each key up."""
        get = self.cache.get
        for key in keys:
            get(key)

    def write_all(self, keys: Iterable[Hashable], value: object) -> None:
        """Keep the value under each key."""
        set_ = self.cache.set
        for key in keys:
            set_(key, value)

    # One at a time, for probes and fills; never timed.

    def get(self, key: Hashable) -> object:
        """Return the value, or None."""
        return self.cache.get(key)

    def set(self, key: Hashable, value: object) -> None:
        """Keep the value."""
        self.cache.set(key, value)

    def set_for(self, key: Hashable, value: object, seconds: float) -> None:
        """Keep the value for a life of its own."""
        raise NotImplementedError(f"{self.name} takes no life per entry")

    def holds(self, key: Hashable) -> bool:
        """Whether the key is there; may count as a use of it."""
        return self.get(key) is not None

    def size(self) -> int:
        """How many entries it holds."""
        return len(self.cache)

    def loading(self, loader: Loader) -> Loader:
        """Return the best it offers for filling on a miss; where that is nothing, what users write instead."""

        def load(key: Hashable) -> object:
            value = self.get(key)
            if value is None:
                value = loader(key)
                self.set(key, value)
            return value

        return load

    def settle(self) -> None:
        """Have work done that the cache puts off."""

    def close(self) -> None:
        """Stop what runs in the background."""


class ItemContender(Contender):
    """A cache that is written as a mapping is."""

    def write_all(self, keys: Iterable[Hashable], value: object) -> None:
        """Keep the value under each key."""
        cache = self.cache
        for key in keys:
            cache[key] = value

    def set(self, key: Hashable, value: object) -> None:
        """Keep the value."""
        self.cache[key] = value


class Dict(ItemContender):
    """The base: no bound, no order by use, no life, no load."""

    name = "dict"
    bounded = False
    claims_threads = True
    lacks = frozenset({"eviction"})

    def build(self) -> Any:
        """Make the cache itself, empty."""
        return {}


class FunctoolsLru(Contender):
    """A function's memory: there is no look-up without a load, and no way to change an entry."""

    name = "functools.lru_cache"
    note = "a call of a decorated function that returns its argument; new keys are calls that load"
    claims_threads = True
    lacks = frozenset({"miss", "update"})

    def build(self) -> Any:
        """Decorate a function that is its own source."""
        return functools.lru_cache(maxsize=self.capacity)(lambda key: key)

    def read_all(self, keys: Iterable[Hashable]) -> None:
        """Look each key up."""
        call = self.cache
        for key in keys:
            call(key)

    def write_all(self, keys: Iterable[Hashable], value: object) -> None:  # noqa: ARG002 - the function decides
        """Call it for each key."""
        call = self.cache
        for key in keys:
            call(key)

    def get(self, key: Hashable) -> object:
        """Return what the function returned, or returns now."""
        return self.cache(key)

    def set(self, key: Hashable, value: object) -> None:  # noqa: ARG002 - the function decides
        """Have it call the function."""
        self.cache(key)

    def holds(self, key: Hashable) -> bool:
        """Whether the call was a hit; if not, the key is there now."""
        hits_before = self.cache.cache_info().hits
        self.cache(key)
        return bool(self.cache.cache_info().hits > hits_before)

    def size(self) -> int:
        """How many results it remembers."""
        return int(self.cache.cache_info().currsize)

    def loading(self, loader: Loader) -> Loader:
        """Decorate the loader: that is the load."""
        return functools.lru_cache(maxsize=self.capacity)(loader)


class CachetoolsLru(ItemContender):
    """cachetools as it comes: for one thread."""

    name = "cachetools-LRU"
    note = "cachetools.LRUCache, bare; loads through cachetools.cached"
    distribution = "cachetools"
    modules = ("cachetools",)
    claims_threads = False

    def build(self) -> Any:
        """Make the cache itself, empty."""
        import cachetools

        return cachetools.LRUCache(self.capacity)

    def loading(self, loader: Loader) -> Loader:
        """Its decorator, without a lock."""
        import cachetools

        decorated: Loader = cachetools.cached(self.cache, key=lambda key: key)(loader)
        return decorated


class CachetoolsTtl(ItemContender):
    """cachetools with a life for all, and with the lock that its documentation asks of threads."""

    name = "cachetools-TTL+lock"
    note = "cachetools.TTLCache, `with lock:` around each access; loads through cached(lock, condition)"
    distribution = "cachetools"
    modules = ("cachetools",)
    claims_threads = True

    def build(self) -> Any:
        """Make the cache itself, empty, and its lock."""
        import cachetools

        self.lock = threading.Lock()
        return cachetools.TTLCache(self.capacity, self.life_seconds)

    def read_all(self, keys: Iterable[Hashable]) -> None:
        """Look each key up."""
        cache, lock = self.cache, self.lock
        for key in keys:
            with lock:
                cache.get(key)

    def write_all(self, keys: Iterable[Hashable], value: object) -> None:
        """Keep the value under each key."""
        cache, lock = self.cache, self.lock
        for key in keys:
            with lock:
                cache[key] = value

    def get(self, key: Hashable) -> object:
        """Return the value, or None."""
        with self.lock:
            return self.cache.get(key)

    def set(self, key: Hashable, value: object) -> None:
        """Keep the value."""
        with self.lock:
            self.cache[key] = value

    def loading(self, loader: Loader) -> Loader:
        """Its decorator, with what it has against a stampede (versions before 6 have only the lock)."""
        import cachetools

        guards: dict[str, object] = {"lock": self.lock}
        if "condition" in inspect.signature(cachetools.cached).parameters:
            guards["condition"] = threading.Condition(self.lock)
        decorate: Any = cachetools.cached
        decorated: Loader = decorate(self.cache, key=lambda key: key, **guards)(loader)
        return decorated


class CacheboxLru(ItemContender):
    """The order of cachebox that is ours, which has no lives."""

    name = "cachebox-LRU"
    note = "cachebox.LRUCache; loads through cachebox.cached"
    distribution = "cachebox"
    modules = ("cachebox",)
    claims_threads = True

    def build(self) -> Any:
        """Make the cache itself, empty."""
        import cachebox

        return cachebox.LRUCache(self.capacity)

    def loading(self, loader: Loader) -> Loader:
        """Its decorator, which locks each key by default."""
        import cachebox

        decorated: Loader = cachebox.cached(self.cache)(loader)
        return decorated


class CacheboxVttl(CacheboxLru):
    """The lives of cachebox that are ours, which has another order: nearest expiry leaves first."""

    name = "cachebox-VTTL"
    note = "cachebox.VTTLCache, insert(key, value, ttl); loads through cachebox.cached"

    def build(self) -> Any:
        """Make the cache itself, empty."""
        import cachebox

        return cachebox.VTTLCache(self.capacity)

    def write_all(self, keys: Iterable[Hashable], value: object) -> None:
        """Keep the value under each key."""
        insert, life_seconds = self.cache.insert, self.life_seconds
        for key in keys:
            insert(key, value, life_seconds)

    def set(self, key: Hashable, value: object) -> None:
        """Keep the value."""
        self.cache.insert(key, value, self.life_seconds)

    def set_for(self, key: Hashable, value: object, seconds: float) -> None:
        """Keep the value for a life of its own."""
        self.cache.insert(key, value, seconds)


class Theine(Contender):
    """Sharded dicts in Python, admission and eviction in a native core."""

    name = "theine"
    note = "theine.Cache, set(key, value, ttl); loads through theine.Memoize"
    distribution = "theine"
    modules = ("theine", "theine_core")
    claims_threads = True

    def build(self) -> Any:
        """Make the cache itself, empty."""
        import theine

        self.life = timedelta(seconds=self.life_seconds)
        return theine.Cache(self.capacity)

    def write_all(self, keys: Iterable[Hashable], value: object) -> None:
        """Keep the value under each key."""
        set_, life = self.cache.set, self.life
        for key in keys:
            set_(key, value, life)

    def get(self, key: Hashable) -> object:
        """Return the value, or None."""
        value, _found = self.cache.get(key)
        return value

    def set(self, key: Hashable, value: object) -> None:
        """Keep the value."""
        self.cache.set(key, value, self.life)

    def set_for(self, key: Hashable, value: object, seconds: float) -> None:
        """Keep the value for a life of its own."""
        self.cache.set(key, value, timedelta(seconds=seconds))

    def loading(self, loader: Loader) -> Loader:
        """Its decorator, which has a cache of its own."""
        import theine

        memoized: Any = theine.Memoize(self.capacity, self.life)(loader)
        memoized.key(lambda key: key)
        decorated: Loader = memoized
        return decorated

    def close(self) -> None:
        """End its coroutine, which would keep it alive."""
        self.cache.close()
        self.cache.clear()


class Moka(Contender):
    """Moka, in Rust, with the policy that is ours."""

    name = "moka-py"
    note = 'moka_py.Moka(policy="lru", ttl=...); loads through get_with'
    distribution = "moka-py"
    modules = ("moka_py",)
    claims_threads = True

    def build(self) -> Any:
        """Make the cache itself, empty."""
        import moka_py

        return moka_py.Moka(self.capacity, ttl=self.life_seconds, policy="lru")

    def set_for(self, key: Hashable, value: object, seconds: float) -> None:
        """Keep the value for a life of its own."""
        self.cache.set(key, value, ttl=seconds)

    def size(self) -> int:
        """How many entries it holds."""
        self.settle()
        return int(self.cache.count())

    def loading(self, loader: Loader) -> Loader:
        """Its own loading look-up."""
        get_with = self.cache.get_with
        return lambda key: get_with(key, lambda: loader(key))

    def settle(self) -> None:
        """Have pending evictions done."""
        self.cache.run_pending_tasks()


class LruDict(ItemContender):
    """A dict and a linked list, in C."""

    name = "lru-dict"
    note = "lru.LRU; has no loads: get, then set"
    distribution = "lru-dict"
    modules = ("lru",)

    def build(self) -> Any:
        """Make the cache itself, empty."""
        import lru

        return lru.LRU(self.capacity)


class Cacheout(Contender):
    """An OrderedDict, a dict of lives and a lock, in Python."""

    name = "cacheout"
    note = "cacheout.LRUCache; loads through get(default=loader)"
    distribution = "cacheout"
    modules = ("cacheout",)
    claims_threads = True

    def build(self) -> Any:
        """Make the cache itself, empty."""
        import cacheout  # type: ignore[import-untyped]

        return cacheout.LRUCache(maxsize=self.capacity, ttl=self.life_seconds)

    def set_for(self, key: Hashable, value: object, seconds: float) -> None:
        """Keep the value for a life of its own."""
        self.cache.set(key, value, ttl=seconds)

    def loading(self, loader: Loader) -> Loader:
        """Its own loading look-up."""
        get = self.cache.get
        return lambda key: get(key, default=loader)


class Ours(Contender):
    """What this repository is about."""

    name = "lru_cache"
    note = "lru_cache.LRUCache; loads through get(load=...)"
    distribution = "cf_LRU_cache"
    modules = ("lru_cache", "lru_cache.lru_cache")
    claims_threads = True

    def build(self) -> Any:
        """Make the cache itself, empty."""
        from lru_cache import LRUCache

        return LRUCache(maximum_capacity=self.capacity, expiration_time=self.life_seconds)

    def set_for(self, key: Hashable, value: object, seconds: float) -> None:
        """Keep the value for a life of its own."""
        self.cache.set(key, value, expiration_time=seconds)

    def loading(self, loader: Loader) -> Loader:
        """Its own loading look-up."""
        get = self.cache.get
        return lambda key: get(key, load=loader)


@functools.cache
def pure_python_cache() -> Any:
    """LRUCache on the store in Python, whichever this process uses: the package, imported once more beside itself."""
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "lru_cache"}
    refused = os.environ.get("LRU_CACHE_PURE_PYTHON")
    for name in before:
        del sys.modules[name]
    os.environ["LRU_CACHE_PURE_PYTHON"] = "1"
    try:
        return importlib.import_module("lru_cache.lru_cache").LRUCache
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "lru_cache"]:
            del sys.modules[name]
        sys.modules.update(before)
        if refused is None:
            del os.environ["LRU_CACHE_PURE_PYTHON"]
        else:
            os.environ["LRU_CACHE_PURE_PYTHON"] = refused


class OursInPython(Ours):
    """The same, as it is where there was no compiler."""

    name = "lru_cache (pure)"
    note = "the same with LRU_CACHE_PURE_PYTHON=1"
    modules = ()  # imported by itself, beside the other

    def build(self) -> Any:
        """Make the cache itself, empty."""
        return pure_python_cache()(maximum_capacity=self.capacity, expiration_time=self.life_seconds)


BASE = Dict
OURS = Ours
TWIN = OursInPython
CONTENDERS: dict[str, type[Contender]] = {
    contender.name: contender
    for contender in (
        Dict,
        FunctoolsLru,
        CachetoolsLru,
        CachetoolsTtl,
        CacheboxLru,
        CacheboxVttl,
        Theine,
        Moka,
        LruDict,
        Cacheout,
        Ours,
        OursInPython,
    )
}


def import_all(contenders: Iterable[type[Contender]]) -> None:
    """Import now what they use, so that no import falls into a measurement."""
    for contender in contenders:
        for module in contender.modules:
            importlib.import_module(module)
