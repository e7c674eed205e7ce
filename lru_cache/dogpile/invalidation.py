"""`SharedInvalidation`: `region.invalidate()` for all processes, and not for the one alone that has called it.

    region = make_region(name="prices")
    region.configure("lru_cache", arguments={...}, region_invalidator=SharedInvalidation(region))

When it was is one more value of the region's node. This file must not know how values are kept.
"""

import time
from typing import Any

from dogpile.cache.region import CacheRegion, RegionInvalidationStrategy

_KEY = "lru_cache.dogpile.invalidated:"


def _now(_: str) -> tuple[float, bool]:
    return time.time(), True


class SharedInvalidation(RegionInvalidationStrategy):  # type: ignore[misc]  # of which some releases have no types
    """When a region was invalidated, known to all who share its location and have a region of this name."""

    def __init__(self, region: CacheRegion) -> None:
        self._region = region
        self._key = f"{_KEY}{region.name or ''}"

    # The least recently used leaves when there is no room, and that is never the time before what it is to keep from
    # being used: a region that has found a value asks for the time after it.

    def _when(self) -> tuple[float, bool]:
        """The time, and whether it was hard; what was created before that time is not to be used."""
        node = self._region.actual_backend.node
        # Where values stay, of an invalidation only that the key has changed is told: it was at some time until now.
        found: Any = node.get(self._key, load=_now) if node.stays else node.get(self._key)
        return (0.0, False) if found is None else found

    def invalidate(self, hard: bool = True) -> None:
        """All that was created until now, by any process."""
        self._region.actual_backend.node.set(self._key, (time.time(), bool(hard)), expiration_time=None)

    def is_invalidated(self, timestamp: float) -> bool:
        """Whether what was created then is no longer to be used."""
        return timestamp < self._when()[0]

    def was_hard_invalidated(self) -> bool:
        """Whether nobody may use what was there, not even until there is something new."""
        return self._when()[1]

    def is_hard_invalidated(self, timestamp: float) -> bool:
        """Both."""
        when, hard = self._when()
        return hard and timestamp < when

    def was_soft_invalidated(self) -> bool:
        """Whether what was there may be used until there is something new."""
        when, hard = self._when()
        return when > 0 and not hard

    def is_soft_invalidated(self, timestamp: float) -> bool:
        """Both."""
        when, hard = self._when()
        return not hard and timestamp < when
