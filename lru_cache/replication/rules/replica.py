"""What to keep, what to tell and what to believe: the rules of replication, for one node and all of its links.

No sockets, no threads, no clock, no chance: `now` (a monotonic clock's seconds) and the node's id are arguments, and
messages are bytes that somebody else carries. The network and the simulator are two drivers of this. Every method
expects the cache's lock held, and none goes through all that is held: what has to is a `Sweep`, which `work` carries on
in slices. docs/protocol.md explains the rules to whoever writes another implementation.

Three kinds of news. A *set* and an *invalidation* are authority: an application said so. A *load* is a copy of what a
source had when the load *began*, which is its version; it is always safe to drop.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from lru_cache.errors import ProtocolError
from lru_cache.store.removal import RemovalCause

from . import messages
from .batch import Batch, Shared, batch_of, shared_of
from .clock_errors import Ahead, Behind
from .event import MAXIMUM_LIFE_MS, NO_END, Event, Kind
from .forgetting import BUCKETS, Forgotten, bucket_of
from .messages import FloorRange, Floors, Goodbye, Message, Ping, Pong, Seen
from .neighbour import Neighbour
from .origins import Origins
from .outbox import Notice, notice_of
from .recent_keys import RecentKeys
from .resync import FOREVER, Resync
from .stamp import Stamp, stamp_of
from .store_view import StoreView
from .sweep import Sweep, raised_by
from .texts import key_of
from .version import NOTHING, HybridClock, Version, seconds_of, span_of, version_of
from .wire import pack_seen, read_events, read_seen

if TYPE_CHECKING:
    from lru_cache.store import Entry, Gone

MAXIMUM_HOPS = 32  # links that news crosses before it goes no further: more than any network is wide
SLICES_AT_ONCE = 4  # of what goes through all that is held
STEPS_IN_A_TURN = 16  # of a resync that finds nothing to tell; about a millisecond
BYTES_FOR_AN_EMPTY_TURN = 32_768  # what such a turn counts for, so that one call does not walk through a large store
ANNOUNCEMENTS_REMEMBERED = 10_000
HOLD_MARGIN = 0.05  # seconds, beside twice the skew
FOREVER_ALIVE = float("inf")  # as a deadline
REDATING = "our clock was set right a moment ago, and what we wrote is being dated anew"

# The same as C numbers.
_SET, _INVALIDATE, _LOAD, _TOUCH = Kind
_MOST_HOPS, _FOREVER, _LONGEST_LIFE, _NO_END = MAXIMUM_HOPS, FOREVER_ALIVE, float(MAXIMUM_LIFE_MS), NO_END
_REPLACED = RemovalCause.REPLACED


@dataclass(frozen=True)
class Limits:
    """How far a replica goes. Every one of them costs freshness or hits when it is reached, and never truth."""

    graves: int = 50_000
    outbox: int = 10_000
    origins: int = 1_024
    origin_silence: float = 86_400.0  # seconds after which a node that nobody hears of is forgotten
    value_bytes: int = 8 * 1024 * 1024
    max_clock_skew: float = 0.5
    source_lag: float = 0.0
    slice: int = 256  # entries and graves to look at before the lock is let go: some tenths of a millisecond

    def __post_init__(self) -> None:
        if not 2 <= self.origins <= messages.MAXIMUM_ORIGINS:
            raise ValueError(f"origins must be 2 to {messages.MAXIMUM_ORIGINS}, which is what a message takes")


class Counts:
    """What happened to the replica so far."""

    __slots__ = (
        "applied", "dropped_by_floors", "loads_left_out", "overflows", "refused", "repeated", "resyncs", "too_large",
    )  # fmt: skip

    def __init__(self) -> None:
        self.applied = self.repeated = self.resyncs = self.overflows = 0
        self.refused = 0  # sets that only a floor stood in the way of
        self.dropped_by_floors = self.loads_left_out = self.too_large = 0

    def __iter__(self) -> Any:
        return iter([getattr(self, name) for name in _COUNTS])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Counts) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Counts({', '.join([f'{name}={getattr(self, name)}' for name in _COUNTS])})"


_COUNTS = ("applied", "repeated", "refused", "resyncs", "overflows", "dropped_by_floors", "loads_left_out", "too_large")


class Replica:
    """One node. What it holds is in the store, what it must not forget in `forgotten`."""

    __slots__ = (
        "__weakref__", "_anchored_at", "_announced", "_announcements", "_clock", "_collected_before", "_must_redate",
        "_fresh_origins",
        "_forgot_nodes_at", "_last_node", "_links", "_news_time", "_own_seen", "_own_seen_time", "_recent", "_repairs", "_shared", "_silence",
        "_store", "_sweep", "counts", "forgotten", "hold", "limits", "neighbours", "origins",
    )  # fmt: skip

    def __init__(self, node: bytes, store: StoreView, now: float, wall: float, limits: Limits) -> None:
        self.limits = limits
        self.counts = Counts()
        self.neighbours: dict[Hashable, Neighbour] = {}
        self.hold = span_of(2 * limits.max_clock_skew + HOLD_MARGIN)
        self.forgotten = Forgotten(limits.graves, self.hold, limits.slice)
        self.origins = Origins(node, limits.origins)
        self._links: tuple[Neighbour, ...] = ()  # the neighbours
        self._store = store
        self._sweep = Sweep(store, self.hold, limits.slice)
        self._recent = RecentKeys(store.capacity + limits.graves)
        self._clock = HybridClock(now, wall)
        self._silence = span_of(limits.origin_silence)
        self._news_time = 0  # of our last write that anybody is told of
        self._forgot_nodes_at = 0  # our time of the last one; who has not seen that may lack something of theirs
        self._anchored_at = 0  # our time when the clock was last believed anew
        self._collected_before = 0
        self._announced: OrderedDict[tuple[bytes, int], None] = OrderedDict()
        self._announcements = 0
        self._last_node = b""  # that something came of
        self._fresh_origins: set[bytes] = set()  # that there was news of since our `seen` of them last rose
        self._repairs: list[Ahead | Behind] = []  # of what was written by a clock that was wrong
        self._must_redate = False
        self._shared: Shared | None = None  # what was last said on a link, which others may say, too
        self._own_seen, self._own_seen_time = b"", 0  # the message that says no more than our own time, and that time

    @property
    def node(self) -> bytes:
        """The id of this node."""
        return self.origins.node

    @property
    def seen(self) -> dict[bytes, int]:
        """Node -> time up to which everything of it is known here."""
        return self.origins.all_seen()

    @property
    def heard(self) -> dict[bytes, int]:
        """Node -> newest time of it that came here, complete or not."""
        return self.origins.all_heard()

    # -- what the application does ---------------------------------------------------------------------------------

    def set(self, key: bytes, payload: bytes, now: float) -> Stamp:
        """A value was told: the stamp to keep it with."""
        version = self._write_news(now)
        self.forgotten.exhume(key, version)
        stamp = stamp_of(key, version, True, payload, version)
        self._queue(key, version, None, 0, stamp)
        return stamp

    def invalidate(self, key: bytes, now: float) -> None:
        """A value no longer holds. The cache drops it."""
        version = self._write_news(now)
        self.forgotten.bury(key, version)
        self._queue(key, version, None, 0, None)

    def touch(self, entry: "Entry[Any, Any]", now: float) -> None:
        """A value's life has begun anew. The cache has changed its deadline."""
        stamp = entry.version
        assert isinstance(stamp, Stamp)
        stamp.life_version = self._write(now) if stamp.payload is None else self._write_news(now)
        stamp.held_in = 0  # its deadline is the entry's
        if stamp.payload is not None:
            self._queue(stamp.key, NOTHING, None, 0, None)

    def clear(self, now: float) -> None:
        """Everything older than now is dead, everywhere. The cache has dropped it all."""
        version = self._write_news(now)
        self._store.all_left()
        everything = [FloorRange(0, BUCKETS, version.time, {})]
        self._receive_floors(self._announce(everything, self.heard), None, now)

    def begin_load(self, now: float) -> Version:
        """A load begins: its version, which is when that was by the clock.

        And not by the times that we give out: after a clock was set back these run ahead of it, and a load that claims
        to have begun later than it did would survive an invalidation.
        """
        return Version(self._clock.present(now), self.node)

    def keep_load(self, key: bytes, payload: bytes | None, began: Version, now: float) -> Stamp | None:
        """A load that was not fenced has ended: the stamp to keep it with, or None if the source may have lagged."""
        held = stamp_in(self._held(key_of(key), now))
        authority = self._authority(key, held)
        if self.limits.source_lag and began.time <= authority + span_of(self.limits.source_lag):
            return None
        if held is not None:
            if held.version.after(began):
                return None
            if held.is_set:
                self.forgotten.bury(key, held.version)  # a load displaces a set: the set's age stays
        told = self._write(now) if payload is None else self._write_news(now)
        stamp = stamp_of(key, began, False, payload, told)
        if payload is not None:
            self._queue(key, NOTHING, None, 0, None)
        return stamp

    def left(self, gone: "Iterable[Gone[Any, Any]]") -> None:
        """Values were evicted or have expired. They go; what is known of their age does not."""
        for each in gone:
            stamp = each[2]
            if isinstance(stamp, Stamp):
                stamp.held_in = 0
                if stamp.is_set:
                    held = self._store.find_named(each[0])
                    if held is None or held.version is not stamp:
                        self._bury_unless_newer(stamp, self._held_set(stamp_in(held)))

    def left_for(self, gone: "Iterable[Gone[Any, Any]]", stamp: Stamp) -> None:
        """Likewise, when this was just put: in the place of what it has replaced, which need not be looked for."""
        for each in gone:
            old = each[2]
            if each[3] is not _REPLACED:
                self.left([each])
            elif isinstance(old, Stamp):
                old.held_in = 0
                if old.is_set:
                    self._bury_unless_newer(old, stamp.version if stamp.is_set else NOTHING)

    def time_passed(self, now: float, wall: float) -> bool:
        """Call about once a second. True if the clock was set: then loads, kept or in flight, are dropped."""
        self._forget_silent_nodes(now)
        drift = self._clock.drift(now, wall)
        if abs(drift) <= self.limits.max_clock_skew / 2:
            return False
        self._clock.anchor(now, wall)
        if drift < -self.limits.max_clock_skew and self._clock.is_ahead(self._latest(now)):
            self._clock.keep_pace(-drift)  # perhaps it was ahead: see `redate`
        self._store.fence_all()
        self._sweep.add_loads()
        was_anchored_at, self._anchored_at = self._anchored_at, self._clock.tick(now)
        if drift > self.limits.max_clock_skew:  # less than that the hold allows for
            self._invalidate_misdated(was_anchored_at, now)
        self._collected_before = self.forgotten.collected
        self._work_a_while(now)
        return True

    def _latest(self, now: float) -> int:
        """The latest time that a node whose clock is right may give out now."""
        return self._clock.present(now) + span_of(self.limits.max_clock_skew)

    def redate(self, node: bytes, now: float) -> None:
        """The clock was ahead: begin to date anew what was written by it, as a new node. There must be no links.

        Else no other node would believe this one for as long as its clock had been wrong. `work` goes on with that, and until it is over, there can be none.
        """
        assert not self._links
        latest, present, error = self._latest(now), self._clock.present(now), span_of(self._clock.lead)
        old = self.origins.node
        self._must_redate = False
        self._repairs.append(Ahead(self._store, self.forgotten, latest, error, present, old, node, self.limits.slice))
        self._clock.restart()
        for each in self.origins.known_after(latest):
            self.origins.forget(each)
        is_wrong = self.origins.own_time > latest
        self.origins.rename(node, now)
        if is_wrong:
            self.origins.forget(old)
        self._fresh_origins.clear()
        self._note_forgotten(now)
        self._anchored_at = self._forgot_nodes_at = self._news_time = self._write(now).time
        self._work_a_while(now)

    def _invalidate_misdated(self, since: int, now: float) -> None:
        """Our clock was behind since then. What we wrote is invalidated once more.

        What of it is in the floors nobody can tell from the rest, so then everything goes: that costs hits, and a stale
        load would last.
        """
        if self.forgotten.collected == self._collected_before:
            self._repairs.append(
                Behind(
                    self._store, self.forgotten, self.node, since, self._anchored_at, self.invalidate, self.limits.slice
                )
            )
            return
        version = self._write(now)
        everything = FloorRange(0, BUCKETS, version.time, {})
        self._sweep.add_floors({}, everything)
        self._news_time = version.time
        self._receive_floors(self._announce([everything], self.heard), None, now)

    def must_redate(self) -> bool:
        """Whether our clock was ahead, for certain: then all links have to go, and `redate` is to be called."""
        return self._must_redate

    def is_redating(self) -> bool:
        """Whether what was written by a clock that was ahead is still being dated anew."""
        return any([repair.is_ahead for repair in self._repairs])

    def has_work(self, now: float) -> bool:
        """Whether `work` would have something to do."""
        return len(self._repairs) > 0 or self._sweep.is_due(now)

    def work(self, now: float) -> bool:
        """Carry on with what goes through all that is held, for a slice of it. True if there is more to do at once."""
        if self._repairs:
            if not self._repairs[0].step(now):
                self._repairs.pop(0)
            return True
        entries = self._sweep.next_slice(now)
        if entries is None:
            return False
        for entry in entries:
            stamp = entry.version
            if self._sweep.dooms(stamp):
                self._drop_doomed(entry, stamp, now)
        self._sweep.end_slice()
        return self._sweep.is_pending

    def _work_a_while(self, now: float) -> None:
        """Begin with it, and end it where little is held."""
        for _ in range(SLICES_AT_ONCE):
            if not self.work(now):
                return

    def _drop_doomed(self, entry: "Entry[Any, Any]", stamp: object, now: float) -> None:
        self._store.drop(entry, now)
        if isinstance(stamp, Stamp):
            self.counts.dropped_by_floors += 1
            self.forgotten.changed(bucket_of(stamp.key))

    def _held(self, name: object, now: float) -> "Entry[Any, Any] | None":
        """What is held for a key, unless it is doomed: then it goes now."""
        entry = self._store.find_named(name)
        if entry is not None and self._sweep.is_pending:
            stamp = entry.version
            if self._sweep.dooms(stamp):
                self._drop_doomed(entry, stamp, now)
                return None
        return entry

    # -- links -------------------------------------------------------------------------------------------------------

    def present(self, now: float) -> int:
        """The time that it is here, to be told in a handshake."""
        return self._clock.present(now)

    def clock_refusal(self, time: int, half_trip: float, now: float) -> str | None:
        """Why a node that took this for the present must be refused, if it must.

        If our clock was set back, and another's says the same now, then it is right now, and was ahead before.
        """
        if self.is_redating():
            return REDATING
        ahead = seconds_of(time) - seconds_of(self._clock.present(now))
        if abs(ahead) <= self.limits.max_clock_skew + half_trip:
            if self._clock.lead > self.limits.max_clock_skew and self._clock.is_ahead(self._latest(now)):
                self._must_redate = True
                return REDATING
            return None
        return (
            f"its clock is {abs(ahead):.3f} s {'ahead of' if ahead > 0 else 'behind'} ours, "
            f"where {self.limits.max_clock_skew} s are allowed"
        )

    def link_up(
        self,
        link: Hashable,
        node: bytes,
        capacity: int,
        value_limit: int,
        half_trip: float = 0.0,
        dialled: bool = True,
    ) -> tuple[Hashable, str] | None:
        """A link is there, and the other end is who it says. Returns the link that is to be closed, if one is, and why.

        It may be this one, or an older one to the same node. Both ends come to the same choice: the link that the lower
        node dialled stays, and of two that one node dialled the younger, since it knows that the older is dead.
        """
        if node == self.node:
            return link, "this is a link to itself"
        if self.is_redating():
            return link, REDATING
        assert link not in self.neighbours, f"there is a link called {link!r} already"
        new = Neighbour(
            link, node, capacity, value_limit, half_trip, self.node if dialled else node, self.limits.outbox
        )
        new.ahead_allowed = span_of(self.limits.max_clock_skew + half_trip)
        new.own_seen = self.origins.own_time
        old = next((neighbour for neighbour in self._links if neighbour.node == node), None)
        if old is not None and old.dialled_by < new.dialled_by:
            return link, "there is another link to this node"
        self.origins.come(node)
        self.neighbours[link] = new
        self._links = tuple(self.neighbours.values())
        if old is None:
            return None
        self.link_down(old.link)
        return old.link, "there is another link to this node"

    def link_down(self, link: Hashable) -> None:
        """A link is gone, with all that was on its way."""
        self.neighbours.pop(link, None)
        self._links = tuple(self.neighbours.values())

    def renew(self, node: bytes, now: float) -> None:
        """Be another node with the same memory: the child of a fork. It has no links, and no loads in flight."""
        self.neighbours.clear()
        self._links = ()
        self.origins.rename(node, now)
        self._note_forgotten(now)

    def received(self, link: Hashable, body: bytes, now: float) -> Message | None:
        """A message came. Pings and goodbyes are returned, for the driver to act on; ProtocolError ends the link."""
        neighbour = self.neighbours[link]
        if cython.compiled:
            events = read_events(body, self._last_node)
            if events is not None:
                self._receive_events(events, neighbour, now)
                return None
            times = read_seen(body) if neighbour.seen is not None else None
            if times is not None:
                self._receive_seen(times, neighbour, now)
                return None
        message = messages.decode(body)
        if isinstance(message, list):
            self._receive_events(message, neighbour, now)
        elif isinstance(message, Seen):
            flat = [item for pair in message.times.items() for item in pair]
            if message.whole:
                self._require_all_present(flat, neighbour, now)
                self._greet(message, neighbour)
            elif neighbour.seen is None:
                raise ProtocolError("the first `seen` of a link must be a greeting")
            else:
                self._receive_seen(flat, neighbour, now)
        elif isinstance(message, Floors):
            self._require_present(max([reach.floor for reach in message.ranges], default=0), neighbour, now)
            self._require_present(max(message.heard.values(), default=0), neighbour, now)
            self._receive_floors(message, neighbour, now)
        elif isinstance(message, Goodbye):
            self.origins.depart(neighbour.node)
        return message if isinstance(message, Ping | Pong | Goodbye) else None

    def heartbeat(self, now: float) -> None:
        """Let every neighbour know how far we are, though nothing happened."""
        self._write(now)

    def to_send(self, link: Hashable, now: float, budget: int) -> list[bytes]:
        """Messages for a link, of about so many bytes, taken from what is to be told. Empty when that is nothing."""
        neighbour = self.neighbours[link]
        if not neighbour.greeted:
            neighbour.greeted = True
            return [messages.encode(Seen(True, self.seen))]
        bodies: list[bytes] = []
        while budget > 0 and neighbour.seen is not None:
            turn = self._turn(neighbour, now)
            if not turn and neighbour.resync is None:
                break
            bodies += turn
            budget -= sum(map(len, turn)) or BYTES_FOR_AN_EMPTY_TURN
        return bodies

    def to_send_at_once(self, link: Hashable, now: float) -> list[bytes] | None:
        """The next messages for a link, for who has just written; None if to make them may take its time."""
        neighbour = self.neighbours.get(link)
        if neighbour is None or not self.is_calm_to(neighbour):
            return None
        return self._turn(neighbour, now)

    def has_to_send(self, link: Hashable) -> bool:
        """Whether `to_send` would have something to do."""
        neighbour = self.neighbours[link]
        if not neighbour.greeted:
            return True
        if neighbour.seen is None:
            return False
        return self._has_news_for(neighbour) or (self._has_seen_for(neighbour) and not self._sweep.is_pending)

    def has_news(self, link: Hashable) -> bool:
        """Whether there is more to send than that our `seen` has changed."""
        neighbour = self.neighbours[link]
        if neighbour.seen is None:
            return not neighbour.greeted
        return self._has_news_for(neighbour)

    def seen_waits(self, link: Hashable) -> int:
        """Whether our `seen` is to be sent: 0, no; 1, there is no hurry, since no news was behind it; 2, it is."""
        neighbour = self.neighbours[link]
        if neighbour.seen is None or not self._has_seen_for(neighbour) or self._sweep.is_pending:
            return 0
        return 2 if neighbour.seen_follows_news or neighbour.outbox.has_seen() else 1

    def _has_news_for(self, neighbour: Neighbour) -> bool:
        outbox = neighbour.outbox
        return neighbour.resync is not None or outbox.overflowed or len(outbox) > 0

    def _has_seen_for(self, neighbour: Neighbour) -> bool:
        if neighbour.own_seen < self.origins.own_time or neighbour.outbox.has_seen():
            return True
        return len(neighbour.seen_changed) > 0

    def is_calm(self, link: Hashable) -> bool:
        """Whether a message for it is made in a moment, so that whoever wrote may as well do it."""
        return self.is_calm_to(self.neighbours[link])

    def is_calm_to(self, neighbour: Neighbour) -> bool:
        """Likewise."""
        is_up_to_date = neighbour.resync is None and not neighbour.outbox.overflowed
        return neighbour.greeted and neighbour.seen is not None and is_up_to_date

    def told_time(self) -> int:
        """The time of our last write that is news: who has seen it has all of ours."""
        return self._news_time

    def has_all(self, link: Hashable, time: int) -> bool:
        """Whether this neighbour is known to have everything of ours up to this time."""
        seen = self.neighbours[link].seen
        return seen is not None and seen.get(self.node, 0) >= time

    # -- telling -----------------------------------------------------------------------------------------------------

    def _write(self, now: float) -> Version:
        time = self._clock.tick(now)
        self.origins.own_time = time
        return version_of(time, self.origins.node)

    def _write_news(self, now: float) -> Version:
        version = self._write(now)
        if version.time > self._news_time:  # else a finalizer has written since the clock ticked, and that is the last
            self._news_time = version.time
        return version

    def _queue(self, key: bytes, authority: Version, source: Neighbour | None, hops: int, stamp: Stamp | None) -> None:
        """News of a key for all neighbours but the one that it came from. `stamp`: of the set that it is, if it is one."""
        if hops >= _MOST_HOPS:
            return
        notice = None
        for neighbour in self._links:
            if neighbour is not source and neighbour.seen is not None:
                if notice is None:
                    notice = notice_of(key, authority, hops, self._recent.add(key), stamp)
                outbox = neighbour.outbox
                outbox.add(notice)

    def _announce(self, ranges: list[FloorRange], heard: dict[bytes, int]) -> Floors:
        self._announcements += 1
        return Floors(self.node, self._announcements, 1, heard, ranges)

    def _turn(self, neighbour: Neighbour, now: float) -> list[bytes]:
        """A batch of events from the outbox, up to the next message there, and as many from the resync."""
        if neighbour.resync is None:
            if neighbour.outbox.overflowed:
                self.counts.overflows += 1
                self._begin_resync(neighbour, neighbour.outbox.message_dropped)
            elif not neighbour.outbox.has_seen() and not self._sweep.is_pending and self._has_seen_for(neighbour):
                self._queue_seen(neighbour)
        bodies = self._drain_outbox(neighbour, now)
        if neighbour.resync is not None:
            bodies += self._drain_resync(neighbour, neighbour.resync, now)
        return bodies

    def _drain_outbox(self, neighbour: Neighbour, now: float) -> list[bytes]:
        """A message, or more where values are large; and the message that stands in the outbox behind them."""
        outbox = neighbour.outbox
        shared = self._shared
        if shared is not None and shared.serves(neighbour.value_limit, now) and outbox.begins_with(shared.notices):
            outbox.drop_first(len(shared.notices))
            message = outbox.pop_message()
            return [*shared.bodies, message] if message is not None else list(shared.bodies)
        batch = batch_of(neighbour.value_limit)
        taken: list[Notice] = []
        message = None
        while batch.has_room:
            item = outbox.pop()
            if item is None:
                break
            if not isinstance(item, Notice):
                message = item
                break
            taken.append(item)
            self._add_notice(batch, neighbour, item, now)
        bodies = batch.bodies()
        if len(self._links) > 1 and batch.is_for_all and taken:
            self._shared = shared_of(taken, bodies, neighbour.value_limit, now)
            bodies = list(bodies)
        if message is not None:
            bodies.append(message)
        return bodies

    def _drain_resync(self, neighbour: Neighbour, resync: Resync, now: float) -> list[bytes]:
        batch = batch_of(neighbour.value_limit)
        for _ in range(STEPS_IN_A_TURN):
            if not batch.has_room:
                break
            try:
                step = resync.next()
            except StopIteration:
                if self._sweep.is_pending:  # what is doomed is not told, and `seen` covers the floors that doom it
                    break
                return [*batch.bodies(), *self._end_resync(neighbour, resync)]
            if isinstance(step, list):
                floors = self._announce(step, resync.heard)
                self._remember_announcement(floors)
                return [*batch.bodies(), messages.encode(floors)]
            if step is not None:
                self._add_events(batch, neighbour, step, now)
        return batch.bodies()

    def _add_notice(self, batch: Batch, neighbour: Neighbour, notice: Notice, now: float) -> None:
        """What is to be said of news. If the value that was news is still held, it need not be looked up."""
        stamp = notice.stamp
        if (
            stamp is not None
            and stamp.version is notice.authority
            and not self._sweep.is_pending
            and self._store.is_held(stamp)
        ):
            self._add_held(batch, neighbour, notice, stamp, stamp.deadline, now)
        else:
            self._add_events(batch, neighbour, notice, now)

    def _add_events(self, batch: Batch, neighbour: Neighbour, notice: Notice, now: float) -> None:
        """What is to be said of a key now. Its value may be another than when it became news, or gone."""
        entry = self._held(key_of(notice.key), now)
        stamp = stamp_in(entry)
        if stamp is None or entry is None:
            self._add_dead(batch, notice, NOTHING)
        elif not stamp.is_set:
            self._add_dead(batch, notice, NOTHING)
            self._add_value(batch, neighbour, stamp, entry.deadline, notice.hops + 1, now)
        elif notice.authority.after(stamp.version):
            self._add_dead(batch, notice, NOTHING)
        else:
            self._add_held(batch, neighbour, notice, stamp, entry.deadline, now)

    def _add_held(
        self, batch: Batch, neighbour: Neighbour, notice: Notice, stamp: Stamp, deadline: float, now: float
    ) -> None:
        """A set that is held, and not older than what is to be told."""
        version = stamp.version
        if notice.valueless or not self._add_value(batch, neighbour, stamp, deadline, notice.hops + 1, now):
            batch.add(_INVALIDATE, notice.key, version, notice.hops + 1, None, _NO_END, NOTHING)
        is_all = notice.authority is version or notice.authority == version
        if not is_all or notice.also or self.forgotten.grave(notice.key) is not NOTHING:
            self._add_dead(batch, notice, version)

    def _add_dead(self, batch: Batch, notice: Notice, told: Version) -> None:
        """All writes that are to be told as invalidations, one for each node, but what was told as a set."""
        dead: dict[bytes, Version] = {}
        for version in (*self.forgotten.versions(notice.key), *notice.also, notice.authority):
            if version is not NOTHING and version.after(dead.get(version.node, NOTHING)):
                dead[version.node] = version
        for version in dead.values():
            if version.node != told.node or version.after(told):
                batch.add(_INVALIDATE, notice.key, version, notice.hops + 1, None, _NO_END, NOTHING)

    def _add_value(
        self, batch: Batch, neighbour: Neighbour, stamp: Stamp, deadline: float, hops: int, now: float
    ) -> bool:
        """The value and what touched it; of one that the neighbour has, the touch alone.

        False if it cannot be told, has expired, or is more than the neighbour takes.
        """
        payload = stamp.payload
        if payload is None:
            return False
        life = _NO_END
        if deadline != _FOREVER:
            milliseconds = (deadline - now) * 1000
            if milliseconds > _LONGEST_LIFE:  # more than that nobody takes
                milliseconds = _LONGEST_LIFE
            life = int(milliseconds)
            if life <= 0:
                return False
        if len(payload) > neighbour.value_limit:
            self.counts.too_large += 1
            batch.is_for_all = False
            return False
        is_touched = stamp.life_version is not stamp.version and stamp.life_version != stamp.version
        if is_touched:
            batch.is_for_all = False
        if not (is_touched and neighbour.covers(stamp.told)):
            kind, other = (_SET, NOTHING) if stamp.is_set else (_LOAD, stamp.told)
            batch.add(kind, stamp.key, stamp.version, hops, payload, life, other)
        if is_touched:
            batch.add(_TOUCH, stamp.key, stamp.life_version, hops, None, life, stamp.version)
        return True

    def _queue_seen(self, neighbour: Neighbour) -> None:
        """Put our `seen` behind all that it covers: what changed of it, and no change of it before that."""
        own_time = self.origins.own_time
        is_own_new = neighbour.own_seen < own_time
        neighbour.own_seen = own_time
        neighbour.seen_follows_news = False
        if not neighbour.seen_changed:
            neighbour.outbox.add_seen(self._own_seen_message(own_time))
            return
        # Another set first: of what a finalizer writes from here on `seen` is to be told again.
        neighbour.seen_changed, changed = set(), neighbour.seen_changed
        known = self.origins.seen
        nodes = [node for node in changed if node in known]
        times = [known[node] for node in nodes]
        if is_own_new:
            nodes.append(self.origins.node)
            times.append(own_time)
        neighbour.outbox.add_seen(_seen_message(nodes, times))

    def _own_seen_message(self, own_time: int) -> bytes:
        """That we are so far: the same for all links."""
        if self._own_seen_time != own_time:
            self._own_seen = _seen_message([self.origins.node], [own_time])
            self._own_seen_time = own_time
        return self._own_seen

    def _seen_changed(self, node: bytes, time: int) -> None:
        """What we have seen of a node has risen to this time. A neighbour that has that much itself has no use for it.

        But the node itself has, if it followed news: it waits to hear that the news has arrived.
        """
        follows_news = node in self._fresh_origins
        if follows_news:
            self._fresh_origins.discard(node)
        for neighbour in self._links:
            theirs = neighbour.seen
            is_awaited = follows_news and neighbour.node == node
            if is_awaited or theirs is None or time > theirs.get(node, 0):
                neighbour.seen_changed.add(node)
                if follows_news:
                    neighbour.seen_follows_news = True

    def _end_resync(self, neighbour: Neighbour, resync: Resync) -> list[bytes]:
        self.counts.loads_left_out += resync.left_out
        if resync.lacks_floors:
            self._begin_resync(neighbour, True)
            return []
        neighbour.resync = None
        neighbour.changes_told = resync.changes
        return [messages.encode(Seen(False, resync.seen))]

    def _begin_resync(self, neighbour: Neighbour, whole: bool) -> None:
        """From here on the outbox holds what happens after this moment, and the resync what was before.

        Unless it is to be whole, that is the news which the outbox has dropped, if all of it is remembered. The order
        is that in which what a finalizer writes meanwhile is told twice rather than never: it waits in the outbox, and
        what of it `seen` covers is there when the resync looks.
        """
        assert neighbour.seen is not None
        self.counts.resyncs += 1
        last_kept = neighbour.outbox.last_kept
        neighbour.outbox.restart()
        neighbour.seen_changed = set()
        neighbour.own_seen = self.origins.own_time
        neighbour.resync = Resync(
            self._store,
            self.forgotten,
            self.origins,
            self._sweep,
            neighbour.seen,
            self._stable_time,
            neighbour.changes_told,
            neighbour.capacity,
            self.limits.slice,
            None if whole else self._recent.since(last_kept),
        )

    def _stable_time(self, peer_seen: dict[bytes, int]) -> int:
        """Nothing that was forgotten here up to this time can be news to the peer.

        The smallest of what it has seen of those nodes of which it lacks something. If we have forgotten nodes since we
        last knew it up to date, it may lack anything of theirs.
        """
        if peer_seen.get(self.node, 0) < self._forgot_nodes_at:
            return 0
        heard = self.heard.items()
        return min([peer_seen.get(n, 0) for n, time in heard if peer_seen.get(n, 0) < time], default=FOREVER)

    # -- believing ---------------------------------------------------------------------------------------------------

    def _require_present(self, newest: int, neighbour: Neighbour, now: float) -> None:
        """Refuse times from the future before they move our clock, and with it everybody's."""
        if newest - neighbour.ahead_allowed > self._clock.present(now):
            ahead = seconds_of(newest) - seconds_of(self._clock.present(now))
            raise ProtocolError(f"it told a time that is {ahead:.3f} s ahead of our clock")

    def _require_all_present(self, times: list[Any], neighbour: Neighbour, now: float) -> None:
        """Likewise of nodes and times, in turn."""
        for i in range(1, len(times), 2):
            self._require_present(times[i], neighbour, now)

    def _receive_events(self, events: list[Event], source: Neighbour, now: float) -> None:
        newest = NOTHING
        is_of_one = True  # node: then what is known of it need not be looked up for each
        for event in events:
            version = event.version
            if newest is not NOTHING and version.node is not newest.node and version.node != newest.node:
                is_of_one = False
            if version.after(newest):
                newest = version
            other = event.other
            if other is not NOTHING:
                if other.node != newest.node:
                    is_of_one = False
                if other.after(newest):
                    newest = other
        if newest is NOTHING:
            return
        self._require_present(newest.time, source, now)
        self._last_node = newest.node
        if is_of_one:
            if self._hear(newest, now):
                self._fresh_origins.add(newest.node)
            seen = self.origins.seen_of(newest.node)
            for event in events:
                told = event.other if event.kind == _LOAD else event.version
                if event.kind != _TOUCH and told.time <= seen:
                    self.counts.repeated += 1
                else:
                    self._merge_news(event, source, now)
        else:
            self._hear_all(events, now)
            for event in events:
                self._merge(event, source, now)

    def _hear_all(self, events: list[Event], now: float) -> None:
        newest: dict[bytes, Version] = {}
        for event in events:
            for version in (event.version, event.other):
                if version is not NOTHING and version.after(newest.get(version.node, NOTHING)):
                    newest[version.node] = version
        for version in sorted(newest.values()):
            if self._hear(version, now):
                self._fresh_origins.add(version.node)

    def _hear(self, version: Version, now: float) -> bool:
        """Take note of a node's time. False if it is one that we would have forgotten by now."""
        self._clock.hear(version.time)
        is_known = self.origins.hear(version, self._clock.present(now), self._silence, now)
        if not is_known:
            self._forgot_nodes_at = self._write(now).time
        self._note_forgotten(now)
        return is_known

    def _authority(self, key: bytes, stamp: Stamp | None) -> int:
        """The newest time of a set or an invalidation that is known for a key, as far as it is not held as a set."""
        held = stamp.version.time if stamp is not None and stamp.is_set else self.forgotten.floor(key)
        return max(self.forgotten.grave(key).time, held)

    def _merge(self, event: Event, source: Neighbour, now: float) -> None:
        told = event.other if event.kind == _LOAD else event.version
        if event.kind != _TOUCH and told.time <= self.origins.seen_of(told.node):
            self.counts.repeated += 1
        else:
            self._merge_news(event, source, now)

    def _merge_news(self, event: Event, source: Neighbour, now: float) -> None:
        name = key_of(event.key)
        entry = self._held(name, now)
        stamp = stamp_in(entry)
        kind = event.kind
        if kind == _SET:
            applied = self._merge_set(event, name, entry, stamp, source, now)
        elif kind == _INVALIDATE:
            applied = self._merge_invalidate(event, name, entry, stamp, source, now)
        elif kind == _LOAD:
            applied = self._merge_load(event, name, entry, stamp, source, now)
        else:
            applied = self._merge_touch(event, name, entry, stamp, source, now)
        self.counts.applied += applied

    def _merge_load(
        self, event: Event, name: object, entry: "Entry[Any, Any] | None", stamp: Stamp | None, source: Neighbour,
        now: float,
    ) -> bool:  # fmt: skip
        if stamp is not None and (stamp.is_set or not event.version.after(stamp.version)):
            return False  # a copy never replaces what was told, nor a younger copy
        if event.version.time <= self._authority(event.key, stamp) + self.hold:
            return False
        deadline = self._deadline(event, source, now)
        if deadline <= now or (entry is None and self._store.is_crowded(name)):
            return False
        kept = stamp_of(event.key, event.version, False, event.payload, event.other)
        self._keep(entry, name, kept, deadline, now)
        self._queue(event.key, NOTHING, source, event.hops, None)
        return True

    def _merge_touch(
        self, event: Event, _name: object, entry: "Entry[Any, Any] | None", stamp: Stamp | None, source: Neighbour,
        now: float,
    ) -> bool:  # fmt: skip
        if entry is None or stamp is None:
            return False
        if stamp.version != event.other or not event.version.after(stamp.life_version):
            return False
        stamp.life_version = event.version
        stamp.held_in = 0  # its deadline is the entry's
        self._store.prolong(entry, self._deadline(event, source, now))
        self._queue(event.key, NOTHING, source, event.hops, None)
        return True

    def _merge_invalidate(
        self, event: Event, name: object, entry: "Entry[Any, Any] | None", stamp: Stamp | None, source: Neighbour,
        now: float,
    ) -> bool:  # fmt: skip
        key, version = event.key, event.version
        self._store.fence(name)
        held, grave = self._held_set(stamp), self.forgotten.grave(key)
        newest = held if held.after(grave) else grave
        if not version.after(newest) and not self._is_concurrent(key, version, newest):
            if version.time > newest.time - self.hold:
                return False
            return self._drop_load_before(entry, stamp, version, source, event.hops, now)
        self._drop_unless_newer(entry, stamp, version, now)
        self.forgotten.bury(key, version)
        self._queue(key, version, source, event.hops, None)
        return True

    def _merge_set(
        self, event: Event, name: object, entry: "Entry[Any, Any] | None", stamp: Stamp | None, source: Neighbour,
        now: float,
    ) -> bool:  # fmt: skip
        key, version = event.key, event.version
        held, grave = self._held_set(stamp), self.forgotten.grave(key)
        deadline = self._deadline(event, source, now)
        if held is NOTHING and version.time <= self.forgotten.floor(key) and version.after(grave):
            # Perhaps superseded by something forgotten. Refuse the value, but let it be known, here and onwards, that
            # anything older is dead: somebody beyond may hold something older.
            self.counts.refused += 1
            return self._merge_invalidate(event, name, entry, stamp, source, now)
        is_past = stamp is not None and not stamp.is_set and self._has_passed(stamp, version, event.payload)
        is_past = is_past or deadline <= now or (entry is None and self._store.is_crowded(name))
        if not version.after(held) or not version.after(grave) or is_past:
            # The value is past (or one too many), but not that what is older is dead.
            return self._merge_invalidate(event, name, entry, stamp, source, now)
        self._store.fence(name)
        if grave is not NOTHING:
            self.forgotten.exhume(key, version)
        kept = stamp_of(key, version, True, event.payload, version)
        self._keep(entry, name, kept, deadline, now)
        self._queue(key, version, source, event.hops, kept)
        return True

    def _has_passed(self, load: Stamp, version: Version, payload: bytes | None) -> bool:
        """Whether a load that is held has gone past this set: who has read it must not read something older next.

        Of one that began within the hold after the set nobody knows whether it saw it, unless it is the same.
        """
        if not load.version.after(version):
            return False
        return self._safely_after(load, version) or load.payload != payload

    def _held_set(self, stamp: Stamp | None) -> Version:
        return stamp.version if stamp is not None and stamp.is_set else NOTHING

    def _is_concurrent(self, key: bytes, version: Version, newest: Version) -> bool:
        """Whether a write that is not the newest may still be news: a load may have seen the newest and not this one.

        Then others have to be told of both.
        """
        return self._are_near(version, newest) and not self.forgotten.knows(key, version)

    def _are_near(self, older: Version, newer: Version) -> bool:
        """Whether a load may have seen the newer write and not the older one. A node sees its own in order."""
        return older.time > newer.time - self.hold and older.node != newer.node

    def _drop_unless_newer(
        self, entry: "Entry[Any, Any] | None", stamp: Stamp | None, version: Version, now: float
    ) -> None:
        """A write came: a set that is newer stays, and so does a load that began safely after it."""
        if entry is None:
            return
        if stamp is not None:
            if stamp.version.after(version) if stamp.is_set else self._safely_after(stamp, version):
                return
            if stamp.is_set and self._are_near(stamp.version, version):
                self.forgotten.bury(stamp.key, stamp.version)
        self._store.drop(entry, now)

    def _drop_load_before(
        self,
        entry: "Entry[Any, Any] | None",
        stamp: Stamp | None,
        version: Version,
        source: Neighbour,
        hops: int,
        now: float,
    ) -> bool:
        """An old write came. A load that was made here after a newer one may still be older than this one.

        As it is where the newer one was dated by a clock that was ahead.
        """
        if entry is None or stamp is None or stamp.is_set or self._safely_after(stamp, version):
            return False
        self._store.drop(entry, now)
        self._queue(stamp.key, version, source, hops, None)
        return True

    def _safely_after(self, load: Stamp, version: Version) -> bool:
        """Whether a load began so long after a write that it must have seen it, whatever the clocks."""
        return load.version.time > version.time + self.hold

    def _deadline(self, event: Event, source: Neighbour, now: float) -> float:
        return _FOREVER if event.life < 0 else now + event.life / 1000.0 - source.half_trip

    def _keep(self, entry: "Entry[Any, Any] | None", name: object, stamp: Stamp, deadline: float, now: float) -> None:
        gone = self._store.keep(entry, name, stamp, now, deadline)
        if gone is not None:
            self.left_for(gone, stamp)

    def _bury_unless_newer(self, stamp: Stamp, newer: Version) -> None:
        """A set has left. If a newer set took its place, that one's age says enough, unless the two are concurrent."""
        if not newer.after(stamp.version) or self._are_near(stamp.version, newer):
            self.forgotten.bury(stamp.key, stamp.version)

    def _greet(self, message: Seen, source: Neighbour) -> None:
        """The neighbour says what it has, which is not yet what we have."""
        if source.seen is not None:
            raise ProtocolError("a second greeting")
        source.seen = dict(message.times)
        self._begin_resync(source, True)

    def _receive_seen(self, times: list[Any], source: Neighbour, now: float) -> None:
        """The neighbour has told us all that this covers, nodes and times in turn. So it is ours as well."""
        self._require_all_present(times, source, now)
        theirs = source.seen
        assert theirs is not None
        for i in range(0, len(times), 2):
            node, time = times[i], times[i + 1]
            if time > theirs.get(node, 0):
                theirs[node] = time
            if time > self.origins.seen_of(node) and self._hear(version_of(time, node), now):
                if node != self.origins.node:
                    self.origins.seen[node] = time
                    self._seen_changed(node, time)
        if len(theirs) > messages.MAXIMUM_ORIGINS:  # what it has of nodes that we do not know is no use to us
            for node in theirs.keys() - self.heard.keys():
                del theirs[node]

    def _receive_floors(self, floors: Floors, source: Neighbour | None, now: float) -> None:
        if not self._remember_announcement(floors):
            return
        for node, time in floors.heard.items():  # a floor may stand for anything that its teller had heard
            if self._hear(version_of(time, node), now) and node == floors.announcer:
                self._fresh_origins.add(node)
        raised, everywhere = raised_by(floors.ranges)
        if source is not None:  # what is cleared here the cache has dropped
            self._sweep.add_floors(raised, everywhere)
        if everywhere is not None:
            self._store.fence_all()
            self._clock.hear(everywhere.floor)
            self.forgotten.raise_all(everywhere.floor)
        else:
            self._store.fence_where(raised.__contains__)
        for bucket, reach in raised.items():
            self._clock.hear(reach.floor)
            self.forgotten.raise_floor(bucket, reach.floor)
        if floors.hops < MAXIMUM_HOPS:
            body = messages.encode(floors._replace(hops=floors.hops + (source is not None)))
            for neighbour in self._links:
                if neighbour is not source and neighbour.seen is not None:
                    neighbour.outbox.add_message(body)
        self._work_a_while(now)

    def _remember_announcement(self, floors: Floors) -> bool:
        name = (floors.announcer, floors.serial)
        if name in self._announced:
            return False
        self._announced[name] = None
        if len(self._announced) > ANNOUNCEMENTS_REMEMBERED:
            self._announced.popitem(last=False)
        return True

    # -- nodes that are gone -------------------------------------------------------------------------------------------

    def _forget_silent_nodes(self, now: float) -> None:
        while (node := self.origins.silent_since(now - self.limits.origin_silence)) is not None:
            self.origins.forget(node)
            self._note_forgotten(now)

    def _note_forgotten(self, now: float) -> None:
        """Nodes were let go of. Neighbours that hear of us after this have what we had of them."""
        for node in self.origins.pop_forgotten():
            self._fresh_origins.discard(node)
            for neighbour in self._links:
                neighbour.seen_changed.discard(node)
            self._forgot_nodes_at = self._write(now).time


def stamp_in(entry: "Entry[Any, Any] | None") -> Stamp | None:
    """What replication knows of what is held, if it knows anything."""
    if entry is None:
        return None
    stamp = entry.version
    return stamp if isinstance(stamp, Stamp) else None


def _seen_message(nodes: list[bytes], times: list[int]) -> bytes:
    body = pack_seen(nodes, times) if cython.compiled else None
    return messages.encode(Seen(False, dict(zip(nodes, times, strict=True)))) if body is None else body
