"""The exchange: where the links and the cache meet. It drives the replica, as the simulator does, for threads.

Everything that the replica does happens under the cache's lock; nothing is sent or called back under it. Whichever
thread has news, a writer's or that of the link over which it came, sends it on all links, one after the other: to wake
a thread for each would cost several times that. What is left for later (`pace.Pace` says what) one of the links'
threads carries out for all of them.

A log that an engine keeps is one of the links, and the last of them: its thread waits for the engine, and so does for
the others what is due on all only where there are no others.

This file must not know sockets, nor what a link is beyond `Linked`, and no rules: what to keep, to tell and to believe
is the replica's business.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from math import inf
from time import monotonic
from typing import Any, TypeVar, cast

from lru_cache.clock import Clock
from lru_cache.log import logger
from lru_cache.network.address import host_in
from lru_cache.network.feed import Linked
from lru_cache.network.handing_over import HANDOVER, MOST_KEPT, unpack
from lru_cache.network.handshake import Hello, RefusedError
from lru_cache.network.peer import Peer
from lru_cache.network.roll_call import ANSWER, CALL, Call, Introduction, Present, RollCalls
from lru_cache.replication import NODE_BYTES, Message, Replica, Type, messages, pace, seconds_of
from lru_cache.replication.log_records import Handover

T = TypeVar("T")

LOCAL_CLUSTER = "local cluster"  # how the link to who listens for it was found
CALL_AGAIN_SECONDS = 0.05  # after a roll call that was not whole, or did not find enough
UPKEEP_SECONDS = 2.0  # between heartbeats, which tell every node how far behind it is
UPKEEP_EARLY_SECONDS = 1.2  # so much earlier if a thread is awake anyway: then a heartbeat goes with a ping
WORK_SECONDS = 0.05  # at once, in which a link is not read
LONE = 1  # batch, for a write that came by itself
BURST_BATCHES = 10  # at most that a writer sends at once: it takes off more than it adds, so that no outbox overflows
ALL_BATCHES = 1 << 30  # for a thread in the background: all that the socket takes
_SEND, _WAKE = int(pace.Act.SEND), int(pace.Act.WAKE)
_SEEN_TOLD, _SEEN_IDLE, _SEEN_NEWS = map(int, pace.Seen)
_NEWS = frozenset(bytes([each]) for each in (Type.EVENTS, Type.FLOORS))  # second bytes
_ACKNOWLEDGING = frozenset((Type.SEEN, Type.RESTING))
_ROLL_CALLS = frozenset(bytes([each]) for each in (CALL, ANSWER))
_HANDOVER = bytes([HANDOVER])
_OF_THE_LINK = frozenset(bytes([each]) for each in (Type.PING, Type.PONG))  # which the replica has no part in


class Exchange:
    """The replica with its links. Any thread may call anything.

    `removed` hands over what the replica has made leave the store, under the lock; `notify_removed` tells whoever wants
    to know, outside it. `introduce` says what nodes far away see of this one: its id, region, role and address;
    `is_settled`, whether those are linked with it that are to be.
    """

    def __init__(
        self,
        replica: Replica,
        lock: "threading.RLock",
        clock: Clock,
        removed: Callable[[], list[Any]],
        notify_removed: Callable[[list[Any]], object],
        introduce: Callable[[], Introduction] = lambda: (b"", "", "", "", 0),
        is_settled: Callable[[], bool] = lambda: True,
    ) -> None:
        self.next_upkeep = 0.0
        self.bytes_in = 0  # of links that are gone
        self.bytes_out = 0
        self.pace = pace.Pace()
        self._replica = replica
        self._clock = clock
        self._removed = removed
        self._notify_removed = notify_removed
        self._roll_calls = RollCalls(introduce, self._has_of, is_settled, lambda link: host_in(link.address))
        self._lock = lock  # the cache's; also protects all below
        # Both replaced and never changed, so that they can be read without the lock; in the same order.
        self._links: tuple[Linked, ...] = ()
        self._feeds: tuple[LinkFeed, ...] = ()
        self._log: Linked | None = None  # that of `_links` which leads to an engine
        self._wall = clock.time  # the wall clock, or what stands for it
        self._handed: deque[tuple[str, Handover]] = deque(maxlen=MOST_KEPT)  # how to go on with a log, the last first
        self._changed = threading.Condition(lock)  # a link came or went, or a neighbour has told what it has seen
        self._notes: tuple[Callable[[], None], ...] = ()  # to be called likewise
        self._waiters = 0
        self._closed = False
        self._watch: Linked | None = None  # whose thread wakes for what is due on all links, and when; by anybody, too
        self._watch_until = inf

    # -- for the cache -----------------------------------------------------------------------------------------------

    def send_news(self) -> None:
        """The cache was written to, and its lock is free again: send that on all links, or have it sent."""
        now = monotonic()
        act = self.pace.wrote(now)
        if act:
            self.act(act, now)

    def act(self, act: int, now: float) -> None:
        """Likewise, for who has asked `pace` what there is to do."""
        links = self._links
        if act == _WAKE:
            self._wake_one(links)
            return
        if self._lock._is_owned():  # type: ignore[attr-defined]  # by a write within a write: nothing is sent under it
            self._leave_to_thread(links)
            return
        batches = LONE if act == _SEND else BURST_BATCHES
        try:
            for link in links:
                link.send(batches, now)
        except BaseException:  # a signal's handler: the other links' threads see to it
            self._leave_to_thread(links)
            raise

    def _leave_to_thread(self, links: tuple[Linked, ...]) -> None:
        """One of the links' threads is to send on all of them, unless one is about to."""
        if self.pace.leave():
            self._wake_one(links)

    def _wake_one(self, links: tuple[Linked, ...]) -> None:
        """Keep what `pace` has noted: that one of the links' threads is awake."""
        try:
            watch = self._watch or (links[0] if links else None)
            if watch is not None:
                watch.wake()
            if links is not self._links:  # perhaps that one has just left, and did not see what it was to do
                for link in self._links:
                    link.wake()
        except BaseException:  # a signal's handler
            self.pace.is_attended = False
            raise

    def wait_connected(self, count: int, seconds: float | None) -> bool:
        """Wait until so many neighbours are there, and each side knows what the other has."""
        return self._wait(self.are_connected(count), seconds)

    def are_connected(self, count: int) -> Callable[[], bool]:
        """What says whether so many neighbours are there. For within the lock."""
        return lambda: len(self._connected_locked()) >= count

    def is_over(self, is_so: Callable[[], bool]) -> bool:
        """Whether something is so that `subscribe` waits for, or this is closed, so that it never will be."""
        with self._lock:
            return self._closed or is_so()

    def subscribe(self, note: Callable[[], None]) -> Callable[[], None]:
        """Call this whenever a link came or went, or a neighbour has told what it has seen; returns what ends that.

        It is called under the lock, and must do no more than to wake somebody.
        """
        with self._lock:
            self._notes = (*self._notes, note)
            self._waiters += 1

        def end() -> None:
            with self._lock:
                self._notes = tuple(each for each in self._notes if each is not note)
                self._waiters -= 1

        return end

    def _note_change(self) -> None:
        self._changed.notify_all()
        for note in self._notes:
            note()

    def flush(self, seconds: float | None) -> bool:
        """Wait until every connected neighbour has what was written here before. False if there is none to have it."""
        return self._wait(self.have_all_written(), seconds) and bool(self._links)

    def have_all_written(self) -> Callable[[], bool]:
        """What says whether every connected neighbour has what was written here until now. For within the lock."""
        with self._lock:
            node, time_told = self._replica.node, self._replica.told_time()

        def have_all() -> bool:
            nonlocal node, time_told
            if node != self._replica.node:  # our clock was ahead, and what was told is dated anew
                node, time_told = self._replica.node, self._replica.told_time()
            # Also those that are just being greeted: else there would be none, and nothing to wait for.
            return all(self._replica.has_all(link, time_told) for link in self._links)

        return have_all

    # -- nodes that are no neighbours ----------------------------------------------------------------------------------

    def call_all(
        self, is_enough: "Callable[[Call], bool]", seconds: float | None, for_writes: bool = False
    ) -> "Generator[tuple[Callable[[], bool], float | None], None, list[Present] | None]":
        """Ask who is there, however far, until that is whole and enough; `for_writes`, who has what was written here
        before.

        It yields what to wait for, and for how long, and returns those who are there; None if it was not in time.
        """
        until = inf if seconds is None else monotonic() + seconds
        call, node, told = None, b"", 0
        while not self._closed:
            with self._lock:
                if node != self._replica.node:  # also where our clock was ahead, and what was told is dated anew
                    node, told = self._replica.node, self._replica.told_time() if for_writes else 0
                call, out = self._roll_calls.begin(node, told, self._to_nodes())
            self._send_urgently(out)
            try:
                yield partial(self._is_called, call, node), None if until == inf else max(0.0, until - monotonic())
            finally:
                with self._lock:
                    self._roll_calls.give_up(call)
            if call.is_done and call.is_whole and is_enough(call):
                return call.nodes
            left = until - monotonic()
            if left <= 0.0:
                return None
            yield partial(self._are_other_links, self._links), min(CALL_AGAIN_SECONDS, left)
        return None

    def wait_for(self, calling: "Generator[tuple[Callable[[], bool], float | None], None, T]") -> T:
        """Wait, in a thread, for all that this yields, and return what it returns."""
        while True:
            try:
                is_so, seconds = next(calling)
            except StopIteration as end:
                return cast("T", end.value)
            self._wait(is_so, seconds)

    def _is_called(self, call: Call, node: bytes) -> bool:
        return call.is_done or self._replica.node != node

    def _are_other_links(self, links: tuple[Linked, ...]) -> bool:
        return self._links is not links

    def _has_of(self, node: bytes, until: int) -> bool:
        """Whether all that a node wrote until then is here; and in the log, where there is one."""
        is_here = node == self._replica.node or self._replica.seen.get(node, 0) >= until
        return is_here and (self._log is None or self._replica.has_all_of(self._log, node, until))

    def _called(self, link: Linked, body: bytes) -> None:
        with self._lock:
            out = self._roll_calls.received(link, body, self._to_nodes())
            self._note_change()
        self._send_urgently(out)

    def _send_urgently(self, out: "list[tuple[Any, bytes]]") -> None:
        feeds = dict(zip(self._links, self._feeds, strict=False)) if out else {}
        for link, body in out:
            if link in feeds:
                feeds[link].urgent.append(body)
                link.wake()

    def _to_nodes(self) -> tuple[Linked, ...]:
        """The links, but for a log: over that nobody can be asked."""
        return self._links if self._log is None else tuple(link for link in self._links if link is not self._log)

    @property
    def has_links(self) -> bool:
        """Whether there is any."""
        return bool(self._links)

    @property
    def has_log(self) -> bool:
        """Whether one of them leads to an engine."""
        return self._log is not None

    def peers(self) -> list[Peer]:
        """The neighbours, as they are now."""
        with self._lock:
            now = self._clock.monotonic()
            return [self._peer_locked(link, now) for link in self._to_nodes()]

    def traffic(self) -> tuple[int, int, int]:
        """Links, and the bytes received and sent over all of them so far."""
        with self._lock:
            bytes_in = self.bytes_in + sum(link.bytes_in for link in self._links)
            bytes_out = self.bytes_out + sum(link.bytes_out for link in self._links)
            return len(self._to_nodes()), bytes_in, bytes_out

    def close(self, reason: str) -> None:
        """No more links; those that are there say goodbye."""
        with self._lock:
            self._closed = True
            links = self._links
            self._note_change()
        for link in links:
            link.end(reason)

    def abandon(self) -> None:
        """Let go of what was inherited by a fork."""
        self._closed = True
        for link in self._links:
            self._replica.link_down(link)
            link.abandon()
        self._links = self._feeds = ()
        self._log, self._wall = None, self._clock.time
        self.pace.has_links = False

    # -- for the handshake -------------------------------------------------------------------------------------------

    def present(self) -> int:
        """The time that it is here, to be told in a handshake: after a look at the wall clock, which may have been set
        while there was no link to look after it.
        """
        return self.look_at_clock()

    def look_at_clock(self) -> int:
        """See whether the wall clock was set; the time that it is here."""
        with self._lock:
            now = self._clock.monotonic()
            was_set = self._replica.time_passed(now, self._wall())
            present = self._replica.present(now)
            gone = self._removed()
        self._after_look_at_clock(was_set, gone)
        self._work()
        return present

    def judge(self, peer: Hello, half_trip: float, told_at: float) -> str | None:
        """Why a node must be refused for its clock, if it must."""
        with self._lock:
            reason = self._replica.clock_refusal(peer.present, half_trip, told_at)
            must_redate = self._replica.must_redate()
        if must_redate:
            self._redate()
        return reason

    def _redate(self) -> None:
        """Our clock was ahead. Part with all, and go on as another node, which dates anew what was written."""
        with self._lock:
            if not self._replica.must_redate():
                return  # another thread was quicker
            links, self._links, self._feeds = self._to_nodes(), (), ()
            log, self._log = self._log, None
            self.pace.has_links = False
            for link in links:
                self._replica.link_down(link)
            if log is not None:
                self._replica.link_down(log)
            self._replica.redate(os.urandom(NODE_BYTES), self._clock.monotonic())
        logger().warning(
            "the wall clock was ahead and has been set right: what was written meanwhile is dated anew, and this is "
            "node %s from here on",
            self._replica.node.hex(),
        )
        for link in links:
            link.end("its clock was ahead and has been set right")
        if log is not None:
            log.wake()  # it comes back by itself
        while not self._closed and self._work():
            pass  # to the end: while it goes on there are no links whose threads would do it

    def _work(self) -> bool:
        """Carry on with what goes through all that is held, a slice for each time that the lock is taken.

        For a while, since the caller's link is not read meanwhile. Whether there is more.
        """
        until = monotonic() + WORK_SECONDS
        while self._replica.has_work(self._clock.monotonic()):
            with self._lock:
                self._replica.work(self._clock.monotonic())
                gone = self._removed()
            if gone:
                self._notify_removed(gone)
            if monotonic() > until:
                return True
        return False

    @property
    def node(self) -> bytes:
        """The id of this node."""
        return self._replica.node

    def is_linked_to(self, node: bytes) -> bool:
        """Whether one of the links goes to this node."""
        return any(link.peer.node == node for link in self._links)

    # -- for links ---------------------------------------------------------------------------------------------------

    def feed(self) -> "LinkFeed":
        """A feed for a link that is about to be made."""
        return LinkFeed(self, self._replica, self._lock, self._clock.monotonic)

    def _join(self, link: Linked, feed: "LinkFeed") -> None:
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
            self._replace_links_locked(loser, (link, feed))
            self.next_upkeep = 0.0
        if loser is not None:
            loser.end(reason)  # type: ignore[attr-defined]  # the replica knows it as something with a hash

    def _join_log(self, log: Linked, feed: "LinkFeed", act: Callable[[Replica, float], T]) -> T | None:
        with self._lock:
            if self._closed or self._replica.is_redating():
                return None
            done = act(self._replica, self._clock.monotonic())
            if self._log is None:
                self._log = log
                self._replace_links_locked(None, (log, feed))
            gone = self._removed()
            self._note_change()
        self._notify_removed(gone)
        return done

    def _take_log(self, log: Linked, act: Callable[[float], T]) -> T | None:
        with self._lock:
            if self._log is not log:
                return None  # our clock was ahead
            done = act(self._clock.monotonic())
            gone = self._removed()
            if self._waiters:
                self._note_change()
            out = self._roll_calls.progress() if self._roll_calls.are_pending else []
        if out:
            self._send_urgently(out)
        if gone:
            self._notify_removed(gone)
        return done

    def _hand_over(self, body: bytes) -> None:
        self._send_urgently([(link, body) for link in self._to_nodes() if not link.dialled])

    def _handover_of(self, stream: str) -> Handover | None:
        known = [each for name, each in self._handed if name == stream and self._replica.knows_all_of(each.heard)]
        return known[0] if known else None

    def _leave_log(self, log: Linked) -> None:
        with self._lock:
            if self._log is log or self._log is None:  # else there is another by now, whose clock this is
                self._log, self._wall = None, self._clock.time
            self._note_change()
        self._leave(log)

    def _leave(self, link: Linked) -> None:
        with self._lock:
            self._replica.link_down(link)
            self._replace_links_locked(link)
            self.bytes_in += link.bytes_in
            self.bytes_out += link.bytes_out
            self._note_change()
            out = self._roll_calls.link_down(link) if self._roll_calls.are_pending else []
        self._send_urgently(out)
        if self._watch is link:
            self._watch = None
        for other in self._links[:1]:
            other.wake()  # perhaps this one was to do something, or to wake for something

    def _replace_links_locked(self, lost: object, *more: "tuple[Linked, LinkFeed]") -> None:
        pairs = [(link, feed) for link, feed in zip(self._links, self._feeds, strict=True) if link is not lost]
        pairs += more
        if self._log is not None:
            pairs.sort(key=lambda pair: pair[0] is self._log)
        self._links, self._feeds = tuple(link for link, _ in pairs), tuple(feed for _, feed in pairs)
        self.pace.has_links = len(pairs) > 0

    def _received(self, link: Linked, body: bytes) -> Message | None:
        with self._lock:
            if link not in self._replica.neighbours:
                return None  # another link took its place; its own thread is about to be told
            message = self._replica.received(link, body, self._clock.monotonic())
            gone = self._removed()
            if self._waiters and body[1] in _ACKNOWLEDGING:
                self._note_change()
            out = self._roll_calls.progress() if self._roll_calls.are_pending else []
        if out:
            self._send_urgently(out)
        if gone:
            self._notify_removed(gone)
        return message

    def _pass_on(self, source: "LinkFeed", has_news: bool) -> None:
        now = monotonic()
        if has_news:
            for link, feed in zip(self._links, self._feeds, strict=False):
                if feed is not source and feed.has_news:
                    link.send(ALL_BATCHES, now)
        # What has risen has risen for all links alike: to look at one other does.
        waiting = source.seen_waits()
        if waiting < _SEEN_NEWS:
            waiting = max([waiting, *(feed.seen_waits() for feed in self._feeds[-2:] if feed is not source)])
        self.pace.seen_rose(waiting, now)

    def _measured(self, link: Linked, half_trip: float) -> None:
        with self._lock:
            neighbour = self._replica.neighbours.get(link)
            if neighbour is not None:
                neighbour.half_trip = min(neighbour.half_trip, half_trip)

    def _seen_waits(self, feed: "LinkFeed") -> int:
        try:
            return self._replica.seen_waits(feed._link)
        except KeyError:
            return _SEEN_TOLD

    # -- what is due on all links ------------------------------------------------------------------------------------

    def _carry_out(self, now: float) -> None:
        ours = self.pace
        if now >= self.next_upkeep:
            self.upkeep(now)
        if self._replica.has_work(self._clock.monotonic()) and not self._work():
            ours.is_left = True  # `seen` has waited for that, and perhaps the rest of a resync
        if ours.is_left and ours.is_rest_due(now):
            for link in self._links:
                link.send(ALL_BATCHES, now)
        if now >= ours.seen_at:
            ours.seen_at = inf
            for link, feed in zip(self._links, self._feeds, strict=False):
                if feed.seen_waits() == _SEEN_NEWS:
                    link.send(LONE, now)
        if now >= ours.idle_at:
            ours.idle_at = inf
            ours.idle_at = min(ours.idle_at, self._send_heartbeats(now))

    def _send_heartbeats(self, now: float) -> float:
        """Send what changed of our `seen` to those that were sent nothing for long. When it is the next one's turn."""
        next_at = inf
        for link, feed in zip(self._links, self._feeds, strict=False):
            waiting = feed.seen_waits()
            due = feed.sent_at + pace.SEEN_AT_LATEST_SECONDS
            if waiting == _SEEN_NEWS or (waiting == _SEEN_IDLE and now >= due):
                link.send(LONE, now)
            elif waiting:
                next_at = min(next_at, due)
        return next_at

    def _due(self, link: Linked) -> float:
        """When this link's thread must wake for what is due on all links: one of them does.

        It is the one that has noticed what is due first. Two may do it for once; nobody may think that another does.
        """
        if link is self._log and len(self._links) > 1:
            return inf
        cache_now = self._clock.monotonic()
        if (self.pace.is_left and not self.pace.lingers) or self._replica.has_work(cache_now):
            return 0.0
        due = min(self.pace.due, self.next_upkeep, monotonic() + self._replica.due_in(cache_now))
        if self._watch is None or self._watch is link or due < self._watch_until:
            self._watch, self._watch_until = link, due
            return due
        return inf

    def upkeep(self, now: float) -> None:
        """A heartbeat, and a look at the clock; nothing if both were done a moment ago."""
        with self._lock:
            if now < self.next_upkeep - UPKEEP_EARLY_SECONDS:
                return
            self.next_upkeep = now + UPKEEP_SECONDS
            was_set = self._replica.time_passed(self._clock.monotonic(), self._wall())
            self._replica.heartbeat(self._clock.monotonic())
            gone = self._removed()
        self._after_look_at_clock(was_set, gone)
        self._work()
        # Of those that were linked with last, one may wait for the first time that it hears of us.
        self.pace.seen_rose(max([_SEEN_IDLE, *(feed.seen_waits() for feed in self._feeds[-2:])]), now)
        if was_set:
            self.pace.is_left = True  # the clock's being set is news, or may be

    # -- shared by the above -----------------------------------------------------------------------------------------

    def _after_look_at_clock(self, was_set: bool, gone: list[Any]) -> None:
        if was_set:
            logger().warning("the wall clock was set: loaded values were dropped, and will be loaded again")
        if gone:
            self._notify_removed(gone)

    def _connected_locked(self) -> list[Linked]:
        """The links whose two sides know what the other has."""
        return [link for link in self._links if link.is_live and self._replica.neighbours[link].seen is not None]

    def _wait(self, is_so: Callable[[], bool], seconds: float | None) -> bool:
        with self._lock:
            self._waiters += 1
            try:
                return self._changed.wait_for(lambda: self._closed or is_so(), seconds) and is_so()
            finally:
                self._waiters -= 1

    def _peer_locked(self, link: Linked, now: float) -> Peer:
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
            found=link.found,
        )


