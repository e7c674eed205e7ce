"""What to keep, what to tell and what to believe: the rules of replication, for one node and all of its links.

No sockets, no threads, no clock, no chance: `now` (a monotonic clock's seconds) and the node's id are arguments, and
messages are bytes that somebody else carries. The network and the simulator are two drivers of this. Every method
expects the cache's lock held, and none goes through all that is held: what has to is a `Sweep`, which `work` carries on
in slices. docs/protocol.md explains the rules to whoever writes another implementation.

Three kinds of news. A *set* and an *invalidation* are authority: an application said so. A *load* is a copy of what a
source had when the load *began*, which is its version; it is always safe to drop.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from lru_cache.errors import ProtocolError

from . import messages
from .clock_errors import Ahead, Behind
from .forgetting import BUCKETS
from .log_neighbour import LogNeighbour
from .messages import FloorRange, Floors, Goodbye, Graft, Message, Ping, Pong, Prune, Reached, Seen
from .neighbour import Neighbour
from .stamp import Stamp, stamp_in, stamp_of
from .telling import REDATING
from .version import NOTHING, Version, seconds_of, span_of
from .wire import read_events, read_reached, read_seen

if TYPE_CHECKING:
    from lru_cache.store import Entry


class Replica(LogNeighbour):
    """One node. What it holds is in the store, what it must not forget in `forgotten`."""

    __slots__ = ()

    def set(self, key: bytes, payload: bytes, now: float) -> Stamp:
        """A value was told: the stamp to keep it with."""
        if self._repairs:
            self._hear_held(key)
        version = self._write_news(now)
        self.forgotten.exhume(key, version)
        stamp = stamp_of(key, version, True, payload, version)
        self._queue(key, version, version.node, None, 0, stamp)
        return stamp

    def invalidate(self, key: bytes, now: float) -> None:
        """A value no longer holds, in no version of the data. The cache drops it."""
        if self._repairs:
            self._hear_held(key)
        version = self._write_news(now)
        self.forgotten.bury(key, version)
        told = self._store.key_of_all(key)
        if told is not key:
            self.forgotten.bury(told, version)
            self._drop_others(told, version, now)
        self._queue(told, version, version.node, None, 0, None)

    def touch(self, entry: "Entry[Any, Any]", now: float) -> None:
        """A value's life has begun anew. The cache has changed its deadline."""
        stamp = entry.version
        assert isinstance(stamp, Stamp)
        stamp.life_version = self._write(now) if stamp.payload is None else self._write_news(now)
        stamp.held_in = 0  # its deadline is the entry's
        if stamp.payload is not None:
            self._queue(stamp.key, NOTHING, self.origins.node, None, 0, None)

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
        held = stamp_in(self._held(self._store.name_of(key), now))
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
            self._queue(key, NOTHING, told.node, None, 0, None)
        return stamp

    def time_passed(self, now: float, wall: float) -> bool:
        """Call about once a second. True if the clock was set: then loads, kept or in flight, are dropped."""
        self._forget_silent_nodes(now)
        self.left(self._store.reap_others(now))
        drift = self._clock.drift(now, wall)
        if abs(drift) <= self.limits.max_clock_skew / 2:
            return False
        behind = drift - self._clock.lead  # since it was set back, if it was, times went on as before
        self._clock.anchor(now, wall)
        if (
            drift < -self.limits.max_clock_skew
            and self._clock.lead == 0
            and not self._has_log()
            and self._has_dated(now)
        ):
            self._clock.keep_pace(-drift)  # perhaps it was ahead: see `redate`
            self._wrong_since, self._right_base = self._anchored_at, self._base_at_anchor
        self._store.fence_all()
        self._sweep.add_loads()
        self._base_at_anchor = self.forgotten.base
        was_anchored_at, self._anchored_at = self._anchored_at, self._clock.tick(now)
        if behind > self.limits.max_clock_skew:  # less than that the hold allows for
            self._invalidate_misdated(was_anchored_at, now)
        self._collected_before = self.forgotten.collected
        self._work_a_while(now)
        return True

    def _has_dated(self, now: float) -> bool:
        """Whether anything was dated by the clock since it was believed, or is later than can be."""
        latest = self._clock.present(now) + span_of(self.limits.max_clock_skew)
        return self.origins.own_time > self._anchored_at or self._clock.is_ahead(latest)

    def latest_right_time(self, now: float) -> int:
        """If our clock was ahead: what is dated later than this was dated by it, or by another like it.

        Whatever was written since we believed it, then, also if that is past by now; and what nobody can have written.
        """
        return min(self._wrong_since, self._clock.present(now) + span_of(self.limits.max_clock_skew))

    def redate(self, node: bytes, now: float) -> None:
        """The clock was ahead: begin to date anew what was written by it, as a new node. There must be no links.

        Else no other node would believe this one for as long as its clock had been wrong. `work` goes on with that,
        and until it is over, there can be no links.
        """
        assert not self._links
        latest, present, error = self.latest_right_time(now), self._clock.present(now), span_of(self._clock.lead)
        old = self.origins.node
        self._must_redate = False
        repair = Ahead(self._store, self.forgotten, self._clock, old)
        self.forgotten.begin_to_lower(latest, error, present, node, self._right_base)
        self._repairs.append(repair)
        self._clock.restart()
        self._clock.hear(self.forgotten.base)  # as all that is found right: it may lie a little ahead of our clock
        for each in self.origins.known_after(latest):
            self.origins.forget(each)
        is_wrong = self.origins.own_time > latest
        self.origins.rename(node, now)
        if is_wrong:
            self.origins.forget(old)
        self.origins.seen.clear()  # news that lost to something from the future is to be told again
        self._fresh_origins.clear()
        self._trees.clear()
        self._eager.clear()
        self._note_forgotten(now)
        self._anchored_at = self._forgot_nodes_at = self._news_time = self._write(now).time
        self._base_at_anchor = self.forgotten.base
        self._work_a_while(now)

    def _hear_held(self, key: bytes) -> None:
        """While what is held is dated anew, a write is newer than the right version that it replaces all the same."""
        stamp = stamp_in(self._store.find(key))
        told = self._store.key_of_all(key)
        stamps = [stamp, *[stamp_in(entry) for entry in self._store.others_meant(told)]]
        versions = [each.version for each in stamps if each is not None and each.is_set]
        for version in (*versions, self.forgotten.grave(key), self.forgotten.grave(told)):
            if not self.forgotten.is_misdated(version):
                self._clock.hear(version.time)

    def _invalidate_misdated(self, since: int, now: float) -> None:
        """Our clock was behind since then. What we wrote is invalidated once more.

        What of it is in the floors nobody can tell from the rest, so then everything goes: that costs hits, and a stale
        load would last.
        """
        if self.forgotten.collected == self._collected_before:
            self._repairs.append(
                Behind(self._store, self.forgotten, self.node, since, self._anchored_at, self.invalidate)
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
            if self._clock.lead > self.limits.max_clock_skew:
                self._must_redate = True
                return REDATING
            return None
        return (
            f"its clock is {abs(ahead):.3f} s {'ahead of' if ahead > 0 else 'behind'} ours, "
            f"where {self.limits.max_clock_skew} s are allowed"
        )

    def renew(self, node: bytes, now: float) -> None:
        """Be another node with the same memory: the child of a fork. It has no links, and no loads in flight."""
        self.neighbours.clear()
        self._links = ()
        self._needy.clear()
        self._trees.clear()
        self._eager.clear()
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
                self._receive_seen(times, False, None, neighbour, now)
                return None
            reached = read_reached(body) if neighbour.seen is not None else None
            if reached is not None:
                self._receive_reached(reached[0], reached[1], neighbour, now)
                return None
        return self._received_other(neighbour, messages.decode(body), now)

    def _received_other(self, neighbour: Neighbour, message: Message | None, now: float) -> Message | None:
        if isinstance(message, list):
            self._receive_events(message, neighbour, now)
        elif isinstance(message, Seen):
            flat = messages.flat_times(message.times)
            if message.whole:
                self._require_all_present(flat, neighbour, now)
                self._greet(message, neighbour)
            elif neighbour.seen is None:
                raise ProtocolError("the first `seen` of a link must be a greeting")
            else:
                self._receive_seen(flat, message.rests, message.on, neighbour, now)
        elif isinstance(message, Floors):
            self._require_present(max([reach.floor for reach in message.ranges], default=0), neighbour, now)
            self._require_present(max(message.heard.values(), default=0), neighbour, now)
            self._receive_floors(message, neighbour, now)
        elif isinstance(message, Reached | Prune | Graft):
            self._receive_words(message, neighbour, now)
        elif isinstance(message, Goodbye):
            self.origins.depart(neighbour.node)
        return message if isinstance(message, Ping | Pong | Goodbye) else None
