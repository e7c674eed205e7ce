"""What to keep, what to tell and what to believe: the rules of replication, for one node and all of its links.

No sockets, no threads, no clock, no chance: `now` (a monotonic clock's seconds) and the node's id are arguments, and
messages are bytes that somebody else carries. The network and the simulator are two drivers of this. Every method
expects the cache's lock held. docs/protocol.md explains the rules to whoever writes another implementation.

Three kinds of news. A *set* and an *invalidation* are authority: an application said so. A *load* is a copy of what a
source had when the load *began*, which is its version; it is always safe to drop.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lru_cache.errors import ProtocolError
from lru_cache.replication import messages
from lru_cache.replication.encoding import decode_key
from lru_cache.replication.forgetting import BUCKETS, Forgotten, bucket_of
from lru_cache.replication.messages import Event, FloorRange, Floors, Goodbye, Kind, Message, Ping, Pong, Seen
from lru_cache.replication.neighbour import Neighbour
from lru_cache.replication.news import News
from lru_cache.replication.outbox import Telling, telling_of
from lru_cache.replication.resync import FOREVER, Resync
from lru_cache.replication.shelf import Shelf
from lru_cache.replication.short_cuts import Batch, ShortCuts, Stamp
from lru_cache.replication.version import NOTHING, HybridClock, Version, seconds_of, span_of, version_of

if TYPE_CHECKING:
    from lru_cache.store import Entry, Gone

MAXIMUM_HOPS = 32  # links that news crosses before it goes no further: more than any network is wide
STEPS_IN_A_TURN = 4096  # of a resync that finds nothing to tell; about a millisecond
BYTES_FOR_AN_EMPTY_TURN = 32_768  # what such a turn counts for, so that one call does not walk through a large store
ANNOUNCEMENTS_REMEMBERED = 10_000
HOLD_MARGIN = 0.05  # seconds, beside twice the skew
FOREVER_ALIVE = float("inf")  # as a deadline
_EVENTS_VERSION = attrgetter("version")


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

    def __post_init__(self) -> None:
        if not 2 <= self.origins <= messages.MAXIMUM_ORIGINS:
            raise ValueError(f"origins must be 2 to {messages.MAXIMUM_ORIGINS}, which is what a message takes")


@dataclass
class Counts:
    """What happened to the replica so far."""

    applied: int = 0
    repeated: int = 0
    refused: int = 0  # sets that only a floor stood in the way of
    resyncs: int = 0
    overflows: int = 0
    dropped_by_floors: int = 0
    loads_left_out: int = 0
    too_large: int = 0


class Replica:
    """One node. What it holds is on the shelf, what it must not forget in `forgotten`."""

    def __init__(self, node: bytes, shelf: Shelf, now: float, wall: float, limits: Limits) -> None:
        self.node = node
        self.limits = limits
        self.counts = Counts()
        self.neighbours: dict[Hashable, Neighbour] = {}
        self.hold = span_of(2 * limits.max_clock_skew + HOLD_MARGIN)
        self.forgotten = Forgotten(limits.graves, self.hold)
        self.seen: dict[bytes, int] = {}  # node -> time up to which everything of it is known here
        self.heard: dict[bytes, int] = {}  # node -> newest time of it that came here, complete or not
        self._shelf = shelf
        self._news = News(shelf.capacity + limits.graves)
        self._clock = HybridClock(now, wall)
        self._heard_at: OrderedDict[bytes, float] = OrderedDict()  # node -> when `heard` last rose, oldest first
        self._departed: dict[bytes, None] = {}  # nodes that said goodbye, and were not heard of since
        self._forgot_nodes_at = 0  # our time of the last one; who has not seen that may lack something of theirs
        self._anchored_at = 0  # our time when the clock was last believed anew
        self._collected_before = 0
        self._announced: OrderedDict[tuple[bytes, int], None] = OrderedDict()
        self._announcements = 0
        self._merges = {
            Kind.SET: self._merge_set,
            Kind.INVALIDATE: self._merge_invalidate,
            Kind.LOAD: self._merge_load,
            Kind.TOUCH: self._merge_touch,
        }
        self.short_cuts = ShortCuts(self)

    # -- what the application does ---------------------------------------------------------------------------------

    def set(self, key: bytes, payload: bytes, now: float) -> Stamp:
        """A value was told: the stamp to keep it with."""
        return self.short_cuts.set(key, payload, now)

    def invalidate(self, key: bytes, now: float) -> None:
        """A value no longer holds. The cache drops it."""
        version = self._write(now)
        self.forgotten.bury(key, version)
        self._tell(key, version, None)

    def touch(self, entry: "Entry[Any, Any]", now: float) -> None:
        """A value's life has begun anew. The cache has changed its deadline."""
        stamp = entry.version
        assert isinstance(stamp, Stamp)
        stamp.life_version = self._write(now)
        if stamp.payload is not None:
            self._tell(stamp.key, NOTHING, None)

    def clear(self, now: float) -> None:
        """Everything older than now is dead, everywhere. The cache drops it all."""
        version = self._write(now)
        everything = [FloorRange(0, BUCKETS, version.time, {})]
        self._take_floors(self._announce(everything, dict(self.heard)), None, now)

    def begin_load(self, now: float) -> Version:
        """A load begins: its version, which is when that was by the clock.

        And not by the times that we give out: after a clock was set back these run ahead of it, and a load that claims
        to have begun later than it did would survive an invalidation.
        """
        return Version(self._clock.present(now), self.node)

    def keep_load(self, key: bytes, payload: bytes | None, began: Version, now: float) -> Stamp | None:
        """A load that was not fenced has ended: the stamp to keep it with, or None if the source may have lagged."""
        held = self._shelf.find(key)
        stamp = held.version if held is not None else None
        authority = self._authority(key, stamp)
        if self.limits.source_lag and began.time <= authority + span_of(self.limits.source_lag):
            return None
        if isinstance(stamp, Stamp):
            if stamp.version > began:
                return None
            if stamp.is_set:
                self.forgotten.bury(key, stamp.version)  # a load displaces a set: the set's age stays
        told = self._write(now)
        if payload is not None:
            self._tell(key, NOTHING, None)
        return Stamp(key, began, False, payload, told)

    def left(self, gone: "Iterable[Gone[Any, Any]]") -> None:
        """Values were evicted or have expired. They go; what is known of their age does not."""
        for name, _, stamp, _ in gone:
            if isinstance(stamp, Stamp) and stamp.is_set:
                held = self._shelf.find_named(name)
                if held is None or held.version is not stamp:
                    self._bury_unless_newer(stamp, held)

    def time_passed(self, now: float, wall: float) -> bool:
        """Call about once a second. True if the clock was set: then loads, kept or in flight, were dropped."""
        self._forget_silent_nodes(now)
        if abs(self._clock.drift(now, wall)) <= self.limits.max_clock_skew / 2:
            return False
        was_behind = self._clock.drift(now, wall) > self.limits.max_clock_skew  # less than that the hold allows for
        self._clock.anchor(now, wall)
        if was_behind:
            self._tell_misdated_again(now)
        self._anchored_at, self._collected_before = self._clock.tick(now), self.forgotten.collected
        self._shelf.fence_where(lambda _: True)
        for entry in self._shelf.entries():
            if not (isinstance(entry.version, Stamp) and entry.version.is_set):
                self._shelf.drop(entry, now)
        return True

    def _tell_misdated_again(self, now: float) -> None:
        """Our clock was behind: loads elsewhere that began before our writes look as if they began safely after them.

        So all that was written by that clock is invalidated once more. What of it is in the floors nobody can tell from
        the rest, so then everything goes: that costs hits, and a stale load would last.
        """
        if self.forgotten.collected > self._collected_before:
            for entry in self._shelf.entries():
                self._shelf.drop(entry, now)
            self.clear(now)
            return

        def is_misdated(version: Version) -> bool:
            return version.node == self.node and version.time >= self._anchored_at

        keys = {key for key, _ in self.forgotten.graves() if any(map(is_misdated, self.forgotten.versions(key)))}
        for entry in self._shelf.entries():
            stamp = entry.version
            if isinstance(stamp, Stamp) and stamp.is_set and (stamp.key in keys or is_misdated(stamp.version)):
                keys.add(stamp.key)
                self._shelf.drop(entry, now)
        for key in sorted(keys):
            self.invalidate(key, now)

    # -- links -------------------------------------------------------------------------------------------------------

    def present(self, now: float) -> int:
        """The time that it is here, to be told in a handshake."""
        return self._clock.present(now)

    def clock_refusal(self, time: int, half_trip: float, now: float) -> str | None:
        """Why a node that took this for the present must be refused, if it must."""
        ahead = seconds_of(time) - seconds_of(self._clock.present(now))
        if abs(ahead) <= self.limits.max_clock_skew + half_trip:
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
        assert link not in self.neighbours, f"there is a link called {link!r} already"
        new = Neighbour(
            link, node, capacity, value_limit, half_trip, self.node if dialled else node, self.limits.outbox
        )
        new.ahead_allowed = span_of(self.limits.max_clock_skew + half_trip)
        old = next((neighbour for neighbour in self.neighbours.values() if neighbour.node == node), None)
        if old is not None and old.dialled_by < new.dialled_by:
            return link, "there is another link to this node"
        self._departed.pop(node, None)
        self.neighbours[link] = new
        if old is None:
            return None
        self.link_down(old.link)
        return old.link, "there is another link to this node"

    def link_down(self, link: Hashable) -> None:
        """A link is gone, with all that was on its way."""
        self.neighbours.pop(link, None)

    def renew(self, node: bytes, now: float) -> None:
        """Be another node with the same memory: the child of a fork. It has no links, and no loads in flight."""
        self.neighbours.clear()
        if self.node in self.heard:
            self._heard_at[self.node] = now  # from here on it is a node like others
        self.node = node
        if len(self._heard_at) >= self.limits.origins:
            self._forget_node(self._least_missed(), now)

    def received(self, link: Hashable, body: bytes, now: float) -> Message | None:
        """A message came. Pings and goodbyes are returned, for the driver to act on; ProtocolError ends the link."""
        neighbour = self.neighbours[link]
        if self.short_cuts.take(body, neighbour, now):
            return None
        message = messages.decode(body)
        if isinstance(message, list):
            self._take_events(message, neighbour, now)
        elif isinstance(message, Seen):
            self._require_present(max(message.times.values(), default=0), neighbour, now)
            if message.whole:
                self._greet(message, neighbour)
            else:
                self._take_seen(message, neighbour, now)
        elif isinstance(message, Floors):
            self._require_present(max((r.floor for r in message.ranges), default=0), neighbour, now)
            self._require_present(max(message.heard.values(), default=0), neighbour, now)
            self._take_floors(message, neighbour, now)
        elif isinstance(message, Goodbye):
            self._take_goodbye(neighbour)
        return message if isinstance(message, Ping | Pong | Goodbye) else None

    def heartbeat(self, now: float) -> None:
        """Let every neighbour know how far we are, though nothing happened."""
        self._write(now)

    def to_send(self, link: Hashable, now: float, budget: int) -> list[bytes]:
        """Messages for a link, of about so many bytes, taken from what is to be told. Empty when that is nothing."""
        neighbour = self.neighbours[link]
        if not neighbour.greeted:
            neighbour.greeted = True
            return [messages.encode(Seen(True, dict(self.seen)))]
        bodies: list[bytes] = []
        while budget > 0 and neighbour.seen is not None:
            turn = self._turn(neighbour, now)
            if not turn and neighbour.resync is None:
                break
            bodies += turn
            budget -= sum(map(len, turn)) or BYTES_FOR_AN_EMPTY_TURN
        return bodies

    def has_to_send(self, link: Hashable) -> bool:
        """Whether `to_send` would have something to do."""
        neighbour = self.neighbours[link]
        if not neighbour.greeted:
            return True
        outbox = neighbour.outbox
        waiting = outbox or neighbour.seen_changed or outbox.overflowed or neighbour.resync is not None
        return neighbour.seen is not None and bool(waiting)

    def has_news(self, link: Hashable) -> bool:
        """Whether there is more to send than that our `seen` has changed."""
        neighbour = self.neighbours[link]
        if neighbour.seen is None:
            return not neighbour.greeted
        return neighbour.resync is not None or neighbour.outbox.overflowed or len(neighbour.outbox) > 0

    def is_calm(self, link: Hashable) -> bool:
        """Whether a message for it is made in a moment, so that whoever wrote may as well do it."""
        neighbour = self.neighbours[link]
        is_up_to_date = neighbour.resync is None and not neighbour.outbox.overflowed
        return neighbour.greeted and neighbour.seen is not None and is_up_to_date

    def told_time(self) -> int:
        """The time of our last write: who has seen it has all of ours."""
        return self.seen.get(self.node, 0)

    def has_all(self, link: Hashable, time: int) -> bool:
        """Whether this neighbour is known to have everything of ours up to this time."""
        seen = self.neighbours[link].seen
        return seen is not None and seen.get(self.node, 0) >= time

    # -- telling -----------------------------------------------------------------------------------------------------

    def _write(self, now: float) -> Version:
        node = self.node
        time = self._clock.tick(now)
        self.seen[node] = self.heard[node] = time
        self._seen_changed(node)
        return version_of((time, node))

    def _seen_changed(self, node: bytes) -> None:
        for neighbour in self.neighbours.values():
            neighbour.seen_changed.add(node)

    def _tell(self, key: bytes, authority: Version, source: Neighbour | None, hops: int = 0) -> None:
        """News of a key for all neighbours but the one that it came from."""
        if hops >= MAXIMUM_HOPS:
            return
        told = [each for each in self.neighbours.values() if each is not source and each.seen is not None]
        if told:
            telling = telling_of((authority, hops, self._news.add(key), False, ()))
            for neighbour in told:
                neighbour.outbox.tell(key, telling)

    def _announce(self, ranges: list[FloorRange], heard: dict[bytes, int]) -> Floors:
        self._announcements += 1
        return Floors(self.node, self._announcements, 1, heard, ranges)

    def _turn(self, neighbour: Neighbour, now: float) -> list[bytes]:
        """A batch of events from the outbox, up to the next remark, and as many from the resync."""
        if neighbour.resync is None:
            if neighbour.outbox.overflowed:
                self.counts.overflows += 1
                self._begin_resync(neighbour, neighbour.outbox.remark_dropped)
            elif neighbour.seen_changed and not neighbour.outbox.has_seen:
                self._remark_seen(neighbour)
        bodies = self._drain_outbox(neighbour, now)
        if neighbour.resync is not None:
            bodies += self._drain_resync(neighbour, neighbour.resync, now)
        return bodies

    def _drain_outbox(self, neighbour: Neighbour, now: float) -> list[bytes]:
        batch = Batch(neighbour.value_limit)
        remark = self.short_cuts.drain(batch, neighbour, now)
        return batch.bodies() if remark is None else [*batch.bodies(), remark]

    def _drain_resync(self, neighbour: Neighbour, resync: Resync, now: float) -> list[bytes]:
        batch = Batch(neighbour.value_limit)
        for _ in range(STEPS_IN_A_TURN):
            if not batch.has_room:
                break
            try:
                step = resync.next()
            except StopIteration:
                return [*batch.bodies(), *self._end_resync(neighbour, resync)]
            if isinstance(step, list):
                floors = self._announce(step, resync.heard)
                self._remember_announcement(floors)
                return [*batch.bodies(), messages.encode(floors)]
            if step is not None:
                self._add_events(batch, neighbour, *step, now)
        return batch.bodies()

    def _add_events(self, batch: Batch, neighbour: Neighbour, key: bytes, telling: Telling, now: float) -> None:
        """What is to be said of a key now. Its value may be another than when it became news, or gone."""
        hops = telling.hops + 1
        entry = self._shelf.find(key)
        stamp = entry.version if entry is not None else None
        if entry is None or not isinstance(stamp, Stamp):
            self._add_dead(batch, key, telling, hops, NOTHING)
        elif not stamp.is_set:
            self._add_dead(batch, key, telling, hops, NOTHING)
            self._add_value(batch, neighbour, stamp, entry, hops, now)
        elif stamp.version < telling.authority:
            self._add_dead(batch, key, telling, hops, NOTHING)
        else:
            if telling.valueless or not self._add_value(batch, neighbour, stamp, entry, hops, now):
                batch.add(Kind.INVALIDATE, key, stamp.version, hops)
            if telling.authority != stamp.version or telling.also or self.forgotten.grave(key) is not NOTHING:
                self._add_dead(batch, key, telling, hops, stamp.version)

    def _add_dead(self, batch: Batch, key: bytes, telling: Telling, hops: int, told: Version) -> None:
        """All writes that are to be told as invalidations, one for each node, but what was told as a set."""
        dead: dict[bytes, Version] = {}
        for version in (*self.forgotten.versions(key), *telling.also, telling.authority):
            if version is not NOTHING and version > dead.get(version.node, NOTHING):
                dead[version.node] = version
        for version in dead.values():
            if version.node != told.node or version > told:
                batch.add(Kind.INVALIDATE, key, version, hops)

    def _add_value(
        self, batch: Batch, neighbour: Neighbour, stamp: Stamp, entry: "Entry[Any, Any]", hops: int, now: float
    ) -> bool:
        """The value and what touched it; of one that the neighbour has, the touch alone.

        False if it cannot be told, has expired, or is more than the neighbour takes.
        """
        payload = stamp.payload
        if payload is None:
            return False
        life = None
        if entry.deadline != FOREVER_ALIVE:
            life = int(min((entry.deadline - now) * 1000, messages.MAXIMUM_LIFE_MS))  # more than that nobody takes
            if life <= 0:
                return False
        if len(payload) > neighbour.value_limit:
            self.counts.too_large += 1
            return False
        is_touched = stamp.life_version != stamp.version
        if not (is_touched and neighbour.covers(stamp.told)):
            kind, other = (Kind.SET, NOTHING) if stamp.is_set else (Kind.LOAD, stamp.told)
            batch.add(kind, stamp.key, stamp.version, hops, payload, life, other)
        if is_touched:
            batch.add(Kind.TOUCH, stamp.key, stamp.life_version, hops, None, life, stamp.version)
        return True

    def _remark_seen(self, neighbour: Neighbour) -> None:
        """Put our `seen` behind all that it covers: what changed of it, and no change of it before that."""
        # Another set first: of what a finalizer writes from here on `seen` is to be told again.
        neighbour.seen_changed, nodes = set(), neighbour.seen_changed
        changed = {node: self.seen[node] for node in nodes if node in self.seen}
        neighbour.outbox.remark_seen(messages.encode(Seen(False, changed)))

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
        told = neighbour.outbox.told
        neighbour.outbox.restart()
        neighbour.seen_changed = set()
        seen, heard = dict(self.seen), dict(self.heard)
        keys = None if whole else self._news.since(told)
        neighbour.resync = Resync(
            self._shelf,
            self.forgotten,
            neighbour.seen,
            self._stable_time(neighbour.seen),
            neighbour.changes_told,
            neighbour.capacity,
            seen,
            heard,
            keys,
        )

    def _stable_time(self, peer_seen: dict[bytes, int]) -> int:
        """Nothing that was forgotten here up to this time can be news to the peer.

        The smallest of what it has seen of those nodes of which it lacks something. If we have forgotten nodes since we
        last knew it up to date, it may lack anything of theirs.
        """
        if peer_seen.get(self.node, 0) < self._forgot_nodes_at:
            return 0
        return min(
            (peer_seen.get(n, 0) for n, time in self.heard.items() if peer_seen.get(n, 0) < time), default=FOREVER
        )

    # -- believing ---------------------------------------------------------------------------------------------------

    def _require_present(self, newest: int, neighbour: Neighbour, now: float) -> None:
        """Refuse times from the future before they move our clock, and with it everybody's."""
        if newest > self._clock.present(now) + neighbour.ahead_allowed:
            ahead = seconds_of(newest) - seconds_of(self._clock.present(now))
            raise ProtocolError(f"it told a time that is {ahead:.3f} s ahead of our clock")

    def _take_events(self, events: list[Event], source: Neighbour, now: float) -> None:
        versions = list(map(_EVENTS_VERSION, events))
        versions += [event.other for event in events if event.other is not NOTHING]
        if versions:
            self._require_present(max(versions).time, source, now)
            self._hear_all(versions, now)
        for event in events:
            self._merge(event, source, now)

    def _hear_all(self, versions: list[Version], now: float) -> None:
        for version in {version.node: version for version in sorted(versions)}.values():  # the newest of each
            self._hear(version, now)

    def _hear(self, version: Version, now: float) -> bool:
        """Take note of a node's time. False if it is one that we would have forgotten by now."""
        time, node = version
        self._clock.hear(time)
        known = self.heard.get(node)
        if known is None and (self._is_silent(time, now) or self._is_one_too_many(version)):
            self._forgot_nodes_at = self._write(now).time
            return False
        if known is None or time > known:
            self.heard[node] = time
            if node != self.node:
                self._departed.pop(node, None)
                self._heard_at[node] = now
                self._heard_at.move_to_end(node)
                if len(self._heard_at) >= self.limits.origins:  # one place is our own
                    self._forget_node(self._least_missed(), now)
        return True

    def _authority(self, key: bytes, stamp: object) -> int:
        """The newest time of a set or an invalidation that is known for a key, as far as it is not held as a set."""
        held = stamp.version.time if isinstance(stamp, Stamp) and stamp.is_set else self.forgotten.floor(key)
        return max(self.forgotten.grave(key).time, held)

    def _merge(self, event: Event, source: Neighbour, now: float) -> None:
        kind = event.kind
        time, node = event.other if kind is Kind.LOAD else event.version
        if time <= self.seen.get(node, 0) and kind is not Kind.TOUCH:
            self.counts.repeated += 1
            return
        name = decode_key(event.key)
        self.counts.applied += self._merges[kind](event, name, self._shelf.find_named(name), source, now)

    def _merge_load(
        self, event: Event, name: object, entry: "Entry[Any, Any] | None", source: Neighbour, now: float
    ) -> bool:
        stamp = entry.version if entry is not None else None
        if isinstance(stamp, Stamp) and (stamp.is_set or stamp.version >= event.version):
            return False  # a copy never replaces what was told, nor a younger copy
        if event.version.time <= self._authority(event.key, stamp) + self.hold:
            return False
        deadline = self._deadline(event, source, now)
        if deadline <= now:
            return False
        assert event.payload is not None
        self._keep(name, Stamp(event.key, event.version, False, event.payload, event.other), deadline, now)
        self._tell(event.key, NOTHING, source, event.hops)
        return True

    def _merge_touch(
        self, event: Event, _name: object, entry: "Entry[Any, Any] | None", source: Neighbour, now: float
    ) -> bool:
        stamp = entry.version if entry is not None else None
        if entry is None or not isinstance(stamp, Stamp):
            return False
        if stamp.version != event.other or stamp.life_version >= event.version:
            return False
        stamp.life_version = event.version
        self._shelf.prolong(entry, self._deadline(event, source, now))
        self._tell(event.key, NOTHING, source, event.hops)
        return True

    def _merge_invalidate(
        self, event: Event, name: object, entry: "Entry[Any, Any] | None", source: Neighbour, now: float
    ) -> bool:
        key, version = event.key, event.version
        self._shelf.fence(name)
        stamp = entry.version if entry is not None else None
        newest = max(self._held_set(stamp), self.forgotten.grave(key))
        if version <= newest and not self._is_concurrent(key, version, newest):
            if version.time > newest.time - self.hold:
                return False
            return self._drop_load_before(entry, version, source, event.hops, now)
        self._drop_unless_newer(entry, version, now)
        self._pass_on(key, version, source, event.hops)
        return True

    def _merge_set(
        self, event: Event, name: object, entry: "Entry[Any, Any] | None", source: Neighbour, now: float
    ) -> bool:
        key, version = event.key, event.version
        stamp = entry.version if entry is not None else None
        held, grave = self._held_set(stamp), self.forgotten.grave(key)
        deadline = self._deadline(event, source, now)
        if held is NOTHING and version.time <= self.forgotten.floor(key) and version > grave:
            # Perhaps superseded by something forgotten. Refuse the value, but let it be known, here and onwards, that
            # anything older is dead: somebody beyond may hold something older.
            self.counts.refused += 1
            return self._merge_invalidate(event, name, entry, source, now)
        is_past = isinstance(stamp, Stamp) and not stamp.is_set and self._safely_after(stamp, version)
        if version <= held or version <= grave or is_past or deadline <= now:
            # The value is past, but not that what is older is dead.
            return self._merge_invalidate(event, name, entry, source, now)
        assert event.payload is not None
        self._shelf.fence(name)
        if grave is not NOTHING:
            self.forgotten.exhume(key, version)
        self._keep(name, Stamp(key, version, True, event.payload), deadline, now)
        self._tell(key, version, source, event.hops)
        return True

    def _held_set(self, stamp: object) -> Version:
        return stamp.version if isinstance(stamp, Stamp) and stamp.is_set else NOTHING

    def _is_concurrent(self, key: bytes, version: Version, newest: Version) -> bool:
        """Whether a write that is not the newest may still be news: a load may have seen the newest and not this one.

        Then others have to be told of both.
        """
        return self._are_near(version, newest) and not self.forgotten.knows(key, version)

    def _are_near(self, older: Version, newer: Version) -> bool:
        """Whether a load may have seen the newer write and not the older one. A node sees its own in order."""
        return older.time > newer.time - self.hold and older.node != newer.node

    def _drop_unless_newer(self, entry: "Entry[Any, Any] | None", version: Version, now: float) -> None:
        """A write came: a set that is newer stays, and so does a load that began safely after it."""
        if entry is None:
            return
        stamp = entry.version
        if not isinstance(stamp, Stamp):
            stays = False
        elif stamp.is_set:
            stays = stamp.version > version
        else:
            stays = self._safely_after(stamp, version)
        if not stays:
            if isinstance(stamp, Stamp) and stamp.is_set and self._are_near(stamp.version, version):
                self.forgotten.bury(stamp.key, stamp.version)
            self._shelf.drop(entry, now)

    def _drop_load_before(
        self, entry: "Entry[Any, Any] | None", version: Version, source: Neighbour, hops: int, now: float
    ) -> bool:
        """An old write came. A load that was made here after a newer one may still be older than this one.

        As it is where the newer one was dated by a clock that was ahead.
        """
        stamp = entry.version if entry is not None else None
        if entry is None or not isinstance(stamp, Stamp) or stamp.is_set or self._safely_after(stamp, version):
            return False
        self._shelf.drop(entry, now)
        self._tell(stamp.key, version, source, hops)
        return True

    def _pass_on(self, key: bytes, version: Version, source: Neighbour, hops: int) -> None:
        self.forgotten.bury(key, version)
        self._tell(key, version, source, hops)

    def _safely_after(self, load: Stamp, version: Version) -> bool:
        """Whether a load began so long after a write that it must have seen it, whatever the clocks."""
        return load.version.time > version.time + self.hold

    def _deadline(self, event: Event, source: Neighbour, now: float) -> float:
        return FOREVER_ALIVE if event.life_ms is None else now + event.life_ms / 1000 - source.half_trip

    def _keep(self, name: object, stamp: Stamp, deadline: float, now: float) -> None:
        gone = self._shelf.keep(name, stamp, now, deadline)
        if gone:
            self.left(gone)

    def _bury_unless_newer(self, stamp: Stamp, held: "Entry[Any, Any] | None") -> None:
        """A set has left. If a newer set took its place, that one's age says enough, unless the two are concurrent."""
        newer = self._held_set(held.version if held is not None else None)
        if newer <= stamp.version or self._are_near(stamp.version, newer):
            self.forgotten.bury(stamp.key, stamp.version)

    def _greet(self, message: Seen, source: Neighbour) -> None:
        """The neighbour says what it has, which is not yet what we have."""
        if source.seen is not None:
            raise ProtocolError("a second greeting")
        source.seen = dict(message.times)
        self._begin_resync(source, True)

    def _take_seen(self, message: Seen, source: Neighbour, now: float) -> None:
        """The neighbour has told us all that this covers, so it is ours as well."""
        if source.seen is None:
            raise ProtocolError("the first `seen` of a link must be a greeting")
        for node, time in message.times.items():
            source.seen[node] = max(time, source.seen.get(node, 0))
            if time > self.seen.get(node, 0) and self._hear(Version(time, node), now):
                self.seen[node] = time
                self._seen_changed(node)
        if len(source.seen) > messages.MAXIMUM_ORIGINS:  # what it has of nodes that we do not know is no use to us
            for node in source.seen.keys() - self.heard.keys():
                del source.seen[node]

    def _take_goodbye(self, source: Neighbour) -> None:
        """It ends this link. It may have another, or be heard of through others: then it is not gone."""
        if source.node in self._heard_at:
            self._departed[source.node] = None

    def _take_floors(self, floors: Floors, source: Neighbour | None, now: float) -> None:
        if not self._remember_announcement(floors):
            return
        for node, time in floors.heard.items():  # a floor may stand for anything that its teller had heard
            self._hear(Version(time, node), now)
        everywhere = next((reach for reach in floors.ranges if reach.buckets == BUCKETS), None)
        raised = {b: reach for reach in floors.ranges if reach is not everywhere for b in _buckets(reach)}
        for entry in self._shelf.entries():
            stamp = entry.version
            if isinstance(stamp, Stamp) and self._is_doomed(stamp, raised.get(bucket_of(stamp.key), everywhere)):
                self.counts.dropped_by_floors += 1
                self._shelf.drop(entry, now)
                self.forgotten.changed(bucket_of(stamp.key))
        self._shelf.fence_where(lambda bucket: bucket in raised or everywhere is not None)
        self._raise_floors(raised, everywhere)
        if floors.hops < MAXIMUM_HOPS:
            body = messages.encode(floors._replace(hops=floors.hops + (source is not None)))
            for neighbour in self.neighbours.values():
                if neighbour is not source and neighbour.seen is not None:
                    neighbour.outbox.remark(body)

    def _raise_floors(self, raised: dict[int, FloorRange], everywhere: FloorRange | None) -> None:
        if everywhere is not None:
            self._clock.hear(everywhere.floor)
            self.forgotten.raise_all(everywhere.floor)
        for bucket, reach in raised.items():
            self._clock.hear(reach.floor)
            self.forgotten.raise_floor(bucket, reach.floor)

    def _is_doomed(self, stamp: Stamp, reach: FloorRange | None) -> bool:
        if reach is None:
            return False
        if not stamp.is_set:
            return stamp.version.time <= reach.floor + self.hold
        if stamp.version.time > reach.floor:
            return False
        confirmed = reach.confirmed.get(stamp.key)
        return confirmed is None or stamp.version < confirmed

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
        while self._heard_at:
            node, at = next(iter(self._heard_at.items()))
            if now - at < self.limits.origin_silence:
                return
            self._forget_node(node, now)

    def _is_silent(self, time: int, now: float) -> bool:
        return time < self._clock.present(now) - span_of(self.limits.origin_silence)

    def _is_one_too_many(self, version: Version) -> bool:
        """Whether the node that would have to go for this one was heard of later than this one ever was.

        Else neighbours that are full of different nodes would remind each other for ever of what the other forgot.
        """
        if len(self._heard_at) < self.limits.origins - 1:
            return False
        node = self._least_missed()
        return node not in self._departed and version < (self.heard[node], node)

    def _least_missed(self) -> bytes:
        return next(iter(self._departed or self._heard_at))

    def _forget_node(self, node: bytes, now: float) -> None:
        """Let go of a node that is gone. Neighbours that hear of us after this have what we had of it."""
        self.heard.pop(node, None)
        self.seen.pop(node, None)
        self._heard_at.pop(node, None)
        self._departed.pop(node, None)
        for neighbour in self.neighbours.values():
            neighbour.seen_changed.discard(node)
        self._forgot_nodes_at = self._write(now).time


def _buckets(reach: FloorRange) -> range:
    return range(reach.first, reach.first + reach.buckets)
