"""`python -m benchmarks django`: `cache.get` of Django, on ours, LocMem, Redis and memcached, in one run.

As a view asks (`cache.get`, through which Django finds the backend of this thread) and of the backend itself
(`caches["default"]`, kept in a variable). Redis and memcached are processes on this machine; what is not installed is
left out. Figures are medians of the rounds, in which all take turns.
"""

import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from benchmarks import servers
from benchmarks.options import Options, at_least
from benchmarks.tables import table

ROUNDS = {"full": 15, "quick": 2}
TIMES = {"full": 20_000, "quick": 200}
OVER_SOCKETS = 20  # times fewer calls of what asks a server
OURS, LOCMEM, REDIS, MEMCACHED = "lru_cache", "LocMem", "Redis", "pymemcache"
TIMES_LOCMEM, TIMES_REDIS = 3, 10
KEY = "user:42:profile"

Figures = dict[str, dict[str, dict[str, float]]]  # value -> way to ask -> backend -> microseconds


def backends(running: ExitStack) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """CACHES of all that can be measured here, and what cannot, with the reason."""
    found = {
        OURS: {"BACKEND": "lru_cache.django.LRUCacheBackend"},
        LOCMEM: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    }
    absent = []
    for name, module, program in ((REDIS, "redis", "redis-server"), (MEMCACHED, "pymemcache", "memcached")):
        if find_spec(module) is None:
            absent.append(f"{name}: {module} is not installed (pip install '.[bench]')")
        elif servers.find_program(program) is None:
            absent.append(f"{name}: there is no {program} (apt-get install {program})")
        else:
            server = running.enter_context(servers.redis() if name == REDIS else servers.memcached())
            place = f"{servers.HOST}:{server.port}"
            found[name] = {
                REDIS: {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"redis://{place}"},
                MEMCACHED: {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": place},
            }[name]
    return found, absent


def values() -> dict[str, Any]:
    """What is kept: a text, a dict of six fields, one of twenty rows, and a page as the middleware keeps it."""
    from django.http import HttpResponse

    fields = {"id": 1, "name": "Ada", "email": "ada@example.org", "active": True, "score": 1.5, "tags": ["a", "b"]}
    return {
        "a text": "Ada",
        "six fields": fields,
        "twenty rows": [{"id": number, "name": f"user {number}"} for number in range(20)],
        "a page": HttpResponse("<p>Hello</p>" * 100, headers={"Cache-Control": "max-age=60"}),
    }


def microseconds(get: Any, times: int) -> float:
    """How long one call takes."""
    start = perf_counter()
    for _ in range(times):
        get(KEY)
    return (perf_counter() - start) / times * 1e6


def measure(names: Sequence[str], rounds: int, times: int) -> Figures:
    """All in turn, round by round."""
    from django.core.cache import caches
    from django.utils.connection import ConnectionProxy

    figures: Figures = {}
    for what, value in values().items():
        found: dict[str, dict[str, list[float]]] = {"cache.get": {}, "the backend's get": {}}
        for name in names:
            caches[name].set(KEY, value)
        for _ in range(rounds):
            for name in names:
                calls = max(1, times // (1 if name in (OURS, LOCMEM) else OVER_SOCKETS))
                proxy, backend = ConnectionProxy(caches, name), caches[name]
                found["cache.get"].setdefault(name, []).append(asked(proxy, calls))
                found["the backend's get"].setdefault(name, []).append(microseconds(backend.get, calls))
        figures[what] = {way: {name: statistics.median(each) for name, each in of.items()} for way, of in found.items()}
    return figures


def asked(cache: Any, times: int) -> float:
    """How long `cache.get(key)` takes, with the way to the backend."""
    start = perf_counter()
    for _ in range(times):
        cache.get(KEY)
    return (perf_counter() - start) / times * 1e6


def verdicts(figures: Figures) -> list[str]:
    """What is held to be so: for each value, by the backend's get and by `cache.get`."""
    lines = []
    for what, ways in figures.items():
        for way, found in ways.items():
            for other, least in ((LOCMEM, TIMES_LOCMEM), (REDIS, TIMES_REDIS)):
                if other in found:
                    ratio = found[other] / found[OURS]
                    mark = "pass" if ratio >= least else "MISS"
                    lines.append(f"{mark}  {what}, {way}: at least {least} x {other}'s speed: {ratio:.1f} x")
    return lines


def text(figures: Figures, names: Sequence[str], absent: Sequence[str]) -> str:
    """As a table."""
    rows = [
        (what, way, *(f"{found[name]:.2f}" for name in names))
        for what, ways in figures.items()
        for way, found in ways.items()
    ]
    lines = ["Microseconds for each", *table(("what", "asked by", *names), rows), "", *verdicts(figures)]
    return "\n".join([*lines, *(["", *(f"left out: {each}" for each in absent)] if absent else [])])


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = Options("django", __doc__)
    options.add_argument("--rounds", type=at_least(1), help=f"rounds over all ({ROUNDS['full']})")
    chosen = options.parse_args(arguments)
    effort = "quick" if chosen.quick else "full"
    if find_spec("django") is None:
        print("benchmarks: django is not installed: pip install '.[django]'", file=sys.stderr)
        return 1
    import django
    from django.conf import settings

    with ExitStack() as running:
        found, absent = backends(running)
        default = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        settings.configure(SECRET_KEY="of a benchmark", CACHES=found | default)  # noqa: S106 - it guards nothing
        django.setup()
        figures = measure(list(found), chosen.rounds or ROUNDS[effort], TIMES[effort])
    print(json.dumps(figures, indent=2) if chosen.json else text(figures, list(found), absent))
    return 0
