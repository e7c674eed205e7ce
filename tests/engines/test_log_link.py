"""A cache on an engine: what its users see of that, while the engine answers and while it does not."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lru_cache import AddressError, LRUCacheDistributed
from lru_cache.engines import JetStream, Redis
from lru_cache.engines.engine import DeniedError, EngineError
from lru_cache.engines.options import read_engine
from lru_cache.network.exchange import Exchange
from lru_cache.replication.log_end import VALUE_BYTES
from tests.concurrency import PATIENCE, eventually, link, settle
from tests.engines.memory_engine import MemoryServer
from tests.test_fork import Child

Cache = LRUCacheDistributed[Any, Any]
Nodes = Callable[..., Cache]
AWAY = EngineError("it sleeps")


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    made = MemoryServer()
    yield made
    made.runs.set()


@pytest.fixture
def two(nodes: Nodes, server: MemoryServer) -> tuple[Cache, Cache]:
    """Caches on one log, connected."""
    one, other = nodes(engine=server.options()), nodes(engine=server.options())
    link(one, other)
    return one, other


def has(cache: Cache, key: Any, value: Any) -> None:
    eventually(lambda: cache.get(key) == value)


def the_log(cache: Cache) -> Any:
    """What it says of its log."""
    (found,) = [peer for peer in cache.peers() if peer.role == "engine"]
    return found


# -- while it answers --------------------------------------------------------------------------------------------------


def test_what_one_writes_the_others_have(two: tuple[Cache, Cache]) -> None:
    one, other = two
    one.set("k", 1)
    has(other, "k", 1)
    other.set("k", 2)
    has(one, "k", 2)
    one.invalidate("k")
    has(other, "k", None)
    other.set("a", 1)
    has(one, "a", 1)
    other.clear()
    eventually(lambda: "a" not in one)
    one.set("b", 1)
    has(other, "b", 1)


def test_who_comes_later_reads_what_was_told_before(
    two: tuple[Cache, Cache], nodes: Nodes, server: MemoryServer
) -> None:
    one, _ = two
    one.set("k", 1)
    settle(one)
    late = nodes(engine=server.options())
    link(late)
    assert late.get("k") == 1


def test_a_flush_waits_for_the_log_and_for_nobody_who_reads_it(nodes: Nodes, server: MemoryServer) -> None:
    alone = nodes(engine=server.options())
    link(alone)
    alone.set("k", 1)
    assert alone.flush(PATIENCE)
    assert len(server.records) == 1


def test_what_is_loaded_stays_unless_it_is_to_be_told(nodes: Nodes, server: MemoryServer) -> None:
    one = nodes(str.upper, engine=server.options())
    two = nodes(str.upper, engine=server.options(), replicate_loads=True)
    link(one, two)
    assert (one.get("mine"), two.get("yours")) == ("MINE", "YOURS")
    settle(one, two)
    eventually(lambda: "yours" in one)
    one.set("last", 1)
    has(two, "last", 1)
    assert "mine" not in two
    assert one.stats().loads == 1


def test_without_values_the_others_are_told_that_a_key_has_changed(nodes: Nodes, server: MemoryServer) -> None:
    one, other = nodes(engine=server.options(values=False)), nodes(engine=server.options(values=False))
    link(one, other)
    other.set("k", "old")
    eventually(lambda: one.stats().news_applied == 1)
    one.set("k", "new")
    eventually(lambda: "k" not in other)
    assert one.get("k") == "new"
    assert one.stats().values_too_large == 0
    assert not any(b"new" in record.content for record in server.records)


def test_a_value_longer_than_a_record_is_told_as_an_invalidation_and_counted(two: tuple[Cache, Cache]) -> None:
    one, other = two
    other.set("k", "old")
    settle(other)
    has(one, "k", "old")
    one.set("k", "x" * VALUE_BYTES)
    settle(one)
    eventually(lambda: "k" not in other)
    assert len(one.get("k")) == VALUE_BYTES
    assert one.stats().values_too_large == 1


def test_a_burst_goes_in_few_records(two: tuple[Cache, Cache], server: MemoryServer) -> None:
    one, other = two
    for i in range(5_000):
        one.set(i, i)
    settle(one)
    has(other, 4_999, 4_999)
    assert len(other) == 5_000
    assert len(server.records) < 500


def test_of_a_long_record_no_more_is_taken_in_at_once_than_of_a_link(
    two: tuple[Cache, Cache], server: MemoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for the cache's lock waits for 64 events."""
    one, other = two
    taken: list[int] = []
    take = Exchange._take_log

    def counted(self: Any, *arguments: Any) -> Any:
        before = other.stats().news_applied
        done = take(self, *arguments)
        if self is other._exchange:
            taken.append(other.stats().news_applied - before)
        return done

    monkeypatch.setattr(Exchange, "_take_log", counted)
    server.runs.clear()  # so that all goes in one record
    for i in range(1_000):
        one.set(i, i)
    server.runs.set()
    settle(one)
    has(other, 999, 999)
    assert len(other) == 1_000
    assert max(len(record.content) for record in server.records) > 10_000
    assert 0 < max(taken) <= 64


