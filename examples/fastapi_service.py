"""A FastAPI service on uvicorn with one cache for its `async def` endpoints and for its `def` ones.

However many requests miss a user at once, the source is asked once. A client that leaves ends its own request and
nobody else's; the load ends with the last who wants it. Needs FastAPI and uvicorn: `pip install '.[server]'`.
"""

import asyncio
import threading
import time
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, HTTPException, Request

from lru_cache import LRUCache

# -- the service --------------------------------------------------------------------------------------------------


SECONDS = {"ada": 0.5, "bob": 0.5, "slow": 60.0}


class Source:
    """Stands for a database."""

    def __init__(self):
        self.asked = []
        self.cancelled = []

    async def load_user(self, name):
        self.asked.append(name)
        try:
            await asyncio.sleep(SECONDS[name])
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        return {"name": name, "visits": len(self.asked)}

    def load_user_in_thread(self, name):
        self.asked.append(name)
        time.sleep(SECONDS[name])
        return {"name": name, "visits": len(self.asked)}


source = Source()
users = LRUCache(source.load_user, expiration_time=600)
app = FastAPI()


@app.get("/users/{name}")
async def read_user(name: str, request: Request):
    return await unless_gone(request, users.aget(name))


@app.get("/in-a-thread/users/{name}")
def read_user_in_thread(name: str):
    """A plain call cannot await the cache's own loader; it shares a load that is running, and else brings this one."""
    return users.get(name, load=source.load_user_in_thread)


async def unless_gone(request, look_up):
    """Wait for it, but no longer than the client does: by itself, FastAPI lets an endpoint run to its end."""
    wanted = asyncio.ensure_future(look_up)
    gone = asyncio.ensure_future(disconnected(request))
    try:
        await asyncio.wait([wanted, gone], return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            raise HTTPException(499)
        return wanted.result()
    finally:
        wanted.cancel()
        gone.cancel()


async def disconnected(request):
    while (await request.receive())["type"] != "http.disconnect":
        pass


# -- what is shown ------------------------------------------------------------------------------------------------


@contextmanager
def served():
    """The service in a thread of this process, on a free port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join()


def until(is_so):
    for _ in range(10_000):
        if is_so():
            return
        time.sleep(0.002)
    raise TimeoutError


async def get(address, path):
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: example\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n")[0].decode()


async def crowd(address, *paths):
    """200 clients. The one that came first leaves, while others wait for the load that it began."""
    before = users.stats().misses
    first = asyncio.ensure_future(get(address, paths[0]))
    name = paths[0].rsplit("/", 1)[1]
    await asyncio.to_thread(until, lambda: name in source.asked)
    rest = [asyncio.ensure_future(get(address, paths[number % len(paths)])) for number in range(199)]
    await asyncio.to_thread(until, lambda: users.stats().misses >= before + 2)
    first.cancel()
    answers = await asyncio.gather(*rest)
    answered = answers.count("HTTP/1.1 200 OK")
    print(f"{answered} answers for {name}; asked of the source: {source.asked.count(name)}")


async def alone(address):
    only = asyncio.ensure_future(get(address, "/users/slow"))
    await asyncio.to_thread(until, lambda: "slow" in source.asked)
    only.cancel()
    await asyncio.to_thread(until, lambda: source.cancelled)
    print("the only client left: nobody wants that load any more, and it was cancelled")


with served() as address:
    asyncio.run(crowd(address, "/users/ada"))
    asyncio.run(crowd(address, "/users/bob", "/in-a-thread/users/bob"))
    asyncio.run(alone(address))
