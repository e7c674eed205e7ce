"""`python -m benchmarks simulate`: that every seed is run, counted and, if it fails, told how to see again."""

import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from lru_cache.replication import implementation
from lru_cache.testing.simulation import Simulation

ROOT = Path(__file__).resolve().parent.parent.parent
NO_RICH = "benchmarks: rich is not installed: pip install '.[bench]'\n"
FAILING = ["--break", "no-fence", "--profile", "loads", "--steps", "150"]
needs_rich = pytest.mark.skipif(find_spec("rich") is None, reason=NO_RICH.strip())


@pytest.fixture
def simulate(monkeypatch):
    """`benchmarks` lies beside the package and is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import simulate

    return simulate


def run(*arguments, program=("-m", "benchmarks")):
    return subprocess.run(
        [sys.executable, *program, "simulate", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def without_bar(monkeypatch, simulate):
    """Machines without rich run these tests as well."""
    from contextlib import nullcontext

    monkeypatch.setattr(simulate, "bar", lambda total: nullcontext(lambda summary: None))


@needs_rich
def test_processes_go_through_every_seed_and_what_they_went_through_is_added_up():
    outcome = run("--seeds", "6", "--first", "3", "--steps", "40", "--jobs", "2")

    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.startswith("6 schedules from seed 3 in ")
    assert "240 steps" in outcome.stdout
    counted = "writes events messages bytes partitions crashes restarts clock\\ jumps resyncs overflows"
    for count in re.split(r"(?<!\\) ", counted):
        assert re.search(rf"[\d,]+ {count}", outcome.stdout), count


def test_processes_and_none_find_the_same(simulate):
    task, seeds = simulate.Task(steps=40), range(3)
    here, there = simulate.Summary(), simulate.Summary()
    simulate.run_here(seeds, task, here, lambda summary: None)
    simulate.run_in_processes(seeds, 2, task, there, lambda summary: None)

    assert here == there


@pytest.mark.skipif(implementation == "python", reason="there is one build in this process")
def test_both_builds_of_the_rules_are_compared(simulate, monkeypatch, capsys):
    without_bar(monkeypatch, simulate)
    arguments = ["--both", "--seeds", "3", "--steps", "40", "--jobs", "1"]
    assert simulate.main(arguments) == 0
    assert "120 steps" in capsys.readouterr().out

    both = import_module(simulate.BOTH)
    monkeypatch.setattr(both, "everything_sent", lambda build, seed, **_: (f"{build} bytes", Simulation(seed, steps=0)))
    assert simulate.main(arguments) == 1
    said = capsys.readouterr().out
    assert "--first 2 --seeds 1 --steps 40 --both  # the builds differ: native " in said


def test_a_failing_seed_is_told_with_the_command_that_replays_it(simulate, monkeypatch, capsys):
    without_bar(monkeypatch, simulate)
    assert simulate.main(["--seeds", "30", "--jobs", "1", *FAILING]) == 1
    lines = capsys.readouterr().out.splitlines()
    commands = [line.split("  # ") for line in lines if line.startswith("python")]
    assert commands
    assert f"{len(commands)} failed" in lines
    command, claim = commands[0]
    assert " --profile loads" in command
    assert " --steps 150" in command

    replayed = run(*command.split()[4:])
    assert replayed.returncode == 1
    assert replayed.stdout.splitlines()[-1] == f"{command}  # {claim}"


def test_a_seed_that_raises_anything_has_failed_and_says_where(simulate, monkeypatch):
    monkeypatch.setattr(Simulation, "heal", lambda self: {}["gone"])
    outcome = simulate.run_seed(1, simulate.Task(steps=5))

    assert outcome.failure.startswith("KeyError: 'gone' (test_simulate.py:")
    assert outcome.tally.steps == 5


def test_a_process_that_dies_has_failed_its_seed_and_the_others_go_on(simulate, monkeypatch):
    hand_out = simulate.Worker.run

    def run_or_die(worker, seed):
        if seed == 1:
            worker.process.kill()
            worker.process.join()
        hand_out(worker, seed)

    monkeypatch.setattr(simulate.Worker, "run", run_or_die)
    summary = simulate.Summary()
    simulate.run_in_processes(range(4), 2, simulate.Task(steps=5), summary, lambda summary: None)

    assert summary.schedules == 4
    assert list(summary.failures) == [1]
    assert "died" in summary.failures[1]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_says_what_was_done_so_far_and_ends_with_130(simulate, monkeypatch, capsys, jobs):
    add = simulate.Summary.add

    def interrupt(summary, seed, outcome):
        add(summary, seed, outcome)
        if summary.schedules == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(simulate.Summary, "add", interrupt)
    without_bar(monkeypatch, simulate)

    assert simulate.main(["--seeds", "50", "--steps", "5", "--jobs", jobs]) == 130
    assert capsys.readouterr().out.startswith("3 of 50 schedules ")


def test_a_trace_says_what_happened_to_its_key(simulate, capsys):
    key = simulate.simulated_keys()[0]
    assert simulate.main(["--seed", "5", "--profile", "loads", "--steps", "60", "--trace", key]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert any("begins a load" in line for line in lines)
    assert "1 schedules from seed 5" in lines[-3]


@pytest.mark.parametrize(
    ("arguments", "claim"),
    [
        (["--seeds", "0"], "--seeds"),
        (["--first", "-1"], "--first"),
        (["--steps", "x"], "--steps"),
        (["--jobs", "0"], "--jobs"),
        (["--profile", "nonsense"], "chain"),
        (["--break", "nonsense"], "no-fence"),
        (["--trace", "nonsense", "--seed", "1"], "nonsense"),
        (["--trace", "nonsense"], "--seed K"),
        (["--seed", "1", "--first", "2"], "either"),
        (["--both", "--break", "no-fence"], "without --break"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_command_that_makes_no_sense_gets_one_line_and_2(simulate, capsys, arguments, claim):
    with pytest.raises(SystemExit) as end:
        simulate.main(arguments)

    assert end.value.code == 2
    said = capsys.readouterr().err
    assert claim in said
    assert said.count("\n") == 1


def test_broken_rules_that_cannot_be_imported_get_one_line_and_2(simulate, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tests.replication.broken", None)
    with pytest.raises(SystemExit) as end:
        simulate.main(["--break", "no-fence"])

    assert end.value.code == 2
    assert "cannot be imported" in capsys.readouterr().err


def test_without_rich_one_line_says_how_to_get_it():
    program = (
        "import sys; sys.modules['rich'] = None\nfrom benchmarks.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    outcome = run("--seeds", "2", program=("-c", program))

    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (2, "", NO_RICH)
