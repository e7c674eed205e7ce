"""Makes a database that a node can be preloaded from: of pairs in a file, or of made-up ones.

It must not know what a node does with it. It needs nothing but the standard library.
"""

import csv
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from lru_cache.server.errors import CommandError

MADE_UP_PAIRS = 1_000

Pair = tuple[str, str]


def made_up(count: int = MADE_UP_PAIRS) -> Iterator[Pair]:
    """Return key0 with value0, and so on."""
    return ((f"key{number}", f"value{number}") for number in range(count))


def read(path: Path) -> list[Pair]:
    """Return the pairs of a file: JSON (an object), else CSV (the first two columns; a line `key,...` is a heading)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return _of_json(path, json.loads(text)) if path.suffix == ".json" else _of_csv(path, text)
    except (OSError, ValueError, csv.Error) as error:
        raise CommandError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def write(path: Path, pairs: Iterable[Pair]) -> int:
    """Write a database with these pairs, of equal keys the last, and return how many it has. A file there is kept."""
    if path.exists():
        raise CommandError(f"{path} exists already; remove it first, or name another")
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")  # so that it is there only when it is whole
    try:
        with closing(sqlite3.connect(unfinished)) as database, database:
            database.execute("CREATE TABLE pairs (key TEXT PRIMARY KEY, val TEXT NOT NULL) WITHOUT ROWID")
            database.executemany("INSERT OR REPLACE INTO pairs VALUES (?, ?)", pairs)
            (count,) = database.execute("SELECT count(*) FROM pairs").fetchone()
        unfinished.replace(path)
    except (sqlite3.Error, OSError) as error:
        unfinished.unlink(missing_ok=True)
        raise CommandError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
    return int(count)


def _of_json(path: Path, content: object) -> list[Pair]:
    if not isinstance(content, dict):
        raise CommandError(f"cannot read {path}: it must be one object, with a member for each key")
    return [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in content.items()]


def _of_csv(path: Path, text: str) -> list[Pair]:
    rows = [row for row in csv.reader(text.splitlines(keepends=True)) if row]
    for number, row in enumerate(rows, 1):
        if len(row) < 2:
            raise CommandError(f"cannot read {path}: row {number} has no second column")
    if rows and rows[0][0].strip().lower() == "key":
        del rows[0]
    return [(row[0], row[1]) for row in rows]
