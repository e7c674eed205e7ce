"""`python -m lru_cache`: what it prints, and how it ends."""

import re
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed, codecs
from lru_cache.server import node as node_module
from lru_cache.server.app import Settings
from lru_cache.server.command_line import main
from tests.concurrency import eventually
from tests.server.nodes import ThreadNode

StartNode = Callable[..., ThreadNode]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stopping_at_once(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nodes that are ready and never serve; what they would have served."""
    served: list[Any] = []

    def serve(app: Any, listening: socket.socket, on_ready: Callable[[], object]) -> int:
        served.append(dict(app.state.live._cache.items()))
        on_ready()
        return 0

    monkeypatch.setattr(node_module, "serve", serve)
    return served


def make_database(path: str, rows: int = 2, key: str = "key") -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE pairs ({key} TEXT, val TEXT)")
        database.executemany("INSERT INTO pairs VALUES (?, ?)", ((f"k{i}", f"v{i}") for i in range(rows)))


SHOP = """
from dataclasses import dataclass

from lru_cache import codecs


@dataclass
class Point:
    x: int
    y: int = 0


CODECS = [codecs.dataclass(Point, name="point")]
"""


def complaint(captured: Captured) -> str:
    """The one line on stderr."""
    out, err = captured.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_input_db_in_the_working_directory_is_preloaded(stopping_at_once: list[Any], capsys: Captured) -> None:
    make_database("input.db")
    assert main(["--port", "0"]) == 0
    assert stopping_at_once == [{"k0": "v0", "k1": "v1"}]
    assert re.fullmatch(r"serving http://127\.0\.0\.1:\d+, 2 pairs preloaded\n", capsys.readouterr().out)


def test_without_input_db_a_node_begins_empty(stopping_at_once: list[Any]) -> None:
    assert main(["serve", "--port", "0"]) == 0
    assert stopping_at_once == [{}]


def test_another_database_can_be_named(stopping_at_once: list[Any]) -> None:
    make_database("input.db")
    make_database("other.db", rows=1, key="name")
    assert main(["--port", "0", "--preload", "other.db:pairs.val,name"]) == 0
    assert stopping_at_once == [{"v0": "k0"}]


def test_a_preload_larger_than_usual_has_room(stopping_at_once: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "DEFAULT_CAPACITY", 10)
    make_database("input.db", rows=100)
    assert main(["--port", "0"]) == 0
    assert len(stopping_at_once[0]) == 100


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--preload", "missing.db"], "there is no database missing.db"),
        (["--preload", "broken.db"], "cannot read broken.db: file is not a database"),
        (["--preload", "pairs.db", "--capacity", "1"], "pairs.db has 2 pairs, more than --capacity 1"),
        (
            ["--preload", "pairs.db", "--key-format", "uuid4"],
            "pairs.db has a key that is not taken: the key is not a ver",
        ),
        (["--token-file", "missing"], "cannot read missing: No such file or directory"),
        (["--token-file", "empty"], "empty is empty"),
        (["--token-file", "spaces"], "spaces must have ASCII without spaces"),
        (["--secret-file", "broken.db"], "broken.db must have one line of text"),
        (["--listen", "nonsense"], "--listen: 'nonsense' is no address; write \"host:port\", "),
        (["--join", "dns://cache"], "--join: 'dns://cache' is no name with a port; write \"dns://cache.example:7000\""),
        (["--local-cluster", "a/b/" + "x" * 200], "--local-cluster: "),
        (["--join", "nonsense"], "--join: 'nonsense' is no address; write \"host:port\", "),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1:"),
        (
            ["--codecs", "nowhere:CODECS"],
            "--codecs: cannot take nowhere:CODECS: ModuleNotFoundError: No module named 'n",
        ),
        (
            ["--codecs", "json:CODECS"],
            "--codecs: cannot take json:CODECS: AttributeError: module 'json' has no attribu",
        ),
        (
            ["--codecs", "json:dumps"],
            "--codecs: json:dumps must be made by lru_cache.codecs, such as [codecs.dataclass(",
        ),
        (["--codecs", "shop:CODECS", "--codecs", "shop:CODECS"], "--codecs: shop.Point is encoded already, or has two"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    make_database("pairs.db")
    Path("shop.py").write_text(SHOP)
    monkeypatch.syspath_prepend("")
    Path("broken.db").write_text("no database\n" * 100)
    Path("empty").write_text("\n")
    Path("spaces").write_text("a b\n")
    assert main(["--port", "0", *arguments]) == 1
    assert f"lru_cache: {reason}" in complaint(capsys)


def test_a_port_in_use_is_said_in_one_line(capsys: Captured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert complaint(capsys) == f"lru_cache: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_the_cluster_s_port_in_use_is_said_in_one_line(capsys: Captured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", "0", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"]) == 1
    assert complaint(capsys).startswith("lru_cache: --listen: cannot listen on 127.0.0.1:")


def test_a_node_that_others_can_reach_without_a_token_warns(stopping_at_once: list[Any], capsys: Captured) -> None:
    assert main(["--host", "0.0.0.0", "--port", "0"]) == 0
    assert "--token-file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"], ["--nonsense"], ["--port", "x"], ["--port", "65536"], ["--port", "-1"], ["--capacity", "0"],
        ["--expiration", "0"], ["--expiration", "nan"], ["--key-format", "uuid1"], ["get"], ["set", "a"],
        ["set", "a", "b", "--expires-in", "-1"], ["delete", "a", "b"], ["--codecs"], ["--codecs", "shop"],
        ["--codecs", "shop:"], ["--codecs", ":CODECS"],
    ],
)  # fmt: skip
def test_a_wrong_argument_is_one_line_and_status_2(capsys: Captured, arguments: list[str]) -> None:
    try:
        status = main(arguments)
    except SystemExit as left:
        status = left.code
    assert status == 2
    complaint(capsys)


@pytest.mark.parametrize("arguments", [[], ["serve"], ["get"], ["set"], ["delete"], ["top"]])
def test_help_is_given(capsys: Captured, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--help"])
    assert left.value.code == 0
    assert "exit status:" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "rich"])
def test_without_the_extra_it_says_what_to_install(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delitem(sys.modules, "lru_cache.server.node")
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "rich":
        monkeypatch.setitem(sys.modules, "rich.console", None)
    assert main([]) == 1
    assert "pip install 'cf_LRU_cache[server]'" in complaint(capsys)


# -- asking a node -----------------------------------------------------------------------------------------------------


def test_keys_are_set_and_got_and_deleted(start_node: StartNode, capsys: Captured) -> None:
    node = ["--node", f"http://127.0.0.1:{start_node().port}"]
    assert main(["set", "a/b ü%", "the välue", *node]) == 0
    assert main(["get", "a/b ü%", *node]) == 0
    assert main(["delete", "a/b ü%", *node]) == 0
    assert capsys.readouterr().out == "the välue\ndeleted\n"
    assert main(["get", "a/b ü%", *node]) == 1
    assert complaint(capsys) == "lru_cache: the key was not found\n"


def test_a_life_can_be_given(start_node: StartNode) -> None:
    node = start_node()
    assert main(["set", "a", "1", "--expires-in", "60", "--node", f"http://127.0.0.1:{node.port}"]) == 0
    assert node.cache.expires_in("a") == pytest.approx(60, abs=30)


def test_a_token_is_sent(start_node: StartNode, capsys: Captured) -> None:
    node = start_node(Settings(token="sesame"))
    Path("token").write_text("sesame\n")
    url = ["--node", f"http://127.0.0.1:{node.port}"]
    assert main(["set", "a", "1", "--token-file", "token", *url]) == 0
    assert main(["get", "a", *url]) == 1
    assert complaint(capsys) == "lru_cache: the node refused: a token is needed: Authorization: Bearer ...\n"


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", "http://[", "/", ""])
def test_what_is_no_url_is_said(capsys: Captured, url: str) -> None:
    assert main(["get", "a", "--node", url]) == 1
    assert "is not the URL of a node" in complaint(capsys)


def test_a_node_that_is_not_there_is_said(capsys: Captured) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert main(["get", "a", "--node", f"127.0.0.1:{port}"]) == 1
    assert complaint(capsys) == f"lru_cache: cannot talk to http://127.0.0.1:{port}: Connection refused\n"


def test_what_is_no_text_is_printed_as_json(start_node: StartNode, capsys: Captured) -> None:
    node = start_node(Settings(codecs=()))
    node.cache.set("a", ["ü", None])
    assert main(["get", "a", "--node", f"http://127.0.0.1:{node.port}"]) == 0
    assert capsys.readouterr().out == '["ü", null]\n'


# -- whole processes ---------------------------------------------------------------------------------------------------


def test_sigterm_ends_a_node_with_0_though_somebody_watches(start_process: Callable[..., Any]) -> None:
    node = start_process("--port", 0)
    with socket.create_connection(("127.0.0.1", node.port)) as watcher:
        watcher.sendall(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert watcher.recv(1)
        assert node.end(signal.SIGTERM) == (0, "")


def test_ctrl_c_ends_a_node_with_130(start_process: Callable[..., Any]) -> None:
    assert start_process("--port", 0).end(signal.SIGINT) == (130, "")


def test_three_nodes_are_one_cache(start_process: Callable[..., Any], tmp_path: Path) -> None:
    """Two of them begin at the same time as the third, and in no order."""
    (tmp_path / "secret").write_text("a secret of some length\n")
    make_database("pairs.db")
    secret = ("--port", 0, "--secret-file", "secret")
    first = start_process(*secret, "--listen", "127.0.0.1:0", "--region", "east", "--preload", "pairs.db")
    address = re.search(r"nodes at (\S+),", first.first_line)[1]
    second = start_process(*secret, "--join", address, "--region", "west")
    third = start_process(*secret, "--join", address, "--region", "south")

    eventually(lambda: len(first.ask("GET", "/peers").json["peers"]) == 2)
    eventually(lambda: second.ask("GET", "/get/k1").status == 200)
    assert second.ask("POST", "/set", {"key": "k1", "val": "new"}).status == 200
    eventually(lambda: third.ask("GET", "/get/k1").json.get("val") == "new")
    assert third.ask("DELETE", "/keys/k1").json["deleted"]
    eventually(lambda: first.ask("GET", "/get/k1").status == 404)
    assert [node.end()[0] for node in (first, second, third)] == [0, 0, 0]


def test_a_node_joins_all_that_a_name_stands_for(start_process: Callable[..., Any]) -> None:
    first = start_process("--port", 0, "--listen", "127.0.0.1:0")
    port = re.search(r"nodes at \S+:(\d+)", first.first_line)[1]
    second = start_process("--port", 0, "--join", f"dns://localhost:{port}", "127.0.0.1:1")
    eventually(lambda: "connected" in {peer["state"] for peer in second.ask("GET", "/peers").json["peers"]})
    found = {(peer["found"], peer["state"]) for peer in second.ask("GET", "/peers").json["peers"]}
    assert (f"dns://localhost:{port}", "connected") in found
    assert [node.end()[0] for node in (first, second)] == [0, 0]


def test_nodes_of_one_local_cluster_need_no_address(
    start_process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    first, second = (start_process("--port", 0, "--local-cluster", "app") for _ in range(2))
    eventually(lambda: len(first.ask("GET", "/peers").json["peers"]) == 1)
    assert first.ask("POST", "/set", {"key": "k", "val": "v"}).status == 200
    eventually(lambda: second.ask("GET", "/get/k").status == 200)
    roles = sorted(peer["role"] for node in (first, second) for peer in node.ask("GET", "/peers").json["peers"])
    assert roles == ["client", "server"]
    assert [node.end()[0] for node in (first, second)] == [0, 0]


@dataclass
class Point:
    """The program's own; the node has another, of the same codec's name."""

    x: int


def test_a_node_with_codecs_serves_what_a_program_of_its_cluster_has_set(
    start_process: Callable[..., Any], tmp_path: Path
) -> None:
    """It finds their module in its working directory. Another node, without them, passes the value on."""
    (tmp_path / "shop.py").write_text(SHOP)
    without = start_process("--port", 0, "--listen", "127.0.0.1:0")
    address = re.search(r"nodes at (\S+)", without.first_line)[1]
    node = start_process("--port", 0, "--join", address, "--codecs", "shop:CODECS")
    known = [codecs.dataclass(Point, name="point")]
    with LRUCacheDistributed[str, Any](remote_address=address, codecs=known) as program:
        assert program.wait_connected(timeout=10)
        program.set("home", [Point(1)])
        eventually(lambda: node.ask("GET", "/get/home").status == 200)
        assert node.ask("GET", "/get/home").json["val"] == [{"x": 1, "y": 0}]
        assert without.ask("GET", "/get/home").status == 404
    assert [each.end()[0] for each in (node, without)] == [0, 0]
