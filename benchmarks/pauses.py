"""`python -m benchmarks pauses`: how long one call keeps all others out, where a cache holds a million entries.

Two figures for each operation, both in processor time: the longest time for which a thread held a cache's lock, and the
longest single call of a function in C, in which no other thread of the process runs. What an operation takes in all is
not measured here: one that works in slices may take long and stand in nobody's way.
"""

import gc
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep, thread_time
from typing import Any

from benchmarks.options import Options, at_least
from benchmarks.tables import table
from lru_cache import LRUCache, LRUCacheDistributed
from lru_cache.loading import plan
from lru_cache.testing import ManualClock

BOUND_SECONDS = 0.005
SIZES = {"quick": 20_000, "full": 1_000_000}
LIFE_SECONDS = 1_000
PATIENCE_SECONDS = 600.0
POLL_SECONDS = 0.02

Cache = LRUCache[Any, Any]
Node = LRUCacheDistributed[Any, Any]
Act = Callable[[], object]


class MeasuredLock:
    """A cache's lock that notes the longest time, of the holding thread's processor time, between taking and giving."""

    kind: Any = None  # of the lock that it stands before
    longest = 0.0  # of all locks

    def __init__(self) -> None:
        self._lock = MeasuredLock.kind()  # not by an instance: of a function that would be a method
        self._depth = 0
        self._since = 0.0

    def acquire(self, *arguments: Any, **named: Any) -> bool:
        """Take it; whether that was possible."""
        taken: bool = self._lock.acquire(*arguments, **named)
        if taken:
            self._depth += 1
            if self._depth == 1:
                self._since = thread_time()
        return taken

    def release(self) -> None:
        """Give it back."""
        if self._depth == 1:
            MeasuredLock.longest = max(MeasuredLock.longest, thread_time() - self._since)
        self._depth -= 1
        self._lock.release()

    def __enter__(self) -> bool:
        """Take it."""
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()

    def _is_owned(self) -> bool:
        owned: bool = self._lock._is_owned()
        return owned


