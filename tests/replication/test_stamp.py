"""What is known of a value: said as it was made, on both builds."""

from typing import Any

import pytest

from tests.replication.build import BUILDS, part_of

X, Y = b"x" * 8, b"y" * 8


@pytest.fixture(params=BUILDS)
def rules(request: Any) -> Any:
    return part_of(request.param, "public")


def test_says_what_it_was_made_of(rules: Any) -> None:
    stamp = rules.Stamp(b"k", rules.Version(5, X), True, b"v")
    assert (stamp.key, stamp.payload, stamp.is_set) == (b"k", b"v", True)
    assert stamp.version == stamp.told == stamp.life_version == rules.Version(5, X)


def test_of_a_load_says_when_it_was_told(rules: Any) -> None:
    stamp = rules.Stamp(b"k", rules.Version(5, X), False, None, rules.Version(7, Y))
    assert (stamp.version, stamp.told) == (rules.Version(5, X), rules.Version(7, Y))
    assert (stamp.payload, stamp.is_set) == (None, False)


def test_nothing_told_is_its_own_version(rules: Any) -> None:
    assert rules.Stamp(b"k", rules.Version(5, X), False, b"v", rules.NOTHING).told == rules.Version(5, X)


def test_its_life_can_begin_anew(rules: Any) -> None:
    stamp = rules.Stamp(b"k", rules.Version(5, X), True, b"v")
    stamp.life_version = rules.Version(9, Y)
    assert (stamp.version, stamp.life_version) == (rules.Version(5, X), rules.Version(9, Y))


def test_is_held_nowhere_at_first(rules: Any) -> None:
    assert rules.Stamp(b"k", rules.Version(5, X), True, b"v").held_in == 0


def test_shows_itself(rules: Any) -> None:
    assert repr(rules.Stamp(b"k", rules.Version(5, X), True, b"v")) == f"Stamp(SET, b'k', {rules.Version(5, X)!r})"
