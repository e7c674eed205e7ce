"""`python -m benchmarks simulate`: the replication simulator over many seeds, on all cores.

Hands seeds to processes and adds up what they went through. What a schedule is and what must hold in it stands in
`lru_cache.testing.simulation`; nothing here knows a rule.
"""

import argparse
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import astuple, dataclass, field, fields
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.options import Options, at_least
from lru_cache.replication import implementation
from lru_cache.testing.any_simulation import ALL_PROFILES, simulation_of
from lru_cache.testing.simulation import STEPS, Tally, Violation, simulated_keys

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

INTERRUPTED = 130  # what a shell calls a process that Ctrl-C ended
CLAIM_CHARACTERS = 300  # of why a seed failed; the rest is seen when it is replayed
BREAKS = "tests.replication.broken"
BREAKS_OF_LOGS = "tests.replication.broken_logs"
BOTH = "tests.replication.both_builds"
REFRESHES_PER_SECOND = 4


@dataclass(frozen=True)
class Task:
    """What is run, but for the seed."""

    steps: int = STEPS
    profile: str | None = None
    missing_rule: str | None = None
    trace: str | None = None
    whole_cache: bool = False
    both: bool = False

    def command(self, seed: int) -> str:
        """The command that runs this seed again."""
        words = ["python -m benchmarks simulate", f"--first {seed} --seeds 1"]
        if self.steps != STEPS:
            words.append(f"--steps {self.steps}")
        if self.profile is not None:
            words.append(f"--profile {self.profile}")
        if self.whole_cache:
            words.append("--whole-cache")
        if self.both:
            words.append("--both")
        if self.missing_rule is not None:
            words.append(f"--break {self.missing_rule}")
        return " ".join(words)


@dataclass(frozen=True)
class Outcome:
    """One seed's end; `failure` says which promise was broken, if one was."""

    tally: Tally = field(default_factory=Tally)
    failure: str | None = None


@dataclass
class Summary:
    """What all seeds went through so far."""

    schedules: int = 0
    tally: Tally = field(default_factory=Tally)
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, seed: int, outcome: Outcome) -> None:
        """Count one more."""
        self.schedules += 1
        counts = zip(astuple(self.tally), astuple(outcome.tally), strict=True)
        self.tally = Tally(*(before + more for before, more in counts))
        if outcome.failure is not None:
            self.failures[seed] = outcome.failure


Show = Callable[[Summary], None]  # called whenever a seed is done


# -- one seed ----------------------------------------------------------------------------------------------------------


def run_seed(seed: int, task: Task) -> Outcome:
    """Run one schedule. Whatever it raises is its failure: the simulator's claims, and bugs that no claim is about."""
    if task.both:
        return compare_builds(seed, task)
    simulation = simulation_of(
        seed, steps=task.steps, profile=task.profile, trace=task.trace, whole_cache=task.whole_cache
    )
    try:
        return Outcome(simulation.run())
    except Exception as error:  # noqa: BLE001 - a core that raises something else has failed as well
        return Outcome(simulation.tally, describe(error))


def compare_builds(seed: int, task: Task) -> Outcome:
    """Run one schedule on the compiled rules and on their source: they must send the same bytes, and end the same."""
    everything_sent = importlib.import_module(BOTH).everything_sent
    settings = {"steps": task.steps, "profile": task.profile, "whole_cache": task.whole_cache}
    try:
        (native, simulation), (python, _) = (everything_sent(build, seed, **settings) for build in ("native", "python"))
    except Exception as error:  # noqa: BLE001 - as above
        return Outcome(failure=describe(error))
    failure = None if native == python else f"the builds differ: {native} and {python}"[:CLAIM_CHARACTERS]
    return Outcome(simulation.tally, failure)


def describe(error: BaseException) -> str:
    """Why a seed failed, in one line, with the place where no words say it."""
    if isinstance(error, Violation) and error.__cause__ is not None:
        error = error.__cause__
    claim = " ".join(str(error).split())[:CLAIM_CHARACTERS]
    if claim and isinstance(error, AssertionError):
        return claim
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {claim or place.line} ({Path(place.filename).name}:{place.lineno})"


