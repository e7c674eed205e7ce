"""The figures for Prometheus, read off the cache when they are asked for. It must not know how they are asked for."""

from collections.abc import Iterator
from dataclasses import fields

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lru_cache import DistributedStats, LRUCacheDistributed, Peer
from lru_cache.server.guard import Requests

GAUGES = {
    "size": "Entries held",
    "capacity": "Entries that can be held",
    "links": "Links to other nodes",
    "graves": "Keys whose values are gone and whose age is remembered",
    "log_lag": "Seconds since all of the log on an engine was read",
}
"""What of the cache's figures goes up and down; all others only ever go up."""


class CacheCollector(Collector):
    """Reads one cache, and the counts of one node's requests."""

    def __init__(self, cache: "LRUCacheDistributed[str, str]", requests: Requests, version: str) -> None:
        self._cache = cache
        self._requests = requests
        self._version = version

    def describe(self) -> list[Metric]:
        """Name nothing beforehand, so that registering asks for no figures."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All figures, as they are now."""
        region = self._cache.region or ""
        node = {"node": self._cache.node, "region": region, "version": self._version}
        yield InfoMetricFamily("lru_cache_node", "Which node this is", node)
        listens = self._cache.local_address is not None
        yield GaugeMetricFamily("lru_cache_listens", "1 if other nodes can link with this one", listens)
        yield from self._stats()
        yield from self._peers()
        answered = CounterMetricFamily(
            "lru_cache_http_requests", "Requests answered", labels=["method", "route", "status"]
        )
        for (method, route, status), count in self._requests.counts.copy().items():
            answered.add_metric([method, route, str(status)], count)
        yield answered

    def _stats(self) -> Iterator[Metric]:
        stats = self._cache.stats()
        for field in fields(DistributedStats):
            figure = getattr(stats, field.name)
            if isinstance(figure, str):
                continue  # what the cache is made of is no figure
            if field.name in GAUGES:
                yield GaugeMetricFamily(f"lru_cache_{field.name}", GAUGES[field.name], figure)
            else:
                meaning = f"{field.name.replace('_', ' ').capitalize()} since the node started"
                yield CounterMetricFamily(f"lru_cache_{field.name}", meaning, figure)

    def _peers(self) -> Iterator[Metric]:
        labels = ["node", "region", "address"]
        state = GaugeMetricFamily("lru_cache_peer_connected", "1 if there is a link", labels=labels)
        trip = GaugeMetricFamily("lru_cache_peer_round_trip_seconds", "To it and back", labels=labels)
        lag = GaugeMetricFamily("lru_cache_peer_lag_seconds", "Since all that it wrote was known here", labels=labels)
        queued = GaugeMetricFamily("lru_cache_peer_queued", "Keys that it is still to be told of", labels=labels)
        about = InfoMetricFamily("lru_cache_peer", "Whether it listens, and how it was found", labels=labels)
        for peer in self._cache.peers():
            values = [peer.node or "", peer.region or "", _lasting_address(peer)]
            state.add_metric(values, peer.state == "connected")
            queued.add_metric(values, peer.queued)
            about.add_metric(values, {"role": peer.role or "", "found": peer.found})
            if peer.rtt is not None:
                trip.add_metric(values, peer.rtt)
            if peer.lag is not None:
                lag.add_metric(values, peer.lag)
        yield from (state, trip, lag, queued, about)


def _lasting_address(peer: Peer) -> str:
    """What stays the same as long as it is the same neighbour: of one that is linked not the port, since the port of
    who dialled is another one each time, and each would be one more series for ever.
    """
    host, colon, port = peer.address.rpartition(":")
    return host if peer.node is not None and colon and port.isdigit() else peer.address


def make_registry(cache: "LRUCacheDistributed[str, str]", requests: Requests, version: str) -> CollectorRegistry:
    """Make a registry of its own, so that two nodes in one process do not meet."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CacheCollector(cache, requests, version))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def text(registry: CollectorRegistry) -> bytes:
    """All figures in the text format."""
    return generate_latest(registry)
