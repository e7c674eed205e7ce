"""How long one operation takes, and how that compares with a dict at the same moment on the same machine.

A contender runs through whole lives: filled, read, missed, updated, read by threads, overflowed. Before each of
its lives a dict lives the same one, so that a machine that is busy for a moment is busy for both. A round's ratio
is the median of the one's lives over the median of the other's; several rounds go over all contenders in turn, and
the figure is the median of the rounds, beside it their quartiles. What one thread does is counted in processor time
of the process, background threads included: a busy machine interrupts long sections more often than a dict's short
ones, which in wall time made the same cache 9 or 17 times a dict. What ten threads do is counted in wall time.

What is not subtracted: the `for` loop around the operations, in the dict's time as in the others'. What it
costs is measured too, so that a reader can subtract it. Keys are strings made beforehand, the same objects for
every contender and for writing and reading: no time goes into hashing or comparing text. They come in random
order. Garbage collection stays on: a cache that makes work for it pays for it in real life as well. Reads are
ten times as many as writes, since that is what a cache is for: a hit is mostly one in memory that is warm.
"""

import gc
import random
import statistics
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter, process_time

from benchmarks.contenders import BASE, Contender

THREADS = 10
READS_PER_WRITE = 10
LIVES_WITH_THREADS = 3  # of one round: they take long
LOOP = "loop"  # the dict's samples time the loop alone as well
PATIENCE_SECONDS = 30.0  # for one row: some caches take time with the square of their size
SAMPLE_SECONDS = 5.0  # no further life after this

# Which of the dict's operations each row is divided by. A dict evicts nothing: what eviction adds to a `set`
# shows against a plain one.
BASE_OF_ROW = {
    "hit": "hit",
    "miss": "miss",
    "set": "set",
    "update": "update",
    "eviction": "set",
    "10 threads": "10 threads",
}
ROW_MEANINGS = {
    "hit": "a key that is there / dict.get of a key that is there",
    "miss": "a key that is not there / dict.get of a key that is not there",
    "set": "a new key, from empty to full / d[k] = v of a new key",
    "update": "a key that is there / d[k] = v of a key that is there",
    "eviction": "a new key, at capacity / d[k] = v of a new key",
    "10 threads": f"{THREADS} threads reading keys that are there / the same reads by {THREADS} threads on dict.get",
}
SECONDS_TO_NANOSECONDS = 1e9


