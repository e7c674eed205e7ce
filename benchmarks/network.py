"""`python -m benchmarks network`: LRUCacheDistributed between processes of this machine, beside what else there is.

Runs the measurements in turn and gathers what they found; how each is made stands in its own module. All traffic is on
the loopback interface; servers that others need are started on free ports, and ended.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import link_costs, many_nodes, network_report, propagation
from benchmarks.carriers import (
    BASE,
    CARRIERS,
    ENGINES,
    OURS,
    Nats,
    OursSecret,
    OursTLS,
    RedisPubSub,
    Run,
    SyncObj,
)
from benchmarks.expectations import Verdict, not_measured
from benchmarks.options import Options, at_least
from benchmarks.propagation import MODES, PUB_SUB, RAW
from benchmarks.servers import HOST
from harness import certificates
from harness.remote_objects import RemoteError
from lru_cache import TLS

Step = Callable[[str], None]  # told the name of what has just been done
DISTINCT, FEW = "all keys different", "1,000 keys"
FEW_KEYS = 1_000
SECRET = "a secret of 32 characters or more"  # noqa: S105 - of caches that live for seconds
PLAIN, SEALED, ENCRYPTED = "no secret", "secret", "TLS"

OVER_SERVERS_PAUSE_SECONDS = 0.02  # before each write: a node on an engine may append every 10 ms
SYNC_OBJ_TIMES = 10.0
MOST_PROPAGATION_RATIO = 2.0
MOST_STOPPED_RATIO = 1.2
MOST_IDLE_SHARE = 0.005


@dataclass(frozen=True)
class Effort:
    """How much is done: enough for figures that repeat, or enough to see that it works."""

    rounds: int
    events: int
    writes: int  # single ones, on each line in each mode, in each of the rounds
    pause_seconds: float  # before each of them
    sets: int  # paced ones of each kind, in each of the rounds
    bursts: int
    burst: int
    idle_seconds: float


FULL = Effort(
    rounds=5, events=50_000, writes=200, pause_seconds=0.002, sets=300, bursts=5, burst=2_000, idle_seconds=10.0
)
QUICK = Effort(rounds=1, events=1_000, writes=20, pause_seconds=0.001, sets=20, bursts=1, burst=200, idle_seconds=0.5)


@dataclass
class Results:
    """All that one run found; a list has one item a round. `problems` says why something is missing."""

    effort: Effort
    carriers: list[str]
    absent: dict[str, str]  # carrier -> what is missing
    lines: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, list[Run]]] = field(default_factory=dict)  # key space -> carrier
    propagation: list[dict[str, dict[str, list[float]]]] = field(default_factory=list)  # mode -> line -> seconds
    set_costs: list[dict[str, dict[str, list[float]]]] = field(default_factory=list)  # paced, burst -> kind -> seconds
    idle: list[float] = field(default_factory=list)  # shares of a core
    problems: list[str] = field(default_factory=list)

    def rates(self, space: str, carrier: str) -> list[float]:
        """Events a second in each round."""
        return [run.rate for run in self.runs.get(space, {}).get(carrier, [])]

    def against(self, space: str, carrier: str, other: str) -> float | None:
        """How many times the other's rate: the median of the rounds' ratios."""
        pairs = list(zip(self.rates(space, carrier), self.rates(space, other), strict=False))
        return median([own / base for own, base in pairs]) if pairs else None

    def quantile(self, mode: str, line: str, share: float) -> float | None:
        """Seconds of propagation: the median of the rounds' quantiles."""
        found = [at(each[mode][line], share) for each in self.propagation if line in each.get(mode, {})]
        return median(found) if found else None

    def propagation_ratio(self, mode: str, line: str) -> float | None:
        """How many times raw TCP's p50: the median of the rounds' ratios."""
        found = [
            at(each[mode][line], 0.5) / at(each[mode][RAW], 0.5)
            for each in self.propagation
            if line in each.get(mode, {})
        ]
        return median(found) if found else None

    def caller_seconds(self, pace: str, kind: str, share: float = 0.5) -> float | None:
        """Seconds of a set, likewise."""
        found = [at(each[pace][kind], share) for each in self.set_costs]
        return median(found) if found else None

    def caller_ratio(self, pace: str, kind: str, base: str) -> float | None:
        """How many times another kind's set, likewise."""
        found = [at(each[pace][kind], 0.5) / at(each[pace][base], 0.5) for each in self.set_costs]
        return median(found) if found else None


def at(samples: Sequence[float], share: float) -> float:
    """Return the quantile of sorted samples."""
    return samples[min(len(samples) - 1, int(len(samples) * share))]


def make_certificates(directory: Path) -> TLS | None:
    """A certificate for all nodes, its key, and the authority's certificate; None without the openssl program."""
    try:
        return certificates.make(directory, "node")["node"]
    except (OSError, subprocess.SubprocessError):
        return None


