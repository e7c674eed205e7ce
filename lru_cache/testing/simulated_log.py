"""A simulated cluster with an engine or two: logs that are trimmed, fail over, split and are wiped.

Each region has one log; gateways have a log and links. Real are the log's ends and its records; simulated is the
engine. All that happens without a log happens here as well, and what must hold is the same, and more.

    LogSimulation(seed=7).run()
    LogSimulation(seed=7, profile="log-silent").run()
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from math import inf
from typing import Any

from lru_cache.errors import ProtocolError
from lru_cache.replication.log_end import AHEAD_MS, LogEnd
from lru_cache.replication.log_records import Handover, News, Place, Record, Standing, decode_record, name_of
from lru_cache.testing.core import Core
from lru_cache.testing.invariants import Invariants
from lru_cache.testing.manual_clock import ManualClock
from lru_cache.testing.profiles import PROFILES
from lru_cache.testing.setting import LARGE, Sizes, simulated_keys
from lru_cache.testing.simulated_node import WALL_AT_THE_BEGINNING, MachineClock, Node
from lru_cache.testing.simulation import STEPS, Channel, Simulation

LOG = "log"  # what replicas call it
MOST_LOST = 6  # records, in a failover
LONG_TAIL_SECONDS = 60.0  # longer than any run


class SimulatedLog:
    """One region's log, or a copy of it that goes its own way. Places never go back in one copy."""

    def __init__(self, name: str, clock: ManualClock, quantum: int) -> None:
        self.name = name
        self.offset = 0.0  # seconds that the engine's clock is ahead
        self.records: list[Record] = []
        self.appended: Counter[bytes] = Counter()  # all that ever was, by any copy
        self._clock = clock
        self._quantum = quantum  # milliseconds: where it is coarse, two copies give one place to two records
        self._begun = 0
        self._last: Place = (0, 0)
        self._number = 0
        self._token = self._chain = b""
        self._forget()

    def ms(self) -> int:
        """The engine's clock."""
        now = WALL_AT_THE_BEGINNING + self._clock.monotonic() + self.offset
        return int(now * 1000) // self._quantum * self._quantum

    def standing(self) -> Standing:
        return Standing(self._token if self.records else b"", self.records[0] if self.records else None, self.ms())

    def find(self, end: LogEnd) -> Place | None:
        """The newest place that an end has read and this still has."""
        chains = {record.place: record.chain for record in self.records}
        return next((place for place, chain in end.tail() if chains.get(place) == chain), None)

    def has(self, place: Place | None, chain: bytes) -> bool:
        """Whether this is what was read, up to that place."""
        if place is None:
            return self.records[0].before == chain or self.records[0].number == 1 if self.records else not chain
        return any(record.place == place and record.chain == chain for record in self.records)

    def after(self, place: Place | None, limit: int) -> list[Record]:
        """What an engine gives to who asks for more: it compares places and nothing else."""
        return [record for record in self.records if place is None or record.place > place][:limit]

    def append(self, content: bytes) -> Place:
        ms = self.ms()
        self._last = (ms, 0) if ms > self._last[0] else (self._last[0], self._last[1] + 1)
        self._number += 1
        before, self._chain = self._chain, blake2b(self._chain + content, digest_size=16).digest()
        self.records.append(Record(self._last, self._number, before, self._chain, content))
        self.appended[content] += 1
        return self._last

    def trim(self, count: int) -> None:
        """Forget the oldest; never the last, or it would be another log."""
        del self.records[: min(count, len(self.records) - 1)]

    def intrude(self, ahead_ms: int) -> None:
        """Somebody adds what is no record, and says when that was. What comes next is later."""
        self._last = self.ms() + ahead_ms, 0
        self.append(b"")
        del self.appended[b""]

    @property
    def is_ahead(self) -> bool:
        """Whether there is anything from the future."""
        return self._last[0] > self.ms() + AHEAD_MS

    def spoil(self, index: int) -> None:
        """Lose what a record says, and nothing else."""
        self.records[index] = self.records[index]._replace(content=b"")

    def truncate(self, count: int) -> int:
        """Lose the newest, as a failover does. Returns how many there were."""
        count = min(count, len(self.records))
        if count:
            del self.records[-count:]
            if self.records:
                last = self.records[-1]
                self._last, self._number, self._chain = last.place, last.number, last.chain
            else:
                self._forget()
        return count

    def wipe(self) -> None:
        self.records = []
        self._forget()

    def copy(self) -> "SimulatedLog":
        other = SimulatedLog(self.name, self._clock, self._quantum)
        other.__dict__.update(self.__dict__)
        other.records = list(self.records)
        return other

    def _forget(self) -> None:
        """Whatever comes next is another log."""
        self._begun += 1
        self._last, self._number = (0, 0), 0
        self._token = self._chain = blake2b(f"{self.name} {self._begun}".encode(), digest_size=16).digest()


