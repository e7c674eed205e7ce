"""What a connection may cost before a request is whole: its head's size, the time it takes, and how many there are.

Uvicorn bounds none of these where httptools parses. It must not know what is asked for.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD_BYTES = 65_536
REQUEST_SECONDS = 20.0  # from a connection's beginning, or a request's first byte, to the request's end
MOST_CONNECTIONS = 1_000


def _last_words(status: bytes, message: bytes) -> bytes:
    body = b'{"message": "%s"}' % message
    head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, len(body)) + body


TOO_LONG = _last_words(b"431 Request Header Fields Too Large", b"the head of the request is too long")
TOO_SLOW = _last_words(b"408 Request Timeout", b"the request took too long")


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's own, with limits."""

    _in_head = True
    _in_request = False
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None  # there while a request is awaited, or not whole

    def connection_made(self, transport: Any) -> None:
        """Begin, unless there are too many: those that are there go on."""
        if len(self.connections) >= MOST_CONNECTIONS:
            transport.abort()
            return
        super().connection_made(transport)
        self._await_end()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_waiting()
        if self in self.connections:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came. A request that is not whole by now must neither grow nor last for ever."""
        if self not in self.connections:
            return
        super().data_received(data)
        if not self._in_request:
            self._stop_waiting()
            return
        self._await_end()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD_BYTES:
                self._part(TOO_LONG)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = self._in_request = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End a request's head."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_request = False
        super().on_message_complete()

    def _await_end(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(REQUEST_SECONDS, self._part, TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _part(self, last_words: bytes) -> None:
        """Close, and say why, unless something is being said already."""
        is_idle = self.cycle is None or self.cycle.response_complete  # the cycle is the last request with a whole head
        if self._in_request and (is_idle if self._in_head else not self.cycle.response_started):
            self.transport.write(last_words)
        self.transport.close()
