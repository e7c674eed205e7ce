"""The tests that cachelib and Flask-Caching have of their own caches pass on ours, with pickles and without.

They come out of the source distributions of the installed releases, as pip gives them. What is excluded must fail, so
that nothing is excluded for longer than its reason holds.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.sources import source

pytestmark = pytest.mark.timeout(300)
HERE = Path(__file__).parent
ROOT = HERE.parent.parent

SERIALIZERS = "puts a serializer into the cache, or looks at it: what travels between nodes is data, by codecs"
BOUND = "looks at how many SimpleCache keeps; without a threshold ours keeps 50,000, and never one more than asked for"
OLD_NAME = "looks at a warning that SimpleCache gives for the old name of an option"
EXCLUDED = {
    "cachelib": {
        "test_simple_cache.py::TestSimpleCache::test_threshold_zero_defaults_to_500[OfCachelib]": BOUND,
        "test_simple_cache.py::TestSimpleCache::test_threshold_zero_defaults_to_500[CustomCache]": BOUND,
        "test_simple_cache.py::TestSimpleCache::test_concurrent_inc_is_consistent[OfCachelib]": SERIALIZERS,
        "test_simple_cache.py::TestSimpleCache::"
        "test_concurrent_get_set_preserves_valid_shared_values[OfCachelib]": SERIALIZERS,
    },
    "Flask-Caching": {
        "test_backend_cache.py::TestSimpleCache::test_purge": BOUND,
        "test_backend_cache.py::TestSimpleCache::test_deprecated_ignore_errors": OLD_NAME,
        "test_cachelib.py::test_backend_uses_cachelib_serializer": SERIALIZERS,
        "test_serializer.py::test_default_keeps_the_cachelib_serializer": SERIALIZERS,
        "test_serializer.py::test_instance_is_used_as_is": SERIALIZERS,
        "test_serializer.py::test_class_is_instantiated": SERIALIZERS,
        "test_serializer.py::test_serializer_read_from_extension_config": SERIALIZERS,
        "test_serializer.py::test_configured_serializer_is_used_for_get_and_set": SERIALIZERS,
        "test_serializer.py::test_values_are_stored_in_the_configured_format": SERIALIZERS,
        "test_serializer.py::test_cachelib_cache_type_gets_the_serializer": SERIALIZERS,
    },
}
if tuple(map(int, version("Flask-Caching").split(".")[:2])) < (2, 5):
    EXCLUDED["Flask-Caching"]["test_cache.py::test_cache_delete_many"] = "of many keys, stops at one that is missing"
LEAST = {"cachelib": 20, "Flask-Caching": 100}
FILES = {"cachelib": ["tests/test_simple_cache.py"], "Flask-Caching": ["tests"]}


RUNS = {
    f"{project}, {kept}": (project, options)
    for kept, options in (("data", {}), ("pickles", {"pickle": "a secret"}))
    for project in FILES
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What became of each test in each run. They run at once: most of the time they wait for lives to end."""
    folder = tmp_path_factory.mktemp("suites")
    sources = {project: source(project, version(project), folder / project) for project in FILES}
    running = {}
    with ExitStack() as ends:
        for number, (name, (project, options)) in enumerate(RUNS.items()):
            file = folder / f"{number}.json"
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "-p", "suite_plugin", "-p", "no:cacheprovider", "-o", "addopts=",
                 *FILES[project]],
                cwd=sources[project], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE))),
                    "SUITE": json.dumps({"options": options, "file": str(file)}),
                },
            )  # fmt: skip
            ends.callback(process.kill)
            running[name] = process, file
        found = {}
        for name, (process, file) in running.items():
            said, _ = process.communicate(timeout=200)
            assert file.exists(), said
            found[name] = json.loads(file.read_text())
        return found


@pytest.mark.parametrize("name", RUNS)
def test_their_own_tests_pass_but_for_those_that_are_excluded(name: str, outcomes: dict[str, dict[str, str]]) -> None:
    project, _ = RUNS[name]
    failed = {test: outcome for test, outcome in outcomes[name].items() if outcome not in ("passed", "skipped")}
    excluded = EXCLUDED[project]
    assert {test: failed[test] for test in failed.keys() - excluded.keys()} == {}
    assert {test for test in excluded if outcomes[name].get(test) == "passed"} == set(), "no longer to be excluded"
    assert len(outcomes[name]) > LEAST[project]
