"""`python -m benchmarks network`: that it says all it promises to say. How fast anything is, no test asserts."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NO_RICH = "benchmarks: rich is not installed: pip install '.[bench]'\n"
TINY = {"rounds": 1, "events": 300, "writes": 3, "sets": 3, "bursts": 1, "burst": 50, "idle_seconds": 0.1}
needs_rich = pytest.mark.skipif(find_spec("rich") is None, reason=NO_RICH.strip())


@pytest.fixture
def network(monkeypatch):
    """`benchmarks` lies beside the package and is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import network

    return network


def run(*arguments, program=("-m", "benchmarks")):
    return subprocess.run(
        [sys.executable, *program, "network", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def tiny(network, monkeypatch):
    from benchmarks import link_costs

    monkeypatch.setattr(link_costs, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(link_costs, "FILLERS", 200)
    return network.Effort(**{**vars(network.QUICK), **TINY})


@pytest.fixture
def nothing_installed(monkeypatch, network):
    """A machine without the bench extra."""
    from benchmarks.carriers import CARRIERS

    for carrier in CARRIERS.values():
        if carrier.modules:
            monkeypatch.setattr(carrier, "absence", classmethod(lambda cls: "a thing"))
    return [name for name, carrier in CARRIERS.items() if carrier.modules]


def test_every_measurement_is_in_the_tables_and_what_is_not_installed_says_so(network, tiny, nothing_installed):
    from benchmarks import link_costs, network_report, propagation
    from benchmarks.carriers import BASE

    names = [BASE.name, *nothing_installed]
    steps = []

    results = network.measure(tiny, names, steps.append)
    verdicts = network.judge(results)
    text = network_report.text(results, verdicts, network.machine())

    assert [problem for problem in results.problems if "openssl" not in problem] == []
    assert len(steps) <= network.count_steps(tiny, names)
    for name in nothing_installed:
        assert text.count(f"\n{name} ") == 2
    assert text.count("not installed: a thing") == 2 * len(nothing_installed)
    for label in (*link_costs.KINDS, *propagation.MODES, network.DISTINCT, network.FEW, *results.lines):
        assert label in text
    assert "????  more events a second than NATS, 1,000 keys: not measured" in text
    assert len(results.idle) == link_costs.MESH
    assert "?" not in text.split("What LRUCacheDistributed is held to")[0]
    document = json.loads(json.dumps(network.as_json(results, verdicts)))
    assert set(document["rates"][network.FEW]) == {BASE.name}


@pytest.mark.parametrize("name", ["lru_cache", "lru_cache, secret"])
def test_our_own_rate_is_that_of_sets_which_all_arrived(network, name):
    from benchmarks.carriers import CARRIERS

    options = {"secret": network.SECRET} if "secret" in name else {}
    run = CARRIERS[name](maximum_capacity=1_000, **options).run(300, 100)

    assert run.wrong == 0
    assert run.notes == {"overflows": 0}
    assert set(run.microseconds) == {"writer", "reader"}


def test_a_rival_is_judged_by_the_median_of_the_rounds_ratios(network):
    from benchmarks.carriers import OURS, Nats, Run

    results = network.Results(network.QUICK, [OURS.name, Nats.name], {})
    rates = {OURS.name: [10.0, 300.0, 30.0], Nats.name: [5.0, 100.0, 60.0]}
    results.runs[network.FEW] = {carrier: [Run(rate, {}, 0, {}) for rate in rates[carrier]] for carrier in rates}

    verdict = network.judge_rate("more", results, network.FEW, Nats.name, 1.0)

    assert (verdict.measured, verdict.passed) == ("2.00 x", True)


@pytest.mark.parametrize(
    "name", ["lru_cache on Redis", "lru_cache on NATS", "Redis pub/sub", "Redis SET", "NATS", "pysyncobj"]
)
def test_each_rival_and_engine_that_is_installed_brings_every_last_value_over(network, name):
    from benchmarks.carriers import CARRIERS

    if name not in CARRIERS or CARRIERS[name].absence() is not None:
        return  # the command says so, which the test above asks for

    run = CARRIERS[name]().run(300, 100)

    assert run.wrong == 0
    assert run.rate > 0


def test_a_single_write_is_followed_over_each_server_that_is_there(network):
    from contextlib import ExitStack

    from benchmarks import propagation
    from benchmarks.carriers import ENGINES, RedisPubSub

    there = [carrier.name for carrier in (*ENGINES, RedisPubSub) if carrier.absence() is None]

    with ExitStack() as stack:
        lines = network.lines_of_servers(stack)
        found = propagation.measure(lines, 3, 0.02, ["idle"]) if lines else {"idle": {}}

    assert list(found["idle"]) == there
    assert all(len(seconds) == 3 and min(seconds) > 0 for seconds in found["idle"].values())


def test_a_reader_that_lacks_a_value_is_found_out(network):
    from benchmarks.carriers import Reader, final

    reader = Reader()
    reader.held = {**final(10, 4), "user:3": "something older"}

    assert reader.wrong(10, 4) == 1


def test_what_fails_in_a_remote_object_is_told_with_its_place(network):
    from harness.remote_objects import Held, RemoteError, RemoteObject

    with RemoteObject(Held) as remote:
        with pytest.raises(RemoteError, match=r"AttributeError: .*nonsense.* \(remote_objects\.py:\d+\)"):
            remote.ask("nonsense")
        assert remote.ask("processor_seconds") >= 0


def test_a_remote_object_that_was_killed_is_told_from_a_slow_one(network):
    from harness.remote_objects import Held, RemoteError, RemoteObject

    with RemoteObject(Held) as remote:
        remote.stop()
        with pytest.raises(RemoteError, match="no answer within"):
            remote.ask("processor_seconds", seconds=0.05)
        remote.resume()
        remote.answer()
        os.kill(remote.pid, signal.SIGKILL)
        with pytest.raises(RemoteError, match=r"it ended with status -9|it is gone"):
            remote.ask("processor_seconds")


def test_a_server_is_gone_when_its_measurement_is_over(network):
    from benchmarks.servers import Server, free_port

    port = free_port()
    program = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    server = Server(sys.executable, "-c", program)
    server.port = port

    with server:
        pid = server._process.pid
        assert server.processor_seconds() >= 0 or not Path("/proc").is_dir()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_server_that_does_not_start_is_an_error(network):
    from benchmarks.servers import Server

    started = time.monotonic()
    with pytest.raises(RuntimeError, match="did not start"), Server(sys.executable, "-c", "pass"):
        pass
    assert time.monotonic() - started < 10


@needs_rich
def test_the_command_prints_a_document(network, monkeypatch, capsys):
    results = network.Results(network.QUICK, [], {"NATS": "nats"})
    monkeypatch.setattr(network, "measure", lambda effort, names, step: results)

    assert network.main(["--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["absent"] == {"NATS": "nats"}


def test_without_rich_one_line_says_how_to_get_it():
    program = (
        "import sys; sys.modules['rich'] = None\nfrom benchmarks.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    )
    outcome = run("--quick", program=("-c", program))

    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (2, "", NO_RICH)


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--events", "x"], ["--only", "nonsense"], ["nonsense"]])
def test_a_command_that_makes_no_sense_ends_with_2(network, arguments):
    with pytest.raises(SystemExit) as end:
        network.main(arguments)

    assert end.value.code == 2
