"""What a floor or a clock dooms goes in slices, and is gone for whoever looks before its slice has come."""

from typing import Any

import pytest

from lru_cache.replication import BUCKETS, Stamp, StoreView, Version, bucket_of
from lru_cache.replication.encoding import encode_key
from lru_cache.store import Store
from tests.replication.build import messages, part_of, sweep

FloorRange = messages.FloorRange
SLICE = 64
LARGE, PAUSE = part_of("python", "sweep").LARGE, part_of("python", "sweep").PAUSE_SECONDS
HOLD, NOW = 100, 50.0
X, Y = b"x" * 8, b"y" * 8


class Held:
    """A store of sets and loads, and a sweep through it."""

    def __init__(self, sets: int = 0, loads: int = 0, time: int = 1_000) -> None:
        self.store: Store[str, int] = Store(1_000_000)
        self.sweep = sweep.Sweep(StoreView(self.store, lambda name: None, {}), HOLD, SLICE)
        for number in range(sets):
            self.hold(f"set {number}", time)
        for number in range(loads):
            self.hold(f"load {number}", time, is_set=False)

    def hold(self, key: str, time: int, *, is_set: bool = True, node: bytes = X) -> Any:
        stamp = Stamp(encode_key(key), Version(time, node), is_set, b"")
        self.store.put(key, 1, NOW, float("inf"), float("inf"), stamp)
        return stamp

    def doom(self, floor: int, confirmed: dict[bytes, Version] | None = None, *keys: str) -> None:
        """Raise the floors of these keys, or of all."""
        if keys:
            ranges = [FloorRange(bucket_of(encode_key(key)), 1, floor, confirmed or {}) for key in keys]
        else:
            ranges = [FloorRange(0, BUCKETS, floor, confirmed or {})]
        self.sweep.add_floors(*sweep.raised_by(ranges))

    def step(self, now: float = NOW) -> int | None:
        """Do a slice. How many it looked at, None if there was nothing to do."""
        entries = self.sweep.next_slice(now)
        if entries is None:
            return None
        for entry in entries:
            if self.sweep.dooms(entry.version):
                self.store.remove(entry, None, now)  # type: ignore[arg-type]
        self.sweep.end_slice()
        return len(entries)

    def run(self, now: float = NOW) -> list[int]:
        """Do all that there is to do now. How many entries each slice was."""
        slices = []
        while (count := self.step(now)) is not None:
            slices.append(count)
        return slices

    def keys(self) -> set[str]:
        return {entry.key for entry in self.store.entries()}


def test_at_first_there_is_nothing_to_do() -> None:
    held = Held(sets=3)
    assert held.run() == []
    assert not held.sweep.is_pending


def test_what_is_not_newer_than_a_floor_goes() -> None:
    held = Held()
    held.hold("old", 999)
    held.hold("same", 1_000)
    held.hold("new", 1_001)
    held.doom(1_000)
    held.run()
    assert held.keys() == {"new"}


def test_what_is_confirmed_stays() -> None:
    held = Held(sets=3)
    held.doom(2_000, {encode_key("set 1"): Version(1_000, X)})
    held.run()
    assert held.keys() == {"set 1"}


def test_what_is_confirmed_of_a_newer_version_goes() -> None:
    held = Held(sets=1)
    held.doom(2_000, {encode_key("set 0"): Version(1_000, Y)})
    held.run()
    assert held.keys() == set()


@pytest.mark.parametrize(("time", "stays"), [(1_000 + HOLD, False), (1_001 + HOLD, True)])
def test_a_load_stays_if_it_began_safely_after_the_floor(time: int, stays: bool) -> None:
    held = Held(loads=1, time=time)
    held.doom(1_000)
    held.run()
    assert (held.keys() != set()) == stays


def test_what_cannot_be_told_goes_with_a_floor_of_everything() -> None:
    held = Held()
    held.store.put("untold", 1, NOW, float("inf"), float("inf"), None)
    held.doom(1_000)
    held.run()
    assert held.keys() == set()


def test_a_floor_of_one_bucket_dooms_nothing_of_another() -> None:
    held = Held(sets=20)
    held.doom(1_000, None, "set 3")
    held.run()
    assert held.keys() == {
        key for key in (f"set {n}" for n in range(20)) if bucket_of(encode_key(key)) != bucket_of(encode_key("set 3"))
    }


def test_loads_go_and_sets_stay_where_the_clock_was_set() -> None:
    held = Held(sets=2, loads=2)
    held.sweep.add_loads()
    held.run()
    assert held.keys() == {"set 0", "set 1"}


def test_a_slice_is_bounded() -> None:
    held = Held(sets=5 * SLICE)
    held.doom(1)
    assert max(held.run()) <= 2 * SLICE


@pytest.mark.parametrize("count", [0, 1, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE])
def test_a_sweep_looks_at_everything_and_ends(count: int) -> None:
    held = Held(sets=count)
    held.doom(5_000)
    assert sum(held.run()) == count
    assert held.keys() == set()
    assert not held.sweep.is_pending


def test_what_is_doomed_is_doomed_before_its_slice() -> None:
    held = Held(sets=2 * SLICE)
    held.doom(5_000)
    stamp = held.hold("late", 10)
    assert held.sweep.is_pending
    assert held.sweep.dooms(stamp)


def test_once_it_is_over_nothing_is_doomed() -> None:
    held = Held(sets=3)
    held.doom(5_000)
    held.run()
    assert not held.sweep.dooms(held.hold("later", 10))


@pytest.mark.parametrize("kind", ["floors", "loads"])
def test_what_is_raised_meanwhile_is_swept_too(kind: str) -> None:
    held = Held(sets=2 * SLICE, loads=2 * SLICE, time=5_000)
    held.doom(1)
    held.step()
    if kind == "floors":
        held.doom(9_000)
    else:
        held.sweep.add_loads()
    held.run()
    assert not [key for key in sorted(held.keys()) if kind == "floors" or key.startswith("load")]
    assert not held.sweep.is_pending


def test_of_two_announcements_what_one_of_them_does_not_confirm_goes() -> None:
    held = Held(sets=3)
    first, second = encode_key("set 0"), encode_key("set 1")
    held.doom(2_000, {first: Version(1_000, X), second: Version(1_000, X)})
    held.doom(2_000, {second: Version(1_000, X)})
    held.run()
    assert held.keys() == {"set 1"}


def test_a_large_store_is_swept_with_a_pause_between_two_sweeps() -> None:
    """Else few bytes of a peer could keep us busy for ever. What is doomed is doomed meanwhile."""
    held = Held(sets=LARGE + 1)
    held.doom(1)
    held.run()
    held.doom(2)
    stamp = held.hold("old", 2)
    assert held.run() == []
    assert held.sweep.is_pending
    assert held.sweep.dooms(stamp)
    assert sum(held.run(NOW + PAUSE)) == LARGE + 2
    assert not held.sweep.is_pending


def test_a_small_store_is_swept_without_a_pause() -> None:
    held = Held(sets=10)
    for floor in (1, 2):
        held.doom(floor)
        assert sum(held.run()) == 10
