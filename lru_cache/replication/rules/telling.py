"""What to tell: every neighbour has an outbox, what is seen goes behind the news, and who lacks more is resynchronised.

`Teller` is a replica as far as it tells others, and keeps the state of all of it. It expects the cache's lock held, and
none of its methods goes through all that is held: what has to is a `Sweep`, or a `Resync`, which go in slices. This
file must not know what is done with what others tell.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from . import messages
from .batch import Batch, Shared, batch_of, shared_of
from .event import MAXIMUM_LIFE_MS, NO_END, Kind
from .forgetting import Forgotten, bucket_of
from .limits import Counts, Limits
from .messages import FloorRange, Floors, Graft, Prune, Reached, Seen
from .neighbour import Neighbour
from .origins import Origins
from .outbox import Notice, notice_of
from .recent_keys import RecentKeys
from .resync import FOREVER, Resync
from .stamp import Stamp, stamp_in
from .store_view import StoreView
from .sweep import Sweep
from .trees import PRUNE, UNKNOWN, Trees
from .version import NOTHING, HybridClock, Version, span_of, version_of
from .wire import pack_reached, pack_seen

if TYPE_CHECKING:
    from lru_cache.store import Entry

    from .clock_errors import Ahead, Behind

MAXIMUM_HOPS = 32  # links that news crosses before it goes no further: more than any network is wide
SLICES_AT_ONCE = 4  # of what goes through all that is held
STEPS_IN_A_TURN = 16  # of a resync that finds nothing to tell; about a millisecond
BYTES_FOR_AN_EMPTY_TURN = 32_768  # what such a turn counts for, so that one call does not walk through a large store
BYTES_FOR_A_LOOK = 8  # and what each entry or grave counts for that a resync looks at, told or not: they take as long
ANNOUNCEMENTS_REMEMBERED = 10_000
OUTDATED_REMEMBERED = 1_000
HOLD_MARGIN = 0.05  # seconds, beside twice the skew
FOREVER_ALIVE = float("inf")  # as a deadline
REDATING = "our clock was set right a moment ago, and what we wrote is being dated anew"

# The same as C numbers.
_SET, _INVALIDATE, _LOAD, _TOUCH = Kind
_MOST_HOPS, _FOREVER, _LONGEST_LIFE, _NO_END = MAXIMUM_HOPS, FOREVER_ALIVE, float(MAXIMUM_LIFE_MS), NO_END


class Teller:
    """One node, as far as it tells others."""

    __slots__ = (
        "__weakref__",
        "_anchored_at",
        "_announced",
        "_announcements",
        "_base_at_anchor",
        "_clock",
        "_collected_before",
        "_eager",
        "_forgot_nodes_at",
        "_fresh_origins",
        "_last_node",
        "_links",
        "_must_redate",
        "_needy",
        "_news_time",
        "_outdated",
        "_own_seen",
        "_own_seen_time",
        "_recent",
        "_repairs",
        "_right_base",
        "_shared",
        "_silence",
        "_store",
        "_sweep",
        "_trees",
        "_wrong_since",
        "counts",
        "forgotten",
        "hold",
        "limits",
        "neighbours",
        "origins",
    )  # fmt: skip

    def __init__(self, node: bytes, store: StoreView, now: float, wall: float, limits: Limits) -> None:
        self.limits = limits
        self.counts = Counts()
        self.neighbours: dict[Hashable, Neighbour] = {}
        self.hold = span_of(2 * limits.max_clock_skew + HOLD_MARGIN)
        self.forgotten = Forgotten(limits.graves, self.hold, limits.slice)
        self.origins = Origins(node, limits.origins)
        self._links: tuple[Neighbour, ...] = ()  # the neighbours
        self._eager: dict[bytes, tuple[Neighbour, ...]] = {}  # origin -> those that are told its news; as asked for
        self._needy: dict[Hashable, Neighbour] = {}  # those that have said what is not ours yet, by their links
        self._trees = Trees()
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
        self._outdated: OrderedDict[tuple[bytes, int, bytes], None] = OrderedDict()  # writes passed on all the same
        self._last_node = b""  # that something came of
        self._fresh_origins: set[bytes] = set()  # that there was news of since our `seen` of them last rose
        self._repairs: list[Ahead | Behind] = []  # of what was written by a clock that was wrong
        self._must_redate = False
        self._wrong_since = 0  # while the clock may have been ahead: our time when it was believed
        self._right_base = 0  # and the base of floors then
        self._base_at_anchor = 0  # that was when the clock was last believed
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

    def has_work(self, now: float) -> bool:
        """Whether `work` would have something to do."""
        return len(self._repairs) > 0 or self._trees.due <= now or self._sweep.is_due(now)

    def due_in(self, now: float) -> float:
        """In how many seconds `has_work` will be true though nothing happens, as far as neighbours wait for it."""
        return self._trees.due - now

    def is_waiting(self) -> bool:
        """Whether anything will be due in that way."""
        return self._trees.is_awaiting()

    def work(self, now: float) -> bool:
        """Carry on with what goes through all that is held, for a slice of it. True if there is more to do at once.

        And do what only time has made due.
        """
        if self._trees.due <= now:
            self._tend(now)
        if self._repairs:
            if not self._repairs[0].step(now, self.limits.slice):
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

    def is_redating(self) -> bool:
        """Whether what was written by a clock that was ahead is still being dated anew."""
        return any(map(_is_ahead, self._repairs))

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
        self._eager.clear()
        if old is None:
            return None
        self.link_down(old.link)
        return old.link, "there is another link to this node"

    def link_down(self, link: Hashable) -> None:
        """A link is gone, with all that was on its way."""
        lost = self.neighbours.pop(link, None)
        self._needy.pop(link, None)
        self._links = tuple(self.neighbours.values())
        self._eager.clear()
        if lost is not None:
            self._trees.lose(lost, lost.branch)

    def heartbeat(self, now: float) -> None:
        """Let every neighbour know how far we are, though nothing happened."""
        self._write(now)
        node = self.origins.node
        if node in self._trees.kept:
            for neighbour in self._links:
                if node in neighbour.branch.pruned:
                    neighbour.seen_changed.add(node)

    def to_send(self, link: Hashable, now: float, budget: int) -> list[bytes]:
        """Messages for a link, of about so many bytes, taken from what is to be told. Empty when that is nothing."""
        neighbour = self.neighbours[link]
        if not neighbour.greeted:
            neighbour.greeted = True
            return [messages.encode(Seen(True, self.seen))]
        bodies: list[bytes] = []
        while budget > 0 and neighbour.seen is not None:
            resync = neighbour.resync
            before = 0 if resync is None else resync.looked_at
            turn = self._turn(neighbour, now)
            if not turn and neighbour.resync is None:
                break
            bodies += turn
            cost = sum(map(len, turn))
            if resync is not None:
                cost += (resync.looked_at - before) * BYTES_FOR_A_LOOK
            budget -= cost or BYTES_FOR_AN_EMPTY_TURN
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
        if neighbour.resync is not None or outbox.overflowed or len(outbox) > 0:
            return True
        branch = neighbour.branch
        return len(branch.grafts) > 0 or branch.has_words()

    def _has_seen_for(self, neighbour: Neighbour) -> bool:
        if neighbour.outbox.has_seen() or len(neighbour.seen_changed) > 0:
            return True
        return neighbour.own_seen < self.origins.own_time and not self._keeps(self.origins.node, neighbour)

    def _keeps(self, node: bytes, neighbour: Neighbour) -> bool:
        """Whether the news of a node is kept from a neighbour."""
        pruned = neighbour.branch.pruned
        return len(pruned) > 0 and node in pruned

    def is_calm(self, link: Hashable) -> bool:
        """Whether a message for it is made in a moment, so that whoever wrote may as well do it."""
        return self.is_calm_to(self.neighbours[link])

    def is_calm_to(self, neighbour: Neighbour) -> bool:
        """Likewise."""
        is_up_to_date = neighbour.resync is None and not neighbour.outbox.overflowed and not neighbour.branch.grafts
        return neighbour.greeted and neighbour.seen is not None and is_up_to_date

    def told_time(self) -> int:
        """The time of our last write that is news: who has seen it has all of ours."""
        return self._news_time

    def has_all(self, link: Hashable, time: int) -> bool:
        """Whether this neighbour is known to have everything of ours up to this time."""
        return self.has_all_of(link, self.node, time)

    def has_all_of(self, link: Hashable, node: bytes, time: int) -> bool:
        """Likewise of any node's."""
        seen = self.neighbours[link].seen
        return seen is not None and seen.get(node, 0) >= time

    def _write(self, now: float) -> Version:
        time = self._clock.tick(now)
        self.origins.own_time = time
        return version_of(time, self.origins.node)

    def _write_news(self, now: float) -> Version:
        version = self._write(now)
        if version.time > self._news_time:  # else a finalizer has written since the clock ticked, and that is the last
            self._news_time = version.time
        if self._trees.kept and version.node in self._trees.kept:
            self._trees.note_news(version.node, version.time)
            self._trees.rumour(version.node, now)
        return version

    def _eager_links(self, origin: bytes) -> tuple[Neighbour, ...]:
        """The neighbours that are told the news of a node: not itself, nor those that have it from elsewhere."""
        if origin != self.origins.node and origin not in self.origins.heard:
            return self._links  # as nobody will remember how far its news is
        links = tuple([n for n in self._links if n.node != origin and origin not in n.branch.pruned])
        self._eager[origin] = links
        return links

    def _queue(
        self, key: bytes, authority: Version, origin: bytes, source: Neighbour | None, hops: int, stamp: Stamp | None
    ) -> None:
        """News of a key, for the neighbours that are told those of its origin, but the one that it came from.

        `stamp`: of the set that it is, if any.
        """
        if hops >= _MOST_HOPS:
            return
        notice = None
        links = self._eager.get(origin)
        if links is None:
            links = self._eager_links(origin)
        for neighbour in links:
            if neighbour is not source and neighbour.seen is not None:
                if notice is None:
                    notice = notice_of(key, authority, hops, self._recent.add(key, hops), stamp)
                outbox = neighbour.outbox
                outbox.add(notice)
        if notice is None and len(links) != len(self._links):
            self._recent.add(key, hops)  # those from whom it is kept may ask for it

    def _announce(self, ranges: list[FloorRange], heard: dict[bytes, int]) -> Floors:
        self._announcements += 1
        return Floors(self.node, self._announcements, 1, heard, ranges)

    def _remember_announcement(self, floors: Floors) -> bool:
        name = (floors.announcer, floors.serial)
        if name in self._announced:
            return False
        self._announced[name] = None
        if len(self._announced) > ANNOUNCEMENTS_REMEMBERED:
            self._announced.popitem(last=False)
        return True

    def _turn(self, neighbour: Neighbour, now: float) -> list[bytes]:
        """A batch of events from the outbox, up to the next message there, and as many from the resync."""
        if neighbour.resync is None:
            if neighbour.outbox.overflowed:
                self.counts.overflows += 1
                self._begin_resync(neighbour, False)
            elif neighbour.branch.grafts:
                self._begin_grafts(neighbour)
            if (
                neighbour.resync is None
                and not neighbour.outbox.has_seen()
                and not self._sweep.is_pending
                and self._has_seen_for(neighbour)
            ):
                self._queue_seen(neighbour)
        bodies = self._drain_outbox(neighbour, now)
        if neighbour.branch.has_words():  # before `seen`, which may rest on what is kept
            bodies = self._words_of(neighbour) + bodies
        if neighbour.resync is not None:
            bodies += self._drain_resync(neighbour, neighbour.resync, now)
        return bodies

    def _drain_outbox(self, neighbour: Neighbour, now: float) -> list[bytes]:
        """A message, or more where values are large; and the message that stands in the outbox behind them."""
        outbox = neighbour.outbox
        shared = self._shared
        if (
            shared is not None
            and shared.serves(neighbour.value_limit, now)
            and outbox.begins_with(shared.notices, not shared.is_full)
        ):
            outbox.drop_first(len(shared.notices))
            self.counts.told += shared.count
            if shared.is_full:
                return list(shared.bodies)
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
        self.counts.told += batch.count
        if len(self._links) > 1 and batch.is_for_all and taken:
            self._shared = shared_of(taken, bodies, batch.count, not batch.has_room, neighbour.value_limit, now)
            bodies = list(bodies)
        if message is not None:
            bodies.append(message)
        return bodies

    def _drain_resync(self, neighbour: Neighbour, resync: Resync, now: float) -> list[bytes]:
        batch = batch_of(neighbour.value_limit)
        messages_beside = self._fill_from_resync(batch, neighbour, resync, now)
        self.counts.told += batch.count
        return [*batch.bodies(), *messages_beside]

    def _fill_from_resync(self, batch: Batch, neighbour: Neighbour, resync: Resync, now: float) -> list[bytes]:
        """Take news from it, and return the message that comes behind them, if any does."""
        empty = 0
        while batch.has_room and empty < STEPS_IN_A_TURN:
            try:
                step = resync.next()
            except StopIteration:
                if self._sweep.is_pending:  # what is doomed is not told, and `seen` covers the floors that doom it
                    break
                return self._end_resync(neighbour, resync)
            if isinstance(step, list):
                floors = self._announce(step, resync.heard)
                self._remember_announcement(floors)
                return [messages.encode(floors)]
            if step is None:
                empty += 1
            else:
                self._add_events(batch, neighbour, step, now)
        return []

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
        entry = self._held(self._store.name_of(notice.key), now)
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
            self.counts.too_large += neighbour.value_limit >= 0  # else it takes none
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
        is_own_new = neighbour.own_seen < own_time and not self._keeps(self.origins.node, neighbour)
        if is_own_new:
            neighbour.own_seen = own_time
        neighbour.seen_follows_news = False
        branch, outbox = neighbour.branch, neighbour.outbox
        if not neighbour.seen_changed:
            outbox.add_seen(self._own_seen_message(own_time))  # and that rests on nothing
            return
        # Another set first: of what a finalizer writes from here on `seen` is to be told again.
        neighbour.seen_changed, changed = set(), neighbour.seen_changed
        known = self.origins.seen
        if branch.pruned:  # of these nothing has come over this link
            for node in changed:
                if node in branch.pruned:
                    branch.passed[node] = None
            nodes = [node for node in changed if node in known and node not in branch.pruned]
        else:
            nodes = [node for node in changed if node in known]
        times = [known[node] for node in nodes]
        if is_own_new:
            nodes.append(self.origins.node)
            times.append(own_time)
        if nodes:
            outbox.add_seen(_seen_message(nodes, times, self._rests_on(neighbour)))

    def _own_seen_message(self, own_time: int) -> bytes:
        """That we are so far: the same for all links."""
        if self._own_seen_time != own_time:
            self._own_seen = _seen_message([self.origins.node], [own_time], {})
            self._own_seen_time = own_time
        return self._own_seen

    def _seen_changed(self, node: bytes, time: int) -> None:
        """What we have seen of a node has risen to this time.

        If that followed news, all want to hear that the news has arrived. If not, who has seen that much itself does
        not, but for the node itself: what it wrote may have been replaced before it was told. From whom the news is
        kept, there is no hurry to tell how far it is.
        """
        follows_news = node in self._fresh_origins
        if follows_news:
            self._fresh_origins.discard(node)
        for neighbour in self._links:
            theirs = neighbour.seen
            if follows_news:
                if not self._keeps(node, neighbour):
                    neighbour.seen_changed.add(node)
                    neighbour.seen_follows_news = True
            elif theirs is None or time > theirs.get(node, 0) or node == neighbour.node:  # whose flush waits for it
                neighbour.seen_changed.add(node)

    def _end_resync(self, neighbour: Neighbour, resync: Resync) -> list[bytes]:
        self.counts.loads_left_out += resync.left_out
        neighbour.resync = None
        neighbour.changes_told = resync.changes
        neighbour.seen_follows_news = True  # it waits for the first time of a node that has written nothing so far
        neighbour.branch.end_grafts()
        if resync.is_graft:
            return self._words_of(neighbour)  # `seen` comes behind all that waits
        neighbour.rests = True
        on = self._rests_on(neighbour)
        return [*self._words_of(neighbour), messages.encode(Seen(False, resync.seen, True, on))]

    def _begin_resync(self, neighbour: Neighbour, whole: bool) -> None:
        """From here on the outbox holds what happens after this moment, and the resync what was before.

        Unless it is to be whole, that is the news which the outbox has dropped, if all of it is remembered. The order
        is that in which what a finalizer writes meanwhile is told twice rather than never: it waits in the outbox, and
        what of it `seen` covers is there when the resync looks.
        """
        assert neighbour.seen is not None
        self.counts.resyncs += 1
        last_kept, is_announcing = neighbour.outbox.last_kept, neighbour.outbox.message_dropped
        neighbour.outbox.restart()
        changed, neighbour.seen_changed = neighbour.seen_changed, set()
        if not self._keeps(self.origins.node, neighbour):
            neighbour.own_seen = self.origins.own_time
        # Before the keys are looked for: what `seen` covers is then among them, whatever a finalizer writes meanwhile.
        seen = self.origins.all_seen()
        keys = None if whole else self._recent.since(last_kept)
        if keys is not None:  # then what was kept from it before is not told
            for node in neighbour.branch.pruned:
                seen.pop(node, None)
                if node in changed:
                    neighbour.seen_changed.add(node)
        neighbour.resync = self._resync(neighbour, seen, keys, is_announcing, False)

    def _resync(
        self,
        neighbour: Neighbour,
        seen: dict[bytes, int],
        keys: dict[bytes, int] | None,
        is_announcing: bool,
        is_graft: bool,
    ) -> Resync:
        assert neighbour.seen is not None
        return Resync(
            self._store,
            self.forgotten,
            self.origins,
            self._sweep,
            neighbour.seen,
            self._stable_time,
            neighbour.changes_told,
            neighbour.capacity,
            self.limits.slice,
            seen,
            keys,
            is_announcing,
            is_graft,
        )

    # -- trees -------------------------------------------------------------------------------------------------------

    def _words_of(self, neighbour: Neighbour) -> list[bytes]:
        """What is to be said of the trees: how far that is which is kept from the neighbour, and what it is to keep."""
        branch, bodies = neighbour.branch, []
        if branch.rumours or branch.passed:
            news, branch.rumours = branch.rumours, {}
            passed, branch.passed = branch.passed, {}
            seen, theirs = {}, neighbour.seen
            assert theirs is not None
            if not self._sweep.is_pending:
                for node in (*news, *passed):
                    time = self.origins.seen_of(node)
                    if time > theirs.get(node, 0):
                        seen[node] = time
            if news or seen:
                body = None
                if cython.compiled:
                    body = pack_reached(list(seen), list(seen.values()), list(news), list(news.values()))
                bodies.append(messages.encode(Reached(seen, news)) if body is None else body)
        if branch.asked:
            asked, branch.asked = branch.asked, {}
            nodes = [node for node, what in asked.items() if what == PRUNE]
            if nodes:
                bodies.append(messages.encode(Prune(nodes)))
            if len(nodes) < len(asked):
                times = {node: self.origins.seen_of(node) for node, what in asked.items() if what != PRUNE}
                bodies.append(messages.encode(Graft(times)))
        return bodies

    def _receive_prune(self, nodes: list[bytes], neighbour: Neighbour) -> None:
        """A neighbour has the news of these nodes from elsewhere. Of one that is not known it is told all the same."""
        branch, origins = neighbour.branch, self.origins
        for node in nodes:
            heard = self._news_time if node == origins.node else origins.heard.get(node)
            if heard is None or node in branch.grafts or len(branch.pruned) >= self.limits.origins:
                continue
            if node == origins.node or self._trees.latest(node) == UNKNOWN:
                self._trees.note_news(node, heard)
            self._trees.keep(node, branch)
            self._trees.mark(node, self._recent.count)
            self._eager.pop(node, None)
            self.counts.prunes += 1

    def _receive_graft(self, times: dict[bytes, int], neighbour: Neighbour) -> None:
        """A neighbour wants the news of these nodes, from the times on up to which it has seen all of each."""
        theirs = neighbour.seen
        assert theirs is not None
        for node, time in times.items():
            if time > theirs.get(node, 0):
                theirs[node] = time
            if self._trees.first.get(node) is neighbour:
                self._trees.orphan(node)
            if node in neighbour.branch.pruned:
                neighbour.branch.grafts[node] = time
            else:
                neighbour.branch.rumours[node] = 0  # nothing of it is kept

    def _begin_grafts(self, neighbour: Neighbour) -> None:
        """Tell a neighbour what was kept from it of the nodes that it asks for, and from here on all of them.

        First of all nothing more is kept: what a finalizer writes meanwhile is told twice rather than never.
        """
        branch = neighbour.branch
        grafts, branch.grafts = branch.grafts, {}
        for node in grafts:
            self._trees.tell(node, branch)
            self._eager.pop(node, None)
            branch.rumours.pop(node, None)
            branch.regrafted[node] = None
            neighbour.seen_changed.add(node)
            if node == self.origins.node:
                neighbour.own_seen = 0
        neighbour.seen_follows_news = neighbour.rests = True
        self.counts.grafts += 1
        now = first = self._recent.count
        for node, seen in grafts.items():
            first = min(first, self._trees.number_before(node, seen, now))
        if first == now:
            branch.end_grafts()
            return
        keys = self._recent.since(first) if first >= 0 else None
        if keys is None:
            self._begin_resync(neighbour, True)
        else:
            neighbour.resync = self._resync(neighbour, {}, keys, False, True)

    def _tend(self, now: float) -> None:
        """Ask for what was missed for longer than a moment, and say what news is kept from others."""
        trees = self._trees
        orphans = list(trees.orphans)
        trees.orphans.clear()
        for node in orphans:
            self._graft_orphan(node)
        if trees.rumours_at <= now:
            self._spread_rumours()
        for node in trees.pop_late(now):
            self._graft_late(node, now)
        trees.look_ahead()

    def _graft_orphan(self, node: bytes) -> None:
        """The link is gone over which a node's news came: have it told over one that was pruned, if there is any."""
        best, most = None, -1
        for neighbour in self._links:
            theirs, branch = neighbour.seen, neighbour.branch
            if theirs is not None and node in branch.cut:
                time = max(theirs.get(node, 0), branch.ahead.get(node, 0))
                if time > most:
                    best, most = neighbour, time
        if best is not None:
            self._ask_again(node, best)

    def _graft_late(self, node: bytes, now: float) -> None:
        """A node's news should have come by now. Whoever has the latest is asked first, and others in a moment."""
        seen = self.origins.seen_of(node)
        best, most, others = None, seen, 0
        for neighbour in self._links:
            ahead = neighbour.branch.ahead
            time = ahead.get(node, 0)
            if node in neighbour.branch.grafted:
                continue
            if time > seen:
                others += 1
                if time > most:
                    best, most = neighbour, time
            elif time:
                del ahead[node]
        if best is not None:
            self._ask_again(node, best)
            self._trees.asked[node] = best
            if others > 1:
                self._trees.wait_for(node, now)

    def _ask_again(self, node: bytes, neighbour: Neighbour) -> None:
        branch = neighbour.branch
        branch.cut.pop(node, None)
        branch.repeats.pop(node, None)
        branch.grafted[node] = None
        branch.asked[node] = 0

    def _rests_on(self, neighbour: Neighbour) -> dict[bytes, int]:
        """What that rests on which is about to be said to be seen, beside what has been said so on this link.

        All that we have, where what was replaced may not have been told. Else what others have said that theirs rests
        on: who is told by a neighbour of ours may lack that, so it goes on with all that was seen, once.
        """
        rested, on = neighbour.branch.rested, neighbour.rests_on
        neighbour.rests_on = {}
        if neighbour.rests or neighbour.outbox.thinned:
            neighbour.rests = neighbour.outbox.thinned = False
            raise_times(on, self._all_had())
        on = {node: time for node, time in on.items() if time > rested.get(node, 0)}
        rested.update(on)
        if on:
            self._say_what_is_kept(neighbour, on)
        return on

    def _all_had(self) -> dict[bytes, int]:
        """How late the latest is that we have of each node."""
        origins, had = self.origins, {self.origins.node: self._news_time}
        for node, heard in origins.heard.items():
            latest = self._trees.latest(node)
            had[node] = max(heard if latest == UNKNOWN else latest, origins.seen_of(node))
        return had

    def _say_what_is_kept(self, neighbour: Neighbour, on: dict[bytes, int]) -> None:
        """Let a neighbour hear of all news that is kept from it, before it is told what rests on some of that."""
        theirs, branch = neighbour.seen, neighbour.branch
        assert theirs is not None
        for node, told in branch.pruned.items():
            time = max(self._trees.latest(node), on.get(node, 0))
            if time > told:
                branch.pruned[node] = time
                if time > theirs.get(node, 0):
                    branch.rumours[node] = time

    def _pass_on_outdated(self, key: bytes, version: Version, source: Neighbour, hops: int) -> None:
        """A write came that a newer one of another node has replaced: it is no news, and goes on all the same, once.

        Those from whom the newer one is kept may have neither, and are about to be told that this one was seen.
        """
        name = (key, version.time, version.node)
        if name not in self._outdated:
            self._outdated[name] = None
            if len(self._outdated) > OUTDATED_REMEMBERED:
                self._outdated.popitem(last=False)
            self._queue(key, version, version.node, source, hops, None)

    def _spread_rumours(self) -> None:
        """Let those from whom news is kept hear how late it is, unless they have said that they have it."""
        trees = self._trees
        for node in trees.pop_rumours():
            time = trees.latest(node)
            trees.mark(node, self._recent.count)
            for neighbour in self._links:
                theirs, branch = neighbour.seen, neighbour.branch
                if theirs is not None and self._keeps(node, neighbour) and time > branch.pruned[node]:
                    branch.pruned[node] = time
                    if time > theirs.get(node, 0):
                        branch.rumours[node] = time

    def _stable_time(self, peer_seen: dict[bytes, int]) -> int:
        """Nothing that was forgotten here up to this time can be news to the peer.

        The smallest of what it has seen of those nodes of which it lacks something. If we have forgotten nodes since we
        last knew it up to date, it may lack anything of theirs.
        """
        if peer_seen.get(self.node, 0) < self._forgot_nodes_at:
            return 0
        heard = self.heard.items()
        return min([peer_seen.get(n, 0) for n, time in heard if peer_seen.get(n, 0) < time], default=FOREVER)

    def _note_forgotten(self, now: float) -> None:
        """Nodes were let go of. Neighbours that hear of us after this have what we had of them."""
        for node in self.origins.pop_forgotten():
            self._fresh_origins.discard(node)
            self._trees.forget(node)
            self._eager.pop(node, None)
            for neighbour in self._links:
                neighbour.seen_changed.discard(node)
                neighbour.branch.forget(node)
                neighbour.rests_on.pop(node, None)
            self._forgot_nodes_at = self._write(now).time

    def _forget_silent_nodes(self, now: float) -> None:
        while (node := self.origins.silent_since(now - self.limits.origin_silence)) is not None:
            self.origins.forget(node)
            self._note_forgotten(now)


def _is_ahead(repair: "Ahead | Behind") -> bool:
    return repair.is_ahead


def _seen_message(nodes: list[bytes], times: list[int], on: dict[bytes, int]) -> bytes:
    """That we are so far with these; `on`: it rests on that."""
    if cython.compiled and not on:
        body = pack_seen(nodes, times)
        if body is not None:
            return body
    seen = dict(zip(nodes, times, strict=True))
    return messages.encode(Seen(False, seen, True, on) if on else Seen(False, seen))


def raise_times(times: dict[bytes, int], others: dict[bytes, int]) -> None:
    """Have the later of both times of each node in the first."""
    for node, time in others.items():
        if time > times.get(node, 0):
            times[node] = time
