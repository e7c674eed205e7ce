"""The figures of a cache, for what observes your service: Prometheus, OpenTelemetry.

    figures.py           which figures there are, what they mean, what they are now
    watched.py           the caches that are shown in one place, by name, and for how long
    to_prometheus.py     in a registry of prometheus_client
    to_opentelemetry.py  by a meter of OpenTelemetry

A face in a file imports its own library and no other. This file must import none: each is an extra.
"""

from typing import TYPE_CHECKING, Any

from lru_cache.extras import require

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from prometheus_client import CollectorRegistry

    from lru_cache import LRUCache
    from lru_cache.metrics.watched import Watch

__all__ = ["opentelemetry", "prometheus"]


def prometheus(cache: "LRUCache[Any, Any]", name: str, *, registry: "CollectorRegistry | None" = None) -> "Watch":
    """Show a cache's figures in a registry of `prometheus_client`, its default one unless another is given.

    Each has the label `cache`, which is `name`. They are read when the registry is scraped, and at no other time. They
    are gone once the cache is collected as garbage, or once what this returns is closed.
    """
    require("prometheus_client", "metrics.prometheus", "prometheus-client", "prometheus")
    from lru_cache.metrics.to_prometheus import show

    return show(cache, name, registry)


def opentelemetry(cache: "LRUCache[Any, Any]", name: str, *, meter_provider: "MeterProvider | None" = None) -> "Watch":
    """Show a cache's figures by a meter of OpenTelemetry, of the global provider unless another is given.

    Each has the attribute `cache`, which is `name`. They are read when the provider's readers collect, and at no other
    time. They are gone once the cache is collected as garbage, or once what this returns is closed.
    """
    require("opentelemetry.metrics", "metrics.opentelemetry", "opentelemetry-api", "opentelemetry")
    from lru_cache.metrics.to_opentelemetry import show

    return show(cache, name, meter_provider)
