"""The line between the program and a node that it has started: JSON objects over a socket, one to a line.

Must not know what they say. The line ends when either process does, however it ends, so each notices.
"""

import json
import socket
import threading
from typing import Any

_RECEIVED_AT_ONCE = 65_536


class Channel:
    """One end. Any thread may send; one thread at a time receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()  # one line at a time on the socket
        self._received = bytearray()

    def send(self, **message: Any) -> bool:
        """Send one object. False if the other end has gone."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            try:
                self._sock.sendall(line)
            except OSError:
                return False
        return True

    def receive(self) -> dict[str, Any] | None:
        """Wait for the next object. None if the other end has gone. Ctrl-C in between loses nothing."""
        while (end := self._received.find(b"\n")) < 0:
            try:
                chunk = self._sock.recv(_RECEIVED_AT_ONCE)
            except OSError:
                chunk = b""
            if not chunk:
                return None
            self._received += chunk
        message: dict[str, Any] = json.loads(self._received[:end])
        del self._received[: end + 1]
        return message

    def close(self) -> None:
        """End the line."""
        self._sock.close()
