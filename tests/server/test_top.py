"""What `top` prints."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from lru_cache.server import top
from lru_cache.server.client import Client
from lru_cache.server.command_line import main
from lru_cache.server.errors import CommandError
from tests.server.nodes import ThreadNode

StartNode = Callable[..., ThreadNode]


def printed(*samples: dict[str, Any], failure: str | None = None) -> str:
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    console.print(top.screen("http://x", samples[-1], [[1, 0, 0, 0], [8, 0, 0, 0]], failure))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


@pytest.fixture
def sample(start_node: StartNode) -> dict[str, Any]:
    first = start_node(region="east", local_address=("127.0.0.1", 0))
    second = start_node(region="west", remote_address=first.cache.local_address)
    assert second.cache.wait_connected(timeout=10)
    taken: dict[str, Any] = second.app.state.live.take_sample()
    return taken


def test_it_shows_the_node_its_links_and_its_figures(sample: dict[str, Any]) -> None:
    text = printed(sample)
    for word in ("west", sample["node"], "east", "connected", "hits", "misses", "loads", "evictions", "▁█", "came"):
        assert word in text


def test_a_failure_is_shown_with_what_was_known(sample: dict[str, Any]) -> None:
    text = printed(sample, failure="cannot talk to it")
    assert "cannot talk to it" in text
    assert "east" in text


def test_names_are_neither_markup_nor_commands_of_the_terminal(sample: dict[str, Any]) -> None:
    evil = "[bold]x[/bold]\x1b[2J\x07"
    sample["region"] = sample["peers"][0]["region"] = sample["happenings"][0]["region"] = evil
    text = printed(sample)
    assert text.count("[bold]x[/bold]?[2J?") == 3
    assert "\x1b" not in text


def test_once_prints_and_ends(start_node: StartNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once", "--node", f"http://127.0.0.1:{start_node(region='here').port}"]) == 0
    assert "here" in capsys.readouterr().out


def test_it_goes_on_until_it_is_interrupted_and_outlives_the_node(
    monkeypatch: pytest.MonkeyPatch, sample: dict[str, Any]
) -> None:
    tries = iter(
        [[{**sample, "history": [[0, 1, 2, 3, 4]]}, sample], CommandError("gone"), [sample], KeyboardInterrupt()]
    )

    def watch(_: Client) -> Any:
        found = next(tries)
        if isinstance(found, BaseException):
            raise found
        return iter(found)

    monkeypatch.setattr(Client, "watch", watch)
    monkeypatch.setattr(top, "RETRY_SECONDS", 0)
    console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True)
    with pytest.raises(KeyboardInterrupt):
        top.run(Client("http://x"), once=False, console=console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert "gone; trying again" in text
    assert next(tries, None) is None


@pytest.mark.parametrize(("series", "line"), [([], ""), ([0, 0], "▁▁"), ([1, 2, 4, 8], "▁▂▄█"), ([0.001, 1000], "▁█")])
def test_a_sparkline_is_as_high_as_its_figures(series: list[float], line: str) -> None:
    assert top.sparkline(series) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0004, "0.4 ms"), (1, "1.0 s"), (59, "59.0 s"), (90, "1 min"), (7_260, "2 h 1 min")],
)
def test_a_duration_has_a_unit_that_fits(seconds: float | None, text: str) -> None:
    assert top.duration(seconds) == text
