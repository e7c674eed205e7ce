"""The OpenAPI description is true: what it allows is answered as it says, and what it does not is refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from lru_cache import codecs
from lru_cache.server.app import Settings
from tests.server.nodes import ThreadNode

TOKEN = "a-token"
UUID4 = "8a35eb59-62b3-481c-8875-1f248df4c952"
EXAMPLES = 8


@dataclass
class Point:
    x: Any


CODECS = (codecs.dataclass(Point),)


@pytest.fixture(scope="module")
def open_node() -> Iterator[ThreadNode]:
    node = ThreadNode(Settings(show_values=True))
    yield node
    node.close()


@pytest.fixture(scope="module")
def restricted_node() -> Iterator[ThreadNode]:
    node = ThreadNode(Settings(read_only=True, key_format="uuid4", token=TOKEN))
    yield node
    node.close()


@pytest.fixture(scope="module")
def reading_node() -> Iterator[ThreadNode]:
    """A node that answers with any value."""
    node = ThreadNode(Settings(codecs=CODECS, show_values=True), codecs=CODECS)
    yield node
    node.close()


def check(node: ThreadNode, mode: GenerationMode, **headers: str) -> None:
    """Ask what the description allows, or what it does not, and hold the answers to it."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{node.port}/openapi.json", headers=headers)
    for result in schema.get_all_operations():
        operation = result.ok()
        try:
            cases = operation.as_strategy(generation_mode=mode)

            @given(case=cases)
            @usual
            def ask(case: Any) -> None:
                case.call_and_validate(headers=headers)

            ask()
        except Unsatisfiable:  # nothing about it can be wrong
            assert mode is GenerationMode.NEGATIVE


usual = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_a_node_is_as_described(open_node: ThreadNode, mode: GenerationMode) -> None:
    check(open_node, mode)


def test_a_restricted_node_is_as_described(restricted_node: ThreadNode) -> None:
    check(restricted_node, GenerationMode.POSITIVE, authorization=f"Bearer {TOKEN}")


def test_a_node_that_answers_with_any_value_is_as_described(reading_node: ThreadNode) -> None:
    check(reading_node, GenerationMode.POSITIVE)


@pytest.mark.parametrize("value", ["a", Point(1), [None], None, 1.5, {1: 2}], ids=repr)
def test_any_value_is_answered_as_described(reading_node: ThreadNode, value: Any) -> None:
    reading_node.cache.set(UUID4, value)
    described = schemathesis.openapi.from_url(f"http://127.0.0.1:{reading_node.port}/openapi.json")
    for path in ("/get/{key}", "/keys/{key}"):
        described[path]["GET"].Case(path_parameters={"key": UUID4}).call_and_validate()
    described["/get_value"]["POST"].Case(body={"key": UUID4}, media_type="application/json").call_and_validate()


def test_only_with_codecs_is_a_value_more_than_text(open_node: ThreadNode, reading_node: ThreadNode) -> None:
    texts, data = (node.ask("GET", "/openapi.json").json["components"]["schemas"] for node in (open_node, reading_node))
    assert texts["Pair"]["properties"]["val"]["type"] == texts["Value"]["properties"]["value"]["type"] == "string"
    assert data.keys() - texts.keys() == {"PairOfData", "ValueOfData", "HeldData"}
    assert data["NewPair"] == texts["NewPair"]


def test_every_endpoint_is_described(open_node: ThreadNode) -> None:
    paths = open_node.ask("GET", "/openapi.json").json["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described == {
        ("POST", "/set"), ("GET", "/get/{key}"), ("POST", "/get_value"), ("GET", "/keys/{key}"),
        ("DELETE", "/keys/{key}"), ("GET", "/health"), ("GET", "/stats"), ("GET", "/peers"), ("GET", "/metrics"),
    }  # fmt: skip
