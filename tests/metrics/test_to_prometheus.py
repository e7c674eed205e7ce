"""What is particular to Prometheus: names, types, families, the default registry."""

import subprocess
import sys

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lru_cache import LRUCache, LRUCacheDistributed, metrics


def test_each_family_comes_once_with_a_type_and_a_meaning_for_all_caches_of_a_registry() -> None:
    registry = CollectorRegistry()
    caches = [LRUCache[str, str](), LRUCacheDistributed[str, str]()]
    for number, cache in enumerate(caches):
        metrics.prometheus(cache, f"cache {number}", registry=registry)
    text = generate_latest(registry).decode()
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(names) == len(set(names))
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert (found["lru_cache_size"].type, found["lru_cache_hits"].type) == ("gauge", "counter")
    assert found["lru_cache_fenced_loads"].documentation.startswith("Loads whose result was not kept")
    assert [sample.labels for sample in found["lru_cache_hits"].samples] == [{"cache": "cache 0"}, {"cache": "cache 1"}]


def test_without_a_registry_it_is_the_default_one() -> None:
    with metrics.prometheus(LRUCache[str, str](), "nobody keeps this one"):
        pass
    cache = LRUCache[str, str](str)
    with metrics.prometheus(cache, name="users"):
        cache.get("a")
        assert REGISTRY.get_sample_value("lru_cache_misses_total", {"cache": "users"}) == 1
    assert REGISTRY.get_sample_value("lru_cache_misses_total", {"cache": "users"}) is None


def test_a_name_of_ours_that_another_metric_has_is_refused_when_the_cache_is_shown() -> None:
    registry, cache = CollectorRegistry(), LRUCache[str, str]()
    Counter("lru_cache_hits", "somebody else's", registry=registry)
    with pytest.raises(ValueError, match="lru_cache_hits"):
        metrics.prometheus(cache, "users", registry=registry)


def test_a_scrape_may_ask_for_one_name_alone() -> None:
    registry, cache = CollectorRegistry(), LRUCache[str, str]()
    metrics.prometheus(cache, "users", registry=registry)
    found = list(registry.restricted_registry(["lru_cache_hits_total"]).collect())
    assert [sample.name for family in found for sample in family.samples] == ["lru_cache_hits_total"]


def test_a_registry_is_not_kept_by_what_was_shown_in_it() -> None:
    code = """
import gc, weakref
from prometheus_client import CollectorRegistry
from lru_cache import LRUCache, metrics
registry, cache = CollectorRegistry(), LRUCache(str)
watch = metrics.prometheus(cache, "users", registry=registry)
gone = weakref.ref(registry)
del registry
gc.collect()
print(gone(), watch)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "None <Watch of 'users'>\n"
