"""Where addresses come from that may change: a name that is asked for, or a function of the application.

This file must not know what becomes of them, nor when to ask.
"""

import re
import socket
from collections.abc import Callable, Iterable
from typing import Any

from lru_cache.errors import AddressError
from lru_cache.network.address import Address, AddressLike, parse, parse_many

AddressSource = Callable[[], Iterable[AddressLike]]
DNS = "dns://"
_DNS = re.compile(r"dns://(?P<host>[^/:\[\]\s]+):(?P<port>[0-9]+)/?")


class Source:
    """One of them. `name` is what it is called in logs, and in `peers()`; `costs_all`: to ask it costs each node that
    there is something, so the more there are, the rarer.
    """

    def __init__(self, name: str, ask: Callable[[], Iterable[Any]], costs_all: bool = False) -> None:
        self.name = name
        self.costs_all = costs_all
        self._ask = ask

    def ask(self) -> list[Address]:
        """Its addresses as they are now. Raises whatever comes of asking, which may take long."""
        return parse_many(self.name, list(self._ask()))


def read_remotes(argument: str, value: Any) -> tuple[list[Address], list[Source]]:
    """Addresses that stay, and sources of those that may change; one of either kind, or a list of both."""
    if value is None:
        return [], []
    given, sources = [], []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str) and each.startswith(DNS):
            sources.append(_of_name(argument, each))
        elif callable(each):
            sources.append(Source(getattr(each, "__qualname__", type(each).__qualname__), each))
        else:
            given.append(each)
    return parse_many(argument, given), sources


def _of_name(argument: str, value: str) -> Source:
    matched = _DNS.fullmatch(value)
    if matched is None:
        raise AddressError(f'{argument}: {value!r} is no name with a port; write "dns://cache.example:7000"')
    host, port = matched["host"], parse(argument, ("", matched["port"])).port
    if port == 0:
        raise AddressError(f"{argument}: nobody listens on port 0; write the port of the others' local_address")

    def ask() -> list[tuple[str, int]]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise OSError(f"{host!r} is not a host's name: {error}") from None
        return list(dict.fromkeys((str(where[0]), port) for _, _, _, _, where in found))

    return Source(value, ask)
