"""What happened in a simulated cluster so far, as the checks remember it.

It must not know how it came about, nor what must hold.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from lru_cache.replication import Kind, Version


@dataclass
class Write:
    """A set, an invalidation or a clear that an application made."""

    key: str
    version: Version
    kind: Kind
    payload: bytes = b""
    lost: bool = False  # it died with the only nodes that knew it


@dataclass
class Tally:
    """What a run went through."""

    steps: int = 0
    writes: int = 0
    events: int = 0
    messages: int = 0
    bytes: int = 0
    partitions: int = 0
    crashes: int = 0
    restarts: int = 0
    clock_jumps: int = 0
    resyncs: int = 0
    overflows: int = 0
    takeovers: int = 0


@dataclass
class History:
    """Writes, what died with a machine, and what the database holds."""

    tally: Tally = field(default_factory=Tally)
    writes: list[Write] = field(default_factory=list)
    clears: list[Version] = field(default_factory=list)
    database: dict[str, int] = field(default_factory=dict)
    unannounced: list[tuple[str, str]] = field(default_factory=list)  # node and key: changed, invalidate() is to come
    unchecked: set[str] = field(default_factory=set)  # keys of the database whose invalidation died with a node
    crashed: set[bytes] = field(default_factory=set)  # ids of nodes

    def change(self, key: str) -> None:
        """Somebody writes to the database."""
        self.database[key] = self.database.get(key, 0) + 1

    def row(self, key: str) -> bytes:
        """What the database holds for a key."""
        return b"row %d" % self.database.get(key, 0)

    def redate(
        self,
        dated: Callable[[Version], Version],
        old: bytes,
        latest: int,
        living: Collection[bytes],
        unknown: Collection[Write],
        cleared_until: int,
    ) -> None:
        """A node whose clock was ahead has dated anew what it knows after the latest time that there can be.

        That is what it wrote itself, and what others did that are gone, unless it is unknown to it: nobody else will.
        Of clears it knows those until a time.
        """

        def is_wrong(version: Version) -> bool:
            return version.time > latest and (version.node == old or version.node not in living)

        for write in self.writes:
            if is_wrong(write.version) and not (write in unknown or (write.lost and write.version.node != old)):
                write.version = dated(write.version)
        for i, clear in enumerate(self.clears):
            if is_wrong(clear) and (clear.node == old or clear.time <= cleared_until):
                self.clears[i] = dated(clear)

    def writes_of(self, origin: bytes, after: int, upto: int) -> Iterator[Write]:
        """What this node wrote between two times."""
        return (w for w in self.writes if w.version.node == origin and after < w.version.time <= upto)
