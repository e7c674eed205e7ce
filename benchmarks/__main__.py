"""The command line: picks a measurement by its name and hands it the other arguments.

A new measurement is a module with `main(arguments) -> exit status` and one line in MEASUREMENTS. Modules are
imported only when chosen, so that one measurement's requirements are not another's.
"""

import importlib
import sys
from collections.abc import Sequence

MEASUREMENTS = {
    "codecs": "values of own classes, beside msgspec, pydantic and pickle alone",
    "fleet": "many caches on one Redis: what they cost it and themselves, from 10 to 200, and 1,000 on paper",
    "django": "Django's cache.get, on ours, LocMem, Redis and memcached",
    "fastapi": "endpoints with cached_response, beside ones that return a constant",
    "flask": "reads of Flask-Caching and dogpile.cache, on ours and on their own in memory",
    "http": "the HTTP node, beside a bare FastAPI app that returns a constant",
    "hub": "one node with many links: what it pays for each write and link, and when idle",
    "local": "LRUCache in one process, beside dict, functools.lru_cache and the caches people use",
    "network": "LRUCacheDistributed between processes, linked or on an engine, beside raw TCP, Redis and NATS",
    "pauses": "how long one call keeps all others out, with a million entries",
    "replication": "the replication core in one process, as ratios to bare msgpack",
    "soak": "five nodes under load and faults for minutes: what grows, and whether they agree in the end",
    "simulate": "the replication simulator over many seeds, on all cores",
}


def usage() -> str:
    """List the measurements that there are, one a line."""
    lines = [f"  {name:<12} {claim}" for name, claim in MEASUREMENTS.items()]
    return "\n".join(["usage: python -m benchmarks MEASUREMENT [--help] [options]", "", "measurements:", *lines])


def main(arguments: Sequence[str]) -> int:
    """Run the measurement that the first argument names; 2 is the status of a command that makes no sense."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in MEASUREMENTS:
        print(
            f"benchmarks: no measurement is called {name!r}; there is {', '.join(MEASUREMENTS)}",
            file=sys.stderr,
        )
        return 2
    measurement = importlib.import_module(f"benchmarks.{name}")
    status: int = measurement.main(rest)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
