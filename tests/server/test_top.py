"""What `top` prints."""

import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from rich.console import Console

from lru_cache.server import top
from lru_cache.server.client import Client
from lru_cache.server.command_line import main
from lru_cache.server.errors import CommandError
from tests.server.nodes import ThreadNode

StartNode = Callable[..., ThreadNode]


def printed(
    sample: dict[str, Any],
    failure: str | None = None,
    width: int = 120,
    rates: Iterable[list[float]] = ([1, 0, 0, 0], [8, 0, 0, 0]),
) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(top.screen("http://x", sample, rates, failure))
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


def busy(sample: dict[str, Any]) -> dict[str, Any]:
    """The widest figures that there are likely to be."""
    (peer,) = sample["peers"]
    peer |= {"rtt": 0.9994, "lag": 99.0 * 3_600, "queued": 1_234_567, "since": sample["time"] - 99 * 3_600}
    return {**sample, "rates": dict.fromkeys(top.RATES, 1_234_567.8)}


def test_a_wide_terminal_shows_who_listens_and_how_it_was_found(sample: dict[str, Any]) -> None:
    peer = sample["peers"][0] | {"found": "dns://cache:7000"}
    wide = printed({**sample, "peers": [peer], "listens": "127.0.0.1:7000"}, width=160)
    assert all(word in wide for word in ("server", "dns://cache:7000", "listens at 127.0.0.1:7000"))
    old = {name: said for name, said in peer.items() if name not in ("found", "hops")}  # of a node of an older release
    assert "server" in printed({**sample, "peers": [old]}, width=160)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_every_figure_has_its_unit_however_narrow(sample: dict[str, Any], width: int) -> None:
    text = printed(busy(sample), width=width)
    for word in ("999.4 ms", "4 d 3 h old", "1,234,567", "connected", "1,234,568/s", "1.2 MB/s"):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", [80, 200])
def test_a_chart_ends_with_the_newest_sample(sample: dict[str, Any], width: int) -> None:
    rates = [[0.0] * 9] * 299 + [[100.0] * 9]
    (hits,) = [
        line for line in printed(sample, width=width, rates=rates).splitlines() if " hits" in line and "/s" in line
    ]
    assert "▁█ peak 100" in hits


def test_a_node_with_nothing_to_say_is_in_step(sample: dict[str, Any]) -> None:
    sample["peers"][0]["lag"] = 2.5
    assert "in step" in printed(sample)


def test_nodes_behind_neighbours_are_named(sample: dict[str, Any]) -> None:
    sample["beyond"] = [{"node": "0123456789abcdef", "region": None, "lag": 0.5}]
    assert "behind them: 01234567" in printed(sample)
    sample["beyond"][0]["hops"] = 3
    assert "behind them: 01234567 (3 hops)" in printed(sample)


def test_the_time_that_a_write_takes_is_shown_where_it_was_measured(sample: dict[str, Any]) -> None:
    assert "none was measured" in printed(sample)
    sample["confirmed"] = {"count": 9, "p50": 0.003, "p99": 0.02}
    assert "a write is with all neighbours after 3.0 ms (p50), 20.0 ms (p99)" in printed(sample)


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
    [
        (None, "-"),
        (0.0004, "0.4 ms"),
        (1, "1.0 s"),
        (59, "59.0 s"),
        (90, "1 min"),
        (7_260, "2 h 1 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_a_duration_has_a_unit_that_fits(seconds: float | None, text: str) -> None:
    assert top.duration(seconds) == text
