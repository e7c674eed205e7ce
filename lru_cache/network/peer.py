"""What a cache tells of another node. It must not know how it knows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A neighbour, or an address at which one is looked for."""

    node: str | None
    """Its id, new for each start of its process, and when a clock that was ahead is set right. None: not known yet."""
    region: str | None
    address: str
    role: str | None
    """What it is in its network: "server", "client" or "both"."""
    state: str
    """"connected"; "greeting" just before that; "connecting", "unreachable" or "refused" while there is no link. "this
    is myself" where an address leads to this very node, and to no other. "far": it is linked with others."""
    rtt: float | None
    """Seconds that a message takes to it and back."""
    lag: float | None
    """Seconds since everything that it had written was known here."""
    queued: int
    """Keys that it is still to be told of."""
    found: str = "given"
    """How it was found: "given", by an address in this node's configuration; the "dns://..." or the function that told
    of it; "local cluster"; "accepted" if it was the other that dialled."""
    hops: int = 1
    """How many links away it is."""
