"""Links are pruned and grafted, and what is kept from a neighbour is never taken for told."""

from typing import Any

import pytest

from lru_cache.replication.encoding import encode_key
from tests.replication.broken import broken
from tests.replication.build import BUILDS, part_of
from tests.replication.node import Node, Y

Z, W = b"z" * 8, b"w" * 8
MILLISECOND = 1 << 16


class Told(Node):
    """A node that may be told what its peers have, message by message."""

    def __init__(self, build: str) -> None:
        super().__init__(build=build)
        self.times = part_of(build, "version").time_of(1.7e9)
        for link in ("a", "b"):
            self.hears_on(link, self.rules.Seen(False, {}))

    def at(self, milliseconds: int) -> int:
        return int(self.times) + milliseconds * MILLISECOND

    def hears_on(self, link: str, message: Any) -> None:
        self.replica.received(link, self.rules.messages.encode(message), self.now)

    def hears_of(self, link: str, key: str, time: int, node: bytes = Z) -> None:
        version = self.rules.Version(self.at(time), node)
        self.hears_on(link, [self.rules.Event(self.rules.Kind.SET, encode_key(key), version, 1, b"\x01")])

    def says(self, link: str) -> list[Any]:
        """All that it sends on a link now."""
        self.replica.work(self.now)
        found: list[Any] = []
        while bodies := self.replica.to_send(link, self.now, 1_000_000):
            found += map(self.rules.messages.decode, bodies)
        return found

    def kinds(self, link: str, kind: str) -> list[Any]:
        return [message for message in self.says(link) if type(message).__name__ == kind]

    def is_pruned(self) -> "Told":
        """The peer behind b has the news of Z from elsewhere."""
        self.hears_of("a", "first", 0)
        self.says("b")
        self.hears_on("b", part_of_messages(self).Prune([Z]))
        return self


def part_of_messages(node: Told) -> Any:
    return node.rules.messages


@pytest.fixture(params=BUILDS)
def told(request: pytest.FixtureRequest) -> Told:
    return Told(request.param)


def repeated(told: Told, first: str, again: str, times: int, start: int = 0) -> None:
    for i in range(start, start + times):
        told.hears_of(first, f"key {i}", i)
        told.hears_of(again, f"key {i}", i)


def test_who_repeats_is_asked_to_keep_that_nodes_news(told: Told) -> None:
    repeated(told, "a", "b", 3)
    assert told.kinds("b", "Prune") == [part_of_messages(told).Prune([Z])]
    assert told.kinds("a", "Prune") == []


def test_who_repeats_less_often_is_not(told: Told) -> None:
    repeated(told, "a", "b", 2)
    repeated(told, "b", "a", 2, start=2)
    assert told.kinds("a", "Prune") + told.kinds("b", "Prune") == []


def test_who_was_first_is_not_though_it_repeats(told: Told) -> None:
    told.hears_of("a", "key", 0)
    for _ in range(5):
        told.hears_of("a", "key", 0)
    assert told.kinds("a", "Prune") == []


def test_the_last_link_is_not_pruned(told: Told) -> None:
    repeated(told, "a", "b", 3)
    told.hears_of("b", "on its way still", 3)
    for i in range(5):
        told.hears_of("a", f"key {i % 3}", i % 3)
    assert told.kinds("a", "Prune") == []


def test_without_that_rule_it_is() -> None:
    with broken("last-link-pruned"):
        told = Told("python")
        repeated(told, "a", "b", 3)
        for i in range(5):
            told.hears_of("a", f"key {i % 3}", i % 3)
        assert told.kinds("a", "Prune") != []


def test_what_is_pruned_is_not_told_and_not_said_to_be_seen(told: Told) -> None:
    told.is_pruned()
    told.hears_of("a", "key", 1)
    told.hears_on("a", told.rules.Seen(False, {Z: told.at(1)}))
    assert [m for m in told.says("b") if isinstance(m, list) or Z in getattr(m, "times", {})] == []


def test_how_late_it_is_is_said_in_a_moment(told: Told) -> None:
    told.is_pruned()
    told.hears_of("a", "key", 1)
    told.hears_on("a", told.rules.Seen(False, {Z: told.at(1)}))
    told.now += 0.1
    assert told.kinds("b", "Reached") == [part_of_messages(told).Reached({Z: told.at(1)}, {Z: told.at(1)})]


def test_who_grafts_is_told_what_was_kept_and_all_from_then_on(told: Told) -> None:
    told.is_pruned()
    told.hears_of("a", "key", 1)
    told.hears_on("a", told.rules.Seen(False, {Z: told.at(1)}))
    told.hears_on("b", part_of_messages(told).Graft({Z: told.at(0)}))
    said = told.says("b")
    assert [event.key for message in said if isinstance(message, list) for event in message] == [encode_key("key")]
    assert {type(m).__name__ for m in said} == {"list", "Reached", "Seen"}
    assert next(m for m in said if type(m).__name__ == "Reached").news == {Z: 0}
    (seen,) = [m for m in said if type(m).__name__ == "Seen" and Z in m.times]
    assert seen.rests
    assert seen.times[Z] == told.at(1)
    told.hears_of("a", "next", 2)
    assert [event.key for m in told.says("b") if isinstance(m, list) for event in m] == [encode_key("next")]


