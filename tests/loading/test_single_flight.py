"""Who waits for a load is woken, whatever a signal's handler raises in whichever of the threads."""

from collections.abc import Callable

from lru_cache import LRUCache
from tests.concurrency import Gate, Started, eventually, interrupted_after

Start = Callable[..., Started]


def gated() -> tuple[LRUCache[str, str], Gate]:
    """A cache whose first load stops at a gate."""
    gate, runs = Gate(), []

    def load(key: str) -> str:
        runs.append(key)
        if len(runs) == 1:
            gate.pass_through()
        return "loaded"

    return LRUCache(load), gate


def wait_until_all_wait(cache: LRUCache[str, str], threads: list[Started]) -> None:
    """Wait until each of these threads waits for the load of this cache, or has ended."""
    flights = list(cache._flights.running.values())

    def waits() -> bool:
        waiting = sum([len(flight.waiters) for flight in flights])
        return waiting >= sum([each.thread.is_alive() for each in threads])

    eventually(waits)


def test_a_waiter_that_is_interrupted_at_any_line_keeps_nobody_else_waiting(start: Start) -> None:
    """As by a signal's handler that raises: before the load has landed, or just when this thread was woken."""

    def interrupt(line: int) -> bool:
        cache, gate = gated()
        leader = start(cache.get, "a")
        gate.wait_entered()
        waiting = [start(interrupted_after, line, lambda: cache.get("a"), "/loading/") for _ in range(4)]
        calm = start(cache.get, "a")
        wait_until_all_wait(cache, [*waiting, calm])
        gate.open()
        assert [leader.result(), calm.result()] == ["loaded"] * 2, f"line {line}"
        interrupted = [each.result() for each in waiting]
        assert not cache._flights.running
        return any(interrupted)

    line = 1
    while interrupt(line):
        line += 1
    assert line > 20


def test_a_leader_that_is_interrupted_at_any_line_keeps_nobody_waiting(start: Start) -> None:
    """In the middle of waking them, too."""

    def interrupt(line: int) -> bool:
        cache, gate = gated()
        leader = start(interrupted_after, line, lambda: cache.get("a"), "/loading/")
        eventually(lambda: gate.is_entered() or not leader.thread.is_alive())
        waiting = [start(cache.get, "a") for _ in range(3 * gate.is_entered())]
        wait_until_all_wait(cache, waiting)
        gate.open()
        interrupted: bool = leader.result()
        assert [each.result() for each in waiting] == ["loaded"] * len(waiting), f"line {line}"
        assert not cache._flights.running
        return interrupted

    line = 1
    while interrupt(line):
        line += 1
    assert line > 40
