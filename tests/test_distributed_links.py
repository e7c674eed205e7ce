"""How linked caches find, refuse and leave each other: addresses, roles, secrets, certificates, clocks, closing."""

import gc
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lru_cache import TLS, AddressError, LRUCacheDistributed, lru_cache_distributed
from lru_cache.network import address, client, server
from lru_cache.testing import ManualClock
from tests.concurrency import PATIENCE, Started, eventually, link, settle

Cache = LRUCacheDistributed[Any, Any]
Pair = tuple[Cache, Cache]
Nodes = Callable[..., Cache]
Start = Callable[..., Started]
SECRET = "a secret of more than sixteen bytes"


def diallers_of(cache: Cache) -> list[client.Dialler]:
    return [transport for transport in cache._transports if isinstance(transport, client.Dialler)]


def test_makes_no_thread_and_no_socket_without_an_address(nodes: Nodes) -> None:
    before = threading.active_count()
    cache = nodes()
    assert threading.active_count() == before
    assert (cache.local_address, cache.peers(), cache.wait_connected(timeout=0)) == (None, [], False)


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local", "host"),
    [
        (("127.0.0.1", 0), "127.0.0.1"),
        (("127.0.0.1", "0"), "127.0.0.1"),
        ("127.0.0.1:0", "127.0.0.1"),
        (("localhost", 0), "localhost"),
        (("::1", 0), "::1"),
        ("[::1]:0", "::1"),
        (("", 0), ""),
        ("0.0.0.0:0", "0.0.0.0"),
    ],
)
@pytest.mark.parametrize("form", ["pair", "string port", "text"])
def test_port_zero_takes_a_free_one_and_tells_it_in_a_form_that_can_be_dialled(
    nodes: Nodes, local: Any, host: str, form: str
) -> None:
    listening = nodes(local_address=local)
    told_host, port = listening.local_address  # type: ignore[misc]
    assert (told_host, port > 0) == (host, True)
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    remote = {"pair": (told_host, port), "string port": (told_host, str(port)), "text": shown}[form]
    dialling = nodes(remote_address=remote)
    link(dialling, listening)


def test_all_interfaces_are_ipv4_and_ipv6(nodes: Nodes) -> None:
    port = nodes(local_address=("", 0)).local_address[1]  # type: ignore[index]
    link(nodes(remote_address=("127.0.0.1", port)), nodes(remote_address=("::1", port)))


def test_a_cache_that_cannot_be_made_leaves_its_socket_file_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no descriptors left")

    monkeypatch.setattr("lru_cache.lru_cache_distributed.Dialler", refuse)
    with pytest.raises(OSError, match="no descriptors"):
        LRUCacheDistributed(local_address=str(tmp_path / "socket"), remote_address=("127.0.0.1", 1))
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_an_address_error_that_names_it(nodes: Nodes) -> None:
    taken = nodes(local_address=("127.0.0.1", 0)).local_address
    with pytest.raises(AddressError, match=rf"local_address: cannot listen on 127\.0\.0\.1:{taken[1]}: .*in use"):  # type: ignore[index]
        LRUCacheDistributed(local_address=taken)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 70, "a..b"])
