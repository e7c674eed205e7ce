"""Pairs out of an SQLite database, found without being told where they are. It must not know what they are for."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lru_cache.server.errors import CommandError

Pairs = dict[str, str]
Advance = Callable[[int], object]  # told how many more rows were read

ROWS_AT_A_TIME = 10_000
WAIT_FOR_LOCK_SECONDS = 1.0
MOST_TABLES_LISTED = 20
VALUE_NAMES = ("val", "value")


@dataclass(frozen=True)
class Source:
    """A table (or a view) in a database, and the two columns to read."""

    path: Path
    table: str
    key_column: str
    value_column: str
    rows: int


@dataclass(frozen=True)
class Table:
    """A table and its columns, in order."""

    name: str
    columns: tuple[str, ...]

    def named_pair(self) -> tuple[str, str] | None:
        """Its columns `key` and `val` (or `value`), if it has them."""
        names = {column.lower(): column for column in self.columns}
        for value in VALUE_NAMES:
            if "key" in names and value in names:
                return names["key"], names[value]
        return None

    def only_pair(self) -> tuple[str, str] | None:
        """Its columns, if there are just two."""
        return (self.columns[0], self.columns[1]) if len(self.columns) == 2 else None

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.columns)})"


def find(text: str) -> Source:
    """Find what `FILE[:TABLE[.KEY,VALUE]]` names, or raise `CommandError`."""
    path, rest = _split(text)
    with closing(_open(path)) as database, _reading(path):
        tables = _tables(database)
        table, columns = _choose(path, tables, rest)
        (rows,) = database.execute(f"SELECT count(*) FROM {_quoted(table.name)}").fetchone()  # noqa: S608
    return Source(path, table.name, *columns, rows)


def read(source: Source, advance: Advance = lambda _: None) -> tuple[Pairs, int]:
    """Return the pairs, of equal keys the last, and how many rows have no key or no value. Raises `CommandError`."""
    pairs: Pairs = {}
    incomplete = 0
    columns = f"{_quoted(source.key_column)}, {_quoted(source.value_column)}"
    query = f"SELECT {columns} FROM {_quoted(source.table)}"  # noqa: S608 - names cannot be parameters
    with closing(_open(source.path)) as database, _reading(source.path):
        rows = database.execute(query)
        while chunk := rows.fetchmany(ROWS_AT_A_TIME):
            for key, value in chunk:
                if key is None or value is None:
                    incomplete += 1
                else:
                    pairs[_text(key, source)] = _text(value, source)
            advance(len(chunk))
    return pairs, incomplete


class _reading:  # noqa: N801 - used as a statement
    """What SQLite says, as our own error."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise CommandError(f"cannot read {self._path}: {error}") from error


def _split(text: str) -> tuple[Path, str]:
    """The file, and what stands behind the colon. A file's name may have colons too: the longest that exists wins."""
    file, rest = text, ""
    while True:
        if Path(file).is_file():
            return Path(file), rest
        file, colon, tail = file.rpartition(":")
        if not colon:
            break
        rest = f"{tail}:{rest}" if rest else tail
    if Path(text).exists():
        raise CommandError(f"cannot read {text}: it is not a file")
    name = text.partition(":")[0] or text
    raise CommandError(f"there is no database {name}; make one: python -m lru_cache make-database {name}")


def _open(path: Path) -> sqlite3.Connection:
    try:
        uri = path.resolve().as_uri() + "?mode=ro"
        return sqlite3.connect(uri, uri=True, timeout=WAIT_FOR_LOCK_SECONDS)
    except (sqlite3.Error, OSError) as error:
        raise CommandError(f"cannot read {path}: {error}") from error


def _tables(database: sqlite3.Connection) -> list[Table]:
    named = database.execute(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " ORDER BY name"
    ).fetchall()
    return [Table(name, tuple(_columns(database, name))) for (name,) in named]


def _columns(database: sqlite3.Connection, table: str) -> Iterator[str]:
    for row in database.execute(f"PRAGMA table_info({_quoted(table)})"):
        yield row[1]


def _choose(path: Path, tables: list[Table], rest: str) -> tuple[Table, tuple[str, str]]:
    if rest:
        return _named(path, tables, rest)
    paired = [(table, pair) for table in tables if (pair := table.named_pair())]
    if not paired:
        paired = [(table, pair) for table in tables if (pair := table.only_pair())]
    if len(paired) == 1:
        return paired[0]
    reason = "which table of" if paired else "no table with the columns key and val, nor just one with two columns, in"
    raise CommandError(f"{reason} {path}? Name it as {path}:TABLE.KEY,VALUE. {_listed(tables)}")


def _named(path: Path, tables: list[Table], rest: str) -> tuple[Table, tuple[str, str]]:
    """`TABLE`, or `TABLE.KEY,VALUE`; a table's name may have dots itself."""
    table = _table(tables, rest)
    if table is not None:
        columns = table.named_pair() or table.only_pair()
        if columns is None:
            raise CommandError(f"which columns of {path}? Name them as {path}:{rest}.KEY,VALUE. {_listed([table])}")
        return table, columns
    name, _, columns_text = rest.rpartition(".")
    table = _table(tables, name)
    if table is None:
        raise CommandError(f"there is no table {name or rest!r} in {path}. {_listed(tables)}")
    wanted = [column.strip() for column in columns_text.split(",")]
    held = {column.lower(): column for column in table.columns}
    if len(wanted) != 2 or not all(column.lower() in held for column in wanted):
        raise CommandError(f"there are no two columns {columns_text!r} in {path}:{name}. {_listed([table])}")
    return table, (held[wanted[0].lower()], held[wanted[1].lower()])


def _table(tables: list[Table], name: str) -> Table | None:
    return next((table for table in tables if table.name.lower() == name.lower()), None)


def _listed(tables: list[Table]) -> str:
    if not tables:
        return "It has no tables."
    shown = "; ".join(str(table) for table in tables[:MOST_TABLES_LISTED])
    more = len(tables) - MOST_TABLES_LISTED
    return f"It has {shown}" + (f"; and {more} more" if more > 0 else "")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: object, source: Source) -> str:
    """Numbers are taken as they are written; bytes only if they are text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise CommandError(
                f"cannot read {source.path}: in {source.table} there are bytes that are no text"
            ) from None
    return value if isinstance(value, str) else str(value)
