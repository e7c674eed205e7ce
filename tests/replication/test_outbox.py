"""A neighbour is told everything in order, each key once, or that it has to be told anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache.replication.outbox import Outbox, Telling
from lru_cache.replication.version import NOTHING, Version

X, Y = b"x" * 8, b"y" * 8
OLD, NEW = Version(5, X), Version(6, X)


def outbox(limit: int = 10) -> Outbox:
    return Outbox(limit)


def tell(box: Outbox, key: bytes, authority: Version, hops: int = 0, number: int = 0) -> None:
    box.tell(key, Telling(authority, hops, number))


def taken(box: Outbox) -> list[tuple[bytes, Telling] | bytes]:
    return [box.next() for _ in range(len(box))]


def taken_keys(box: Outbox) -> list[bytes]:
    return [item if isinstance(item, bytes) else item[0] for item in taken(box)]


def test_an_empty_one_has_nothing_next() -> None:
    with pytest.raises(StopIteration):
        outbox().next()


def test_tells_keys_in_the_order_in_which_they_became_news() -> None:
    box = outbox()
    for key in (b"b", b"a", b"c"):
        tell(box, key, OLD, 0)
    assert taken_keys(box) == [b"b", b"a", b"c"]


def test_a_hot_key_takes_one_slot() -> None:
    box = outbox()
    for time in range(100):
        tell(box, b"a", Version(time + 1, X), 0)
    assert len(box) == 1


def test_a_key_that_is_told_again_keeps_its_place() -> None:
    box = outbox()
    for key in (b"a", b"b", b"a"):
        tell(box, key, OLD, 0)
    assert taken_keys(box) == [b"a", b"b"]


def test_a_key_that_was_taken_becomes_news_again() -> None:
    box = outbox()
    tell(box, b"a", OLD, 0)
    box.next()
    tell(box, b"a", NEW, 0)
    assert box.next() == (b"a", Telling(NEW, 0))


@pytest.mark.parametrize("order", [(OLD, NEW), (NEW, OLD)], ids=["newer last", "newer first"])
def test_the_newest_authority_is_told(order: tuple[Version, Version]) -> None:
    box = outbox()
    for version in order:
        tell(box, b"a", version, 0)
    assert box.next() == (b"a", Telling(NEW, 0))


def test_a_load_takes_no_authority_away() -> None:
    box = outbox()
    tell(box, b"a", OLD, 3)
    tell(box, b"a", NOTHING, 0)
    assert box.next() == (b"a", Telling(OLD, 3))


def test_the_newest_authority_s_hops_are_told() -> None:
    box = outbox()
    tell(box, b"a", OLD, 7)
    tell(box, b"a", NEW, 2)
    tell(box, b"a", OLD, 9)
    assert box.next() == (b"a", Telling(NEW, 2))


def test_the_number_is_that_of_the_first_news() -> None:
    box = outbox()
    tell(box, b"a", OLD, number=1)
    tell(box, b"a", NEW, number=2)
    assert box.next() == (b"a", Telling(NEW, number=1))


# -- remarks -----------------------------------------------------------------------------------------------------------


def test_a_remark_goes_behind_what_was_told_before_it() -> None:
    box = outbox()
    tell(box, b"a", OLD, 0)
    box.remark(b"remark")
    assert taken_keys(box) == [b"a", b"remark"]


def test_what_is_told_after_a_remark_goes_behind_it() -> None:
    box = outbox()
    box.remark(b"remark")
    tell(box, b"a", OLD, 0)
    assert taken_keys(box) == [b"remark", b"a"]


def test_equal_remarks_are_all_sent() -> None:
    box = outbox()
    box.remark(b"remark")
    box.remark(b"remark")
    assert taken_keys(box) == [b"remark", b"remark"]


def test_what_was_seen_goes_behind_what_was_told_before_it() -> None:
    box = outbox()
    tell(box, b"a", OLD)
    box.remark_seen(b"seen")
    tell(box, b"b", OLD)
    assert taken_keys(box) == [b"a", b"seen"]
    assert box.next()[0] == b"b"


acts = st.lists(st.one_of(st.sampled_from([b"a", b"b", b"c"]), st.just(None)), max_size=30)


@given(acts)
def test_no_remark_overtakes_news_that_came_before_it(sequence: list[bytes | None]) -> None:
    box, told_before = outbox(100), {}
    for number, key in enumerate(sequence):
        if key is None:
            box.remark(b"%d" % number)
            told_before[b"%d" % number] = set(sequence[:number]) - {None}
        else:
            tell(box, key, OLD, 0)
    out: set[bytes | None] = set()
    for item in taken(box):
        if isinstance(item, bytes):
            assert told_before[item] <= out
        else:
            out.add(item[0])


@given(acts)
def test_remarks_keep_their_order(sequence: list[bytes | None]) -> None:
    box = outbox(100)
    for number, key in enumerate(sequence):
        if key is None:
            box.remark(b"%03d" % number)
        else:
            tell(box, key, OLD, 0)
    remarks = [item for item in taken(box) if isinstance(item, bytes)]
    assert remarks == sorted(remarks)


# -- the limit ---------------------------------------------------------------------------------------------------------


def full() -> Outbox:
    box = outbox(2)
    tell(box, b"a", OLD, 0)
    tell(box, b"b", OLD, 0)
    return box


def test_as_many_as_the_limit_fit() -> None:
    assert not full().overflowed


def test_one_more_overflows() -> None:
    box = full()
    tell(box, b"c", OLD, 0)
    assert box.overflowed


def test_a_remark_too_many_overflows() -> None:
    box = full()
    box.remark(b"remark")
    assert box.overflowed


def test_what_was_seen_finds_room_always() -> None:
    box = full()
    box.remark_seen(b"seen")
    assert not box.overflowed
    assert len(box) == 2


def test_what_was_seen_leaves_the_room_to_others() -> None:
    box = outbox(2)
    box.remark_seen(b"seen")
    tell(box, b"a", OLD)
    tell(box, b"b", OLD)
    assert not box.overflowed


def test_an_overflow_knows_what_was_told_before_it() -> None:
    box = outbox(2)
    for number, key in enumerate((b"a", b"b", b"a"), start=8):
        tell(box, key, OLD, number=number)
    box.next()
    tell(box, b"c", OLD, number=11)
    tell(box, b"d", OLD, number=12)
    assert box.overflowed
    assert box.told == 8


@pytest.mark.parametrize("numbers", [(9, 8, 10), (9, 10, 8), (9, 10, 11, 8)])
def test_an_overflow_knows_of_news_that_came_behind_later_news(numbers: tuple[int, ...]) -> None:
    """As it does if a finalizer writes in the middle of a write. The last one comes when it has overflowed."""
    box = outbox(2)
    for number in numbers:
        tell(box, bytes([number]), OLD, number=number)
    assert box.overflowed
    assert box.told == 7


@pytest.mark.parametrize("when", ["before", "after", "taken"])
def test_an_overflow_knows_whether_it_dropped_a_remark(when: str) -> None:
    box = full() if when == "after" else outbox(1)
    if when != "after":
        box.remark(b"remark")
    if when == "taken":
        box.next()
        tell(box, b"b", OLD)
    tell(box, b"c", OLD)
    assert box.overflowed
    if when == "after":
        box.remark(b"remark")
    assert box.remark_dropped == (when != "taken")


def test_a_key_that_has_its_slot_does_not_overflow() -> None:
    box = full()
    tell(box, b"a", NEW, 0)
    assert not box.overflowed


def overflowed() -> Outbox:
    box = full()
    tell(box, b"c", OLD, 0)
    return box


def test_an_overflow_drops_everything() -> None:
    assert len(overflowed()) == 0


def test_after_an_overflow_nothing_is_told() -> None:
    box = overflowed()
    tell(box, b"d", OLD, 0)
    assert len(box) == 0


def test_after_an_overflow_nothing_is_remarked() -> None:
    box = overflowed()
    box.remark(b"remark")
    assert len(box) == 0


def test_once_restarted_it_tells_again() -> None:
    box = overflowed()
    box.restart()
    tell(box, b"d", OLD, 0)
    assert taken_keys(box) == [b"d"]


def test_a_restart_drops_what_was_to_be_told() -> None:
    box = full()
    box.restart()
    assert len(box) == 0


def test_it_can_be_told_to_overflow() -> None:
    box = full()
    box.overflow()
    assert box.overflowed
    assert len(box) == 0


@given(st.lists(st.binary(min_size=1, max_size=1) | st.just(b"remark")), st.integers(1, 5))
def test_it_never_holds_more_than_its_limit(sequence: list[bytes], limit: int) -> None:
    box = outbox(limit)
    for item in sequence:
        if item == b"remark":
            box.remark(item)
        else:
            tell(box, item, OLD, 0)
        assert len(box) <= limit
