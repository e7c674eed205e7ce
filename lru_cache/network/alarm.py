"""Waking a thread that waits for a socket. It must not know what for."""

import os
import select
import selectors
import sys
import threading
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

READABLE = selectors.EVENT_READ
WRITABLE = selectors.EVENT_WRITE
_POLLIN = getattr(select, "POLLIN", 0)


def _meaning(flags: int) -> int:
    return (READABLE if flags & ~select.POLLOUT else 0) | (WRITABLE if flags & ~_POLLIN else 0)


class _Poll:
    """`poll`, asked directly: `selectors` makes an object for each answer, and links ask in each of their turns.

    It needs no descriptor of its own, as epoll and kqueue do, and takes any number, as select does not.
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._wait = self._poll.poll
        self._wanted: dict[int, int] = {}

    def register(self, number: int, wanted: int) -> None:
        flags = (_POLLIN if wanted & READABLE else 0) | (select.POLLOUT if wanted & WRITABLE else 0)
        self._poll.register(number, flags)
        self._wanted[number] = wanted

    modify = register

    def unregister(self, number: int) -> None:
        del self._wanted[number]
        self._poll.unregister(number)

    def select(self, seconds: float) -> list[tuple[int, int]]:
        # Rounded up: a wait that ended earlier would be followed by another, and so on until the moment has come.
        found = self._wait(ceil(seconds * 1000) if seconds > 0 else 0)
        for _, flags in found:
            if flags != _POLLIN:
                return [(number, _meaning(flags) & self._wanted[number]) for number, flags in found]
        return found  # `READABLE` is the same number

    def close(self) -> None:
        """There is nothing to give back."""


class _Selector:
    """The same by whatever else the system has."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.register, self.modify = self._selector.register, self._selector.modify
        self.unregister, self.close = self._selector.unregister, self._selector.close

    def select(self, seconds: float) -> list[tuple[int, int]]:
        return [(key.fd, events) for key, events in self._selector.select(max(0.0, seconds))]


class Alarm:
    """Wait for sockets, or until somebody rings. One thread waits; any thread rings, and does not block."""

    def __init__(self) -> None:
        self.has_rung = False  # before the last wait was over
        self._rung = False  # since the last wait; so that a hundred rings cost one system call
        # Protects the writing end from being closed while somebody writes, whose bytes could then go into a file that
        # was given the same number. Reentrant, since a signal's handler may ring too.
        self._lock = threading.RLock()
        if hasattr(os, "eventfd"):
            self._reading = self._writing = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self._reading, self._writing = os.pipe()
            os.set_blocking(self._reading, False)
            os.set_blocking(self._writing, False)
        self._selector: _Poll | _Selector = _Poll() if _POLLIN == READABLE else _Selector()
        self._selector.register(self._reading, READABLE)
        self._watched: dict[int, int] = {}

    def ring(self) -> None:
        """Wake who waits, or who will wait next."""
        if self._rung:
            return
        with self._lock:
            self._rung = True
            if self._writing >= 0:
                try:
                    os.write(self._writing, (1).to_bytes(8, sys.byteorder))
                except BlockingIOError:
                    pass  # full, and so it will be read

    def watch(self, sock: "socket.socket", writable: bool = False, readable: bool = True) -> None:
        """Wait for this socket too: to be readable, writable, or either; no longer, if for neither."""
        wanted = (READABLE if readable else 0) | (WRITABLE if writable else 0)
        number = sock.fileno()
        watched = self._watched.get(number, 0)
        if watched == wanted:
            return
        if not wanted:
            self.unwatch(number)
            return
        if watched:
            self._selector.modify(number, wanted)
        else:
            self._selector.register(number, wanted)
        self._watched[number] = wanted

    def unwatch(self, number: int) -> None:
        """Wait for it no longer; by number, since it may be closed."""
        if self._watched.pop(number, None) is not None:
            self._selector.unregister(number)

    def wait(self, seconds: float) -> dict[int, int]:
        """Wait so long at most. Which sockets are ready, and for what: `READABLE` and `WRITABLE`.

        One that is broken or closed at the other end is ready for all that it was watched for.
        """
        ready = {}
        self.has_rung = False
        for number, events in self._selector.select(seconds):
            if number != self._reading:
                ready[number] = events
                continue
            self.has_rung = True
            try:
                os.read(number, 4096)
            except BlockingIOError:
                pass
        # Read, then cleared: a ring in between writes nothing, and what it was for is seen to after this anyway. The
        # other way round, a ring in between would be read here and leave `_rung` set for ever. Cleared in any case: a
        # signal may have kept who rang from writing.
        self._rung = False
        return ready

    def close(self) -> None:
        """Give the descriptors back."""
        with self._lock:
            self.abandon()

    def abandon(self) -> None:
        """Likewise in the child of a fork, where a thread that is not in this process may hold the lock for ever."""
        ends = {self._reading, self._writing} - {-1}
        self._reading = self._writing = -1
        self._selector.close()
        for end in ends:
            os.close(end)
