"""Replicas with one rule removed each. The simulator is only as good as the broken ones that it catches.

They are made of the very sources that are compiled, run as Python: what is compiled cannot be patched.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from lru_cache import lru_cache_distributed
from lru_cache.replication.rules import public
from lru_cache.replication.rules.clock_errors import Ahead
from lru_cache.replication.rules.event import Event
from lru_cache.replication.rules.forgetting import Forgotten
from lru_cache.replication.rules.messages import Seen, encode
from lru_cache.replication.rules.origins import Origins
from lru_cache.replication.rules.outbox import Outbox
from lru_cache.replication.rules.replica import Replica
from lru_cache.replication.rules.resync import Resync
from lru_cache.replication.rules.store_view import StoreView
from lru_cache.replication.rules.telling import MAXIMUM_HOPS
from lru_cache.replication.rules.trees import PRUNE, Trees
from lru_cache.replication.rules.version import Version
from lru_cache.store import RemovalCause
from lru_cache.testing import simulation
from lru_cache.testing.core import core_of
from lru_cache.testing.simulated_local_cluster import SimulatedPost
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
    original = Replica._receive_floors

    def patched(self: Replica, floors: Any, source: Any, now: float) -> None:
        original(self, floors if source is None else floors._replace(hops=MAXIMUM_HOPS), source, now)

    return [(Replica, "_receive_floors", patched)]


def silent_refusal() -> list[Patch]:
    """A set that only a floor stands in the way of is refused, and nobody is told."""
    original = Replica._merge_set

    def patched(self: Replica, event: Event, name: Any, entry: Any, stamp: Any, source: Any, now: float) -> bool:
        if not (stamp is not None and stamp.is_set) and event.version.time <= self.forgotten.floor(event.key):
            self._store.fence(name)
            if entry is not None:
                self._store.drop(entry, now)
            return False
        return original(self, event, name, entry, stamp, source, now)

    return [(Replica, "_merge_set", patched)]


def no_repeat() -> list[Patch]:
    """What is seen is merged again."""
    original = Replica._receive_events

    def patched(self: Replica, events: Any, source: Any, now: float) -> None:
        with patch.object(Origins, "seen_of", lambda self, node: 0):
            original(self, events, source, now)

    return [(Replica, "_receive_events", patched)]


def no_burial() -> list[Patch]:
    """A load displaces a set, and the set's age is forgotten."""
    keep, left = Replica.keep_load, Replica.left

    def patched_keep(self: Replica, *args: Any) -> Any:
        with patch.object(Forgotten, "bury", ignore):
            return keep(self, *args)

    def patched_left(self: Replica, gone: Any, _: Any = None) -> None:
        left(self, [g for g in gone if g[3] is not RemovalCause.REPLACED])

    return [(Replica, "keep_load", patched_keep), (Replica, "left", patched_left), (Replica, "left_for", patched_left)]


def no_hops() -> list[Patch]:
    original = Replica._queue

    def patched(self: Replica, key: Any, authority: Any, origin: Any, source: Any, _: int, stamp: Any) -> None:
        original(self, key, authority, origin, source, 0, stamp)

    return [(Replica, "_queue", patched)]


def seen_ahead() -> list[Patch]:
    """`seen` is sent before what it covers."""

    def patched(self: Replica, neighbour: Any) -> None:
        neighbour.seen_changed.clear()
        neighbour.own_seen = self.origins.own_time
        outbox = neighbour.outbox
        outbox.add_seen(encode(Seen(False, self.seen)))
        if outbox._queue:
            outbox._queue.insert(outbox._first, outbox._queue.pop())

    return [(Replica, "_queue_seen", patched)]


def load_dated_at_its_end() -> list[Patch]:
    original = Replica.keep_load

    def patched(self: Replica, key: bytes, payload: Any, _: Version, now: float) -> Any:
        return original(self, key, payload, Version(self._clock.present(now), self.node), now)

    return [(Replica, "keep_load", patched)]


def same_node_after_restart() -> list[Patch]:
    return [(Simulation, "node_id", lambda self, name, incarnation: name.encode().ljust(8, b"\0"))]


def truncated_sets() -> list[Patch]:
    """A resync leaves out the sets that the neighbour has no room for, versions and all."""
    original = Resync._notice_of

    def patched(self: Resync, stamp: Any, room: bool) -> Any:
        return original(self, stamp, room) if room else None

    return [(Resync, "_notice_of", patched)]


def overflow_forgotten() -> list[Patch]:
    """An outbox that overflows is emptied, and that is all."""

    def patched(self: Outbox) -> None:
        self._clear()

    return [(Outbox, "overflow", patched)]


def sweep_forgotten() -> list[Patch]:
    """What is doomed stays if it was not met before its slice came."""

    def patched(self: Replica, entry: Any, stamp: Any, now: float) -> None:
        pass

    original = Replica.work

    def work(self: Replica, now: float) -> bool:
        with patch.object(Replica, "_drop_doomed", patched):
            return original(self, now)

    return [(Replica, "work", work)]


def kept_taken_for_told() -> list[Patch]:
    """What a neighbour has, and keeps from us, is taken for told, as what it says that it has seen."""

    def patched(self: Replica, seen: Any, news: Any, source: Any, now: float) -> None:
        self._receive_seen([*seen, *news], False, None, source, now)

    return [(Replica, "_receive_reached", patched)]


