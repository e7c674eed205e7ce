"""The results of `local` as text; tables that are pasted whole, so they say what they mean by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.contenders import BASE, OURS
from benchmarks.loops import ON_LOOPS
from benchmarks.loops import ROW_MEANINGS as LOOP_ROWS
from benchmarks.speed import BASE_OF_ROW, LOOP, ROW_MEANINGS
from benchmarks.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.expectations import Verdict
    from benchmarks.local import Results
    from benchmarks.speed import Series

NOTHING = "-"  # the cache has no such operation
MARKS = {True: "pass", False: "MISS", None: "????"}


def text(results: Results, verdicts: Sequence[Verdict], machine: Mapping[str, Any]) -> str:
    """Put everything together, top to bottom."""
    sections = [
        header(results, machine),
        speed(results),
        costs(results),
        on_loops(results),
        promises(results),
        usage(results),
        expectations(verdicts),
    ]
    if results.problems:
        sections.append("\n".join(["Problems", *(f"  {problem}" for problem in results.problems)]))
    return "\n\n".join(sections)


def header(results: Results, machine: Mapping[str, Any]) -> str:
    """Say what was measured, where, and how."""
    switch = "with" if machine["gil"] else "without"
    loop = results.series[BASE.name].base_nanoseconds(LOOP)
    lines = [
        f"LRUCache beside its peers: {results.size:,} entries, {results.effort.rounds} rounds",
        f"{machine['python']} {switch} the GIL, {machine['system']}, {machine['cpus']} CPUs",
        f"The `for` loop costs {loop:.0f} ns a key: it is in every time, the dict's too.",
        "Keys: strings made beforehand, the same objects for all, hashes known, in random order. Collector: on.",
        "Every cache that can expire is given a life of an hour. Processor time; for 10 threads, wall time.",
    ]
    absent = [kind.name for kind in results.absent]
    lines.append(f"lru_cache is on its {'store in C' if machine['store'] == 'native' else 'store in Python'}.")
    if absent:
        lines.append(f"Not installed: {', '.join(absent)}")
    return "\n".join(lines)


def speed(results: Results) -> str:
    """Ratios to the dict, with their quartiles."""
    rows = [[kind.name, *(ratio(results.series[kind.name], row) for row in BASE_OF_ROW)] for kind in results.contenders]
    rows += absent_rows(results, len(BASE_OF_ROW))
    base = results.series[BASE.name]
    rows.append(["", *(f"1.0 = {base.base_nanoseconds(row):.0f} ns" for row in BASE_OF_ROW.values())])
    return "\n".join(
        [
            "Speed: times what a dict took in the same moments (median of the rounds, quartiles); less is faster",
            *table(["cache", *BASE_OF_ROW], rows),
            *(f"  {row:<11}{meaning}" for row, meaning in ROW_MEANINGS.items()),
        ]
    )


def ratio(series: Series, row: str) -> str:
    """One cell of the speed table."""
    figure = series.figure(row)
    if figure is None:
        return series.failure(row) or NOTHING
    return f"{figure.ratio:.1f} ({figure.low:.1f}-{figure.high:.1f})"


def costs(results: Results) -> str:
    """Stampede, memory, import."""
    rows = []
    for kind in results.contenders:
        stampede: Any = results.promises.get(kind.name, {}).get("stampede", {})
        imported = results.imports.get(kind.name)
        rows.append(
            [
                kind.name,
                str(stampede.get("loads", stampede.get("error", "?"))),
                f"{stampede['time']:.2f}" if "time" in stampede else "?",
                memory(results, kind.name),
                f"{imported.milliseconds:.1f}" if imported else NOTHING,
                " ".join(module for module, state in imported.sockets.items() if state == "yes") or "no"
                if imported
                else NOTHING,
            ]
        )
    rows += absent_rows(results, 5)
    columns = ["cache", "stampede loads", "stampede time", "bytes/entry", "import ms", "sockets"]
    return "\n".join(
        [
            "Loads, memory, import",
            *table(columns, rows),
            "  stampede   10 threads miss one key at once: how often the loader ran; the time, in single loads",
            f"  bytes      resident memory at {results.effort.entries:,} entries, without keys and values",
            f"  import     above a bare interpreter, best of {results.effort.imports}; ours makes a cache too",
        ]
    )


def on_loops(results: Results) -> str:
    """Look-ups on an event loop, beside what is written there by hand."""
    rows = []
    for name, kind in ON_LOOPS.items():
        if not kind.is_installed():
            rows.append([name, "not installed", *[""] * 4])
        found = results.on_loops.get(name)
        if found is None:
            continue  # nobody asked for it, or `Problems` says what befell it
        ratios = [f"{found[row]:.1f}" for row in ("hit", "loads", "ready", "one key")]
        ratios[-1] += f" ({found['loaded']} load{'s' if found['loaded'] != 1 else ''})"
        rows.append([name, *ratios, f"{found['bytes']:.0f}"])
    return "\n".join(
        [
            "On an event loop: times what the same takes by hand in the same moments (median of the rounds)",
            *table(["cache", *LOOP_ROWS], rows),
            *(f"  {row:<11}{meaning}" for row, meaning in LOOP_ROWS.items()),
        ]
    )


def memory(results: Results, name: str) -> str:
    """One cell of the table above."""
    if name not in results.bytes_per_entry:
        return "?"
    per_entry = results.bytes_per_entry[name]
    return "too slow" if per_entry is None else f"{per_entry:.0f}"


def promises(results: Results) -> str:
    """Say what each cache does, and how we know."""
    columns = ["written in", "safe for threads", "with keys of one's own", "order", "expiry", "one load", "others wait"]
    rows = [
        [kind.name, *promise_cells(results.promises.get(kind.name, {}), kind.claims_threads)]
        for kind in results.contenders
    ]
    rows += absent_rows(results, len(columns))
    return "\n".join(
        [
            "What they do: a fast cache that does less is no peer (p: probed in this run, d: documented)",
            *table(["cache", *columns], rows),
            "  threads      a failure is p; what ten threads did not make fail is d, what its documentation says",
            "  keys         of one's own: their __eq__ is Python, where another thread can come in between",
            "  order        exact LRU, if what left was always what an exact LRU lets go",
            "  others wait  whether a hit or a load of another key waits for a load that is running",
        ]
    )


def promise_cells(found: Mapping[str, Any], claims_threads: bool | None) -> list[str]:
    """One cache's row."""
    stampede = found.get("stampede", {})
    one_load = stampede.get("error") or ("yes" if stampede.get("most_loads") == 1 else "no")
    return [
        probed(found.get("implementation")),
        raced(found.get("race of text keys"), claims_threads),
        raced(found.get("race of foreign keys"), claims_threads),
        probed("exact LRU" if found.get("lru order") == "exact" else found.get("lru order")),
        probed(found.get("expiry")),
        probed(one_load if stampede else None),
        probed(found.get("load holds up others")),
    ]


