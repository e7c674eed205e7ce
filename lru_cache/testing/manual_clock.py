"""A clock that stands still until it is told to move, so that no test has to sleep."""

import threading


class ManualClock:
    """Give it to a cache as `clock=`; `advance` lets seconds pass, `set_time` is somebody who sets the wall clock."""

    def __init__(self, monotonic: float = 0.0, time: float = 1_700_000_000.0) -> None:
        self._lock = threading.Lock()  # protects both times, which advance together
        self._monotonic = float(monotonic)
        self._time = float(time)

    def monotonic(self) -> float:
        """Seconds of passed time."""
        return self._monotonic

    def time(self) -> float:
        """Seconds since 1970."""
        return self._time

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        if not seconds >= 0:
            raise ValueError(f"seconds must not be negative, got {seconds!r}; set_time() steps the wall clock back")
        with self._lock:
            self._monotonic += seconds
            self._time += seconds

    def set_time(self, time: float) -> None:
        """Step the wall clock, as an administrator or NTP would; passed time is not affected."""
        with self._lock:
            self._time = float(time)

    def __repr__(self) -> str:
        return f"ManualClock(monotonic={self._monotonic!r}, time={self._time!r})"
