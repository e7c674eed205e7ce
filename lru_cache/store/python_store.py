"""Keeping: entries bounded in number, ordered by use, with an end to their life. The reference for every other store.

`Store` must not know loaders, listeners, locks or the network, and it reads no clock: `now` is an argument. Its owner
holds one lock around every call but those of `ReadPath`, which need none: the dict and the OrderedDict below change in
single C calls that no other thread can interrupt.

A key's `__hash__` and `__eq__`, a finalizer or a signal handler may call the cache again from the middle of any
operation here. (One OrderedDict from keys to values breaks then: it compares keys while half of its links are set.)
So there are two structures, and one of them decides:

- `_index`, a plain dict from key to entry, is the only one that runs a key's code. It may hold *dead* entries.
- `_order`, an OrderedDict of the entries themselves, compares by identity. An entry is in the store if it stands here.
  It comes in when the index has it, and goes out first.

So every entry in `_order` is in `_index` at every point at which a key's code can run, and an entry that only `_index`
knows is absent, whoever meets it. Ctrl-C between two steps of ours may leave such a dead entry, until its key is put.

`clear` puts new structures in the place of both, and leaves the old ones to who frees them.
"""

import itertools
import operator
import sys
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from threading import RLock as Lock
from typing import Any, Generic, TypeVar, overload
from weakref import ref

from lru_cache.store.deadlines import Deadlines, Ticket
from lru_cache.store.removal import Gone, RemovalCause

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
C = TypeVar("C", bound=type)

__all__ = ["Cleared", "Entry", "Lock", "ReadPath", "Store", "Walk", "with_short_cuts"]

DEAD = -inf  # as `fresh_until`: no look-up takes this entry for a plain hit
FREED_AT_ONCE = 1_000  # of what was cleared and nobody wants
MOST_RESTARTS = 100  # of a write whose key clears the store
REAPED_PER_WRITE = 16  # expired entries that one write drops: 10 us at most, and a backlog shrinks 15 times as fast


class Entry(Generic[K, V]):
    """One key with its value. Who reads without the lock reads `fresh_until`, then `value`, then both again."""

    __slots__ = ("deadline", "fresh_until", "key", "retry_at", "ticket", "value", "version")

    def __init__(self, key: K, value: V, version: object, deadline: float) -> None:
        self.key = key
        self.value = value
        self.version = version  # opaque here
        self.deadline = deadline  # its life ends here; it may be retained longer
        self.fresh_until = DEAD  # before this a look-up is a plain hit; after it, somebody has to think
        self.retry_at = DEAD  # after a failed load: do not ask the loader before this
        self.ticket: Ticket | None = None

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, {self.value!r}, deadline={self.deadline!r}, fresh_until={self.fresh_until!r})"


class Walk(Generic[K, V]):
    """Goes through the entries of a store, a few at a time, whatever happens to the store meanwhile.

    Every entry that stays in the store from beginning to end is given once, least recently used first; one that is used
    meanwhile may come later. What comes meanwhile is not given, unless it takes the place of its equal. It always ends.
    """

    def __init__(self, store: "Store[K, V]", entries: list[Entry[K, V]]) -> None:
        self._store = store
        entries.reverse()
        self._entries = entries

    def next(self, limit: int) -> list[Entry[K, V]]:
        """Return the next entries, at most so many; none when it is over."""
        _check_limit(limit)
        found: list[Entry[K, V]] = []
        while self._entries and not found:
            some = self._entries[-limit:]
            del self._entries[-limit:]
            some.reverse()
            found = [held for entry in some if (held := self._store._held_in_place_of(entry)) is not None]
        return found


