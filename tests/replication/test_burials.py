"""Graves keep their order, in chunks, whatever is opened and closed; and no step goes through all of them."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.replication import NOTHING, Version
from tests.replication.build import BUILDS, burials, forgetting, part_of

X, Y = b"x" * 8, b"y" * 8
CHUNK = 8


def buried(count: int) -> tuple[Any, list[Any]]:
    """Burials, and the graves in their order."""
    order = burials.Burials(CHUNK)
    graves = [burials.Grave(b"%d" % number, Version(number + 1, X)) for number in range(count)]
    for grave in graves:
        order.add(grave)
    return order, graves


def all_of(order: Any) -> list[Any]:
    """What all slices give, one after another."""
    found, number = [], 0
    while number >= 0:
        graves, number = order.slice(number)
        found += graves
    return found


def test_the_first_that_was_buried_is_popped_first() -> None:
    order, graves = buried(3 * CHUNK)
    assert [order.pop_oldest() for _ in graves] == graves


def test_what_was_removed_is_not_popped() -> None:
    order, graves = buried(CHUNK + 10)
    for grave in graves[::2]:
        order.remove(grave)
    assert [order.pop_oldest() for _ in graves[1::2]] == graves[1::2]


def test_what_is_removed_twice_counts_once() -> None:
    order, graves = buried(40)
    for grave in graves[:10] * 3:
        order.remove(grave)
    assert all_of(order) == graves[10:]


def test_what_was_popped_can_be_removed_no_more() -> None:
    order, graves = buried(40)
    assert order.pop_oldest() is graves[0]
    order.remove(graves[0])
    assert all_of(order) == graves[1:]


def test_slices_give_all_in_their_order() -> None:
    order, graves = buried(5 * CHUNK + 3)
    assert all_of(order) == graves


def test_a_slice_is_never_more_than_a_chunk() -> None:
    order, _ = buried(5 * CHUNK)
    number = 0
    while number >= 0:
        graves, number = order.slice(number)
        assert len(graves) <= CHUNK


def test_what_is_there_all_the_time_is_in_a_slice_whatever_happens_between_two() -> None:
    order, graves = buried(4 * CHUNK)
    found, number = [], 0
    while number >= 0:
        some, number = order.slice(number)
        found += some
        order.remove(graves[len(found) // 2])
        order.add(burials.Grave(b"new", Version(1, X)))
    staying = [grave for grave in graves if not grave.is_open]
    assert [grave for grave in found if not grave.is_open and grave.key != b"new"] == staying


def test_one_key_that_is_buried_again_and_again_takes_the_room_of_a_few() -> None:
    order, graves = buried(1)
    (last,) = graves
    for number in range(20 * CHUNK):
        again = burials.Grave(b"0", Version(number + 2, X))
        order.add(again)
        order.remove(last)
        last = again
    number, slices = 0, 0
    while number >= 0:
        _, number = order.slice(number)
        slices += 1
    assert all_of(order) == [last]
    assert slices <= 3


steps = st.lists(st.tuples(st.sampled_from(["add", "add", "remove", "pop"]), st.integers(0, 50)), max_size=200)


@settings(deadline=None)
@given(steps, st.sampled_from(BUILDS))
def test_any_order_is_that_of_a_list(acts: list[tuple[str, int]], build: str) -> None:
    part = part_of(build, "burials")
    rules = part_of(build, "public")
    order, graves = part.Burials(4), []
    for act, number in acts:
        if act == "add":
            graves.append(part.Grave(b"%d" % number, rules.Version(number, X)))
            order.add(graves[-1])
        elif act == "remove" and graves:
            order.remove(graves.pop(number % len(graves)))
        elif act == "pop" and graves:
            assert order.pop_oldest() is graves.pop(0)
        assert all_of(order) == graves


# -- the graveyard, beside one that is simple --------------------------------------------------------------------------


class PlainForgotten:
    """What `Forgotten` keeps of graves and floors, as simply as can be: the order is that of a dict."""

    def __init__(self, capacity: int, hold: int) -> None:
        self.capacity, self.hold = capacity, hold
        self.graves: dict[bytes, tuple[int, bytes]] = {}
        self.floors: dict[int, int] = {}
        self.base = 0

    def floor(self, key: bytes) -> int:
        return max(self.base, self.floors.get(forgetting.bucket_of(key), 0))

    def bury(self, key: bytes, version: tuple[int, bytes]) -> None:
        self.graves[key] = max(version, self.graves.pop(key, (0, b"")))
        while len(self.graves) > self.capacity:
            oldest = next(iter(self.graves))
            self.raise_floor(forgetting.bucket_of(oldest), self.graves.pop(oldest)[0])

    def exhume(self, key: bytes, version: tuple[int, bytes]) -> None:
        if key in self.graves and self.graves[key][0] <= version[0] - self.hold:
            del self.graves[key]

    def raise_floor(self, bucket: int, time: int) -> None:
        self.floors[bucket] = max(time, self.floors.get(bucket, 0))

    def raise_all(self, time: int) -> None:
        self.base = max(self.base, time)


acts = st.tuples(
    st.sampled_from(["bury", "bury", "bury", "exhume", "raise", "raise all"]),
    st.sampled_from([b"%d" % number for number in range(12)]),
    st.builds(lambda time, node: (time, node), st.integers(1, 400), st.sampled_from([X, Y])),
)


@settings(deadline=None)
@given(st.lists(acts, max_size=120), st.integers(0, 6), st.sampled_from([0, 100]), st.sampled_from(BUILDS))
def test_a_graveyard_is_that_of_a_simple_one(sequence: Any, capacity: int, hold: int, build: str) -> None:
    rules = part_of(build, "public")
    past, plain = part_of(build, "forgetting").Forgotten(capacity, hold), PlainForgotten(capacity, hold)
    for act, key, version in sequence:
        if act == "bury":
            past.bury(key, rules.Version(*version))
            plain.bury(key, version)
        elif act == "exhume":
            past.exhume(key, rules.Version(*version))
            plain.exhume(key, version)
        elif act == "raise":
            past.raise_floor(forgetting.bucket_of(key), version[0])
            plain.raise_floor(forgetting.bucket_of(key), version[0])
        else:
            past.raise_all(version[0])
            plain.raise_all(version[0])
        assert [(each, tuple(version)) for each, version in past.graves()] == list(plain.graves.items())
        assert len(past) == len(plain.graves)
        for each in {key, *plain.graves}:
            assert tuple(past.grave(each)) == plain.graves.get(each, tuple(NOTHING))
            assert past.floor(each) == plain.floor(each)


def test_a_full_graveyard_forgets_one_for_each_that_comes() -> None:
    past = forgetting.Forgotten(3 * CHUNK, 0, CHUNK)
    for number in range(10 * CHUNK):
        past.bury(b"%d" % number, Version(number + 1, X))
    assert len(past) == 3 * CHUNK
    assert past.collected == 7 * CHUNK
    assert [key for key, _ in past.graves()] == [b"%d" % number for number in range(7 * CHUNK, 10 * CHUNK)]