class Calls:
    """Notes the longest single call of a function in C, in every thread, while it is switched on."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began: dict[int, float] = {}

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Switch it on."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]  # which is how it is switched off

    def _note(self, _frame: object, event: str, _argument: object) -> None:
        if event == "c_call":
            self._began[threading.get_ident()] = thread_time()
        elif event == "c_return" and (began := self._began.pop(threading.get_ident(), None)) is not None:
            self.longest = max(self.longest, thread_time() - began)


@dataclass(frozen=True)
class Pause:
    """One row: what was done, and for how long at once it kept the others out."""

    place: str
    operation: str
    held_seconds: float
    call_seconds: float | None  # None: not measured

    @property
    def passed(self) -> bool:
        """Whether nobody was kept out for longer than is promised."""
        return max(self.held_seconds, self.call_seconds or 0.0) <= BOUND_SECONDS


@contextmanager
def measured_locks() -> Iterator[None]:
    """Caches that are made in here have a lock that is measured; so they have no short cuts without it."""
    MeasuredLock.kind = plan.Lock
    plan.Lock = MeasuredLock  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        plan.Lock = MeasuredLock.kind  # type: ignore[misc]


def longest_hold(act: Act) -> float:
    """The longest time for which a lock is held while something is done. Nothing is collected in between."""
    gc.collect()
    gc.disable()
    MeasuredLock.longest = 0.0
    try:
        act()
    finally:
        gc.enable()
    return MeasuredLock.longest


def longest_call(act: Act) -> float:
    """The longest single call of a function in C while something is done."""
    calls = Calls()
    gc.collect()
    gc.disable()
    try:
        with calls.noted():
            act()
    finally:
        gc.enable()
    return calls.longest


# -- one process -------------------------------------------------------------------------------------------------------


def filled(size: int, **more: Any) -> tuple[Cache, ManualClock]:
    """A cache that is full of text, and its clock."""
    clock = ManualClock()
    cache: Cache = LRUCache(maximum_capacity=size, expiration_time=LIFE_SECONDS, clock=clock, **more)
    for number in range(size):
        cache.set(f"key {number}", f"value {number}")
    return cache, clock


def consume(things: Iterable[object]) -> None:
    """Go through them, in Python."""
    for _ in things:
        pass


def local_operations(size: int) -> dict[str, Callable[[], tuple[object, Act]]]:
    """What is done to a full cache in one process: by its name, a cache that is ready for it, and the act."""

    def plain(act: Callable[[Cache], object]) -> Callable[[], tuple[object, Act]]:
        def prepare() -> tuple[object, Act]:
            cache, _ = filled(size)
            return cache, lambda: act(cache)

        return prepare

    def expired(act: Callable[[Cache], object]) -> Callable[[], tuple[object, Act]]:
        def prepare() -> tuple[object, Act]:
            cache, clock = filled(size)
            clock.advance(LIFE_SECONDS)
            return cache, lambda: act(cache)

        return prepare

    def clear_with_listener() -> tuple[object, Act]:
        cache, _ = filled(size, on_removal=lambda _: None)
        return cache, cache.clear

    def fill() -> tuple[object, Act]:
        cache, _ = filled(1)
        cache._store.capacity = size
        return cache, lambda: consume(cache.set(number, number) for number in range(size))

    return {
        "clear()": plain(lambda cache: cache.clear()),
        "clear() with a listener": clear_with_listener,
        "expire() of all": expired(lambda cache: cache.expire()),
        "len() where all have expired": expired(len),
        "stats() where all have expired": expired(lambda cache: cache.stats()),
        "repr() where all have expired": expired(repr),
        "iteration over keys": plain(consume),
        "items()": plain(lambda cache: consume(cache.items())),
        "values()": plain(lambda cache: consume(cache.values())),
        "keys_known()": plain(lambda cache: cache.keys_known()),
        "popitem() of a tenth": plain(lambda cache: consume(cache.popitem() for _ in range(size // 10))),
        "set() while it grows": fill,
    }


def measure_local(size: int, step: Callable[[str], None]) -> Iterator[Pause]:
    """Each operation twice: with locks that are measured, and with calls that are."""
    for name, prepare in local_operations(size).items():
        with measured_locks():
            kept, act = prepare()
        held = longest_hold(act)
        del kept, act
        kept, act = prepare()
        call = longest_call(act)
        del kept, act
        step(f"local: {name}")
        yield Pause("local", name, held, call)


# -- two nodes in one process ------------------------------------------------------------------------------------------


def wait_for(cache: Node, condition: Callable[[], bool]) -> None:
    """Wait until something is so in a cache, and until who has made it so has given its lock back."""
    deadline = monotonic() + PATIENCE_SECONDS
    while not condition():
        if monotonic() > deadline:
            raise TimeoutError("the nodes did not come to it in time")
        sleep(POLL_SECONDS)
    with cache._lock:
        pass


@contextmanager
def listening(size: int) -> Iterator[Node]:
    """A node that others may join, with a silence long enough for what is slow under a profile."""
    cache: Node = LRUCacheDistributed(
        maximum_capacity=size, connection_timeout=60_000, local_address=("127.0.0.1", 0), expiration_time=LIFE_SECONDS
    )
    with cache:
        yield cache


@contextmanager
def joined(other: Node, size: int) -> Iterator[Node]:
    """A node that is linked with another."""
    address: Any = other.local_address
    cache: Node = LRUCacheDistributed(
        maximum_capacity=size, connection_timeout=60_000, remote_address=address, expiration_time=LIFE_SECONDS
    )
    with cache:
        cache.wait_connected(timeout=PATIENCE_SECONDS)
        yield cache


def write(cache: Node, size: int) -> None:
    """Set so many keys."""
    for number in range(size):
        cache.set(f"key {number}", f"value {number}")


@contextmanager
def full_pair(size: int) -> Iterator[tuple[Node, Node]]:
    """Two linked nodes: what the first has written the second holds unread."""
    with listening(size) as one, joined(one, size) as other:
        write(one, size)
        wait_for(other, lambda: len(other) == size)
        yield one, other


def clear_here(size: int) -> float:
    """Clear one of two nodes, as it is seen by both."""
    with full_pair(size) as (one, other):
        return longest_hold(lambda: (one.clear(), wait_for(other, lambda: len(other) == 0)))


def expire_on_both(size: int) -> float:
    """Drop what has expired, where each entry leaves its age behind."""
    with full_pair(size) as (one, _):
        one._store.clear(0.0)
        for number in range(size):
            one.set(f"key {number}", number, expiration_time=0.001)
        sleep(POLL_SECONDS)
        return longest_hold(one.expire)


def list_unread(size: int) -> float:
    """Go through values that came encoded and that nobody has read."""
    with full_pair(size) as (_, other):
        return longest_hold(lambda: consume(other.values()))


def greet_with_graves(size: int) -> float:
    """Greet a node that is new, where as much was deleted as is remembered."""
    with listening(size) as one:
        one.invalidate_many(f"key {number}" for number in range(size))

        def greet() -> None:
            with joined(one, size) as other:
                one.set("last", 1)
                wait_for(other, lambda: other.peek("last") == 1)

        return longest_hold(greet)


def join(size: int) -> float:
    """Join a node that is full."""
    with listening(size) as one:
        write(one, size)

        def join_it() -> None:
            with joined(one, size) as other:
                wait_for(other, lambda: len(other) == size)

        return longest_hold(join_it)


def floors(size: int) -> float:
    """Meet a node that has forgotten how old what was deleted was, with values that it may have deleted."""
    with listening(size) as one:
        with joined(one, size) as other:
            write(one, size)
            wait_for(other, lambda: len(other) == size)
        one.invalidate_many(f"deleted {number}" for number in range(2 * size))

        def meet() -> None:
            with joined(one, size) as other:
                one.set("last", 1)
                wait_for(other, lambda: other.peek("last") == 1)

        return longest_hold(meet)


REPLICATED: dict[str, Callable[[int], float]] = {
    "clear(), here and at the other": clear_here,
    "expire() of all": expire_on_both,
    "values() that nobody has read": list_unread,
    "a greeting with a full graveyard": greet_with_graves,
    "a join of a full node": join,
    "floors": floors,
}


def measure_replicated(size: int, step: Callable[[str], None]) -> Iterator[Pause]:
    """Each operation, with the locks of both nodes measured."""
    for name, operation in REPLICATED.items():
        with measured_locks():
            held = operation(size)
        step(f"replicated: {name}")
        yield Pause("replicated", name, held, None)


# -- the command -------------------------------------------------------------------------------------------------------


def text(pauses: Sequence[Pause], size: int) -> str:
    """All of it, to be read."""
    rows = [
        (
            pause.place,
            pause.operation,
            f"{pause.held_seconds * 1000:.2f}",
            "" if pause.call_seconds is None else f"{pause.call_seconds * 1000:.2f}",
            "pass" if pause.passed else "MISS",
        )
        for pause in pauses
    ]
    head = f"{size:,} entries. Milliseconds of processor time; at most {BOUND_SECONDS * 1000:.0f} are promised."
    columns = ("where", "operation", "lock held", "call in C", "verdict")
    return "\n".join([head, "", *table(columns, rows)])


def parser() -> Options:
    """The options of this measurement."""
    options = Options("pauses", __doc__)
    options.add_argument("--size", type=at_least(1), help="entries in each cache (default: 1,000,000)")
    options.add_argument("--local", action="store_true", help="only what one cache does by itself")
    return options


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = parser().parse_args(arguments)
    size = options.size or SIZES["quick" if options.quick else "full"]

    def step(name: str) -> None:
        print(f"  {name}", file=sys.stderr, flush=True)

    pauses = list(measure_local(size, step))
    if not options.local:
        pauses += measure_replicated(size, step)
    rows = [{**vars(pause), "passed": pause.passed} for pause in pauses]
    print(json.dumps({"size": size, "pauses": rows}, indent=2) if options.json else text(pauses, size))
    return 0
