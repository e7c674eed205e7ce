"""Telling a neighbour what it may lack: a cursor over what was known at one moment, taken a slice at a time.

First the values and graves that the neighbour's `seen` does not cover; then the announcement of what was forgotten,
with the sets still held; then `seen`, as it was at that moment. What happens later goes through the outbox. Values go
before the announcement so that a set which only a floor of ours stands above is taken, and then confirmed.

A neighbour that has everything but some news is told of those keys alone, with the hops that each had crossed. Should
some of the news be in a floor, or an announcement be among what it lacks, one follows. To tell it more, or with hops
that begin anew, would keep alive what a dead node left behind, which no `seen` covers.

This file must not know how anything is sent or merged.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .forgetting import BUCKETS, Forgotten, bucket_of
from .messages import FloorRange
from .origins import Origins
from .outbox import Notice
from .stamp import Stamp
from .store_view import StoreView
from .sweep import Sweep
from .version import NOTHING, Version

if TYPE_CHECKING:
    from lru_cache.store import Entry

CHUNK_BYTES = 65_536  # of an announcement, about: a millisecond for who makes it and for who takes it
LONGEST_BUCKET_BYTES = 262_144
CONFIRMED_BYTES = 24  # of a confirmed set, beside its key
FOREVER = 1 << 64


class Resync:
    """One pass. `peer_seen` may grow meanwhile: what has become covered is left out.

    It goes through what is held, then the graves, then the floors, as they are when it comes there. What is held leaves
    for a grave only, and a grave for a floor: so nothing slips through between the slices.
    """

    def __init__(
        self,
        store: StoreView,
        forgotten: Forgotten,
        origins: Origins,
        sweep: Sweep,
        peer_seen: dict[bytes, int],
        stable_time: Callable[[dict[bytes, int]], int],
        changes_told: int,
        peer_capacity: int,
        slice_: int,
        seen: dict[bytes, int],
        keys: dict[bytes, int] | None,
        is_announcing: bool,
        is_graft: bool = False,
    ) -> None:
        self.seen = seen  # as it was before anybody looked for keys
        self.heard: dict[bytes, int] = {}  # what the floors may stand for; there before them
        self.is_whole = keys is None
        self.is_graft = is_graft  # nothing but what was kept from the neighbour; its outbox goes on
        self.is_announcing = is_announcing or keys is None  # or once it finds a key whose news may be in a floor
        self.changes = changes_told  # of floors: those up to this one have been announced
        self.left_out = 0  # loads that the neighbour has no room for
        self.looked_at = 0  # entries and graves, so far, whether or not they were to be told
        self._peer_seen = peer_seen
        self._peer_capacity = peer_capacity
        self._store = store
        self._keys = keys or {}  # and their hops
        self._forgotten = forgotten
        self._origins = origins
        self._sweep = sweep
        self._slice = slice_
        self._changes_told = changes_told
        self._stable_time = stable_time
        self._stable = stable_time(peer_seen)
        self._todo: deque[Stamp] = deque()
        self._steps = self._run()

    def next(self) -> "Notice | list[FloorRange] | None":
        """The next key to tell, the next chunk of the announcement, or None for a step that found nothing.

        StopIteration at the end, when `seen` is to be sent.
        """
        return next(self._steps)

    def __len__(self) -> int:
        """About how many keys are left."""
        return len(self._todo)

    def covers(self, version: Version) -> bool:
        """Whether the neighbour has this already."""
        return version.time <= self._peer_seen.get(version.node, 0)

    def _run(self) -> "Iterator[Notice | list[FloorRange] | None]":
        for key, hops in self._keys.items():
            yield self._look_for(key, hops)
        if self.is_whole:
            walk = self._store.walk()
            while entries := walk.next(self._slice):
                self.looked_at += len(entries)
                for entry in entries:
                    self._look_at(entry)
                yield None
        # Least recently used first, so that the neighbour's order becomes ours.
        while self._todo:
            stamp = self._todo.popleft()
            yield self._notice_of(stamp, len(self._todo) < self._peer_capacity)
        if self.is_whole:
            yield from self._of_graves()
        if self.is_announcing:
            yield from self._announcement()

    def _of_graves(self) -> Iterator[Notice | None]:
        number = 0
        while number >= 0:
            graves, number = self._forgotten.slice(number)
            for grave in graves:
                self.looked_at += 1
                notice = self._notice_of_dead(grave.key, [grave.version, *self._forgotten.versions(grave.key)])
                if notice is not None:
                    yield notice
            yield None

    def _is_doomed(self, stamp: Stamp) -> bool:
        return self._sweep.is_pending and self._sweep.dooms(stamp)

    def _look_for(self, key: bytes, hops: int) -> Notice | None:
        """What is to be told of a key that was news, as far as that is not a value."""
        entry = self._store.find(key)
        stamp = None
        if entry is not None:
            self._look_at(entry)
            stamp = entry.version
        dead = list(self._forgotten.versions(key))
        newest = max(dead, default=NOTHING)
        if isinstance(stamp, Stamp) and stamp.is_set:
            newest = max(newest, stamp.version)
        if self._forgotten.floor_may_add_to(newest, key, self._changes_told, self._stable):
            self.is_announcing = True
        return self._notice_of_dead(key, dead, hops)

    def _notice_of_dead(self, key: bytes, versions: list[Version], hops: int = 0) -> Notice | None:
        if all(map(self.covers, versions)):
            return None
        newest = max(versions)
        return Notice(key, newest, hops, also=tuple([version for version in versions if version.node != newest.node]))

    def _look_at(self, entry: "Entry[Any, Any]") -> None:
        stamp = entry.version
        if not isinstance(stamp, Stamp):
            return
        if stamp.payload is not None and not (self.covers(stamp.told) and self.covers(stamp.life_version)):
            self._todo.append(stamp)

    def _notice_of(self, stamp: Stamp, room: bool) -> Notice | None:
        hops = self._keys.get(stamp.key, 0)
        if stamp.is_set:
            return Notice(stamp.key, stamp.version, hops, valueless=not room)
        if room:
            return Notice(stamp.key, hops=hops)
        self.left_out += 1
        return None

    def _announcement(self) -> Iterator[list[FloorRange] | None]:
        """What was forgotten, with the sets that are held all the same. That takes another walk, where there is any.

        Not before what is doomed was dropped: only then has a floor changed that stood above it already.
        """
        while self._sweep.is_pending:
            yield None
        self.changes, self.heard = self._forgotten.changes, self._origins.all_heard()
        stable = self._stable_time(self._peer_seen)  # anew: floors may have been raised since it began
        base, raised = self._forgotten.changed_since(self._changes_told, stable)
        chunk = [FloorRange(0, BUCKETS, base, {})] if base else []  # no set that is held is as old as that
        confirmed: dict[int, dict[bytes, Version]] = {}
        if raised:
            walk = self._store.walk()
            while entries := walk.next(self._slice):
                self.looked_at += len(entries)
                for entry in entries:
                    stamp = entry.version
                    if isinstance(stamp, Stamp) and stamp.is_set and not self._is_doomed(stamp):
                        bucket = bucket_of(stamp.key)
                        if stamp.version.time <= raised.get(bucket, 0):
                            confirmed.setdefault(bucket, {})[stamp.key] = stamp.version
                yield None
        size = 0
        for bucket, floor in sorted(raised.items()):
            fitting, fitting_bytes = _fitting(confirmed.pop(bucket, {}))
            if size + fitting_bytes > CHUNK_BYTES and chunk:
                yield chunk
                chunk, size = [], 0
            size += CONFIRMED_BYTES + fitting_bytes
            chunk.append(FloorRange(bucket, 1, floor, fitting))
        if chunk:
            yield chunk


def _fitting(confirmed: dict[bytes, Version]) -> tuple[dict[bytes, Version], int]:
    """As many confirmed sets of one bucket as one chunk has room for, and their bytes. The neighbour drops the others.

    They cannot be split over chunks, since what a chunk does not confirm it dooms.
    """
    fitting: dict[bytes, Version] = {}
    size = 0
    for key, version in confirmed.items():
        size += CONFIRMED_BYTES + len(key)
        if size > LONGEST_BUCKET_BYTES:
            return fitting, size - CONFIRMED_BYTES - len(key)
        fitting[key] = version
    return fitting, size
