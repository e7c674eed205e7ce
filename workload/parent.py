"""What the process that started this node tells it, and that this node must not outlive that process.

Must not know what a node does with what it is told.
"""

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from workload.command_line import EXIT_FAILED
from workload.control import Channel

GRACE_SECONDS = 10.0  # for a node whose parent has gone, to end in good order


def interrupt_main_thread() -> None:
    """Do what Ctrl-C does."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def end_at_once() -> None:
    """Leave, whatever still runs."""
    os._exit(EXIT_FAILED)


class Parent:
    """Messages from the parent. "stop" among them, and the end of the line, interrupt this process."""

    def __init__(
        self,
        channel: Channel,
        interrupt: Callable[[], None] = interrupt_main_thread,
        end: Callable[[], None] = end_at_once,
    ) -> None:
        self._channel = channel
        self._interrupt = interrupt
        self._end = end
        self._messages: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._released = False
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def next(self) -> dict[str, Any]:
        """Wait for the next message."""
        return self._messages.get()

    def release(self) -> None:
        """Wait until the parent has no more use for this node: when it says so, or is gone."""
        while not self._released:
            self.next()

    def _listen(self) -> None:
        while (message := self._channel.receive()) is not None:
            if "stop" in message:
                self._interrupt()
            self._released = self._released or "release" in message
            self._messages.put(message)
        if not self._released:
            timer = threading.Timer(GRACE_SECONDS, self._end)
            timer.daemon = True
            timer.start()
            self._interrupt()
            self._released = True
            self._messages.put({})  # for who is about to wait in spite of that