def test_what_a_neighbour_keeps_from_us_is_not_seen_here(told: Told) -> None:
    told.hears_on("b", part_of_messages(told).Reached({Z: told.at(5)}, {Z: told.at(5)}))
    assert Z not in told.replica.seen


def test_what_does_not_come_in_a_moment_is_asked_for(told: Told) -> None:
    told.hears_on("b", part_of_messages(told).Reached({}, {Z: told.at(5)}))
    assert told.kinds("b", "Graft") == []
    told.now += 0.25
    assert told.kinds("b", "Graft") == [part_of_messages(told).Graft({Z: 0})]


def test_what_has_come_meanwhile_is_not(told: Told) -> None:
    told.hears_on("b", part_of_messages(told).Reached({}, {Z: told.at(5)}))
    told.hears_of("a", "key", 5)
    told.hears_on("a", told.rules.Seen(False, {Z: told.at(5)}))
    told.now += 1.0
    assert told.kinds("b", "Graft") == []


def asks(told: Told, link: str, time: int, seconds: float) -> bool:
    """Whether it asks for what comes that late, where the other end of the link keeps it."""
    told.hears_on(link, part_of_messages(told).Reached({Z: told.at(time)}, {Z: told.at(time)}))
    told.now += seconds
    return bool(told.kinds(link, "Graft"))


def ends_graft(told: Told, link: str) -> None:
    told.hears_on(link, part_of_messages(told).Reached({}, {Z: 0}))


def test_what_had_been_on_its_way_when_it_was_asked_for_is_waited_for_longer(told: Told) -> None:
    told.hears_of("a", "first", 0)
    assert asks(told, "b", 1, 0.25)
    told.hears_of("a", "key", 1)
    told.hears_on("a", told.rules.Seen(False, {Z: told.at(1)}))
    ends_graft(told, "b")
    assert not asks(told, "b", 2, 0.25)
    told.now += 0.25
    assert told.kinds("b", "Graft")


def test_so_is_what_is_told_again_in_answer(told: Told) -> None:
    told.hears_of("a", "key", 1)
    assert asks(told, "b", 1, 0.25), "only that it was seen had not come"
    told.hears_of("b", "key", 1)
    told.hears_on("a", told.rules.Seen(False, {Z: told.at(1)}))
    ends_graft(told, "b")
    assert not asks(told, "b", 2, 0.25)


def test_what_came_since_it_was_asked_for_is_not(told: Told) -> None:
    told.hears_of("a", "first", 0)
    assert asks(told, "b", 1, 0.25)
    told.hears_of("b", "key", 1)
    told.hears_on("a", told.rules.Seen(False, {Z: told.at(1)}))
    ends_graft(told, "b")
    assert asks(told, "b", 2, 0.25)


def test_once_nodes_are_busy_no_more_it_is_asked_for_as_soon_as_before(told: Told) -> None:
    told.hears_of("a", "first", 0)
    assert asks(told, "b", 1, 0.25)
    told.hears_of("a", "key", 1)
    told.hears_on("a", told.rules.Seen(False, {Z: told.at(1)}))
    ends_graft(told, "b")
    told.now += 10.0
    assert asks(told, "b", 2, 0.25)


def test_it_is_asked_for_at_last_however_busy_nodes_are(told: Told) -> None:
    told.hears_of("a", "first", 0)
    for time in range(1, 20):
        assert asks(told, "b", time, 4.0)
        told.hears_of("a", f"key {time}", time)
        told.hears_on("a", told.rules.Seen(False, {Z: told.at(time)}))
        ends_graft(told, "b")


def test_a_link_that_goes_is_replaced_at_once(told: Told) -> None:
    repeated(told, "a", "b", 3)
    told.says("b")
    told.replica.link_down("a")
    assert told.kinds("b", "Graft") == [part_of_messages(told).Graft({Z: 0})]


def test_who_asks_its_own_child_is_helped_on(told: Told) -> None:
    """Else each would wait for the other, until somebody says how late the news is."""
    repeated(told, "a", "b", 3)
    told.says("b")
    told.hears_on("a", part_of_messages(told).Graft({Z: told.at(0)}))
    assert len(told.kinds("b", "Graft")) == 1


def test_a_nodes_own_news_is_not_told_to_it(told: Told) -> None:
    told.hears_of("a", "key", 1, Y)
    assert told.said("b") == []


