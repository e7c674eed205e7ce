"""What a log's link relies on, whichever engine it is."""

import random
import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from lru_cache.engines.engine import EngineError, ForkedError
from lru_cache.errors import ProtocolError
from lru_cache.replication.log_records import RECORD_BYTES, Record, decode_record
from lru_cache.testing import ManualClock
from lru_cache.testing.simulated_log import SimulatedLog
from tests.concurrency import PATIENCE
from tests.effort import some_or_many
from tests.engines.conftest import Reader
from tests.engines.logs import Logs

Readers = Callable[..., Reader]


def test_a_log_that_nobody_has_begun_is_empty(reader: Readers) -> None:
    standing = (there := reader()).connect()
    assert (standing.token, standing.first) == (b"", None)
    assert there.read() == []


def test_its_clock_is_in_milliseconds_since_1970(reader: Readers) -> None:
    before = time.time()
    there = reader()
    assert before - 60 < there.connect().engine_ms / 1000 < time.time() + 60
    assert before - 60 < there.look() / 1000 < time.time() + 60


def test_what_is_appended_is_read_back_in_its_order(reader: Readers) -> None:
    there = reader()
    contents = [b"", b"\0\r\n$-1", bytes(range(256)), random.Random(1).randbytes(RECORD_BYTES)]
    places = []
    for content in contents:
        places.append(there.append(content))
        there.read()
    assert [record.content for record in there.records] == contents
    assert [record.place for record in there.records] == places == sorted(places)
    assert [record.number for record in there.records] == [1, 2, 3, 4]


def test_the_chain_leads_from_each_record_to_the_next(reader: Readers) -> None:
    there = reader()
    for content in (b"same", b"same", b"same"):
        there.append(content)
        there.read()
    chains = [there.records[0].before, *[record.chain for record in there.records]]
    assert [record.before for record in there.records] == chains[:-1]
    assert len(set(chains)) == len(chains)


def test_the_token_is_the_chain_before_the_very_first_record(reader: Readers, logs: Logs, cluster: str) -> None:
    there = reader()
    for content in (b"1", b"2", b"3"):
        there.append(content)
        there.read()
    token = there.records[0].before
    assert there.connect().token == token
    logs.trim(cluster, 1)
    standing = there.connect()
    assert standing.token == token
    assert standing.first is not None
    assert standing.first.number == 3


def test_a_log_that_was_wiped_begins_with_another_token(reader: Readers, logs: Logs, cluster: str) -> None:
    there = reader()
    there.append(b"1")
    token = there.connect().token
    logs.wipe(cluster)
    there.connect()
    there.append(b"1")
    assert there.connect().token not in (token, b"")


def test_streams_and_clusters_have_logs_of_their_own(logs: Logs, reader: Readers, cluster: str) -> None:
    reader().append(b"1")
    for engine in (logs.make(cluster, "other"), logs.make(f"{cluster}2")):
        assert engine.connect(time.monotonic() + PATIENCE).first is None
        engine.close()


def test_no_more_is_read_than_is_asked_for_and_fewer_are_all(reader: Readers) -> None:
    there = reader()
    for number in range(5):
        there.append(b"%d" % number)
        there.read()
    after = there.records[1].place
    assert there.engine.read(None, 2) == there.records[:2]
    assert there.engine.read(after, 3) == there.records[2:]
    assert there.engine.read(after, 4) == there.records[2:]
    assert there.engine.read(there.place, 1) == []


def test_who_has_read_some_of_the_log_may_append_to_all_of_it(reader: Readers) -> None:
    one, two = reader(), reader()
    one.append(b"1")
    two.read()
    for content in (b"2", b"3"):
        one.read()
        one.append(content)
    two.append(b"4")
    assert [record.content for record in one.read()] == [b"1", b"2", b"3", b"4"]
    assert [record.content for record in two.read()] == [b"1", b"2", b"3", b"4"]


def test_two_that_have_found_it_empty_may_both_append(reader: Readers) -> None:
    one, two = reader(), reader()
    one.append(b"1")
    two.append(b"2")
    assert [record.content for record in two.read()] == [b"1", b"2"]


