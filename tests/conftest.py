"""What many tests need: a clock that stands still, and threads that cannot outlive their test unseen."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lru_cache
from lru_cache import TLS
from lru_cache.testing import ManualClock
from tests import certificates
from tests.concurrency import PATIENCE, Started


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["LRUCache", "LRUCacheDistributed"])
def each_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """For modules that test the contract of `LRUCache`: by this name they mean each class that has to keep it."""
    monkeypatch.setattr(request.module, "LRUCache", getattr(lru_cache, request.param))
    return str(request.param)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    """A certificate of our authority."""
    return certificates.make(tmp_path_factory.mktemp("ours"), "node")["node"]


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    """One of somebody else's."""
    return certificates.make(tmp_path_factory.mktemp("theirs"), "node")["node"]


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    """Start a function in a thread; the test fails if one of them still runs when it ends."""
    running: list[Started] = []

    def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Started:
        running.append(Started(function, *args, **kwargs))
        return running[-1]

    yield run
    for started in running:
        started.thread.join(PATIENCE)
        assert not started.thread.is_alive(), "a thread outlives its test"
