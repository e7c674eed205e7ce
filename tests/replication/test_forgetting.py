"""What is forgotten leaves its age behind: first in a grave, then in the floor of a bucket."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from lru_cache.replication import BUCKETS, NOTHING, Version, bucket_of
from tests.replication.build import forgetting

Forgotten = forgetting.Forgotten
HOLD = 100
X, Y, Z = b"x" * 8, b"y" * 8, b"z" * 8
KEY = b"key"


def forgotten(capacity: int = 10) -> Forgotten:
    return Forgotten(capacity, HOLD)


def key_of_another_bucket(key: bytes) -> bytes:
    return next(other for i in range(9) if bucket_of(other := b"other%d" % i) != bucket_of(key))


def test_a_bucket_is_the_low_bits_of_the_crc_of_the_encoded_key() -> None:
    assert bucket_of(KEY) == zlib.crc32(KEY) % BUCKETS


# -- graves ------------------------------------------------------------------------------------------------------------


def test_a_key_that_was_not_buried_has_no_grave() -> None:
    assert forgotten().grave(KEY) is NOTHING


def test_what_was_buried_is_the_grave() -> None:
    past = forgotten()
    past.bury(KEY, Version(5, X))
    assert past.grave(KEY) == Version(5, X)


def test_a_newer_burial_counts() -> None:
    past = forgotten()
    past.bury(KEY, Version(5, X))
    past.bury(KEY, Version(6, X))
    assert past.grave(KEY) == Version(6, X)


def test_an_older_burial_does_not_make_a_grave_older() -> None:
    past = forgotten()
    past.bury(KEY, Version(6, X))
    past.bury(KEY, Version(5, X))
    assert past.grave(KEY) == Version(6, X)


def test_there_are_no_more_graves_than_the_capacity() -> None:
    past = forgotten(capacity=3)
    for i in range(10):
        past.bury(b"%d" % i, Version(i + 1, X))
    assert len(past) == 3


def test_the_oldest_burial_is_collected_first() -> None:
    past = forgotten(capacity=2)
    for key in (b"a", b"b", b"a", b"c"):
        past.bury(key, Version(5, X))
    assert [key for key, _ in past.graves()] == [b"a", b"c"]


def test_collected_graves_are_counted() -> None:
    past = forgotten(capacity=1)
    for key in (b"a", b"b", b"c"):
        past.bury(key, Version(5, X))
    assert past.collected == 2


# -- floors ------------------------------------------------------------------------------------------------------------


def test_at_first_there_is_no_floor() -> None:
    assert forgotten().floor(KEY) == 0


def test_a_collected_grave_becomes_the_floor_of_its_bucket() -> None:
    past = forgotten(capacity=0)
    past.bury(KEY, Version(5, X))
    assert past.floor(KEY) == 5


def test_a_collected_grave_leaves_the_floors_of_other_buckets() -> None:
    past = forgotten(capacity=0)
    past.bury(KEY, Version(5, X))
    assert past.floor(key_of_another_bucket(KEY)) == 0


def test_a_grave_raises_no_floor_as_long_as_it_stands() -> None:
    past = forgotten()
    past.bury(KEY, Version(5, X))
    assert past.floor(KEY) == 0


def test_a_floor_never_sinks() -> None:
    past = forgotten()
    past.raise_floor(bucket_of(KEY), 5)
    past.raise_floor(bucket_of(KEY), 3)
    assert past.floor(KEY) == 5


def test_a_base_is_the_floor_of_every_bucket() -> None:
    past = forgotten()
    past.raise_all(5)
    assert past.floor(KEY) == past.floor(key_of_another_bucket(KEY)) == 5


def test_a_base_costs_one_number() -> None:
    past = forgotten()
    past.raise_all(5)
    assert past.floors == {}


def test_a_base_never_sinks() -> None:
    past = forgotten()
    past.raise_all(5)
    past.raise_all(3)
    assert past.floor(KEY) == 5


def test_a_floor_above_the_base_stays() -> None:
    past = forgotten()
    past.raise_floor(bucket_of(KEY), 9)
    past.raise_all(5)
    assert past.floor(KEY) == 9


def test_a_floor_below_the_base_is_no_longer_kept() -> None:
    past = forgotten()
    past.raise_floor(bucket_of(KEY), 3)
    past.raise_all(5)
    assert past.floors == {}


def test_a_floor_below_the_base_is_not_taken_up() -> None:
    past = forgotten()
    past.raise_all(5)
    past.raise_floor(bucket_of(KEY), 3)
    assert past.floor(KEY) == 5


# -- beside a grave ----------------------------------------------------------------------------------------------------


def buried(*versions: Version) -> Forgotten:
    past = forgotten()
    for version in versions:
        past.bury(KEY, version)
    return past


def test_a_grave_alone_is_all_that_is_told() -> None:
    assert list(buried(Version(500, X)).versions(KEY)) == [Version(500, X)]


def test_of_a_key_without_a_grave_nothing_is_told() -> None:
    assert list(forgotten().versions(KEY)) == []


def test_another_node_s_write_within_the_hold_is_told_beside_the_newest() -> None:
    past = buried(Version(500, X), Version(500 - HOLD + 1, Y))
    assert list(past.versions(KEY)) == [Version(500, X), Version(500 - HOLD + 1, Y)]


def test_it_does_not_matter_which_of_the_two_came_first() -> None:
    past = buried(Version(450, Y), Version(500, X))
    assert list(past.versions(KEY)) == [Version(500, X), Version(450, Y)]


def test_a_write_older_by_the_hold_is_not_told() -> None:
    assert list(buried(Version(500, X), Version(500 - HOLD, Y)).versions(KEY)) == [Version(500, X)]


def test_of_one_node_only_the_newest_is_told() -> None:
    past = buried(Version(450, Y), Version(500, X), Version(470, Y))
    assert list(past.versions(KEY)) == [Version(500, X), Version(470, Y)]


def test_what_is_recorded_beside_is_passed_over_when_the_newest_moves_on() -> None:
    past = buried(Version(450, Y), Version(500, X), Version(560, Z))
    assert list(past.versions(KEY)) == [Version(560, Z), Version(500, X)]


def test_knows_the_grave() -> None:
    assert buried(Version(500, X)).knows(KEY, Version(500, X))


def test_knows_what_a_later_one_of_that_node_says() -> None:
    assert buried(Version(500, X)).knows(KEY, Version(499, X))


def test_knows_what_is_recorded_beside() -> None:
    assert buried(Version(500, X), Version(450, Y)).knows(KEY, Version(450, Y))


def test_does_not_know_another_node_s_though_it_is_older() -> None:
    assert not buried(Version(500, X)).knows(KEY, Version(450, Y))


def test_a_collected_grave_takes_with_it_what_was_beside() -> None:
    past = Forgotten(1, HOLD)
    past.bury(KEY, Version(500, X))
    past.bury(KEY, Version(450, Y))
    past.bury(b"another", Version(500, X))
    assert not past.knows(KEY, Version(450, Y))


# -- what a floor may stand for ----------------------------------------------------------------------------------------


def may_add_to(newest: Version, changes: int = 0, above: int = 0) -> bool:
    """Whether a floor of 500 does, which was the first that changed."""
    past = forgotten()
    past.raise_floor(bucket_of(KEY), 500)
    return past.floor_may_add_to(newest, KEY, changes, above)


def test_a_floor_may_add_to_a_key_of_which_nothing_is_known() -> None:
    assert may_add_to(NOTHING)


def test_a_floor_may_add_to_what_is_older() -> None:
    assert may_add_to(Version(400, X))


def test_a_floor_may_add_to_what_is_newer_by_less_than_the_hold() -> None:
    assert may_add_to(Version(500 + HOLD - 1, X))


def test_a_floor_adds_nothing_to_what_is_newer_by_the_hold() -> None:
    assert not may_add_to(Version(500 + HOLD, X))


def test_a_floor_that_has_not_changed_adds_nothing() -> None:
    assert not may_add_to(NOTHING, changes=1)


def test_a_floor_that_is_not_above_what_everybody_knows_adds_nothing() -> None:
    assert not may_add_to(NOTHING, above=500)


# -- exhuming ----------------------------------------------------------------------------------------------------------


def test_a_set_that_is_newer_by_the_hold_takes_the_grave_away() -> None:
    past = buried(Version(500, X))
    past.exhume(KEY, Version(500 + HOLD, Y))
    assert past.grave(KEY) is NOTHING


def test_a_set_that_is_hardly_newer_leaves_the_grave() -> None:
    past = buried(Version(500, X))
    past.exhume(KEY, Version(499 + HOLD, Y))
    assert past.grave(KEY) == Version(500, X)


def test_exhuming_takes_away_what_was_beside() -> None:
    past = buried(Version(500, X), Version(450, Y))
    past.exhume(KEY, Version(700, Y))
    assert not past.knows(KEY, Version(450, Y))


def test_exhuming_what_was_not_buried_is_nothing() -> None:
    past = forgotten()
    past.exhume(KEY, Version(500, X))
    assert len(past) == 0


# -- whatever happens --------------------------------------------------------------------------------------------------

keys = st.sampled_from([b"a", b"b", b"c", b"d"])
versions = st.builds(Version, st.integers(1, 400), st.sampled_from([X, Y, Z]))
acts = st.lists(st.tuples(st.sampled_from(["bury", "bury", "bury", "exhume", "raise", "raise all"]), keys, versions))


@given(acts, st.integers(0, 3))
def test_nothing_as_old_as_what_was_buried_is_ever_news(
    sequence: list[tuple[str, bytes, Version]], capacity: int
) -> None:
    past = forgotten(capacity)
    known: dict[bytes, Version] = {}  # the newest of each key; what exhumes is held, and counts as known
    held: dict[bytes, Version] = {}
    for act, key, version in sequence:
        if act == "bury":
            past.bury(key, version)
            known[key] = max(version, known.get(key, NOTHING))
        elif act == "exhume" and version > known.get(key, NOTHING):
            past.exhume(key, version)
            known[key] = held[key] = version
        elif act == "raise":
            past.raise_floor(bucket_of(key), version.time)
        else:
            past.raise_all(version.time)
        for each, newest in known.items():
            is_known = max(past.grave(each), held.get(each, NOTHING)) >= newest or past.floor(each) >= newest.time
            assert is_known, f"{newest} of {each!r} would be news again"


@given(acts, st.integers(0, 3))
def test_graves_and_what_stands_beside_them_are_bounded(
    sequence: list[tuple[str, bytes, Version]], capacity: int
) -> None:
    past = forgotten(capacity)
    for _, key, version in sequence:
        past.bury(key, version)
        assert len(past) <= capacity
        assert len(past.floors) <= BUCKETS
        assert all(len(list(past.versions(each))) <= 3 for each in (b"a", b"b", b"c", b"d"))


@given(st.lists(versions, min_size=1), st.randoms())
def test_what_is_told_of_a_key_does_not_depend_on_the_order_of_its_burials(told: list[Version], chance: object) -> None:
    shuffled = list(told)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert max(buried(*told).versions(KEY)) == max(buried(*shuffled).versions(KEY)) == max(told)