def probed(finding: str | None) -> str:
    """Mark what this run found out itself."""
    return "?" if finding is None else f"{finding} p"


def raced(fault: str | None, claimed: bool | None) -> str:
    """Mark the outcome of a race; one without a fault proves nothing, so the claim stands for it."""
    if fault:
        return f"no: {fault} p"
    return {True: "yes d", False: "no d", None: "not said d"}[claimed]


def usage(results: Results) -> str:
    """Versions, and how each cache is used where its documentation leaves a choice."""
    kinds = [*results.contenders, *results.absent, *ON_LOOPS.values()]
    lines = [f"  {kind.name:<20} {kind.installed_version():<20} {kind.note}".rstrip() for kind in kinds]
    return "\n".join(["Used as", *lines])


def expectations(verdicts: Sequence[Verdict]) -> str:
    """List each with how it came out."""
    lines = [f"What {OURS.name} is held to"]
    lines += [f"  {MARKS[verdict.passed]}  {verdict.claim}: {verdict.measured}" for verdict in verdicts]
    return "\n".join(lines)


def absent_rows(results: Results, columns: int) -> list[list[str]]:
    """Give each cache that is not here a line, so that nobody takes it for forgotten."""
    return [[kind.name, "not installed", *[""] * (columns - 1)] for kind in results.absent]
