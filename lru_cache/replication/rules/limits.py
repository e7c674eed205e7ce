"""How far a replica goes, and what has happened to it so far. State, no rules."""

from dataclasses import dataclass
from typing import Any

from . import messages


@dataclass(frozen=True)
class Limits:
    """How far a replica goes. Every one of them costs freshness or hits when it is reached, and never truth."""

    graves: int = 50_000
    outbox: int = 10_000
    origins: int = 1_024
    origin_silence: float = 86_400.0  # seconds after which a node that nobody hears of is forgotten
    value_bytes: int = 8 * 1024 * 1024
    max_clock_skew: float = 0.5
    source_lag: float = 0.0
    repeats: int = 3  # over a link, in a row, before it is asked to keep that node's news; 0: it never is
    slice: int = 256  # entries and graves to look at before the lock is let go: some tenths of a millisecond

    def __post_init__(self) -> None:
        if not 2 <= self.origins <= messages.MAXIMUM_ORIGINS:
            raise ValueError(f"origins must be 2 to {messages.MAXIMUM_ORIGINS}, which is what a message takes")


class Counts:
    """What happened to the replica so far."""

    __slots__ = (
        "applied", "dropped_by_floors", "grafts", "loads_left_out", "overflows", "prunes", "refused", "repeated",
        "resyncs", "told", "too_large",
    )  # fmt: skip

    def __init__(self) -> None:
        self.applied = self.repeated = self.resyncs = self.overflows = 0
        self.refused = 0  # sets that only a floor stood in the way of
        self.told = 0  # news, once for each link
        self.prunes = self.grafts = 0  # that neighbours asked for
        self.dropped_by_floors = self.loads_left_out = self.too_large = 0

    def __iter__(self) -> Any:
        return iter([getattr(self, name) for name in _COUNTS])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Counts) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Counts({', '.join([f'{name}={getattr(self, name)}' for name in _COUNTS])})"


_COUNTS = (
    "applied",
    "repeated",
    "told",
    "refused",
    "resyncs",
    "overflows",
    "dropped_by_floors",
    "loads_left_out",
    "too_large",
    "prunes",
    "grafts",
)
