"""What each cache does besides being fast, found out by trying; one cache in one process of its own.

A cache that is not made for threads may crash the process or stop it for ever: that is a finding too, and must
not end the run. So `python -m benchmarks.probes calm NAME ...` and `... race NAME KEYS ...` print one
contender's findings as JSON, and whoever runs them sets the time limit. Nothing here is timed against a dict;
only the stampede has a time, in loads.

A race can refute that a cache is safe for threads and can never prove it; so that finding is printed with its
source: what was seen to fail, or what the documentation says and the race did not refute.
"""

import importlib.machinery
import inspect
import json
import os
import random
import statistics
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from time import perf_counter

from benchmarks.contenders import CONTENDERS, Contender

THREADS = 10
HANG_SECONDS = 10.0


class ForeignKey:
    """A key whose equality runs Python, as tuples of people's own objects do: threads can switch inside it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignKey) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


KEYS: dict[str, Callable[[int], Hashable]] = {"text": str, "foreign": ForeignKey}


# --- in what language


def implementation(kind: type[Contender]) -> str:
    """Tell Python from native: what its look-up is, and whether it brought compiled modules."""
    with kind(8) as contender:
        look_up = look_up_of(contender)
        packages = {module.split(".")[0] for module in kind.modules}
        suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
        compiled = any(
            name.split(".")[0] in packages and str(getattr(module, "__file__", None) or "").endswith(suffixes)
            for name, module in list(sys.modules.items())
        )
    if not (inspect.isfunction(look_up) or inspect.ismethod(look_up)):
        return "native"
    return "Python over native" if compiled else "Python"


def look_up_of(contender: Contender) -> object:
    """Find what answers a read: a method called get, or the decorated function itself."""
    return getattr(type(contender.cache), "get", contender.cache)


# --- in what order entries leave


def keeps_exact_order(kind: type[Contender], trials: int = 30, capacity: int = 8) -> bool:
    """Whether, after any reads and writes, exactly the least recently used have left.

    Asking whether a key is there may itself move it, so every question gets a replay in a new cache.
    """
    if not kind.bounded:
        return False
    for seed in range(trials):
        script = script_of_uses(seed, capacity)
        expected = survivors(script, capacity)
        for key in range(capacity * 2):
            with kind(capacity) as contender:
                play(contender, script)
                if contender.holds(key) != (key in expected):
                    return False
    return True


def script_of_uses(seed: int, capacity: int) -> list[tuple[str, int]]:
    """Fill it, then read what may be there and write new and old keys, at random."""
    chance = random.Random(seed)
    script = [("set", key) for key in range(capacity)]
    held = survivors(script, capacity)
    for _ in range(capacity * 2):
        verb = chance.choice(("get", "set"))
        # Only what is there is read: for a memoized function, reading anything else is a write.
        key = chance.choice(list(held)) if verb == "get" else chance.randrange(capacity * 2)
        script.append((verb, key))
        held = survivors(script, capacity)
    return script


def survivors(script: list[tuple[str, int]], capacity: int) -> "OrderedDict[int, None]":
    """Work out what an exact LRU would hold."""
    held: OrderedDict[int, None] = OrderedDict()
    for _verb, key in script:
        held[key] = None
        held.move_to_end(key)
        if len(held) > capacity:
            held.popitem(last=False)
    return held


def play(contender: Contender, script: list[tuple[str, int]]) -> None:
    """Do it, leaving a cache the time it wants between steps."""
    for verb, key in script:
        if verb == "set":
            contender.set(key, f"value of {key}")
        else:
            contender.get(key)
        contender.settle()


# --- how entries expire


def expiry(kind: type[Contender], life_seconds: float = 0.15) -> str:
    """Try a short life, and look after it: per entry, one for all, or none."""
    with kind(8) as contender:
        try:
            contender.set_for("short", "value", life_seconds)
            contender.set_for("long", "value", 600.0)
        except NotImplementedError:
            return "one for all" if expires_for_all(kind, life_seconds) else "no"
        time.sleep(life_seconds * 2)
        works = not contender.holds("short") and contender.holds("long")
    return "per entry" if works else "no"


def expires_for_all(kind: type[Contender], life_seconds: float) -> bool:
    """Whether a life given at construction is kept."""
    with kind(8, life_seconds) as contender:
        contender.set("short", "value")
        was_there = contender.holds("short")
        time.sleep(life_seconds * 2)
        return was_there and not contender.holds("short")


# --- what threads do to it


def refute_thread_safety(kind: type[Contender], make_key: Callable[[int], Hashable], seconds: float) -> str | None:
    """Let threads read and write at once, and tell what went wrong; None: nothing did, this time."""
    capacity = 32
    faults: list[str] = []
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # switch inside operations, not only between them
    with kind(capacity) as contender:

        def worker(seed: int) -> None:
            chance = random.Random(seed)
            deadline = perf_counter() + seconds
            try:
                while perf_counter() < deadline and not faults:
                    number = chance.randrange(capacity * 2)
                    key = make_key(number)
                    if chance.random() < 0.5:
                        contender.set(key, key)
                    found = contender.get(key)
                    if found is not None and found != key:
                        faults.append("another key's value")
            except Exception as error:  # noqa: BLE001 - what it raises is the finding
                faults.append(type(error).__name__)

        try:
            tasks = [partial(worker, seed) for seed in range(THREADS)]
            finished = run_threads(tasks, seconds + HANG_SECONDS)
        finally:
            sys.setswitchinterval(switch_interval)
        if faults:
            return faults[0]
        if not finished:
            return "hangs"
        if kind.bounded and contender.size() > capacity:
            return "more than its capacity"
    return None


def run_threads(tasks: Sequence[Callable[[], object]], timeout_seconds: float) -> bool:
    """Run them all at once; whether they all came back in time."""
    threads = [threading.Thread(target=task, daemon=True) for task in tasks]
    deadline = perf_counter() + timeout_seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - perf_counter()))
    return not any(thread.is_alive() for thread in threads)


# --- what a stampede does to the source behind it


def stampede(kind: type[Contender], rounds: int, load_seconds: float) -> dict[str, object]:
    """Have ten threads miss one key at once: how often did the loader run, how many loads' time was it."""
    counts: list[int] = []
    times: list[float] = []
    for number in range(rounds):
        with kind(64) as contender:
            calls: list[Hashable] = []

            def loader(key: Hashable, calls: list[Hashable] = calls) -> object:
                calls.append(key)
                time.sleep(load_seconds)
                return f"value of {key}"

            load = contender.loading(loader)
            single_start = perf_counter()
            load("alone")
            single_seconds = perf_counter() - single_start
            calls.clear()
            took = crowd(load, f"key{number}")
            if took is None:
                return {"error": "hangs"}
            counts.append(len(calls))
            times.append(took / single_seconds)
    return {
        "loads": statistics.median_high(counts),
        "most_loads": max(counts),
        "time": statistics.median(times),
    }


