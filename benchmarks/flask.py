"""`python -m benchmarks flask`: reads of Flask-Caching and dogpile.cache, on ours and on theirs in memory, in one run.

`cache.get` of Flask-Caching, through which it finds the cache of the application, and the cache's own `get`; `get` of a
region of dogpile. Figures are medians of the rounds, in which all take turns.
"""

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import Any

from benchmarks.options import Options, at_least
from benchmarks.tables import table

ROUNDS = {"full": 15, "quick": 2}
TIMES = {"full": 20_000, "quick": 200}
OURS, SIMPLE, MEMORY, PICKLED = "lru_cache", "SimpleCache", "memory", "memory_pickle"
KEY = "user:42:profile"

Figures = dict[str, dict[str, dict[str, float]]]  # value -> what is asked -> backend -> microseconds


def values() -> dict[str, Any]:
    """What is kept: a text, a dict of six fields, one of twenty rows, and a page as `cached` keeps it."""
    from flask import Response

    fields = {"id": 1, "name": "Ada", "email": "ada@example.org", "active": True, "score": 1.5, "tags": ["a", "b"]}
    return {
        "a text": "Ada",
        "six fields": fields,
        "twenty rows": [{"id": number, "name": f"user {number}"} for number in range(20)],
        "a response": Response("<p>Hello</p>" * 100, headers={"Cache-Control": "max-age=60"}),
    }


def readers() -> tuple[dict[str, dict[str, Callable[[str], Any]]], list[Any]]:
    """How each is asked; and of each what keeps a value for all of its ways."""
    from dogpile.cache import make_region
    from flask import Flask
    from flask_caching import Cache

    ways: dict[str, dict[str, Callable[[str], Any]]] = {"cache.get": {}, "the cache's get": {}, "region.get": {}}
    keepers: list[Any] = []
    for name, place in ((OURS, "lru_cache.flask.LRUCacheBackend"), (SIMPLE, "SimpleCache")):
        app = Flask(name)
        app.config["CACHE_TYPE"] = place
        cache = Cache(app)
        ways["cache.get"][name] = cache.get
        ways["the cache's get"][name] = app.extensions["cache"][cache].get
        keepers.append(cache)
    for name, place in (
        (OURS, "lru_cache"),
        (MEMORY, "dogpile.cache.memory"),
        (PICKLED, "dogpile.cache.memory_pickle"),
    ):
        region = make_region().configure(place)
        ways["region.get"][name] = region.get
        keepers.append(region)
    return ways, keepers


def microseconds(get: Callable[[str], Any], times: int) -> float:
    """How long one call takes."""
    start = perf_counter()
    for _ in range(times):
        get(KEY)
    return (perf_counter() - start) / times * 1e6


def measure(rounds: int, times: int) -> Figures:
    """All in turn, round by round."""
    ways, keepers = readers()
    figures: Figures = {}
    for what, value in values().items():
        asked = {way: found for way, found in ways.items() if way != "region.get" or what != "a response"}
        for keeper in keepers if what != "a response" else keepers[:2]:
            keeper.set(KEY, value)
        found: dict[str, dict[str, list[float]]] = {way: {name: [] for name in of} for way, of in asked.items()}
        for _ in range(rounds):
            for way, of in asked.items():
                for name, get in of.items():
                    found[way][name].append(microseconds(get, times))
        figures[what] = {way: {name: statistics.median(each) for name, each in of.items()} for way, of in found.items()}
    return figures


def text(figures: Figures) -> str:
    """As a table, with what each takes beside ours."""
    rows = []
    for what, ways in figures.items():
        for way, found in ways.items():
            ours = found[OURS]
            others = [f"{name} {each:.2f} ({each / ours:.1f} x)" for name, each in found.items() if name != OURS]
            rows.append((what, way, f"{ours:.2f}", ", ".join(others)))
    return "\n".join(["Microseconds for each", *table(("what", "asked by", OURS, "others"), rows)])


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = Options("flask", __doc__)
    options.add_argument("--rounds", type=at_least(1), help=f"rounds over all ({ROUNDS['full']})")
    chosen = options.parse_args(arguments)
    effort = "quick" if chosen.quick else "full"
    for module, extra in (("flask_caching", "flask"), ("dogpile", "dogpile")):
        if find_spec(module) is None:
            print(f"benchmarks: {module} is not installed: pip install '.[{extra}]'", file=sys.stderr)
            return 1
    from dogpile.cache import register_backend

    register_backend("lru_cache", "lru_cache.dogpile", "LRUCacheBackend")  # also where the package is not installed
    figures = measure(chosen.rounds or ROUNDS[effort], TIMES[effort])
    print(json.dumps(figures, indent=2) if chosen.json else text(figures))
    return 0
