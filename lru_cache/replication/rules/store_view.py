"""A replica's view of the cache's store, with a stamp on every entry that can be told. The store stays the cache's.

A key is known here by its *name*, which is how the cache knows it, or by its bytes: to decode them costs as much as all
that a look-up does, so whoever has the name passes it on.

Removals that a replica causes are collected here for the cache to tell its listener of. This file must not know links
or messages, nor decide what is kept.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lru_cache.store.removal import RemovalCause

from .forgetting import bucket_of
from .stamp import Stamp
from .texts import bytes_of_key, key_of

if TYPE_CHECKING:
    from lru_cache.store import Entry, Gone, Store

NEVER_FRESH = float("-inf")  # a value that came encoded is decoded by the first who reads it, who must not take a hit
_REPLACED, _REMOTE = RemovalCause.REPLACED, RemovalCause.REMOTE
_NEVER_FRESH = NEVER_FRESH
_CROWD = 64  # keys of one hash, each of which a look-up may have to compare


class StoreView:
    """The store, for a replica. Everything here happens under the cache's lock."""

    __slots__ = ("_fence", "_find", "_generation", "_gone", "_loading", "_put", "_remove", "_store")

    def __init__(
        self,
        store: "Store[Any, Any]",
        fence: Callable[[Any], object],
        loading: dict[Any, Any],
    ) -> None:
        self._store = store
        self._find, self._put, self._remove = store.find, store.put, store.remove
        self._fence = fence  # cancels what is being loaded for a key
        self._loading = loading  # by the keys that are being loaded
        self._generation = 1  # of what is held; another after all was cleared
        self._gone: list[Gone[Any, Any]] = []

    @property
    def capacity(self) -> int:
        """How many entries the store holds at most."""
        return self._store.capacity

    def find(self, key: bytes) -> "Entry[Any, Any] | None":
        """What is held for an encoded key, whatever its age."""
        return self._find(key_of(key))

    def find_named(self, name: Any) -> "Entry[Any, Any] | None":
        """What is held for a key by its name, whatever its age."""
        return self._find(name)

    def is_crowded(self, name: Any) -> bool:
        """Whether so many keys with the hash of this one are held that one more is not to be taken from a peer.

        The hashes of texts and bytes nobody can choose; those of numbers and what is made of them, anybody.
        """
        kind = type(name)
        return kind is not str and kind is not bytes and self._store.crowd(name) >= _CROWD

    def keep(
        self, held: "Entry[Any, Any] | None", name: Any, stamp: Stamp, now: float, deadline: float
    ) -> "list[Gone[Any, Any]] | None":
        """Keep a value that came encoded, in the place of what is held for its key, and return what left for it.

        Always in an entry of its own: who reads without the lock and has just found the old one fresh would else be
        handed bytes.
        """
        gone = None
        if held is not None:
            name = held.key
            removed = self._remove(held, _REPLACED, now)
            if removed is not None:
                gone = [removed]
        self.note_held(stamp, deadline)
        left = self._put(name, stamp.payload, now, deadline, _NEVER_FRESH, stamp)
        if left:
            gone = left if gone is None else gone + left
        if gone is not None:
            self._gone += gone
        return gone

    def put(self, name: Any, value: Any, stamp: Stamp, now: float, deadline: float, fresh_until: float) -> Any:
        """Keep a value that was told or loaded here, and return what left for it; the cache tells of that."""
        self.note_held(stamp, deadline)
        return self._put(name, value, now, deadline, fresh_until, stamp)

    def note_held(self, stamp: Stamp, deadline: float) -> None:
        """Its value is about to be in the store, until then."""
        stamp.held_in = self._generation
        stamp.deadline = deadline

    def is_held(self, stamp: Stamp) -> bool:
        """Whether its value is in the store for certain, until the deadline that it says."""
        return stamp.held_in == self._generation

    def all_left(self) -> None:
        """The store was cleared."""
        self._generation += 1

    def drop(self, entry: "Entry[Any, Any]", now: float) -> None:
        """Take a value away."""
        removed = self._remove(entry, _REMOTE, now)
        if removed is not None:
            stamp = removed[2]
            if isinstance(stamp, Stamp):
                stamp.held_in = 0
            self._gone.append(removed)

    def prolong(self, entry: "Entry[Any, Any]", deadline: float) -> None:
        """Give a value another end to its life."""
        self._store.prolong(entry, deadline, min(entry.fresh_until, deadline))

    def entries(self) -> "list[Entry[Any, Any]]":
        """A snapshot, least recently used first."""
        return self._store.entries()

    def walk(self) -> Any:
        """All that is held, in slices: `next(limit)` gives entries, none at the end."""
        return self._store.walk()

    def count(self) -> int:
        """How many entries there are."""
        return len(self._store)

    def pop_gone(self) -> "list[Gone[Any, Any]]":
        """What left because of what came, since this was last asked: for the cache to tell its listener."""
        if not self._gone:
            return []
        gone, self._gone = self._gone, []
        return gone

    def fence(self, name: Any) -> None:
        """Whatever is being loaded under this name is too old to keep."""
        if self._loading:
            self._fence(name)

    def fence_all(self) -> None:
        """Likewise for all keys."""
        for key in list(self._loading):
            self._fence(key)

    def fence_where(self, is_doomed: Callable[[int], bool]) -> None:
        """Likewise for all keys in such buckets."""
        for key in list(self._loading):
            try:
                bucket = bucket_of(bytes_of_key(key))
            except (TypeError, ValueError):
                continue  # a key that cannot be encoded is in no bucket
            if is_doomed(bucket):
                self._fence(key)
