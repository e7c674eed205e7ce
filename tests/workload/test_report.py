"""What is printed: exactly the line that was asked for, and figures that people and programs can read."""

import dataclasses
import json

import pytest

from workload import report
from workload.command_line import parse
from workload.summary import Summary
from workload.workers import Answer

SUMMARY = Summary(
    requests=500,
    distinct_keys=10,
    database_reads=11,
    database_writes=12,
    cache_calls=13,
    p50_ms=0.001,
    p95_ms=55.5,
    p99_ms=110.25,
    max_ms=1234.5,
    cached_requests=400,
    cached_ms=0.0025,
    total_seconds=1.5,
    complete=True,
)
NOTHING = dataclasses.replace(
    SUMMARY, requests=0, p50_ms=None, p95_ms=None, p99_ms=None, max_ms=None, cached_ms=None, complete=False
)
OPTIONS = parse(["--random-seed", "42"])


def test_a_request_line_is_exactly_that_of_the_seeds():
    line = report.request_line(Answer(1, "key1", "value1", 0.05005, cached=False))
    assert line == "[1] Request 'key1', response 'value1', time: 50.05 ms"


def test_a_request_line_of_a_key_that_does_not_exist_has_the_same_form():
    line = report.request_line(Answer(10, "key12", None, 0.0, cached=True))
    assert line == "[10] Request 'key12', response 'None', time: 0.00 ms"


@pytest.mark.parametrize(
    ("label", "figure"),
    [
        ("requests", "500"),
        ("distinct keys", "10"),
        ("database reads", "11"),
        ("database writes", "12"),
        ("distributed-cache calls", "13"),
        ("p50", "0.001 ms"),
        ("p95", "55.500 ms"),
        ("p99", "110.250 ms"),
        ("max", "1,234.500 ms"),
        ("total", "1.50 s"),
    ],
)
def test_a_summary_has_each_figure(label, figure):
    lines = report.summary_text(OPTIONS, SUMMARY).splitlines()
    assert [label, *figure.split()] in [[line[:23].strip(), *line[23:].split()] for line in lines]


def test_a_summary_compares_a_cached_request_with_the_distributed_cache():
    text = report.summary_text(OPTIONS, SUMMARY)
    assert "0.0025 ms (median of 400, against the distributed cache's 5 ms, 2,000 times as long)" in text


def test_a_cached_request_that_is_not_faster_is_not_praised():
    text = report.summary_text(OPTIONS, dataclasses.replace(SUMMARY, cached_ms=5.0))
    assert "5.0000 ms (median of 400, against the distributed cache's 5 ms)" in text


def test_a_summary_says_how_to_run_it_again():
    headline = report.summary_text(OPTIONS, SUMMARY).splitlines()[0]
    assert headline == (
        "populate: 10 threads, 50 requests each, for 10 keys; database 50 ms, distributed cache 5 ms; random seed 42"
    )


def test_a_partial_summary_says_so():
    assert "interrupted" in report.summary_text(OPTIONS, NOTHING)


def test_a_whole_summary_does_not():
    assert "interrupted" not in report.summary_text(OPTIONS, SUMMARY)


def test_a_summary_of_nothing_has_dashes():
    assert "p50                                -" in report.summary_text(OPTIONS, NOTHING)


def test_the_json_is_one_object_with_the_setting_and_the_figures():
    assert json.loads(report.summary_json(OPTIONS, SUMMARY)) == {
        "scenario": "populate",
        "threads": 10,
        "requests_per_thread": 50,
        "keys": 10,
        "missing": 0,
        "database_ms": 50,
        "cache_ms": 5,
        "random_seed": 42,
        **dataclasses.asdict(SUMMARY),
    }


def test_what_was_not_measured_is_null_in_json():
    assert json.loads(report.summary_json(OPTIONS, NOTHING))["p50_ms"] is None


def test_the_json_of_a_comparison_has_the_ways_in_their_order():
    ways = json.loads(report.comparison_json(OPTIONS, {"slow": SUMMARY, "fast": NOTHING}))["ways"]
    assert ways == [
        {"way": "slow", **dataclasses.asdict(SUMMARY)},
        {"way": "fast", **dataclasses.asdict(NOTHING)},
    ]


def test_a_comparison_is_a_table_with_a_row_for_each_way():
    table = report.comparison_text(OPTIONS, {"slow": SUMMARY, "longer name": SUMMARY}).splitlines()[2:]
    assert table == [
        "way          requests  db reads  db writes  cache calls  p50 ms  p95 ms   p99 ms     max ms  total s",
        "-----------  --------  --------  ---------  -----------  ------  ------  -------  ---------  -------",
        "slow              500        11         12           13   0.001  55.500  110.250  1,234.500     1.50",
        "longer name       500        11         12           13   0.001  55.500  110.250  1,234.500     1.50",
    ]


def test_an_interrupted_comparison_says_where():
    text = report.comparison_text(OPTIONS, {"slow": SUMMARY, "fast": NOTHING})
    assert "fast (interrupted)" in text
    assert "slow (interrupted)" not in text
