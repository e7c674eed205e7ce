"""Any events, for properties: of keys, versions and lives that meet each other often."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from lru_cache.replication import NOTHING, Event, Kind, Version, time_of
from lru_cache.replication.encoding import encode_key
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
