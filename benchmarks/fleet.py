"""`python -m benchmarks fleet`: many caches on one Redis, what they cost it and themselves, as their number grows.

Many caches share a process, and a few processes the machine. Each number of nodes is measured without writes and then
with some; what that says of one look for news and of one record that is read gives the cost of more nodes on paper. How
long a write takes is told by a listener at each node, as soon as the value before it is gone.

This file must not know how an engine is asked, nor what a record says.
"""

import argparse
import json
import os
import platform
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, astuple, dataclass, field
from importlib.util import find_spec
from math import log
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.carriers import redis_client
from benchmarks.expectations import Verdict
from benchmarks.options import Options, at_least
from benchmarks.report import MARKS
from benchmarks.servers import HOST, Server
from benchmarks.tables import table
from harness.processes import resident_bytes
from harness.remote_objects import Held, RemoteError, RemoteObject
from lru_cache import LRUCacheDistributed, Removal

NODES = (10, 50, 100, 200)
SECONDS, QUICK_SECONDS = 30.0, 2.0
RATE = 10.0  # writes a second, of all nodes together
PROCESSES = 4
LINK_SECONDS = 120.0
IDLE_SECONDS = 15.0  # without writes, at most, before those with writes
KEYS = 64  # that each process writes in turn: a key is written again when all have read the last write
VALUE_CHARACTERS = 100
LATENCY_SECONDS, PAUSE_SECONDS = 0.01, 0.0001  # between two looks of a node; that, and so much for each node
COUNTED_SECONDS = 17.0  # within which each node has counted the others
MODEL_US = 8.0, 22.0  # of the server, for a look that finds nothing, and for one that finds ten records
LOOKS_SECONDS = 5.0  # between two looks at the memory
TAIL_SECONDS = 60.0  # of the log that a node remembers: before, its memory grows
LARGEST_ON_PAPER = 1_000
ON_PAPER = (200, 300, 500, 700, LARGEST_ON_PAPER)
BUCKETS = 2_000  # of times, each a hundredth longer than the one before it, from FIRST_SECONDS on
FIRST_SECONDS, WIDER = 1e-5, 1.01
MOST_RECORDS = 3.0  # appended for a write
FLAT_KILOBYTES = 20.0  # a minute and node


# -- the nodes ---------------------------------------------------------------------------------------------------------


class Times:
    """How often something took how long, in no more memory at the end than at the start."""

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS

    def add(self, seconds: float) -> None:
        """One more."""
        self.counts[bucket_of(seconds)] += 1


def bucket_of(seconds: float) -> int:
    """Which one it falls into."""
    return min(BUCKETS - 1, max(0, int(log(max(seconds, FIRST_SECONDS) / FIRST_SECONDS) / log(WIDER))))


def quantile(counts: Sequence[int], share: float) -> float | None:
    """So many took at most so long, to a hundredth; None where there are none."""
    rank = sum(counts) * share
    for number, count in enumerate(counts):
        rank -= count
        if rank < 0:
            return FIRST_SECONDS * WIDER ** (number + 0.5)
    return None


class Node:
    """A cache on the log, and how long writes took to come here."""

    def __init__(self, engine: str, times: Times) -> None:
        self._times = times
        self.cache: LRUCacheDistributed[str, Any] = LRUCacheDistributed(engine=engine, on_removal=self._replaced)

    def _replaced(self, removal: "Removal[str, Any]") -> None:
        found = self.cache.peek(removal.key)
        if found is not None:
            self._times.add(time.monotonic() - found[0])


