"""A replica with a store, of one build, linked with two peers that say what the test says."""

from typing import Any

from lru_cache.replication import implementation
from lru_cache.replication.encoding import encode_key
from lru_cache.store import Store
from tests.replication.build import part_of

X, Y = b"x" * 8, b"y" * 8


class Node:
    """`build`: of the rules; events and versions come as those of the build that caches use, and go as tuples."""

    def __init__(self, graves: int = 100, capacity: int = 100, build: str = implementation) -> None:
        self.now = 100.0
        self.rules = part_of(build, "public")
        self.store: Store[Any, Any] = Store(capacity)
        self.loading: dict[Any, Any] = {}
        self.view, self.replica = self.rules.wire(
            self.store,
            b"n" * 8,
            self.now,
            1.7e9,
            self.rules.Limits(graves=graves),
            loading=self.loading,
            fence=lambda key: self.loading.pop(key, None),
        )
        for link, node in (("a", X), ("b", Y)):
            self.replica.link_up(link, node, 100, 1_000_000)
            self.replica.received(link, self.rules.messages.encode(self.rules.Seen(True, {})), self.now)
            self.said(link)

    def said(self, link: str) -> list[Any]:
        """The events that it sends on a link now."""
        found: list[Any] = []
        while bodies := self.replica.to_send(link, self.now, 1_000_000):
            for message in map(self.rules.messages.decode, bodies):
                found += message if isinstance(message, list) else []
        return found

    def hears(self, *bodies: bytes) -> None:
        """The peer behind link a says this."""
        for body in bodies:
            self.replica.received("a", body, self.now)

    def put(self, key: str, value: Any, life: float = 9.0) -> Any:
        """A value is told here, as a cache would. Its stamp."""
        stamp = self.replica.set(encode_key(key), b"\x01", self.now)
        deadline = self.now + life
        gone = self.view.put(key, value, stamp, self.now, deadline, deadline)
        if gone:
            self.replica.left_for(gone, stamp)
        return stamp

    def held(self, key: str) -> Any:
        """What is held for a key: its payload, version and deadline."""
        entry = self.store.find(key)
        return None if entry is None else (entry.value, *entry.version.version, entry.version.is_set, entry.deadline)

    def state(self) -> Any:
        """All that may depend on what it heard."""
        replica = self.replica
        return (
            [(entry.key, self.held(entry.key)) for entry in self.store.entries()],
            [(key, *version) for key, version in replica.forgotten.graves()],
            dict(replica.seen),
            dict(replica.heard),
            tuple(replica.counts),
            [(gone[0], gone[1], gone[3]) for gone in self.view.pop_gone()],
            list(self.loading),
            [[plain(event) for event in self.said(link)] for link in ("a", "b")],
        )


def plain(event: Any) -> Any:
    """An event that those of the other build can be compared with."""
    *fields, other = event
    fields[2] = tuple(fields[2])
    return (*fields, tuple(other))
