"""The page, for a terminal. It must not know how a node is asked."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lru_cache.server.client import Client
from lru_cache.server.errors import CommandError
from lru_cache.server.live import HISTORY_SAMPLES, RATES

CHARTS = {
    "hits": "hits",
    "misses": "misses",
    "sets": "sets by HTTP",
    "invalidations": "invalidations",
    "news_in": "news in",
    "news_out": "news out",
    "bytes_in": "bytes in",
    "bytes_out": "bytes out",
    "loads": "loads",
    "evictions": "evictions",
}
"""What is drawn, and how it is called."""
COLOURS = {"connected": "green", "greeting": "yellow", "connecting": "yellow"}
BARS = " ▁▂▃▄▅▆▇█"
BEHIND_SECONDS = 10.0  # nodes that have nothing to say tell each other that about once a second
MOST_HAPPENINGS = 5
MOST_BEHIND_SHOWN = 8
RETRY_SECONDS = 1.0
ADDRESS_FROM_COLUMNS = 100  # on a narrower terminal the address of a link has no room
FOUND_FROM_COLUMNS = 150  # and on one that is narrower than this, what it is and how it was found
FRAME_COLUMNS = 4  # of a panel

Sample = dict[str, Any]


def run(client: Client, once: bool, console: Console | None = None) -> int:
    """Show what there is until Ctrl-C, or once. A node that was there and is not is asked again."""
    console = Console() if console is None else console
    if once:
        for sample in client.watch():
            console.print(screen(client.url, sample, _rates(sample, deque()), None))
            break
        return 0
    rates: deque[list[float]] = deque(maxlen=HISTORY_SAMPLES)
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
        rates.extend(row[1:] for row in sample["history"])
    else:
        rates.append([sample["rates"].get(name, 0.0) for name in RATES])
    return rates


def screen(url: str, sample: Sample, rates: Iterable[list[float]], failure: str | None) -> "Screen":
    """All of it. What comes from the network is printed as it is, never as markup or as the terminal's commands."""
    return Screen(url, sample, list(rates), failure)


class Screen:
    """What there is to show, laid out for a terminal once it is known how wide that is."""

    def __init__(self, url: str, sample: Sample, rates: list[list[float]], failure: str | None) -> None:
        self._url = url
        self._sample = sample
        self._rates = rates
        self._failure = failure

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """As Rich asks for it."""
        sample, columns = self._sample, options.max_width
        yield self._head()
        yield _peers(sample, columns)
        yield _charts(sample, self._rates, columns)
        yield _happenings(sample)

    def _head(self) -> Text:
        sample = self._sample
        state = Text(self._failure, "bold red") if self._failure else Text("live", "green")
        return Text.assemble(
            state,
            "  ",
            (_plain(sample["region"] or "cache node"), "bold"),
            "  read-only" if sample["read_only"] else "",
            f"  up {duration(sample['uptime'])}  node {_plain(sample['node'])}  {_plain(self._url)}",
            f"  listens at {_plain(sample['listens'])}" if sample.get("listens") else "",
            no_wrap=True,
            overflow="ellipsis",
        )


