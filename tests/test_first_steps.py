"""What somebody asks of a library that was just installed: its version, and whether it is the fast one."""

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

import lru_cache
from lru_cache import LRUCache
from lru_cache.store import implementation

SAY = "the parts in C are not used"
LISTEN = "import logging; logging.basicConfig(level=logging.INFO, format='%(name)s %(levelname)s %(message)s')"


def lines_of(code: str, monkeypatch: pytest.MonkeyPatch, pure: str) -> list[str]:
    monkeypatch.setenv("LRU_CACHE_PURE_PYTHON", pure)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [line for line in done.stderr.splitlines() if SAY in line]


def test_the_version_is_that_of_the_package() -> None:
    assert lru_cache.__version__ == version("cf_LRU_cache")


def test_the_statistics_say_whether_the_parts_in_c_are_used() -> None:
    assert LRUCache[Any, Any]().stats().implementation == implementation


@pytest.mark.parametrize("kind", ["LRUCache", "LRUCacheDistributed"])
def test_a_cache_without_the_parts_in_c_says_so_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"{LISTEN}; import lru_cache; lru_cache.{kind}(); lru_cache.{kind}()"
    (line,) = lines_of(code, monkeypatch, "1")
    assert line.startswith("lru_cache INFO ")
    assert line.endswith(": LRU_CACHE_PURE_PYTHON refuses them")


def test_a_build_without_the_parts_in_c_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    hide = "import sys; sys.modules['lru_cache.store.native_store'] = None"
    (line,) = lines_of(f"{LISTEN}; {hide}; import lru_cache; lru_cache.LRUCache()", monkeypatch, "")
    assert line.endswith(": they are not built, which takes a C compiler")


@pytest.mark.skipif(implementation == "python", reason="there are no parts in C here to be silent about")
def test_a_cache_with_the_parts_in_c_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines_of(f"{LISTEN}; import lru_cache; lru_cache.LRUCache()", monkeypatch, "") == []
