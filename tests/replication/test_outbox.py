"""A neighbour is told everything in order, each key once, or that it has to be told anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lru_cache.replication import NOTHING, Version
from tests.replication.build import outbox as module

Notice, Outbox = module.Notice, module.Outbox
X, Y = b"x" * 8, b"y" * 8
OLD, NEW = Version(5, X), Version(6, X)


def outbox(limit: int = 10) -> Outbox:
    return Outbox(limit)


def add(box: Outbox, key: bytes, authority: Version, hops: int = 0, number: int = 0) -> None:
    box.add(Notice(key, authority, hops, number))


def popped(box: Outbox) -> list[Notice | bytes]:
    """All that is in it."""
    found = []
    while (item := box.pop()) is not None:
        found.append(item)
    return found


def popped_keys(box: Outbox) -> list[bytes]:
    return [item if isinstance(item, bytes) else item.key for item in popped(box)]


def test_an_empty_one_has_nothing() -> None:
    assert outbox().pop() is None
    assert not outbox()
    assert not outbox().has_any()


def test_gives_keys_in_the_order_in_which_they_became_news() -> None:
    box = outbox()
    for key in (b"b", b"a", b"c"):
        add(box, key, OLD, 0)
    assert popped_keys(box) == [b"b", b"a", b"c"]


def test_a_hot_key_takes_one_slot() -> None:
    box = outbox()
    for time in range(100):
        add(box, b"a", Version(time + 1, X), 0)
    assert len(box) == 1


def test_a_key_that_is_added_again_keeps_its_place() -> None:
    box = outbox()
    for key in (b"a", b"b", b"a"):
        add(box, key, OLD, 0)
    assert popped_keys(box) == [b"a", b"b"]


def test_a_key_that_was_taken_becomes_news_again() -> None:
    box = outbox()
    add(box, b"a", OLD, 0)
    box.pop()
    add(box, b"a", NEW, 0)
    assert box.pop() == Notice(b"a", NEW, 0)


@pytest.mark.parametrize("order", [(OLD, NEW), (NEW, OLD)], ids=["newer last", "newer first"])
def test_the_newest_authority_is_told(order: tuple[Version, Version]) -> None:
    box = outbox()
    for version in order:
        add(box, b"a", version, 0)
    assert box.pop() == Notice(b"a", NEW, 0)


def test_a_load_takes_no_authority_away() -> None:
    box = outbox()
    add(box, b"a", OLD, 3)
    add(box, b"a", NOTHING, 0)
    assert box.pop() == Notice(b"a", OLD, 3)


def test_the_newest_authority_s_hops_are_told() -> None:
    box = outbox()
    add(box, b"a", OLD, 7)
    add(box, b"a", NEW, 2)
    add(box, b"a", OLD, 9)
    assert box.pop() == Notice(b"a", NEW, 2)


def test_the_number_is_that_of_the_first_news() -> None:
    box = outbox()
    add(box, b"a", OLD, number=1)
    add(box, b"a", NEW, number=2)
    assert box.pop() == Notice(b"a", NEW, number=1)


# -- messages ----------------------------------------------------------------------------------------------------------


def test_a_message_goes_behind_what_was_added_before_it() -> None:
    box = outbox()
    add(box, b"a", OLD, 0)
    box.add_message(b"message")
    assert popped_keys(box) == [b"a", b"message"]


def test_what_is_added_after_a_message_goes_behind_it() -> None:
    box = outbox()
    box.add_message(b"message")
    add(box, b"a", OLD, 0)
    assert popped_keys(box) == [b"message", b"a"]


def test_equal_messages_are_all_sent() -> None:
    box = outbox()
    box.add_message(b"message")
    box.add_message(b"message")
    assert popped_keys(box) == [b"message", b"message"]


def test_what_was_seen_goes_behind_what_was_added_before_it() -> None:
    box = outbox()
    add(box, b"a", OLD)
    box.add_seen(b"seen")
    add(box, b"b", OLD)
    assert popped_keys(box) == [b"a", b"seen", b"b"]


acts = st.lists(st.one_of(st.sampled_from([b"a", b"b", b"c"]), st.just(None)), max_size=30)


@given(acts)
def test_no_message_overtakes_news_that_came_before_it(sequence: list[bytes | None]) -> None:
    box, added_before = outbox(100), {}
    for number, key in enumerate(sequence):
        if key is None:
            box.add_message(b"%d" % number)
            added_before[b"%d" % number] = set(sequence[:number]) - {None}
        else:
            add(box, key, OLD, 0)
    out: set[bytes | None] = set()
    for item in popped(box):
        if isinstance(item, bytes):
            assert added_before[item] <= out
        else:
            out.add(item.key)


@given(acts)
def test_messages_keep_their_order(sequence: list[bytes | None]) -> None:
    box = outbox(100)
    for number, key in enumerate(sequence):
        if key is None:
            box.add_message(b"%03d" % number)
        else:
            add(box, key, OLD, 0)
    messages = [item for item in popped(box) if isinstance(item, bytes)]
    assert messages == sorted(messages)


# -- the limit ---------------------------------------------------------------------------------------------------------


def full() -> Outbox:
    box = outbox(2)
    add(box, b"a", OLD, 0)
    add(box, b"b", OLD, 0)
    return box


def test_as_many_as_the_limit_fit() -> None:
    assert not full().overflowed


def test_one_more_overflows() -> None:
    box = full()
    add(box, b"c", OLD, 0)
    assert box.overflowed


def test_a_message_too_many_overflows() -> None:
    box = full()
    box.add_message(b"message")
    assert box.overflowed


def test_what_was_seen_finds_room_always() -> None:
    box = full()
    box.add_seen(b"seen")
    assert not box.overflowed
    assert len(box) == 2


def test_what_was_seen_leaves_the_room_to_others() -> None:
    box = outbox(2)
    box.add_seen(b"seen")
    add(box, b"a", OLD)
    add(box, b"b", OLD)
    assert not box.overflowed


def test_an_overflow_knows_what_was_added_before_it() -> None:
    box = outbox(2)
    for number, key in enumerate((b"a", b"b", b"a"), start=8):
        add(box, key, OLD, number=number)
    box.pop()
    add(box, b"c", OLD, number=11)
    add(box, b"d", OLD, number=12)
    assert box.overflowed
    assert box.last_kept == 8


@pytest.mark.parametrize("numbers", [(9, 8, 10), (9, 10, 8), (9, 10, 11, 8)])
def test_an_overflow_knows_of_news_that_came_behind_later_news(numbers: tuple[int, ...]) -> None:
    """As it does if a finalizer writes in the middle of a write. The last one comes when it has overflowed."""
    box = outbox(2)
    for number in numbers:
        add(box, bytes([number]), OLD, number=number)
    assert box.overflowed
    assert box.last_kept == 7


def test_an_overflow_by_messages_alone_has_dropped_no_news() -> None:
    box = outbox(1)
    add(box, b"a", OLD, number=8)
    box.pop()
    box.add_message(b"message")
    box.add_message(b"message")
    assert box.overflowed
    assert box.last_kept > 8


@pytest.mark.parametrize("when", ["before", "after", "taken"])
def test_an_overflow_knows_whether_it_dropped_a_message(when: str) -> None:
    box = full() if when == "after" else outbox(1)
    if when != "after":
        box.add_message(b"message")
    if when == "taken":
        box.pop()
        add(box, b"b", OLD)
    add(box, b"c", OLD)
    assert box.overflowed
    if when == "after":
        box.add_message(b"message")
    assert box.message_dropped == (when != "taken")


def test_a_key_that_has_its_slot_does_not_overflow() -> None:
    box = full()
    add(box, b"a", NEW, 0)
    assert not box.overflowed


def overflowed() -> Outbox:
    box = full()
    add(box, b"c", OLD, 0)
    return box


def test_an_overflow_drops_everything() -> None:
    assert len(overflowed()) == 0


def test_after_an_overflow_no_key_is_added() -> None:
    box = overflowed()
    add(box, b"d", OLD, 0)
    assert len(box) == 0


def test_after_an_overflow_no_message_is_added() -> None:
    box = overflowed()
    box.add_message(b"message")
    assert len(box) == 0


def test_once_restarted_it_takes_keys_again() -> None:
    box = overflowed()
    box.restart()
    add(box, b"d", OLD, 0)
    assert popped_keys(box) == [b"d"]


def test_a_restart_drops_what_was_to_be_told() -> None:
    box = full()
    box.restart()
    assert len(box) == 0


def test_it_can_be_told_to_overflow() -> None:
    box = full()
    box.overflow()
    assert box.overflowed
    assert len(box) == 0


@given(st.lists(st.binary(min_size=1, max_size=1) | st.just(b"message")), st.integers(1, 5))
def test_it_never_holds_more_than_its_limit(sequence: list[bytes], limit: int) -> None:
    box = outbox(limit)
    for item in sequence:
        if item == b"message":
            box.add_message(item)
        else:
            add(box, item, OLD, 0)
        assert len(box) <= limit
