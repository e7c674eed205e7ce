"""Many nodes: what each write costs all of them together, and how soon all have it, as their number grows.

Several caches share a process, and a few processes share the machine. The same figures for each way in which they may
be linked. This file must not know how links carry, nor how addresses are chosen.
"""

import json
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks.tables import table
from harness.processes import resident_bytes
from harness.remote_objects import Held, RemoteError, RemoteObject
from lru_cache import LRUCacheDistributed, Removal, lru_cache_distributed
from lru_cache.network import choosing

HOST = "127.0.0.1"
PROCESSES = 4
LINK_SECONDS = 120.0
SETTLE_SECONDS = 0.5  # after the last lone write
STEADY_SECONDS = 6.0  # in which no link comes or goes, before anything is measured
CLUSTER = {"connection_timeout": 30_000}  # milliseconds: hundreds of threads in a process wait long for their turn
WATCHED = "watched"
WRITES_TO_SETTLE = 10  # of each node
PAUSE_SECONDS = 0.002  # and node, after each lone write
MOST_US = 20.0  # of processor time, for a write and node
MOST_RECEIVED = 1.3  # of each event, by a node
FULL, BY_HAND, BY_FUNCTION, TOLD = "full mesh", "by hand", "function", "may_dial"
WAYS = {
    FULL: "each pair of nodes has a link",
    BY_HAND: "each is given all addresses; of more than eight it dials a few",
    BY_FUNCTION: "each is given a function that returns all addresses",
    TOLD: "each is given one address, of the same node, and may_dial=True",
}
MOST_OF = {FULL: 16}  # beyond, the threads of all links are more than what is measured


class Part(Held):
    """Some of the nodes, in one process."""

    def __init__(self) -> None:
        self.caches: list[LRUCacheDistributed[str, int]] = []
        self.listed: list[Any] = []
        self._has: dict[int, list[float]] = {}  # when the caches here had each write of the watched key
        self._before = resident_bytes()

    def make(self, way: str, count: int, given: list[Any]) -> list[Any]:
        """Make so many nodes; where they listen. `given` is what they are told of the others beforehand."""
        for _ in range(count):
            remotes: Any = given or None
            if way == FULL:
                remotes = [*given, *self.addresses()] or None
            elif way == BY_FUNCTION:
                remotes = lambda: list(self.listed)  # noqa: E731
            self.caches.append(self._node(way, remotes))
        return self.addresses()

    def make_at(self, ports: list[int], given: list[Any]) -> None:
        """Make nodes at these ports, of which each is told all addresses."""
        for port in ports:
            others = [address for address in given if address[1] != port]
            self.caches.append(self._node(BY_HAND, others or None, port))

    def _node(self, way: str, remotes: Any, port: int = 0) -> "LRUCacheDistributed[str, int]":
        most = 1_000_000 if way == FULL else choosing.ALL_OF
        with patch.object(choosing, "ALL_OF", most), patch.object(lru_cache_distributed, "ALL_OF", most):
            return LRUCacheDistributed(
                local_address=(HOST, port),
                remote_address=remotes,
                may_dial=way == TOLD and remotes is not None,
                on_removal=self._removed,
                **CLUSTER,
            )

    def addresses(self) -> list[Any]:
        """Where its nodes listen."""
        return [cache.local_address for cache in self.caches]

    def told(self, addresses: list[Any]) -> None:
        """What the function returns from now on."""
        self.listed = addresses

    def _removed(self, removal: "Removal[str, int]") -> None:
        if removal.key == WATCHED:
            self._has.setdefault(removal.value + 1, []).append(time.monotonic())

    def reach(self, count: int) -> bool:
        """Wait until each of its nodes reaches so many others."""
        return all(cache.wait_connected(count, LINK_SECONDS, everywhere=True) for cache in self.caches)

    def links(self) -> list[int]:
        """Of each node."""
        return [cache.stats().links for cache in self.caches]

    def received(self) -> int:
        """Events so far, also those that were known."""
        found = [cache.stats() for cache in self.caches]
        return sum(stats.news_applied + stats.news_repeated for stats in found)

    def memory(self) -> int:
        """Bytes for all of its nodes."""
        return resident_bytes() - self._before

    def write(self, node: int, key: str, value: int) -> float:
        """One write; when it began."""
        began = time.monotonic()
        self.caches[node % len(self.caches)].set(key, value)
        return began

    def write_alone(self, prefix: str, count: int, pause: float, really: bool) -> None:
        """By each of its nodes in turn, with pauses; or only the pauses."""
        for number in range(count):
            if really:
                self.caches[number % len(self.caches)].set(f"{prefix} {number}", number)
            time.sleep(pause)

    def write_many(self, prefix: str, count: int) -> None:
        """As fast as it goes, by one of its nodes, and until all nodes have them."""
        for number in range(count):
            self.caches[0].set(f"{prefix} {number}", number)
        self.flush()

    def flush(self) -> bool:
        """Until all nodes have what that node wrote; a roll call of each would be more than what is measured."""
        return self.caches[0].flush(LINK_SECONDS, everywhere=True)

    def has_since(self, number: int) -> list[float]:
        """When its nodes had that write of the watched key."""
        return self._has.get(number, [])

    def close(self) -> None:
        """Let go, without waiting for others that go, too."""


