"""Clusters made for one kind of trouble each: what an adversary with that taste changes in a setting.

It must not know how an act is carried out, nor what must hold.
"""

import random
from collections.abc import Callable

from lru_cache.testing.setting import LARGE, Setting, Sizes, simulated_keys


def _loads(setting: Setting, chance: random.Random) -> None:
    """One key of a database that changes all the time, loaded everywhere: what the hold and the fence are for."""
    setting.set_keys = setting.database_keys = list(simulated_keys()[: chance.choice([1, 1, 2])])
    setting.sizes = dict.fromkeys(setting.names, LARGE)
    setting.paces = (0.0, 0.004, 0.02)
    setting.skews = (-1.0, 1.0)
    setting.mix = {
        "change": 5, "announce": 8, "begin": 8, "read": 8, "end": 8, "deliver": 25, "pump": 25, "link": 3, "forget": 1,
    }  # fmt: skip


def _displaced(setting: Setting, chance: random.Random) -> None:
    """Keys that are set and loaded, far apart: a load displaces a set while an older set is on its way."""
    _loads(setting, chance)
    setting.mix = {"set": 6, "begin": 6, "read": 6, "end": 8, "deliver": 5, "pump": 5, "link": 5, "forget": 2}


def _chain(setting: Setting, chance: random.Random) -> None:
    """Nodes in a row that remember next to nothing: news has to travel on through who refuses it."""
    setting.names = [f"n{i}" for i in range(chance.choice([3, 4]))]
    setting.edges = list(zip(setting.names, setting.names[1:], strict=False))
    setting.set_keys = list(simulated_keys()[: chance.choice([3, 4, 6])])
    setting.sizes = dict.fromkeys(setting.names, LARGE) | dict.fromkeys(setting.names[1:-1], Sizes(1, 1, 50))
    setting.mix = {"set": 8, "invalidate": 3, "link": 4, "deliver": 15, "pump": 15}


def _cycle(setting: Setting, chance: random.Random) -> None:
    """A ring of nodes that forget at once and die often: news that nobody recognizes runs in circles."""
    setting.names = [f"n{i}" for i in range(chance.choice([3, 4]))]
    setting.edges = sorted(
        (min(a, b), max(a, b)) for a, b in zip(setting.names, setting.names[1:] + setting.names[:1], strict=True)
    )
    setting.set_keys = list(simulated_keys()[:6])
    setting.sizes = dict.fromkeys(setting.names, Sizes(2, 1, chance.choice([2, 50])))
    setting.mix = {"set": 4, "invalidate": 8, "crash": 3, "link": 6, "deliver": 20, "pump": 20}


def _crowd(setting: Setting, chance: random.Random) -> None:
    """Nodes linked with nearly all that forget at once and die often: news that no `seen` covers, in small outboxes."""
    setting.names = [f"n{i}" for i in range(chance.choice([4, 5, 6]))]
    setting.edges = [
        (a, b) for i, a in enumerate(setting.names) for b in setting.names[i + 1 :] if chance.random() < 0.9
    ]
    setting.edges = sorted({*setting.edges, *zip(setting.names, setting.names[1:], strict=False)})
    setting.set_keys = list(simulated_keys())
    setting.sizes = {
        name: Sizes(chance.choice([1, 3, 6]), chance.choice([1, 1, 2, 4, 12]), chance.choice([1, 1, 2, 2, 4]))
        for name in setting.names
    }
    setting.origins, setting.origin_silence = 1_024, 86_400.0
    setting.mix = {
        "set": 4, "invalidate": 10, "clear": 0.2, "crash": 2, "link": 5, "deliver": 25, "pump": 25, "forget": 2,
        "work": 4, "jump": chance.choice([0, 0.3, 3]), "tidy": 2,
    }  # fmt: skip


