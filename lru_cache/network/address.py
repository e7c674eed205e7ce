"""Addresses: what people write for the two ends of a link, and what sockets make of it.

This file must not know what is said over a link, nor open one.
"""

import ipaddress
import os
import re
import socket
from dataclasses import dataclass
from typing import Any

from lru_cache.errors import AddressError

AddressLike = tuple[str, int | str] | str | os.PathLike[str]
"""`(host, port)`, `"host:port"`, `"[::1]:port"` or the path of a Unix socket."""

_FORMS = 'write (host, port), "host:port", "[::1]:port" or the path of a Unix socket, such as "./cache.sock"'
_URL = "://"
_ENGINES = ("redis://", "rediss://", "unix://", "nats://", "tls://")
_HOST_AND_PORT = re.compile(r"(?:\[(?P<bracketed>[^\[\]]*)\]|(?P<host>[^:\[\]/]*)):(?P<port>[0-9]+)")
ANY_HOST = frozenset(("", "0.0.0.0", "::"))  # of who listens on all interfaces  # noqa: S104
_LARGEST_PORT = 65_535
_LONGEST_PATH_BYTES = 107  # what fits into the kernel's sockaddr_un on Linux, with its closing zero; 103 on macOS


@dataclass(frozen=True)
class Address:
    """One end: a host and a port, or the path of a Unix socket. The empty host is all interfaces, or this machine."""

    host: str = ""
    port: int = 0
    path: str | None = None

    @property
    def public(self) -> tuple[str, int] | str:
        """As it is shown to applications, and understood from them."""
        return (self.host, self.port) if self.path is None else self.path

    def with_port(self, port: int) -> "Address":
        """The same host, another port."""
        return Address(self.host, port)

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(argument: str, value: Any) -> Address:
    """Read one address. `argument` is what the caller calls it."""
    if isinstance(value, Address):
        return value
    if isinstance(value, os.PathLike):
        return _unix(argument, value)
    if isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[0], str):
        _refuse_url(argument, value[0])
        return Address(value[0], _port(argument, value[1], value))
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be an address, not {value!r}: {_FORMS}")
    _refuse_url(argument, value)
    matched = _HOST_AND_PORT.fullmatch(value)
    if matched is not None:
        host = matched["host"] if matched["bracketed"] is None else matched["bracketed"]
        return Address(host, _port(argument, matched["port"], value))
    if "/" in value:
        return _unix(argument, value)
    raise AddressError(f"{argument}: {value!r} is no address; {_FORMS}")


def parse_many(argument: str, value: Any) -> list[Address]:
    """Read no address (None), one, or a list of them, each once."""
    if value is None:
        return []
    addresses = [parse(argument, each) for each in value] if isinstance(value, list) else [parse(argument, value)]
    for each in addresses:
        if each.path is None and each.port == 0:
            raise AddressError(f"{argument}: nobody listens on port 0; give the port of the other's local_address")
    return list(dict.fromkeys(addresses))


def resolve(address: Address) -> list[tuple[socket.AddressFamily, Any]]:
    """Where to dial it: families and socket addresses, in the order to try. Asks the resolver, which may take long."""
    if address.path is not None:
        return [(socket.AF_UNIX, address.path)]
    try:
        found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{address.host!r} is not a host's name: {error}") from None
    return [(family, where) for family, _, _, _, where in found]


def is_local(family: int, where: Any) -> bool:
    """Whether a socket address is on this machine, where only this machine's users get at it.

    So is what stands for all interfaces: nobody comes from there, and who dials it reaches this machine.
    """
    if family == socket.AF_UNIX:
        return True
    ip = ipaddress.ip_address(where[0].partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback or (mapped or ip).is_unspecified)


def shown(family: int, where: Any) -> str:
    """A socket address as people write it."""
    if family == socket.AF_UNIX:
        return str(where)
    return str(Address(where[0].removeprefix("::ffff:"), where[1]))


def host_in(text: str) -> str:
    """The host in what `shown` has made of a socket address; empty for a path."""
    matched = _HOST_AND_PORT.fullmatch(text)
    if matched is None:
        return ""
    return (matched["host"] if matched["bracketed"] is None else matched["bracketed"]) or ""


def _refuse_url(argument: str, value: str) -> None:
    if _URL not in value:
        return
    scheme, _, rest = value.partition(_URL)
    shown = f"{scheme}://{rest.rpartition('@')[2]}"  # without a password
    hint = f"engine={shown!r} is how an engine is given; else " if value.lower().startswith(_ENGINES) else ""
    raise AddressError(
        f"{argument}: {shown!r} is a URL, and links are made with caches of this kind only; {hint}{_FORMS}"
    )


def _port(argument: str, value: Any, whole: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:9])
    if isinstance(value, str):
        raise AddressError(f"{argument}: {value!r} is not a port; {_FORMS}, or a list of several")
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{argument}: a port is an int or a string, not {type(value).__name__}")
    if not 0 <= value <= _LARGEST_PORT:
        raise AddressError(f"{argument}: {whole!r} has a port beyond {_LARGEST_PORT}")
    return value


def _unix(argument: str, value: "str | os.PathLike[str]") -> Address:
    path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError(f"{argument}: the path of a Unix socket must be a str, not {type(path).__name__}")
    if not hasattr(socket, "AF_UNIX"):
        raise AddressError(f"{argument}: this system has no Unix sockets")
    if "\0" in path or not 0 < len(os.fsencode(path)) <= _LONGEST_PATH_BYTES:
        raise AddressError(f"{argument}: a Unix socket's path has 1 to {_LONGEST_PATH_BYTES} bytes, not {path!r}")
    return Address(path=path)
