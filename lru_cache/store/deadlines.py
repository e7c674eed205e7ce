"""Which entries are due: a queue of deadlines that costs little to change and nothing to leave alone.

It knows times and entries' tickets. It must not know keys, values, or why anything expires. No method runs foreign
code: tickets are compared as the floats that they are.

One ticket at most stands for an entry. Extending a life leaves the ticket where it is: when it comes up, the entry is
found to have longer and gets a new one. Cancelling empties the ticket and leaves the shell in the heap; once shells
outnumber tickets, the heap is moved to a new one, a few at every change, so that no single call pays for all.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from math import inf
from typing import Any, Protocol

MOVED_PER_CHANGE = 4  # a heap of n is moved after n/4 changes, in which at most n/4 new shells can appear
SHELLS_TOLERATED = 64  # below this, moving costs more than it frees


class Dated(Protocol):
    """What an entry must have to stand in the queue."""

    deadline: float
    ticket: "Ticket | None"


class Ticket(float):
    """A time at which to look at an entry again. A float, so that the heap compares it in C: a tuple costs twice."""

    __slots__ = ("entry",)
    entry: Any  # Dated, or None for a shell


class Deadlines:
    """The queue. `retention` is how long after its deadline an entry stays; guarded by the lock of who owns it."""

    def __init__(self, retention: float) -> None:
        self._retention = retention
        self._heap: list[Ticket] = []
        self._leaving: list[Ticket] = []  # a heap too: taking from the end of its list keeps it one
        self._shells = 0
        self.earliest = inf  # nothing is due before this; read by who wants to spare a call

    def __len__(self) -> int:
        return len(self._heap) + len(self._leaving)

    def schedule(self, entry: Dated) -> None:
        """See to it that the entry comes up once its deadline and the retention have passed, or sooner."""
        time = entry.deadline + self._retention
        ticket = entry.ticket
        if ticket is not None:
            if ticket <= time:
                return
            self.cancel(entry)
        if time == inf:
            return
        ticket = Ticket(time)
        ticket.entry = entry
        entry.ticket = ticket
        heappush(self._heap, ticket)
        if time < self.earliest:
            self.earliest = time
        if self._leaving:
            self._move_some()

    def cancel(self, entry: Dated) -> None:
        """Forget the entry. The shell that stays behind holds nothing of it."""
        ticket = entry.ticket
        if ticket is None:
            return
        entry.ticket = None
        ticket.entry = None
        self._shells += 1
        if self._leaving:
            self._move_some()
        elif self._shells > SHELLS_TOLERATED and self._shells * 2 > len(self._heap):
            self._leaving, self._heap = self._heap, self._leaving

    def due(self, now: float, limit: int | None) -> Iterator[Any]:
        """The entries whose time has come, one at a time, looking at no more than `limit` tickets.

        Each is to be cancelled before the next is asked for; one that is not comes again.
        """
        while limit is None or limit > 0:
            limit = limit and limit - 1
            heap = self._earliest()
            if not heap or heap[0] > now:
                break
            ticket = heap[0]
            entry = ticket.entry
            if entry is not None and entry.deadline + self._retention <= now:
                yield entry
                if ticket.entry is None and heap and heap[0] is ticket:
                    heappop(heap)
                    self._shells -= 1
                continue
            heappop(heap)
            if entry is None:
                self._shells -= 1
            else:  # its life was extended since
                entry.ticket = ticket.entry = None
                self.schedule(entry)
        self.earliest = min((heap[0] for heap in (self._heap, self._leaving) if heap), default=inf)

    def count_passed(self, now: float) -> int:
        """Count the entries, among those with a ticket, whose deadline has passed. Visits these and few others."""
        passed, bound = 0, now + self._retention
        for heap in (self._heap, self._leaving):
            pending = [0]
            while pending:
                index = pending.pop()
                if index < len(heap) and heap[index] <= bound:
                    entry = heap[index].entry
                    passed += entry is not None and entry.deadline <= now
                    pending += (2 * index + 1, 2 * index + 2)
        return passed

    def clear(self) -> None:
        """Forget every entry."""
        heaps = (self._heap, self._leaving)
        self._heap, self._leaving = [], []
        self._shells = 0
        self.earliest = inf
        for heap in heaps:
            for ticket in heap:
                if ticket.entry is not None:
                    ticket.entry.ticket = None
                    ticket.entry = None  # else the two would hold each other until a garbage collection

    def _earliest(self) -> list[Ticket]:
        if self._leaving and (not self._heap or self._leaving[0] < self._heap[0]):
            return self._leaving
        return self._heap

    def _move_some(self) -> None:
        for _ in range(MOVED_PER_CHANGE):
            if not self._leaving:
                return
            ticket = self._leaving.pop()
            if ticket.entry is None:
                self._shells -= 1
            else:
                heappush(self._heap, ticket)
