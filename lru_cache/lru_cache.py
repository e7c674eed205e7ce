"""`LRUCache`: a thread-safe, in-process LRU cache with expiry and loading, and the face of a mapping.

What is kept is `store/`'s business and what happens on a miss is `loading/`'s; here is what an application does to a
cache. This file must not know replication or the network.
"""

import sys
from collections.abc import Awaitable, Callable, ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from datetime import datetime
from functools import cache
from math import inf
from operator import attrgetter
from types import ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from lru_cache import arguments, fork, store
from lru_cache.arguments import MISSING, Duration, Missing
from lru_cache.clock import Clock, SystemClock
from lru_cache.loading import loaders
from lru_cache.loading.freshness import Freshness, Loaded
from lru_cache.loading.load_path import LoadPath
from lru_cache.loading.loaders import AsyncLoader, with_life
from lru_cache.loading.many import get_many, one_of_many
from lru_cache.loading.single_flight import Landing
from lru_cache.log import logger
from lru_cache.stats import Stats
from lru_cache.store import Cleared, Entry, Gone, RemovalCause, Store, with_short_cuts

if TYPE_CHECKING:
    from lru_cache.loading.freshness import Bare
    from lru_cache.memoize import Memoized
    from lru_cache.removal import Removal

K = TypeVar("K")
V = TypeVar("V", bound="Bare")
T = TypeVar("T")
P = ParamSpec("P")

SLICE = 1_000  # entries that one locked step goes through at most: less than a millisecond

Pairs = Mapping[K, V] | Iterable[tuple[K, V]]
AnyLoader = Callable[[K], V | Loaded[V]] | Callable[[K], Awaitable[V | Loaded[V]]]
AnyManyLoader = (
    Callable[[list[K]], Mapping[K, V | Loaded[V]]] | Callable[[list[K]], Awaitable[Mapping[K, V | Loaded[V]]]]
)


@cache
def _for_tasks() -> ModuleType:
    """What only a miss on an event loop needs, and what would import asyncio for all the others."""
    from lru_cache.loading import loops

    return loops


class Sharing(Protocol):
    """What a write has beside if others hear of it: before, in, and after its locked step. A local cache has none.

    `..._locked`: under the cache's lock, together with the change that it belongs to.
    """

    def prepare(self, key: Any, value: Any) -> Any:
        """Before a value is kept: what `set_locked` needs. TypeError or ValueError for what cannot be told."""

    def set_locked(self, prepared: Any, now: float) -> object:
        """A value is about to be kept: the version to keep it with."""

    def name(self, key: Any) -> Any:
        """Under what name others know a key; None for a key that has none of its own."""

    def name_of(self, key: Any, entry: "Entry[Any, Any] | None") -> Any:
        """Under what name others know an entry, which is held for an equal of this key. TypeError if there is none."""

    def invalidate_locked(self, name: Any, now: float) -> None:
        """What had this name was invalidated."""

    def pop_locked(self, gone: "Gone[Any, Any]", now: float) -> None:
        """What left was invalidated."""

    def touch_locked(self, entry: "Entry[Any, Any]", now: float) -> None:
        """An entry's life has begun anew."""

    def clear_locked(self, now: float) -> "list[Gone[Any, Any]]":
        """Everything was dropped. Returns what left besides."""

    def left_locked(self, gone: "list[Gone[Any, Any]]") -> None:
        """All of these have left the store."""

    def send(self) -> object:
        """After the lock: others may be told."""


