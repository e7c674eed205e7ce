"""A cluster of replicas in one process, with an adversary: everything that can happen to it, from one seed.

Real replicas, real stores and real frames; simulated are time, links, machines, applications and their database. What
must hold is checked after every step, and more of it when everything has healed. Under a seed every run is the same.

    Simulation(seed=7).run()            # raises Violation, which names the seed, if a promise is broken
    Simulation(seed=7, trace="k3").run()   # and prints what happened to one key
"""

import random
from collections import deque
from dataclasses import dataclass, field

from lru_cache.errors import ProtocolError
from lru_cache.replication import Event, FrameReader, Kind, Version
from lru_cache.testing.core import Core, core_of
from lru_cache.testing.history import History, Tally, Write
from lru_cache.testing.invariants import Invariants
from lru_cache.testing.manual_clock import ManualClock
from lru_cache.testing.profiles import ASKED_FOR, PROFILES
from lru_cache.testing.setting import OF_SLICES, OF_WHOLE_CACHES, SKEW_SECONDS, choose_setting, simulated_keys
from lru_cache.testing.simulated_node import MachineClock, Node

STEPS = 200
VALUE_LIMIT = 1_000_000
CHANNEL_BYTES = 20_000  # in flight on one link, after which the sender has to wait
QUIET_TURNS = 2_000  # after which a healed cluster that still talks is said never to stop


class Violation(AssertionError):  # noqa: N818 - it is what was broken, not what broke it
    """A promise was broken. Says which, and how to see it again."""


@dataclass
class Channel:
    """One direction of a link: bytes in flight, and the end at which they arrive."""

    receiver: Node
    link: int
    reader: FrameReader
    frames: deque[bytes] = field(default_factory=deque)
    size: int = 0
    stalled_until: float = 0.0
    crossed: dict[tuple[int, bytes, Version, bool], int] = field(default_factory=dict)


