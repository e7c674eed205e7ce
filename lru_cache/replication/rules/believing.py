"""What to believe: whether what came is newer than what is held, buried, or below a floor, and what it makes dead.

`Believer` is a replica as far as it believes others; docs/protocol.md has the rules in prose. It expects the cache's
lock held. This file must not know how anything is sent.
"""

from typing import TYPE_CHECKING, Any

from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding import OF_ALL_VERSIONS, plain_start
from lru_cache.store.removal import RemovalCause

from . import messages
from .event import Event, Kind
from .messages import Floors, Graft, Prune, Reached, Seen
from .neighbour import Neighbour
from .stamp import Stamp, stamp_in, stamp_of
from .sweep import raised_by
from .telling import FOREVER_ALIVE, MAXIMUM_HOPS, Teller, raise_times
from .trees import PRUNE, PRUNE_AGAIN_SECONDS
from .version import NOTHING, Version, seconds_of, version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lru_cache.store import Entry, Gone

# The same as C numbers.
_SET, _INVALIDATE, _LOAD, _TOUCH = Kind
_FOREVER = FOREVER_ALIVE
_REPLACED = RemovalCause.REPLACED


class Believer(Teller):
    """One node, as far as it believes others."""

    __slots__ = ()

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
        newest = _newest_of(events)
        if newest is NOTHING:
            return
        self._require_present(newest.time, source, now)
        self._last_node = newest.node
        applied = self.counts.applied
        if _are_of(newest.node, events):  # then what is known of it need not be looked up for each
            if self._hear(newest, now):
                self._fresh_origins.add(newest.node)
            seen = self.origins.seen_of(newest.node)
            for event in events:
                told = event.other if event.kind == _LOAD else event.version
                if event.kind != _TOUCH and told.time <= seen:
                    self.counts.repeated += 1
                else:
                    self._merge_news(event, source, now)
            self._note_way(newest.node, newest.time, source, self.counts.applied > applied, now)
        else:
            self._hear_all(events, now)
            for event in events:
                self._merge(event, source, now)
            for node, time in _latest_of(events).items():
                self._note_way(node, time, source, self.counts.applied > applied, now)

    def _note_way(self, node: bytes, time: int, source: Neighbour, is_applied: bool, now: float) -> None:
        """News of a node, up to that time, has come over a link: first, or once more.

        Once more, some times in a row, and it is to be kept from us there; as long as no news comes that way, and
        another link is there over which it came first and comes still. Not while either end tells the other all that it
        may lack: that is no news.
        """
        if node not in self.origins.heard:
            return
        trees, branch = self._trees, source.branch
        is_first = trees.note_news(node, time)
        if trees.asked and node in trees.asked:
            trees.note_answer(node, source, is_first, now)
        if is_first:
            if node in trees.kept:
                trees.rumour(node, now)
            if source.has_caught_up:
                trees.first[node] = source
            if branch.cut and now - branch.cut.get(node, now) > PRUNE_AGAIN_SECONDS:
                del branch.cut[node]  # it does not keep it after all
        elif not is_applied:
            count = branch.repeats.get(node, 0) + 1
            branch.repeats[node] = count
            if count >= self.limits.repeats > 0:
                self._prune(node, source, now)
            return
        if branch.repeats:
            branch.repeats.pop(node, None)

    def _prune(self, node: bytes, source: Neighbour, now: float) -> None:
        """Ask a neighbour to keep a node's news from us, unless we are left with no link that brings it."""
        first, branch = self._trees.first.get(node), source.branch
        if first is None or first is source or node in first.branch.cut:
            return
        if not (source.has_caught_up and source.resync is None and first.resync is None):
            return
        if node in branch.grafted or len(branch.cut) >= self.limits.origins:
            return
        if node in branch.cut and now - branch.cut[node] < PRUNE_AGAIN_SECONDS:
            return
        branch.repeats.pop(node, None)
        branch.cut[node] = now
        branch.asked[node] = PRUNE

    def _receive_words(self, message: Reached | Prune | Graft, source: Neighbour, now: float) -> None:
        """The neighbour says how far that is which it keeps from us, or what we are to keep from it."""
        if source.seen is None:
            raise ProtocolError("the first message of a link must be a greeting")
        if isinstance(message, Prune):
            self._receive_prune(message.nodes, source)
        elif isinstance(message, Graft):
            self._require_all_present(messages.flat_times(message.times), source, now)
            self._receive_graft(message.times, source)
        else:
            self._receive_reached(messages.flat_times(message.seen), messages.flat_times(message.news), source, now)

    def _receive_reached(self, seen: list[Any], news: list[Any], source: Neighbour, now: float) -> None:
        """The neighbour has all this, and keeps it from us. So it is not ours, and we ask for what does not come."""
        self._require_all_present(seen, source, now)
        self._require_all_present(news, source, now)
        theirs, ahead = source.seen, source.branch.ahead
        assert theirs is not None
        for i in range(0, len(seen), 2):
            node, time = seen[i], seen[i + 1]
            if time > theirs.get(node, 0):
                theirs[node] = time
        for i in range(0, len(news), 2):
            node, time = news[i], news[i + 1]
            if time == 0:  # it keeps none any more: we had asked for it, and have been told all
                source.branch.grafted.pop(node, None)
                source.branch.needs.pop(node, None)
                ahead.pop(node, None)
            elif node != self.origins.node and time > self.origins.seen_of(node):
                self._hear(version_of(time, node), now)
                ahead[node] = max(time, ahead.get(node, 0))
                self._trees.wait_for(node, now)
        if source.link in self._needy:
            self._take_said(now)
        if len(ahead) > messages.MAXIMUM_ORIGINS:
            raise ProtocolError(f"it keeps the news of more than {messages.MAXIMUM_ORIGINS} nodes from us")

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
        name = self._store.name_of(event.key)
        entry = self._held(name, now)
        stamp = stamp_in(entry)
        kind = event.kind
        has_met_versions = self._store.has_met_versions
        if has_met_versions and kind != _INVALIDATE and event.key.startswith(OF_ALL_VERSIONS):
            raise ProtocolError("a value of all versions")
        if has_met_versions and kind in (_SET, _LOAD) and self._is_dead_in_all_versions(event):
            applied = kind == _SET and self._merge_invalidate(event, name, entry, stamp, source, now)
        elif kind == _SET:
            applied = self._merge_set(event, name, entry, stamp, source, now)
        elif kind == _INVALIDATE:
            applied = self._merge_invalidate(event, name, entry, stamp, source, now)
            self._invalidate_in_versions(event.key, event.version, now)
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
        self._queue(event.key, NOTHING, event.other.node, source, event.hops, None)
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
        self._queue(event.key, NOTHING, event.version.node, source, event.hops, None)
        return True

    def _merge_invalidate(
        self, event: Event, name: object, entry: "Entry[Any, Any] | None", stamp: Stamp | None, source: Neighbour,
        now: float,
    ) -> bool:  # fmt: skip
        key, version = event.key, event.version
        self._store.fence(name)
        newest = self._newest_write(key, stamp)
        if not version.after(newest) and not self._is_concurrent(key, version, newest):
            if version.time > newest.time - self.hold:
                return False
            if not self._drop_load_before(entry, stamp, version, now):
                if version.node != newest.node:
                    self._pass_on_outdated(key, version, source, event.hops)
                return False
            self._queue(key, version, version.node, source, event.hops, None)
            return True
        self._drop_unless_newer(entry, stamp, version, now)
        self.forgotten.bury(key, version)
        self._queue(key, version, version.node, source, event.hops, None)
        return True

    def _invalidate_in_versions(self, told: bytes, version: Version, now: float) -> None:
        """An invalidation of all versions of the data, or of none, holds for ours too. It goes on as it came."""
        self._drop_others(told, version, now)
        key = self._store.key_meant(told)
        if key is None:
            return
        name = self._store.name_of(key)
        entry = self._held(name, now)
        stamp = stamp_in(entry)
        self._store.fence(name)
        newest = self._newest_write(key, stamp)
        if version.after(newest) or self._is_concurrent(key, version, newest):
            self._drop_unless_newer(entry, stamp, version, now)
            if told.startswith(OF_ALL_VERSIONS):
                self.forgotten.bury(key, version)
            elif stamp is not None and stamp.is_set and version.after(stamp.version):
                # Perhaps a set without a version, whose value was gone: for others of our version it is no news, so
                # what they are to be told of our key is the age of what we held.
                self.forgotten.bury(key, stamp.version)
        else:
            self._drop_load_before(entry, stamp, version, now)

    def _drop_others(self, told: bytes, version: Version, now: float) -> None:
        """Likewise for what is held of versions that are not ours. The age of these is known by what was told."""
        for entry in self._store.others_meant(told):
            stamp = stamp_in(entry)
            if stamp is None or not self._outlives(stamp, version):
                self._store.drop(entry, now)

    def _is_dead_in_all_versions(self, event: Event) -> bool:
        """Whether a value that came is older than an invalidation of all versions, or of none."""
        key = event.key
        grave = self.forgotten.grave(self._store.key_of_all(key))
        start = plain_start(key)
        if start:
            of_none = self.forgotten.grave(key[start:])
            grave = of_none if of_none.after(grave) else grave
        if event.kind == _SET:
            return grave is not NOTHING and not event.version.after(grave)
        return event.version.time <= grave.time + self.hold

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
        is_past = stamp is not None and not stamp.is_set and self._safely_after(stamp, version)
        is_past = is_past or deadline <= now or (entry is None and self._store.is_crowded(name))
        if not version.after(held) or not version.after(grave) or is_past:
            # The value is past (or one too many), but not that what is older is dead.
            return self._merge_invalidate(event, name, entry, stamp, source, now)
        self._store.fence(name)
        if grave is not NOTHING:
            self.forgotten.exhume(key, version)
        kept = stamp_of(key, version, True, event.payload, version)
        self._keep(entry, name, kept, deadline, now)
        self._queue(key, version, version.node, source, event.hops, kept)
        return True

    def _held_set(self, stamp: Stamp | None) -> Version:
        return stamp.version if stamp is not None and stamp.is_set else NOTHING

    def _newest_write(self, key: bytes, stamp: Stamp | None) -> Version:
        """Of what is held as a set, and what is buried."""
        held, grave = self._held_set(stamp), self.forgotten.grave(key)
        return held if held.after(grave) else grave

    def _outlives(self, stamp: Stamp, version: Version) -> bool:
        """Whether what is held is newer than a write: a set that is, or a load that began safely after it."""
        return stamp.version.after(version) if stamp.is_set else self._safely_after(stamp, version)

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
            if self._outlives(stamp, version):
                return
            if stamp.is_set and self._are_near(stamp.version, version):
                self.forgotten.bury(stamp.key, stamp.version)
        self._store.drop(entry, now)

    def _drop_load_before(
        self, entry: "Entry[Any, Any] | None", stamp: Stamp | None, version: Version, now: float
    ) -> bool:
        """An old write came. A load that was made here after a newer one may still be older than this one.

        As it is where the newer one was dated by a clock that was ahead.
        """
        if entry is None or stamp is None or stamp.is_set or self._safely_after(stamp, version):
            return False
        self._store.drop(entry, now)
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

    def left(self, gone: "Iterable[Gone[Any, Any]]") -> None:
        """Values were evicted or have expired. They go; what is known of their age does not."""
        for each in gone:
            if isinstance(each[2], Stamp):
                old = each[2]
                old.held_in = 0
                if old.is_set:
                    held = self._store.find_named(each[0])
                    if held is None or held.version is not old:
                        self._bury_unless_newer(old, self._held_set(stamp_in(held)))

    def left_for(self, gone: "Iterable[Gone[Any, Any]]", stamp: Stamp) -> None:
        """Likewise, when this was just put: in the place of what it has replaced, which need not be looked for."""
        for each in gone:
            if each[3] is not _REPLACED:
                self.left([each])
            elif isinstance(each[2], Stamp):
                old = each[2]
                old.held_in = 0
                if old.is_set:
                    self._bury_unless_newer(old, stamp.version if stamp.is_set else NOTHING)

    def _greet(self, message: Seen, source: Neighbour) -> None:
        """The neighbour says what it has, which is not yet what we have."""
        if source.seen is not None:
            raise ProtocolError("a second greeting")
        source.seen = dict(message.times)
        self._begin_resync(source, True)

    def _receive_seen(
        self, times: list[Any], rests: bool, on: dict[bytes, int] | None, source: Neighbour, now: float
    ) -> None:
        """The neighbour has told us all that this covers, nodes and times in turn. So it is ours as well.

        Unless it rests on what the neighbour keeps from us: then it is ours once that is.
        """
        self._require_all_present(times, source, now)
        theirs, branch = source.seen, source.branch
        assert theirs is not None
        for i in range(0, len(times), 2):
            node, time = times[i], times[i + 1]
            if time > theirs.get(node, 0):
                theirs[node] = time
        if rests or branch.needs:
            if on is not None:
                self._require_all_present(messages.flat_times(on), source, now)
            self._weigh(times, rests, on, source, now)
        else:
            self._take_seen(times, False, None, now)
        if not source.has_caught_up:
            source.has_caught_up = source.seen_follows_news = True
        if len(theirs) > messages.MAXIMUM_ORIGINS:  # what it has of nodes that we do not know is no use to us
            for node in theirs.keys() - self.heard.keys():
                del theirs[node]

    def _take_seen(self, times: list[Any], rests: bool, on: dict[bytes, int] | None, now: float) -> None:
        """All of each of these nodes is known here, up to that time. `rests`: on all that we have. `on`: or on that."""
        has_risen = False
        for i in range(0, len(times), 2):
            node, time = times[i], times[i + 1]
            is_ours = node == self.origins.node
            if not is_ours and time > self.origins.seen_of(node) and self._hear(version_of(time, node), now):
                self.origins.seen[node] = time
                self._seen_changed(node, time)
                has_risen = True
        if has_risen:
            if rests:
                for neighbour in self._links:
                    neighbour.rests = True
            elif on:
                for neighbour in self._links:
                    raise_times(neighbour.rests_on, on)
            if self._needy:
                self._take_said(now)

    def _weigh(self, times: list[Any], rests: bool, on: dict[bytes, int] | None, source: Neighbour, now: float) -> None:
        """What a neighbour has seen, where that may rest on what it keeps from us: on some of that, or on all."""
        branch = source.branch
        if on is not None:  # what it has of nodes that we do not know is nothing that we could pass on
            known = self.origins.heard
            on = {node: time for node, time in on.items() if node in known or node == self.origins.node}
        if rests:
            for node, time in branch.ahead.items():
                needed = time if on is None else min(time, on.get(node, 0))
                if needed > self.origins.seen_of(node):
                    branch.needs[node] = max(needed, branch.needs.get(node, 0))
        for i in range(0, len(times), 2):
            branch.said[times[i]] = max(times[i + 1], branch.said.get(times[i], 0))
        if on is not None:
            raise_times(branch.said_on, on)
        elif rests:
            branch.said_rests = True
        self._needy[source.link] = source
        self._take_said(now)

    def _take_said(self, now: float) -> None:
        """Take what neighbours have said for ours, where we have all that it rests on.

        What they have said counts for that, so those who wait for each other are taken together. For what one of them
        has not told, since a newer write replaced it, that newer one is among what another has said: so it was told, or
        replaced by a newer one still. The newest of these was told.
        """
        taken: list[Neighbour] = list(self._needy.values())
        while True:
            said = _latest_said(taken)
            met = [neighbour for neighbour in taken if self._has_met(neighbour, said)]
            if len(met) == len(taken):
                break
            taken = met
        if not taken:
            return
        rests, on = False, dict[bytes, int]()
        for neighbour in taken:
            branch = neighbour.branch
            rests = rests or branch.said_rests
            raise_times(on, branch.said_on)
            branch.said, branch.needs, branch.said_on, branch.said_rests = {}, {}, {}, False
            self._needy.pop(neighbour.link, None)
        self._take_seen(messages.flat_times(said), rests, on, now)

    def _has_met(self, neighbour: Neighbour, said: dict[bytes, int]) -> bool:
        """Whether we have what it rests on, with what was said."""
        for node, time in neighbour.branch.needs.items():
            if time > self.origins.seen_of(node) and time > said.get(node, 0):
                return False
        return True

    def _receive_floors(self, floors: Floors, source: Neighbour | None, now: float) -> None:
        if not self._remember_announcement(floors):
            return
        for node, time in floors.heard.items():  # a floor may stand for anything that its teller had heard
            if self._hear(version_of(time, node), now) and node == floors.announcer:
                self._fresh_origins.add(node)
        raised, everywhere = raised_by(floors.ranges)
        if source is not None or self._store.has_others():  # what is cleared here the cache has dropped, of its own
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
                if neighbour is not source and neighbour.seen is not None and neighbour.node != floors.announcer:
                    neighbour.outbox.add_message(body)
        self._work_a_while(now)


def _newest_of(events: list[Event]) -> Version:
    """The newest version in these, or NOTHING."""
    newest = NOTHING
    for event in events:
        version = event.version
        if version.after(newest):
            newest = version
        version = event.other
        if version is not NOTHING and version.after(newest):
            newest = version
    return newest


def _latest_said(neighbours: "list[Neighbour]") -> dict[bytes, int]:
    """How far these have said to be, of each node the furthest."""
    latest: dict[bytes, int] = {}
    for neighbour in neighbours:
        raise_times(latest, neighbour.branch.said)
    return latest


def _are_of(node: bytes, events: list[Event]) -> bool:
    """Whether this node, and no other, has a version in these."""
    for event in events:
        version = event.version
        if version.node is not node and version.node != node:
            return False
        version = event.other
        if version is not NOTHING and version.node != node:
            return False
    return True


def _latest_of(events: list[Event]) -> dict[bytes, int]:
    """Node -> the time of its latest news in these."""
    latest: dict[bytes, int] = {}
    for event in events:
        told = event.other if event.kind == _LOAD else event.version
        if told.time > latest.get(told.node, 0):
            latest[told.node] = told.time
    return latest