def kept_said_to_be_told() -> list[Patch]:
    """`seen` goes to a neighbour as if nothing was kept from it."""
    original = Replica._queue_seen

    def patched(self: Replica, neighbour: Any) -> None:
        with patch.object(Replica, "_keeps", lambda *_: False), patch.object(neighbour.branch, "pruned", {}):
            original(self, neighbour)

    return [(Replica, "_queue_seen", patched)]


def last_link_pruned() -> list[Patch]:
    """A link is pruned for its repeats, whether or not another is left."""

    def patched(self: Replica, node: bytes, source: Any, now: float) -> None:
        source.branch.repeats.pop(node, None)
        source.branch.cut[node] = now
        source.branch.asked[node] = PRUNE

    return [(Replica, "_prune", patched)]


def nothing_rests() -> list[Patch]:
    """What rests on what is kept is taken as if it did not."""
    original = Replica._receive_seen

    def patched(self: Replica, times: Any, _: bool, on: Any, source: Any, now: float) -> None:
        original(self, times, False, None, source, now)

    return [(Replica, "_receive_seen", patched)]


def rests_for_us_alone() -> list[Patch]:
    """What rests on what is kept waits here, and is said to others as if it rested on nothing."""
    original = Replica._take_seen

    def patched(self: Replica, times: Any, _: bool, on: Any, now: float) -> None:
        original(self, times, False, None, now)

    return [(Replica, "_take_seen", patched)]


def handover_without_resync() -> list[Patch]:
    """Who listens now counts as knowing what was told to who listened before."""
    down, greet = Replica.link_down, Replica._greet
    before: WeakKeyDictionary[Replica, bytes] = WeakKeyDictionary()  # who was dialled last, and knew all

    def link_down(self: Replica, link: Any) -> None:
        lost = self.neighbours.get(link)
        if lost is not None and lost.dialled_by == self.node and lost.seen is not None and lost.resync is None:
            before[self] = lost.node
        down(self, link)

    def patched(self: Replica, message: Seen, source: Any) -> None:
        greet(self, message, source)
        if source.dialled_by == self.node and before.get(self, source.node) != source.node:
            source.resync = self._resync(source, self.origins.all_seen(), {}, False, False)

    return [(Replica, "link_down", link_down), (Replica, "_greet", patched)]


def two_listen() -> list[Patch]:
    """Who was deposed goes on listening when it is woken up."""
    return [(SimulatedPost, "is_held", lambda self, name: name in self._held)]


BROKEN_IN_HANDOVERS: dict[str, Callable[[], list[Patch]]] = {
    "handover-without-resync": handover_without_resync,
    "two-listen": two_listen,
}
"""Where another takes over from who listens."""

BROKEN_IN_TREES: dict[str, Callable[[], list[Patch]]] = {
    "kept-taken-for-told": kept_taken_for_told,
    "kept-said-to-be-told": kept_said_to_be_told,
    "no-grafts": lambda: [(Replica, "_ask_again", ignore)],
    "no-rumours": lambda: [(Replica, "_spread_rumours", lambda self: self._trees.pop_rumours())],
    "grafts-without-what-was-kept": lambda: [(Trees, "number_before", lambda self, node, seen, number: number)],
    "nothing-rests": nothing_rests,
    "rests-for-us-alone": rests_for_us_alone,
    "outdated-dropped": lambda: [(Replica, "_pass_on_outdated", ignore)],
    "last-link-pruned": last_link_pruned,
}
"""Where links are pruned."""

BROKEN_IN_SLICES: dict[str, Callable[[], list[Patch]]] = {
    "sweep-forgotten": sweep_forgotten,
    "sets-not-redated": lambda: [(Ahead, "_redate_entry", ignore)],
}
"""Where what goes through all that is held does so in small steps."""

BROKEN: dict[str, Callable[[], list[Patch]]] = {
    "no-floor": lambda: [(Forgotten, "raise_floor", ignore)],
    "no-announce": lambda: [(Resync, "_announcement", lambda self: iter(()))],
    "no-flood": no_flood,
    "no-fence": lambda: [(StoreView, name, ignore) for name in ("fence", "fence_where", "fence_all")],
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
    "eviction-forgotten": lambda: [(Replica, "left", ignore), (Replica, "left_for", ignore)],
}

ALL_BROKEN = BROKEN | BROKEN_IN_SLICES | BROKEN_IN_TREES | BROKEN_IN_HANDOVERS


@contextmanager
def as_python() -> Iterator[None]:
    """While inside, new caches and simulations run on the rules as Python."""
    with (
        patch.object(lru_cache_distributed, "Stamp", public.Stamp),
        patch.object(lru_cache_distributed, "Limits", public.Limits),
        patch.object(lru_cache_distributed, "Writer", public.Writer),
        patch.object(lru_cache_distributed, "wire", public.wire),
        patch.object(simulation, "core_of", lambda: core_of("python")),
    ):
        yield


@contextmanager
def broken(name: str) -> Iterator[None]:
    """While inside, this rule is missing from every replica."""
    with ExitStack() as stack:
        stack.enter_context(as_python())
        for target, attribute, replacement in ALL_BROKEN[name]():
            stack.enter_context(patch.object(target, attribute, replacement))
        if name == "no-hops":
            stack.enter_context(patch("lru_cache.replication.rules.believing.MAXIMUM_HOPS", 1 << 30))
            stack.enter_context(patch("lru_cache.replication.rules.telling._MOST_HOPS", 1 << 30))
        yield
