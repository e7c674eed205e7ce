"""Whose records of a log were read without a gap: only then is it true of a publisher that all it told is known here.

This file must not know what a message says, nor anything of a log but serials and times.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from lru_cache.replication.log_records import News

PUBLISHERS_REMEMBERED = 16_384
BEYOND_LIMIT = 64  # records of one publisher that are remembered behind a gap


@dataclass(slots=True)
class Withheld:
    """Of a record behind a gap: when the one before it was appended, and messages that must wait until it is closed."""

    publisher: bytes
    prev: int
    appended: int
    bodies: list[bytes]


@dataclass(slots=True)
class _Publisher:
    """How far its records were read without a gap, and which of those behind one."""

    known: int = 0
    beyond: dict[int, Withheld] = field(default_factory=dict)

    def close(self) -> list[Withheld]:
        """Go on through what was behind a gap that is none any more."""
        closed = []
        while self.known + 1 in self.beyond:
            self.known += 1
            closed.append(self.beyond.pop(self.known))
        return closed


class Order:
    """Of all publishers of one log, the last that were read of."""

    def __init__(self) -> None:
        self._publishers: OrderedDict[bytes, _Publisher] = OrderedDict()

    @property
    def has_gaps(self) -> bool:
        """Whether anything is behind one."""
        return any(publisher.beyond for publisher in self._publishers.values())

    def is_whole(self, news: News, base: int) -> bool:
        """Whether all that its publisher has told up to this record is known, or no longer matters.

        What it has told anew since does not, nor what was appended up to `base`: there nothing older is believed.
        """
        publisher = self._publishers.setdefault(news.publisher, _Publisher())
        self._publishers.move_to_end(news.publisher)
        if len(self._publishers) > PUBLISHERS_REMEMBERED:
            self._publishers.popitem(last=False)
        before = news.serial - 1 if news.prev <= base else news.since - 1
        if before > publisher.known:
            publisher.known = before
            publisher.beyond = {serial: each for serial, each in publisher.beyond.items() if serial > before}
        return news.serial <= publisher.known + 1

    def note(self, news: News, appended: int, withheld: list[bytes]) -> list[Withheld]:
        """It was read, and all of it taken but what is withheld. Returns what need not be any more."""
        publisher = self._publishers[news.publisher]
        if news.serial == publisher.known + 1:
            publisher.known += 1
        elif news.serial > publisher.known and len(publisher.beyond) < BEYOND_LIMIT:
            publisher.beyond[news.serial] = Withheld(news.publisher, news.prev, appended, withheld)
        return publisher.close()

    def passed(self, base: int) -> list[Withheld]:
        """What was appended up to there does not matter any more. Returns what need not be withheld."""
        closed = []
        for publisher in self._publishers.values():
            while publisher.beyond and publisher.beyond[first := min(publisher.beyond)].prev <= base:
                publisher.known = first - 1
                closed += publisher.close()
        return closed
