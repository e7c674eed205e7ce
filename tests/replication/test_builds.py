"""The rules are the same, whether they run as Python or compiled: byte for byte, in whatever happens."""

import os
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lru_cache import LRUCacheDistributed
from lru_cache.errors import ProtocolError
from lru_cache.replication import Event, implementation, messages
from lru_cache.replication.encoding import encode_key
from lru_cache.store import implementation as store_implementation
from lru_cache.testing.simulation import PROFILES
from tests.replication.any_events import events, keys, lives
from tests.replication.both_builds import everything_sent
from tests.replication.broken import as_python
from tests.replication.build import BUILDS, part_of
from tests.replication.node import Node

FEW = os.environ.get("LRU_CACHE_FEW_SEEDS", "") not in ("", "0")
SEEDS = 20 if FEW else 200
SEEDS_OF_A_PROFILE = 5 if FEW else 20
SEEDS_OF_WHOLE_CACHES = 5 if FEW else 50

needs_both = pytest.mark.skipif(BUILDS == ["python"], reason="there is one build in this process")


def test_the_rules_are_compiled_where_the_store_is_in_c() -> None:
    assert implementation == store_implementation


@needs_both
def test_the_build_that_says_it_is_native_is_compiled() -> None:
    """Else what follows compares the rules with themselves."""
    assert part_of("native", "wire").__file__.endswith(".so")
    assert part_of("python", "wire").__file__.endswith(".py")
    assert part_of("native", "replica").Replica is not part_of("python", "replica").Replica


@needs_both
@pytest.mark.parametrize("profile", [None, *sorted(PROFILES), "churn", "handover"])
def test_every_message_of_a_cluster_is_the_same(profile: str | None) -> None:
    for seed in range(SEEDS if profile is None else SEEDS_OF_A_PROFILE):
        native, python = (everything_sent(build, seed, profile=profile)[0] for build in ("native", "python"))
        assert native == python, f"seed {seed}"


@needs_both
@pytest.mark.parametrize("profile", [None, *sorted(PROFILES)])
def test_every_message_is_the_same_where_applications_use_whole_caches(profile: str | None) -> None:
    for seed in range(SEEDS_OF_WHOLE_CACHES if profile is None else SEEDS_OF_A_PROFILE // 4):
        native, python = (
            everything_sent(build, seed, profile=profile, whole_cache=True)[0] for build in ("native", "python")
        )
        assert native == python, f"seed {seed}"


@needs_both
@pytest.mark.parametrize("build", BUILDS)
def test_a_whole_cache_runs_on_the_build_that_is_asked_for(build: str) -> None:
    with as_python() if build == "python" else nullcontext():
        cache: LRUCacheDistributed[str, int] = LRUCacheDistributed(None, 10, None)
    with cache:
        assert type(cache._replica) is part_of(build, "replica").Replica
        cache["k"] = 1
        entry = cache._store.find("k")
        assert entry is not None
        assert type(entry.version) is part_of(build, "stamp").Stamp


# -- one replica -------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.lists(events(), min_size=1, max_size=8), max_size=6), st.integers(1, 5), st.lists(keys, max_size=2))
def test_what_is_heard_ends_the_same(batches: list[list[Event]], capacity: int, loading: list[Any]) -> None:
    def heard(build: str) -> Any:
        node = Node(graves=3, capacity=capacity, build=build)
        node.loading.update(dict.fromkeys(loading))
        states = []
        for batch in batches:
            node.hears(messages.encode(batch))
            states.append(node.state())
            node.now += 0.3
        return states

    ends = [heard(build) for build in BUILDS]
    assert ends[0] == ends[-1]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("klm"), st.sampled_from(["set", "set", "invalidate", "touch"]), lives)))
def test_what_is_written_is_told_the_same(writes: list[tuple[str, str, int | None]]) -> None:
    def told(build: str) -> Any:
        node = Node(graves=2, capacity=2, build=build)
        for key, act, life in writes:
            entry = node.store.find(key)
            if act == "set":
                node.put(key, b"\x01", float("inf") if life is None else life / 1000)
            elif act == "invalidate":
                node.replica.invalidate(encode_key(key), node.now)
            elif entry is not None:
                node.replica.touch(entry, node.now)
            node.now += 0.1
        return node.state()

    ends = [told(build) for build in BUILDS]
    assert ends[0] == ends[-1]


@settings(deadline=None)
@given(st.data())
def test_bytes_of_strangers_end_the_same(data: st.DataObject) -> None:
    """Whatever becomes of a message, the compiled rules neither crash nor take what the others would not."""
    body = bytearray(messages.encode(data.draw(st.lists(events(), min_size=1, max_size=5))))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)) | st.just(len(body)))]

    def outcome(build: str) -> Any:
        node = Node(build=build)
        try:
            node.hears(bytes(body))
        except ProtocolError as error:
            return str(error), node.held("k")
        return node.state()

    ends = [outcome(build) for build in BUILDS]
    assert ends[0] == ends[-1]
