"""The rules of logs hold whatever engines do, and the simulator that says so would notice if they did not."""

import pytest

from lru_cache.testing.simulated_log import LOG_PROFILES, LogSimulation
from lru_cache.testing.simulation import Violation
from tests.effort import some_or_many
from tests.replication.both_builds import everything_sent
from tests.replication.broken_logs import BROKEN_LOGS, broken_log
from tests.replication.build import BUILDS

SEEDS = some_or_many(40, 1_500)

# Within how many seeds each broken end is caught, of which profile. The figures are some three times what it takes.
CAUGHT_WITHIN: dict[str, tuple[int, str]] = {
    "trim-unnoticed": (1_000, "log-trims"),
    "nothing-restored": (150, "log-clocks"),
    "no-chain": (700, "log-silent"),
    "reads-on": (20, "log"),
    "gap-unnoticed": (50, "log-silent"),
    "gaps-for-ever": (300, "log-strangers"),
    "futures-taken": (50, "log-strangers"),
    "no-floor-on-join": (50, "log-late"),
    "no-return": (200, "log-short"),
    "any-time-is-valid": (250, "log-trims"),
    "no-skew-in-floors": (100, "log-trims"),
    "acknowledged-is-read": (50, "log-silent"),
    "live-at-once": (150, "log-short"),
    "refused-not-retold": (150, "log-clocks"),
    "told-back": (20, "log-short"),
    "acknowledgements-told": (50, "log-silent"),
    "heartbeats-told": (10, "log"),
    "taken-over-unseen": (60, "log-handover"),
}

# test_log_end.py shows what is missing without these: what seeds showed of it, a return says by now.
SHOWN_BY_HAND = {"trimmed-not-restored"}

# Seeds that once failed, each with what it showed.
REGRESSIONS = [
    (117, "log"),  # what was written before a node came to a log went into its floor untold, and an overflow dropped it
    (687, "log"),
    (784, "log"),
    (1186, "log"),
    (1579, "log-clean"),  # news stood before what was to be given back, and said how far others were
    (179, "log-clean"),  # who told anew what was refused announced the floor with which it had come
    (1414, "log-clean"),
    (2147, "log-clean"),
    (352, "log-clocks"),
    (1307, "log-silent"),  # what was refused, and told anew, was given back, accepted, and lost once more
    # What was trimmed away before two of three had read it was in no log any more, once that was lost as a whole.
    (301243, "log-trims"),
    (1797, "log-handover"),  # records were missed while there was no link, and who was linked later was not told
]
# Ten seconds by which an engine's clock was ahead: a gateway alone took itself for another node, and others did not.
CLOCK_OF_AN_ENGINE = (220, {"jump": 6.0, "trim": 4.0, "engine_clock": 2.0, "crash": 4.0, "clear": 0.7})


@pytest.mark.parametrize("profile", LOG_PROFILES)
def test_every_promise_holds_with_logs(profile: str) -> None:
    for seed in range(SEEDS):
        LogSimulation(seed, profile=profile).run()


@pytest.mark.parametrize("settings", [{"whole_cache": True}, {"slowly": True}], ids=["whole caches", "in slices"])
def test_every_promise_holds_with_logs_otherwise(settings: dict[str, bool]) -> None:
    for seed in range(SEEDS // 2):
        LogSimulation(seed, **settings).run()  # type: ignore[arg-type]


@pytest.mark.parametrize(("seed", "profile"), REGRESSIONS)
def test_seeds_that_failed_once(seed: int, profile: str) -> None:
    LogSimulation(seed, profile=profile).run()


def test_an_engine_whose_clock_was_ahead() -> None:
    seed, mix = CLOCK_OF_AN_ENGINE
    for each in range(seed, seed + some_or_many(20, 500)):
        LogSimulation(each, mix=mix).run()


def first_caught(name: str, profile: str, limit: int) -> int | None:
    with broken_log(name):
        for seed in range(limit):
            try:
                LogSimulation(seed, profile=profile).run()
            except Violation:  # noqa: PERF203 - the first is what is looked for
                return seed
    return None


def test_every_end_that_is_broken_is_tried() -> None:
    assert {*CAUGHT_WITHIN, *SHOWN_BY_HAND} == {*BROKEN_LOGS}


@pytest.mark.parametrize("name", CAUGHT_WITHIN)
def test_a_broken_end_of_a_log_is_caught(name: str) -> None:
    limit, profile = CAUGHT_WITHIN[name]
    assert first_caught(name, profile, limit) is not None, f"{limit} seeds did not notice {name}"


def test_one_seed_is_one_run() -> None:
    for seed in range(3):
        assert LogSimulation(seed).run() == LogSimulation(seed).run()


def test_a_violation_says_how_to_see_it_again() -> None:
    with broken_log("heartbeats-told"), pytest.raises(Violation, match=r"LogSimulation\(0, profile='log'\)\.run\(\)"):
        LogSimulation(0).run()


@pytest.mark.skipif(BUILDS == ["python"], reason="there is one build in this process")
@pytest.mark.parametrize("profile", LOG_PROFILES)
def test_every_message_and_record_is_the_same_on_both_builds(profile: str) -> None:
    for seed in range(some_or_many(5, 100)):
        ends = [everything_sent(build, seed, profile=profile) for build in ("native", "python")]
        assert ends[0][0] == ends[1][0], f"seed {seed}"
        records = [{name: log.appended for name, log in end[1].logs.items()} for end in ends]  # type: ignore[attr-defined]
        assert records[0] == records[1], f"seed {seed}"
