"""`python -m benchmarks fastapi` says what it promises to say."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.fastapi import IN_PROCESS, PATHS, SERVED, UVICORN

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*arguments: str) -> str:
    outcome = subprocess.run(
        [sys.executable, "-m", "benchmarks", "fastapi", "--quick", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return outcome.stdout


def test_every_endpoint_has_its_figures_in_each_way() -> None:
    found = json.loads(run("--json"))
    for way, names in ((IN_PROCESS, PATHS), (UVICORN, SERVED)):
        assert set(found[way]) == set(names)
        assert all(rate > 0 for rates in found[way].values() for rate in rates)
    assert "at least 0.9 x a constant dict's requests a second" in run()
