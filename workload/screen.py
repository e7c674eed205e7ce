"""The end of a terminal: lines run upwards there, and below them stands what has come of all of them so far.

Must not know what the lines say, nor how figures are made. Where nobody watches, lines are written as they come.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workload.output import Output

if TYPE_CHECKING:
    import os

_UP = "\x1b[{}A"
_CLEAR_BELOW = "\r\x1b[J"
_LEAST_ROWS = 4  # of a terminal, that are left to the lines
_MOST_WAITING = 10_000  # lines, before whoever writes one writes all


class Screen:
    """Lines, and under them a few more that are written anew at each `refresh`. Any thread may write lines."""

    def __init__(self, output: Output, size: Callable[[], "os.terminal_size"] | None = None) -> None:
        self._output = output
        self._size = size
        self._lock = threading.Lock()  # protects the lines, and what stands on the terminal
        self._lines: list[str] = []
        self._standing = 0  # rows below the lines, that are to be written over

    def write_line(self, line: str) -> None:
        """Write one line now, or with the next refresh."""
        if self._size is None:
            self._output.write_line(line)
            return
        with self._lock:
            self._lines.append(line)
            if len(self._lines) >= _MOST_WAITING:
                self._write_locked(())

    def refresh(self, below: Sequence[str]) -> None:
        """Write what was not written yet, and below it these."""
        if self._size is None:
            return
        columns, rows = self._size()
        shown = [line[: columns - 1] for line in below[: max(0, rows - _LEAST_ROWS)]]
        with self._lock:
            self._write_locked(shown)

    def clear(self) -> None:
        """Write what was not written yet, and take away what stands below."""
        if self._size is not None:
            with self._lock:
                self._write_locked(())

    def _write_locked(self, below: Sequence[str]) -> None:
        lines, self._lines = self._lines, []
        if not lines and not below and not self._standing:
            return
        start = (_UP.format(self._standing) if self._standing else "") + _CLEAR_BELOW
        self._standing = len(below)
        self._output.write("".join([start, *(f"{line}\n" for line in [*lines, *below])]))
