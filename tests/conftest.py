"""What many tests need: a clock that stands still, and threads that cannot outlive their test unseen."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

import lru_cache
from harness import certificates
from harness.ports import ReservedPort
from lru_cache import TLS, LRUCacheDistributed
from lru_cache.testing import ManualClock
from tests import effort
from tests.concurrency import PATIENCE, Started, eventually, link

# The same for everybody, whatever the environment says of who runs it (Hypothesis has settings of its own for a CI). No
# deadlines: they measure the machine. By default the same examples each time; `--long` has more of them, and by chance.
hypothesis.settings.register_profile(
    "ours",
    max_examples=effort.some_or_many(100, 500),
    deadline=None,
    derandomize=not effort.is_long,
    database=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ours")


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


Nodes = Callable[..., LRUCacheDistributed[Any, Any]]


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """Make replicated caches, which are closed in the end; none of their threads may outlive the test."""
    monkeypatch.delenv("LRU_CACHE_SECRET", raising=False)
    made: list[LRUCacheDistributed[Any, Any]] = []

    def make(*arguments: Any, **options: Any) -> LRUCacheDistributed[Any, Any]:
        made.append(LRUCacheDistributed(*arguments, **{"connection_timeout": 2_000 * PATIENCE, **options}))
        return made[-1]

    yield make
    for cache in made:
        cache.close()
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("lru_cache-")])


@pytest.fixture
def pair(nodes: Nodes, clock: ManualClock) -> tuple[LRUCacheDistributed[Any, Any], LRUCacheDistributed[Any, Any]]:
    """A client and its server, linked, with lives of a minute on a clock that stands still."""
    server = nodes(local_address=("127.0.0.1", 0), expiration_time=60, clock=clock)
    client = nodes(remote_address=server.local_address, expiration_time=60, clock=clock)
    link(client, server)
    return client, server


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of this machine at which nobody listens, and which the system gives to nobody who does not name it."""
    with contextlib.closing(ReservedPort()) as held:
        yield held.number
