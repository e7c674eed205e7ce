"""What a log's link asks of an engine. Each engine is one module that keeps to this; a test holds all of them to it.

An engine is one connection at a time, for one thread, which may block; `abandon` is for any. Whatever fails raises an
`EngineError`, after which nothing but `connect`, `close` and `abandon` is called. Nothing is tried again in here, and
no connection is made anew behind the caller's back: between two connections the log may have become another.

This file must not know any engine, nor what a record says.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from lru_cache.replication.log_records import Place, Record, Standing

MOST_OFF_SECONDS = 60  # between an engine's clock and this machine's

Refusal = Callable[[int, Any], str | None]
"""Why an engine at this socket address (a family and an address) must not be used, if it must not."""


class EngineError(Exception):
    """The engine does not answer, or not as it should. In its text is nothing secret."""


class DeniedError(EngineError):
    """It answers, and will not have us until somebody changes something: a password, a permission, its memory."""


class ForkedError(EngineError):
    """It has not what was read from it: this is another log than it was, or it has lost the end of it."""


def check_clock(where: str, engine_ms: int) -> None:
    """Raise if the clock there, in milliseconds, is not to be believed: all nodes date what they write by it."""
    ahead = round(engine_ms / 1000 - time.time())
    if abs(ahead) > MOST_OFF_SECONDS:
        way = "ahead of" if ahead > 0 else "behind"
        raise DeniedError(
            f"the clock of {where} is {abs(ahead)} s {way} this machine's, and may be {MOST_OFF_SECONDS} s: "
            "set the one that is wrong"
        )


class Engine(Protocol):
    """One engine's log. Made without asking for anything."""

    on_records: Callable[[], object] | None
    """Called, from any thread, when there are records to read, by an engine that notices. Others leave it alone."""

    @property
    def pause(self) -> float:
        """Seconds that are to lie between two reads, so that all who read do not take too much of the engine."""

    def connect(self, deadline: float) -> Standing:
        """Connect anew, by this time of the monotonic clock at the latest, and say what there is of the log."""

    def find(self, tail: Iterable[tuple[Place, bytes]]) -> Place | None:
        """The first of these places, each with the chain up to it, that the log has."""

    def append(self, content: bytes, place: Place | None, chain: bytes) -> Place:
        """Put a record at the end, if the log has what was read last: this place with this chain; or None, and then
        it must have its first record still, or none. Where it stands then. ForkedError if the log has not.
        """

    def read(self, after: Place | None, limit: int) -> list[Record]:
        """The next records behind a place, or from the first that is left; so many at most, and not waiting for any.

        Fewer than `limit` means that these are all.
        """

    def look(self, place: Place | None, chain: bytes) -> int:
        """The engine's clock, in milliseconds. ForkedError if the log has not what was read last.

        Like `connect` it checks the clock.
        """

    def close(self) -> None:
        """Say goodbye and close the connection. It may come again."""

    def abandon(self) -> None:
        """Let go of a connection that was inherited by a fork: not a byte is sent over it."""
