"""Events become messages of a bounded size, the same on both builds."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache.replication import MAXIMUM_EVENTS, Event, Kind, Version, implementation, messages
from tests.replication.any_events import events, of_build
from tests.replication.build import BUILDS, batch, part_of

X, Y = b"x" * 8, b"y" * 8


def add(filled: Any, event: Event, build: str = implementation) -> None:
    told = of_build(event, build)
    filled.add(told.kind, told.key, told.version, told.hops, told.payload, told.life, told.other)


@settings(deadline=None)
@given(st.lists(events(), max_size=150), st.sampled_from([1, 500, 1_000_000]))
def test_both_builds_make_the_same_messages(told: list[Event], limit: int) -> None:
    batches = [part_of(build, "batch").Batch(limit) for build in BUILDS]
    for event in told:
        for build, filled in zip(BUILDS, batches, strict=True):
            add(filled, event, build)
        assert len({filled.has_room for filled in batches}) == 1
    bodies = [filled.bodies() for filled in batches]
    assert bodies[0] == bodies[-1]


@settings(deadline=None)
@given(st.lists(events(), max_size=150), st.sampled_from([1, 500, 1_000_000]))
def test_what_was_added_can_be_read_in_its_order(told: list[Event], limit: int) -> None:
    filled = batch.Batch(limit)
    for event in told:
        add(filled, event)
    read = [messages.decode(body) for body in filled.bodies()]
    assert [event for message in read for event in message] == told


@settings(deadline=None)
@given(st.lists(events(), max_size=150), st.sampled_from([1, 500, 1_000_000]))
def test_no_message_holds_more_than_the_limit_but_where_it_is_one_event(told: list[Event], limit: int) -> None:
    filled = batch.Batch(limit)
    for event in told:
        add(filled, event)
    for message in map(messages.decode, filled.bodies()):
        assert isinstance(message, list)
        size = sum(len(event.key) + len(event.payload or b"") for event in message)
        assert len(message) == 1 or (size <= limit and len(message) <= MAXIMUM_EVENTS)


def test_a_large_value_can_be_read() -> None:
    event = Event(Kind.LOAD, b"k", Version(5, X), 2, b"v" * 70_000, 1 << 40, Version(1 << 62, Y))
    filled = batch.Batch(1_000_000)
    add(filled, event)
    assert [messages.decode(body) for body in filled.bodies()] == [[event]]


def test_is_full_with_as_many_events_as_a_message_takes() -> None:
    filled = batch.Batch(1_000_000)
    for _ in range(MAXIMUM_EVENTS - 1):
        filled.add(Kind.INVALIDATE, b"k", Version(5, X), 1)
    assert filled.has_room
    filled.add(Kind.INVALIDATE, b"k", Version(5, X), 1)
    assert not filled.has_room


def test_once_begun_anew_it_is_empty() -> None:
    filled = batch.Batch(1_000_000)
    filled.add(Kind.INVALIDATE, b"k", Version(5, X), 1)
    filled.begin(10)
    assert filled.has_room
    assert filled.bodies() == []


@pytest.mark.parametrize("wrong", [(0, "k", Version(5, X), 1), (0, b"k", (5, 6), 1), (0, b"k", Version(5, X), 1 << 40)])
@pytest.mark.parametrize("build", [build for build in BUILDS if build == "native"])
def test_compiled_it_refuses_what_is_no_event(build: str, wrong: Any) -> None:
    with pytest.raises((TypeError, OverflowError)):
        part_of(build, "batch").Batch(100).add(*wrong)