class Part(Held):
    """Some of the nodes, in one process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._before = resident_bytes()
        self._writes = 0
        self._is_writing = False
        self._thread: threading.Thread | None = None
        self.times = Times()
        self.nodes: list[Node] = []

    def make(self, engine: str, count: int) -> None:
        """Make so many nodes."""
        self.nodes = [Node(engine, self.times) for _ in range(count)]

    def reach(self) -> None:
        """Wait until all of them read the log."""
        for node in self.nodes:
            if not node.cache.wait_connected(timeout=LINK_SECONDS):
                raise TimeoutError("a node does not read the log")

    def fill(self) -> None:
        """Something that can be replaced."""
        for number in range(KEYS):
            self._write_one(number)
        self.nodes[0].cache.flush(LINK_SECONDS)

    def begin(self, rate: float) -> None:
        """Write so often a second, each time by another node, until `end`."""
        self.times.counts[:] = [0] * BUCKETS
        self._writes, self._is_writing = 0, True
        self._thread = threading.Thread(target=self._write, args=(rate,), daemon=True)
        self._thread.start()

    def _write(self, rate: float) -> None:
        due = time.monotonic() + random.random() / rate
        while self._is_writing:
            time.sleep(max(0.0, due - time.monotonic()))
            self._write_one(self._writes)
            self._writes += 1
            due = max(due + 1 / rate, time.monotonic() - 1.0)

    def _write_one(self, number: int) -> None:
        cache = self.nodes[number % len(self.nodes)].cache
        cache.set(f"{self._name} {number % KEYS}", (time.monotonic(), "v" * VALUE_CHARACTERS))

    def end(self) -> int:
        """How many writes it were."""
        self._is_writing = False
        if self._thread is not None:
            self._thread.join()
        return self._writes

    def took(self) -> list[int]:
        """How long all writes took to come to all nodes here, in buckets."""
        return self.times.counts

    def memory(self) -> int:
        """Bytes for all of its nodes."""
        return resident_bytes() - self._before

    def troubles(self) -> dict[str, int]:
        """How often the log was another, or lost, or said what it must not."""
        found = [node.cache.stats() for node in self.nodes]
        return {
            name: sum(getattr(stats, name) for stats in found) for name in ("log_broken", "log_lost", "log_refused")
        }


# -- measuring ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Used:
    """Over some seconds: looks for news, and processor seconds."""

    seconds: float
    looks: int
    server: float
    nodes: float  # all of them together
    sent: int  # bytes, by the server


@dataclass
class Figures:
    """Of one number of nodes. Memory: bytes of all of them, and when."""

    nodes: int
    idle: Used
    busy: Used
    writes: int
    records: int
    took: list[int]
    memory: list[tuple[float, int]] = field(default_factory=list)
    server_memory: int = 0
    troubles: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Writes a second."""
        return self.writes / self.busy.seconds

    def slope(self) -> float | None:
        """Bytes a node and minute, over the last two thirds, and not before the log's tail is full; None: too short."""
        begun = max(self.memory[-1][0] / 3, TAIL_SECONDS) if self.memory else 0.0
        return slope([(at, size / self.nodes) for at, size in self.memory if at >= begun])


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """A minute, of the straight line that is closest."""
    if len(points) < 6:
        return None
    middle = sum(at for at, _ in points) / len(points)
    spread = sum((at - middle) ** 2 for at, _ in points)
    return 60 * sum((at - middle) * size for at, size in points) / spread