def test_who_has_read_nothing_may_append_unless_some_was_trimmed(reader: Readers, logs: Logs, cluster: str) -> None:
    one, two, three = reader(), reader(), reader()
    one.append(b"1")
    one.read()
    one.append(b"2")
    logs.trim(cluster, 1)
    with pytest.raises(ForkedError):
        two.append(b"3")
    three.connect()
    three.append(b"4")
    assert [record.content for record in three.read()] == [b"2", b"4"]


@pytest.mark.parametrize("act", ["append", "look"])
@pytest.mark.parametrize("damage", ["wipe", "truncate", "trim", "anew"])
def test_a_log_without_what_was_read_is_forked(
    act: str, damage: str, reader: Readers, logs: Logs, cluster: str
) -> None:
    there, other = reader(), reader()
    for content in (b"1", b"2"):
        there.append(content)
        there.read()
    last = there.records[-1]
    if damage == "trim":
        other.read()
        other.append(b"3")
        logs.trim(cluster, 1)
    elif damage == "truncate":
        logs.truncate(cluster, 1)
    else:
        logs.wipe(cluster)
    if damage == "anew":
        other.connect()
        other.append(b"1")
    if damage == "truncate" and logs.restarts:
        with pytest.raises(EngineError, match="the connection was lost"):
            there.look()
        there.engine.connect(time.monotonic() + PATIENCE)
        other.engine.connect(time.monotonic() + PATIENCE)
    with pytest.raises(ForkedError) if damage != "trim" or not logs.counts else nullcontext():
        there.append(b"4") if act == "append" else there.look()
    assert last.chain not in [record.chain for record in _again(other).read()]


def _again(reader: Reader) -> Reader:
    reader.connect()
    return reader


@pytest.mark.parametrize("act", ["append", "look"])
def test_a_place_with_another_chain_is_forked(act: str, reader: Readers) -> None:
    there = reader()
    for content in (b"1", b"2"):
        there.append(content)
        there.read()
    there.chain = there.records[0].chain
    with pytest.raises(ForkedError):
        there.append(b"3") if act == "append" else there.look()
    assert len(_again(there).read()) == 2


def test_the_newest_place_that_is_left_is_found(reader: Readers, logs: Logs, cluster: str) -> None:
    there = reader()
    for number in range(40):
        there.append(b"%d" % number)
        there.read()
    read = there.records
    logs.truncate(cluster, 30)
    there.connect()
    there.append(b"other")
    there.connect()
    there.records = read
    assert there.find() == read[9].place


def test_of_a_long_tail_the_newest_that_is_left_is_found(reader: Readers) -> None:
    there = reader()
    for number in range(3):
        there.append(b"%d" % number)
        there.read()
    read, last = there.records, there.records[-1].place
    gone = [((last[0] + number, 9), b"f" * 40) for number in range(some_or_many(2_000, 50_000), 0, -1)]
    there.connect()
    left = [(record.place, record.chain) for record in reversed(read)]
    assert there.engine.find([*gone, (last, b"f" * 40), *left]) == last


def test_of_a_log_that_is_trimmed_or_wiped_nothing_older_is_found(reader: Readers, logs: Logs, cluster: str) -> None:
    there = reader()
    for number in range(5):
        there.append(b"%d" % number)
        there.read()
    read = there.records
    logs.trim(cluster, 2)
    there.connect()
    assert there.engine.find((record.place, record.chain) for record in reversed(read[:3])) is None
    assert there.engine.find((record.place, record.chain) for record in reversed(read)) == read[4].place
    logs.wipe(cluster)
    there.connect()
    assert there.engine.find((record.place, record.chain) for record in reversed(read)) is None


def test_reading_goes_on_from_what_was_found(reader: Readers, logs: Logs, cluster: str) -> None:
    one, two = reader(), reader()
    for number in range(5):
        one.append(b"%d" % number)
        one.read()
    read = two.read()
    logs.truncate(cluster, 2)
    one.connect()
    one.read()
    one.append(b"new")
    two.connect()
    two.place, two.chain = read[2].place, read[2].chain
    assert two.engine.find((record.place, record.chain) for record in reversed(read)) == two.place
    assert [record.content for record in two.read()] == [b"new"]


