"""What is read out of a database, and what is said of one that cannot be read."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lru_cache.server import preload
from lru_cache.server.errors import CommandError

MakeDatabase = Callable[..., str]


@pytest.fixture
def database(tmp_path: Path) -> MakeDatabase:
    """Makes an SQLite file out of statements, and returns its path."""

    def make(*statements: str, name: str = "input.db") -> str:
        path = tmp_path / name
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return str(path)

    return make


def read(text: str) -> dict[str, str]:
    return preload.read(preload.find(text))[0]


KEY_VAL = ("CREATE TABLE pairs (key TEXT, val TEXT)", "INSERT INTO pairs VALUES ('a', '1'), ('b', '2')")
TWO_OTHERS = ("CREATE TABLE names (k TEXT, v TEXT)", "INSERT INTO names VALUES ('x', 'y')")
THREE = ("CREATE TABLE people (id INTEGER, name TEXT, age INTEGER)", "INSERT INTO people VALUES (1, 'Ann', 30)")


def test_the_table_with_key_and_val_is_found(database: MakeDatabase) -> None:
    assert read(database(*THREE, *TWO_OTHERS, *KEY_VAL)) == {"a": "1", "b": "2"}


def test_key_and_value_in_any_case_and_order_will_do(database: MakeDatabase) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, Value TEXT, KEY TEXT)"
    assert read(database(table, "INSERT INTO t VALUES (1, 'v', 'k')")) == {"k": "v"}


def test_the_only_table_with_two_columns_will_do(database: MakeDatabase) -> None:
    assert read(database(*THREE, *TWO_OTHERS)) == {"x": "y"}


@pytest.mark.parametrize(
    "statements",
    [
        (),
        THREE,
        (*TWO_OTHERS, "CREATE TABLE more (a TEXT, b TEXT)"),
        (*KEY_VAL, "CREATE TABLE others (key TEXT, value TEXT)"),
    ],
)
def test_a_choice_that_is_not_clear_is_left_to_the_user(database: MakeDatabase, statements: tuple[str, ...]) -> None:
    path = database(*statements)
    with pytest.raises(CommandError) as error:
        preload.find(path)
    names = [statement.split()[2] for statement in statements if statement.startswith("CREATE")]
    assert all(name in str(error.value) for name in names)
    assert "TABLE.KEY,VALUE" in str(error.value)


def test_the_error_names_tables_and_columns(database: MakeDatabase) -> None:
    with pytest.raises(CommandError, match=r"It has people \(id, name, age\)$"):
        preload.find(database(*THREE))


@pytest.mark.parametrize(
    ("named", "pairs"),
    [
        (":people.name,age", {"Ann": "30"}),
        (":PEOPLE.Age,NAME", {"30": "Ann"}),
        (":names", {"x": "y"}),
        (":names.v,k", {"y": "x"}),
        (":pairs", {"a": "1", "b": "2"}),
        (":odd.table", {"o": "p"}),
        (":odd.table.c 1,c.2", {"o": "p"}),
    ],
)
def test_table_and_columns_can_be_named(database: MakeDatabase, named: str, pairs: dict[str, str]) -> None:
    odd = ('CREATE TABLE "odd.table" ("c 1" TEXT, "c2" TEXT)', "INSERT INTO \"odd.table\" VALUES ('o', 'p')")
    assert read(database(*THREE, *TWO_OTHERS, *KEY_VAL, *odd) + named.replace("c.2", "c2")) == pairs


@pytest.mark.parametrize("named", [":nothing", ":people", ":people.name", ":people.name,nothing", ":people.a,b,c"])
def test_a_name_that_leads_nowhere_is_said_with_what_there_is(database: MakeDatabase, named: str) -> None:
    with pytest.raises(CommandError, match=r"people \(id, name, age\)"):
        preload.find(database(*THREE) + named)


def test_names_are_never_taken_for_statements(database: MakeDatabase) -> None:
    evil = 'x"; DROP TABLE pairs; --'
    path = database(*KEY_VAL, 'CREATE TABLE "x""; DROP TABLE pairs; --" (key TEXT, val TEXT)')
    assert read(f"{path}:{evil}") == {}
    assert read(f"{path}:pairs") == {"a": "1", "b": "2"}


def test_a_file_s_name_may_have_colons(database: MakeDatabase) -> None:
    path = database(*KEY_VAL, name="a:b:c.db")
    assert read(path) == read(f"{path}:pairs") == {"a": "1", "b": "2"}


def test_a_file_s_name_may_mean_something_in_urls(database: MakeDatabase) -> None:
    assert read(database(*KEY_VAL, name="50% #1?.db")) == {"a": "1", "b": "2"}


def test_a_view_is_as_good_as_a_table(database: MakeDatabase) -> None:
    path = database(*THREE, "CREATE VIEW ages AS SELECT name AS key, age AS val FROM people")
    assert read(path) == {"Ann": "30"}


def test_numbers_and_bytes_become_text(database: MakeDatabase) -> None:
    path = database("CREATE TABLE t (key, val)", "INSERT INTO t VALUES (1, 2.5), (x'6162', 'c')")
    assert read(path) == {"1": "2.5", "ab": "c"}


def test_bytes_that_are_no_text_are_said(database: MakeDatabase) -> None:
    path = database("CREATE TABLE t (key, val)", "INSERT INTO t VALUES ('a', x'ff')")
    with pytest.raises(CommandError, match="bytes that are no text"):
        read(path)


def test_of_equal_keys_the_last_row_counts(database: MakeDatabase) -> None:
    assert read(database(*KEY_VAL, "INSERT INTO pairs VALUES ('a', '3')"))["a"] == "3"


def test_rows_without_a_key_or_a_value_are_left_out_and_counted(database: MakeDatabase) -> None:
    path = database(*KEY_VAL, "INSERT INTO pairs VALUES (NULL, 'x'), ('y', NULL)")
    assert preload.read(preload.find(path)) == ({"a": "1", "b": "2"}, 2)


def test_rows_are_told_as_they_are_read(database: MakeDatabase) -> None:
    count = preload.ROWS_AT_A_TIME + 1
    rows = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i, i FROM n"
    source = preload.find(database("CREATE TABLE t (key, val)", f"INSERT INTO t {rows}"))
    told: list[int] = []
    preload.read(source, told.append)
    assert (source.rows, told) == (count, [preload.ROWS_AT_A_TIME, 1])


def test_a_missing_database_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        CommandError,
        match=r"^there is no database .*missing\.db; make one: python -m lru_cache make-database .*missing\.db$",
    ):
        preload.find(f"{tmp_path}/missing.db:table.a,b")


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="it is not a file"):
        preload.find(str(tmp_path))


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"this is not an SQLite database at all" * 100)
    with pytest.raises(CommandError, match=r"broken\.db: file is not a database"):
        preload.find(str(path))


def test_a_damaged_database_is_said(database: MakeDatabase) -> None:
    path = Path(database(*KEY_VAL))
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(CommandError, match="cannot read"):
        read(str(path))


def test_a_locked_database_is_said(database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preload, "WAIT_FOR_LOCK_SECONDS", 0)
    path = database(*KEY_VAL)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CommandError, match="database is locked"):
            preload.find(path)


def test_the_database_is_only_read(database: MakeDatabase) -> None:
    path = Path(database(*KEY_VAL))
    before = path.read_bytes()
    read(str(path))
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