class Simulation:
    """One cluster and its adversary. `mix` overrides how often acts are chosen, `profile` what the cluster is like.

    With `slowly`, what goes through all that is held does so in small steps, with all else in between.
    With `whole_cache` each machine has an `LRUCacheDistributed`, and writes and loads by its public methods; that is
    another run for the same seed. `core` is the build of the rules to run on; a whole cache brings its own.
    """

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
        self.seed = seed
        self.steps = steps
        self.chance = random.Random(seed)
        self.trace = trace
        self.core = core_of() if core is None else core
        self.setting = choose_setting(self.chance)
        self.setting.repeats = 1 + seed % 3
        self.asked_for = profile
        self.profile = self.shape(profile)
        self.whole_cache = whole_cache
        if whole_cache:
            self.setting.mix |= OF_WHOLE_CACHES
        self.slowly = slowly
        if slowly:
            self.setting.mix |= OF_SLICES
            self.setting.slice = self.chance.choice([1, 1, 2, 5])
        self.setting.mix |= mix or {}
        self.clock = ManualClock(100.0)
        self.history = History()
        self.tally = self.history.tally
        self.invariants = Invariants(self.core, self.setting, self.history)
        self.frame_limit = self.core.FRAME_MARGIN_BYTES + VALUE_LIMIT
        self.redating: set[Node] = set()  # nodes whose clock was ahead, until all that they know is dated anew
        self.cut_off: list[str] = []  # machines that nobody else can reach
        self.divided_until = 0.0
        self.links = 0
        self.tokens = 0
        self.up: dict[tuple[str, str], int] = {}
        self.channels: dict[tuple[str, str], Channel] = {}
        self.incarnations = dict.fromkeys(self.setting.names, 0)
        self.nodes = {name: self.machine(name, 0) for name in self.setting.names}

    def shape(self, profile: str | None) -> str | None:
        """Make the setting that of a profile: of this one, or in a third of the seeds of any."""
        if profile is None and self.chance.random() < 1 / 3:
            profile = self.chance.choice(sorted(PROFILES))
        if profile is not None:
            (PROFILES | ASKED_FOR)[profile](self.setting, self.chance)
        return profile

    def machine(self, name: str, incarnation: int) -> Node:
        """A machine as it is when it starts: with nothing in memory, and clocks that are off in its own way."""
        skew = self.chance.choice(self.setting.skews) * SKEW_SECONDS * 0.49
        clock = MachineClock(self.clock, self.chance.uniform(0, 1e6), skew)
        node_id = self.node_id(name, incarnation)
        if self.whole_cache:
            from lru_cache.testing.simulated_cache import CacheNode  # which imports the network, too

            machine: Node = CacheNode(self.core, self.setting, name, node_id, clock)
        else:
            machine = Node(self.core, self.setting, name, node_id, clock)
        machine.works_slowly = self.slowly
        return machine

    def node_id(self, name: str, incarnation: int) -> bytes:
        """A new one for every life."""
        return name.encode().ljust(4, b"\0") + incarnation.to_bytes(4, "big")

    @property
    def now(self) -> float:
        """The time of the world; each machine has its own."""
        return self.clock.monotonic()

    # -- running -----------------------------------------------------------------------------------------------------

    def run(self) -> Tally:
        """Let the adversary have its way, then heal everything; raise Violation if a promise was broken."""
        try:
            if self.setting.is_linked:
                self.settle(ending_loads=False)
            acts, weights = list(self.setting.mix), list(self.setting.mix.values())
            for _ in range(self.steps):
                self.clock.advance(self.chance.choice(self.setting.paces))
                act = self.chance.choices(acts, weights)[0]
                node = self.nodes[self.chance.choice(self.setting.names)]
                if node.is_up:
                    getattr(self, f"act_{act}")(node)
                self.tally.steps += 1
                self.note_redated()
                self.invariants.hold_always(self.nodes.values())
            self.heal()
            self.invariants.hold_once_healed(self.nodes.values())
        except AssertionError as error:
            raise Violation(f"seed {self.seed}: {error}; {self.command()} shows it again") from error
        finally:
            for node in self.nodes.values():
                self.count(node)
                node.end()
        return self.tally

    def command(self) -> str:
        """What shows this run again."""
        options = [str(self.seed)]
        options += [f"steps={self.steps}"] if self.steps != STEPS else []
        options += [f"profile={self.asked_for!r}"] if self.asked_for is not None else []
        options += [f"{name}=True" for name in ("whole_cache", "slowly") if getattr(self, name)]
        return f"{type(self).__name__}({', '.join(options)}).run()"

    def count(self, node: Node) -> None:
        """What a node counted by itself, at the end of its life or of the run."""
        self.tally.resyncs += node.replica.counts.resyncs
        self.tally.overflows += node.replica.counts.overflows

    def say(self, text: str, key: str | None = None) -> None:
        """Print what happens, if it is of interest."""
        if self.trace is not None and (key is None or key == self.trace):
            print(f"{self.now:9.3f} {text}")  # noqa: T201 - a trace is to be read

    # -- what applications do ----------------------------------------------------------------------------------------

    def act_set(self, node: Node) -> None:
        key = self.chance.choice(self.setting.set_keys)
        self.tokens += 1
        payload = b"set %d" % self.tokens
        if key in self.setting.database_keys:
            self.history.change(key)
            payload = self.history.row(key)
        self.wrote(key, node.set(key, payload, self.chance.choice(self.setting.lives)), self.core.Kind.SET, payload)

    def act_write_alone(self, node: Node) -> None:
        """A set, which the thread that made it sends by itself."""
        self.act_set(node)
        for channel in self.channels_of(node):
            for body in node.messages_at_once(channel.link):
                self.send(channel, node, body)

    def act_get(self, node: Node) -> None:
        """Somebody reads, be it a hit, a value that came encoded and was not read yet, or a miss."""
        node.get(self.chance.choice(simulated_keys()))

    def act_invalidate(self, node: Node) -> None:
        key = self.chance.choice(self.setting.set_keys)
        self.wrote(key, node.invalidate(key), self.core.Kind.INVALIDATE)

    def act_clear(self, node: Node) -> None:
        self.history.clears.append(node.clear())
        self.tally.writes += 1
        self.say(f"{node.name} clear {self.history.clears[-1]}")

    def act_touch(self, node: Node) -> None:
        entries = node.store.entries()
        if entries:
            entry = self.chance.choice(entries)
            node.touch(entry, self.chance.choice(self.setting.lives))
            self.say(f"{node.name} touch {entry.version}", entry.key)

    def act_change(self, node: Node) -> None:
        key = self.chance.choice(self.setting.database_keys)
        self.history.change(key)
        self.history.unannounced.append((node.name, key))
        self.say(f"database {self.history.database[key]}, {node.name} is to tell", key)

    def act_announce(self, _: Node) -> None:
        if self.history.unannounced:
            self.announce(self.chance.randrange(len(self.history.unannounced)))

    def announce(self, index: int) -> None:
        name, key = self.history.unannounced.pop(index)
        self.wrote(key, self.nodes[name].invalidate(key), self.core.Kind.INVALIDATE)

    def act_begin(self, node: Node) -> None:
        key = self.chance.choice(self.setting.database_keys)
        load = node.begin_load(key)
        self.say(f"{node.name} begins a load {load}", key)

    def act_read(self, node: Node) -> None:
        waiting = [load for load in node.loads.values() if load.read is None]
        if waiting:
            load = self.chance.choice(waiting)
            load.read = self.history.row(load.key)
            self.say(f"{node.name} reads {load}", load.key)

    def act_end(self, node: Node) -> None:
        done = [name for name, load in node.loads.items() if load.read is not None]
        if done:
            name = self.chance.choice(done)
            key = node.loads[name].key
            node.end_load(name)
            self.say(f"{node.name} ends its load", key)

    def act_use(self, node: Node) -> None:
        if len(node.store):
            node.use(self.chance.choice(node.store.entries()))

    def act_forget(self, node: Node) -> None:
        if len(node.store):
            entry = self.chance.choice(node.store.entries())
            node.forget(entry)
            self.say(f"{node.name} evicts {entry.version}", entry.key)

    def act_expire(self, node: Node) -> None:
        node.expire()

    def wrote(self, key: str, version: Version, kind: Kind, payload: bytes = b"") -> None:
        self.history.writes.append(Write(key, version, kind, payload))
        self.tally.writes += 1
        self.say(f"{kind.name} {version} {payload!r}", key)

    # -- what machines and networks do -------------------------------------------------------------------------------

    def act_pump(self, node: Node) -> None:
        for channel in self.channels_of(node):
            budget = self.chance.choice([1, 100, 1_000, 10_000])
            for body in node.replica.to_send(channel.link, node.now, budget):
                self.send(channel, node, body)

    def channels_of(self, node: Node) -> list[Channel]:
        """Those on which it may send now."""
        channels = [self.channels.get((node.name, other)) for other in self.setting.names]
        return [channel for channel in channels if channel is not None and channel.size < CHANNEL_BYTES]

    def send(self, channel: Channel, sender: Node, body: bytes) -> None:
        channel.frames.append(self.core.encode_frame(body, self.frame_limit))
        channel.size += len(body)
        self.tally.messages += 1
        self.tally.bytes += len(body)
        message = self.core.decode_message(body)
        if isinstance(message, list):
            self.tally.events += len(message)
            seen = channel.receiver.replica.seen
            unseen = {event.key for event in message if event.version.time > seen.get(event.version.node, 0)}
            for event in message:
                self.crossed(channel, sender, event, event.key not in unseen)

    def crossed(self, channel: Channel, sender: Node, event: Event, is_seen: bool) -> None:
        """No event crosses a link again and again: once as news, and once for each time that all is told anew."""
        name = (event.kind, event.key, event.version, is_seen)
        channel.crossed[name] = channel.crossed.get(name, 0) + 1
        allowed = 8 + self.told_anew(sender)
        if not is_seen:  # as long as `seen` does not cover all news of the key, hops alone end its circles
            allowed += self.core.MAXIMUM_HOPS * (1 + sum(map(self.told_anew, self.nodes.values())))
        assert channel.crossed[name] <= allowed, f"{event} crossed one link {channel.crossed[name]} times"
        if self.trace is not None:
            key = next(key for key in simulated_keys() if self.core.encode_key(key) == event.key)
            self.say(f"{sender.name} -> {channel.receiver.name} {event}", key)

    def told_anew(self, node: Node) -> int:
        """How often it has begun to tell a neighbour what that may lack."""
        counts = node.replica.counts
        return int(counts.resyncs + counts.grafts)

    def act_deliver(self, _: Node) -> None:
        busy = [c for c in self.channels.values() if c.frames and c.stalled_until <= self.now and c.receiver.is_up]
        if busy:
            self.deliver(self.chance.choice(busy))

    def deliver(self, channel: Channel) -> None:
        """One frame arrives, perhaps in two pieces."""
        frame = channel.frames.popleft()
        channel.size -= len(frame) - 4
        cut = self.chance.randrange(len(frame)) if self.chance.random() < 0.05 else 0
        for piece in (frame[:cut], frame[cut:]):
            channel.reader.receive(piece)
            for body in channel.reader:
                self.arrive(channel, body)

    def arrive(self, channel: Channel, body: bytes) -> None:
        branch = channel.receiver.replica.neighbours[channel.link].branch
        cut = set(branch.cut)
        try:
            channel.receiver.receive(channel.link, body)
            self.invariants.check_links_left(channel.receiver, branch.cut.keys() - cut)
        except ProtocolError:
            assert self.tally.clock_jumps, f"{channel.receiver.name} takes what a replica sent for nonsense"
            self.cut(next(edge for edge, link in self.up.items() if link == channel.link))

    def act_link(self, _: Node) -> None:
        edge = self.chance.choice(self.setting.edges)
        if edge not in self.up:
            self.connect(edge)
        elif self.chance.random() < 0.5:
            self.cut(edge)
            self.tally.partitions += 1

    def act_sever(self, _: Node) -> None:
        """A link goes for good, if the others still join all machines: what it was to bring has to come another way."""
        edge = self.chance.choice(self.setting.edges)
        left = [other for other in self.setting.edges if other != edge]
        if are_joined(self.setting.names, left):
            self.cut(edge)
            self.setting.edges = left

    def act_rewire(self, _: Node) -> None:
        """As nodes come and go, two others are linked, and two that are not needed for it are linked no more."""
        names = self.setting.names
        apart = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if (a, b) not in self.setting.edges]
        if apart:
            self.setting.edges = [*self.setting.edges, self.chance.choice(apart)]
            self.act_sever(self.nodes[names[0]])

    def act_divide(self, _: Node) -> None:
        """Some machines, neighbours in a ring, are cut off from the others for a while. Links come back one by one."""
        if self.now >= self.divided_until:
            names, first = self.setting.names, self.chance.randrange(len(self.setting.names))
            self.cut_off = [*names[first:], *names[:first]][: self.chance.randint(1, len(names) - 1)]
            self.divided_until = self.now + self.chance.choice(self.setting.divisions)
            for edge in filter(self.is_across, list(self.up)):
                self.cut(edge)
            self.tally.partitions += 1

    def is_across(self, edge: tuple[str, str]) -> bool:
        """Whether a link joins those that are cut off with the others."""
        return (edge[0] in self.cut_off) != (edge[1] in self.cut_off)

    def act_mend(self, _: Node) -> None:
        """One link comes back."""
        missing = [edge for edge in self.setting.edges if edge not in self.up]
        if missing:
            self.connect(self.chance.choice(missing))

    def connect(self, edge: tuple[str, str]) -> None:
        here, there = (self.nodes[name] for name in edge)
        if not (here.is_up and there.is_up) or (self.now < self.divided_until and self.is_across(edge)):
            return
        presents = [(one, other.replica.present(other.now)) for one, other in ((here, there), (there, here))]
        refusals = [one.replica.clock_refusal(present, 0.0, one.now) for one, present in presents]
        for node in (here, there):
            if node.replica.must_redate():
                self.redate(node)
        if refusals != [None, None]:
            return
        self.link(edge, self.chance.random() < 0.5)

    def link(self, edge: tuple[str, str], first_dials: bool) -> None:
        """Open a link, beside one that may be there. Both ends must agree which of the two goes."""
        self.links += 1
        link = self.links
        here, there = (self.nodes[name] for name in edge)
        closed = {
            one.replica.link_up(link, other.id, other.store.capacity, VALUE_LIMIT, 0.0, dialled)
            for one, other, dialled in ((here, there, first_dials), (there, here, not first_dials))
        }
        assert len(closed) == 1, f"the ends of {edge} disagree: {closed}"
        (loser,) = closed
        if loser is not None and loser[0] == link:
            return
        self.up[edge] = link
        for one, other in ((here, there), (there, here)):
            self.channels[one.name, other.name] = Channel(other, link, self.core.FrameReader(self.frame_limit))

    def act_double(self, _: Node) -> None:
        """Both dial each other at once, or one does before it has noticed that the old link is dead."""
        edge = self.chance.choice(self.setting.edges)
        if edge in self.up:
            self.link(edge, self.chance.random() < 0.5)

    def act_itself(self, node: Node) -> None:
        """A deployment's list of remotes holds the node's own address."""
        closed = node.replica.link_up("itself", node.id, 10, 1_000, 0.0)
        assert closed is not None
        assert closed[0] == "itself"
        assert "itself" not in node.replica.neighbours

    def cut(self, edge: tuple[str, str]) -> None:
        link = self.up.pop(edge, None)
        if link is not None:
            for one, other in (edge, edge[::-1]):
                self.nodes[one].replica.link_down(link)
                self.channels.pop((one, other)).frames.clear()  # what was in flight is lost

    def act_crash(self, node: Node) -> None:
        """It is gone, and comes back with another id and nothing in memory."""
        for edge in [edge for edge in self.up if node.name in edge]:
            self.cut(edge)
        self.history.crashed |= {node.id, *node.former_ids}
        history = self.history
        history.unchecked.update(key for name, key in history.unannounced if name == node.name)
        history.unannounced = [(name, key) for name, key in history.unannounced if name != node.name]
        self.incarnations[node.name] += 1
        self.count(self.nodes.pop(node.name))
        node.end()
        self.mark_lost()
        self.nodes[node.name] = self.machine(node.name, self.incarnations[node.name])
        self.tally.crashes += 1
        self.tally.restarts += 1
        self.say(f"{node.name} crashes and returns as {self.nodes[node.name].id!r}")

    def mark_lost(self) -> None:
        """Writes that no living node knows of are nobody's fault any more."""
        for write in self.history.writes:
            if not any(n.cancels_loads_of(write.key, write.version) for n in self.nodes.values()):
                self.history.unchecked.add(write.key)
            if not any(n.knows(write.key, write.version, False) for n in self.nodes.values()):
                write.lost = True

    def act_pause(self, node: Node) -> None:
        node.paused_until = self.now + self.chance.choice([0.1, 1.0, 5.0])

    def act_stall(self, _: Node) -> None:
        if self.channels:
            channel = self.channels[self.chance.choice(sorted(self.channels))]
            channel.stalled_until = self.now + self.chance.choice([0.1, 1.0])

    def act_jump(self, node: Node) -> None:
        """Somebody sets the clock: wrong, or right again."""
        node.clock.jumped = self.chance.choice([-10.0, -0.4, 0.0, 0.4, 10.0]) if node.clock.jumped == 0 else 0.0
        self.tally.clock_jumps += 1
        self.say(f"{node.name} clock {node.clock.jumped:+}")
        self.act_tidy(node)

    def act_tidy(self, node: Node) -> None:
        node.pass_time()

    def redate(self, node: Node) -> None:
        """Its clock was ahead, and it has learned that: it goes on as another node, which dates anew what it wrote."""
        for edge in [edge for edge in self.up if node.name in edge]:
            self.cut(edge)
        self.incarnations[node.name] += 1
        old, new = node.id, self.node_id(node.name, self.incarnations[node.name])
        latest, error, present = node.dating()
        living = {each.id for each in self.nodes.values()}
        unknown = [w for w in self.history.writes if w.version.node != old and not node.knows(w.key, w.version)]
        cleared_until = node.replica.forgotten.base
        node.become(new)

        def dated(version: Version) -> Version:
            return self.core.Version(min(version.time - error, present), new)

        self.history.redate(dated, old, latest, living, unknown, cleared_until)
        self.redating.add(node)
        self.say(f"{node.name} goes on as {new!r}")

    def note_redated(self) -> None:
        """What was known only because something from the future stood above it may be known no longer."""
        for node in [node for node in self.redating if not node.replica.is_redating()]:
            self.redating.remove(node)
            self.mark_lost()

    def act_work(self, node: Node) -> None:
        node.replica.work(node.now)

    def act_heartbeat(self, node: Node) -> None:
        node.replica.heartbeat(node.now)

    def act_wait(self, _: Node) -> None:
        self.clock.advance(self.chance.choice([0.5, 1.5, 4.0]))

    # -- healing -----------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Clocks are right, links are up, what was begun ends; then wait until nobody has anything to say."""
        for node in self.nodes.values():
            node.paused_until = 0.0
            node.clock.jumped = 0.0
            self.act_tidy(node)
        self.divided_until = 0.0
        self.clock.advance(1.0)
        while self.history.unannounced:
            self.announce(0)
        for channel in self.channels.values():
            channel.stalled_until = 0.0
        self.settle(ending_loads=True)
        self.beat_hearts()  # makes nodes known that wrote nothing; for one too many, others are forgotten with a resync
        before = self.tally.events
        self.beat_hearts()
        assert self.tally.events == before, "a healed cluster still tells the same news"

    def beat_hearts(self) -> None:
        """Every node lets the others know that it is there."""
        for node in self.nodes.values():
            node.replica.heartbeat(node.now)
        self.settle(ending_loads=False)

    def settle(self, ending_loads: bool) -> None:
        for turn in range(QUIET_TURNS):
            self.clock.advance(0.01)
            for edge in self.setting.edges:
                if edge not in self.up:
                    self.connect(edge)
            for node in self.nodes.values():
                if ending_loads:
                    self.end_loads(node, turn)
                self.act_pump(node)
                node.replica.work(node.now)
            for channel in list(self.channels.values()):
                while channel.frames and (turn > 40 or self.chance.random() < 0.7):
                    self.deliver(channel)
            self.note_redated()
            if self.is_quiet():
                return
        raise AssertionError("the links are never quiet")

    def end_loads(self, node: Node, turn: int) -> None:
        """Loads in flight end while the news comes in."""
        for name in list(node.loads):
            if turn > 40 or self.chance.random() < 0.1:
                load = node.loads[name]
                load.read = load.read or self.history.row(load.key)
                node.end_load(name)

    def are_links_up(self) -> bool:
        """Whether all links are there that there are to be."""
        return len(self.up) == len(self.setting.edges)

    def is_quiet(self) -> bool:
        return (
            self.are_links_up()
            and not any(channel.frames for channel in self.channels.values())
            and not any(node.loads for node in self.nodes.values())
            and not any(n.replica.has_to_send(link) for n in self.nodes.values() for link in n.replica.neighbours)
            and not any(n.replica.is_waiting() for n in self.nodes.values())
        )


def are_joined(names: list[str], edges: list[tuple[str, str]]) -> bool:
    """Whether each of these can be reached from each other."""
    reached, ahead = {names[0]}, [names[0]]
    while ahead:
        here = ahead.pop()
        near = {b if a == here else a for a, b in edges if here in (a, b)} - reached
        reached |= near
        ahead += sorted(near)
    return len(reached) == len(names)