def test_the_oldest_go_and_the_newest_stays(reader: Readers) -> None:
    there = reader(records=1)
    for number in range(some_or_many(500, 2_000)):
        there.append(b"%d" % number)
        there.read()
    standing = there.connect()
    assert standing.first is not None
    assert standing.first.number > 1
    assert there.read()[-1].content == b"%d" % number


@pytest.mark.parametrize("act", ["append", "read", "look", "find"])
def test_whoever_is_not_connected_is_told_so(act: str, reader: Readers) -> None:
    there = reader()
    there.append(b"1")
    there.read()
    there.engine.close()
    acts: dict[str, Callable[[], object]] = {
        "append": lambda: there.append(b"2"),
        "read": lambda: there.engine.read(there.place, 1),
        "look": there.look,
        "find": there.find,
    }
    with pytest.raises(EngineError, match="not connected"):
        acts[act]()
    assert len(_again(there).read()) == 1


def test_after_a_failure_there_is_no_connection_until_there_is_one_anew(
    reader: Readers, logs: Logs, cluster: str
) -> None:
    there = reader()
    there.append(b"1")
    there.read()
    logs.wipe(cluster)
    with pytest.raises(ForkedError):
        there.append(b"2")
    with pytest.raises(EngineError, match="not connected"):
        there.engine.read(None, 1)
    there.connect()
    there.append(b"3")
    assert [record.content for record in there.read()] == [b"3"]


def test_what_a_stranger_adds_is_a_record_that_is_none(reader: Readers, logs: Logs, cluster: str) -> None:
    one, two = reader(), reader()
    one.append(b"1")
    one.read()
    logs.intrude(cluster)
    one.append(b"2")
    one.append(b"3")
    for each in (one, two, reader()):
        contents = [record.content for record in each.read()]
        assert (contents[0], *contents[2:]) == (b"1", b"2", b"3")
        with pytest.raises(ProtocolError):
            decode_record(contents[1])
        assert each.look() > 0


def test_a_log_that_a_stranger_has_begun_can_be_used(reader: Readers, logs: Logs, cluster: str) -> None:
    logs.intrude(cluster)
    one = reader()
    one.append(b"1")
    one.read()
    one.append(b"2")
    assert [record.content for record in one.read()][1:] == [b"1", b"2"]
    two = reader()
    two.read()
    assert two.find() == one.place


def test_its_places_are_those_of_the_model(reader: Readers, logs: Logs, cluster: str) -> None:
    """An engine and the simulator's log agree on who has read what is not there any more."""
    chance = random.Random(1)
    observer, tried = reader(), reader()
    model = SimulatedLog("model", ManualClock(), 1)
    known: list[Record] = []
    for _ in range(some_or_many(60, 600)):
        act = chance.choices(["append", "truncate", "trim", "wipe", "intrude"], [8, 2, 1, 0.3, 1])[0]
        count = len(model.records)
        if act == "append":
            observer.append(chance.randbytes(chance.randrange(100)))
        elif act == "truncate":
            logs.truncate(cluster, chance.randrange(1, 3))
        elif act == "trim" and count:
            logs.trim(cluster, chance.randrange(1, count + 1))
        elif act == "wipe":
            logs.wipe(cluster)
        elif act == "intrude":
            logs.intrude(cluster)
        observer.connect()
        model.records = list(observer.read())
        known = known[-20:] + model.records[-20:]
        sample: list[Record | None] = [None, *chance.sample(known, min(3, len(known)))]
        for record in sample:
            place, chain = (None, b"") if record is None else (record.place, record.chain)
            if place is None and model.records:
                chain = chance.choice([b"", chance.choice(known).before])
            tried.connect()
            try:
                tried.engine.look(place, chain)
                has = True
            except ForkedError:
                has = False
            assert has == model.has(place, chain), (act, record, chain, model.records[:2])
