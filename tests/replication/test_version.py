"""Times go forwards, near the wall clock's; the newer of two versions is the same on every node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache.replication import NOTHING, Version, seconds_of, time_of
from tests.replication.build import version

COUNTER_BITS, HybridClock, span_of = version.COUNTER_BITS, version.HybridClock, version.span_of
NOW = 50.0
WALL = 1.7e9


def clock() -> HybridClock:
    return HybridClock(NOW, WALL)


def test_a_time_is_milliseconds_above_a_counter() -> None:
    assert time_of(1.5) == 1500 << COUNTER_BITS


def test_a_time_knows_its_moment() -> None:
    assert seconds_of(time_of(WALL) + 7) == WALL


def test_a_span_is_what_lies_between_two_times() -> None:
    assert time_of(2.0) + span_of(0.5) == time_of(2.5)


def test_the_greater_time_is_newer_whoever_wrote() -> None:
    assert Version(2, b"a") > Version(1, b"b")


def test_of_one_time_the_greater_node_is_newer() -> None:
    assert Version(1, b"b") > Version(1, b"a")


def test_nothing_is_older_than_every_write() -> None:
    assert Version(1, b"\0" * 8) > NOTHING


def test_the_first_time_is_the_wall_clock_s() -> None:
    assert clock().tick(NOW) == time_of(WALL)


def test_time_passes_with_the_monotonic_clock() -> None:
    assert clock().tick(NOW + 1.5) == time_of(WALL + 1.5)


def test_two_times_of_one_moment_differ_by_the_counter() -> None:
    ticking = clock()
    assert ticking.tick(NOW) + 1 == ticking.tick(NOW)


def test_a_counter_that_is_full_runs_into_the_milliseconds() -> None:
    ticking = clock()
    ticking.hear(time_of(WALL) + (1 << COUNTER_BITS) - 1)
    assert ticking.tick(NOW) == time_of(WALL + 0.001)


steps = st.one_of(
    st.tuples(st.just("tick"), st.floats(0, 10)),
    st.tuples(st.just("hear"), st.floats(-10, 10)),
    st.tuples(st.just("anchor"), st.floats(-1000, 1000)),
)


@given(st.lists(steps))
def test_times_only_grow_whatever_is_heard_and_however_the_wall_clock_is_set(acts: list[tuple[str, float]]) -> None:
    ticking, now, last = clock(), NOW, 0
    for act, seconds in acts:
        if act == "tick":
            now += seconds
            assert ticking.tick(now) > last
        elif act == "hear":
            ticking.hear(time_of(WALL + seconds))
        else:
            ticking.anchor(now, WALL + seconds)
        last = ticking.tick(now)


def test_what_was_heard_is_older_than_the_next_time() -> None:
    ticking = clock()
    heard = time_of(WALL + 3)
    ticking.hear(heard)
    assert ticking.tick(NOW) == heard + 1


def test_an_old_time_that_is_heard_changes_nothing() -> None:
    ticking = clock()
    ticking.hear(time_of(WALL - 3))
    assert ticking.tick(NOW) == time_of(WALL)


def test_the_present_is_not_moved_by_what_is_heard() -> None:
    ticking = clock()
    ticking.hear(time_of(WALL + 3))
    assert ticking.present(NOW) == time_of(WALL)


@pytest.mark.parametrize("step", [-7.0, 0.0, 7.0])
def test_a_step_of_the_wall_clock_is_noticed_as_drift(step: float) -> None:
    assert clock().drift(NOW + 10, WALL + 10 + step) == pytest.approx(step)


@pytest.mark.parametrize("step", [-7.0, 7.0])
def test_a_step_of_the_wall_clock_is_not_taken_over_unasked(step: float) -> None:
    ticking = clock()
    ticking.drift(NOW, WALL + step)
    assert ticking.present(NOW) == time_of(WALL)


@pytest.mark.parametrize("step", [-7.0, 7.0])
def test_an_anchor_takes_a_step_over(step: float) -> None:
    ticking = clock()
    ticking.anchor(NOW, WALL + step)
    assert ticking.present(NOW) == time_of(WALL + step)


def test_after_an_anchor_there_is_no_drift() -> None:
    ticking = clock()
    ticking.anchor(NOW, WALL + 7)
    assert ticking.drift(NOW + 1, WALL + 8) == 0
