"""The benchmark of hubs says what it measured, a miss like a pass."""

import pytest

from benchmarks import hub

FIGURES = {"links": 5, "idle": 0.002, "send": 1e-5, "writer": 1.5e-5, "process": 9e-5, "burst": 3e-5}


def line_of(what: str) -> str:
    (line,) = [line for line in hub.text(FIGURES).splitlines() if line.startswith(what)]
    return line


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("a lone write, its own thread", ("15.0 us", "1.50 x", "ok (at most 2 x)")),
        ("a write of a burst", ("30.0 us", "3.00 x", "missed (at most 2 x)")),
        ("idle", ("0.20%", "ok (at most 1% of a core)")),
    ],
)
def test_each_row_stands_beside_a_bare_send_and_its_limit(what: str, shown: tuple[str, ...]) -> None:
    assert all(part in line_of(what) for part in shown)


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert hub.main(["--quick"]) == 0
    said = capsys.readouterr().out
    assert "A hub with 5 links" in said
    assert "Killed and started again, with 5 clients that hold 100 entries: all are linked after" in said