class Work:
    """The keys that all contenders get, and how often."""

    def __init__(self, size: int, operations: int, reads_per_thread: int, seed: int = 0) -> None:
        shuffler = random.Random(seed)
        self.size = size
        self.operations_per_life = min(size, operations)
        # A cache of a thousand is quickly filled and read: it lives again and again.
        self.lives = max(1, operations // size)
        self.resident = [f"key{number}" for number in range(size)]
        shuffler.shuffle(self.resident)
        count = self.operations_per_life
        self.reads = [key for _ in range(READS_PER_WRITE) for key in shuffler.sample(self.resident, count)]
        self.updates = shuffler.sample(self.resident, count)
        self.absent = [f"absent{number}" for number in range(count)]
        self.newcomers = [f"newcomer{number}" for number in range(count)]
        self.passes_per_thread = max(1, reads_per_thread // count)
        self.reads_of_thread = [shuffler.sample(self.resident, count) for _ in range(THREADS)]
        for keys in (self.resident, self.absent, self.newcomers):
            for key in keys:
                hash(key)  # a string remembers its hash: no contender is to be the one who asks first


class Sample:
    """What one contender took in one round: for each row the seconds per operation in each life, or what failed."""

    def __init__(self, lacks: frozenset[str] = frozenset()) -> None:
        self.lacks = lacks
        self.lives: dict[str, list[float]] = {}
        self.failures: dict[str, str] = {}

    def read(self, row: str, contender: Contender, keys: Sequence[str]) -> None:
        """Time look-ups."""
        if row not in self.lacks:
            start = process_time()
            contender.read_all(keys)
            self.add(row, process_time() - start, len(keys))

    def write(self, row: str, contender: Contender, keys: Sequence[str], value: object) -> None:
        """Time writes."""
        if row not in self.lacks:
            self.add(row, write_patiently(contender, keys, value), len(keys))

    def add(self, row: str, elapsed_seconds: float, operations: int) -> None:
        """Count one life in."""
        self.lives.setdefault(row, []).append(elapsed_seconds / operations)

    def seconds(self, row: str) -> float:
        """Return the median life: what a busy machine did to a few of them does not show."""
        return statistics.median(self.lives[row])


class TooSlow(Exception):  # noqa: N818 - a finding about the cache that was asked
    """A cache that nobody can wait for at this size."""


def write_patiently(contender: Contender, keys: Sequence[str], value: object) -> float:
    """Write them all and return the seconds it took; give up when that is too long."""
    elapsed = 0.0
    for begin in range(0, len(keys), 1000):  # a look at the clock for a thousand writes is no cost
        some = keys[begin : begin + 1000]
        start = process_time()
        contender.write_all(some, value)
        elapsed += process_time() - start
        if elapsed > PATIENCE_SECONDS:
            raise TooSlow
    return elapsed


def take_samples(kind: type[Contender], work: Work) -> tuple[Sample, Sample]:
    """A dict's lives and a contender's, in turn, as many as the work asks and patience allows."""
    base, own = Sample(BASE.lacks), Sample(kind.lacks)
    gc.collect()
    start = perf_counter()
    for life in range(work.lives):
        threads_too = life < LIVES_WITH_THREADS
        live(BASE, work, base, threads_too=threads_too)
        base.add(LOOP, loop_seconds(work.reads), len(work.reads))
        try:
            live(kind, work, own, threads_too=threads_too)
        except TooSlow:
            own.lives.clear()
            own.failures = {row: f"over {PATIENCE_SECONDS:.0f} s" for row in BASE_OF_ROW if row not in kind.lacks}
            break
        if perf_counter() - start > SAMPLE_SECONDS:
            break
    return base, own


def live(kind: type[Contender], work: Work, sample: Sample, *, threads_too: bool) -> None:
    """Run one life, from empty to overflowed."""
    with kind(work.size) as contender:
        sample.write("set", contender, work.resident, "first value")
        sample.read("hit", contender, work.reads)
        sample.read("miss", contender, work.absent)
        sample.write("update", contender, work.updates, "second value")
        if threads_too:
            read_by_threads(contender, work, sample)
        sample.write("eviction", contender, work.newcomers, "third value")


def read_by_threads(contender: Contender, work: Work, sample: Sample) -> None:
    """Time all threads' reads from the first one's start to the last one's end."""
    gate = threading.Barrier(THREADS)
    starts: list[float] = []
    ends: list[float] = []
    errors: list[str] = []

    def reader(keys: Sequence[str]) -> None:
        gate.wait()
        starts.append(perf_counter())
        try:
            for _ in range(work.passes_per_thread):
                contender.read_all(keys)
        except Exception as error:  # noqa: BLE001 - a cache that is not for threads may raise anything
            errors.append(type(error).__name__)
        ends.append(perf_counter())

    threads = [threading.Thread(target=reader, args=(keys,), daemon=True) for keys in work.reads_of_thread]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        sample.failures["10 threads"] = f"raises {errors[0]}"
        return
    operations = THREADS * work.passes_per_thread * work.operations_per_life
    sample.add("10 threads", max(ends) - min(starts), operations)


def loop_seconds(keys: Sequence[str]) -> float:
    """Time the `for` alone: part of every figure here, the dict's too."""
    start = process_time()
    for _key in keys:
        pass
    return process_time() - start


@dataclass(frozen=True)
class Figure:
    """A row's outcome over all rounds: times the dict's own time."""

    ratio: float
    low: float  # first quartile
    high: float  # third quartile
    nanoseconds: float


@dataclass
class Series:
    """The rounds of one contender, each with the dict's lives that its own took turns with."""

    pairs: list[tuple[Sample, Sample]] = field(default_factory=list)

    def add(self, base: Sample, own: Sample) -> None:
        """Count one more round in."""
        self.pairs.append((base, own))

    def gave_up(self) -> bool:
        """Whether it was too slow for a round, and would be for another."""
        return any(not own.lives for _, own in self.pairs)

    def failure(self, row: str) -> str | None:
        """Why a row has no figure, if it failed in any round."""
        return next((own.failures[row] for _, own in self.pairs if row in own.failures), None)

    def figure(self, row: str, *, without_loop: bool = False) -> Figure | None:
        """Return the median of the rounds; without the loop: what that costs is taken off both sides."""
        if self.failure(row) or not all(row in own.lives for _, own in self.pairs):
            return None
        ratios = []
        for base, own in self.pairs:
            loop = base.seconds(LOOP) if without_loop else 0.0
            ratios.append((own.seconds(row) - loop) / (base.seconds(BASE_OF_ROW[row]) - loop))
        low, median, high = quartiles(ratios)
        own_seconds = statistics.median(own.seconds(row) for _, own in self.pairs)
        return Figure(median, low, high, own_seconds * SECONDS_TO_NANOSECONDS)

    def base_nanoseconds(self, row: str) -> float:
        """Return what 1.0 was, in these rounds."""
        return statistics.median(base.seconds(row) for base, _ in self.pairs) * SECONDS_TO_NANOSECONDS


def quartiles(values: Iterable[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile; one value is all three."""
    ordered = sorted(values)
    if len(ordered) == 1:
        return ordered[0], ordered[0], ordered[0]
    low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return low, median, high


def run_round(contenders: Sequence[type[Contender]], work: Work, series: dict[str, Series]) -> Iterable[str]:
    """Sample every contender once, each beside a dict; yields the name of each when it is done."""
    for kind in contenders:
        own_series = series.setdefault(kind.name, Series())
        if not own_series.gave_up():
            own_series.add(*take_samples(kind, work))
        yield kind.name
