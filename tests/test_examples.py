"""The examples run as they stand, and show what they say."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.engines.servers import find_server

EXAMPLES = Path(__file__).parent.parent / "examples"


def printed_by(name: str, *arguments: str) -> list[str]:
    """The lines of an example that ended well."""
    run = subprocess.Popen(
        [sys.executable, EXAMPLES / name, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=EXAMPLES.parent,
        start_new_session=True,
    )
    try:
        printed, complaints = run.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)  # with the servers that it has started
        raise
    assert (run.returncode, complaints) == (0, "")
    return printed.splitlines()


def test_two_regions() -> None:
    assert printed_by("two_regions.py") == [
        "    the database is asked for user 7",
        "montreal asks for user 7, and gets 'user 7'",
        "sydney asks for user 7, and gets 'user 7'",
        "sydney has set user 7; montreal gets 'Ada'",
        "montreal has invalidated user 7; it is no longer in sydney",
    ]


def test_two_regions_take_about_twenty_lines() -> None:
    """Of code: without the docstring and empty lines."""
    code = (EXAMPLES / "two_regions.py").read_text().split('"""')[2]
    assert len([line for line in code.splitlines() if line]) <= 22


def test_two_engines() -> None:
    find_server("redis")
    values = [re.findall(r"-[12]: ([a-z ]+)", line) for line in printed_by("two_engines.py")]
    assert values == [
        ["hello", "hello", "hello", "hello"],
        ["good day", "good day", "hello", "hello"],
        ["good day", "good day", "good day", "good day"],
        ["good day", "good day", "bonjour", "good day"],
        ["bonjour", "bonjour", "bonjour", "bonjour"],
    ]


def test_star_of_workers() -> None:
    *workers, hub = printed_by("star_of_workers.py")
    assert sorted(workers) == [
        f"worker {number} reads the factor 10, and the results [10, 20, 30]" for number in (1, 2, 3)
    ]
    assert hub == "the hub has [('result', 1), ('result', 2), ('result', 3)]"


def test_ring_of_regions() -> None:
    values = [re.findall(r"(?:lisbon|sydney|montreal): ([\w ]+)", line) for line in printed_by("ring_of_regions.py")]
    assert values == [
        ["a ring", "a ring", "a ring"],
        ["a detour", "a detour", "a detour"],
        ["the newest", "the newest", "on my own"],
        ["the newest", "the newest", "the newest"],
    ]


def test_tls_and_secret() -> None:
    printed = printed_by("tls_and_secret.py")
    said = [line for line in printed if not line.startswith("    log:")]
    logged = "\n".join(line for line in printed if line.startswith("    log:"))
    assert said == [
        "over TLS, montreal reads '1234'",
        "with a stolen certificate but not the secret: linked is False",
        "with a certificate of another authority: linked is False",
    ]
    assert "it refused us: its secret is not ours" in logged
    assert re.search("refused .*certificate verify failed", logged)


def test_preforked_server() -> None:
    first, *answers = printed_by("preforked_server.py")
    assert first == "one worker was told a value"
    assert Counter(answers) == {"the same worker answers 'hello'": 1, "another worker answers 'hello'": 2}


def test_workers() -> None:
    assert [line.rpartition(":")[0] for line in printed_by("workers.py")] == [
        f"{server}: 60 changes, each read five times right after it by more than four workers"
        for server in ("uvicorn", "gunicorn")
    ]


def test_django_service() -> None:
    """Without links most answers would be old; with them a few may be, of workers that have just begun."""
    (line,) = printed_by("django_service.py")
    found = re.fullmatch(r"4 workers; each change was read right after it: (\d+) old values", line)
    assert found is not None
    assert int(found[1]) <= 5


@pytest.mark.parametrize(("arguments", "workers"), [((), 4), (("flask", "run"), 5)])
def test_flask_service(arguments: tuple[str, ...], workers: int) -> None:
    """Likewise."""
    (line,) = printed_by("flask_service.py", *arguments)
    found = re.fullmatch(rf"{workers} workers; each change was read right after it: (\d+) old values", line)
    assert found is not None
    assert int(found[1]) <= 5


def test_dogpile_service() -> None:
    """Likewise, of one value and of all."""
    lines = [line.split(": ") for line in printed_by("dogpile_service.py")]
    assert [(what, said) for what, said, _ in lines] == [
        (what, "4 workers; each change was read right after it")
        for what in ("price.invalidate(name)", "region.invalidate()")
    ]
    assert all(int(old.partition(" ")[0]) <= 5 for *_, old in lines)


def test_fastapi_service() -> None:
    assert printed_by("fastapi_service.py") == [
        "199 answers for ada; asked of the source: 1",
        "199 answers for bob; asked of the source: 1",
        "the only client left: nobody wants that load any more, and it was cancelled",
    ]


def test_fastapi_responses() -> None:
    """Without links most answers would be old; with them a few may be, of workers that have just begun."""
    workers, cached = printed_by("fastapi_responses.py")
    found = re.fullmatch(r"4 workers; each change was read eight times right after it: (\d+) old answers", workers)
    assert found is not None
    assert int(found[1]) <= 5
    assert cached == "more than half of all came from the cache: True"


def test_metrics_service() -> None:
    assert printed_by("metrics_service.py") == [
        "workers that are scraped: 4; each knows the others",
        "loads: 1; workers that have the user: 4",
        "one worker invalidates the user: gone in all workers",
        "workers that were told: 3",
        "workers that have the user: 0",
    ]


def test_the_readonly_server_tests_itself_with_what_it_asks_for() -> None:
    """Its requirements name no plugin of pytest, while the settings of the project around it need one."""
    folder = EXAMPLES / "readonly_server"
    assert "pytest-timeout" not in (folder / "requirements.txt").read_text()
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:timeout", "-p", "no:cacheprovider"],
        capture_output=True, text=True, timeout=100, check=False, cwd=folder,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


def listed() -> set[str]:
    return set(re.findall(r"\]\((\w+\.py)\)", (EXAMPLES / "README.md").read_text()))


def test_every_example_is_listed_and_tested() -> None:
    tests = {name.removeprefix("test_") + ".py" for name in globals() if name.startswith("test_")}
    examples = {path.name for path in EXAMPLES.glob("*.py")}
    assert examples == listed()
    assert examples <= tests


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_says_what_it_shows(path: Path) -> None:
    assert path.read_text().startswith('"""')