class Fleet:
    """So many nodes on one server."""

    def __init__(self, nodes: int, stack: ExitStack) -> None:
        self.nodes = nodes
        self.server: Server = stack.enter_context(servers.redis())
        self.client = redis_client(self.server.port)
        stack.callback(self.client.close)
        count = min(PROCESSES, nodes)
        self.parts = [stack.enter_context(RemoteObject(Part, f"key {number}")) for number in range(count)]
        stack.callback(lambda: [part.kill() for part in self.parts])  # to say goodbye would take long
        engine = f"redis://{HOST}:{self.server.port}/0"
        for number, part in enumerate(self.parts):
            part.begin("make", engine, nodes // count + (number < nodes % count))
        for part in self.parts:
            part.answer(LINK_SECONDS)
        self.ask_all("reach")

    def ask_all(self, method: str, *arguments: Any) -> list[Any]:
        """All processes at once."""
        for part in self.parts:
            part.begin(method, *arguments)
        return [part.answer(2 * LINK_SECONDS) for part in self.parts]

    def calls(self, command: str) -> int:
        """How often the server was asked this."""
        said: Any = self.client.info("commandstats")
        return int(said.get(f"cmdstat_{command}", {}).get("calls", 0))

    def now(self) -> Used:
        """Since each was started."""
        used = sum(self.ask_all("processor_seconds"))
        sent: Any = self.client.info("stats")["total_net_output_bytes"]
        return Used(time.monotonic(), self.calls("xrange"), self.server.processor_seconds(), used, int(sent))


def between(first: Used, last: Used) -> Used:
    """What was used meanwhile."""
    return Used(*(after - before for before, after in zip(astuple(first), astuple(last), strict=True)))


def measure(nodes: int, seconds: float, rate: float, settle: float) -> Figures:
    """Without writes for a while, and then with them."""
    with ExitStack() as stack:
        fleet = Fleet(nodes, stack)
        fleet.ask_all("fill")
        time.sleep(settle)
        first = fleet.now()
        time.sleep(min(seconds, IDLE_SECONDS))
        idle = between(first, fleet.now())
        fleet.ask_all("begin", rate / len(fleet.parts))
        records, first, memory = fleet.calls("xadd"), fleet.now(), []
        began = time.monotonic()
        while (left := began + seconds - time.monotonic()) > 0:
            memory.append((time.monotonic() - began, sum(fleet.ask_all("memory"))))
            time.sleep(min(left, LOOKS_SECONDS))
        busy = between(first, fleet.now())
        writes = sum(fleet.ask_all("end"))
        time.sleep(1.0)  # in which the last are appended
        troubles = fleet.ask_all("troubles")
        return Figures(
            nodes=nodes,
            idle=idle,
            busy=busy,
            writes=writes,
            records=fleet.calls("xadd") - records,
            took=[sum(each) for each in zip(*fleet.ask_all("took"), strict=True)],
            memory=memory,
            server_memory=int(fleet.client.info("memory")["used_memory"]),
            troubles={name: sum(each[name] for each in troubles) for name in troubles[0]},
        )


# -- on paper ----------------------------------------------------------------------------------------------------------


def looks_on_paper(nodes: int) -> float:
    """A second, of each node."""
    return 1 / max(LATENCY_SECONDS, nodes * PAUSE_SECONDS)


@dataclass(frozen=True)
class Costs:
    """Processor seconds, of the server or of a node: for a look that finds nothing, and for a record that it finds."""

    look: float
    record: float

    def share(self, looks: float, records: float) -> float:
        """Of a core, for so many a second."""
        return looks * self.look + records * self.record


def costs(figures: Figures, of: Callable[[Used], float]) -> Costs:
    """What was measured idle, and what came on top with writes: for each record and node, appending included."""
    idle, busy = figures.idle, figures.busy
    look = of(idle) / max(1, idle.looks)
    read = max(1, figures.writes * figures.nodes)
    return Costs(look, max(0.0, of(busy) - look * busy.looks) / read)


def of_server(used: Used) -> float:
    """Of what was used."""
    return used.server


def of_nodes(used: Used) -> float:
    """Likewise."""
    return used.nodes


def on_paper(figures: Figures, nodes: int, rate: float) -> tuple[float, float]:
    """Shares of a core for so many nodes, by the costs that were measured: of the server, and of each node."""
    looks = looks_on_paper(nodes)
    server = costs(figures, of_server).share(nodes * looks, nodes * rate)
    return server, costs(figures, of_nodes).share(looks, rate)


# -- what is said of it ------------------------------------------------------------------------------------------------

COLUMNS = (
    "nodes", "looks a second", "of intended", "server, idle / busy", "by 8 to 22 us", "a node, idle / busy",
    "us a look: server", "node", "written until read, p50 / p99", "records", "sent", "MB a node", "KB a minute",
)  # fmt: skip
OF_COSTS = 8  # of these


def text(results: Sequence[Figures], seconds: float, rate: float) -> str:
    """A table, what more nodes would cost, and what we hold ourselves to."""
    waits = f"{min(seconds, IDLE_SECONDS):g} s idle, then {seconds:g} s with {rate:g} writes a second in all"
    load = " ".join(f"{each:.0f}" for each in os.getloadavg())
    rows = [cells(figures) for figures in results]
    paper = [
        [
            f"{nodes:,}",
            f"{nodes * looks_on_paper(nodes):,.0f}",
            *(f"{each:.1%}" for each in on_paper(results[-1], nodes, rate)),
        ]
        for nodes in ON_PAPER
    ]
    return "\n".join(
        [
            f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} CPUs, load {load}",
            f"Caches on one Redis, in {PROCESSES} processes: {waits}.",
            "",
            *table(COLUMNS[:OF_COSTS], [row[:OF_COSTS] for row in rows]),
            "",
            *table([COLUMNS[0], *COLUMNS[OF_COSTS:]], [[row[0], *row[OF_COSTS:]] for row in rows]),
            "  looks      for news, of all nodes; intended: a node every 10 ms, or 0.1 ms for each node there is",
            "  idle/busy  of a core, without and with writes; 8 to 22 us: of the server, as expected of so many looks",
            "  us         of processor time, idle: by the server, and by the node, all that is done for a look",
            "  records    appended for a write; sent: by the server",
            "  MB, KB     of memory; KB a minute: by which a node grew, once its tail of the log was full",
            "",
            f"On paper, by what a look and a record took with {results[-1].nodes} nodes, {rate:g} writes a second:",
            *table(("nodes", "looks a second", "server", "a node"), paper),
            "",
            "What the fleet is held to",
            *(f"  {MARKS[verdict.passed]}  {verdict.claim}: {verdict.measured}" for verdict in judge(results)),
        ]
    )


