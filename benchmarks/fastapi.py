"""`python -m benchmarks fastapi`: endpoints with `cached_response`, beside ones that return a constant, in one run.

By an ASGI driver in this process, which has nothing of HTTP's own costs (requests for each second of processor), and
through uvicorn on this machine (requests a second). All of a way take turns, round by round, and a ratio is that of one
round; figures are medians. Constants are a dict, of which FastAPI makes JSON each time, and a `Response`.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.options import Options, at_least
from benchmarks.tables import table

ROUNDS = {"full": 15, "quick": 2}
REQUESTS = {"full": 4_000, "quick": 100}  # of one round of one endpoint, through uvicorn
TURNS = 8  # in this process a round is as many turns, of so many times fewer requests: short ones meet the same machine
CONNECTIONS = 8
LEAST_RATIO = 0.9

DICT, RESPONSE, DEPENDENT = "a constant dict", "a constant Response", "a dict, with a dependency"
HIT, KEYED, NOT_MODIFIED, ALWAYS_MISSED = "a hit", "a hit by user and language", "a hit that is 304", "a miss each time"
PATHS = {
    DICT: "/dict",
    RESPONSE: "/response",
    HIT: "/hit",
    NOT_MODIFIED: "/hit",
    DEPENDENT: "/dependent",
    KEYED: "/keyed",
    ALWAYS_MISSED: "/missed",
}
SERVED = (DICT, RESPONSE, HIT)
IN_PROCESS, UVICORN = "in this process", "uvicorn"
CONSTANT = {"id": 42, "name": "Ada", "email": "ada@example.org", "tags": ["a", "b", "c"], "score": 1.5}
BODY = json.dumps(CONSTANT, separators=(",", ":")).encode()
HEAD = (
    (b"host", b"127.0.0.1"),
    (b"user-agent", b"benchmarks"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b"en"),
    (b"connection", b"keep-alive"),
)

Rates = dict[str, dict[str, list[float]]]  # way -> endpoint -> requests a second, by round


def made() -> dict[str, Any]:
    """An app for each endpoint, so that none is found later than another."""
    from typing import Annotated

    from fastapi import Depends, FastAPI, Response

    from lru_cache.fastapi import cached_response, lifespan

    async def user() -> dict[str, int]:
        return {"id": 7}

    async def constant() -> Any:
        return CONSTANT

    async def response() -> Any:
        return Response(BODY, media_type="application/json")

    async def dependent(user: Annotated[dict[str, int], Depends(user)]) -> Any:  # noqa: ARG001 - it costs its time
        return CONSTANT

    async def hit() -> Any:
        return CONSTANT

    async def keyed(user: Annotated[dict[str, int], Depends(user)]) -> Any:  # noqa: ARG001 - it is in the key
        return CONSTANT

    async def missed() -> Any:
        return CONSTANT

    endpoints = {
        DICT: constant,
        RESPONSE: response,
        DEPENDENT: dependent,
        HIT: cached_response(3600)(hit),
        KEYED: cached_response(3600, vary=["accept-language"], by={"user": lambda user: user["id"]})(keyed),
        # What never is kept: the costs of looking, with nothing gained.
        ALWAYS_MISSED: cached_response(3600, statuses=[299])(missed),
    }
    apps = {}
    for name, endpoint in endpoints.items():
        apps[name] = FastAPI(lifespan=lifespan())
        apps[name].get(PATHS[name])(endpoint)
    apps[NOT_MODIFIED] = apps[HIT]
    return apps


async def asked(
    app: Any, path: str, head: Sequence[tuple[bytes, bytes]], requests: int
) -> tuple[float, dict[str, Any]]:
    """Requests a second of one app, asked one after the other, and the last answer's head."""
    last: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal last
        if message["type"] == "http.response.start":
            last = message

    began = time.process_time()
    for _ in range(requests):
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": list(head),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        await app(scope, receive, send)
    return requests / (time.process_time() - began), last


async def in_process(apps: dict[str, Any], rounds: int, requests: int) -> dict[str, list[float]]:
    """All of them in turn."""
    rates: dict[str, list[float]] = {name: [] for name in PATHS}
    async with AsyncExitStack() as running:
        for app in {id(app): app for app in apps.values()}.values():
            await running.enter_async_context(app.router.lifespan_context(app))
        _, answer = await asked(apps[HIT], PATHS[HIT], HEAD, 1)
        heads = dict.fromkeys(PATHS, HEAD)
        heads[NOT_MODIFIED] = (*HEAD, (b"if-none-match", dict(answer["headers"])[b"etag"]))
        for number in range(rounds + 1):
            for name, path in PATHS.items():
                rate, _ = await asked(apps[name], path, heads[name], requests)
                if number:  # the first warms them up
                    rates[name].append(rate)
    return rates


def through_uvicorn(rounds: int, requests: int) -> dict[str, list[float]]:
    """Likewise, each served by a process of its own, over connections that stay open."""
    from benchmarks.http import Server, get

    rates: dict[str, list[float]] = {name: [] for name in SERVED}
    with ExitStack() as running:
        servers = []
        for name in SERVED:
            server = Server(name, [get(PATHS[name], CONSTANT)], ["benchmarks.fastapi_serve", name], Path.cwd())
            running.callback(server.close)
            servers.append(server)
            server.load(min(requests, 500), CONNECTIONS)
        for number in range(rounds):
            for server in servers if number % 2 == 0 else reversed(servers):
                load = server.load(requests, CONNECTIONS)
                if load.failed:
                    raise RuntimeError(f"{server.name}: {load.failed} requests failed")
                rates[server.name].append(load.rate)
    return rates


def ratios(found: dict[str, list[float]], name: str, beside: str) -> list[float]:
    """Requests a second, beside another's of the same round."""
    return [own / other for own, other in zip(found[name], found[beside], strict=True)]


def verdicts(rates: Rates) -> list[str]:
    """What is held to be so."""
    lines = []
    for way, found in rates.items():
        ratio = statistics.median(ratios(found, HIT, DICT))
        mark = "pass" if ratio >= LEAST_RATIO else "MISS"
        lines.append(f"{mark}  {way}: {HIT}, at least {LEAST_RATIO:g} x {DICT}'s requests a second: {ratio:.2f} x")
    return lines


def text(rates: Rates) -> str:
    """As a table."""
    rows = []
    for way, found in rates.items():
        for name, each in found.items():
            beside = [f"{statistics.median(ratios(found, name, other)):.2f}" for other in (DICT, RESPONSE)]
            rows.append((way, name, f"{statistics.median(each):,.0f}", *beside))
    return "\n".join(
        [*table(("asked", "endpoint", "requests/s", f"x {DICT}", f"x {RESPONSE}"), rows), "", *verdicts(rates)]
    )


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = Options("fastapi", __doc__)
    options.add_argument("--rounds", type=at_least(1), help=f"rounds over all ({ROUNDS['full']})")
    chosen = options.parse_args(arguments)
    effort = "quick" if chosen.quick else "full"
    for module in ("fastapi", "uvicorn"):
        if find_spec(module) is None:
            print(f"benchmarks: {module} is not installed: pip install '.[fastapi]' uvicorn", file=sys.stderr)
            return 1
    rounds, requests = chosen.rounds or ROUNDS[effort], REQUESTS[effort]
    rates = {
        IN_PROCESS: asyncio.run(in_process(made(), rounds * TURNS, requests // TURNS)),
        UVICORN: through_uvicorn(rounds, requests),
    }
    print(json.dumps(rates, indent=2) if chosen.json else text(rates))
    return 0
