"""A load on one HTTP server, from a process of its own: asks over connections that stay open, and checks each answer.

`python -m benchmarks.http_load` reads what to do from stdin as JSON, and writes what it found to stdout. It must not
know who answers.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

CONNECTION_SECONDS = 30.0  # without an answer for so long, the rest of a connection's requests have failed

Exchange = tuple[bytes, bytes]  # a request, and the body that must come back


class Connection(asyncio.Protocol):
    """Asks one request after the other: the next when the answer to the last has come, or when it is due."""

    def __init__(self, exchanges: Iterator[Exchange], times: list[float], pause: float) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.answered = 0
        self.wrong = 0
        self._exchanges = exchanges
        self._times = times
        self._pause = pause  # between the beginnings of two requests; 0: as fast as it goes
        self._received = b""
        self._wanted = b""
        self._asked_at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Collect an answer, check it, ask again."""
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        now = time.perf_counter()
        self._times.append(now - self._asked_at)
        self.answered += 1
        self.wrong += not (head.startswith(b"HTTP/1.1 200 ") and body == self._wanted)
        self._received = b""
        wait = self._asked_at + self._pause - now
        if self._pause and wait > 0:
            asyncio.get_running_loop().call_later(wait, self._ask)
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio passes it
        """End; who still waits for answers has failed."""
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        exchange = next(self._exchanges, None)
        if exchange is None:
            self._transport.close()
            return
        request, self._wanted = exchange
        self._asked_at = time.perf_counter()
        self._transport.write(request)


async def put_load(
    port: int, exchanges: list[Exchange], requests: int, connections: int, pause: float
) -> dict[str, Any]:
    """Make so many requests over so many connections, and say how that went."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    shared = islice(cycle(exchanges), requests)
    began = time.perf_counter()
    opened = [
        (await loop.create_connection(lambda: Connection(shared, times, pause), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    patience = CONNECTION_SECONDS + requests * max(pause / connections, 0.01)
    await asyncio.wait([connection.done for connection in opened], timeout=patience)
    seconds = time.perf_counter() - began
    answered = sum(connection.answered for connection in opened)
    failed = requests - answered + sum(connection.wrong for connection in opened)
    times.sort()
    tail = times[int(len(times) * 0.99)] if times else None
    return {
        "seconds": seconds,
        "requests": requests,
        "failed": failed,
        "p50": times[len(times) // 2] if times else None,
        "p99": tail,
    }


def main() -> None:
    """Do what stdin says."""
    asked = json.load(sys.stdin)
    exchanges = [(request.encode(), body.encode()) for request, body in asked.pop("exchanges")]
    try:
        import uvloop
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    json.dump(run(put_load(exchanges=exchanges, **asked)), sys.stdout)


if __name__ == "__main__":
    main()
