"""One node's end of a log that an engine keeps: what was read of it, what is to be appended, what it has lost.

A record is one append: its publisher, a serial, and messages as on a link. All read it back in the order in which the
engine put it, each with the chain of all before it, so whoever reads on knows that this is the log that it has read so
far. If it is not, everybody gives back what the log no longer has, out of the tail that it remembers.
docs/protocol.md has the rules.

No sockets, no threads, no clock, no chance: `now` (a monotonic clock's seconds) is an argument, and a driver carries
records between this and an engine. Every method expects the cache's lock held, and the calls come one after another:
what `read` gets was asked for after all that was appended before was answered. This file must not know which engine
that is, nor how anything is merged.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from math import exp, log, log1p
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding import MAXIMUM_KEY_BYTES
from lru_cache.replication.log_order import Order, Withheld
from lru_cache.replication.log_records import (
    NEWS_BYTES,
    RECORD_BYTES,
    SEAL_BYTES,
    Handover,
    Name,
    News,
    Place,
    Record,
    Return,
    Seal,
    Standing,
    decode_record,
    encode_record,
    is_announcement,
    length_of,
    name_of,
    without_confirmed,
)

if TYPE_CHECKING:
    from lru_cache.replication import Replica

OVERHEAD_BYTES = 8_192  # of a record with one event, beside the key and the value
VALUE_BYTES = RECORD_BYTES - MAXIMUM_KEY_BYTES - OVERHEAD_BYTES  # a longer one is told as an invalidation
TAIL_SECONDS = 60.0  # for so long what was read is remembered, to be given back
TAIL_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 300  # that an entry of the tail takes beside its record
BREAKS_REMEMBERED = 64
BREAK_MS = 600_000  # for so long returns may follow a break
RESTORE_SECONDS = 2.0  # within which somebody gives back what others have published
READERS = 1_000  # of so many, few begin at once to give back the same
AHEAD_MS = 120_000  # that a place may be later than the engine's clock: two may each be off by a minute


class LogCounts:
    """What happened at this end so far."""

    __slots__ = ("broken", "lost", "refused", "restored", "returns")

    def __init__(self) -> None:
        self.lost = 0  # times that what was held had to go, since records may have been missed; not the first
        self.restored = 0  # records that were given back from here
        self.broken = 0  # times that the log was not the one that had been read
        self.refused = 0  # records that were none, or said later times than they may
        self.returns = 0  # records that said that a node gives back what the log has lost

    def __repr__(self) -> str:
        return f"LogCounts({', '.join([f'{name}={getattr(self, name)}' for name in self.__slots__])})"


class _Read(NamedTuple):
    """What stood at a place of the log. Without a name, it is not to be given back."""

    place: Place
    chain: bytes
    name: Name | None = None
    content: bytes = b""


@dataclass(slots=True)
class _Waiting:
    """A record of ours that was not read back so far, and from when on it may be appended."""

    name: Name
    content: bytes
    valid_from: int


@dataclass(slots=True)
class _Break:
    """The log was another: when that was found, and up to when all that was appended before was read."""

    found: int
    complete: int


@dataclass(slots=True)
class _Reading:
    """A record of which some was taken, and what has still to be."""

    record: Record
    found: News | Return | None  # None: it is none
    bodies: Iterator[bytes]
    age: float
    is_own: bool
    is_whole: bool
    withheld: list[bytes]
    is_good: bool = True  # to be given back


class LogEnd:
    """One node's end of one log. `link` is what the replica calls it; `former`, what the same node had before."""

    def __init__(
        self,
        replica: "Replica",
        link: Hashable,
        now: float,
        seal: Seal | None = None,
        tail_seconds: float = TAIL_SECONDS,
        tail_bytes: int = TAIL_BYTES,
        value_bytes: int = VALUE_BYTES,
        handover: Handover | None = None,
        former: "LogEnd | None" = None,
        gap_seconds: float = TAIL_SECONDS,
    ) -> None:
        self.counts: LogCounts = LogCounts() if former is None else former.counts
        self.place: Place | None = None  # of the record that was read last; None: of this log none was
        self.chain = b""  # up to there; empty where the log has still to begin
        self.token: bytes | None = None  # of the log that is read
        self.is_open = False
        self.is_live = False  # all of it was read since it was opened
        self.is_ahead = False  # it could not be opened or read on, as it has a record from the future
        self._replica = replica
        self._link = link
        self._seal = seal
        self._most_bytes = RECORD_BYTES - (SEAL_BYTES if seal is not None else 0)
        self._tail_ms = int(tail_seconds * 1000)
        self._tail_limit = tail_bytes
        self._gap_ms = int(gap_seconds * 1000)  # for so long a gap may be closed: as long as tails go back
        self._value_bytes = value_bytes  # longer values are told as invalidations; all are, if it is negative
        self._engine_ms, self._engine_at = 0, now  # what the engine's clock said, and when
        self._base = 0  # what was appended up to then and not read was lost: nothing older is believed
        self._missed_ms = 0  # likewise, as far as we have found that ourselves: no record says so
        self._taken_ms = 0  # what was appended up to then another has read, and we have it
        self._order = Order()
        self._reading: _Reading | None = None
        self._breaks: deque[_Break] = deque()
        # The last of what was read of this log, in its order.
        self._tail: deque[_Read] = deque()
        self._tail_bytes = 0
        self._pruned_ms = 0  # when the last was appended that was read and cannot be given back
        # What was read, and the log has lost: what we have published, and what others have.
        self._own_missing: OrderedDict[Name, _Read] = OrderedDict()
        self._missing: OrderedDict[Name, _Read] = OrderedDict()
        self._restore_at = now  # when it is our turn to give back what others have published
        self._back_to: int | None = None  # what a return of ours has to say, until it was read
        self._returns = 0
        # What is published here.
        self._publisher = replica.node
        self._prev = 0
        self._serial: int = 0 if former is None else former._serial  # no two records of a publisher may have the same
        self._since = self._serial + 1
        self._pending: deque[bytes] = deque()  # messages that wait for a record
        self._made = 0  # when they were made, by the engine's clock
        self._waiting: _Waiting | None = None
        self._is_restoring = False  # what was last given to be appended was read here before
        self._acknowledged: Place | None = None  # where the engine has put that, until we have read so far
        if handover is not None:
            self._take_over(handover)
        replica.log_up(link, value_bytes, {} if handover is None else handover.has, now)

    # -- what the driver tells ---------------------------------------------------------------------------------------

    def tail(self) -> Iterator[tuple[Place, bytes]]:
        """Places and chains that were read, newest first: the driver finds the first that the log still has."""
        for read in reversed(self._tail):
            yield read.place, read.chain

    def opened(self, standing: Standing, common: Place | None, now: float) -> None:
        """There is a connection. `common` is the newest place of the tail that the log still has, with its chain."""
        self.is_live = False
        self._note_time(standing.engine_ms, now)
        self.is_ahead = standing.first is not None and self._is_ahead(standing.first.place[0], standing.engine_ms)
        self.is_open = not self.is_ahead
        if self.is_ahead:
            return
        self._acknowledged = None
        if self._publisher != self._replica.node:
            self._begin_as_another(now)
        first = standing.first
        token, self.token = self.token, standing.token
        if token is None:
            if first is not None and first.number > 1:
                self._base = self._missed_ms = first.place[0]
                self._replica.lost(self._base, now)
            self._breaks.append(_Break(standing.engine_ms, self._base))
            self._begin(first)
        elif not self._breaks:  # it was taken over, from somebody who may not know of the last break
            self._breaks.append(_Break(standing.engine_ms, self._taken_ms))
            if common != self.place:
                self._break(first, common, token == standing.token, now)
        elif self.place is None:  # nothing was read so far, so of a log that has its beginning nothing is missed
            if token != standing.token:
                self._say_return(self._missed_ms)
            self._miss_before(first, now)
            self._begin(first)
        elif common != self.place:
            self._break(first, common, token == standing.token, now)

    def read(self, records: Iterable[Record], engine_ms: int, now: float, is_end: bool) -> bool:
        """Records that follow our place; `is_end`: there were no more. False: this is another log, open it anew.

        Or, if it `is_ahead`, once somebody has set it right: clocks would follow a record from the future.
        """
        if not self.is_open:
            return False
        self._note_time(engine_ms, now)
        for record in records:
            if not self.begin(record, engine_ms, now):
                return False
            while self.go_on(now):
                pass
        if is_end:
            self._acknowledged = None  # what is not there though it was appended has been lost, and goes once more
            self.is_live = True
            self._give_up_gaps(now)
        self._prune()
        return True

    def begin(self, record: Record, engine_ms: int, now: float) -> bool:
        """The next record, to be taken in by `go_on`, for who lets go of the lock in between. False: as of `read`.

        If it is not taken in to its end before the log is away, it was not read, and comes again.
        """
        if not self.is_open:
            return False
        self._note_time(engine_ms, now)
        self.is_ahead = self._is_ahead(record.place[0], engine_ms)
        if self.is_ahead or not self._follows(record):
            self.away()
            return False
        self._reading = self._began(record)
        return True

    def go_on(self, now: float) -> bool:
        """Take in one message of the record that was begun. False: there is no more of it."""
        reading = self._reading
        if reading is None:
            return False
        if isinstance(reading.found, Return):
            reading.is_good = self._take_return(reading.found, reading.record.place[0], now)
        elif isinstance(reading.found, News) and self._takes_message(reading, reading.found, now):
            return True
        self._reading = None
        self._finish(reading)
        return False

    def to_append(self, now: float, budget: int) -> bytes | None:
        """The next record, or None. `budget` is about how many bytes of news go into it.

        One is on its way at a time. A return goes first, then what the log has lost, then news: so nothing new stands
        before what is missing. Else who reads how far others are would take what is missing for a repeat.
        """
        if not self.is_live or self._acknowledged is not None:
            return None
        engine_ms = self.engine_ms(now)
        lost = self._next_missing(now, engine_ms)
        self._is_restoring = False
        if self._back_to is not None:
            is_due = lost is not None or now >= self._restore_at or self._has_news()
            return self._closed(Return(self._publisher, self._returns, self._back_to)) if is_due else None
        if lost is not None:
            self._is_restoring = True
            return lost.content
        if self._own_missing or self._missing:  # it is not time yet
            return None
        if self._waiting is None:
            self._waiting = self._make(now, budget, engine_ms)
        waiting = self._waiting
        return waiting.content if waiting is not None and engine_ms >= waiting.valid_from else None

    def appended(self, place: Place) -> None:
        """The engine says that it has put there what `to_append` gave. The log has it once it was read."""
        self.counts.restored += self._is_restoring
        self._acknowledged = place

    def away(self) -> None:
        """The connection is gone, or this is not the log that was read."""
        self._reading = None
        self.is_open = self.is_live = False

    def part(self) -> None:
        """The replica is about to be another node. It may be opened again when it is."""
        self.away()
        self._replica.link_down(self._link)

    # -- from one end to another -------------------------------------------------------------------------------------

    def handover(self) -> Handover | None:
        """What a neighbour needs to go on here in our place, once it has all that we have heard of. None: not now."""
        if not self.is_live or self.place is None or self._own_missing or self._missing or self._back_to is not None:
            return None
        if self._order.has_gaps:  # what is behind one was merged, and no `seen` says so
            return None
        replica = self._replica
        heard = {**replica.heard, replica.node: replica.told_time()}
        return Handover(self.token or b"", self.place, self.chain, self._base, replica.log_has(), heard)

    def _take_over(self, handover: Handover) -> None:
        """All up to that place is known here, but was not read: it cannot be given back."""
        self.token, self.place, self.chain = handover.token, handover.place, handover.chain
        self._base = self._missed_ms = handover.base
        self._taken_ms = self._pruned_ms = handover.place[0]
        self._tail.append(_Read(handover.place, handover.chain))

    # -- what it says of itself --------------------------------------------------------------------------------------

    def engine_ms(self, now: float) -> int:
        """What the engine would put on a record now, about."""
        by_clock = self._engine_ms + int((now - self._engine_at) * 1000)
        return by_clock if self.place is None else max(by_clock, self.place[0])

    def has_to_append(self) -> bool:
        """Whether there is anything that the log is not known to have."""
        return self._back_to is not None or len(self._own_missing) + len(self._missing) > 0 or self._has_news()

    def is_looking(self) -> bool:
        """Whether `to_append` has just given nothing because it has still to find what there is to be told."""
        waits = self._acknowledged is not None or self._back_to is not None or self._waiting is not None
        is_free = self.is_live and not waits and not (self._own_missing or self._missing)
        return is_free and self._replica.has_news(self._link)

    def _has_news(self) -> bool:
        return self._waiting is not None or len(self._pending) > 0 or self._replica.has_to_send(self._link)

    # -- opening -----------------------------------------------------------------------------------------------------

    def _begin(self, first: Record | None) -> None:
        """Read from the first record that is left; or, where there is none, from the first that there will be."""
        self.place, self.chain = None, b"" if first is None else first.before

    def _break(self, first: Record | None, common: Place | None, is_same: bool, now: float) -> None:
        """What we have read last is not in the log: it was trimmed, or it is another log since then.

        Where it was trimmed nobody can tell whether it was ever another.
        """
        assert self.place is not None
        is_trimmed = is_same and common is None and first is not None and first.place > self.place
        if not is_trimmed:
            self.counts.broken += 1
            self._note_break(_Break(self._engine_ms, max(self.place[0], self._base)))
        gone: list[_Read] = []
        while self._tail and self._tail[-1].place != common:
            gone.append(self._tail.pop())
        for read in reversed(gone):
            self._tail_bytes -= _size_of(read)
            if read.name is not None:
                missing = self._own_missing if read.name[1] == self._publisher else self._missing
                missing.setdefault(read.name, read)
        self._limit_missing()
        self._restore_at = now + self._turn()
        if common is not None:
            self.place, self.chain = common, self._tail[-1].chain
            return
        if not is_trimmed:
            self._say_return(max(self._missed_ms, self._pruned_ms if self._pruned_ms > self._base else 0))
        self._miss_before(first, now)
        self._begin(first)

    def _note_break(self, found: _Break) -> None:
        self._breaks.append(found)
        if len(self._breaks) > BREAKS_REMEMBERED:
            oldest = self._breaks.popleft()
            self._breaks[0].complete = min(oldest.complete, self._breaks[0].complete)

    def _limit_missing(self) -> None:
        """Of what is to be given back no more is kept than of the tail. Of the rest a return says that it is lost."""
        size = sum(map(_size_of, (*self._own_missing.values(), *self._missing.values())))
        while size > self._tail_limit:
            _, read = (self._missing or self._own_missing).popitem(last=False)
            size -= _size_of(read)
            if read.place[0] > self._base:
                self._pruned_ms = max(self._pruned_ms, read.place[0])
                self._say_return(self._pruned_ms)

    def _say_return(self, back_to: int) -> None:
        """Of what was appended up to then not all can be given back from here, and another log may look whole."""
        if back_to:
            self._returns += 1
            self._back_to = max(back_to, self._back_to or 0)

    def _miss_before(self, first: Record | None, now: float) -> None:
        """What stood before the first record that is left was missed."""
        if first is not None and first.number > 1:
            self._missed_ms = max(self._missed_ms, first.place[0])
            self._lose(first.place[0], now)

    def _turn(self) -> float:
        """In how many seconds it is our turn to give back: of many nodes few are among the first (RFC 5401, 3.2.2)."""
        chance = crc32(b"%d" % self.counts.broken, crc32(self._publisher)) / (1 << 32)
        steep = log(READERS) + 1
        return RESTORE_SECONDS / steep * log1p((exp(steep) - 1) * chance)

    def _begin_as_another(self, now: float) -> None:
        """The replica is another node by now: what we have published is that of another, and we tell all anew."""
        self._own_missing.update(self._missing)
        self._own_missing, self._missing = OrderedDict(), self._own_missing
        self._publisher = self._replica.node
        self._serial = self._prev = 0
        self._since = 1
        self._pending.clear()
        self._waiting = None
        self._replica.log_up(self._link, self._value_bytes, {}, now)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _note_time(self, engine_ms: int, now: float) -> None:
        self._engine_ms, self._engine_at = engine_ms, now

    def _is_ahead(self, appended: int, engine_ms: int) -> bool:
        """Whether no engine can have appended anything then."""
        return appended > engine_ms + AHEAD_MS

    def _follows(self, record: Record) -> bool:
        return record.before == self.chain if self.chain else record.number == 1

    def _began(self, record: Record) -> _Reading:
        """What is to be taken of a record."""
        try:
            found = self._opened(record)
        except ProtocolError:
            self.counts.refused += 1
            found = None
        if not isinstance(found, News):
            return _Reading(record, found, iter(()), 0.0, False, False, [], found is not None)
        appended = record.place[0]
        is_own = found.publisher == self._publisher
        is_whole = self._order.is_whole(found, max(self._base, self._taken_ms))
        if is_own:
            self._prev = appended
            is_whole = is_whole and found.serial >= self._since  # of what is told anew the log is not known to have any
        age = max(self._engine_ms - min(found.made, appended), 0) / 1000
        return _Reading(record, found, iter(found.bodies), age, is_own, is_whole, [])

    def _finish(self, reading: _Reading) -> None:
        """All of it was taken: it was read."""
        record, found = reading.record, reading.found
        if record.number == 1:
            self.token = record.before
        self.place, self.chain = record.place, record.chain
        if self._acknowledged is not None and record.place >= self._acknowledged:
            self._acknowledged = None
        read = _Read(record.place, record.chain)
        if found is not None:
            name = name_of(found)
            self._own_missing.pop(name, None)
            self._missing.pop(name, None)
            if self._waiting is not None and self._waiting.name == name:
                self._waiting = None
            if reading.is_good:
                read = _Read(record.place, record.chain, name, record.content)
        self._tail.append(read)
        self._tail_bytes += _size_of(read)

    def _opened(self, record: Record) -> News | Return | None:
        content = record.content if self._seal is None else self._seal.open(record.content)
        if content is None:
            raise ProtocolError("a record that nobody of this cluster has appended")
        return decode_record(content)

    def _take_return(self, found: Return, appended: int, now: float) -> bool:
        """Who has not read all that was appended before what is given back does not believe any of that.

        And who can give back no more than this one need not say so. False if it speaks of the future.
        """
        if self._is_ahead(found.back_to, appended):
            self.counts.refused += 1
            return False
        self.counts.returns += 1
        if self._back_to is not None and found.back_to >= self._back_to:
            self._back_to = None
        while len(self._breaks) > 1 and self._breaks[0].found < self._engine_ms - BREAK_MS:
            self._breaks.popleft()
        if found.publisher != self._publisher and found.back_to > min(each.complete for each in self._breaks):
            self._lose(found.back_to, now)
        return True

    def _takes_message(self, reading: _Reading, news: News, now: float) -> bool:
        """Whether there was one more. What is refused is missing until its publisher has told it anew."""
        appended = reading.record.place[0]
        body = next(reading.bodies, None)
        if body is None:
            self._release(self._order.note(news, appended, reading.withheld), now)
            return False
        try:
            if self._replica.consume(body, appended, reading.age, reading.is_whole, reading.is_own, now):
                reading.withheld.append(body)
        except ProtocolError:
            self.counts.refused += 1
            reading.is_good = False
            if reading.is_own and news.serial >= self._since:
                self._tell_anew(news)
            return False
        return True

    def _tell_anew(self, refused: News) -> None:
        announced = any(map(is_announcement, (*refused.bodies, *self._pending)))
        self._pending.clear()
        self._since = self._serial + 1
        self._replica.retell(announced)

    def _release(self, withheld: list[Withheld], now: float) -> None:
        """What was behind a gap is known by now. What we have told ourselves goes with our next record."""
        for each in withheld:
            if each.publisher != self._publisher:
                for body in each.bodies:
                    self._replica.consume(body, each.appended, 0.0, True, False, now)

    def _lose(self, appended: int, now: float) -> None:
        """What was appended up to then was missed, or may have been."""
        if appended <= self._base:
            return
        self.counts.lost += 1
        self._base = appended
        for each in self._breaks:
            each.complete = max(appended, each.complete)
        self._replica.lost(appended, now)
        self._release(self._order.passed(appended), now)

    def _give_up_gaps(self, now: float) -> None:
        """Records of a publisher are missing, and nobody can give them back who has read on ever since.

        What is missing was appended before what is behind it, so by now it is in nobody's tail. Who was away, and comes
        back with it, may still give it back; that is then as if it was late.
        """
        appended = self._order.lasting(self._engine_ms - self._gap_ms)
        if appended:
            self._missed_ms = max(self._missed_ms, appended)
            self._lose(appended, now)

    def _prune(self) -> None:
        """Forget what is too old to be given back, or too much; but never the last."""
        oldest = self._engine_ms - self._tail_ms
        while len(self._tail) > 1 and (self._tail[0].place[0] < oldest or self._tail_bytes > self._tail_limit):
            read = self._tail.popleft()
            self._tail_bytes -= _size_of(read)
            self._pruned_ms = max(self._pruned_ms, read.place[0])

    # -- appending ---------------------------------------------------------------------------------------------------

    def _next_missing(self, now: float, engine_ms: int) -> _Read | None:
        """What is to be given back first, once the engine's clock is as far as when it was appended.

        Then it is as valid as it was. Our own at once, and in order.
        """
        missing = self._own_missing or (self._missing if now >= self._restore_at else None)
        if not missing:
            return None
        read = next(iter(missing.values()))
        return read if engine_ms >= read.place[0] else None

    def _make(self, now: float, budget: int, engine_ms: int) -> _Waiting | None:
        """A record of what is to be told."""
        if not self._pending:
            self._made = engine_ms
            self._pending.extend(self._replica.to_send(self._link, now, min(budget, self._most_bytes)))
        bodies: list[bytes] = []
        room = self._most_bytes - NEWS_BYTES
        while self._pending:
            body = self._pending[0]
            if length_of(body) > room:
                if bodies:
                    break
                body = without_confirmed(body)
            room -= length_of(body)
            bodies.append(body)
            self._pending.popleft()
        if not bodies:
            return None
        self._serial += 1
        news = News(self._publisher, self._serial, self._since, self._prev, self._made, bodies)
        return _Waiting(name_of(news), self._closed(news), self._replica.valid_from())

    def _closed(self, record: News | Return) -> bytes:
        content = encode_record(record)
        return content if self._seal is None else self._seal.close(content)


def _size_of(read: _Read) -> int:
    return ENTRY_BYTES + len(read.content)
