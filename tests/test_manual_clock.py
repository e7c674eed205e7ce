"""The clock for tests."""

import pytest

from lru_cache.testing import ManualClock


def test_stands_still() -> None:
    clock = ManualClock(monotonic=5, time=100)
    assert (clock.monotonic(), clock.time(), clock.monotonic()) == (5.0, 100.0, 5.0)


def test_both_times_advance_together() -> None:
    clock = ManualClock(monotonic=5, time=100)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.time()) == (7.5, 102.5)


def test_setting_the_wall_clock_leaves_passed_time_alone() -> None:
    clock = ManualClock(monotonic=5, time=100)
    clock.set_time(1)
    assert (clock.monotonic(), clock.time()) == (5.0, 1.0)


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_passed_time_does_not_go_back(seconds: float) -> None:
    with pytest.raises(ValueError, match="set_time"):
        ManualClock().advance(seconds)


def test_shows_its_times() -> None:
    assert repr(ManualClock(1, 2)) == "ManualClock(monotonic=1.0, time=2.0)"
