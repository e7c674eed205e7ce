"""A service of Flask on four workers of gunicorn: what one of them has deleted from its cache, all others have no more.

    gunicorn --workers 4 flask_service:app      or, in one process:      flask --app flask_service run

The configuration is all that there is to it. By itself this starts the server, and drives it over HTTP; with
`flask run` as its argument, that of Flask beside a gunicorn, which are one cache, too. Needs
`pip install 'cf_LRU_cache[flask]' gunicorn`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import Flask, request
from flask_caching import Cache

# -- the service --------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("DATA", "."))  # stands for a database

app = Flask(__name__)
app.config.update(
    CACHE_TYPE="lru_cache.flask.LRUCacheBackend",
    CACHE_LOCATION=os.environ.get("CLUSTER", "flask-service"),
    CACHE_DEFAULT_TIMEOUT=3600,
)
cache = Cache(app)


@cache.memoize()
def price(name):
    file = DATA / name
    return file.read_text() if file.exists() else ""


@app.get("/price/<name>")
def get(name):
    return {"value": price(name), "worker": os.getpid()}


@app.put("/price/<name>")
def put(name):
    draft = DATA / f".{name}.{os.getpid()}"
    draft.write_text(request.get_data(as_text=True))
    draft.replace(DATA / name)  # first the database
    cache.delete_memoized(price, name)
    if not cache.cache.node.flush():  # only for who wants to know that all workers have heard of it
        return {}, 503
    return {"worker": os.getpid()}


# -- what is shown ------------------------------------------------------------------------------------------------

GUNICORN = ["gunicorn", "flask_service:app", "--workers", "4", "--log-level", "error", "--bind"]
FLASK = ["flask", "--app", "flask_service", "run", "--port"]


@contextmanager
def served(command, folder):
    """The service on a free port, which is kept for it: Flask takes a number, gunicorn the socket itself."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        if command is GUNICORN:
            listener.listen(100)
        process = subprocess.Popen(
            [sys.executable, "-m", *command, f"fd://{listener.fileno()}" if command is GUNICORN else str(port)],
            cwd=Path(__file__).parent,
            env={**os.environ, "DATA": folder, "CLUSTER": f"{folder}/cache.sock"},
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=None if command is GUNICORN else subprocess.DEVNULL,  # where Flask notes each request
        )
        try:
            yield f"http://127.0.0.1:{port}/price/tea"
        finally:
            process.send_signal(signal.SIGTERM if command is GUNICORN else signal.SIGINT)
            process.wait()


def ask(url, text=None):
    """Again, where a worker does not serve yet, or could not tell all others."""
    for _ in range(400):
        try:
            asked = urllib.request.Request(url, text and text.encode(), method="PUT" if text else "GET")
            with urllib.request.urlopen(asked, timeout=20) as answered:
                return json.load(answered)
        except OSError:  # noqa: PERF203
            time.sleep(0.05)
    raise TimeoutError(url)


def main(commands):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored, as behind nohup, a server ignores, too
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        readers = running.enter_context(ThreadPoolExecutor(8))  # one after another might always meet the same worker
        urls = [running.enter_context(served(command, folder)) for command in commands]
        wanted, workers, old, changes = 4 if commands == [GUNICORN] else 5, set(), 0, 0
        while changes < 20 or (len(workers) < wanted and changes < 2000):
            changes += 1
            ask(urls[changes % len(urls)], f"{changes} EUR")
            for answered in readers.map(ask, urls * 8):
                if answered["worker"] in workers:
                    old += answered["value"] != f"{changes} EUR"
                workers.add(answered["worker"])
    print(f"{len(workers)} workers; each change was read right after it: {old} old values")


if __name__ == "__main__":
    main([GUNICORN, FLASK] if sys.argv[1:] == ["flask", "run"] else [GUNICORN])