class EngineClock(MachineClock):
    """The clock of a machine whose wall clock is the engine's, once it has spoken to one."""

    engine: float | None = None  # seconds since 1970, when the world's clock stood at 0

    def time(self) -> float:
        return super().time() if self.engine is None else self.engine + self.world.monotonic()


@dataclass
class LogSetting:
    """What engines there are, and how they are."""

    logs: dict[str, str] = field(default_factory=dict)  # machine -> the log that it is on
    quantum: int = 1
    tail_seconds: float = LONG_TAIL_SECONDS
    gap_seconds: float = LONG_TAIL_SECONDS
    guard: bool = True  # the engine refuses what comes from who has read what it no longer has
    joins_at_once: bool = True
    in_pieces: bool = False  # records are read a message at a time, and other things happen in between
    steps: tuple[float, ...] = (-0.2, 0.0, 0.2)  # by how much an engine's clock differs after a failover


class LogInvariants(Invariants):
    """The checks of one simulation with logs."""

    simulation: "LogSimulation"

    def hold_once_healed(self, nodes: Collection[Node]) -> None:
        self.check_losses(nodes)
        self.check_appends()
        if not (self.setting.edges or self.setting.mix.get("touch") or self.setting.mix.get("end")):
            self.check_publishers(nodes)
        super().hold_once_healed(nodes)

    def check_losses(self, nodes: Collection[Node]) -> None:
        """Where nothing was lost nobody drops anything."""
        simulation = self.simulation
        lost = simulation.counted()["lost"]
        is_whole = simulation.excuses == 0 and simulation.trims in (0, simulation.faults)
        if is_whole and simulation.engines.tail_seconds == LONG_TAIL_SECONDS:
            assert lost == 0, f"{lost} losses, and the logs have lost nothing"
        if simulation.profile == "log-clean" and not simulation.setting.edges:  # a link tells when its ends began
            dropped = sum(node.replica.counts.dropped_by_floors for node in nodes)
            assert dropped == 0, f"{dropped} values dropped, and nothing was lost"

    def check_appends(self) -> None:
        """A record is appended once, and again only where it may have been lost; and no more of them than was told."""
        simulation = self.simulation
        assert simulation.appended_by_hearts == 0, f"{simulation.appended_by_hearts} records without news"
        again = simulation.lost_answers + len(simulation.engines.logs) * simulation.faults
        for log in simulation.logs.values():
            for content, count in log.appended.items():
                assert count <= 1 + again, f"{shown(content)} was appended {count} times"

    def check_publishers(self, nodes: Collection[Node]) -> None:
        """Without links a log is told of those keys alone that were written there, unless all is told anew.

        With them goes the newest that is held, which may be another's.
        """
        calm = {node.id for node in nodes if node.replica.counts.resyncs == 0}
        for log in self.simulation.logs.values():
            for content in log.appended:
                record = decode_record(content)
                if isinstance(record, News) and record.publisher in calm:
                    told = [self.core.decode_message(body) for body in record.bodies]
                    events = [event for message in told if isinstance(message, list) for event in message]
                    sets = {event.key for event in events if event.kind == self.core.Kind.SET}
                    own = {event.key for event in events if event.version.node == record.publisher}
                    assert sets <= own, f"{shown(content)} tells what the log has told: {events}"

    def nothing_was_forgotten(self, nodes: Collection[Node]) -> bool:
        simulation = self.simulation
        if simulation.counted()["lost"] > 0 or not simulation.engines.joins_at_once:
            return False
        return super().nothing_was_forgotten(nodes)


