"""`python -m benchmarks replication`: the replication core in one process, as ratios to bare msgpack.

Drives real replicas over real stores with real frames, as a network would, without one: what is measured is what
the rules cost. Processor time throughout, so that what else the machine does is not in it.
"""

import cProfile
import gc
import json
import os
import platform
import pstats
import random
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from msgpack import packb, unpackb  # type: ignore[import-untyped]

from benchmarks.options import Options, at_least
from benchmarks.tables import table
from lru_cache.replication import (
    FRAME_MARGIN_BYTES,
    MAXIMUM_EVENTS,
    NODE_BYTES,
    FrameReader,
    Limits,
    Seen,
    Stamp,
    Type,
    encode_frame,
    messages,
    wire,
)
from lru_cache.replication.encoding import encode_key, encode_value
from lru_cache.store import Entry, RemovalCause, Store

Step = Callable[[str], None]  # told the name of what has just been done
Frames = list[bytes]

VALUE = "v" * 100
VALUE_LIMIT = 1_000_000
FRAME_LIMIT = FRAME_MARGIN_BYTES + VALUE_LIMIT
BUDGET_BYTES = 65_536  # asked of a replica at a time: what a socket takes
BATCH, ALONE = MAXIMUM_EVENTS, 1  # events in a frame: writes that came fast, and a write that came by itself
LINK, ONWARD = 1, 2
WALL = 1.7e9
WRITES_IN_A_MILLISECOND = 50  # how fast the clock goes by while a node writes
PARTITION_SECONDS = 60.0
OVERFLOW_ENTRIES, OVERFLOW_OUTBOX = 10_000, 100
PROFILED_LINES = 10
RESYNC_SHARE = 0.03  # of a full transfer's bytes, where 1 % differs and nothing was forgotten


FEWEST_ENTRIES = 100  # of a resync, or 1 % of them is nothing


@dataclass(frozen=True)
class Effort:
    """How much is done: enough for figures that repeat, or enough to see that it works."""

    rounds: int
    events: int
    entries: int
    overflows: int
    graves: int


FULL = Effort(rounds=7, events=10_000, entries=1_000_000, overflows=1_000, graves=100_000)
QUICK = Effort(rounds=2, events=500, entries=20_000, overflows=5, graves=2_000)

ROWS = {
    "write": "local write to frame: Replica.set, to_send, encode_frame; 64 events a frame",
    "write alone": "the same, sent at once: one event a frame, and a frame of `seen` behind it",
    "apply new": "frame to applied: FrameReader, Replica.received, the store's put; the key was absent",
    "apply held": "the same for a key that is held, with an older value",
    "apply full": "the same for a key that is absent; the store is full, so each evicts and buries another",
    "apply alone": "the same for an absent key, one event a frame",
    "repeat": "received again by another way round a cycle, and ignored",
    "relay": "received on one link, applied, sent on another",
}
"""What is measured, and what is in it."""

BASES = {
    "write": "pack", "write alone": "pack alone", "apply new": "unpack", "apply held": "unpack", "apply full": "unpack",
    "apply alone": "unpack alone", "repeat": "unpack", "relay": "pack and unpack",
}  # fmt: skip
"""What bare msgpack does with the same events in the same frames."""


