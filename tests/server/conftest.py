"""Nodes that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.nodes import ThreadNode, processes


@pytest.fixture
def start_node() -> Iterator[Callable[..., ThreadNode]]:
    """Starts nodes in threads."""
    started: list[ThreadNode] = []

    def start(*args: Any, **kwargs: Any) -> ThreadNode:
        started.append(ThreadNode(*args, **kwargs))
        return started[-1]

    yield start
    for node in started:
        node.close()


@pytest.fixture(scope="module")
def node() -> Iterator[ThreadNode]:
    """One for a whole file, for tests that use keys of their own."""
    node = ThreadNode(region="here")
    yield node
    node.close()


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts nodes as processes, in an empty directory."""
    with processes() as start:
        yield lambda *arguments: start(tmp_path, *arguments)
