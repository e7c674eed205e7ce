"""What is uploaded is whole: 0.0.2 could not be imported, since its sub-package was not in the upload.

With a compiler a wheel holds the store in C; without one the install succeeds all the same, on the store in Python.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.store.twins import TWINS

ROOT = Path(__file__).parent.parent


# What this process was told about stores is not what a user's environment says.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("LRU_CACHE_")}
BUILT = "native" if "native" in TWINS else "python"
EXTENSIONS = {
    f"lru_cache/{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    for name in ("store/native_store", "replication/native_frames", "replication/native_short_cuts")
}


def run(*command: object, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=PLAIN | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


def test_the_source_distribution_holds_every_file(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    hidden = {name for name in tracked(".") if name.startswith(".")}
    assert tracked(".") - hidden <= names


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


IMPLEMENTATION = "from lru_cache.store import implementation; print(implementation)"


def test_the_wheel_says_which_store_it_has(clean_python: Path, tmp_path: Path) -> None:
    assert run(clean_python, "-c", IMPLEMENTATION, cwd=tmp_path) == f"{BUILT}\n"


def test_the_store_in_c_can_be_refused(clean_python: Path, tmp_path: Path) -> None:
    code = f"{IMPLEMENTATION}; import sys; print('lru_cache.store.native_store' in sys.modules)"
    assert run(clean_python, "-c", code, cwd=tmp_path, LRU_CACHE_PURE_PYTHON="1") == "python\nFalse\n"


def test_without_a_compiler_it_installs_on_the_store_in_python(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    home = tmp_path / "clean"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    run(
        python, "-m", "pip", "install", "--quiet", "--no-cache-dir", sdist,
        cwd=tmp_path, CC="/bin/false", LDSHARED="/bin/false",
    )  # fmt: skip
    assert run(python, "-c", IMPLEMENTATION, cwd=tmp_path) == "python\n"


def test_where_the_store_in_c_is_required_a_failing_compiler_fails_the_build(built: Path, tmp_path: Path) -> None:
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
