"""One machine of a simulated cluster: a real store and a real replica, an application, and clocks of its own.

It must not know the network, nor what the adversary is about to do.
"""

from collections.abc import Callable
from math import inf
from typing import Any, TypeVar

from lru_cache.replication import Version
from lru_cache.store import Entry, RemovalCause, Store
from lru_cache.testing.core import Core
from lru_cache.testing.manual_clock import ManualClock
from lru_cache.testing.setting import Setting

WALL_AT_THE_BEGINNING = 1.7e9
T = TypeVar("T")


class MachineClock:
    """The clocks of one machine, in a world where one time passes: off by what is its own, each in its way."""

    def __init__(self, world: ManualClock, started: float, skew: float) -> None:
        self.world = world
        self.started = started  # monotonic clocks begin anywhere
        self.skew = skew
        self.jumped = 0.0  # by how much somebody set the wall clock wrong

    def monotonic(self) -> float:
        """Seconds of passed time."""
        return self.world.monotonic() + self.started

    def time(self) -> float:
        """Seconds since 1970, as it believes."""
        return WALL_AT_THE_BEGINNING + self.world.monotonic() + self.skew + self.jumped


class Load:
    """A load in flight."""

    def __init__(self, key: str, began: Version) -> None:
        self.key = key
        self.began = began
        self.read: bytes | None = None

    def __repr__(self) -> str:
        return f"Load(began={self.began!r}, read={self.read!r})"


class Node:
    """A machine: a store, a replica, an application with loads in flight, and clocks of its own."""

    def __init__(self, core: Core, setting: Setting, name: str, node: bytes, clock: MachineClock) -> None:
        self.core = core
        self.name = name
        self.id = node
        self.former_ids: set[bytes] = set()  # before its clock was found to have been ahead
        self.clock = clock
        self.paused_until = 0.0
        self.works_slowly = False
        self.loads: dict[Any, Load] = {}
        self.highest_read: dict[str, Version] = {}
        self.seen_checked: dict[bytes, int] = {}
        self.begin(setting)

    def begin(self, setting: Setting) -> None:
        """Make what it holds: nothing so far."""
        self.store: Store[str, bytes] = Store(setting.sizes[self.name].capacity)
        self.view, self.replica = self.core.wire(
            self.store,
            self.id,
            self.now,
            self.clock.time(),
            setting.limits(self.name, self.core),
            loading=self.loads,
            fence=lambda key: self.loads.pop(key, None),
        )

    def end(self) -> None:
        """It is gone, or no longer needed."""

    @property
    def now(self) -> float:
        """The monotonic clock."""
        return self.clock.monotonic()

    @property
    def is_up(self) -> bool:
        """Whether it does anything at the moment."""
        return self.paused_until <= self.clock.world.monotonic()

    # What its application does, as the cache would pass it on.

    def set(self, key: str, payload: bytes, life: float) -> Version:
        self.loads.pop(key, None)
        stamp = self.replica.set(self.core.encode_key(key), payload, self.now)
        self.put(key, payload, self.now + life, stamp)
        version: Version = stamp.version
        return version

    def invalidate(self, key: str) -> Version:
        self.loads.pop(key, None)
        entry = self.store.find(key)
        if entry is not None:
            self.store.remove(entry, RemovalCause.INVALIDATED, self.now)
        self.replica.invalidate(self.core.encode_key(key), self.now)
        return self.last_told()

    def clear(self) -> Version:
        self.loads.clear()
        self.store.clear(self.now)
        self.replica.clear(self.now)
        return self.last_told()

    def last_told(self) -> Version:
        """The version of what it has just written."""
        return self.core.Version(self.replica.told_time(), self.id)

    def touch(self, entry: Entry[str, bytes], life: float) -> None:
        self.store.prolong(entry, self.now + life, self.now + life)
        self.replica.touch(entry, self.now)

    def begin_load(self, key: str) -> Load | None:
        """The load that runs for this key, if one does."""
        if key not in self.loads:
            self.loads[key] = Load(key, self.replica.begin_load(self.now))
        return self.loads[key]

    def end_load(self, name: Any) -> None:
        load = self.loads.pop(name)
        assert load.read is not None
        stamp = self.replica.keep_load(self.core.encode_key(load.key), load.read, load.began, self.now)
        if stamp is not None:
            self.put(load.key, load.read, inf, stamp)

    def get(self, key: str) -> None:
        entry = self.store.find(key)
        if entry is not None:
            self.use(entry)

    def use(self, entry: Entry[str, bytes]) -> None:
        self.store.use(entry)

    def forget(self, entry: Entry[str, bytes]) -> None:
        gone = self.store.remove(entry, RemovalCause.EVICTED, self.now)
        self.replica.left([gone] if gone is not None else [])

    def put(self, key: str, payload: bytes, deadline: float, stamp: Any) -> None:
        self.replica.left(self.store.put(key, payload, self.now, deadline, deadline, stamp))

    def expire(self) -> None:
        self.replica.left(self.store.reap(self.now))

    # What its network does.

    def receive(self, link: int, body: bytes) -> None:
        """A message came over a link."""
        self.take(lambda: self.replica.received(link, body, self.now))

    def take(self, act: Callable[[], T]) -> T:
        """Something came that the replica is to know: what the act returns."""
        result = act()
        if not self.works_slowly:
            self.work_off()
        self.view.pop_gone()  # which a cache would tell its listener
        return result

    def pass_time(self) -> None:
        """Look at the clock."""
        self.replica.time_passed(self.now, self.clock.time())
        if not self.works_slowly:
            self.work_off()

    def become(self, node: bytes) -> None:
        """Be another node, whose clock is right."""
        self.former_ids.add(self.id)
        self.id = node
        self.highest_read.clear()
        self.replica.redate(node, self.now)
        if not self.works_slowly:
            self.work_off()

    def dating(self) -> tuple[int, int, int]:
        """The latest time that there can be, by how much later ones are wrong, and the present."""
        clock, now = self.replica._clock, self.now
        return self.replica.latest_right_time(now), self.core.span_of(clock.lead), clock.present(now)

    def work_off(self) -> None:
        """End what goes through all that is held."""
        while self.replica.work(self.now):
            pass

    def messages_at_once(self, link: int) -> list[bytes]:
        """What a thread that has just written sends on a link by itself: nothing if that may take its time."""
        return self.replica.to_send_at_once(link, self.now) or []

    # What it holds.

    def value_of(self, entry: Entry[str, bytes]) -> bytes:
        """What an application reads there."""
        return entry.value

    def holds_set(self, key: str) -> Version:
        """The version of the set that it holds, or NOTHING."""
        entry = self.store.find(key)
        stamp: Any = entry.version if entry is not None else None
        return stamp.version if isinstance(stamp, self.core.Stamp) and stamp.is_set else self.core.NOTHING

    def knows(self, key: str, version: Version, by_floor: bool = True) -> bool:
        """Whether nothing older than this can be taken for news here."""
        encoded = self.core.encode_key(key)
        known = max(self.holds_set(key), self.replica.forgotten.grave(encoded))
        return known >= version or (by_floor and self.replica.forgotten.floor(encoded) >= version.time)

    def cancels_loads_of(self, key: str, version: Version) -> bool:
        """Whether it would tell others of this write, or of one that is newer by more than the hold."""
        known = [self.holds_set(key), *self.replica.forgotten.versions(self.core.encode_key(key))]
        return any(v.time >= version.time + (0 if v.node == version.node else self.replica.hold) for v in known)
