"""Replicas without short cuts, and with one rule removed each. The simulator is only as good as the broken ones that it
catches.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from lru_cache.replication import python_short_cuts, replica, short_cuts
from lru_cache.replication.forgetting import Forgotten
from lru_cache.replication.messages import Event, Seen, encode
from lru_cache.replication.outbox import Outbox
from lru_cache.replication.replica import MAXIMUM_HOPS, Replica
from lru_cache.replication.resync import Resync
from lru_cache.replication.shelf import Shelf
from lru_cache.replication.version import Version
from lru_cache.store import RemovalCause
from lru_cache.testing.simulation import Simulation

Patch = tuple[Any, str, Any]


def ignore(*_: Any, **__: Any) -> None:
    pass


def no_hold() -> list[Patch]:
    original = Replica.__init__

    def patched(self: Replica, *args: Any) -> None:
        original(self, *args)
        self.hold = self.forgotten._hold = 0

    return [(Replica, "__init__", patched)]


def no_flood() -> list[Patch]:
    """Announcements reach the neighbours of who makes them, and nobody beyond."""
    original = Replica._take_floors

    def patched(self: Replica, floors: Any, source: Any, now: float) -> None:
        original(self, floors if source is None else floors._replace(hops=MAXIMUM_HOPS), source, now)

    return [(Replica, "_take_floors", patched)]


def silent_refusal() -> list[Patch]:
    """A set that only a floor stands in the way of is refused, and nobody is told."""
    original = Replica._merge_set

    def patched(self: Replica, event: Event, name: Any, entry: Any, source: Any, now: float) -> bool:
        stamp: Any = entry.version if entry is not None else None
        if not (stamp is not None and stamp.is_set) and event.version.time <= self.forgotten.floor(event.key):
            self._shelf.fence(name)
            if entry is not None:
                self._shelf.drop(entry, now)
            return False
        return original(self, event, name, entry, source, now)

    return [(Replica, "_merge_set", patched)]


def no_repeat() -> list[Patch]:
    original = Replica._merge

    def patched(self: Replica, event: Event, source: Any, now: float) -> None:
        seen, self.seen = self.seen, {}
        original(self, event, source, now)
        self.seen = {**seen, **self.seen}

    return [(Replica, "_merge", patched)]


def no_burial() -> list[Patch]:
    """A load displaces a set, and the set's age is forgotten."""
    keep, left = Replica.keep_load, Replica.left

    def patched_keep(self: Replica, *args: Any) -> Any:
        with patch.object(Forgotten, "bury", ignore):
            return keep(self, *args)

    def patched_left(self: Replica, gone: Any) -> None:
        left(self, [g for g in gone if g[3] is not RemovalCause.REPLACED])

    return [(Replica, "keep_load", patched_keep), (Replica, "left", patched_left)]


def no_hops() -> list[Patch]:
    original = Replica._tell

    def patched(self: Replica, key: Any, authority: Any, source: Any, hops: int = 0) -> None:
        original(self, key, authority, source, 0)

    return [(Replica, "_tell", patched)]


def seen_ahead() -> list[Patch]:
    """`seen` is sent before what it covers."""

    def patched(self: Replica, neighbour: Any) -> None:
        neighbour.seen_changed.clear()
        neighbour.outbox.remark_seen(encode(Seen(False, dict(self.seen))))
        if neighbour.outbox._items:
            neighbour.outbox._items.move_to_end(next(reversed(neighbour.outbox._items)), last=False)

    return [(Replica, "_remark_seen", patched)]


def load_dated_at_its_end() -> list[Patch]:
    original = Replica.keep_load

    def patched(self: Replica, key: bytes, payload: Any, _: Version, now: float) -> Any:
        return original(self, key, payload, Version(self._clock.present(now), self.node), now)

    return [(Replica, "keep_load", patched)]


def same_node_after_restart() -> list[Patch]:
    return [(Simulation, "node_id", lambda self, name, incarnation: name.encode().ljust(8, b"\0"))]


def truncated_sets() -> list[Patch]:
    """A resync leaves out the sets that the neighbour has no room for, versions and all."""
    original = Resync._tell

    def patched(self: Resync, stamp: Any, room: bool) -> Any:
        return original(self, stamp, room) if room else None

    return [(Resync, "_tell", patched)]


def overflow_forgotten() -> list[Patch]:
    """An outbox that overflows is emptied, and that is all."""

    def patched(self: Outbox) -> None:
        self._clear()

    return [(Outbox, "overflow", patched)]


BROKEN: dict[str, Callable[[], list[Patch]]] = {
    "no-floor": lambda: [(Forgotten, "raise_floor", ignore)],
    "no-announce": lambda: [(Resync, "_announcement", lambda self: iter(()))],
    "no-flood": no_flood,
    "no-fence": lambda: [(Shelf, "fence", ignore), (Shelf, "fence_where", ignore)],
    "no-hold": no_hold,
    "no-concurrent": lambda: [(Forgotten, "knows", lambda self, key, version: True)],
    "silent-refusal": silent_refusal,
    "no-repeat": no_repeat,
    "no-burial": no_burial,
    "no-hops": no_hops,
    "seen-ahead": seen_ahead,
    "load-dated-at-its-end": load_dated_at_its_end,
    "same-node-after-restart": same_node_after_restart,
    "truncated-sets": truncated_sets,
    "overflow-forgotten": overflow_forgotten,
    "eviction-forgotten": lambda: [(Replica, "left", ignore)],
}


@contextmanager
def by_the_rules() -> Iterator[None]:
    """While inside, replicas take no short cuts: the rules alone decide."""
    with (
        patch.object(replica, "ShortCuts", python_short_cuts.ShortCuts),
        patch.object(replica, "Batch", python_short_cuts.Batch),
        patch.object(python_short_cuts, "Stamp", short_cuts.Stamp),  # else isinstance would not know it
    ):
        yield


@contextmanager
def broken(name: str) -> Iterator[None]:
    """While inside, this rule is missing from every replica."""
    with ExitStack() as stack:
        stack.enter_context(by_the_rules())
        for target, attribute, replacement in BROKEN[name]():
            stack.enter_context(patch.object(target, attribute, replacement))
        if name == "no-hops":
            stack.enter_context(patch("lru_cache.replication.replica.MAXIMUM_HOPS", 1 << 30))
        yield
