"""A server that speaks Redis's protocol and answers as a test says. It must not know what is tested."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

Answer = Callable[[list[bytes]], "bytes | None"]  # None: what any server would answer


def array(*items: bytes) -> bytes:
    """A reply of several."""
    return b"*%d\r\n" % len(items) + b"".join(items)


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


def hello(version: bytes = b"7.0.15", server: bytes = b"redis", role: bytes = b"master") -> bytes:
    said = {b"server": server, b"version": version, b"mode": b"standalone", b"role": role}
    return array(*[bulk(part) for item in said.items() for part in item], bulk(b"modules"), array())


def moment(ahead: float = 0.0) -> bytes:
    return array(bulk(b"%d" % (time.time() + ahead)), bulk(b"0"))


class FakeRedis:
    """It listens, and counts what it has received."""

    def __init__(self, answer: Answer = lambda _command: None) -> None:
        self.answer = answer
        self.commands: list[list[bytes]] = []
        self.ends = 0  # connections that are no more
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for each in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                there, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(there)
            thread = threading.Thread(target=self._serve, args=(there,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, there: socket.socket) -> None:
        with there, there.makefile("rb") as received:
            try:
                while head := received.readline():
                    command = [self._argument(received) for _ in range(int(head[1:]))]
                    self.commands.append(command)
                    reply = self.answer(command)
                    there.sendall(self._usual(command) if reply is None else reply)
            except (OSError, ValueError):
                pass
        self.ends += 1

    def _argument(self, received: Any) -> bytes:
        length = int(received.readline()[1:])
        argument: bytes = received.read(length)
        received.readline()
        return argument

    def _usual(self, command: list[bytes]) -> bytes:
        replies = {b"HELLO": hello(), b"TIME": moment(), b"XRANGE": array(), b"EVALSHA": b":1\r\n"}
        return replies.get(command[0], b"-NOPERM this user has no permissions to run this command\r\n")