def _trees(setting: Setting, chance: random.Random) -> None:
    """Where there are many ways: links are pruned, and cut, stalled or lost with a node while others need them."""
    count = chance.choice([4, 5, 6, 8])
    setting.names = [f"n{i}" for i in range(count)]
    shape = chance.choice(["mesh", "ring with chords", "two hubs"])
    setting.edges = edges_of(shape, setting.names)
    setting.is_linked = True
    setting.set_keys = list(simulated_keys()[: chance.choice([3, 6, 12])])
    setting.database_keys = chance.choice([setting.set_keys[:1], list(simulated_keys()[:6])])
    setting.sizes = dict.fromkeys(setting.names, LARGE)
    setting.origins = chance.choice([1_024, 1_024, 8])
    setting.origin_silence = chance.choice([86_400.0, 86_400.0, 2.0])
    if (
        chance.random() < 0.4
    ):  # in a mesh that forgets keys and nodes at once, news of the dead goes round until it ends
        setting.origins, setting.origin_silence = 1_024, 86_400.0
        setting.sizes = {
            name: Sizes(chance.randint(1, 6), chance.randint(1, 6), chance.choice([3, 50])) for name in setting.names
        }
    setting.paces = chance.choice([(0.0, 0.002, 0.004), (0.0, 0.01, 0.03), (0.0, 0.01, 0.03)])
    setting.mix = {
        "set": 6, "invalidate": 3, "touch": 0.5, "clear": chance.choice([0, 0.1]), "begin": 1, "read": 1, "end": 1,
        "change": 0.5, "announce": 1, "deliver": 60, "pump": 30, "work": 6, "heartbeat": 0.5,
        "wait": chance.choice([0, 0.5]), "sever": chance.choice([0.2, 0.6, 2]), "link": chance.choice([0, 0, 0.3, 2]),
        "stall": chance.choice([0.2, 2]), "pause": chance.choice([0, 0.3]), "crash": chance.choice([0, 0, 0.2]),
        "forget": chance.choice([0, 1]), "tidy": 0.3,
        "jump": chance.choice([0, 0, 0.1]),
    }  # fmt: skip


def _disputed(setting: Setting, chance: random.Random) -> None:
    """The same, and one key or two that all write: what one node has replaced, others tell of over other links."""
    _trees(setting, chance)
    setting.repeats = 1
    setting.set_keys = setting.database_keys = list(simulated_keys()[: chance.choice([1, 2])])
    setting.origins, setting.origin_silence = 1_024, 86_400.0
    setting.paces = chance.choice([(0.0, 0.02, 0.06), (0.0, 0.05, 0.2)])
    setting.mix = {
        "set": 4, "invalidate": 3, "deliver": 50, "pump": 40, "work": 6, "heartbeat": 1,
        "sever": chance.choice([0, 0.2]), "link": chance.choice([1, 3]), "stall": chance.choice([1, 3]),
        "pause": chance.choice([0, 0.5]),
    }  # fmt: skip


def _churn(setting: Setting, chance: random.Random) -> None:
    """A ring, or a mesh in part, that falls apart for long and comes together link by link; its links are not the same.

    So what one part has replaced the other has not met, and it hears of the two over different links.
    """
    is_calm = chance.random() < 0.7  # then trees grow, and only divisions bring trouble
    setting.names = [f"n{i}" for i in range(5 if is_calm else chance.choice([5, 6, 7, 9]))]
    setting.edges = edges_of("ring" if is_calm else chance.choice(["ring", "partial mesh"]), setting.names)
    setting.is_linked = True
    setting.repeats = 1 if is_calm else chance.choice([1, 2])
    setting.set_keys = setting.database_keys = list(simulated_keys()[: chance.choice([6, 12])])
    setting.sizes = dict.fromkeys(setting.names, LARGE)
    setting.origins, setting.origin_silence = 1_024, 86_400.0
    setting.paces, setting.divisions = (0.0, 0.03, 0.1), (10.0, 20.0)  # seconds: longer than the hold, and some writes
    often = 0 if is_calm else chance.choice([0.3, 1])
    setting.mix = {
        "set": 20, "deliver": 90, "pump": 60, "work": 8, "heartbeat": 1, "divide": 0.5, "mend": 10,
        "invalidate": often * 3, "rewire": often * 0.5, "sever": often * 0.1, "stall": often * 2, "crash": often * 0.2,
    }  # fmt: skip


def edges_of(shape: str, names: list[str]) -> list[tuple[str, str]]:
    """The links of a network with more of them than it needs: more than one way between any two."""
    if shape == "mesh":
        edges = {(a, b) for i, a in enumerate(names) for b in names[i + 1 :]}
    elif shape == "two hubs":
        edges = {(hub, name) for i, hub in enumerate(names[:2]) for name in names[i + 1 :]}
    elif shape == "partial mesh":
        edges = {
            (name, names[(i + d) % len(names)]) for d in (1, 2, 4) if d < len(names) for i, name in enumerate(names)
        }
    elif shape == "ring":
        edges = set(zip(names, names[1:] + names[:1], strict=True))
    else:
        edges = set(zip(names, names[1:] + names[:1], strict=True))
        half = len(names) // 2
        edges |= {(names[i], names[i + half]) for i in range(half)}
    return sorted({(min(a, b), max(a, b)) for a, b in edges})


PROFILES: dict[str, Callable[[Setting, random.Random], None]] = {
    "loads": _loads,
    "displaced": _displaced,
    "chain": _chain,
    "cycle": _cycle,
}
"""A third of the seeds have one of them."""

ASKED_FOR: dict[str, Callable[[Setting, random.Random], None]] = {
    "crowd": _crowd,
    "trees": _trees,
    "disputed": _disputed,
    "churn": _churn,
}
"""Those that no seed chooses by itself."""
