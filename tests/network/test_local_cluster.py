"""A local cluster: one of those that give the same name listens, the others dial it, and another takes its place.

Here all of them are in one process, which is as good as any: what a lock file knows is who has opened it.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from lru_cache import LRUCacheDistributed, RemovalCause
from lru_cache.network import local_cluster, post
from lru_cache.network.local_cluster import LocalCluster
from lru_cache.network.post import Post
from tests.concurrency import PATIENCE, Started, eventually, link

Cache = LRUCacheDistributed[Any, Any]
Nodes = Callable[..., Cache]
Start = Callable[..., Started]

SHORT_MS = 500  # so that what is silent is so soon; no test fails for a machine that takes longer


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path, as a socket's must be."""
    with TemporaryDirectory(prefix="lru") as made:
        yield Path(made)


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "app.sock"


@pytest.fixture(params=["socket", "port"])
def meeting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, path: Path) -> Path:
    """Where to meet, also as on a machine without Unix sockets."""
    if request.param == "port":
        without_unix_sockets(monkeypatch)
    return path


def without_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (local_cluster, post):
        monkeypatch.setattr(module, "HAS_UNIX_SOCKETS", False)


def leaders(*caches: Cache) -> list[Cache]:
    return [cache for cache in caches if cache.local_address is not None]


def leader(*caches: Cache) -> Cache:
    """Wait until one of these leads."""
    eventually(lambda: len(leaders(*caches)) == 1)
    return leaders(*caches)[0]


def gather(*caches: Cache) -> tuple[Cache, list[Cache]]:
    """Wait until one leads and all others are linked with it: that one, and the others."""
    first = leader(*caches)
    rest = [cache for cache in caches if cache is not first]
    if rest:
        link(first, count=len(rest))
        link(*rest)
    return first, rest


def cluster_of(cache: Cache) -> LocalCluster:
    assert isinstance(cache._server, LocalCluster)
    return cache._server


def threads_of_ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lru_cache-")]


# -- together ----------------------------------------------------------------------------------------------------------


def test_all_of_one_name_are_one_cluster(nodes: Nodes, meeting: Path) -> None:
    caches = [nodes(local_cluster=meeting) for _ in range(5)]
    first, rest = gather(*caches)
    for number, cache in enumerate(caches):
        cache.set(number, "told")
    for cache in caches:
        eventually(lambda c=cache: all(c.peek(number) == "told" for number in range(5)))
    assert len(first.peers()) == 4
    assert all([peer.node for peer in cache.peers()] == [first.node] for cache in rest)


def test_one_alone_is_a_cache_like_any_other(nodes: Nodes, meeting: Path) -> None:
    cache = nodes(local_cluster=meeting)
    leader(cache)
    cache.set("k", 1)
    assert cache.get("k") == 1
    assert cache.flush()
    assert cache.peers() == []


def test_another_name_is_another_cluster(nodes: Nodes, folder: Path) -> None:
    one, other = nodes(local_cluster=folder / "one"), nodes(local_cluster=folder / "other")
    eventually(lambda: len(leaders(one, other)) == 2)
    assert one.peers() == other.peers() == []


