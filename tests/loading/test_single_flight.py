"""Who waits for a load is woken, whatever a signal's handler raises in whichever of the threads."""

from collections.abc import Callable
from typing import Any

from lru_cache import LRUCache
from lru_cache.loading import single_flight
from tests.concurrency import Gate, Started, eventually, interrupted_after

Start = Callable[..., Started]


def wait_until_they_wait(cache: LRUCache[Any, Any], count: int) -> None:
    """Wait until so many threads wait for loads of this cache."""
    waited_for = single_flight._waits
    eventually(lambda: len([flight for flight in list(waited_for.values()) if flight.owner is cache._flights]) == count)


def test_a_waiter_that_is_interrupted_at_any_line_keeps_nobody_else_waiting(start: Start) -> None:
    """As by a signal's handler that raises. Before the load has landed, or just when it has woken this thread."""
    line, interrupted = 0, [True]
    while any(interrupted):
        line += 1
        gate = Gate()
        cache: LRUCache[str, str] = LRUCache(lambda key, gate=gate: gate.pass_through() or "loaded")  # type: ignore[misc]
        leader = start(cache.get, "a")
        gate.wait_entered()
        waiting = [
            start(interrupted_after, line, lambda cache=cache: cache.get("a"), "single_flight.py")  # type: ignore[misc]
            for _ in range(4)
        ]
        calm = start(cache.get, "a")
        eventually(lambda waiting=waiting, calm=calm, cache=cache: _waits_or_ended(waiting, calm, cache))  # type: ignore[misc]
        gate.open()
        assert (leader.result(), calm.result()) == ("loaded", "loaded"), f"line {line}"
        interrupted = [each.result() for each in waiting]
        assert not cache._flights.running
    assert line > 20


def _waits_or_ended(waiting: list[Started], calm: Started, cache: LRUCache[Any, Any]) -> bool:
    flights = dict(single_flight._waits)
    return all(
        not each.thread.is_alive()
        or ((flight := flights.get(each.thread.ident or 0)) is not None and flight.owner is cache._flights)
        for each in [*waiting, calm]
    )


def test_a_leader_that_is_interrupted_at_any_line_keeps_nobody_waiting(start: Start) -> None:
    """In the middle of waking them, too."""
    line, interrupted = 0, True
    while interrupted:
        line += 1
        gate, runs = Gate(), [0]

        def load(key: str, gate: Gate = gate, runs: list[int] = runs) -> str:
            runs[0] += 1
            if runs[0] == 1:
                gate.pass_through()
            return "loaded"

        cache: LRUCache[str, str] = LRUCache(load)
        leader = start(interrupted_after, line, lambda cache=cache: cache.get("a"), "/loading/")  # type: ignore[misc]
        eventually(lambda gate=gate, leader=leader: gate._entered.is_set() or not leader.thread.is_alive())  # type: ignore[misc]
        waiting = [start(cache.get, "a") for _ in range(3)] if leader.thread.is_alive() else []
        wait_until_they_wait(cache, len(waiting))
        gate.open()
        interrupted = leader.result()
        assert [each.result() for each in waiting] == ["loaded"] * len(waiting), f"line {line}"
        assert not cache._flights.running
    assert line > 40
