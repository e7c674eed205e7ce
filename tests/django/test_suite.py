"""Django's own tests of caches and sessions pass on our backend: of the Django that is installed, and of the oldest.

They come out of the source distribution, as pip gives it. With pickles and without, by the plain methods and by those
for tasks. What is excluded must fail, so that nothing is excluded for longer than its reason holds.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import django
import pytest

from tests.sources import source

pytestmark = pytest.mark.timeout(500)
HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FLOOR = "4.2.*"
LAST_PYTHON_OF_FLOOR = (3, 12)
LABELS = [
    "cache",
    "template_tests.syntax_tests.test_cache",
    "sessions_tests.tests.CacheSessionTests",
    "sessions_tests.tests.CacheDBSessionTests",
    "sessions_tests.tests.CacheDBSessionWithTimeZoneTests",
    "sessions_tests.tests.SessionMiddlewareTests",
]

# Of `cache.tests.LocMemCacheTests`. The classes for other backends are left out by suite_runner.py.
CULLING = "LocMem drops a third of its entries at a time; here the one that is unused for longest leaves, alone"
INSIDE = "looks at LocMem's lock while a value is pickled"
NO_PICKLE = "asks for pickles, of classes, functions or whatever has __getstate__"
A_QUERY = "keeps a QuerySet, which is a query: without pickles it is refused, and list(queryset) is kept"
A_MODEL = "keeps an instance of a model that OPTIONS['models'] does not name"
ALWAYS = {
    "test_cull": CULLING,
    "test_zero_cull": CULLING,
    "test_lru_get": CULLING,
    "test_lru_set": CULLING,
    "test_lru_incr": CULLING,
    "test_locking_on_pickle": INSIDE,
}
WITHOUT_PICKLES = {
    **ALWAYS,
    "test_data_types": NO_PICKLE,
    "test_add_fail_on_pickleerror": NO_PICKLE,
    "test_set_fail_on_pickleerror": NO_PICKLE,
    "test_cache_write_for_model_instance_with_deferred": A_QUERY,
    "test_cache_read_for_model_instance_with_deferred": A_QUERY,
}
RUNS: dict[str, tuple[str, str, dict[str, Any], dict[str, str]]] = {
    "sync": ("installed", "sync", {}, {**WITHOUT_PICKLES, "test_cache_read_for_model_instance": A_MODEL}),
    "async, pickle": ("installed", "async", {"pickle": True}, ALWAYS),
    "sync, pickle, floor": ("floor", "sync", {"pickle": True}, ALWAYS),
    "async, models, floor": ("floor", "async", {"models": "__all__"}, WITHOUT_PICKLES),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    found = {"installed": source("django", django.get_version(), folder / "installed")}
    if sys.version_info[:2] <= LAST_PYTHON_OF_FLOOR:
        found["floor"] = source("django", FLOOR, folder / "floor")
    return found


@pytest.fixture(scope="module")
def outcomes(sources: dict[str, Path]) -> Iterator[dict[str, dict[str, str]]]:
    """What became of each test in each run. They run at once: most of the time they wait for lives to end."""
    running: dict[str, tuple[subprocess.Popen[str], Path]] = {}
    with ExitStack() as ends:
        for name, (of, face, options, _) in RUNS.items():
            if of not in sources:
                continue
            own = Path(ends.enter_context(TemporaryDirectory()))  # a socket's path must not be long
            process = subprocess.Popen(
                [sys.executable, "runtests.py", "--settings=suite_settings", "--parallel=1", *LABELS],
                cwd=sources[of] / "tests",
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(map(str, (sources[of], ROOT, HERE))),
                    "SUITE": json.dumps({"face": face, "options": options, "file": str(own / "outcomes.json")}),
                    "XDG_RUNTIME_DIR": str(own),  # so that no two runs are one local cluster
                },
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            ends.callback(process.kill)
            running[name] = process, own / "outcomes.json"
        found = {}
        for name, (process, file) in running.items():
            said, _ = process.communicate(timeout=300)
            assert file.exists(), said
            found[name] = json.loads(file.read_text())
        yield found


@pytest.mark.parametrize("name", RUNS)
def test_django_s_own_tests_pass_but_for_those_that_are_excluded(
    name: str, outcomes: dict[str, dict[str, str]]
) -> None:
    if name not in outcomes:
        pytest.skip("the oldest Django is none for this Python")
    failed = {test: outcome for test, outcome in outcomes[name].items() if outcome != "passed"}
    excluded = {f"cache.tests.LocMemCacheTests.{test}" for test in RUNS[name][3]}
    assert {test: failed[test] for test in failed.keys() - excluded} == {}
    assert excluded - failed.keys() == set(), "these pass: they are no longer to be excluded"
    assert len(outcomes[name]) > 250


def test_our_own_tests_pass_on_the_oldest_django(sources: dict[str, Path]) -> None:
    if "floor" not in sources:
        pytest.skip("the oldest Django is none for this Python")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", f"--ignore={__file__}", str(HERE)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(sources["floor"]), "DJANGO_IS": "4.2"},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
