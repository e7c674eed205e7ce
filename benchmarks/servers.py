"""Servers that contenders need, each a process on a free port of this machine for as long as it is measured.

They are found where their packages install them; what is not installed is not measured. Nothing is kept on disk.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager
from types import TracebackType

from harness.ports import free_port
from harness.processes import processor_seconds

HOST = "127.0.0.1"
START_SECONDS = 15.0
PLACES = "/usr/sbin:/usr/local/sbin"  # where Debian puts servers, and where a user's PATH does not look


def find_program(name: str) -> str | None:
    """Where a server's program is, if it is anywhere."""
    return shutil.which(name) or shutil.which(name, path=PLACES)


def version_of(name: str) -> tuple[int, int]:
    """What a server's program says that it is; nothing if it says no version."""
    program = find_program(name)
    if program is None:
        return 0, 0
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=START_SECONDS, check=False)
    found = re.search(r"(\d+)\.(\d+)", said.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


class Server(AbstractContextManager["Server"]):
    """A program that listens; started on entering, ended on leaving."""

    def __init__(self, program: str, *options: str) -> None:
        """`{port}` and `{directory}` in an option are filled in."""
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="lru_cache-benchmark-")
        filled = [option.format(port=self.port, directory=self._directory.name) for option in options]
        self._command = [find_program(program) or program, *filled]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        """Start it, and wait until it takes connections."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return self
            time.sleep(0.02)
        self.__exit__(None, None, None)
        raise RuntimeError(f"{self._command[0]} did not start")

    def _answers(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True

    def processor_seconds(self) -> float:
        """What it has used of the processor so far; NaN where the system does not tell."""
        assert self._process is not None
        return processor_seconds(self._process.pid)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._directory.cleanup()


def redis() -> Server:
    """Redis that keeps nothing, and never drops a subscriber for being slow."""
    return Server(
        "redis-server", "--port", "{port}", "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", "{directory}",
        "--client-output-buffer-limit", "pubsub 0 0 0",
    )  # fmt: skip


def nats() -> Server:
    """NATS as it comes: at most once, nothing kept."""
    return Server("nats-server", "-a", HOST, "-p", "{port}")


def jetstream() -> Server:
    """NATS that keeps streams, in the directory that goes with it."""
    return Server("nats-server", "-a", HOST, "-p", "{port}", "-js", "-sd", "{directory}")


def memcached() -> Server:
    """Memcached as it comes; as root it asks for another user's name."""
    user = ("-u", "root") if os.getuid() == 0 else ()
    return Server("memcached", "-l", HOST, "-p", "{port}", *user)