def cells(figures: Figures) -> list[str]:
    """One number of nodes."""
    nodes, idle, busy = figures.nodes, figures.idle, figures.busy
    looks = busy.looks / busy.seconds
    growth = figures.slope()
    p50, p99 = (quantile(figures.took, share) for share in (0.5, 0.99))
    return [
        f"{nodes:,}",
        f"{looks:,.0f}",
        f"{looks / nodes / looks_on_paper(nodes):.0%}",
        f"{idle.server / idle.seconds:.1%} / {busy.server / busy.seconds:.1%}",
        " to ".join(f"{looks * us / 1e6:.1%}" for us in MODEL_US),
        f"{idle.nodes / idle.seconds / nodes:.2%} / {busy.nodes / busy.seconds / nodes:.2%}",
        f"{costs(figures, of_server).look * 1e6:.0f}",
        f"{costs(figures, of_nodes).look * 1e6:.0f}",
        "?" if p50 is None or p99 is None else f"{p50 * 1e3:.1f} / {p99 * 1e3:.1f} ms",
        f"{figures.records / max(1, figures.writes):.2f}",
        f"{busy.sent / busy.seconds / 1e3:,.0f} KB/s",
        f"{figures.memory[-1][1] / nodes / 1e6:.1f}",
        "?" if growth is None else f"{growth / 1e3:+.1f}",
    ]


def judge(results: Sequence[Figures]) -> list[Verdict]:
    """At its worst."""
    most = max(figures.busy.server / max(1, figures.busy.looks) for figures in results) * 1e6
    records = max(figures.records / max(1, figures.writes) for figures in results)
    grown = [growth / 1e3 for figures in results if (growth := figures.slope()) is not None]
    troubles = sum(sum(figures.troubles.values()) for figures in results)
    flat = f"a node's memory grows by at most {FLAT_KILOBYTES:g} KB a minute"
    return [
        Verdict(f"the server: at most {MODEL_US[1]:g} us a look, all included", f"{most:.1f}", most <= MODEL_US[1]),
        Verdict(f"at most {MOST_RECORDS:g} records a write", f"{records:.2f}", records <= MOST_RECORDS),
        Verdict(
            flat,
            f"{max(grown):+.1f}" if grown else "too short to tell",
            max(grown) <= FLAT_KILOBYTES if grown else None,
        ),
        Verdict("nothing of the log was lost, broken or refused", str(troubles), troubles == 0),
    ]


