"""A hub: what one node with many links pays for each write and link, and for doing nothing.

The hub and its clients are two processes. Figures are processor time of the hub's, beside that of bare sends of as many
bytes on as many sockets, in the same run and process. This file must not know how links carry.
"""

import json
import socket
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.options import Options, at_least
from benchmarks.tables import table
from harness.remote_objects import Held, RemoteError, RemoteObject
from lru_cache import LRUCacheDistributed

HOST = "127.0.0.1"
CONNECT_SECONDS = 60.0
SETTLE_SECONDS = 3.0
PAUSE_SECONDS = 0.01  # between writes that are to be sent alone
MOST_SENDS = 2.0  # for a write and link, in bare sends
MOST_IDLE_SHARE = 0.01  # of a core


class Clients(Held):
    """As many caches, each linked with the hub, and as many bare sockets that are read and forgotten."""

    def link(self, address: Any, count: int) -> None:
        """Link so many caches with the hub."""
        self.caches = [LRUCacheDistributed[str, str](remote_address=address) for _ in range(count)]
        for cache in self.caches:
            if not cache.wait_connected(timeout=CONNECT_SECONDS):
                raise TimeoutError("not linked")

    def fill(self, entries: int) -> None:
        """Write so many in one cache, and wait until all have them."""
        self.caches[0].set_many([(f"key {number}", "x" * 20) for number in range(entries)])
        self.caches[0].flush(CONNECT_SECONDS, everywhere=True)

    def listen(self) -> Any:
        """Where bare sockets may connect."""
        self.listener = socket.create_server((HOST, 0), backlog=512)
        threading.Thread(target=self._accept, daemon=True).start()
        return self.listener.getsockname()

    def _accept(self) -> None:
        while True:
            threading.Thread(target=self._read, args=(self.listener.accept()[0],), daemon=True).start()

    def _read(self, sock: socket.socket) -> None:
        """A thread for each, as links have: what a send costs depends on whom it wakes."""
        while sock.recv(65_536):
            pass

    def close(self) -> None:
        """Let go."""
        for cache in self.caches:
            cache.close()


