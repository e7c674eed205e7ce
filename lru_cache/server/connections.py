"""What a connection may cost before there is a request: its head's size, the time it takes, and how many there are.

Uvicorn bounds none of these where httptools parses. It must not know what is asked for.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD_BYTES = 65_536
HEAD_SECONDS = 10.0  # from a connection's beginning, or a head's first byte, to the head's end
MOST_CONNECTIONS = 1_000

_WHY_TOO_LONG = b'{"message": "the head of the request is too long"}'
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_WHY_TOO_LONG), _WHY_TOO_LONG)
)


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's own, with limits."""

    _in_head = True
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin, unless there are too many: those that are there go on."""
        if len(self.connections) >= MOST_CONNECTIONS:
            transport.abort()
            return
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._head_is_over()
        if self in self.connections:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that has not ended by now must not grow for ever."""
        if self not in self.connections:
            return
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > LONGEST_HEAD_BYTES:
            self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End a head."""
        self._head_is_over()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_is_over(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
