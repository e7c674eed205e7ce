"""Where time comes from. Nothing else in the package reads a clock by itself; it asks the one it was given."""

import time
from typing import Protocol


class Clock(Protocol):
    """What a cache asks for: one time to measure lives with, and one to compare dates with."""

    def monotonic(self) -> float:
        """Seconds that never go back; lives are counted in these."""
        ...

    def time(self) -> float:
        """Seconds since 1970, as people set them; only `expire_at` and versions need it."""
        ...


class SystemClock:
    """The machine's clocks. The methods are the C functions themselves: a read costs no Python frame."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)
