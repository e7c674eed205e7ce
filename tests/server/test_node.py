"""What a node begins with, and what it tells those who start it."""

import io

import pytest
from rich.console import Console

from lru_cache import LRUCacheDistributed
from lru_cache.server import node
from tests.concurrency import eventually


def test_what_was_set_in_the_cluster_wins_over_what_a_node_is_preloaded_with() -> None:
    """In either order: a node that starts again brings nothing old back."""
    with LRUCacheDistributed[str, str](local_address=("127.0.0.1", 0)) as writer:
        writer.set("a", "new")
        writer.set("b", "new")
        with LRUCacheDistributed[str, str]() as late:
            node.fill(late, {"a": "old", "c": "only here"})
            assert late.get("a") == "old"  # it knows no better yet
        with LRUCacheDistributed[str, str](remote_address=writer.local_address) as joined:
            node.fill(joined, {"a": "old", "b": "old", "c": "only here"})
            assert joined.wait_connected(timeout=10)
            eventually(lambda: joined.get("a") == joined.get("b") == "new")
            eventually(lambda: writer.get("c") == "only here")
            assert (writer.get("a"), writer.get("b")) == ("new", "new")


def test_what_is_preloaded_is_kept_in_the_form_of_its_keys(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = {"8A35EB59-62B3-481C-8875-1F248DF4C952": "1"}
    source = node.preload.Source(tmp_path, "pairs", "key", "val", 1)
    monkeypatch.setattr(node.preload, "find", lambda _: source)
    monkeypatch.setattr(node.preload, "read", lambda *_: (pairs, 0))
    options = node.NodeOptions(preload="x", key_format="uuid4")
    assert node.read_pairs(options) == {"8a35eb59-62b3-481c-8875-1f248df4c952": "1"}


def bar_of(rows: int, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with node._bar("reading", rows, console) as advance:
        advance(rows)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_a_large_preload_shows_a_bar() -> None:
    assert "reading" in bar_of(node.LARGE_PRELOAD_ROWS, terminal=True)


@pytest.mark.parametrize(("rows", "terminal"), [(10, True), (node.LARGE_PRELOAD_ROWS, False)])
def test_no_bar_for_a_small_one_or_where_nobody_watches(rows: int, terminal: bool) -> None:
    assert bar_of(rows, terminal) == ""


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("127.example", False),
    ],
)
def test_only_loopback_is_this_machine_s_own(host: str, local: bool) -> None:
    assert node.is_loopback(host) is local


def test_a_node_can_be_reached_by_either_protocol() -> None:
    for host in ("127.0.0.1", "localhost"):
        with node.bind(host, 0) as listening:
            assert listening.getsockname()[1] > 0
