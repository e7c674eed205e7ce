"""Trees: over which links the news of each node comes, where links form circles and it could come over several.

Who is told the same news again and again over a link asks not to be told that node's there any more: the link is
*pruned* for that origin. From then on it hears only how late the news is that was kept from it. Whoever misses some of
that for longer than a moment asks to be told again: the link is *grafted*. So what is left is a tree for each origin,
made of the links over which its news came first.

A `Branch` is one link's part in the trees of all origins, and is gone with the link. `Trees` is what a node knows
beside that. This file must not know keys, messages or outboxes, nor what is news.
"""

from math import inf
from typing import Any

RUMOUR_SECONDS = 0.1  # that news waits before those hear of it that it is kept from: most of them have it by then
GRAFT_SECONDS = 0.25  # that the news may come later than the word of it: longer than most ways differ
LONGEST_GRAFT_SECONDS = 4.0  # likewise, where it came all the same after it was asked for, since somebody is busy
CALM_SECONDS = 10.0  # after which half of that is enough again
PRUNE_AGAIN_SECONDS = 5.0  # before a neighbour is asked the same again, which may not know how
MARKS = 16  # of each origin
MARK_NEWS = 1_024  # between two of them: so many keys more are looked at, which takes a millisecond
PRUNE = -1  # in the place of a time
UNKNOWN = -1
_NEVER = inf


class Branch:
    """One link. What the neighbour has asked of us, what we have asked of it, and what is yet to be said of either."""

    __slots__ = (
        "ahead", "asked", "cut", "grafted", "grafts", "needs", "passed", "pruned", "regrafted", "repeats", "rested",
        "rumours", "said", "said_on", "said_rests",
    )  # fmt: skip

    def __init__(self) -> None:
        self.pruned: dict[bytes, int] = {}  # origin that we keep from it -> the time of its news that it may know of
        self.grafts: dict[bytes, int] = {}  # origin that it wants again -> up to which time it has seen that
        self.regrafted: dict[bytes, None] = {}  # what it had asked for again and has been told: to be said
        self.rumours: dict[bytes, int] = {}  # origin -> how late the news is that was kept from it: to be said
        self.passed: dict[bytes, None] = {}  # pruned origins of which we have seen more: to be said
        self.cut: dict[bytes, float] = {}  # origin that we want no more from it -> when we decided that
        self.grafted: dict[bytes, None] = {}  # that we asked for again, until it says how much of it has come
        self.ahead: dict[bytes, int] = {}  # origin -> how late the news is that it has, and keeps from us
        self.said: dict[bytes, int] = {}  # what it has seen, and rests on what it keeps from us: not ours yet
        self.said_on: dict[bytes, int] = {}  # what of others that rests on
        self.said_rests = False  # on all that it had
        self.rested: dict[bytes, int] = {}  # what of others we have said that ours rests on
        self.needs: dict[bytes, int] = {}  # origin -> up to which time we must have seen it for that
        self.asked: dict[bytes, int] = {}  # origin -> PRUNE or anything else, for a graft: to be said
        self.repeats: dict[bytes, int] = {}  # origin -> messages in a row that brought nothing

    def has_words(self) -> bool:
        """Whether there is anything to say of all this."""
        return len(self.asked) > 0 or len(self.rumours) > 0 or len(self.passed) > 0

    def end_grafts(self) -> None:
        """What it had asked for again has been told: it is to be said that nothing of it is kept any more."""
        regrafted, self.regrafted = self.regrafted, {}
        for node in regrafted:
            self.rumours[node] = 0

    def forget(self, node: bytes) -> None:
        """A node is not known any more. What is kept from the neighbour stays so: else it would be taken for told."""
        self.repeats.pop(node, None)
        self.passed.pop(node, None)
        self.said_on.pop(node, None)
        self.rested.pop(node, None)