def test_a_name_is_found_by_all_who_give_it(nodes: Nodes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    gather(nodes(local_cluster="app"), nodes(local_cluster="app"))
    assert sorted(each.name for each in (folder / "cf_lru_cache").iterdir()) == ["app.sock", "app.sock.lock"]


def test_roles_are_told(nodes: Nodes, path: Path) -> None:
    first, (second,) = gather(nodes(local_cluster=path), nodes(local_cluster=path))
    assert second.peers()[0].role == "server"
    assert first.peers()[0].role == "client"
    assert first.local_address == str(path)
    assert second.local_address is None


def test_only_this_user_can_open_what_is_made(nodes: Nodes, meeting: Path) -> None:
    gather(nodes(local_cluster=meeting), nodes(local_cluster=meeting))
    assert [each.stat().st_mode & 0o077 for each in meeting.parent.iterdir()] == [0, 0]


def test_values_that_stay_are_dropped_on_all(nodes: Nodes, path: Path) -> None:
    caches = [nodes(list, values="local", local_cluster=path) for _ in range(3)]
    gather(*caches)
    held = [cache.get("abc") for cache in caches]
    assert held == [["a", "b", "c"]] * 3
    caches[1].invalidate("abc")
    for cache in caches:
        eventually(lambda c=cache: "abc" not in c)


# -- when the one that listens ends ------------------------------------------------------------------------------------


def test_another_takes_the_place_of_one_that_is_closed(nodes: Nodes, meeting: Path) -> None:
    caches = [nodes(local_cluster=meeting) for _ in range(4)]
    while len(caches) > 1:
        first, rest = gather(*caches)
        first.close()
        second, _ = gather(*rest)
        second.set("leader", second.node)
        for cache in rest:
            eventually(lambda c=cache, node=second.node: c.peek("leader") == node)
        caches = rest


def test_who_was_closed_is_a_local_cache(nodes: Nodes, path: Path) -> None:
    first, (second,) = gather(nodes(local_cluster=path), nodes(local_cluster=path))
    for cache in (second, first):
        cache.set("k", 1)
        cache.close()
        assert cache.get("k") == 1
        assert cache.local_address is None
        assert cache.peers() == []
    assert not path.exists()
    assert threads_of_ours() == []


def test_what_was_removed_is_told_once_however_many_lead_in_turn(nodes: Nodes, path: Path) -> None:
    told: list[tuple[int, Any]] = []

    def make(number: int) -> Cache:
        return nodes(local_cluster=path, on_removal=lambda removal: told.append((number, removal.key)))

    caches = [make(number) for number in range(4)]
    numbers = {id(cache): number for number, cache in enumerate(caches)}
    first, _ = gather(*caches)
    for key in range(50):
        first.set(key, "kept")
    first.set("dropped", 1)
    for cache in caches:
        eventually(lambda c=cache: len(c) == 51)
    first.invalidate("dropped")
    for cache in caches:
        eventually(lambda c=cache: "dropped" not in c)
    while len(caches) > 1:
        first, caches = gather(*caches)
        first.close()
        gather(*caches)
        caches[-1].set("turn", first.node)
        for cache in caches:
            eventually(lambda c=cache, node=first.node: c.peek("turn") == node)
    last = numbers[id(caches[0])]
    assert [key for number, key in told if number == last] == ["dropped", "turn", "turn"]
    assert [number for number, key in told if key == "dropped"].count(last) == 1
    assert all(caches[0].peek(key) == "kept" for key in range(50))


def test_a_take_over_is_no_news_in_the_log(nodes: Nodes, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caches = [nodes(local_cluster=path) for _ in range(4)]
    for _ in range(3):
        first, caches = gather(*caches)
        first.close()
    gather(*caches)
    assert caplog.messages == []


# -- files -------------------------------------------------------------------------------------------------------------


def test_files_that_are_left_over_are_no_obstacle(nodes: Nodes, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
        left_over.listen()
    Path(f"{path}.lock").touch()
    gather(nodes(local_cluster=path), nodes(local_cluster=path))
    assert caplog.messages == []


def test_a_port_file_that_is_left_over_is_no_obstacle(
    nodes: Nodes, path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    without_unix_sockets(monkeypatch)
    path.write_text(f"{free_port} secret")
    gather(nodes(local_cluster=path), nodes(local_cluster=path))
    assert path.read_text() != f"{free_port} secret"


@pytest.mark.parametrize("gone", [["app.sock"], ["app.sock.lock"], ["app.sock", "app.sock.lock"], ["directory"]])
def test_a_cluster_whose_files_were_tidied_up_finds_itself_again(
    nodes: Nodes, meeting: Path, gone: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caches = [nodes(local_cluster=meeting, connection_timeout=4 * SHORT_MS) for _ in range(3)]
    gather(*caches)
    for name in ["app.sock", "app.sock.lock"] if gone == ["directory"] else gone:
        (meeting.parent / name).unlink()
    if gone == ["directory"]:
        meeting.parent.rmdir()
    eventually(lambda: meeting.exists() and Path(f"{meeting}.lock").exists())
    caches.append(nodes(local_cluster=meeting, connection_timeout=4 * SHORT_MS))
    first, _ = gather(*caches)
    first.set("k", 1)
    for cache in caches:
        eventually(lambda c=cache: c.peek("k") == 1)
    assert [line for line in caplog.messages if "mistake of ours" in line] == []


def test_a_file_that_is_somebody_else_s_is_not_dialled(
    nodes: Nodes, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock that we do not have, and a socket that is not ours: said once, and tried again."""
    holding = Post(path)
    assert holding.take()
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        uid = os.geteuid()
        monkeypatch.setattr(post, "_is_safe", lambda _: True)
        monkeypatch.setattr(local_cluster.os, "geteuid", lambda: uid + 1)
        monkeypatch.setattr(Post, "take", lambda self: False)
        cache = nodes(local_cluster=path)
        eventually(lambda: "another user's" in caplog.text)
        assert cache.peers()[0].state == "unreachable"
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.accept()
    holding.leave()


# -- who is not let in -------------------------------------------------------------------------------------------------


def test_a_secret_that_is_refused_is_said_once(nodes: Nodes, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = nodes(local_cluster=path, secret="a secret that is long enough", connection_timeout=4 * SHORT_MS)
    leader(first)
    stranger = nodes(local_cluster=path, secret="another that is long enough", connection_timeout=4 * SHORT_MS)
    own = "cannot be joined, and will be tried again: it refused us: its secret is not ours"
    eventually(lambda: own in caplog.text)
    attempts = caplog.text.count("refused ")
    eventually(lambda: caplog.text.count("refused ") > attempts + 1)
    assert caplog.text.count(own) == 1
    assert stranger.peers()[0].state == "refused"
    assert leaders(first, stranger) == [first], "who is refused hears somebody, and deposes nobody"


def test_who_was_refused_takes_the_place_in_the_end(nodes: Nodes, path: Path) -> None:
    first = nodes(local_cluster=path, cluster="one")
    leader(first)
    second = nodes(local_cluster=path, cluster="two")
    eventually(lambda: [peer.state for peer in second.peers()] == ["refused"])
    first.close()
    leader(second)


def test_a_port_without_its_file_s_secret_lets_nobody_in(
    nodes: Nodes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_unix_sockets(monkeypatch)
    first = nodes(local_cluster=path)
    address = leader(first).local_address
    stranger = nodes(remote_address=address)
    eventually(lambda: [peer.state for peer in stranger.peers()] == ["refused"])
    assert first.peers() == []


# -- one that is silent ------------------------------------------------------------------------------------------------


class Silent:
    """Holds the post and listens, as a stopped process does: who connects hears nothing."""

    def __init__(self, path: Path) -> None:
        self.post = Post(path)
        assert self.post.take()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.post.path))
        self.socket.listen()

    def close(self) -> None:
        self.socket.close()
        self.post.leave()


@pytest.fixture
def silent(path: Path) -> Iterator[Silent]:
    made = Silent(path)
    yield made
    made.close()


def test_who_is_silent_is_deposed(nodes: Nodes, path: Path, silent: Silent, caplog: pytest.LogCaptureFixture) -> None:
    caches = [nodes(local_cluster=path, connection_timeout=SHORT_MS) for _ in range(4)]
    gather(*caches)
    assert not silent.post.is_held()
    assert "who listened for the local cluster is silent: another listens at" in caplog.text
    assert not path.exists(), "nobody comes to dial it"


def test_of_many_that_depose_one_does_and_is_left_in_peace(nodes: Nodes, path: Path, silent: Silent) -> None:
    caches = [nodes(local_cluster=path, connection_timeout=2 * SHORT_MS) for _ in range(8)]
    first, _ = gather(*caches)
    assert first.local_address == f"{path}.1"


def test_who_comes_after_that_finds_the_newest(nodes: Nodes, path: Path, silent: Silent) -> None:
    first = leader(nodes(local_cluster=path, connection_timeout=SHORT_MS))
    gather(first, nodes(local_cluster=path, connection_timeout=SHORT_MS))
    assert first.local_address == f"{path}.1"


def test_a_port_is_seized_from_who_is_silent(nodes: Nodes, path: Path, silent: Silent, free_port: int) -> None:
    """Its listening socket is still there. So it is when the one after it has ended."""
    address = ("127.0.0.1", free_port)
    with socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        theirs.bind(address)
        theirs.listen()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        caches = [nodes(local_cluster=path, local_address=address, connection_timeout=SHORT_MS) for _ in range(2)]
        first, (second,) = gather(*caches)
        eventually(lambda: first.local_address == address)
        first.close()
        eventually(lambda: second.local_address == address)


def test_a_path_is_seized_from_who_is_silent(nodes: Nodes, path: Path, folder: Path, silent: Silent) -> None:
    outside = str(folder / "outside.sock")
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(outside)
        theirs.listen()
        cache = nodes(local_cluster=path, local_address=outside, connection_timeout=SHORT_MS)
        eventually(lambda: cache.local_address == outside)
        link(nodes(remote_address=outside))


def test_who_is_deposed_follows(nodes: Nodes, path: Path, free_port: int) -> None:
    """As one that was stopped for long: it notices, and lets go of its links, of the port and of the post."""
    address = ("127.0.0.1", free_port)
    first = leader(nodes(local_cluster=path, local_address=address, connection_timeout=4 * SHORT_MS))
    eventually(lambda: first.local_address == address)
    outside = nodes(remote_address=address)
    link(outside)
    deposing = deposed(path)
    eventually(lambda: first.local_address is None)
    deposing.leave()
    gather(first, nodes(local_cluster=path, local_address=address, connection_timeout=4 * SHORT_MS))
    link(outside)


def deposed(path: Path) -> Post:
    """Who has deposed whoever led."""
    deposing = Post(path)
    assert not deposing.take()
    assert deposing.depose()
    return deposing


def test_who_is_deposed_lets_nobody_in_before_it_has_noticed(nodes: Nodes, path: Path, free_port: int) -> None:
    address = ("127.0.0.1", free_port)
    cache = nodes(local_cluster=path, local_address=address)
    cluster_of(cache)._check_seconds = 100 * PATIENCE
    eventually(lambda: cache.local_address == address)
    deposing = deposed(path)
    with socket.create_connection(address) as stranger:
        stranger.settimeout(PATIENCE)
        assert has_ended(stranger)
    assert cache.local_address == address, "it has not noticed yet"
    deposing.leave()


def has_ended(stranger: socket.socket) -> bool:
    try:
        return stranger.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_stranger_who_was_greeting_when_one_was_deposed_is_not_let_in(
    nodes: Nodes, meet: Any, path: Path, free_port: int
) -> None:
    address = ("127.0.0.1", free_port)
    cache = nodes(local_cluster=path, local_address=address)
    cluster_of(cache)._check_seconds = 100 * PATIENCE
    eventually(lambda: cache.local_address == address)
    stranger = meet(cache)
    stranger.socket.sendall(b"\0")
    outer = cluster_of(cache)._outer
    assert outer is not None
    eventually(lambda: len(outer._strangers) == 1)
    deposing = deposed(path)
    stranger.socket.sendall(b"\0")
    assert stranger.hear_out() == []
    deposing.leave()


# -- the cluster's own addresses ---------------------------------------------------------------------------------------


def test_whoever_listens_binds_the_port_and_dials_the_regions(nodes: Nodes, path: Path, free_port: int) -> None:
    address = ("127.0.0.1", free_port)
    region = nodes(local_address=("127.0.0.1", 0))
    remote = region.local_address
    caches = [nodes(local_cluster=path, local_address=address, remote_address=remote) for _ in range(3)]
    outside = nodes(remote_address=address)
    while caches:
        first = leader(*caches)
        eventually(lambda c=first: c.local_address == address)
        for other in (region, outside):
            eventually(lambda o=other, c=first: [peer.node for peer in o.peers()] == [c.node])
        assert {peer.role for peer in region.peers()} == {"both"}
        caches[-1].set("turn", first.node)
        for other in (region, outside):
            eventually(lambda o=other, c=first: o.peek("turn") == c.node)
        first.close()
        caches = [cache for cache in caches if cache is not first]


def test_a_region_that_is_away_is_looked_for_by_the_one_that_listens(nodes: Nodes, path: Path, free_port: int) -> None:
    remote = ("127.0.0.1", free_port)
    caches = [nodes(local_cluster=path, remote_address=remote) for _ in range(2)]
    first, (second,) = gather(*caches)
    eventually(lambda: "unreachable" in [peer.state for peer in first.peers()])
    assert len(first.peers()) == 2
    assert [peer.state for peer in second.peers()] == ["connected"]


def test_a_port_that_is_taken_is_said_once_and_tried_again(
    nodes: Nodes, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = nodes(local_address=("127.0.0.1", 0))
    cache = nodes(local_cluster=path, local_address=other.local_address, connection_timeout=4 * SHORT_MS)
    eventually(lambda: "goes on trying to listen for others: local_address: cannot listen on" in caplog.text)
    gather(cache, nodes(local_cluster=path, connection_timeout=4 * SHORT_MS))
    address = other.local_address
    other.close()
    eventually(lambda: cache.local_address == address)
    assert len(caplog.messages) == 1


def test_a_name_that_no_host_has_is_said_too(nodes: Nodes, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nodes(local_cluster=path, local_address=("a" * 70, 5555), connection_timeout=SHORT_MS)
    eventually(lambda: "is not a host's name" in caplog.text)


# -- threads and ends --------------------------------------------------------------------------------------------------


def test_a_cache_that_is_closed_at_once_leaves_nothing(nodes: Nodes, path: Path) -> None:
    for _ in range(30):
        nodes(local_cluster=path).close()
    assert threads_of_ours() == []
    assert not path.exists()
    leader(nodes(local_cluster=path))


def test_caches_that_are_made_and_closed_by_many_threads(nodes: Nodes, path: Path, start: Start) -> None:
    staying = nodes(local_cluster=path)

    def work(number: int) -> None:
        for turn in range(10):
            cache = nodes(local_cluster=path)
            cache.set(number, turn)
            eventually(lambda turn=turn: staying.peek(number) == turn)
            cache.close()

    for each in [start(work, number) for number in range(4)]:
        each.thread.join(5 * PATIENCE)
        each.result()


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
def test_a_listener_that_is_told_of_a_removal_may_close(nodes: Nodes, path: Path, leads: bool) -> None:
    """It runs in a thread of the cluster, which must not wait for itself: that would take as long as the timeout."""
    closed = threading.Event()
    patience = 4 * PATIENCE

    def close(removal: Any) -> None:
        if removal.cause is RemovalCause.REMOTE and not closed.is_set():
            caches[removal.key].close()
            closed.set()

    made = [nodes(local_cluster=path, on_removal=close, connection_timeout=patience * 1000) for _ in range(2)]
    first, (second,) = gather(*made)
    closing, other = (first, second) if leads else (second, first)
    caches = {"k": closing}
    other.set("k", 1)
    eventually(lambda: closing.peek("k") == 1)
    other.invalidate("k")
    assert closed.wait(PATIENCE)
    leader(other)


def test_what_fails_while_one_begins_to_lead_leaves_nothing_behind(
    nodes: Nodes, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [OSError("no descriptors"), RuntimeError("no threads"), OSError("no descriptors")]
    dial_regions = LocalCluster._dial_regions

    def failing(self: LocalCluster) -> None:
        if failures:
            raise failures.pop()
        dial_regions(self)

    monkeypatch.setattr(LocalCluster, "_dial_regions", failing)
    caches = [nodes(local_cluster=path) for _ in range(3)]
    eventually(lambda: not failures)
    gather(*caches)
    assert caplog.text.count("because of a mistake of ours") == 1
    accepting = [name for name in threads_of_ours() if name.startswith("lru_cache-accept")]
    assert len(accepting) == 1


def test_a_leader_whose_threads_cannot_start_leaves_the_post(
    nodes: Nodes, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    starts = iter([True])
    begin = local_cluster.Server.start

    def failing(self: Any) -> None:
        for _ in starts:
            raise RuntimeError("can't start new thread")
        begin(self)

    monkeypatch.setattr(local_cluster.Server, "start", failing)
    gather(nodes(local_cluster=path), nodes(local_cluster=path))
    assert caplog.text.count("because of a mistake of ours") == 1


def test_who_is_refused_for_lack_of_room_does_not_come_back_at_once(
    nodes: Nodes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told so after the greeting, so that for it there was a link."""
    from lru_cache.network import server

    monkeypatch.setattr(server, "MOST_LINKS", 0)
    attempts = 0
    attempt = local_cluster.Dialler.attempt

    def counted(self: Any, *arguments: Any) -> Any:
        nonlocal attempts
        attempts += 1
        return attempt(self, *arguments)

    monkeypatch.setattr(local_cluster.Dialler, "attempt", counted)
    leader(nodes(local_cluster=path))
    waits: list[float] = []
    wait = local_cluster.Dialler.wait

    def noted(self: Any, seconds: float) -> None:
        waits.append(seconds)
        wait(self, seconds)

    monkeypatch.setattr(local_cluster.Dialler, "wait", noted)
    nodes(local_cluster=path)
    eventually(lambda: attempts >= 6)
    assert max(waits) >= 2**4 * local_cluster.FIRST_PAUSE_SECONDS


def test_peers_tell_what_there_is(nodes: Nodes, path: Path) -> None:
    holding = Post(path)
    assert holding.take()
    cache = nodes(local_cluster=path)
    eventually(lambda: [(peer.address, peer.state) for peer in cache.peers()] == [(str(path), "unreachable")])
    assert not cache.flush(timeout=0.01), "there are others, who are not told"
    holding.leave()
    leader(cache)
    assert cache.peers() == []


def test_a_cluster_is_quiet_about_itself(nodes: Nodes, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lru_cache")
    first, (second,) = gather(nodes(local_cluster=path), nodes(local_cluster=path))
    second.close()
    first.close()
    assert f"listening for the local cluster at {path}" in caplog.messages
    assert {record.levelno for record in caplog.records} == {logging.INFO}
