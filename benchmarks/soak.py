"""`python -m benchmarks soak`: five nodes in a ring, under load, while they are killed, stopped and cut apart.

Every link goes through a proxy of the tests, which can cut it, swallow all it carries or make it slow. Memory, threads,
descriptors and lag are looked at every few seconds and plotted. In the end load and faults stop, and the verdict says
whether anything grew, and whether all nodes agree on the newest write of every key, or have none.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks.expectations import Verdict
from benchmarks.options import Options
from benchmarks.report import MARKS, table
from benchmarks.soak_node import KEYS, SILENCE_MILLISECONDS, SoakNode, Write
from harness.remote_objects import ROOT, RemoteError, RemoteObject

Step = Callable[[str], None]  # told what has just happened

NODES = 5
SPARED = 2  # nodes that are never killed: what grows in a life that is always short, nobody sees
LOOKS_SECONDS = 2.0  # between two looks at the nodes
FAULT_SECONDS = 5.0  # between the end of a fault and the next one, on average
LONGEST_FAULT_SECONDS = 3 * SILENCE_MILLISECONDS / 1000
CONVERGE_SECONDS = 60.0
STAYS_SECONDS = 2.0
SHORTEST_SECONDS = 2.0
MOST_MINUTES = 24 * 60.0
TOLERANCE_SECONDS = 0.01  # writes of two nodes that are closer than that: either may be the newer
ANSWER_SECONDS = 30.0
MEMORY_GROWTH = 0.05  # from the second quarter to the last, and this much beside:
MEMORY_SLACK = {"megabytes": 2.0, "blocks": 5.0}
COUNT_SLACK = 3  # threads and descriptors, of a dial that is just under way
FIGURES = ("megabytes", "blocks", "threads", "descriptors", "lag")


@dataclass
class Results:
    """What was seen: for each node, one row of figures for each look that it could answer."""

    minutes: float
    seed: int
    looks: dict[int, list[tuple[float, dict[str, float]]]] = field(default_factory=dict)  # node -> time and figures
    faults: list[tuple[float, str]] = field(default_factory=list)
    operations: int = 0
    converged_after: float | None = None  # seconds after the last fault was healed
    disagreements: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Ring:
    """The nodes, and the proxies between them: each dials the one before it."""

    def __init__(self, seed: int, operations_per_second: float, stack: ExitStack) -> None:
        sys.path.insert(0, str(ROOT))  # the proxy is one of the tests', which lie beside this and are not installed
        from tests.integration.addresses import ReservedPort
        from tests.integration.proxy import Proxy

        self._seed = seed
        self._operations_per_second = operations_per_second
        self._ports = [ReservedPort() for _ in range(NODES)]
        self.proxies = []
        for port in self._ports:
            stack.callback(port.close)
            self.proxies.append(stack.enter_context(Proxy(port.address)))
        self.nodes: list[RemoteObject | None] = [None] * NODES
        stack.callback(self._close)
        for number in range(NODES):
            self.start(number)

    def start(self, number: int) -> None:
        """Start a node, for the first time or again."""
        self._seed += 1
        before = self.proxies[number - 1].address
        self.nodes[number] = RemoteObject(
            SoakNode, self._seed, self._ports[number].address, [before], self._operations_per_second
        )

    def kill(self, number: int) -> None:
        """End a node at once."""
        node, self.nodes[number] = self.nodes[number], None
        if node is not None:
            node.kill()

    def living(self) -> list[tuple[int, RemoteObject]]:
        """Return the nodes that are there, with their numbers."""
        return [(number, node) for number, node in enumerate(self.nodes) if node is not None]

    def _close(self) -> None:
        for _, node in self.living():
            node.resume()
            node.close()


# -- faults ------------------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """Something that is wrong for a while."""

    name: str
    ends_at: float
    mend: Callable[[], None]
    stopped: int | None = None  # the node that cannot answer meanwhile


def begin_fault(ring: Ring, chance: random.Random, now: float) -> Fault:
    """Let something go wrong."""
    ends_at = now + chance.uniform(0.5, LONGEST_FAULT_SECONDS)
    kind = chance.choice(["kill", "stop", "cut", "refuse", "swallow", "throttle", "part"])
    number = chance.randrange(NODES)
    proxy = ring.proxies[number]
    if kind == "kill":
        number = chance.randrange(SPARED, NODES)
        ring.kill(number)
        return Fault(f"node {number} killed", ends_at, lambda: ring.start(number))
    if kind == "stop":
        node = ring.nodes[number]
        assert node is not None
        node.stop()
        return Fault(f"node {number} stopped", ends_at, node.resume, stopped=number)
    if kind == "part":  # two links swallow: the ring falls into two halves, and nobody is told
        other = ring.proxies[(number + chance.randrange(1, NODES)) % NODES]
        proxy.swallow()
        other.swallow()
        return Fault("the ring parted", ends_at, lambda: (proxy.heal(), other.heal(), None)[-1])
    if kind == "throttle":
        proxy.throttle(2_000)
        return Fault(f"link {number} throttled", ends_at, proxy.heal)
    {"cut": proxy.cut, "refuse": proxy.refuse, "swallow": proxy.swallow}[kind]()
    return Fault(f"link {number}: {kind}", now if kind == "cut" else ends_at, proxy.heal)


# -- the run -----------------------------------------------------------------------------------------------------------


def measure(minutes: float, seed: int, operations_per_second: float, step: Step) -> Results:
    """Run it all, for so long and a little more."""
    results = Results(minutes, seed, {number: [] for number in range(NODES)})
    chance = random.Random(seed)
    with ExitStack() as stack:
        ring = Ring(seed, operations_per_second, stack)
        began = time.monotonic()
        ends_at = began + max(SHORTEST_SECONDS, minutes * 60)
        fault: Fault | None = None
        fault_at = began + chance.expovariate(1 / FAULT_SECONDS)
        look_at = began
        while (now := time.monotonic()) < ends_at:
            if fault is None and now >= fault_at:
                fault = begin_fault(ring, chance, now)
                results.faults.append((now - began, fault.name))
                step(fault.name)
            elif fault is not None and now >= fault.ends_at:
                fault.mend()
                fault, fault_at = None, now + chance.expovariate(1 / FAULT_SECONDS)
            if now >= look_at:
                look(ring, results, began, None if fault is None else fault.stopped)
                look_at = max(look_at + LOOKS_SECONDS, time.monotonic())
            time.sleep(0.05)
        if fault is not None:
            fault.mend()
        finish(ring, results, began, step)
        results.seconds = time.monotonic() - began
    return results


def look(ring: Ring, results: Results, began: float, stopped: int | None) -> None:
    """Ask every node that can answer how it is doing."""
    for number, node in ring.living():
        if number == stopped:
            continue
        try:
            figures = node.ask("figures", seconds=ANSWER_SECONDS)
        except RemoteError as error:
            results.problems.append(f"node {number}: {error}")
            ring.kill(number)
            continue
        looks = results.looks[number]
        if looks:
            results.operations += max(0, int(figures["operations"] - looks[-1][1]["operations"]))
        looks.append((time.monotonic() - began, figures))


def finish(ring: Ring, results: Results, began: float, step: Step) -> None:
    """Heal everything, let the load end, and wait until all agree."""
    for proxy in ring.proxies:
        proxy.heal()
    step("healed")
    nodes = [node for _, node in ring.living()]
    for node in nodes:
        node.ask("rest", seconds=ANSWER_SECONDS)
    healed_at = time.monotonic()
    newest = newest_writes([node.ask("writes") for node in nodes])
    while True:
        agreed_at = time.monotonic()
        results.disagreements = disagreements([node.ask("held") for node in nodes], newest)
        if not results.disagreements or agreed_at - healed_at > CONVERGE_SECONDS:
            break
        time.sleep(0.2)
    if not results.disagreements:
        time.sleep(STAYS_SECONDS)  # nothing that was on its way may undo it
        results.disagreements = disagreements([node.ask("held") for node in nodes], newest)
        results.converged_after = None if results.disagreements else agreed_at - healed_at
    look(ring, results, began, None)
    wrong = sum(node.ask("wrong_loads") for node in nodes)
    if wrong:
        results.disagreements.append(f"{wrong} loaded values are not what the source has")
    step("checked")


def newest_writes(writes: Sequence[Sequence[Write]]) -> list[Write]:
    """Return the newest write of each key, among those of the nodes that have lived to tell."""
    return [max(each, key=lambda write: write[0]) for each in zip(*writes, strict=True)]


def disagreements(held: Sequence[Sequence[float | None]], newest: Sequence[Write]) -> list[str]:
    """What is not so that every node has the newest value or none, each in a line."""
    found = []
    for number in range(KEYS):
        values = {values[number] for values in held} - {None}
        when, _ = newest[number]
        if len(values) > 1:
            found.append(f"key {number}: nodes have different values: {sorted(v for v in values if v is not None)}")
        # A write that is newer than the newest that anybody remembers is a killed node's.
        found += [
            f"key {number}: a value {when - value:.3f} s older than the newest write"
            for value in values
            if value is not None and value < when - TOLERANCE_SECONDS
        ]
    return found


# -- the verdict -------------------------------------------------------------------------------------------------------


def quarter(looks: Sequence[tuple[float, dict[str, float]]], name: str, which: int) -> list[float]:
    """Return the figures of a quarter of the run: 0 to 3."""
    size = len(looks) / 4
    return [figures[name] for _, figures in looks[int(which * size) : int((which + 1) * size)]]


def judge(results: Results) -> list[Verdict]:
    """Grows or flat, converged or not."""
    verdicts = [
        growth(f"node {number}: {name}", name, results.looks[number])
        for number in range(SPARED)
        for name in ("megabytes", "blocks", "threads", "descriptors")
    ]
    converged = results.converged_after is not None
    said = f"{results.converged_after:.1f} s after the last fault was healed" if converged else "they do not"
    verdicts.append(Verdict("every node has the newest value of each key, or none", said, converged))
    verdicts.append(Verdict("nothing failed on the way", str(len(results.problems)), not results.problems))
    return verdicts


def growth(claim: str, name: str, looks: Sequence[tuple[float, dict[str, float]]]) -> Verdict:
    """Compare the last quarter of the run with the second: in the first everything fills up."""
    early, late = quarter(looks, name, 1), quarter(looks, name, 3)
    if not early or not late:
        return Verdict(f"{claim}: flat", "too short to tell", None)
    if name in MEMORY_SLACK:
        before, after = median(early), median(late)
        limit = before * (1 + MEMORY_GROWTH) + MEMORY_SLACK[name]
        minutes = (looks[-1][0] - looks[0][0]) / 60 / 2  # from the middle of the one to that of the other
        slope = f", {(after - before) / max(minutes, 1e-9):+.2f} a minute"
    else:
        before, after = max(early), max(late)
        limit, slope = before + COUNT_SLACK, ""
    return Verdict(f"{claim}: flat", f"{before:.1f} to {after:.1f}{slope}", after <= limit)


def text(results: Results, verdicts: Sequence[Verdict]) -> str:
    """All of it as text."""
    rows = []
    for number, looks in results.looks.items():
        cells = [f"node {number}" + (" (never killed)" if number < SPARED else "")]
        for name in FIGURES:
            figures = sorted(figures[name] for _, figures in looks if figures[name] == figures[name])
            cells.append(f"{median(figures):.1f} / {figures[-1]:.1f}" if figures else "?")
        rows.append(cells)
    done = f"{results.operations:,} operations, {len(results.faults)} faults"
    lines = [
        f"A ring of {NODES} nodes for {results.seconds / 60:.1f} minutes, seed {results.seed}: {done}",
        *table(["median / most", *FIGURES], rows),
        "  megabytes: resident, with what the allocator keeps for later; blocks: thousands that Python has in use",
        "  lag: seconds since everything that a neighbour had written was known here",
        "",
        "Verdict: memory from the median of the second quarter to that of the last; the others, from most to most",
        *(f"  {MARKS[verdict.passed]}  {verdict.claim}: {verdict.measured}" for verdict in verdicts),
        *(f"  {line}" for line in [*results.problems, *results.disagreements][:20]),
    ]
    return "\n".join(lines)


def plot(results: Results, path: Path) -> None:
    """Draw the figures over time."""
    import matplotlib as mpl

    mpl.use("Agg")  # before pyplot, which would look for a screen
    from matplotlib import pyplot as plt

    titles = {"megabytes": "memory, MB", "blocks": "blocks, thousands", "lag": "lag, s"}
    figure, panels = plt.subplots(len(FIGURES), 1, sharex=True, figsize=(9, 9), layout="constrained")
    for panel, name in zip(panels, FIGURES, strict=True):
        for at, _ in results.faults:
            panel.axvline(at, color="0.9", linewidth=0.8, zorder=0)
        for number, looks in results.looks.items():
            panel.plot(
                [at for at, _ in looks], [figures[name] for _, figures in looks], linewidth=0.8, label=f"node {number}"
            )
        panel.set_ylabel(titles.get(name, name))
    panels[0].legend(ncols=NODES, fontsize="x-small", loc="lower right")
    panels[0].set_title(f"{NODES} nodes in a ring; grey lines are faults", fontsize="medium")
    panels[-1].set_yscale("symlog", linthresh=0.1)
    panels[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=80)
    plt.close(figure)


# -- the command -------------------------------------------------------------------------------------------------------


def parser() -> Options:
    """Define the options of this measurement."""
    options = Options(
        "soak", "Five nodes in a ring, under load, while they are killed, stopped and cut apart.", effort=False
    )
    options.add_argument("--minutes", type=duration, default=10.0, metavar="N", help="how long (10)")
    options.add_argument("--seed", type=int, default=1, metavar="N", help="of the load and the faults (1)")
    options.add_argument("--rate", type=duration, default=200.0, metavar="N", help="operations a second, a node (200)")
    options.add_argument("--plot", type=Path, default=Path("soak.png"), metavar="FILE", help="the PNG (soak.png)")
    return options


def duration(text: str) -> float:
    """Read a positive number, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, and at most {MOST_MINUTES:,.0f}")
    return number


def main(arguments: Sequence[str]) -> int:
    """Run it, plot it and print the verdict, which the status repeats: 1 if something grew or did not converge."""
    options = parser().parse_args(arguments)
    if find_spec("matplotlib") is None:  # to be known before an hour's run, not after
        print("benchmarks: matplotlib is not installed: pip install '.[bench]'", file=sys.stderr)
        return 2
    started = time.monotonic()

    def step(said: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {said}", file=sys.stderr, flush=True)

    results = measure(options.minutes, options.seed, options.rate, step)
    verdicts = judge(results)
    plot(results, options.plot)
    print(text(results, verdicts))
    return 0 if all(verdict.passed is not False for verdict in verdicts) else 1