class LogSimulation(Simulation):
    """Like any simulation, with logs."""

    def __init__(
        self,
        seed: int,
        steps: int = STEPS,
        mix: dict[str, float] | None = None,
        trace: str | None = None,
        profile: str | None = None,
        whole_cache: bool = False,
        slowly: bool = False,
        core: Core | None = None,
    ) -> None:
        self.engines = LogSetting()
        self.ends: dict[str, LogEnd] = {}
        self.at: dict[str, SimulatedLog] = {}  # machine -> the copy that it is connected with
        self.split: dict[str, SimulatedLog] = {}  # machine -> the copy that it would find
        self.is_healing = False
        self.wrote_records = self.lost_answers = 0
        self.faults = self.trims = 0  # of engines; logs that fail after they were trimmed may lack all that was read
        self.excuses = 0  # that records were trimmed which somebody had not read
        self.handed: dict[
            str, list[tuple[str, Handover]]
        ] = {}  # machine -> what it was told to go on with, newest first
        self.formers: dict[tuple[str, int], LogEnd] = {}  # of machines that were gateways, and may be again
        self.ended = Counter[str]()  # what ends of machines that are gone have counted
        super().__init__(seed, steps, mix, trace, profile or "log", whole_cache, slowly, core)
        names = sorted(set(self.engines.logs.values()))
        self.logs = {name: SimulatedLog(name, self.clock, self.engines.quantum) for name in names}
        self.appended_by_hearts = 0
        self.invariants = LogInvariants(self.core, self.setting, self.history)
        self.invariants.simulation = self
        if self.engines.joins_at_once:
            for node in self.nodes.values():
                if node.name in self.ends:
                    self.open(node)

    def shape(self, profile: str | None) -> str | None:
        assert profile is not None
        if self.chance.random() < 0.3:
            PROFILES[self.chance.choice(["loads", "displaced"])](self.setting, self.chance)
        choose_engines(self)
        LOG_PROFILES[profile](self)
        if not self.setting.edges:
            self.setting.mix["link"] = self.setting.mix["double"] = 0
        return profile

    def machine(self, name: str, incarnation: int) -> Node:
        node = super().machine(name, incarnation)
        self.at.pop(name, None)
        self.handed.pop(name, None)
        old = self.ends.pop(name, None)
        if old is not None:
            self.note_end(old)
        if name in self.engines.logs:
            node.clock.__class__ = EngineClock
            self.ends[name] = LogEnd(
                node.replica, LOG, node.now, None, self.engines.tail_seconds, gap_seconds=self.engines.gap_seconds
            )
        return node

    # -- an end and its engine ---------------------------------------------------------------------------------------

    def log_of(self, node: Node) -> SimulatedLog:
        """The copy that it would reach now."""
        return self.split.get(node.name) or self.logs[self.engines.logs[node.name]]

    def open(self, node: Node) -> None:
        if node.replica.is_redating():
            return
        log = self.at[node.name] = self.log_of(node)
        end = self.ends[node.name]
        self.set_clock(node, log)
        lost = end.counts.lost
        node.take(lambda: end.opened(log.standing(), log.find(end), node.now))
        if end.counts.lost > lost:
            self.say(f"{node.name} may have missed records of {log.name}")

    def set_clock(self, node: Node, log: SimulatedLog) -> None:
        """The engine's clock is the machine's."""
        clock: Any = node.clock
        clock.engine = log.ms() / 1000 - self.now
        node.pass_time()

    def is_at(self, node: Node) -> bool:
        """Whether it is connected; else it is from here on, or its engine is not what it was."""
        if node.name not in self.at:
            self.open(node)
            return False
        self.at[node.name] = self.log_of(node)
        return True

    def part(self, node: Node) -> None:
        """It has lost its connection, or noticed that it is with another log."""
        if self.at.pop(node.name, None) is not None:
            self.ends[node.name].away()

    def act_append(self, node: Node) -> None:
        end = self.ends.get(node.name)
        if end is None or not self.is_at(node):
            return
        log = self.at[node.name]
        budget = self.chance.choice([1, 100, 1_000, 10_000])
        content = end.to_append(node.now, budget)
        if content is None:
            return
        if (self.engines.guard or self.is_healing) and not log.has(end.place, end.chain):
            self.part(node)
            return
        fate = 1.0 if self.is_healing else self.chance.random()
        if fate < 0.05:  # it never came there
            self.part(node)
            return
        place = log.append(content)
        self.wrote_records += 1
        self.say(f"{node.name} appends to {log.name} at {place}: {shown(content)}")
        if fate < 0.1:  # the answer was lost
            self.lost_answers += 1
            self.part(node)
            return
        end.appended(place)

    def act_fetch(self, node: Node) -> None:
        end = self.ends.get(node.name)
        if end is None or not self.is_at(node):
            return
        log = self.at[node.name]
        first = log.records[0] if log.records else None
        if first is not None and first.number > 1 and self.is_behind(end, first):
            self.part(node)  # that more was trimmed than it has read an engine must say by itself
            return
        limit = self.chance.choice([1, 3, 100])
        records = log.after(end.place, limit)
        is_end = len(records) < limit
        self.say(f"{node.name} reads {len(records)}")
        if self.engines.in_pieces and not self.is_healing and not self.read_in_pieces(node, end, records):
            return
        if not node.take(lambda: end.read(records, log.ms(), node.now, is_end)):
            self.part(node)

    def read_in_pieces(self, node: Node, end: LogEnd, records: list[Record]) -> bool:
        """Whether all of them were taken in. Of what was not, all comes again."""
        log = self.at[node.name]
        while records:
            record = records.pop(0)
            if not node.take(partial(end.begin, record, log.ms(), node.now)):
                self.part(node)
                return False
            while node.take(partial(end.go_on, node.now)):
                if self.chance.random() < 0.1:
                    return False
        return True

    def is_behind(self, end: LogEnd, first: Record) -> bool:
        """Whether records before the first that is left were not read."""
        return end.chain != first.before if end.place is None else end.place < first.place

    def act_check(self, node: Node) -> None:
        """Now and then it asks whether this is still the log that it has read."""
        end = self.ends.get(node.name)
        if end is None or node.name not in self.at:
            return
        log = self.log_of(node)
        if log.has(end.place, end.chain):
            self.set_clock(node, log)
        else:
            self.part(node)

    def act_again(self, node: Node) -> None:
        """What was read comes once more."""
        end = self.ends.get(node.name)
        if end is not None and node.name in self.at:
            log = self.log_of(node)
            records = log.records[-self.chance.randint(1, 3) :]
            if not node.take(lambda: end.read(records, log.ms(), node.now, False)):
                self.part(node)

    # -- from one machine to another ---------------------------------------------------------------------------------

    def act_tell_place(self, node: Node) -> None:
        """A gateway tells its neighbours how to go on in its place. They may have that before what it stands for."""
        self.act_fetch(node)
        end = self.ends.get(node.name)
        handover = None if end is None else end.handover()
        if handover is None:
            return
        for edge in self.up:
            if node.name in edge:
                other = edge[0] if edge[1] == node.name else edge[1]
                told = (self.engines.logs[node.name], handover)
                self.handed[other] = [told, *self.handed.get(other, [])][:2]

    def act_take_over(self, node: Node) -> None:
        """A gateway is one no more, or dies, and a neighbour without a log takes its place."""
        handed = self.handed.get(node.name, [])
        if node.name in self.engines.logs or not handed or node.replica.is_redating():
            return
        name = handed[0][0]
        others = [each for edge in self.up if node.name in edge for each in edge if each != node.name]
        givers = [each for each in others if self.engines.logs.get(each) == name]
        if not givers:
            return
        known = [handover for _, handover in handed if node.replica.knows_all_of(handover.heard)]
        if not known and self.chance.random() < 0.8:
            return
        giver = self.nodes[givers[0]]
        del self.engines.logs[giver.name]
        if self.chance.random() < 0.5:
            self.act_crash(giver)
        else:
            self.part(giver)
            end = self.ends.pop(giver.name)
            end.part()
            self.formers[giver.name, self.incarnations[giver.name]] = end
            self.note_end(end)
        self.engines.logs[node.name] = name
        node.clock.__class__ = EngineClock
        former = self.formers.pop((node.name, self.incarnations[node.name]), None)
        if former is not None:  # whose counts go on
            self.ended.subtract({name: getattr(former.counts, name) for name in former.counts.__slots__})
        self.ends[node.name] = LogEnd(
            node.replica,
            LOG,
            node.now,
            None,
            self.engines.tail_seconds,
            handover=known[0] if known else None,
            former=former,
            gap_seconds=self.engines.gap_seconds,
        )
        can_lose = self.setting.mix["failover"] or self.setting.mix["wipe"]  # what was taken over cannot be given back
        if can_lose or not known or not self.logs[name].has(known[0].place, known[0].chain):
            self.excuses += 1
        self.tally.takeovers += 1
        self.say(f"{node.name} takes over {name} from {giver.name}, {'knowing' if known else 'not knowing'} all of it")

    # -- what engines do ---------------------------------------------------------------------------------------------

    def act_engine_down(self, node: Node) -> None:
        self.part(node)

    def act_trim(self, _: Node) -> None:
        log = self.any_log()
        if log.records:
            log.trim(self.chance.randint(1, len(log.records)))
            self.note_trim(log)
            self.say(f"{log.name} is trimmed up to {log.records[0].place}")

    def act_spoil(self, _: Node) -> None:
        """A record that some may not have read is unreadable. Its publisher has appended more since."""
        log = self.any_log()
        publishers = [record.content and publisher_of(record.content) for record in log.records]
        indices = [i for i, publisher in enumerate(publishers) if publisher and publisher in publishers[i + 1 :]]
        if indices:
            index = indices[-1]
            log.spoil(index)
            self.faults += 1
            self.excuses += 1
            self.say(f"{log.name} has a record at {log.records[index].place} that cannot be read any more")

    def act_intrude_ahead(self, _: Node) -> None:
        """Somebody adds an entry from the future; or, if there is one, the log is deleted because of that."""
        log = self.any_log()
        if log.is_ahead:
            self.delete(log)
        else:
            log.intrude(3_600_000)
            self.faults += 1
            self.say(f"{log.name} has an entry from the future")

    def delete(self, log: SimulatedLog) -> None:
        log.wipe()
        self.faults += 1
        self.say(f"{log.name} is deleted")

    def note_trim(self, log: SimulatedLog) -> None:
        self.faults += 1
        self.trims += 1
        for name, end in self.ends.items():
            if self.engines.logs[name] == log.name and not log.has(end.place, end.chain):
                self.excuses += 1

    def lose_some(self, log: SimulatedLog) -> None:
        lost = log.truncate(self.chance.randint(0, MOST_LOST))
        self.faults += 1
        log.offset = self.chance.choice(self.engines.steps)
        self.say(f"{log.name} loses {lost} records")

    def act_failover(self, _: Node) -> None:
        log = self.any_log()
        self.lose_some(log)
        for name in self.names_on(log):
            self.part(self.nodes[name])

    def act_silent_failover(self, _: Node) -> None:
        self.lose_some(self.any_log())

    def act_wipe(self, _: Node) -> None:
        log = self.any_log()
        log.wipe()
        self.faults += 1
        self.say(f"{log.name} is wiped")
        if self.chance.random() < 0.5:
            for name in self.names_on(log):
                self.part(self.nodes[name])

    def act_split(self, _: Node) -> None:
        """Some machines find another copy than the rest, and both go on."""
        log = self.any_log()
        if self.split:
            return
        self.faults += 2  # it ends as well
        other = log.copy()
        other.offset = self.chance.choice(self.engines.steps)
        for name in self.names_on(log):
            if self.chance.random() < 0.5:
                self.split[name] = other
                self.part(self.nodes[name])

    def act_heal_split(self, _: Node) -> None:
        for name in self.split:
            self.part(self.nodes[name])
        self.split = {}

    def act_engine_clock(self, _: Node) -> None:
        """Somebody sets an engine's clock: wrong, or right again."""
        self.any_log().offset = self.chance.choice([-10.0, 0.0, 10.0])
        self.tally.clock_jumps += 1

    def any_log(self) -> SimulatedLog:
        return self.logs[self.chance.choice(sorted(self.logs))]

    def names_on(self, log: SimulatedLog) -> list[str]:
        return [name for name in self.setting.names if self.engines.logs.get(name) == log.name]

    # -- what is otherwise where there are logs ----------------------------------------------------------------------

    def arrive(self, channel: Channel, body: bytes) -> None:
        """After a failover the clocks of two gateways' engines may differ by more than is allowed."""
        try:
            channel.receiver.receive(channel.link, body)
        except ProtocolError:
            self.cut(next(edge for edge, link in self.up.items() if link == channel.link))

    def redate(self, node: Node) -> None:
        if node.name in self.ends:
            self.part(node)
            self.ends[node.name].part()
        super().redate(node)

    def connect(self, edge: tuple[str, str]) -> None:
        super().connect(edge)
        for name in edge:
            if name in self.ends and LOG not in self.nodes[name].replica.neighbours:
                self.at.pop(name, None)

    # -- healing -----------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        self.act_heal_split(next(iter(self.nodes.values())))
        for log in self.logs.values():
            log.offset = 0.0
            if log.is_ahead:
                self.delete(log)
        self.is_healing = True
        for node in self.nodes.values():
            if node.name in self.ends:
                self.part(node)
        super().heal()
        self.beat_hearts()  # what was news to one of two neighbours goes with the second

    def act_pump(self, node: Node) -> None:
        super().act_pump(node)
        if self.is_healing and node.name in self.ends:
            for _ in range(3):
                self.act_append(node)
                self.act_fetch(node)

    def beat_hearts(self) -> None:
        before = self.wrote_records
        super().beat_hearts()
        self.appended_by_hearts = self.wrote_records - before

    def is_quiet(self) -> bool:
        return super().is_quiet() and all(
            end.is_live and not end.has_to_append() and not self.log_of(self.nodes[name]).after(end.place, 1)
            for name, end in self.ends.items()
        )

    def note_end(self, end: LogEnd) -> None:
        self.ended.update({name: getattr(end.counts, name) for name in end.counts.__slots__})

    def counted(self) -> Counter[str]:
        """What all ends have counted, of machines that are gone, too."""
        total = Counter(self.ended)
        for end in self.ends.values():
            total.update({name: getattr(end.counts, name) for name in end.counts.__slots__})
        return total