class Cleared(Generic[K, V]):
    """What was in a store when it was cleared, to be told of or let go, a few at a time. Dropping it lets go of all."""

    def __init__(
        self,
        store: "Store[K, V]",
        order: OrderedDict[Entry[K, V], None],
        index: dict[K, Entry[K, V]],
        deadlines: Deadlines,
        now: float,
    ) -> None:
        self._store = store
        self._order = order
        self._index = index
        self._deadlines = deadlines
        self._now = now

    def __len__(self) -> int:
        return len(self._order)

    def next(self, limit: int) -> list[Gone[K, V]]:
        """Take out the next, least recently used first and at most so many: what left; nothing at the end."""
        _check_limit(limit)
        gone: list[Gone[K, V]] = []
        while len(gone) < limit:
            try:
                entry, _ = self._order.popitem(last=False)
            except KeyError:
                break
            entry.fresh_until = DEAD
            self._deadlines.cancel(entry)
            cause = self._store._cause(entry, RemovalCause.CLEARED, self._now)
            gone.append((entry.key, entry.value, entry.version, cause))
        self._shrink(limit)
        return gone

    def drop(self, limit: int) -> bool:
        """Let go of the next, at most so many. Whether there are more."""
        self.next(limit)
        return bool(self._order)

    def _shrink(self, limit: int) -> None:
        """The index holds the entries too. From its end: that compares no keys."""
        try:
            for _ in range(limit):
                self._index.popitem()
        except KeyError:
            pass

    def __del__(self) -> None:
        while self.drop(FREED_AT_ONCE):  # an entry and its ticket hold each other until the entry is taken out
            pass


