"""What is uploaded is whole: 0.0.2 could not be imported, since its sub-package was not in the upload.

With a compiler a wheel holds the store in C and the compiled rules. Without one, or without Cython, the install
succeeds all the same, on what stands in their place in Python.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.store.twins import TWINS

pytestmark = pytest.mark.timeout(900)  # what is compiled takes 40 s of a processor each time, and there may be one
ROOT = Path(__file__).parent.parent

# What this process was told about stores is not what a user's environment says.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("LRU_CACHE_")}
BUILT = "native" if "native" in TWINS else "python"
EXTENSIONS = {
    f"lru_cache/{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    for name in ("store/native_store", "replication/native_rules/_all")
}


def run(*command: object, cwd: Path, **variables: str) -> str:
    """What it prints."""
    return completed(*command, cwd=cwd, **variables).stdout


def completed(*command: object, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=PLAIN | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def tracked(*under: str) -> set[str]:
    """The files that belong to the project, as git knows them; without git, as they lie there."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *under]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return set(listed.stdout.splitlines())
    return {str(p.relative_to(ROOT)) for top in under for p in (ROOT / top).rglob("*.py")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution, and a wheel made from it: so the one holds what the other needs."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names - EXTENSIONS == {name for name in tracked("lru_cache") if not name.endswith((".c", ".h"))}
    assert "lru_cache/py.typed" in names


def test_the_wheel_holds_what_could_be_built(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert EXTENSIONS & set(zipfile.ZipFile(wheel).namelist()) == (EXTENSIONS if BUILT == "native" else set())


def test_the_wheel_says_where_dogpile_finds_its_backend(built: Path) -> None:
    archive = zipfile.ZipFile(next(built.glob("*.whl")))
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
    assert archive.read(name).decode().split() == [
        "[dogpile.cache]",
        "lru_cache",
        "=",
        "lru_cache.dogpile:LRUCacheBackend",
    ]


def test_the_source_distribution_holds_every_file(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    hidden = {name for name in tracked(".") if name.startswith(".")}
    assert tracked(".") - hidden <= names


def description(built: Path) -> str:
    """What a package index shows, with what stands above it."""
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    return archive.read(name).decode()


def test_the_description_leads_nowhere_that_an_index_does_not_have(built: Path) -> None:
    """Links and pictures within the project are broken there."""
    text = description(built)
    assert "# cf_LRU_cache" in text
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert "`docs/http.md`" in text


def test_the_package_says_whose_it_is_and_where_it_lives(built: Path) -> None:
    text = description(built)
    assert "Author: the cf_LRU_cache authors\n" in text
    assert "Project-URL: Homepage, https://" in text


def test_a_wheel_for_every_python_can_be_built(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    command = ["-m", "pip", "wheel", "--quiet", "--no-cache-dir", "--no-deps", "--no-build-isolation"]
    run(sys.executable, *command, "-w", tmp_path, sdist, cwd=tmp_path, LRU_CACHE_PURE_PYTHON="1")
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")


@pytest.fixture(scope="module")
def clean_python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment in which nothing but the wheel was installed."""
    (wheel,) = built.glob("*.whl")
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=True)
    run(home / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, cwd=home)
    return home / "bin" / "python"


def test_the_wheel_works_in_a_clean_environment(clean_python: Path, tmp_path: Path) -> None:
    code = (
        "from importlib.metadata import version\n"
        "from lru_cache import LRUCache\n"
        "from lru_cache.lru_cache import LRUCache as SeedsOwn\n"
        "from lru_cache.testing import ManualClock\n"
        "assert LRUCache is SeedsOwn\n"
        "print(version('cf_LRU_cache'), LRUCache(str.upper).get('works'))\n"
    )
    assert run(clean_python, "-c", code, cwd=tmp_path) == "0.1.0.dev0 WORKS\n"


IMPLEMENTATIONS = "from lru_cache import replication, store; print(store.implementation, replication.implementation)"
REPLICATED = """
from lru_cache import LRUCacheDistributed
with LRUCacheDistributed(None, 10, 5.0) as cache:
    cache["k"] = [1]
    assert cache["k"] == [1]
"""


def test_the_wheel_says_which_store_and_rules_it_has(clean_python: Path, tmp_path: Path) -> None:
    assert run(clean_python, "-c", IMPLEMENTATIONS, cwd=tmp_path) == f"{BUILT} {BUILT}\n"


def test_what_is_compiled_can_be_refused(clean_python: Path, tmp_path: Path) -> None:
    code = (
        f"{IMPLEMENTATIONS}; import sys; "
        "print([name for name in sys.modules if name.startswith('lru_cache') and 'native' in name])"
    )
    assert run(clean_python, "-c", code, cwd=tmp_path, LRU_CACHE_PURE_PYTHON="1") == "python python\n[]\n"


@pytest.mark.skipif(BUILT == "python", reason="nothing is compiled here")
def test_a_traceback_from_compiled_rules_shows_the_line_of_the_source(clean_python: Path, tmp_path: Path) -> None:
    code = (
        "from lru_cache.replication import Version, implementation\n"
        "assert implementation == 'native'\n"
        "try:\n"
        "    Version(1, b'') < None\n"
        "except AttributeError:\n"
        "    import traceback\n"
        "    traceback.print_exc()\n"
    )
    done = completed(clean_python, "-c", code, cwd=tmp_path)
    assert "rules/version.py" in done.stderr
    assert "return other.after(self)" in done.stderr


def test_without_a_compiler_it_installs_and_runs_as_python(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    home = tmp_path / "clean"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    done = completed(
        python, "-m", "pip", "install", "--verbose", "--no-cache-dir", sdist,
        cwd=tmp_path, CC="/bin/false", LDSHARED="/bin/false",
    )  # fmt: skip
    assert lines_of_failed_builds(done.stderr) == [
        "the rules of replication could not be built: the compiler failed, as it says above.",
        "the store in C could not be built: the compiler failed, as it says above.",
    ]
    assert run(python, "-c", IMPLEMENTATIONS + REPLICATED, cwd=tmp_path) == "python python\n"


def lines_of_failed_builds(said: str) -> list[str]:
    """What a build says that failed, without the end, which is the same for all."""
    end = " What stands in its place is Python, and some times slower."
    lines = [line.partition("warning: Build: ")[2] for line in said.splitlines() if "could not be built" in line]
    assert all(line.endswith(end) for line in lines)
    return sorted(line.removesuffix(end) for line in lines)


@pytest.fixture(scope="module")
def without_cython(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that can build, but for Cython."""
    home = tmp_path_factory.mktemp("without_cython")
    venv.create(home, with_pip=True)
    run(home / "bin" / "python", "-m", "pip", "install", "--quiet", "setuptools>=77", cwd=home)
    return home / "bin" / "python"


def test_without_cython_it_installs_and_runs_the_rules_as_python(
    built: Path, without_cython: Path, tmp_path: Path
) -> None:
    (sdist,) = built.glob("*.tar.gz")
    done = completed(
        without_cython, "-m", "pip", "install", "--verbose", "--no-cache-dir", "--no-build-isolation", sdist,
        cwd=tmp_path,
    )  # fmt: skip
    failed = ["the rules of replication could not be built: Cython is not installed."]
    if BUILT == "python":
        failed = sorted([*failed, "the store in C could not be built: the compiler failed, as it says above."])
    assert lines_of_failed_builds(done.stderr) == failed
    assert run(without_cython, "-c", IMPLEMENTATIONS + REPLICATED, cwd=tmp_path) == f"{BUILT} python\n"


def test_where_what_is_compiled_is_required_to_lack_cython_fails_the_build(
    built: Path, without_cython: Path, tmp_path: Path
) -> None:
    (sdist,) = built.glob("*.tar.gz")
    command = [without_cython, "-m", "pip", "wheel", "--no-cache-dir", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "-w", str(tmp_path), str(sdist)], env=PLAIN | {"LRU_CACHE_REQUIRE_NATIVE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if "LRU_CACHE_REQUIRE_NATIVE" in line]
    what = "the rules of replication could not be built: Cython is not installed"
    assert said == [f"error: LRU_CACHE_REQUIRE_NATIVE is set, and {what}"]


def test_where_what_is_compiled_is_required_a_failing_compiler_fails_the_build(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-cache-dir", "--no-deps", "--no-build-isolation"]
    variables = {"CC": "/bin/false", "LDSHARED": "/bin/false", "LRU_CACHE_REQUIRE_NATIVE": "1"}
    done = subprocess.run(
        [*command, "-w", str(tmp_path), str(sdist)], env=PLAIN | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert not list(tmp_path.glob("*.whl"))


def test_the_wheel_brings_msgpack_and_nothing_else(clean_python: Path, tmp_path: Path) -> None:
    listed = run(clean_python, "-m", "pip", "list", "--format", "freeze", cwd=tmp_path)
    assert {line.split("==")[0].lower() for line in listed.splitlines()} - {"pip", "setuptools"} == {
        "cf_lru_cache",
        "msgpack",
    }


def test_the_wheel_says_what_a_node_needs_beside_it(clean_python: Path, tmp_path: Path) -> None:
    asked = subprocess.run([clean_python, "-m", "lru_cache"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout, asked.stderr.count("\n")) == (1, "", 1)
    assert "pip install 'cf_LRU_cache[server]'" in asked.stderr


def test_a_user_s_code_checks_strictly_against_the_wheel(clean_python: Path, tmp_path: Path) -> None:
    """From outside of the project, so that neither its settings nor its files play a part."""
    usage = tmp_path / "usage.py"
    usage.write_text((ROOT / "tests" / "typing" / "usage.py").read_text())
    settings = {"typeCheckingMode": "strict", "reportUnnecessaryTypeIgnoreComment": True}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", clean_python, usage, cwd=tmp_path)
    run(sys.executable, "-m", "basedpyright", "--pythonpath", clean_python, usage, cwd=tmp_path)
