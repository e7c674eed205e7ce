"""A burst that is too long for the log's outbox: what of it is to be told is found in slices, at no engine's pace."""

from lru_cache import LRUCacheDistributed
from lru_cache.engines.engine import EngineError
from tests.engines.memory_engine import MemoryServer

LATENCY_SECONDS = 1.0
SETS = 50_000  # a slice is some 64 of those that the outbox had forgotten
SECONDS = 90.0  # with a pause behind each slice it takes 150


def test_between_two_slices_nobody_waits_for_the_engine():
    server = MemoryServer()
    with LRUCacheDistributed[int, str](maximum_capacity=SETS, engine=server.options(latency=LATENCY_SECONDS)) as cache:
        assert cache.wait_connected(timeout=SECONDS)
        server.failure = EngineError("it sleeps")
        for number in range(SETS):
            cache.set(number, "x" * 100)
        server.failure = None
        assert cache.flush(SECONDS)
        assert cache.stats().overflows > 0
