"""A simulation by the name of its profile, of whatever kind that is."""

from typing import Any

from lru_cache.testing.profiles import ASKED_FOR, PROFILES
from lru_cache.testing.simulated_local_cluster import LOCAL_PROFILES, LocalClusterSimulation
from lru_cache.testing.simulated_log import LOG_PROFILES, LogSimulation
from lru_cache.testing.simulation import Simulation

ALL_PROFILES = sorted({*PROFILES, *ASKED_FOR, *LOG_PROFILES, *LOCAL_PROFILES})


def simulation_of(seed: int, profile: str | None = None, **settings: Any) -> Simulation:
    """A simulation with this profile, be it one with logs, or with a local cluster."""
    if profile in LOG_PROFILES:
        return LogSimulation(seed, profile=profile, **settings)
    if profile in LOCAL_PROFILES:
        return LocalClusterSimulation(seed, profile=profile, **settings)
    return Simulation(seed, profile=profile, **settings)
