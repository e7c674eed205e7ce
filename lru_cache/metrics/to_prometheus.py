"""Figures in a registry of prometheus_client, read when it is scraped. It must not know what a cache counts."""

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from lru_cache.metrics.figures import FIGURES, PREFIX, Figure, Sample
from lru_cache.metrics.watched import Named, Watch, Watched

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from lru_cache import LRUCache

# Guards `_shown`: a registry has one collector for all of its caches, since a family of metrics may come only once.
_lock = threading.RLock()
_shown: "WeakKeyDictionary[CollectorRegistry, Watched]" = WeakKeyDictionary()


def show(cache: "LRUCache[Any, Any]", name: str, registry: CollectorRegistry | None) -> Watch:
    """Show a cache in a registry: None is the default one."""
    registry = REGISTRY if registry is None else registry
    with _lock:
        watched = _shown.get(registry)
        if watched is None:
            watched = Watched()
            watch = watched.add(cache, name)
            registry.register(CachesCollector(watched))
            _shown[registry] = watched
            return watch
    return watched.add(cache, name)


class CachesCollector(Collector):
    """What a registry asks."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def describe(self) -> "Iterable[Metric]":
        """Names without figures, so that a name that is taken is refused and no cache is asked."""
        return [family(figure, ("cache",)) for figure in FIGURES]

    def collect(self) -> "Iterator[Metric]":
        """All figures, as they are now."""
        return families(self._watched.samples(), ("cache",))


def family(figure: Figure, before: tuple[str, ...] = ()) -> "CounterMetricFamily | GaugeMetricFamily":
    """What stands for a figure, without samples yet; with further labels before its own."""
    kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    name = f"{PREFIX}_{figure.name}" + (f"_{figure.unit}" if figure.unit else "")
    return kind(name, figure.meaning, labels=[*before, *figure.labels])


def families(named: Iterable[Named], before: tuple[str, ...]) -> "Iterator[Metric]":
    """The figures that have samples, each with all of them."""
    found: dict[Figure, CounterMetricFamily | GaugeMetricFamily] = {}
    for cache, (figure, value, labels) in named:
        if figure not in found:
            found[figure] = family(figure, before)
        found[figure].add_metric([cache, *labels] if before else labels, value)
    return iter(found.values())


def families_of_one(samples: Iterable[Sample]) -> "Iterator[Metric]":
    """The same of a place that shows one cache alone, without a label for it."""
    return families((Named("", sample) for sample in samples), ())
