"""One node for each face, place and options in a process."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lru_cache.arguments import MISSING
from lru_cache.faces.face import Face
from lru_cache.faces.nodes import Node, end_all, node_of
from tests.concurrency import eventually


class OneFace(Face):
    """With an option of its own."""

    own_options = frozenset(("pickle", "size"))

    def prepared(self, options: dict[str, Any]) -> dict[str, Any]:
        if "size" in options:
            options["maximum_capacity"] = options["size"]
        return super().prepared(options)


FACE = OneFace()


@pytest.fixture(autouse=True)
def _fresh_nodes() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def node() -> Node:
    return node_of(FACE, "", {})


def test_who_asks_for_the_same_gets_the_same_in_any_thread(node: Node) -> None:
    found: list[Node] = []
    threads = [threading.Thread(target=lambda: found.append(node_of(FACE, "", {}))) for _ in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(found) == 4)
    assert set(map(id, found)) == {id(node)}


def test_another_face_or_another_option_is_another_node(node: Node) -> None:
    assert node_of(OneFace(), "", {}) is not node
    assert node_of(FACE, "", {"size": 3}) is not node


def test_an_option_of_the_face_is_made_one_of_the_node() -> None:
    assert node_of(FACE, "", {"size": 3}).stats().capacity == 3


def test_a_change_is_one_step_and_leaves_nothing_where_there_was_nothing(node: Node) -> None:
    assert node.change("k", lambda held: held + 1) is MISSING
    node.set("k", 1)
    assert node.change("k", lambda held: held + 1) == 2
    assert node.get("k") == 2


def test_a_count_begins_where_there_is_none(node: Node) -> None:
    assert [node.count("k", lambda held: held + 2, 5, None) for _ in range(3)] == [5, 7, 9]


def test_after_the_end_of_all_there_are_others(node: Node) -> None:
    end_all()
    assert node_of(FACE, "", {}) is not node
