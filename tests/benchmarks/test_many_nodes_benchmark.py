"""The benchmark of many nodes says what it measured, a miss like a pass."""

from pathlib import Path

import pytest

from benchmarks import many_nodes, network

FIGURES = {
    "linked": 1.5, "links": 7.5, "most_links": 9.0, "memory": 2e6, "p50": 0.003, "p99": 0.02, "received": 6.1,
    "lone": 1.2e-3, "burst": 3e-4, "idle": 0.002,
}  # fmt: skip


def test_each_way_stands_beside_what_it_is_held_to() -> None:
    said = many_nodes.text(
        {12: {many_nodes.BY_HAND: FIGURES, many_nodes.FULL: {**FIGURES, "lone": 1e-4, "received": 1.0}}}
    )
    assert "12     by hand    7.5    9     6.10      3.0 / 20.0 ms           1,200            100" in said
    assert "MISS  a write of a burst by nodes, by hand: at most 20 us: 25.00 at most" in said
    assert "pass  received by each node, full mesh: at most 1.3 times: 1.00 at most" in said


def test_it_draws_what_there_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    many_nodes.plot({2: {many_nodes.BY_HAND: FIGURES}, 12: {many_nodes.TOLD: FIGURES}}, tmp_path / "many_nodes.png")
    assert (tmp_path / "many_nodes.png").read_bytes().startswith(b"\x89PNG")


def test_it_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_nodes, "STEADY_SECONDS", 0.1)
    assert network.main(["--nodes", "2,3", "--quick"]) == 0
    said = capsys.readouterr().out
    assert all(f"{nodes}      {way}" in said for nodes in (2, 3) for way in many_nodes.WAYS)


@pytest.mark.parametrize("nodes", ["1", "2,x", ""])
def test_what_is_no_number_of_nodes_is_refused(nodes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        network.main(["--nodes", nodes])
    assert "is not a whole number from 2 on" in capsys.readouterr().err