def measure(nodes: int, way: str, writes: int, burst: int) -> dict[str, float]:
    """All figures for so many nodes that are linked in this way."""
    with ExitStack() as stack:
        parts = [stack.enter_context(RemoteObject(Part)) for _ in range(min(PROCESSES, nodes))]
        began = time.monotonic()
        link(parts, nodes, way)
        ask_all(parts, "reach", nodes - 1)
        figures = {"linked": time.monotonic() - began}
        links = wait_steady(parts)
        figures |= {"links": sum(links) / nodes, "most_links": float(max(links))}
        figures["memory"] = sum(ask_all(parts, "memory")) / nodes
        figures |= propagation(parts, nodes, writes)
        figures |= costs(parts, nodes, writes, burst)
        for part in parts:
            part.kill()  # closing links in turn would take longer than all of this
    return figures


def link(parts: Sequence[RemoteObject], nodes: int, way: str) -> None:
    """Make the nodes, about as many in each process."""
    counts = [nodes // len(parts) + (number < nodes % len(parts)) for number in range(len(parts))]
    if way == BY_HAND:
        ports = free_ports(nodes)
        given = [(HOST, port) for port in ports]
        for number, part in enumerate(parts):
            part.begin("make_at", ports[number :: len(parts)], given)
        for part in parts:
            part.answer()
        return
    found: list[Any] = []
    if way == TOLD:
        found = parts[0].ask("make", way, 1, [])
        counts[0] -= 1
    for part, count in zip(parts, counts, strict=True):
        made = part.ask("make", way, count, found if way == FULL else found[:1])
        found = [*found, *(each for each in made if each not in found)]
    if way == BY_FUNCTION:
        ask_all(parts, "told", found)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind((HOST, 0))
        return [sock.getsockname()[1] for sock in sockets]


def wait_steady(parts: Sequence[RemoteObject]) -> list[int]:
    """Wait until links come and go no more; how many each node has."""
    before: list[int] = []
    since = time.monotonic()
    while True:
        links = [count for each in ask_all(parts, "links") for count in each]
        if links != before:
            before, since = links, time.monotonic()
        elif time.monotonic() - since > STEADY_SECONDS:
            return links
        time.sleep(STEADY_SECONDS / 20)


def wait_quiet(parts: Sequence[RemoteObject]) -> None:
    """Wait until nothing is received any more: what is behind would be counted to what comes next."""
    deadline, before = time.monotonic() + LINK_SECONDS, -1
    while before != (before := sum(ask_all(parts, "received"))):
        if time.monotonic() > deadline:
            raise RemoteError("it does not come to rest")
        time.sleep(SETTLE_SECONDS)


def propagation(parts: Sequence[RemoteObject], nodes: int, writes: int) -> dict[str, float]:
    """Seconds until all nodes have a write that came by itself."""
    parts[0].ask("write", 0, WATCHED, 0)
    parts[0].ask("flush")
    found = []
    for number in range(1, writes + 1):
        time.sleep(PAUSE_SECONDS * nodes)
        began = parts[number % len(parts)].ask("write", number, WATCHED, number)
        deadline = time.monotonic() + LINK_SECONDS
        while len(has := [at for each in ask_all(parts, "has_since", number) for at in each]) < nodes:
            if time.monotonic() > deadline:
                raise RemoteError("a write did not arrive everywhere")
            time.sleep(PAUSE_SECONDS * nodes)
        found.append(max(has) - began)
    found.sort()
    return {"p50": median(found), "p99": found[min(len(found) - 1, int(len(found) * 0.99))]}


def costs(parts: Sequence[RemoteObject], nodes: int, writes: int, burst: int) -> dict[str, float]:
    """Processor seconds of a write in all, and how often each node received it."""
    share = max(1, writes // len(parts))
    writes = share * len(parts)

    def lone(really: bool) -> None:
        for number, part in enumerate(parts):
            part.ask("write_alone", f"lone {number}", share, PAUSE_SECONDS * nodes, really)
        time.sleep(SETTLE_SECONDS)

    for number, part in enumerate(parts):  # until trees have formed, for each of them
        part.ask("write_alone", f"first {number}", WRITES_TO_SETTLE * -(-nodes // len(parts)), PAUSE_SECONDS, True)
    wait_quiet(parts)
    began = time.monotonic()
    before, used = sum(ask_all(parts, "received")), processor_seconds(parts, lambda: lone(really=True))
    took = time.monotonic() - began
    received = (sum(ask_all(parts, "received")) - before) / writes / max(1, nodes - 1)
    idle = processor_seconds(parts, lambda: lone(really=False))
    each = max(1, burst // len(parts))
    fast = processor_seconds(parts, lambda: ask_all(parts, "write_many", f"burst {began}", each))
    return {
        "received": received,
        "lone": max(0.0, used - idle) / writes,
        "burst": fast / (each * len(parts)),
        "idle": idle / took / nodes,
    }


def processor_seconds(parts: Sequence[RemoteObject], act: Callable[[], object]) -> float:
    """What all processes use of the processor meanwhile."""
    before = sum(ask_all(parts, "processor_seconds"))
    act()
    return float(sum(ask_all(parts, "processor_seconds")) - before)


def ask_all(parts: Sequence[RemoteObject], method: str, *arguments: Any) -> list[Any]:
    """All at once."""
    for part in parts:
        part.begin(method, *arguments)
    return [part.answer(2 * LINK_SECONDS) for part in parts]


# -- what is said of it ------------------------------------------------------------------------------------------------

COLUMNS = (
    "nodes", "linked by", "links", "most", "received", "all have it, p50 / p99", "us lone, in all", "a node",
    "us burst, a node", "idle", "MB a node", "linked after",
)  # fmt: skip


def text(results: dict[int, dict[str, dict[str, float]]]) -> str:
    """A table, with what we hold ourselves to."""
    rows = [row(nodes, way, figures) for nodes, ways in results.items() for way, figures in ways.items()]
    load = " ".join(f"{each:.0f}" for each in os.getloadavg())
    return "\n".join(
        [
            f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} CPUs, load {load}",
            f"The nodes are in {PROCESSES} processes.",
            "",
            *table(COLUMNS, rows),
            *(f"  {way:<10} {what}" for way, what in WAYS.items()),
            "  links      of a node, in the mean; received: how often each node received each event",
            "  us         of processor time for one write, of all nodes together, and that by nodes",
            "  lone       a write after a pause, less what idle nodes take; burst: by one node in each process at once",
            "  idle       share of a core, a node",
            "",
            *(f"  {line}" for line in verdicts(results)),
        ]
    )


def row(nodes: int, way: str, figures: dict[str, float]) -> list[str]:
    lone, burst = figures["lone"] * 1e6, figures["burst"] * 1e6
    return [
        str(nodes),
        way,
        f"{figures['links']:.1f}",
        f"{figures['most_links']:.0f}",
        f"{figures['received']:.2f}",
        f"{figures['p50'] * 1e3:.1f} / {figures['p99'] * 1e3:.1f} ms",
        f"{lone:,.0f}",
        f"{lone / nodes:.0f}",
        f"{burst / nodes:.1f}",
        f"{figures['idle']:.2%}",
        f"{figures['memory'] / 1e6:.1f}",
        f"{figures['linked']:.1f} s",
    ]


def verdicts(results: dict[int, dict[str, dict[str, float]]]) -> list[str]:
    """Each way, at its worst."""
    found = []
    for way in dict.fromkeys(way for ways in results.values() for way in ways):
        figures = {nodes: ways[way] for nodes, ways in results.items() if way in ways}
        worst = max(each["burst"] / nodes for nodes, each in figures.items()) * 1e6
        received = max(each["received"] for each in figures.values())
        for claim, figure, limit in (
            (f"a write of a burst by nodes, {way}: at most {MOST_US:g} us", worst, MOST_US),
            (f"received by each node, {way}: at most {MOST_RECEIVED:g} times", received, MOST_RECEIVED),
        ):
            found.append(f"{'pass' if figure <= limit else 'MISS'}  {claim}: {figure:.2f} at most")
    return found


def plot(results: dict[int, dict[str, dict[str, float]]], path: Path) -> None:
    """Draw the figures by the number of nodes."""
    import matplotlib as mpl

    mpl.use("Agg")  # before pyplot, which would look for a screen
    from matplotlib import pyplot as plt

    panels: list[tuple[str, Callable[[int, dict[str, float]], float]]] = [
        ("us a node, for a write of a burst", lambda nodes, figures: figures["burst"] * 1e6 / nodes),
        ("received, times", lambda _, figures: figures["received"]),
        ("links of a node", lambda _, figures: figures["links"]),
        ("all have it, p50, ms", lambda _, figures: figures["p50"] * 1e3),
    ]
    figure, axes = plt.subplots(2, 2, sharex=True, figsize=(9, 6), layout="constrained")
    for axis, (title, of) in zip(axes.flat, panels, strict=True):
        for way in WAYS:
            points = [(nodes, of(nodes, ways[way])) for nodes, ways in results.items() if way in ways]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1, label=way)
        axis.set_title(title, fontsize="small")
        axis.set_xscale("log", base=2)
        axis.set_xticks(list(results), [str(nodes) for nodes in results])
        axis.set_ylim(bottom=0)
    axes[0][0].axhline(MOST_US, color="0.6", linewidth=0.8, linestyle="dashed")
    axes[0][1].axhline(MOST_RECEIVED, color="0.6", linewidth=0.8, linestyle="dashed")
    axes[0][0].legend(fontsize="x-small")
    for axis in axes[1]:
        axis.set_xlabel("nodes")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def run(counts: Sequence[int], quick: bool, as_json: bool, path: Path | None) -> int:
    """Measure and print."""
    writes, burst = (5, 40) if quick else (50, 2_000)
    results: dict[int, dict[str, dict[str, float]]] = {}
    for nodes in counts:
        for way in WAYS:
            if nodes > MOST_OF.get(way, nodes) or (way == TOLD and nodes < 2):
                continue
            try:
                results.setdefault(nodes, {})[way] = measure(nodes, way, writes, burst)
            except RemoteError as error:
                print(f"benchmarks: {nodes} nodes, {way}: {error}", file=sys.stderr)
                continue
            print(*row(nodes, way, results[nodes][way]), sep="  ", file=sys.stderr, flush=True)
    print(json.dumps(results, indent=2) if as_json else text(results))
    if path is not None:
        plot(results, path)
    return 0
