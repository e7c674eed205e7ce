"""What is asked of every engine."""

import time

import pytest

from lru_cache.engines.engine import DeniedError, check_clock


@pytest.mark.parametrize("seconds", [-59, 0, 59])
def test_a_clock_that_is_off_by_less_than_a_minute_is_believed(seconds: int) -> None:
    check_clock("there", int((time.time() + seconds) * 1000))


@pytest.mark.parametrize(("seconds", "said"), [(90, "90 s ahead of"), (-90, "90 s behind")])
def test_a_clock_that_is_off_by_more_is_denied_and_it_is_said_by_how_much(
    seconds: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lru_cache.engines.engine.time.time", lambda: 1_700_000_000.0)
    with pytest.raises(DeniedError) as raised:
        check_clock("there", 1_700_000_000_000 + seconds * 1000)
    assert str(raised.value) == (
        f"the clock of there is {said} this machine's, and may be 60 s: set the one that is wrong"
    )
