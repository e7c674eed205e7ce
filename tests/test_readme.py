"""The README is true: its commands are those that CI runs, and its code runs."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from harness.ports import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("command", ["pip install . && python main.py", "pip install -e '.[dev]' && pytest"])
def test_names_the_two_commands(command: str) -> None:
    assert command in README


def test_ci_runs_the_readme_s_test_command() -> None:
    """It takes the line from here, so that it cannot drift."""
    assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_the_node_is_installed_from_the_checkout_and_its_database_is_made() -> None:
    """What is published is older, and cannot be imported."""
    section = README[README.index("## Over HTTP") :]
    (first, *_) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    install, make, serve = first.splitlines()
    assert install == "pip install -e '.[server]'"
    assert make.split()[-1] in serve


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.splitlines()[0][:40])
def test_its_code_runs(snippet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRU_CACHE_SECRET", raising=False)  # with one, other machines would be dialled
    exec(compile(snippet.replace('", 5555)', f'", {free_port()})'), "README.md", "exec"), {})


def test_the_node_of_the_readme_serves_what_was_made(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    made = subprocess.run(
        [sys.executable, "-m", "lru_cache", "make-database", "input.db"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert made.stdout == "input.db: 1,000 pairs\n"
    with subprocess.Popen(
        [sys.executable, "-m", "lru_cache", "--preload", "input.db", "--port", "0"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True,
    ) as node:  # fmt: skip
        assert node.stdout is not None
        url = node.stdout.readline().split()[1].rstrip(",")
        with urllib.request.urlopen(f"{url}/get/key7", timeout=30) as answer:
            assert json.load(answer) == {"key": "key7", "val": "value7"}
        node.terminate()


# The two programs of the README of 0.0.2, but for the addresses in the second.
LOCAL = """
from lru_cache.lru_cache import LRUCache

def load_callback(key):
    return key

local_cache = LRUCache(
    load_callback=load_callback,
    maximum_capacity=5555,
    expiration_time=5555
)
data_from_cache = local_cache.get('test_key')
data_from_cache = local_cache.set('test_key', 'test_value')
"""
DISTRIBUTED = """
from lru_cache.lru_cache_distributed import LRUCacheDistributed

def load_callback(key):
    return key

local_cache = LRUCacheDistributed(
    load_callback=load_callback,
    maximum_capacity=5555,
    expiration_time=5555,
    connection_timeout=5555,
    remote_address=('127.0.0.1', 'THEIRS'),  # to be a client
    local_address=('', 'OURS')  # to be a server
)
data_from_cache = local_cache.get('test_key')
data_from_cache = local_cache.set('test_key', 'test_value')
"""
# What is added to it: each tells the other its own key, and waits for the other's.
MEETING = """
import time
local_cache.set('from OURS', 'hello')
for _ in range(2000):
    if 'from THEIRS' in local_cache:
        break
    time.sleep(0.01)
local_cache.flush()
print(local_cache.get('from THEIRS'), local_cache.get('test_key'))
"""


def test_the_local_program_of_0_0_2_works() -> None:
    names: dict[str, object] = {}
    exec(LOCAL, names)
    assert names["data_from_cache"] == "test_value"


def test_the_distributed_program_of_0_0_2_works_and_two_of_them_are_one_cache() -> None:
    ports = [str(free_port()), str(free_port())]
    programs = [
        (DISTRIBUTED + MEETING).replace("OURS", ours).replace("THEIRS", theirs)
        for ours, theirs in (ports, reversed(ports))
    ]
    running = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for program in programs
    ]
    printed = [process.communicate(timeout=100)[0] for process in running]
    assert printed == ["hello test_value\n"] * 2


def test_every_link_within_the_project_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
