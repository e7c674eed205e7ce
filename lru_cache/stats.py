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
    capacity: int