class Time:
    """Passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def work(self, writes: int) -> None:
        """Let so much pass as so many writes may take."""
        self.now += writes / WRITES_IN_A_MILLISECOND / 1000


def ignore(_: object) -> None:
    """Fence nothing: there are no loads here."""


class Node:
    """A replica over a real store, driven as a cache and its links would, by one thread."""

    def __init__(self, time: Time, number: int, capacity: int, outbox: int | None = None) -> None:
        self.time = time
        self.id = number.to_bytes(NODE_BYTES, "big")
        self.store: Store[str, bytes] = Store(capacity)
        limits = Limits(graves=capacity, outbox=capacity if outbox is None else outbox)
        self.view, self.replica = wire(self.store, self.id, time.now, WALL + time.now, limits, loading={}, fence=ignore)
        self.readers: dict[int, FrameReader] = {}

    def set(self, key: str, payload: bytes) -> None:
        """Do what a cache does with a value that its application sets."""
        now = self.time.now
        stamp = self.replica.set(encode_key(key), payload, now)
        self.replica.left(self.store.put(key, payload, now, inf, inf, stamp))

    def set_many(self, keys: Iterable[str], payload: bytes) -> None:
        """Set them while time passes."""
        for key in keys:
            self.set(key, payload)
            self.time.work(1)

    def evict(self, entries: "Iterable[Entry[str, bytes]]") -> None:
        """Make these leave as if there were no room."""
        for entry in entries:
            gone = self.store.remove(entry, RemovalCause.EVICTED, self.time.now)
            self.replica.left([] if gone is None else [gone])

    def link_up(self, link: int, other: "Node") -> None:
        """Begin a link."""
        self.readers[link] = FrameReader(FRAME_LIMIT)
        self.replica.link_up(link, other.id, other.store.capacity, VALUE_LIMIT, 0.0)

    def link_greeted(self, link: int, other: "Node") -> None:
        """Begin a link to a node that is taken to be as empty as this one, and let all that is said at first go by."""
        self.link_up(link, other)
        self.send(link)
        self.replica.received(link, messages.encode(Seen(True, {})), self.time.now)
        while self.replica.has_to_send(link):
            self.send(link)

    def send(self, link: int) -> Frames:
        """Return the frames that it has for a link now."""
        return [encode_frame(b, FRAME_LIMIT) for b in self.replica.to_send(link, self.time.now, BUDGET_BYTES)]

    def receive(self, link: int, frame: bytes) -> None:
        """Take a frame."""
        reader = self.readers[link]
        reader.receive(frame)
        for body in reader:
            self.replica.received(link, body, self.time.now)
        self.view.pop_gone()  # the cache tells its listeners of them, and lets go

    def receive_all(self, link: int, frames: Frames) -> None:
        """Take them one after another."""
        for frame in frames:
            self.receive(link, frame)


# -- by the event ------------------------------------------------------------------------------------------------------


@dataclass
class Series:
    """Processor nanoseconds per event in each round: of the rows, and of bare msgpack."""

    rows: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ROWS})
    bases: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in BASES.values()})
    frames_alone: float = 0.0  # that a write which came by itself takes

    def ratios(self, row: str) -> list[float]:
        """Each round's, to what msgpack took in the same round."""
        return [own / base for own, base in zip(self.rows[row], self.bases[BASES[row]], strict=True)]


def nanoseconds(events: int, run: Callable[[], object]) -> float:
    """Time one run, per event, in processor time; what came before is collected."""
    gc.collect()
    start = process_time()
    run()
    return (process_time() - start) * 1e9 / events


class Stream:
    """Writes of one node to keys that it holds, and the frames that they become."""

    def __init__(self, writer: Node, keys: Sequence[str], batch: int) -> None:
        self.events = len(keys)
        self.frames: Frames = []
        self._writer = writer
        self._payload = encode_value(VALUE)
        items = [(writer.store.find(key), encode_key(key)) for key in keys]
        self._batches = [items[i : i + batch] for i in range(0, len(items), batch)]

    def write(self) -> None:
        """Write and send. The stamp is put where the store would put it: the store's own time is not in this."""
        replica, time = self._writer.replica, self._writer.time
        for batch in self._batches:
            for entry, key in batch:
                assert entry is not None
                entry.version = replica.set(key, self._payload, time.now)
            time.work(len(batch))
            self.frames += self._writer.send(LINK)

    def messages(self) -> list[Any]:
        """What bare msgpack has to pack and unpack: the same columns, without `seen` in between."""
        found = (unpackb(frame[4:]) for frame in self.frames)
        return [items for items in found if items[0] == Type.EVENTS]