def crowd(load: Callable[[Hashable], object], key: Hashable) -> float | None:
    """Count seconds from when threads ask to when the last has its answer; None if one never has."""
    gate = threading.Barrier(THREADS)
    starts: list[float] = []
    ends: list[float] = []

    def ask() -> None:
        gate.wait()
        starts.append(perf_counter())
        load(key)
        ends.append(perf_counter())

    if not run_threads([ask] * THREADS, HANG_SECONDS) or len(ends) < THREADS:
        return None
    return max(ends) - min(starts)


def load_holds_up_others(kind: type[Contender], patience_seconds: float = 0.3) -> bool:
    """Whether, while one key is loading, another thread must wait for another key."""
    begun = threading.Event()
    release = threading.Event()

    def loader(key: Hashable) -> object:
        if key == "slow":
            begun.set()
            release.wait(HANG_SECONDS)
        return f"value of {key}"

    with kind(64) as contender:
        load = contender.loading(loader)
        slow = threading.Thread(target=load, args=("slow",), daemon=True)
        slow.start()
        begun.wait(HANG_SECONDS)
        other = threading.Thread(target=load, args=("other",), daemon=True)
        other.start()
        other.join(patience_seconds)
        held_up = other.is_alive()
        release.set()
        slow.join(HANG_SECONDS)
        other.join(HANG_SECONDS)
    return held_up


# --- all of it


def calm_findings(kind: type[Contender], stampedes: int, load_seconds: float) -> dict[str, object]:
    """Try what a sound cache survives."""
    return {
        "implementation": implementation(kind),
        "lru order": "exact" if keeps_exact_order(kind) else "no",
        "expiry": expiry(kind),
        "stampede": stampede(kind, stampedes, load_seconds),
        "load holds up others": "yes" if load_holds_up_others(kind) else "no",
    }


def main(arguments: list[str]) -> None:
    """Print findings as JSON, and leave at once: a thread that hangs does not keep us."""
    match arguments:
        case ["calm", name, stampedes, load_seconds]:
            print(json.dumps(calm_findings(CONTENDERS[name], int(stampedes), float(load_seconds))), flush=True)
        case ["race", name, keys, seconds]:
            print(json.dumps(refute_thread_safety(CONTENDERS[name], KEYS[keys], float(seconds))), flush=True)
        case _:
            raise SystemExit(__doc__)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
