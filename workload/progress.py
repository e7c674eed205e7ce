"""One line on a terminal that says how far a run has come, and goes away in the end.

Must not know what is counted. It is for people: where nobody watches, nothing is written.
"""

from typing import TextIO


class Progress:
    """Rewrites its line at each `show`, if `stream` is a terminal."""

    def __init__(self, stream: TextIO | None, total: int) -> None:
        self._stream = stream if stream is not None and stream.isatty() else None
        self._total = total
        self._width = 0

    def show(self, label: str, done: int) -> None:
        """Say that `done` of the total are done."""
        self._rewrite(f"{label}: {done:,} of {self._total:,} requests")

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        if self._width:
            self._rewrite("")
            self._width = 0

    def _rewrite(self, text: str) -> None:
        if self._stream is None:
            return
        self._stream.write(f"\r{text.ljust(self._width)}" + ("" if text else "\r"))
        self._stream.flush()
        self._width = max(self._width, len(text))
