"""Lines to an output that many threads write to and whose reader may go away.

Must not know what the lines say. Errors of the operating system become `OutputError` here and nowhere else.
"""

import os
import threading
from typing import TextIO


class OutputError(Exception):
    """The output takes no more; the message says why."""


class OutputClosedError(OutputError):
    """Whoever read the output has gone, as `head` does when it has enough. Nobody is to blame."""


class Output:
    """Writes whole lines: each in one call and at once, so that no two mix, of this process or of several."""

    def __init__(self, stream: TextIO | None, prefix: str = "") -> None:
        self._stream = stream
        self._prefix = prefix
        self.is_broken = False  # a line could not be written; what is still buffered is for nobody
        self._lock = threading.Lock()  # one line at a time on the stream

    def write_line(self, line: str) -> None:
        """Write one line, or raise `OutputError`."""
        self.write(f"{self._prefix}{line}\n")

    def terminal_size(self) -> os.terminal_size | None:
        """How large the terminal is; None if it is none."""
        try:
            if self._stream is None or not self._stream.isatty() or os.environ.get("TERM") == "dumb":
                return None
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return None
        return size if size.columns > 1 else None

    def write(self, text: str) -> None:
        """Write text, or raise `OutputError`."""
        if self._stream is None:  # which is what Python has for an output that was closed before it started
            raise OutputError("cannot write the output: it is closed")
        with self._lock:
            try:
                self._stream.write(text)
                self._stream.flush()
            except BrokenPipeError as error:
                self.is_broken = True
                raise OutputClosedError(str(error)) from error
            except OSError as error:
                self.is_broken = True
                raise OutputError(f"cannot write the output: {error.strerror or error}") from error

    def abandon(self) -> None:
        """Send what is still buffered nowhere: or else the interpreter fails to flush it, loudly, at exit."""
        if self._stream is None:
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