def shown(content: bytes) -> str:
    """A record, for a trace."""
    record = decode_record(content)
    return repr(record and name_of(record))


def publisher_of(content: bytes) -> bytes | None:
    """Who has told this news."""
    record = decode_record(content)
    return record.publisher if isinstance(record, News) else None


# -- settings ----------------------------------------------------------------------------------------------------------


def choose_engines(simulation: LogSimulation) -> None:
    """One log for all; two of them joined by gateways; or some machines on none, behind a gateway."""
    chance, setting, engines = simulation.chance, simulation.setting, simulation.engines
    shape = chance.choice(["one", "one", "two", "mixed"])
    names = setting.names
    if shape == "one":
        engines.logs = dict.fromkeys(names, "A")
        setting.edges = [(names[0], names[1])] if chance.random() < 0.3 else []
    elif shape == "two":
        setting.names = names = [f"n{i}" for i in range(chance.choice([4, 5, 6]))]
        half = len(names) // 2
        engines.logs = {name: "A" if i < half else "B" for i, name in enumerate(names)}
        setting.edges = [(names[0], names[half])]
        if chance.random() < 0.5:
            setting.edges.append((names[1], names[half + 1]))
    else:
        setting.names = names = [f"n{i}" for i in range(chance.choice([3, 4, 5]))]
        on = max(2, len(names) - 2)
        engines.logs = dict.fromkeys(names[:on], "A")
        edges = {(names[chance.randrange(on)], name) for name in names[on:]}
        setting.edges = sorted(edges | ({(names[1], names[-1])} if chance.random() < 0.5 else set()))
    engines.quantum = chance.choice([1, 1, 50])
    engines.tail_seconds = chance.choice([LONG_TAIL_SECONDS, LONG_TAIL_SECONDS, 8.0, 1.0, 0.3])
    engines.guard = chance.random() < 0.5
    engines.joins_at_once = chance.random() < 0.5
    small = chance.random() < 0.6
    setting.sizes = {
        name: Sizes(chance.randint(1, 6), chance.randint(1, 4), chance.randint(1, 6)) if small else LARGE
        for name in names
    }
    faults = chance.choice([0, 1, 1, 3])
    setting.mix |= {
        "append": 18, "fetch": 22, "check": 3, "again": 0.3, "engine_down": faults, "trim": 0.7 * faults,
        "failover": 0.6 * faults, "silent_failover": 0.4 * faults, "wipe": 0.15 * faults, "split": 0.4 * faults,
        "heal_split": 0.8 * faults, "engine_clock": 0.1 * faults,
    }  # fmt: skip


