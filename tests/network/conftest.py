"""What tests of the network need beside nodes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from tests.network.strangers import Stranger

Meet = Callable[[LRUCacheDistributed[Any, Any]], Stranger]


@pytest.fixture
def meet() -> Iterator[Meet]:
    """Connect strangers to a node; their sockets are closed in the end, also when the test fails."""
    made: list[Stranger] = []

    def connect(node: LRUCacheDistributed[Any, Any]) -> Stranger:
        made.append(Stranger(node))
        return made[-1]

    yield connect
    for stranger in made:
        stranger.close()
