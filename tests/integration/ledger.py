"""What the nodes of a cluster may hold, by what they wrote down, and what of what they hold they may not.

It must not know how a cache works. A write counts if its node lives, or flushed it before it was killed. Of a record,
nothing older than the newest write that counts may be left anywhere, and those who hold a told one must agree.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.churn import kind_of, record_of


@dataclass
class Write:
    """One line of a journal: a value, or an invalidation (`dies`)."""

    key: str
    number: int
    dies: bool


class Ledger:
    """The newest write that counts, for each key."""

    def __init__(self, directory: Path) -> None:
        self.newest: dict[str, Write] = {}
        self._lost: dict[str, Write] = {}  # the newest that need not have reached anybody, and may have
        for journal in directory.glob("*.journal"):
            counted, lost = told(journal.read_text().splitlines())
            for writes, newest in ((counted, self.newest), (lost, self._lost)):
                for write in writes:
                    if write.key not in newest or write.number > newest[write.key].number:
                        newest[write.key] = write

    def faults(self, held: list[dict[str, Any]]) -> list[str]:
        """Why what the nodes hold cannot be, if it cannot."""
        found = []
        for key in sorted({key for each in held for key in each}):
            values = [each.get(key) for each in held]
            kept = {value for value in values if value is not None}
            if kind_of(record_of(key)) == "told" and len(kept) > 1:
                found.append(f"{key}: the nodes hold {values}")
            write = self.newest.get(key)
            if write is not None and min(kept) < write.number + is_told_dead(write, key):
                found.append(f"{key}: the nodes hold {values}, and {write} is newer")
        return found

    def missing(self, held: list[dict[str, Any]]) -> list[str]:
        """Values that were told last and are not everywhere: each is a miss, and allowed, and what it should not be."""
        alive = [w for w in self.newest.values() if not w.dies and kind_of(record_of(w.key)) == "told"]
        sure = [w.key for w in alive if w.key not in self._lost or self._lost[w.key].number < w.number]
        return [key for key in sure if not all(key in each for each in held)]


def is_told_dead(write: Write, key: str) -> bool:
    """An invalidation of what is only told kills also its own number; what is loaded after it may have that number."""
    return write.dies and kind_of(record_of(key)) == "told"


def told(lines: list[str]) -> tuple[list[Write], list[Write]]:
    """The writes of a journal that count, and the others: what a killed life had not flushed."""
    counted: list[Write] = []
    lost: list[Write] = []
    pending: list[Write] = []  # of this life, not known to be flushed
    flushing = 0  # how many of these the flush that is under way covers
    life = None
    for line in map(json.loads, lines):
        if "life" in line:
            if line["life"] != life:
                lost += pending
                pending, flushing = [], 0
            life = line["life"]
        elif line.get("flush") == "begins":
            flushing = len(pending)
        elif line.get("flush") == "done":
            counted += pending[:flushing]
            pending, flushing = pending[flushing:], 0
        else:
            pending.append(Write(**line))
    return counted + pending, lost