def _mixed(simulation: LogSimulation) -> None:
    """All of it."""
    simulation.engines.gap_seconds = simulation.engines.tail_seconds


def _silent(simulation: LogSimulation) -> None:
    """Failovers that nobody is told of, and an engine that takes whatever comes."""
    _large(simulation, 4)
    simulation.engines.guard = False
    simulation.setting.mix = {
        "set": 10, "invalidate": 4, "append": 22, "fetch": 22, "silent_failover": 3, "link": 1, "pump": 6, "deliver": 6,
        "again": 0.3, "engine_down": 0.3, "crash": simulation.chance.choice([0, 0.5]), "wait": 0.3,
    }  # fmt: skip


def _short(simulation: LogSimulation) -> None:
    """Logs that lose more than anybody remembers, and machines that die or are away meanwhile."""
    _large(simulation, 6)
    simulation.engines.tail_seconds = simulation.chance.choice([0.01, 0.05, 0.3])
    simulation.setting.mix = {
        "set": 8, "invalidate": 2, "append": 25, "fetch": 20, "failover": simulation.chance.choice([1, 3]),
        "wipe": simulation.chance.choice([0, 1]), "engine_down": 2, "crash": simulation.chance.choice([0, 1]),
        "link": 1, "pump": 6, "deliver": 6, "check": 1,
    }  # fmt: skip


