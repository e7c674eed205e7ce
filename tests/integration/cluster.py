"""Nodes as real processes, and the shapes in which they are linked, each link through a proxy of its own.

It must not know what is tested.
"""

import json
import os
import selectors
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.ports import ReservedPort
from harness.processes import processor_seconds, resident_bytes
from tests.integration.addresses import Address
from tests.integration.node_process import ABSENT
from tests.integration.nursery import Child
from tests.integration.proxy import Proxy

PATIENCE = 30.0  # seconds after which something that should have happened has not; never reached when all is well
CONNECTION_TIMEOUT_MS = 1500

# Who dials whom, among five.
SHAPES: dict[str, list[tuple[int, int]]] = {
    "star": [(1, 0), (2, 0), (3, 0), (4, 0)],
    "chain": [(1, 0), (2, 1), (3, 2), (4, 3)],
    "ring": [(1, 0), (2, 1), (3, 2), (4, 3), (0, 4)],
    "mesh": [(client, server) for client in range(5) for server in range(client)],
    "tree": [(1, 0), (2, 0), (3, 1), (4, 1)],
}


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE, pause: float = 0.02) -> float:
    """Wait for something to come true, and return how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"not within {seconds} s: {what}"
        time.sleep(pause)
    return time.monotonic() - began


class NodeError(Exception):
    """What was asked of a node raised there."""


class Node:
    """A process with a cache. It may be killed, stopped, and started again with the same options.

    `prefix` is a command that runs it elsewhere, as in another network namespace.
    """

    def __init__(self, name: str, directory: Path, *, prefix: tuple[str, ...] = (), **options: Any) -> None:
        self.name = name
        self.options = {"connection_timeout": CONNECTION_TIMEOUT_MS, **options}
        self._directory = directory
        self._prefix = prefix
        self._process: Child | None = None
        self._said = b""
        self._environment: dict[str, str] = {}
        self._stopped = False

    def start(self, **environment: str) -> "Node":
        assert self._process is None, f"{self.name} runs already"
        self._environment = environment or self._environment
        told = {"name": self.name, "directory": str(self._directory), **self.options}
        self._process = Child({"options": told, "environment": self._environment}, self.log_path, self._prefix)
        self._said = b""
        return self

    def wait_started(self) -> "Node":
        """Wait until the cache is there. Raises what its construction raised."""
        self._hear(PATIENCE)
        return self

    # -- what it can be asked ------------------------------------------------------------------------------------------

    def __getattr__(self, act: str) -> Callable[..., Any]:
        """Every act of `node_process` and every method of the cache is a method here."""
        if act.startswith("_"):
            raise AttributeError(act)
        return lambda *arguments, **options: self.ask(act, *arguments, **options)

    def ask(self, act: str, *arguments: Any, **options: Any) -> Any:
        self.begin(act, *arguments, **options)
        return self.answer()

    def begin(self, act: str, *arguments: Any, **options: Any) -> None:
        """Ask without waiting; `answer` waits."""
        assert self._process is not None, f"{self.name} does not run"
        order = {"act": act, "arguments": arguments, "options": options}
        self._process.write(json.dumps(order).encode() + b"\n")

    def answer(self, patience: float = PATIENCE) -> Any:
        return self._hear(patience)

    def _hear(self, patience: float) -> Any:
        assert self._process is not None
        deadline = time.monotonic() + patience
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._said:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"{self.name} does not answer; its log ends with:\n{self.log[-3000:]}")
                chunk = os.read(self._process.stdout, 1 << 20)
                assert chunk, f"{self.name} has ended; its log ends with:\n{self.log[-3000:]}"
                self._said += chunk
        line, _, self._said = self._said.partition(b"\n")
        said = json.loads(line)
        if "error" in said:
            raise NodeError(said["error"])
        return said["result"]

    def connected(self) -> list[dict[str, Any]]:
        """The peers that it is connected to now."""
        return [peer for peer in self.peers() if peer["state"] == "connected"]

    def has(self, key: Any, value: Any) -> bool:
        return bool(self.peek(key) == value)

    def lacks(self, key: Any) -> bool:
        return bool(self.peek(key) == ABSENT)

    # -- what the machine knows of it --------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log_path(self) -> Path:
        return self._directory / f"{self.name}.log"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def memory_bytes(self) -> int:
        """What it has of the machine's memory now."""
        return resident_bytes(self.pid)

    def cpu_seconds(self) -> float:
        return processor_seconds(self.pid)

    # -- what can happen to it ---------------------------------------------------------------------------------------

    @property
    def runs(self) -> bool:
        return self._process is not None

    def _signal(self, what: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} does not run"
        self._process.signal(what)

    def stop(self) -> None:
        """SIGSTOP: it is there, and does nothing."""
        self._signal(signal.SIGSTOP)
        self._stopped = True

    def resume(self) -> None:
        if self._stopped and self._process is not None:
            self._signal(signal.SIGCONT)
        self._stopped = False

    def kill(self) -> None:
        """SIGKILL: it has no time for a last word."""
        self._end(signal.SIGKILL)

    def end(self) -> None:
        """Let it end as a program does that has come to its end."""
        self.resume()
        self._end(None)

    def _end(self, how: signal.Signals | None) -> None:
        process, self._process = self._process, None
        self._stopped = False
        if process is None:
            return
        if how is not None:
            process.signal(how)
        process.end_stdin()
        ended = process.wait(PATIENCE)
        if not ended:
            process.signal(signal.SIGKILL)
            process.wait(PATIENCE)
        process.close()
        assert ended, f"{self.name} does not end; its log ends with:\n{self.log[-3000:]}"


