"""A replicated cache works in each interpreter of a process. Compiled modules belong to one; others run the source."""

import subprocess
import sys
from typing import Any

import pytest

from lru_cache.replication import implementation

CODE = """if True:
    import sys
    sys.path[:] = {path!r}
    from lru_cache import LRUCacheDistributed
    from lru_cache.replication import implementation
    from lru_cache.testing.simulation import Simulation
    with LRUCacheDistributed(None, 10, 5.0) as cache:
        for number in range(20):
            cache.set(number, [number])
        assert cache[19] == [19]
        assert cache.get("loaded", load=str.upper) == "LOADED"
        cache.invalidate("loaded")
        assert "loaded" not in cache
        assert len(cache) == 9
    Simulation(1, steps=30).run()
    print(implementation, flush=True)
"""
PROGRAM = """if True:
    import sys
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    code, order, kind = sys.argv[1:]
    options = {{"isolated": True, "legacy": False}}

    def run_in_another():
        if sys.version_info >= (3, 13):
            one = interpreters.create(kind)
        else:
            one = interpreters.create(isolated=options[kind])
        failure = interpreters.run_string(one, code)
        assert not failure, failure
        interpreters.destroy(one)

    for who in order:
        exec(code) if who == "m" else run_in_another()
"""


def completed(code: str, order: str, kind: str) -> Any:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(), code, order, kind],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def run(order: str, kind: str) -> list[str]:
    """Which rules each has that runs the code: m is the main interpreter, o another."""
    if completed("import ssl, zoneinfo", "o", kind).returncode != 0:
        pytest.skip(f"this Python itself fails where {kind} interpreters import what a replicated cache does")
    done = completed(CODE.format(path=sys.path), order, kind)
    said = [line for line in done.stderr.splitlines() if line and "_decimal" not in line]  # that warns of itself
    assert (done.returncode, said) == (0, [])
    words: list[str] = done.stdout.split()
    return words


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_another_interpreter_runs_the_rules_as_python(kind: str) -> None:
    assert run("moom", kind) == [implementation, "python", "python", implementation]


@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_which_interpreter_comes_first_does_not_matter(kind: str) -> None:
    """To whether it works: who is first may have the compiled rules."""
    words = run("om", kind)
    assert len(words) == 2
    assert set(words) <= {implementation, "python"}