def missing_rules() -> dict[str, Any]:
    """The rules that can be taken away, by their names. ImportError where the tests are not at hand."""
    return {**importlib.import_module(BREAKS).ALL_BROKEN, **importlib.import_module(BREAKS_OF_LOGS).BROKEN_LOGS}


@contextmanager
def without(rule: str | None) -> Iterator[None]:
    """While inside, this rule is missing from every replica of this process."""
    if rule is not None and rule in importlib.import_module(BREAKS_OF_LOGS).BROKEN_LOGS:
        with importlib.import_module(BREAKS_OF_LOGS).broken_log(rule):
            yield
        return
    with nullcontext() if rule is None else importlib.import_module(BREAKS).broken(rule):
        yield


# -- many seeds --------------------------------------------------------------------------------------------------------


def run_here(seeds: range, task: Task, summary: Summary, show: Show) -> None:
    """Run them one after another in this process."""
    with without(task.missing_rule):
        for seed in seeds:
            summary.add(seed, run_seed(seed, task))
            show(summary)


class Worker:
    """A process that runs one seed at a time; the only one who knows which is `seed`, should it die over it."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.seed: int | None = None
        self.pipe, far_end = context.Pipe()
        self.process: BaseProcess = context.Process(target=work, args=(far_end, task), daemon=True)
        with interrupts_ignored():  # inherited: Ctrl-C is for who hands out the seeds
            self.process.start()
        far_end.close()

    def run(self, seed: int) -> None:
        """Hand it a seed."""
        self.seed = seed
        with suppress(OSError):  # it has died: the pipe's end says so
            self.pipe.send(seed)

    def outcome(self) -> tuple[Outcome, bool]:
        """How its seed ended, and whether the worker is there for another."""
        try:
            return self.pipe.recv(), True
        except (EOFError, OSError):
            self.process.join()
            return Outcome(failure=f"its process died with exit code {self.process.exitcode}"), False

    def stop(self) -> None:
        """End it, whatever it is at."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """While inside, processes are born deaf to Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def work(pipe: Connection, task: Task) -> None:
    """Run the seeds that come, until no more do. In a process of its own."""
    with without(task.missing_rule), suppress(EOFError):
        while True:
            pipe.send(run_seed(pipe.recv(), task))


def run_in_processes(seeds: range, jobs: int, task: Task, summary: Summary, show: Show) -> None:
    """Run them on so many processes. One that dies has failed its seed, and is replaced."""
    todo = iter(seeds)
    with ExitStack() as stack:
        workers: dict[Connection, Worker] = {}

        def hand_out(worker: Worker | None) -> None:
            seed = next(todo, None)
            if seed is None:
                return
            if worker is None:
                worker = Worker(task)
                stack.callback(worker.stop)
            workers[worker.pipe] = worker
            worker.run(seed)

        for _ in range(jobs):
            hand_out(None)
        while workers:
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                worker = workers.pop(pipe)
                outcome, alive = worker.outcome()
                assert worker.seed is not None
                summary.add(worker.seed, outcome)
                show(summary)
                hand_out(worker if alive else None)


# -- the command -------------------------------------------------------------------------------------------------------


def usable_cpus() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parser() -> Options:
    """Define the options of this measurement."""
    options = Options(
        "simulate",
        "Run the replication simulator over many seeds; every seed that breaks a promise is named.",
        effort=False,
    )
    options.add_argument("--seeds", type=at_least(1), metavar="N", help="how many schedules (1000)")
    options.add_argument("--first", type=at_least(0), metavar="K", help="the first seed (0)")
    options.add_argument("--seed", type=at_least(0), metavar="K", help="this seed alone: --first K --seeds 1")
    options.add_argument("--steps", type=at_least(1), default=STEPS, metavar="S", help=f"of each schedule ({STEPS})")
    options.add_argument("--profile", choices=ALL_PROFILES, help="one kind of trouble for all seeds")
    options.add_argument("--whole-cache", action="store_true", help="a whole cache on each node, used as people do")
    options.add_argument(
        "--both", action="store_true", help="on the compiled rules and on their source: the same bytes?"
    )
    options.add_argument("--jobs", type=at_least(1), metavar="J", help="processes (as many as there are cores)")
    options.add_argument("--break", dest="missing_rule", metavar="NAME", help=f"take away a rule of {BREAKS}")
    options.add_argument("--trace", metavar="KEY", help="print what happens to this key; with one seed")
    return options


