"""`Stats` is a frozen dataclass, made without the module of that name."""

import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import Any

import pytest

from lru_cache import DistributedStats, LRUCache, LRUCacheDistributed, Stats

KINDS: list[Any] = [LRUCache, LRUCacheDistributed]


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_are_a_frozen_dataclass(kind: Any) -> None:
    stats = kind().stats()
    assert dataclasses.is_dataclass(stats)
    names = [field.name for field in dataclasses.fields(stats)]
    assert names[:3] == ["hits", "misses", "loads"]
    assert dataclasses.asdict(stats) == vars(stats) == {name: getattr(stats, name) for name in names}
    assert dataclasses.replace(stats, hits=5).hits == 5
    assert copy.copy(stats) == copy.deepcopy(stats) == pickle.loads(pickle.dumps(stats)) == stats
    assert stats != dataclasses.replace(stats, hits=5)
    assert hash(stats) == hash(copy.copy(stats))
    assert repr(stats).startswith(f"{type(stats).__name__}(hits=0, misses=0, loads=0, ")
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.hits = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        del stats.hits


def test_statistics_are_of_one_kind_or_the_other() -> None:
    ours, theirs = (dataclasses.fields(kind) for kind in (Stats, DistributedStats))
    assert [field.name for field in theirs[: len(ours)]] == [field.name for field in ours]
    assert len(theirs) > len(ours)
    assert isinstance(LRUCacheDistributed[Any, Any]().stats(), Stats)


def test_statistics_take_each_figure_once() -> None:
    values = range(len(dataclasses.fields(Stats)))
    assert Stats(*values) == Stats(**{field.name: n for n, field in enumerate(dataclasses.fields(Stats))})  # type: ignore[arg-type]
    for arguments, named in (([], {}), (values, {"hits": 1}), (values[1:], {"nonsense": 1}), ([*values, 1], {})):
        with pytest.raises(TypeError, match="hits"):
            Stats(*arguments, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["LRUCache", "LRUCacheDistributed"])
def test_statistics_can_be_asked_for_when_no_descriptor_is_left(kind: str) -> None:
    """Whoever looks for the reason of that looks there."""
    code = f"""
import os, resource
from lru_cache import {kind}
cache = {kind}(str)
cache.get("a")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
before = cache.stats()
assert (before.misses, before.loads) == (1, 1), before
print(before)
os._exit(0 if "hits=0" in repr(before) else 1)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
