"""What must hold in a simulated cluster: after every step, and once everything has healed.

It looks at nodes and at what applications did; it must not change anything, nor draw from chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lru_cache.replication.messages import Kind
from lru_cache.replication.short_cuts import Stamp
from lru_cache.replication.version import NOTHING, Version
from lru_cache.store import Entry
from lru_cache.testing.profiles import simulated_keys
from lru_cache.testing.simulated_node import Node

if TYPE_CHECKING:
    from lru_cache.testing.simulation import Simulation


@dataclass
class Write:
    """A set, an invalidation or a clear that an application made, as the checks remember it."""

    key: str
    version: Version
    kind: Kind
    payload: bytes = b""
    lost: bool = False  # it died with the only nodes that knew it


class Promises:
    """The checks of one simulation. AssertionError says which promise is broken."""

    def __init__(self, simulation: "Simulation") -> None:
        self.simulation = simulation

    def hold_always(self) -> None:
        for node in self.simulation.nodes.values():
            self.check_reads_never_go_back(node)
            self.check_limits(node)
            self.check_seen(node)

    def check_reads_never_go_back(self, node: Node) -> None:
        for entry in node.store.entries():
            stamp = entry.version
            assert isinstance(stamp, Stamp)
            if stamp.is_set:
                highest = node.highest_read.get(entry.key, NOTHING)
                assert stamp.version >= highest, f"{node.name} reads {stamp.version} of {entry.key} after {highest}"
                node.highest_read[entry.key] = stamp.version

    def check_limits(self, node: Node) -> None:
        capacity, graves, outbox = self.simulation.sizes[node.name]
        assert len(node.store) <= capacity, f"{node.name} holds {len(node.store)} of {capacity}"
        assert len(node.replica.forgotten) <= graves, f"{node.name} remembers too many graves"
        for neighbour in node.replica.neighbours.values():
            assert len(neighbour.outbox) <= outbox, f"an outbox of {node.name} is too long"
        assert len(node.replica.heard) <= node.replica.limits.origins

    def check_seen(self, node: Node) -> None:
        """What `seen` covers is known: no older news of those keys would be believed."""
        for origin, time in node.replica.seen.items():
            before = node.seen_checked.get(origin, 0)
            if time > before:
                node.seen_checked[origin] = time
                for write in self.writes_of(origin, before, time):
                    assert node.knows(write.key, write.version), f"{node.name} has not seen {write}"

    def writes_of(self, origin: bytes, after: int, upto: int) -> Iterator[Write]:
        return (w for w in self.simulation.writes if w.version.node == origin and after < w.version.time <= upto)

    def hold_once_healed(self) -> None:
        latest: dict[str, Version] = {}
        for write in self.simulation.writes:
            if not write.lost:
                latest[write.key] = max(write.version, latest.get(write.key, NOTHING))
        held: dict[str, Version] = {}
        for node in self.simulation.nodes.values():
            for entry in node.store.entries():
                if entry.deadline > node.now:
                    self.check_entry(node, entry, latest, held)
        if self.nothing_was_forgotten():
            contents = {node.name: self.contents(node) for node in self.simulation.nodes.values()}
            assert len({frozenset(c.items()) for c in contents.values()}) == 1, f"contents differ: {contents}"

    def check_entry(
        self, node: Node, entry: Entry[str, bytes], latest: dict[str, Version], held: dict[str, Version]
    ) -> None:
        stamp: Any = entry.version
        if stamp.is_set:
            for clear, clearer in self.simulation.clears:
                assert clearer.id in self.simulation.crashed or stamp.version > clear, (
                    f"{node.name} holds {stamp} after clear {clear}"
                )
            assert stamp.version >= latest.get(entry.key, NOTHING), (
                f"{node.name} holds {stamp}, not {latest[entry.key]}"
            )
            other = held.setdefault(entry.key, stamp.version)
            assert other == stamp.version, f"{node.name} holds {stamp}, another node {other}"
        elif entry.key not in self.simulation.unchecked:
            assert entry.value == self.simulation.row(entry.key), (
                f"{node.name} holds {entry.value!r} of {entry.key}: {stamp}"
            )

    def nothing_was_forgotten(self) -> bool:
        """Whether no set left any store by anything but a write."""
        simulation = self.simulation
        if {*simulation.set_keys} & {*simulation.database_keys}:  # a load may have displaced a set
            return False
        if simulation.tally.crashes or simulation.tally.clock_jumps or simulation.clears:
            return False
        if simulation.lives != (float("inf"),):
            return False
        if any(capacity < len(simulated_keys()) for capacity, _, _ in simulation.sizes.values()):
            return False
        return not any(
            node.store.evictions or node.store.expirations or node.replica.forgotten.collected
            for node in simulation.nodes.values()
        )

    def contents(self, node: Node) -> dict[str, Version]:
        return {
            entry.key: entry.version.version
            for entry in node.store.entries()
            if isinstance(entry.version, Stamp) and entry.version.is_set
        }
