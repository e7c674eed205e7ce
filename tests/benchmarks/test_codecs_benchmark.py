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


def test_every_way_has_its_figures_alone_and_between_nodes() -> None:
    found = json.loads(run("--json"))
    kinds = ("a text", "a dict", "a dataclass", "a msgspec struct", "a pydantic model")
    for what in kinds:
        for figures in found.values():
            assert all(figure > 0 for figure in figures[f"{what}, ours"].values())
    printed = run()
    assert all(name in printed for figures in found.values() for name in figures)
    assert all(claim in printed for claim in ("sets a second", "first read", "x msgspec's own"))
    assert "win" in printed or "LOSE" in printed
