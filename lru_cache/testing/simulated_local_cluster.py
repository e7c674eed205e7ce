"""A simulated local cluster, with nodes of other regions: who listens dies, or stands still, and another takes over.

Whoever has the post is linked with all others of the cluster, and with the other regions; nobody else is. Links end at
one end before the other: a machine that is woken up reads what was on its way, and learns only then what it has missed.
All that happens elsewhere happens here as well, and what must hold is the same.

    LocalClusterSimulation(seed=7).run()
"""

from collections.abc import Callable, Collection

from lru_cache.errors import ProtocolError
from lru_cache.testing.core import Core
from lru_cache.testing.invariants import Invariants
from lru_cache.testing.setting import LARGE, Sizes, simulated_keys
from lru_cache.testing.simulated_node import Node
from lru_cache.testing.simulation import STEPS, VALUE_LIMIT, Channel, Simulation

HASTE = 0.1  # how often somebody is deposed who only seemed to be silent


class SimulatedPost:
    """The lock files of a local cluster, as `network/post.py` has them: who may listen."""

    def __init__(self) -> None:
        self.holder: str | None = None  # of the newest generation
        self._generation = 0
        self._held: dict[str, int] = {}  # machine -> the generation that it came to hold

    def take(self, name: str) -> bool:
        """Hold it, if nobody does."""
        if self.holder is not None:
            return False
        self.holder = name
        self._held[name] = self._generation
        return True

    def depose(self, name: str) -> None:
        """Hold the next generation, whoever holds this one."""
        self._generation += 1
        self.holder = name
        self._held[name] = self._generation

    def is_held(self, name: str) -> bool:
        """Whether it holds the newest generation."""
        return self._held.get(name) == self._generation

    def leave(self, name: str) -> None:
        """Hold it no longer: the system lets go of the locks of the dead."""
        self._held.pop(name, None)
        if self.holder == name:
            self.holder = None


class LocalClusterInvariants(Invariants):
    """The checks of one simulation with a local cluster."""

    simulation: "LocalClusterSimulation"

    def hold_once_healed(self, nodes: Collection[Node]) -> None:
        super().hold_once_healed(nodes)
        simulation = self.simulation
        assert simulation.leading == {simulation.post.holder}, f"{sorted(simulation.leading)} listen"
        assert simulation.up.keys() == {*simulation.setting.edges}, f"not all are linked: {sorted(simulation.up)}"


