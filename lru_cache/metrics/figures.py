"""Which figures a cache is observed by, what each means, and what they are now.

It must not know what shows them, and it never looks at a key. What is a figure of `stats()` is one here without more
ado: its meaning is the docstring that it has there.
"""

import ast
import inspect
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import lru_cache
from lru_cache import stats
from lru_cache.stats import GAUGES, DistributedStats

if TYPE_CHECKING:
    from lru_cache import LRUCache, Peer

PREFIX = "lru_cache"
MOST_REGIONS = 20
OTHER_REGIONS = "other"
UNKNOWN = "unknown"  # what a node is that there is no link with


@dataclass(frozen=True)
class Figure:
    """What can be observed of a cache."""

    name: str
    kind: Literal["counter", "gauge"]
    """A counter only grows; a gauge tells what is now."""
    meaning: str
    labels: tuple[str, ...] = ()
    """What tells its samples apart, beside the cache. None of them is a key, and none has values without number."""
    unit: Literal["seconds", None] = None


class Sample(NamedTuple):
    """A figure as it is now."""

    figure: Figure
    value: float
    labels: tuple[str, ...] = ()
    """The value of each label that the figure has."""


# -- what stats() tells ----------------------------------------------------------------------------------------------


def _docstrings() -> dict[str, str]:
    """What stands below each field of `stats()`, in one line; nothing where the library is without its source."""
    try:
        source = inspect.getsource(stats)
    except (OSError, TypeError):
        return {}
    found = {}
    for kind in (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)):
        for field, below in zip(kind.body, kind.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as text)):
                    found[name] = " ".join(text.split()).replace("`", "").rstrip(".")
    return found


def _of_stats() -> Iterator[Figure]:
    """A figure for each number that there is, by the name that it has there."""
    meanings = _docstrings()
    for field in fields(DistributedStats):
        types = get_args(field.type) or (field.type,)
        if str not in types:
            kind: Literal["counter", "gauge"] = "gauge" if field.name in GAUGES else "counter"
            meaning = meanings.get(field.name, field.name.replace("_", " ").capitalize())
            yield Figure(field.name, kind, meaning)


STATS = {figure.name: figure for figure in _of_stats()}
TEXTS = tuple(field.name for field in fields(DistributedStats) if field.type is str)  # what a cache is made of
INFO = Figure("info", "gauge", "1, with what the cache is made of and where it is", (*TEXTS, "version", "region"))
LISTENS = Figure("listens", "gauge", "1 if other nodes can link with this one")


def samples(cache: "LRUCache[Any, Any]") -> Iterator[Sample]:
    """All but what it knows of other nodes."""
    figures = cache.stats()
    for name, figure in STATS.items():
        value = getattr(figures, name, None)  # a local cache has fewer
        if value is not None:
            yield Sample(figure, value)
    texts = (getattr(figures, name) for name in TEXTS)
    yield Sample(INFO, 1, (*texts, lru_cache.__version__, getattr(cache, "region", None) or ""))
    if isinstance(figures, DistributedStats):
        yield Sample(LISTENS, int(getattr(cache, "local_address", None) is not None))


# -- what peers() tells ----------------------------------------------------------------------------------------------

PEERS = Figure(
    "peers",
    "gauge",
    "Neighbours and addresses where one is looked for, by what they are and how it is",
    ("role", "state"),
)
KIND = ("region", "role")
FARTHEST = (
    Figure("peer_lag", "gauge", "Since all that it wrote was known here: the most of a region", KIND, "seconds"),
    Figure("peer_round_trip", "gauge", "To it and back: the most of a region", KIND, "seconds"),
    Figure("peer_queued", "gauge", "Keys that it is still to be told of: the most of a region", KIND),
)
FIGURES = (*STATS.values(), INFO, LISTENS, PEERS, *FARTHEST)
"""All that a cache in a service is observed by."""


class Regions:
    """The names of regions, as values of a label: a bounded number of them, whatever other nodes call themselves."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def name(self, region: str | None) -> str:
        """Its own name, or that of all the rest, where there are too many."""
        if region is None or region in self._known:
            return region or ""
        if len(self._known) >= MOST_REGIONS:
            return OTHER_REGIONS
        return self._known.setdefault(region, region)


def counted(peers: "Iterable[Peer]") -> Iterator[Sample]:
    """How many neighbours there are of each kind."""
    for (role, state), count in Counter((peer.role or UNKNOWN, peer.state) for peer in peers).items():
        yield Sample(PEERS, count, (role, state))


def by_region(peers: "Iterable[Peer]", regions: Regions) -> Iterator[Sample]:
    """What is worst in each region. A neighbour has no series of its own: each has a new id whenever it starts."""
    most: dict[tuple[Figure, tuple[str, str]], float] = {}
    for peer in peers:
        kind = (regions.name(peer.region), peer.role or UNKNOWN)
        for figure, value in zip(FARTHEST, (peer.lag, peer.rtt, peer.queued), strict=True):
            if value is not None:
                most[figure, kind] = max(value, most.get((figure, kind), value))
    for (figure, kind), value in most.items():
        yield Sample(figure, value, kind)


# -- the same, of one neighbour at a time: for the HTTP node ---------------------------------------------------------

WHICH = ("node", "region", "address")
LAG, ROUND_TRIP, QUEUED = (
    replace(figure, meaning=figure.meaning.partition(":")[0], labels=WHICH) for figure in FARTHEST
)
CONNECTED = Figure("peer_connected", "gauge", "1 if there is a link", WHICH)
PEER_INFO = Figure("peer_info", "gauge", "1, with whether it listens, and how it was found", (*WHICH, "role", "found"))


def of_each(peers: "Iterable[Peer]") -> Iterator[Sample]:
    """What is known of each neighbour."""
    for peer in peers:
        which = (peer.node or "", peer.region or "", _lasting_address(peer))
        yield Sample(CONNECTED, int(peer.state == "connected"), which)
        yield Sample(QUEUED, peer.queued, which)
        yield Sample(PEER_INFO, 1, (*which, peer.role or "", peer.found))
        if peer.rtt is not None:
            yield Sample(ROUND_TRIP, peer.rtt, which)
        if peer.lag is not None:
            yield Sample(LAG, peer.lag, which)


def _lasting_address(peer: "Peer") -> str:
    """What stays the same as long as it is the same neighbour: of one that is linked not the port, since the port of
    who dialled is another one each time, and each would be one more series for ever.
    """
    host, colon, port = peer.address.rpartition(":")
    return host if peer.node is not None and colon and port.isdigit() else peer.address