def test_at_rest_nothing_is_appended(two: tuple[Cache, Cache], server: MemoryServer) -> None:
    one, other = two
    one.set("k", 1)
    settle(one)
    has(other, "k", 1)
    for cache in two:
        cache._exchange.next_upkeep = 0.0
        cache._exchange.upkeep(1e12)
    reads = server.asked.count("read")
    eventually(lambda: server.asked.count("read") > reads + 10)
    assert len(server.records) == 1


def test_what_is_seen_of_it(two: tuple[Cache, Cache]) -> None:
    one, _ = two
    peer = the_log(one)
    assert (peer.node, peer.address, peer.state, peer.found, peer.hops) == (
        None,
        "memory://here",
        "connected",
        "given",
        1,
    )
    assert peer.lag >= 0
    stats = one.stats()
    assert stats.links == 0
    assert stats.log_lag > 0
    assert (stats.log_broken, stats.log_lost, stats.log_restored, stats.log_refused) == (0, 0, 0, 0)


def test_without_an_engine_there_is_no_lag(nodes: Nodes) -> None:
    assert nodes().stats().log_lag == 0


def test_records_of_another_secret_only_move_a_count(nodes: Nodes, server: MemoryServer) -> None:
    one = nodes(engine=server.options(), secret="a" * 32)
    stranger = nodes(engine=server.options(), secret="b" * 32)
    link(one, stranger)
    stranger.set("k", 1)
    settle(stranger)
    eventually(lambda: one.stats().log_refused == 1)
    one.set("k", 2)
    settle(one)
    assert one.get("k") == 2


# -- while it does not -------------------------------------------------------------------------------------------------