class Store(Generic[K, V]):
    """At most `capacity` entries, the least recently used leaving first. What leaves is returned, never called back.

    An entry is retained for `retention` seconds after its deadline, unseen by `count`, for who serves stale values.
    """

    def __init__(self, capacity: int, retention: float = 0.0) -> None:
        self.capacity = capacity
        self.evictions = 0
        self.expirations = 0
        self._retention = retention
        self._index: dict[K, Entry[K, V]] = {}
        self._order: OrderedDict[Entry[K, V], None] = OrderedDict()
        self._deadlines = Deadlines(retention)
        self._read_paths: list[ref[ReadPath[K, V]]] = []

    def __len__(self) -> int:
        """All entries in memory, also those that have expired."""
        return len(self._order)

    def count(self, now: float) -> int:
        """The entries whose life has not ended. Costs as much as `pass_time` has left to do."""
        return max(0, len(self._order) - self._deadlines.count_passed(now))

    def pass_time(self, now: float, limit: int) -> bool:
        """Note whose life has ended, looking at no more than `limit`. Whether that is all, so that `count` is cheap.

        Each entry is noted once, so the work is done with the first who asks after it has expired.
        """
        _check_limit(limit)
        return self._deadlines.pass_time(now, limit)

    def has_due(self, now: float) -> bool:
        """Whether there may be something to reap."""
        return self._deadlines.earliest <= now

    def crowd(self, key: K) -> int:
        """How many entries have this key's hash, itself included; what looks it up compares it with them.

        The store in C counts up to 64. This one cannot see into its dict, and answers 0.
        """
        hash(key)
        return 0

    def find(self, key: K) -> Entry[K, V] | None:
        """The entry for a key, whatever its age. Not a use."""
        entry = self._index.get(key)
        if entry is not None and entry not in self._order:
            entry.fresh_until = DEAD
            return None
        return entry

    def use(self, entry: Entry[K, V]) -> None:
        """Make it the most recently used."""
        if entry in self._order:
            self._order.move_to_end(entry)

    def entries(self) -> list[Entry[K, V]]:
        """A snapshot, least recently used first. For tests and small stores: the longer, the more of them there are."""
        return list(self._order)

    def walk(self) -> Walk[K, V]:
        """Go through the entries, a few at a time.

        This is the one call of the store in Python that takes longer the more entries there are (10 ms at a million):
        it begins with a snapshot. The one in C does not.
        """
        return Walk(self, list(self._order))

    def put(
        self,
        key: K,
        value: V,
        now: float,
        deadline: float = inf,
        fresh_until: float | None = None,
        version: object = None,
    ) -> list[Gone[K, V]]:
        """Keep a value as the most recently used; whatever has expired or finds no room leaves."""
        gone = self.reap(now, REAPED_PER_WRITE)
        clears = 0
        while True:
            index = self._index
            entry = index.get(key)
            if entry is None:
                entry = index.setdefault(key, Entry(key, value, version, deadline))
            # The key's code has run. From here to the end of the loop none does, so `entry` is what the index holds.
            if self._index is not index:  # that code has cleared the store
                clears += 1
                if clears == MOST_RESTARTS:
                    raise RuntimeError("a key changes the cache whenever it is compared")
                continue
            if entry in self._order:
                self._order.move_to_end(entry)
                gone.append((entry.key, entry.value, entry.version, self._cause(entry, RemovalCause.REPLACED, now)))
                break
            if len(self._order) < self.capacity:
                self._order[entry] = None
                break
            gone += self._pop_first(RemovalCause.EVICTED, now)
        entry.fresh_until = DEAD  # while the rest changes: who reads without the lock looks at it before and after
        entry.value = value
        entry.version = version
        entry.deadline = deadline
        entry.retry_at = DEAD
        if entry.ticket is None or deadline < entry.ticket:
            self._deadlines.schedule(entry)
        entry.fresh_until = deadline if fresh_until is None else fresh_until
        return gone

    def prolong(self, entry: Entry[K, V], deadline: float, fresh_until: float) -> None:
        """Give an entry another end to its life, later or earlier. One that has left stays dead."""
        entry.deadline = deadline
        entry.retry_at = DEAD
        if entry in self._order:
            self._deadlines.schedule(entry)
            entry.fresh_until = fresh_until

    def remove(self, entry: Entry[K, V], cause: RemovalCause, now: float) -> Gone[K, V] | None:
        """Take an entry out. None if it has left already."""
        entry.fresh_until = DEAD
        if entry not in self._order:
            return None
        del self._order[entry]
        return self._left(entry, cause, now)

    def pop_oldest(self, now: float, limit: int = REAPED_PER_WRITE) -> list[Gone[K, V]]:
        """Take out the least recently used entry that lives, as invalidated. Expired ones that stood before it go too,
        and stand before it in the list; at most so many, after which it is to be called again.
        """
        gone: list[Gone[K, V]] = []
        while self._order and len(gone) < limit:
            gone += self._pop_first(RemovalCause.INVALIDATED, now)
            if gone and gone[-1][3] is RemovalCause.INVALIDATED:
                break
        return gone

    def reap(self, now: float, limit: int | None = None) -> list[Gone[K, V]]:
        """Drop entries whose life and retention have passed, looking at no more than `limit`."""
        gone: list[Gone[K, V]] = []
        if self._deadlines.earliest > now:
            return gone
        for entry in self._deadlines.due(now, limit):
            removed = self.remove(entry, RemovalCause.EXPIRED, now)
            if removed is not None:
                gone.append(removed)
            else:  # Ctrl-C came after it had left, and before it was cancelled
                self._deadlines.cancel(entry)
        return gone

    def clear(self, now: float) -> Cleared[K, V]:
        """Drop everything at once, and return it to be told of or let go. Expirations are counted as that goes on."""
        cleared = Cleared(self, self._order, self._index, self._deadlines, now)
        order: OrderedDict[Entry[K, V], None] = OrderedDict()
        index: dict[K, Entry[K, V]] = {}
        self._order, self._index, self._deadlines = order, index, Deadlines(self._retention)
        self._read_paths = [each for each in self._read_paths if each() is not None]
        for each in self._read_paths:
            read_path = each()
            if read_path is not None:
                read_path._follow(self)
        return cleared

    def _held_in_place_of(self, entry: Entry[K, V]) -> Entry[K, V] | None:
        """Find an entry, or if it has left its equal that came meanwhile."""
        if entry in self._order:
            return entry
        try:
            return self.find(entry.key)
        except Exception:  # noqa: BLE001 - a key that no longer hashes or compares is absent
            return None

    def _pop_first(self, cause: RemovalCause, now: float) -> list[Gone[K, V]]:
        try:
            entry, _ = self._order.popitem(last=False)
        except KeyError:
            return []  # foreign code was quicker
        entry.fresh_until = DEAD
        return [self._left(entry, cause, now)]

    def _left(self, entry: Entry[K, V], cause: RemovalCause, now: float) -> Gone[K, V]:
        """Tidy up after an entry that has left `_order`."""
        self._deadlines.cancel(entry)
        gone = (entry.key, entry.value, entry.version, self._cause(entry, cause, now))
        lost = None
        try:
            popped = self._index.pop(entry.key, None)
            if popped is not None and popped in self._order:  # brought back, by code that comparing ran
                lost = popped
                if self._index.setdefault(popped.key, popped) is popped:  # else that brought another in its place
                    lost = None
        except Exception:  # noqa: BLE001, S110 - a key that no longer hashes or compares: a dead entry stays, and is absent
            pass
        if lost is not None:
            self._order.pop(lost, None)
            self._deadlines.cancel(lost)
        return gone

    def _cause(self, entry: Entry[K, V], cause: RemovalCause, now: float) -> RemovalCause:
        """What takes an entry whose life has ended already has come too late to be the cause."""
        if entry.deadline <= now:
            cause = RemovalCause.EXPIRED
            self.expirations += 1
        elif cause is RemovalCause.EVICTED:
            self.evictions += 1
        return cause


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError("limit must be at least 1")


