"""Redis and Valkey: a log is one stream, which a script appends to. docs/protocol.md describes its entries.

A user whom this ACL describes may do all that is needed:

    ~cf_LRU_cache:* resetchannels -@all +hello +select +asking +time +eval +evalsha
    +xadd +xtrim +xrange +xrevrange +zadd +zcard +zremrangebyscore +expire

With `+info` or `+config|get` as well it is noticed that Redis may evict the log. Sentinels are asked by `SENTINEL
GET-MASTER-ADDR-BY-NAME`, and told the password only if they ask for one.

If an entry does not follow the one before it, something between them was deleted, or it is forged. Then all before it
counts as trimmed: that is said once, by a `ForkedError`, and from there on it is the first record that is left. If an
entry's chain is not that of its record, the same goes for what stands behind it: its own time may be forged, too.

This file must not know what a record says, nor when anything is tried again.
"""

import os
import re
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from lru_cache import log
from lru_cache.engines import options
from lru_cache.engines import redis_stream as stream
from lru_cache.engines.engine import DeniedError, EngineError, ForkedError, Refusal, check_clock
from lru_cache.engines.redis_connection import Command, Connection, ErrorReply, shown
from lru_cache.network.address import Address
from lru_cache.replication.log_records import Place, Record, Standing

OLDEST = (6, 2)  # XTRIM MINID, and ranges without their first
MOST_REDIRECTIONS = 5
PAUSE_SECONDS = 0.0001  # for each node: a poll takes some 10 us of the server, so all take a tenth of a core
LONGEST_PAUSE_SECONDS = 1.0  # however many there seem to be
PRESENCE_SECONDS = 15.0  # between two notes that this node is there
ABSENT_SECONDS = 45  # who was silent for so long is not counted
MOST_PLACES = 512  # in one question
_TOO_OLD = "is too old: 6.2 or newer is needed"


