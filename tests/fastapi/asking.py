"""Requests to an app in this process, and apps that count how often their endpoints were asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

PATIENCE = 10.0


class Answer:
    """What an app answered."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.pairs = [(name.decode(), value.decode()) for name, value in headers]
        self.headers = dict(self.pairs)
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cache(self) -> str:
        """What Cache-Status says, without the name."""
        return self.headers["cache-status"].removeprefix("lru_cache; ")

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.pairs if found == name]


async def ask(
    app: Any,
    path: str,
    headers: dict[str, str] | Iterable[tuple[str, str]] = (),
    method: str = "GET",
    body: bytes = b"",
    **scope: Any,
) -> Answer:
    """One request, as a server brings it."""
    path, _, query = path.partition("?")
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    if "host" not in dict(pairs):
        pairs.insert(0, ("host", "test"))
    started: dict[str, Any] = {}
    parts: list[bytes] = []
    received = False

    async def receive() -> Any:
        nonlocal received
        if received:
            await asyncio.Event().wait()
        received = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        else:
            parts.append(message.get("body", b""))

    asked = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
        **scope,
    }
    await app(asked, receive, send)
    return Answer(started["status"], list(started["headers"]), b"".join(parts))


@asynccontextmanager
async def started(*apps: Any) -> AsyncIterator[None]:
    """Apps between their start and their end."""
    if not apps:
        yield
        return
    async with apps[0].router.lifespan_context(apps[0]), started(*apps[1:]):
        yield


def run(*apps: Any) -> Callable[[Callable[[], Coroutine[Any, Any, None]]], None]:
    """Run a test's `async def` while these apps run: `@run(app)` above it."""

    def of(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def within() -> None:
            async with started(*apps):
                await asyncio.wait_for(main(), PATIENCE * 3)

        asyncio.run(within())

    return of


async def until(condition: Callable[[], Any]) -> None:
    """Let other tasks go on until something is so."""
    for _ in range(int(PATIENCE * 1000)):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came true")


class Gate:
    """Stops an endpoint in the middle."""

    def __init__(self) -> None:
        self.entered = 0
        self.opened = asyncio.Event()

    async def pass_through(self) -> None:
        self.entered += 1
        await self.opened.wait()
