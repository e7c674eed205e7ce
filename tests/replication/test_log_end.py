"""One end of a log, beside what the simulator tries: records that strangers made, bounds, order, lives, `flush`."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from lru_cache.errors import ProtocolError
from lru_cache.network.security import RecordSeals
from lru_cache.replication import messages
from lru_cache.replication.encoding import encode_key
from lru_cache.replication.log_end import AHEAD_MS, LogEnd
from lru_cache.replication.log_order import BEYOND_LIMIT, Order
from lru_cache.replication.log_records import (
    NEWS,
    RECORD_BYTES,
    News,
    Record,
    Return,
    Standing,
    decode_record,
    encode_record,
    without_confirmed,
)
from lru_cache.testing.manual_clock import ManualClock
from lru_cache.testing.simulated_log import SimulatedLog
from tests.replication.broken_logs import broken_log
from tests.replication.build import BUILDS
from tests.replication.node import Node

VECTORS = json.loads((Path(__file__).parent / "vectors" / "log_records.json").read_text())
NOW_MS = 1_700_000_000_000
KEY = "k"


class Member(Node):
    """A node on a log."""

    def __init__(
        self, world: "World", name: bytes, build: str, seal: Any = None, opens: bool = True, **bounds: Any
    ) -> None:
        super().__init__(build=build)
        for link in ("a", "b"):
            self.replica.link_down(link)
        self.replica.renew(name * 8, self.now)
        self.world = world
        self.end = LogEnd(self.replica, "log", self.now, seal, **bounds)
        if opens:
            self.open()

    def open(self) -> None:
        log = self.world.log
        self.end.opened(log.standing(), log.find(self.end), self.world.now)

    def read(self) -> None:
        log = self.world.log
        if not log.has(self.end.place, self.end.chain):
            self.open()
        if not self.end.read(log.after(self.end.place, 1_000), log.ms(), self.world.now, True):
            self.open()
            self.read()

    def turn(self, acknowledged: bool = True) -> bytes | None:
        """Read all that is there, and append what is to be appended."""
        self.read()
        self.now = self.world.now
        content = self.end.to_append(self.world.now, 100_000)
        if content is not None:
            place = self.world.log.append(content)
            if acknowledged:
                self.end.appended(place)
        return content

    def state(self) -> Any:
        """What it holds and knows."""
        replica = self.replica
        known = (replica.forgotten.graves(), dict(replica.seen), dict(replica.heard), replica.forgotten.base)
        return [(entry.key, self.held(entry.key)) for entry in self.store.entries()], known

    def has_flushed(self) -> bool:
        return bool(self.replica.has_all("log", self.replica.told_time()))


def news_name(publisher: bytes, serial: int) -> Any:
    return NEWS, publisher * 8, serial


class World:
    """One log, and the time."""

    def __init__(self, build: str) -> None:
        self.build = build
        self.clock = ManualClock(100.0)
        self.log = SimulatedLog("A", self.clock, 1)
        self.log.offset = -100.0

    @property
    def now(self) -> float:
        return self.clock.monotonic()

    def member(self, name: bytes, **settings: Any) -> Member:
        return Member(self, name, self.build, **settings)

    def settle(self, *members: Member) -> None:
        for _ in range(400):
            self.clock.advance(0.01)
            turns = [member.turn() for member in members]
            if not any(turns) and self.now > 103:  # a record may wait for the engine's clock
                return
        raise AssertionError("never quiet")


@pytest.fixture(params=BUILDS)
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


# -- bytes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["records"], ids=lambda vector: vector["name"])
def test_records_are_these_bytes(vector: dict[str, Any]) -> None:
    content = bytes.fromhex(vector["content"])
    fields = vector["fields"]
    record = (
        Return(bytes.fromhex(fields["publisher"]), fields["serial"], fields["back_to"])
        if vector["type"] == 1
        else News(
            bytes.fromhex(fields["publisher"]), fields["serial"], fields["since"], fields["prev"], fields["made"],
            [bytes.fromhex(body) for body in fields["bodies"]],
        )
    )  # fmt: skip
    assert encode_record(record) == content
    assert decode_record(content) == record
    seal = RecordSeals([bytes.fromhex(vector["secret"])], vector["cluster"], vector["stream"])
    assert seal.close(content) == bytes.fromhex(vector["sealed"])


@pytest.mark.parametrize("content", VECTORS["refused"])
def test_what_is_no_record_is_refused(content: str) -> None:
    with pytest.raises(ProtocolError):
        decode_record(bytes.fromhex(content))


@pytest.mark.parametrize("content", VECTORS["passed_over"])
def test_a_record_of_another_type_is_passed_over(content: str) -> None:
    assert decode_record(bytes.fromhex(content)) is None


def test_a_seal_holds_for_one_cluster_and_one_log_and_secrets_rotate() -> None:
    old, new = b"o" * 16, b"n" * 16
    sealed = RecordSeals([new, old], "c", "s").close(b"content")
    assert RecordSeals([old, new], "c", "s").open(sealed) == b"content"
    for other in (RecordSeals([old], "c", "s"), RecordSeals([new], "cs", ""), RecordSeals([new], "c", "t")):
        assert other.open(sealed) is None
    assert RecordSeals([new], "c", "s").open(b"short") is None


def test_hostile_records_only_move_a_count(world: World) -> None:
    seal = RecordSeals([b"s" * 16], "c", "s")
    writer, reader = world.member(b"w", seal=seal), world.member(b"r", seal=seal)
    writer.put(KEY, "mine")
    world.settle(writer, reader)
    state, true = reader.state(), [record.content for record in world.log.records]
    chance = random.Random(1)
    hostile = [chance.randbytes(chance.randrange(200)) for _ in range(50)]
    hostile += [content[: chance.randrange(len(content))] for content in true]
    hostile += [RecordSeals([b"x" * 16], "c", "s").close(content[:-16]) for content in true]
    ahead = News(b"x" * 8, 1, 1, 0, 0, [b"\x93\x03\xc2\x92\xc4\x08xxxxxxxx\xcf\x7f" + b"\xff" * 7])
    hostile.append(seal.close(encode_record(ahead)))
    for content in (*hostile, *true):  # those that are true are replayed
        world.log.append(content)
    reader.read()
    assert reader.end.counts.refused == len(hostile)
    assert reader.state() == state
    assert reader.end.counts.lost == 0


@pytest.mark.parametrize("body", [b"\x92\x05\x00", b"\x93\x03\xc3\x90", b"\x92\x07\xa0", b"\x92\x09\x90"])
def test_what_belongs_on_a_link_is_refused(world: World, body: bytes) -> None:
    reader = world.member(b"r")
    world.log.append(encode_record(News(b"x" * 8, 1, 1, 0, 0, [body])))
    reader.read()
    assert reader.end.counts.refused == 1


# -- what is told ------------------------------------------------------------------------------------------------------


def test_a_flush_waits_until_the_log_has_what_was_written(world: World) -> None:
    writer, reader = world.member(b"w"), world.member(b"r")
    world.settle(writer, reader)
    assert writer.has_flushed()
    world.clock.advance(1.0)
    writer.put(KEY, "mine")
    assert not writer.has_flushed()
    assert writer.turn() is not None  # acknowledged
    assert not writer.has_flushed()
    writer.turn()
    assert writer.has_flushed()
    reader.read()
    assert reader.held(KEY) is not None


def test_nobody_acknowledges_and_hearts_beat_unheard(world: World) -> None:
    writer, reader = world.member(b"w"), world.member(b"r")
    writer.put(KEY, "mine")
    world.settle(writer, reader)
    count = len(world.log.records)
    for member in (writer, reader):
        member.replica.heartbeat(world.now)
    world.settle(writer, reader)
    assert len(world.log.records) == count == 1


def test_an_answer_that_was_lost_costs_no_second_record(world: World) -> None:
    writer = world.member(b"w")
    world.settle(writer)
    writer.put(KEY, "mine")
    assert writer.turn(acknowledged=False) is not None
    writer.end.away()
    assert writer.end.to_append(world.now, 1) is None
    writer.open()
    world.settle(writer)
    assert len(world.log.records) == 1


def test_what_was_acknowledged_and_is_not_there_goes_once_more(world: World) -> None:
    writer = world.member(b"w")
    world.settle(writer)
    writer.put(KEY, "mine")
    content = writer.turn()
    world.log.truncate(1)
    world.settle(writer)
    assert [record.content for record in world.log.records] == [content]


def test_a_life_is_shorter_by_the_time_in_the_log_also_of_what_is_given_back(world: World) -> None:
    writer, reader = world.member(b"w"), world.member(b"r")
    world.settle(writer)
    writer.put(KEY, "mine", life=9.0)
    content = writer.turn()
    writer.read()
    world.clock.advance(4.0)
    world.log.wipe()
    world.settle(writer)
    assert [record.content for record in world.log.records] == [content]
    reader.read()
    held = reader.held(KEY)
    assert held is not None
    assert 4.0 <= held[-1] - world.now <= 5.0


def test_a_value_longer_than_a_record_is_told_as_an_invalidation(world: World) -> None:
    writer, reader = world.member(b"w"), world.member(b"r")
    reader.put(KEY, "old")
    world.settle(writer, reader)
    stamp = writer.replica.set(encode_key(KEY), b"\xc6" + bytes(300_000), world.now)
    writer.view.put(KEY, "long", stamp, world.now, 1e9, 1e9)
    world.settle(writer, reader)
    assert reader.held(KEY) is None
    assert writer.replica.counts.too_large == 1
    assert all(len(record.content) <= RECORD_BYTES for record in world.log.records)


def test_many_messages_are_spread_over_records(world: World) -> None:
    writer, reader = world.member(b"w"), world.member(b"r")
    world.settle(writer, reader)
    for number in range(8):
        stamp = writer.replica.set(encode_key(str(number)), b"\xc6" + bytes(90_000), world.now)
        writer.view.put(str(number), "long", stamp, world.now, 1e9, 1e9)
    world.settle(writer, reader)
    assert len(world.log.records) >= 3
    assert all(len(record.content) <= RECORD_BYTES for record in world.log.records)
    assert len(reader.store) == 8


def test_an_announcement_longer_than_a_record_confirms_nothing() -> None:
    version = messages.Version(1 << 40, b"x" * 8)
    confirmed = {b"\xda\x10\x00" + bytes(4_000) + b"%04d" % number: version for number in range(100)}
    few = messages.Floors(b"x" * 8, 1, 1, {}, [messages.FloorRange(3, 1, 1 << 50, confirmed)])
    assert len(messages.encode(few)) > RECORD_BYTES
    assert messages.decode(without_confirmed(messages.encode(few))) == few._replace(
        ranges=[messages.FloorRange(3, 1, 1 << 50, {})]
    )
    many = few._replace(ranges=[messages.FloorRange(i, 1, (1 << 62) + i, {}) for i in range(16_384)])
    assert messages.decode(without_confirmed(messages.encode(many))) == few._replace(
        ranges=[messages.FloorRange(0, 16_384, (1 << 62) + 16_383, {})]
    )


# -- what is lost ------------------------------------------------------------------------------------------------------


def test_a_return_stands_before_what_is_given_back(world: World) -> None:
    """Else who has read less than it goes back to would believe what it reads, and drop it after."""
    writer = world.member(b"w", tail_seconds=1.0)
    world.settle(writer)
    for number in range(4):
        writer.put(str(number), "mine")
        world.clock.advance(0.7)
        writer.turn()
        writer.read()
    world.log.wipe()
    world.settle(writer)
    kinds = [type(decode_record(record.content)) for record in world.log.records]
    assert kinds[0] is Return
    assert set(kinds[1:]) == {News}


def has_after_it_was_trimmed(world: World) -> bool:
    """Whether a reader has what was written by who was away, lost by the log unnoticed, and given back."""
    writer, reader = world.member(b"w"), world.member(b"r")
    reader.put("first", "mine", life=900.0)
    world.settle(writer, reader)
    writer.put(KEY, "mine", life=900.0)
    writer.turn()
    writer.read()
    world.log.truncate(1)
    for number in range(3):
        reader.put(str(number), "mine", life=900.0)
        world.settle(reader)
    world.log.trim(len(world.log.records) - 1)
    world.clock.advance(3.0)
    world.settle(reader, writer)
    return reader.held(KEY) is not None


def test_who_was_trimmed_gives_back_what_the_log_may_never_have_had(world: World) -> None:
    assert has_after_it_was_trimmed(world)


def test_without_that_rule_it_is_lost() -> None:
    with broken_log("trimmed-not-restored"):
        assert not has_after_it_was_trimmed(World("python"))


def test_who_came_late_says_so_where_the_next_log_looks_whole(world: World) -> None:
    """Else who was away meanwhile would take for all what is all that is left."""
    away, writer = world.member(b"a"), world.member(b"w")
    world.settle(away, writer)
    writer.put(KEY, "mine", life=900.0)
    world.settle(away, writer)
    writer.put(KEY, "newer", life=900.0)
    world.settle(writer)
    writer.put("other", "mine", life=900.0)
    world.settle(writer)
    world.log.trim(len(world.log.records) - 1)
    late = world.member(b"l")
    world.settle(late)
    world.log.wipe()
    late.open()
    world.clock.advance(3.0)
    world.settle(late, away)
    assert isinstance(decode_record(world.log.records[0].content), Return)
    assert away.held(KEY) is None


def test_a_clean_failover_under_twenty_nodes_drops_nothing_and_appends_little(world: World) -> None:
    members = [world.member(bytes([65 + i])) for i in range(20)]
    world.settle(*members)
    for member in members:
        member.put(member.replica.node.decode(), "mine", life=900.0)
    world.settle(*members)
    before = len(world.log.records)
    lost = world.log.truncate(10)
    world.settle(*members)
    world.clock.advance(3.0)
    world.settle(*members)
    assert len(world.log.records) - (before - lost) <= 3 * lost
    assert all(len(member.store) == 20 for member in members)
    assert sum(member.end.counts.lost for member in members) == 0
    assert sum(member.end.counts.broken for member in members) == 20


def test_who_was_away_for_longer_than_the_log_remembers_drops_what_is_older_and_nobody_else_does(world: World) -> None:
    writer, reader, slow = (world.member(name) for name in (b"w", b"r", b"s"))
    writer.put(KEY, "mine", life=900.0)
    world.settle(writer, reader, slow)
    world.clock.advance(60.0)
    for member in (writer, reader):
        member.now = world.now
        member.put("other", "mine", life=900.0)
        world.settle(writer, reader)
    world.log.trim(2)
    world.settle(writer, reader, slow)
    assert slow.end.counts.lost == 1
    assert [member.held(KEY) is None for member in (reader, slow)] == [False, True]


def test_what_was_written_before_there_was_a_log_stays(world: World) -> None:
    early = world.member(b"a", opens=False)
    early.put(KEY, "mine", life=900.0)
    early.open()
    other = world.member(b"b")
    world.settle(early, other)
    assert early.held(KEY) is not None
    assert other.held(KEY) is not None


def test_what_is_given_back_waits_until_the_engine_s_clock_is_where_it_was(world: World) -> None:
    """Else it would be dated ahead, and refused by all."""
    one, other = world.member(b"a"), world.member(b"b")
    world.settle(one, other)
    one.put(KEY, "mine")
    world.settle(one, other)
    lost = world.log.records[-1]
    world.log.truncate(1)
    world.log.offset -= 2.0
    one.open()
    while world.log.ms() < lost.place[0]:
        assert one.turn() is None
        world.clock.advance(0.1)
    assert one.turn() == lost.content


class Follower(Member):
    """A node that was on no log, and had all from one that was."""

    def __init__(self, world: World, name: bytes, giver: Member) -> None:
        super().__init__(world, name, world.build, opens=False)
        handover = giver.end.handover()
        assert handover is not None
        self.replica.link_down("log")
        self.end = LogEnd(self.replica, "log", self.now, handover=handover)
        self.open()


def test_who_takes_over_drops_nothing_and_tells_nothing_twice(world: World) -> None:
    writer, giver = world.member(b"w"), world.member(b"g")
    writer.put(KEY, "mine", life=900.0)
    world.settle(writer, giver)
    world.clock.advance(60.0)
    for member in (writer, giver):
        member.now = world.now
    writer.put("other", "mine", life=900.0)
    world.settle(writer, giver)
    world.log.trim(len(world.log.records) - 1)
    before = len(world.log.records)
    taker = Follower(world, b"t", giver)
    world.settle(writer, taker)
    assert len(world.log.records) == before
    assert writer.held(KEY) is not None
    assert taker.end.counts.lost == writer.end.counts.lost == 0
    writer.put("new", "mine")
    world.settle(writer, taker)
    assert taker.held("new") is not None


def test_who_takes_over_and_finds_another_log_says_what_it_cannot_give_back(world: World) -> None:
    writer, giver, behind = world.member(b"w"), world.member(b"g"), world.member(b"b")
    world.settle(writer, giver, behind)
    writer.put(KEY, "mine")
    world.settle(writer, giver)
    handover = giver.end.handover()
    assert handover is not None
    taker = Follower(world, b"t", giver)
    world.log.wipe()
    taker.read()
    world.clock.advance(3.0)  # by then it is its turn
    world.settle(taker)
    (found,) = [decode_record(record.content) for record in world.log.records]
    assert isinstance(found, Return)
    assert found.back_to == handover.place[0]
    world.settle(taker, behind)
    assert behind.end.counts.lost == 1


def test_nothing_is_handed_over_while_there_is_a_gap_or_something_to_give_back(world: World) -> None:
    writer, giver = world.member(b"w"), world.member(b"g")
    writer.put(KEY, "mine")
    world.settle(writer, giver)
    assert giver.end.handover() is not None
    world.log.truncate(1)
    giver.read()
    assert giver.end.handover() is None  # what is missing now
    world.clock.advance(3.0)  # by then it is its turn
    world.settle(giver)
    assert giver.end.handover() is not None
    news = News(b"x" * 8, 5, 1, 1, world.log.ms(), [])
    world.log.append(encode_record(news))
    giver.read()
    assert giver.end.handover() is None  # what the serials before the fifth have said


def test_the_tail_is_bounded(world: World) -> None:
    reader = world.member(b"r", tail_bytes=10_000)
    body = b"\x93\x03\xc2\x90"
    for number in range(200):
        world.log.append(encode_record(News(b"x" * 8, number + 1, 1, 0, 0, [body] * 20)))
    reader.read()
    assert 1 <= len(list(reader.end.tail())) <= 40
    world.clock.advance(120.0)
    reader.read()
    assert len(list(reader.end.tail())) == 1


def test_what_is_remembered_behind_a_gap_is_bounded_and_a_gap_closes() -> None:
    order = Order()

    def news(serial: int, since: int = 1, prev: int = 1) -> News:
        return News(b"x" * 8, serial, since, prev, 0, [])

    for serial in range(3, 200):
        assert not order.is_whole(news(serial), 0)
        assert order.note(news(serial), 0, []) == []
    assert order.is_whole(news(1, prev=0), 0)
    assert order.note(news(1, prev=0), 0, []) == []
    assert order.is_whole(news(2), 0)
    assert len(order.note(news(2), 0, [])) == BEYOND_LIMIT
    assert not order.has_gaps
    assert order.is_whole(news(200), 0)
    assert not order.is_whole(news(300), 0)
    assert order.is_whole(news(300, since=300), 0)
    assert not order.is_whole(news(400, prev=9), 8)
    assert order.is_whole(news(400, prev=9), 9)


def test_what_is_passed_within_many_behind_a_gap_passes_all_of_them() -> None:
    order = Order()
    for serial in [*range(3, 200), 150, 300]:
        news = News(b"x" * 8, serial, 1, 10 * serial, 0, [])
        order.is_whole(news, 0)
        order.note(news, 10 * serial, [])
    order.is_whole(News(b"x" * 8, 400, 150, 9, 0, []), 0)
    assert not order.is_whole(News(b"x" * 8, 201, 1, 9, 0, []), 8)
    assert order.is_whole(News(b"x" * 8, 200, 1, 9, 0, []), 8)


@pytest.mark.parametrize(("prev", "lasts"), [(5, True), (5_000, False), (1 << 63, False)])
def test_a_gap_lasts_from_when_what_is_behind_it_was_appended_and_what_is_in_it_is_older(
    prev: int, lasts: bool
) -> None:
    order = Order()
    order.is_whole(news := News(b"x" * 8, 2, 1, prev, 0, []), 0)
    order.note(news, 1_000, [])
    assert order.lasting(1_000) == 0
    assert order.lasting(1_001) == (prev if lasts else 0)
    order.passed(prev)
    assert order.lasting(1 << 64) == 0


def test_a_record_from_the_future_is_not_read_and_moves_no_clock(world: World) -> None:
    writer, reader, late = world.member(b"w"), world.member(b"r"), world.member(b"l", opens=False)
    writer.put(KEY, "mine", life=900.0)
    world.settle(writer, reader)
    log, state, place = world.log, reader.state(), reader.end.place
    told = reader.replica.told_time()
    log.intrude(AHEAD_MS + 1)
    records = log.after(place, 9)
    assert not reader.end.read(records, log.ms(), world.now, True)
    assert (reader.end.is_ahead, reader.end.is_open, reader.end.place) == (True, False, place)
    assert (reader.state(), reader.replica.told_time()) == (state, told)
    log.trim(9)
    late.open()
    assert (late.end.is_ahead, late.end.is_open) == (True, False)
    assert late.replica.forgotten.base == 0
    log.wipe()
    world.settle(writer, reader, late)
    assert late.held(KEY) is not None
    assert reader.end.counts.lost == late.end.counts.lost == 0


def test_a_record_as_far_ahead_as_engines_may_be_is_read(world: World) -> None:
    reader = world.member(b"r")
    world.log.intrude(AHEAD_MS)
    assert reader.end.read(world.log.after(None, 9), world.log.ms(), world.now, True)
    assert not reader.end.is_ahead


def test_a_return_that_speaks_of_the_future_is_refused(world: World) -> None:
    reader = world.member(b"r")
    world.settle(reader)
    world.log.append(encode_record(Return(b"x" * 8, 1, world.log.ms() + AHEAD_MS + 1)))
    reader.read()
    assert (reader.end.counts.refused, reader.end.counts.lost) == (1, 0)
    world.log.append(encode_record(Return(b"x" * 8, 2, world.log.ms())))
    reader.read()
    assert (reader.end.counts.refused, reader.end.counts.lost) == (1, 1)


def with_a_gap(world: World, records: int = 1) -> tuple[Member, Member]:
    """A writer, and a reader that has not read the first of its later records, as it cannot be read any more."""
    writer, reader = world.member(b"w", gap_seconds=5.0), world.member(b"r", gap_seconds=5.0)
    writer.put(KEY, "old", life=900.0)
    world.settle(writer, reader)
    for key in (KEY, *map(str, range(records))):
        world.clock.advance(2.0 if records == 1 else 0.01)  # a loss reaches as far as clocks may differ
        writer.now = world.now
        writer.put(key, "new", life=900.0)
        writer.turn()
        writer.read()
    world.log.spoil(-records - 1)
    reader.read()
    assert reader.end.counts.refused == 1
    return writer, reader


def test_a_gap_that_lasts_is_a_loss_when_nobody_remembers_what_was_there(world: World) -> None:
    writer, reader = with_a_gap(world)
    world.clock.advance(4.9)
    reader.read()
    assert reader.held(KEY) is not None
    assert reader.end.handover() is None
    world.clock.advance(0.2)
    reader.read()
    assert reader.held(KEY) is None
    assert reader.held("0") is not None
    assert [member.end.counts.lost for member in (writer, reader)] == [0, 1]
    assert reader.end.handover() is not None


def test_a_gap_that_is_closed_in_time_is_no_loss(world: World) -> None:
    writer, reader = with_a_gap(world)
    given_back = next(read.content for read in writer.end._tail if read.content and read.name == news_name(b"w", 2))
    world.clock.advance(2.0)
    world.log.append(given_back)
    world.clock.advance(60.0)
    reader.read()
    assert reader.held(KEY)[1:3] == writer.held(KEY)[1:3]
    assert reader.end.counts.lost == 0


def test_a_gap_with_much_behind_it_is_one_loss(world: World) -> None:
    _, reader = with_a_gap(world, 2 * BEYOND_LIMIT)
    for _ in range(4):
        world.clock.advance(60.0)
        reader.read()
    assert reader.end.counts.lost == 1


def test_a_gap_is_given_up_only_at_the_end_of_the_log(world: World) -> None:
    """What closes it may be what is read next."""
    writer, reader = with_a_gap(world)
    world.clock.advance(60.0)
    writer.now = world.now
    writer.put("more", "new", life=900.0)
    writer.turn()
    [record] = world.log.after(reader.end.place, 9)
    assert reader.end.read([record], world.log.ms(), world.now, False)
    assert reader.end.counts.lost == 0
    reader.read()
    assert reader.end.counts.lost == 1


def long_record(world: World, writer: Member, values: int) -> Record:
    """One with several messages."""
    for number in range(values):
        writer.put(str(number), "mine", life=900.0)
    assert writer.turn() is not None
    record = world.log.records[-1]
    news = decode_record(record.content)
    assert isinstance(news, News)
    assert len(news.bodies) > 2
    return record


def test_a_record_may_be_taken_in_a_message_at_a_time(world: World) -> None:
    writer, reader = world.member(b"w"), world.member(b"r")
    world.settle(writer, reader)
    record, place = long_record(world, writer, 90), reader.end.place
    assert reader.end.begin(record, world.log.ms(), world.now)
    assert reader.end.go_on(world.now)
    assert 0 < len(reader.store) < 90
    assert reader.end.place == place
    world.clock.advance(0.01)
    stamp = reader.replica.set(encode_key("89"), b"\xa5newer", world.now)
    reader.view.put("89", "newer", stamp, world.now, 1e9, 1e9)
    while reader.end.go_on(world.now):
        pass
    assert len(reader.store) == 90
    assert reader.held("89")[0] == "newer"
    assert reader.end.place == record.place
    assert not reader.end.go_on(world.now)


def test_a_record_that_was_not_taken_in_to_its_end_comes_again(world: World) -> None:
    writer, reader = world.member(b"w"), world.member(b"r")
    world.settle(writer, reader)
    record = long_record(world, writer, 90)
    assert reader.end.begin(record, world.log.ms(), world.now)
    assert reader.end.go_on(world.now)
    reader.end.away()
    assert not reader.end.go_on(world.now)
    assert not reader.end.begin(record, world.log.ms(), world.now)
    reader.open()
    reader.read()
    assert len(reader.store) == 90
    assert (reader.end.place, reader.end.counts.lost, reader.end.counts.broken) == (record.place, 0, 0)


def test_a_record_that_does_not_follow_is_not_read(world: World) -> None:
    reader = world.member(b"r")
    stranger = Record((NOW_MS, 0), 7, b"another", b"chain", b"")
    assert not reader.end.read([stranger], NOW_MS, world.now, True)
    assert reader.end.place is None
    assert not reader.end.read([], NOW_MS, world.now, True)  # it has to be opened first
    reader.end.opened(Standing(b"", None, NOW_MS), None, world.now)
    assert reader.end.read([], NOW_MS, world.now, True)