class LinkFeed:
    """The `Feed` of one link: the exchange, for it."""

    def __init__(
        self, exchange: Exchange, replica: Replica, lock: "threading.RLock", cache_now: Callable[[], float]
    ) -> None:
        self.sent_at = -inf
        self._exchange = exchange
        self._replica = replica
        self._lock = lock  # the cache's: protects the replica
        self._cache_now = cache_now  # the cache's clock, by which lives are counted; `now` elsewhere is the system's
        self.has_rest = False
        self._next_at_once, self._has_to_send = replica.to_send_at_once, replica.has_to_send
        self._link: Linked
        self.urgent: deque[bytes] = deque()  # messages that have nothing to do with the replica
        self._came = self._news_came = False  # what concerns the replica, and what of that is news, since `pass_on`

    def join(self, link: Linked) -> None:
        """Become the feed of this link. RefusedError if there must be no such link."""
        self._link = link
        self._exchange._join(link, self)

    def leave(self) -> None:
        """The link is over."""
        self._exchange._leave(self._link)

    # -- for a log -----------------------------------------------------------------------------------------------------

    def join_log(self, log: Linked, act: Callable[[Replica, float], T]) -> T | None:
        """Do something with the replica, after which it has this log. None if that must not be now."""
        self._link = log
        return self._exchange._join_log(log, self, act)

    def take_log(self, act: Callable[[float], T]) -> T | None:
        """Do something with the log's end, which tells the replica of it; `act` is given what time it is.

        None if the replica has this log no more, since our clock was ahead.
        """
        return self._exchange._take_log(self._link, act)

    def hand_over(self, body: bytes) -> None:
        """Tell those who have dialled us how to go on with the log in our place."""
        self._exchange._hand_over(body)

    def handover_of(self, stream: str) -> Handover | None:
        """What was told of a log by who read it before, if we have all that this stands for. Under the lock."""
        return self._exchange._handover_of(stream)

    @property
    def has_followers(self) -> bool:
        """Whether anybody has dialled us."""
        return any(not link.dialled for link in self._exchange._to_nodes())

    def leave_log(self) -> None:
        """There is no log any more."""
        self._exchange._leave_log(self._link)

    def wall(self) -> float:
        """The wall clock."""
        return self._exchange._wall()

    def keep_time_by(self, wall: Callable[[], float]) -> None:
        """From here on this is the wall clock."""
        self._exchange._wall = wall
        self._exchange.look_at_clock()

    def consumed(self, has_news: bool) -> None:
        """Something came that concerns the replica."""
        self._came = True
        self._news_came = self._news_came or has_news

    @property
    def is_waited_for(self) -> bool:
        """Whether anybody waits for what others have."""
        return self._exchange._waiters > 0 or self._exchange._roll_calls.are_pending

    @property
    def queued(self) -> int:
        """Keys that are still to be told."""
        try:
            return self._replica.neighbours[self._link].queued
        except KeyError:
            return 0

    def carry_out(self, now: float) -> None:
        """Do what is due on any link."""
        self._exchange._carry_out(now)

    def heartbeat(self, now: float) -> None:
        """A ping is about to be sent."""
        exchange = self._exchange
        if now >= exchange.next_upkeep - UPKEEP_EARLY_SECONDS:
            exchange.upkeep(now)

    def due(self) -> float:
        """When to call `carry_out` again at the latest."""
        return self._exchange._due(self._link)

    def received(self, body: bytes) -> Message | None:
        """A message came."""
        kind = body[1:2]
        if kind in _OF_THE_LINK:
            return messages.decode(body)
        if kind in _ROLL_CALLS:
            self._exchange._called(self._link, body)
            return None
        if kind == _HANDOVER:
            if self._link.found == LOCAL_CLUSTER:
                self._exchange._handed.appendleft(unpack(body))
            return None
        self._came = True
        if kind in _NEWS:
            self._news_came = True
        return self._exchange._received(self._link, body)

    def pass_on(self) -> None:
        """All that has come was received."""
        if self._came:
            news_came, self._came, self._news_came = self._news_came, False, False
            self._exchange._pass_on(self, news_came)

    def pop_urgent(self) -> list[bytes]:
        """What is to be sent before anything else."""
        found = []
        while self.urgent:
            found.append(self.urgent.popleft())
        return found

    def measured(self, half_trip: float) -> None:
        """Lives are shortened by the shortest time that a message was ever seen to take."""
        self._exchange._measured(self._link, half_trip)

    # Without the lock: whoever changes what these look at sends or wakes afterwards.

    @property
    def has_news(self) -> bool:
        """Whether there is more to send than that our `seen` has changed."""
        try:
            return self._replica.has_news(self._link)
        except KeyError:
            return False

    @property
    def has_more(self) -> bool:
        """Whether there is anything to send."""
        try:
            return self._replica.has_to_send(self._link)
        except KeyError:
            return False

    @property
    def is_held_back(self) -> bool:
        """Whether news waits for more of a burst."""
        return self._exchange.pace.is_left

    def seen_waits(self) -> int:
        """Which changes of our `seen` are to be told, as a `pace.Seen`."""
        return self._exchange._seen_waits(self)

    def next_messages(self, budget: int, now: float) -> list[bytes]:
        """Fetch messages of about so many bytes."""
        self.sent_at = now
        with self._lock:
            if self._link not in self._replica.neighbours:
                return []
            bodies = self._replica.to_send(self._link, self._cache_now(), budget)
            waiting = self._replica.seen_waits(self._link)
        if waiting == _SEEN_NEWS:  # as at the end of a resync: no news may come that would bring it up
            self._exchange.pace.seen_rose(waiting, now)
        return bodies

    def next_at_once(self, now: float) -> list[bytes] | None:
        """Likewise, what makes a batch; None if to make it would take more than a moment."""
        self.sent_at = now
        link = self._link
        with self._lock:
            bodies = self._next_at_once(link, self._cache_now())
            self.has_rest = bodies is not None and self._has_to_send(link)
        return bodies
