"""Each number of `stats()` is a figure by itself, and says what it means."""

import dataclasses
import subprocess
import sys

import pytest

from lru_cache import DistributedStats
from lru_cache.metrics import figures
from lru_cache.metrics.figures import FIGURES, INFO, STATS
from lru_cache.stats import GAUGES

FIELDS = {field.name: field.type for field in dataclasses.fields(DistributedStats)}


def test_every_number_of_stats_is_a_figure_and_every_text_a_label() -> None:
    texts = {name for name, kind in FIELDS.items() if kind is str}
    assert set(STATS) == set(FIELDS) - texts
    assert texts <= set(INFO.labels)


@pytest.mark.parametrize("name", STATS)
def test_a_figure_means_what_is_written_below_it(name: str) -> None:
    """A figure without a docstring would be shown all the same, and nobody would know what it is."""
    assert " " in STATS[name].meaning
    assert STATS[name].meaning == figures._docstrings()[name]


def test_what_goes_up_and_down_is_a_gauge_and_all_else_a_counter() -> None:
    assert set(FIELDS) >= GAUGES
    assert {figure.name for figure in STATS.values() if figure.kind == "gauge"} == GAUGES
    assert {"size", "links", "log_lag"} <= GAUGES
    assert not {"hits", "news_applied", "log_lost"} & GAUGES


def test_a_duration_is_in_seconds() -> None:
    assert {figure.name for figure in FIGURES if figure.unit} == {"peer_lag", "peer_round_trip"}


def test_a_figure_that_is_new_appears_by_itself() -> None:
    """As if it had been written in `stats.py`: the figures are made of what stands there."""
    code = """
from lru_cache import stats
stats.DistributedStats._fields = {**stats.DistributedStats._fields, "brand_new": int}
from lru_cache.metrics.figures import STATS
print(STATS["brand_new"].kind, STATS["brand_new"].meaning)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "counter Brand new\n"


def test_without_its_source_the_library_has_figures_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(figures.stats, "__file__")
    assert figures._docstrings() == {}
    assert [figure.name for figure in figures._of_stats()] == list(STATS)
