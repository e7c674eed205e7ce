"""Whole caches on a real server of Redis, to which all that may happen happens.

Each incident must end in the newest value or a miss on every node, be one line of the log, and never keep a `get` or a
`set` waiting.
"""

import ast
import itertools
import logging
import os
import random
import re
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from lru_cache.engines import log_link, redis_connection, redis_stream
from lru_cache.engines.engine import EngineError
from lru_cache.engines.options import read_engine
from lru_cache.engines.redis import RedisEngine
from lru_cache.network.security import RecordSeals
from lru_cache.replication import Event, Version, messages
from lru_cache.replication.log_end import VALUE_BYTES
from lru_cache.replication.log_records import News, decode_record, encode_record
from tests.concurrency import PATIENCE, Started, eventually
from tests.effort import some_or_many
from tests.engines import logs
from tests.engines.fleet import Attempts, Cache, Fleet, Lines
from tests.engines.proxy import Proxy
from tests.engines.servers import Server, Servers
from tests.test_fork import Child

Nodes = Callable[..., Cache]

STREAM = logs.key("default", "default")
AWAY, REFUSED, BACK = "is away: ", "is not to be had: ", "is back"
BROKEN, LOST = "what it lacks is given back", "may have had records that were not read"


pytestmark = pytest.mark.usefixtures("haste")


Fleets = Callable[..., Fleet]
Proxies = Callable[[int], Proxy]


@pytest.fixture
def fleet(nodes: Nodes, lines: Lines) -> Fleets:
    """Make caches on the engine at a URL, which have read each other's first writes."""

    def make(url: str, count: int = 3, **options: Any) -> Fleet:
        made = Fleet([nodes(engine=url, **options) for _ in range(count)], lines)
        made.write()
        made.agree(whole=True)
        assert lines.all() == []
        return made

    return make


@pytest.fixture
def proxies() -> Iterator[Proxies]:
    made: list[Proxy] = []

    def make(port: int) -> Proxy:
        made.append(Proxy(port))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Attempts:
    noted = Attempts()
    connect = RedisEngine.connect

    def counted(self: RedisEngine, deadline: float) -> Any:
        noted.made.append(self)
        return connect(self, deadline)

    monkeypatch.setattr(RedisEngine, "connect", counted)
    return noted


# -- the server is away ------------------------------------------------------------------------------------------------


def test_a_replica_that_is_behind_takes_over(servers: Servers, fleet: Fleets, attempts: Attempts) -> None:
    primary, replica = servers(), servers()
    replica.follow(primary)
    caches = fleet(f"redis://127.0.0.1:{primary.port},127.0.0.1:{replica.port}")
    caches.write(2)
    caches.settle()
    replica.catch_up(primary)
    replica.lose_primary()
    caches.write(2)
    caches.settle()
    behind = primary.client.xlen(STREAM) - replica.client.xlen(STREAM)
    assert behind > 0
    primary.kill()
    caches.write()
    attempts.again(caches)
    caches.write()
    replica.promote()
    caches.write()
    caches.agree(whole=True)
    assert caches.total("log_broken") == len(caches.caches)
    assert caches.total("log_restored") >= behind
    assert caches.total("log_lost") == 0
    caches.have_said(AWAY, BROKEN, BACK)


def test_a_server_that_is_started_again_has_nothing(servers: Servers, fleet: Fleets, attempts: Attempts) -> None:
    server = servers()
    caches = fleet(server.url)
    caches.write(2)
    server.kill()
    caches.write()
    attempts.again(caches)
    caches.write()
    server.start()
    caches.write()
    caches.agree()
    caches.have_said(AWAY, BROKEN, BACK)


