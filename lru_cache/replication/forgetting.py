"""What is known of keys whose values are gone: how old whatever comes for them must not be. Bounded by design.

A *grave* is the newest set or invalidation of a key that the store does not hold as a set; or, where it holds one, a
write that is older than it by less than the hold. When there are too many, the oldest goes into the *floor* of its
bucket: the newest time forgotten there. So nothing older than what was forgotten is ever taken for news, at the price
of refusing a little that is. This file must not know stores, links or messages.
"""

from collections import OrderedDict
from collections.abc import Iterator
from zlib import crc32

from lru_cache.replication.version import NOTHING, Version

BUCKETS = 16_384
BESIDE_LIMIT = 64  # nodes whose writes of one key are remembered within one hold


def bucket_of(key: bytes) -> int:
    """The bucket of an encoded key, the same on every node."""
    return crc32(key) & (BUCKETS - 1)


class Forgotten:
    """The graveyard and the floors of one node. `hold` is a span of times.

    Beside a grave stand the writes of other nodes that are older by less than the hold. A load may have seen one and
    not the other, so each of them has to be told.
    """

    __slots__ = (
        "_base_changed_at",
        "_beside",
        "_changed_at",
        "_graves",
        "_hold",
        "base",
        "capacity",
        "changes",
        "collected",
        "floors",
    )

    def __init__(self, capacity: int, hold: int) -> None:
        self.capacity = capacity
        self.base = 0  # the floor of all buckets, as the last clear left it
        self.floors: dict[int, int] = {}  # of those buckets in which something newer was forgotten
        self.changes = 0  # of floors, so far
        self.collected = 0  # graves that went into a floor
        self._hold = hold
        self._changed_at: dict[int, int] = {}  # bucket -> `changes` when its floor last did
        self._base_changed_at = 0
        self._graves: OrderedDict[bytes, Version] = OrderedDict()  # oldest burial first
        self._beside: dict[bytes, dict[bytes, int]] = {}  # key -> node -> time, where there is more than the grave

    def __len__(self) -> int:
        return len(self._graves)

    def grave(self, key: bytes) -> Version:
        """The newest set or invalidation of this key that is buried, or NOTHING."""
        return self._graves.get(key, NOTHING)

    def graves(self) -> list[tuple[bytes, Version]]:
        """A snapshot of the graveyard."""
        # Not `items`, for which pairs are made meanwhile: for that the garbage collector may run, and finalizers bury.
        return [(key, version) for key in list(self._graves) if (version := self._graves.get(key)) is not None]

    def floor(self, key: bytes) -> int:
        """The newest time forgotten in this key's bucket."""
        return self.floors.get(bucket_of(key), self.base) if self.floors else self.base

    def versions(self, key: bytes) -> Iterator[Version]:
        """All that is to be told of a grave: itself, and what is recorded beside it."""
        grave = self._graves.get(key)
        if grave is not None:
            yield grave
            for node, time in self._beside.get(key, {}).items():
                if (time, node) != grave:
                    yield Version(time, node)

    def knows(self, key: bytes, version: Version) -> bool:
        """Whether this node's invalidation, or a later one of it, is recorded already."""
        grave = self._graves.get(key, NOTHING)
        known = self._beside.get(key, {}).get(version.node, 0)
        return max(known, grave.time if grave.node == version.node else 0) >= version.time

    def bury(self, key: bytes, version: Version) -> None:
        """Remember this version of a key, and forget the oldest grave if there are too many."""
        graves = self._graves
        # Without a call, for which the garbage collector may run: a finalizer may bury a newer one.
        before = graves[key] if key in graves else NOTHING  # noqa: SIM401
        graves[key] = newest = version if version > before else before  # noqa: FURB136
        self._graves.move_to_end(key)
        if before is not NOTHING:
            self._record_beside(key, before, version, newest)
        while len(self._graves) > self.capacity:
            self._collect()

    def exhume(self, key: bytes, version: Version) -> None:
        """A newer set is held. Its version says all that the grave did, if it is newer by more than the hold."""
        grave = self._graves.get(key)
        if grave is not None and grave.time <= version.time - self._hold:
            del self._graves[key]
            self._beside.pop(key, None)

    def raise_floor(self, bucket: int, time: int) -> None:
        """Nothing in this bucket up to this time is news any more."""
        if time > self.floors.get(bucket, self.base):
            self.floors[bucket] = time
            self.changed(bucket)

    def changed(self, bucket: int) -> None:
        """Something that this floor stands for was forgotten: who was told of it before must be told again.

        Also if it rose no further, since a set that was confirmed then may be what is forgotten now.
        """
        if bucket in self.floors:
            self.changes += 1
            self._changed_at[bucket] = self.changes

    def raise_all(self, time: int) -> None:
        """Nothing up to this time is news any more, whatever the key."""
        if time > self.base:
            self.changes += 1
            self.base = time
            self._base_changed_at = self.changes
            for bucket in list(self.floors):  # one by one: a finalizer may raise others meanwhile
                if self.floors.get(bucket, time) <= time:
                    self.floors.pop(bucket, None)
                    self._changed_at.pop(bucket, None)

    def changed_since(self, changes: int, above: int) -> tuple[int, dict[int, int]]:
        """The base, or 0, and the floors of buckets, that have changed since then and lie above this time."""
        base = self.base if self._base_changed_at > changes and self.base > above else 0
        floors = dict(self.floors)  # a finalizer may raise some meanwhile, or all
        return base, {b: f for b, f in floors.items() if f > above and self._changed_at.get(b, self.changes) > changes}

    def floor_may_add_to(self, newest: Version, key: bytes, changes: int, above: int) -> bool:
        """Whether this key's floor may stand for news that its newest known version does not say.

        It has changed since then, lies above this time, and is not older than that version by the hold. Also newer than
        it: a write that is older than what was forgotten may be buried, or buried again, after that.
        """
        bucket = bucket_of(key)
        changed_at = self._changed_at.get(bucket, self._base_changed_at)
        return changed_at > changes and self.floors.get(bucket, self.base) > max(above, newest.time - self._hold)

    def _record_beside(self, key: bytes, before: Version, version: Version, newest: Version) -> None:
        beside = self._beside.setdefault(key, {})
        for other in (before, version):
            beside[other.node] = max(other.time, beside.get(other.node, 0))
        near = {node: time for node, time in beside.items() if time > newest.time - self._hold}
        if len(near) > BESIDE_LIMIT:
            near = dict(sorted(near.items(), key=lambda item: item[1])[-BESIDE_LIMIT:])
        if len(near) > 1:
            self._beside[key] = near
        else:
            self._beside.pop(key, None)

    def _collect(self) -> None:
        key, version = self._graves.popitem(last=False)
        self._beside.pop(key, None)
        bucket = bucket_of(key)
        self.raise_floor(bucket, version.time)
        self.changed(bucket)
        self.collected += 1