def _peers(sample: Sample, columns: int) -> Panel:
    table = Table(box=None, expand=True, pad_edge=False)
    has_addresses, has_roles = columns >= ADDRESS_FROM_COLUMNS, columns >= FOUND_FROM_COLUMNS
    table.add_column("region", overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column("node", no_wrap=True, min_width=8)
    if has_addresses:
        table.add_column("address", overflow="ellipsis", no_wrap=True, ratio=1)
    if has_roles:
        table.add_column("role", no_wrap=True, min_width=6)
        table.add_column("found", overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column("link", no_wrap=True, min_width=11)
    for heading, least in (("round trip", 10), ("news", 11), ("queued", 6), ("since", 9)):
        table.add_column(heading, justify="right", no_wrap=True, min_width=least)
    for peer in sample["peers"]:
        table.add_row(
            Text(_plain(peer["region"] or "-")),
            Text("log" if peer.get("role") == "engine" else _plain((peer["node"] or "-")[:8])),
            *([Text(_plain(peer["address"]))] if has_addresses else []),
            *([Text(_plain(peer.get(name) or "-")) for name in ("role", "found")] if has_roles else []),
            Text(_plain(peer["state"]), COLOURS.get(peer["state"], "red")),
            duration(peer["rtt"]),
            _standing(peer["lag"]),
            count(peer["queued"]),
            duration(max(0.0, sample["time"] - peer["since"])),
        )
    content = table if sample["peers"] else Text("no other node is linked with it, and it looks for none")
    title = "network, as this node sees it"
    return Panel(Group(content, *_behind(sample), _confirmed(sample)), title=title, title_align="left")


def _standing(lag: float | None) -> Text:
    """How far behind it is, where that says anything: a node with nothing to say tells that only now and then."""
    if lag is None:
        return Text("-")
    return Text("in step", "green") if lag < BEHIND_SECONDS else Text(f"{duration(lag)} old", "red")


def _behind(sample: Sample) -> list[Text]:
    """The nodes behind the neighbours, in a line."""
    others = sample.get("beyond", [])
    if not others:
        return []
    line = Text("behind them: ", no_wrap=True, overflow="ellipsis")
    for other in others[:MOST_BEHIND_SHOWN]:
        silent = other["lag"] >= BEHIND_SECONDS
        hops = other.get("hops")
        far = f" ({hops} hops)" if hops else ""
        line.append(f"{_plain(other['node'][:8])}{far} ", "red" if silent else "green")
    more = len(others) - MOST_BEHIND_SHOWN
    line.append(f"and {more} more" if more > 0 else "")
    return [line]


def _confirmed(sample: Sample) -> Text:
    said = sample.get("confirmed", {"count": 0})
    if not said["count"]:
        return Text("writes by HTTP: none was measured in the last minutes", "dim")
    return Text(
        f"a write is with all neighbours after {duration(said['p50'])} (p50), {duration(said['p99'])} (p99)",
        no_wrap=True,
        overflow="ellipsis",
    )


def _charts(sample: Sample, rates: list[list[float]], columns: int) -> Panel:
    names, figures, peaks = 13, 12, 14
    room = max(1, columns - FRAME_COLUMNS - names - figures - peaks - 3)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, width=names)
    table.add_column(no_wrap=True, width=figures, justify="right")
    table.add_column(no_wrap=True, width=room)
    table.add_column(no_wrap=True, width=peaks)
    for name, title in CHARTS.items():
        shown = data if name.startswith("bytes") else count
        # The newest are what counts; and an older node's history has fewer figures.
        series = [row[RATES.index(name)] for row in rates[-room:] if RATES.index(name) < len(row)]
        now, peak = shown(sample["rates"].get(name, 0.0)), shown(max(series, default=0))
        table.add_row(title, f"{now}/s", Text(sparkline(series), "cyan"), f"peak {peak}")
    stats = sample["stats"]
    reads = stats["hits"] + stats["misses"]
    share = f"{100 * stats['hits'] / reads:.1f} %" if reads else "-"
    held = f"{stats['size']:,} of {stats['capacity']:,} held; {share} of all reads were hits"
    title = f"this node's cache, the last {min(room, len(rates))} s"
    return Panel(Group(table, Text(held)), title=title, title_align="left")


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


def count(figure: float) -> str:
    """In as many digits as say something, and in no more than nine characters."""
    if figure >= 1e7:
        return f"{figure / 1e6:,.0f} M"
    return f"{figure:,.0f}" if figure >= 1_000 or figure == int(figure) else f"{figure:.1f}"


def data(figure: float) -> str:
    """Bytes, in a unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if figure < 1_000 or unit == "GB":
            break
        figure /= 1_000
    return f"{figure:.0f} {unit}" if figure >= 100 or unit == "B" else f"{figure:.1f} {unit}"


def duration(seconds: float | None) -> str:
    """In a unit that fits."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3_600:
        return f"{seconds // 60:.0f} min"
    if seconds < 86_400:
        return f"{seconds // 3_600:.0f} h {seconds % 3_600 // 60:.0f} min"
    return f"{seconds // 86_400:.0f} d {seconds % 86_400 // 3_600:.0f} h"


def _plain(text: str) -> str:
    """Without what a terminal would obey. It is always put into a `Text`, which knows no markup."""
    return "".join(character if character.isprintable() else "?" for character in text)
