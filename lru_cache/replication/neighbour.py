"""What a replica remembers of the node at the other end of a link, for as long as the link is up. State, no rules."""

from collections.abc import Hashable
from typing import TYPE_CHECKING

from lru_cache.replication.outbox import Outbox
from lru_cache.replication.version import Version

if TYPE_CHECKING:
    from lru_cache.replication.resync import Resync


class Neighbour:
    """One link's end. `seen` is None until the neighbour has said what it has; nothing is told before that."""

    def __init__(
        self,
        link: Hashable,
        node: bytes,
        capacity: int,
        value_limit: int,
        half_trip: float,
        dialled_by: bytes,
        outbox_limit: int,
    ) -> None:
        self.link = link
        self.node = node
        self.capacity = capacity
        self.value_limit = value_limit
        self.dialled_by = dialled_by
        self.half_trip = half_trip  # seconds that a message to it is on its way, about
        self.ahead_allowed = 0  # how far the times that it tells may lie ahead of ours, as a span
        self.seen: dict[bytes, int] | None = None
        self.outbox = Outbox(outbox_limit)
        self.resync: Resync | None = None
        self.seen_changed: set[bytes] = set()  # nodes of which our `seen` has risen since it was put behind the news
        self.changes_told = 0  # of our floors: those up to this one were announced on this link
        self.greeted = False  # by us

    def covers(self, version: Version) -> bool:
        """Whether it has this already."""
        return self.seen is not None and version.time <= self.seen.get(version.node, 0)

    @property
    def queued(self) -> int:
        """How much it is still to be told, about."""
        return len(self.outbox) + (len(self.resync) if self.resync is not None else 0)

    def __repr__(self) -> str:
        return f"<Neighbour {self.node.hex()}: {self.queued} queued>"
