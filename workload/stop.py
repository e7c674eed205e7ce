"""One flag that ends a run early, and that also cuts short whoever waits for a slow store.

Must not know who sets it (Ctrl-C, a failed request) or who looks.
"""

import threading


class Stopped(BaseException):
    """The run ends, and this wait with it; nothing is wrong, so a load that it ends has not failed."""


class Stop:
    """Set once, never cleared."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """End the run."""
        self._event.set()

    def is_set(self) -> bool:
        """Tell whether the run ends."""
        return self._event.is_set()

    def sleep(self, seconds: float) -> None:
        """Sleep as `time.sleep` does, but raise `Stopped` as soon as the run ends."""
        if self._event.wait(seconds):
            raise Stopped
