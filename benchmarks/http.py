"""`python -m benchmarks http`: the HTTP node beside a bare FastAPI app that returns a constant, in one run.

Both run as users run them, each in a process of its own, and a third process asks them, in turns. All traffic is on the
loopback interface.
"""

import json
import os
import platform
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.expectations import Verdict, not_measured
from benchmarks.options import Options, at_least
from benchmarks.report import MARKS
from benchmarks.tables import table

Step = Callable[[str], None]  # told the name of what has just been done
Exchanges = list[tuple[str, str]]

BARE, NODE, READ_ONLY = "bare FastAPI", "GET /get/<key>", "POST /get_value"
SEED_RATE = 100  # requests a second at which the read-only seed took 15-30 % of a core
SEED_SHARE = 0.15
LEAST_RATIO = 0.8
PAIRS = 10_000
CONNECTIONS = 16
READY_SECONDS = 60
LOAD_SECONDS = 500
STOP_SECONDS = 20


@dataclass(frozen=True)
class Effort:
    """How much is done: enough for figures that repeat, or enough to see that it works."""

    rounds: int
    requests: int  # to each, in each of the rounds
    paced_seconds: float


FULL = Effort(rounds=10, requests=20_000, paced_seconds=20.0)
QUICK = Effort(rounds=1, requests=300, paced_seconds=1.0)


@dataclass(frozen=True)
class Load:
    """What one load found: the requests, the time, and the processor time of the server."""

    requests: int
    failed: int
    seconds: float
    p50: float
    p99: float
    processor_seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def share(self) -> float:
        """How much of a core the server took."""
        return self.processor_seconds / self.seconds


@dataclass
class Results:
    """All that one run found; a list has one item a round."""

    effort: Effort
    loads: dict[str, list[Load]] = field(default_factory=dict)
    paced: dict[str, Load] = field(default_factory=dict)

    def ratios(self, name: str) -> list[float]:
        """Requests a second, beside the bare app's of the same round."""
        return [own.rate / bare.rate for own, bare in zip(self.loads[name], self.loads[BARE], strict=True)]

    def processor_ratios(self, name: str) -> list[float]:
        """Processor time for a request, likewise."""
        return [
            own.processor_seconds / bare.processor_seconds
            for own, bare in zip(self.loads[name], self.loads[BARE], strict=True)
            if bare.processor_seconds
        ]


class Server:
    """A server in a process of its own."""

    def __init__(self, name: str, exchanges: Exchanges, command: Sequence[str], cwd: Path) -> None:
        self.name = name
        self.exchanges = exchanges
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=cwd, stdout=subprocess.PIPE, text=True, env=environment()
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split(",")[0].rpartition(":")[2])

    def load(self, requests: int, connections: int = CONNECTIONS, pause: float = 0.0) -> Load:
        """Put a load on it."""
        asked = {
            "port": self.port,
            "exchanges": self.exchanges,
            "requests": requests,
            "connections": connections,
            "pause": pause,
        }
        before = processor_seconds(self.process.pid)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.http_load"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=LOAD_SECONDS,
            check=True,
            env=environment(),
        )
        return Load(**json.loads(done.stdout), processor_seconds=processor_seconds(self.process.pid) - before)

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=STOP_SECONDS)


def environment() -> dict[str, str]:
    """Return an environment in which `benchmarks` is found from anywhere."""
    root = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": root}


