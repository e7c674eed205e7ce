"""Runs Django's own tests with our backend in the place of LocMem, and writes down what became of each.

In a process that Django's `runtests.py` was started in. SUITE is JSON: the `face` ("sync" or "async"), the `options` of
all caches, and the `file` to write to.
"""

import asyncio
import json
import os
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from django.core.cache.backends import locmem
from django.test.runner import DiscoverRunner

from lru_cache.django import LRUCacheBackend

SUITE = json.loads(os.environ["SUITE"])
METHODS = (
    "add", "clear", "close", "decr", "decr_version", "delete", "delete_many", "get", "get_many", "get_or_set",
    "has_key", "incr", "incr_version", "set", "set_many", "touch",
)  # fmt: skip
OF_OTHER_BACKENDS = ("Dummy", "DBCache", "CreateCacheTable", "FileBased", "Memcached", "PyLibMC", "PyMemcache", "Redis")


class Ends:
    """When each value ends, by its name in the node; None: never. LocMem has a dict of them, which tests look at."""

    def __init__(self, node: Any) -> None:
        self.node = node

    def __getitem__(self, name: str) -> float | None:
        left = self.node.expires_in(name)
        return None if left is None else round(time.time() + left, 1)


class Backend(LRUCacheBackend):
    """Ours, with these options, and what of LocMem's inside Django's tests of it touch."""

    _cache = None  # what its aliases are made to share: ours do
    _expire_info: Any = property(lambda self: Ends(self.node), lambda self, value: None)

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(location, {**params, "OPTIONS": {**SUITE["options"], **params.get("OPTIONS", {})}})


def answer_of(coroutine: Any) -> Any:
    """What it answers at once: it may wait for nothing, neither for a loop nor for a thread."""
    try:
        waited_for = coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError(f"it waits for {waited_for!r}")


class AsyncFace(Backend):
    """Asks the method for tasks wherever the tests, or Django, call the other one."""

    is_within = False


def by_task(name: str) -> Any:
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        plain = super(AsyncFace, self)
        if self.is_within:  # by the method for tasks itself
            return getattr(plain, name)(*arguments, **named)
        self.is_within = True
        try:
            run = asyncio.run if name == "get_or_set" else answer_of  # which may await a default
            return run(getattr(plain, f"a{name}")(*arguments, **named))
        finally:
            self.is_within = False

    return method


for each in METHODS:
    setattr(AsyncFace, each, by_task(each))
locmem.LocMemCache = {"sync": Backend, "async": AsyncFace}[SUITE["face"]]


class Result(unittest.TextTestResult):
    """Keeps the outcome of each test: "passed", or the last line of what it said."""

    outcomes: ClassVar[dict[str, str]] = {}

    def note(self, test: Any, outcome: str) -> None:
        self.outcomes[test.id()] = outcome

    def addSuccess(self, test: Any) -> None:  # noqa: N802
        super().addSuccess(test)
        if test.id() not in self.outcomes:
            self.note(test, "passed")

    def addError(self, test: Any, error: Any) -> None:  # noqa: N802
        super().addError(test, error)
        self.note(test, f"{error[0].__name__}: {error[1]}")

    def addFailure(self, test: Any, error: Any) -> None:  # noqa: N802
        super().addFailure(test, error)
        self.note(test, f"{error[0].__name__}: {error[1]}")

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self.note(test, f"skipped: {reason}")

    def addSubTest(self, test: Any, subtest: Any, error: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.note(test, f"{error[0].__name__}: {error[1]}")


def tests_in(suite: Any) -> Iterator[Any]:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests_in(each)
        else:
            yield each


class Runner(DiscoverRunner):
    """Leaves out what is of other backends."""

    def build_suite(self, *arguments: Any, **named: Any) -> Any:
        found = tests_in(super().build_suite(*arguments, **named))
        return unittest.TestSuite(
            each for each in found if not type(each).__name__.removeprefix("Async").startswith(OF_OTHER_BACKENDS)
        )

    def get_resultclass(self) -> Any:
        return Result

    def run_suite(self, suite: Any, **named: Any) -> Any:
        tests = list(suite)
        result = super().run_suite(unittest.TestSuite(tests), **named)
        # These tests go by the clock: what fails is asked once more, by itself.
        failed = [test for test in tests if Result.outcomes.pop(test.id(), "passed") != "passed"]
        Result.outcomes.update((test.id(), "passed") for test in tests if test not in failed)
        super().run_suite(unittest.TestSuite(failed), **named)
        Path(SUITE["file"]).write_text(json.dumps(result.outcomes))
        return result
