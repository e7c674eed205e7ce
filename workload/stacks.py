"""The stacks that serve: a fresh set of stores, and what stands in front of them.

Must not know which cache that is (it gets one that somebody else made), nor who asks and how often.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from workload.database import IN_MEMORY, Database
from workload.remote_cache import RemoteCache
from workload.scenarios import Scenario
from workload.sources import CachedSource, DatabaseSource, Get
from workload.stop import Stop


class Front(Protocol):
    """What a stack asks of the cache in front."""

    def get(self, key: str, /) -> str | None:
        """Return the value of `key`, loaded if need be."""
        ...

    def __contains__(self, key: object, /) -> bool:
        """Tell whether `key` is held, without loading it."""
        ...

    def close(self) -> None:
        """Let go of whatever it has beside what it holds."""
        ...


@dataclass(frozen=True)
class Setting:
    """What the stores of every stack have in common."""

    scenario: Scenario
    keys: int
    missing: int
    database_ms: float
    cache_ms: float
    database_path: str = IN_MEMORY


@dataclass(frozen=True)
class Stack:
    """Stores on top of each other. `holds`: whether the cache in front has a key. `stop` ends waiting in `get`."""

    name: str
    get: Get
    holds: Callable[[str], bool]
    database: Database
    remote_cache: RemoteCache[str | None]
    stop: Stop


@contextmanager
def database_alone(setting: Setting) -> Iterator[Stack]:
    """Every request goes to the database."""
    with _stores(setting) as (database, remote_cache, stop):
        source = DatabaseSource(database, setting.scenario.create)
        yield Stack("database alone", source.get, _holds_nothing, database, remote_cache, stop)


@contextmanager
def with_remote_cache(setting: Setting) -> Iterator[Stack]:
    """Every request goes to the distributed cache, and to the database if it is not there."""
    with _stores(setting) as (database, remote_cache, stop):
        source = CachedSource(remote_cache, DatabaseSource(database, setting.scenario.create).get)
        yield Stack("with distributed cache", source.get, _holds_nothing, database, remote_cache, stop)


@contextmanager
def with_front(setting: Setting, new_front: Callable[[Setting, Get], Front]) -> Iterator[Stack]:
    """Every request goes to the cache that `new_front` makes, which loads through both stores."""
    with _stores(setting) as (database, remote_cache, stop):
        source = CachedSource(remote_cache, DatabaseSource(database, setting.scenario.create).get)
        with closing(new_front(setting, source.get)) as front:
            yield Stack(f"with {type(front).__name__}", front.get, front.__contains__, database, remote_cache, stop)


@contextmanager
def _stores(setting: Setting) -> Iterator[tuple[Database, RemoteCache[str | None], Stop]]:
    """Open both stores, in the state that the scenario starts from."""
    stop = Stop()
    remote_cache = RemoteCache[str | None](latency_seconds=setting.cache_ms / 1000, sleep=stop.sleep)
    with Database(setting.database_path, latency_seconds=setting.database_ms / 1000, sleep=stop.sleep) as database:
        setting.scenario.preload(database, setting.keys, setting.missing)
        yield database, remote_cache, stop


def _holds_nothing(key: str) -> bool:  # noqa: ARG001 - called like any other `holds`
    return False
