"""A burst that is too long for the log's outbox: what of it is to be told is found in slices, at no engine's pace."""

from lru_cache import LRUCacheDistributed
from tests.engines.memory_engine import MemoryServer

LATENCY_SECONDS = 0.2
SETS = 50_000  # a slice is some 64 of those that the outbox had forgotten
SECONDS = 15.0  # with a pause behind each slice it takes 30


def test_between_two_slices_nobody_waits_for_the_engine():
    engine = MemoryServer().options(latency=LATENCY_SECONDS)
    with LRUCacheDistributed[int, str](maximum_capacity=SETS, engine=engine) as cache:
        assert cache.wait_connected(timeout=SECONDS)
        for number in range(SETS):
            cache.set(number, "x" * 100)
        assert cache.flush(SECONDS)
        assert cache.stats().overflows > 0