def test_a_server_that_stands_still_for_longer_than_every_timeout(
    servers: Servers, fleet: Fleets, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers()
    caches = fleet(server.url)
    with monkeypatch.context() as impatient:
        impatient.setattr(redis_connection, "TIMEOUT_SECONDS", 0.5)
        impatient.setattr(log_link, "CONNECT_SECONDS", 0.7)
        server.stop()
        caches.write(5)
        attempts.again(caches)
        caches.write(5)
    server.go_on()
    caches.agree(whole=True)
    assert caches.total("log_broken") == caches.total("log_lost") == 0
    caches.have_said(AWAY, BACK)


def test_nobody_waits_for_a_server_that_stands_still(servers: Servers, fleet: Fleets) -> None:
    """While all that is written is still to be appended, and that thread waits for an answer."""
    server = servers()
    caches = fleet(server.url)
    server.stop()
    caches.write(10)
    for cache in caches.caches:
        assert not cache.flush(timeout=0)
        assert [peer.queued > 0 for peer in cache.peers()] == [True]
    server.go_on()
    caches.agree(whole=True)


def test_a_server_that_comes_after_the_caches(servers: Servers, nodes: Nodes, lines: Lines) -> None:
    server = servers()
    server.kill()
    caches = Fleet([nodes(engine=server.url) for _ in range(3)], lines)
    caches.write()
    caches.all_say(AWAY)
    caches.write()
    server.start()
    caches.agree(whole=True)
    caches.have_said(AWAY, BACK)


# -- the log is another ------------------------------------------------------------------------------------------------


def test_the_log_is_wiped(servers: Servers, fleet: Fleets) -> None:
    server = servers()
    caches = fleet(server.url)
    caches.write(2)
    caches.settle()
    server.ask("FLUSHALL")
    caches.write()
    caches.all_say(BROKEN)
    caches.write()
    caches.agree(whole=True)
    assert caches.total("log_broken") == len(caches.caches)
    caches.have_said(BROKEN)


def test_the_log_is_trimmed_where_all_have_read_it(servers: Servers, fleet: Fleets) -> None:
    server = servers()
    caches = fleet(server.url)
    caches.write(3)
    caches.settle()
    server.ask("XTRIM", STREAM, "MAXLEN", 1)
    caches.write()
    caches.agree(whole=True)
    caches.have_said()


def test_the_log_is_trimmed_beyond_the_place_of_who_is_away(
    servers: Servers, fleet: Fleets, nodes: Nodes, proxies: Proxies, lines: Lines
) -> None:
    """Only that one drops anything."""
    server = servers()
    proxy = proxies(server.port)
    caches = fleet(server.url, 2)
    away = nodes(engine=proxy.url)
    caches.caches.append(away)
    caches.write()
    caches.agree()
    proxy.cut()
    eventually(lambda: lines.count(AWAY) == 1)
    caches.write(3)
    connected = Fleet(caches.caches[:2], lines)
    connected.settle()
    server.ask("XTRIM", STREAM, "MAXLEN", 1)
    proxy.mend()
    caches.agree()
    assert [cache.stats().log_lost for cache in caches.caches] == [0, 0, 1]
    assert [cache.stats().dropped_by_floors for cache in caches.caches[:2]] == [0, 0]
    assert [sum(phrase in line for line in lines.all()) for phrase in (AWAY, LOST, BACK)] == [1, 1, 1]
    assert len(lines.all()) == 3


@pytest.mark.parametrize("how", ["evicted", "deleted"])
def test_the_log_is_gone(how: str, servers: Servers, fleet: Fleets) -> None:
    server = servers()
    caches = fleet(server.url)
    caches.write(2)
    caches.settle()
    if how == "deleted":
        server.ask("DEL", STREAM)
    else:
        server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
        server.ask("CONFIG", "SET", "maxmemory", server.client.info("memory")["used_memory"] + 500_000)
        fill(server, lambda: caches.lines.count(BROKEN) > 0)
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", 0)
    caches.write()
    caches.all_say(BROKEN)
    caches.agree()
    assert caches.lines.count(BROKEN) == caches.total("log_broken")


def fill(server: Server, is_enough: Callable[[], bool]) -> None:
    """Have a server make room for other things, until that has shown."""
    numbers = itertools.count()

    def write() -> bool:
        server.ask("SET", f"other{next(numbers) % 10}", b"x" * 200_000)
        return is_enough()

    eventually(write)


def test_a_log_that_may_be_evicted_is_warned_of(servers: Servers, nodes: Nodes, lines: Lines) -> None:
    server = servers("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    nodes(engine=server.url)
    eventually(lambda: lines.count("may evict the cache's log") == 1)


def test_a_proxy_swaps_servers_and_nobody_is_disconnected(servers: Servers, fleet: Fleets, proxies: Proxies) -> None:
    primary, replica = servers(), servers()
    replica.follow(primary)
    proxy = proxies(primary.port)
    caches = fleet(proxy.url)
    caches.write()
    caches.settle()
    replica.catch_up(primary)
    replica.promote()
    caches.write(2)
    caches.settle()
    proxy.swap(replica.port)
    caches.write()
    caches.all_say(BROKEN)
    assert proxy.answers_swapped > 0
    caches.write()
    caches.agree(whole=True)
    proxy.swap(primary.port)
    caches.write()
    eventually(lambda: caches.total("log_broken") == 2 * len(caches.caches))
    caches.agree(whole=True)
    caches.have_said(BROKEN, BROKEN)


# -- the server refuses ------------------------------------------------------------------------------------------------


def test_a_server_without_memory_for_more(servers: Servers, fleet: Fleets, attempts: Attempts) -> None:
    server = servers()
    caches = fleet(server.url)
    server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", 1)
    caches.write(2)
    caches.all_say("has no memory left for the log: raise its maxmemory")
    attempts.again(caches)
    caches.write()
    server.ask("CONFIG", "SET", "maxmemory", 0)
    caches.agree(whole=True)
    caches.have_said(REFUSED, BACK)


def test_a_server_with_fewer_replicas_than_it_must_have(servers: Servers, fleet: Fleets, attempts: Attempts) -> None:
    server = servers()
    caches = fleet(server.url)
    server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
    caches.write(2)
    caches.all_say("has fewer replicas than it must have to be written to")
    attempts.again(caches)
    caches.write()
    server.ask("CONFIG", "SET", "min-replicas-to-write", 0)
    caches.agree(whole=True)
    caches.have_said(AWAY, BACK)


def test_a_primary_that_is_a_replica_for_a_while(servers: Servers, fleet: Fleets, attempts: Attempts) -> None:
    server = servers()
    caches = fleet(server.url)
    server.lose_primary()
    caches.write(2)
    caches.all_say("is a replica, which must not be written to")
    attempts.again(caches)
    caches.write()
    server.promote()
    caches.agree(whole=True)
    assert caches.total("log_broken") == 0
    caches.have_said(AWAY, BACK)


@pytest.mark.parametrize("denied", ["xadd", "xrange", "evalsha"])
def test_a_command_that_is_no_longer_permitted(
    denied: str, servers: Servers, fleet: Fleets, attempts: Attempts
) -> None:
    server = servers()
    server.ask("ACL", "SETUSER", "c", "on", ">word", "~cf_LRU_cache:*", "+@all")
    caches = fleet(f"redis://c:word@127.0.0.1:{server.port}")
    server.ask("ACL", "SETUSER", "c", f"-{denied}")
    caches.write(2)
    caches.all_say("does not permit this user what the cache needs")
    attempts.again(caches)
    caches.write()
    server.ask("ACL", "SETUSER", "c", f"+{denied}")
    caches.agree(whole=True)
    caches.have_said(REFUSED, BACK)


def test_a_wrong_password_that_is_put_right(servers: Servers, nodes: Nodes, lines: Lines, attempts: Attempts) -> None:
    server = servers(password="other")
    caches = Fleet([nodes(engine=f"redis://:word@127.0.0.1:{server.port}") for _ in range(3)], lines)
    caches.write()
    caches.all_say("refuses the user or the password of the URL")
    attempts.again(caches)
    caches.write()
    server.ask("CONFIG", "SET", "requirepass", "word")
    caches.agree(whole=True)
    caches.have_said(REFUSED, BACK)


def test_a_password_that_is_changed(servers: Servers, fleet: Fleets, attempts: Attempts) -> None:
    """Who is connected stays so; who comes back is refused."""
    server = servers(password="word")
    caches = fleet(f"redis://:word@127.0.0.1:{server.port}")
    server.ask("CONFIG", "SET", "requirepass", "other")
    server.ask("CLIENT", "KILL", "TYPE", "normal")
    caches.write()
    caches.all_say(REFUSED)
    attempts.again(caches)
    server.ask("CONFIG", "SET", "requirepass", "word")
    caches.agree(whole=True)
    caches.have_said(AWAY, REFUSED, BACK)


def test_a_server_that_is_too_old(
    servers: Servers, nodes: Nodes, lines: Lines, proxies: Proxies, attempts: Attempts
) -> None:
    proxy = proxies(servers().port)
    proxy.rewrite = lambda answer: re.sub(rb"(version\r\n)\$\d+\r\n[\d.]+", rb"\1$6\r\n6.0.16", answer)
    caches = Fleet([nodes(engine=proxy.url) for _ in range(3)], lines)
    caches.write()
    caches.all_say("version 6.0.16, is too old: 6.2 or newer is needed")
    attempts.again(caches)
    proxy.rewrite = lambda answer: answer
    caches.agree(whole=True)
    caches.have_said(REFUSED, BACK)


_TIME = re.compile(rb"\*2\r\n\$10\r\n(\d{10})\r\n")


def shifted(seconds: int) -> Callable[[bytes], bytes]:
    """Answers of a server whose clock is ahead."""
    return lambda answer: _TIME.sub(lambda found: b"*2\r\n$10\r\n%d\r\n" % (int(found[1]) + seconds), answer)


@pytest.mark.parametrize("seconds", [90, -90])
def test_a_clock_that_is_a_minute_and_a_half_off(
    seconds: int, servers: Servers, nodes: Nodes, lines: Lines, proxies: Proxies, attempts: Attempts
) -> None:
    proxy = proxies(servers().port)
    proxy.rewrite = shifted(seconds)
    caches = Fleet([nodes(engine=proxy.url) for _ in range(3)], lines)
    caches.write()
    caches.all_say("set the one that is wrong")
    attempts.again(caches)
    caches.write()
    proxy.rewrite = shifted(0)
    caches.agree(whole=True)
    caches.have_said(REFUSED, BACK)


@pytest.mark.parametrize("seconds", [90, -90])
def test_a_clock_that_jumps_while_caches_are_connected(
    seconds: int, servers: Servers, fleet: Fleets, proxies: Proxies, attempts: Attempts
) -> None:
    proxy = proxies(servers().port)
    caches = fleet(proxy.url)
    proxy.rewrite = shifted(seconds)
    caches.write()
    caches.all_say("set the one that is wrong")
    attempts.again(caches)
    caches.write()
    proxy.rewrite = shifted(0)
    caches.agree(whole=True)
    caches.have_said(REFUSED, BACK)


# -- many nodes --------------------------------------------------------------------------------------------------------


def test_a_failover_under_many_nodes_drops_nothing_and_is_no_stampede(servers: Servers, fleet: Fleets) -> None:
    primary, replica = servers(), servers()
    replica.follow(primary)
    caches = fleet(f"redis://127.0.0.1:{primary.port},127.0.0.1:{replica.port}", 20)
    rest(caches)
    replica.catch_up(primary)
    replica.lose_primary()
    caches.write()
    rest(caches)
    caches.agree(whole=True)
    rest(caches)
    sizes = [len(cache) for cache in caches.caches]
    kept = replica.client.xlen(STREAM)
    lost = primary.client.xlen(STREAM) - kept
    assert lost >= len(caches.caches)
    primary.kill()
    caches.all_say(AWAY)
    replica.promote()
    caches.all_say(BACK)
    rest(caches)
    assert lost <= replica.client.xlen(STREAM) - kept <= 3 * lost
    assert [len(cache) for cache in caches.caches] == sizes
    assert caches.total("log_broken") == len(caches.caches)
    assert caches.total("log_lost") == caches.total("evictions") == 0
    caches.agree(whole=True)
    caches.have_said(AWAY, BROKEN, BACK)


def rest(fleet: Fleet) -> None:
    """Wait until nobody has anything to append."""

    def are_at_rest() -> bool:
        ends = [cache._log_link._end for cache in fleet.caches if cache._log_link is not None]
        return all(end is not None and end.is_live and not end.has_to_append() for end in ends)

    eventually(are_at_rest)


# -- anything, in any order --------------------------------------------------------------------------------------------


class Mishaps:
    """What may happen to a server, its log, and the cables to it, while others write."""

    def __init__(self, server: Server, cables: list[Proxy], fleet: Fleet, chance: random.Random) -> None:
        self.written = itertools.count()  # asked for its next with each write
        self._server = server
        self._cables = cables
        self._fleet = fleet
        self._chance = chance
        self._acts: dict[Callable[[], object], float] = {
            self._truncate: 4,
            self._cut: 4,
            self._trim: 3,
            self._connect: 3,
            self._restart: 1,
            self._stand_still: 1,
            lambda: server.ask("FLUSHALL"): 1,
            lambda: server.ask("CLIENT", "KILL", "TYPE", "normal"): 1,
            lambda: server.ask("XADD", STREAM, "*", "hello", "world"): 1,
        }

    def happen(self, count: int) -> None:
        for act in self._chance.choices(list(self._acts), list(self._acts.values()), k=count):
            self._let_write()
            act()

    def _let_write(self) -> None:
        """Wait until some more was written."""
        count, least = next(self.written), self._chance.randrange(200)
        eventually(lambda: next(self.written) - count > least)

    def _connect(self) -> None:
        eventually(lambda: self._fleet.states() == {"connected"})

    def _truncate(self) -> None:
        for name, _ in self._server.client.xrevrange(STREAM, count=self._chance.randrange(1, 6)):
            self._server.ask("XDEL", STREAM, name)

    def _trim(self) -> None:
        self._server.ask("XTRIM", STREAM, "MAXLEN", self._chance.randrange(4))

    def _cut(self) -> None:
        cable = self._chance.choice(self._cables)
        cable.cut()
        self._let_write()
        self._chance.choice([self._truncate, self._trim, self._let_write])()
        cable.mend()

    def _restart(self) -> None:
        self._server.kill()
        self._let_write()
        self._server.start()

    def _stand_still(self) -> None:
        self._server.stop()
        self._let_write()
        self._server.go_on()


@pytest.mark.parametrize("seed", range(some_or_many(4, 60)))
def test_whatever_happens_each_has_the_newest_or_a_miss(
    seed: int, servers: Servers, nodes: Nodes, lines: Lines, proxies: Proxies, start: Callable[..., Started]
) -> None:
    """While a thread writes on each node."""
    server = servers()
    cables = [proxies(server.port) for _ in range(3)]
    caches = Fleet([nodes(engine=cable.url) for cable in cables], lines)
    caches.write()
    caches.agree(whole=True)
    over = threading.Event()
    mishaps = Mishaps(server, cables, caches, random.Random(seed))

    def write(cache: Cache, chance: random.Random) -> None:
        while not over.wait(0.001):
            caches.write_one(cache, chance.randrange(20))
            next(mishaps.written)

    writing = [start(write, cache, random.Random(f"{seed} {index}")) for index, cache in enumerate(caches.caches)]
    try:
        mishaps.happen(12)
    finally:
        over.set()
    for each in writing:
        each.result()
    caches.agree()


# -- hostile records ---------------------------------------------------------------------------------------------------

SECRET = "a secret of sixteen bytes or more"
SEALS = RecordSeals([SECRET.encode()], "default", "default")


def put(server: Server, content: bytes) -> None:
    """Append a record as a member does."""

    def is_there() -> bool:
        [(place, fields)] = server.client.xrevrange(STREAM, count=1)
        digest = redis_stream.digest(content)
        arguments = place, fields.get(b"h", place), redis_stream.START, "", digest, 100_000, 600_000, content
        return server.client.eval(redis_stream.APPEND.text, 1, STREAM, *arguments) != 0

    eventually(is_there)


def contents(server: Server) -> list[bytes]:
    """What stands in all records."""
    return [fields[b"r"] for _, fields in server.client.xrange(STREAM) if b"r" in fields]


def opened(content: bytes) -> News:
    news = decode_record(SEALS.open(content) or b"")
    assert isinstance(news, News)
    return news


def ahead(server: Server) -> bytes:
    """News of a member whose clock is ahead."""
    by = 10_000 << 16  # milliseconds
    for content in contents(server):
        news = opened(content)
        for body in news.bodies:
            events = messages.decode(body)
            if isinstance(events, list):
                late_events = [
                    Event(each.kind, each.key, Version(each.version.time + by, each.version.node), 1, each.payload)
                    for each in events
                ]
                late = news._replace(publisher=b"somebody", serial=1, prev=0, bodies=[messages.encode(late_events)])
                return SEALS.close(encode_record(late))
    raise AssertionError("there are no news")


REFUSED_RECORDS: dict[str, Callable[[Server], bytes]] = {
    "random": lambda _: random.Random(1).randbytes(300),
    "empty": lambda _: b"",
    "cut": lambda server: contents(server)[-1][:-3],
    "cut short": lambda server: contents(server)[-1][:10],
    "cut within, and sealed": lambda server: SEALS.close((SEALS.open(contents(server)[-1]) or b"")[:-3]),
    "sealed with another secret": lambda server: RecordSeals([b"another" * 5], "default", "default").close(
        SEALS.open(contents(server)[-1]) or b""
    ),
    "sealed for another log": lambda server: RecordSeals([SECRET.encode()], "default", "other").close(
        SEALS.open(contents(server)[-1]) or b""
    ),
    "not sealed": lambda server: SEALS.open(contents(server)[-1]) or b"",
    "dated ahead": ahead,
}


@pytest.mark.parametrize("kind", REFUSED_RECORDS)
def test_a_hostile_record_is_refused_and_moves_nothing(kind: str, servers: Servers, fleet: Fleets) -> None:
    server = servers()
    caches = fleet(server.url, secret=SECRET)
    caches.agree(whole=True)
    rest(caches)
    before = counts(caches)
    for _ in range(3):
        put(server, REFUSED_RECORDS[kind](server))
    eventually(lambda: [cache.stats().log_refused for cache in caches.caches] == [3, 3, 3])
    assert counts(caches) == before
    caches.agree(whole=True)
    caches.write(2)
    caches.agree(whole=True)
    assert [cache.stats().log_refused for cache in caches.caches] == [3, 3, 3]
    caches.have_said()


COUNTS = ("news_applied", "sets_refused", "dropped_by_floors", "log_lost", "log_broken", "log_restored", "undecodable")


def counts(fleet: Fleet) -> list[int]:
    return [fleet.total(each) for each in COUNTS]


def test_records_that_are_replayed_change_nothing(servers: Servers, fleet: Fleets) -> None:
    """As all of them are old by now, or known."""
    server = servers()
    caches = fleet(server.url, secret=SECRET)
    old = contents(server)
    caches.write(3)
    caches.settle()
    for content in [*old, *contents(server)]:
        put(server, content)
    caches.agree(whole=True)
    caches.write()
    caches.agree(whole=True)
    assert caches.total("log_lost") == caches.total("log_broken") == caches.total("log_refused") == 0
    caches.have_said()


INTRUSIONS: dict[str, tuple[Any, ...]] = {
    "other fields": ("hello", "world"),
    "few fields": ("r", b"content"),
    "a chain of its own": ("n", 7, "h", b"f" * 40, "b", b"e" * 40, "t", b"d" * 40, "r", b"content"),
    "a beginning": ("n", 1, "h", b"f" * 40, "b", b"e" * 40, "t", b"d" * 40, "r", b"content"),
    "no chain": ("n", "x", "h", b"short", "b", b"", "t", b"", "r", b"content"),
}


@pytest.mark.parametrize("kind", INTRUSIONS)
def test_an_entry_of_a_stranger_s_leaves_what_is_held_right(kind: str, servers: Servers, fleet: Fleets) -> None:
    """At most the log is opened anew behind it."""
    server = servers()
    caches = fleet(server.url, secret=SECRET)
    caches.write()
    caches.settle()
    server.ask("XADD", STREAM, "*", *INTRUSIONS[kind])
    is_forged = "h" in INTRUSIONS[kind] and kind != "no chain"  # it may be passed over unread, as part of a hole
    eventually(lambda: all(cache.stats().log_refused + cache.stats().log_lost > 0 for cache in caches.caches))
    caches.write(2)
    caches.agree()
    assert [cache.stats().log_lost for cache in caches.caches] == [is_forged] * 3
    assert is_forged or [cache.stats().log_refused for cache in caches.caches] == [1, 1, 1]


def test_a_record_that_is_replaced_before_a_node_has_read_it_is_missed_there(
    servers: Servers, fleet: Fleets, nodes: Nodes, proxies: Proxies, lines: Lines
) -> None:
    """Within its fields, by somebody without the secret: what it said was newer than what that node holds."""
    server = servers()
    caches = fleet(server.url, 2, secret=SECRET)
    cable = proxies(server.port)
    away = nodes(engine=cable.url, secret=SECRET)
    caches.caches.append(away)
    caches.write()
    caches.agree()
    cable.cut()
    eventually(lambda: lines.count(AWAY) == 1)
    writer, reader = caches.caches[:2]
    caches.write_one(writer, 1)
    assert writer.flush(timeout=PATIENCE)
    eventually(lambda: reader.peek((0, 1)) == writer.peek((0, 1)))
    (_, fields), *_ = server.client.xrevrange(STREAM, count=1)
    logs.replace(server, STREAM, int(fields[b"n"]), r=b"nothing")
    cable.mend()
    caches.agree()
    assert [cache.stats().log_lost for cache in caches.caches] == [0, 0, 1]
    caches.have_said(AWAY, LOST, BACK, nodes=1)


def test_an_entry_that_is_dated_ahead_leaves_what_is_held_right(servers: Servers, fleet: Fleets, nodes: Nodes) -> None:
    """Whoever can add one could as well delete the log; but nothing old is served for it."""
    server = servers()
    caches = fleet(server.url, secret=SECRET)
    caches.write()
    caches.settle()
    (last, _), *_ = server.client.xrevrange(STREAM, count=1)
    server.ask("XADD", STREAM, f"{int(last.partition(b'-')[0]) + 10_000}-0", "hello", "world")
    caches.write(2)
    caches.agree()
    caches.caches.append(nodes(engine=server.url, secret=SECRET))
    caches.write()
    caches.agree()


@pytest.mark.parametrize("ms", [2**64 - 1, int(time.time() * 1000) + 7_200_000], ids=["end of time", "in two hours"])
def test_an_entry_from_the_future_is_refused_until_the_log_is_deleted(
    ms: int, servers: Servers, fleet: Fleets, nodes: Nodes, lines: Lines
) -> None:
    server = servers()
    caches = fleet(server.url, secret=SECRET)
    server.ask("XADD", STREAM, f"{ms}-1", "hello", "world")
    caches.all_say("an entry from the future")
    late = nodes(engine=server.url, secret=SECRET)
    eventually(lambda: [peer.state for peer in late.peers()] == ["refused"])
    caches.write(2)
    server.ask("DEL", STREAM)
    caches.agree(whole=True)
    caches.have_said("an entry from the future", BROKEN, BACK, nodes=4)
    assert {cache.stats().log_lost for cache in caches.caches} == {0}


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_the_url_s_password_is_shown_nowhere(
    servers: Servers, nodes: Nodes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is right, wrong, or something fails where it is."""
    caplog.set_level(logging.DEBUG)
    word = "pa55word"
    server = servers(password=word)
    url = f"redis://:{word}@127.0.0.1:{server.port}"
    cache = nodes(engine=url)
    options = read_engine(url)
    shown: list[object] = []

    def show() -> None:
        shown.extend([cache, cache.peers(), cache.stats(), options, vars(cache._log_link).values()])
        raised = [record.exc_info[1] for record in caplog.records if record.exc_info]
        shown.extend(with_variables(each) for each in raised if each is not None)

    def is_(state: str) -> None:
        eventually(lambda: [peer.state for peer in cache.peers()] == [state])
        show()

    is_("connected")
    server.ask("CONFIG", "SET", "requirepass", "other")
    server.ask("CLIENT", "KILL", "TYPE", "normal")
    is_("refused")
    server.ask("CONFIG", "SET", "requirepass", word)
    is_("connected")
    with monkeypatch.context() as broken:
        broken.setattr(RedisEngine, "_check_kind", lambda _, hello: hello.nothing)
        server.ask("CLIENT", "KILL", "TYPE", "normal")
        eventually(lambda: "a mistake of ours" in caplog.text)
        show()
    server.kill()
    is_("unreachable")
    engine = options.engine("default", lambda _family, _where: None)
    with pytest.raises(EngineError) as raised:
        engine.connect(time.monotonic() + PATIENCE)
    shown.append(with_variables(raised.value))
    assert word not in caplog.text
    assert word not in " ".join(map(repr, shown))
    assert word not in " ".join(map(str, shown))


def with_variables(error: BaseException) -> list[str]:
    """The traceback with the variables of each frame of ours, and of all that it refers to."""
    found = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert (found.__cause__, found.__context__) == (None, None)
    frames = [frame for frame in found.stack if "/lru_cache/" in frame.filename]
    assert frames
    return [str(error), *traceback.StackSummary.from_list(frames).format()]


# -- fork, and the end -------------------------------------------------------------------------------------------------

FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
CAN_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
OF_ENGINES = {"eval", "evalsha", "xrange", "xrevrange"}


def engines(server: Server) -> set[str]:
    """The connections of caches that a server has, by their ids."""
    return {each["id"] for each in server.client.client_list() if each["cmd"] in OF_ENGINES}


@CAN_FORK
@FORKS
def test_a_child_has_a_connection_of_its_own(servers: Servers, fleet: Fleets) -> None:
    server = servers()
    caches = fleet(server.url, 2)
    cache, other = caches.caches
    before = engines(server)

    def live() -> list[str]:
        eventually(lambda: [peer.state for peer in cache.peers()] == ["connected"])
        cache.set("child", "has told")
        cache.flush(timeout=PATIENCE)
        again = redis.Redis(port=server.port, protocol=2)
        return sorted(each["id"] for each in again.client_list() if each["cmd"] in OF_ENGINES)

    told = ast.literal_eval(Child(live).result())
    assert len(told) == 4, "both caches are in the child"
    assert before < set(told)
    eventually(lambda: cache.peek("child") == other.peek("child") == "has told")
    caches.write()
    caches.agree(whole=True)
    eventually(lambda: engines(server) == before)
    caches.have_said()


@CAN_FORK
@FORKS
def test_a_child_of_who_listens_joins_it_and_has_no_connection(servers: Servers, nodes: Nodes, lines: Lines) -> None:
    server = servers()
    cache = nodes(engine=server.url, local_address=("127.0.0.1", 0))
    other = nodes(engine=server.url)
    caches = Fleet([cache, other], lines)
    caches.write()
    caches.agree(whole=True)
    before = engines(server)

    def live() -> list[str]:
        other.close()
        assert cache.wait_connected(1, timeout=PATIENCE)
        assert [peer.role for peer in cache.peers()] == ["server"]
        cache.set("child", "has told")
        cache.flush(timeout=PATIENCE)
        again = redis.Redis(port=server.port, protocol=2)
        return sorted(each["id"] for each in again.client_list() if each["cmd"] in OF_ENGINES)

    assert set(ast.literal_eval(Child(live).result())) == before
    eventually(lambda: cache.peek("child") == other.peek("child") == "has told")
    caches.write()
    caches.agree(whole=True)


def is_stopped(server: Server) -> bool:
    assert server._process is not None
    return Path(f"/proc/{server._process.pid}/stat").read_text().rpartition(") ")[2].startswith("T")


@pytest.mark.parametrize("when", ["reading", "connecting"])
def test_a_cache_is_closed_while_the_server_stands_still(
    when: str,
    servers: Servers,
    nodes: Nodes,
    lines: Lines,
    attempts: Attempts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And no thread of it is left, long before the server would be given up."""
    server = servers()
    cache = nodes(engine=server.url, connection_timeout=timedelta(seconds=1.5))
    caches = Fleet([cache], lines)
    caches.write()
    caches.settle()
    server.stop()
    if when == "connecting":
        with monkeypatch.context() as impatient:
            impatient.setattr(redis_connection, "TIMEOUT_SECONDS", 0.5)
            attempts.again(caches, 1)
        attempts.again(caches, 0)
    cache.set("k", "v")
    cache.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("lru_cache-")]
    assert is_stopped(server)
    assert cache.get("k") == "v"
    server.go_on()


ENDING = """
import sys
from lru_cache import LRUCacheDistributed
cache = LRUCacheDistributed(engine=sys.argv[1])
cache.set("k", "v")
assert cache.flush(timeout=10)
print("told", flush=True)
sys.stdin.readline()
cache.set("k", "w")
"""


def test_the_interpreter_ends_while_the_server_stands_still(servers: Servers) -> None:
    server = servers()
    command = [sys.executable, "-c", ENDING, server.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"told\n"
        server.stop()
        try:
            _, said = process.communicate(b"\n", timeout=PATIENCE)
        finally:
            process.kill()
        assert is_stopped(server)
        assert (process.returncode, said) == (0, b"")
    server.go_on()


def test_what_was_written_last_is_told_when_a_cache_is_closed(servers: Servers, fleet: Fleets) -> None:
    caches = fleet(servers().url, 2)
    one, two = caches.caches
    one.set("last", "word")
    one.close()
    eventually(lambda: two.peek("last") == "word")


# -- values ------------------------------------------------------------------------------------------------------------


def test_without_values_a_set_is_told_as_an_invalidation(servers: Servers, nodes: Nodes) -> None:
    server = servers()
    truth = {"k": "old"}
    one, two = (nodes(truth.get, engine=f"{server.url}?values=false") for _ in range(2))
    assert one.get("k") == two.get("k") == "old"
    truth["k"] = "newer than that"
    one.set("k", truth["k"])
    eventually(lambda: two.peek("k") is None)
    assert two.get("k") == one.get("k") == truth["k"]
    assert one.flush(timeout=PATIENCE)
    assert not any(truth["k"].encode() in content for content in contents(server))


def test_a_value_that_is_too_long_for_a_record_is_told_as_an_invalidation(servers: Servers, fleet: Fleets) -> None:
    caches = fleet(servers().url, 2)
    one, two = caches.caches
    fits, too_long = b"x" * (VALUE_BYTES - 100), b"y" * 300_000
    one.set("k", fits)
    eventually(lambda: two.peek("k") == fits)
    assert one.stats().values_too_large == 0
    one.set("k", too_long)
    eventually(lambda: two.peek("k") is None)
    assert one.peek("k") == too_long
    assert one.stats().values_too_large == 1
    one.set("k", fits)
    eventually(lambda: two.peek("k") == fits)
    caches.have_said()


# -- engines and links -------------------------------------------------------------------------------------------------


def test_a_gateway_passes_on_between_the_engine_and_its_links(servers: Servers, nodes: Nodes, lines: Lines) -> None:
    """Also of what is told while the engine stands still."""
    server = servers()
    gateway = nodes(engine=server.url, local_address=("127.0.0.1", 0))
    near = nodes(remote_address=gateway.local_address)
    far = nodes(engine=server.url)
    caches = Fleet([gateway, near, far], lines)
    caches.write()
    caches.agree(whole=True)
    server.stop()
    near.set("k", "of the link")
    eventually(lambda: gateway.peek("k") == "of the link")
    caches.write()
    assert far.peek("k") is None
    server.go_on()
    caches.agree(whole=True)
    assert far.peek("k") == "of the link"


def test_two_regions_with_an_engine_each_are_cut_and_healed(
    servers: Servers, nodes: Nodes, lines: Lines, proxies: Proxies
) -> None:
    """What each writes meanwhile is everywhere in the end, or a miss."""
    west, east = servers(), servers()
    gate = nodes(engine=west.url, local_address=("127.0.0.1", 0), region="west")
    cable = proxies(gate.local_address[1])
    caches = Fleet(
        [
            nodes(engine=west.url),
            gate,
            nodes(engine=east.url, remote_address=("127.0.0.1", cable.port), region="east"),
            nodes(engine=east.url),
        ],
        lines,
    )
    caches.write()
    caches.agree(whole=True)
    cable.cut()
    eventually(lambda: not caches.caches[1].stats().links)
    caches.write(3)
    caches.caches[0].set("k", "of the west")
    eventually(lambda: caches.caches[1].peek("k") == "of the west")
    assert caches.caches[3].peek("k") is None
    cable.mend()
    caches.write()
    caches.agree(whole=True)
    assert caches.caches[3].peek("k") == "of the west"


def test_a_region_s_engine_is_wiped_and_the_other_region_is_right(servers: Servers, nodes: Nodes, lines: Lines) -> None:
    west, east = servers(), servers()
    gate = nodes(engine=west.url, local_address=("127.0.0.1", 0))
    other = nodes(engine=east.url, remote_address=gate.local_address)
    caches = Fleet([nodes(engine=west.url), gate, other, nodes(engine=east.url)], lines)
    caches.write()
    caches.agree(whole=True)
    west.kill()
    caches.write()
    west.start()
    caches.write()
    caches.agree()
    caches.have_said(AWAY, BROKEN, BACK, nodes=2)


# -- a local cluster ---------------------------------------------------------------------------------------------------


def test_who_leads_a_local_cluster_alone_has_told_all_when_the_log_has_it(
    servers: Servers, nodes: Nodes, tmp_path: Path
) -> None:
    server = servers()
    alone = nodes(engine=server.url, local_cluster=tmp_path / "c", secret=SECRET)
    alone.set("k", "told")
    assert alone.flush(timeout=PATIENCE)
    assert any(b"told" in content for content in contents(server))


def test_of_a_local_cluster_one_has_a_connection(servers: Servers, nodes: Nodes, lines: Lines, tmp_path: Path) -> None:
    server = servers()
    workers = [nodes(engine=server.url, local_cluster=tmp_path / "c") for _ in range(3)]
    caches = Fleet([*workers, nodes(engine=server.url)], lines)
    eventually(lambda: sum(worker.local_address is not None for worker in workers) == 1)
    caches.write()
    caches.agree(whole=True)
    assert len(engines(server)) == 2
    leader = next(worker for worker in workers if worker.local_address is not None)
    caches.leave(leader)
    leader.close()
    caches.write()
    caches.agree()
    assert len(engines(server)) == 2
    caches.have_said()


def test_who_leads_a_local_cluster_again_goes_on_in_the_log(
    servers: Servers, nodes: Nodes, lines: Lines, tmp_path: Path
) -> None:
    """Its records have numbers of which none comes twice: else what is given back would be taken for something else."""
    server = servers()
    meeting = tmp_path / "c"
    leader = nodes(engine=server.url, local_cluster=meeting, secret=SECRET)
    caches = Fleet([leader, nodes(engine=server.url, secret=SECRET)], lines)
    caches.write()
    caches.agree(whole=True)
    led = leader._log_link
    meeting.unlink()
    eventually(lambda: leader._log_link is not led)
    caches.write()
    caches.agree()
    names = Counter((each.publisher, each.serial) for each in map(opened, contents(server)))
    assert set(names.values()) == {1}
