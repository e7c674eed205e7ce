"""Whatever serves a project of Django: what one process has changed in its cache, no other reads as it was.

Real servers, several processes each, driven over HTTP; the project is that of examples/django_service.py.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from harness.ports import free_port

HERE = Path(__file__).parent
CHANGES = 15
SEEN_OLD = 5  # by processes that have just begun, and are not linked
SERVERS = {
    "gunicorn --preload": ["gunicorn", "project:wsgi", "--preload", "--workers", "4", "--bind", "127.0.0.1:{port}"],
    "uvicorn": ["uvicorn", "project:asgi", "--workers", "4", "--lifespan", "off", "--port", "{port}"],
    "runserver": ["project", "runserver", "127.0.0.1:{port}"],
    "runserver --noreload": ["project", "runserver", "--noreload", "127.0.0.1:{port}"],
}


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[None]:
    """A process of the project, with all that it starts."""
    log = (folder / f".log {len(list(folder.glob('.log*')))}").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=HERE,
        env={**os.environ, "DATA": str(folder), "CLUSTER": str(folder / "cache.sock"), "C_FORCE_ROOT": "1"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a reloader ends without its child
            log.close()


def ask(url: str, text: str | None = None) -> dict[str, object]:
    """Again, where nobody serves yet, or where a change could not be told to all."""
    for _ in range(600):
        try:
            asked = urllib.request.Request(url, text and text.encode(), method="PUT" if text else "GET")
            with urllib.request.urlopen(asked, timeout=20) as answered:
                found: dict[str, object] = json.load(answered)
                return found
        except OSError:  # noqa: PERF203
            time.sleep(0.05)
    raise TimeoutError(url)


def old_values(urls: list[str], wanted: int) -> int:
    """How many were read by processes that had served before, after each of a number of changes."""
    workers, old, changes = set(), 0, 0
    readers = ThreadPoolExecutor(8)  # who asks one after another may always meet the same worker
    while changes < CHANGES or (len(workers) < wanted and changes < 1_000):
        changes += 1
        ask(urls[changes % len(urls)], f"{changes} EUR")
        for answered in readers.map(ask, urls * 8):
            if answered["worker"] in workers:
                old += answered["value"] != f"{changes} EUR"
            workers.add(answered["worker"])
    readers.shutdown()
    assert len(workers) >= wanted
    return old


@pytest.mark.parametrize("server", SERVERS)
def test_a_change_in_one_process_is_read_in_all(server: str, tmp_path: Path) -> None:
    """`runserver` is one process: there two of them run beside each other."""
    tmp_path.chmod(0o700)
    ports = [free_port() for _ in range(2 if "runserver" in server else 1)]
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(running([part.format(port=port) for part in SERVERS[server]], tmp_path))
        urls = [f"http://127.0.0.1:{port}/tea" for port in ports]
        assert old_values(urls, len(ports) if "runserver" in server else 4) <= SEEN_OLD


def test_tasks_of_celery_read_what_a_view_has_changed(tmp_path: Path) -> None:
    """Its worker forks processes for tasks, each of which is one of the cluster."""
    tmp_path.chmod(0o700)
    port = free_port()
    server = [part.format(port=port) for part in SERVERS["runserver --noreload"]]
    worker = ["celery", "-A", "project:queue", "worker", "--pool", "prefork", "--concurrency", "2", "-l", "warning"]
    with running(server, tmp_path), running(worker, tmp_path):
        url = f"http://127.0.0.1:{port}/tea"
        asked = subprocess.run(
            [sys.executable, HERE / "ask_celery.py", url, str(CHANGES)],
            cwd=HERE,
            env={**os.environ, "DATA": str(tmp_path), "CLUSTER": str(tmp_path / "cache.sock")},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert asked.returncode == 0, asked.stderr
    processes, old = json.loads(asked.stdout)
    assert processes == 2
    assert old <= SEEN_OLD
