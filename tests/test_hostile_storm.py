"""Everything that foreign code may do, anywhere and at random: keys, values and clocks that use the cache."""

import gc
import random
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import LRUCache
from lru_cache.testing import ManualClock
from tests.store.twins import check_whole

STEPS = 250
DEEPEST = 3  # acts within acts: deep enough to find each other, and to end


class Storm:
    """A cache, and chance that strikes wherever foreign code is run."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.depth = 0
        self.struck = 0
        self.held: list[Any] = []
        self.clock = Clock(self)
        options: dict[str, Any] = self.chance.choice(
            [{}, {"expiration_time": 5}, {"expiration_time": None}, {"expiration_time": 5, "stale_time": 5}]
        )
        if self.chance.random() < 0.7:
            options["clock"] = self.clock
        self.cache: LRUCache[Any, Any] = LRUCache(None, self.chance.choice([1, 3, 10]), **options)

    def strike(self) -> None:
        """Perhaps do something."""
        if self.depth < DEEPEST and self.chance.random() < 0.2:
            self.struck += 1
            self.act()

    def act(self) -> None:
        """Do something to the cache."""
        self.depth += 1
        try:
            self.chance.choice(ACTS)(self)
        except (KeyError, ArithmeticError):
            pass  # popitem() of nothing; a key in a mood
        finally:
            self.depth -= 1

    def key(self) -> Any:
        name = self.chance.randrange(12)
        return Key(self, name) if self.chance.random() < 0.7 else self.chance.choice([name, str(name), (name, "t")])

    def value(self) -> Any:
        return Value(self) if self.chance.random() < 0.5 else [object()]


class Clock(ManualClock):
    def __init__(self, storm: Storm) -> None:
        super().__init__()
        self.storm = storm

    def monotonic(self) -> float:
        self.storm.strike()
        return super().monotonic()


class Key:
    def __init__(self, storm: Storm, name: int) -> None:
        self.storm = storm
        self.name = name

    def __hash__(self) -> int:
        self.storm.strike()
        return self.name % 3

    def __eq__(self, other: object) -> bool:
        self.storm.strike()
        if self.storm.depth < DEEPEST and self.storm.chance.random() < 0.02:
            raise ArithmeticError("not in the mood")
        return isinstance(other, Key) and other.name == self.name


class Value:
    def __init__(self, storm: Storm) -> None:
        self.storm = storm
        self.itself = self if storm.chance.random() < 0.2 else None

    def __del__(self) -> None:
        self.storm.strike()


def hold(storm: Storm) -> None:
    storm.held += storm.cache._store.entries()
    del storm.held[: max(0, len(storm.held) - 20)]


def change(storm: Storm) -> None:
    """What replication does to entries in place, under the lock."""
    with storm.cache._lock:
        for entry in storm.chance.sample(storm.held, min(3, len(storm.held))):
            entry.value = storm.value()
            entry.version = storm.chance.choice([None, "version", ["version"]])
            entry.fresh_until = storm.chance.choice([entry.deadline, float("-inf")])
            storm.cache._store.prolong(entry, entry.deadline + storm.chance.choice([-3, 0, 50]), entry.fresh_until)


def resize(storm: Storm) -> None:
    with storm.cache._lock:
        storm.cache._store.capacity = storm.chance.choice([1, 2, 5, 20])


ACTS: list[Callable[[Storm], Any]] = [
    lambda storm: storm.cache.set(storm.key(), storm.value()),
    lambda storm: storm.cache.set(storm.key(), storm.value()),
    lambda storm: storm.cache.set(storm.key(), storm.value(), expiration_time=storm.chance.choice([0.5, 5, 50])),
    lambda storm: storm.cache.get(storm.key()),
    lambda storm: storm.cache.get(storm.key()),
    lambda storm: storm.cache.get(storm.key(), load=lambda key: storm.value()),
    lambda storm: storm.cache.invalidate(storm.key()),
    lambda storm: storm.cache.setdefault(storm.key(), storm.value()),
    lambda storm: storm.cache.touch(storm.key()),
    lambda storm: storm.cache.popitem(),
    lambda storm: storm.cache.expire(),
    lambda storm: storm.clock.advance(storm.chance.choice([0.1, 1, 7])),
    lambda storm: list(storm.cache.items()),
    lambda storm: len(storm.cache),
    lambda storm: storm.cache.clear() if storm.chance.random() < 0.2 else None,
    lambda storm: gc.collect(0),
    lambda storm: [storm.cache.set(number, number) for number in range(20)],
    hold,
    change,
    resize,
]


@pytest.mark.parametrize("seed", range(24))
def test_the_store_is_whole_after_whatever_foreign_code_has_done(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(STEPS):
        storm.act()
        storm.depth = DEEPEST  # calm, as long as it is looked at
        check_whole(storm.cache._store)
        storm.depth = 0
    assert storm.struck > 20
    storm.depth = DEEPEST
    storm.cache.clear()
    storm.held.clear()
    gc.collect()
    assert len(storm.cache._store) == 0
    check_whole(storm.cache._store)