def test_a_host_that_is_not_here_is_an_address_error(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve_nothing(host: str, *arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    if host.endswith(".invalid"):
        monkeypatch.setattr(server.socket, "getaddrinfo", resolve_nothing)  # no test asks the network
    with pytest.raises(AddressError, match="local_address"):
        LRUCacheDistributed(local_address=(host, 0))


def test_an_address_error_is_an_os_error_with_its_number(nodes: Nodes) -> None:
    taken = nodes(local_address=("127.0.0.1", 0)).local_address
    with pytest.raises(OSError, match="in use") as caught:
        LRUCacheDistributed(local_address=taken)
    assert caught.value.errno is not None


@pytest.mark.parametrize("host", ["a" * 70, "a..b", "\ud800", "a\0b"])
def test_a_remote_that_is_no_name_does_not_raise_and_is_unreachable(
    nodes: Nodes, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = nodes(remote_address=(host, 1))
    eventually(lambda: cache.peers()[0].state == "unreachable")
    assert "mistake of ours" not in caplog.text


def test_a_remote_that_is_not_there_does_not_raise_and_is_logged_once(
    nodes: Nodes, free_port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client, "LONGEST_PAUSE_SECONDS", 0.001)
    dialled: list[Any] = []
    resolve = address.resolve
    monkeypatch.setattr(client, "resolve", lambda remote: dialled.append(remote) or resolve(remote))
    cache = nodes(remote_address=("127.0.0.1", free_port))
    eventually(lambda: len(dialled) > 20)
    assert [line for line in caplog.messages if "cannot reach" in line] == [
        f"cannot reach 127.0.0.1:{free_port}: Connection refused; will go on trying"
    ]
    (peer,) = cache.peers()
    assert (peer.state, peer.address, peer.node, peer.rtt) == ("unreachable", f"127.0.0.1:{free_port}", None, None)


def test_a_remote_that_comes_later_is_found(nodes: Nodes, free_port: int) -> None:
    dialling = nodes(remote_address=("127.0.0.1", free_port))
    eventually(lambda: dialling.peers()[0].state == "unreachable")
    listening = nodes(local_address=("127.0.0.1", free_port))
    link(dialling, listening)


def test_a_server_that_comes_back_is_found_again_and_told_what_it_missed(nodes: Nodes) -> None:
    first = nodes(local_address=("127.0.0.1", 0))
    dialling = nodes(remote_address=first.local_address)
    link(dialling, first)
    first.close()
    eventually(lambda: all(peer.state != "connected" for peer in dialling.peers()))  # for a moment there is none
    dialling.set("meanwhile", 1)
    second = nodes(local_address=first.local_address)
    link(second, dialling)
    settle(dialling)
    assert second.get("meanwhile") == 1


class Patched:
    """`gevent.monkey`, after it has patched everything."""

    @staticmethod
    def is_module_patched(name: str) -> bool:
        return True


def test_under_gevent_s_monkey_patching_links_are_refused_and_the_local_cache_is_not(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gevent.monkey", Patched)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"gevent.*gthread"):
        LRUCacheDistributed(local_address=("127.0.0.1", 0))
    cache = nodes()
    cache.set("k", 1)
    assert cache.get("k") == 1


# -- Unix sockets ------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache.sock"


@pytest.mark.parametrize("form", [str, Path])
def test_a_path_is_a_unix_socket(nodes: Nodes, path: Path, form: Any) -> None:
    listening = nodes(local_address=form(path))
    dialling = nodes(remote_address=form(path))
    link(dialling, listening)
    assert listening.local_address == str(path)


def test_a_socket_file_is_for_its_user_alone(nodes: Nodes, path: Path) -> None:
    nodes(local_address=str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_socket_file_goes_with_its_cache(nodes: Nodes, path: Path) -> None:
    nodes(local_address=str(path)).close()
    assert not path.exists()


def test_a_socket_file_that_a_dead_process_left_is_replaced(nodes: Nodes, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    listening = nodes(local_address=str(path))
    link(nodes(remote_address=str(path)), listening)


def test_a_socket_file_that_is_alive_is_refused_and_left(nodes: Nodes, path: Path) -> None:
    first = nodes(local_address=str(path))
    with pytest.raises(AddressError, match=f"cannot listen on {path}: .*in use"):
        LRUCacheDistributed(local_address=str(path))
    link(nodes(remote_address=str(path)), first)


def test_to_look_whether_a_socket_file_is_alive_disturbs_nobody(
    nodes: Nodes, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listening = nodes(local_address=str(path))
    for _ in range(3):
        with pytest.raises(AddressError, match="in use"):
            LRUCacheDistributed(local_address=str(path))
    link(nodes(remote_address=str(path)), listening)  # after them, so they were seen to
    assert caplog.messages == []


def test_a_file_that_is_no_socket_is_refused_and_left(path: Path) -> None:
    path.write_text("somebody's")
    with pytest.raises(AddressError, match="in use"):
        LRUCacheDistributed(local_address=str(path))
    assert path.read_text() == "somebody's"


def test_a_folder_that_is_not_there_is_an_address_error(path: Path) -> None:
    with pytest.raises(AddressError, match="No such file"):
        LRUCacheDistributed(local_address=str(path / "deeper" / "cache.sock"))


def test_another_s_socket_file_at_the_same_path_is_left(nodes: Nodes, path: Path) -> None:
    first = nodes(local_address=str(path))
    path.unlink()
    second = nodes(local_address=str(path))
    first.close()
    link(nodes(remote_address=str(path)), second)


# -- whom it is linked with --------------------------------------------------------------------------------------------


def test_peers_tell_who_where_and_how_far(nodes: Nodes) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), region="Bergen")
    dialling = nodes(remote_address=listening.local_address)
    link(dialling, listening)
    # Neither has written: it is their first heartbeats that say how far they are.
    eventually(lambda: all(peer.lag is not None for node in (dialling, listening) for peer in node.peers()))
    (there,), (here,) = dialling.peers(), listening.peers()
    host, port = listening.local_address  # type: ignore[misc]
    assert (there.node, there.region, there.address) == (listening.node, "Bergen", f"{host}:{port}")
    assert (here.node, here.region) == (dialling.node, None)
    for peer in (there, here):
        assert (peer.state, peer.queued) == ("connected", 0)
        assert peer.rtt is not None
        assert peer.rtt >= 0
        assert peer.lag is not None
        assert peer.lag >= 0


def test_queued_counts_what_a_peer_is_still_to_be_told(pair: Pair) -> None:
    one, other = pair
    with other._lock:
        for i in range(2_000):
            one.set(i, bytes(10_000))
        assert one.peers()[0].queued > 0
    settle(one)
    assert one.peers()[0].queued == 0


def test_lags_are_told_of_nodes_behind_neighbours_too(nodes: Nodes) -> None:
    hub = nodes(local_address=("127.0.0.1", 0))
    first, second = (nodes(remote_address=hub.local_address) for _ in range(2))
    link(first, second)
    second.set("a", 1)
    eventually(lambda: set(first.lags()) == {hub.node, second.node})
    assert all(lag >= 0 for lag in first.lags().values())


def test_lag_grows_while_nothing_is_heard_of_a_peer(pair: Pair, clock: ManualClock) -> None:
    one, other = pair
    eventually(lambda: one.peers()[0].lag is not None)
    with other._lock:
        clock.advance(7)
        (peer,) = one.peers()
        assert peer.lag == pytest.approx(7, abs=0.01)


def test_the_role_follows_from_the_addresses(nodes: Nodes) -> None:
    hub = nodes(local_address=("127.0.0.1", 0))
    middle = nodes(local_address=("127.0.0.1", 0), remote_address=hub.local_address)
    end = nodes(remote_address=middle.local_address)
    link(middle, count=2)
    assert {peer.role for peer in middle.peers()} == {"server", "client"}
    assert [peer.role for peer in end.peers()] == ["both"]


def test_wait_connected_counts_neighbours(nodes: Nodes) -> None:
    hub = nodes(local_address=("127.0.0.1", 0))
    link(nodes(remote_address=hub.local_address))
    assert hub.wait_connected(1, timeout=PATIENCE)
    assert not hub.wait_connected(2, timeout=0)
    link(nodes(remote_address=hub.local_address))
    assert hub.wait_connected(2, timeout=PATIENCE)


def test_wait_connected_ends_when_the_cache_is_closed(nodes: Nodes, start: Start) -> None:
    cache = nodes(local_address=("127.0.0.1", 0))
    waiting = start(cache.wait_connected)
    eventually(lambda: cache._exchange._waiters == 1)
    cache.close()
    assert waiting.result() is False


def test_a_link_to_oneself_is_closed_and_said_to_be_one(
    nodes: Nodes, free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    mine = ("127.0.0.1", free_port)
    cache = nodes(local_address=mine, remote_address=mine)
    eventually(lambda: [peer.state for peer in cache.peers()] == [client.MYSELF])
    assert [peer.node for peer in cache.peers()] == [cache.node]
    assert cache.flush() is False, "an address is configured and nobody else is there"
    assert len([line for line in caplog.messages if "this is myself" in line]) == 1
    assert not [line for line in caplog.messages if "mistake" in line]


def test_a_second_link_to_the_same_node_is_closed(nodes: Nodes) -> None:
    listening = nodes(local_address=("127.0.0.1", 0))
    port = listening.local_address[1]  # type: ignore[index]
    dialling = nodes(remote_address=[("127.0.0.1", port), ("localhost", port)])
    link(dialling, listening)
    eventually(lambda: all(dialler._answered for dialler in diallers_of(dialling)))
    eventually(lambda: len(dialling.peers()) == len(listening.peers()) == 1)
    dialling.set("k", 1)
    # Of two links made at once each end may close the one that the other keeps; then there is none for a moment.
    eventually(lambda: dialling.flush(timeout=PATIENCE))
    assert listening.get("k") == 1


def test_of_two_nodes_that_dial_each_other_one_link_stays_that_of_the_lower(nodes: Nodes, free_port: int) -> None:
    second = ("127.0.0.1", free_port)
    one = nodes(local_address=("127.0.0.1", 0), remote_address=second)
    other = nodes(local_address=second, remote_address=one.local_address)
    link(one, other)
    eventually(lambda: all(diallers_of(cache)[0]._answered for cache in (one, other)))
    lower, upper = sorted((one, other), key=lambda cache: cache.node)
    eventually(lambda: [each.dialled for each in lower._exchange._links] == [True])
    eventually(lambda: [each.dialled for each in upper._exchange._links] == [False])
    one.set("k", 1)
    settle(one)
    assert other.get("k") == 1


def test_the_same_address_twice_is_dialled_once(nodes: Nodes) -> None:
    listening = nodes(local_address=("127.0.0.1", 0))
    dialling = nodes(remote_address=[listening.local_address, listening.local_address])
    link(dialling, listening)
    assert [thread.name for thread in threading.enumerate() if "dial" in thread.name] == [
        f"lru_cache-dial-127.0.0.1:{listening.local_address[1]}"  # type: ignore[index]
    ]


def test_one_thread_accepts_and_one_more_runs_each_link(nodes: Nodes) -> None:
    hub = nodes(local_address=("127.0.0.1", 0))
    spokes = [nodes(remote_address=hub.local_address) for _ in range(3)]
    link(*spokes)
    link(hub, count=3)
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("lru_cache-")]
    assert sorted(name.split("-")[1] for name in names) == ["accept", *["dial"] * 3, *["link"] * 3]
    assert all(thread.daemon for thread in threading.enumerate() if thread.name in names)


# -- who is refused ----------------------------------------------------------------------------------------------------


def refused(dialling: Cache) -> bool:
    return [peer.state for peer in dialling.peers()] == ["refused"]


@pytest.mark.parametrize(
    ("of_server", "of_client", "reason"),
    [
        ({"cluster": "one"}, {"cluster": "other"}, "different clusters"),
        ({"secret": SECRET}, {"secret": SECRET[::-1]}, "secret is not ours"),
        ({"secret": SECRET}, {}, "only one side has a secret"),
        ({}, {"secret": SECRET}, "only one side has a secret"),
    ],
)
def test_who_must_not_be_linked_is_refused_with_the_reason_in_both_logs(
    nodes: Nodes, of_server: Any, of_client: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), **of_server)
    dialling = nodes(remote_address=listening.local_address, **of_client)
    eventually(lambda: refused(dialling))
    eventually(lambda: len([line for line in caplog.messages if reason in line]) >= 2)
    at_client = [line for line in caplog.messages if line.startswith("no link to 127.0.0.1")]
    at_server = [line for line in caplog.messages if line.startswith("refused 127.0.0.1")]
    assert (len(at_client), len(at_server) >= 1) == (1, True)
    assert listening.stats().links == 0


def test_who_is_refused_is_logged_once(
    nodes: Nodes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(client, "LONGEST_PAUSE_SECONDS", 0.001)
    dialled: list[Any] = []
    monkeypatch.setattr(client, "resolve", lambda remote: dialled.append(remote) or address.resolve(remote))
    listening = nodes(local_address=("127.0.0.1", 0), cluster="other")
    nodes(remote_address=listening.local_address)
    eventually(lambda: len(dialled) > 20)
    assert len([line for line in caplog.messages if line.startswith("no link to")]) == 1


@pytest.mark.parametrize("off", [2.0, -2.0])
def test_a_clock_that_is_wrong_is_refused_and_the_log_says_by_how_much(
    nodes: Nodes, clock: ManualClock, off: float, caplog: pytest.LogCaptureFixture
) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), clock=clock)
    wrong = ManualClock(time=clock.time() + off)
    dialling = nodes(remote_address=listening.local_address, clock=wrong)
    eventually(lambda: refused(dialling))
    assert f"clock is 2.000 s {'behind' if off > 0 else 'ahead of'} ours" in caplog.text


def test_a_clock_within_the_allowed_skew_is_let_in(nodes: Nodes, clock: ManualClock) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), clock=clock, max_clock_skew=3)
    dialling = nodes(remote_address=listening.local_address, clock=ManualClock(time=clock.time() + 2), max_clock_skew=3)
    link(dialling, listening)


def test_a_clock_that_was_set_right_while_there_was_no_link_is_let_in(nodes: Nodes, clock: ManualClock) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), clock=clock)
    wrong = ManualClock(time=clock.time() - 1e6)
    dialling = nodes(remote_address=listening.local_address, clock=wrong)
    eventually(lambda: refused(dialling))
    wrong.set_time(clock.time())
    link(dialling, listening)


