"""Where an instance stands in a cluster. Must not know what is done with it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where it listens, where it dials, and which secrets prove it to the others (the first is its own)."""

    listen: str | None = None
    join: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    wait_for: int = 0  # other nodes, before it begins


ALONE = Place()
