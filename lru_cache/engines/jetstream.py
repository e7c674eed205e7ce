"""NATS JetStream: a log is a stream of its own, with one subject of the same name, which is made if it is missing.

JetStream has neither a script that could guard an append nor a chain, so both are made of what every reader sees:

- The **chain** up to a record is its sequence number, the server's timestamp in nanoseconds, and a digest of its
  content. Those are the same for one append only, and where that stands, all before it stands as it did or is trimmed:
  a server that has lost its end, or was restored from an older copy, gives the numbers out again, but with other
  timestamps. So who joined late has the same chains as all others, and a mirror of a stream has those of the stream.
- `before` is the chain of the record with the number before, where this was read or was found in the log by the same
  connection. Where it was not, it is a stand-in, made of the stream's time of creation and the number; the first record
  that is left has one, too. So a gap in the numbers is a chain that does not follow.
- After a gap that will not close (somebody has deleted a record), the log counts as trimmed up to there.
- Of a log whose records are all too old, the stream still knows the number and the timestamp of the last one, so
  nobody who had read that has missed anything. To others its first record is the next one, as of now.
- The **place** is the timestamp in milliseconds, and the number. Who takes over from a server that has failed may have
  a slower clock, so timestamps may go back. They are taken as they are, for all to decide alike whether a record is
  valid. But what was appended before the first record that is left may have later timestamps than that one. So where
  something was trimmed, `Standing.first` is said to be `CLOCKS_MS` later than it is: servers that take over from each
  other must have clocks which differ by no more.
- An append is guarded by what is cheap: what was read last has the chain that this connection knows, the stream is the
  one, and the number it got is higher than that of what was read last; who has read nothing asks for the log's
  beginning. Who asked the server to compare the last number with theirs would be refused whenever somebody
  else was quicker. What gets through is found by who reads on, as behind any engine without a guard.
- The header against duplicates is not used: a record that is given back has the bytes that it had.

Records come by themselves, as many as there is room for: the server is asked for so many, and for more when half were
read. `read` waits only for what the log was said to have: what was appended here, or was there when we connected or
looked. A connection that has skipped a record, or whose consumer is gone, has failed.

What a user must be allowed to publish, beside subscribing to `_INBOX.>`; STREAM is the stream's name, and who has not
the second line needs somebody else to make the stream:

    STREAM $JS.API.STREAM.INFO.STREAM $JS.API.STREAM.MSG.GET.STREAM
    $JS.API.STREAM.CREATE.STREAM
    $JS.API.CONSUMER.CREATE.STREAM.* $JS.API.CONSUMER.MSG.NEXT.STREAM.* $JS.API.CONSUMER.DELETE.STREAM.*

This file must not know what stands in a record, nor how nats-py and its event loop are run.
"""

import base64
import json
import os
import random
import re
import ssl
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from hashlib import blake2b
from struct import Struct
from threading import Condition
from typing import Any, NamedTuple, TypeVar

from nats.aio.msg import Msg

from lru_cache import log
from lru_cache.engines import nats_stream
from lru_cache.engines.engine import DeniedError, EngineError, ForkedError, Refusal, check_clock
from lru_cache.engines.nats_connection import ANSWER_SECONDS, Connection, UnansweredError
from lru_cache.engines.nats_stream import HEADER_BYTES
from lru_cache.engines.options import JetStream
from lru_cache.replication.log_records import RECORD_BYTES, Place, Record, Standing

OLDEST_SERVER = (2, 10)
CLOCKS_MS = 1_000
LONGEST_NAME = 200  # characters of a stream's name; the server refuses more than 255
ROOM = 256  # records that wait here to be read
ROOM_BYTES = 4 * 1024 * 1024
PULL_SECONDS = 30.0  # for which the server remembers that there is room; then it is told again
CONSUMER_SECONDS = 90.0  # after which it forgets who does not ask any more

NO_STREAM, NO_MESSAGE, STREAM_EXISTS = 10059, 10037, 10058
TOO_MANY_REQUESTS = 429
DENYING = {10023, 10028, 10039, 10047, 10076, 10077}  # no resources, not enabled, no room: until somebody changes it

LATEST_SECONDS = 5.0  # beyond that its answer is late
LONG_REPLY_WORDS = 11  # of the reply subject of a record, where it names a domain and an account

