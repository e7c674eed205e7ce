"""The rules hold whatever happens, and the simulator that says so would notice if they did not."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from itertools import count
from math import inf
from typing import Any

import pytest

from lru_cache.testing.any_simulation import simulation_of
from lru_cache.testing.profiles import edges_of
from lru_cache.testing.setting import Sizes
from lru_cache.testing.simulation import PROFILES, Simulation, Violation
from tests.effort import some_or_many
from tests.replication.broken import BROKEN, BROKEN_IN_SLICES, BROKEN_IN_TREES, broken

SEEDS = some_or_many(300, 5_000)
SEEDS_OF_A_PROFILE = some_or_many(40, 500)
SEEDS_OF_WHOLE_CACHES = some_or_many(200, 1_000)

# Within how many seeds each broken replica is caught, of which profile. The figures are some five times what it takes.
CAUGHT_WITHIN: dict[str, tuple[int, str | None]] = {
    "no-floor": (150, None),
    "no-announce": (150, None),
    "no-flood": (200, None),
    "no-fence": (100, None),
    "no-hold": (200, "loads"),
    "no-concurrent": (500, "loads"),
    "silent-refusal": (300, "chain"),
    "no-repeat": (100, "trees"),  # which lets the circles of a ring be
    "no-burial": (200, "displaced"),
    "no-hops": (800, "cycle"),
    "seen-ahead": (50, None),
    "load-dated-at-its-end": (400, None),
    "same-node-after-restart": (50, None),
    "truncated-sets": (300, None),
    "overflow-forgotten": (100, None),
    "eviction-forgotten": (100, None),
}

CAUGHT_IN_SLICES_WITHIN = {"sweep-forgotten": 60, "sets-not-redated": 120}
CAUGHT_IN_TREES_WITHIN = {
    "kept-taken-for-told": (30, "trees"),
    "kept-said-to-be-told": (60, "trees"),
    "no-grafts": (80, "trees"),
    "no-rumours": (350, "trees"),
    "grafts-without-what-was-kept": (40, "trees"),
    "outdated-dropped": (500, "disputed"),
    "nothing-rests": (400, "churn"),
    "rests-for-us-alone": (60, "churn"),
    "last-link-pruned": (15, "churn"),
}
STEPS = {"trees": 600, "disputed": 600, "churn": 1_000}  # so many that trees grow, and break
MANY_CLOCKS = {"jump": 4.0, "tidy": 6.0}  # acts

# Seeds that once failed, each with what it showed.
REGRESSIONS = [
    (2774, None),  # outboxes of one slot in a ring: each overflow announced the same floors again, and so made the next
    (3171, None),  # a grave that went into a floor that was higher already took back what an announcement had confirmed
    (
        149,
        "displaced",
    ),  # a set older than a grave was dropped without a word, and a load that it should have cancelled stayed
    (141, None),  # a load begun in the millisecond of a clear
    (1073, None),  # a load begun after a clear by a node whose clock is ahead
    (332844, None),  # a clock that was behind dated an invalidation too old to cancel a load elsewhere
    (349558, None),  # the same
    (325512, None),  # an invalidation that died with its node, where another node knew a newer one
    (104046, None),  # a load displaced a set on one node only: contents differ, and nothing is wrong
    (772, None),  # a neighbour without room gets versions without values
    (345446, None),  # a node that had nothing to tell so far was one origin too many, and what was forgotten was told
    (349870, None),  # news of a dead node went round in a mesh with graveyards of one until its hops ended
    (432500, None),  # the same, and other news of that key went along
    (
        439441,
        None,
    ),  # a load made here after a write that a wrong clock had dated too late outlived an older-looking one
    (640396, None),  # an overflow, and the news was in a floor, where the key's grave was older and said nothing of it
    (644339, None),  # the same: a set stayed on one node though another had invalidated it after
    (20201, None),  # a write that lost to one from the future was not told again once that was dated anew
    (166, "cycle"),  # news of a dead node in a ring crosses each link up to eleven times before the hops end it
]


@pytest.mark.parametrize("first", range(0, SEEDS, 100))
def test_every_promise_holds_under_any_seed(first: int) -> None:
    for seed in range(first, first + 100):
        Simulation(seed).run()


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_promise_holds_in_trouble_of_one_kind(profile: str) -> None:
    for seed in range(SEEDS_OF_A_PROFILE):
        Simulation(seed, profile=profile).run()


@pytest.mark.parametrize("profile", [None, *sorted(PROFILES)])
def test_every_promise_holds_where_applications_use_whole_caches(profile: str | None) -> None:
    for seed in range(SEEDS_OF_WHOLE_CACHES if profile is None else SEEDS_OF_A_PROFILE // 2):
        Simulation(seed, profile=profile, whole_cache=True).run()


@pytest.mark.parametrize("whole_cache", [False, True])
@pytest.mark.parametrize("mix", [None, MANY_CLOCKS], ids=["usual", "many clocks"])
def test_every_promise_holds_where_all_that_is_held_is_gone_through_in_slices(
    mix: dict[str, float] | None, whole_cache: bool
) -> None:
    for seed in range(some_or_many(40, 400)):
        Simulation(seed, slowly=True, mix=mix, whole_cache=whole_cache).run()


# With outboxes of a few keys: what a node had announced came back from its neighbours, and overflowed their outboxes
# to it. So they told it all anew, and of that it took for news what a dead node had left behind: it buried and forgot
# that, which overflowed its own outboxes, and it announced once more.
NEVER_QUIET = (475, True)
# A node whose clock had been ahead began anew at a time before that of a set which it held, and wrote an older one.
BEGAN_TOO_EARLY = (4850, False)
# A clear that was misdated had taken the place of one that was right, and was dated before it.
LOST_A_CLEAR = (11738, True)
# The check held a node to a clear of another that was gone before it had told anybody.
NEVER_HEARD_OF_A_CLEAR = (20392, True)


@pytest.mark.parametrize(("seed", "whole_cache"), [NEVER_QUIET, BEGAN_TOO_EARLY, LOST_A_CLEAR, NEVER_HEARD_OF_A_CLEAR])
def test_seeds_with_many_clocks_that_failed_once(seed: int, whole_cache: bool) -> None:
    Simulation(seed, slowly=True, mix=MANY_CLOCKS, whole_cache=whole_cache).run()


# The same by way of others: what one node announced overflowed the way to another, and what that one announced the way
# to it.
NEVER_QUIET_IN_A_CROWD = [50, 111, 162, 183, 202, 320, 349, 430, 451, 506, 516, 531]


@pytest.mark.parametrize("seed", [*NEVER_QUIET_IN_A_CROWD, *range(1_000, some_or_many(1_020, 1_500))])
def test_a_crowd_that_forgets_at_once_gets_quiet(seed: int) -> None:
    Simulation(seed, profile="crowd", slowly=seed % 2 == 1).run()


# Not whole caches with one key or two, in which many write at once: each news of a key tells again what is beside it.
@pytest.mark.parametrize(
    ("profile", "whole_cache"),
    [("trees", False), ("trees", True), ("disputed", False), ("churn", False), ("churn", True)],
)
def test_every_promise_holds_where_links_are_pruned(profile: str, whole_cache: bool) -> None:
    for seed in range(some_or_many(20, 200) if whole_cache else some_or_many(60, 1_000)):
        Simulation(seed, STEPS[profile], profile=profile, slowly=seed % 4 == 0, whole_cache=whole_cache).run()


# What one node had replaced by another's write was taken for seen elsewhere, where neither had come.
REPLACED_ELSEWHERE = [285, 290, 339]


@pytest.mark.parametrize("seed", REPLACED_ELSEWHERE)
def test_seeds_that_failed_once_where_links_are_pruned(seed: int) -> None:
    Simulation(seed, STEPS["trees"], profile="trees").run()


# -- trees -------------------------------------------------------------------------------------------------------------

SHAPES = [("mesh", 8), ("mesh", 16), ("ring with chords", 12), ("two hubs", 12)]


def at_rest(shape: str, count: int) -> Simulation:
    """A cluster whose trees have grown: all are linked, and each has written some times."""
    simulation = Simulation(3, steps=0, profile="trees")
    setting = simulation.setting
    setting.names = [f"n{i}" for i in range(count)]
    setting.edges, setting.repeats = edges_of(shape, setting.names), 3
    setting.sizes = dict.fromkeys(setting.names, Sizes(10_000, 10_000, 50))
    setting.origins, setting.origin_silence, setting.skews = 1_024, 86_400.0, (0.0,)
    simulation.nodes = {name: simulation.machine(name, 0) for name in setting.names}
    simulation.incarnations = dict.fromkeys(setting.names, 0)
    simulation.settle(ending_loads=False)
    write_in_turn(simulation, 12)
    return simulation


def write_alone(simulation: Simulation, node: Any) -> tuple[str, Any]:
    """Set a key that nobody has set."""
    simulation.tokens += 1
    key = f"alone {simulation.tokens}"
    return key, node.set(key, b"value", inf)


def write_in_turn(simulation: Simulation, times: int) -> int:
    """Each node writes, and each time it reaches all. How many events were received for that."""
    before = simulation.tally.events
    for _ in range(times):
        for node in simulation.nodes.values():
            write_alone(simulation, node)
            simulation.settle(ending_loads=False)
    return simulation.tally.events - before


@pytest.mark.parametrize(("shape", "count"), SHAPES)
def test_at_rest_each_event_crosses_each_node_about_once(shape: str, count: int) -> None:
    simulation = at_rest(shape, count)
    assert write_in_turn(simulation, 3) <= 1.3 * 3 * count * (count - 1)


def spread_at_once(simulation: Simulation) -> bool:
    """Whether a write reaches all in the time that it is on its way, with nobody waiting or asking for it."""
    for node in list(simulation.nodes.values()):
        key, version = write_alone(simulation, node)
        for _ in simulation.nodes:
            for each in simulation.nodes.values():
                simulation.act_pump(each)
            for channel in list(simulation.channels.values()):
                while channel.frames:
                    simulation.deliver(channel)
        if not all(each.holds_set(key) == version for each in simulation.nodes.values()):
            return False
        simulation.settle(ending_loads=False)
    return True


@pytest.mark.parametrize(("shape", "count"), SHAPES)
def test_at_rest_a_write_reaches_all_without_waiting(shape: str, count: int) -> None:
    assert spread_at_once(at_rest(shape, count))


@pytest.mark.parametrize("shape", ["mesh", "ring with chords", "two hubs"])
def test_after_a_cut_what_came_over_the_link_comes_over_others_at_once(shape: str) -> None:
    simulation = at_rest(shape, 8)
    resyncs = sum(node.replica.counts.resyncs for node in simulation.nodes.values())
    simulation.cut(simulation.setting.edges[0])
    simulation.setting.edges = simulation.setting.edges[1:]
    for node in simulation.nodes.values():
        node.replica.work(node.now)
    assert spread_at_once(simulation)
    assert sum(node.replica.counts.resyncs for node in simulation.nodes.values()) == resyncs


@pytest.mark.parametrize(("seed", "profile"), REGRESSIONS)
def test_seeds_that_failed_once(seed: int, profile: str | None) -> None:
    Simulation(seed, profile=profile).run()


def first_caught(name: str, profile: str | None, limit: int, **settings: Any) -> int | None:
    if profile in STEPS:
        settings["steps"] = STEPS[profile]
    with broken(name):
        for seed in range(limit):
            try:
                Simulation(seed, profile=profile, **settings).run()
            except Violation:  # noqa: PERF203 - the first is what is looked for
                return seed
    return None


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_replica_is_caught(name: str) -> None:
    limit, profile = CAUGHT_WITHIN[name]
    assert first_caught(name, profile, limit) is not None, f"{limit} seeds did not notice {name}"


# Not those without a hold or a burial: a cache does not load what it holds, so a load displaces no set there.
@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ("no-hold", "no-burial")])
def test_a_broken_replica_is_caught_where_applications_use_whole_caches(name: str) -> None:
    limit, profile = CAUGHT_WITHIN[name]
    assert first_caught(name, profile, 2 * limit, whole_cache=True) is not None, (
        f"{2 * limit} seeds did not notice {name}"
    )


@pytest.mark.parametrize("name", BROKEN_IN_SLICES)
def test_a_broken_replica_is_caught_where_it_goes_in_slices(name: str) -> None:
    limit = CAUGHT_IN_SLICES_WITHIN[name]
    assert first_caught(name, None, limit, slowly=True, mix=MANY_CLOCKS) is not None, (
        f"{limit} seeds did not notice {name}"
    )


@pytest.mark.parametrize("name", CAUGHT_IN_TREES_WITHIN)
def test_a_broken_replica_is_caught_where_links_are_pruned(name: str) -> None:
    limit, profile = CAUGHT_IN_TREES_WITHIN[name]
    assert first_caught(name, profile, limit) is not None, f"{limit} seeds did not notice {name}"


def test_every_replica_that_is_broken_in_trees_is_tried() -> None:
    assert {*CAUGHT_IN_TREES_WITHIN} == {*BROKEN_IN_TREES}


def test_a_whole_cache_is_written_to_by_its_shortest_way_and_sends_what_was_written_alone() -> None:
    simulation = Simulation(1, whole_cache=True, steps=0)
    edge = simulation.setting.edges[0]
    here, there = (simulation.nodes[name] for name in edge)
    simulation.link(edge, True)
    simulation.settle(ending_loads=False)
    sent = simulation.tally.events
    simulation.act_write_alone(here)
    assert simulation.tally.events == sent + 1
    (write,) = simulation.history.writes
    simulation.settle(ending_loads=False)
    assert there.holds_set(write.key) == write.version


def test_one_seed_is_one_run_where_applications_use_whole_caches() -> None:
    tallies = [[Simulation(seed, whole_cache=True).run() for seed in range(5)] for _ in range(2)]
    assert tallies[0] == tallies[1]


def test_one_seed_is_one_run() -> None:
    """Also what is in the trace: so a failing seed can be looked at."""

    def traced(seed: int) -> str:
        shown = io.StringIO()
        with redirect_stdout(shown):
            Simulation(seed, trace="k414").run()
        return shown.getvalue()

    seed = next(seed for seed in count() if traced(seed))
    assert traced(seed) == traced(seed)


def test_a_violation_says_how_to_see_it_again() -> None:
    seed = first_caught("seen-ahead", None, 50)
    assert seed is not None
    with broken("seen-ahead"), pytest.raises(Violation, match=rf"seed {seed}: .*Simulation\({seed}\)\.run\(\)"):
        Simulation(seed).run()


@pytest.mark.parametrize(
    ("made", "command"),
    [
        (lambda: Simulation(3), "Simulation(3).run()"),
        (
            lambda: Simulation(3, 7, profile="trees", slowly=True),
            "Simulation(3, steps=7, profile='trees', slowly=True).run()",
        ),
        (lambda: simulation_of(3, "log-late"), "LogSimulation(3, profile='log-late').run()"),
        (
            lambda: simulation_of(3, "handover", steps=7),
            "LocalClusterSimulation(3, steps=7, profile='handover').run()",
        ),
    ],
    ids=["plain", "trees", "logs", "local cluster"],
)
def test_the_command_names_all_that_was_asked_for(made: Callable[[], Simulation], command: str) -> None:
    assert made().command() == command


def test_a_run_that_fails_says_what_it_went_through() -> None:
    seed = first_caught("seen-ahead", None, 50)
    assert seed is not None
    with broken("seen-ahead"):
        simulation = Simulation(seed)
        with pytest.raises(Violation):
            simulation.run()
    assert simulation.tally.resyncs > 0


def test_a_run_goes_through_what_it_promises() -> None:
    tallies = [Simulation(seed).run() for seed in range(50)]
    for field in ("writes", "events", "partitions", "crashes", "clock_jumps", "resyncs", "overflows"):
        assert sum(getattr(tally, field) for tally in tallies) > 10, f"no {field} to speak of"
