"""A fork amid a cache's life: the child is another node with the same memory, and its parent notices nothing."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lru_cache import AddressError, LRUCache, LRUCacheDistributed, fork
from lru_cache.testing import ManualClock
from tests.concurrency import PATIENCE, Gate, Started, eventually, link, settle

Cache = LRUCacheDistributed[Any, Any]
Pair = tuple[Cache, Cache]
Nodes = Callable[..., Cache]
Start = Callable[..., Started]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


class Child:
    """A forked process that calls a function; `result()` is what it returned, as text."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._reading, writing = os.pipe()
        self.process = os.fork()
        if self.process:
            os.close(writing)
            return
        try:
            answer = repr(function())
        except BaseException as error:  # noqa: BLE001 - it has nobody else to go to
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode()[:4_000])
        os._exit(0)

    def result(self) -> str:
        ended = 0
        for _ in range(int(PATIENCE * 1_000)):
            ended, _ = os.waitpid(self.process, os.WNOHANG)
            if ended:
                break
            time.sleep(0.001)
        if not ended:
            os.kill(self.process, 9)
            os.waitpid(self.process, 0)
        with os.fdopen(self._reading) as reading:
            answer = reading.read()
        assert ended, f"the child hangs, having said {answer!r}"
        return answer


# -- the local cache ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["LRUCache", "LRUCacheDistributed"])
def local(request: pytest.FixtureRequest) -> LRUCache[Any, Any]:
    return LRUCache() if request.param == "LRUCache" else LRUCacheDistributed()


def test_a_child_has_its_parent_s_memory(local: LRUCache[Any, Any]) -> None:
    local.set("k", "v")
    assert Child(lambda: (local.get("k"), dict(local))).result() == "('v', {'k': 'v'})"


def test_what_a_child_writes_its_parent_does_not_see(local: LRUCache[Any, Any]) -> None:
    assert Child(lambda: local.set("k", "v")).result() == "'v'"
    assert "k" not in local


def test_a_child_loads_what_its_parent_was_loading(local: LRUCache[Any, Any], start: Start) -> None:
    """The thread that loads is not in the child: to wait for it would be to wait for ever."""
    gate = Gate()

    def slow(key: str) -> str:
        gate.pass_through()
        return "parent's"

    loading = start(local.get, "k", load=slow)
    gate.wait_entered()
    child = Child(lambda: local.get("k", load=lambda key: "child's"))
    assert child.result() == '"child\'s"'
    gate.open()
    assert loading.result() == "parent's"
    assert local.peek("k") == "parent's"


def test_a_fork_waits_for_who_is_writing(local: LRUCache[Any, Any], start: Start) -> None:
    """Else the child would begin in the middle of a change, with a lock that nobody lets go."""
    held, forked = threading.Event(), threading.Event()

    def hold() -> None:
        with local._lock:
            held.set()
            assert not forked.wait(0.05)

    holding = start(hold)
    assert held.wait(PATIENCE)
    child = Child(lambda: local.set("k", "v"))
    forked.set()
    assert child.result() == "'v'"
    holding.result()


def test_forks_while_other_threads_write_never_hang(nodes: Nodes, start: Start) -> None:
    hub = nodes(local_address=("127.0.0.1", 0))
    cache = nodes(remote_address=hub.local_address)
    link(cache)
    stop = threading.Event()

    def write(number: int) -> None:
        i = 0
        while not stop.is_set():
            i += 1
            cache.set((number, i % 50), i)
            cache.get("loaded", load=lambda key: key)
            cache.invalidate("loaded")

    writers = [start(write, number) for number in range(3)]
    try:
        for _ in range(20):
            assert Child(lambda: (cache.set("child", 1), len(cache) > 0)).result() == "(1, True)"
    finally:
        stop.set()
    for writer in writers:
        writer.result()


def test_a_cache_that_is_made_while_a_fork_waits_is_held_too(local: LRUCache[Any, Any], start: Start) -> None:
    gate, held = Gate(), Gate()

    def hold() -> None:
        with local._lock:
            held.pass_through()

    def fork_almost() -> None:
        fork._before()
        gate.pass_through()
        fork._in_parent()

    holding = start(hold)
    held.wait_entered()
    forking = start(fork_almost)
    eventually(lambda: forking.thread.ident in fork._held)
    made = LRUCache[Any, Any]()
    held.open()
    holding.result()
    gate.wait_entered()
    assert not made._lock.acquire(False)
    gate.open()
    forking.result()
    assert made._lock.acquire(False)
    made._lock.release()


def test_a_cache_that_is_gone_is_no_trouble() -> None:
    LRUCache[Any, Any]().set("k", 1)
    assert Child(lambda: "fine").result() == "'fine'"


def test_a_cache_whose_construction_failed_keeps_no_other_from_being_renewed(nodes: Nodes) -> None:
    first = nodes(local_address=("127.0.0.1", 0))
    kept: list[BaseException] = []
    try:
        LRUCacheDistributed(local_address=first.local_address)
    except AddressError as error:
        kept.append(error)  # and with its traceback the half-made cache
    after = nodes()
    node = after.node
    assert Child(lambda: after.node != node).result() == "True"
    assert kept


