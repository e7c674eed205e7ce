"""`python -m benchmarks local`: LRUCache in one process, beside the caches people use.

Runs the measurements in turn and gathers what they found; how each is made stands in its own module. Nothing
here times anything.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import report
from benchmarks.contenders import BASE, CONTENDERS, OURS, TWIN, Contender, import_all
from benchmarks.expectations import Verdict, judge_hits, judge_import, judge_memory, judge_native, judge_on_loops
from benchmarks.footprint import OUR_IMPORT, bytes_of_contents, import_best, run_python
from benchmarks.loops import ON_LOOPS
from benchmarks.options import Options, at_least
from benchmarks.speed import BASE_OF_ROW, LOOP, Series, Work, run_round, take_samples

Step = Callable[[str], None]  # told the name of what has just been done
RACES = ("text", "foreign")
PROBE_SECONDS = 300.0


@dataclass(frozen=True)
class Effort:
    """How much is done: enough for figures that repeat, or enough to see that it works."""

    rounds: int
    operations: int
    reads_per_thread: int
    stampedes: int
    load_seconds: float
    race_seconds: float
    patience_seconds: float  # what a race may take longer before it counts as hanging
    entries: int
    imports: int
    look_ups_on_loop: int
    loads_on_loop: int
    tasks_on_loop: int


FULL = Effort(
    rounds=7,
    operations=50_000,
    reads_per_thread=20_000,
    stampedes=5,
    load_seconds=0.05,
    race_seconds=1.0,
    patience_seconds=15.0,
    entries=1_000_000,
    imports=10,
    look_ups_on_loop=100_000,
    loads_on_loop=1_000,
    tasks_on_loop=10_000,
)
QUICK = Effort(
    rounds=2,
    operations=2_000,
    reads_per_thread=500,
    stampedes=1,
    load_seconds=0.02,
    race_seconds=0.05,
    patience_seconds=4.0,
    entries=20_000,
    imports=2,
    look_ups_on_loop=1_000,
    loads_on_loop=20,
    tasks_on_loop=100,
)


@dataclass
class Imported:
    """What importing a contender took, at its best: noise only ever adds."""

    milliseconds: float
    sockets: dict[str, str]


@dataclass
class Results:
    """All that one run found; `problems` says why something that was asked for is missing."""

    size: int
    effort: Effort
    contenders: list[type[Contender]]
    absent: list[type[Contender]]
    series: dict[str, Series] = field(default_factory=dict)
    promises: dict[str, dict[str, Any]] = field(default_factory=dict)
    bytes_per_entry: dict[str, float | None] = field(default_factory=dict)  # None: too slow to fill
    imports: dict[str, Imported] = field(default_factory=dict)
    on_loops: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def measure(names: Sequence[str], size: int, effort: Effort, step: Step) -> Results:
    """Everything about these contenders that are installed; needs nothing but them."""
    chosen = [CONTENDERS[name] for name in names]
    installed = [kind for kind in chosen if kind.is_installed()]
    results = Results(size, effort, installed, [kind for kind in chosen if kind not in installed])
    measure_imports(results, step)
    measure_promises(results, step)
    measure_memory(results, step)
    measure_on_loops(results, step)
    import_all(installed)
    for kind in installed:
        take_samples(kind, Work(size=100, operations=1000, reads_per_thread=100))  # what only a first run pays
    work = Work(size, effort.operations, effort.reads_per_thread)
    for number in range(effort.rounds):
        for name in run_round(installed, work, results.series):
            step(f"round {number + 1}: {name}")
    return results


def count_steps(names: Sequence[str], effort: Effort) -> int:
    """How many steps `measure` will tell of."""
    installed = sum(CONTENDERS[name].is_installed() for name in names)
    return installed * (3 + effort.rounds) + len(on_loops_of(names))


def on_loops_of(names: Sequence[str]) -> list[str]:
    """Which caches are measured on an event loop: all that are here, but for what only another was asked for."""
    chosen = [name for name in ON_LOOPS if len(names) == len(CONTENDERS) or name.split(",")[0] in names]
    return [name for name in chosen if ON_LOOPS[name].is_installed()]


def measure_imports(results: Results, step: Step) -> None:
    """Time to import each contender, in fresh interpreters."""
    for kind in results.contenders:
        step(f"import: {kind.name}")
        if not kind.modules:
            continue
        statement = OUR_IMPORT if kind is OURS else f"import {kind.modules[0]}"
        try:
            best = import_best(statement, results.effort.imports)
        except (ImportError, subprocess.TimeoutExpired) as error:
            results.problems.append(f"{kind.name}: cannot be imported in a fresh interpreter: {error}")
            continue
        milliseconds, socket_state, ssl_state = best
        results.imports[kind.name] = Imported(milliseconds, {"socket": socket_state, "ssl": ssl_state})


def measure_promises(results: Results, step: Step) -> None:
    """Find out what each contender does besides being fast; one that crashes or hangs takes nobody along."""
    effort = results.effort
    for kind in results.contenders:
        step(f"promises: {kind.name}")
        calm = ("calm", kind.name, str(effort.stampedes), str(effort.load_seconds))
        found, fault = ask_process("benchmarks.probes", *calm, timeout_seconds=PROBE_SECONDS)
        if fault:
            results.problems.append(f"{kind.name}: the probes of its promises: {fault}")
        findings = results.promises[kind.name] = found or {}
        for keys in RACES:
            race = ("race", kind.name, keys, str(effort.race_seconds))
            timeout_seconds = effort.race_seconds + effort.patience_seconds
            found, fault = ask_process("benchmarks.probes", *race, timeout_seconds=timeout_seconds)
            findings[f"race of {keys} keys"] = fault or found


def measure_memory(results: Results, step: Step) -> None:
    """Weigh each contender's entries."""
    for kind in results.contenders:
        step(f"memory: {kind.name}")
        arguments = (kind.name, str(results.effort.entries))
        found, fault = ask_process("benchmarks.footprint", *arguments, timeout_seconds=PROBE_SECONDS)
        if fault:
            results.problems.append(f"{kind.name}: its memory: {fault}")
        else:
            results.bytes_per_entry[kind.name] = found


