"""The log on NATS JetStream, with real servers."""

import gc
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trustme
from nats.aio.msg import Msg

from lru_cache.engines import jetstream
from lru_cache.engines.engine import DeniedError, EngineError, ForkedError
from lru_cache.engines.jetstream import CLOCKS_MS, JetStreamEngine, stream_name
from lru_cache.engines.options import JetStream
from lru_cache.replication.log_records import RECORD_BYTES, Place, Record, Standing
from tests.concurrency import PATIENCE, eventually
from tests.engines.logs import ask_nats as ask
from tests.engines.nats_credentials import Operator
from tests.engines.nats_server import NatsServer

CLUSTER = "test"
NAME = stream_name(CLUSTER, "default")

Engines = Callable[..., JetStreamEngine]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One server for all that do it no harm."""
    with closing(NatsServer(tmp_path_factory.mktemp("nats"))) as server:
        yield server


@pytest.fixture
def server(shared: NatsServer) -> Iterator[NatsServer]:
    """It without our stream."""
    yield shared
    ask(shared, f"STREAM.DELETE.{NAME}")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[..., NatsServer]]:
    """Servers of the test's own."""
    made: list[NatsServer] = []

    def make(*arguments: Any, **options: Any) -> NatsServer:
        folder = tmp_path / f"server{len(made)}"
        folder.mkdir()
        made.append(NatsServer(folder, *arguments, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def engines() -> Iterator[Engines]:
    """Engines, which are closed in the end: no thread of theirs may be left."""
    made: list[JetStreamEngine] = []

    def make(url: str, cluster: str = CLUSTER, refusal: Any = lambda *_: None, **options: Any) -> JetStreamEngine:
        made.append(JetStreamEngine(JetStream(url, **options), cluster, refusal))
        return made[-1]

    yield make
    for engine in made:
        engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lru_cache-")]


def opened(engine: JetStreamEngine) -> Standing:
    return engine.connect(time.monotonic() + PATIENCE)


def append(engine: JetStreamEngine, *contents: bytes, at: Record | None = None) -> list[Place]:
    place, chain = (None, b"") if at is None else (at.place, at.chain)
    return [engine.append(content, place, chain) for content in contents]


def tail(records: list[Record]) -> list[tuple[Place, bytes]]:
    return [(record.place, record.chain) for record in reversed(records)]


def contents(records: list[Record]) -> list[bytes]:
    return [record.content for record in records]


def test_an_empty_log_has_no_first_record(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    standing = opened(engine)
    assert (standing.token, standing.first) == (b"", None)
    assert abs(standing.engine_ms - time.time() * 1000) < PATIENCE * 1000
    assert engine.read(None, 10) == []


def test_what_is_appended_is_read_in_its_order_each_with_the_chain_of_the_one_before(
    server: NatsServer, engines: Engines
) -> None:
    engine = engines(server.url)
    opened(engine)
    places = append(engine, b"a", b"b", b"c")
    standing = opened(engine)
    records = engine.read(None, 10)
    assert contents(records) == [b"a", b"b", b"c"]
    assert [record.place for record in records] == places == sorted(places)
    assert [record.number for record in records] == [1, 2, 3]
    assert [record.before for record in records] == [standing.token, *(record.chain for record in records[:2])]


def test_reading_on_gives_what_is_behind_a_place(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, *(b"%d" % number for number in range(7)))
    first = engine.read(None, 3)
    second = engine.read(first[-1].place, 3)
    third = engine.read(second[-1].place, 3)
    assert contents(first + second + third) == [b"%d" % number for number in range(7)]
    assert second[0].before == first[-1].chain


def test_as_many_as_are_asked_for_are_read_though_fewer_are_kept_waiting(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, *(b"%d" % number for number in range(700)))
    other = engines(server.url)
    opened(other)
    assert contents(other.read(None, 600)) == [b"%d" % number for number in range(600)]


def test_a_record_of_the_greatest_size_is_carried(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    longest = os.urandom(RECORD_BYTES)
    append(engine, longest)
    assert contents(engine.read(None, 2)) == [longest]


def test_many_large_records_are_read_though_they_are_more_than_wait_here(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    large = [b"%d" % number * 100_000 for number in range(10, 40)]
    append(engine, *large)
    other = engines(server.url)
    opened(other)
    assert contents(other.read(None, 100)) == large


def test_who_joins_late_derives_the_same_records(server: NatsServer, engines: Engines) -> None:
    early, late = engines(server.url), engines(server.url)
    opened(early)
    append(early, b"a", b"b", b"c")
    read = early.read(None, 10)
    assert opened(late).first == read[0]
    assert late.read(None, 10) == read
    opened(late)
    assert late.read(read[0].place, 10) == read[1:], "nor does it matter where it begins"


def test_the_same_bytes_again_are_another_record(server: NatsServer, engines: Engines) -> None:
    """A record that is given back must not be taken for a duplicate."""
    engine = engines(server.url)
    opened(engine)
    append(engine, b"same", b"same")
    one, two = engine.read(None, 10)
    assert one.content == two.content
    assert one.chain != two.chain


def test_what_another_appends_wakes_the_reader(server: NatsServer, engines: Engines) -> None:
    reader, writer = engines(server.url), engines(server.url)
    woken = threading.Event()
    reader.on_records = woken.set
    opened(reader)
    opened(writer)
    assert reader.read(None, 10) == []
    append(writer, b"a")
    assert woken.wait(PATIENCE)
    assert contents(reader.read(None, 10)) == [b"a"]


def test_a_read_waits_for_what_was_there_when_one_looked(
    server: NatsServer, engines: Engines, start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = engines(server.url), engines(server.url)
    opened(reader)
    opened(writer)
    assert reader.read(None, 10) == []
    held: list[Any] = []
    asked = threading.Event()
    take, has_all = reader._received_record, reader._has_all

    def note(consumer: Any) -> bool:
        asked.set()
        return has_all(consumer)

    async def let_go() -> None:
        take(*held[0])

    monkeypatch.setattr(reader, "_received_record", lambda *arguments: held.append(arguments))
    monkeypatch.setattr(reader, "_has_all", note)
    append(writer, b"a")
    reader.look(None, b"")
    eventually(lambda: held)
    reading = start(reader.read, None, 10)
    assert asked.wait(PATIENCE)
    assert reader._connection is not None
    reader._connection.later(let_go)
    assert contents(reading.result()) == [b"a"]


def test_a_read_has_what_was_appended_here(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    last: Record | None = None
    for number in range(50):
        (place,) = append(engine, b"%d" % number, at=last)
        (last,) = engine.read(last and last.place, 10)
        assert last.place == place


def test_clusters_and_streams_have_logs_of_their_own(server: NatsServer, engines: Engines) -> None:
    one, two = engines(server.url), engines(server.url, "tes", stream="t")
    opened(one)
    opened(two)
    append(one, b"a")
    assert two.read(None, 10) == []
    ask(server, f"STREAM.DELETE.{two.name}")


def test_names_of_streams_are_what_the_server_takes_and_all_different() -> None:
    clusters = ["", "a", "a b", "a.b", "a_b", "a_2Eb", "*", ">", "ü", "a/b", "\\", "a__b", "a" * 300, "a" * 301, "-"]
    names = [
        stream_name(cluster, stream) for cluster in clusters for stream in ("default", "b", "b__b", "_", "x" * 100)
    ]
    assert len(set(names)) == len(names)
    assert not [name for name in names if set(name) & set(" .*>/\\\t\r\n")]
    assert max(map(len, names)) <= 255


def test_an_existing_stream_is_used_as_it_is(server: NatsServer, engines: Engines) -> None:
    ask(server, f"STREAM.CREATE.{NAME}", {"name": NAME, "subjects": [NAME], "storage": "memory", "max_msgs": 5})
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a")
    assert ask(server, f"STREAM.INFO.{NAME}")["config"]["max_msgs"] == 5


def test_in_what_an_existing_stream_differs_is_said_once(
    server: NatsServer, engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    made = {"name": NAME, "subjects": [NAME], "storage": "memory", "max_msgs": 5}
    ask(server, f"STREAM.CREATE.{NAME}", made)
    engine = engines(server.url, retention=30)
    for _ in range(2):
        opened(engine)
    [said] = [record.getMessage() for record in caplog.records]
    assert said == (
        f"the stream {NAME} at {server.url}: retention is 0 s, not 30 s, records is 5, not 100000, storage is memory, "
        f"not file; it stays as it is, until you give other options or run `nats stream edit {NAME} --max-age=30s "
        f"--max-msgs=100000` and `nats stream rm {NAME}`, after which it is made anew"
    )
    config = ask(server, f"STREAM.INFO.{NAME}")["config"]
    ask(server, f"STREAM.UPDATE.{NAME}", {**config, "max_msgs": 6})
    opened(engine)
    assert "records is 6" in caplog.records[-1].getMessage()
    assert len(caplog.records) == 2


def test_of_a_stream_that_is_made_here_nothing_is_said(
    server: NatsServer, engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        opened(engines(server.url, retention=0.5, records=7))
    assert caplog.records == []


def test_a_stream_is_made_with_what_the_options_say(server: NatsServer, engines: Engines) -> None:
    opened(engines(server.url, retention=30, records=77))
    config = ask(server, f"STREAM.INFO.{NAME}")["config"]
    found = {
        name: config[name] for name in ("max_age", "max_msgs", "storage", "discard", "num_replicas", "deny_delete")
    }
    assert found == {
        "max_age": 30_000_000_000, "max_msgs": 77, "storage": "file", "discard": "old", "num_replicas": 1,
        "deny_delete": True,
    }  # fmt: skip


# -- logs that have lost something -------------------------------------------------------------------------------------


def test_the_newest_place_that_the_log_has_is_found(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a", b"b", b"c")
    records = engine.read(None, 10)
    opened(engine)
    assert engine.find(tail(records)) == records[-1].place
    assert engine.find([]) is None
    assert engine.read(records[-1].place, 10) == []


def test_a_stream_that_was_deleted_is_another_log(server: NatsServer, engines: Engines) -> None:
    engine, other = engines(server.url), engines(server.url)
    opened(engine)
    append(engine, b"a", b"b")
    token = opened(engine).token
    records = engine.read(None, 10)
    ask(server, f"STREAM.DELETE.{NAME}")
    with pytest.raises(ForkedError):
        engine.append(b"c", records[-1].place, records[-1].chain)
    opened(other)
    append(other, b"c", b"d", b"e")
    standing = opened(engine)
    assert standing.token != token
    assert engine.find(tail(records)) is None
    assert contents(engine.read(None, 10)) == [b"c", b"d", b"e"]


def test_an_append_to_a_log_that_has_lost_its_end_is_refused(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a", b"b")
    records = engine.read(None, 10)
    ask(server, f"STREAM.DELETE.{NAME}")
    opened(engine)
    with pytest.raises(ForkedError):
        engine.append(b"c", records[-1].place, records[-1].chain)


def test_an_append_with_another_chain_than_was_read_is_refused(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a", b"b")
    records = engine.read(None, 10)
    with pytest.raises(ForkedError):
        engine.append(b"c", records[1].place, records[0].chain)
    opened(engine)
    assert contents(engine.read(None, 10)) == [b"a", b"b"]


def test_who_has_read_nothing_does_not_append_to_a_log_whose_beginning_is_gone(
    server: NatsServer, engines: Engines
) -> None:
    engine, writer = engines(server.url), engines(server.url)
    opened(engine)
    opened(writer)
    append(writer, b"a", b"b")
    ask(server, f"STREAM.PURGE.{NAME}", {"keep": 1})
    with pytest.raises(ForkedError):
        engine.append(b"c", None, b"")
    standing = opened(engine)
    assert standing.first is not None
    engine.append(b"c", None, standing.first.before)
    assert contents(engine.read(None, 10)) == [b"b", b"c"]


@pytest.mark.parametrize("act", ["append", "read", "look", "find"])
def test_after_a_failure_there_is_no_connection(server: NatsServer, engines: Engines, act: str) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a")
    (record,) = engine.read(None, 10)
    with pytest.raises(ForkedError):
        engine.look(record.place, b"another chain")
    acts: dict[str, Callable[[], object]] = {
        "append": lambda: engine.append(b"b", record.place, record.chain),
        "read": lambda: engine.read(record.place, 1),
        "look": lambda: engine.look(record.place, record.chain),
        "find": lambda: engine.find(tail([record])),
    }
    with pytest.raises(EngineError, match="not connected"):
        acts[act]()


def test_looking_finds_that_the_log_is_another(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a", b"b")
    records = engine.read(None, 10)
    assert engine.look(records[-1].place, records[-1].chain) > 0
    with pytest.raises(ForkedError):
        engine.look(records[-1].place, records[0].chain)
    opened(engine)
    ask(server, f"STREAM.DELETE.{NAME}")
    with pytest.raises(ForkedError):
        engine.look(records[-1].place, records[-1].chain)


def test_after_a_purge_who_had_read_all_reads_on(server: NatsServer, engines: Engines) -> None:
    engine, writer = engines(server.url), engines(server.url)
    opened(engine)
    opened(writer)
    append(engine, b"a", b"b")
    records = engine.read(None, 10)
    engine.close()
    ask(server, f"STREAM.PURGE.{NAME}")
    standing = opened(engine)
    assert standing.first is not None
    assert standing.first.number == 3
    assert engine.find(tail(records)) == records[-1].place
    append(writer, b"c", at=records[-1])
    (read,) = engine.read(records[-1].place, 10)
    assert (read.content, read.before) == (b"c", records[-1].chain)


def test_after_a_purge_who_had_not_read_all_begins_anew(server: NatsServer, engines: Engines) -> None:
    engine, writer = engines(server.url), engines(server.url)
    opened(writer)
    append(writer, b"a", b"b")
    opened(engine)
    records = engine.read(None, 1)
    engine.close()
    ask(server, f"STREAM.PURGE.{NAME}")
    standing = opened(engine)
    assert engine.find(tail(records)) is None
    opened(writer)
    writer.append(b"c", None, standing.first.before if standing.first is not None else b"")
    (read,) = engine.read(None, 10)
    assert standing.first is not None
    assert read.before == standing.first.before
    assert read.content == b"c"


def test_records_that_were_all_too_old_are_nothing_that_who_had_read_them_has_missed(
    server: NatsServer, engines: Engines
) -> None:
    engine = engines(server.url, retention=0.2)
    opened(engine)
    append(engine, b"a")
    records = engine.read(None, 10)
    eventually(lambda: ask(server, f"STREAM.INFO.{NAME}")["state"]["messages"] == 0)
    assert engine.look(records[-1].place, records[-1].chain) > 0
    opened(engine)
    assert engine.find(tail(records)) == records[-1].place
    append(engine, b"b", at=records[-1])
    assert engine.look(records[-1].place, records[-1].chain) > 0


def test_a_trimmed_log_begins_later_than_what_it_has_left(server: NatsServer, engines: Engines) -> None:
    """By as much as clocks of servers may differ: what was trimmed may have had later timestamps."""
    engine = engines(server.url, records=2)
    opened(engine)
    append(engine, b"a")
    records = engine.read(None, 10)
    append(engine, b"b", b"c", b"d", at=records[-1])
    left = engine.read(records[-1].place, 10)
    assert contents(left) == [b"b", b"c", b"d"], "they had come already"
    standing = opened(engine)
    assert standing.first is not None
    assert standing.first.number == 3
    assert standing.first[1:] == (3, standing.first.before, left[1].chain, b"c")
    assert standing.first.place[0] == min(left[1].place[0] + CLOCKS_MS, standing.engine_ms)
    assert engine.find(tail(records)) is None
    (first, second) = engine.read(None, 10)
    assert first.place == left[1].place
    assert first.before == standing.first.before
    assert second == left[2]


def test_a_reader_that_is_too_slow_sees_a_chain_that_does_not_follow(server: NatsServer, engines: Engines) -> None:
    engine, writer = engines(server.url, records=2), engines(server.url)
    opened(engine)
    opened(writer)
    append(writer, b"a")
    records = engine.read(None, 10)
    engine.close()
    opened(engine)
    append(writer, b"b", b"c", b"d", at=records[-1])
    with pytest.raises(ForkedError, match="trimmed"):
        engine.look(records[-1].place, records[-1].chain)
    opened(engine)
    read = engine.read(records[-1].place, 10)
    assert contents(read) == [b"c", b"d"]
    assert read[0].before != records[-1].chain


def test_a_log_begins_behind_a_record_that_somebody_has_deleted(server: NatsServer, engines: Engines) -> None:
    """Or who had read all before it would never read on."""
    ask(server, f"STREAM.CREATE.{NAME}", {"name": NAME, "subjects": [NAME]})
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a", b"b", b"c", b"d")
    records = engine.read(None, 10)
    assert ask(server, f"STREAM.MSG.DELETE.{NAME}", {"seq": 2})["success"]
    standing = opened(engine)
    assert standing.first is not None
    assert standing.first.number == 3
    assert engine.find(tail(records[:1])) is None
    assert engine.find(tail(records)) == records[-1].place
    read = engine.read(None, 10)
    assert contents(read) == [b"c", b"d"]
    assert read[0].before == standing.first.before


def test_a_server_with_an_older_copy_has_what_that_had(own: Callable[..., NatsServer], engines: Engines) -> None:
    """It gives the same numbers to other records."""
    server = own()
    engine, other = engines(server.url), engines(server.url)
    opened(engine)
    append(engine, b"a", b"b")
    engine.close()
    server.kill()
    shutil.copytree(server.store, server.folder / "copy")
    server.start()
    opened(engine)
    append(engine, b"c", b"d", b"e")
    records = engine.read(None, 10)
    assert len(records) == 5
    server.kill()
    shutil.rmtree(server.store)
    shutil.copytree(server.folder / "copy", server.store)
    server.start()
    with pytest.raises(EngineError):
        engine.read(records[-1].place, 10)
    opened(other)
    append(other, b"c", b"x", b"y", b"z")
    opened(engine)
    with pytest.raises(ForkedError):
        engine.look(records[-1].place, records[-1].chain)
    opened(engine)
    assert engine.find(tail(records)) == records[1].place
    read = engine.read(records[1].place, 10)
    assert contents(read) == [b"c", b"x", b"y", b"z"]
    assert read[0].before == records[1].chain
    assert read[0].chain != records[2].chain


def test_a_server_that_comes_back_with_all_it_had_is_read_on(own: Callable[..., NatsServer], engines: Engines) -> None:
    server = own()
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a", b"b")
    records = engine.read(None, 10)
    server.kill()
    with pytest.raises(EngineError):
        engine.append(b"c", records[-1].place, records[-1].chain)
    server.start()
    opened(engine)
    assert engine.find(tail(records)) == records[-1].place
    append(engine, b"c", at=records[-1])
    assert contents(engine.read(records[-1].place, 10)) == [b"c"]


# -- servers that are away, or will not have us ------------------------------------------------------------------------


def test_a_stopped_server_is_away(own: Callable[..., NatsServer], engines: Engines) -> None:
    server = own()
    engine = engines(server.url)
    opened(engine)
    server.signal(signal.SIGSTOP)
    with pytest.raises(EngineError, match="does not answer"):
        append(engine, b"a")
    with pytest.raises(EngineError):
        engine.connect(time.monotonic() + 0.3)
    server.signal(signal.SIGCONT)
    opened(engine)
    assert contents(engine.read(None, 10)) in ([], [b"a"])


def test_a_dead_server_is_away(
    own: Callable[..., NatsServer], engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    server = own()
    engine = engines(server.url)
    opened(engine)
    assert engine.read(None, 10) == []
    server.kill()
    eventually(lambda: engine._connection is None or engine._connection.failure is not None)
    for act in (lambda: engine.read(None, 10), lambda: append(engine, b"a"), lambda: engine.look(None, b"")):
        with pytest.raises(EngineError):
            act()
    with pytest.raises(EngineError, match="refused"):
        opened(engine)
    assert not caplog.records, "what the engine's user logs is enough"


def test_of_several_servers_one_is_enough(server: NatsServer, engines: Engines, free_port: int) -> None:
    for hosts in (f"127.0.0.1:{free_port},127.0.0.1:{server.port.number}", f"nowhere.invalid,{server.url[7:]}"):
        opened(engines(f"nats://{hosts}"))


JANE = "jane:s3cret"
SECRETS = ("s3cret", "jane", "t0ken")


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("who", [JANE, "jane", "t0ken", ""])
def test_who_has_a_wrong_password_is_denied(own: Callable[..., NatsServer], engines: Engines, who: str) -> None:
    server = own("authorization { user: joe, password: right }")
    engine = engines(server.url.replace("//", f"//{who}@" if who else "//"))
    with pytest.raises(DeniedError, match=r"(?i)authorization violation") as raised:
        opened(engine)
    assert not [secret for secret in SECRETS if secret in shown(raised.value)]


def test_a_user_may_have_credentials_in_a_file(
    own: Callable[..., NatsServer], engines: Engines, tmp_path: Path
) -> None:
    operator = Operator()
    server = own(operator.settings())
    path = operator.write_user(tmp_path / "user.creds")
    engine = engines(server.url, credentials=str(path))
    opened(engine)
    append(engine, b"1")
    assert contents(engine.read(None, 9)) == [b"1"]
    other = Operator().write_user(tmp_path / "other.creds")
    for given in ({}, {"credentials": str(other)}):
        with pytest.raises(DeniedError):
            opened(engines(server.url, **given))


def broken_credentials() -> dict[str, str | None]:
    """What may stand in a file of credentials that is none; None: there is no file."""
    whole = Operator().user()
    jwt, seed = whole.split("\n\n")
    wrong = seed.replace("\nSU", "\nSX")
    return {
        "absent": None, "empty": "", "other": "no credentials\n", "bytes": "\xff", "half": jwt, "key": seed,
        "cut": whole[: whole.index("\nSU") + 3], "wrong": f"{jwt}\n\n{wrong}", "gap": whole.replace("\nSU", "\n\nSU"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", broken_credentials())
def test_credentials_that_cannot_be_read_are_denied(
    kind: str, server: NatsServer, engines: Engines, tmp_path: Path
) -> None:
    content = broken_credentials()[kind]
    path = tmp_path / "user.creds"
    if content is not None:
        path.write_text(content, "latin-1")
    with pytest.raises(DeniedError, match="the file of credentials cannot be used: ") as raised:
        opened(engines(server.url, credentials=str(path)))
    assert ("No such file" if content is None else "JWT and key, as nsc writes them") in str(raised.value)


def test_without_nkeys_credentials_are_denied_with_what_to_install(
    server: NatsServer, engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Operator().write_user(tmp_path / "user.creds")
    monkeypatch.setitem(sys.modules, "nkeys", None)
    with pytest.raises(DeniedError, match=re.escape("pip install 'cf_LRU_cache[nats]'")):
        opened(engines(server.url, credentials=str(path)))


def test_a_token_is_taken_from_the_place_of_the_user(own: Callable[..., NatsServer], engines: Engines) -> None:
    server = own('authorization { token: "t0ken" }')
    opened(engines(server.url.replace("//", "//t0ken@")))


PERMISSIONS = """
authorization {{
  users: [
    {{ user: admin, password: admin }}
    {{ user: jane, password: s3cret, permissions: {{
        publish: {{ allow: [{allowed}] }}
        subscribe: {{ allow: ["_INBOX.>"] }}
    }} }}
  ]
}}
"""
NEEDED = [
    NAME if subject == "STREAM" else re.sub(r"(?<=\.)STREAM(?=$|\.\*)", NAME, subject)
    for line in (jetstream.__doc__ or "").splitlines()
    if line.startswith("    ")
    for subject in line.split()
]
"""What is documented."""


def use(engine: JetStreamEngine) -> None:
    """All that one does."""
    opened(engine)
    append(engine, b"a")
    records = engine.read(None, 10)
    append(engine, b"b", at=records[-1])
    engine.look(records[-1].place, records[-1].chain)
    opened(engine)
    assert engine.find(tail(records)) == records[-1].place
    assert contents(engine.read(records[-1].place, 10)) == [b"b"]
    engine.close()


def test_these_permissions_are_enough(own: Callable[..., NatsServer], engines: Engines) -> None:
    server = own(PERMISSIONS.format(allowed=", ".join(map(json.dumps, NEEDED))))
    use(engines(server.url.replace("//", f"//{JANE}@")))


@pytest.mark.parametrize(
    "missing", NEEDED[:-1], ids=lambda subject: subject.removeprefix("$JS.API.").partition(".cf")[0]
)
def test_without_one_of_them_one_is_denied(own: Callable[..., NatsServer], engines: Engines, missing: str) -> None:
    server = own(PERMISSIONS.format(allowed=", ".join(json.dumps(each) for each in NEEDED if each != missing)))
    with pytest.raises(DeniedError, match="this user may not") as raised:
        use(engines(server.url.replace("//", f"//{JANE}@")))
    assert not [secret for secret in SECRETS if secret in shown(raised.value)]


def test_a_server_without_jetstream_is_named_as_that(own: Callable[..., NatsServer], engines: Engines) -> None:
    server = own(jetstream=False)
    with pytest.raises(DeniedError, match="JetStream is not enabled"):
        opened(engines(server.url))


def test_a_stream_that_is_full_and_keeps_what_is_old_takes_nothing(server: NatsServer, engines: Engines) -> None:
    ask(
        server, f"STREAM.CREATE.{NAME}", {"name": NAME, "subjects": [NAME], "max_msgs": 1, "discard": "new"}
    )  # fmt: skip
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a")
    with pytest.raises(DeniedError, match="maximum messages"):
        append(engine, b"b")


def test_an_account_without_room_is_denied(own: Callable[..., NatsServer], engines: Engines) -> None:
    server = own("accounts { A { jetstream: { max_streams: 1 }, users: [{user: joe, password: joe}] } }")
    ask(server, "STREAM.CREATE.other", {"name": "other", "subjects": ["other"]}, user="joe", password="joe")
    engine = engines(server.url.replace("//", "//joe:joe@"))
    with pytest.raises(DeniedError, match="it refuses"):
        opened(engine)


def test_records_must_fit_into_what_the_server_takes(own: Callable[..., NatsServer], engines: Engines) -> None:
    server = own("max_payload: 100000")
    with pytest.raises(DeniedError, match="max_payload is 100000 bytes"):
        opened(engines(server.url))


def test_an_address_that_is_refused_is_not_dialled(server: NatsServer, engines: Engines) -> None:
    asked: list[Any] = []

    def refusal(family: int, where: Any) -> str:
        asked.append((family, where))
        return "it is not to be used"

    with pytest.raises(DeniedError, match="it is not to be used"):
        opened(engines(server.url, refusal=refusal))
    assert asked == [(socket.AF_INET, server.port.address)]


def test_an_old_server_is_refused(engines: Engines, start: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        start(old_server, listener)
        with pytest.raises(DeniedError, match=r"is NATS 2\.9, and 2\.10 is the oldest"):
            opened(engines(f"nats://127.0.0.1:{port}"))


def old_server(listener: socket.socket) -> bytes:
    """It says what it must to be believed a server, and hears what comes until we have gone."""
    info = {"server_id": "x", "version": "2.9.10", "proto": 1, "headers": True, "max_payload": 1_048_576}
    accepted, _ = listener.accept()
    heard = b""
    with accepted:
        accepted.sendall(b"INFO " + json.dumps(info).encode() + b"\r\n")
        while got := accepted.recv(4096):
            heard += got
            if got.endswith(b"PING\r\n"):
                accepted.sendall(b"PONG\r\n")
    return heard


def test_a_clock_that_is_far_off_is_refused(
    server: NatsServer, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr("lru_cache.engines.engine.time.time", lambda: real() + 90)
    with pytest.raises(DeniedError, match=rf"the clock of {server.url} is (89|90) s behind this machine's"):
        opened(engines(server.url))


def deliver(engine: JetStreamEngine, words: str) -> None:
    """Give it a record with a reply subject that ends in these words: from others the server takes none of those."""
    connection, consumer = engine._connection, engine._consumer
    assert connection is not None
    assert consumer is not None

    async def take() -> None:
        client: Any = None
        engine._received(connection, consumer, Msg(client, consumer.inbox, f"$JS.ACK.{words}", b"made up"))

    connection.later(take)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("s.c.1.4.3.1700000000000000000.0", id="one was skipped"),
        pytest.param("s.c.1.2.1.1700000000000000000.0", id="it came twice"),
        pytest.param("s.c.1.1.2.1700000000000000000.0", id="one that was before"),
        pytest.param("s.c.1.two.2.1700000000000000000.0", id="no number"),
        pytest.param("s.c", id="cut"),
    ],
)
def test_a_delivery_that_does_not_follow_is_the_last(server: NatsServer, engines: Engines, words: str) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a")
    (record,) = engine.read(None, 10)
    deliver(engine, words)
    eventually(lambda: engine._connection is None or engine._connection.failure is not None)
    with pytest.raises(EngineError):
        engine.read(record.place, 10)


def test_what_an_account_and_a_domain_add_to_a_delivery_is_passed_over(server: NatsServer, engines: Engines) -> None:
    engine = engines(server.url)
    opened(engine)
    append(engine, b"a")
    (record,) = engine.read(None, 10)
    deliver(engine, "domain.hash.s.c.1.2.2.1700000000000000000.0.random")
    eventually(lambda: engine._consumer is not None and engine._consumer.waiting)
    assert [found.place for found in engine.read(record.place, 10)] == [(1_700_000_000_000, 2)]


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_settings(authority: trustme.CA, folder: Path, more: str = "") -> str:
    for number, name in enumerate(("server", "client")):
        made = authority.issue_cert("127.0.0.1" if number == 0 else "client", common_name=name)
        made.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        made.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    return (
        f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", '
        f'ca_file: "{folder}/authority.pem" {more} }}'
    )


def test_over_tls(own: Callable[..., NatsServer], engines: Engines, authority: trustme.CA, tmp_path: Path) -> None:
    server = own(tls_settings(authority, tmp_path, ", verify: true"))
    url = server.url.replace("nats://", "tls://")
    keys = {"certificate": str(tmp_path / "client.pem"), "key": str(tmp_path / "client.key")}
    use(engines(url, authority=str(tmp_path / "authority.pem"), **keys))


def test_a_server_that_nobody_vouches_for_is_refused(
    own: Callable[..., NatsServer], engines: Engines, authority: trustme.CA, tmp_path: Path
) -> None:
    server = own(tls_settings(authority, tmp_path))
    with pytest.raises(DeniedError, match="certificate is not to be trusted"):
        opened(engines(server.url.replace("nats://", "tls://")))


def test_no_password_goes_to_a_server_that_does_not_encrypt(engines: Engines, start: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heard = start(old_server, listener)
        with pytest.raises(DeniedError, match="does not encrypt"):
            opened(engines(f"tls://{JANE}@127.0.0.1:{listener.getsockname()[1]}"))
        assert heard.result() == b""


def test_a_certificate_that_is_not_there_is_named(engines: Engines, server: NatsServer) -> None:
    with pytest.raises(DeniedError, match="No such file"):
        opened(engines(server.url, authority="/nowhere/authority.pem"))


# -- endings -----------------------------------------------------------------------------------------------------------


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_nothing_is_left_after_closing(server: NatsServer, engines: Engines, free_port: int) -> None:
    gc.collect()
    before = descriptors()
    engine = engines(server.url)
    for _ in range(3):
        use(engine)
    with pytest.raises(EngineError):
        opened(engines(f"nats://127.0.0.1:{free_port}"))
    assert descriptors() == before
    assert ask(server, f"STREAM.INFO.{NAME}")["state"]["consumer_count"] == 0


def test_closing_does_not_wait_for_a_stopped_server(own: Callable[..., NatsServer], engines: Engines) -> None:
    server = own()
    engine = engines(server.url)
    opened(engine)
    assert engine.read(None, 10) == []
    server.signal(signal.SIGSTOP)
    engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "lru_cache-nats"]
    with pytest.raises(EngineError, match="not connected"):
        engine.read(None, 10)


def test_a_process_that_does_not_close_it_exits(server: NatsServer) -> None:
    code = f"""
import time
from lru_cache.engines.options import JetStream
engine = JetStream({server.url!r}).engine({CLUSTER!r}, lambda *_: None)
engine.connect(time.monotonic() + {PATIENCE})
assert engine.read(None, 10) == []
print("at its end")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "at its end\n", "")


def in_child(act: Callable[[], None]) -> int:
    """What a forked process returns: 0 if it did this without an error."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever it is, its parent must not go on as if it were the test
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of forks with threads
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc")
def test_a_child_lets_go_of_what_it_inherited_and_its_parent_goes_on(server: NatsServer, engines: Engines) -> None:
    engine, writer = engines(server.url), engines(server.url)
    before = descriptors()
    opened(engine)
    append(engine, b"a")
    records = engine.read(None, 10)
    held = descriptors() - before

    def act() -> None:
        inherited = descriptors()
        engine.abandon()
        left = descriptors()
        assert left <= inherited - held
        opened(engine)
        append(engine, b"of the child", at=records[-1])
        engine.close()
        assert descriptors() == left

    assert in_child(act) == 0
    opened(writer)
    append(writer, b"b")
    assert engine.look(records[-1].place, records[-1].chain) > 0
    assert contents(engine.read(records[-1].place, 10)) == [b"of the child", b"b"]
