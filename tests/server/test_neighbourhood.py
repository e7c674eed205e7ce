"""Neighbours that come, go and come back, as they are shown."""

from typing import Any

from lru_cache import Peer
from lru_cache.server import neighbourhood
from lru_cache.server.neighbourhood import Neighbourhood


def peer(node: str | None, region: str | None = "east", address: str = "a:1", state: str = "connected") -> Peer:
    linked = state == "connected"
    return Peer(node, region, address, "both", state, 0.1 if linked else None, 0.2 if linked else None, 0)


def far(node: str, hops: int) -> Peer:
    return Peer(node, "south", "", "client", "far", None, 0.2, 0, found="", hops=hops)


def states(rows: list[dict[str, Any]]) -> list[tuple[Any, Any, str]]:
    return [(row["node"], row["region"], row["state"]) for row in rows]


def test_a_link_is_shown_with_the_time_since_it_is_there() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1")], 10.0)
    (row,) = shown.update([peer("n1")], 20.0)
    assert (row["node"], row["state"], row["rtt"], row["lag"], row["since"]) == ("n1", "connected", 0.1, 0.2, 10.0)


def test_who_left_is_shown_as_gone() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1"), peer("n2", "west", "b:1")], 1.0)
    rows = shown.update([peer("n1")], 2.0)
    assert states(rows) == [("n1", "east", "connected"), ("n2", "west", "gone")]
    assert (rows[1]["rtt"], rows[1]["since"]) == (None, 2.0)


def test_who_comes_back_with_a_new_id_takes_the_place_of_who_left() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1", "east"), peer("n2", "west", "b:1")], 1.0)
    shown.update([], 2.0)
    assert states(shown.update([peer("n3", "west", "b:2")], 3.0)) == [
        ("n3", "west", "connected"),
        ("n1", "east", "gone"),
    ]


def test_of_two_that_left_one_region_one_is_still_missed() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1", address="a:1"), peer("n2", address="a:2")], 1.0)
    shown.update([], 2.0)
    assert states(shown.update([peer("n3", address="a:3")], 3.0)) == [
        ("n3", "east", "connected"),
        ("n2", "east", "gone"),
    ]


def test_an_address_that_is_dialled_in_vain_keeps_the_region_of_who_was_there() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1", "east", "a:1")], 1.0)
    rows = shown.update([peer(None, None, "a:1", "unreachable")], 2.0)
    assert states(rows) == [(None, "east", "unreachable")]
    assert shown.update([peer(None, None, "a:1", "unreachable")], 5.0)[0]["since"] == 2.0


def test_a_node_that_had_dialled_and_is_now_dialled_is_shown_once() -> None:
    """Its link had come from a port that nobody knows; the address that is dialled is another."""
    shown = Neighbourhood()
    shown.update([peer("n1", "east", "a:50000")], 1.0)
    assert states(shown.update([], 2.0)) == [("n1", "east", "gone")]
    assert states(shown.update([peer(None, None, "a:1", "connecting")], 3.0)) == [(None, "east", "connecting")]
    assert states(shown.update([peer("n2", "east", "a:50001")], 4.0)) == [("n2", "east", "connected")]


def test_an_address_that_was_dialled_in_vain_before_is_nobody_s() -> None:
    shown = Neighbourhood()
    vain = peer(None, None, "b:1", "unreachable")
    shown.update([peer("n1", "east", "a:50000"), vain], 1.0)
    assert states(shown.update([vain], 2.0)) == [(None, None, "unreachable"), ("n1", "east", "gone")]


def test_who_is_gone_for_long_is_forgotten() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1")], 1.0)
    shown.update([], 2.0)
    assert shown.update([], 2.0 + neighbourhood.GONE_SECONDS) != []
    assert shown.update([], 2.1 + neighbourhood.GONE_SECONDS) == []


def test_however_many_come_and_go_few_are_remembered() -> None:
    shown = Neighbourhood()
    for number in range(1_100):
        shown.update([peer(f"n{number}", f"r{number}", f"a:{number}")], float(number) / 10)
    assert len(shown.update([], 200.0)) == neighbourhood.MOST_GONE
    assert len(shown._regions) == neighbourhood.MOST_ADDRESSES
    assert len(shown.happenings) == neighbourhood.MOST_EVENTS


def test_what_happened_is_told_in_order() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1")], 1.0)
    shown.update([], 2.0)
    assert [(one.time, one.what, one.node) for one in shown.happenings] == [(1.0, "came", "n1"), (2.0, "left", "n1")]


# -- the nodes behind neighbours ---------------------------------------------------------------------------------------


def test_a_node_that_is_heard_of_and_is_no_neighbour_is_behind_one() -> None:
    shown = Neighbourhood()
    rows = shown.update([peer("n1")], 10.0)
    rows, behind = shown.beyond(rows, {"n1": 0.1, "n2": 0.5}, 10.0)
    assert states(rows) == [("n1", "east", "connected")]
    assert behind == [{"node": "n2", "region": None, "lag": 0.5}]


def test_a_neighbour_of_which_nothing_newer_came_since_it_left_is_gone() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1")], 10.0)
    rows = shown.update([], 20.0)
    rows, behind = shown.beyond(rows, {"n1": 1.2}, 20.0)
    assert (states(rows), behind) == ([("n1", "east", "gone")], [])


def test_a_neighbour_that_is_heard_of_elsewhere_has_only_lost_its_link() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1")], 10.0)
    rows = shown.update([], 20.0)
    rows, behind = shown.beyond(rows, {"n1": 0.3}, 30.0)
    assert (states(rows), behind) == ([], [{"node": "n1", "region": "east", "lag": 0.3}])


def test_who_came_back_with_a_new_id_does_not_leave_the_old_one_behind() -> None:
    shown = Neighbourhood()
    shown.update([peer("n1")], 10.0)
    shown.update([], 20.0)
    rows = shown.update([peer("n2")], 30.0)
    rows, behind = shown.beyond(rows, {"n1": 10.5, "n2": 0.1}, 30.0)
    assert (states(rows), behind) == ([("n2", "east", "connected")], [])


def test_a_node_behind_a_neighbour_that_is_silent_is_shown_for_a_while() -> None:
    shown = Neighbourhood()
    assert shown.beyond([], {"n1": 60.0}, 1e6)[1]
    assert not shown.beyond([], {"n1": neighbourhood.SILENT_SECONDS + 1}, 1e6)[1]


def test_a_row_says_how_it_was_found_and_how_far_it_is() -> None:
    (row,) = Neighbourhood().update([peer("n1")], 10.0)
    assert (row["role"], row["found"], row["hops"]) == ("both", "given", 1)


def test_nodes_beyond_are_who_they_say_they_are() -> None:
    shown = Neighbourhood()
    rows = shown.update([peer("n1")], 10.0)
    _, others = shown.beyond(rows, {"n1": 0.1, "n2": 0.2, "n3": 0.3}, 11.0, {"n2": far("n2", 4)})
    assert others == [
        {"node": "n2", "lag": 0.2, "region": "south", "role": "client", "hops": 4},
        {"node": "n3", "lag": 0.3, "region": None},
    ]
