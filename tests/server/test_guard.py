"""Who may ask, and how much."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from lru_cache.server import connections
from lru_cache.server.app import Settings
from tests.concurrency import eventually
from tests.server.nodes import ThreadNode

StartNode = Callable[..., ThreadNode]

CLOSED = ["/get/a", "/keys/a", "/stats", "/peers", "/metrics", "/live", "/openapi.json", "/nothing", "/health/", "//"]


@pytest.fixture(scope="module")
def closed_node() -> Iterator[ThreadNode]:
    node = ThreadNode(Settings(token="open-sesame"))
    node.cache.set("a", "1")
    yield node
    node.close()


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic open-sesame", "open-sesame", "Bearer open-sesame!"]
)
def test_without_the_token_nothing_is_answered(closed_node: ThreadNode, path: str, header: str | None) -> None:
    answer = closed_node.ask("GET", path, **({} if header is None else {"authorization": header}))
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_without_the_token_nothing_is_written(closed_node: ThreadNode) -> None:
    writes = [("POST", "/set", {"key": "a", "val": "2"}), ("DELETE", "/keys/a", None), ("POST", "/get_value", {})]
    assert [closed_node.ask(*write).status for write in writes] == [401] * 3
    assert closed_node.cache["a"] == "1"


def test_with_the_token_all_is_as_without_one(closed_node: ThreadNode) -> None:
    assert closed_node.ask("GET", "/get/a", authorization="Bearer open-sesame").json["val"] == "1"
    assert closed_node.ask("GET", "/get/a", authorization="bearer open-sesame").status == 200


@pytest.mark.parametrize("path", ["/", "/health"])
def test_the_page_and_the_health_need_no_token(closed_node: ThreadNode, path: str) -> None:
    assert closed_node.ask("GET", path).status == 200


def test_a_node_for_this_machine_only_answers_to_its_own_names(start_node: StartNode) -> None:
    """Otherwise another site, whose name is made to lead here, could read it with the user's browser."""
    node = start_node(Settings(only_local=True))
    hosts = [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "127.0.0.1:8000",
        "localhost",
        "[::1]:8",
    ]
    assert [node.ask("GET", "/stats", host=host).status for host in hosts] == [421, 421, 421, 200, 200, 200]


def test_with_a_token_any_name_will_do(start_node: StartNode) -> None:
    node = start_node(Settings(only_local=True, token="t"))
    assert node.ask("GET", "/stats", host="cache.example", authorization="Bearer t").status == 200


def test_a_body_in_pieces_is_counted_too(start_node: StartNode) -> None:
    node = start_node(Settings(maximum_body_bytes=1_000))
    with node.connect() as connection:
        connection.sendall(b"POST /set HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        connection.sendall(b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(11):
            connection.sendall(b"64\r\n" + b" " * 100 + b"\r\n")
        assert b"413" in connection.recv(65_536).splitlines()[0]


def test_a_body_that_does_not_come_is_not_waited_for(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.05)
    node = start_node()
    with node.connect() as connection:
        connection.sendall(
            b"POST /set HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        )
        answer = b""
        while chunk := connection.recv(65_536):  # and then the connection is closed
            answer += chunk
    assert b" 408 " in answer.splitlines()[0]
    assert json.loads(answer.splitlines()[-1]) == {"message": "the request took too long"}


def test_a_refused_body_is_read_to_its_end_so_that_the_answer_arrives(start_node: StartNode) -> None:
    node = start_node(Settings(maximum_body_bytes=1_000))
    assert node.ask("POST", "/set", b"x" * 5_000_000).status == 413


def test_answers_are_counted_by_route_and_not_by_key(start_node: StartNode) -> None:
    node = start_node(Settings(token="t"))
    node.cache.set("a", "1")
    for path, header in [("a", "t"), ("b", "t"), ("c", "t"), ("a", "wrong")]:
        node.ask("GET", f"/get/{path}", authorization=f"Bearer {header}")
    node.ask("PROPFIND", "/nothing", authorization="Bearer t")
    lines = node.ask("GET", "/metrics", authorization="Bearer t").body.decode().splitlines()
    counted = sorted(line.partition("total")[2] for line in lines if line.startswith("lru_cache_http_requests_total"))
    assert counted == [
        '{method="GET",route="/get/{key}",status="200"} 1.0',
        '{method="GET",route="/get/{key}",status="404"} 2.0',
        '{method="GET",route="other",status="401"} 1.0',
        '{method="other",route="other",status="404"} 1.0',
    ]


def test_an_endless_head_is_cut_off(start_node: StartNode) -> None:
    node = start_node()
    with node.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nx: ")
        sent = 0
        try:
            while sent < 10_000_000:
                sent += connection.send(b"a" * 10_000)
        except ConnectionError:
            pass
    assert sent < 10_000_000


def test_a_head_that_is_too_long_is_said(start_node: StartNode) -> None:
    node = start_node()
    with node.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nx: ")
        for _ in range(7):
            connection.sendall(b"a" * 10_000)
        assert b" 431 " in connection.recv(65_536).splitlines()[0]


def test_who_says_nothing_is_hung_up_on(start_node: StartNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.05)
    node = start_node()
    with node.connect() as silent, node.connect() as slow:
        slow.sendall(b"GET /health HTT")
        assert silent.recv(65_536) == b""
        assert b" 408 " in slow.recv(65_536).splitlines()[0]


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_connections_beyond_the_limit_are_closed_and_the_others_go_on(
    start_node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)
    node = start_node()
    with node.connect() as first, node.connect() as second:
        for connection in (first, second):
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200" in connection.recv(65_536)
        with node.connect() as third:
            assert is_closed(third)
        first.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200" in first.recv(65_536)
    eventually(lambda: node.ask("GET", "/health").status == 200)
