"""The link to a log that an engine keeps: the thread that carries records between the engine and our end of the log.

Reading and appending wait for the engine, so all of it is done in this thread. A writer at most rings, and no engine
that is slow, full or away costs it more. What goes wrong is logged once, and tried again for as long as this lasts.

This file must not know which engine it is, nor what a record says, nor what is believed of it.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import TypeVar

from lru_cache.engines.engine import DeniedError, Engine, EngineError, ForkedError
from lru_cache.engines.options import Options
from lru_cache.log import logger
from lru_cache.network.address import is_local, shown
from lru_cache.network.alarm import Alarm
from lru_cache.network.exchange import Exchange, LinkFeed
from lru_cache.network.handing_over import pack
from lru_cache.network.handshake import Hello
from lru_cache.network.peer import Peer
from lru_cache.network.security import RecordSeals
from lru_cache.replication import Replica
from lru_cache.replication.log_end import VALUE_BYTES, LogCounts, LogEnd
from lru_cache.replication.log_records import Handover, Place, Record

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
CONNECT_SECONDS = 5.0
LOOK_SECONDS = 2.0  # between two looks whether this is still the log that was read, and what time it is there
RECORDS_AT_ONCE = 64
RECORD_BYTES = 128 * 1024  # about so many go into one
SHORT_BYTES = 4_096  # a record of no more is taken in at once: that is some 64 events, as on a link
PARTING_SECONDS = 1.0  # for what is still to be appended when the cache is closed
ABANDON_AGAIN_SECONDS = 0.02
NO_VALUES = -1  # the longest that is told
ROLE = "engine"
CONNECTING, CONNECTED, REFUSED, UNREACHABLE = "connecting", "connected", "refused", "unreachable"


class LogLink:
    """One cache's part in a log: a transport, and a link, for as long as it is started.

    `secrets` seal the records; without one only an engine on this machine is used, unless `insecure`. `hands_over`: who
    has dialled us is told how to go on in our place. `former` is the part that the cache had before, and has no more.
    """

    dialled = True
    found = "given"
    half_trip = round_trip = 0.0

    def __init__(
        self,
        options: Options,
        cluster: str,
        exchange: Exchange,
        secrets: Sequence[bytes],
        insecure: bool,
        hands_over: bool = False,
        former: "LogLink | None" = None,
    ) -> None:
        self.address = options.shown
        self.peer = Hello(0, cluster, b"", "", ROLE, 0, 0, 0, 0, bool(secrets), b"")
        self.state = CONNECTING
        self.bytes_in = self.bytes_out = 0
        self._former = None if former is None else former._end
        self.counts: LogCounts = LogCounts() if former is None else former.counts
        self._options = options
        self._latency = options.latency_seconds
        self._feed: LinkFeed = exchange.feed()
        self._seal = RecordSeals(secrets, cluster, options.stream) if secrets else None
        self._hands_over = hands_over
        self._is_trusted = bool(secrets) or insecure
        self._engine: Engine = options.engine(cluster, self._refusal)
        self._engine.on_records = self._note_records
        self._has_records = False
        self._end: LogEnd | None = None
        self._alarm = Alarm()
        self._stopped = False
        self._over_at = inf  # when it ends, whatever is still to be appended
        self._takes_no_more = False  # what was last to be appended was not taken
        self._has_failed = False  # because of a mistake of ours
        self._is_attended = True  # the thread is about to look what there is to append, by itself
        self._is_looking = False  # for what is to be told, as after a burst too long for the outbox
        self._read_at = self._look_at = self._appended_at = -inf
        self._caught_up_at = time.monotonic()  # when all that the log had was last read, or this was made
        self._engine_time = 0.0  # what its clock says, about, in seconds
        self._engine_at: float | None = None  # when it says that
        self._thread = threading.Thread(target=self._run, name=f"lru_cache-log-{options.stream}", daemon=True)

    # -- a transport -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect. What is written from here on is for the log, too."""
        self._join()
        try:
            self._thread.start()
        except BaseException:  # no threads left, say: whoever comes next must not find this one
            self._feed.leave_log()
            raise

    def stop(self) -> None:
        """Connect no more; if there is a connection, what is left is appended first."""
        if not self._stopped:
            self._over_at = time.monotonic() + PARTING_SECONDS
            self._stopped = True
        self._alarm.ring()

    def join(self, seconds: float) -> None:
        """Wait for the thread, if this is another one. Once its time is over it waits for no answer any more."""
        if self._thread.ident is None:
            self._alarm.close()
            return
        if self._thread is threading.current_thread():
            return
        until = time.monotonic() + seconds
        self._thread.join(max(0.0, min(self._over_at - time.monotonic(), seconds / 2)))
        while self._thread.is_alive() and (left := until - time.monotonic()) > 0:
            self._engine.abandon()  # again and again: it may be about to connect with another host
            self._thread.join(min(left, ABANDON_AGAIN_SECONDS))

    def abandon(self) -> None:
        """Let go of what was inherited by a fork: the thread is not in this process."""
        self._stopped = True
        self._engine.abandon()
        self._alarm.abandon()

    def note_loss(self) -> None:
        """The log is where it was."""

    def peers(self) -> list[Peer]:
        """The log, as it is now."""
        if self._end is None:
            return []
        return [Peer(None, None, self.address, ROLE, self.state, None, self.lag, self._feed.queued, self.found)]

    # -- a link ------------------------------------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Whether all of the log was read since there is this connection."""
        end = self._end
        return end is not None and end.is_live

    def send(self, batches: int, now: float) -> None:  # noqa: ARG002 - a record has its own measure
        """There is news for the log."""
        if not self._is_attended:
            self._alarm.ring()

    def wake(self) -> None:
        """Let the thread see what there is to do."""
        self._alarm.ring()

    def end(self, reason: str) -> None:  # noqa: ARG002 - there is nobody to tell
        """Append what is left, and take no part any more."""
        self.stop()

    @property
    def lag(self) -> float:
        """Seconds since all that the log had was read, or since this was made."""
        return 0.0 if self._stopped else time.monotonic() - self._caught_up_at

    def _note_records(self) -> None:
        """The engine has something to read. Before it is read this is taken back, so no word of it is lost."""
        self._has_records = True
        self._alarm.ring()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = 0.0
        try:
            while not self._stopped:
                began = time.monotonic()
                try:
                    self._connect()
                    self._carry()
                except ForkedError as error:
                    logger().info("%s is opened anew: %s", self._name, error)
                except DeniedError as error:
                    self._note(REFUSED, f"{self._name} is not to be had: {error}")
                except EngineError as error:
                    self._note(UNREACHABLE, f"{self._name} is away: {error}; will go on trying")
                except Exception:  # noqa: BLE001 - ours, then; the next attempt may do better
                    if not self._has_failed:
                        logger().exception("%s failed because of a mistake of ours; this is said once", self._name)
                    self._has_failed, self.state = True, UNREACHABLE
                self._away()
                if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                    pause = 0.0  # it was good for a while
                self._wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come back at one moment
                pause = min(max(2 * pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        finally:
            if not self._stopped:  # by what a listener has raised, say
                self.state = UNREACHABLE
                logger().error("%s is not read any more: its thread was ended", self._name)
            self._away()
            self._feed.leave_log()
            self._alarm.close()

    @property
    def _name(self) -> str:
        return f"the log {self._options.stream!r} at {self.address}"

    def _join(self) -> None:
        def join(replica: Replica, now: float) -> None:
            if self._end is None:
                value_bytes = VALUE_BYTES if self._options.values else NO_VALUES
                handover = self._feed.handover_of(self._options.stream)
                self._end = LogEnd(
                    replica, self, now, self._seal, value_bytes=value_bytes, handover=handover, former=self._former
                )
                self.counts, self._former = self._end.counts, None

        self._feed.join_log(self, join)

    def _connect(self) -> None:
        """Connect, and find out what of what was read the log still has."""
        self._join()
        end = self._end
        if end is None:
            raise EngineError("the clock of this node was ahead, and is being set right")
        asked_at = time.monotonic()
        standing = self._engine.connect(asked_at + CONNECT_SECONDS)
        self._note_clock(standing.engine_ms, asked_at)
        common = None if end.place is None else self._engine.find(end.tail())
        self._feed.keep_time_by(self._wall)
        broken, lost = end.counts.broken, end.counts.lost
        begins = end.token is None

        def open_it(_: Replica, now: float) -> bool:
            end.opened(standing._replace(engine_ms=self._ms()), common, now)
            return True

        if not self._feed.join_log(self, open_it):
            raise EngineError("the clock of this node was ahead, and is being set right")
        self._check_future(end)
        if end.counts.broken > broken and not begins:
            logger().warning("%s has not all that was read of it: what it lacks is given back", self._name)
        self._note_losses(lost)
        self._read_at = self._look_at = -inf

    def _check_future(self, end: LogEnd) -> None:
        """All would have to follow what is dated ahead: whatever is appended behind it is as late."""
        if end.is_ahead:
            raise DeniedError("it has an entry from the future: delete the log there, all nodes will begin it anew")

    def _carry(self) -> None:
        """Read, append and look, until something goes wrong, or it is to end."""
        while not self._is_over():
            now = time.monotonic()
            self._is_attended = True
            self._feed.carry_out(now)
            if now >= self._look_at:
                self._look()
            if now >= self._read_at or self._has_records:
                self._has_records = False
                self._read()
            self._is_attended = False  # before it is seen what there is to append: who has more from here on rings
            self._append()
            self._wait_for_work()

    def _is_over(self) -> bool:
        end = self._end
        assert end is not None
        return self._stopped and (not end.has_to_append() or time.monotonic() >= self._over_at)

    def _wait_for_work(self) -> None:
        end = self._end
        assert end is not None
        now = time.monotonic()
        until = min(self._read_at, self._look_at)
        if end.has_to_append():
            self._is_attended = True  # there is more, but not so soon: who has news by then need not ring
            until = now if self._is_looking else min(until, max(self._appended_at, now) + self._latency)
        if until > now:
            self._alarm.wait(min(until, self._feed.due()) - now)

    def _read(self) -> None:
        """Read to the end of the log."""
        end, has_news = self._end, False
        assert end is not None
        while True:
            records = self._engine.read(end.place, RECORDS_AT_ONCE)
            is_end = len(records) < RECORDS_AT_ONCE
            lost = end.counts.lost
            goes_on = self._take_in(end, records, is_end)
            self.bytes_in += sum(len(record.content) for record in records)
            has_news = has_news or bool(records)
            self._note_losses(lost)
            if not goes_on:
                self._check_future(end)
                raise ForkedError("what follows there is not what follows what was read")
            if is_end or self._is_over():
                break
        now = time.monotonic()
        self._caught_up_at = now
        self._read_at = now + max(self._latency, self._engine.pause)
        if not end.has_to_append():
            self._takes_no_more = False
        if self.state != CONNECTED and not self._takes_no_more:  # that it can be read does not mean that it is back
            if self.state != CONNECTING:
                logger().warning("%s is back", self._name)
            else:
                logger().info("%s is read", self._name)
            self.state = CONNECTED
        if has_news:
            self._feed.consumed(True)
            self._feed.pass_on()

    def _take_in(self, end: LogEnd, records: list[Record], is_end: bool) -> bool:
        """One by one, and a long one message by message: who waits for the cache's lock waits for no backlog."""
        if not records:
            return self._take(partial(self._read_into, end, [], is_end))
        for left, record in zip(reversed(range(len(records))), records, strict=True):
            whole = [record]
            if len(record.content) > SHORT_BYTES:
                if not self._take(partial(self._begin, end, record)):
                    return False
                while self._take(end.go_on):
                    pass
                whole = []
            if not self._take(partial(self._read_into, end, whole, is_end and left == 0)):
                return False
        return True

    def _begin(self, end: LogEnd, record: Record, now: float) -> bool:
        return end.begin(record, self._ms(), now)

    def _read_into(self, end: LogEnd, records: list[Record], is_end: bool, now: float) -> bool:
        return end.read(records, self._ms(), now, is_end)

    def _append(self) -> None:
        """Append a record of what there is, if it is time."""
        end = self._end
        assert end is not None
        now = time.monotonic()
        self._is_looking = False
        if not end.has_to_append() or (now < self._appended_at + self._latency and not self._stopped):
            return
        content = self._take(lambda now: end.to_append(now, RECORD_BYTES) or b"")
        if not content:
            self._is_looking = end.is_looking()
            return
        try:
            place = self._engine.append(content, end.place, end.chain)
        except ForkedError:
            raise
        except EngineError:
            self._takes_no_more = True
            raise
        self._take(partial(self._note_appended, end, place))
        self.bytes_out += len(content)
        if len(content) < RECORD_BYTES // 2:  # else there is more
            self._appended_at = now
        if self._stopped or self._takes_no_more or self._feed.is_waited_for or end.has_to_append():
            self._read_at = -inf  # it is done when it was read
        self._takes_no_more = False

    def _note_appended(self, end: LogEnd, place: Place, _: float) -> bool:
        end.appended(place)
        return True

    def _look(self) -> None:
        end = self._end
        assert end is not None
        asked_at = time.monotonic()
        self._note_clock(self._engine.look(end.place, end.chain), asked_at)
        self._feed.keep_time_by(self._wall)
        if self._hands_over and self._feed.has_followers:
            handover = self._take(lambda _: end.handover() or ())
            body = pack(self._options.stream, handover) if isinstance(handover, Handover) else None
            if body is not None:
                self._feed.hand_over(body)
        self._look_at = time.monotonic() + LOOK_SECONDS * random.uniform(0.75, 1.25)  # noqa: S311 - as above

    def _take(self, act: Callable[[float], T]) -> T:
        done = self._feed.take_log(act)
        if done is None:
            raise EngineError("the clock of this node was ahead, and is being set right")
        return done

    def _away(self) -> None:
        end = self._end
        if end is not None:
            self._feed.take_log(lambda _: end.away())
            end.is_open = end.is_live = False  # also where the replica has it no more
        self._is_attended = True
        try:
            self._engine.close()
        except EngineError:
            pass

    def _wait(self, seconds: float) -> None:
        """Wait, and meanwhile do what is due on all links where no other link's thread does."""
        until = time.monotonic() + seconds
        while not self._stopped:
            now = time.monotonic()
            self._feed.carry_out(now)
            if now >= until:
                return
            self._alarm.wait(max(0.0, min(until, self._feed.due()) - now))

    # -- the engine's clock ------------------------------------------------------------------------------------------

    def _note_clock(self, engine_ms: int, asked_at: float) -> None:
        """It said so at some time since it was asked. What we took for its time stays if that may have been so.

        Else each slow answer would set the clock by half of what it took.
        """
        now = time.monotonic()
        earliest = engine_ms / 1000
        estimate = self._feed.wall() if self._engine_at is None else self._wall()
        self._engine_time = min(max(estimate, earliest), earliest + 0.001 + now - asked_at)
        self._engine_at = now

    def _ms(self) -> int:
        return int(self._wall() * 1000)

    def _wall(self) -> float:
        assert self._engine_at is not None
        return self._engine_time + time.monotonic() - self._engine_at

    # -- what is said of it ------------------------------------------------------------------------------------------

    def _note(self, state: str, line: str) -> None:
        """Log a change of state, once."""
        if self.state != state and not self._stopped:
            logger().warning("%s", line)
        self.state = state  # when the line is there: who sees the state may look for it

    def _note_losses(self, before: int) -> None:
        end = self._end
        if end is not None and end.counts.lost > before:
            logger().warning(
                "%s may have had records that were not read: what was held from before them is not believed any more",
                self._name,
            )

    def _refusal(self, family: int, where: tuple[str, int]) -> str | None:
        """Why an engine at this socket address must not be used, if it must not."""
        if self._is_trusted or is_local(family, where):
            return None
        return (
            f"{shown(family, where)} is another machine, and records are not sealed without a secret: give all nodes "
            "the same secret=..., or insecure=True if everybody who can write there may write this cache"
        )