@with_short_cuts
class LRUCache(LoadPath[K, V], MutableMapping[K, V]):
    """An LRU cache whose entries expire and which loads what it lacks. Every method may be called from any thread.

    Durations are seconds or a `timedelta`.

    - `load_callback(key)` answers a `get` that misses; it may return `Loaded(value, expiration_time=...)`. It may be an
      `async def`: then `aget` awaits it, and a `get` that misses raises TypeError.
    - `load_many(keys)` answers a `get_many`: one call for all keys that are missing, which returns a mapping. Keys that
      it leaves out are misses. Without a `load_callback` it answers `get`, too.
    - `maximum_capacity` entries are kept; the one unused for longest leaves first. None: any number. 0: the cache is
      off, that is, nothing is kept, and who misses a key while it is being loaded shares that load.
    - `expiration_time` is the life of an entry (None: no end); `expiration_jitter` (0..1) shortens each such life by
      up to this fraction at random, so that what was loaded together does not expire together.
    - `stale_time`: so long after its end a value still serves if the loader fails, or takes longer than `load_timeout`.
      After a failure the loader is left alone for `retry_time`.
    - `refresh_time`: a hit with less life left than this returns at once and reloads in the background.
    - `on_removal(removal)` is told of each value that left, by the thread that caused it, after the fact.
    - `clock` has `monotonic()` and `time()`; tests pass `lru_cache.testing.ManualClock()`.
    """

    def __init__(
        self,
        load_callback: "AnyLoader[K, V] | None" = None,
        maximum_capacity: int | None = 50_000,
        expiration_time: Duration | None = 5_184_000,
        *,
        expiration_jitter: float = 0.0,
        stale_time: Duration = 0,
        refresh_time: Duration | None = None,
        load_timeout: Duration | None = None,
        retry_time: Duration = 1,
        on_removal: "Callable[[Removal[K, V]], object] | None" = None,
        clock: Clock | None = None,
        load_many: "AnyManyLoader[K, V] | None" = None,
    ) -> None:
        clock = SystemClock() if clock is None else clock
        for method in ("monotonic", "time"):
            if not callable(getattr(clock, method, None)):
                raise TypeError(f"clock must have monotonic() and time(), {type(clock).__name__} lacks {method}()")
        freshness = Freshness(expiration_time, expiration_jitter, stale_time, refresh_time, load_timeout, retry_time)
        self._load_many = loaders.read("load_many", load_many)
        self._capacity = arguments.capacity("maximum_capacity", maximum_capacity)
        self._keeps_nothing = self._capacity == 0
        super().__init__(
            Store(sys.maxsize if self._capacity is None else self._capacity or 1, freshness.stale_time),
            clock,
            freshness,
            loaders.read("load_callback", load_callback) or one_of_many(self._load_many),
            arguments.function("on_removal", on_removal),
        )
        self._wall_time = clock.time
        self._invalidations = 0
        self._sharing: Sharing | None = None
        fork.watch(self)
        if _unsaid:
            _say_what_is_missing()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if hasattr(cls, "__missing__"):
            raise TypeError(
                f"{cls.__name__}.__missing__ would never be asked: pass load_callback to load what is missing"
            )

    # -- writing -----------------------------------------------------------------------------------------------------

    @overload
    def set(
        self,
        key: K,
        *,
        expire_at: datetime | None = None,
        expiration_time: Duration | None | Missing = MISSING,
    ) -> V | None: ...
    @overload
    def set(
        self,
        key: K,
        value: V,
        *,
        expire_at: datetime | None = None,
        expiration_time: Duration | None | Missing = MISSING,
    ) -> V: ...
    def set(
        self,
        key: K,
        value: Any = MISSING,
        *,
        expire_at: datetime | None = None,
        expiration_time: Duration | None | Missing = MISSING,
    ) -> Any:
        """Keep a value and return it. Without a value: invalidate the key and load it anew.

        It lives for `expiration_time` (None: for ever; 0: it is not kept, nor is what was held), or until `expire_at`,
        or as long as the cache's entries do.
        """
        # With the store in C its `read_path_set` stands in the place of this method, since a `set` of a key and a value
        # alone then runs no Python at all; every other call of `set` comes here. (So do `add`, `touch`, `invalidate`,
        # `pop`, `peek` and the items. LRU_CACHE_PURE_PYTHON=1 has all calls come here.)
        plain = expire_at is None and expiration_time is MISSING
        life = None if plain else self._life(expire_at, expiration_time)
        if value is MISSING:
            return self._reload(key, life)
        if life is not None and life <= 0:
            self.invalidate(key)
        else:
            self._set(key, value, life)
        return value

    def add(
        self,
        key: K,
        value: V,
        *,
        expire_at: datetime | None = None,
        expiration_time: Duration | None | Missing = MISSING,
    ) -> bool:
        """Keep a value unless one is held for this key. Whether it was kept.

        Of several who add at once on one node one succeeds. Nodes do not ask each other: there the newest wins.
        """
        life = self._life(expire_at, expiration_time)
        if life is None or life > 0:
            added = self._set(key, value, life, if_absent=True)
        else:  # it has ended already: as with `set`, what remains of it is an invalidation
            with self._lock:
                added = self._living_locked(key, self._monotonic()) is None
                if added:
                    self.invalidate(key)
        self._notify_of_rest()
        return added

    def set_many(
        self,
        mapping: "Pairs[K, V]",
        *,
        expire_at: datetime | None = None,
        expiration_time: Duration | None | Missing = MISSING,
    ) -> None:
        """Keep all values of a mapping, or of pairs, each as `set` does.

        All or nothing: if a key or a value of them cannot be kept, this raises, and nothing has changed.
        """
        life = self._life(expire_at, expiration_time)
        items: list[tuple[K, V]] = arguments.pairs("mapping", mapping)
        for key, _ in items:
            hash(key)  # what cannot be hashed raises before anything has changed
        if life is not None and life <= 0:
            self.invalidate_many(key for key, _ in items)
            return
        sharing = self._sharing
        if sharing is None:
            for key, value in items:
                self._set(key, value, life)
            return
        prepared = [sharing.prepare(*item) for item in items]  # all, before the first is kept: one may be refused
        for (key, value), each in zip(items, prepared, strict=True):
            self._set(key, value, life, prepared=each)

    def invalidate(self, key: K) -> bool:
        """The value of this key no longer holds: drop it, and whatever is being loaded for it. True if one was held."""
        return self._invalidate(key, self._name(key)) is not None

    def invalidate_many(self, keys: Iterable[K]) -> int:
        """Invalidate each of these keys, and count those that were held."""
        named = [
            (key, self._name(key)) for key in arguments.items("keys", keys)
        ]  # all, before the first is invalidated: one may be refused
        return sum([self._invalidate(key, name) is not None for key, name in named])

    def forget(self, key: K) -> bool:
        """Invalidate a key, and tell others only if that is possible: for what is known to be held on this node."""
        name = None if self._sharing is None else self._sharing.name(key)
        return self._invalidate(key, name) is not None

    def clear(self) -> None:
        """Drop everything, and whatever is being loaded. Nothing is found from that moment on; then it is freed."""
        sharing = self._sharing
        with self._lock:
            now = self._monotonic()
            self._flights.fence_all()
            cleared = self._store.clear(now)
            gone = [] if sharing is None else sharing.clear_locked(now)
        if sharing is not None:
            sharing.send()
        self._notify(gone)
        self._let_go(cleared)

    def _let_go(self, cleared: Cleared[K, V]) -> None:
        """Notify of what was cleared, and free it, in slices and with the lock free."""
        if self._on_removal is None:
            while cleared.drop(SLICE):
                pass
            return
        while gone := cleared.next(SLICE):
            self._notify(gone)

    def touch(self, key: K, expiration_time: Duration | None | Missing = MISSING) -> bool:
        """Begin the life of an entry anew, as one use of it, and leave the value. False if none is held.

        A life of 0 ends at once: the entry is invalidated.
        """
        life = self._life(None, expiration_time)
        if life == 0:
            return self.invalidate(key)
        sharing = self._sharing
        with self._lock:
            now = self._monotonic()
            entry = self._living_locked(key, now)
            if entry is not None:
                self._store.prolong(entry, *self._freshness.ends(now, life))
                self._store.use(entry)
                if sharing is not None:
                    sharing.touch_locked(entry, now)
        self._notify_of_rest()
        if sharing is not None:
            sharing.send()
        return entry is not None

    def expire(self) -> int:
        """Drop everything that has expired (and can no longer be served as stale), and count it.

        A few at a time, so that others come to their turn in between.
        """
        with self._lock:
            now = self._monotonic()
        dropped, is_over = 0, False
        while not is_over:
            with self._lock:
                gone = self._reap_locked(now, SLICE)
                is_over = not self._store.has_due(now)
            self._notify(gone)
            dropped += len(gone)
        return dropped

    # -- reading -----------------------------------------------------------------------------------------------------

    if TYPE_CHECKING:  # the store, which has `get`, does not know `Loaded`

        @overload
        def get(
            self, key: K, default: None = None, *, load: Callable[[K], V | Loaded[V]] | None = None
        ) -> V | None: ...
        @overload
        def get(self, key: K, default: V, *, load: Callable[[K], V | Loaded[V]] | None = None) -> V: ...
        @overload
        def get(self, key: K, default: T, *, load: Callable[[K], V | Loaded[V]] | None = None) -> V | T: ...
        def get(self, key: K, default: Any = None, *, load: Callable[[K], Any] | None = None) -> Any:
            """Return the value of a key; on a miss what the loader answers, which is then kept; else `default`."""

    def get_many(
        self, keys: Iterable[K], *, load_many: Callable[[list[K]], Mapping[K, V | Loaded[V]]] | None = None
    ) -> dict[K, V]:
        """Get each of these keys; what is missing is loaded, or left out where there is no loader.

        `load_many` (here or for the cache) is called once, with all that is missing and that nobody else is loading.
        """
        loader = self._load_many if load_many is None else loaders.read("load_many", load_many)
        load = loader if type(loader) is AsyncLoader else None  # with which a miss is refused
        if loader is not None and load is None:
            found = get_many(self, list(dict.fromkeys(arguments.items("keys", keys))), loader)
            self._notify_of_rest()
            return found
        values = {key: self.get(key, MISSING, load=load) for key in arguments.items("keys", keys)}
        return {key: value for key, value in values.items() if value is not MISSING}

    @overload
    async def aget(self, key: K, default: None = None, *, load: "AnyLoader[K, V] | None" = None) -> V | None: ...
    @overload
    async def aget(self, key: K, default: V, *, load: "AnyLoader[K, V] | None" = None) -> V: ...
    @overload
    async def aget(self, key: K, default: T, *, load: "AnyLoader[K, V] | None" = None) -> V | T: ...
    async def aget(self, key: K, default: Any = None, *, load: Any = None) -> Any:
        """`get` for a task of an event loop, whose loader may be an `async def`; others run in a thread.

        A load belongs to the cache: to cancel this ends only this wait, and the load when nobody waits for it.
        """
        value = self._hit(key)
        if value is not MISSING:
            return value
        loader = self._load_callback if load is None else loaders.read("load", load)
        return self.get(key, default) if loader is None else await _for_tasks().look_up(self, key, default, loader)

    async def aget_many(self, keys: Iterable[K], *, load_many: "AnyManyLoader[K, V] | None" = None) -> dict[K, V]:
        """`get_many` for a task. Where there is no loader for many, the keys are loaded side by side."""
        wanted = list(dict.fromkeys(arguments.items("keys", keys)))
        many = self._load_many if load_many is None else loaders.read("load_many", load_many)
        if many is None and self._load_callback is None:
            return self.get_many(wanted)
        values = {key: self._hit(key) for key in wanted}
        missing = [key for key, value in values.items() if value is MISSING]
        if missing:
            loaded = await _for_tasks().look_up_many(self, missing, self._load_callback, many)
            self._notify_of_rest()
            for key in missing:
                values[key] = loaded.get(key, MISSING)
        return {key: value for key, value in values.items() if value is not MISSING}

    @overload
    async def aset(
        self,
        key: K,
        *,
        expire_at: datetime | None = None,
        expiration_time: Duration | None | Missing = MISSING,
    ) -> V | None: ...
    @overload
    async def aset(
        self,
        key: K,
        value: V,
        *,
        expire_at: datetime | None = None,
        expiration_time: Duration | None | Missing = MISSING,
    ) -> V: ...
    async def aset(
        self,
        key: K,
        value: Any = MISSING,
        *,
        expire_at: datetime | None = None,
        expiration_time: Duration | None | Missing = MISSING,
    ) -> Any:
        """`set` for a task: without a value, invalidate the key and load it anew, by any loader."""
        if value is not MISSING:
            return self.set(key, value, expire_at=expire_at, expiration_time=expiration_time)
        plain = expire_at is None and expiration_time is MISSING
        life = None if plain else self._life(expire_at, expiration_time)
        self.invalidate(key)
        loader = self._load_callback
        if loader is None or (life is not None and life < 0):
            return None
        return await self.aget(key, load=None if life is None else with_life(loader, life))

    @overload
    def peek(self, key: K, default: None = None) -> V | None: ...
    @overload
    def peek(self, key: K, default: V | T) -> V | T: ...
    def peek(self, key: K, default: Any = None) -> Any:
        """Return the value if it is held. Neither loads nor counts as a use."""
        entry, _ = self._living(key)
        return default if entry is None else entry.value

    def expires_in(self, key: K) -> float | None:
        """Return the seconds of life that an entry has left; None if it has no end. KeyError if none is held."""
        entry, now = self._living(key)
        if entry is None:
            raise KeyError(key)
        return None if entry.deadline == inf else entry.deadline - now

    def stats(self) -> Stats:
        """Return what happened so far."""
        size = len(self)  # first, in slices if many have expired meanwhile
        with self._lock:
            return Stats(
                hits=self._count_hits(),
                misses=self._misses + self._count_short_misses(),
                loads=self._loads,
                load_failures=self._load_failures,
                fenced_loads=self._fenced_loads,
                stale_served=self._stale_served,
                evictions=self._store.evictions,
                expirations=self._store.expirations,
                invalidations=self._invalidations + self._count_short_invalidations(),
                size=size,
                capacity=self._capacity,
                implementation=store.implementation,
            )

    def memoize(
        self,
        expiration_time: Duration | None | Missing = MISSING,
        key: Callable[..., Any] | None = None,
        typed: bool = False,
    ) -> "Callable[[Callable[P, T]], Memoized[P, T]]":
        """Decorate a function: its results are kept here, under its qualified name and its arguments.

        `key(*args, **kwargs)` may give something hashable to stand for the arguments. `typed` keeps equal arguments of
        different types apart, such as 3 and 3.0. Functions of one name share their results: two lambdas of one
        function, say, or what two calls of an outer function define.
        """
        from lru_cache.memoize import memoized

        if callable(expiration_time):
            raise TypeError("memoize is called to make a decorator: write @cache.memoize(), with parentheses")
        self._life(None, expiration_time)
        arguments.function("key", key)
        return lambda function: memoized(self, function, expiration_time, key, typed)

    # -- the mapping -------------------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V:
        value = self.get(key, MISSING)
        if value is MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: K, value: V) -> None:
        self._set(key, value, None)

    def __delitem__(self, key: K) -> None:
        if not self.invalidate(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._living(key)[0] is not None

    def __len__(self) -> int:
        while True:
            with self._lock:
                now = self._monotonic()
                if self._store.pass_time(now, SLICE):
                    return self._store.count(now)

    def __iter__(self) -> Iterator[K]:
        """Iterate over the keys held at this moment, least recently used first; whatever happens meanwhile.

        They are collected now, a few at a time, with the lock free in between. What others drop or write during that
        may be among them or not; each key that is held from beginning to end is, once.
        """
        return _each(self._collect(attrgetter("key")))

    def items(self) -> ItemsView[K, V]:
        """Return a view whose iteration is a snapshot as that of the keys is, and neither loads nor touches."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return a view whose iteration is a snapshot as that of the keys is, and neither loads nor touches."""
        return _Values(self)

    @overload
    def pop(self, key: K) -> V: ...
    @overload
    def pop(self, key: K, default: V | T) -> V | T: ...
    def pop(self, key: K, default: Any = MISSING) -> Any:
        """Invalidate a key and return what it held; else `default`, or KeyError without one."""
        gone = self._invalidate(key, self._name(key))
        value = MISSING if gone is None else self._value_of(gone)
        if value is not MISSING:
            return value
        if default is MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Invalidate the least recently used entry, and return it."""
        while True:
            with self._lock:
                gone, found = self._pop_oldest_locked(self._monotonic())
            self._notify(gone)
            if self._sharing is not None:
                self._sharing.send()
            value = self._value_of(gone[-1]) if found else MISSING
            if value is not MISSING:
                return gone[-1][0], value
            if not gone:
                raise KeyError("popitem(): the cache is empty")

    @overload
    def setdefault(self, key: K, default: None = None) -> V | None: ...
    @overload
    def setdefault(self, key: K, default: V) -> V: ...
    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return what is held for a key, else keep `default` and return it. Does not load."""
        while True:
            value = self._use(key)
            if value is MISSING and self._set(key, default, None, if_absent=True):
                value = default
            if value is not MISSING:
                self._notify_of_rest()
                return value

    def _use(self, key: K) -> Any:
        """Return what is held for a key, as one use of it. MISSING: nothing."""
        with self._lock:
            entry = self._living_locked(key, self._monotonic())
            if entry is None:
                return MISSING
            self._count_hit()
            self._store.use(entry)
            return entry.value

    @property
    def maxsize(self) -> int | None:
        """The capacity, by the name that cachetools has for it; None: without bound."""
        return self._capacity

    @property
    def currsize(self) -> int:
        """The number of entries, by the name that cachetools has for it."""
        return len(self)

    @property
    def ttl(self) -> float | None:
        """The life of an entry in seconds, by the name that cachetools has for it; None: without end."""
        return None if self._freshness.life == inf else self._freshness.life

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._held_of_capacity()}>"

    def _held_of_capacity(self) -> str:
        return f"{len(self)} entries" if self._capacity is None else f"{len(self)} of {self._capacity} entries"

    def __reduce__(self) -> Any:
        """Refuse to be copied or pickled: a copy would change its original, or lack its locks and its loads."""
        raise TypeError(
            f"{type(self).__name__} cannot be copied or pickled: take dict(cache.items()), or make another; an object "
            "that holds one leaves it out in __getstate__ or __deepcopy__"
        )

    # -- shared by the above -----------------------------------------------------------------------------------------

    def _life(self, expire_at: datetime | None, expiration_time: Duration | None | Missing) -> float | None:
        """The life that a caller asks for. None: the cache's own. Zero or less: it has ended already."""
        if expire_at is not None:
            if expiration_time is not MISSING:
                raise ValueError("give either expire_at or expiration_time, not both")
            return arguments.moment("expire_at", expire_at) - self._wall_time()
        return None if expiration_time is MISSING else arguments.life("expiration_time", expiration_time)

    def _plain_life(self) -> float | None:
        plain = self._lives_are_plain() and not self._overrides(LRUCache, "_set", "_invalidate")
        return self._freshness.life if plain and not self._keeps_nothing else None

    def _lives_are_plain(self) -> bool:
        """Whether what is set lives for the cache's own life, and nobody is told when it leaves."""
        return not self._freshness.jitter and self._freshness.refresh_time is None and self._on_removal is None

    def _set(self, key: K, value: V, life: float | None, if_absent: bool = False, prepared: Any = None) -> bool:
        """Keep a value; with `if_absent` only if none is held. Whether it was kept."""
        sharing = self._sharing
        if sharing is not None and prepared is None:
            prepared = sharing.prepare(key, value)
        with self._lock:
            now = self._monotonic()
            if if_absent and self._living_locked(key, now) is not None:
                return False
            flight = self._flights.fence(key) if self._flights.running else None
            gone = self._put_locked(key, value, life, now, prepared)
        if flight is not None:
            flight.land(Landing.VALUE, value)  # who waits for the load need not wait any longer
        if self._on_removal is not None:
            self._notify(gone)
        if sharing is not None:
            sharing.send()
        return True

    def _put_locked(self, key: K, value: V, life: float | None, now: float, prepared: Any) -> list[Gone[K, V]]:
        sharing = self._sharing
        if sharing is None:
            return [] if self._keeps_nothing else self._store.put(key, value, now, *self._freshness.ends(now, life))
        version = sharing.set_locked(prepared, now)
        gone = self._store.put(key, value, now, *self._freshness.ends(now, life), version)
        sharing.left_locked(gone)
        if self._keeps_nothing:
            self._remove_locked(key, RemovalCause.EVICTED, now)  # the others are told that the key was written
            return []
        return gone

    def _reload(self, key: K, life: float | None) -> Any:
        self.invalidate(key)
        loader = self._load_callback
        if loader is None or (life is not None and life < 0):
            return None
        if life is None:
            return self.get(key)
        return self.get(key, load=with_life(loader, life))

    def _name(self, key: K) -> Any:
        """Under what name others know a key, which they are to be told of; TypeError if they cannot be told.

        What is held for an equal key may have a name where this one has none: `7`, where `numpy.int64(7)` is given.
        """
        sharing = self._sharing
        if sharing is None:
            return None
        name = sharing.name(key)
        if name is None:
            with self._lock:
                name = sharing.name_of(key, self._store.find(key))
        return name

    def _invalidate(self, key: K, name: Any) -> Gone[K, V] | None:
        """Invalidate a key, of which others know by this name (None: they do not), and return what left if it lived."""
        sharing = self._sharing
        with self._lock:
            now = self._monotonic()
            self._flights.fence(key)
            gone = self._remove_locked(key, RemovalCause.INVALIDATED, now)
            self._invalidations += 1
            if sharing is not None and name is not None:
                sharing.invalidate_locked(name, now)
        self._notify(gone)
        if sharing is not None:
            sharing.send()
        return gone[0] if gone and gone[0][3] is RemovalCause.INVALIDATED else None

    def _pop_oldest_locked(self, now: float) -> tuple[list[Gone[K, V]], bool]:
        """Invalidate the least recently used entry: what left, and whether it is the last of that."""
        gone = self._store.pop_oldest(now)
        found = bool(gone) and gone[-1][3] is RemovalCause.INVALIDATED
        if found:
            self._flights.fence(gone[-1][0])
            self._invalidations += 1
        if self._sharing is not None:
            self._sharing.left_locked(gone)
            if found:
                self._sharing.pop_locked(gone[-1], now)
        return gone, found

    def _value_of(self, gone: Gone[K, V]) -> V | Missing:
        """The value that left; MISSING if it is none that can be handed out."""
        return gone[1]

    def _living(self, key: Any) -> tuple[Entry[K, V] | None, float]:
        """The entry of a key if its life has not ended, and the time at which that was so."""
        with self._lock:
            now = self._monotonic()
            entry = self._living_locked(key, now)
        self._notify_of_rest()
        return entry, now

    def _living_locked(self, key: Any, now: float) -> Entry[K, V] | None:
        entry = self._find_locked(key)
        return entry if entry is not None and now < entry.deadline else None

    def keys_known(self) -> list[K]:
        """The keys that are held or being loaded at this moment."""
        with self._lock:
            loading = dict.fromkeys(self._flights.running)
        slices = self._collect(attrgetter("key"))  # later: what lands meanwhile is in one of both
        return [key for keys in slices for key in keys if not loading or key not in loading] + list(loading)

    def _collect(self, part: "Callable[[Entry[K, V]], T]") -> list[list[T]]:
        """A part of each living entry, least recently used first. In slices, between which the lock is free."""
        with self._lock:
            walk = self._store.walk()
        slices: list[list[T]] = []
        entries: list[Entry[K, V]] | None = None
        while entries is None or entries:
            with self._lock:
                now = self._monotonic()
                entries = walk.next(self._entries_at_once)
                slices.append([part(entry) for entry in entries if self._is_readable_locked(entry, now)])
            self._notify_of_rest()
        return slices

    _entries_at_once = SLICE

    def _is_readable_locked(self, entry: Entry[K, V], now: float) -> bool:
        """Whether an entry lives and has a value that can be handed out."""
        return now < entry.deadline


def _each(slices: list[list[T]]) -> Iterator[T]:
    """Each of them, and let go of what is through. A generator, so that others come to their turn in between."""
    slices.reverse()
    while slices:
        yield from slices.pop()


_unsaid = [store.reason] if store.implementation == "python" else []  # once in a process


def _say_what_is_missing() -> None:
    """Log that all is slower than it could be, if anybody can be listening: who does has imported `logging`."""
    if "logging" in sys.modules:
        try:
            reason = _unsaid.pop()
        except IndexError:
            return  # another thread said it
        logger().info("the parts in C are not used, and all is several times slower: %s", reason)


class _Items(ItemsView[K, V]):
    _mapping: LRUCache[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return _each(self._mapping._collect(attrgetter("key", "value")))

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2:
            return False
        value = self._mapping.peek(item[0], MISSING)
        return value is item[1] or bool(value == item[1])


class _Values(ValuesView[V]):
    _mapping: LRUCache[Any, V]

    def __iter__(self) -> Iterator[V]:
        return _each(self._mapping._collect(attrgetter("value")))

    def __contains__(self, value: object) -> bool:
        return any(held is value or held == value for held in self)
