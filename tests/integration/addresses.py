"""Addresses on this machine for nodes and proxies of a test, that stay theirs while something is restarted."""

import socket

Address = tuple[str, int] | str  # of TCP, or the path of a Unix socket


def family_of(address: Address) -> socket.AddressFamily:
    if isinstance(address, str):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def connect(address: Address, timeout: float = 10.0) -> socket.socket:
    """A socket that is connected to this address."""
    made = socket.socket(family_of(address))
    made.settimeout(timeout)
    try:
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


class ReservedPort:
    """A free port that the system gives to nobody else until it is closed.

    It is bound, with SO_REUSEADDR, and does not listen: who connects is refused, who binds it by its number may.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket(family_of((host, 0)))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, 0))
        self.address: tuple[str, int] = (host, self._socket.getsockname()[1])

    def close(self) -> None:
        self._socket.close()


def has_ipv6() -> bool:
    """Whether ::1 is there, found out by using it."""
    try:
        ReservedPort("::1").close()
    except OSError:
        return False
    return True
