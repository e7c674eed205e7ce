"""The nodes that were ever heard of: how far everything of each is known here, and which of them are forgotten.

Of this node itself it knows the time of the last write; that is always seen. This file must not know keys, links or
messages, nor what follows from what is known.
"""

from collections import OrderedDict

from .version import Version


class Origins:
    """At most `limit` nodes, of which one place is our own."""

    __slots__ = ("_departed", "_forgotten", "_heard_at", "_limit", "heard", "node", "own_time", "seen")

    def __init__(self, node: bytes, limit: int) -> None:
        self.node = node
        self.own_time = 0  # of our last write
        self.seen: dict[bytes, int] = {}  # other node -> time up to which everything of it is known here
        self.heard: dict[bytes, int] = {}  # other node -> newest time of it that came here, complete or not
        self._limit = limit
        self._heard_at: OrderedDict[bytes, float] = OrderedDict()  # node -> when `heard` last rose, oldest first
        self._departed: dict[bytes, None] = {}  # nodes that said goodbye, and were not heard of since
        self._forgotten: list[bytes] = []  # since it was last asked

    def __len__(self) -> int:
        return len(self.heard) + (self.own_time > 0)

    def seen_of(self, node: bytes) -> int:
        """The time up to which everything of a node is known."""
        if node == self.node:
            return self.own_time
        time = self.seen.get(node)
        return 0 if time is None else time

    def all_seen(self) -> dict[bytes, int]:
        """The same of all nodes, our own among them."""
        seen = dict(self.seen)
        if self.own_time:
            seen[self.node] = self.own_time
        return seen

    def all_heard(self) -> dict[bytes, int]:
        """The newest time of each node that came here."""
        heard = dict(self.heard)
        if self.own_time:
            heard[self.node] = self.own_time
        return heard

    def hear(self, version: Version, present: int, silence: int, now: float) -> bool:
        """Take note of a node's time. False if it is one that we would have forgotten by now."""
        node, time = version.node, version.time
        if node == self.node:
            return True
        known = self.heard.get(node)
        if known is not None:
            if time > known:
                self.heard[node] = time
                self._heard_at[node] = now
                self._heard_at.move_to_end(node)
                if self._departed:
                    self._departed.pop(node, None)
            return True
        if time < present - silence or self._is_one_too_many(version):
            return False
        self.heard[node] = time
        self._departed.pop(node, None)
        self._heard_at[node] = now
        if len(self._heard_at) >= self._limit:
            self.forget(self._least_missed())
        return True

    def depart(self, node: bytes) -> None:
        """It said goodbye. It may have other links, or be heard of through others: then it is not gone."""
        if node in self._heard_at:
            self._departed[node] = None

    def come(self, node: bytes) -> None:
        """It is here."""
        self._departed.pop(node, None)

    def rename(self, node: bytes, now: float) -> None:
        """From here on we are another node, and the one that we were is one like others."""
        if self.own_time:
            self.seen[self.node] = self.heard[self.node] = self.own_time
            self._heard_at[self.node] = now
        self.node = node
        self.own_time = 0
        if len(self._heard_at) >= self._limit:
            self.forget(self._least_missed())

    def known_after(self, time: int) -> list[bytes]:
        """The other nodes of which a later time than this is known."""
        return [node for node, heard in self.heard.items() if max(heard, self.seen.get(node, 0)) > time]

    def silent_since(self, then: float) -> bytes | None:
        """A node that was not heard of since then."""
        for node, at in self._heard_at.items():
            return node if at <= then else None
        return None

    def forget(self, node: bytes) -> None:
        """Let go of a node that is gone."""
        self.heard.pop(node, None)
        self.seen.pop(node, None)
        self._heard_at.pop(node, None)
        self._departed.pop(node, None)
        self._forgotten.append(node)

    def pop_forgotten(self) -> list[bytes]:
        """The nodes that were forgotten since this was last asked."""
        if not self._forgotten:
            return self._forgotten
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def _is_one_too_many(self, version: Version) -> bool:
        """Whether the node that would have to go for this one was heard of later than this one ever was.

        Else neighbours that are full of different nodes would remind each other for ever of what the other forgot.
        """
        if len(self._heard_at) < self._limit - 1:
            return False
        node = self._least_missed()
        return node not in self._departed and Version(self.heard[node], node).after(version)

    def _least_missed(self) -> bytes:
        return next(iter(self._departed or self._heard_at))
