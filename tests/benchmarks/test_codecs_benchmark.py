"""`python -m benchmarks codecs` says what it promises to say."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*arguments: str) -> str:
    outcome = subprocess.run(
        [sys.executable, "-m", "benchmarks", "codecs", "--quick", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return outcome.stdout


def test_every_way_has_its_figures() -> None:
    found = json.loads(run("--json"))
    for what in ("a dict", "a dataclass", "a msgspec struct", "a pydantic model"):
        assert all(figure > 0 for figure in found[f"{what}, ours"].values())
    printed = run()
    assert all(name in printed for name in found)
    assert "x msgspec's own" in printed
