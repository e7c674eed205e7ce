"""The queue of deadlines: what is due comes up, what is cancelled leaves nothing, and no call pays for all."""

import weakref
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.store.deadlines import MOVED_PER_CHANGE, SHELLS_TOLERATED, Deadlines


@dataclass(eq=False)
class Dated:
    deadline: float
    ticket: Any = None


def take_due(queue: Deadlines, now: float, limit: int | None) -> list[Any]:
    """Take out what is due, as the store does."""
    taken = []
    for entry in queue.due(now, limit):
        queue.cancel(entry)
        taken.append(entry)
    return taken


def test_takes_what_is_due_in_order_of_deadline() -> None:
    queue, entries = Deadlines(0), [Dated(3), Dated(1), Dated(2)]
    for entry in entries:
        queue.schedule(entry)
    assert [e.deadline for e in take_due(queue, 2, None)] == [1, 2]


def test_an_entry_is_due_at_its_deadline_and_not_before() -> None:
    queue, entry = Deadlines(0), Dated(10.0)
    queue.schedule(entry)
    assert take_due(queue, 9.999, None) == []
    assert take_due(queue, 10.0, None) == [entry]


def test_the_retention_adds_to_every_deadline() -> None:
    queue, entry = Deadlines(5), Dated(10.0)
    queue.schedule(entry)
    assert take_due(queue, 14, None) == []
    assert take_due(queue, 15, None) == [entry]


def test_an_extended_life_comes_up_at_its_new_end_only() -> None:
    queue, entry = Deadlines(0), Dated(10.0)
    queue.schedule(entry)
    entry.deadline = 20.0
    queue.schedule(entry)
    assert take_due(queue, 19, None) == []
    assert take_due(queue, 20, None) == [entry]


def test_a_shortened_life_comes_up_at_its_new_end() -> None:
    queue, entry = Deadlines(0), Dated(10.0)
    queue.schedule(entry)
    entry.deadline = 5.0
    queue.schedule(entry)
    assert take_due(queue, 5, None) == [entry]
    assert take_due(queue, 100, None) == []


def test_extending_a_life_again_and_again_adds_no_ticket() -> None:
    queue, entry = Deadlines(0), Dated(1.0)
    for deadline in range(1000):
        entry.deadline = float(deadline)
        queue.schedule(entry)
    assert len(queue) == 1


def test_alternating_lives_leave_a_bounded_number_of_shells() -> None:
    queue, entry = Deadlines(0), Dated(1.0)
    for turn in range(10_000):
        entry.deadline = 1e6 - turn
        queue.schedule(entry)
    assert len(queue) <= 2 * SHELLS_TOLERATED + 2


def test_a_life_without_end_takes_no_ticket() -> None:
    queue, entry = Deadlines(0), Dated(float("inf"))
    queue.schedule(entry)
    assert len(queue) == 0


def test_what_is_cancelled_is_held_no_longer() -> None:
    queue, entry = Deadlines(0), Dated(10.0)
    queue.schedule(entry)
    queue.cancel(entry)
    seen = weakref.ref(entry)
    del entry
    assert seen() is None


def test_what_has_passed_is_noted_a_few_at_a_time_and_once() -> None:
    queue, entries = Deadlines(0), [Dated(1.0) for _ in range(100)]
    for entry in entries:
        queue.schedule(entry)
    assert [queue.pass_time(1.0, 40) for _ in range(3)] == [False, False, True]
    assert queue.count_passed(1.0) == 100
    assert all(entry.ticket is None for entry in entries)


def test_what_has_passed_and_lives_again_is_not_counted() -> None:
    queue, entry = Deadlines(0), Dated(1.0)
    queue.schedule(entry)
    assert queue.count_passed(1.0) == 1
    entry.deadline = 5.0
    queue.schedule(entry)
    assert queue.count_passed(4.0) == 0
    assert queue.count_passed(5.0) == 1
    assert queue.count_passed(4.0) == 0


def test_shells_are_a_bounded_part_of_the_queue_under_churn() -> None:
    queue, living = Deadlines(0), [Dated(float(i)) for i in range(1000)]
    for entry in living:
        queue.schedule(entry)
    for turn in range(20_000):
        entry = living[turn % 1000]
        queue.cancel(entry)
        entry.deadline = float(1000 + turn)
        queue.schedule(entry)
        assert len(queue) <= 3 * 1000 + SHELLS_TOLERATED


def test_one_change_moves_few_tickets() -> None:
    """Else one unlucky `set` in a large cache pays for all the others."""
    queue, entries = Deadlines(0), [Dated(float(i)) for i in range(10_000)]
    for entry in entries:
        queue.schedule(entry)
    for entry in entries[: 5_000 + SHELLS_TOLERATED]:
        before = len(queue._heap)
        queue.cancel(entry)
        assert len(queue._heap) - before <= MOVED_PER_CHANGE


def test_the_limit_counts_tickets_looked_at_also_those_whose_life_was_extended() -> None:
    queue, entries = Deadlines(0), [Dated(1.0) for _ in range(100)]
    for entry in entries:
        queue.schedule(entry)
        entry.deadline = 50.0
    assert take_due(queue, 1, 10) == []
    assert sum(entry.ticket == 1.0 for entry in entries) == 90


Operation = tuple[str, int, int]
operations = st.lists(
    st.tuples(
        st.sampled_from(["schedule", "schedule", "cancel", "take", "count"]), st.integers(0, 30), st.integers(0, 100)
    ),
    max_size=300,
)


@settings(deadline=None)  # how fast it is depends on what else the machine does
@given(operations, st.sampled_from([0, 7]))
def test_agrees_with_a_naive_list(steps: list[Operation], retention: int) -> None:
    queue = Deadlines(retention)
    queue_limits = [Dated(0.0) for _ in range(31)]
    scheduled: dict[int, float] = {}
    now = 0.0
    for action, index, number in steps:
        entry = queue_limits[index]
        if action == "schedule":
            entry.deadline = scheduled[index] = now + number
            queue.schedule(entry)
        elif action == "cancel":
            queue.cancel(entry)
            scheduled.pop(index, None)
        elif action == "take":
            now += number / 5
            due = {i for i, deadline in scheduled.items() if deadline + retention <= now}
            assert {queue_limits.index(e) for e in take_due(queue, now, None)} == due
            for i in due:
                del scheduled[i]
        else:
            assert queue.count_passed(now) == sum(deadline <= now for deadline in scheduled.values())
