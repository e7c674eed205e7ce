"""`python -m benchmarks replication`: that it says all it promises to say. How fast anything is, no test asserts."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NO_RICH = "benchmarks: rich is not installed: pip install '.[bench]'\n"
needs_rich = pytest.mark.skipif(find_spec("rich") is None, reason=NO_RICH.strip())


@pytest.fixture
def replication(monkeypatch):
    """`benchmarks` lies beside the package and is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import replication

    return replication


def run(*arguments, program=("-m", "benchmarks")):
    return subprocess.run(
        [sys.executable, *program, "replication", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_every_row_is_in_the_tables_and_in_the_document(replication, monkeypatch):
    effort = replication.Effort(rounds=1, events=200, entries=500, overflows=2, graves=100)
    monkeypatch.setattr(replication, "QUICK", effort)
    monkeypatch.setattr(replication, "OVERFLOW_ENTRIES", 500)
    steps = []
    results = replication.measure(effort, steps.append)
    text = replication.text(results)

    assert len(steps) == replication.count_steps(effort)
    for row, meaning in replication.ROWS.items():
        assert f"\n{row} " in text
        assert meaning in text
    for name in results.resync:
        assert f"\n{name} " in text
    for claim in ("An outbox of ", "A forgotten key takes ", "cProfile", "LRU_CACHE_PURE_PYTHON"):
        assert claim in text
    document = json.loads(json.dumps(replication.as_json(results)))
    assert set(document["events"]) == set(replication.ROWS)
    assert set(document["resync"]) == set(results.resync)


def test_a_resync_of_one_percent_costs_a_few_percent_of_the_bytes(replication):
    found = replication.measure_resync(2_000, lambda step: None)

    assert found["1 % differs"].bytes <= replication.RESYNC_SHARE * found["full transfer"].bytes


@needs_rich
def test_the_command_prints_a_document():
    outcome = run("--quick", "--size", "500", "--json")

    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["effort"]["entries"] == 500


def test_without_rich_one_line_says_how_to_get_it():
    program = (
        "import sys; sys.modules['rich'] = None\nfrom benchmarks.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    outcome = run("--quick", program=("-c", program))

    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (2, "", NO_RICH)


@pytest.mark.parametrize("arguments", [["--size", "0"], ["--size", "x"], ["nonsense"]])
def test_a_command_that_makes_no_sense_ends_with_2(replication, arguments):
    with pytest.raises(SystemExit) as end:
        replication.main(arguments)

    assert end.value.code == 2