class LocalClusterSimulation(Simulation):
    """Like any simulation, but that the links are those of a local cluster: to whoever listens."""

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
        self.local: list[str] = []  # machines of the cluster; the others are in other regions
        self.far_edges: list[tuple[str, str]] = []  # between those
        self.post = SimulatedPost()
        self.leading: set[str] = set()  # those who believe that they are to listen
        self.half_open: dict[tuple[str, str], Channel] = {}  # from who has ended a link, to who has not noticed yet
        super().__init__(seed, steps, mix, trace, profile or "handover", whole_cache, slowly, core)
        self.invariants = LocalClusterInvariants(self.core, self.setting, self.history)
        self.invariants.simulation = self

    def shape(self, profile: str | None) -> str | None:
        assert profile is not None
        LOCAL_PROFILES[profile](self)
        self.post.take(self.local[0])
        self.leading.add(self.local[0])
        self.setting.edges = self.edges()
        return profile

    def edges(self) -> list[tuple[str, str]]:
        """The links that there are to be."""
        holder = self.post.holder
        star = [] if holder is None else [(holder, name) for name in self.setting.names if name != holder]
        return star + self.far_edges

    # -- who listens -------------------------------------------------------------------------------------------------

    def act_take_over(self, node: Node) -> None:
        """Who finds that nobody listens does so, and likewise who has heard nothing of who does for too long."""
        if node.name not in self.local or node.name in self.leading:
            return
        holder = self.post.holder
        if holder is None:
            self.post.take(node.name)
        elif not self.nodes[holder].is_up or self.chance.random() < HASTE:
            self.post.depose(node.name)
        else:
            return
        for edge in self.edges_of(node):
            self.end(edge, node)
        self.leading.add(node.name)
        self.setting.edges = self.edges()
        self.tally.takeovers += 1
        self.say(f"{node.name} listens")

    def act_look(self, node: Node) -> None:
        """Who was deposed notices, lets go of all links, and is one of the others from here on."""
        if node.name in self.leading and not self.post.is_held(node.name):
            for edge in self.edges_of(node):
                self.end(edge, node)
            self.end_half_open(node)
            self.leading.remove(node.name)
            self.post.leave(node.name)
            self.say(f"{node.name} was deposed")

    def act_stop(self, _: Node) -> None:
        """Who listens stands still."""
        if self.post.holder is not None:
            self.act_pause(self.nodes[self.post.holder])

    def act_crash(self, node: Node) -> None:
        self.end_half_open(node)
        self.post.leave(node.name)
        self.leading.discard(node.name)
        super().act_crash(node)
        self.setting.edges = self.edges()

    def act_kill(self, _: Node) -> None:
        """Who listens dies."""
        if self.post.holder is not None:
            self.act_crash(self.nodes[self.post.holder])

    def act_close(self, node: Node) -> None:
        """It tells what it has to tell, says goodbye, and is started again. Mostly that is who listens."""
        if self.post.holder is not None and self.nodes[self.post.holder].is_up and self.chance.random() < 0.7:
            node = self.nodes[self.post.holder]
        for edge in self.edges_of(node):
            channel = self.channels[node.name, other_of(edge, node.name)]
            if not channel.receiver.is_up or channel.stalled_until > self.now:
                continue
            for body in [*node.replica.to_send(channel.link, node.now, 10_000), self.core.goodbye]:
                self.send(channel, node, body)
            while channel.frames:
                self.deliver(channel)
        self.act_crash(node)

    # -- links that end at one end first -----------------------------------------------------------------------------

    def edges_of(self, node: Node) -> list[tuple[str, str]]:
        return [edge for edge in self.up if node.name in edge]

    def act_miss(self, node: Node) -> None:
        """Nothing has come for too long of who stands still, so the link is over, at this end."""
        for edge in self.edges_of(node):
            if not self.nodes[other_of(edge, node.name)].is_up:
                self.end(edge, node)

    def end(self, edge: tuple[str, str], node: Node) -> None:
        """One node ends a link. The other reads what is left, and notices then."""
        other = other_of(edge, node.name)
        link = self.up.pop(edge)
        node.replica.link_down(link)
        self.channels.pop((other, node.name)).frames.clear()
        self.half_open[node.name, other] = self.channels.pop((node.name, other))

    def end_half_open(self, node: Node) -> None:
        """It reads no more of what links bring that are over at the other end."""
        for ends in [ends for ends in self.half_open if ends[1] == node.name]:
            node.replica.link_down(self.half_open.pop(ends).link)

    def act_notice(self, node: Node) -> None:
        """It reads on where the other end is gone, and to what it says there nobody listens."""
        for ends, channel in list(self.half_open.items()):
            if ends[1] != node.name or self.half_open.get(ends) is not channel:
                continue
            if self.chance.random() < 0.3:
                node.replica.to_send(channel.link, node.now, self.chance.choice([100, 10_000]))
            elif channel.frames:
                self.deliver(channel)
            else:
                node.replica.link_down(self.half_open.pop(ends).link)

    def arrive(self, channel: Channel, body: bytes) -> None:
        if channel.link in channel.receiver.replica.neighbours:  # else what came before has ended it
            try:
                channel.receiver.receive(channel.link, body)
            except ProtocolError:
                assert self.tally.clock_jumps, f"{channel.receiver.name} takes what a replica sent for nonsense"
                self.part(channel)

    def part(self, channel: Channel) -> None:
        """What came cannot be believed, so the link is over."""
        edge = next((edge for edge, link in self.up.items() if link == channel.link), None)
        if edge is not None:
            self.cut(edge)
        else:
            ends = next(ends for ends, other in self.half_open.items() if other is channel)
            channel.frames.clear()
            channel.receiver.replica.link_down(self.half_open.pop(ends).link)

    def may_link(self, edge: tuple[str, str]) -> bool:
        """Whether the second would dial the first, or be dialled: not who listens, or is still linked elsewhere."""
        _, name = edge
        return name not in self.leading and not (name in self.local and any(name in other for other in self.up))

    def connect(self, edge: tuple[str, str]) -> None:
        if edge in self.far_edges or self.may_link(edge):
            super().connect(edge)

    def link(self, edge: tuple[str, str], first_dials: bool) -> None:
        """As ever, but that who is dialled may not know that the link before is over."""
        if edge[1] in self.local:
            first_dials = False
        dialling, dialled = (self.nodes[name] for name in (edge if first_dials else edge[::-1]))
        if (dialled.name, dialling.name) in self.half_open:  # it reads on before it dials
            return
        stale = self.half_open.get((dialling.name, dialled.name))
        if stale is None:
            super().link(edge, first_dials)
            return
        name = self.links + 1
        loser = dialled.replica.link_up(name, dialling.id, dialling.store.capacity, VALUE_LIMIT, 0.0, False)
        if loser is not None and loser[0] == name:  # refused, until it notices
            self.links = name
            return
        if loser is None:  # the node was another then
            dialled.replica.link_down(stale.link)
        del self.half_open[dialling.name, dialled.name]
        dialled.replica.link_down(name)
        super().link(edge, first_dials)

    def redate(self, node: Node) -> None:
        self.end_half_open(node)
        super().redate(node)

    def act_link(self, node: Node) -> None:
        if self.setting.edges:
            super().act_link(node)

    def act_double(self, node: Node) -> None:
        if self.setting.edges:
            super().act_double(node)

    # -- healing -----------------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """All are awake, and do what they would do sooner or later."""
        for node in self.nodes.values():
            node.paused_until = 0.0
        while self.half_open:
            for node in self.nodes.values():
                self.act_notice(node)
        for node in self.nodes.values():
            self.act_look(node)
        if self.post.holder is None:
            self.act_take_over(self.nodes[self.chance.choice(self.local)])
        while self.half_open:
            for node in self.nodes.values():
                self.act_notice(node)
        super().heal()

    def are_links_up(self) -> bool:
        return all(edge in self.up or not self.may_link(edge) for edge in self.setting.edges)


