"""What is particular to OpenTelemetry: instruments, units, the global provider, readers beside each other."""

import logging
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, Sum

from lru_cache import LRUCache, metrics
from tests.metrics.places import OpenTelemetry, of


def instruments(place: OpenTelemetry) -> dict[str, Any]:
    data: Any = place.reader.get_metrics_data()
    (scope,) = data.resource_metrics[0].scope_metrics
    assert scope.scope.name == "lru_cache"
    return {metric.name: metric for metric in scope.metrics}


def test_counters_are_monotonic_sums_and_gauges_are_gauges() -> None:
    place, cache = OpenTelemetry(), LRUCache[str, str]()
    place.show(cache, "users")
    found = instruments(place)
    assert isinstance(found["lru_cache.hits"].data, Sum)
    assert found["lru_cache.hits"].data.is_monotonic
    assert isinstance(found["lru_cache.size"].data, Gauge)
    assert found["lru_cache.hits"].description == "gets that found a value"


def test_a_duration_has_the_unit_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.metrics.test_metrics import peer, with_peers

    place, cache = OpenTelemetry(), with_peers(monkeypatch, [peer(1, "eu", 0.5, 0)])
    place.show(cache, "users")
    found = instruments(place)
    assert (found["lru_cache.peer_lag"].unit, found["lru_cache.hits"].unit) == ("s", "")


def test_several_caches_share_the_instruments_of_a_provider(caplog: pytest.LogCaptureFixture) -> None:
    """The SDK warns of an instrument that is made a second time."""
    place, caches = OpenTelemetry(), [LRUCache[str, str]() for _ in range(3)]
    with caplog.at_level(logging.WARNING):
        for number, cache in enumerate(caches):
            place.show(cache, f"cache {number}")
        place.read()
    assert caplog.records == []


def test_each_of_two_readers_sees_all_that_there_is_when_it_reads() -> None:
    place, cache = OpenTelemetry(), LRUCache[str, str](str)
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    place.provider = MeterProvider(readers, shutdown_on_exit=False)
    place.show(cache, "users")
    for number, reader in enumerate(readers * 3):
        place.reader = reader
        assert place.read()["misses", of("users")] == number
        cache.get(str(number))


@pytest.mark.parametrize("given", ["provider", "None"])
def test_a_global_provider_that_is_set_later_shows_what_was_shown_before(given: str) -> None:
    """In a process of its own, since it can be set once only."""
    code = f"""
import logging
logging.basicConfig(format="%(message)s")
from lru_cache import LRUCache, metrics
early, late = LRUCache(str), LRUCache(str)
metrics.opentelemetry(early, "early")
from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
provider = MeterProvider([reader])
api.set_meter_provider(provider)
metrics.opentelemetry(late, name="late", meter_provider={given})
early.get("a")
(scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
for metric in scope.metrics:
    if metric.name == "lru_cache.misses":
        print(*sorted((point.attributes["cache"], point.value) for point in metric.data.data_points))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("('early', 1) ('late', 0)\n", "")


def test_without_an_sdk_nothing_is_read_and_nothing_breaks() -> None:
    cache = LRUCache[str, str](str)
    with metrics.opentelemetry(cache, "users"):
        cache.get("a")
