"""How long a write takes to all neighbours, measured on real links."""

from collections.abc import Callable

import pytest

from lru_cache.server import confirmations
from lru_cache.server.confirmations import Confirmations
from tests.concurrency import eventually
from tests.server.nodes import ThreadNode

StartNode = Callable[..., ThreadNode]


def measured(node: ThreadNode) -> confirmations.Confirmed:
    return node.app.state.live.confirmations.figures()


def test_a_write_over_http_is_measured(start_node: StartNode) -> None:
    first = start_node(local_address=("127.0.0.1", 0))
    second = start_node(remote_address=first.cache.local_address)
    assert second.cache.wait_connected(timeout=10)
    second.ask("POST", "/set", {"key": "a", "val": "1"})
    eventually(lambda: measured(second).count == 1)
    second.ask("DELETE", "/keys/a")
    eventually(lambda: measured(second).count == 2)
    figures = second.app.state.live.take_sample()["confirmed"]
    assert 0 < figures["p50"] <= figures["p99"] < confirmations.PATIENCE_SECONDS
    assert measured(first).count == 0


def test_a_node_alone_has_nobody_to_measure(start_node: StartNode) -> None:
    node = start_node()
    node.ask("POST", "/set", {"key": "a", "val": "1"})
    live = node.app.state.live
    eventually(lambda: live.confirmations._wrote_at is None)
    assert measured(node) == confirmations.Confirmed(0, None, None)


def test_its_thread_ends_with_the_server(start_node: StartNode) -> None:
    node = start_node()
    thread = node.app.state.live.confirmations._thread
    assert thread.is_alive()
    node.close()
    eventually(lambda: not thread.is_alive())


class _Links:
    """A cache with one link, whose neighbour confirms or does not."""

    def __init__(self, confirms: bool) -> None:
        self.confirms = confirms

    def peers(self) -> list[object]:
        return [type("Peer", (), {"state": "connected"})]

    def flush(self, timeout: float) -> bool:
        return self.confirms


@pytest.mark.parametrize("confirms", [True, False])
def test_a_neighbour_that_is_too_slow_is_counted_too(confirms: bool) -> None:
    measuring = Confirmations(_Links(confirms))  # type: ignore[arg-type]
    measuring.start()
    measuring.wrote()
    eventually(lambda: measuring.figures().count == 1)
    measuring.stop()


def test_figures_are_of_the_last_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = Confirmations(_Links(True))  # type: ignore[arg-type]
    now = 1_000.0
    monkeypatch.setattr(confirmations.time, "monotonic", lambda: now)
    measuring._measured.extend([(now - confirmations.WINDOW_SECONDS - 1, 9.0), (now - 1, 2.0), (now, 1.0)])
    assert measuring.figures() == confirmations.Confirmed(2, 1.0, 2.0)