def plot(results: Sequence[Figures], rate: float, path: Path) -> None:
    """Draw what the server and a node cost, as measured, and, dashed, on paper."""
    import matplotlib as mpl

    mpl.use("Agg")  # before pyplot, which would look for a screen
    from matplotlib import pyplot as plt

    counts = [figures.nodes for figures in results]
    last = results[-1]
    paper = [last.nodes, *(nodes for nodes in ON_PAPER if nodes > last.nodes)]
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for number, (panel, title) in enumerate(zip(panels, ("the server", "a node"), strict=True)):
        of = (of_server, of_nodes)[number]
        for name, color, used, writes in (
            (f"{rate:g} writes a second", "C0", [figures.busy for figures in results], rate),
            ("idle", "C1", [figures.idle for figures in results], 0.0),
        ):
            shares = [
                100 * of(each) / each.seconds / (1 if number == 0 else nodes)
                for each, nodes in zip(used, counts, strict=True)
            ]
            panel.plot(counts, shares, color=color, marker="o", markersize=3, linewidth=1, label=name)
            dashed = [100 * on_paper(last, nodes, writes)[number] for nodes in paper]
            panel.plot(paper, dashed, color=color, linewidth=1, linestyle="dashed", label=f"{name}, on paper")
        panel.set_title(f"{title}, % of a core", fontsize="medium")
        panel.set_xlabel("nodes")
        panel.set_xscale("log")
        ticks = sorted({*counts, *(nodes for nodes in paper if nodes != 700)})
        panel.set_xticks(ticks, [f"{nodes:,}" for nodes in ticks], fontsize="small")
        panel.minorticks_off()
    every = sorted({*counts, *paper})
    low, high = ([nodes * looks_on_paper(nodes) * us / 1e4 for nodes in every] for us in MODEL_US)
    panels[0].fill_between(every, low, high, color="0.9", zorder=0, label="8 to 22 us a look")
    for panel in panels:
        panel.set_ylim(bottom=0)
    panels[0].legend(fontsize="x-small")
    figure.savefig(path, dpi=80)
    plt.close(figure)


# -- the command -------------------------------------------------------------------------------------------------------


def parser() -> Options:
    """Define the options of this measurement."""
    options = Options("fleet", "Many caches on one Redis.")
    options.add_argument(
        "--nodes", type=numbers, default=NODES, metavar="N,N...", help=f"how many ({','.join(map(str, NODES))})"
    )
    options.add_argument("--seconds", type=positive, metavar="N", help=f"with writes, for each number ({SECONDS:g})")
    options.add_argument("--rate", type=positive, default=RATE, metavar="N", help=f"writes a second, in all ({RATE:g})")
    options.add_argument("--plot", type=Path, metavar="FILE", help="draw the costs into this PNG")
    return options


def numbers(text: str) -> list[int]:
    """Read numbers of nodes, for argparse."""
    return sorted(at_least(1)(each) for each in text.split(","))


def positive(text: str) -> float:
    """Read a number above nothing, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def absence() -> str | None:
    """What is missing to measure it."""
    missing = [name for name in ("redis", "hiredis") if find_spec(name) is None]
    if servers.find_program("redis-server") is None:
        missing.append("redis-server")
    return " and ".join(missing) or None


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = parser().parse_args(arguments)
    if (missing := absence()) is not None:
        print(f"benchmarks: not installed: {missing}", file=sys.stderr)
        return 2
    seconds = options.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    results = []
    for nodes in options.nodes:
        try:
            results.append(measure(nodes, seconds, options.rate, 0.5 if options.quick else COUNTED_SECONDS))
        except RemoteError as error:
            print(f"benchmarks: {nodes} nodes: {error}", file=sys.stderr)
            return 1
        print(*cells(results[-1]), sep="  ", file=sys.stderr, flush=True)
    print(json.dumps(as_json(results), indent=2) if options.json else text(results, seconds, options.rate))
    if options.plot is not None:
        plot(results, options.rate, options.plot)
    return 0


def as_json(results: Sequence[Figures]) -> list[Mapping[str, Any]]:
    """Say the same as the table, for programs."""
    return [
        {
            **asdict(figures),
            "took": {str(share): quantile(figures.took, share) for share in (0.5, 0.99)},
            "costs": {"server": asdict(costs(figures, of_server)), "node": asdict(costs(figures, of_nodes))},
        }
        for figures in results
    ]
