"""`python -m benchmarks http`: that it measures what it says. How fast anything is, no test asserts."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import http, http_load
from tests.server.nodes import ThreadNode

ROOT = Path(__file__).resolve().parent.parent.parent


def put_load(exchanges: list[tuple[str, str]], **more: Any) -> dict[str, Any]:
    node = ThreadNode()
    try:
        node.cache.set("a", "1")
        encoded = [(request.encode(), body.encode()) for request, body in exchanges]
        asked = {"requests": 10, "connections": 2, "pause": 0.0, **more}
        return asyncio.run(http_load.put_load(node.port, encoded, **asked))
    finally:
        node.close()


def test_answers_are_checked() -> None:
    right, wrong = http.get("/get/a", {"key": "a", "val": "1"}), http.get("/get/a", {"key": "a", "val": "2"})
    found = put_load([right, wrong, right, http.get("/get/b", {})])
    assert (found["requests"], found["failed"]) == (10, 5)


def test_a_pace_is_kept() -> None:
    found = put_load([http.get("/get/a", {"key": "a", "val": "1"})], pause=0.02)
    assert found["failed"] == 0
    assert found["seconds"] >= 4 * 0.02


def test_it_says_all_it_promises_to_say() -> None:
    command = [sys.executable, "-m", "benchmarks", "http", "--quick", "--requests", "50"]
    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=110)
    found = json.loads(done.stdout)
    assert list(found["loads"]) == list(found["paced"]) == [http.BARE, http.NODE, http.READ_ONLY]
    assert [load["failed"] for loads in found["loads"].values() for load in loads] == [0, 0, 0]
    assert len(found["verdicts"]) == 3


def test_the_tables_name_every_server_and_every_verdict() -> None:
    load = http.Load(requests=10, failed=0, seconds=1.0, p50=0.001, p99=0.002, processor_seconds=0.1)
    names = (http.BARE, http.NODE, http.READ_ONLY)
    results = http.Results(http.QUICK, {name: [load] for name in names}, dict.fromkeys(names, load))
    verdicts = http.judge(results)
    shown = http.text(results, verdicts)
    assert all(shown.count(f"\n{name} ") == 2 for name in names)
    assert all(verdict.claim in shown for verdict in verdicts)


@pytest.mark.parametrize(("failed", "passed"), [(0, True), (1, False)])
def test_one_failed_request_is_a_miss(failed: int, passed: bool) -> None:
    load = http.Load(requests=10, failed=failed, seconds=1.0, p50=0.001, p99=0.002, processor_seconds=0.1)
    names = (http.BARE, http.NODE, http.READ_ONLY)
    results = http.Results(http.QUICK, {name: [load] for name in names}, dict.fromkeys(names, load))
    assert http.judge(results)[1].passed is passed