def _trims(simulation: LogSimulation) -> None:
    """Logs that forget at once, and machines that are away for longer."""
    _large(simulation, 6)
    simulation.engines.tail_seconds = simulation.chance.choice([LONG_TAIL_SECONDS, 0.3])
    simulation.engines.steps = simulation.chance.choice([(-0.2, 0.0, 0.2), (-1.5, 0.0, 1.5)])
    simulation.setting.mix = {
        "set": 8, "invalidate": 2, "append": 25, "fetch": 15, "trim": 3, "engine_down": 3, "link": 1, "pump": 6,
        "deliver": 6, "failover": simulation.chance.choice([0, 1, 2]), "pause": 1, "check": 1,
        "crash": simulation.chance.choice([0, 0, 0.5]),
    }  # fmt: skip


def _clocks(simulation: LogSimulation) -> None:
    """Engines whose clocks differ, and logs that are cut short."""
    _large(simulation, 4)
    engines, chance = simulation.engines, simulation.chance
    engines.tail_seconds = chance.choice([LONG_TAIL_SECONDS, 0.3])
    engines.steps = chance.choice([(-0.2, 0.0, 0.2), (-1.5, 0.0, 1.5)])
    simulation.setting.mix = {
        "set": 8, "invalidate": 2, "append": 22, "fetch": 18, "trim": 2, "engine_down": 2, "failover": 3, "link": 1,
        "pump": 6, "deliver": 6, "check": 3, "engine_clock": chance.choice([0, 0, 0.5]), "jump": chance.choice([0, 1]),
        "crash": chance.choice([0, 0.5]), "wait": 0.5,
    }  # fmt: skip


