"""What several nodes did together: their figures added up, and which keys more than one of them loaded, and why.

Must not know how nodes are started, nor how figures are written.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from workload.journal import Load
from workload.summary import Summary

NEWS_SECONDS = (
    0.05  # that a load may take to reach another node; on one machine it is a thousandth, unless that is busy
)


@dataclass(frozen=True)
class NodeResult:
    """What one node did."""

    number: int
    summary: Summary
    loads: tuple[Load, ...]

    @property
    def keys_from_others(self) -> int:
        """Keys that it served without loading them."""
        return max(0, self.summary.distinct_keys - len({load.key for load in self.loads}))


@dataclass(frozen=True)
class Repeat:
    """A load of a key that another load had been begun for, maybe on another node."""

    key: str
    seconds_after_begin: float  # of the first load of that key
    seconds_after_end: float  # likewise; negative while it was still running

    @property
    def is_concurrent(self) -> bool:
        """Whether it began before anybody could know of the first one's result."""
        return self.seconds_after_end < NEWS_SECONDS


@dataclass(frozen=True)
class ClusterResult:
    """What all of them did."""

    nodes: tuple[NodeResult, ...]
    complete: bool  # every node that there should be served all of its requests

    @property
    def distinct_keys(self) -> int:
        """Keys that some node loaded, which are all that were asked for."""
        return len({load.key for node in self.nodes for load in node.loads})

    @property
    def repeats(self) -> list[Repeat]:
        """Every load of a key but the first."""
        by_key: dict[str, list[Load]] = defaultdict(list)
        for node in self.nodes:
            for load in node.loads:
                by_key[load.key].append(load)
        return [repeat for loads in by_key.values() for repeat in _repeats(sorted(loads, key=lambda load: load.began))]

    def total(self, figure: str) -> int:
        """One figure of all nodes' summaries, added up."""
        return sum(getattr(node.summary, figure) for node in self.nodes)


def _repeats(loads: Sequence[Load]) -> list[Repeat]:
    first_end = min(load.ended for load in loads)
    first = loads[0]
    return [Repeat(load.key, load.began - first.began, load.began - first_end) for load in loads[1:]]
