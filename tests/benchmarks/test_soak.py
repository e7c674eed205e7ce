"""`python -m benchmarks soak`: that it ends, and that its verdict tells what grows and what differs."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def soak(monkeypatch):
    """`benchmarks` lies beside the package and is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import soak

    return soak


def test_a_short_one_ends_with_a_verdict_on_every_node(soak):
    steps = []

    results = soak.measure(0.05, 4, 50.0, steps.append)
    verdicts = soak.judge(results)
    text = soak.text(results, verdicts)

    assert results.problems == []
    assert results.converged_after is not None, results.disagreements
    assert results.operations > 0
    assert steps[-2:] == ["healed", "checked"]
    for number in range(soak.NODES):
        assert f"\nnode {number}" in text
    assert "pass  every node has the newest value of each key, or none" in text


def looks(figures):
    return [
        (float(second), {"megabytes": figure, "blocks": figure, "threads": figure, "descriptors": figure})
        for second, figure in enumerate(figures)
    ]


@pytest.mark.parametrize(
    ("figures", "passed"),
    [
        ([10, 10, 30, 30, 31, 31, 31, 31], True),  # it filled up at first
        ([10, 10, 20, 20, 30, 30, 40, 40], False),
        ([10, 90, 10, 10, 10, 10, 10, 10], True),
        ([10], None),
    ],
)
def test_what_grows_after_the_first_quarter_is_found_out(soak, figures, passed):
    for name in ("megabytes", "blocks", "descriptors"):
        assert soak.growth("it", name, looks(figures)).passed is passed


def never(soak):
    return [(-1.0, None)] * soak.KEYS


def test_nodes_agree_if_each_has_the_newest_or_none(soak):
    newest = never(soak)
    newest[0] = (5.0, 5.0)
    held = [[5.0] + [None] * (soak.KEYS - 1), [None] * soak.KEYS]

    assert soak.disagreements(held, newest) == []


def test_a_value_that_was_invalidated_or_replaced_is_a_disagreement(soak):
    newest = soak.newest_writes([[(4.0, 4.0)] * soak.KEYS, [(5.0, None)] + [(3.0, 3.0)] * (soak.KEYS - 1)])
    held = [[4.0] + [None] * (soak.KEYS - 1)]

    assert newest[:2] == [(5.0, None), (4.0, 4.0)]
    assert soak.disagreements(held, newest) == ["key 0: a value 1.000 s older than the newest write"]


def test_nodes_that_differ_disagree_even_if_the_newest_writer_is_dead(soak):
    held = [[7.0] * soak.KEYS, [8.0] * soak.KEYS]

    assert soak.disagreements(held, never(soak))[0] == "key 0: nodes have different values: [7.0, 8.0]"


def test_every_fault_is_mended(soak):
    import random
    from contextlib import ExitStack

    chance = random.Random(2)
    with ExitStack() as stack:
        ring = soak.Ring(1, 20.0, stack)
        names = set()
        for _ in range(12):
            fault = soak.begin_fault(ring, chance, 0.0)
            names.add(fault.name.split()[-1])
            fault.mend()
        assert len(ring.living()) == soak.NODES
        assert len(names) >= 5
        for _, node in ring.living():
            node.ask("rest")
            assert node.ask("wrong_loads") == 0


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="benchmarks: matplotlib is not installed")
def test_the_plot_is_a_picture(soak, tmp_path):
    results = soak.Results(1.0, 1, {number: [] for number in range(soak.NODES)}, faults=[(1.0, "cut")])
    results.looks[0] = [(0.0, {**dict.fromkeys(soak.FIGURES, 1.0), "lag": float("nan")})] * 8

    soak.plot(results, tmp_path / "soak.png")

    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_one_line_says_how_to_get_it():
    program = (
        "import sys, importlib.util\nfind = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'matplotlib' else find(name, *rest)\n"
        "from benchmarks.__main__ import main\nsys.exit(main(['soak']))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert outcome.returncode == 2
    assert outcome.stderr == "benchmarks: matplotlib is not installed: pip install '.[bench]'\n"


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--minutes", "x"], ["--minutes", "9999"], ["nonsense"]])
def test_a_command_that_makes_no_sense_ends_with_2(soak, arguments):
    with pytest.raises(SystemExit) as end:
        soak.main(arguments)

    assert end.value.code == 2
