"""`python -m benchmarks flask` says what it promises to say."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*arguments: str) -> str:
    outcome = subprocess.run(
        [sys.executable, "-m", "benchmarks", "flask", "--quick", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return outcome.stdout


def test_every_value_has_its_figures_on_ours_and_on_theirs() -> None:
    found = json.loads(run("--json"))
    for what in ("a text", "six fields", "twenty rows", "a response"):
        for way in ("cache.get", "the cache's get"):
            assert all(found[what][way][name] > 0 for name in ("lru_cache", "SimpleCache"))
    for what in ("a text", "six fields", "twenty rows"):
        assert all(found[what]["region.get"][name] > 0 for name in ("lru_cache", "memory", "memory_pickle"))
    assert "SimpleCache" in run()
