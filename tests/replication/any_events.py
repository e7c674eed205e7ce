"""Any events, for properties: some whose keys and versions often meet, some at the ends of all ranges."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from lru_cache.replication import NOTHING, Event, Kind, Version, time_of
from lru_cache.replication.encoding import encode_key
from tests.replication.build import event, part_of, version
from tests.replication.node import X, Y

BASE = time_of(1.7e9)
keys = st.sampled_from(["k", "l", "ключ", "x" * 40, 7, 200, 70_000, (1, "a"), None])
times = st.integers(0, 3).map(lambda steps: BASE + steps) | st.integers(0, 90).map(lambda s: BASE - (s * 20 << 16))
versions = st.builds(Version, times, st.sampled_from([X, Y]))
lives = st.none() | st.integers(0, 100_000)


@st.composite
def events(draw: Callable[[Any], Any]) -> Event:
    """Any event that a node may tell."""
    kind = draw(st.sampled_from(Kind))
    has_value = kind in (Kind.SET, Kind.LOAD)
    return Event(
        kind,
        encode_key(draw(keys)),
        draw(versions),
        draw(st.sampled_from([1, 2, 31, 32, 33])),
        draw(st.binary(max_size=300)) if has_value else None,
        draw(lives) if kind is not Kind.INVALIDATE else None,
        draw(versions) if kind >= Kind.LOAD else NOTHING,
    )


nodes = st.sampled_from([bytes([number]) * 8 for number in range(4)]) | st.binary(min_size=8, max_size=8)
numbers = st.sampled_from([0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32]) | st.integers(0, 2**63 - 1)
any_times = numbers | st.just(version.MAXIMUM_TIME)
any_versions = st.builds(Version, any_times, nodes)
any_lives = st.none() | st.just(event.MAXIMUM_LIFE_MS) | numbers.filter(lambda life: life <= event.MAXIMUM_LIFE_MS)
any_keys = st.binary(min_size=1, max_size=300) | st.sampled_from([1, 255, 256, 65_535]).map(lambda count: b"k" * count)
any_payloads = st.binary(max_size=300) | st.sampled_from([0, 255, 256, 65_535, 65_536]).map(bytes)


@st.composite
def wide_events(draw: Callable[[Any], Any]) -> Event:
    """Any event that a message can hold."""
    kind = draw(st.sampled_from(Kind))
    return Event(
        kind,
        draw(any_keys),
        draw(any_versions),
        draw(st.integers(0, 255)),
        draw(any_payloads) if kind in (Kind.SET, Kind.LOAD) else None,
        draw(any_lives) if kind is not Kind.INVALIDATE else None,
        draw(any_versions) if kind >= Kind.LOAD else NOTHING,
    )


def of_build(told: Event, build: str) -> Any:
    """The same event, of that build."""
    rules = part_of(build, "public")

    def its(one: Version) -> Any:
        return rules.NOTHING if one is NOTHING else rules.Version(one.time, one.node)

    other = its(told.other)
    return rules.Event(told.kind, told.key, its(told.version), told.hops, told.payload, told.life_ms, other)
