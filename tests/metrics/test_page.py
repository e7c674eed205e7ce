"""docs/metrics.md is true: its code runs, its names are exported, its versions are those of the extras."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lru_cache.metrics.figures import FIGURES, STATS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["prometheus", "opentelemetry"])
def test_its_code_runs(snippet: str) -> None:
    """In a process of its own: it uses the default registry, and the global provider."""
    subprocess.run([sys.executable, "-c", snippet], check=True, cwd=ROOT)


def test_its_first_block_can_be_pasted_and_shows_figures() -> None:
    shown = "from prometheus_client import generate_latest\nprint(generate_latest().decode())"
    run = subprocess.run(
        [sys.executable, "-c", SNIPPETS[0] + shown], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert 'lru_cache_misses_total{cache="users"} 1.0\n' in run.stdout


@pytest.mark.parametrize("figure", [each for each in FIGURES if each.name not in STATS], ids=lambda each: each.name)
def test_each_figure_that_is_none_of_stats_is_in_the_table_with_its_labels(figure: object) -> None:
    name, labels = figure.name, figure.labels  # type: ignore[attr-defined]
    (cell,) = re.findall(rf"^\| `lru_cache_{name}(?:_seconds)?` \|([^|]*)\|", PAGE, re.MULTILINE)
    assert tuple(re.findall(r"`(\w+)`", cell)) == labels


@pytest.mark.parametrize(
    "figure", [each for each in STATS.values() if each.kind == "gauge"], ids=lambda each: each.name
)
def test_each_gauge_of_stats_is_in_the_table(figure: object) -> None:
    assert re.search(rf"^\|.*`(lru_cache)?_{figure.name}(_seconds)?`", PAGE, re.MULTILINE)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("extra", "package"), [("prometheus", "prometheus-client"), ("opentelemetry", "opentelemetry-api")]
)
def test_it_names_the_oldest_versions_that_the_extras_take(extra: str, package: str) -> None:
    (oldest,) = re.findall(
        rf'^{extra} = \["{package}>=([\d.]+)"\]$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert f"`{package}` from {oldest}" in PAGE