def measure_on_loops(results: Results, step: Step) -> None:
    """Ask each cache that is for event loops there, beside what one would write by hand."""
    effort = results.effort
    numbers = (effort.rounds, effort.look_ups_on_loop, effort.loads_on_loop, effort.tasks_on_loop)
    for name in on_loops_of([kind.name for kind in (*results.contenders, *results.absent)]):
        step(f"on a loop: {name}")
        found, fault = ask_process("benchmarks.loops", name, *map(str, numbers), timeout_seconds=PROBE_SECONDS)
        if fault:
            results.problems.append(f"{name}: on an event loop: {fault}")
        else:
            results.on_loops[name] = found


def ask_process(module: str, *arguments: str, timeout_seconds: float) -> tuple[Any, str | None]:
    """Return what a module prints as JSON in a process of its own, or how that process came to its end."""
    try:
        run = run_python("-m", module, *arguments, timeout_seconds=timeout_seconds)
    except subprocess.TimeoutExpired:
        return None, "hangs"
    if run.returncode < 0:
        return None, f"crashes (signal {-run.returncode})"
    if run.returncode > 0:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        return None, f"fails: {last}"
    return json.loads(run.stdout), None


def judge(results: Results) -> list[Verdict]:
    """Our expectations, against these results."""
    rows = {name: {row: series.figure(row) for row in BASE_OF_ROW} for name, series in results.series.items()}
    hits = {name: figures["hit"] for name, figures in rows.items()}
    twin = results.series.get(TWIN.name)
    without_loop = twin.figure("hit", without_loop=True) if twin else None
    rivals = {kind.name for kind in results.contenders if kind.claims_threads} - {OURS.name, TWIN.name, BASE.name}
    memory = results.bytes_per_entry
    pure_python = {name for name, found in results.promises.items() if found.get("implementation") == "Python"}
    imported = results.imports.get(OURS.name)
    return [
        *judge_native(rows.get(OURS.name, {}), {name: rows[name] for name in rivals}),
        judge_memory(memory.get(OURS.name), memory.get(BASE.name), bytes_of_contents(results.effort.entries)),
        *judge_hits(hits, without_loop, pure_python),
        *judge_import(imported.milliseconds if imported else None, imported.sockets if imported else {}),
        *judge_on_loops(results.on_loops),
    ]


def machine() -> dict[str, object]:
    """Where the figures come from; no names and no paths."""
    from lru_cache.store import implementation

    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "store": implementation,
        "versions": {kind.name: kind.installed_version() for kind in (*ON_LOOPS.values(), *CONTENDERS.values())},
    }


def as_json(results: Results, verdicts: list[Verdict]) -> dict[str, object]:
    """Say the same as the tables, for programs."""
    caches: dict[str, object] = {kind.name: "not installed" for kind in results.absent}
    for kind in results.contenders:
        series = results.series[kind.name]
        figures = {row: series.figure(row) for row in BASE_OF_ROW}
        imported = results.imports.get(kind.name)
        caches[kind.name] = {
            "rows": {
                row: asdict(figure) if figure else series.failure(row) or "has no such operation"
                for row, figure in figures.items()
            },
            "promises": results.promises.get(kind.name),
            "bytes_per_entry": results.bytes_per_entry.get(kind.name),
            "import": asdict(imported) if imported else None,
        }
    return {
        "machine": machine(),
        "size": results.size,
        "effort": asdict(results.effort),
        "loop_nanoseconds": results.series[BASE.name].base_nanoseconds(LOOP),
        "caches": caches,
        "on event loops": results.on_loops,
        "expectations": [asdict(verdict) for verdict in verdicts],
        "problems": results.problems,
    }


def parser() -> Options:
    """Define the options of this measurement."""
    options = Options("local", "LRUCache in one process, beside the caches people use.")
    options.add_argument("--size", type=at_least(1), default=1000, metavar="N", help="entries in each cache (1000)")
    options.add_argument("--rounds", type=at_least(1), help=f"rounds over all caches ({FULL.rounds})")
    options.add_argument(
        "--only",
        action="append",
        choices=list(CONTENDERS),
        metavar="CACHE",
        help=f"measure this cache beside {BASE.name}; may be given again. One of: {', '.join(CONTENDERS)}",
    )
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = parser().parse_args(arguments)
    try:
        from benchmarks.progress import Progress
    except ImportError:
        print("benchmarks: rich is not installed: pip install '.[bench]'", file=sys.stderr)
        return 2
    effort = QUICK if options.quick else FULL
    if options.rounds:
        effort = Effort(**{**asdict(effort), "rounds": options.rounds})
    names = [name for name in CONTENDERS if not options.only or name in (BASE.name, *options.only)]
    with Progress(count_steps(names, effort)) as progress:
        results = measure(names, options.size, effort, progress.step)
    verdicts = judge(results)
    if options.json:
        print(json.dumps(as_json(results, verdicts), indent=2))
    else:
        print(report.text(results, verdicts, machine()))
    return 0
