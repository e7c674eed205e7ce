"""The database of the workload: SQLite, made as slow as a database across the network.

Must not know of caches, scenarios or what threads do: it keeps strings, and the first writer of a key wins.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType

IN_MEMORY = ":memory:"

_CREATE = "CREATE TABLE IF NOT EXISTS stored (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
_SELECT = "SELECT value FROM stored WHERE key = ?"
_INSERT = "INSERT INTO stored (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
# Changes nothing, but fails on a file that can only be read, and on somebody else's table of that name.
_PROBE = "UPDATE stored SET value = value WHERE key = ''"


class DatabaseError(Exception):
    """The database cannot be used: the message names it and says why."""


class Database:
    """Strings under keys, in memory or in a file that any number of instances and processes share.

    Every `get` and `insert` waits `latency_seconds` in `sleep`, holding no lock, so that threads wait side by
    side. Another process that holds the file is waited for, `busy_seconds` long.
    """

    def __init__(
        self,
        path: str = IN_MEMORY,
        *,
        latency_seconds: float = 0.0,
        busy_seconds: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._latency_seconds = latency_seconds
        self._sleep = sleep
        self._lock = threading.Lock()  # protects the connection, which takes one caller at a time, and both counters
        self._reads = 0
        self._writes = 0
        self._connection = self._opened(busy_seconds)

    def get(self, key: str) -> str | None:
        """Return the value of `key`, or None where there is none."""
        self._sleep(self._latency_seconds)
        with self._lock:
            self._reads += 1
            return self._selected_locked(key)

    def insert(self, key: str, value: str) -> str:
        """Keep `value` unless `key` has one, and return what the database now holds: the first writer's.

        One call, and counted as one write, as it is one trip to a real database.
        """
        self._sleep(self._latency_seconds)
        with self._lock:
            self._writes += 1
            try:
                # Two statements, each its own transaction: a value that is there is never changed or removed,
                # so no other process can do anything in between that this one would see.
                self._connection.execute(_INSERT, (key, value))
            except sqlite3.Error as error:
                raise self._unusable(error) from error
            stored = self._selected_locked(key)
        assert stored is not None, "what was inserted, here or elsewhere, stays"
        return stored

    def preload(self, values: Mapping[str, str], absent: Iterable[str] = ()) -> None:
        """Start with these values and without the keys in `absent`; neither counted nor slowed down.

        All of it or nothing: `DatabaseError` if a shared file holds something else.
        """
        expected: dict[str, str | None] = {**values, **dict.fromkeys(absent)}
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(_INSERT, values.items())
                for key, value in expected.items():
                    self._expect_locked(key, value)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._unusable(error) from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @property
    def reads(self) -> int:
        """How many times a value was asked for."""
        return self._reads

    @property
    def writes(self) -> int:
        """How many times a value was offered, whoever won."""
        return self._writes

    def close(self) -> None:
        """Close the connection; a second time is harmless."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> "Database":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Database {self._path!r} reads={self._reads} writes={self._writes}>"

    def _opened(self, busy_seconds: float) -> sqlite3.Connection:
        """Connect, and find out now rather than in the first request whether this is a database of ours."""
        connection = None
        try:
            connection = sqlite3.connect(
                self._path, timeout=busy_seconds, isolation_level=None, check_same_thread=False
            )
            connection.execute(_CREATE)
            connection.execute(_PROBE)
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            raise self._unusable(error) from error
        return connection

    def _selected_locked(self, key: str) -> str | None:
        try:
            row = self._connection.execute(_SELECT, (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return None if row is None else str(row[0])

    def _expect_locked(self, key: str, value: str | None) -> None:
        found = self._selected_locked(key)
        if found == value:
            return
        wanted = "nothing" if value is None else repr(value)
        raise DatabaseError(f"the database {self._path!r} holds {found!r} as {key!r}, where {wanted} is expected")

    def _unusable(self, error: sqlite3.Error) -> DatabaseError:
        return DatabaseError(f"cannot use the database {self._path!r}: {error}")
