"""The scenarios: how slow the stores are, what they hold at the start, and which keys are asked for.

Must not know of caches, output, or who asks. Every random choice comes from a seed, so that a run can be
repeated, and so that several ways to serve get the same requests.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from workload.database import Database
from workload.sources import time_now


@dataclass(frozen=True)
class Scenario:
    """What a run starts from. The latencies are those of one call, unless the command line has others."""

    name: str
    database_ms: float
    cache_ms: float
    preloaded: bool  # key0 is value0, and so on, before the first request
    create: Callable[[], str] | None  # makes the value of a key that the database lacks
    expiration_time: timedelta | None  # how long the cache in front may keep an answer; None is for ever

    def preload(self, database: Database, keys: int, missing: int) -> None:
        """Bring the database into the state that this scenario starts from."""
        if self.preloaded:
            names = key_names(keys + missing)
            values = {name: f"value{number}" for number, name in enumerate(names[:keys])}
            database.preload(values, absent=names[keys:])


POPULATE = Scenario(
    name="populate",
    database_ms=50,
    cache_ms=5,
    preloaded=False,
    create=time_now,
    expiration_time=timedelta(days=60),
)
LOOKUP = Scenario(
    name="lookup",
    database_ms=500,
    cache_ms=100,
    preloaded=True,
    create=None,
    expiration_time=None,
)
SCENARIOS = {scenario.name: scenario for scenario in (POPULATE, LOOKUP)}


def key_names(count: int) -> Sequence[str]:
    """Return key0, key1, ...: the first ones exist, and keys asked for beyond those do not."""
    return tuple(f"key{number}" for number in range(count))


def random_keys(names: Sequence[str], requests: int, random_seed: int, thread: int) -> Iterator[str]:
    """Yield the keys that one thread asks for; the same ones for the same arguments."""
    choices = random.Random(f"{random_seed}/{thread}")
    for _ in range(requests):
        yield choices.choice(names)