Result = TypeVar("Result")

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_CHAIN = Struct(">QQ16s")
_FRACTION = re.compile(r"(.*:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


def stream_name(cluster: str, stream: str) -> str:
    """What the stream is called, and its subject: the same for no other cluster and stream, and without a dot."""
    spelt = "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"_{byte:02X}"
        for byte in cluster.encode(errors="surrogatepass")
    )
    name = f"cf_LRU_cache_{spelt}__{stream}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"cf_LRU_cache__h{blake2b(spelt.encode(), digest_size=16).hexdigest()}__{stream}"


class _Message(NamedTuple):
    """One of the stream's."""

    number: int
    ns: int
    content: bytes

    @property
    def place(self) -> Place:
        return self.ns // 1_000_000, self.number

    @property
    def chain(self) -> bytes:
        return _CHAIN.pack(self.number, self.ns, blake2b(self.content, digest_size=16).digest())


@dataclass
class _State:
    """What the server says of the stream, and when that was."""

    created: int
    first: int  # the number of the first message that is left, or will be
    last: int
    last_ns: int
    count: int
    ms: int
    gap: int  # the number behind the last one that is missing among those that are left; else 0

    @property
    def start(self) -> int:
        """Where the log begins."""
        return max(self.first, self.gap, 1)

    @property
    def end(self) -> int:
        """Up to where there are records to be had; 0 if there is none."""
        return self.last if self.count and self.start <= self.last else 0

    def before(self, number: int) -> bytes:
        """The stand-in for the chain before a message."""
        return blake2b(b"%d %d" % (self.created, number), digest_size=16).digest()


class _Consumer:
    """What is to be read from one message on. The connection's thread puts in, the reader takes, under its lock."""

    def __init__(self, name: str, since: int, start: int) -> None:
        self.name = name
        self.inbox = ""
        self.waiting: deque[_Message] = deque()
        self.next = start  # what is to be read next
        self.reached = since - 1  # the last that came; all up to there did, or are trimmed
        self.delivered = 0  # how many came
        self.due = 0  # how many there were when it was made, and must come before all was read
        self.asked = 0  # how many were asked for and did not come so far
        self.asked_at = 0.0


Act = Callable[..., Result]


def _is_last(act: Act[Result]) -> Act[Result]:
    """What fails is the last that is done over a connection."""

    @wraps(act)
    def acted(self: "JetStreamEngine", *arguments: Any) -> Result:
        try:
            return act(self, *arguments)
        except EngineError:
            self.close()
            raise

    return acted


