"""The exchange: where the links and the cache meet. It drives the replica, as the simulator does, for threads.

Everything that the replica does happens under the cache's lock; nothing is sent or called back under it. This file must
not know sockets, and no rules: what to keep, to tell and to believe is the replica's business.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lru_cache.clock import Clock
from lru_cache.log import logger
from lru_cache.network.handshake import Hello, RefusedError
from lru_cache.network.peer import Peer
from lru_cache.replication import Message, Replica, StoreView, Type, seconds_of

if TYPE_CHECKING:
    from lru_cache.network.link import Link

UPKEEP_SECONDS = 2.0  # between heartbeats, which tell every node how far behind it is; each crosses every link
DIRECT_LINKS = 2  # at most, for writers to send by themselves: the cost of each is theirs


class Exchange:
    """The replica with its links. Any thread may call anything."""

    def __init__(
        self,
        replica: Replica,
        view: StoreView,
        lock: "threading.RLock",
        clock: Clock,
        settle: Callable[[list[Any]], object],
    ) -> None:
        self.next_upkeep = 0.0
        self.bytes_in = 0  # of links that are gone
        self.bytes_out = 0
        self._replica = replica
        self._view = view
        self._clock = clock
        self._alone, self._monotonic = replica.to_send_at_once, clock.monotonic  # a lone write runs on cold caches
        self._settle = settle  # tells who wants to know what left the store
        self._lock = lock  # the cache's; also protects all below
        self._links: tuple[Link, ...] = ()  # replaced and never changed, so that it can be read without the lock
        self._changed = threading.Condition(lock)  # a link came or went, or a neighbour has told what it has seen
        self._waiters = 0
        self._closed = False
        self._to_ring = False  # the first link's thread is to wake the others'; set and cleared by anybody

    # -- for the cache -----------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """The cache was written to, and its lock is free again: let the links know."""
        links = self._links
        if not links:
            return
        if len(links) <= DIRECT_LINKS and not self._lock._is_owned():  # type: ignore[attr-defined]
            for link in links:
                link.tell()
            return
        # One of their threads wakes the others: a system call for each would be the writer's to pay for.
        self._to_ring = True
        links[0].ring()
        if links is not self._links:  # perhaps that one has just left, and did not see what it was to do
            self.ring_all()

    def ring_all(self) -> None:
        """Let the links' threads see what there is to do, if whoever wrote has left that to one of them."""
        if self._to_ring:
            self._to_ring = False
            for link in self._links:
                link.ring()

    def wait_connected(self, count: int, seconds: float | None) -> bool:
        """Wait until so many neighbours are there, and each side knows what the other has."""
        return self._wait(lambda: len(self._connected_locked()) >= count, seconds)

    def flush(self, seconds: float | None) -> bool:
        """Wait until every connected neighbour has what was written here before. False if there is none to have it."""
        with self._lock:
            time_told = self._replica.told_time()

        def settled() -> bool:
            # Also those that are just being greeted: else there would be none, and nothing to wait for.
            return all(self._replica.has_all(link, time_told) for link in self._links)

        return self._wait(settled, seconds) and bool(self._links)

    @property
    def has_links(self) -> bool:
        """Whether there is any."""
        return bool(self._links)

    def peers(self) -> list[Peer]:
        """The neighbours, as they are now."""
        with self._lock:
            now = self._clock.monotonic()
            return [self._peer_locked(link, now) for link in self._links]

    def traffic(self) -> tuple[int, int, int]:
        """Links, and the bytes received and sent over all of them so far."""
        with self._lock:
            bytes_in = self.bytes_in + sum(link.bytes_in for link in self._links)
            bytes_out = self.bytes_out + sum(link.bytes_out for link in self._links)
            return len(self._links), bytes_in, bytes_out

    def close(self, reason: str) -> None:
        """No more links; those that are there say goodbye."""
        with self._lock:
            self._closed = True
            links = self._links
            self._changed.notify_all()
        for link in links:
            link.end(reason)

    def abandon(self) -> None:
        """Let go of what was inherited by a fork."""
        self._closed = True
        for link in self._links:
            self._replica.link_down(link)
            link.abandon()
        self._links = ()

    # -- for the handshake -------------------------------------------------------------------------------------------

    def present(self) -> int:
        """The time that it is here, to be told in a handshake: after a look at the wall clock, which may have been set
        while there was no link to look after it.
        """
        with self._lock:
            now = self._clock.monotonic()
            was_set = self._replica.time_passed(now, self._clock.time())
            present = self._replica.present(now)
            gone = self._view.pop_gone()
        self._tell_of_clock(was_set, gone)
        return present

    def judge(self, peer: Hello, half_trip: float, told_at: float) -> str | None:
        """Why a node must be refused for its clock, if it must."""
        with self._lock:
            return self._replica.clock_refusal(peer.present, half_trip, told_at)

    def is_linked_to(self, node: bytes) -> bool:
        """Whether one of the links goes to this node, or it is this node itself."""
        return node == self._replica.node or any(link.peer.node == node for link in self._links)

    # -- for links ---------------------------------------------------------------------------------------------------

    def join(self, link: "Link") -> None:
        """A new link. RefusedError if it must not be."""
        peer = link.peer
        with self._lock:
            if self._closed:
                raise RefusedError("this cache is closed")
            refused = self._replica.link_up(
                link, peer.node, peer.capacity, peer.value_bytes, link.half_trip, link.dialled
            )
            loser, reason = refused if refused is not None else (None, "")
            if loser is link:
                raise RefusedError(reason)
            self._links = (*(each for each in self._links if each is not loser), link)
            self.next_upkeep = 0.0
        if loser is not None:
            loser.end(reason)  # type: ignore[attr-defined]

    def leave(self, link: "Link") -> None:
        """A link is over."""
        with self._lock:
            self._replica.link_down(link)
            self._links = tuple(each for each in self._links if each is not link)
            self.bytes_in += link.bytes_in
            self.bytes_out += link.bytes_out
            self._changed.notify_all()
        self.ring_all()

    def received(self, link: "Link", body: bytes) -> Message | None:
        """A message came over a link. Pings, pongs and goodbyes are returned; ProtocolError must end the link."""
        with self._lock:
            if link not in self._replica.neighbours:
                return None  # another link took its place; its own thread is about to be told
            message = self._replica.received(link, body, self._clock.monotonic())
            gone = self._view.pop_gone()
            if self._waiters and body[1] == Type.SEEN:
                self._changed.notify_all()
        if gone:
            self._settle(gone)
        return message

    def measured(self, link: "Link") -> None:
        """A ping came back: lives are shortened by the shortest time that a message was ever seen to take."""
        with self._lock:
            neighbour = self._replica.neighbours.get(link)
            if neighbour is not None:
                neighbour.half_trip = min(neighbour.half_trip, link.round_trip / 2)

    def spread(self, source: "Link") -> None:
        """News came over a link: let the others know."""
        for link in self._links:
            if link is not source and any(self.waiting(link)):
                link.tell() if len(self._links) <= DIRECT_LINKS else link.ring()

    def has_to_send(self, link: "Link") -> bool:
        """Whether there is anything to send on a link. Without the lock: whoever changes that rings afterwards."""
        try:
            return self._replica.has_to_send(link)
        except KeyError:
            return False

    def waiting(self, link: "Link") -> tuple[bool, bool]:
        """Likewise, and before that whether it is more than that our `seen` has changed."""
        try:
            return self._replica.has_news(link), self._replica.has_to_send(link)
        except KeyError:
            return False, False

    def to_send(self, link: "Link", budget: int) -> list[bytes]:
        """Messages for a link, of about so many bytes."""
        with self._lock:
            if link not in self._replica.neighbours:
                return []
            return self._replica.to_send(link, self._clock.monotonic(), budget)

    def to_send_directly(self, link: "Link") -> list[bytes] | None:
        """Likewise for a thread that has better things to do: None if it would take more than a moment."""
        with self._lock:
            return self._alone(link, self._monotonic())

    def upkeep(self, now: float) -> None:
        """Called by every link's thread all the time; now and then there is something to do."""
        if now < self.next_upkeep:
            return
        with self._lock:
            if now < self.next_upkeep:
                return
            self.next_upkeep = now + UPKEEP_SECONDS
            was_set = self._replica.time_passed(self._clock.monotonic(), self._clock.time())
            self._replica.heartbeat(self._clock.monotonic())
            gone = self._view.pop_gone()
        self._tell_of_clock(was_set, gone)
        for link in self._links:
            link.ring()

    # -- shared by the above -----------------------------------------------------------------------------------------

    def _tell_of_clock(self, was_set: bool, gone: list[Any]) -> None:
        if was_set:
            logger().warning("the wall clock was set: loaded values were dropped, and will be loaded again")
        if gone:
            self._settle(gone)

    def _connected_locked(self) -> "list[Link]":
        """The links whose two sides know what the other has."""
        return [link for link in self._links if self._replica.neighbours[link].seen is not None]

    def _wait(self, settled: Callable[[], bool], seconds: float | None) -> bool:
        with self._lock:
            self._waiters += 1
            try:
                return self._changed.wait_for(lambda: self._closed or settled(), seconds) and settled()
            finally:
                self._waiters -= 1

    def _peer_locked(self, link: "Link", now: float) -> Peer:
        seen = self._replica.seen.get(link.peer.node)
        lag = None if seen is None else max(0.0, seconds_of(self._replica.present(now)) - seconds_of(seen))
        neighbour = self._replica.neighbours[link]
        state = "connected" if neighbour.seen is not None else "greeting"
        return Peer(
            node=link.peer.node.hex(),
            region=link.peer.region or None,
            address=link.address,
            role=link.peer.role,
            state=state,
            rtt=link.round_trip,
            lag=lag,
            queued=neighbour.queued,
        )