def other_of(edge: tuple[str, str], name: str) -> str:
    """Whom a link leads to, seen from one of its ends."""
    return edge[1] if edge[0] == name else edge[0]


def _handover(simulation: LocalClusterSimulation) -> None:
    """Workers that are stopped, killed and closed, most of all the one that listens, and one or two other regions."""
    setting, chance = simulation.setting, simulation.chance
    simulation.local = [f"n{i}" for i in range(chance.choice([2, 3, 4, 5]))]
    far = [f"r{i}" for i in range(chance.choice([0, 1, 1, 2]))]
    simulation.far_edges = [(far[0], far[1])] if len(far) == 2 and chance.random() < 0.5 else []
    setting.names = simulation.local + far
    setting.is_linked = True
    setting.sizes = dict.fromkeys(setting.names, LARGE)
    if chance.random() < 0.3:
        setting.sizes = {
            name: Sizes(chance.randint(1, 6), chance.randint(1, 4), chance.randint(1, 6)) for name in setting.names
        }
    if chance.random() < 0.5:
        setting.set_keys, setting.database_keys = list(simulated_keys()[:6]), list(simulated_keys()[6:8])
    setting.paces = chance.choice([(0.0, 0.002, 0.004), (0.0, 0.01, 0.03), (0.0, 0.05, 0.1)])
    often = chance.choice([0.5, 1, 2])
    setting.mix = {
        "set": 8, "invalidate": 3, "clear": chance.choice([0, 0, 0.2]), "touch": 0.5, "change": 1, "announce": 2,
        "begin": 2, "read": 2, "end": 2, "pump": 25, "deliver": 35, "work": 3, "heartbeat": 1,
        "forget": chance.choice([0, 1]), "use": 1, "expire": 0.5, "wait": chance.choice([0, 0.3]), "tidy": 1,
        "take_over": 4, "look": 4, "miss": 3, "notice": 6, "link": 12, "double": chance.choice([0, 0.5]),
        "stop": often, "pause": often * chance.choice([0, 1]), "stall": often,
        "kill": often * chance.choice([0, 0.5]), "crash": often * chance.choice([0, 0, 0.3]),
        "close": often * chance.choice([0, 0.3]), "jump": chance.choice([0, 0, 0.1]),
    }  # fmt: skip


LOCAL_PROFILES: dict[str, Callable[[LocalClusterSimulation], None]] = {
    "handover": _handover,
}
"""Local clusters, made for one kind of trouble each."""
