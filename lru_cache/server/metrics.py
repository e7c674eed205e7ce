"""The figures for Prometheus, read off the cache when they are asked for. It must not know how they are asked for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lru_cache.metrics.figures import counted, of_each, samples
from lru_cache.metrics.to_prometheus import families_of_one
from lru_cache.server.guard import Requests

if TYPE_CHECKING:
    from lru_cache import LRUCacheDistributed


class NodeCollector(Collector):
    """Reads the node's one cache, with each neighbour by itself, and the counts of its requests."""

    def __init__(self, cache: "LRUCacheDistributed[str, str]", requests: Requests, version: str) -> None:
        self._cache = cache
        self._requests = requests
        self._version = version

    def describe(self) -> list[Metric]:
        """Name nothing beforehand, so that registering asks for no figures."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All figures, as they are now."""
        node = {"node": self._cache.node, "region": self._cache.region or "", "version": self._version}
        yield InfoMetricFamily("lru_cache_node", "Which node this is", node)
        peers = self._cache.peers()
        yield from families_of_one([*samples(self._cache), *counted(peers), *of_each(peers)])
        answered = CounterMetricFamily(
            "lru_cache_http_requests", "Requests answered", labels=["method", "route", "status"]
        )
        for (method, route, status), count in self._requests.counts.copy().items():
            answered.add_metric([method, route, str(status)], count)
        yield answered


def make_registry(cache: "LRUCacheDistributed[str, str]", requests: Requests, version: str) -> CollectorRegistry:
    """Make a registry of its own, so that two nodes in one process do not meet."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(cache, requests, version))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def text(registry: CollectorRegistry) -> bytes:
    """All figures in the text format."""
    return generate_latest(registry)
