"""One machine of a simulated cluster: a real store and a real replica, an application, and clocks of its own.

It must not know the network, nor what the adversary is about to do.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lru_cache.replication.encoding import encode_key
from lru_cache.replication.replica import Limits, Replica
from lru_cache.replication.shelf import Shelf
from lru_cache.replication.short_cuts import Stamp
from lru_cache.replication.version import NOTHING, Version
from lru_cache.store import Entry, RemovalCause, Store

if TYPE_CHECKING:
    from lru_cache.testing.simulation import Simulation

SKEW = 0.5  # seconds that two clocks may differ


@dataclass
class Load:
    """A load in flight."""

    began: Version
    read: bytes | None = None


class Node:
    """A machine: a store, a replica, an application with loads in flight, and clocks of its own."""

    def __init__(self, simulation: "Simulation", name: str, incarnation: int) -> None:
        chance = simulation.chance
        self.simulation = simulation
        self.name = name
        self.id = simulation.node_id(name, incarnation)
        self.skew = chance.choice(simulation.skews) * SKEW * 0.49
        self.jumped = 0.0
        self.started = chance.uniform(0, 1e6)  # monotonic clocks begin anywhere
        self.paused_until = 0.0
        capacity, graves, outbox = simulation.sizes[name]
        self.store: Store[str, bytes] = Store(capacity)
        self.loads: dict[str, Load] = {}
        self.shelf = Shelf(
            self.store, lambda key: self.loads.pop(key, None), self.loads, encode_key, RemovalCause.REMOTE
        )
        limits = Limits(
            graves=graves,
            outbox=outbox,
            max_clock_skew=SKEW,
            origins=simulation.origins,
            origin_silence=simulation.origin_silence,
        )
        self.replica = Replica(self.id, self.shelf, self.now, self.wall, limits)
        self.highest_read: dict[str, Version] = {}
        self.seen_checked: dict[bytes, int] = {}

    @property
    def now(self) -> float:
        """The monotonic clock."""
        return self.simulation.now + self.started

    @property
    def wall(self) -> float:
        """The wall clock."""
        return 1.7e9 + self.simulation.now + self.skew + self.jumped

    @property
    def is_up(self) -> bool:
        """Whether it does anything at the moment."""
        return self.paused_until <= self.simulation.now

    # What its application does, as the cache would pass it on.

    def set(self, key: str, payload: bytes, life: float) -> Version:
        self.loads.pop(key, None)
        stamp = self.replica.set(encode_key(key), payload, self.now)
        self.put(key, payload, self.now + life, stamp)
        return stamp.version

    def invalidate(self, key: str) -> Version:
        self.loads.pop(key, None)
        entry = self.store.find(key)
        if entry is not None:
            self.store.remove(entry, RemovalCause.INVALIDATED, self.now)
        self.replica.invalidate(encode_key(key), self.now)
        return Version(self.replica.told_time(), self.id)

    def clear(self) -> Version:
        self.loads.clear()
        self.store.clear(self.now)
        self.replica.clear(self.now)
        return Version(self.replica.told_time(), self.id)

    def touch(self, entry: Entry[str, bytes], life: float) -> None:
        self.store.prolong(entry, self.now + life, self.now + life)
        self.replica.touch(entry, self.now)

    def begin_load(self, key: str) -> None:
        if key not in self.loads:
            self.loads[key] = Load(self.replica.begin_load(self.now))

    def end_load(self, key: str) -> None:
        load = self.loads.pop(key)
        assert load.read is not None
        stamp = self.replica.keep_load(encode_key(key), load.read, load.began, self.now)
        if stamp is not None:
            self.put(key, load.read, float("inf"), stamp)

    def forget(self, entry: Entry[str, bytes]) -> None:
        gone = self.store.remove(entry, RemovalCause.EVICTED, self.now)
        self.replica.left([gone] if gone is not None else [])

    def put(self, key: str, payload: bytes, deadline: float, stamp: Stamp) -> None:
        self.replica.left(self.store.put(key, payload, self.now, deadline, deadline, stamp))

    def expire(self) -> None:
        self.replica.left(self.store.reap(self.now))

    def holds_set(self, key: str) -> Version:
        """The version of the set that it holds, or NOTHING."""
        entry = self.store.find(key)
        stamp = entry.version if entry is not None else None
        return stamp.version if isinstance(stamp, Stamp) and stamp.is_set else NOTHING

    def knows(self, key: str, version: Version, by_floor: bool = True) -> bool:
        """Whether nothing older than this can be taken for news here."""
        encoded = encode_key(key)
        known = max(self.holds_set(key), self.replica.forgotten.grave(encoded))
        return known >= version or (by_floor and self.replica.forgotten.floor(encoded) >= version.time)

    def cancels_loads_of(self, key: str, version: Version) -> bool:
        """Whether it would tell others of this write, or of one that is newer by more than the hold."""
        known = [self.holds_set(key), *self.replica.forgotten.versions(encode_key(key))]
        return any(v.time >= version.time + (0 if v.node == version.node else self.replica.hold) for v in known)