def chosen_seeds(options: Options, chosen: argparse.Namespace) -> range:
    """The seeds that the options name, or a line on why they make no sense."""
    if chosen.seed is not None:
        if chosen.first is not None or chosen.seeds not in (None, 1):
            options.error("--seed is one seed, --first and --seeds are many: give either")
        return range(chosen.seed, chosen.seed + 1)
    first = chosen.first or 0
    return range(first, first + (chosen.seeds or 1000))


def check(options: Options, chosen: argparse.Namespace, seeds: range) -> None:
    """Refuse what argparse cannot know to be wrong."""
    if chosen.trace is not None:
        if len(seeds) > 1:
            options.error("--trace follows one key through one seed: give --seed K")
        if chosen.trace not in simulated_keys():
            options.error(f"--trace: no key is called {chosen.trace!r}; there is {', '.join(simulated_keys())}")
    if chosen.both:
        check_both(options, chosen)
    if chosen.missing_rule is not None:
        try:
            rules = missing_rules()
        except ImportError as error:
            options.error(f"--break: {BREAKS} cannot be imported ({error}); run it from the root of the repository")
        if chosen.missing_rule not in rules:
            options.error(f"--break: no rule is called {chosen.missing_rule!r}; there is {', '.join(rules)}")


def check_both(options: Options, chosen: argparse.Namespace) -> None:
    """Refuse to compare what is not there, or cannot be compared."""
    if chosen.missing_rule is not None or chosen.trace is not None:
        options.error("--both compares whole rules: give it without --break and --trace")
    if implementation != "native":
        options.error("--both: the rules are not compiled here: pip install -e . with a compiler")
    try:
        importlib.import_module(BOTH)
    except ImportError as error:
        options.error(f"--both: {BOTH} cannot be imported ({error}); run it from the root of the repository")


@contextmanager
def bar(total: int) -> Iterator[Show]:
    """A bar on stderr. ImportError without rich."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True) as progress:
        task = progress.add_task("", total=total)

        def show(summary: Summary) -> None:
            failed = f"{len(summary.failures):,} failed" if summary.failures else ""
            progress.update(task, completed=summary.schedules, description=failed)

        yield show


def text(summary: Summary, seeds: range, task: Task, seconds: float, jobs: int) -> str:
    """What the seeds went through, and a command for each that failed."""
    whole = "" if summary.schedules == len(seeds) else f" of {len(seeds):,}"
    processes = f"{jobs} processes" if jobs > 1 else "one process"
    counts = ", ".join(f"{getattr(summary.tally, f.name):,} {f.name.replace('_', ' ')}" for f in fields(Tally))
    lines = [
        f"{summary.schedules:,}{whole} schedules from seed {seeds[0]} in {seconds:,.1f} s on {processes}",
        counts,
        f"{len(summary.failures):,} failed" if summary.failures else "none failed",
    ]
    lines += [f"{task.command(seed)}  # {claim}" for seed, claim in sorted(summary.failures.items())]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run and print; 1 if a seed failed, 130 if Ctrl-C came before the last."""
    options = parser()
    chosen = options.parse_args(arguments)
    seeds = chosen_seeds(options, chosen)
    check(options, chosen, seeds)
    task = Task(chosen.steps, chosen.profile, chosen.missing_rule, chosen.trace, chosen.whole_cache, chosen.both)
    jobs = min(chosen.jobs or usable_cpus(), len(seeds))
    summary = Summary()
    start = perf_counter()
    interrupted = False
    try:
        with bar(len(seeds)) if len(seeds) > 1 else nullcontext(lambda _: None) as show:
            if jobs == 1:
                run_here(seeds, task, summary, show)
            else:
                run_in_processes(seeds, jobs, task, summary, show)
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] != "rich":
            raise
        print("benchmarks: rich is not installed: pip install '.[bench]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        interrupted = True
    print(text(summary, seeds, task, perf_counter() - start, jobs))
    if interrupted:
        return INTERRUPTED
    return 1 if summary.failures else 0