class ReadPath(Generic[K, V]):
    """The hit: `get` for a cache that keeps its entries in a store. A base class, so that a native store can bring a
    native `get`. It takes no lock, and leaves everything but a plain hit to `_miss`.

    Replaced while being read: the entry is not fresh while its value changes, so a value that was there while
    `fresh_until` stayed what it was is that one's. (Else a value that came encoded, and is never fresh, could be taken
    for a hit.) That it is still there is looked at too, since two lives without end have one `fresh_until`. Removed
    while being read: `_miss` looks again.
    """

    def __init__(self, store: Store[K, V], monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._missing: object = None
        # Counts hits down, exactly and without a lock: `next` is one step to other threads. It makes no object, where
        # an int would cost 10 to 80 ns more.
        self._hits_left = itertools.repeat(None, sys.maxsize)
        self._follow(store)
        store._read_paths.append(ref(self))

    def _follow(self, store: Store[K, V]) -> None:
        """Read what is the store's from here on. A hit in progress ends as if it had come before."""
        # All that a hit needs, in one attribute: loading four costs it a tenth.
        self._hit_tools = (store._index, self._monotonic, store._order.move_to_end, self._hits_left)

    @overload
    def get(self, key: K, default: None = None, *, load: Callable[[K], Any] | None = None) -> V | None: ...
    @overload
    def get(self, key: K, default: V, *, load: Callable[[K], Any] | None = None) -> V: ...
    @overload
    def get(self, key: K, default: T, *, load: Callable[[K], Any] | None = None) -> V | T: ...
    def get(self, key: K, default: Any = None, *, load: Callable[[K], Any] | None = None) -> Any:
        """Return the value of a key; on a miss what the loader answers, which is then kept; else `default`."""
        index, monotonic, use, hits_left = self._hit_tools
        try:
            entry = index[key]
            fresh_until = entry.fresh_until
            if monotonic() < fresh_until:
                use(entry)
                value = entry.value
                if entry.fresh_until is fresh_until and entry.value is value:
                    next(hits_left)
                    return value
        except KeyError:
            pass  # absent, or gone since it was found; if the key's own code raised this, it will do so again
        return self._miss(key, default, load)

    def _hit(self, key: K) -> Any:
        """The value of a plain hit, which is counted and used; else MISSING, as `_allow_short_cuts` was given it."""
        index, monotonic, use, hits_left = self._hit_tools
        try:
            entry = index[key]
            fresh_until = entry.fresh_until
            if monotonic() < fresh_until:
                use(entry)
                value = entry.value
                if entry.fresh_until is fresh_until and entry.value is value:
                    next(hits_left)
                    return value
        except KeyError:
            pass
        return self._missing

    def _count_hit(self) -> None:
        next(self._hits_left)

    def _count_hits(self) -> int:
        return sys.maxsize - operator.length_hint(self._hits_left)

    def _count_short_misses(self) -> int:
        """The misses that `get` answered by itself, without `_miss`."""
        return 0

    def _count_short_invalidations(self) -> int:
        """The invalidations that a native store did by itself."""
        return 0

    def _allow_short_cuts(
        self,
        lock: Any,  # noqa: ARG002 - for a native store
        loading: dict[Any, Any],  # noqa: ARG002
        missing: object,
        misses: bool,  # noqa: ARG002
        life: float | None,  # noqa: ARG002
        write: Callable[[K, V], bool] | None = None,  # noqa: ARG002
    ) -> None:
        """Say what `get` and the writes of a native store may do by themselves. This store does nothing of it, but
        answers `_hit` with `missing`.

        - `misses`: a look-up of what is absent is answered with the default, where nothing is due.
        - `life`: a plain write happens without the lock, if nobody holds it and nothing is in `loading`. What is set
          lives for so many seconds. None: no write does.
        - `write`: called with the key and the value of a plain `set`, instead; it returns whether it has kept them. If
          not, `set` in Python is called.

        A write is plain if nothing but a key and a value is given; `missing` stands for no value.
        """
        self._missing = missing

    def _miss(self, key: K, default: Any, load: Callable[[K], Any] | None) -> Any:
        raise NotImplementedError


def with_short_cuts(cls: C) -> C:
    """Decorate a cache: on a native store its look-ups and plain writes run no Python frame where possible."""
    return cls
