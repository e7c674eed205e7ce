"""Ports of this machine that are free, and stay so: the system gives them to nobody who does not name them.

Each is bound, with SO_REUSEADDR, and does not listen: who connects is refused, who binds it by its number may.
"""

import atexit
import socket


class ReservedPort:
    """A port that is kept until it is closed, so that a server may come back to it."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, 0))
        except OSError:
            self._socket.close()
            raise
        self.number: int = self._socket.getsockname()[1]
        self.address: tuple[str, int] = (host, self.number)

    def close(self) -> None:
        """Give it back."""
        self._socket.close()


def free_port() -> int:
    """A port that is this process's and its servers' as long as this process lives."""
    port = ReservedPort()
    atexit.register(port.close)
    return port.number
