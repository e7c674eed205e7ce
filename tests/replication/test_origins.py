"""The nodes that were heard of: a bounded number, and of those that have to go the least missed first."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.replication import Version
from tests.replication.build import BUILDS, origins, part_of

OWN, X, Y, Z = b"own node", b"x" * 8, b"y" * 8, b"z" * 8
PRESENT, SILENCE, NOW = 1_000, 500, 10.0


def heard(known: Any, node: bytes, time: int, now: float = NOW) -> bool:
    return bool(known.hear(Version(time, node), PRESENT, SILENCE, now))


def some(limit: int = 4) -> Any:
    return origins.Origins(OWN, limit)


def test_at_first_nothing_is_known() -> None:
    known = some()
    assert (known.all_seen(), known.all_heard(), len(known)) == ({}, {}, 0)


def test_all_of_our_own_is_seen() -> None:
    known = some()
    known.own_time = 7
    assert known.seen_of(OWN) == 7
    assert known.all_seen() == known.all_heard() == {OWN: 7}
    assert len(known) == 1


def test_of_a_node_that_was_heard_of_nothing_is_seen() -> None:
    known = some()
    assert heard(known, X, 900)
    assert known.all_heard() == {X: 900}
    assert known.seen_of(X) == 0


def test_what_is_heard_only_grows() -> None:
    known = some()
    for time in (900, 950, 920):
        assert heard(known, X, time)
    assert known.heard[X] == 950


def test_what_we_hear_of_ourselves_changes_nothing() -> None:
    known = some()
    assert heard(known, OWN, 900)
    assert known.all_heard() == {}


@pytest.mark.parametrize(("time", "is_known"), [(PRESENT - SILENCE, True), (PRESENT - SILENCE - 1, False)])
def test_a_node_that_is_silent_for_too_long_is_not_taken_up(time: int, is_known: bool) -> None:
    known = some()
    assert heard(known, X, time) == is_known
    assert (X in known.heard) == is_known


def test_a_node_that_is_known_may_tell_what_is_old() -> None:
    known = some()
    heard(known, X, 900)
    assert heard(known, X, 1)


def test_one_too_many_takes_the_place_of_the_one_that_was_not_heard_of_for_longest() -> None:
    known = some(limit=3)
    heard(known, X, 900, 1.0)
    heard(known, Y, 901, 2.0)
    heard(known, X, 902, 3.0)
    assert heard(known, Z, 950, 4.0)
    assert set(known.heard) == {X, Z}
    assert known.pop_forgotten() == [Y]
    assert known.pop_forgotten() == []


def test_one_too_many_that_is_older_than_all_is_refused() -> None:
    known = some(limit=3)
    heard(known, X, 900)
    heard(known, Y, 901)
    assert not heard(known, Z, 899)
    assert set(known.heard) == {X, Y}


def test_a_node_that_said_goodbye_goes_first() -> None:
    known = some(limit=3)
    heard(known, X, 900)
    heard(known, Y, 901)
    known.depart(Y)
    assert heard(known, Z, 600)
    assert set(known.heard) == {X, Z}


@pytest.mark.parametrize("how", ["heard of", "linked"])
def test_a_node_that_came_back_does_not_go_first(how: str) -> None:
    known = some(limit=3)
    heard(known, X, 900)
    heard(known, Y, 901)
    known.depart(Y)
    if how == "heard of":
        heard(known, Y, 902)
    else:
        known.come(Y)
    heard(known, Z, 950)
    assert set(known.heard) == {Y, Z}


def test_of_a_node_that_was_never_heard_of_no_goodbye_is_kept() -> None:
    known = some()
    for number in range(100):
        known.depart(b"%08d" % number)
    assert known._departed == {}


def test_says_who_was_silent_since_then() -> None:
    known = some()
    heard(known, X, 900, 1.0)
    heard(known, Y, 900, 5.0)
    assert known.silent_since(0.5) is None
    assert known.silent_since(1.0) == X
    known.forget(X)
    assert known.silent_since(4.0) is None


def test_what_is_forgotten_is_neither_seen_nor_heard() -> None:
    known = some()
    heard(known, X, 900)
    known.seen[X] = 900
    known.forget(X)
    assert (known.all_seen(), known.all_heard(), known.seen_of(X)) == ({}, {}, 0)


def test_who_gets_another_name_knows_the_old_one_as_a_node_like_others() -> None:
    known = some()
    known.own_time = 900
    known.rename(Z, NOW)
    assert (known.node, known.own_time) == (Z, 0)
    assert known.all_seen() == known.all_heard() == {OWN: 900}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["hear", "hear", "depart", "come"]), st.integers(0, 6), st.integers(400, 1_100))
    ),
    st.integers(2, 5),
    st.sampled_from(BUILDS),
)
def test_no_more_are_known_than_the_limit(acts: list[tuple[str, int, int]], limit: int, build: str) -> None:
    known = part_of(build, "origins").Origins(OWN, limit)
    version = part_of(build, "version").Version
    gone: list[bytes] = []
    for now, (act, number, time) in enumerate(acts):
        node = b"%08d" % number
        if act == "hear":
            before = set(known.heard)
            is_known = known.hear(version(time, node), PRESENT, SILENCE, float(now))
            gone = known.pop_forgotten()
            assert is_known == (node in known.heard)
            assert before - set(known.heard) == set(gone)
        elif act == "depart":
            known.depart(node)
        else:
            known.come(node)
        assert len(known.heard) <= limit - 1
        assert set(known._departed) <= set(known.heard)
