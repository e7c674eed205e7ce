"""Where links and cache meet: who sends, who waits, who is told, and under which lock."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from lru_cache.testing import ManualClock
from tests.concurrency import Started, eventually, link, settle

Cache = LRUCacheDistributed[Any, Any]
Pair = tuple[Cache, Cache]
Nodes = Callable[..., Cache]
Start = Callable[..., Started]


def senders(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that fetch something to send to this cache's neighbours, from here on."""
    fetched: list[str] = []
    for feed in cache._exchange._feeds:
        for name in ("next_messages", "next_at_once"):
            original = getattr(feed, name)

            def noting(*arguments: Any, fetch: Any = original) -> Any:
                bodies = fetch(*arguments)
                if bodies:
                    fetched.append(threading.current_thread().name)
                return bodies

            monkeypatch.setattr(feed, name, noting)
    return fetched


def test_a_writer_sends_by_itself_when_the_link_is_idle(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = pair
    settle(one)
    asked = senders(one, monkeypatch)

    def sent_by_itself() -> bool:
        """It does not insist: if the link's own thread is sending a heartbeat just then, that one takes it along."""
        asked.clear()
        one.set("k", 1)
        return threading.current_thread().name in asked

    eventually(lambda: settle(one) or sent_by_itself())


def test_a_lone_write_goes_out_on_many_links_from_its_own_thread(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """To wake the threads of a hundred links would cost many times what it costs to send."""
    hub = nodes(local_address=("127.0.0.1", 0))
    spokes = [nodes(remote_address=hub.local_address) for _ in range(5)]
    link(*spokes)
    link(hub, count=len(spokes))
    settle(hub)
    asked = senders(hub, monkeypatch)

    def sent_by_itself() -> bool:
        asked.clear()
        hub.set("k", 1)
        return asked.count(threading.current_thread().name) == len(spokes)

    eventually(lambda: settle(hub) or sent_by_itself())


def test_what_comes_over_one_link_goes_on_to_the_others_from_that_link_s_thread(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = nodes(local_address=("127.0.0.1", 0))
    spokes = [nodes(remote_address=hub.local_address) for _ in range(4)]
    link(*spokes)
    link(hub, count=len(spokes))
    settle(hub, *spokes)
    asked = senders(hub, monkeypatch)

    def passed_on_by_one() -> bool:
        asked.clear()
        spokes[0].set("k", len(asked))
        eventually(lambda: all("k" in spoke for spoke in spokes))
        return any(asked.count(name) >= len(spokes) - 1 for name in set(asked))

    eventually(lambda: settle(*spokes) or passed_on_by_one())


def test_from_within_the_lock_nobody_sends(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key's own code may write while the lock is held: a send under it would hold up everybody."""
    one, other = pair
    settle(one)
    asked = senders(one, monkeypatch)
    with one._lock:
        one.set("k", 1)
        assert threading.current_thread().name not in asked
    settle(one)
    assert other.get("k") == 1


def test_nothing_is_sent_under_the_lock(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = pair
    held: list[bool] = []
    (there,) = one._exchange._links
    send = there._connection.send

    def noting(bodies: list[bytes]) -> None:
        held.append(one._within_lock())
        send(bodies)

    monkeypatch.setattr(there._connection, "send", noting)
    for i in range(100):
        one.set(i, i)
    settle(one)
    assert set(held) == {False}


def test_a_write_is_not_held_up_by_who_is_sending(pair: Pair) -> None:
    one, other = pair
    (there,) = one._exchange._links
    with there._send_lock:
        one.set("k", 1)
    settle(one)
    assert other.get("k") == 1


def test_a_send_that_fails_does_not_reach_the_writer_and_the_link_comes_back(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    (there,) = one._exchange._links

    def broken(bodies: list[bytes]) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(there._connection, "send", broken)
    one.set("k", 1)
    eventually(lambda: there not in one._exchange._links)
    link(one, other)
    settle(one)
    assert other.get("k") == 1


def test_a_mistake_of_ours_ends_a_link_and_is_logged_and_the_next_one_works(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = pair
    with monkeypatch.context() as patch:
        patch.setattr(other._exchange, "_received", lambda *_: 1 / 0)
        one.set("k", 1)
        eventually(lambda: "ZeroDivisionError" in caplog.text)
    link(one, other)
    eventually(lambda: one.flush(timeout=1))
    assert other.get("k") == 1


def test_a_clock_that_is_set_drops_loads_here_and_says_so(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    node = nodes(local_address=("127.0.0.1", 0), clock=clock)
    node.set("set", 1)
    node.get("loaded", load=str)
    clock.set_time(clock.time() + 100)
    node._exchange.upkeep(node._exchange.next_upkeep)
    assert list(node) == ["set"] or list(node) == []
    assert "loaded" not in node
    assert "the wall clock was set" in caplog.text


def test_heartbeats_tell_who_is_idle_how_far_it_is(pair: Pair, clock: ManualClock) -> None:
    one, other = pair
    settle(one)
    clock.advance(100)
    eventually(lambda: (one.peers()[0].lag or 0) < 1 and (other.peers()[0].lag or 0) < 1)


def test_waiters_are_released_by_close(pair: Pair, start: Start) -> None:
    one, other = pair
    with other._lock:
        one.set("k", 1)
        waiting = start(one.flush, 60)
        eventually(lambda: one._exchange._waiters == 1)
        closing = start(one.close)
        assert waiting.result() in (True, False)
    closing.result()
