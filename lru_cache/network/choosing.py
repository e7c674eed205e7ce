"""Which of many addresses a node keeps links to, so that all nodes together are one graph. Arithmetic only.

Up to `ALL_OF` there are links to all of them. Beyond, addresses are put in a ring that is the same for all nodes, and
each dials those at the distances 1, 2, 4, 8... from itself. So a node has about twice the binary logarithm of their
number as links, as many hops are enough to reach any, and the loss of any three nodes leaves the others connected.

This file must not know where addresses come from, nor dial any.
"""

from collections.abc import Iterable
from hashlib import blake2b

from lru_cache.network.address import Address

ALL_OF = 8
PLACE_BYTES = 8


def place_of(what: bytes) -> bytes:
    """Where on the ring something is."""
    return blake2b(what, digest_size=PLACE_BYTES).digest()


def choose(others: Iterable[Address], own_place: bytes) -> set[Address]:
    """Those to dial, of the addresses of all other nodes, for who is at this place."""
    of_text = {str(address): address for address in others}
    if len(of_text) <= ALL_OF:
        return set(of_text.values())
    ring = sorted((place_of(text.encode()), text) for text in of_text)
    after = sum(place <= own_place for place, _ in ring)  # where the next one stands
    chosen = set()
    distance = 1
    while distance <= len(ring):
        _, text = ring[(after + distance - 1) % len(ring)]
        chosen.add(of_text[text])
        distance *= 2
    return chosen
