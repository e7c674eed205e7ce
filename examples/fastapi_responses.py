"""A service of FastAPI whose answers are cached, on four workers of uvicorn: what one of them has changed, none answers
with as it was.

    uvicorn --workers 4 fastapi_responses:app

By itself this starts the server, and drives it over HTTP. Needs `pip install 'cf_LRU_cache[fastapi]' uvicorn`.
"""

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

from fastapi import FastAPI, HTTPException, Request

from lru_cache.fastapi import AppCache, cached_response, invalidate_response, lifespan

# -- the service --------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("DATA", "."))  # stands for a database

app = FastAPI(lifespan=lifespan(local_cluster=os.environ.get("CLUSTER", "fastapi-responses")))


@app.get("/price/{name}")
@cached_response(3600)
def read_price(name: str):
    file = DATA / name
    return {"value": file.read_text() if file.exists() else None}


@app.put("/price/{name}")
async def change_price(name: str, request: Request, cache: AppCache):
    draft = DATA / f".{name}.{os.getpid()}"
    draft.write_bytes(await request.body())
    draft.replace(DATA / name)  # first the database
    invalidate_response(cache, f"/price/{name}")
    if not await cache.aflush():  # only for who wants to know that all workers have heard of it
        raise HTTPException(503)


@app.middleware("http")
async def say_who_answers(request: Request, call_next):
    response = await call_next(request)
    response.headers["x-worker"] = str(os.getpid())
    return response


# -- what is shown ------------------------------------------------------------------------------------------------


@contextmanager
def served():
    """The service on a free port."""
    with socket.socket() as listener, tempfile.TemporaryDirectory() as folder:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        command = ["uvicorn", "fastapi_responses:app", "--workers", "4", "--log-level", "error"]
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "--fd", str(listener.fileno())],
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
    """The answer and its head. Again, where a worker does not serve yet, or could not tell all others."""
    for _ in range(400):
        try:
            asked = urllib.request.Request(url, text and text.encode(), method="PUT" if text else "GET")
            with urllib.request.urlopen(asked, timeout=20) as answered:
                return json.load(answered), answered.headers
        except OSError:  # noqa: PERF203
            time.sleep(0.05)
    raise TimeoutError(url)


def main():
    with served() as url:
        workers, changes, old, hits = set(), 0, 0, 0
        while changes < 50 or (len(workers) < 4 and changes < 2000):
            changes += 1
            ask(f"{url}/price/tea", f"{changes} EUR")
            for _ in range(8):
                answer, head = ask(f"{url}/price/tea")
                workers.add(head["x-worker"])
                old += answer["value"] != f"{changes} EUR"
                hits += head["cache-status"].startswith("lru_cache; hit")
    print(f"{len(workers)} workers; each change was read eight times right after it: {old} old answers")
    print(f"more than half of all came from the cache: {hits > changes * 4}")


if __name__ == "__main__":
    main()
