"""The page, for a terminal. It must not know how a node is asked."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lru_cache.server.client import Client
from lru_cache.server.errors import CommandError

CHARTS = ("hits", "misses", "loads", "evictions")
COLOURS = {"connected": "green", "greeting": "yellow", "connecting": "yellow"}
BARS = " ▁▂▃▄▅▆▇█"
CHART_COLUMNS = 60
MOST_HAPPENINGS = 5
RETRY_SECONDS = 1.0

Sample = dict[str, Any]


def run(client: Client, once: bool, console: Console | None = None) -> int:
    """Show what there is until Ctrl-C, or once. A node that was there and is not is asked again."""
    console = Console() if console is None else console
    if once:
        for sample in client.watch():
            console.print(screen(client.url, sample, _rates(sample, deque()), None))
            break
        return 0
    rates: deque[list[float]] = deque(maxlen=CHART_COLUMNS)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        latest: Sample | None = None
        while True:
            failure = "the node has stopped"
            try:
                for sample in client.watch():
                    latest = sample
                    live.update(screen(client.url, sample, _rates(sample, rates), None), refresh=True)
            except CommandError as error:
                if latest is None:
                    raise
                failure = str(error)
            if latest is None:
                raise CommandError(f"{client.url} says nothing")
            live.update(screen(client.url, latest, rates, f"{failure}; trying again"), refresh=True)
            time.sleep(RETRY_SECONDS)


def _rates(sample: Sample, rates: "deque[list[float]]") -> "deque[list[float]]":
    """Add what a sample brings: the first brings the last minutes."""
    if "history" in sample:
        rates.clear()
        rates.extend(row[1:] for row in sample["history"][-CHART_COLUMNS:])
    else:
        rates.append([sample["rates"][name] for name in CHARTS])
    return rates


def screen(url: str, sample: Sample, rates: Iterable[list[float]], failure: str | None) -> Group:
    """All of it. What comes from the network is printed as it is, never as markup or as the terminal's commands."""
    state = Text(f" {failure}", "bold red") if failure else Text(" live", "green")
    head = Text.assemble(
        (_plain(sample["region"] or "cache node"), "bold"),
        f"  node {_plain(sample['node'])}  {_plain(url)}  up {duration(sample['uptime'])}",
        "  read-only" if sample["read_only"] else "",
        state,
    )
    return Group(head, _peers(sample), _charts(sample, list(rates)), _happenings(sample))


def _peers(sample: Sample) -> Panel:
    table = Table(box=None, expand=True, pad_edge=False)
    for heading in ("region", "node", "address", "link"):
        table.add_column(heading, overflow="ellipsis", no_wrap=True)
    for heading in ("round trip", "lag", "queued", "since"):
        table.add_column(heading, justify="right", no_wrap=True)
    for peer in sample["peers"]:
        table.add_row(
            Text(_plain(peer["region"] or "-")),
            Text(_plain((peer["node"] or "-")[:8])),
            Text(_plain(peer["address"])),
            Text(_plain(peer["state"]), COLOURS.get(peer["state"], "red")),
            duration(peer["rtt"]),
            duration(peer["lag"]),
            f"{peer['queued']:,}",
            duration(max(0.0, sample["time"] - peer["since"])),
        )
    content = table if sample["peers"] else Text("no other node is linked with it, and it looks for none")
    return Panel(content, title="network, as this node sees it", title_align="left")


def _charts(sample: Sample, rates: list[list[float]]) -> Panel:
    table = Table(box=None, show_header=False, pad_edge=False)
    for index, name in enumerate(CHARTS):
        series = [row[index] for row in rates]
        now = f"{sample['rates'][name]:,.1f}/s"
        chart, most = Text(sparkline(series), "cyan"), f"at most {max(series, default=0):,.0f}"
        table.add_row(name, Text(now, justify="right"), chart, most)
    stats = sample["stats"]
    reads = stats["hits"] + stats["misses"]
    share = f"{100 * stats['hits'] / reads:.1f} %" if reads else "-"
    held = f"{stats['size']:,} of {stats['capacity']:,} held; {share} of all reads were hits"
    return Panel(Group(table, Text(held)), title="this node's cache, the last minute", title_align="left")


def _happenings(sample: Sample) -> Text:
    lines = []
    for one in sample["happenings"][-MOST_HAPPENINGS:]:
        when = time.strftime("%H:%M:%S", time.localtime(one["time"]))
        lines.append(f"{when} {_plain(one['region'] or '-')} {_plain((one['node'] or '-')[:8])} {_plain(one['what'])}")
    return Text("\n".join(lines), "dim")


def sparkline(series: list[float]) -> str:
    """One character for each figure, as high as it is beside the highest."""
    highest = max(series, default=0.0)
    if highest <= 0:
        return BARS[1] * len(series)
    return "".join(BARS[max(1, round(rate / highest * (len(BARS) - 1)))] for rate in series)


def duration(seconds: float | None) -> str:
    """In a unit that fits."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"


def _plain(text: str) -> str:
    """Without what a terminal would obey. It is always put into a `Text`, which knows no markup."""
    return "".join(character if character.isprintable() else "?" for character in text)
