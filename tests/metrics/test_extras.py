"""Each face needs its own library and no other, and says so where that is missing."""

import subprocess
import sys

import pytest

LIBRARIES = {"prometheus": "prometheus_client", "opentelemetry": "opentelemetry"}
DISTRIBUTIONS = {"prometheus": "prometheus-client", "opentelemetry": "opentelemetry-api"}


def printed(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_importing_metrics_imports_neither_library() -> None:
    code = "import sys; from lru_cache import metrics; metrics.prometheus; metrics.opentelemetry; print(*sys.modules)"
    assert not set(LIBRARIES.values()) & set(printed(code).split())


@pytest.mark.parametrize(("face", "other"), [("prometheus", "opentelemetry"), ("opentelemetry", "prometheus")])
def test_one_face_works_where_the_other_s_library_is_missing(face: str, other: str) -> None:
    code = f"""
import sys
sys.modules["{LIBRARIES[other]}"] = None
from lru_cache import LRUCache, metrics
cache = LRUCache(str)
print(metrics.{face}(cache, "users"))
"""
    assert printed(code) == "<Watch of 'users'>"


@pytest.mark.parametrize("face", LIBRARIES)
def test_a_library_that_is_missing_is_one_line_that_says_what_to_install(face: str) -> None:
    code = f"""
import sys
sys.modules["{LIBRARIES[face]}"] = None
from lru_cache import LRUCache, metrics
try:
    metrics.{face}(LRUCache(str), "users")
except ImportError as error:
    print(error)
"""
    needs = f"metrics.{face} needs {DISTRIBUTIONS[face]}: pip install 'cf_LRU_cache[{face}]'"
    assert printed(code) == needs


def test_a_local_cache_that_is_shown_imports_no_part_that_is_for_nodes() -> None:
    code = """
import sys
from lru_cache import LRUCache, metrics
from prometheus_client import REGISTRY
cache = LRUCache(str)
metrics.prometheus(cache, "users")
list(REGISTRY.collect())
print(*sys.modules)
"""
    modules = printed(code).split()
    assert [
        name for name in modules if name.startswith(("lru_cache.network", "lru_cache.replication", "msgpack"))
    ] == []
