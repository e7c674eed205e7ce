"""Nodes: instances of this program that it has started itself, linked each with each; ended together, whatever happens.

Must not know what a node does, nor how its figures are written. A node is told and tells over its channel:

    node                                parent
      | <- join: addresses, secrets ----- |   one after another, so that each knows the address of those before it
      | -- address ---------------------> |
      | <- count: links to wait for ----- |   when all are there
      | -- linked: how many ------------> |
      | <- begin: seconds to wait ------- |
      | -- done: its figures, or failed -> |
      | <- release ---------------------- |   when all are done, since each serves the others until then
"""

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from workload.command_line import EXIT_FAILED, EXIT_OUTPUT_CLOSED, Options
from workload.control import Channel

GRACE_SECONDS = 15.0  # for all of them together to end by themselves


class NodeError(Exception):
    """A node came to an end before its time. `status` is what it ended with."""

    def __init__(self, number: int, reason: str, status: int) -> None:
        super().__init__(f"node{number}: {reason}")
        self.status = status


class Node:
    """One of them, and its process."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        ours, theirs = socket.socketpair()
        with theirs:
            # In a session of its own, so that Ctrl-C reaches the parent only, which then asks for what was done so far.
            self._process = subprocess.Popen(  # noqa: S603 - the program, with arguments that it has checked itself
                [*command, "--node", str(number), "--control", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.channel = Channel(ours)

    def ask(self, wanted: str) -> dict[str, Any]:
        """Wait for the message with this in it. `NodeError` if it ends instead."""
        while (message := self.channel.receive()) is not None:
            if "failed" in message:
                raise NodeError(self.number, str(message["failed"]), int(message["status"]))
            if wanted in message:
                return message
        status = self._process.wait()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        raise NodeError(self.number, how, status)

    def end(self, deadline: float) -> None:
        """See to it that its process is no more."""
        self.channel.close()
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Nodes:
    """All of them. Use `with`: at its end none of them is left."""

    def __init__(self, options: Options, program: str, database_path: str) -> None:
        self._options = options
        self._program = program
        self._database_path = database_path
        self._nodes: list[Node] = []
        self._waited_for: list[Node] = []  # those that have begun and have not told yet what they did
        self.results: dict[int, dict[str, Any]] = {}  # by number
        self.errors: list[NodeError] = []

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.stop()
        for node in self._nodes:
            node.channel.send(release=True)
        deadline = time.monotonic() + GRACE_SECONDS
        for node in self._nodes:
            node.end(deadline)

    def start(self) -> None:
        """Start the processes and link them with each other."""
        for number in range(1, self._options.nodes + 1):
            self._nodes.append(Node(number, self._command(number)))
        addresses: list[str] = []
        for node in self._nodes:
            node.channel.send(join=addresses, secrets=self._options.place.secrets)
            addresses.append(node.ask("address")["address"])
        others = len(self._nodes) - 1
        for node in self._nodes:
            node.channel.send(count=others)
        for node in self._nodes:
            linked = node.ask("linked")["linked"]
            if linked < others:
                raise NodeError(node.number, f"was linked with {linked} of {others} others in time", EXIT_FAILED)

    def begin(self) -> None:
        """Let them serve their requests, each some time after the one before it."""
        for node in self._nodes:
            if self._waited_for:
                time.sleep(self._options.stagger_ms / 1000)
            self._waited_for.append(node)
            node.channel.send(begin=True)

    def wait(self) -> None:
        """Wait until all that have begun have told what they did, or are no more: the others go on without them.

        After Ctrl-C it can be called again. Raises what ends all: that nobody reads the output any more.
        """
        while self._waited_for:
            node = self._waited_for[0]
            try:
                self.results[node.number] = node.ask("done")["done"]
            except NodeError as error:
                if error.status == EXIT_OUTPUT_CLOSED:
                    raise
                self.errors.append(error)
            self._waited_for.remove(node)

    def stop(self) -> None:
        """Ask them to come to an end, as Ctrl-C asks."""
        for node in self._nodes:
            node.channel.send(stop=True)

    def _command(self, number: int) -> list[str]:
        options, setting = self._options, self._options.setting
        return [
            *(sys.executable, self._program),
            *("--scenario", setting.scenario.name),
            *("--threads", str(options.threads)),
            *("--requests", str(options.requests)),
            *("--keys", str(setting.keys)),
            *("--missing", str(setting.missing)),
            *("--database-ms", repr(setting.database_ms)),
            *("--cache-ms", repr(setting.cache_ms)),
            *("--database", self._database_path),
            *("--random-seed", str(options.random_seed + number - 1)),
            *(() if options.prints_requests else ("--quiet",)),
        ]
