"""Where caches are shown, seen in one way: what is claimed of metrics is claimed of each of them."""

from typing import Any, Protocol

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry

from lru_cache import metrics

Series = tuple[str, frozenset[tuple[str, str]]]


class Place(Protocol):
    def show(self, cache: Any, name: str) -> Any:
        """Show a cache here."""

    def read(self) -> dict[Series, float]:
        """What is shown: the figure's name, as `figures.py` has it, and its labels, with the value."""


class Prometheus:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def show(self, cache: Any, name: str) -> Any:
        return metrics.prometheus(cache, name, registry=self.registry)

    def read(self) -> dict[Series, float]:
        return {
            (
                sample.name.removeprefix("lru_cache_").removesuffix("_total").removesuffix("_seconds"),
                frozenset(sample.labels.items()),
            ): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if not sample.name.endswith("_created")
        }


class OpenTelemetry:
    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def show(self, cache: Any, name: str) -> Any:
        return metrics.opentelemetry(cache, name, meter_provider=self.provider)

    def read(self) -> dict[Series, float]:
        data: Any = self.reader.get_metrics_data()
        return {
            (metric.name.removeprefix("lru_cache."), frozenset(point.attributes.items())): point.value
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }


def of(cache: str, **labels: str) -> frozenset[tuple[str, str]]:
    return frozenset({"cache": cache, **labels}.items())
