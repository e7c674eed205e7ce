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
    """Of a record behind a gap: when the one before it was appended, and messages that must wait until it is closed.

    It may stand for those that follow it, too, if there are too many.
    """

    publisher: bytes
    prev: int
    appended: int
    bodies: list[bytes]
    last: int  # the serial of the last that it stands for


@dataclass(slots=True)
class _Publisher:
    """How far its records were read without a gap, and which of those behind one."""

    known: int = 0
    beyond: dict[int, Withheld] = field(default_factory=dict)

    def pass_to(self, serial: int) -> None:
        """What comes up to there does not matter any more."""
        passed = [each.last for first, each in self.beyond.items() if first <= serial]
        self.known = max(serial, *passed, self.known)
        self.beyond = {first: each for first, each in self.beyond.items() if first > self.known}

    def note(self, serial: int, withheld: Withheld) -> None:
        """It was read, behind a gap."""
        last = max(self.beyond, default=None)
        if len(self.beyond) < BEYOND_LIMIT:
            if last is None or serial > self.beyond[last].last or serial < last:
                self.beyond[serial] = withheld
        elif last is not None and serial == self.beyond[last].last + 1:
            self.beyond[last].last = serial

    def close(self) -> list[Withheld]:
        """Go on through what was behind a gap that is none any more."""
        closed = []
        while self.known + 1 in self.beyond:
            each = self.beyond.pop(self.known + 1)
            self.known = each.last
            closed.append(each)
        return closed


class Order:
    """Of all publishers of one log, the last that were read of."""

    def __init__(self) -> None:
        self._publishers: OrderedDict[bytes, _Publisher] = OrderedDict()
        self._with_gaps: dict[bytes, _Publisher] = {}  # and perhaps some that had one

    @property
    def has_gaps(self) -> bool:
        """Whether anything is behind one."""
        return any(publisher.beyond for publisher in self._with_gaps.values())

    def is_whole(self, news: News, base: int) -> bool:
        """Whether all that its publisher has told up to this record is known, or no longer matters.

        What it has told anew since does not, nor what was appended up to `base`: there nothing older is believed.
        """
        publisher = self._publishers.setdefault(news.publisher, _Publisher())
        self._publishers.move_to_end(news.publisher)
        if len(self._publishers) > PUBLISHERS_REMEMBERED:
            forgotten, _ = self._publishers.popitem(last=False)
            self._with_gaps.pop(forgotten, None)
        before = news.serial - 1 if news.prev <= base else news.since - 1
        if before > publisher.known:
            publisher.pass_to(before)
        return news.serial <= publisher.known + 1

    def note(self, news: News, appended: int, withheld: list[bytes]) -> list[Withheld]:
        """It was read, and all of it taken but what is withheld. Returns what need not be any more."""
        publisher = self._publishers[news.publisher]
        if news.serial == publisher.known + 1:
            publisher.known += 1
        elif news.serial > publisher.known:
            each = Withheld(news.publisher, news.prev, appended, withheld, news.serial)
            publisher.note(news.serial, each)
            self._with_gaps[news.publisher] = publisher
        return publisher.close()

    def lasting(self, since: int) -> int:
        """Up to when that was appended which is missing in gaps that were there at that time already; 0: in none.

        A gap is there from when the first record behind it was appended. A publisher that says that this was before
        what is missing there must wait for as long as it says.
        """
        for name, publisher in list(self._with_gaps.items()):
            if not publisher.beyond:
                del self._with_gaps[name]
        behind = [publisher.beyond[min(publisher.beyond)] for publisher in self._with_gaps.values()]
        return max((each.prev for each in behind if max(each.prev, each.appended) < since), default=0)

    def passed(self, base: int) -> list[Withheld]:
        """What was appended up to there does not matter any more. Returns what need not be withheld."""
        closed = []
        for publisher in self._with_gaps.values():
            while publisher.beyond and publisher.beyond[first := min(publisher.beyond)].prev <= base:
                publisher.known = first - 1
                closed += publisher.close()
        return closed
