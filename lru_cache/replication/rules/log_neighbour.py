"""A log kept by an engine, as one more neighbour: what is told to it, and what is made of what it tells.

The log never dies and never greets. It has what was read back of it, and nothing else is an acknowledgement; what it
has told is told to links alone. It must not know what a record is, nor where its bytes are: `log_end.py` does.
"""

from collections.abc import Hashable
from typing import TYPE_CHECKING

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from lru_cache.errors import ProtocolError

from . import messages
from .believing import Believer
from .forgetting import BUCKETS
from .limits import Limits
from .messages import FloorRange, Floors, Seen
from .neighbour import Neighbour
from .store_view import StoreView
from .telling import raise_times
from .version import COUNTER_BITS, span_of
from .wire import read_events

if TYPE_CHECKING:
    from .resync import Resync

OF_NO_NODE = b""  # in place of a node's id
NO_LIMIT = 1 << 53  # of what a log has room for
_COUNTER_BITS = COUNTER_BITS


class LogNeighbour(Believer):
    """One node, as far as it has a log beside its links."""

    __slots__ = ("_log",)

    def __init__(self, node: bytes, store: StoreView, now: float, wall: float, limits: Limits) -> None:
        super().__init__(node, store, now, wall, limits)
        self._log: Neighbour | None = None

    def log_up(self, link: Hashable, value_limit: int, has: dict[bytes, int], now: float) -> None:
        """There is a log, which has so much of each node. Who has something in memory by now tells it the rest."""
        assert link not in self.neighbours and not self.is_redating()  # noqa: PT018 - one condition
        log = Neighbour(link, OF_NO_NODE, NO_LIMIT, value_limit, 0.0, OF_NO_NODE, self.limits.outbox)
        log.greeted = log.has_caught_up = True
        log.seen = dict(has)
        time = self._write(now).time
        self.neighbours[link] = self._log = log
        self._links = tuple(self.neighbours.values())
        self._eager.clear()
        if self._news_time > 0 or self.origins.heard or self._store.count() > 0:
            self._begin_resync(log, True)
        else:  # what a finalizer has written meanwhile is newer, and queued
            log.seen[self.origins.node] = log.own_seen = time

    def log_has(self) -> dict[bytes, int]:
        """Up to which time the log is known to have everything of each node."""
        log = self._log
        assert log is not None
        return dict(log.seen or {})

    def knows_all_of(self, heard: dict[bytes, int]) -> bool:
        """Whether everything of these nodes, up to these times, is known here."""
        seen = self.origins.all_seen()
        return all(time <= seen.get(node, 0) for node, time in heard.items())

    def consume(self, body: bytes, appended: int, age: float, with_seen: bool, own: bool, now: float) -> bool:
        """A message of a record that was appended at this millisecond, and made so many seconds ago.

        ProtocolError if it is none, or says a time that is later than the record's by more than the skew: everybody,
        its author too, decides this alike. True if it is a `seen` that is not to be believed yet.
        """
        log = self._log
        assert log is not None
        log.half_trip = age
        latest = (appended << _COUNTER_BITS) + span_of(self.limits.max_clock_skew)
        log.ahead_allowed = latest - self._clock.present(now)
        if cython.compiled and not own:
            events = read_events(body, self._last_node)
            if events is not None:
                self._receive_events(events, log, now)
                return False
        message = messages.decode(body)
        if isinstance(message, Seen):
            return self._consume_seen(message, log, with_seen, own, now)
        if isinstance(message, list):
            if own:
                times = [max(event.version.time, event.other.time) for event in message]
                self._require_present(max(times, default=0), log, now)
            else:
                self._receive_events(message, log, now)
        elif isinstance(message, Floors):
            floors = [reach.floor for reach in message.ranges]
            self._require_present(max([*floors, *message.heard.values()], default=0), log, now)
            if not own:
                self._receive_floors(message, log, now)
        elif message is not None:
            raise ProtocolError("a message that belongs on a link")
        return False

    def _consume_seen(self, message: Seen, log: Neighbour, with_seen: bool, own: bool, now: float) -> bool:
        if message.whole:
            raise ProtocolError("a greeting belongs on a link")
        flat = [item for pair in message.times.items() for item in pair]
        self._require_all_present(flat, log, now)
        if not with_seen:
            return True
        if not own:
            self._receive_seen(flat, message.rests, message.on, log, now)
            return False
        seen = log.seen
        assert seen is not None
        raise_times(seen, message.times)
        return False

    def lost(self, appended: int, now: float) -> None:
        """Records were missed, appended up to this millisecond: what is held from before is no longer believed.

        Links are told, also those that come up later: of what was missed nothing was heard, so they would seem to lack
        nothing. The log is not, not even when much else is told anew, since others may have missed nothing; unless what
        goes here may have been news that was not told so far.
        """
        log = self._log
        assert log is not None
        assert log.seen is not None
        base, raised = self.forgotten.changed_since(log.changes_told, self._stable_time(log.seen))
        is_told = not (base or raised or self._has_news_for(log))
        upto = (appended << _COUNTER_BITS) + span_of(self.limits.max_clock_skew)
        self._receive_floors(self._announce([FloorRange(0, BUCKETS, upto, {})], {}), log, now)
        self._forgot_nodes_at = self._write(now).time
        if is_told:
            log.changes_told = self.forgotten.changes

    def retell(self, announced: bool) -> None:
        """What we appended was refused, perhaps an announcement with it: tell the log anew all that it lacks."""
        log = self._log
        assert log is not None
        if announced:
            log.changes_told = 0
        self._begin_resync(log, True)

    def valid_from(self) -> int:
        """From which millisecond on a record may be appended that has what was told so far."""
        ahead = self._clock._last - span_of(self.limits.max_clock_skew)
        return (ahead + (1 << _COUNTER_BITS) - 1) >> _COUNTER_BITS

    def _has_log(self) -> bool:
        """Whether our clock is an engine's. All that are on it share its errors, and these are of a minute at most.

        So after it was set back times stand still until it has caught up: who kept its pace could append nothing.
        """
        return self._log is not None and self._log.link in self.neighbours

    def _note_way(self, node: bytes, time: int, source: Neighbour, is_applied: bool, now: float) -> None:
        """A log is no part of the trees: nothing is kept from it, nor from us on it."""
        if source is not self._log:
            Believer._note_way(self, node, time, source, is_applied, now)
        elif node in self.origins.heard and self._trees.note_news(node, time) and node in self._trees.kept:
            self._trees.rumour(node, now)

    # -- what a log is told otherwise than a node --------------------------------------------------------------------

    def _has_seen_for(self, neighbour: Neighbour) -> bool:
        """A log gets no heartbeats: what follows no news goes with what does."""
        if neighbour is not self._log:
            return Believer._has_seen_for(self, neighbour)
        if neighbour.own_seen < self._news_time or neighbour.outbox.has_seen():
            return True
        return neighbour.seen_follows_news and len(neighbour.seen_changed) > 0

    def _seen_changed(self, node: bytes, time: int) -> None:
        """A log gets no acknowledgements: what it has told us it has."""
        log = self._log
        if log is None or log.seen is None or time > log.seen.get(node, 0):
            Believer._seen_changed(self, node, time)
            return
        follows_news = log.seen_follows_news
        Believer._seen_changed(self, node, time)
        log.seen_changed.discard(node)
        log.seen_follows_news = follows_news

    def _rests_on(self, neighbour: Neighbour) -> dict[bytes, int]:
        """Who reads a record need not have read those before it: so each says all that it rests on."""
        if neighbour is self._log:
            neighbour.branch.rested.clear()
        return super()._rests_on(neighbour)

    def _end_resync(self, neighbour: Neighbour, resync: "Resync") -> list[bytes]:
        """What others have told the log of how far they are is theirs to tell: not everybody may have all of it."""
        if neighbour is self._log and neighbour.seen is not None:
            seen = neighbour.seen
            resync.seen = {node: time for node, time in resync.seen.items() if time > seen.get(node, 0)}
        return super()._end_resync(neighbour, resync)
