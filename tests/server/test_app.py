"""The key-value service, as the seeds describe it, and what it does with what they do not describe."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any
from urllib.parse import quote

import pytest

from lru_cache import codecs
from lru_cache.server.app import Settings
from lru_cache.testing import ManualClock
from tests.server.nodes import Answer, ThreadNode

StartNode = Callable[..., ThreadNode]
UUID4 = "8a35eb59-62b3-481c-8875-1f248df4c952"


def get(node: ThreadNode, key: str) -> Answer:
    return node.ask("GET", f"/get/{quote(key, safe='')}")


def put(node: ThreadNode, key: str, value: str, **more: object) -> Answer:
    return node.ask("POST", "/set", {"key": key, "val": value, **more})


def test_what_is_set_can_be_got(node: ThreadNode) -> None:
    assert put(node, "name", "value").status == 200
    assert get(node, "name").json == {"key": "name", "val": "value"}


def test_a_key_without_a_value_is_404_with_a_reason(node: ThreadNode) -> None:
    answer = get(node, "nobody set this")
    assert (answer.status, answer.message) == (404, "the key was not found")


@pytest.mark.parametrize(
    "key",
    [
        "a/b", "/", "//", "a b", " ", "ключ", "鍵", "🗝", "%", "100%", "%41", "a%2Fb", "%25", "a+b", "a?b=c", "a#b",
        "a\nb", "a\n", "\n", "\x00", '"', "\\", "<script>alert(1)</script>", "..", ".", "a/../b", "",
        "\ufffd", "x" * 5_000, "a;b",
    ],
)  # fmt: skip
def test_any_text_can_be_a_key(node: ThreadNode, key: str) -> None:
    put(node, key, f"the value of {key}")
    assert get(node, key).json == {"key": key, "val": f"the value of {key}"}
    assert node.cache.peek(key) == f"the value of {key}"


def test_a_slash_needs_no_quoting(node: ThreadNode) -> None:
    put(node, "one/two", "2")
    assert node.ask("GET", "/get/one/two").json["val"] == "2"


def test_keys_that_differ_by_a_line_feed_are_two(node: ThreadNode) -> None:
    put(node, "line", "without")
    assert get(node, "line\n").status == 404


@pytest.mark.parametrize("value", ["", "ü\u0000🗝", "a" * 500_000, "<b>", '{"json": [1]}'])
def test_any_text_can_be_a_value(node: ThreadNode, value: str) -> None:
    put(node, "any value", value)
    assert get(node, "any value").json["val"] == value


def test_bytes_that_are_no_text_are_no_key(node: ThreadNode) -> None:
    put(node, "\ufffd", "what stands for such bytes")
    answer = node.ask("GET", "/get/%ff")
    assert (answer.status, answer.message) == (400, "the key is not valid UTF-8")


def test_a_key_that_no_url_could_name_is_refused(node: ThreadNode) -> None:
    answer = put(node, "ä" * 8_193, "")
    assert (answer.status, answer.message) == (422, "the key has 16,386 bytes, more than 16,384")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "JSON decode error"),
        (b'{"key": "a", "val": "b"', 400, "JSON decode error"),
        (b"\xff", 400, "parsing the body"),
        (b"[" * 100_000, 400, "parsing the body"),
        (b'{"key": "a"}', 422, "body.val: Field required"),
        (b'{"val": "a"}', 422, "body.key: Field required"),
        (b'{"key": 1, "val": "b"}', 422, "body.key: Input should be a valid string"),
        (b'{"key": "a", "val": null}', 422, "body.val: Input should be a valid string"),
        (b'{"key": "a", "val": ["b"]}', 422, "body.val: Input should be a valid string"),
        (b'{"key": "\\ud800", "val": "b"}', 422, "key"),
        (b'{"key": "a", "val": "\\ud800"}', 422, "val"),
        (b'{"key": "a", "val": "b", "expire_in": 1}', 422, "body.expire_in: Extra inputs are not permitted"),
        (b'{"key": "a", "val": "b", "\\ud800": 1}', 422, "unicode"),
        (b'["key", "val"]', 422, "body"),
        (b'"text"', 422, "body"),
        (b"null", 422, "body"),
        (b"", 422, "body: Field required"),
        (b'{"key": "a", "val": "b", "expires_in": 0}', 422, "greater than 0"),
        (b'{"key": "a", "val": "b", "expires_in": -1.5}', 422, "greater than 0"),
        (b'{"key": "a", "val": "b", "expires_in": NaN}', 422, "finite"),
        (b'{"key": "a", "val": "b", "expires_in": 1e999}', 422, "finite"),
        (b'{"key": "a", "val": "b", "expires_in": 1e300}', 422, "less than"),
        (b'{"key": "a", "val": "b", "expires_in": true}', 422, "expires_in"),
        (b'{"key": "a", "val": "b", "expires_in": "60"}', 422, "expires_in"),
    ],
)
def test_a_body_that_is_not_understood_is_refused_with_a_reason(
    node: ThreadNode, body: bytes, status: int, reason: str
) -> None:
    answer = node.ask("POST", "/set", body)
    assert answer.status == status
    assert reason in answer.message


def test_a_body_of_another_type_is_refused(node: ThreadNode) -> None:
    """So no other site's page can send one: a browser asks first for leave to send JSON elsewhere, and gets none."""
    answer = node.ask("POST", "/set", b'{"key": "a", "val": "b"}', content_type="text/plain")
    assert answer.status == 422


