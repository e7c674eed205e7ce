"""Five nodes in each shape, at work for a while with kills, stops, cuts and worse; and then all is well, soon.

CHAOS_ROUNDS is how many rounds each shape goes through, CHAOS_SEED where chance begins; a failure names its seed. What
chance decides is what is done and when, not how the machine runs the processes, so a seed need not fail again.
"""

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.effort import some_or_many
from tests.integration.addresses import has_ipv6
from tests.integration.cluster import SHAPES, Cluster, until
from tests.integration.ledger import Ledger
from tests.integration.proxy import BOTH, Direction

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", some_or_many(1, 5)))
SEED = int(os.environ.get("CHAOS_SEED", "1"))
ROUND_SECONDS = 3.0
HEALED_WITHIN = 5.0
NOISE = 5.0  # seconds more, for a machine that runs other things than five nodes on two cores
SECRET = "a secret that only this test knows"

# Corruption needs a secret, or who gets a wrong byte cannot tell. A small capacity forgets much.
CONDITIONS = {
    "star": {"family": "unix", "maximum_capacity": 10_000},
    "chain": {"family": "ipv6", "maximum_capacity": 40},
    "ring": {"family": "ipv4", "maximum_capacity": 10_000, "secret": SECRET},
    "mesh": {"family": "unix", "maximum_capacity": 40},
    "tree": {"family": "ipv4", "maximum_capacity": 10_000, "secret": SECRET},
}


class Adversary:
    """Does something bad to a cluster, turn by turn. It kills one node at most, or a flush would promise nothing."""

    def __init__(self, cluster: Cluster, chance: random.Random, *, corrupts: bool, clears: bool) -> None:
        self._cluster = cluster
        self._chance = chance
        self._clears = clears
        self._killed: int | None = None
        self._stopped: set[int] = set()
        self._acts: list[Callable[[], str]] = [self.kill, self.stop, self.resume, self.cut, self.refuse, self.swallow]
        self._acts += [self.delay, self.throttle, self.heal_a_link, self.heal_a_link] + [self.corrupt] * corrupts
        self.history: list[str] = []

    def act(self) -> None:
        self.history.append(self._chance.choice(self._acts)())

    def kill(self) -> str:
        if self._killed is None:
            self._killed = self._chance.randrange(5)
            self._cluster.nodes[self._killed].kill()
            self._stopped.discard(self._killed)
            return f"kill {self._killed}"
        node = self._cluster.nodes[self._killed]
        if not node.runs:
            node.start().wait_started()
            node.begin_churn(self._killed, self._chance.randrange(1 << 30), self._clears)
        return f"restart {self._killed}"

    def stop(self) -> str:
        index = self._chance.randrange(5)
        if self._cluster.nodes[index].runs:
            self._cluster.nodes[index].stop()
            self._stopped.add(index)
        return f"stop {index}"

    def resume(self) -> str:
        for index in self._stopped:
            self._cluster.nodes[index].resume()
        self._stopped.clear()
        return "resume"

    def _directions(self) -> tuple[Direction, ...]:
        return self._chance.choice([BOTH, (Direction.OUT,), (Direction.BACK,)])

    def _on_a_link(self, act: str, *arguments: object) -> str:
        link = self._chance.choice(list(self._cluster.proxies))
        getattr(self._cluster.proxies[link], act)(*arguments)
        return f"{act} {link} {arguments}"

    def cut(self) -> str:
        return self._on_a_link("cut")

    def refuse(self) -> str:
        return self._on_a_link("refuse")

    def swallow(self) -> str:
        return self._on_a_link("swallow", self._directions())

    def delay(self) -> str:
        return self._on_a_link("delay", self._chance.choice([0.02, 0.1]), self._directions())

    def throttle(self) -> str:
        return self._on_a_link("throttle", self._chance.choice([0, 3_000, 100_000]), self._directions())

    def corrupt(self) -> str:
        return self._on_a_link("corrupt", self._directions())

    def heal_a_link(self) -> str:
        return self._on_a_link("heal")


@pytest.mark.timeout(60 + 30 * ROUNDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_all_is_well_after_the_worst(cluster: Cluster, shape: str) -> None:
    conditions = dict(CONDITIONS[shape])
    if conditions["family"] == "ipv6" and not has_ipv6():
        conditions["family"] = "ipv4"  # test_shapes says so
    cluster.build(SHAPES[shape], **conditions)
    is_large = conditions["maximum_capacity"] > 1000
    for round_ in range(ROUNDS):
        seed = SEED * 1_000_003 + round_
        chance = random.Random(f"{shape} {seed}")
        for index, node in enumerate(cluster.nodes):
            node.begin_churn(index, chance.randrange(1 << 30), not is_large)
        adversary = Adversary(cluster, chance, corrupts="secret" in conditions, clears=not is_large)
        end = time.monotonic() + ROUND_SECONDS
        while time.monotonic() < end:
            time.sleep(chance.uniform(0.05, 0.4))
            adversary.act()
        wrong = end_round(cluster)
        assert not wrong, f"seed {seed}: {wrong[:5]}, after {adversary.history}"
        require_well(cluster, shape, is_large=is_large, seed=seed, story=adversary.history)


def end_round(cluster: Cluster) -> list[str]:
    """Heal everything, and let the nodes come to rest. What they saw that must not be."""
    for node in cluster.nodes:
        node.resume()
    working = [node for node in cluster.nodes if node.runs]
    reports = [node.end_churn() for node in working]
    cluster.heal()
    return [each for report in reports for each in report["wrong"] + report["hanging"]]


def require_well(cluster: Cluster, shape: str, *, is_large: bool, seed: int, story: list[str]) -> None:
    """Everywhere the latest or a miss; and where there is room for all, the latest."""
    ledger = Ledger(cluster.directory)
    faults: list[str] = []
    missing: list[str] = []

    def is_well() -> bool:
        held = [node.held() for node in cluster.nodes]
        faults[:] = ledger.faults(held)
        missing[:] = ledger.missing(held) if is_large else []
        return not faults and not missing

    began = time.monotonic()
    try:
        cluster.wait_linked(SHAPES[shape], HEALED_WITHIN + NOISE)
        linked = time.monotonic() - began
        until(is_well, "all is well", HEALED_WITHIN + NOISE, pause=0.1)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}; {faults=}, {missing=}, after {story}") from None
    print(f"{shape}: linked after {linked:.2f} s, well after {time.monotonic() - began:.2f} s")  # noqa: T201