# -- secrets and certificates ------------------------------------------------------------------------------------------


def exchange_something(dialling: Cache, listening: Cache) -> None:
    link(dialling, listening)
    dialling.set("a", "x" * 1_000_000)
    listening.set("b", "y" * 1_000_000)
    settle(dialling, listening)
    assert (listening.get("a"), dialling.get("b")) == ("x" * 1_000_000, "y" * 1_000_000)


@pytest.mark.parametrize("secret", [SECRET, SECRET.encode(), [SECRET, "another"]])
def test_who_has_the_secret_is_let_in(nodes: Nodes, secret: Any) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), secret=SECRET)
    exchange_something(nodes(remote_address=listening.local_address, secret=secret), listening)


def test_the_secret_may_come_from_the_environment(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), secret=SECRET)
    monkeypatch.setenv("LRU_CACHE_SECRET", SECRET)
    link(nodes(remote_address=listening.local_address), listening)


def test_a_secret_is_rotated_without_losing_a_link(nodes: Nodes) -> None:
    old, both = "the old secret, long enough", ["the new secret, long enough", "the old secret, long enough"]
    listening = nodes(local_address=("127.0.0.1", 0), secret=[both[1], both[0]])
    link(nodes(remote_address=listening.local_address, secret=old))
    link(nodes(remote_address=listening.local_address, secret=both))