def test_nothing_says_that_other_sites_may_ask(node: ThreadNode) -> None:
    asked = node.ask("OPTIONS", "/set", origin="http://elsewhere", access_control_request_method="POST")
    answered = node.ask("GET", "/health", origin="http://elsewhere")
    assert asked.status == 405
    assert not [name for name in {**asked.headers, **answered.headers} if name.startswith("access-control")]


def test_a_body_beyond_the_limit_is_refused(start_node: StartNode) -> None:
    node = start_node(Settings(maximum_body_bytes=1_000))
    assert put(node, "small", "x" * 900).status == 200
    answer = put(node, "large", "x" * 1_000)
    assert (answer.status, answer.message) == (413, "the body has more than 1,000 bytes")


def test_a_value_that_is_too_long_for_the_cluster_is_refused(start_node: StartNode) -> None:
    node = start_node(maximum_value_bytes=100)
    answer = put(node, "a", "x" * 101)
    assert (answer.status, answer.message) == (413, "the value is longer than this node keeps any")


def test_what_expires_is_gone(start_node: StartNode, clock: ManualClock) -> None:
    node = start_node(clock=clock)
    put(node, "soon", "1", expires_in=2)
    put(node, "later", "2", expires_in=3.5)
    put(node, "as usual", "3", expires_in=None)
    clock.advance(2)
    assert [get(node, key).status for key in ("soon", "later", "as usual")] == [404, 200, 200]


def test_what_is_deleted_is_gone(node: ThreadNode) -> None:
    put(node, "a/b", "1")
    assert node.ask("DELETE", "/keys/a%2Fb").json == {"key": "a/b", "deleted": True}
    assert get(node, "a/b").status == 404


def test_deleting_what_is_not_there_is_no_error(node: ThreadNode) -> None:
    """It may be on other nodes, and they are told."""
    assert node.ask("DELETE", "/keys/never").json == {"key": "never", "deleted": False}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/get/a"), ("GET", "/set"), ("PUT", "/set"), ("POST", "/keys/a"), ("DELETE", "/get/a")],
)
def test_other_methods_are_refused_and_the_right_one_is_said(node: ThreadNode, method: str, path: str) -> None:
    answer = node.ask(method, path)
    assert answer.status == 405
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", ["/nothing", "/set/", "/get", "/docs", "/redoc", "/static/x"])
def test_other_paths_are_404(node: ThreadNode, path: str) -> None:
    assert node.ask("GET", path).status == 404


def test_a_value_of_a_python_program_that_is_no_string_is_a_conflict(node: ThreadNode) -> None:
    node.cache.set("decimal", Decimal(1))
    assert get(node, "decimal").status == 409
    assert "Decimal" in get(node, "decimal").message


# -- values of any kind ------------------------------------------------------------------------------------------------


class Color(Enum):
    RED = 1


@dataclass
class Point:
    x: Any
    color: Color = Color.RED


CODECS = (codecs.dataclass(Point), codecs.enum(Color))


@pytest.fixture
def reader(start_node: StartNode) -> ThreadNode:
    """A node that answers with any value."""
    return start_node(Settings(codecs=CODECS, show_values=True), codecs=CODECS)


