"""The workers of one machine are one cache: what one of them has changed, none of them answers with as it was.

    uvicorn --workers 4 workers:app           (ASGI)
    gunicorn --workers 4 workers:wsgi         (WSGI; with --preload, too)

Each worker makes its cache where it loads the application, in the same words. One of them listens for the others,
whichever is first; when that is recycled, another does. By itself this starts both servers, in turn, and drives them
over HTTP. Needs `pip install uvicorn gunicorn`.
"""

import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from lru_cache import LRUCacheDistributed

# -- the service --------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("DATA", "."))  # stands for a database


def load(name):
    file = DATA / name
    return file.read_text() if file.exists() else None


def save(name, text):
    draft = DATA / f".{name}.{os.getpid()}"
    draft.write_text(text)
    draft.replace(DATA / name)


cache = LRUCacheDistributed(load, local_cluster=os.environ.get("CLUSTER", "workers"))


def change(name, text):
    save(name, text)  # first the database
    cache.invalidate(name)


def said(value=None):
    return json.dumps({"value": value, "worker": os.getpid()}).encode()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await cache.aconnected(timeout=2)  # so that it hears of changes before it serves; one alone goes on after that
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await cache.aclose()
        await send({"type": "lifespan.shutdown.complete"})
        return
    name, status = scope["path"].lstrip("/"), 200
    if scope["method"] == "PUT":
        change(name, (await receive())["body"].decode())
        if not await cache.aflush():
            status = 503  # it is changed; but a worker may not know yet, so let the client ask again
        body = said()
    else:
        body = said(await cache.aget(name))
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    wait_once()
    name, status = environ["PATH_INFO"].lstrip("/"), "200 OK"
    if environ["REQUEST_METHOD"] == "PUT":
        change(name, environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode())
        if not cache.flush():
            status = "503 Service Unavailable"
        body = said()
    else:
        body = said(cache.get(name))
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


@functools.cache
def wait_once():
    cache.wait_connected(timeout=2)


# -- what is shown ------------------------------------------------------------------------------------------------

SERVERS = {
    "uvicorn": ["uvicorn", "workers:app", "--workers", "4", "--log-level", "error", "--limit-max-requests", "40"],
    "gunicorn": ["gunicorn", "workers:wsgi", "--workers", "4", "--log-level", "error", "--max-requests", "40"],
}


@contextmanager
def served(server):
    """The service on a free port, with workers that are replaced after forty requests."""
    with socket.socket() as listener, tempfile.TemporaryDirectory() as folder:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        command = [sys.executable, "-m", *SERVERS[server]]
        command += ["--fd", str(listener.fileno())] if server == "uvicorn" else ["--bind", f"fd://{listener.fileno()}"]
        process = subprocess.Popen(
            command,
            cwd=Path(__file__).parent,
            env={**os.environ, "DATA": folder, "CLUSTER": f"{folder}/cache.sock"},
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait()


def ask(url, text=None):
    """Again, where a worker has gone in the midst of it."""
    for _ in range(200):
        try:
            asked = urllib.request.Request(url, text and text.encode(), method="PUT" if text else "GET")
            with urllib.request.urlopen(asked, timeout=20) as answered:
                return json.load(answered)
        except OSError:  # noqa: PERF203
            time.sleep(0.05)
    raise TimeoutError(url)


def main():
    for server in SERVERS:
        workers, old = set(), 0
        with served(server) as url:
            for number in range(60):
                workers.add(ask(f"{url}/price", f"{number} EUR")["worker"])
                for _ in range(5):
                    answered = ask(f"{url}/price")
                    workers.add(answered["worker"])
                    old += answered["value"] != f"{number} EUR"
        more = "more than four" if len(workers) > 4 else len(workers)
        print(f"{server}: 60 changes, each read five times right after it by {more} workers: {old} old values")


if __name__ == "__main__":
    main()