class Cluster:
    """Nodes, and a proxy for each link: `proxies[client, server]`. A context manager that leaves nothing behind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.nodes: list[Node] = []
        self.proxies: dict[tuple[int, int], Proxy] = {}
        self._ports: list[ReservedPort] = []
        self._sockets = tempfile.TemporaryDirectory(prefix="lru")  # a Unix socket's path must be short

    def reserve(self, family: str = "ipv4") -> Address:
        """An address for a server, that stays its own over restarts."""
        if family == "unix":
            return f"{self._sockets.name}/node{len(self.nodes)}"
        self._ports.append(ReservedPort("::1" if family == "ipv6" else "127.0.0.1"))
        return self._ports[-1].address

    def add(self, **options: Any) -> Node:
        """A node more, not started."""
        self.nodes.append(Node(f"node{len(self.nodes)}", self.directory, **options))
        return self.nodes[-1]

    def proxy(self, client: int, server: int, **options: Any) -> Proxy:
        """A proxy for the link from one node to another; it is closed with the cluster."""
        made = Proxy(self.nodes[server].options["local_address"], **options)
        self.proxies[client, server] = made
        return made

    def build(
        self, links: list[tuple[int, int]], *, family: str = "ipv4", buffer_bytes: int | None = None, **options: Any
    ) -> "Cluster":
        """Nodes that are linked like this, all started and connected."""
        count = 1 + max(max(link) for link in links)
        servers = {server for _, server in links}
        for i in range(count):
            local = self.reserve(family) if i in servers else None
            self.add(local_address=local, nodes=count, **options)
        for i, node in enumerate(self.nodes):
            remotes = [
                self.proxy(client, server, buffer_bytes=buffer_bytes).address for client, server in links if client == i
            ]
            node.options["remote_address"] = remotes or None
        self.start()
        self.wait_linked(links)
        return self

    def start(self) -> None:
        """Start those that do not run, at the same time, and wait for all."""
        started = [node.start() for node in self.nodes if not node.runs]
        for node in started:
            node.wait_started()

    def wait_linked(self, links: list[tuple[int, int]], seconds: float = PATIENCE) -> float:
        """Wait until every node is connected to all its neighbours."""
        degree = [sum(i in link for link in links) for i in range(len(self.nodes))]
        return until(
            lambda: all(len(node.connected()) == degree[i] for i, node in enumerate(self.nodes)),
            f"all linked as {links}",
            seconds,
        )

    def heal(self) -> None:
        """Whatever was done to nodes and links is over; nodes that do not run are started."""
        for proxy in self.proxies.values():
            proxy.heal()
        for node in self.nodes:
            node.resume()
        self.start()

    def wait_all_have(self, key: Any, value: Any, seconds: float = PATIENCE) -> float:
        return until(lambda: all(node.has(key, value) for node in self.nodes), f"all have {key!r}: {value!r}", seconds)

    def wait_all_lack(self, key: Any, seconds: float = PATIENCE) -> float:
        return until(lambda: all(node.lacks(key) for node in self.nodes), f"nobody has {key!r}", seconds)

    def close(self) -> None:
        try:
            for node in self.nodes:
                node.kill()
        finally:
            for proxy in self.proxies.values():
                proxy.close()
            for port in self._ports:
                port.close()
            self._sockets.cleanup()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
