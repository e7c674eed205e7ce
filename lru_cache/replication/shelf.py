"""A replica's view of the cache's store, with a stamp on every entry. The store stays the cache's.

A key is known here by its *name*, which is how the cache knows it, or by its bytes: to decode them costs as much as all
that a look-up does, so whoever has the name passes it on.

Removals that a replica causes are collected here for the cache to tell of. This file must not know links or messages,
nor decide what is kept.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lru_cache.replication.encoding import decode_key
from lru_cache.replication.forgetting import bucket_of
from lru_cache.replication.short_cuts import Stamp
from lru_cache.store.removal import RemovalCause

if TYPE_CHECKING:
    from lru_cache.store import Entry, Gone, Store

NEVER_FRESH = float("-inf")  # a value that came encoded is decoded by the first who reads it, who must not take a hit


class Shelf:
    """The store, for a replica. Everything here happens under the cache's lock."""

    def __init__(
        self,
        store: "Store[Any, Any]",
        fence: Callable[[Any], object],
        loading: dict[Any, Any],
        encode: Callable[[Any], bytes],
        remote: Any,
    ) -> None:
        self._store = store
        self._fence = fence  # cancels what is being loaded for a key
        self._loading = loading  # by the keys that are being loaded
        self._encode = encode
        self._remote = remote  # the cause of removals that come from here
        self.gone: list[Gone[Any, Any]] = []

    @property
    def capacity(self) -> int:
        """How many entries the store holds at most."""
        return self._store.capacity

    def find(self, key: bytes) -> "Entry[Any, Any] | None":
        """What is held for an encoded key, whatever its age."""
        return self._store.find(decode_key(key))

    def find_named(self, name: Any) -> "Entry[Any, Any] | None":
        """What is held for a key by its name, whatever its age."""
        return self._store.find(name)

    def keep(self, name: Any, stamp: Stamp, now: float, deadline: float) -> "list[Gone[Any, Any]]":
        """Keep a value that came encoded, and return what left for it.

        Always in an entry of its own: who reads without the lock and has just found the old one fresh would else be
        handed bytes.
        """
        held, gone = self._store.find(name), []
        if held is not None:
            name, removed = held.key, self._store.remove(held, RemovalCause.REPLACED, now)
            if removed is not None:
                gone.append(removed)
        gone += self._store.put(name, stamp.payload, now, deadline, NEVER_FRESH, stamp)
        if gone:
            self.gone += gone
        return gone

    def drop(self, entry: "Entry[Any, Any]", now: float) -> None:
        """Take a value away."""
        removed = self._store.remove(entry, self._remote, now)
        if removed is not None:
            self.gone.append(removed)

    def prolong(self, entry: "Entry[Any, Any]", deadline: float) -> None:
        """Give a value another end to its life."""
        self._store.prolong(entry, deadline, min(entry.fresh_until, deadline))

    def entries(self) -> "list[Entry[Any, Any]]":
        """A snapshot, least recently used first."""
        return self._store.entries()

    def fence(self, name: Any) -> None:
        """Whatever is being loaded under this name is too old to keep."""
        self._fence(name)

    def fence_where(self, doomed: Callable[[int], bool]) -> None:
        """Likewise for all keys in such buckets."""
        for key in list(self._loading):
            try:
                bucket = bucket_of(self._encode(key))
            except (TypeError, ValueError):
                continue  # a key that cannot be encoded is nobody else's business
            if doomed(bucket):
                self._fence(key)
