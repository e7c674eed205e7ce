"""What is known of keys whose values are gone: how old whatever comes for them must not be. Bounded by design.

A *grave* is the newest set or invalidation of a key that the store does not hold as a set; or, where it holds one, a
write that is older than it by less than the hold. When there are too many, the oldest goes into the *floor* of its
bucket: the newest time forgotten there. So nothing older than what was forgotten is ever taken for news, at the price
of refusing a little that is. This file must not know stores, links or messages.
"""

from zlib import crc32

from lru_cache.replication.encoding import PAIR, plain_start

from .burials import Burials, Grave, grave_of
from .version import NOTHING, Version, version_of

BUCKETS = 16_384
BESIDE_LIMIT = 64  # nodes whose writes of one key are remembered within one hold
_MASK = BUCKETS - 1
_PAIR = PAIR


def bucket_of(key: bytes) -> int:
    """The bucket of an encoded key, the same on every node, and in all versions of an application's data."""
    if len(key) > 3 and key[0] == _PAIR:
        key = key[plain_start(key) :]
    return crc32(key) & _MASK


class Forgotten:
    """The graveyard and the floors of one node. `hold` is a span of times.

    Beside a grave stand the writes of other nodes that are older by less than the hold. A load may have seen one and
    not the other, so each of them has to be told.
    """

    __slots__ = (
        "_base_changed_at",
        "_beside",
        "_burials",
        "_changed_at",
        "_error",
        "_graves",
        "_hold",
        "_is_lowering",
        "_latest",
        "_lowered_by",
        "_present",
        "base",
        "capacity",
        "changes",
        "collected",
        "floors",
    )

    def __init__(self, capacity: int, hold: int, slice_: int = 512) -> None:
        self.capacity = capacity
        self.base = 0  # the floor of all buckets, as the last clear left it
        self.floors: dict[int, int] = {}  # of those buckets in which something newer was forgotten
        self.changes = 0  # of floors, so far
        self.collected = 0  # graves that went into a floor
        self._hold = hold
        self._changed_at: dict[int, int] = {}  # bucket -> `changes` when its floor last did
        self._base_changed_at = 0
        self._graves: dict[bytes, Grave] = {}
        self._burials = Burials(slice_)
        self._beside: dict[bytes, dict[bytes, int]] = {}  # key -> node -> time, where there is more than the grave
        self._is_lowering = False  # what is misdated is being dated anew
        self._latest = self._error = self._present = 0  # see `begin_to_lower`
        self._lowered_by = b""

    def __len__(self) -> int:
        return len(self._graves)

    def grave(self, key: bytes) -> Version:
        """The newest set or invalidation of this key that is buried, or NOTHING."""
        if not self._graves:
            return NOTHING
        grave = self._graves.get(key)
        return NOTHING if grave is None else grave.version

    def slice(self, number: int) -> tuple[list[Grave], int]:
        """Some of the graves, and the number of the next slice, -1 after the last; begin with 0.

        Every grave that is there from the first to the last is in one of them.
        """
        return self._burials.slice(number)

    def graves(self) -> list[tuple[bytes, Version]]:
        """A snapshot of the graveyard, oldest burial first."""
        found: list[tuple[bytes, Version]] = []
        graves, number = self._burials.slice(0)
        while number >= 0:
            found += [(grave.key, grave.version) for grave in graves]
            graves, number = self._burials.slice(number)
        return found

    def floor(self, key: bytes) -> int:
        """The newest time forgotten in this key's bucket."""
        return self.floors.get(bucket_of(key), self.base) if self.floors else self.base

    def versions(self, key: bytes) -> list[Version]:
        """All that is to be told of a grave: itself, and what is recorded beside it."""
        found: list[Version] = []
        grave = self.grave(key)
        if grave is not NOTHING:
            found.append(grave)
            if self._beside:
                for node, time in self._beside.get(key, {}).items():
                    if node != grave.node or time != grave.time:
                        found.append(version_of(time, node))
        return found

    def knows(self, key: bytes, version: Version) -> bool:
        """Whether this node's invalidation, or a later one of it, is recorded already."""
        grave = self.grave(key)
        known = self._beside.get(key, {}).get(version.node, 0)
        return max(known, grave.time if grave.node == version.node else 0) >= version.time

    def bury(self, key: bytes, version: Version) -> None:
        """Remember this version of a key, and forget the oldest grave if there are too many."""
        graves = self._graves
        if self._is_lowering:  # else what is about to be dated anew would look newer than this
            version = self.lowered(version)
            if key in graves:
                self.lower(graves[key])
        grave = grave_of(key, version)
        self._burials.add(grave)
        # No call until it is the key's grave, after which a finalizer could run and bury a newer version.
        old = graves[key] if key in graves else None  # noqa: SIM401
        if old is not None:
            before = old.version
            if before.time > version.time or (before.time == version.time and before.node > version.node):
                grave.version = before
        graves[key] = grave
        if old is not None:
            self._burials.remove(old)
            self._record_beside(key, old.version, version, grave.version)
        if grave.is_open:  # a finalizer buried so much that this one was the oldest, before it was the key's
            grave.is_open = False
            self._burials.add(grave)
        while len(graves) > self.capacity:
            self._collect()

    def exhume(self, key: bytes, version: Version) -> None:
        """A newer set is held. Its version says all that the grave did, if it is newer by more than the hold."""
        graves = self._graves
        if key not in graves:
            return
        grave = graves[key]
        if grave.version.time <= version.time - self._hold:
            del graves[key]  # before any call: see `bury`
            self._burials.remove(grave)
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

    def begin_to_lower(self, latest: int, error: int, present: int, node: bytes, right_base: int) -> None:
        """A clock was ahead by this span: until `end_lowering`, what is after that time is dated anew, as this node's.

        Floors now: the base is the time of a clear, and `right_base` what it was before any that was misdated; but in a
        bucket's floor there may be writes by right clocks, too.
        Graves one by one, by `lower`, and each that is buried or collected meanwhile.
        """
        self._latest, self._error, self._present, self._lowered_by = latest, error, present, node
        self._is_lowering = True
        if self.base > latest:
            self.base = max(min(self.base - error, present), min(right_base, latest))
        for bucket, floor in list(self.floors.items()):
            if floor > present:
                self.floors[bucket] = present

    def end_lowering(self) -> None:
        """All graves were lowered."""
        self._is_lowering = False

    def is_misdated(self, version: Version) -> bool:
        """Whether this is to be dated anew. What was written since is not."""
        return version.time > self._latest and version.node != self._lowered_by

    def lowered(self, version: Version) -> Version:
        """What is misdated, as it is dated anew; anything else as it is."""
        if not self.is_misdated(version):
            return version
        return version_of(min(version.time - self._error, self._present), self._lowered_by)

    def lower(self, grave: Grave) -> None:
        """Date a grave anew."""
        grave.version = self.lowered(grave.version)
        beside = self._beside.get(grave.key)
        if beside is not None:
            versions = [self.lowered(version_of(time, node)) for node, time in beside.items()]
            self._beside[grave.key] = {version.node: version.time for version in sorted(versions)}

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
            near = dict(sorted(near.items(), key=_time_of_pair)[-BESIDE_LIMIT:])
        if len(near) > 1:
            self._beside[key] = near
        else:
            self._beside.pop(key, None)

    def _collect(self) -> None:
        grave = self._burials.pop_oldest()
        key = grave.key
        if self._graves.get(key) is not grave:
            return  # it is about to be its key's: see `bury`
        if self._is_lowering:
            self.lower(grave)
        del self._graves[key]
        if self._beside:
            self._beside.pop(key, None)
        bucket = bucket_of(key)
        self.raise_floor(bucket, grave.version.time)
        self.changed(bucket)
        self.collected += 1


def _time_of_pair(pair: tuple[bytes, int]) -> int:
    return pair[1]