def deep(depth: int) -> Any:
    value: Any = "at last"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Point(Decimal("1.5")), {"x": "1.5", "color": "RED"}),
        ([Color.RED, {"a": (1, None)}], ["RED", {"a": [1, None]}]),
        (None, None),
        (b"text", "text"),
        ("text", "text"),
        (deep(128), deep(128)),
    ],
    ids=["dataclass", "list", "none", "bytes", "text", "deep"],
)
def test_with_codecs_a_value_of_any_kind_is_answered_as_json(reader: ThreadNode, value: Any, said: Any) -> None:
    reader.cache.set(UUID4, value)
    assert get(reader, UUID4).json == {"key": UUID4, "val": said}
    assert get_value(reader, UUID4).json == {"value": said}
    assert reader.ask("GET", f"/keys/{UUID4}").json == {
        "key": UUID4, "type": type(value).__name__, "characters": 4 if value == "text" else None,
        "expires_in": pytest.approx(5_184_000, abs=60), "val": said,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Point(b"\xff"), "the value is a Point, of which JSON cannot say all: bytes that are not UTF-8"),
        (float("nan"), "the value is a float, of which JSON cannot say all: the number nan"),
        ({1: 2}, "the value is a dict, of which JSON cannot say all: a key of a dict that is no text but a int"),
        (10**5_000, "the value is a int, of which JSON cannot say all: an integer of more than 1,024 bits"),
        (Point(Point(deep(127))), "the value is a Point, of which JSON cannot say all: what is nested so deep"),
    ],
    ids=["bytes", "nan", "key", "integer", "deep"],
)
def test_what_json_cannot_say_is_a_conflict_that_says_what(reader: ThreadNode, value: Any, why: str) -> None:
    reader.cache.set(UUID4, value)
    for answer in (get(reader, UUID4), get_value(reader, UUID4)):
        assert (answer.status, answer.message) == (409, why)
    found = reader.ask("GET", f"/keys/{UUID4}").json
    assert (found["type"], found["val"]) == (type(value).__name__, None)


def test_a_value_of_any_kind_is_not_shown_unless_the_node_may(start_node: StartNode) -> None:
    node = start_node(Settings(codecs=CODECS), codecs=CODECS)
    node.cache.set("a", Point(1))
    found = node.ask("GET", "/keys/a").json
    assert (found["type"], found["characters"], found["val"]) == ("Point", None, None)


def test_what_a_codec_is_lacking_for_is_a_miss(start_node: StartNode) -> None:
    program = start_node(local_address=("127.0.0.1", 0), codecs=CODECS)
    node = start_node(Settings(codecs=()), remote_address=program.cache.local_address)
    assert node.cache.wait_connected(timeout=10)
    program.cache.set("known", [1])
    program.cache.set("unknown", Point(1))
    assert program.cache.flush(timeout=10)
    assert get(node, "known").json["val"] == [1]
    assert get(node, "unknown").status == 404


def test_with_codecs_what_is_written_is_text_all_the_same(reader: ThreadNode) -> None:
    assert put(reader, "a", ["b"]).status == 422  # type: ignore[arg-type]
    reader.cache.set("a", Point(1))
    assert put(reader, "a", '{"x": 2}').json == {"key": "a", "val": '{"x": 2}'}
    assert get(reader, "a").json["val"] == '{"x": 2}'


# -- the read-only seed ------------------------------------------------------------------------------------------------


def get_value(node: ThreadNode, key: object) -> Answer:
    return node.ask("POST", "/get_value", {"key": key})


def test_the_seed_s_example_is_answered_as_it_says(node: ThreadNode) -> None:
    put(node, UUID4, "lunmtp ftxemjfob pmo hwoya")
    answer = get_value(node, UUID4)
    assert (answer.status, answer.json) == (200, {"value": "lunmtp ftxemjfob pmo hwoya"})


def test_a_uuid_that_is_not_held_is_404_with_a_message(node: ThreadNode) -> None:
    answer = get_value(node, str(uuid.uuid4()))
    assert (answer.status, answer.json) == (404, {"message": "the key was not found"})


@pytest.mark.parametrize(
    "key",
    [
        "abc", "", UUID4[:-1], f"{UUID4}\n", f"{{{UUID4}}}", f"urn:uuid:{UUID4}", UUID4.replace("-", ""), f" {UUID4}",
        UUID4.replace("-4", "-1", 1), "c2d29867-3d0b-11f0-9e14-325096b39f47", str(uuid.UUID(int=0)),
        UUID4.replace("-8875", "-0875"), UUID4.replace("8", "\uff18"),
    ],
)  # fmt: skip
def test_what_is_no_version_4_uuid_is_refused_with_a_message(node: ThreadNode, key: str) -> None:
    answer = get_value(node, key)
    assert answer.status == 422
    assert "version 4 UUID" in answer.message


@pytest.mark.parametrize("key", [None, 7, ["x"], True])
def test_a_key_of_another_type_is_refused_with_a_message(node: ThreadNode, key: object) -> None:
    answer = get_value(node, key)
    assert (answer.status, list(answer.json)) == (422, ["message"])


def test_a_uuid_in_capitals_is_the_same(node: ThreadNode) -> None:
    put(node, UUID4, "small")
    assert get_value(node, UUID4.upper()).json == {"value": "small"}