class Hub(Held):
    """The node in the middle."""

    def listen(self) -> Any:
        """Where clients may link."""
        self.cache: LRUCacheDistributed[str, str] = LRUCacheDistributed(local_address=(HOST, 0))
        return self.cache.local_address

    def connect(self, address: Any, count: int) -> None:
        """Wait for the clients, and connect as many bare sockets."""
        if not self.cache.wait_connected(count, timeout=CONNECT_SECONDS):
            raise TimeoutError("not linked")
        self.sockets = [socket.create_connection(address) for _ in range(count)]
        for sock in self.sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def lone(self, writes: int) -> dict[str, float]:
        """Processor seconds of a write and link, and of a bare send of as many bytes, each write alone."""
        links = len(self.sockets)
        self.cache.flush(timeout=CONNECT_SECONDS)
        before, began, used = self.cache.stats().bytes_sent, time.process_time(), 0.0
        for number in range(writes):
            mark = time.thread_time()
            self.cache.set(f"key {number % 100}", "x" * 20)
            used += time.thread_time() - mark
            time.sleep(PAUSE_SECONDS)
        self.cache.flush(timeout=CONNECT_SECONDS)
        whole = time.process_time() - began
        size = max(1, (self.cache.stats().bytes_sent - before) // (writes * links))
        return {"writer": used / writes / links, "process": whole / writes / links, "send": self._sends(writes, size)}

    def _sends(self, rounds: int, size: int) -> float:
        frame, used = bytes(size), 0.0
        for _ in range(rounds):
            mark = time.thread_time()
            for sock in self.sockets:
                sock.send(frame)
            used += time.thread_time() - mark
            time.sleep(PAUSE_SECONDS)
        return used / rounds / len(self.sockets)

    def burst(self, writes: int) -> float:
        """Processor seconds of a write and link, of writes that follow each other at once."""
        began = time.process_time()
        for number in range(writes):
            self.cache.set(f"key {number % 1000}", "x" * 20)
        self.cache.flush(timeout=CONNECT_SECONDS)
        return (time.process_time() - began) / writes / len(self.sockets)

    def close(self) -> None:
        """Let go."""
        self.cache.close()


class RestartedHub(Held):
    """The node in the middle, that has just been started again: while all its clients come back, it is read."""

    def __init__(self, address: Any) -> None:
        self.cache: LRUCacheDistributed[str, str] = LRUCacheDistributed(local_address=tuple(address))
        self.began = time.monotonic()
        self.cache.set("read", "x")
        self._gets: list[float] = []
        self._stopped = False
        self._thread = threading.Thread(target=self._get, daemon=True)
        self._thread.start()

    def _get(self) -> None:
        """With pauses, as a service's thread, so that it does not itself keep the others from running."""
        while not self._stopped:
            began = time.perf_counter()
            self.cache.get("read")
            self._gets.append(time.perf_counter() - began)
            time.sleep(0.0005)

    def all_linked(self, count: int) -> float:
        """Seconds until so many links are there."""
        if not self.cache.wait_connected(count, timeout=CONNECT_SECONDS):
            raise TimeoutError("not linked")
        return time.monotonic() - self.began

    def gets(self) -> dict[str, float]:
        """The longest, and half and all but one of a thousand of them, in seconds."""
        self._stopped = True
        self._thread.join()
        self._gets.sort()
        count = len(self._gets)
        return {"p50": self._gets[count // 2], "p999": self._gets[count * 999 // 1000], "longest": self._gets[-1]}

    def close(self) -> None:
        """Let go."""
        self.cache.close()


def restart(links: int, entries: int) -> dict[str, Any]:
    """A hub is killed and started again at its address: until all clients are back, and how long its gets took."""
    with RemoteObject(Clients) as clients:
        first = RemoteObject(Hub)
        address = first.ask("listen")
        clients.ask("link", address, links)
        clients.ask("fill", entries)
        first.kill()
        with RemoteObject(RestartedHub, address) as hub:
            linked = hub.ask("all_linked", links)
            time.sleep(SETTLE_SECONDS)  # all that the clients have is told in this time, too
            gets = hub.ask("gets")
            clients.kill()
    return {"links": links, "entries": entries, "linked": linked, **gets}


def said_of_restart(figures: dict[str, Any]) -> str:
    """A line of it."""
    return (
        f"Killed and started again, with {figures['links']} clients that hold {figures['entries']:,} entries: all are "
        f"linked after {figures['linked']:.2f} s; a get on the hub meanwhile took {figures['p50'] * 1e6:.0f} us (p50), "
        f"{figures['p999'] * 1e3:.1f} ms (p99.9), {figures['longest'] * 1e3:.1f} ms at most"
    )


def measure(links: int, writes: int, rounds: int, idle_seconds: float) -> dict[str, Any]:
    """Rounds over all of it: medians of seconds, and the share of a core when idle."""
    found: dict[str, list[float]] = {}
    with RemoteObject(Hub) as hub, RemoteObject(Clients) as clients:
        clients.ask("link", hub.ask("listen"), links)
        hub.ask("connect", clients.ask("listen"), links)
        time.sleep(SETTLE_SECONDS)
        before = hub.ask("processor_seconds")
        time.sleep(idle_seconds)
        idle = (hub.ask("processor_seconds") - before) / idle_seconds
        for _ in range(rounds):
            for name, seconds in hub.ask("lone", writes).items():
                found.setdefault(name, []).append(seconds)
            found.setdefault("burst", []).append(hub.ask("burst", writes * 10))
    return {"links": links, "idle": idle, **{name: statistics.median(each) for name, each in found.items()}}


def text(figures: dict[str, Any]) -> str:
    """A table, with what we hold ourselves to."""
    send = figures["send"]
    rows = [("a bare send", f"{send * 1e6:.1f} us", "1.00 x", "")]
    for name, what, limit in (
        ("writer", "a lone write, its own thread", MOST_SENDS),
        ("process", "a lone write, with all answers", None),
        ("burst", "a write of a burst, with all answers", MOST_SENDS),
    ):
        seconds = figures[name]
        verdict = "" if limit is None else ("ok" if seconds <= limit * send else "missed") + f" (at most {limit:g} x)"
        rows.append((what, f"{seconds * 1e6:.1f} us", f"{seconds / send:.2f} x", verdict))
    idle = figures["idle"]
    verdict = ("ok" if idle <= MOST_IDLE_SHARE else "missed") + f" (at most {MOST_IDLE_SHARE:.0%} of a core)"
    rows.append(("idle", f"{idle:.2%}", "", verdict))
    title = f"A hub with {figures['links']} links: processor time, per write and link"
    return "\n".join([title, "", *table(("what", "time", "beside a send", ""), rows)])


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = Options("hub", "One node with many links.")
    options.add_argument("--links", type=at_least(1), default=100, help="links of the hub (100)")
    given = options.parse_args(arguments)
    links, writes, rounds, idle = (min(given.links, 5), 20, 1, 0.5) if given.quick else (given.links, 100, 3, 10.0)
    try:
        figures = measure(links, writes, rounds, idle)
        restarted = restart(links, 100 if given.quick else 10_000)
    except RemoteError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps({**figures, "restart": restarted}, indent=2))
    else:
        print(text(figures), said_of_restart(restarted), sep="\n\n")
    return 0
