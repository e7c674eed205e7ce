"""The neighbours as people want to see them: also those that were there and are not, and what came and went when.

A cache tells of the links that it has, and of the addresses that it dials. A node that had dialled this one and is
gone is neither, and would just vanish. It must not know where the list of peers comes from, and reads no clock.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lru_cache import Peer

CONNECTED = "connected"
FAR = "far"  # of a node that is no neighbour, and has answered
GONE = "gone"
LINKED = (CONNECTED, "greeting")
ENGINE = "engine"  # the role of a log that an engine keeps, which is no node
GONE_SECONDS = 600.0  # for which a node that is gone is shown
MOST_GONE = 64
CLAIM_SECONDS = 5.0  # a cache dials again within two, once it has lost the link for which it did not dial
MOST_ADDRESSES = 1_024
MOST_EVENTS = 50
MOST_BEYOND = 64
SILENT_SECONDS = (
    120.0  # for which a node that is no neighbour, and silent, is shown: nobody says whether it was stopped
)
ON_ITS_WAY_SECONDS = 0.5  # after a link was lost, what had been said before may still come from elsewhere
NOBODY: Mapping[str, Peer] = {}


@dataclass(frozen=True)
class Happening:
    """A neighbour came or left."""

    time: float
    what: str
    node: str | None
    region: str | None
    address: str


@dataclass
class _Known:
    peer: Peer
    since: float


class Neighbourhood:
    """Fed with the list of peers, again and again."""

    def __init__(self) -> None:
        self._linked: dict[str, _Known] = {}  # by node
        self._gone: dict[str, _Known] = {}  # likewise, the longest gone first
        self._states: dict[str, tuple[str, float]] = {}  # of addresses that are dialled in vain, and since when
        self._regions: dict[str, str | None] = {}  # of addresses, when last there was a link
        self._lost_at: dict[str, float] = {}  # when the link with a node was lost, the latest last
        self.happenings: deque[Happening] = deque(maxlen=MOST_EVENTS)

    def update(self, peers: Iterable[Peer], now: float) -> list[dict[str, Any]]:
        """Return what to show, as rows: a peer's own fields, and `since` when it is in that state."""
        peers = list(peers)
        linked = {peer.node: peer for peer in peers if peer.node is not None and peer.state in LINKED}
        looked_for = [peer for peer in peers if peer.node not in linked]
        self._forget(now)
        for node in [node for node in self._linked if node not in linked]:
            self._lose(node, now)
        for node, peer in linked.items():
            self._find(node, peer, now)
        for peer in looked_for:
            if peer.role != ENGINE:
                self._claim(peer.address, now)
        rows = [_row(peer, self._linked[node].since) for node, peer in linked.items()]
        rows += [self._vain_row(peer, now) for peer in looked_for]
        self._states = {peer.address: self._states[peer.address] for peer in looked_for}
        vain = {peer.address for peer in looked_for}
        rows += [
            _row(known.peer, known.since) | {"state": GONE, "rtt": None, "lag": None, "queued": 0}
            for known in self._gone.values()
            if known.peer.address not in vain  # that one is shown already, as an address
        ]
        return rows

    def beyond(
        self, rows: list[dict[str, Any]], lags: dict[str, float], now: float, far: Mapping[str, Peer] = NOBODY
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Those rows, and beside them the nodes that are heard of through them: rows with `node`, `region`, `lag`, and
        with `role` and `hops` where they are known: `far` are those that have said who they are.

        A neighbour that is gone, but of which something newer was heard since, has only lost its link with this node.
        """
        heard = {node for node, lag in lags.items() if now - lag > self._lost_at.get(node, 0.0) + ON_ITS_WAY_SECONDS}
        regions = {row["node"]: row["region"] for row in rows}
        rows = [row for row in rows if row["state"] != GONE or row["node"] not in heard]
        near = {row["node"] for row in rows}
        others = [
            {"node": node, "lag": lag, **_said_by(far.get(node), regions.get(node))}
            for node, lag in sorted(lags.items(), key=lambda item: item[1])
            if node in heard and node not in near and lag <= SILENT_SECONDS
        ]
        return rows, sorted(others[:MOST_BEYOND], key=lambda row: str(row["node"]))

    def _find(self, node: str, peer: Peer, now: float) -> None:
        known = self._linked.get(node)
        if known is not None:
            known.peer = peer
            return
        self._linked[node] = _Known(peer, now)
        self._take_place(node, peer)
        self._regions[peer.address] = peer.region
        while len(self._regions) > MOST_ADDRESSES:
            del self._regions[next(iter(self._regions))]
        self.happenings.append(Happening(now, "came", node, peer.region, peer.address))

    def _take_place(self, node: str, peer: Peer) -> None:
        """A node that starts again has a new id: it is taken for one that is gone, of this address or this region."""
        places = (
            [node],
            [gone for gone, known in self._gone.items() if known.peer.address == peer.address],
            [gone for gone, known in self._gone.items() if known.peer.region == peer.region],
        )
        for place in places:
            if place and place[0] in self._gone:
                del self._gone[place[0]]
                return

    def _lose(self, node: str, now: float) -> None:
        known = self._linked.pop(node)
        self._lost_at.pop(node, None)
        self._lost_at[node] = now
        if len(self._lost_at) > MOST_ADDRESSES:
            del self._lost_at[next(iter(self._lost_at))]
        self._gone[node] = _Known(known.peer, now)
        if len(self._gone) > MOST_GONE:
            del self._gone[next(iter(self._gone))]
        peer = known.peer
        self.happenings.append(Happening(now, "left", node, peer.region, peer.address))

    def _claim(self, address: str, now: float) -> None:
        """An address that is dialled anew just after a node was lost is that node's: the link had come from there."""
        if address in self._states or any(known.peer.address == address for known in self._gone.values()):
            return
        for known in self._gone.values():
            if known.peer.address not in self._states and now - known.since <= CLAIM_SECONDS:
                known.peer = replace(known.peer, address=address)
                self._regions[address] = known.peer.region
                return

    def _forget(self, now: float) -> None:
        for node in [node for node, known in self._gone.items() if now - known.since > GONE_SECONDS]:
            del self._gone[node]

    def _vain_row(self, peer: Peer, now: float) -> dict[str, Any]:
        state, since = self._states.get(peer.address, ("", now))
        if state != peer.state:
            since = now
        self._states[peer.address] = (peer.state, since)
        return _row(peer, since) | {"region": peer.region or self._regions.get(peer.address)}


def _said_by(peer: Peer | None, region: str | None) -> dict[str, Any]:
    if peer is None:
        return {"region": region}
    return {"region": peer.region, "role": peer.role, "hops": peer.hops}


def _row(peer: Peer, since: float) -> dict[str, Any]:
    return {**vars(peer), "since": since}
