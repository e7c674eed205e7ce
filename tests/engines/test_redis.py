"""Redis's own troubles with a log: each ends in one error, and the log is used again if it can be."""

import logging
import time
from typing import Any

import pytest

from lru_cache.engines import redis_connection
from lru_cache.engines.engine import DeniedError, ForkedError
from lru_cache.engines.redis import PRESENCE_SECONDS
from lru_cache.engines.redis_stream import chain_of
from lru_cache.replication.log_end import LogEnd
from tests.concurrency import PATIENCE, eventually
from tests.engines import fake_redis
from tests.engines.asking import SECRETS, WHO, Fakes, Make, connect, failure, filled, reader
from tests.engines.conftest import Reader
from tests.engines.logs import key, replace
from tests.engines.servers import Server, Servers
from tests.replication.node import Node

# -- what it lacks or has ----------------------------------------------------------------------------------------------


def test_a_server_without_memory_refuses_records_and_can_be_read(servers: Servers, make: Make) -> None:
    server = servers()
    there = filled(make(server.url), 2)
    server.client.config_set("maxmemory", 1)
    assert "maxmemory" in failure(lambda: there.append(b"3"), DeniedError)
    there.connect()
    assert len(there.read()) == 2
    assert there.look() > 0


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_that_the_log_may_be_evicted_is_said_once(
    policy: str, servers: Servers, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    server = servers("--maxmemory", "100mb", "--maxmemory-policy", policy)
    engine = make(server.url)
    for _ in range(2):
        connect(engine)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (policy == "allkeys-lru")
    assert all("allkeys-lru" in line for line in said)


def test_eviction_is_noticed_by_config_where_info_is_not_permitted(
    guarded: Server, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    guarded.ask("ACL", "SETUSER", SECRETS["user"], "+config|get")
    guarded.client.config_set("maxmemory", "100mb")
    guarded.client.config_set("maxmemory-policy", "allkeys-random")
    connect(make(f"redis://{WHO}127.0.0.1:{guarded.port}"))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_something_else_under_the_logs_name_is_denied(servers: Servers, make: Make) -> None:
    server = servers()
    server.client.set(key("c"), "a text")
    assert "something else" in failure(lambda: connect(make(server.url)), DeniedError)


def test_a_log_with_an_entry_from_the_end_of_time_takes_no_more(servers: Servers, make: Make) -> None:
    server = servers()
    there = filled(make(server.url), 1)
    server.ask("XADD", key("c"), f"{2**64 - 1}-{2**64 - 1}", "a", "b")
    assert there.read()[-1].place == (2**64 - 1, 2**64 - 1)
    assert "delete the log's key" in failure(lambda: there.append(b"1"), DeniedError)


def test_however_many_seem_to_read_a_node_waits_a_second_at_most(servers: Servers, make: Make) -> None:
    server = servers()
    server.ask("ZADD", f"{key('c')}:nodes", *[each for n in range(20_000) for each in (9_000_000_000, f"x{n}")])
    there = reader(make(server.url))
    there.look()
    assert there.engine.pause == 1.0


def test_what_is_older_than_the_retention_goes(servers: Servers, make: Make) -> None:
    server = servers("--stream-node-max-entries", "1")
    there = reader(make(server.url, retention=60))
    old = int(time.time() * 1000) - 61_000
    server.ask("XADD", key("c"), f"{old}-0", "a", "b")
    server.ask("XADD", key("c"), f"{old + 10_000}-0", "a", "b")
    there.connect()
    there.append(b"1")
    first = there.connect().first
    assert first is not None
    assert first.place == (old + 10_000, 0)


# -- another log -------------------------------------------------------------------------------------------------------


def test_after_flushall_it_is_another_log(servers: Servers, make: Make) -> None:
    server = servers()
    there = filled(make(server.url), 3)
    server.ask("FLUSHALL")
    assert "has not the end of the log" in failure(there.look, ForkedError)
    read, standing = there.records, there.connect()
    assert standing.first is None
    assert there.engine.find((record.place, record.chain) for record in read) is None


def test_after_a_restart_it_is_another_log(servers: Servers, make: Make) -> None:
    server = servers()
    there = filled(make(server.url), 3)
    server.kill()
    assert "closed the connection" in failure(there.look)
    assert "cannot be reached" in failure(lambda: connect(there.engine))
    server.start()
    assert there.connect().first is None
    assert there.append(b"1") == there.read()[0].place


def test_a_promoted_replica_lacks_the_end_and_has_what_was_before(servers: Servers, make: Make) -> None:
    primary, replica = servers(), servers()
    there = filled(make(f"redis://127.0.0.1:{primary.port},127.0.0.1:{replica.port}"), 3)
    replica.follow(primary)
    replica.lose_primary()
    for content in (b"lost", b"as well"):
        there.append(content)
        there.read()
    read = there.records
    primary.kill()
    replica.promote()
    failure(there.look)
    assert there.connect().token == read[0].before
    assert there.engine.find((record.place, record.chain) for record in reversed(read)) == read[2].place
    with pytest.raises(ForkedError):
        there.engine.append(b"4", read[4].place, read[4].chain)


def test_a_replica_is_not_taken_for_its_primary(servers: Servers, make: Make) -> None:
    primary, replica = servers(), servers()
    replica.follow(primary)
    assert "is a replica" in failure(lambda: connect(make(replica.url)))
    connect(make(f"redis://127.0.0.1:{replica.port},127.0.0.1:{primary.port}"))


def test_a_primary_that_becomes_a_replica_is_dialled_anew(servers: Servers, make: Make) -> None:
    primary, other = servers(), servers()
    there = filled(make(primary.url), 1)
    other.follow(primary)
    other.promote()
    primary.follow(other)
    said = failure(lambda: there.append(b"2"))
    assert "is a replica" in said


# -- entries that are not as they should be ----------------------------------------------------------------------------


def forge(server: Server, id: str = "*", **fields: Any) -> None:  # noqa: A002
    """Add an entry with our fields, by hand."""
    server.client.xadd(key("c"), {"n": 5, "h": "f" * 40, "b": "b" * 40, "t": "t" * 40, "r": "r", **fields}, id=id)


@pytest.mark.parametrize(
    "fields",
    [{"n": "x"}, {"n": "9" * 16}, {"n": ""}, {"h": "short"}, {"b": ""}, {"more": "fields"}],
    ids="".join,
)
def test_an_entry_with_fields_that_cannot_be_is_a_record_that_is_none(
    fields: dict[str, str], servers: Servers, make: Make
) -> None:
    server = servers()
    there = filled(make(server.url), 1)
    forge(server, **fields)
    there.append(b"2")
    there.append(b"3")
    assert [record.content for record in there.read()] == [b"0", b"", b"2", b"3"]
    assert there.look() > 0


@pytest.mark.parametrize("damage", ["deleted", "forged", "forged as the first"])
def test_what_lies_before_a_gap_counts_as_trimmed(damage: str, servers: Servers, make: Make) -> None:
    """Somebody has missed something, and nobody can say what: the log begins behind it."""
    server = servers()
    there = filled(make(server.url), 3)
    if damage == "deleted":
        server.ask("XDEL", key("c"), "{}-{}".format(*there.records[1].place))
    else:
        forge(server, n=1 if damage == "forged as the first" else 5)
    late = reader(make(server.url))
    assert "deleted or forged" in failure(late.read, ForkedError)
    first = late.connect().first
    assert first is not None
    assert first.number > 1
    assert late.engine.read(None, 100)[0] == first
    assert late.find() is None
    late.read()
    late.append(b"more")
    assert late.read()[-1].content == b"more"
    assert late.look() > 0
    if damage == "deleted":
        assert there.read(100)[-1].content == b"more"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_record_that_was_replaced_within_its_fields_is_a_hole(number: int, servers: Servers, make: Make) -> None:
    """The chain up to it, and the next record's chain before it, are as they were."""
    server = servers()
    there = filled(make(server.url), 4)
    replace(server, key("c"), number, r=b"another")
    late = Reader(make(server.url))
    if number == 1:
        late.connect()
    else:
        early = late.connect().first
        assert early is not None
        assert early.number == 1
        assert "deleted or forged" in failure(late.read, ForkedError)
    first = late.connect().first
    assert first is not None
    assert first.number == min(number + 1, 4)
    assert first.number > 1
    assert [record.content for record in late.read()] == (
        [b"another"] if number == 4 else [b"1", b"2", b"3"][number - 1 :]
    )
    late.append(b"more")
    assert late.read()[-1].content == b"more"
    assert there.read()[-1].content == b"more"


def test_the_first_record_of_a_log_that_was_found_empty_may_be_replaced(servers: Servers, make: Make) -> None:
    server = servers()
    late = reader(make(server.url))
    filled(make(server.url), 1)
    replace(server, key("c"), 1, r=b"another")
    assert "deleted or forged" in failure(late.read, ForkedError)
    assert [record.number for record in reader(late.engine).read()] == [2]


def test_what_was_replaced_is_missed_however_early_its_place_says_that_it_was(servers: Servers, make: Make) -> None:
    """All of the hole is older than the record behind it."""
    server = servers()
    there = filled(make(server.url), 1)
    eventually(lambda: time.time() * 1000 > there.records[0].place[0] + 10)
    for content in (b"1", b"2", b"3"):
        there.append(content)
        there.read()
    replace(server, key("c"), 2, ms=5, r=b"another")
    replace(server, key("c"), 3, r=b"another")
    late = reader(make(server.url))
    failure(late.read, ForkedError)
    first = late.connect().first
    assert first is not None
    assert first.place == there.records[3].place


def test_behind_what_a_stranger_adds_numbers_and_token_go_on(servers: Servers, make: Make) -> None:
    server = servers()
    there = filled(make(server.url), 2)
    token = there.records[0].before
    for _ in range(3):
        server.client.xadd(key("c"), {"hello": "world"})
    there.append(b"2")
    assert there.read()[-1].number == 3
    server.client.xtrim(key("c"), maxlen=1, approximate=False)
    assert there.connect().token == token


def test_no_record_behind_another_is_the_first(servers: Servers, make: Make) -> None:
    server = servers()
    there = filled(make(server.url), 1)
    forge(server, n=1, b=there.chain, h=chain_of(there.chain, b"r"))
    assert [record.number for record in there.read()] == [1, 2]


def test_a_gap_is_forgotten_with_its_log(servers: Servers, make: Make) -> None:
    server = servers()
    there = filled(make(server.url), 1)
    forge(server, id=f"{int(time.time() * 1000) + 60_000}-0")
    failure(lambda: there.engine.read(None, 100), ForkedError)
    there.connect()
    server.ask("DEL", key("c"))
    assert there.connect().first is None
    there.append(b"new")
    assert [record.number for record in there.read()] == [1]


def test_a_silent_change_of_servers_is_no_gap(servers: Servers, make: Make) -> None:
    server = servers()
    there = filled(make(server.url), 2)
    server.ask("DEL", key("c"))
    other = filled(make(server.url), 3)
    assert "has not the end" in failure(there.read, ForkedError)
    assert there.connect().first == other.records[0]
    assert len(there.read()) == 3


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("what", ["stranger", "forged", "replaced", "deleted"])
def test_nothing_in_a_stream_makes_a_node_open_it_for_ever(what: str, place: str, servers: Servers, make: Make) -> None:
    server = servers()
    writer = reader(make(server.url))

    def write(count: int) -> None:
        for _ in range(count):
            writer.append(b"record")
            writer.engine.connect(time.monotonic() + PATIENCE)
            entry = server.client.xrevrange(key("c"), count=1)[0]
            writer.place = tuple(map(int, entry[0].split(b"-")))  # type: ignore[assignment]
            writer.chain = entry[1].get(b"h", entry[0])

    write({"first": 0, "middle": 3, "last": 3}[place])
    if what == "stranger":
        server.client.xadd(key("c"), {"hello": "world"})
    elif what == "forged":
        forge(server, n=1)
    elif what == "replaced":
        write(1)
        last = int(server.client.xrevrange(key("c"), count=1)[0][1][b"n"])
        replace(server, key("c"), last, r=b"another")
    else:
        write(2)
        server.ask("XDEL", key("c"), server.client.xrevrange(key("c"), count=2)[-1][0])
    writer.place = None
    if place != "last":
        entry = server.client.xrevrange(key("c"), count=1)[0]
        writer.place = tuple(map(int, entry[0].split(b"-")))  # type: ignore[assignment]
        writer.chain = entry[1].get(b"h", entry[0])
        write(3)
    last = server.client.xrevrange(key("c"), count=1)[0][0]

    node = Node()
    engine, end = make(server.url), LogEnd(node.replica, "log", node.now)
    opened = 0
    while not end.is_live:
        opened += 1
        assert opened <= 3
        end.opened(connect(engine), engine.find(end.tail()), node.now)
        try:
            while end.is_open and not end.is_live:
                records = engine.read(end.place, 2)
                end.read(records, end.engine_ms(node.now), node.now, len(records) < 2)
        except ForkedError:
            end.away()
    assert end.place is not None
    assert b"%d-%d" % end.place == last
    assert engine.look(end.place, end.chain) > 0


# -- time --------------------------------------------------------------------------------------------------------------


def test_a_server_that_is_stopped_does_not_answer(
    servers: Servers, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers()
    there = filled(make(server.url), 1)
    monkeypatch.setattr(redis_connection, "TIMEOUT_SECONDS", 0.05)
    server.stop()
    assert "does not answer in time" in failure(there.look)
    assert "not connected" in failure(there.look)
    assert "does not answer in time" in failure(lambda: connect(there.engine))
    server.go_on()
    monkeypatch.undo()
    there.connect()
    assert len(there.read()) == 1


def test_no_connection_is_made_after_the_deadline(fake: Fakes, make: Make) -> None:
    server = fake()
    assert "in time" in failure(lambda: connect(make(server.url), -1))
    assert server.commands == []


@pytest.mark.parametrize("ahead", [90, -90])
def test_a_clock_that_is_off_is_denied(ahead: int, fake: Fakes, make: Make) -> None:
    server = fake(lambda command: fake_redis.moment(ahead) if command[0] == b"TIME" else None)
    said = failure(lambda: connect(make(server.url)), DeniedError)
    assert "89 s" in said or "90 s" in said or "91 s" in said
    assert ("ahead of" if ahead > 0 else "behind") in said


def test_a_clock_that_is_off_a_little_will_do(fake: Fakes, make: Make) -> None:
    server = fake(lambda command: fake_redis.moment(50) if command[0] == b"TIME" else None)
    assert connect(make(server.url)).engine_ms > time.time() * 1000 + 40_000


# -- who is there ------------------------------------------------------------------------------------------------------


def test_readers_pause_the_longer_the_more_of_them_there_are(
    servers: Servers, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = servers()
    engines = [make(server.url) for _ in range(3)]
    for engine in engines:
        connect(engine)
    assert [engine.pause for engine in engines] == pytest.approx([0.0001, 0.0002, 0.0003])
    now = time.monotonic()
    engines[0].look(None, b"")
    assert engines[0].pause == pytest.approx(0.0001), "so often they do not count"
    monkeypatch.setattr(time, "monotonic", lambda: now + PRESENCE_SECONDS + 1)
    engines[0].look(None, b"")
    assert engines[0].pause == pytest.approx(0.0003)


def test_who_was_silent_for_long_is_not_counted(servers: Servers, make: Make) -> None:
    server = servers()
    nodes = f"{key('c')}:nodes"
    server.client.zadd(nodes, {"gone": time.time() - 100, "there": time.time()})
    engine = make(server.url)
    connect(engine)
    assert engine.pause == pytest.approx(0.0002)
    assert 0 < server.client.ttl(nodes) < 1_000
