"""Four workers of uvicorn are one cache, and Prometheus scrapes each: what one invalidates, the others' figures show.

    uvicorn --workers 4 metrics_service:app

A scrape of the service's own port would reach any one of the workers. So each shows its figures at a free port of its
own, and leaves that in a file of a directory which Prometheus watches (`file_sd_configs`). By itself this starts the
server, scrapes all workers as Prometheus does, and stops it. Needs uvicorn, and prometheus-client 0.19 for the port.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import start_http_server

from lru_cache import LRUCacheDistributed, metrics

# -- the service --------------------------------------------------------------------------------------------------

TARGETS = Path(os.environ.get("TARGETS", "targets"))  # prometheus.yml: file_sd_configs: [{files: ["targets/*.json"]}]

users = LRUCacheDistributed(lambda name: f"user {name}", local_cluster=os.environ.get("CLUSTER", "users"))
metrics.prometheus(users, name="users")


@contextmanager
def shown():
    """The figures of this worker, at a port that Prometheus finds."""
    server, _ = start_http_server(0, addr="127.0.0.1")
    target = TARGETS / f"{os.getpid()}.json"
    draft = target.with_suffix(".draft")
    draft.write_text(json.dumps([{"targets": [f"127.0.0.1:{server.server_port}"], "labels": {"job": "users"}}]))
    draft.replace(target)
    try:
        yield
    finally:
        target.unlink()
        server.shutdown()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        with shown():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await users.aclose()
        await send({"type": "lifespan.shutdown.complete"})
        return
    name = scope["path"].lstrip("/")
    if scope["method"] == "DELETE":
        users.invalidate(name)
        said = b"gone in all workers" if await users.aflush() else b"gone here, and elsewhere soon"
    else:
        said = (await users.aget(name)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said})


# -- what is shown ------------------------------------------------------------------------------------------------


SERVER = ["uvicorn", "metrics_service:app", "--workers", "4", "--log-level", "error"]


@contextmanager
def served(folder):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        process = subprocess.Popen(
            [sys.executable, "-m", *SERVER, "--fd", str(listener.fileno())],
            cwd=Path(__file__).parent,
            env={**os.environ, "TARGETS": folder, "CLUSTER": f"{folder}/cache.sock"},
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.wait()


def ask(url, method="GET"):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answered:
        return answered.read().decode()


def scraped(folder):
    """The figures of each worker, by their names and labels."""
    files = [json.loads(file.read_text()) for file in Path(folder).glob("*.json")]
    texts = [ask(f"http://{target}/metrics") for groups in files for group in groups for target in group["targets"]]
    return [dict(re.findall(r"^(lru_cache_\S+) (\S+)$", text, re.MULTILINE)) for text in texts]


def total(folder, name):
    return sum(float(figures[f'{name}{{cache="users"}}']) for figures in scraped(folder))


def until(is_so):
    for _ in range(1_000):
        if is_so():
            return
        time.sleep(0.05)
    raise TimeoutError


def main():
    with tempfile.TemporaryDirectory() as folder, served(folder) as url:
        until(lambda: len(scraped(folder)) == 4 and total(folder, "lru_cache_links") == 6)
        print(f"workers that are scraped: {len(scraped(folder))}; each knows the others")

        ask(f"{url}/ada")
        until(lambda: total(folder, "lru_cache_size") == 4)
        print(f"loads: {total(folder, 'lru_cache_loads_total'):.0f}; workers that have the user: 4")

        news = total(folder, "lru_cache_news_applied_total")
        print(f"one worker invalidates the user: {ask(f'{url}/ada', 'DELETE')}")
        print(f"workers that were told: {total(folder, 'lru_cache_news_applied_total') - news:.0f}")
        print(f"workers that have the user: {total(folder, 'lru_cache_size'):.0f}")


if __name__ == "__main__":
    main()
