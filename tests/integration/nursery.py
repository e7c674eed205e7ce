"""Processes for nodes, which take no time to start: one has imported all that a node needs, and forks them.

It must not know what nodes do. An order is JSON on a Unix socket, with the descriptors that the node is to have as
stdin, stdout and stderr; the answer is the node's process id. The nursery ends when the other end of its socket closes.
"""

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent.parent
LARGEST_ORDER_BYTES = 65_536


class Child:
    """A process, and our ends of its stdin and stdout. Its stderr goes to a file."""

    def __init__(self, order: dict[str, Any], log: Path, prefix: tuple[str, ...] = ()) -> None:
        theirs, self.stdin = os.pipe()
        self.stdout, answers = os.pipe()
        self._started: subprocess.Popen[bytes] | None = None
        with log.open("ab") as errors:
            descriptors = [theirs, answers, errors.fileno()]
            if prefix:  # elsewhere, where a fork of the nursery would not be
                self._started = _spawn(order, descriptors, prefix)
                self.pid = self._started.pid
            else:
                self.pid = nursery().fork(order, descriptors)
        os.close(theirs)
        os.close(answers)
        self._handle = os.pidfd_open(self.pid)

    def signal(self, what: signal.Signals) -> None:
        signal.pidfd_send_signal(self._handle, what)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.stdin, data) :]

    def end_stdin(self) -> None:
        os.close(self.stdin)

    def close(self) -> None:
        """Give back what belongs to a process that has ended."""
        for each in (self.stdout, self._handle):
            os.close(each)
        if self._started is not None:
            self._started.wait()


def _spawn(order: dict[str, Any], descriptors: list[int], prefix: tuple[str, ...]) -> subprocess.Popen[bytes]:
    stdin, stdout, stderr = descriptors
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.integration.node_process", json.dumps(order["options"])],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=ROOT,
        env={**os.environ, **order["environment"]},
    )


class Nursery:
    """Our end of the nursery. One for all tests."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "tests.integration.nursery"]
            self._process = subprocess.Popen(command, stdin=theirs, cwd=ROOT)
        atexit.register(self.close)

    def fork(self, order: dict[str, Any], descriptors: list[int]) -> int:
        """A new node's process id."""
        socket.send_fds(self._socket, [json.dumps(order).encode()], descriptors)
        return int(self._socket.recv(100))

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


@functools.cache
def nursery() -> Nursery:
    return Nursery()


# -- the process itself ----------------------------------------------------------------------------------------------


def serve(orders: socket.socket) -> None:
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, LARGEST_ORDER_BYTES, 3)
        if not order:
            return
        reap()
        child = os.fork()
        if child == 0:
            orders.close()
            become_node(json.loads(order), descriptors)
        for each in descriptors:
            os.close(each)
        orders.sendall(str(child).encode())


def reap() -> None:
    """Bury those that have ended. Not earlier, so that who asked for one can still find it."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def become_node(order: dict[str, Any], descriptors: list[int]) -> NoReturn:
    from tests.integration import node_process

    for number, each in enumerate(descriptors):
        os.dup2(each, number)
        os.close(each)
    os.environ.update(order["environment"])
    node_process.main(order["options"])
    sys.exit()


if __name__ == "__main__":
    from tests.integration import node_process  # noqa: F401 - so that its children have it

    with socket.socket(fileno=os.dup(0)) as ours:
        serve(ours)
