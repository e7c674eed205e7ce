"""The setting of a simulation: machines, links, keys, sizes, and how often what happens.

A plain object, chosen before anything runs. It must not know how an act is carried out, nor what must hold.
"""

import random
from dataclasses import dataclass
from functools import cache

from lru_cache.testing.core import Core, core_of

BUCKETS_USED = 2  # few on purpose: keys that share a floor must do each other no harm
KEYS_IN_A_BUCKET = 6
SKEW_SECONDS = 0.5  # that two clocks may differ

USUAL = {
    "set": 9, "invalidate": 3, "clear": 0.7, "touch": 2, "change": 8, "announce": 7, "begin": 9, "read": 8, "end": 8,
    "link": 5, "crash": 1, "deliver": 22, "use": 2, "forget": 3, "expire": 1, "pump": 18, "pause": 0.5, "stall": 1,
    "double": 0.5, "itself": 0.2, "jump": 0.3, "tidy": 2, "heartbeat": 1, "wait": 0.5,
}  # fmt: skip
"""How often each act is chosen, before a seed changes it."""

OF_WHOLE_CACHES = {"write_alone": 9, "get": 4}
"""Beside these, where each machine has a whole cache."""

OF_SLICES = {"work": 20}
"""Beside these, where what goes through all that is held does so an entry or two at a time."""


@cache
def simulated_keys() -> tuple[str, ...]:
    """Keys that fall into few buckets."""
    core = core_of()
    found: dict[int, list[str]] = {bucket: [] for bucket in range(BUCKETS_USED)}
    number = 0
    while any(len(keys) < KEYS_IN_A_BUCKET for keys in found.values()):
        name = f"k{number}"
        number += 1
        keys = found.get(core.bucket_of(core.encode_key(name)))
        if keys is not None and len(keys) < KEYS_IN_A_BUCKET:
            keys.append(name)
    return tuple(name for names in zip(*found.values(), strict=True) for name in names)


@dataclass(frozen=True)
class Sizes:
    """How much one machine remembers."""

    capacity: int
    graves: int
    outbox: int


LARGE = Sizes(50, 50, 50)


@dataclass
class Setting:
    """What one cluster is like."""

    names: list[str]
    edges: list[tuple[str, str]]
    set_keys: list[str]  # of which applications are the only source
    database_keys: list[str]  # which are loaded
    sizes: dict[str, Sizes]
    mix: dict[str, float]  # act -> how often, beside the others
    paces: tuple[float, ...]  # seconds between two acts
    lives: tuple[float, ...]  # seconds that a set lives
    origins: int
    origin_silence: float
    is_linked: bool = False  # from the beginning
    repeats: int = 3  # in a row after which a link is pruned
    divisions: tuple[float, ...] = (1.0, 5.0)  # seconds for which some machines are cut off from the others
    slice: int = 256  # how much a replica looks at in one step
    skews: tuple[float, ...] = (0.0, 0.0, -1.0, 1.0)  # how far clocks are off, as a part of what is allowed

    def limits(self, name: str, core: Core) -> object:
        """How far the replica of this machine goes."""
        return core.Limits(
            graves=self.sizes[name].graves,
            outbox=self.sizes[name].outbox,
            max_clock_skew=SKEW_SECONDS,
            origins=self.origins,
            origin_silence=self.origin_silence,
            slice=self.slice,
            repeats=self.repeats,
        )


def choose_setting(chance: random.Random) -> Setting:
    """Each seed has a network, sizes, keys and a mix of acts of its own: what is rare here is common there."""
    origins = chance.choice([1_024, 1_024, 8])
    origin_silence = chance.choice([86_400.0, 86_400.0, 2.0])
    names = [f"n{i}" for i in range(chance.randint(2, 5))]
    edges = {(names[chance.randrange(i)], names[i]) for i in range(1, len(names))}
    edges |= {(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if chance.random() < 0.3}
    keys = list(simulated_keys()[: chance.choice([2, 3, 4, 6, 8, 12])])
    set_keys, database_keys = keys[::2], keys[1::2]
    if chance.random() < 0.5:  # some are set and loaded: with a source, write the source first, then set
        set_keys = sorted({*set_keys, *keys[:2]})
        database_keys = sorted({*database_keys, *keys[:2]})
    small = chance.random() < 0.7
    sizes = {
        name: Sizes(chance.randint(1, 6), chance.randint(1, 4), chance.randint(1, 6)) if small else LARGE
        for name in names
    }
    mix = {act: weight * chance.choice([0.1, 1, 1, 4]) for act, weight in USUAL.items()}
    pace = chance.choice([0.002, 0.008, 0.03])  # how many steps there are to a hold
    paces = (0.0, pace, 2 * pace)
    lives = chance.choice([(float("inf"),), (float("inf"),), (0.5, 3.0, float("inf"))])
    return Setting(names, sorted(edges), set_keys, database_keys, sizes, mix, paces, lives, origins, origin_silence)