class Trees:
    """All origins. Who the neighbours are it knows by their being told apart."""

    __slots__ = (
        "_awaited", "_graft_seconds", "_longer_since", "_marks", "_news", "_rumoured", "asked", "due", "first", "kept",
        "orphans", "rumours_at",
    )  # fmt: skip

    def __init__(self) -> None:
        self.first: dict[bytes, Any] = {}  # origin -> the neighbour over whose link its latest news came first
        self.kept: dict[bytes, int] = {}  # pruned origins -> from how many neighbours they are kept
        self.orphans: dict[bytes, None] = {}  # origins whose link is gone
        self.asked: dict[bytes, Any] = {}  # origin whose news was late -> who was asked for it, until some comes
        self.due = inf  # when there is something to do
        self.rumours_at = inf  # when it is to be said what news was kept from anybody
        self._news: dict[bytes, int] = {}  # origin -> the time of its latest news
        self._marks: dict[bytes, list[tuple[int, int]]] = {}  # origin -> times, and what number of news came after
        self._rumoured: dict[bytes, None] = {}  # origins of which there is news that is kept from somebody
        self._awaited: dict[bytes, float] = {}  # origin of which others have more -> when to ask for it
        self._graft_seconds = GRAFT_SECONDS  # that is waited now
        self._longer_since = -inf  # when that last rose

    # -- what is news ------------------------------------------------------------------------------------------------

    def latest(self, node: bytes) -> int:
        """The time of a node's latest news, or UNKNOWN."""
        time = self._news.get(node)
        return UNKNOWN if time is None else time

    def note_news(self, node: bytes, time: int) -> bool:
        """There is news of a node. Whether it is the latest so far."""
        if time <= self.latest(node):
            return False
        self._news[node] = time
        return True

    def mark(self, node: bytes, number: int) -> None:
        """All news of a node that is later than its latest so far comes after that many others."""
        time = self.latest(node)
        if time == UNKNOWN:
            return
        marks = self._marks.setdefault(node, [])
        if marks and number - marks[len(marks) - 1][1] < MARK_NEWS:
            return
        marks.append((time, number))
        if len(marks) > MARKS:
            del marks[0]

    def number_before(self, node: bytes, seen: int, number: int) -> int:
        """After how much news there was any of a node that is later than what was seen of it.

        The number of all so far if there was none, and UNKNOWN if nobody can tell.
        """
        latest = self.latest(node)
        if latest == UNKNOWN:
            return UNKNOWN
        if latest <= seen:
            return number
        for time, before in reversed(self._marks.get(node, [])):
            if time <= seen:
                return before
        return UNKNOWN

    def forget(self, node: bytes) -> None:
        """A node is not known any more."""
        self.first.pop(node, None)
        self.orphans.pop(node, None)
        self.asked.pop(node, None)
        if node not in self.kept:  # else it is to be said how late the news is that is kept
            self._news.pop(node, None)
            self._marks.pop(node, None)

    def clear(self) -> None:
        """There are no links, and what was written is about to be dated anew."""
        self.first.clear()
        self.orphans.clear()
        self.asked.clear()
        self._news.clear()
        self._marks.clear()
        self._rumoured.clear()
        self._awaited.clear()
        self.kept.clear()
        self.due = self.rumours_at = inf

    # -- who is told -------------------------------------------------------------------------------------------------

    def keep(self, node: bytes, branch: Branch) -> None:
        """A neighbour wants no more of a node, which it knows to be as far as our latest news of it."""
        if node not in branch.pruned:
            branch.pruned[node] = self.latest(node)
            self.kept[node] = self.kept.get(node, 0) + 1

    def tell(self, node: bytes, branch: Branch) -> None:
        """It wants it again, or is gone."""
        if branch.pruned.pop(node, None) is not None:
            left = self.kept[node] - 1
            if left:
                self.kept[node] = left
            else:
                del self.kept[node]

    # -- what is due -------------------------------------------------------------------------------------------------

    def rumour(self, node: bytes, now: float) -> None:
        """There is news of a node that is kept from somebody."""
        self._rumoured[node] = None
        if self.rumours_at == _NEVER:
            self.rumours_at = now + RUMOUR_SECONDS
            self.due = min(self.due, self.rumours_at)

    def pop_rumours(self) -> list[bytes]:
        """The origins of which there was such news."""
        rumoured, self._rumoured = self._rumoured, {}
        self.rumours_at = inf
        return list(rumoured)

    def lose(self, neighbour: object, branch: Branch) -> None:
        """A link is gone: whoever's news came over it needs another."""
        for node in list(branch.pruned):
            self.tell(node, branch)
        lost = [node for node, first in self.first.items() if first is neighbour]
        for node in lost:
            del self.first[node]
            self.orphans[node] = None
        for node in [node for node, asked in self.asked.items() if asked is neighbour]:
            del self.asked[node]
        if lost:
            self.due = -inf

    def orphan(self, node: bytes) -> None:
        """Whoever brought a node's news asks for it: it needs to come another way."""
        self.first.pop(node, None)
        self.orphans[node] = None
        self.due = -inf

    def wait_for(self, node: bytes, now: float) -> None:
        """Somebody has news of a node that has not come here."""
        if node not in self._awaited:
            due = now + self.graft_seconds(now)
            self._awaited[node] = due
            self.due = min(self.due, due)

    def graft_seconds(self, now: float) -> float:
        """How long news may be late before it is asked for."""
        while self._graft_seconds > GRAFT_SECONDS and now - self._longer_since >= CALM_SECONDS:
            self._longer_since += CALM_SECONDS
            self._graft_seconds = max(GRAFT_SECONDS, self._graft_seconds / 2)
        return self._graft_seconds

    def note_answer(self, node: bytes, neighbour: object, is_first: bool, now: float) -> None:
        """News of an origin has come, which was late and was asked for.

        If the neighbour that was asked did not bring it first, it had been on its way: nodes are busy, and to ask them
        again as soon would keep them so. Not more than twice as long at once, however many origins were late.
        """
        asked = self.asked[node]
        if (asked is neighbour) != is_first:
            before = self.graft_seconds(now)
            if now - self._longer_since >= before:
                self._graft_seconds = min(2 * before, LONGEST_GRAFT_SECONDS)
                self._longer_since = now
        if asked is neighbour or is_first:
            del self.asked[node]

    def pop_late(self, now: float) -> list[bytes]:
        """The origins of which something has been missed for longer than a moment."""
        late = [node for node, due in self._awaited.items() if due <= now]
        for node in late:
            del self._awaited[node]
        return late

    def is_awaiting(self) -> bool:
        """Whether something is missed, or to be said, that only time brings about."""
        return self.due != _NEVER

    def look_ahead(self) -> None:
        """Find out what is due next."""
        self.due = min(self.rumours_at, min(self._awaited.values(), default=inf))
        if self.orphans:
            self.due = -inf
