"""What a link and the exchange know of each other: a `Feed` is what a link is given, a `Linked` is what the exchange
needs of a link. Neither file knows the other.
"""

from typing import Protocol

from lru_cache.network.handshake import Hello
from lru_cache.replication import Message


class Linked(Protocol):
    """A link, as the exchange sees it. All of it is for any thread."""

    def __hash__(self) -> int:
        """It is known to the replica by itself."""

    @property
    def peer(self) -> Hello:
        """Who is at the other end. Of a log, which is nobody, the node's id is empty."""

    @property
    def is_live(self) -> bool:
        """Whether it can be more than greeting; what it has then the replica knows."""

    @property
    def address(self) -> str:
        """Where that is."""

    @property
    def found(self) -> str:
        """How that was found out, for people."""

    @property
    def dialled(self) -> bool:
        """Whether we dialled it."""

    @property
    def half_trip(self) -> float:
        """Seconds that a message was on its way, as the handshake has measured it."""

    @property
    def round_trip(self) -> float:
        """Seconds to it and back, as measured last."""

    @property
    def bytes_in(self) -> int:
        """Received so far."""

    @property
    def bytes_out(self) -> int:
        """Sent so far."""

    def send(self, batches: int, now: float) -> None:
        """Send what there is from the calling thread, up to so many batches, if that takes no more than a moment; else
        leave it to the link's thread. It neither blocks nor raises what the network did.
        """

    def wake(self) -> None:
        """Let the link's thread see what there is to do."""

    def end(self, reason: str) -> None:
        """Let the link's thread hand over what it has, say goodbye, and end."""

    def abandon(self) -> None:
        """Close what was inherited by a fork, without a word."""


class Feed(Protocol):
    """What one link carries."""

    def join(self, link: Linked) -> None:
        """Become the feed of this link. RefusedError if there must be no such link."""

    def leave(self) -> None:
        """The link is over."""

    def carry_out(self, now: float) -> None:
        """Do what is due on any link: the link's thread calls this in each of its turns."""

    def heartbeat(self, now: float) -> None:
        """A ping is about to be sent, so that a heartbeat may go with it."""

    def due(self) -> float:
        """When the link's thread is to call `carry_out` again at the latest; infinity if another thread will."""

    def received(self, body: bytes) -> Message | None:
        """A message came. Pings, pongs and goodbyes are returned; ProtocolError must end the link."""

    def pass_on(self) -> None:
        """All that has come was received: let the other links have what of it is news."""

    def measured(self, half_trip: float) -> None:
        """A message took so long to the other end, as a ping has just told."""

    def pop_urgent(self) -> list[bytes]:
        """Messages that are to be sent before anything else, each given once."""

    @property
    def has_news(self) -> bool:
        """Whether there is more to send than that our `seen` has changed."""

    @property
    def has_more(self) -> bool:
        """Whether there is anything to send."""

    @property
    def is_held_back(self) -> bool:
        """Whether news waits for more of a burst."""

    def seen_waits(self) -> int:
        """Which changes of our `seen` are to be told: 0 none, 1 those that follow no news, 2 some that follow news."""

    @property
    def sent_at(self) -> float:
        """When messages were last fetched from here, by a monotonic clock."""

    def next_messages(self, budget: int, now: float) -> list[bytes]:
        """Fetch messages of about so many bytes. Empty if there is nothing to send."""

    def next_at_once(self, now: float) -> list[bytes] | None:
        """Likewise, what makes a batch; None if to make it would take more than a moment. Sets `has_rest`."""

    @property
    def has_rest(self) -> bool:
        """Whether `next_at_once` has left anything when it was last called."""
