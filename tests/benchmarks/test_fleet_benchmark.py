"""`python -m benchmarks fleet`: that it says what it measured, and reckons on paper with nothing else."""

import json
from pathlib import Path

import pytest

from benchmarks import fleet
from benchmarks.fleet import Costs, Figures, Used

IDLE = Used(seconds=10.0, looks=50_000, server=0.5, nodes=2.5, sent=1_000)  # 10 us and 50 us a look
BUSY = Used(seconds=20.0, looks=90_000, server=1.4, nodes=6.5, sent=40_000)


def figures(**others):
    took = [0] * fleet.BUCKETS
    took[fleet.bucket_of(0.005)] = 99
    took[fleet.bucket_of(0.2)] = 1
    memory = [(at, 200_000_000 + 1_000 * at) for at in range(0, 300, 5)]
    found = {"nodes": 100, "idle": IDLE, "busy": BUSY, "writes": 200, "records": 210, "took": took, "memory": memory}
    return Figures(**{**found, "troubles": {"log_lost": 0}, **others})


def test_what_writes_cost_is_what_came_on_top_of_looks():
    assert fleet.costs(figures(), fleet.of_server) == Costs(pytest.approx(10e-6), pytest.approx(0.5 / 20_000))
    assert fleet.costs(figures(), fleet.of_nodes) == Costs(pytest.approx(50e-6), pytest.approx(2.0 / 20_000))


def test_on_paper_looks_are_no_more_from_a_hundred_nodes_on():
    server, node = fleet.on_paper(figures(), 1_000, 10.0)

    assert 1_000 * fleet.looks_on_paper(1_000) == pytest.approx(100 * fleet.looks_on_paper(100))
    assert server == pytest.approx(10_000 * 10e-6 + 1_000 * 10 * 0.5 / 20_000)
    assert node == pytest.approx(10 * 50e-6 + 10 * 2.0 / 20_000)


def test_the_rule_on_paper_is_that_of_the_engine():
    from lru_cache.engines import redis
    from lru_cache.engines.options import Redis

    assert redis.PAUSE_SECONDS == fleet.PAUSE_SECONDS
    assert Redis("redis://localhost").latency_seconds == fleet.LATENCY_SECONDS


def test_memory_is_judged_once_the_log_s_tail_is_full():
    full_from = fleet.TAIL_SECONDS
    flat = [(at, 100_000_000 + 1_000_000 * min(at, full_from)) for at in range(0, 200, 5)]

    assert figures(memory=flat).slope() == pytest.approx(0.0)
    assert figures().slope() == pytest.approx(600.0)
    assert figures(memory=flat[:4]).slope() is None


def test_quantiles_are_right_to_a_hundredth():
    assert fleet.quantile(figures().took, 0.5) == pytest.approx(0.005, rel=0.01)
    assert fleet.quantile(figures().took, 0.995) == pytest.approx(0.2, rel=0.01)
    assert fleet.quantile([0] * fleet.BUCKETS, 0.5) is None


def test_a_miss_is_said_like_a_pass():
    said = fleet.text([figures(), figures(troubles={"log_lost": 2})], 20.0, 10.0)

    assert "100    4,500           45%          5.0% / 7.0%" in said
    assert "pass  the server: at most 22 us a look, all included: 15.6" in said
    assert "MISS  nothing of the log was lost, broken or refused: 2" in said
    assert "\n1,000  10,000" in said


def test_it_draws_what_there_is(tmp_path: Path):
    pytest.importorskip("matplotlib")
    fleet.plot([figures(nodes=10), figures()], 10.0, tmp_path / "fleet.png")
    assert (tmp_path / "fleet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(fleet.absence() is not None, reason=f"benchmarks: not installed: {fleet.absence()}")
def test_it_runs(capsys):
    assert fleet.main(["--nodes", "2,5", "--quick", "--seconds", "1", "--rate", "40", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert [each["nodes"] for each in found] == [2, 5]
    assert all(each["writes"] > 0 and each["records"] > 0 and each["idle"]["looks"] > 0 for each in found)
    assert all(each["took"]["0.5"] > 0 and not any(each["troubles"].values()) for each in found)


def test_without_a_server_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(fleet.servers, "find_program", lambda _: None)

    assert fleet.main([]) == 2
    assert "benchmarks: not installed: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--nodes", "0"], ["--nodes", "2,x"], ["--seconds", "0"], ["--rate", "x"]])
def test_a_command_that_makes_no_sense_ends_with_2(arguments):
    with pytest.raises(SystemExit) as end:
        fleet.main(arguments)

    assert end.value.code == 2
