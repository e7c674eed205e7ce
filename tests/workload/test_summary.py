"""The figures are those of the answers that were added."""

import threading

import pytest

from workload.summary import Summary, Tally, percentile
from workload.workers import Answer


def summary_of(*answers):
    tally = Tally()
    for answer in answers:
        tally.add(answer)
    return tally.summary(database_reads=1, database_writes=2, cache_calls=3, total_seconds=4.0, complete=True)


def answer(key="key0", seconds=1.0, *, cached=False):
    return Answer(1, key, "value", seconds, cached)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0.1, 1)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(percent, expected):
    assert percentile(range(1, 101), percent) == expected


@pytest.mark.parametrize("percent", [1, 50, 99, 100])
def test_every_percentile_of_one_value_is_that_value(percent):
    assert percentile([7.0], percent) == 7.0


def test_a_percentile_of_few_values_is_one_of_them():
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0


def test_nothing_has_no_percentile():
    assert percentile([], 50) is None


def test_requests_are_counted():
    assert summary_of(answer(), answer()).requests == 2


def test_a_key_counts_once():
    assert summary_of(answer("key0"), answer("key1"), answer("key0")).distinct_keys == 2


def test_times_are_told_in_milliseconds_whatever_their_order():
    summary = summary_of(*(answer(seconds=n / 1000) for n in range(100, 0, -1)))
    assert (summary.p50_ms, summary.p95_ms, summary.p99_ms, summary.max_ms) == pytest.approx((50, 95, 99, 100))


def test_the_cached_time_is_the_median_of_the_cached_requests():
    summary = summary_of(
        answer(seconds=9),
        answer(seconds=1, cached=True),
        answer(seconds=2, cached=True),
        answer(seconds=5, cached=True),
    )
    assert (summary.cached_requests, summary.cached_ms) == (3, 2000)


def test_without_cached_requests_there_is_no_cached_time():
    assert summary_of(answer()).cached_ms is None


def test_nothing_served_has_a_summary_too():
    assert summary_of() == Summary(
        requests=0,
        distinct_keys=0,
        database_reads=1,
        database_writes=2,
        cache_calls=3,
        p50_ms=None,
        p95_ms=None,
        p99_ms=None,
        max_ms=None,
        cached_requests=0,
        cached_ms=None,
        total_seconds=4.0,
        complete=True,
    )


def test_answers_of_many_threads_are_all_counted():
    tally = Tally()
    threads = [threading.Thread(target=lambda: [tally.add(answer()) for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.requests == 8000
