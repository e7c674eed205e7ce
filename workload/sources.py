"""How a key is read through the slow stores: a source answers from its own store, or asks the one behind it.

Must not know of threads, nor of the cache in front; that one loads with the `get` of a source.
"""

from collections.abc import Callable
from datetime import datetime, timezone
from enum import Enum
from typing import TypeAlias

from workload.database import Database
from workload.remote_cache import RemoteCache

Get: TypeAlias = Callable[[str], str | None]


class _Absent(Enum):
    ABSENT = 0


_ABSENT = _Absent.ABSENT  # the distributed cache has no answer, which is not the answer None


def time_now() -> str:
    """Return the present in ISO 8601, always with six decimals, in UTC since instances may be anywhere."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


class DatabaseSource:
    """Answers from the database. A key that it lacks gets a value from `create`, if there is one."""

    def __init__(self, database: Database, create: Callable[[], str] | None = None) -> None:
        self._database = database
        self._create = create

    def get(self, key: str) -> str | None:
        """Return what the database holds: where several create at once, the first one's value for all."""
        value = self._database.get(key)
        if value is None and self._create is not None:
            return self._database.insert(key, self._create())
        return value


class CachedSource:
    """Answers from the distributed cache, and fills it from the source behind. None is an answer like any."""

    def __init__(self, remote_cache: RemoteCache[str | None], get: Get) -> None:
        self._remote_cache = remote_cache
        self._get = get

    def get(self, key: str) -> str | None:
        """Return the distributed cache's answer, or the source's."""
        found = self._remote_cache.get(key, _ABSENT)
        if found is not _ABSENT:
            return found
        value = self._get(key)
        self._remote_cache.set(key, value)
        return value
