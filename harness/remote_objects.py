"""Objects in processes of their own, whose methods are called from here.

This file must not know what is measured or tested. Such a process is a fresh interpreter, never a fork of this one; it
ends when it is closed, and by itself when this one is gone.
"""

import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 120.0


class RemoteError(RuntimeError):
    """What the object was asked for failed there; the text is its traceback's last line. Or it is gone, or too slow."""


class RemoteObject:
    """A process with an object of this kind in it."""

    def __init__(self, kind: Callable[..., Any], *arguments: Any, environment: Mapping[str, str] | None = None) -> None:
        if str(ROOT) not in sys.path:  # which the new process takes over: what it is to hold is not installed
            sys.path.insert(0, str(ROOT))
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, kind, arguments), daemon=True)
        with patch.dict(os.environ, environment or {}):
            self._process.start()
        theirs.close()
        try:
            self.answer()
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process.pid is not None
        return self._process.pid

    def ask(self, method: str, *arguments: Any, seconds: float = PATIENCE_SECONDS) -> Any:
        """Call a method of its object, and wait for what it returns."""
        self.begin(method, *arguments)
        return self.answer(seconds)

    def begin(self, method: str, *arguments: Any) -> None:
        """Call a method and do not wait; `answer` does."""
        try:
            self._pipe.send((method, arguments))
        except OSError as error:
            raise RemoteError(f"it is gone: {error}") from None

    def answer(self, seconds: float = PATIENCE_SECONDS) -> Any:
        """Wait for what the call that was begun returns."""
        if not self._pipe.poll(seconds):
            raise RemoteError(f"no answer within {seconds:g} s")
        try:
            succeeded, result = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise RemoteError(f"it ended with status {self._process.exitcode}") from None
        if not succeeded:
            raise RemoteError(result)
        return result

    def stop(self) -> None:
        """Let it do nothing at all (SIGSTOP), until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._process.kill()
        self._process.join(10)
        self._pipe.close()

    def close(self, seconds: float = 10.0) -> None:
        """Let it close its object, and end; kill it if it does not."""
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(seconds)
        self.kill()

    def __enter__(self) -> "RemoteObject":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Held:
    """What such a process holds. Kinds of it add methods; those that everybody asks for are here."""

    def processor_seconds(self) -> float:
        """What this process has used of the processor, all threads."""
        return time.process_time()

    def close(self) -> None:
        """Let go of everything."""


def serve(pipe: Connection, kind: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Make the object and do what is asked, one thing after another, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the measurement hears it, and closes us
    logging.disable(logging.WARNING)  # that links come and go is what is measured, and no news
    try:
        held = kind(*arguments)
    except BaseException as error:  # noqa: BLE001 - the measurement is told, whatever it was
        pipe.send((False, said(error)))
        return
    pipe.send((True, None))
    while (call := received(pipe)) is not None:
        method, given = call
        try:
            answer = True, getattr(held, method)(*given)
        except Exception as error:  # noqa: BLE001 - likewise
            answer = False, said(error)
        with suppress(OSError):
            pipe.send(answer)
    held.close()
    os._exit(0)  # whatever threads some library has left


def received(pipe: Connection) -> Any:
    """Return the next call, or None at the end."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def said(error: BaseException) -> str:
    """One line of it, with the place."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