class JetStreamEngine:
    """See the contract. `on_records` is called, by another thread, when there is something to read again."""

    pause = 0.5  # what comes by itself says so
    on_records: Callable[[], None] | None = None

    def __init__(self, options: JetStream, cluster: str, refusal: Refusal) -> None:
        self._options = options
        self._refusal = refusal
        self._differences = ""  # of the stream's settings from ours, as it was said last
        self._process = os.getpid()
        self.name = stream_name(cluster, options.stream)
        self._settings = nats_stream.settings(self.name, options)
        self._connection: Connection | None = None
        self._state = _State(0, 1, 0, 0, 0, 0, 0)  # as of when it was last asked for
        self._known: tuple[int, bytes] = (-1, b"")  # a message that the log had, by its number, and its chain
        self._consumer: _Consumer | None = None
        self._wanted = 0  # the log was said to have this message: `read` waits for it
        self._changed = Condition()  # guards what waits to be read

    # -- the contract ------------------------------------------------------------------------------------------------

    def connect(self, deadline: float) -> Standing:
        """Connect anew, and say what there is of the log; of a stream that is not there yet, after it was made."""
        self.close()
        self._known, self._wanted = (-1, b""), 0
        hosts = list(self._options.parts.hosts)
        random.shuffle(hosts)  # not all begin with the same
        error = EngineError("no server is named")
        for tried, host in enumerate(hosts):
            until = time.monotonic() + (deadline - time.monotonic()) / (len(hosts) - tried)
            self._connection = Connection("cf_LRU_cache", self._refusal, self._wake)
            try:
                self._connection.open(host, self._tls(), self._options.parts.scheme == "tls", self._who(), until)
                self._check_server(self._connection)
                return self._standing(deadline)
            except EngineError as failed:
                error = failed if not isinstance(error, DeniedError) else error
                self.close()
        raise error

    @_is_last
    def find(self, tail: Iterable[tuple[Place, bytes]]) -> Place | None:
        """Where one is, all before it are, or they are trimmed: so a few questions are enough."""
        self._connected()
        state = self._state
        places = [(place, chain) for place, chain in tail if len(chain) == _CHAIN.size and place[1] <= state.last]
        if not places:
            return None
        at = 0
        if not self._is_there(*places[0]):
            at = bisect_left(places, True, 1, key=lambda each: each[0][1] < state.start or self._is_there(*each))
        if at == len(places) or not self._is_there(*places[at]):
            return None
        place, chain = places[at]
        self._known = place[1], chain
        return place

    @_is_last
    def append(self, content: bytes, place: Place | None, chain: bytes) -> Place:
        """Also refused, though it was put there, if it got no higher number than what was read last."""
        connection = self._connected()
        if place is None:
            self._state = self._info(connection)
            self._check_beginning(chain)
        elif place[1] == self._known[0] and chain != self._known[1]:
            raise ForkedError(f"{self.name} has another record there")
        try:
            answer = connection.request(self.name, content, {"Nats-Expected-Stream": self.name})
        except UnansweredError:
            self._info(connection)  # which says why
            raise EngineError(f"{self.name} takes no records") from None
        number = int(self._checked(answer)["seq"])
        if number <= (self._state.start - 1 if place is None else place[1]):
            raise ForkedError(f"{self.name} has lost its end: its next record is number {number}")
        self._wanted = max(self._wanted, number)
        message = self._came(number) or self._message(connection, number)
        if message is None:
            raise ForkedError(f"{self.name} has lost a record at once")
        return message.place

    @_is_last
    def read(self, after: Place | None, limit: int) -> list[Record]:
        """What came, and all that the log was said to have."""
        connection = self._connected()
        start = self._state.start if after is None else after[1] + 1
        consumer = self._consumer
        if consumer is None or start != consumer.next:
            consumer = self._consume(connection, start)
        records: list[Record] = []
        with self._changed:
            if consumer.asked and time.monotonic() > consumer.asked_at + PULL_SECONDS + LATEST_SECONDS:
                raise EngineError(f"it has forgotten that records of {self.name} were asked for")
            while True:
                self._take(consumer, limit, records)
                self._ask(connection, consumer)
                if len(records) == limit or self._has_all(consumer):
                    return records
                if not self._changed.wait_for(partial(self._is_news, connection, consumer), ANSWER_SECONDS):
                    raise EngineError(f"{self.name} does not deliver what it has")
                connection.check()

    @_is_last
    def look(self, place: Place | None, chain: bytes) -> int:
        """One question, and a second one where others have appended since."""
        connection = self._connected()
        state = self._state = self._info(connection)
        check_clock(self._options.shown, state.ms)
        self._wanted = max(self._wanted, state.end)
        if place is None:
            self._check_beginning(chain)
        elif state.start > place[1] and state.last > place[1]:
            if state.start > self._reached() + 1:
                raise ForkedError(f"{self.name} was trimmed beyond what was read")
        elif not self._is_there(place, chain):
            raise ForkedError(f"{self.name} has not what was read last")
        return state.ms

    def _check_beginning(self, chain: bytes) -> None:
        """Whether who has read nothing has missed nothing."""
        state = self._state
        if chain != state.before(state.start) if state.start > 1 else chain and state.last == 0:
            raise ForkedError(f"{self.name} has not the beginning that it had")

    def close(self) -> None:
        """Let the server forget our consumer, and close the connection."""
        connection, self._connection = self._connection, None
        consumer, self._consumer = self._consumer, None
        if connection is not None:
            connection.end(None if consumer is None else (self._goodbye(consumer), b""))

    def abandon(self) -> None:
        """No lock is asked for: a thread that was not inherited may have held it.

        In the process that has made the connection its loop goes on, and whoever waits for an answer waits for that.
        """
        if os.getpid() == self._process:
            return
        connection, self._connection, self._consumer = self._connection, None, None
        self._changed = Condition()
        if connection is not None:
            connection.abandon()

    # -- connecting --------------------------------------------------------------------------------------------------

    def _who(self) -> dict[str, Any]:
        """For nats-py."""
        parts = self._options.parts
        if self._options.credentials:
            return {"user_credentials": self._options.credentials}
        if parts.user is None:
            return {}
        return {"token": parts.user} if parts.password is None else {"user": parts.user, "password": parts.password}

    def _tls(self) -> ssl.SSLContext | None:
        """None where nats-py's is good enough, if the server should want any."""
        options = self._options
        if not (options.parts.scheme == "tls" or options.authority or options.certificate):
            return None
        try:
            context = ssl.create_default_context(cafile=options.authority or None)
            if options.certificate:
                context.load_cert_chain(options.certificate, options.key or None)
        except OSError as error:
            raise DeniedError(
                f"a certificate of ours cannot be read: {error.strerror or type(error).__name__}"
            ) from None
        return context

    def _check_server(self, connection: Connection) -> None:
        if connection.version < OLDEST_SERVER:
            found, needed = (".".join(map(str, each)) for each in (connection.version, OLDEST_SERVER))
            raise DeniedError(f"its server is NATS {found}, and {needed} is the oldest that will do")
        if connection.max_payload < RECORD_BYTES + HEADER_BYTES:
            raise DeniedError(
                f"its max_payload is {connection.max_payload} bytes, and records need {RECORD_BYTES + HEADER_BYTES}"
            )

    def _standing(self, deadline: float) -> Standing:
        connection = self._connected()
        state = self._state = self._info_or_make(connection)
        check_clock(self._options.shown, state.ms)
        while True:
            first = self._first(connection, state)
            if first is not None or not state.end or time.monotonic() > deadline:
                break
            state = self._state = self._info(connection)  # it was trimmed meanwhile
        self._wanted = state.end
        return Standing(b"" if first is None else state.before(1), first, state.ms)

    def _first(self, connection: Connection, state: _State) -> Record | None:
        """The first record that is left; or what stands for the next, where there were others."""
        if state.last == 0:
            return None
        number = state.start
        if not state.end:
            ms = max(state.ms, state.last_ns // 1_000_000)
            return Record((ms, number), number, state.before(number), state.before(number), b"")
        found = self._message(connection, number)
        if found is None:
            return None
        ms = found.place[0]
        if number > 1:
            ms = max(ms, min(ms + CLOCKS_MS, state.ms))
        return Record((ms, number), number, state.before(number), found.chain, found.content)

    # -- the stream --------------------------------------------------------------------------------------------------

    def _connected(self) -> Connection:
        if self._connection is None:
            raise EngineError("not connected")
        self._connection.check()
        return self._connection

    def _asked(self, connection: Connection, what: str, question: dict[str, Any]) -> dict[str, Any]:
        """What the server's API answers; what it refuses is raised."""
        try:
            answer = connection.request(f"$JS.API.{what}", json.dumps(question).encode())
        except UnansweredError:
            raise DeniedError("JetStream is not enabled there") from None
        return self._checked(answer)

    def _checked(self, answer: bytes) -> dict[str, Any]:
        try:
            read = json.loads(answer)
            error = read.get("error")
            if error is None:
                return dict(read)
            code, kind, words = int(error["code"]), int(error.get("err_code", 0)), str(error.get("description", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EngineError("its answer cannot be read") from None
        if kind == NO_STREAM:
            raise ForkedError(f"there is no stream {self.name}")
        if kind == NO_MESSAGE:
            raise _NoMessageError
        if kind in DENYING or (code < 500 and code != TOO_MANY_REQUESTS):
            refused = _RefusedError(f"it refuses: {' '.join(words.split())[:200]}")
            refused.kind = kind
            raise refused
        raise EngineError(f"it cannot: {' '.join(words.split())[:200]}")

    def _info(self, connection: Connection) -> _State:
        return self._read_info(connection, self._asked(connection, f"STREAM.INFO.{self.name}", {}))

    def _info_or_make(self, connection: Connection) -> _State:
        try:
            found = self._asked(connection, f"STREAM.INFO.{self.name}", {})
        except ForkedError:
            found = self._make(connection)
        config = found.get("config", {})
        if self.name not in (config.get("subjects") or []):
            raise DeniedError(f"the stream {self.name} does not take the subject {self.name}")
        self._warn_of_differences(nats_stream.differences(self._settings, config))
        return self._read_info(connection, found)

    def _warn_of_differences(self, found: str) -> None:
        """Once for each: whoever has made the stream may know why."""
        if found and found != self._differences:
            log.logger().warning("the stream %s at %s: %s", self.name, self._options.shown, found)
        self._differences = found

    def _make(self, connection: Connection) -> dict[str, Any]:
        try:
            self._asked(connection, f"STREAM.CREATE.{self.name}", self._settings)
        except _RefusedError as error:
            if error.kind != STREAM_EXISTS:  # somebody else was quicker, with other settings
                raise
        return self._asked(connection, f"STREAM.INFO.{self.name}", {})

    def _read_info(self, connection: Connection, found: dict[str, Any]) -> _State:
        gap = 0
        try:
            if found["state"].get("num_deleted"):
                found = self._asked(connection, f"STREAM.INFO.{self.name}", {"deleted_details": True})
                gap = max(map(int, found["state"].get("deleted") or [0])) + 1
            state = found["state"]
            return _State(
                _ns(found["created"]), int(state["first_seq"]), int(state["last_seq"]), _ns(state["last_ts"]),
                int(state["messages"]), _ns(found["ts"]) // 1_000_000, gap,
            )  # fmt: skip
        except (KeyError, ValueError, TypeError, AttributeError):
            raise EngineError("what it says of the stream cannot be read") from None

    def _message(self, connection: Connection, number: int) -> _Message | None:
        """One message, if it is there."""
        try:
            found = self._asked(connection, f"STREAM.MSG.GET.{self.name}", {"seq": number})["message"]
            return _Message(int(found["seq"]), _ns(found["time"]), base64.b64decode(found.get("data") or ""))
        except _NoMessageError:
            return None
        except (KeyError, ValueError, TypeError):
            raise EngineError("a message cannot be read") from None

    def _is_there(self, place: Place, chain: bytes) -> bool:
        """Whether the log has this; or has had it as its last, and has nothing any more."""
        number, ns, _ = _CHAIN.unpack(chain) if len(chain) == _CHAIN.size else (0, 0, b"")
        state = self._state
        if number == state.last and ns == state.last_ns and number == place[1]:
            return True
        if number != place[1] or not state.start <= number <= state.last:
            return False
        message = self._message(self._connected(), number)
        return message is not None and (message.place, message.chain) == (place, chain)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _consume(self, connection: Connection, start: int) -> _Consumer:
        """Ask for all messages from this one on, and for the one before, if its chain is not known."""
        since = start if self._known[0] == start - 1 else start - 1
        self._forget(connection)
        consumer = _Consumer(f"{random.getrandbits(64):016x}", max(since, 1), start)
        consumer.inbox = connection.subscribe(partial(self._received, connection, consumer))
        answer = self._asked(
            connection,
            f"CONSUMER.CREATE.{self.name}.{consumer.name}",
            {"stream_name": self.name, "action": "create", "config": _consumer_config(consumer.name, max(since, 1))},
        )
        consumer.due = int(answer.get("num_pending") or 0)
        if consumer.due == 0:
            consumer.reached = max(consumer.reached, self._wanted)  # what was said to be there was trimmed
        self._consumer = consumer
        return consumer

    def _forget(self, connection: Connection) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            connection.later(connection.publish, self._goodbye(consumer), b"")

    def _goodbye(self, consumer: _Consumer) -> str:
        return f"$JS.API.CONSUMER.DELETE.{self.name}.{consumer.name}"

    def _take(self, consumer: _Consumer, limit: int, records: list[Record]) -> None:
        """Out of what waits."""
        while consumer.waiting and len(records) < limit:
            message = consumer.waiting.popleft()
            number, chain = message.number, message.chain
            known, before = self._known
            self._known = number, chain
            if number >= consumer.next:  # else it was asked for because its chain was not known
                consumer.next = number + 1
                before = before if known == number - 1 else self._state.before(number)
                records.append(Record(message.place, number, before, chain, message.content))

    def _is_news(self, connection: Connection, consumer: _Consumer) -> bool:
        return connection.failure is not None or len(consumer.waiting) > 0 or self._has_all(consumer)

    def _has_all(self, consumer: _Consumer) -> bool:
        return consumer.reached >= self._wanted and consumer.delivered >= consumer.due

    def _ask(self, connection: Connection, consumer: _Consumer) -> None:
        """For more, if there is room; with the lock held."""
        if consumer.asked == 0 and len(consumer.waiting) <= ROOM // 2:
            consumer.asked, consumer.asked_at = ROOM - len(consumer.waiting), time.monotonic()
            question = {"batch": consumer.asked, "max_bytes": ROOM_BYTES, "expires": int(PULL_SECONDS * 1e9)}
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.name}.{consumer.name}"
            connection.later(connection.publish, subject, json.dumps(question).encode(), consumer.inbox)

    def _received(self, connection: Connection, consumer: _Consumer, message: Msg) -> None:
        """In the thread of the connection."""
        if consumer is not self._consumer:
            return  # of one that we have done with
        try:
            if message.reply.startswith("$JS.ACK."):
                self._received_record(connection, consumer, message)
            else:
                self._received_status(connection, consumer, message.headers or {})
        except (ValueError, IndexError):
            connection.fail(EngineError("what it delivers cannot be read"))

    def _received_record(self, connection: Connection, consumer: _Consumer, message: Msg) -> None:
        words = message.reply.split(".")
        number, serial, ns, left = map(int, words[5:9] if len(words) < LONG_REPLY_WORDS else words[7:11])
        if serial != consumer.delivered + 1 or number <= consumer.reached:
            connection.fail(EngineError("a record was lost on its way, or came twice"))
            return
        with self._changed:
            was_empty = not consumer.waiting
            consumer.waiting.append(_Message(number, ns, message.data))
            consumer.delivered, consumer.reached = serial, number
            if left == 0:
                consumer.due = serial  # the rest has been trimmed
            consumer.asked -= consumer.asked > 0
            self._ask(connection, consumer)
            self._changed.notify_all()
        if was_empty and self.on_records is not None:
            self.on_records()

    def _received_status(self, connection: Connection, consumer: _Consumer, headers: dict[str, Any]) -> None:
        status, words = str(headers.get("Status", "")), str(headers.get("Description", ""))
        if status == "100":
            return
        if status == "408" or (status == "409" and "Nats-Pending-Messages" in headers):
            with self._changed:
                consumer.asked = 0
                self._ask(connection, consumer)
        elif "consumer deleted" in words.lower():  # as all of a stream's are when that is
            connection.fail(ForkedError(f"{self.name} is no longer the stream that it was"))
        else:
            connection.fail(EngineError(f"it delivers no more: {status} {words}"[:200]))

    def _reached(self) -> int:
        """Up to where nothing was missed."""
        return max(self._known[0], 0 if self._consumer is None else self._consumer.reached)

    def _came(self, number: int) -> _Message | None:
        """What was appended just now, if it is delivered; so its timestamp need not be asked for."""
        connection, consumer = self._connected(), self._consumer
        if consumer is None:
            return None
        with self._changed:
            self._changed.wait_for(
                lambda: connection.failure is not None or consumer.reached >= number or consumer.asked == 0,
                ANSWER_SECONDS,
            )
            connection.check()
            return next((each for each in reversed(consumer.waiting) if each.number == number), None)

    def _wake(self) -> None:
        """The connection has failed: who waits hears of it, and who does not looks."""
        with self._changed:
            self._changed.notify_all()
        if self.on_records is not None and self._connection is not None:
            self.on_records()


class _RefusedError(DeniedError):
    """With the number that the server has for the reason."""

    kind = 0


class _NoMessageError(EngineError):
    """There is no such message."""


def _consumer_config(name: str, since: int) -> dict[str, Any]:
    return {
        "name": name,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": since,
        "ack_policy": "none",
        "replay_policy": "instant",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": int(CONSUMER_SECONDS * 1e9),
    }


def _ns(text: str) -> int:
    """Nanoseconds since 1970, of a time as the server writes it."""
    matched = _FRACTION.fullmatch(text)
    if matched is None:
        raise ValueError("no time")
    whole, fraction, zone = matched.groups()
    seconds = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone)) - _EPOCH
    return (seconds.days * 86_400 + seconds.seconds) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
