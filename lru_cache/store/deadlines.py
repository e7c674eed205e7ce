"""Which entries are due: a queue of deadlines that costs little to change and nothing to leave alone.

It knows times and entries' tickets. It must not know keys, values, or why anything expires. No method runs foreign
code: tickets are compared as the floats that they are.

One ticket at most stands for an entry. Extending a life leaves the ticket where it is: when it comes up, the entry is
found to have longer and gets a new one. Cancelling empties the ticket and leaves the shell in the heap; once shells
outnumber tickets, the heap is moved to a new one, a few at every change, so that no single call pays for all.

Whose deadline has passed leaves the heap and stands in `_passed`, so that to count them is to ask how many there are.
"""

import itertools
from collections import OrderedDict
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
    """A deadline at which to look at an entry again. A float, so that the heap compares it in C."""

    __slots__ = ("entry",)
    entry: Any  # Dated, or None for a shell


class Deadlines:
    """The queue. `retention` is how long after its deadline an entry stays; guarded by the lock of who owns it."""

    def __init__(self, retention: float) -> None:
        self._retention = retention
        self._heap: list[Ticket] = []
        self._leaving: list[Ticket] = []  # a heap too: taking from the end of its list keeps it one
        self._shells = 0
        self._passed: OrderedDict[Any, None] = OrderedDict()  # in order of their deadlines, and without tickets
        self.earliest = inf  # nothing is due before this; read by who wants to spare a call

    def __len__(self) -> int:
        return len(self._heap) + len(self._leaving) + len(self._passed)

    def schedule(self, entry: Dated) -> None:
        """See to it that the entry comes up once its deadline has passed, or sooner."""
        time = entry.deadline
        ticket = entry.ticket
        if ticket is not None:
            if ticket <= time:
                return
            self.cancel(entry)
        elif self._passed:
            self._passed.pop(entry, None)
        self._push(entry, time)
        if self._leaving:
            self._move_some()

    def cancel(self, entry: Dated) -> None:
        """Forget the entry. The shell that stays behind holds nothing of it."""
        ticket = entry.ticket
        if ticket is None:
            if self._passed:
                self._passed.pop(entry, None)
            return
        entry.ticket = None
        ticket.entry = None
        self._shells += 1
        if self._leaving:
            self._move_some()
        elif self._shells > SHELLS_TOLERATED and self._shells * 2 > len(self._heap):
            self._leaving, self._heap = self._heap, self._leaving

    def due(self, now: float, limit: int | None) -> Iterator[Any]:
        """The entries whose deadline and retention have passed, one at a time, looking at no more than `limit` tickets.

        Each is to be cancelled before the next is asked for; one that is not comes again.
        """
        while limit is None or limit > 0:
            limit = limit and limit - 1
            passed, heap = next(iter(self._passed), None), self._earliest()
            if passed is not None and not (heap and heap[0] < passed.deadline):
                if passed.deadline + self._retention > now:
                    break
                yield passed
                continue
            if not heap or heap[0] + self._retention > now:
                break
            entry = heap[0].entry
            if entry is not None and entry.deadline + self._retention <= now:
                ticket = heap[0]
                yield entry
                if ticket.entry is None and heap and heap[0] is ticket:
                    heappop(heap)
                    self._shells -= 1
                continue
            self._pop(heap, entry)
            if entry is not None:  # its life was extended since
                self._push(entry, entry.deadline)
        firsts = [heap[0] + self._retention for heap in (self._heap, self._leaving) if heap]
        firsts += [entry.deadline + self._retention for entry in itertools.islice(self._passed, 1)]
        self.earliest = min(firsts, default=inf)

    def pass_time(self, now: float, limit: int | None) -> bool:
        """Note whose deadline has passed, looking at no more than `limit` tickets. Whether that is all.

        Time may go back, too: who asks for it may have been overtaken by another thread.
        """
        while limit is None or limit > 0:
            limit = limit and limit - 1
            heap = self._earliest()
            last = next(reversed(self._passed), None)
            if last is not None and (last.deadline > now or (heap and heap[0] < last.deadline)):
                del self._passed[last]
                self._push(last, last.deadline)
                continue
            if not heap or heap[0] > now:
                return True
            entry = heap[0].entry
            self._pop(heap, entry)
            if entry is None:
                continue
            if entry.deadline <= now:
                self._passed[entry] = None
            else:  # its life was extended since
                self._push(entry, entry.deadline)
        return False

    def count_passed(self, now: float) -> int:
        """Count the entries, among those that were scheduled, whose deadline has passed."""
        self.pass_time(now, None)
        return len(self._passed)

    def _push(self, entry: Dated, time: float) -> None:
        if time == inf:
            return
        ticket = Ticket(time)
        ticket.entry = entry
        entry.ticket = ticket
        heappush(self._heap, ticket)
        if time + self._retention < self.earliest:
            self.earliest = time + self._retention

    def _pop(self, heap: list[Ticket], entry: Dated | None) -> None:
        """Take the first ticket, which is this entry's, out of a heap."""
        ticket = heappop(heap)
        if entry is None:
            self._shells -= 1
        else:
            entry.ticket = ticket.entry = None

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
