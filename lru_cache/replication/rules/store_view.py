"""A replica's view of the cache's store, with a stamp on every entry that can be told. The store stays the cache's.

A key is known here by its *name*, which is how the cache knows it, or by its bytes: to decode them costs as much as all
that a look-up does, so whoever has the name passes it on.

The bytes of a key begin with the version of the application's data, if it has one. What comes of other versions, or
with keys that lack a codec here, is kept in a store of its own, to be passed on: the cache never sees it, and it takes
no room from what the cache has.

Removals that a replica causes are collected here for the cache to tell its listener of. This file must not know links
or messages, nor decide what is kept.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding import (
    ANY_KEYS,
    MAXIMUM_KEY_BYTES,
    OF_ALL_VERSIONS,
    Keys,
    OpaqueKey,
    encode_version,
    plain_start,
)
from lru_cache.store.removal import RemovalCause

from .forgetting import bucket_of
from .stamp import Stamp
from .texts import bytes_of_key, key_of

if TYPE_CHECKING:
    from lru_cache.store import Entry, Gone, Store

NEVER_FRESH = float("-inf")  # a value that came encoded is decoded by the first who reads it, who must not take a hit
_REPLACED, _REMOTE = RemovalCause.REPLACED, RemovalCause.REMOTE
_NEVER_FRESH = NEVER_FRESH
MOST_REAPED = 1_000  # at a time: less than a millisecond
MOST_VERSIONS = 256  # of the data at a time, of which values are kept; for each an invalidation looks once
_CROWD = 64  # keys of one hash, each of which a look-up may have to compare


class StoreView:
    """The store, for a replica. Everything here happens under the cache's lock."""

    __slots__ = (
        "_decode_key", "_encode_key", "_fence", "_find", "_generation", "_gone", "_loading", "_others", "_prefix",
        "_put", "_remove", "_store", "_versions", "has_met_versions",
    )  # fmt: skip

    def __init__(
        self,
        store: "Store[Any, Any]",
        fence: Callable[[Any], object],
        loading: dict[Any, Any],
        version: int | str | None = None,
        keys: Keys = ANY_KEYS,
    ) -> None:
        self._store = store
        self._encode_key, self._decode_key = keys.encode, keys.decode
        self._find, self._put, self._remove = store.find, store.put, store.remove
        self._fence = fence  # cancels what is being loaded for a key
        self._loading = loading  # by the keys that are being loaded
        self._generation = 1  # of what is held; another after all was cleared
        self._gone: list[Gone[Any, Any]] = []
        self._prefix = b"" if version is None else encode_version(version)
        self._others: Store[Any, Any] | None = None  # what the cache cannot ask for, as of other versions
        self._versions: dict[bytes, int] = {}  # how many entries there are of each version, by what begins their keys
        self.has_met_versions = version is not None  # whether any has been heard of, ours included

    @property
    def capacity(self) -> int:
        """How many entries the store holds at most."""
        return self._store.capacity

    def find(self, key: bytes) -> "Entry[Any, Any] | None":
        """What is held for an encoded key, whatever its age."""
        return self.find_named(self.name_of(key))

    def find_named(self, name: Any) -> "Entry[Any, Any] | None":
        """What is held for a key by its name, whatever its age."""
        if self._others is not None and type(name) is OpaqueKey:
            return self._others.find(name)
        return self._find(name)

    # -- versions of the application's data --------------------------------------------------------------------------

    def bytes_of(self, name: Any) -> bytes:
        """The bytes of a key of this node's version."""
        key = bytes_of_key(name, self._encode_key)
        if not self._prefix:
            return key
        key = self._prefix + key
        if len(key) > MAXIMUM_KEY_BYTES:
            raise ValueError(
                f"key and version take {len(key)} bytes, more than the {MAXIMUM_KEY_BYTES} that a key may have"
            )
        return key

    def name_of(self, key: bytes) -> Any:
        """The name of a key: what the cache has for one of its version, an `OpaqueKey` for any other."""
        if not self._prefix:
            name = key_of(key, self._decode_key)
            if type(name) is OpaqueKey and plain_start(key):
                self.has_met_versions = True
            return name
        if not key.startswith(self._prefix):
            name = key_of(key, self._decode_key)
            return name if type(name) is OpaqueKey else OpaqueKey(key)
        plain = key[len(self._prefix) :]
        name = key_of(plain, self._decode_key)
        if type(name) is not OpaqueKey:
            return name
        if plain_start(plain):
            raise ProtocolError("a key of two versions")
        return OpaqueKey(key)

    def key_of_all(self, key: bytes) -> bytes:
        """The key that tells all versions what is told of one; the key itself where no version has been heard of."""
        return OF_ALL_VERSIONS + key[plain_start(key) :] if self.has_met_versions else key

    def key_meant(self, key: bytes) -> bytes | None:
        """Our key that is meant as well, where one of all versions, or of none, is invalidated."""
        if not self.has_met_versions or _is_of_one_version(key):
            return None
        ours = self._prefix + key[plain_start(key) :]
        return ours if ours != key else None

    def others_meant(self, key: bytes) -> "list[Entry[Any, Any]]":
        """What is held of other versions and meant as well, likewise."""
        if self._others is None or _is_of_one_version(key):
            return []
        key = key[plain_start(key) :]
        found = [self._others.find(OpaqueKey(prefix + key)) for prefix in list(self._versions)]
        return [entry for entry in found if entry is not None]

    def reap_others(self, now: float) -> "list[Gone[Any, Any]]":
        """Drop some of what has expired of other versions, and return it: the cache reaps its own alone."""
        if self._others is None:
            return []
        gone = self._others.reap(now, MOST_REAPED)
        for each in gone:
            self._count_version(each[0], -1)
        return gone

    def has_others(self) -> bool:
        """Whether anything of other versions may be held."""
        return self._others is not None

    def _store_of(self, entry: "Entry[Any, Any]") -> "Store[Any, Any]":
        others = self._others
        return self._store if others is None or type(entry.key) is not OpaqueKey else others

    def _keep_other(
        self, held: "Entry[Any, Any] | None", name: OpaqueKey, stamp: Stamp, now: float, deadline: float
    ) -> "list[Gone[Any, Any]]":
        """Keep a value of another version. What leaves for it nobody is told of."""
        if self._others is None:
            self._others = type(self._store)(self._store.capacity)
        gone: list[Gone[Any, Any]] = []
        if held is not None:
            removed = self._others.remove(held, _REPLACED, now)
            if removed is not None:
                gone.append(removed)
        self.note_held(stamp, deadline)
        gone += self._others.put(name, stamp.payload, now, deadline, _NEVER_FRESH, stamp)
        self._count_version(name, 1)
        for each in gone:
            self._count_version(each[0], -1)
        return gone

    def _count_version(self, name: OpaqueKey, change: int) -> None:
        prefix = name.prefix
        count = self._versions.get(prefix, 0) + change
        if count:
            self._versions[prefix] = count
        else:
            del self._versions[prefix]

    # -- what is held ------------------------------------------------------------------------------------------------

    def is_crowded(self, name: Any) -> bool:
        """Whether so many keys with the hash of this one are held that one more is not to be taken from a peer.

        The hashes of texts and bytes nobody can choose; those of numbers and what is made of them, anybody.
        """
        kind = type(name)
        if kind is str or kind is bytes:
            return False
        if kind is OpaqueKey:  # of which nobody can choose the hash
            return len(self._versions) >= MOST_VERSIONS and name.prefix not in self._versions
        return self._store.crowd(name) >= _CROWD

    def keep(
        self, held: "Entry[Any, Any] | None", name: Any, stamp: Stamp, now: float, deadline: float
    ) -> "list[Gone[Any, Any]] | None":
        """Keep a value that came encoded, in the place of what is held for its key, and return what left for it.

        Always in an entry of its own: who reads without the lock and has just found the old one fresh would else be
        handed bytes.
        """
        if type(name) is OpaqueKey:
            return self._keep_other(held, name, stamp, now, deadline)
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
        store = self._store_of(entry)
        removed = store.remove(entry, _REMOTE, now)
        if removed is not None:
            stamp = removed[2]
            if isinstance(stamp, Stamp):
                stamp.held_in = 0
            if store is self._store:
                self._gone.append(removed)
            else:
                self._count_version(removed[0], -1)

    def prolong(self, entry: "Entry[Any, Any]", deadline: float) -> None:
        """Give a value another end to its life."""
        self._store_of(entry).prolong(entry, deadline, min(entry.fresh_until, deadline))

    def walk(self) -> Any:
        """All that is held, in slices: `next(limit)` gives entries, none at the end."""
        return self._store.walk() if self._others is None else _Walks([self._store.walk(), self._others.walk()])

    def count(self) -> int:
        """How many entries there are."""
        return len(self._store) + (0 if self._others is None else len(self._others))

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
                bucket = bucket_of(bytes_of_key(key, self._encode_key))  # the same with a version
            except (TypeError, ValueError):
                continue  # a key that cannot be encoded is in no bucket
            if is_doomed(bucket):
                self._fence(key)


def _is_of_one_version(key: bytes) -> bool:
    """Whether a key is of one version of the data; else it is of all, or of none."""
    return plain_start(key) > 0 and not key.startswith(OF_ALL_VERSIONS)


class _Walks:
    """Several stores' walks, one after the other."""

    def __init__(self, walks: list[Any]) -> None:
        self._walks = walks

    def next(self, limit: int) -> "list[Entry[Any, Any]]":
        """The next entries, at most so many; none when it is over."""
        found: list[Entry[Any, Any]] = []
        while self._walks and not found:
            found = self._walks[0].next(limit)
            if not found:
                del self._walks[0]
        return found