class RedisEngine:
    """A log on Redis or Valkey. `Engine` says what each method does."""

    def __init__(self, options: options.Redis, cluster: str, refusal: Refusal) -> None:
        self.pause = 0.0
        self._options = options
        self._key = f"cf_LRU_cache:{{{cluster}:{options.stream}}}"
        self._retention_ms = int(options.retention_seconds * 1000)
        self._connection = Connection(options, refusal)
        self._turn = 0  # which of the hosts is tried first
        self._node = os.urandom(8).hex()  # what it is counted by
        self._present_at: float | None = None  # when that was last noted; None: it is to be
        self._is_countable = True
        self._knows_eviction = False
        self._first: Place | None = None  # of the log when it was opened
        self._read_to: tuple[Place, bytes] | None = None  # the last that was given or found, and the chain there
        self._hole: tuple[Place, bytes] | None = None  # an entry that does not follow the one before it, and its chain

    # -- the contract --------------------------------------------------------------------------------------------------

    def connect(self, deadline: float) -> Standing:
        """Try each host once, beginning with the one that worked last, or behind the one that failed last."""
        hosts = self._hosts()
        failures: list[EngineError] = []
        for count in range(len(hosts), 0, -1):
            now = time.monotonic()
            try:
                return self._open(hosts[self._turn % len(hosts)], now + (deadline - now) / count)
            except EngineError as failure:
                failures.append(failure)
            self._connection.close()
            self._turn += 1
        raise next((failure for failure in failures if isinstance(failure, DeniedError)), failures[-1])

    def find(self, tail: Iterable[tuple[Place, bytes]]) -> Place | None:
        """Ask for more and more of them at once. What stood before the first that is left need not be asked for."""
        places = iter(tail)
        count = 1
        while chunk := list(islice(places, count)):
            asked = [each for each in chunk if self._first is None or each[0] >= self._first]
            if asked and (found := self._find(asked)):
                self._read_to = asked[found - 1]
                return self._read_to[0]
            if len(asked) < len(chunk):
                return None
            count = min(count * 8, MOST_PLACES)
        return None

    def append(self, content: bytes, place: Place | None, chain: bytes) -> Place:
        """One script compares, appends and trims."""
        token = stream.new_token() if place is None else ""
        digest = stream.digest(content)
        limits = self._options.records, self._retention_ms
        reply = self._run(stream.APPEND, *self._read_last(place, chain), token, digest, *limits, content)
        self._check_fork(reply)
        found = stream.read_place(reply)
        if found is None:
            raise self._failed(self._connection.odd())
        return found

    def read(self, after: Place | None, limit: int) -> list[Record]:
        """A range of the stream. Each entry must follow the one before it."""
        start = self._start() if after is None else f"({stream.name_of(after)}"
        entries = self._range("XRANGE", start, "+", limit)
        chain = self._read_to[1] if self._read_to is not None and self._read_to[0] == after else None
        records: list[Record] = []
        for entry in entries:
            record = stream.record_of(entry, chain)
            if chain is not None and record.before != chain:
                raise self._failed(self._gap(entry, records))
            if self._is_forged(entry):
                raise self._failed(self._begin_behind(entry))
            chain = record.chain
            records.append(record)
        if records:
            if after is None:
                records[0] = self._as_first(records[0])
            self._read_to = records[-1].place, records[-1].chain
        return records

    def look(self, place: Place | None, chain: bytes) -> int:
        """The script that compares answers with the time."""
        reply = self._run(stream.LOOK, *self._read_last(place, chain))
        self._check_fork(reply)
        engine_ms = self._milliseconds(reply)
        check_clock(self._connection.where, engine_ms)
        self._note_presence()
        return engine_ms

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def abandon(self) -> None:
        """Let go of the connection: in a child nothing is sent; else who waits for an answer is woken up."""
        self._connection.abandon()
        self._node = os.urandom(8).hex()  # a child is another node

    # -- connecting ----------------------------------------------------------------------------------------------------

    def _hosts(self) -> tuple[Address, ...]:
        parts = self._options.parts
        if parts.scheme == "unix":
            return (Address(path=parts.path),)
        return parts.hosts or (Address("localhost", self._options.PORT),)

    def _open(self, address: Address, until: float) -> Standing:
        if self._options.sentinel:
            address = self._primary(address, until)
        is_asking = False
        for _ in range(MOST_REDIRECTIONS + 1):
            self._connection.dial(address, until)
            self._connection.is_asking = is_asking
            answer = self._greet(address)
            if isinstance(answer, Standing):
                return answer
            is_asking, address = answer
        raise EngineError(f"{self._connection.where} sends us from one node of the Cluster to the next")

    def _primary(self, sentinel: Address, until: float) -> Address:
        """What a Sentinel takes for the primary."""
        self._connection.dial(sentinel, until)
        question = "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._options.sentinel
        replies: list[Any] | EngineError = self._connection.ask(question)
        if isinstance(replies, list) and isinstance(replies[0], ErrorReply) and replies[0].code == "NOAUTH":
            replies = self._connection.exchange([*self._connection.credentials(), question])
        if isinstance(replies, EngineError):
            raise replies
        refused = [reply for reply in replies if isinstance(reply, ErrorReply)]
        if refused:
            raise self._connection.explained(refused[0])
        where = self._connection.where
        found = replies[-1]
        if found is None:
            raise DeniedError(f"the Sentinel, {where}, knows no primary called {self._options.sentinel!r}")
        if not (isinstance(found, list) and len(found) == 2 and all(isinstance(each, bytes) for each in found)):
            raise self._connection.odd()
        host, port = (each.decode(errors="replace") for each in found)
        if not port.isdigit():
            raise self._connection.odd()
        return Address(host, int(port))

    def _introduction(self) -> list[Any] | EngineError:
        """Say who we are, and ask at once what it is, the time, and for the first entry.

        Nothing is raised in here, where the password is: tracebacks may show the variables of a frame.
        """
        known: list[Command] = self._connection.credentials()
        if self._options.db:
            known.append(("SELECT", self._options.db))
        first = "XRANGE", self._key, self._start(), "+", "COUNT", 1
        replies = self._connection.exchange([*known, ("HELLO",), ("TIME",), first])
        if isinstance(replies, EngineError):
            return replies
        refused = [reply for reply in replies[: len(known)] if isinstance(reply, ErrorReply)]
        return self._connection.explained(refused[0]) if refused else replies[len(known) :]

    def _greet(self, address: Address) -> Standing | tuple[bool, Address]:
        """How the log stands; or whether to ask another node (and to say so each time), and which."""
        replies = self._introduction()
        if isinstance(replies, EngineError):
            raise replies
        hello, moment, entries = replies
        self._check_kind(hello)
        if isinstance(moment, ErrorReply):
            raise self._connection.explained(moment)
        engine_ms = self._milliseconds(moment)
        check_clock(self._connection.where, engine_ms)
        if isinstance(entries, ErrorReply):
            other = _redirected(entries, address)
            if other is None:
                raise self._connection.explained(entries)
            return other
        self._is_countable, self._present_at = True, None
        self._note_presence()
        self._warn_of_eviction()
        standing = self._standing(self._entries(entries), engine_ms)
        self._connection.settle()
        return standing

    def _standing(self, entries: list[Any], engine_ms: int) -> Standing:
        """What a first entry says of the log."""
        self._first = self._read_to = None
        if self._hole is not None and (not entries or _end_of(entries[0]) != self._hole):
            self._hole = None  # it was trimmed, or this is another log
            entries = self._range("XRANGE", stream.START, "+", 1)
        if entries and self._is_forged(entries[0]):
            self._begin_behind(entries[0])
            entries = self._range("XRANGE", self._start(), "+", 1)
        if not entries:
            return Standing(b"", None, engine_ms)
        first = self._as_first(stream.record_of(entries[0], None))
        self._first = first.place
        return Standing(stream.token_of(entries[0]), first, engine_ms)

    def _as_first(self, record: Record) -> Record:
        """The first that is left. Behind a hole it is not the first that ever was, whatever it says."""
        is_behind = self._hole is not None and record.place == self._hole[0]
        return record._replace(number=max(record.number, 2)) if is_behind else record

    def _check_kind(self, hello: Any) -> None:
        """Whether this is a primary, and new enough. Who is not permitted to ask will see."""
        where = self._connection.where
        if isinstance(hello, ErrorReply):
            if "unknown command" in hello:
                raise DeniedError(f"{where} {_TOO_OLD}")
            if hello.code != "NOPERM":
                raise self._connection.explained(hello)
            return
        pairs = zip(hello[::2], hello[1::2], strict=False) if isinstance(hello, list) else ()
        said = {name: value for name, value in pairs if isinstance(name, bytes) and isinstance(value, bytes)}
        version = said.get(b"version", b"").decode(errors="replace")
        numbers = re.match(r"(\d{1,9})\.(\d{1,9})", version)
        if said.get(b"server") == b"redis" and numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
            raise DeniedError(f"{where}, version {shown(version)}, {_TOO_OLD}")
        mode = said.get(b"mode")
        if mode == b"sentinel":
            raise DeniedError(f"{where} is a Sentinel: give what it calls the primary as sentinel=...")
        if said.get(b"role") in (b"replica", b"slave") and mode != b"cluster":
            raise self._connection.explained(ErrorReply("READONLY"))

    def _warn_of_eviction(self) -> None:
        """Once, if Redis may evict the log to make room: then it is gone as if it had been wiped."""
        if self._knows_eviction:
            return
        self._knows_eviction = True
        said: dict[bytes, bytes] = {}
        [reply] = self._connection.ask(("INFO", "memory"))
        if isinstance(reply, bytes):
            said = {name: value.strip() for name, _, value in (line.partition(b":") for line in reply.splitlines())}
        else:
            [reply] = self._connection.ask(("CONFIG", "GET", "maxmemory*"))
            if _is_flat(reply):
                said = {name.replace(b"-", b"_"): value for name, value in zip(reply[::2], reply[1::2], strict=False)}
        policy = said.get(b"maxmemory_policy", b"")
        if policy.startswith(b"allkeys") and said.get(b"maxmemory") != b"0":
            log.logger().warning(
                "%s may evict the cache's log, and then all nodes begin anew: its maxmemory-policy is %s; "
                "volatile-lru and noeviction let it live",
                self._connection.where,
                shown(policy.decode(errors="replace")),
            )

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self, command: Command) -> Any:
        [reply] = self._connection.ask(command)
        if isinstance(reply, ErrorReply):
            raise self._failed(self._connection.explained(reply))
        return reply

    def _run(self, script: stream.Script, *arguments: Any) -> Any:
        reply = self._try(script, self._key, arguments)
        if isinstance(reply, ErrorReply):
            raise self._failed(self._connection.explained(reply))
        return reply

    def _try(self, script: stream.Script, key: str, arguments: Iterable[Any]) -> Any:
        """A script by its name; by its text if Redis does not know it, as after a restart."""
        [reply] = self._connection.ask(("EVALSHA", script.name, 1, key, *arguments))
        if isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT":
            [reply] = self._connection.ask(("EVAL", script.text, 1, key, *arguments))
        return reply

    def _failed(self, failure: EngineError) -> EngineError:
        """What is to be raised. There is no connection from here on."""
        self._connection.close()
        return failure

    def _find(self, places: list[tuple[Place, bytes]]) -> int:
        reply = self._run(stream.FIND, *(part for place, chain in places for part in (stream.name_of(place), chain)))
        if not isinstance(reply, int) or not 0 <= reply <= len(places):
            raise self._failed(self._connection.odd())
        return reply

    def _range(self, command: str, start: str, end: str, limit: int) -> list[Any]:
        return self._entries(self._ask((command, self._key, start, end, "COUNT", limit)))

    def _entries(self, reply: Any) -> list[Any]:
        if isinstance(reply, list) and all(map(stream.is_entry, reply)):
            return reply
        raise self._failed(self._connection.odd())

    def _milliseconds(self, reply: Any) -> int:
        if _is_flat(reply) and len(reply) == 2 and all(each.isdigit() for each in reply):
            return int(reply[0]) * 1000 + int(reply[1]) // 1000
        raise self._failed(self._connection.odd())

    # -- the log -------------------------------------------------------------------------------------------------------

    def _start(self) -> str:
        """Where the log begins."""
        return stream.START if self._hole is None else stream.name_of(self._hole[0])

    def _read_last(self, place: Place | None, chain: bytes) -> tuple[str, bytes, str]:
        """What a script compares."""
        return "" if place is None else stream.name_of(place), chain, self._start()

    def _check_fork(self, reply: Any) -> None:
        if reply == 0:
            raise self._failed(self._fork())

    def _fork(self) -> ForkedError:
        return ForkedError(
            f"{self._connection.where} has not the end of the log that was read: it is another, or trimmed"
        )

    def _gap(self, entry: list[Any], before: list[Record]) -> ForkedError:
        """Why an entry does not follow what was read before it.

        What was read by an earlier question need not be there any more, and then this is another log.
        """
        if not before:
            earlier = self._range("XREVRANGE", f"({entry[0].decode()}", stream.START, 1)
            if not earlier or _end_of(earlier[0])[1] == stream.record_of(entry, None).before:
                return self._fork()
        return self._begin_behind(entry) if stream.is_forged(entry) else self._begin_at(entry)

    def _begin_at(self, entry: list[Any]) -> ForkedError:
        """All before this counts as trimmed."""
        self._hole = _end_of(entry)
        return ForkedError(f"{self._connection.where} has lost a part of the log: entries were deleted or forged")

    def _begin_behind(self, forged: list[Any]) -> ForkedError:
        """The log begins with the next entry, whose time nobody has forged; or with this, as long as it is the last."""
        behind = self._range("XRANGE", f"({forged[0].decode()}", "+", MOST_PLACES)
        return self._begin_at(next((each for each in behind if not stream.is_forged(each)), [forged, *behind][-1]))

    def _is_forged(self, entry: list[Any]) -> bool:
        """Whether it is, and that was not said so far."""
        return stream.is_forged(entry) and _end_of(entry) != self._hole

    # -- who is there --------------------------------------------------------------------------------------------------

    def _note_presence(self) -> None:
        """Say that we are there, and ask how many are. Where that is not permitted, we are few."""
        now = time.monotonic()
        if not self._is_countable or (self._present_at is not None and now < self._present_at + PRESENCE_SECONDS):
            return
        self._present_at = now
        reply = self._try(stream.PRESENCE, f"{self._key}:nodes", (self._node, ABSENT_SECONDS))
        if isinstance(reply, int):
            self.pause = min(max(0.0, reply * PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        elif isinstance(reply, ErrorReply) and reply.code == "NOPERM":
            self._is_countable, self.pause = False, 0.0


_REDIRECTION = re.compile(r"(MOVED|ASK) \d+ (\S*):(\d{1,5})")


def _redirected(error: ErrorReply, asked: Address) -> tuple[bool, Address] | None:
    """Whether to say ASKING, and the node that has the log; None if the error says something else."""
    matched = _REDIRECTION.match(error)
    if matched is None:
        return None
    host = matched[2].removeprefix("[").removesuffix("]")
    return matched[1] == "ASK", Address(host if host not in ("", "?") else asked.host, int(matched[3]))


def _end_of(entry: list[Any]) -> tuple[Place, bytes]:
    """The place of an entry, and the chain there."""
    record = stream.record_of(entry, None)
    return record.place, record.chain


def _is_flat(reply: Any) -> bool:
    """Whether this is a list of texts."""
    return isinstance(reply, list) and all(isinstance(each, bytes) for each in reply)