def test_a_uuid_that_is_held_in_capitals_is_found_in_capitals(node: ThreadNode) -> None:
    held = str(uuid.uuid4()).upper()
    put(node, held, "large")
    assert get_value(node, held).json == {"value": "large"}


# -- restricted nodes --------------------------------------------------------------------------------------------------


def test_a_read_only_node_reads(start_node: StartNode) -> None:
    node = start_node(Settings(read_only=True))
    node.cache.set("a", "1")
    assert get(node, "a").json["val"] == "1"


def test_a_read_only_node_refuses_all_writes(start_node: StartNode) -> None:
    node = start_node(Settings(read_only=True))
    node.cache.set("a", "1")
    for answer in (put(node, "a", "2"), put(node, "b", "2"), node.ask("DELETE", "/keys/a")):
        assert (answer.status, answer.message) == (403, "this node is read-only")
    assert dict(node.cache.items()) == {"a": "1"}


def test_a_node_for_uuids_takes_no_other_keys(start_node: StartNode) -> None:
    node = start_node(Settings(key_format="uuid4"))
    answers = [put(node, "a", "1"), get(node, "a"), node.ask("DELETE", "/keys/a"), node.ask("GET", "/keys/a")]
    assert [answer.status for answer in answers] == [422] * 4
    assert len(node.cache) == 0


def test_a_node_for_uuids_keeps_them_in_one_form(start_node: StartNode) -> None:
    node = start_node(Settings(key_format="uuid4"))
    put(node, UUID4.upper(), "1")
    assert list(node.cache) == [UUID4]
    assert get(node, UUID4.upper()).json == {"key": UUID4.upper(), "val": "1"}


# -- looking a key up --------------------------------------------------------------------------------------------------


def test_a_look_up_tells_about_a_value_and_not_the_value(node: ThreadNode) -> None:
    put(node, "secret", "hush")
    assert node.ask("GET", "/keys/secret").json == {
        "key": "secret", "type": "str", "characters": 4, "expires_in": pytest.approx(5_184_000, abs=60), "val": None
    }  # fmt: skip


def test_a_look_up_tells_the_value_if_the_node_may_show_it(start_node: StartNode) -> None:
    node = start_node(Settings(show_values=True), expiration_time=None)
    put(node, "open", "hello")
    found = node.ask("GET", "/keys/open").json
    assert (found["val"], found["expires_in"]) == ("hello", None)


def test_a_look_up_is_no_use(start_node: StartNode) -> None:
    node = start_node(maximum_capacity=2)
    for key in "ab":
        put(node, key, key)
    node.ask("GET", "/keys/a")
    put(node, "c", "c")
    assert sorted(node.cache) == ["b", "c"]
    assert node.ask("GET", "/stats").json["hits"] == 0


def test_a_look_up_of_what_is_not_held_is_404(node: ThreadNode) -> None:
    assert node.ask("GET", "/keys/unheard").status == 404


# -- watching ----------------------------------------------------------------------------------------------------------


def test_health_says_so(node: ThreadNode) -> None:
    answer = node.ask("GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_stats_are_the_cache_s(node: ThreadNode) -> None:
    put(node, "counted", "1")
    get(node, "counted")
    stats = node.ask("GET", "/stats").json
    assert stats == {**stats, "hits": node.cache.stats().hits, "size": len(node.cache), "capacity": 50_000, "links": 0}


def test_peers_name_this_node_and_its_neighbours(start_node: StartNode) -> None:
    first = start_node(region="east", local_address=("127.0.0.1", 0))
    second = start_node(region="west", remote_address=first.cache.local_address)
    assert second.cache.wait_connected(timeout=10)
    found = second.ask("GET", "/peers").json
    assert (found["node"], found["region"]) == (second.cache.node, "west")
    (peer,) = found["peers"]
    assert (peer["node"], peer["region"], peer["state"]) == (first.cache.node, "east", "connected")


def test_what_is_written_on_one_node_is_read_on_the_others(start_node: StartNode) -> None:
    first = start_node(local_address=("127.0.0.1", 0))
    second = start_node(remote_address=first.cache.local_address)
    assert second.cache.wait_connected(timeout=10)
    put(first, "shared", "by all")
    assert first.cache.flush(timeout=10)
    assert get(second, "shared").json["val"] == "by all"
    second.ask("DELETE", "/keys/shared")
    assert second.cache.flush(timeout=10)
    assert get(first, "shared").status == 404


def test_an_error_of_ours_is_500_and_says_nothing_of_the_inside(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    monkeypatch.setattr(node.cache, "stats", lambda: 1 / 0)
    answer = node.ask("GET", "/stats")
    assert answer.status == 500
    assert "division" not in json.dumps(answer.json)
