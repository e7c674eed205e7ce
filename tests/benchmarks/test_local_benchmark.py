"""`python -m benchmarks local`: that it says everything it promises to say. How fast anything is, no test asserts."""

import json
import subprocess
import sys
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TINY = ["--quick", "--size", "20", "--rounds", "1"]
HAS_RICH = find_spec("rich") is not None


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch):
    """`benchmarks` lies beside the package and is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))


def run(*arguments, program=("-m", "benchmarks")):
    return subprocess.run(
        [sys.executable, *program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def only_ours(monkeypatch):
    """A machine without the bench extra."""
    from benchmarks.contenders import BASE, CONTENDERS, OURS, TWIN
    from benchmarks.loops import ON_LOOPS, Ours

    for kind in (*CONTENDERS.values(), *ON_LOOPS.values()):
        if kind not in (BASE, OURS, TWIN) and not issubclass(kind, Ours):
            monkeypatch.setattr(kind, "is_installed", classmethod(lambda cls: False))
    return CONTENDERS


def test_every_row_and_cache_is_in_the_tables_and_what_is_not_installed_says_so(only_ours):
    from benchmarks import local, report
    from benchmarks.loops import ON_LOOPS
    from benchmarks.speed import BASE_OF_ROW

    steps = []
    effort = local.Effort(**{**vars(local.QUICK), "rounds": 1})
    results = local.measure(list(only_ours), 20, effort, steps.append)
    verdicts = local.judge(results)
    text = report.text(results, verdicts, local.machine())

    assert results.problems == []
    assert len(steps) == local.count_steps(list(only_ours), effort)
    for row in BASE_OF_ROW:
        assert f"  {row:<11}" in text  # its meaning
        assert results.series["lru_cache"].figure(row) is not None
    tables = text.split("\n\n")
    for table in (*tables[1:3], tables[4]):
        lines = {line.split("  ")[0]: line for line in table.splitlines()}
        for name in only_ours:
            assert ("not installed" in lines[name]) == (name not in ("dict", "lru_cache", "lru_cache (pure)")), name
        assert "?" not in lines["lru_cache"]
    on_loops = {line.split("  ")[0]: line for line in text.split("\n\n")[3].splitlines()}
    for name in ON_LOOPS:
        assert ("not installed" in on_loops[name]) == (not name.startswith("lru_cache")), name
        assert "?" not in on_loops[name]
    assert len(verdicts) >= 9
    document = json.loads(json.dumps(local.as_json(results, verdicts)))
    assert set(document["caches"]) == set(only_ours)
    assert set(document["caches"]["lru_cache"]["rows"]) == set(BASE_OF_ROW)


def test_the_command_measures_the_caches_it_is_given_or_says_what_it_needs():
    outcome = run("local", *TINY, "--only", "lru_cache", "--json")

    if not HAS_RICH:
        assert outcome.returncode == 2
        assert outcome.stderr == "benchmarks: rich is not installed: pip install '.[bench]'\n"
        return
    assert outcome.returncode == 0, outcome.stderr
    assert set(json.loads(outcome.stdout)["caches"]) == {"dict", "lru_cache"}


def test_without_rich_one_line_says_how_to_get_it():
    program = (
        "import sys; sys.modules['rich'] = None\nfrom benchmarks.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )

    outcome = run("local", *TINY, program=("-c", program))

    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert outcome.stderr == "benchmarks: rich is not installed: pip install '.[bench]'\n"


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["local", "--only", "nonsense"], ["local", "--size", "0"], ["local", "--size", "x"]]
)
def test_a_command_that_makes_no_sense_ends_with_2(arguments):
    assert run(*arguments).returncode == 2


def test_the_order_probe_tells_lru_from_first_in_first_out():
    from benchmarks.contenders import FunctoolsLru, ItemContender
    from benchmarks.probes import keeps_exact_order

    class FirstInFirstOut(ItemContender):
        name = "fifo"

        def build(self):
            return OrderedDict()

        def set(self, key, value):
            self.cache[key] = value
            if len(self.cache) > self.capacity:
                self.cache.popitem(last=False)

    assert keeps_exact_order(FunctoolsLru)
    assert not keeps_exact_order(FirstInFirstOut)


def test_the_expiry_probe_tells_whose_lives_are_kept():
    from benchmarks.contenders import Dict, Ours
    from benchmarks.probes import expiry

    assert expiry(Dict, 0.01) == "no"
    assert expiry(Ours, 0.01) == "per entry"


def test_the_stampede_probe_counts_every_load():
    from benchmarks.contenders import Dict, Ours
    from benchmarks.probes import stampede

    assert stampede(Dict, 1, 0.02)["loads"] > 1
    assert stampede(Ours, 1, 0.02)["loads"] == 1


def test_the_race_finds_a_cache_that_mixes_up_its_keys():
    from benchmarks.contenders import Dict
    from benchmarks.probes import refute_thread_safety

    class Muddled(Dict):
        name = "muddled"

        def get(self, key):
            return next(iter(self.cache.values()), None)

    assert refute_thread_safety(Muddled, str, 0.2) is not None
    assert refute_thread_safety(Dict, str, 0.05) is None


def test_a_process_that_crashes_hangs_or_fails_is_told_apart():
    from benchmarks.local import ask_process

    assert ask_process("benchmarks.footprint", "no such cache", "1", timeout_seconds=30)[1].startswith("fails: ")
    assert ask_process("timeit", "while True: pass", timeout_seconds=0.3) == (None, "hangs")
    assert ask_process("timeit", "import os; os.kill(os.getpid(), 9)", timeout_seconds=30) == (
        None,
        "crashes (signal 9)",
    )