def processor_seconds(process: int) -> float:
    """What a process has used so far; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_pairs(path: Path) -> dict[str, str]:
    """Write a database of UUIDs and words, and return what is in it."""
    chance = random.Random(7)
    pairs = {str(uuid.UUID(int=chance.getrandbits(128), version=4)): f"value {i:020}" for i in range(PAIRS)}
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE pairs (key TEXT, value TEXT)")
        database.executemany("INSERT INTO pairs VALUES (?, ?)", pairs.items())
    return pairs


def get(path: str, answer: object) -> tuple[str, str]:
    """Return a request, and the body that must come back."""
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", compact(answer)


def post(path: str, body: object, answer: object) -> tuple[str, str]:
    """Likewise."""
    content = compact(body)
    head = f"host: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
    return f"POST {path} HTTP/1.1\r\n{head}\r\n\r\n{content}", compact(answer)


def compact(content: object) -> str:
    """Write JSON as both servers do."""
    return json.dumps(content, separators=(",", ":"))


@contextmanager
def servers() -> Iterator[list[Server]]:
    """Start all of them."""
    from benchmarks.http_bare import CONSTANT

    with tempfile.TemporaryDirectory() as directory:
        where = Path(directory)
        pairs = make_pairs(where / "pairs.db")
        node = ["lru_cache", "--port", "0", "--preload", "pairs.db"]
        read = [get(f"/get/{key}", {"key": key, "val": value}) for key, value in pairs.items()]
        asked = [post("/get_value", {"key": key}, {"value": value}) for key, value in pairs.items()]
        started: list[Server] = []
        try:
            started.append(Server(BARE, [get("/", CONSTANT)], ["benchmarks.http_serve"], where))
            started.append(Server(NODE, read, node, where))
            started.append(Server(READ_ONLY, asked, [*node, "--read-only", "--key-format", "uuid4"], where))
            yield started
        finally:
            for server in started:
                server.close()


def measure(effort: Effort, step: Step) -> Results:
    """Measure all of it, in turns, so that what else the machine does meets all alike."""
    results = Results(effort)
    with servers() as started:
        for server in started:
            server.load(min(effort.requests, 1_000))
            step(f"{server.name}: warmed up")
        for number in range(effort.rounds):
            for server in started if number % 2 == 0 else reversed(started):
                results.loads.setdefault(server.name, []).append(server.load(effort.requests))
                step(f"{server.name}: round {number + 1}")
        for server in started:
            requests = int(effort.paced_seconds * SEED_RATE)
            results.paced[server.name] = server.load(requests, connections=10, pause=10 / SEED_RATE)
            step(f"{server.name}: {SEED_RATE} requests a second")
    return results


def count_steps(effort: Effort) -> int:
    """How many steps `measure` has."""
    return 3 + 3 * effort.rounds + 3


def judge(results: Results) -> list[Verdict]:
    """Compare with what the node is held to."""
    claim = f"{NODE}: at least {LEAST_RATIO:g} of the bare app's requests a second"
    ratio = median(results.ratios(NODE))
    loads = [load for name, every in results.loads.items() if name != BARE for load in every]
    failed, requests = sum(load.failed for load in loads), sum(load.requests for load in loads)
    verdicts = [
        Verdict(claim, f"{ratio:.2f}", ratio >= LEAST_RATIO),
        Verdict("no request fails", f"{failed:,} of {requests:,}", failed == 0),
    ]
    claim = f"{READ_ONLY} at {SEED_RATE} requests a second: less than {SEED_SHARE:.0%} of a core"
    paced = results.paced[READ_ONLY]
    if not paced.processor_seconds:
        return [*verdicts, not_measured(claim)]
    return [*verdicts, Verdict(claim, f"{paced.share:.1%}", paced.share < SEED_SHARE)]


def machine() -> dict[str, Any]:
    """Say where this ran."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
    }


def text(results: Results, verdicts: Sequence[Verdict]) -> str:
    """Put it all in tables."""
    where = machine()
    rows = []
    for name, loads in results.loads.items():
        processor = [1e6 * load.processor_seconds / load.requests for load in loads]
        rows.append(
            [
                name,
                f"{median(load.rate for load in loads):,.0f}",
                with_range(results.ratios(name)),
                f"{median(processor):,.0f}",
                with_range(results.processor_ratios(name)),
                f"{1000 * median(load.p50 for load in loads):.1f}",
                f"{1000 * median(load.p99 for load in loads):.1f}",
                f"{sum(load.failed for load in loads):,}",
            ]
        )
    columns = ["server", "requests/s", "x bare", "us of processor", "x bare", "p50 ms", "p99 ms", "failed"]
    paced = [
        [
            name,
            f"{load.rate:.0f}",
            f"{load.share:.1%}",
            f"{1000 * load.p50:.1f}",
            f"{1000 * load.p99:.1f}",
            str(load.failed),
        ]
        for name, load in results.paced.items()
    ]
    lines = [
        f"The HTTP node: {results.effort.rounds} rounds of {results.effort.requests:,} requests to each, in turns",
        f"{where['python']}, {where['system']}, {where['cpus']} CPUs",
        f"The load comes from another process, over {CONNECTIONS} connections that stay open; every answer is checked.",
        "",
        "As fast as it goes (medians of the rounds; of ratios, with the lowest and the highest)",
        *table(columns, rows),
        "",
        f"At {SEED_RATE} requests a second, for {results.effort.paced_seconds:g} s",
        *table(["server", "requests/s", "of a core", "p50 ms", "p99 ms", "failed"], paced),
        "",
        "What the node is held to",
        *(f"  {MARKS[verdict.passed]}  {verdict.claim}: {verdict.measured}" for verdict in verdicts),
    ]
    return "\n".join(lines)


def with_range(ratios: Sequence[float]) -> str:
    """One cell of ratios."""
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else "-"


def as_json(results: Results, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Put it all in one object."""
    return {"machine": machine(), **asdict(results), "verdicts": [asdict(verdict) for verdict in verdicts]}


def parser() -> Options:
    """Define the options of this measurement."""
    options = Options("http", "The HTTP node beside a bare FastAPI app that returns a constant.")
    options.add_argument("--rounds", type=at_least(1), help=f"rounds over everything ({FULL.rounds})")
    options.add_argument("--requests", type=at_least(1), help=f"to each server in a round ({FULL.requests:,})")
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = parser().parse_args(arguments)
    try:
        import uvicorn  # noqa: F401

        from benchmarks.progress import Progress
    except ImportError as error:
        print(f"benchmarks: {error.name} is not installed: pip install '.[server]'", file=sys.stderr)
        return 2
    effort = QUICK if options.quick else FULL
    given = {"rounds": options.rounds, "requests": options.requests}
    effort = Effort(**{**asdict(effort), **{name: value for name, value in given.items() if value}})
    with Progress(count_steps(effort)) as progress:
        results = measure(effort, progress.step)
    verdicts = judge(results)
    if options.json:
        print(json.dumps(as_json(results, verdicts), indent=2))
    else:
        print(text(results, verdicts))
    return 0
