"""What must hold in a simulated cluster: after every step, and once everything has healed.

It looks at nodes and at what happened; it must not change anything, nor draw from chance.
"""

from collections.abc import Collection
from math import inf
from typing import Any

from lru_cache.replication import Version
from lru_cache.store import Entry
from lru_cache.testing.core import Core
from lru_cache.testing.history import History
from lru_cache.testing.setting import Setting, simulated_keys
from lru_cache.testing.simulated_node import Node


class Invariants:
    """The checks of one simulation. AssertionError says which promise is broken."""

    def __init__(self, core: Core, setting: Setting, history: History) -> None:
        self.core = core
        self.setting = setting
        self.history = history

    def hold_always(self, nodes: Collection[Node]) -> None:
        for node in nodes:
            self.check_reads_never_go_back(node)
            self.check_limits(node)
            self.check_seen(node)

    def check_reads_never_go_back(self, node: Node) -> None:
        if node.replica.is_redating():
            node.highest_read.clear()
            return
        for entry in node.store.entries():
            stamp: Any = entry.version
            assert isinstance(stamp, self.core.Stamp)
            if stamp.is_set:
                highest = node.highest_read.get(entry.key, self.core.NOTHING)
                assert stamp.version >= highest, f"{node.name} reads {stamp.version} of {entry.key} after {highest}"
                node.highest_read[entry.key] = stamp.version

    def check_limits(self, node: Node) -> None:
        sizes = self.setting.sizes[node.name]
        assert len(node.store) <= sizes.capacity, f"{node.name} holds {len(node.store)} of {sizes.capacity}"
        assert len(node.replica.forgotten) <= sizes.graves, f"{node.name} remembers too many graves"
        for neighbour in node.replica.neighbours.values():
            assert len(neighbour.outbox) <= sizes.outbox, f"an outbox of {node.name} is too long"
        assert len(node.replica.heard) <= node.replica.limits.origins

    def check_seen(self, node: Node) -> None:
        """What `seen` covers is known: no older news of those keys would be believed."""
        for origin, time in node.replica.seen.items():
            before = node.seen_checked.get(origin, 0)
            if time > before:
                node.seen_checked[origin] = time
                for write in self.history.writes_of(origin, before, time):
                    assert node.knows(write.key, write.version), f"{node.name} has not seen {write}"

    def check_links_left(self, node: Node, origins: Collection[bytes]) -> None:
        """Of whom it has just asked not to be told over a link, it is told over another."""
        for origin in origins:
            neighbours = node.replica.neighbours.values()
            assert not all(origin in neighbour.branch.cut for neighbour in neighbours), (
                f"{node.name} has pruned its last link for {origin!r}"
            )

    def hold_once_healed(self, nodes: Collection[Node]) -> None:
        latest: dict[str, Version] = {}
        for write in self.history.writes:
            if not write.lost:
                latest[write.key] = max(write.version, latest.get(write.key, self.core.NOTHING))
        held: dict[str, Version] = {}
        for node in nodes:
            for entry in node.store.entries():
                if entry.deadline > node.now:
                    self.check_entry(node, entry, latest, held)
        if self.nothing_was_forgotten(nodes):
            contents = {node.name: self.contents(node) for node in nodes}
            assert len({frozenset(c.items()) for c in contents.values()}) == 1, f"contents differ: {contents}"

    def check_entry(
        self, node: Node, entry: Entry[str, bytes], latest: dict[str, Version], held: dict[str, Version]
    ) -> None:
        stamp: Any = entry.version
        if stamp.is_set:
            for clear in self.history.clears:
                assert clear.node in self.history.crashed or stamp.version > clear, (
                    f"{node.name} holds {stamp} after clear {clear}"
                )
            newest = latest.get(entry.key, self.core.NOTHING)
            assert stamp.version >= newest, f"{node.name} holds {stamp}, not {newest}"
            other = held.setdefault(entry.key, stamp.version)
            assert other == stamp.version, f"{node.name} holds {stamp}, another node {other}"
        elif entry.key not in self.history.unchecked:
            value = node.value_of(entry)
            assert value == self.history.row(entry.key), f"{node.name} holds {value!r} of {entry.key}: {stamp}"

    def nothing_was_forgotten(self, nodes: Collection[Node]) -> bool:
        """Whether no set left any store by anything but a write."""
        setting = self.setting
        if {*setting.set_keys} & {*setting.database_keys}:  # a load may have displaced a set
            return False
        if self.history.tally.crashes or self.history.tally.clock_jumps or self.history.clears:
            return False
        if setting.lives != (inf,):
            return False
        if any(sizes.capacity < len(simulated_keys()) for sizes in setting.sizes.values()):
            return False
        return not any(
            node.store.evictions or node.store.expirations or node.replica.forgotten.collected for node in nodes
        )

    def contents(self, node: Node) -> dict[str, Version]:
        held: list[tuple[str, Any]] = [(entry.key, entry.version) for entry in node.store.entries()]
        return {key: stamp.version for key, stamp in held if isinstance(stamp, self.core.Stamp) and stamp.is_set}
