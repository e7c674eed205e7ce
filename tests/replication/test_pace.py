"""When what waits for the links is to be sent, by a clock of the test's own."""

from math import inf
from typing import Any

import pytest

from lru_cache.replication.rules import pace as constants
from lru_cache.replication.rules.pace import BURST_SECONDS, BURST_WRITES, LINGER_SECONDS, Act, Seen
from tests.replication.build import BUILDS, part_of

FAST = BURST_SECONDS / 2
NOW = 1_000.0


@pytest.fixture(params=BUILDS)
def pace(request: Any) -> Any:
    """With links."""
    pace = part_of(request.param, "pace").Pace()
    pace.has_links = True
    return pace


def test_without_links_nothing_is_to_be_done(pace: Any) -> None:
    pace.has_links = False
    assert [pace.wrote(NOW + i * FAST) for i in range(BURST_WRITES + 1)] == [Act.NOTHING] * (BURST_WRITES + 1)
    assert not pace.is_left


def test_the_first_write_and_one_after_a_pause_are_sent(pace: Any) -> None:
    assert [pace.wrote(now) for now in (NOW, NOW + 2 * BURST_SECONDS, NOW + 9)] == [Act.SEND] * 3
    assert not pace.is_left


def test_writes_that_follow_each_other_fast_wake_a_thread_once(pace: Any) -> None:
    acts = [pace.wrote(NOW + i * FAST) for i in range(5)]
    assert acts == [Act.SEND, Act.WAKE, Act.NOTHING, Act.NOTHING, Act.NOTHING]
    assert pace.is_left


def test_in_a_burst_a_writer_sends_at_every_64th(pace: Any) -> None:
    acts = [pace.wrote(NOW + i * FAST) for i in range(3 * BURST_WRITES)]
    assert [i for i, act in enumerate(acts) if act == Act.SEND_BATCHES] == [BURST_WRITES, 2 * BURST_WRITES]


def test_what_a_lone_write_has_left_is_due_at_once(pace: Any) -> None:
    pace.wrote(NOW)
    assert pace.leave() == Act.WAKE
    assert pace.is_rest_due(NOW + 1)
    assert (pace.lingers, pace.is_left) == (False, False)


def test_what_a_burst_has_left_waits_for_a_millisecond_and_no_longer(pace: Any) -> None:
    pace.wrote(NOW)
    pace.wrote(NOW + FAST)
    assert not pace.is_rest_due(NOW + FAST)
    assert (pace.lingers, pace.due) == (True, pytest.approx(NOW + FAST + LINGER_SECONDS))
    pace.wrote(NOW + 2 * FAST)  # the burst goes on; that puts nothing off
    assert not pace.is_rest_due(NOW + LINGER_SECONDS / 2)
    assert pace.is_rest_due(NOW + FAST + LINGER_SECONDS)
    assert (pace.lingers, pace.due) == (False, inf)


def test_while_a_thread_lingers_nobody_wakes_it_and_after_that_the_next_does(pace: Any) -> None:
    pace.wrote(NOW)
    assert pace.wrote(NOW + FAST) == Act.WAKE
    assert not pace.is_rest_due(NOW + FAST)
    assert pace.wrote(NOW + 2 * FAST) == Act.NOTHING
    assert pace.is_rest_due(NOW + FAST + LINGER_SECONDS)
    assert pace.wrote(NOW + 3 * FAST) == Act.WAKE


def test_what_was_left_by_another_way_wakes_nobody_twice(pace: Any) -> None:
    """A link's thread leaves something to itself, and lingers for what a burst adds to it."""
    pace.wrote(NOW)
    pace.is_left = True
    pace.wrote(NOW + FAST)
    assert not pace.is_rest_due(NOW + FAST)
    assert pace.leave() == Act.NOTHING


def test_what_was_seen_follows_news_within_ten_milliseconds_whatever_else_rises(pace: Any) -> None:
    pace.seen_rose(Seen.NEWS, NOW)
    pace.seen_rose(Seen.NEWS, NOW + 0.004)
    assert NOW < pace.due <= NOW + 0.01


def test_heartbeats_wait_for_about_a_second(pace: Any) -> None:
    pace.seen_rose(Seen.IDLE, NOW)
    pace.seen_rose(Seen.IDLE, NOW + 0.5)
    assert pace.due == NOW + constants.SEEN_WHEN_IDLE_SECONDS
    assert 0.5 <= constants.SEEN_WHEN_IDLE_SECONDS <= constants.SEEN_AT_LATEST_SECONDS


def test_what_is_told_already_makes_nothing_due(pace: Any) -> None:
    pace.seen_rose(Seen.TOLD, NOW)
    assert pace.due == inf


def test_news_is_not_held_up_by_heartbeats(pace: Any) -> None:
    pace.seen_rose(Seen.IDLE, NOW)
    pace.seen_rose(Seen.NEWS, NOW)
    assert pace.due <= NOW + 0.01
