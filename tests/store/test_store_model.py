"""A store against the simplest thing that could be one, over random operations."""

import unittest
from collections.abc import Callable
from math import inf
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lru_cache.store import RemovalCause
from tests.effort import some_or_many
from tests.store.twins import TWINS, check_whole

CAPACITY, RETENTION = 4, 3
CLEARED = RemovalCause.CLEARED
some_key = st.integers(0, 7)
some_life = st.one_of(st.just(inf), st.integers(1, 12))


class NaiveStore:
    """A list, least recently used first; every operation looks at all of it."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, float]] = []  # key, value, deadline

    def reap(self, now: float) -> list[tuple[int, int, RemovalCause]]:
        gone = [(k, v, RemovalCause.EXPIRED) for k, v, deadline in self.rows if deadline + RETENTION <= now]
        self.rows = [row for row in self.rows if row[2] + RETENTION > now]
        return gone

    def take(self, key: int, cause: RemovalCause, now: float) -> list[tuple[int, int, RemovalCause]]:
        gone = [(k, v, RemovalCause.EXPIRED if d <= now else cause) for k, v, d in self.rows if k == key]
        self.rows = [row for row in self.rows if row[0] != key]
        return gone

    def put(self, key: int, value: int, now: float, deadline: float) -> list[tuple[int, int, RemovalCause]]:
        gone = self.reap(now) + self.take(key, RemovalCause.REPLACED, now)
        if len(self.rows) == CAPACITY:
            gone += self.take(self.rows[0][0], RemovalCause.EVICTED, now)
        self.rows.append((key, value, deadline))
        return gone


class StoreAgainstModel(RuleBasedStateMachine):
    make: ClassVar[Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make(CAPACITY, RETENTION)
        self.held: list[Any] = []  # entries that somebody keeps, whatever becomes of them
        self.model = NaiveStore()
        self.now = 0.0
        self.value = 0
        self.walking: Any = None
        self.walked: list[int] = []
        self.to_walk: set[int] = set()  # what has been there since the walk began

    def same(
        self, gone: list[tuple[int, int, object, RemovalCause]], expected: list[tuple[int, int, RemovalCause]]
    ) -> None:
        assert sorted((k, v, c) for k, v, _, c in gone) == sorted(expected)

    @rule(key=some_key, life=some_life)
    def put(self, key: int, life: float) -> None:
        self.value += 1
        expected = self.model.put(key, self.value, self.now, self.now + life)
        self.same(self.store.put(key, self.value, self.now, deadline=self.now + life), expected)

    @rule(key=some_key)
    def use(self, key: int) -> None:
        entry = self.store.find(key)
        if entry is not None:
            self.store.use(entry)
        self.model.rows.sort(key=lambda row: row[0] == key)

    @rule(key=some_key)
    def remove(self, key: int) -> None:
        entry = self.store.find(key)
        gone = entry and self.store.remove(entry, RemovalCause.INVALIDATED, self.now)
        self.same([gone] if gone else [], self.model.take(key, RemovalCause.INVALIDATED, self.now))

    @rule(key=some_key, life=some_life)
    def prolong(self, key: int, life: float) -> None:
        entry = self.store.find(key)
        if entry is not None:
            self.store.prolong(entry, self.now + life, self.now + life)
        self.model.rows = [(k, v, self.now + life if k == key else d) for k, v, d in self.model.rows]

    @rule(seconds=st.integers(0, 8))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def reap(self) -> None:
        self.same(self.store.reap(self.now), self.model.reap(self.now))

    @rule()
    def pop_oldest(self) -> None:
        expected = []
        while self.model.rows:
            expected += self.model.take(self.model.rows[0][0], RemovalCause.INVALIDATED, self.now)
            if expected[-1][2] is RemovalCause.INVALIDATED:
                break
        self.same(self.store.pop_oldest(self.now), expected)

    @rule(key=some_key)
    def hold(self, key: int) -> None:
        entry = self.store.find(key)
        if entry is not None:
            self.held.append((entry, key))

    @rule()
    def let_go(self) -> None:
        self.held.clear()

    @rule()
    def clear(self) -> None:
        expected = [gone for k, _, _ in list(self.model.rows) for gone in self.model.take(k, CLEARED, self.now)]
        assert [(k, v, c) for k, v, _, c in self.store.clear(self.now).next(CAPACITY + 1)] == expected

    @rule(limit=st.integers(1, 3))
    def walk(self, limit: int) -> None:
        """Begin one, or go on with it; what stayed since the beginning is given once."""
        if self.walking is None:
            self.walking = self.store.walk()
            self.walked, self.to_walk = [], {key for key, _, _ in self.model.rows}
        entries = self.walking.next(limit)
        self.walked += [entry.key for entry in entries]
        assert len(self.walked) == len(set(self.walked))
        if not entries:
            assert self.to_walk <= set(self.walked)
            self.walking = None

    @rule(seconds=st.integers(-3, 3), limit=st.integers(1, 3))
    def note_the_time(self, seconds: int, limit: int) -> None:
        self.store.pass_time(self.now + seconds, limit)

    @invariant()
    def agrees(self) -> None:
        check_whole(self.store)
        self.to_walk &= {key for key, _, _ in self.model.rows}
        assert all(entry.key == key for entry, key in self.held)
        assert [(e.key, e.value, e.deadline) for e in self.store.entries()] == self.model.rows
        assert self.store.count(self.now) == sum(deadline > self.now for _, _, deadline in self.model.rows)
        for key in range(8):
            entry = self.store.find(key)
            assert (entry and entry.value) == next((v for k, v, _ in self.model.rows if k == key), None)


def against_model(name: str) -> type[unittest.TestCase]:
    machine = type(f"{name.title()}StoreAgainstModel", (StoreAgainstModel,), {"make": staticmethod(TWINS[name])})
    case: type[unittest.TestCase] = machine.TestCase  # type: ignore[attr-defined]
    case.settings = settings(max_examples=some_or_many(100, 500), stateful_step_count=50)  # type: ignore[attr-defined]
    return case


TestPythonStore = against_model("python")
if "native" in TWINS:
    TestNativeStore = against_model("native")