def resting(told: Told) -> bool:
    """Who is behind b has replaced a write of Z by one of W that it keeps from us, and says that all of Z is seen."""
    told.hears_on("b", part_of_messages(told).Reached({}, {W: told.at(9)}))
    told.hears_on("b", told.rules.Seen(False, {Z: told.at(5)}, True))
    return told.replica.seen.get(Z) == told.at(5)


def test_what_rests_on_what_is_kept_is_seen_once_that_has_come(told: Told) -> None:
    assert not resting(told)
    told.hears_of("a", "key", 9, W)
    assert told.replica.seen.get(Z) is None
    told.hears_on("a", told.rules.Seen(False, {W: told.at(9)}))
    assert told.replica.seen[Z] == told.at(5)


def test_or_once_it_keeps_none_any_more(told: Told) -> None:
    assert not resting(told)
    told.hears_on("b", part_of_messages(told).Reached({}, {W: 0}))
    assert told.replica.seen[Z] == told.at(5)


def test_and_goes_on_as_what_rests_on_more(told: Told) -> None:
    told.hears_on("b", told.rules.Seen(False, {Z: told.at(5)}, True))
    assert [m.rests for m in told.says("a") if Z in getattr(m, "times", {})] == [True]


def rests_on(told: Told, link: str, time: int, on: dict[bytes, int]) -> None:
    """Who is behind a link has seen Z up to that time, which rests on what it keeps from us."""
    told.hears_on(link, part_of_messages(told).Reached({}, {node: told.at(at) for node, at in on.items()}))
    on = {node: told.at(at) for node, at in on.items()}
    told.hears_on(link, told.rules.Seen(False, {Z: told.at(time)}, True, on))


def test_what_is_kept_since_does_not_matter(told: Told) -> None:
    told.hears_on("b", part_of_messages(told).Reached({}, {W: told.at(9)}))
    rests_on(told, "b", 5, {W: 4})
    assert told.replica.seen.get(Z) is None
    told.hears_of("a", "key", 4, W)
    told.hears_on("a", told.rules.Seen(False, {W: told.at(4)}))
    assert told.replica.seen[Z] == told.at(5)


def test_two_that_wait_for_each_other_are_taken_together(told: Told) -> None:
    told.hears_on("b", part_of_messages(told).Reached({}, {W: told.at(9)}))
    told.hears_on("b", told.rules.Seen(False, {Z: told.at(5)}, True, {W: told.at(9)}))
    told.hears_on("a", part_of_messages(told).Reached({}, {Z: told.at(5)}))
    told.hears_on("a", told.rules.Seen(False, {W: told.at(8)}, True, {Z: told.at(5)}))
    assert told.replica.seen.get(Z) is None, "what was said of W is less than it rests on"
    told.hears_on("a", told.rules.Seen(False, {W: told.at(9)}))
    assert {node: told.replica.seen.get(node) for node in (Z, W)} == {Z: told.at(5), W: told.at(9)}


def test_what_it_rests_on_goes_on_once(told: Told) -> None:
    told.says("a")
    rests_on(told, "b", 5, {})
    told.says("a")
    told.hears_of("b", "key", 6, W)
    told.hears_on("b", told.rules.Seen(False, {Z: told.at(6)}, True, {W: told.at(4)}))
    assert [m.on for m in told.says("a") if Z in getattr(m, "times", {})] == [{W: told.at(4)}]
    told.hears_on("b", told.rules.Seen(False, {Z: told.at(7)}, True, {W: told.at(4)}))
    told.now += 5
    assert [m.rests for m in told.says("a") if Z in getattr(m, "times", {})] == [False]


def test_what_rests_on_nodes_that_are_not_known_is_not_passed_on(told: Told) -> None:
    """A peer could make up as many as it likes."""
    told.says("a")
    strangers = {number.to_bytes(8, "big"): told.at(1) for number in range(4_000)}
    told.hears_on("b", told.rules.Seen(False, {Z: told.at(5)}, True, strangers))
    assert [m.rests for m in told.says("a") if Z in getattr(m, "times", {})] == [False]
    assert not told.replica.neighbours["b"].branch.said_on


def test_without_that_rule_it_is_seen_too_early() -> None:
    with broken("nothing-rests"):
        assert resting(Told("python"))


@pytest.mark.parametrize("name", ["Reached", "Prune", "Graft"])
def test_nothing_of_trees_may_come_before_the_greeting(told: Told, name: str) -> None:
    told.replica.link_up("c", W, 100, 1_000_000)
    message = getattr(part_of_messages(told), name)
    with pytest.raises(Exception, match="greeting"):
        told.hears_on("c", message({}, {}) if name == "Reached" else message([] if name == "Prune" else {}))


def test_a_fork_has_no_trees(told: Told) -> None:
    told.is_pruned()
    told.hears_of("a", "key", 1)
    told.replica.renew(b"m" * 8, told.now)
    assert told.replica.due_in(told.now) == float("inf")