def test_a_secret_is_neither_shown_nor_logged(nodes: Nodes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    listening = nodes(local_address=("127.0.0.1", 0), secret=SECRET)
    dialling = nodes(remote_address=listening.local_address, secret=SECRET[::-1])
    eventually(lambda: refused(dialling))
    assert SECRET not in caplog.text + repr(listening) + repr(listening.peers())


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("unix", [False, True], ids=["TCP", "Unix socket"])
def test_who_has_a_certificate_of_the_authority_is_let_in(
    nodes: Nodes, ours: TLS, secret: Any, unix: bool, tmp_path: Path
) -> None:
    local = str(tmp_path / "cache.sock") if unix else ("127.0.0.1", 0)
    listening = nodes(local_address=local, tls=ours, secret=secret)
    exchange_something(nodes(remote_address=listening.local_address, tls=ours, secret=secret), listening)


@pytest.mark.parametrize("stranger", ["dialler", "acceptor"])
def test_who_has_a_certificate_of_another_authority_is_not(
    nodes: Nodes, ours: TLS, theirs: TLS, stranger: str, caplog: pytest.LogCaptureFixture
) -> None:
    of_dialler, of_acceptor = (theirs, ours) if stranger == "dialler" else (ours, theirs)
    listening = nodes(local_address=("127.0.0.1", 0), tls=of_acceptor)
    dialling = nodes(remote_address=listening.local_address, tls=of_dialler)
    eventually(lambda: [peer.state for peer in dialling.peers()] == ["unreachable"])
    eventually(lambda: any(line.startswith("refused 127.0.0.1") for line in caplog.messages))
    assert (dialling.stats().links, listening.stats().links) == (0, 0)


def test_a_certificate_alone_is_not_enough_if_a_secret_is_asked_for_too(nodes: Nodes, ours: TLS) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), tls=ours, secret=SECRET)
    dialling = nodes(remote_address=listening.local_address, tls=ours)
    eventually(lambda: refused(dialling))


