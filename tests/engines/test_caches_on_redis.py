"""Whole caches on a real server of Redis, to which all that may happen happens.

Each incident must end in the newest value or a miss on every node, be one line of the log, and never keep a `get` or a
`set` waiting.
"""

import itertools
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from lru_cache.engines import log_link, redis_connection
from lru_cache.engines.redis import RedisEngine
from tests.concurrency import PATIENCE, eventually
from tests.engines import logs
from tests.engines.proxy import Proxy
from tests.engines.servers import Server, Servers

Cache = LRUCacheDistributed[Any, Any]
Nodes = Callable[..., Cache]

KEYS = 6  # of each node
STREAM = logs.key("default", "default")
AWAY, REFUSED, BACK = "is away: ", "is not to be had: ", "is back"
BROKEN, LOST = "what it lacks is given back", "may have had records that were not read"


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried again soon, so that more of it happens."""
    monkeypatch.setattr(log_link, "LONGEST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(log_link, "LOOK_SECONDS", 0.2)


class Fleet:
    """Caches on one engine, what they have written, and what they have logged."""

    def __init__(self, caches: list[Cache], lines: "Lines") -> None:
        self.caches = caches
        self.lines = lines
        self._numbers = itertools.count(1)
        self._mark = 0
        self._newest: dict[Any, int | None] = {}  # None: it is invalid
        self._shared: dict[Any, dict[int, int]] = {}  # of keys that all write: the newest of each

    def write(self, rounds: int = 1) -> None:
        """Write keys, on each cache its own and some that all write; and read them, while whatever happens happens."""
        for _, (index, cache), key in itertools.product(range(rounds), enumerate(self.caches), range(KEYS)):
            number = next(self._numbers)
            if number % 5 == 0:
                cache.invalidate((index, key))
                self._newest[index, key] = None
            else:
                cache.set((index, key), number)
                self._newest[index, key] = number
            assert cache.get((index, key)) == self._newest[index, key]
            if key == 0:
                cache.set(("shared", key), number)
                self._shared.setdefault(("shared", key), {})[index] = number

    def settle(self) -> None:
        """Wait until the log has all that was written, and all have read it."""
        eventually(lambda: self.states() == {"connected"})
        for cache in self.caches:
            assert cache.flush(timeout=PATIENCE), cache.peers()
        self._hear()

    def _hear(self) -> None:
        """Wait until each has read what each writes now. It may be lost, too, and then is written again."""
        polls = itertools.count()

        def have_all() -> bool:
            if next(polls) % 500 == 0:
                self._mark = next(self._numbers)
                for index, cache in enumerate(self.caches):
                    cache.set(("mark", index), self._mark)
            return all(self._have(("mark", index), self._mark) for index in range(len(self.caches)))

        eventually(have_all)

    def _have(self, key: Any, value: Any) -> bool:
        return all(cache.peek(key) == value for cache in self.caches)

    def states(self) -> set[str]:
        return {peer.state for cache in self.caches for peer in cache.peers() if peer.role == "engine"}

    def agree(self, *, whole: bool = False) -> None:
        """Each key has its newest value on every node, or is missed there; `whole`: none that is valid is missed."""
        self.settle()
        for cache, (key, newest) in itertools.product(self.caches, self._newest.items()):
            found = cache.peek(key)
            assert found == newest or (found is None and not whole), (self.caches.index(cache), key, found, newest)
        for key, written in self._shared.items():
            found = {cache.peek(key) for cache in self.caches} - {None}
            assert len(found) <= 1, (key, found)
            assert found <= set(written.values()), (key, found, written)

    def total(self, count: str) -> int:
        return sum(getattr(cache.stats(), count) for cache in self.caches)

    def all_say(self, phrase: str) -> None:
        """Wait until there are as many such lines as nodes, that is one of each."""
        eventually(lambda: self.lines.count(phrase) >= len(self.caches))

    def have_said(self, *phrases: str) -> None:
        """Each node has logged one line with each of these phrases, and nothing else."""
        expected = sorted(phrases * len(self.caches))
        assert sorted(next((p for p in phrases if p in line), line) for line in self.lines.all()) == expected


class Lines:
    """What the library has logged, from warnings on."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._log = caplog

    def all(self) -> list[str]:
        return [each.getMessage() for each in list(self._log.records) if each.name == "lru_cache"]

    def count(self, phrase: str) -> int:
        return sum(phrase in line for line in self.all())


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    caplog.set_level(logging.WARNING, "lru_cache")
    return Lines(caplog)


Fleets = Callable[..., Fleet]


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
def proxies() -> Iterator[Callable[[Server], Proxy]]:
    made: list[Proxy] = []

    def make(server: Server) -> Proxy:
        made.append(Proxy(server.port))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Attempts:
    """To connect: those of all engines."""

    def __init__(self) -> None:
        self.made: list[RedisEngine] = []

    def again(self, fleet: Fleet, times: int = 3) -> None:
        """Wait until each node has tried so many times more, to the end."""
        begun = len(self.made)

        def enough() -> bool:
            made = self.made[begun:]
            counts = [made.count(each) for each in set(made)]
            return len(counts) == len(fleet.caches) and min(counts) > times

        eventually(enough)


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
    servers: Servers, fleet: Fleets, nodes: Nodes, proxies: Callable[[Server], Proxy], lines: Lines
) -> None:
    """Only that one drops anything."""
    server = servers()
    proxy = proxies(server)
    caches = fleet(server.url, 2)
    away = nodes(engine=proxy.url)
    caches.caches.append(away)
    caches.write()
    caches.agree()
    proxy.cut()
    eventually(lambda: lines.count(AWAY) == 1)
    caches.write(3)
    trimmed = Fleet(caches.caches[:2], lines)
    trimmed.settle()
    server.ask("XTRIM", STREAM, "MAXLEN", 1)
    caches.write()
    proxy.mend()
    caches.write()
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


def test_a_proxy_swaps_servers_and_nobody_is_disconnected(
    servers: Servers, fleet: Fleets, proxies: Callable[[Server], Proxy]
) -> None:
    primary, replica = servers(), servers()
    replica.follow(primary)
    proxy = proxies(primary)
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
    servers: Servers, nodes: Nodes, lines: Lines, proxies: Callable[[Server], Proxy], attempts: Attempts
) -> None:
    proxy = proxies(servers())
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
    seconds: int, servers: Servers, nodes: Nodes, lines: Lines, proxies: Callable[[Server], Proxy], attempts: Attempts
) -> None:
    proxy = proxies(servers())
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
    seconds: int, servers: Servers, fleet: Fleets, proxies: Callable[[Server], Proxy], attempts: Attempts
) -> None:
    proxy = proxies(servers())
    caches = fleet(proxy.url)
    proxy.rewrite = shifted(seconds)
    caches.write()
    caches.all_say("set the one that is wrong")
    attempts.again(caches)
    caches.write()
    proxy.rewrite = shifted(0)
    caches.agree(whole=True)
    caches.have_said(REFUSED, BACK)
