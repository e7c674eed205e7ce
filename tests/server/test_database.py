"""Databases to preload from, made in one line."""

from pathlib import Path

import pytest

from lru_cache.server import preload
from lru_cache.server.command_line import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pairs(name: str = "input.db") -> dict[str, str]:
    """As a node would read them."""
    return preload.read(preload.find(name))[0]


def test_without_arguments_it_makes_what_a_node_looks_for(capsys: Captured) -> None:
    assert main(["make-database"]) == 0
    assert capsys.readouterr().out == "input.db: 1,000 pairs\n"
    assert (len(pairs()), pairs()["key7"]) == (1_000, "value7")
    assert [path.name for path in Path().iterdir()] == ["input.db"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.csv", 'key,val\na,1\n"b ","2,3"\n\na,4\n'),
        ("pairs.csv", '\ufeffa,4,ignored\n"b ","2,3"\n'),
        ("pairs.json", '{"a": 4, "b ": "2,3"}'),
    ],
)
def test_it_takes_pairs_out_of_a_file(name: str, content: str) -> None:
    Path(name).write_text(content, encoding="utf-8")
    assert main(["make-database", "mine.db", "--from", name]) == 0
    assert pairs("mine.db") == {"a": "4", "b ": "2,3"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--from", "missing.csv"], "cannot read missing.csv: No such file or directory"),
        (["--from", "broken.csv"], "cannot read broken.csv: row 1 has no second column"),
        (["--from", "broken.json"], "cannot read broken.json: it must be one object"),
        (["there.db"], "there.db exists already"),
        (["nowhere/input.db"], "cannot write nowhere/input.db: unable to open database file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(capsys: Captured, arguments: list[str], reason: str) -> None:
    Path("broken.csv").write_text("alone\n")
    Path("broken.json").write_text("[]")
    Path("there.db").write_text("")
    assert main(["make-database", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"lru_cache: {reason}")
    assert error.count("\n") == 1
    assert not Path("input.db").exists()
