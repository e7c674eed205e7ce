"""Puts our caches in the place of SimpleCache for the tests of cachelib and Flask-Caching, and notes their outcomes.

A plugin of pytest, for a process that runs those tests. SUITE is JSON: the `options` of all caches, and the `file` to
write to.
"""

import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import cachelib
import cachelib.simple

from lru_cache.cachelib import LRUCacheBackend
from lru_cache.faces.nodes import end_all

SUITE = json.loads(os.environ["SUITE"])
BEGIN_OF_FAKE = 1_700_000_000.0  # what the clock of Flask-Caching's tests begins with

# Their conftest.py would start servers for other caches with it.
sys.modules["xprocess"] = types.ModuleType("xprocess")
sys.modules["xprocess"].ProcessStarter = object  # type: ignore[attr-defined]


class SuiteClock:
    """The machine's time, and what a test has added to it: these put a clock of their own into cachelib.simple."""

    time = staticmethod(time.time)

    def monotonic(self) -> float:
        ahead: float = getattr(cachelib.simple.time, "now", BEGIN_OF_FAKE) - BEGIN_OF_FAKE
        return time.monotonic() + ahead


CLOCK = SuiteClock()
OF_OTHER_CACHES = {"memcache_server", "memcached_server", "redis_server", "valkey_server"}


class OfCachelib(LRUCacheBackend):
    """Ours, as SimpleCache is called: without a location."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        named = dict(zip(("threshold", "default_timeout"), arguments, strict=False)) | named
        super().__init__(**{"clock": CLOCK, **SUITE["options"], **named})

    _cache: Any = property(lambda self: self.node)  # SimpleCache's dict, which tests look at
    _threshold: Any = property(lambda self: self.node.stats().capacity)


cachelib.SimpleCache = cachelib.simple.SimpleCache = OfCachelib

try:
    import flask_caching.backends
    import flask_caching.backends.simplecache
except ImportError:
    pass  # the suite is cachelib's, in an environment without Flask
else:
    from lru_cache.flask import LRUCacheBackend as FlaskBackend

    class OfFlask(FlaskBackend):
        """Ours, by the name that their configuration has for SimpleCache."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            named = dict(zip(("threshold", "default_timeout"), arguments, strict=False)) | named
            super().__init__(**{"clock": CLOCK, **SUITE["options"], **named})

        _cache: Any = property(lambda self: self.node)

    OfFlask.__name__ = OfFlask.__qualname__ = "SimpleCache"
    flask_caching.backends.SimpleCache = flask_caching.backends.simplecache.SimpleCache = OfFlask

outcomes: dict[str, str] = {}


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Leave out what is of caches that need a server, or a client of one."""
    items[:] = [
        each
        for each in items
        if OF_OTHER_CACHES.isdisjoint(each.fixturenames)
        and not any(name in each.nodeid for name in ("Redis", "Memcached"))
    ]


def pytest_runtest_teardown() -> None:
    """Each test's caches are its own."""
    end_all()


def pytest_runtest_logreport(report: Any) -> None:
    """Keep the outcome of each test: "passed", or the last line of what it said."""
    test = report.nodeid.rpartition("/")[2]
    if report.when == "call" and report.passed:
        outcomes.setdefault(test, "passed")
    elif not report.passed:
        outcomes[test] = "skipped" if report.skipped else str(report.longrepr).strip().splitlines()[-1]


def pytest_sessionfinish() -> None:
    """Write them down."""
    Path(SUITE["file"]).write_text(json.dumps(outcomes))
