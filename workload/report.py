"""How figures are written: as text for people, as JSON for programs.

Must not know how anything was measured, nor where the text goes: every function here returns a string.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence

from workload.command_line import Options
from workload.summary import Summary, Tally
from workload.workers import Answer

_HEADINGS = (
    "way",
    "requests",
    "db reads",
    "db writes",
    "cache calls",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "max ms",
    "total s",
)


def request_line(answer: Answer) -> str:
    """Return the one line that each request gets."""
    milliseconds = answer.seconds * 1000
    return f"[{answer.thread}] Request '{answer.key}', response '{answer.value}', time: {milliseconds:.2f} ms"


def summary_text(options: Options, summary: Summary) -> str:
    """Return the figures of one run, one to a line."""
    lines = [
        headline(options),
        "",
        f"requests                {summary.requests:>12,}",
        f"distinct keys           {summary.distinct_keys:>12,}",
        f"database reads          {summary.database_reads:>12,}",
        f"database writes         {summary.database_writes:>12,}",
        f"distributed-cache calls {summary.cache_calls:>12,}",
        f"p50                     {milliseconds(summary.p50_ms):>12} ms",
        f"p95                     {milliseconds(summary.p95_ms):>12} ms",
        f"p99                     {milliseconds(summary.p99_ms):>12} ms",
        f"max                     {milliseconds(summary.max_ms):>12} ms",
        f"cached request          {_cached(summary, options.setting.cache_ms)}",
        f"total                   {summary.total_seconds:>12.2f} s",
    ]
    if not summary.complete:
        lines.append("interrupted: this is what was served until then")
    return "\n".join(lines)


def so_far(total: int, tally: Tally, database_reads: int, cache_calls: int) -> list[str]:
    """Return what there is to say while requests are served, in as many lines as the summary has for it."""
    every, cached = tally.latest_ms()
    return [
        "",
        f"requests                {tally.requests:>12,} of {total:,}",
        f"distinct keys           {tally.distinct_keys:>12,}",
        f"database reads          {database_reads:>12,}",
        f"distributed-cache calls {cache_calls:>12,}",
        f"p50                     {milliseconds(every):>12} ms",
        f"cached request          {milliseconds(cached):>12} ms",
    ]


def comparison_text(options: Options, summaries: Mapping[str, Summary]) -> str:
    """Return a table of the figures of several ways to serve the same requests."""
    rows = [_HEADINGS, *(_row(name, summary) for name, summary in summaries.items())]
    lines = [headline(options), "", *aligned_table(rows)]
    if not all(summary.complete for summary in summaries.values()):
        lines.append("interrupted: the last way is what was served until then, and ways after it were not begun")
    return "\n".join(lines)


def summary_json(options: Options, summary: Summary) -> str:
    """Return one object with the setting of a run and its figures."""
    return json.dumps({**setting_json(options), **dataclasses.asdict(summary)}, indent=2, allow_nan=False)


def comparison_json(options: Options, summaries: Mapping[str, Summary]) -> str:
    """Return one object with the setting, and under `ways` the figures of each."""
    rows = [{"way": name, **dataclasses.asdict(summary)} for name, summary in summaries.items()]
    return json.dumps({**setting_json(options), "ways": rows}, indent=2, allow_nan=False)


def headline(options: Options) -> str:
    """Return what is run, in a line: enough to run it again."""
    setting = options.setting
    missing = f" and {setting.missing:,} that do not exist" if setting.missing else ""
    return (
        f"{setting.scenario.name}: {options.threads:,} threads, {options.requests:,} requests each, for "
        f"{setting.keys:,} keys{missing}; database {setting.database_ms:g} ms, "
        f"distributed cache {setting.cache_ms:g} ms; random seed {options.random_seed}"
    )


def setting_json(options: Options) -> dict[str, object]:
    """Return what is run, for a program."""
    setting = options.setting
    return {
        "scenario": setting.scenario.name,
        "threads": options.threads,
        "requests_per_thread": options.requests,
        "keys": setting.keys,
        "missing": setting.missing,
        "database_ms": setting.database_ms,
        "cache_ms": setting.cache_ms,
        "random_seed": options.random_seed,
    }


def _row(name: str, summary: Summary) -> tuple[str, ...]:
    return (
        name if summary.complete else f"{name} (interrupted)",
        f"{summary.requests:,}",
        f"{summary.database_reads:,}",
        f"{summary.database_writes:,}",
        f"{summary.cache_calls:,}",
        milliseconds(summary.p50_ms),
        milliseconds(summary.p95_ms),
        milliseconds(summary.p99_ms),
        milliseconds(summary.max_ms),
        f"{summary.total_seconds:.2f}",
    )


def aligned_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose first row is its headings."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [_aligned(row, widths) for row in rows]
    return [table[0], "  ".join("-" * width for width in widths), *table[1:]]


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *figures = row
    columns = [name.ljust(widths[0]), *(f.rjust(width) for f, width in zip(figures, widths[1:], strict=True))]
    return "  ".join(columns).rstrip()


def milliseconds(figure: float | None) -> str:
    """Three decimals: a cached request takes about a thousandth of a millisecond."""
    return "-" if figure is None else f"{figure:,.3f}"


def _cached(summary: Summary, cache_ms: float) -> str:
    if summary.cached_ms is None:
        return f"{'-':>12}    (no request found its key cached)"
    figure = f"{summary.cached_ms:>12,.4f} ms"
    compared = f"the distributed cache's {cache_ms:g} ms"
    if 0 < summary.cached_ms < cache_ms:
        compared += f", {cache_ms / summary.cached_ms:,.0f} times as long"
    return f"{figure} (median of {summary.cached_requests:,}, against {compared})"
