"""What a cache has done so far, as one frozen value. It must not know how anything is counted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """Counts since the cache was made. A `get` is a hit or a miss; stale answers are misses."""

    hits: int
    misses: int
    loads: int
    """Times that a loader was called, refreshes included."""
    load_failures: int
    """Loads that raised."""
    fenced_loads: int
    """Loads whose result was not kept, since the key was written or invalidated meanwhile."""
    stale_served: int
    """Answers with an expired value, because the loader failed or was slow."""
    evictions: int
    expirations: int
    invalidations: int
    """Calls that invalidated a key, held or not; `invalidate_many` and the like count each key, `clear` counts none."""
    size: int
    """Entries whose life has not ended."""
    capacity: int | None
    """None: without bound."""
    implementation: str
    """`native` if the parts in C are used, else `python`."""


@dataclass(frozen=True)
class DistributedStats(Stats):
    """The same of a replicated cache, and what happened between the nodes. *News* is a write or a load of another."""

    links: int
    """Now."""
    bytes_received: int
    bytes_sent: int
    news_applied: int
    news_repeated: int
    """News that was known already, from another link."""
    sets_refused: int
    """Values that came too late to tell whether they were the newest, and so count as invalidations."""
    resyncs: int
    """Times that a neighbour was told all that it lacked: once for each link, and once for each overflow."""
    overflows: int
    """Times that there was more to tell a neighbour than is remembered."""
    dropped_by_floors: int
    """Values dropped because a neighbour had forgotten how old such values may be: the price of a long partition."""
    loads_left_out: int
    """Loads not told because the neighbour had no room for them."""
    values_too_large: int
    """Values told as invalidations, because the neighbour does not take such long ones."""
    loads_untold: int
    """Loads that could not be encoded, or were too large, and stayed here."""
    graves: int
    """Keys whose values are gone and whose age is remembered, now."""
