"""When what waits for the links is to be sent, by a clock of the test's own."""

from math import inf

import pytest

from lru_cache.network import pace as constants
from lru_cache.network.pace import BURST_SECONDS, BURST_WRITES, LINGER_SECONDS, Pace, Seen

FAST = BURST_SECONDS / 2
NOW = 1_000.0


@pytest.fixture
def pace() -> Pace:
    return Pace()


def test_the_first_write_and_one_after_a_pause_are_lone(pace: Pace) -> None:
    assert [pace.is_lone(NOW), pace.is_lone(NOW + BURST_SECONDS), pace.is_lone(NOW + 9)] == [True, True, True]


def test_writes_that_follow_each_other_fast_are_a_burst(pace: Pace) -> None:
    assert [pace.is_lone(NOW + i * FAST) for i in range(4)] == [True, False, False, False]


def test_in_a_burst_a_writer_sends_at_every_64th(pace: Pace) -> None:
    sent = [i for i in range(1, 3 * BURST_WRITES) if pace.is_batch()]
    assert sent == [BURST_WRITES, 2 * BURST_WRITES]


def test_what_a_lone_write_has_left_is_due_at_once(pace: Pace) -> None:
    pace.is_lone(NOW)
    assert pace.is_rest_due(NOW + 1)
    assert not pace.lingers


def test_what_a_burst_has_left_waits_for_a_millisecond_and_no_longer(pace: Pace) -> None:
    pace.is_lone(NOW)
    pace.is_lone(NOW + FAST)
    assert not pace.is_rest_due(NOW + FAST)
    assert (pace.lingers, pace.due) == (True, pytest.approx(NOW + FAST + LINGER_SECONDS))
    pace.is_lone(NOW + 2 * FAST)  # the burst goes on; that puts nothing off
    assert not pace.is_rest_due(NOW + LINGER_SECONDS / 2)
    assert pace.is_rest_due(NOW + FAST + LINGER_SECONDS)
    assert (pace.lingers, pace.due) == (False, inf)


def test_what_was_seen_follows_news_within_ten_milliseconds_whatever_else_rises(pace: Pace) -> None:
    pace.seen_rose(Seen.NEWS, NOW)
    pace.seen_rose(Seen.NEWS, NOW + 0.004)
    assert NOW < pace.due <= NOW + 0.01


def test_heartbeats_wait_for_about_a_second(pace: Pace) -> None:
    pace.seen_rose(Seen.IDLE, NOW)
    pace.seen_rose(Seen.IDLE, NOW + 0.5)
    assert pace.due == NOW + constants.SEEN_WHEN_IDLE_SECONDS
    assert 0.5 <= constants.SEEN_WHEN_IDLE_SECONDS <= constants.SEEN_AT_LATEST_SECONDS


def test_what_is_told_already_makes_nothing_due(pace: Pace) -> None:
    pace.seen_rose(Seen.TOLD, NOW)
    assert pace.due == inf


def test_news_is_not_held_up_by_heartbeats(pace: Pace) -> None:
    pace.seen_rose(Seen.IDLE, NOW)
    pace.seen_rose(Seen.NEWS, NOW)
    assert pace.due <= NOW + 0.01