def test_a_cache_that_cannot_be_renewed_keeps_no_other_from_it(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken, after = nodes(), nodes()
    monkeypatch.setattr(broken, "_after_fork_in_child", lambda: 1 / 0, raising=False)
    node = after.node
    assert Child(lambda: after.node != node).result() == "True"


# -- the replicated cache ----------------------------------------------------------------------------------------------


def test_a_child_is_another_node(nodes: Nodes) -> None:
    cache = nodes()
    assert Child(lambda: cache.node).result() != repr(cache.node)


def test_what_a_child_of_a_client_writes_reaches_the_server(pair: Pair) -> None:
    client, server = pair

    def work() -> bool:
        link(client)
        client.set("child", (1, 2))
        return client.flush(timeout=PATIENCE)

    assert Child(work).result() == "True"
    assert server.get("child") == (1, 2)


@pytest.mark.parametrize("local", [("127.0.0.1", 0), ("", 0), ("0.0.0.0", 0), ("::1", 0), ("localhost", 0), "unix"])
def test_a_child_of_a_server_joins_it_as_a_client(nodes: Nodes, local: Any, tmp_path: Path) -> None:
    server = nodes(local_address=str(tmp_path / "cache.sock") if local == "unix" else local)
    server.set("parent's", 1)

    def work() -> Any:
        link(server)
        server.set("child's", 2)
        peers = server.peers()
        return (
            server.flush(timeout=PATIENCE),
            server.local_address,
            [peer.node for peer in peers],
            server.get("parent's"),
        )

    assert Child(work).result() == repr((True, None, [server.node], 1))
    assert server.get("child's") == 2
    assert server.local_address is not None


def test_a_child_of_what_is_both_joins_its_parent_and_not_its_parent_s_remotes(nodes: Nodes) -> None:
    hub = nodes(local_address=("127.0.0.1", 0))
    middle = nodes(local_address=("127.0.0.1", 0), remote_address=hub.local_address)
    link(middle)

    def work() -> Any:
        link(middle)
        middle.set("child's", 1)
        settle(middle)
        return [peer.node for peer in middle.peers()], middle.peers()[0].role

    assert Child(work).result() == repr(([middle.node], "both"))
    eventually(lambda: hub.peek("child's") == 1)


def test_children_of_one_parent_share_their_writes(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0))

    def write() -> Any:
        link(server)
        server.set("first", 1)
        return server.flush(timeout=PATIENCE)

    def read() -> Any:
        eventually(lambda: server.peek("first") == 1)
        return "read"

    reading = Child(read)
    assert Child(write).result() == "True"
    assert reading.result() == "'read'"


def test_a_child_s_child_joins_too(nodes: Nodes) -> None:
    server = nodes(local_address=("127.0.0.1", 0))

    def write() -> Any:
        link(server)
        server.set("grandchild's", 1)
        return server.flush(timeout=PATIENCE)

    assert Child(lambda: Child(write).result()).result() == repr("True")
    assert server.get("grandchild's") == 1


def test_the_parent_s_links_survive_the_child_and_its_end(pair: Pair) -> None:
    client, server = pair
    (to_server,), (to_client,) = client._exchange._links, server._exchange._links
    for ending in (lambda: None, client.close, server.close, lambda: (client.close(), server.close())):
        Child(ending).result()
    assert to_server in client._exchange._links
    assert to_client in server._exchange._links, "beside those of the children"
    client.set("k", 1)
    settle(client)
    assert server.get("k") == 1


def test_a_child_that_closes_leaves_its_parent_s_socket_file(nodes: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "cache.sock"
    server = nodes(local_address=str(path))
    Child(server.close).result()
    link(nodes(remote_address=str(path)))


def test_a_child_of_a_closed_cache_is_a_local_cache(nodes: Nodes, free_port: int) -> None:
    cache = nodes(remote_address=("127.0.0.1", free_port))
    cache.close()
    assert Child(lambda: (cache.set("k", 1), cache.peers())).result() == "(1, [])"


def test_a_child_holds_none_of_its_parent_s_sockets(pair: Pair) -> None:
    """Else a parent that dies would not be noticed as long as a worker of it lives."""
    _, server = pair
    numbers = [each._connection.socket.fileno() for cache in pair for each in cache._exchange._links]
    numbers += [sock.fileno() for each in server._transports for sock in each._sockets]  # type: ignore[attr-defined]
    inodes = {os.fstat(number).st_ino for number in numbers}

    def held() -> int:
        return sum(inode_of(number) in inodes for number in range(max(numbers) + 100))

    assert Child(held).result() == "0"


def inode_of(number: int) -> int | None:
    try:
        return os.fstat(number).st_ino
    except OSError:
        return None


def test_a_child_decodes_what_its_parent_was_told_and_never_read(pair: Pair) -> None:
    client, server = pair
    client.set("k", (1, b"2"))
    settle(client)
    assert Child(lambda: server.get("k")).result() == "(1, b'2')"


def test_a_child_s_writes_are_newer_than_its_parent_s(nodes: Nodes, clock: ManualClock) -> None:
    server = nodes(local_address=("127.0.0.1", 0), clock=clock)
    server.set("k", "parent's")

    def work() -> Any:
        link(server)
        server.set("k", "child's")
        return server.flush(timeout=PATIENCE)

    assert Child(work).result() == "True"
    assert server.get("k") == "child's"


def test_a_closed_cache_looks_for_nobody_in_a_child(nodes: Nodes) -> None:
    cache = nodes(remote_address=[list, ("127.0.0.1", 1)], may_dial=True)
    cache.close()
    assert Child(lambda: len(cache._transports)).result() == "0"


def test_a_child_can_close_what_it_has(pair: Pair) -> None:
    def work() -> list[str]:
        link(*pair)
        for cache in pair:
            cache.close()
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("lru_cache-")]

    assert Child(work).result() == "[]"
