"""What a simulated cluster is like and how often what happens in it: the taste of the adversary.

It must not know how an act is carried out, nor what must hold.
"""

from functools import cache
from typing import TYPE_CHECKING

from lru_cache.replication.encoding import encode_key
from lru_cache.replication.forgetting import bucket_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lru_cache.testing.simulation import Simulation

BUCKETS_USED = 2  # few on purpose: keys that share a floor must do each other no harm
KEYS_IN_A_BUCKET = 6


@cache
def simulated_keys() -> tuple[str, ...]:
    """Keys that fall into few buckets."""
    found: dict[int, list[str]] = {bucket: [] for bucket in range(BUCKETS_USED)}
    number = 0
    while any(len(keys) < KEYS_IN_A_BUCKET for keys in found.values()):
        name = f"k{number}"
        number += 1
        keys = found.get(bucket_of(encode_key(name)))
        if keys is not None and len(keys) < KEYS_IN_A_BUCKET:
            keys.append(name)
    return tuple(name for names in zip(*found.values(), strict=True) for name in names)


USUAL = {
    "set": 9, "invalidate": 3, "clear": 0.7, "touch": 2, "change": 8, "announce": 7, "begin": 9, "read": 8, "end": 8,
    "link": 5, "crash": 1, "deliver": 22, "use": 2, "forget": 3, "expire": 1, "pump": 18, "pause": 0.5, "stall": 1,
    "double": 0.5, "itself": 0.2, "jump": 0.3, "tidy": 2, "heartbeat": 1, "wait": 0.5,
}  # fmt: skip
"""How often each act is chosen, before a seed changes it."""


def _loads(simulation: "Simulation") -> None:
    """One key of a database that changes all the time, loaded everywhere: what the hold and the fence are for."""
    chance = simulation.chance
    simulation.set_keys = simulation.database_keys = list(simulated_keys()[: chance.choice([1, 1, 2])])
    simulation.sizes = dict.fromkeys(simulation.names, (50, 50, 50))
    simulation.paces = (0.0, 0.004, 0.02)
    simulation.skews = (-1.0, 1.0)
    simulation.mix = {
        "change": 5, "announce": 8, "begin": 8, "read": 8, "end": 8, "deliver": 25, "pump": 25, "link": 3, "forget": 1,
    }  # fmt: skip


def _displaced(simulation: "Simulation") -> None:
    """Keys that are set and loaded, far apart: a load displaces a set while an older set is on its way."""
    _loads(simulation)
    simulation.mix = {"set": 6, "begin": 6, "read": 6, "end": 8, "deliver": 5, "pump": 5, "link": 5, "forget": 2}


def _chain(simulation: "Simulation") -> None:
    """Nodes in a row that remember next to nothing: news has to travel on through who refuses it."""
    chance = simulation.chance
    simulation.names = [f"n{i}" for i in range(chance.choice([3, 4]))]
    simulation.edges = list(zip(simulation.names, simulation.names[1:], strict=False))
    simulation.set_keys = list(simulated_keys()[: chance.choice([3, 4, 6])])
    simulation.sizes = dict.fromkeys(simulation.names, (50, 50, 50)) | dict.fromkeys(simulation.names[1:-1], (1, 1, 50))
    simulation.mix = {"set": 8, "invalidate": 3, "link": 4, "deliver": 15, "pump": 15}


def _cycle(simulation: "Simulation") -> None:
    """A ring of nodes that forget at once and die often: news that nobody recognizes runs in circles."""
    chance = simulation.chance
    simulation.names = [f"n{i}" for i in range(chance.choice([3, 4]))]
    simulation.edges = sorted(
        (min(a, b), max(a, b))
        for a, b in zip(simulation.names, simulation.names[1:] + simulation.names[:1], strict=True)
    )
    simulation.set_keys = list(simulated_keys()[:6])
    simulation.sizes = dict.fromkeys(simulation.names, (2, 1, chance.choice([2, 50])))
    simulation.mix = {"set": 4, "invalidate": 8, "crash": 3, "link": 6, "deliver": 20, "pump": 20}


PROFILES: "dict[str, Callable[[Simulation], None]]" = {
    "loads": _loads,
    "displaced": _displaced,
    "chain": _chain,
    "cycle": _cycle,
}
"""Clusters made for one kind of trouble each. A third of the seeds have one of them."""