def measure(effort: Effort, names: Sequence[str], step: Step) -> Results:
    """Everything, as far as it is installed."""
    absent = {name: missing for name in names if (missing := CARRIERS[name].absence()) is not None}
    results = Results(effort, [name for name in names if name not in absent], absent)
    with tempfile.TemporaryDirectory(prefix="lru_cache-benchmark-") as directory, ExitStack() as stack:
        tls = make_certificates(Path(directory))
        options: dict[str, dict[str, Any]] = {OURS.name: {}, OursSecret.name: {"secret": SECRET}}
        lines: dict[str, dict[str, Any]] = {RAW: {}, PLAIN: {}, SEALED: {"secret": SECRET}}
        if tls is None:
            results.problems.append("the openssl program is not installed: nothing is said of TLS")
            results.carriers = [name for name in results.carriers if name != OursTLS.name]
        else:
            options[OursTLS.name] = {"tls": tls}
            lines[ENCRYPTED] = {"tls": tls}
        over_servers = lines_of_servers(stack)
        results.lines = [*lines, *over_servers]
        for number in range(effort.rounds):
            measure_rates(results, options, lambda name, number=number: step(f"round {number + 1}: {name}"))
            measure_propagation(results, lines, over_servers, step)
            measure_set_costs(results, step)
    try:
        results.idle = link_costs.measure_idle(effort.idle_seconds)
    except RemoteError as error:
        results.problems.append(f"idle: {error}")
    step("idle")
    return results


def lines_of_servers(stack: ExitStack) -> dict[str, dict[str, Any]]:
    """A log on each engine that is here, and a channel of Redis. Their servers run until the end."""
    lines: dict[str, dict[str, Any]] = {}
    for carrier in ENGINES:
        if carrier.absence() is None:
            server = stack.enter_context(carrier().serve())
            lines[carrier.name] = {"engine": f"{carrier.scheme}://{HOST}:{server.port}"}
    if RedisPubSub.absence() is None:
        lines[PUB_SUB] = {"port": stack.enter_context(RedisPubSub().serve()).port}
    return lines


def count_steps(effort: Effort, names: Sequence[str]) -> int:
    """How many steps `measure` will tell of, about."""
    return effort.rounds * (2 * len(names) + 2) + 1


def measure_rates(results: Results, options: dict[str, dict[str, Any]], step: Step) -> None:
    """One round of every carrier over both key spaces."""
    events = results.effort.events
    for space, keys in ((DISTINCT, events), (FEW, FEW_KEYS)):
        for name in results.carriers:
            on_engine = any(name == carrier.name for carrier in ENGINES)
            given = {"maximum_capacity": 2 * events, **options.get(name, {})} if name in options or on_engine else {}
            try:
                run = CARRIERS[name](**given).run(events, keys)
            except (RemoteError, RuntimeError, OSError) as error:
                results.problems.append(f"{name}, {space}: {error}")
                continue
            if run.wrong:
                results.problems.append(f"{name}, {space}: {run.wrong} keys did not have their last value")
            results.runs.setdefault(space, {}).setdefault(name, []).append(run)
            step(f"{name}, {space}")


def measure_propagation(
    results: Results, lines: dict[str, dict[str, Any]], over_servers: dict[str, dict[str, Any]], step: Step
) -> None:
    """One round of single writes. Those over servers by themselves, since a node on an engine is never quite idle."""
    effort = results.effort
    try:
        found = propagation.measure(lines, effort.writes, effort.pause_seconds, list(MODES))
        if over_servers:
            others = propagation.measure(over_servers, effort.writes, OVER_SERVERS_PAUSE_SECONDS, list(MODES))
            found = {mode: {**found[mode], **others[mode]} for mode in MODES}
        results.propagation.append(found)
    except RemoteError as error:
        results.problems.append(f"propagation: {error}")
    step("propagation")


def measure_set_costs(results: Results, step: Step) -> None:
    """One round of what `set` costs."""
    effort = results.effort
    try:
        results.set_costs.append(link_costs.measure(effort.sets, effort.pause_seconds, effort.bursts, effort.burst))
    except RemoteError as error:
        results.problems.append(f"cost of set: {error}")
    step("cost of set")


# -- what we hold ourselves to -----------------------------------------------------------------------------------------


