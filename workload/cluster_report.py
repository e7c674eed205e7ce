"""How the figures of several nodes are written: as text for people, as JSON for programs.

Must not know how anything was measured, nor where the text goes.
"""

import dataclasses
import json

from workload.cluster import ClusterResult, NodeResult, Repeat
from workload.command_line import Options
from workload.report import aligned_table, headline, milliseconds, setting_json

_HEADINGS = (
    "node",
    "requests",
    "keys",
    "of others",
    "db reads",
    "db writes",
    "cache calls",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "max ms",
    "total s",
)


def cluster_text(options: Options, result: ClusterResult) -> str:
    """Return a table with a row for each node and one for all, and what it says about the database."""
    rows = [_HEADINGS, *(_node_row(node) for node in result.nodes), _cluster_row(result)]
    lines = [_headline(options), "", *aligned_table(rows), "", *_verdict(result)]
    if not result.complete:
        lines.append("interrupted: this is what was served until then")
    return "\n".join(lines)


def cluster_json(options: Options, result: ClusterResult) -> str:
    """Return one object with the setting, the figures of each node, and those of all."""
    repeats = result.repeats
    nodes = [
        {"node": node.number, "keys_from_others": node.keys_from_others, **dataclasses.asdict(node.summary)}
        for node in result.nodes
    ]
    cluster = {
        "nodes": len(result.nodes),
        "requests": result.total("requests"),
        "distinct_keys": result.distinct_keys,
        "database_reads": result.total("database_reads"),
        "database_writes": result.total("database_writes"),
        "cache_calls": result.total("cache_calls"),
        "repeated_loads": len(repeats),
        "repeated_loads_at_once": sum(repeat.is_concurrent for repeat in repeats),
        "complete": result.complete,
    }
    setting = {**setting_json(options), "stagger_ms": options.stagger_ms}
    return json.dumps({**setting, "nodes": nodes, "cluster": cluster}, indent=2, allow_nan=False)


def _headline(options: Options) -> str:
    begun = f"begun {options.stagger_ms:g} ms apart" if options.stagger_ms else "begun at once"
    return f"{options.nodes} nodes, {begun}, each {headline(options)}"


def _node_row(node: NodeResult) -> tuple[str, ...]:
    summary = node.summary
    return (
        f"node{node.number}" if summary.complete else f"node{node.number} (interrupted)",
        f"{summary.requests:,}",
        f"{summary.distinct_keys:,}",
        f"{node.keys_from_others:,}",
        f"{summary.database_reads:,}",
        f"{summary.database_writes:,}",
        f"{summary.cache_calls:,}",
        milliseconds(summary.p50_ms),
        milliseconds(summary.p95_ms),
        milliseconds(summary.p99_ms),
        milliseconds(summary.max_ms),
        f"{summary.total_seconds:.2f}",
    )


def _cluster_row(result: ClusterResult) -> tuple[str, ...]:
    """Percentiles of percentiles would mean nothing, so there are none."""
    slowest = max((node.summary.max_ms for node in result.nodes if node.summary.max_ms is not None), default=None)
    return (
        "all",
        f"{result.total('requests'):,}",
        f"{result.distinct_keys:,}",
        "",
        f"{result.total('database_reads'):,}",
        f"{result.total('database_writes'):,}",
        f"{result.total('cache_calls'):,}",
        "",
        "",
        "",
        milliseconds(slowest),
        "",
    )


def _verdict(result: ClusterResult) -> list[str]:
    repeats = result.repeats
    reads, keys = result.total("database_reads"), result.distinct_keys
    if not repeats:
        return [f"database reads: {reads:,} for {keys:,} keys: the whole cluster read each key once"]
    lines = [f"database reads: {reads:,} for {keys:,} keys: {len(repeats):,} more than one for each key, because"]
    concurrent = [repeat for repeat in repeats if repeat.is_concurrent]
    if concurrent:
        apart = max(repeat.seconds_after_begin for repeat in concurrent) * 1000
        lines.append(
            f"  {_keys(concurrent)} loaded by several nodes at once: {len(concurrent):,} loads began up to "
            f"{apart:,.1f} ms after the first one of their key, whose result was not there yet"
        )
    late = [repeat for repeat in repeats if not repeat.is_concurrent]
    if late:
        after = max(repeat.seconds_after_end for repeat in late) * 1000
        lines.append(
            f"  {_keys(late)} loaded again: {len(late):,} loads began up to {after:,.1f} ms after another one of "
            "their key had ended, so its result was evicted, had expired, or had not come over a link"
        )
    return lines


def _keys(repeats: list[Repeat]) -> str:
    keys = len({repeat.key for repeat in repeats})
    return "1 key was" if keys == 1 else f"{keys:,} keys were"
