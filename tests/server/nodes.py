"""Nodes for tests: in a thread of this process, or as a process of their own; and asking them as a stranger would."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from lru_cache import LRUCacheDistributed
from lru_cache.server.app import Settings, make_app
from lru_cache.server.node import bind, uvicorn_config
from tests.concurrency import PATIENCE, eventually

PROCESS_PATIENCE = 60.0  # a process may take long to begin, where much else is running


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        message: str = self.json["message"]
        return message


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """One request on a connection of its own. A body that is no bytes is sent as JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        named.setdefault("content-type", "application/json")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


class ThreadNode:
    """A node whose server runs in a thread, so that a test can look at its cache."""

    def __init__(self, settings: Settings | None = None, **cache: Any) -> None:
        self.cache: LRUCacheDistributed[str, Any] = LRUCacheDistributed(**cache)
        self.app = make_app(self.cache, settings)
        self._listening = bind("127.0.0.1", 0)
        self.port = self._listening.getsockname()[1]
        self._server = uvicorn.Server(uvicorn_config(self.app))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True)
        self._thread.start()
        eventually(lambda: self._server.started)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return ask(self.port, method, path, body, **headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def close(self) -> None:
        self.app.state.live.stop()
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the server hangs"
        self.cache.close()


class ProcessNode:
    """A node as users run it."""

    def __init__(self, directory: Path, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lru_cache", "serve", *map(str, arguments)],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LRU_CACHE_SECRET": ""},
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        if not self.first_line:
            raise AssertionError(f"the node did not start: {self.end()}")
        self.url = self.first_line.split()[1].rstrip(",")
        self.port = int(self.url.rpartition(":")[2])

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return ask(self.port, method, path, body, **headers)

    def end(self, signal_number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit status, and what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        _, errors = self.process.communicate(timeout=PROCESS_PATIENCE)
        return self.process.returncode, errors


@contextlib.contextmanager
def processes() -> Iterator[Any]:
    """Starts nodes, and sees to it that none outlives the test."""
    started: list[ProcessNode] = []

    def start(directory: Path, *arguments: object) -> ProcessNode:
        started.append(ProcessNode(directory, *arguments))
        return started[-1]

    try:
        yield start
    finally:
        for node in started:
            if node.process.poll() is None:
                node.process.kill()
            node.process.communicate()
