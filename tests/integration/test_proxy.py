"""The proxy does to a connection what the tests of the network rely on."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.concurrency import eventually
from tests.integration.addresses import Address, connect, family_of, has_ipv6
from tests.integration.proxy import BOTH, Direction, Proxy


class Echo:
    """A server that sends back what it gets. It stops reading from who does not read."""

    def __init__(self, address: Address) -> None:
        self._listener = socket.socket(family_of(address))
        self._listener.bind(address)
        self._listener.listen()
        self.address: Address = self._listener.getsockname() if isinstance(address, str) else ("", 0)
        if not isinstance(address, str):
            self.address = (address[0], self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted:
            try:
                while chunk := accepted.recv(65536):
                    accepted.sendall(chunk)
            except OSError:
                pass

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it is closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(params=["ipv4", "ipv6", "unix"])
def echo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Echo]:
    if request.param == "ipv6" and not has_ipv6():
        pytest.skip("this machine has no ::1")
    address: dict[str, Address] = {"ipv4": ("127.0.0.1", 0), "ipv6": ("::1", 0), "unix": str(tmp_path / "echo")}
    server = Echo(address[request.param])
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.address) as made:
        yield made


def say(connection: socket.socket, what: bytes) -> bytes:
    """What comes back for `what`, or what came of it until the other end closed."""
    connection.sendall(what)
    got = b""
    while len(got) < len(what) and (chunk := connection.recv(65536)):
        got += chunk
    return got


def has_ended(connection: socket.socket) -> bool:
    """Wait for the other end to reset or close it."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_passes_bytes_both_ways_and_counts_them(proxy: Proxy) -> None:
    with connect(proxy.address) as connection:
        assert say(connection, b"x" * 300_000) == b"x" * 300_000
    eventually(
        lambda: proxy.passed == {Direction.OUT: 300_000, Direction.BACK: 300_000}
    )  # counted after they were sent
    assert proxy.accepted == 1


def test_passes_an_end_on_and_forgets_the_connection(proxy: Proxy) -> None:
    with connect(proxy.address) as connection:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b"last words"
        assert connection.recv(100) == b""
    eventually(lambda: proxy.open == 0)


def test_delays_without_throttling(proxy: Proxy) -> None:
    """A megabyte takes one round trip, and not sixteen: one for each buffer of it."""
    proxy.delay(0.2)
    with connect(proxy.address) as connection:
        began = time.monotonic()
        assert len(say(connection, b"x" * 1_000_000)) == 1_000_000
        assert 0.4 <= time.monotonic() - began < 3


def test_throttles(proxy: Proxy) -> None:
    proxy.throttle(200_000, (Direction.BACK,))
    with connect(proxy.address) as connection:
        began = time.monotonic()
        say(connection, b"x" * 100_000)
        assert time.monotonic() - began >= 0.4


def test_a_throttle_of_nothing_stalls_the_sender_until_it_is_lifted(proxy: Proxy) -> None:
    proxy.throttle(0)
    with connect(proxy.address, timeout=0.3) as connection:
        with pytest.raises(TimeoutError):
            connection.sendall(bytes(64_000_000))  # more than all buffers between
        proxy.throttle(None)
        connection.settimeout(10)
        assert connection.recv(1) == b"\0"


def test_swallows_bytes_and_ends_and_tells_nobody(proxy: Proxy) -> None:
    with connect(proxy.address) as connection:
        assert say(connection, b"hello") == b"hello"
        proxy.swallow((Direction.BACK,))
        connection.sendall(b"anybody?")
        eventually(lambda: proxy.passed[Direction.OUT] == len("helloanybody?"))
        proxy.swallow(BOTH)
        connection.sendall(b"anybody?")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert proxy.open == 1


def test_resets_what_lost_bytes_when_it_heals(proxy: Proxy) -> None:
    with connect(proxy.address) as lossy, connect(proxy.address) as whole:
        assert say(lossy, b"hello") == say(whole, b"hello") == b"hello"
        proxy.swallow()
        lossy.sendall(b"lost")
        eventually(lambda: any(s.lost for c in proxy._connections for s in c.streams.values()))
        proxy.heal()
        assert say(whole, b"well?") == b"well?"
        assert has_ended(lossy)


def test_cuts_what_is_there_and_lets_new_ones_in(proxy: Proxy) -> None:
    with connect(proxy.address) as connection:
        assert say(connection, b"hello") == b"hello"
        proxy.cut()
        assert has_ended(connection)
    with connect(proxy.address) as connection:
        assert say(connection, b"again") == b"again"


def test_refuses_until_it_heals(proxy: Proxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy.address)
    proxy.heal()
    with connect(proxy.address) as connection:
        assert say(connection, b"again") == b"again"


def test_spoils_one_byte(proxy: Proxy) -> None:
    with connect(proxy.address) as connection:
        assert say(connection, b"hello") == b"hello"
        proxy.corrupt((Direction.OUT,))
        spoilt = say(connection, b"hello")
        assert sum(a != b for a, b in zip(spoilt, b"hello", strict=True)) == 1
        assert say(connection, b"hello") == b"hello"


def test_ends_a_connection_if_its_target_is_gone(echo: Echo, proxy: Proxy) -> None:
    echo.close()
    with contextlib.suppress(ConnectionResetError), connect(proxy.address) as connection:  # or even before it returns
        assert has_ended(connection)


def test_records_what_was_said(proxy: Proxy) -> None:
    with connect(proxy.address) as connection:
        say(connection, b"hello")
    assert proxy.recordings == [{Direction.OUT: b"hello", Direction.BACK: b"hello"}]


def test_leaves_nothing_behind(echo: Echo) -> None:
    with Proxy(echo.address) as proxy, connect(proxy.address) as connection:
        assert say(connection, b"hello") == b"hello"
    assert not isinstance(proxy.address, str) or not Path(proxy.address).parent.exists()
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        connect(proxy.address)
    assert "proxy" not in [thread.name for thread in threading.enumerate()]