@pytest.mark.parametrize("only", ["dialler", "acceptor"])
def test_tls_at_one_end_only_makes_no_link(
    nodes: Nodes, ours: TLS, only: str, caplog: pytest.LogCaptureFixture
) -> None:
    listening = nodes(local_address=("127.0.0.1", 0), tls=ours if only == "acceptor" else None)
    dialling = nodes(remote_address=listening.local_address, tls=ours if only == "dialler" else None)
    eventually(lambda: [peer.state for peer in dialling.peers()] in (["unreachable"], ["refused"]))
    eventually(lambda: any(line.startswith("refused 127.0.0.1") for line in caplog.messages))
    assert listening.stats().links == 0


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback as if it were another machine."""
    monkeypatch.setattr("lru_cache.network.greeting.is_local", lambda family, where: family == socket.AF_UNIX)


@pytest.mark.usefixtures("outside")
def test_another_machine_is_neither_dialled_nor_let_in_without_secret_or_tls(
    nodes: Nodes, caplog: pytest.LogCaptureFixture
) -> None:
    listening = nodes(local_address=("127.0.0.1", 0))
    dialling = nodes(remote_address=listening.local_address)
    trusting = nodes(remote_address=listening.local_address, insecure=True)
    eventually(lambda: refused(dialling))
    eventually(lambda: refused(trusting))
    for who in ("no link to", "refused a connection to"):
        (line,) = [line for line in caplog.messages if line.startswith(who) and "it refused us" not in line]
        assert all(advice in line for advice in ("secret", "tls", "insecure=True"))
    dialling.set("local", 1)
    assert dialling.get("local") == 1


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("how", ["secret", "tls", "insecure"])
def test_another_machine_is_let_in_with_any_of_these(nodes: Nodes, ours: TLS, how: str) -> None:
    options = {"secret": {"secret": SECRET}, "tls": {"tls": ours}, "insecure": {"insecure": True}}[how]
    listening = nodes(local_address=("127.0.0.1", 0), **options)
    link(nodes(remote_address=listening.local_address, **options), listening)


@pytest.mark.usefixtures("outside")
def test_a_unix_socket_needs_none_of_these(nodes: Nodes, path: Path) -> None:
    listening = nodes(local_address=str(path))
    link(nodes(remote_address=str(path)), listening)


# -- closing -----------------------------------------------------------------------------------------------------------


def test_closing_ends_all_threads_and_frees_the_port(nodes: Nodes) -> None:
    listening = nodes(local_address=("127.0.0.1", 0))
    dialling = nodes(remote_address=listening.local_address)
    link(dialling, listening)
    address = listening.local_address
    dialling.close()
    listening.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lru_cache-")]
    nodes(local_address=address)


def test_closing_twice_or_from_two_threads_is_fine(pair: Pair, start: Start) -> None:
    for closing in [start(pair[0].close) for _ in range(4)]:
        closing.result()
    pair[0].close()


def test_a_cache_that_is_being_closed_may_be_closed_by_a_signal_s_handler(nodes: Nodes, monkeypatch: Any) -> None:
    cache = nodes(local_address=("127.0.0.1", 0))
    end = cache._exchange.close
    monkeypatch.setattr(cache._exchange, "close", lambda reason: (cache.close(), end(reason)))
    cache.close()


def test_closing_while_a_link_s_thread_is_not_started_yet_raises_nothing(nodes: Nodes) -> None:
    cache = nodes(local_address=("127.0.0.1", 0))
    (listening,) = cache._transports
    assert isinstance(listening, server.Server)
    listening._link_threads.add(threading.Thread(target=print))
    cache.close()


def test_a_close_that_failed_may_be_called_again_and_ends_the_rest_at_once(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = nodes(local_address=("127.0.0.1", 0))
    cache = nodes(local_address=("127.0.0.1", 0), remote_address=other.local_address)
    link(cache, other)
    listening, dialler = cache._transports
    with monkeypatch.context() as patch:
        patch.setattr(listening, "join", lambda seconds: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cache.close()
        assert not dialler._thread.is_alive()  # type: ignore[attr-defined]
    cache.close()
    assert not listening._thread.is_alive()  # type: ignore[attr-defined]


def test_at_exit_each_cache_is_closed_whatever_happened_to_another(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [nodes(local_address=("127.0.0.1", 0)) for _ in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(made[1], "_end_links", lambda seconds: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lru_cache_distributed._close_all()
    for cache in (made[0], made[2]):
        assert not cache._transports[0]._thread.is_alive()  # type: ignore[attr-defined]


def test_a_cache_whose_threads_cannot_start_gives_back_its_port(
    nodes: Nodes, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            LRUCacheDistributed(local_address=("127.0.0.1", free_port))
    nodes(local_address=("127.0.0.1", free_port))


def test_leaving_the_with_closes(nodes: Nodes, path: Path) -> None:
    with nodes(local_address=str(path)) as cache:
        assert path.exists()
        assert isinstance(cache, LRUCacheDistributed)
    assert not path.exists()


def test_after_closing_it_is_a_local_cache(nodes: Nodes) -> None:
    cache = nodes(str, local_address=("127.0.0.1", 0))
    other = nodes(remote_address=cache.local_address)
    link(cache, other)
    cache.set("before", 1)
    settle(cache)
    cache.close()
    cache.set("after", 2)
    assert (cache.get("before"), cache.get("after"), cache.get("loaded")) == (1, 2, "loaded")
    assert cache.invalidate("before")
    assert (cache.peers(), cache.flush(), cache.stats().links) == ([], True, 0)
    cache.clear()
    assert (len(cache), other.get("before"), other.get("after")) == (0, 1, None)


def test_closing_says_goodbye_which_is_no_alarm(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one, other = pair
    one.close()
    eventually(lambda: other.stats().links == 0)
    eventually(lambda: [line for line in caplog.messages if "it said goodbye: its cache was closed" in line])
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_what_was_written_before_closing_is_told(nodes: Nodes) -> None:
    listening = nodes(local_address=("127.0.0.1", 0))
    for i in range(10):
        with nodes(remote_address=listening.local_address) as dialling:
            link(dialling, listening)
            dialling.set(i, i)
            settle(dialling)
        assert listening.get(i) == i


def descriptors() -> int:
    """How many files and sockets this process has open."""
    probe = os.dup(0)
    os.close(probe)
    return sum(is_open(number) for number in range(probe + 256))


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def test_a_hundred_rounds_of_opening_and_closing_leave_nothing(path: Path) -> None:
    def round_() -> None:
        listening: Cache = LRUCacheDistributed(local_address=str(path))
        dialling: Cache = LRUCacheDistributed(remote_address=str(path))
        with listening, dialling:
            link(dialling, listening)

    for _ in range(10):
        round_()
    before = threading.active_count(), descriptors()
    for _ in range(100):
        round_()
    gc.collect()
    assert (threading.active_count(), descriptors()) == before
    assert not path.exists()


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_process_that_closes_nothing_ends_cleanly_and_removes_its_socket_file(path: Path) -> None:
    code = """
import sys
from lru_cache import LRUCacheDistributed
server = LRUCacheDistributed(local_address=sys.argv[1])
client = LRUCacheDistributed(remote_address=sys.argv[1])
assert client.wait_connected(timeout=20) and server.wait_connected(timeout=20)
client.set("k", 1)
assert client.flush(timeout=20)
"""
    ended = run(code, str(path))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not path.exists()


def test_a_process_says_goodbye_when_it_ends(nodes: Nodes, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    listening = nodes(local_address=str(path))
    code = """
import sys
from lru_cache import LRUCacheDistributed
client = LRUCacheDistributed(remote_address=sys.argv[1])
assert client.wait_connected(timeout=20)
client.set("k", 1)
client.flush(timeout=20)
"""
    assert run(code, str(path)).returncode == 0
    eventually(lambda: listening.stats().links == 0)
    assert any("it said goodbye" in line for line in caplog.messages)
    assert listening.get("k") == 1


def test_a_process_ends_in_time_though_its_remote_does_not_answer() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        code = """
import sys
from lru_cache import LRUCacheDistributed
LRUCacheDistributed(remote_address=("127.0.0.1", sys.argv[1]), connection_timeout=1000)
"""
        assert run(code, str(silent.getsockname()[1])).returncode == 0
