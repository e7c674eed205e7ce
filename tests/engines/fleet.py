"""Caches on one engine, for tests of what becomes of them: what they have written and logged, and when they connect.

This file must not know which engine it is.
"""

import itertools
import random
from functools import partial
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from tests.concurrency import PATIENCE, eventually

Cache = LRUCacheDistributed[Any, Any]
KEYS = 6  # of each node


class Fleet:
    """Caches on one engine, what they have written, and what they have logged."""

    def __init__(self, caches: list[Cache], lines: "Lines") -> None:
        self.caches = caches
        self.lines = lines
        self._numbers = itertools.count(1)
        self._chance = random.Random(1)
        self._mark = 0
        self._names: dict[int, int] = {}  # of caches: numbers that stay
        self._newest: dict[Any, int | None] = {}  # None: it is invalid
        self._shared: dict[Any, dict[int, int]] = {}  # of keys that all write: the newest of each

    def write(self, rounds: int = 1) -> None:
        """Write some keys, on each cache its own and one that all write; and read them, while whatever happens happens.

        At first all of them: so there are always some that were last written before, during, and after it.
        """
        for _, cache, key in itertools.product(range(rounds), self.caches, range(KEYS)):
            if (self._name(cache), key) not in self._newest or self._chance.random() < 0.5:
                self.write_one(cache, key)
                assert cache.get((self._name(cache), key)) == self._newest[self._name(cache), key]

    def write_one(self, cache: Cache, key: int) -> None:
        """Write one of its keys on a cache, or make it invalid. Each cache may have a thread of its own."""
        index, number = self._name(cache), next(self._numbers)
        if number % 5 == 0:
            cache.invalidate((index, key))
            self._newest[index, key] = None
        else:
            cache.set((index, key), number)
            self._newest[index, key] = number
        if key == 0:
            cache.set(("shared", key), number)
            self._shared.setdefault(("shared", key), {})[index] = number

    def settle(self) -> None:
        """Wait until the log has all that was written, and all have read it."""
        eventually(lambda: self.states() == {"connected"})
        for cache in self.caches:
            eventually(partial(cache.flush, timeout=PATIENCE))  # False at once where it has still to be linked
        self._hear()

    def _hear(self) -> None:
        """Wait until each has read what each writes now. It may be lost, too, and then is written again."""
        polls = itertools.count()

        def have_all() -> bool:
            if next(polls) % 500 == 0:
                self._mark = next(self._numbers)
                for cache in self.caches:
                    cache.set(("mark", self._name(cache)), self._mark)
            return all(self._have(("mark", self._name(cache)), self._mark) for cache in self.caches)

        eventually(have_all)

    def _have(self, key: Any, value: Any) -> bool:
        return all(cache.peek(key) == value for cache in self.caches)

    def states(self) -> set[str]:
        return {peer.state for cache in self.caches for peer in cache.peers() if peer.role == "engine"}

    def agree(self, *, whole: bool = False) -> None:
        """Each key has its newest value on every node, or is missed there; `whole`: none that is valid is missed."""
        self.settle()
        for cache, (key, newest) in itertools.product(self.caches, self._newest.items()):
            found = cache.peek(key)
            assert found == newest or (found is None and not whole), (self._name(cache), key, found, newest)
        for key, written in self._shared.items():
            found = {cache.peek(key) for cache in self.caches} - {None}
            assert len(found) <= 1, (key, found)
            assert found <= set(written.values()), (key, found, written)

    def leave(self, cache: Cache) -> None:
        """One of them is about to be closed. What it has written counts all the same."""
        assert cache.flush(timeout=PATIENCE)
        self.caches = [each for each in self.caches if each is not cache]  # caches that hold the same are equal

    def _name(self, cache: Cache) -> int:
        return self._names.setdefault(id(cache), len(self._names))

    def total(self, count: str) -> int:
        return sum(getattr(cache.stats(), count) for cache in self.caches)

    def all_say(self, phrase: str) -> None:
        """Wait until there are as many such lines as nodes, that is one of each."""
        eventually(lambda: self.lines.count(phrase) >= len(self.caches))

    def have_said(self, *phrases: str, nodes: int | None = None) -> None:
        """Each node, or so many, has logged one line with each of these phrases, and nothing else."""
        expected = sorted(phrases * (len(self.caches) if nodes is None else nodes))
        assert sorted(next((p for p in phrases if p in line), line) for line in self.lines.all()) == expected


class Lines:
    """What the library has logged, from warnings on."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._log = caplog

    def all(self) -> list[str]:
        return [each.getMessage() for each in list(self._log.records) if each.name == "lru_cache"]

    def count(self, phrase: str) -> int:
        return sum(phrase in line for line in self.all())


class Attempts:
    """To connect: those of all engines."""

    def __init__(self) -> None:
        self.made: list[object] = []

    def again(self, fleet: Fleet, times: int = 3) -> None:
        """Wait until each node has tried so many times more, to the end."""
        begun = len(self.made)

        def enough() -> bool:
            made = self.made[begun:]
            counts = [made.count(each) for each in set(made)]
            return len(counts) == len(fleet.caches) and min(counts) > times

        eventually(enough)