def test_it_works_before_the_engine_is_there(
    nodes: Nodes, server: MemoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.failure = AWAY
    with caplog.at_level(logging.INFO, "lru_cache"):
        one = nodes(str.upper, engine=server.options())
        other = nodes(engine=server.options())
        one.set("k", 1)
        assert (one.get("k"), one.get("loaded")) == (1, "LOADED")
        assert not one.flush(0.01)
        assert not one.wait_connected(1, 0.01)
        eventually(lambda: [cache._log_link.state for cache in (one, other)] == ["unreachable"] * 2)
        asked = len(server.asked)
        eventually(lambda: len(server.asked) > asked + 4)
        assert the_log(one).queued == 1
        assert len([line for line in caplog.messages if "it sleeps" in line]) == 2  # one each, however often they tried
        server.failure = None
        link(one, other)
        has(other, "k", 1)
        eventually(lambda: len([line for line in caplog.messages if "is back" in line]) == 2)


def test_no_write_waits_for_an_engine_that_stands_still(two: tuple[Cache, Cache], server: MemoryServer) -> None:
    one, other = two
    server.runs.clear()
    asked = len(server.asked)
    eventually(lambda: len(server.asked) > asked + 1)
    for i in range(1_000):
        one.set(i, i)
    assert one.get(999) == 999
    assert not server.runs.is_set()
    server.runs.set()
    has(other, 999, 999)


def test_it_says_once_that_it_is_refused(nodes: Nodes, server: MemoryServer, caplog: pytest.LogCaptureFixture) -> None:
    server.failure = DeniedError("it wants a password")
    one = nodes(engine=server.options())
    eventually(lambda: the_log(one).state == "refused")
    asked = len(server.asked)
    eventually(lambda: len(server.asked) > asked + 2)
    assert [line for line in caplog.messages if "wants a password" in line] == [
        "the log 'default' at memory://here is not to be had: it wants a password"
    ]
    server.failure = None
    link(one)


def test_an_entry_from_the_future_is_refused_until_the_log_is_another(
    two: tuple[Cache, Cache], server: MemoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = two
    server.offset_ms = 7_200_000
    server.put(b"")
    server.offset_ms = 0
    eventually(lambda: caplog.text.count("is not to be had: it has an entry from the future") == 2)
    one.set("k", 1)
    server.wipe()
    has(other, "k", 1)


def test_more_than_is_remembered_is_told_anew(two: tuple[Cache, Cache], server: MemoryServer) -> None:
    one, other = two
    server.failure = AWAY
    eventually(lambda: the_log(one).state == "unreachable")
    for i in range(60_000):
        one.set(i % 50_000, i)
    server.failure = None
    has(other, 9_999, 59_999)
    settle(one)
    eventually(lambda: len(other) == 50_000)


def test_a_mistake_of_ours_is_logged_and_tried_again(
    nodes: Nodes, server: MemoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.failure = RuntimeError("oh")  # type: ignore[assignment]
    one = nodes(engine=server.options())
    eventually(lambda: "a mistake of ours" in caplog.text)
    server.failure = None
    link(one)


@pytest.mark.parametrize("how", ["wipe", "truncate"])
def test_what_the_log_has_lost_is_given_back(
    two: tuple[Cache, Cache], server: MemoryServer, how: str, caplog: pytest.LogCaptureFixture, nodes: Nodes
) -> None:
    one, other = two
    for i in range(5):
        one.set(i, i)
        settle(one)
    has(other, 4, 4)
    server.wipe() if how == "wipe" else server.truncate(2)
    one.set("k", 1)
    has(other, "k", 1)
    eventually(lambda: one.stats().log_restored >= 2)
    settle(one)
    late = nodes(engine=server.options())
    link(late)
    assert [late.get(i) for i in range(5)] == list(range(5))
    eventually(lambda: len([line for line in caplog.messages if "what it lacks is given back" in line]) == 2)
    assert (one.stats().log_broken, one.stats().log_lost) == (1, 0)


def test_who_was_away_for_longer_than_the_log_remembers_says_so(
    two: tuple[Cache, Cache], server: MemoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = two
    other.set("old", 1)
    settle(other)
    has(one, "old", 1)
    server.runs.clear()
    server.put(b"a stranger's")
    server.put(b"another's")
    server.trim(len(server.records) - 1)
    server.runs.set()
    eventually(lambda: one.stats().log_lost == other.stats().log_lost == 1)
    eventually(lambda: len([line for line in caplog.messages if "is not believed any more" in line]) == 2)
    one.set("new", 1)
    has(other, "new", 1)


# -- beside links ------------------------------------------------------------------------------------------------------


def test_a_gateway_passes_on_between_a_log_and_links(nodes: Nodes, server: MemoryServer) -> None:
    far = nodes(engine=server.options())
    gateway = nodes(engine=server.options(), local_address=("127.0.0.1", 0))
    linked = nodes(remote_address=gateway.local_address)
    link(far, linked)
    link(gateway, count=2)
    far.set("a", 1)
    has(linked, "a", 1)
    linked.set("b", 2)
    has(far, "b", 2)
    linked.invalidate("a")
    eventually(lambda: "a" not in far)
    assert gateway.stats().links == 1
    assert sorted(str(peer.role) for peer in gateway.peers()) == ["client", "engine"]


def test_a_flush_everywhere_waits_for_the_gateway_s_log(nodes: Nodes, server: MemoryServer) -> None:
    gateway = nodes(engine=server.options(), local_address=("127.0.0.1", 0))
    linked = nodes(remote_address=gateway.local_address)
    link(gateway, count=2)
    link(linked)
    linked.set("k", 1)
    assert linked.flush(PATIENCE, everywhere=True)
    assert len(server.records) == 1
    server.failure = AWAY
    eventually(lambda: the_log(gateway).state == "unreachable")
    linked.set("k", 2)
    assert not linked.flush(0.1, everywhere=True)
    assert linked.wait_connected(1, PATIENCE, everywhere=True)
    server.failure = None
    assert linked.flush(PATIENCE, everywhere=True)


def test_two_regions_with_a_log_each_are_one_cluster(nodes: Nodes, server: MemoryServer) -> None:
    there = MemoryServer()
    gateway = nodes(engine=server.options(), local_address=("127.0.0.1", 0))
    other_gateway = nodes(engine=there.options(), remote_address=gateway.local_address)
    one, other = nodes(engine=server.options()), nodes(engine=there.options())
    link(one, other)
    link(gateway, other_gateway, count=2)
    one.set("k", 1)
    has(other, "k", 1)
    other.set("k", 2)
    has(one, "k", 2)


def test_in_a_local_cluster_one_reads_the_log_for_all(nodes: Nodes, server: MemoryServer, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    far = nodes(engine=server.options())
    workers = [nodes(engine=server.options(), local_cluster=path) for _ in range(3)]
    eventually(lambda: server.connections == 2)
    leader = next(worker for worker in workers if worker._server.leads)
    follower = next(worker for worker in workers if worker is not leader)
    link(leader, count=3)
    assert follower._log_link is None
    follower.set("k", 1)
    assert follower.flush(PATIENCE)
    has(far, "k", 1)
    far.set("k", 2)
    for worker in workers:
        has(worker, "k", 2)
    leader.close()
    eventually(lambda: server.connections == 3)
    follower.set("k", 3)
    assert follower.flush(PATIENCE)
    has(far, "k", 3)


def test_who_takes_over_the_log_of_a_local_cluster_drops_nothing(
    nodes: Nodes, server: MemoryServer, tmp_path: Path
) -> None:
    """Also of what is older than the log remembers: it had all of it from who read the log before."""
    path = str(tmp_path / "app.sock")
    far = nodes(engine=server.options())
    leader = nodes(engine=server.options(), local_cluster=path)
    eventually(lambda: server.connections == 2)
    follower = nodes(engine=server.options(), local_cluster=path)
    link(leader, count=2)
    link(far, follower)
    far.set("old", 1)
    has(follower, "old", 1)
    far.set("new", 1)
    has(follower, "new", 1)
    eventually(lambda: follower._exchange._handover_of("default") is not None)
    eventually(lambda: follower._exchange._handover_of("default").place == server.records[-1].place)
    server.trim(len(server.records) - 1)
    leader.close()
    eventually(lambda: follower._log_link is not None and follower._log_link.is_live)
    assert (follower.get("old"), far.get("old")) == (1, 1)
    far.set("new", 2)
    has(follower, "new", 2)
    assert follower.stats().log_lost == far.stats().dropped_by_floors == 0


# -- its end -----------------------------------------------------------------------------------------------------------


def test_what_is_left_is_appended_before_it_ends(nodes: Nodes, server: MemoryServer) -> None:
    one = nodes(engine=server.options(latency=0.2))
    link(one)
    one.set("a", 1)
    one.set("b", 2)
    one.close()
    reader = nodes(engine=server.options())
    link(reader)
    assert (reader.get("a"), reader.get("b")) == (1, 2)


def test_it_ends_while_the_engine_stands_still(nodes: Nodes, server: MemoryServer) -> None:
    one = nodes(engine=server.options())
    link(one)
    server.runs.clear()
    one.set("k", 1)
    one.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("lru_cache-log")]


def test_a_clock_that_is_set_right_parts_with_the_log_and_comes_back(two: tuple[Cache, Cache]) -> None:
    one, other = two
    one.set("before", 1)
    settle(one)
    exchange, replica, node = one._exchange, one._replica, one.node
    with one._lock:
        exchange_links = exchange._links
        exchange._links, exchange._feeds, exchange._log = (), (), None
        for each in exchange_links:
            replica.link_down(each)
        replica.redate(os.urandom(8), one._monotonic())
    assert one.node != node
    one.set("after", 2)
    has(other, "after", 2)
    other.set("k", 3)
    has(one, "k", 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("listens", [False, True])
def test_a_child_connects_anew_or_joins_its_parent(nodes: Nodes, server: MemoryServer, listens: bool) -> None:
    one = nodes(engine=server.options(), **({"local_address": ("127.0.0.1", 0)} if listens else {}))
    link(one)
    connections = server.connections

    def child() -> Any:
        link(one)
        return server.connections - connections, one.flush(PATIENCE)

    assert Child(child).result() == ("(0, True)" if listens else "(1, True)")
    one.set("k", 1)
    settle(one)


# -- what may be given -------------------------------------------------------------------------------------------------

WRONG: list[tuple[Any, type[Exception], str]] = [
    ("redis.example:6379", AddressError, "write 'redis://cache.example:6379/0"),
    ("http://redis.example", AddressError, "is no URL of an engine; write 'redis://"),
    ("redis://h:port", AddressError, "its host and port cannot be read; write 'redis://"),
    ("redis://user:pa@ss@h", AddressError, "%40 for an @ in a password"),
    ("redis://h/users", AddressError, "the path of the URL is the number of a database"),
    ("redis://h?streams=users", AddressError, "no option 'streams'; there are authority, certificate, db"),
    ("redis://h?values=perhaps", AddressError, "values is true or false, not 'perhaps'"),
    ("redis://h?values=", AddressError, "values is true or false, not ''"),
    ("redis://h?values=2", AddressError, "values is true or false, not '2'"),
    ("redis://h?records=many", AddressError, "records is a whole number, such as 100000, not 'many'"),
    ("redis://h?records=1e5", AddressError, "records is a whole number, such as 100000, not '1e5'"),
    ("redis://h?records=-1", AddressError, "records is a whole number, such as 100000, not '-1'"),
    ("redis://h?records=0", ValueError, "records must be at least 1"),
    ("nats://h?replicas=0", ValueError, "replicas must be at least 1"),
    ("nats://h?replicas=1.5", AddressError, "replicas is a whole number, such as 1, not '1.5'"),
    ("redis://h?stream=a%20b", ValueError, "stream must be made of letters"),
    ("redis://h?stream=", AddressError, "stream is empty: write stream=... or leave it out"),
    ("redis://h?stream", AddressError, "stream is empty: write stream=... or leave it out"),
    ("redis://h?latency=0", ValueError, "latency must be positive"),
    ("redis://h?latency=10ms", AddressError, "latency is a number of seconds, such as 0.01, not '10ms'"),
    ("redis://h?latency=-1", AddressError, "latency is a number of seconds, such as 0.01, not '-1'"),
    ("redis://h?latency=nan", AddressError, "latency is a number of seconds, such as 0.01, not 'nan'"),
    ("redis://h?latency=inf", AddressError, "latency is a number of seconds, such as 0.01, not 'inf'"),
    ("redis://h?latency=1e999", ValueError, "latency must be finite"),
    ("redis://h?retention=1_0", AddressError, "retention is a number of seconds, such as 600, not '1_0'"),
    ("redis://h?latency=1&latency=1", AddressError, "latency is given twice in the URL: write it once"),
    ("redis://h?stream=default&stream=users", AddressError, "stream is given twice in the URL: write it once"),
    ("redis://h/1?db=0", ValueError, "db is given twice, as the path of the engine's URL and beside it: write it once"),
    ("redis://10.1.2.3", ValueError, "is on another machine: give all nodes the same secret"),
    ("unix://", AddressError, "unix:// and the path of Redis's socket"),
    (6379, TypeError, "engine must be a URL such as 'redis://"),
]


@pytest.mark.parametrize(("value", "error", "text"), WRONG)
def test_what_cannot_be_an_engine_says_what_to_write(
    nodes: Nodes, value: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        nodes(engine=value)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_stand_in_the_url_or_beside_it() -> None:
    in_url = read_engine("redis://h:1/2?stream=users&retention=60&records=10&latency=0.5&values=false")
    beside = Redis("redis://h:1/2", stream="users", retention=60, records=10, latency=0.5, values=False)
    assert (in_url.stream, in_url.retention, in_url.records, in_url.latency, in_url.values) == (
        beside.stream, beside.retention, beside.records, beside.latency, beside.values
    )  # fmt: skip
    with pytest.raises(
        ValueError, match="stream is given twice, in the URL of the engine and beside it: write it once"
    ):
        Redis("redis://h?stream=a", stream="b")
    assert isinstance(read_engine("nats://h"), JetStream)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1e-3", 0.001), ("1E2", 100.0), ("2.", 2.0), (".5", 0.5), ("600", 600.0)]
)
def test_seconds_in_a_url_may_be_written_in_all_ways_of_a_number(text: str, seconds: float) -> None:
    options = read_engine(f"redis://h?latency={text}&retention={text}")
    assert (options.latency_seconds, options.retention_seconds) == (seconds, seconds)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("True", True), ("0", False), ("false", False), ("FALSE", False)]
)
def test_whether_values_are_told_may_be_a_digit_or_a_word(text: str, value: bool) -> None:
    assert read_engine(f"nats://h?values={text}").values is value


def test_a_password_is_shown_to_nobody(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    options = Redis("redis://zoe:hush@127.0.0.1:1/0")
    cache = nodes(engine=options)
    eventually(lambda: the_log(cache).state == "unreachable")
    for text in (repr(options), str(options), repr(cache), repr(cache.peers()), caplog.text):
        assert "hush" not in text
        assert "zoe" not in text
    for wrong in (
        "redis://:hush\n@h",
        "redis://:hush?x@h",
        "redis://zoe:hush?a=b@h",
        "redis://zoe:hush@h:x",
        "redis://zoe:hush@x@h",
        "redis://zoe:hush@h?a=b",
        "ftp://zoe:hush@h",
    ):
        with pytest.raises(AddressError) as caught:
            read_engine(wrong)
        assert "hush" not in str(caught.value)


def test_an_engine_is_no_remote_address(nodes: Nodes) -> None:
    with pytest.raises(AddressError, match=r"engine='redis://h:1/0' is how an engine is given"):
        nodes(remote_address="redis://zoe:hush@h:1/0")


def test_without_what_it_needs_it_says_what_to_install(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Redis, "PACKAGE", ("no_such_package", "redis"))
    with pytest.raises(ImportError, match=r"pip install 'cf_LRU_cache\[redis\]'"):
        nodes(engine="redis://127.0.0.1")
