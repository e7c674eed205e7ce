"""A WSGI service with a region of dogpile.cache on four workers of gunicorn: what one invalidates, none has any more.

    gunicorn --workers 4 dogpile_service:application

By itself this starts the server, and drives it over HTTP. Needs `pip install 'cf_LRU_cache[dogpile]' gunicorn`.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from dogpile.cache import make_region

from lru_cache.dogpile import SharedInvalidation

# -- the service --------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("DATA", "."))  # stands for a database

region = make_region(name="prices")
region.configure(
    "lru_cache",
    expiration_time=3600,
    arguments={"location": os.environ.get("CLUSTER", "dogpile-service")},
    region_invalidator=SharedInvalidation(region),
)


@region.cache_on_arguments()
def price(name):
    file = DATA / name
    return file.read_text() if file.exists() else ""


def application(environ, start_response):
    """GET and PUT of /name; DELETE of all that was ever computed."""
    name, answer, status = environ["PATH_INFO"].strip("/"), {"worker": os.getpid()}, "200 OK"
    if environ["REQUEST_METHOD"] == "GET":
        answer["value"] = price(name)
    elif environ["REQUEST_METHOD"] == "PUT":
        write(name, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        price.invalidate(name)
    else:
        write(name, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        region.invalidate()
    # Only for who wants to know that all workers have heard of it.
    if environ["REQUEST_METHOD"] != "GET" and not region.backend.node.flush():
        status = "503 Service Unavailable"
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def write(name, text):
    draft = DATA / f".{name}.{os.getpid()}"
    draft.write_bytes(text)
    draft.replace(DATA / name)


# -- what is shown ------------------------------------------------------------------------------------------------


@contextmanager
def served():
    """The service on a free port."""
    with socket.socket() as listener, tempfile.TemporaryDirectory() as folder:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        command = ["gunicorn", "dogpile_service:application", "--workers", "4", "--log-level", "error"]
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--bind", f"fd://{listener.fileno()}"],
            cwd=Path(__file__).parent,
            env={**os.environ, "DATA": folder, "CLUSTER": f"{folder}/cache.sock"},
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/tea"
        finally:
            process.terminate()
            process.wait()


def ask(url, method="GET", text=None):
    """Again, where a worker does not serve yet, or could not tell all others."""
    for _ in range(400):
        try:
            asked = urllib.request.Request(url, text and text.encode(), method=method)
            with urllib.request.urlopen(asked, timeout=20) as answered:
                return json.load(answered)
        except OSError:  # noqa: PERF203
            time.sleep(0.05)
    raise TimeoutError(url)


def main():
    for method, what in (("PUT", "price.invalidate(name)"), ("DELETE", "region.invalidate()")):
        with served() as url, ThreadPoolExecutor(8) as readers:  # one after another might always meet the same worker
            workers, old, changes = set(), 0, 0
            while changes < 20 or (len(workers) < 4 and changes < 2000):
                changes += 1
                ask(url, method, f"{changes} EUR")
                for answered in readers.map(ask, [url] * 8):
                    if answered["worker"] in workers:
                        old += answered["value"] != f"{changes} EUR"
                    workers.add(answered["worker"])
        print(f"{what}: {len(workers)} workers; each change was read right after it: {old} old values")


if __name__ == "__main__":
    main()
