"""The ledger finds what must not be."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.ledger import Ledger

LIFE, NEXT_LIFE = {"life": "a"}, {"life": "b"}
BEGINS, DONE = {"flush": "begins"}, {"flush": "done"}


def write(key: str, number: int, dies: bool = False) -> dict[str, Any]:
    return {"key": key, "number": number, "dies": dies}


def ledger(directory: Path, *lines: dict[str, Any]) -> Ledger:
    (directory / "node0.journal").write_text("\n".join(map(json.dumps, lines)))
    return Ledger(directory)


@pytest.mark.parametrize(
    ("key", "held"),
    [
        ("told:0", [{"told:0": 4}, {}]),
        ("told:0", [{"told:0": 5}, {"told:0": 6}]),
        ("mixed:1", [{"mixed:1": 4}, {"mixed:1": 5}]),
        ("loaded:2", [{"loaded:2": 4}]),
    ],
)
def test_finds_what_is_old_or_differs(tmp_path: Path, key: str, held: list[dict[str, Any]]) -> None:
    assert ledger(tmp_path, LIFE, write(key, 5)).faults(held)


def test_finds_what_came_back(tmp_path: Path) -> None:
    assert ledger(tmp_path, LIFE, write("told:0", 5, dies=True)).faults([{"told:0": 5}])


@pytest.mark.parametrize(
    ("key", "held"),
    [
        ("told:0", [{"told:0": 5}, {}]),
        ("mixed:1", [{"mixed:1": 5}, {"mixed:1": 6}]),
        ("loaded:2", [{"loaded:2": 5}, {}]),
    ],
)
def test_lets_the_latest_and_misses_pass(tmp_path: Path, key: str, held: list[dict[str, Any]]) -> None:
    assert not ledger(tmp_path, LIFE, write(key, 5, dies=key == "loaded:2")).faults(held)


def test_what_was_flushed_before_a_kill_counts(tmp_path: Path) -> None:
    book = ledger(tmp_path, LIFE, write("told:0", 5), BEGINS, write("told:0", 6), DONE, NEXT_LIFE)
    assert book.faults([{"told:0": 4}])
    assert not book.faults([{"told:0": 5}])


def test_a_flush_that_did_not_end_promises_nothing(tmp_path: Path) -> None:
    assert not ledger(tmp_path, LIFE, write("told:0", 5), BEGINS, NEXT_LIFE).faults([{"told:0": 4}])


def test_a_life_may_work_twice(tmp_path: Path) -> None:
    assert ledger(tmp_path, LIFE, write("told:0", 5), LIFE).faults([{"told:0": 4}])


def test_names_what_is_missing(tmp_path: Path) -> None:
    book = ledger(tmp_path, LIFE, write("told:0", 5), write("told:3", 6))
    assert book.missing([{"told:0": 5, "told:3": 6}, {"told:0": 5}]) == ["told:3"]


def test_what_a_killed_node_may_have_dropped_is_not_missing(tmp_path: Path) -> None:
    book = ledger(tmp_path, LIFE, write("told:0", 5), BEGINS, DONE, write("told:0", 6, dies=True), NEXT_LIFE)
    assert book.missing([{}]) == []
