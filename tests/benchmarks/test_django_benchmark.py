"""`python -m benchmarks django` says what it promises to say."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*arguments: str) -> str:
    outcome = subprocess.run(
        [sys.executable, "-m", "benchmarks", "django", "--quick", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return outcome.stdout


def test_every_value_has_its_figures_on_ours_and_on_locmem() -> None:
    found = json.loads(run("--json"))
    for what in ("a text", "six fields", "twenty rows", "a page"):
        for way in ("cache.get", "the backend's get"):
            assert all(found[what][way][name] > 0 for name in ("lru_cache", "LocMem"))
    printed = run()
    assert "at least 3 x LocMem's speed" in printed
    assert "Redis" in printed  # its figures, or why there are none
