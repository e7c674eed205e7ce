"""What a cache takes before it does anything: memory for each entry, time to import, modules it drags in.

Each figure comes from a process of its own. Memory is what the operating system counts as resident, before
and after: a native cache does not allocate where Python could see it. `python -m benchmarks.footprint NAME
ENTRIES` prints one contender's bytes per entry as JSON.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

from benchmarks.contenders import CONTENDERS, Contender
from harness.processes import resident_bytes

PATIENCE_SECONDS = 60.0
ROOT = Path(__file__).resolve().parent.parent

# Printed by an interpreter of its own; what it had imported before is the bare interpreter's.
IMPORT_PROGRAM = """
import sys, time
before = set(sys.modules)
start = time.perf_counter()
{statement}
elapsed = time.perf_counter() - start
new = set(sys.modules) - before
state = ["yes" if name in new else "unknown" if name in before else "no" for name in ("socket", "ssl")]
print(elapsed * 1000, *state)
"""
OUR_IMPORT = "import lru_cache; from lru_cache import LRUCache; cache = LRUCache()"


def bytes_of_contents(entries: int) -> float:
    """What a key and a value of `bytes_per_entry` take themselves, in the blocks in which Python allocates."""
    last = entries - 1
    return sum(-(-sys.getsizeof(f"{word}{last}") // 16) * 16 for word in ("key", "value"))


def bytes_per_entry(kind: type[Contender], entries: int) -> float | None:
    """Divide what the process grew by by the entries really held; keys and values existed before.

    None: it cannot be filled in a time that anybody would wait.
    """
    keys = [f"key{number}" for number in range(entries)]
    values = [f"value{number}" for number in range(entries)]
    with kind(8) as warm_up:
        warm_up.set(keys[0], values[0])
    gc.collect()
    before = resident_bytes()
    with kind(entries) as contender:
        deadline = perf_counter() + PATIENCE_SECONDS
        for key, value in zip(keys, values, strict=True):
            contender.set(key, value)
            if perf_counter() > deadline:
                return None
        contender.settle()
        gc.collect()
        return (resident_bytes() - before) / contender.size()


def run_python(
    *arguments: str, timeout_seconds: float, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a fresh interpreter, which finds this work tree first."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=None if environment is None else dict(environment),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )


def import_best(statement: str, runs: int) -> tuple[float, str, str]:
    """Import it in fresh interpreters: best milliseconds above a bare one, and whether socket and ssl came along.

    A run that nobody counts compiles the modules, as installing does. Noise only ever adds: the least is the truest.
    """
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return min([import_once(statement, environment) for _ in range(runs + 1)][1:])


def import_once(statement: str, environment: Mapping[str, str]) -> tuple[float, str, str]:
    """One interpreter's milliseconds and modules."""
    program = IMPORT_PROGRAM.format(statement=statement)
    run = run_python("-c", program, timeout_seconds=60, environment=environment)
    if run.returncode != 0:
        raise ImportError(run.stderr.strip().splitlines()[-1])
    milliseconds, socket_state, ssl_state = run.stdout.split()
    return float(milliseconds), socket_state, ssl_state


def main(arguments: list[str]) -> None:
    """Print the bytes per entry."""
    name, entries = arguments
    print(json.dumps(bytes_per_entry(CONTENDERS[name], int(entries))), flush=True)
    os._exit(0)  # freeing a million entries one by one is nobody's question


if __name__ == "__main__":
    main(sys.argv[1:])
