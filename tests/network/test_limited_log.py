"""Log lines that strangers can cause are few."""

import pytest

from lru_cache.network import limited_log
from lru_cache.network.limited_log import LimitedLog


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [100.0]
    monkeypatch.setattr(limited_log.time, "monotonic", lambda: at[0])
    return at


def test_one_line_of_a_kind_within_a_second(caplog: pytest.LogCaptureFixture, now: list[float]) -> None:
    written = LimitedLog()
    for i in range(1000):
        written.warning("kind", f"line {i}")
    assert caplog.messages == ["line 0"]


def test_the_next_line_tells_how_many_were_left_out(caplog: pytest.LogCaptureFixture, now: list[float]) -> None:
    written = LimitedLog()
    for _ in range(4):
        written.warning("kind", "line")
    now[0] += 1
    written.warning("kind", "line")
    now[0] += 1
    written.warning("kind", "line")
    assert caplog.messages == ["line", "line (3 more such lines were left out)", "line"]


def test_kinds_do_not_wait_for_each_other(caplog: pytest.LogCaptureFixture, now: list[float]) -> None:
    written = LimitedLog()
    written.warning("one", "one")
    written.warning("two", "two")
    assert caplog.messages == ["one", "two"]


def test_percent_signs_are_no_formats(caplog: pytest.LogCaptureFixture, now: list[float]) -> None:
    LimitedLog().warning("kind", "100 %s")
    assert caplog.messages == ["100 %s"]