def _handover(simulation: LogSimulation) -> None:
    """Gateways that change, on logs that forget at once and lose their ends."""
    _large(simulation, 4)
    setting, engines, chance = simulation.setting, simulation.engines, simulation.chance
    setting.names = names = [f"n{i}" for i in range(chance.choice([4, 5]))]
    engines.logs = dict.fromkeys(names[:2], "A")
    setting.edges = [(one, other) for i, one in enumerate(names[1:], 1) for other in names[i + 1 :]]
    setting.sizes = dict.fromkeys(names, LARGE)
    engines.tail_seconds = chance.choice([LONG_TAIL_SECONDS, 0.3, 0.05])
    engines.joins_at_once = True
    setting.mix = {
        "set": 4, "invalidate": 1.5, "append": 20, "fetch": 25, "trim": chance.choice([0, 1]), "engine_down": 0.7,
        "failover": chance.choice([0, 1]), "wipe": chance.choice([0, 0.5]), "link": 6, "pump": 25, "deliver": 40,
        "check": 1, "tell_place": 12, "take_over": 10, "crash": chance.choice([0, 0.3]), "wait": 0.3,
    }  # fmt: skip


def _strangers(simulation: LogSimulation) -> None:
    """Records that become unreadable before all have read them, while machines are away; entries from the future."""
    _large(simulation, 6)
    simulation.engines.tail_seconds = simulation.engines.gap_seconds = simulation.chance.choice([0.05, 0.3])
    simulation.engines.in_pieces = simulation.chance.random() < 0.5
    simulation.setting.mix = {
        "set": 8, "invalidate": 2, "append": 25, "fetch": 12, "spoil": 2, "engine_down": 2, "link": 1, "pump": 6,
        "deliver": 6, "check": 1, "pause": 1, "trim": simulation.chance.choice([0, 0.5]),
        "intrude_ahead": simulation.chance.choice([0, 0.3]),
    }  # fmt: skip


