"""`python -m benchmarks pauses`: that it measures each operation. How long anything takes, no test asserts."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def pauses(monkeypatch):
    """`benchmarks` lies beside the package and is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import pauses

    return pauses


def test_every_operation_has_a_row(pauses, capsys):
    assert pauses.main(["--size", "200", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    operations = [(row["place"], row["operation"]) for row in document["pauses"]]
    assert operations == [("local", name) for name in pauses.local_operations(1)] + [
        ("replicated", name) for name in pauses.REPLICATED
    ]
    assert all(row["held_seconds"] > 0 or row["call_seconds"] > 0 for row in document["pauses"])


def test_a_row_that_holds_for_longer_than_is_promised_is_a_miss(pauses):
    rows = [
        pauses.Pause("local", "short", pauses.BOUND_SECONDS, None),
        pauses.Pause("local", "long", pauses.BOUND_SECONDS * 2, 0.0),
        pauses.Pause("local", "long in C", 0.0, pauses.BOUND_SECONDS * 2),
    ]
    text = pauses.text(rows, 7)
    assert [line.split()[-1] for line in text.splitlines()[-3:]] == ["pass", "MISS", "MISS"]


def test_a_lock_is_held_from_the_outermost_step_to_its_end(pauses, monkeypatch):
    times = iter([1.0, 4.0])
    monkeypatch.setattr(pauses, "thread_time", lambda: next(times))
    with pauses.measured_locks():
        lock = pauses.MeasuredLock()
    pauses.MeasuredLock.longest = 0.0
    with lock, lock:
        pass
    assert pauses.MeasuredLock.longest == 3.0


@pytest.mark.parametrize("arguments", [["--size", "0"], ["--size", "x"], ["nonsense"]])
def test_a_command_that_makes_no_sense_ends_with_2(pauses, arguments):
    with pytest.raises(SystemExit) as end:
        pauses.main(arguments)
    assert end.value.code == 2
