"""`values="local"`: any object stays where it is, and a change of its key reaches every node."""

import logging
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from lru_cache.testing import ManualClock
from tests.concurrency import eventually, link, settle
from tests.conftest import Nodes


class Row:
    """What cannot be encoded: an object of some database layer, with its session."""

    def __init__(self, name: str = "") -> None:
        self.name = name


@pytest.fixture
def ring(nodes: Nodes, clock: ManualClock) -> list[LRUCacheDistributed[Any, Any]]:
    """Three nodes, each linked with the other two."""
    made: list[LRUCacheDistributed[Any, Any]] = []
    for _ in range(3):
        remotes: Any = [each.local_address for each in made]
        made.append(
            nodes(Row, local_address=("127.0.0.1", 0), remote_address=remotes or None, values="local", clock=clock)
        )
    link(*made, count=2)
    return made


def test_what_is_set_is_the_very_object_here_and_gone_elsewhere(ring: list[LRUCacheDistributed[Any, Any]]) -> None:
    one, two, three = ring
    two.get("a")
    three.get("a")
    row = Row()
    assert one.set("a", row) is row
    settle(one)
    eventually(lambda: "a" not in two and "a" not in three)
    settle(*ring)
    assert one.get("a") is row
    assert one.peek("a") is row


def test_what_is_loaded_stays_here_and_changes_nothing_elsewhere(ring: list[LRUCacheDistributed[Any, Any]]) -> None:
    one, two, _ = ring
    first, second = one.get("a"), two.get("a")
    settle(*ring)
    assert isinstance(first, Row)
    assert first is not second
    assert (one.get("a"), two.get("a")) == (first, second)


def test_an_invalidation_of_any_node_drops_the_objects_of_all(
    ring: list[LRUCacheDistributed[Any, Any]], clock: ManualClock
) -> None:
    one, two, three = ring
    row = one.set("a", Row())
    settle(one)
    clock.advance(5)
    loaded = two.get("a")
    three.invalidate("a")
    eventually(lambda: "a" not in one and "a" not in two)
    assert one.get("a") is not row
    assert two.get("a") is not loaded


def test_nothing_is_encoded_and_nobody_is_warned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lru_cache"), LRUCacheDistributed(Row, values="local") as cache:
        cache.get("a")
        cache.set("b", Row())
        cache.set_many({"c": Row(), "d": Row()})
        cache.setdefault("e", Row())
        assert cache.add("f", Row())
        assert not cache.add("f", Row())
        assert cache.touch("b")
        assert len(cache) == 6
        assert cache.stats().loads_untold == 0
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        with pytest.raises(TypeError, match="key"):
            cache.set(Row(), Row())  # type: ignore[arg-type]


def test_there_are_two_ways_to_keep_values() -> None:
    with pytest.raises(ValueError, match="values must be 'replicated' or 'local', not 'remote'"):
        LRUCacheDistributed(values="remote")  # type: ignore[arg-type]
