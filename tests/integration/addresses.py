"""Addresses on this machine for nodes and proxies of a test, that stay theirs while something is restarted."""

import socket

from harness.ports import ReservedPort

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


def has_ipv6() -> bool:
    """Whether ::1 is there, found out by using it."""
    try:
        ReservedPort("::1").close()
    except OSError:
        return False
    return True
