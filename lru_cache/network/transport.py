"""A transport: whatever makes links. The server that accepts is one, and so is each dialler.

This file must not know how they do it.
"""

from typing import Protocol

from lru_cache.network.peer import Peer


class Transport(Protocol):
    """Made by a cache, started once, and stopped when the cache is closed. `stop` and `join` may come again."""

    def start(self) -> None:
        """Begin to make links."""

    def stop(self) -> None:
        """Make no more of them. Those that there are the exchange ends."""

    def join(self, seconds: float) -> None:
        """Wait until its threads have ended, but for the calling one. If it never started, give back what it holds."""

    def abandon(self) -> None:
        """Let go of what was inherited by a fork, without a word on the wire."""

    def peers(self) -> list[Peer]:
        """The addresses at which it looks for a node and has no link."""


class Dialling(Transport, Protocol):
    """One that dials, and so can also let go of what came of it."""

    def end(self, reason: str) -> None:
        """Stop, and end the links that it has made."""

    def note_loss(self) -> None:
        """A link that another node had dialled is over: perhaps that one is gone. For any thread."""