def run_round(effort: Effort, series: Series) -> Iterator[str]:
    """Measure every row and base once, each in fresh nodes."""
    time = Time()
    keys = [f"user:{number}" for number in range(effort.events)]
    writer, empty = Node(time, 1, 2 * effort.events), Node(time, 2, effort.events)
    writer.set_many(keys, encode_value(VALUE))
    writer.link_greeted(LINK, empty)
    first, second, alone = (Stream(writer, keys, batch) for batch in (BATCH, BATCH, ALONE))

    def measure(row: str, run: Callable[[], object]) -> None:
        series.rows[row].append(nanoseconds(effort.events, run))

    measure("write", first.write)
    second.write()
    measure("write alone", alone.write)
    series.frames_alone = len(alone.frames) / alone.events
    yield "writes"
    for suffix, stream in (("", first), (" alone", alone)):
        measure_bases(stream.messages(), suffix, effort.events, series)
    yield "msgpack"
    reader, alone_reader = Node(time, 3, effort.events), Node(time, 4, effort.events)
    full = Node(time, 5, effort.events // 10)
    full.set_many([f"other:{number}" for number in range(full.store.capacity)], encode_value(VALUE))
    for node in (reader, alone_reader, full):
        node.link_greeted(LINK, writer)
    measure("apply new", lambda: reader.receive_all(LINK, first.frames))
    measure("apply held", lambda: reader.receive_all(LINK, second.frames))
    measure("repeat", lambda: reader.receive_all(LINK, second.frames))
    measure("apply alone", lambda: alone_reader.receive_all(LINK, alone.frames))
    measure("apply full", lambda: full.receive_all(LINK, first.frames))
    counts = [node.replica.counts for node in (reader, alone_reader, full)]
    assert [c.applied for c in counts] == [2 * effort.events, effort.events, effort.events], counts
    assert counts[0].repeated == effort.events, counts
    yield "applied"
    relay = Node(time, 9, effort.events)
    relay.link_greeted(LINK, writer)
    relay.link_greeted(ONWARD, empty)
    onward: Frames = []
    measure("relay", lambda: pass_on(relay, first.frames, onward))
    assert sum(len(items[2]) for f in onward if (items := unpackb(f[4:]))[0] == Type.EVENTS) == effort.events
    yield "relay"


def measure_bases(messages: list[Any], suffix: str, events: int, series: Series) -> None:
    """Time bare msgpack on these messages."""
    assert sum(len(items[2]) for items in messages) == events
    bodies = [packb(items) for items in messages]
    pack = nanoseconds(events, lambda: [packb(items) for items in messages])
    unpack = nanoseconds(events, lambda: [unpackb(body) for body in bodies])
    series.bases[f"pack{suffix}"].append(pack)
    series.bases[f"unpack{suffix}"].append(unpack)
    if not suffix:
        series.bases["pack and unpack"].append(pack + unpack)


def pass_on(relay: Node, frames: Frames, onward: Frames) -> None:
    """Receive on one link and send on the other."""
    for frame in frames:
        relay.receive(LINK, frame)
        onward += relay.send(ONWARD)


# -- whole caches ------------------------------------------------------------------------------------------------------


@dataclass
class Transfer:
    """What went over a link until both ends had nothing more to say."""

    bytes: int = 0
    messages: int = 0
    seconds: float = 0.0  # of both ends
    longest_send_seconds: float = 0.0  # of one call, in which the cache's lock is held
    longest_receive_seconds: float = 0.0


def settle(one: Node, other: Node) -> Transfer:
    """Let both ends say all they have to say."""
    gc.collect()
    transfer = Transfer()
    while any(node.replica.has_to_send(LINK) for node in (one, other)):
        for sender, receiver in ((one, other), (other, one)):
            start = process_time()
            frames = sender.send(LINK)
            sent = process_time()
            transfer.longest_send_seconds = max(transfer.longest_send_seconds, sent - start)
            transfer.seconds += sent - start
            for frame in frames:
                start = process_time()
                receiver.receive(LINK, frame)
                taken = process_time() - start
                transfer.longest_receive_seconds = max(transfer.longest_receive_seconds, taken)
                transfer.seconds += taken
                transfer.bytes += len(frame)
            transfer.messages += len(frames)
    return transfer


def reconnect(one: Node, other: Node) -> Transfer:
    """Link them, and let them find out what the other lacks."""
    one.link_up(LINK, other)
    other.link_up(LINK, one)
    return settle(one, other)


def part(one: Node, other: Node) -> None:
    """Cut their link, and let time go by."""
    for node in (one, other):
        node.replica.link_down(LINK)
        node.time.now += PARTITION_SECONDS


def measure_resync(entries: int, step: Step) -> dict[str, Transfer]:
    """A full transfer to an empty node; then reconnections after which 1 % differs, half of it written at either end.

    In the second and third a tenth was evicted meanwhile at one end, whichever entries it was; in the third the
    graveyard there has room for half of them only.
    """
    time, chance = Time(), random.Random(7)
    one, other = Node(time, 1, entries), Node(time, 2, entries)
    keys = [f"user:{number}" for number in range(entries)]
    payload = encode_value(VALUE)
    one.set_many(keys, payload)
    step("resync: filled")
    found = {"full transfer": reconnect(one, other)}
    check_equal(one, other, keys)
    step("resync: full transfer")

    def differ() -> None:
        part(one, other)
        changed = chance.sample(keys, max(2, entries // 100))
        one.set_many(changed[::2], payload)
        other.set_many(changed[1::2], payload)

    differ()
    found["1 % differs"] = reconnect(one, other)
    check_equal(one, other, keys)
    step("resync: 1 % differs")
    remembered, forgotten = "and a tenth evicted, all of it remembered", "and a tenth evicted, half of it forgotten"
    for name, graves in ((remembered, entries), (forgotten, entries // 20)):
        one.replica.forgotten.capacity = graves
        differ()
        one.evict(chance.sample(one.store.entries(), entries // 10))
        found[name] = reconnect(one, other)
        check_equal(one, other, keys)
        step(f"resync: {name}")
    return found


def check_equal(one: Node, other: Node, keys: Sequence[str]) -> None:
    """What both hold must be the same, and be most of it, or something else was measured than was meant."""
    held_by_both = 0
    for key in keys:
        here, there = one.store.find(key), other.store.find(key)
        if here is not None and there is not None:
            held_by_both += 1
            assert isinstance(here.version, Stamp)
            assert isinstance(there.version, Stamp)
            assert here.version.version == there.version.version, key
    assert held_by_both > len(keys) / 2, held_by_both


# -- outboxes that overflow, and memory --------------------------------------------------------------------------------


@dataclass
class Overflows:
    """What it costs when a link is always too slow. Medians over the overflows."""

    overflows: int
    entries: int
    outbox: int
    linked_nanoseconds: float  # of a write
    unlinked_nanoseconds: float
    resync_seconds: float  # of an overflow: what the link's thread then does, and the neighbour


def measure_overflows(overflows: int, step: Step) -> Overflows:
    """Write twice what the outbox takes, then let the link catch up; again and again. Beside it a node without."""
    time, payload = Time(), encode_value(VALUE)
    keys = [f"user:{number}" for number in range(OVERFLOW_ENTRIES)]
    linked, other, unlinked = (Node(time, n, OVERFLOW_ENTRIES, OVERFLOW_OUTBOX) for n in (1, 2, 3))
    for node in (linked, unlinked):
        node.set_many(keys, payload)
    reconnect(linked, other)
    burst = 2 * OVERFLOW_OUTBOX
    samples: dict[str, list[float]] = {"linked": [], "unlinked": [], "resync": []}
    for number in range(overflows):
        first = number * burst % (OVERFLOW_ENTRIES - burst + 1)
        chosen = keys[first : first + burst]
        pairs = [("linked", linked), ("unlinked", unlinked)]
        for name, node in pairs if number % 2 else pairs[::-1]:
            start = process_time()
            for key in chosen:
                node.set(key, payload)
            samples[name].append((process_time() - start) * 1e9 / burst)
        time.work(burst)
        samples["resync"].append(catch_up(linked, other))
    assert linked.replica.counts.overflows == overflows
    check_equal(linked, other, keys)
    step("overflows")
    middles = (median(samples[name]) for name in ("linked", "unlinked", "resync"))
    return Overflows(overflows, OVERFLOW_ENTRIES, OVERFLOW_OUTBOX, *middles)


def catch_up(linked: Node, other: Node) -> float:
    """Seconds until the link is quiet; without the collector's run that `settle` makes first."""
    start = process_time()
    while linked.replica.has_to_send(LINK) or other.replica.has_to_send(LINK):
        other.receive_all(LINK, linked.send(LINK))
        linked.receive_all(LINK, other.send(LINK))
    return process_time() - start


def bytes_per_forgotten_key(graves: int, step: Step) -> float:
    """What the graveyard grows by for each key that is invalidated, by tracemalloc: as Python asks for it."""
    node = Node(Time(), 1, graves)
    numbers = range(graves)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in numbers:
            node.replica.invalidate(encode_key(f"user:{number}"), node.time.now)
            node.time.work(1)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(node.replica.forgotten) == graves
    step("memory")
    return (after - before) / graves


# -- where the time goes -----------------------------------------------------------------------------------------------


@dataclass
class Profile:
    """The receive path under cProfile: which part of its time each file and each function takes by itself."""

    files: dict[str, float]
    functions: list[tuple[str, float, float]]  # name, share, calls per event


BUILT_IN = "built into Python and msgpack"
ADDRESS = re.compile(" object at 0x[0-9a-f]+")


def profile_receiving(events: int, step: Step) -> Profile:
    """Let a node with an empty store receive a stream."""
    time = Time()
    keys = [f"user:{number}" for number in range(events)]
    writer, reader = Node(time, 1, events), Node(time, 2, events)
    writer.set_many(keys, encode_value(VALUE))
    writer.link_greeted(LINK, reader)
    reader.link_greeted(LINK, writer)
    stream = Stream(writer, keys, BATCH)
    stream.write()
    profiler = cProfile.Profile()
    gc.collect()
    gc.disable()  # or its runs would be charged to whoever happens to allocate
    try:
        profiler.runcall(reader.receive_all, LINK, stream.frames)
    finally:
        gc.enable()
    step("profile")
    rows: dict[tuple[str, int, str], Any] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in rows.values())
    files: dict[str, float] = {}
    functions = []
    for (file, _, function), (_, calls, own, _, _) in rows.items():
        place = BUILT_IN if file in ("~", "") or file.startswith("<") else Path(file).name
        files[place] = files.get(place, 0.0) + own / total
        name = ADDRESS.sub("", function) if place == BUILT_IN else f"{place}: {function}"
        functions.append((name, own / total, calls / events))
    functions.sort(key=lambda row: -row[1])
    return Profile(dict(sorted(files.items(), key=lambda item: -item[1])), functions[:PROFILED_LINES])


# -- all of it ---------------------------------------------------------------------------------------------------------


@dataclass
class Results:
    """All that one run found."""

    effort: Effort
    series: Series
    resync: dict[str, Transfer]
    overflows: Overflows
    bytes_per_grave: float
    profile: Profile


def count_steps(effort: Effort) -> int:
    """How many steps `measure` will tell of."""
    return 4 * effort.rounds + 3 + 5


def measure(effort: Effort, step: Step) -> Results:
    """Everything; what needs the most memory last, so that the collector does not look through it meanwhile."""
    series = Series()
    for _ in run_round(QUICK, Series()):  # what only a first run pays
        pass
    for number in range(effort.rounds):
        for name in run_round(effort, series):
            step(f"round {number + 1}: {name}")
    profile = profile_receiving(effort.events, step)
    grave = bytes_per_forgotten_key(effort.graves, step)
    overflows = measure_overflows(effort.overflows, step)
    return Results(effort, series, measure_resync(effort.entries, step), overflows, grave, profile)


def text(results: Results) -> str:
    """Put everything together, top to bottom."""
    parts = (header(results), speed(results), resync(results), costs(results), time_spent(results.profile))
    return "\n\n".join("\n".join(lines) for lines in parts)


def python() -> str:
    """Name the interpreter."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def header(results: Results) -> list[str]:
    """Say what was measured, where, and how."""
    effort = results.effort
    return [
        f"The replication core: {effort.rounds} rounds of {effort.events:,} events, resync of {effort.entries:,}",
        f"{python()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs; processor time, collector on",
        f"Keys: `user:123`, encoded beforehand. Values: {len(encode_value(VALUE))} bytes, encoded. Sets only.",
    ]


def speed(results: Results) -> list[str]:
    """Ratios to bare msgpack."""
    series = results.series
    rows = []
    for row, base in BASES.items():
        ratios = series.ratios(row)
        spread = f"{min(ratios):.1f}-{max(ratios):.1f}"
        microseconds = [f"{median(figures) / 1000:.2f}" for figures in (series.rows[row], series.bases[base])]
        rows.append([row, f"{median(ratios):.1f}", spread, *microseconds, base])
    columns = ["By the event", "times msgpack", "least-most", "us", "msgpack us", "which does"]
    notes = [f"  {row:<12} {meaning}" for row, meaning in ROWS.items()]
    notes.append("  msgpack      packb, unpackb of the same columns in the same frames")
    return [*table(columns, rows), *notes, f"  A write that came by itself takes {series.frames_alone:.1f} frames."]


def resync(results: Results) -> list[str]:
    """Each reconnection beside the full transfer."""
    full = results.resync["full transfer"]
    rows = [
        [
            name,
            f"{one.bytes:,}",
            f"{one.bytes / full.bytes:.2%}",
            f"{one.messages:,}",
            f"{one.seconds:.2f}",
            f"{one.seconds / full.seconds:.1%}",
            f"{one.longest_send_seconds * 1000:.0f}",
            f"{one.longest_receive_seconds * 1000:.0f}",
        ]
        for name, one in results.resync.items()
    ]
    title = f"Resync of {results.effort.entries:,}"
    columns = [title, "bytes", "of full", "messages", "seconds", "of full", "longest send ms", "longest receive ms"]
    share = results.resync["1 % differs"].bytes / full.bytes
    verdict = "pass" if share <= RESYNC_SHARE else "MISS"
    return [
        *table(columns, rows),
        "  Seconds of both ends. The longest calls are those in which a cache's lock would be held longest.",
        f"  {verdict}  1 % differs and nothing was forgotten: at most {RESYNC_SHARE:.0%} of the bytes: {share:.2%}",
    ]


def costs(results: Results) -> list[str]:
    """Outboxes and memory."""
    found = results.overflows
    linked, unlinked = found.linked_nanoseconds / 1000, found.unlinked_nanoseconds / 1000
    resync_ms = found.resync_seconds * 1000
    return [
        "Overflow and memory",
        f"  An outbox of {found.outbox} that overflowed {found.overflows:,} times, {2 * found.outbox} writes each:",
        f"    a write takes {linked / unlinked:.2f} times what it takes without a link, the store's put in both",
        f"    that is {linked:.2f} us to {unlinked:.2f} us; past its limit an outbox takes nothing",
        f"    the resync after each takes {resync_ms:.1f} ms of both ends, which hold {found.entries:,} entries",
        f"  A forgotten key takes {results.bytes_per_grave:.0f} bytes for as long as it is remembered (tracemalloc)",
    ]


def time_spent(profile: Profile) -> list[str]:
    """Say where receiving spends its time, as far as a profiler sees it."""
    files = [[name, f"{share:.0%}"] for name, share in profile.files.items() if share >= 0.01]
    functions = [[name, f"{share:.0%}", f"{calls:.2f}"] for name, share, calls in profile.functions]
    return [
        "Where receiving spends its time (cProfile, which charges small functions too much; own time; collector off)",
        *table(["File", "share"], files),
        "",
        *table(["Function", "share", "calls per event"], functions),
        "  What is compiled stands in none of these lines; with LRU_CACHE_PURE_PYTHON=1 each rule has its own.",
    ]


def as_json(results: Results) -> dict[str, object]:
    """Say the same as the tables, for programs."""
    series = results.series
    by_event = {
        row: {
            "ratio": median(series.ratios(row)),
            "nanoseconds": median(series.rows[row]),
            "msgpack_nanoseconds": median(series.bases[base]),
            "msgpack": base,
        }
        for row, base in BASES.items()
    }
    return {
        "python": python(),
        "effort": asdict(results.effort),
        "events": by_event,
        "frames_of_a_write_alone": series.frames_alone,
        "resync": {name: asdict(transfer) for name, transfer in results.resync.items()},
        "overflows": asdict(results.overflows),
        "bytes_per_forgotten_key": results.bytes_per_grave,
        "profile": asdict(results.profile),
    }


def parser() -> Options:
    """Define the options of this measurement."""
    options = Options("replication", "The replication core in one process, as ratios to bare msgpack.")
    options.add_argument(
        "--size", type=at_least(FEWEST_ENTRIES), metavar="N", help=f"entries to resync ({FULL.entries:,})"
    )
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = parser().parse_args(arguments)
    try:
        from benchmarks.progress import Progress
    except ImportError:
        print("benchmarks: rich is not installed: pip install '.[bench]'", file=sys.stderr)
        return 2
    effort = QUICK if options.quick else FULL
    if options.size:
        effort = Effort(**{**asdict(effort), "entries": options.size})
    with Progress(count_steps(effort)) as progress:
        results = measure(effort, progress.step)
    print(json.dumps(as_json(results), indent=2) if options.json else text(results))
    return 0
