"""The results of `network` as text; tables that are pasted whole, so they say what they mean by themselves."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import link_costs
from benchmarks.carriers import BASE, CARRIERS, VALUE_CHARACTERS
from benchmarks.propagation import MODES, RAW
from benchmarks.report import MARKS, NOTHING, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.carriers import Run
    from benchmarks.expectations import Verdict
    from benchmarks.network import Results

PROCESSES = ("writer", "reader", "server")


def text(results: Results, verdicts: Sequence[Verdict], machine: Mapping[str, Any]) -> str:
    """Put everything together, top to bottom."""
    sections = [
        header(results, machine),
        *(rates(results, space) for space in results.runs),
        notes(results),
        propagation(results),
        costs(results),
        idle(results),
        expectations(verdicts),
    ]
    if results.problems:
        sections.append("\n".join(["Problems", *(f"  {problem}" for problem in results.problems)]))
    return "\n\n".join(sections)


def header(results: Results, machine: Mapping[str, Any]) -> str:
    """Say what was measured, where, and how."""
    effort = results.effort
    load = ", ".join(f"{each:.1f}" for each in machine["load"])
    return "\n".join(
        [
            f"LRUCacheDistributed between two processes on loopback: {effort.rounds} rounds, medians of them",
            f"{machine['python']}, {machine['system']}, {machine['cpus']} CPUs, of which others take some: load {load}",
            f"Keys: `user:123`. Values: texts of {VALUE_CHARACTERS} characters, each another.",
        ]
    )


def rates(results: Results, space: str) -> str:
    """How many sets a second, until all are applied."""
    rows = []
    for carrier in results.carriers:
        runs = results.runs[space].get(carrier)
        if not runs:
            continue
        figures = sorted(run.rate for run in runs)
        ratio = results.against(space, carrier, BASE.name)
        rows.append(
            [
                carrier,
                f"{median(figures):,.0f}",
                f"{figures[0]:,.0f}-{figures[-1]:,.0f}",
                NOTHING if ratio is None else f"{ratio:.3f}",
                *(used(runs, process) for process in PROCESSES),
                f"{median([sum(run.microseconds.values()) for run in runs]):.1f}",
            ]
        )
    rows += [[carrier, f"not installed: {missing}", *[""] * 6] for carrier, missing in results.absent.items()]
    title = f"Sets until applied, {space}"
    columns = [title, "a second", "least-most", f"of {BASE.name}", "us writer", "reader", "server", "all"]
    return "\n".join(table(columns, rows))


def used(runs: Sequence[Run], process: str) -> str:
    """Microseconds of the processor for each event."""
    found = [run.microseconds[process] for run in runs if process in run.microseconds]
    return f"{median(found):.1f}" if found else NOTHING


def notes(results: Results) -> str:
    """Say what stands behind the names."""
    lines = [f"  us: of the processor, for each of {results.effort.events:,} events, however busy the machine was"]
    lines += [f"  {name:<20} {CARRIERS[name].note}".rstrip() for name in results.carriers]
    for space, carriers in results.runs.items():
        for carrier, runs in carriers.items():
            for note in runs[0].notes:
                counts = ", ".join(str(run.notes[note]) for run in runs)
                lines.append(f"  {carrier}, {space}: {note}: {counts}")
    return "\n".join(["Used as", *lines])


def propagation(results: Results) -> str:
    """Single writes, p50 and p99, in every mode."""
    rows = []
    for line in results.lines:
        cells = [line]
        for mode in MODES:
            p50, p99 = (results.quantile(mode, line, share) for share in (0.5, 0.99))
            ratio = results.propagation_ratio(mode, line)
            if p50 is None or p99 is None or ratio is None:
                cells.append("?")
            else:
                cells.append(
                    f"{microseconds(p50)} / {microseconds(p99)}" + (f" ({ratio:.2f} x)" if line != RAW else "")
                )
        rows.append(cells)
    return "\n".join(
        [
            f"A single write until it is applied, p50 / p99 in us (times the p50 of {RAW} in the same round)",
            *table(["line", *MODES], rows),
            "  busy   that process computes in Python in a second thread, without a pause",
            "  lines take turns, each write after a pause; a write is applied once a look-up would find it",
            "  a node on Redis looks for news every 10 ms; NATS says when there is some",
        ]
    )


def costs(results: Results) -> str:
    """What `set` costs who calls it."""
    rows = []
    for kind in link_costs.KINDS:
        cells = [kind]
        for pace in ("paced", "burst"):
            p50, p99 = (results.caller_seconds(pace, kind, share) for share in (0.5, 0.99))
            ratio = results.caller_ratio(pace, kind, link_costs.NO_LINK)
            if p50 is None or p99 is None or ratio is None:
                cells += ["?"] * 2
            else:
                cells += [f"{microseconds(p50)} / {microseconds(p99)}" if pace == "paced" else microseconds(p50)]
                cells += [f"{ratio:.2f}"]
        rows.append(cells)
    none = f"of {link_costs.NO_LINK}"
    return "\n".join(
        [
            "What a set costs its caller, in us",
            *table(["links", "paced, p50 / p99", none, "burst, mean", none], rows),
            "  paced  one set after a pause: caches of the processor are cold; with one or two links it also sends",
            "  burst  one after another; what the links' threads take from the same interpreter is in it",
        ]
    )


def idle(results: Results) -> str:
    """What nothing costs."""
    shares = ", ".join(f"{share:.2%}" for share in results.idle) or "?"
    return f"Idle: shares of a core of the nodes in a mesh of {link_costs.MESH}, each a process: {shares}"


def microseconds(seconds: float) -> str:
    """Show a time."""
    return f"{seconds * 1e6:,.0f}" if seconds >= 1e-4 else f"{seconds * 1e6:.1f}"


def expectations(verdicts: Sequence[Verdict]) -> str:
    """List each with how it came out."""
    lines = ["What LRUCacheDistributed is held to"]
    lines += [f"  {MARKS[verdict.passed]}  {verdict.claim}: {verdict.measured}" for verdict in verdicts]
    return "\n".join(lines)