def _large(simulation: LogSimulation, keys: int) -> None:
    """Machines that forget nothing by themselves, so whatever is missing was lost on its way."""
    setting = simulation.setting
    setting.sizes, setting.lives = dict.fromkeys(setting.names, LARGE), (inf,)
    setting.set_keys = list(simulated_keys()[: simulation.chance.choice([1, 2, keys])])
    setting.database_keys = list(simulated_keys()[6:8])
    setting.origins, setting.origin_silence = 1_024, 86_400.0


def _late(simulation: LogSimulation) -> None:
    """Machines that come late to a log that forgets at once, with loads that began before."""
    setting, chance = simulation.setting, simulation.chance
    setting.set_keys = setting.database_keys = list(simulated_keys()[: chance.choice([1, 2])])
    setting.sizes, setting.lives = dict.fromkeys(setting.names, LARGE), (inf,)
    setting.origins, setting.origin_silence = 1_024, 86_400.0
    setting.paces = chance.choice([(0.0, 0.02, 0.06), (0.0, 0.1, 0.3)])
    simulation.engines.joins_at_once = False
    setting.mix = {
        "change": 4, "announce": 8, "begin": 8, "read": 8, "end": 8, "trim": 3, "crash": 1.5, "append": 8, "fetch": 8,
        "link": 1, "pump": 4, "deliver": 4,
    }  # fmt: skip


def _clean(simulation: LogSimulation) -> None:
    """Nothing is lost for good: not by whole tails, and nobody forgets. So nobody may drop anything."""
    setting, engines = simulation.setting, simulation.engines
    engines.tail_seconds, engines.joins_at_once, engines.steps = LONG_TAIL_SECONDS, True, (-0.1, 0.0, 0.1)
    setting.sizes, setting.lives = dict.fromkeys(setting.names, LARGE), (inf,)
    setting.skews = (0.0,)  # clocks that differ by little; else a new engine's sets one, and loads go
    setting.set_keys, setting.database_keys = list(simulated_keys()[:6]), list(simulated_keys()[6:8])
    setting.origins, setting.origin_silence = 1_024, 86_400.0
    setting.mix |= {
        "failover": 2, "silent_failover": 1, "split": 1, "heal_split": 2, "wipe": 0.5, "engine_down": 2, "trim": 0,
        "crash": 0, "jump": 0, "engine_clock": 0, "clear": 0, "forget": 0, "set": 15,
    }  # fmt: skip


LOG_PROFILES: dict[str, Callable[[LogSimulation], None]] = {
    "log": _mixed,
    "log-silent": _silent,
    "log-short": _short,
    "log-trims": _trims,
    "log-clocks": _clocks,
    "log-late": _late,
    "log-strangers": _strangers,
    "log-handover": _handover,
    "log-clean": _clean,
}
"""Clusters with logs, made for one kind of trouble each."""