def judge(results: Results) -> list[Verdict]:
    """Issue by issue, each with what was measured; a miss is printed like a pass."""
    verdicts = []
    for space in (DISTINCT, FEW):
        verdicts += [
            judge_rate(f"more events a second than {rival}, {space}", results, space, rival, 1.0)
            for rival in (RedisPubSub.name, Nats.name)
        ]
        claim = f"{SYNC_OBJ_TIMES:g} times {SyncObj.name}, {space}"
        verdicts.append(judge_rate(claim, results, space, SyncObj.name, SYNC_OBJ_TIMES))
    for mode in ("idle", "busy writer"):
        for line in (PLAIN, SEALED):
            claim = f"propagation p50, {mode}, {line}: at most {MOST_PROPAGATION_RATIO:g} x {RAW}"
            verdicts.append(at_most(claim, results.propagation_ratio(mode, line), MOST_PROPAGATION_RATIO, "{:.2f} x"))
    for pace in ("paced", "burst"):
        claim = f"a set with a stopped reader, {pace}: at most {MOST_STOPPED_RATIO:g} x with one that reads"
        ratio = results.caller_ratio(pace, link_costs.STOPPED, link_costs.ONE_LINK)
        verdicts.append(at_most(claim, ratio, MOST_STOPPED_RATIO, "{:.2f} x"))
    claim = f"idle, a node in a mesh of {link_costs.MESH}: under {MOST_IDLE_SHARE:.1%} of a core"
    verdicts.append(at_most(claim, max(results.idle, default=None), MOST_IDLE_SHARE, "{:.2%} at most"))
    return verdicts


def judge_rate(claim: str, results: Results, space: str, rival: str, times: float) -> Verdict:
    """Compare our rate with another's."""
    ratio = results.against(space, OURS.name, rival)
    return not_measured(claim) if ratio is None else Verdict(claim, f"{ratio:.2f} x", ratio > times)


def at_most(claim: str, figure: float | None, limit: float, shown: str) -> Verdict:
    """Hold a figure to a limit."""
    return not_measured(claim) if figure is None else Verdict(claim, shown.format(figure), figure <= limit)


# -- the command -------------------------------------------------------------------------------------------------------


def machine() -> dict[str, object]:
    """Where the figures come from; no names and no paths."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": {carrier.name: carrier.versions() for carrier in CARRIERS.values() if carrier.modules},
    }


def as_json(results: Results, verdicts: Sequence[Verdict]) -> dict[str, object]:
    """Say the same as the tables, for programs."""
    return {
        "machine": machine(),
        "effort": asdict(results.effort),
        "absent": results.absent,
        "rates": {
            space: {carrier: [asdict(run) for run in runs] for carrier, runs in carriers.items()}
            for space, carriers in results.runs.items()
        },
        "propagation": {
            mode: {
                line: {
                    "p50": results.quantile(mode, line, 0.5),
                    "p99": results.quantile(mode, line, 0.99),
                    "ratio": results.propagation_ratio(mode, line),
                }
                for line in results.lines
            }
            for mode in MODES
        },
        "set": {
            pace: {
                kind: {"p50": results.caller_seconds(pace, kind), "p99": results.caller_seconds(pace, kind, 0.99)}
                for kind in link_costs.KINDS
            }
            for pace in ("paced", "burst")
        },
        "idle": results.idle,
        "expectations": [asdict(verdict) for verdict in verdicts],
        "problems": results.problems,
    }


def parser() -> Options:
    """Define the options of this measurement."""
    options = Options("network", "LRUCacheDistributed between processes of this machine, beside what else there is.")
    options.add_argument("--rounds", type=at_least(1), help=f"rounds over everything ({FULL.rounds})")
    options.add_argument("--events", type=at_least(1), help=f"sets in a run ({FULL.events:,})")
    options.add_argument(
        "--only",
        action="append",
        choices=list(CARRIERS),
        metavar="WAY",
        help=f"send by this carrier, beside {BASE.name}; may be given again. One of: {', '.join(CARRIERS)}",
    )
    options.add_argument(
        "--nodes",
        type=numbers,
        metavar="N,N...",
        help="measure instead so many nodes, in a few processes, by each way in which they may be linked",
    )
    options.add_argument("--plot", type=Path, metavar="FILE", help="with --nodes, draw the figures into this PNG")
    return options


def numbers(text: str) -> list[int]:
    """Read numbers of nodes, for argparse."""
    return [at_least(2)(each) for each in text.split(",")]


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = parser().parse_args(arguments)
    if options.nodes:
        return many_nodes.run(options.nodes, options.quick, options.json, options.plot)
    try:
        from benchmarks.progress import Progress
    except ImportError:
        print("benchmarks: rich is not installed: pip install '.[bench]'", file=sys.stderr)
        return 2
    effort = QUICK if options.quick else FULL
    given = {"rounds": options.rounds, "events": options.events}
    effort = Effort(**{**asdict(effort), **{name: value for name, value in given.items() if value}})
    names = [name for name in CARRIERS if not options.only or name in (BASE.name, *options.only)]
    with Progress(count_steps(effort, names)) as progress:
        results = measure(effort, names, progress.step)
    verdicts = judge(results)
    if options.json:
        print(json.dumps(as_json(results, verdicts), indent=2))
    else:
        print(network_report.text(results, verdicts, machine()))
    return 0
