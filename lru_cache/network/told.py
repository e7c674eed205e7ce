"""Addresses that other nodes tell of, and which of them may be dialled.

A node that has a link may say whatever it likes. So an address that was told is dialled only if it is an IP address
with a port, and the rule of this node allows it: a function of the application, or that it is in the network of an
address in this node's own configuration. This file must not know how addresses are told.
"""

import ipaddress
from collections.abc import Callable, Iterable
from contextlib import suppress

from lru_cache.network.address import Address, resolve

NETWORK_BITS = {4: 24, 6: 64}
MayDial = Callable[[tuple[str, int]], bool]
Rule = Callable[[], MayDial]
"""Asked for each time that others have told of addresses."""


def in_networks_of(given: Iterable[Address]) -> Rule:
    """The rule that allows what is in the network of one of these: the same 24 bits of an IPv4 address, 64 of an IPv6
    one. Names are looked up when it is asked for.
    """
    given = list(given)

    def rule() -> MayDial:
        networks = [network for each in given for network in _networks_of(each)]

        def may_dial(address: tuple[str, int]) -> bool:
            ip = _ip(address[0])
            return ip is not None and any(ip in network for network in networks)

        return may_dial

    return rule


def allowed(addresses: Iterable[tuple[str, int]], rule: Rule) -> list[tuple[str, int]]:
    """Those that are well formed, and that the rule allows."""
    found = dict.fromkeys((host, port) for host, port in addresses if port and _ip(host) is not None)
    may_dial = rule()
    return [address for address in found if may_dial(address) is True]


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = getattr(ip, "ipv4_mapped", None)
    return mapped or ip


def _networks_of(address: Address) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    networks = []
    if address.path is None:
        with suppress(OSError):
            for _, where in resolve(address):
                ip = _ip(where[0])
                if ip is not None:
                    networks.append(ipaddress.ip_network((ip, NETWORK_BITS[ip.version]), strict=False))
    return networks
