"""A connection: frames through a socket that never blocks, whole or in pieces, sealed, under TLS."""

import os
import socket
import ssl
from collections.abc import Iterator

import pytest

from lru_cache import TLS, ProtocolError
from lru_cache.network.connection import ClosedError, Connection
from lru_cache.network.security import SEAL_BYTES, Seal, read_tls
from tests.concurrency import eventually

LIMIT = 10_000_000
Pair = tuple[Connection, Connection]


@pytest.fixture(params=["plain", "TCP", "TLS"])
def pair(request: pytest.FixtureRequest, ours: TLS) -> Iterator[Pair]:
    if request.param == "TCP":
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            one = socket.create_connection(listener.getsockname())
            other, _ = listener.accept()
    else:
        one, other = socket.socketpair()
    contexts = read_tls(ours) if request.param == "TLS" else None
    made = (
        Connection(one, LIMIT, contexts.client if contexts else None),
        Connection(other, LIMIT, contexts.server if contexts else None, accepted=True),
    )
    eventually(lambda: [end.agree() for end in made] == [True, True])
    yield made
    for end in made:
        end.close()


def receive(end: Connection, other: Connection, count: int) -> list[bytes]:
    """Take in until so many messages are there, while the other end goes on sending."""
    bodies: list[bytes] = []

    def all_there() -> bool:
        other.flush()
        end.fill()
        bodies.extend(end.bodies)
        return len(bodies) >= count

    eventually(all_there)
    return bodies


def test_a_peer_that_takes_more_than_a_frame_can_have_is_sent_to(pair: Pair) -> None:
    one, other = pair
    one.open_up(LIMIT, 2**63 - 1 + LIMIT, None)
    one.send([b"a"])
    assert receive(other, one, 1) == [b"a"]


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    one, other = pair
    bodies = [b"a", bytes(100_000), b"c" * 70_000]
    one.send(bodies)
    assert receive(other, one, 3) == bodies


def test_both_directions_at_once(pair: Pair) -> None:
    one, other = pair
    one.send([b"from one"])
    other.send([b"from other"])
    assert receive(other, one, 1) == [b"from one"]
    assert receive(one, other, 1) == [b"from other"]


def test_what_the_socket_does_not_take_waits_and_is_sent_by_flush(pair: Pair) -> None:
    one, other = pair
    body = os.urandom(9_000_000)
    one.send([body])
    assert one.wants_write
    assert one.unsent > 0
    assert receive(other, one, 1) == [body]
    assert (one.wants_write, one.unsent) == (False, 0)


def test_what_is_sent_meanwhile_stays_behind_what_waits(pair: Pair) -> None:
    one, other = pair
    bodies = [bytes([i]) * 3_000_000 for i in range(5)]
    for body in bodies:
        one.send([body])
    assert receive(other, one, 5) == bodies


def test_nothing_to_read_is_no_error(pair: Pair) -> None:
    pair[0].fill()
    assert next(pair[0].bodies, None) is None


def test_the_end_of_the_stream_is_an_error_of_its_own(pair: Pair) -> None:
    one, other = pair
    other.send([b"last"])
    other.close()
    with pytest.raises(ClosedError, match="it closed the connection"):  # noqa: PT012 - after some fills
        for _ in range(100):
            one.fill()
            next(one.bodies, None)


def test_what_came_before_the_end_is_read(pair: Pair) -> None:
    one, other = pair
    other.send([b"last"])
    other.finish_sending()
    one.fill()
    eventually(lambda: next(one.bodies, None) == b"last" or one.fill())


def test_a_frame_beyond_the_limit_is_refused_when_its_length_is_there(pair: Pair) -> None:
    one, other = pair
    one.open_up(LIMIT, 1 << 30, None)
    other.open_up(100, 100, None)
    one.send([bytes(101)])

    def refused() -> bool:
        try:
            other.fill()
            return next(other.bodies, None) is not None
        except ProtocolError:
            return True

    eventually(refused)
    with pytest.raises(ProtocolError, match="a frame of 101 bytes"):
        next(other.bodies)


def test_a_frame_beyond_what_the_other_takes_is_a_mistake_of_ours(pair: Pair) -> None:
    pair[0].open_up(100, 100, None)
    with pytest.raises(ValueError, match="1 to 100 bytes"):
        pair[0].send([bytes(101)])


def test_bytes_are_counted(pair: Pair) -> None:
    one, other = pair
    one.send([bytes(10_000)])
    receive(other, one, 1)
    assert one.bytes_out == other.bytes_in == 10_004


def test_closing_twice_or_after_the_other_is_fine(pair: Pair) -> None:
    for end in pair:
        end.finish_sending()
        end.close()
        end.finish_sending()
        end.close()


# -- seals -------------------------------------------------------------------------------------------------------------


def seal(pair: Pair) -> None:
    for end, side, other in ((pair[0], "dialler", "acceptor"), (pair[1], "acceptor", "dialler")):
        end.sealing = Seal(b"secret", side, b"t")
        end.open_up(100, 100, Seal(b"secret", other, b"t"))


def test_sealed_messages_arrive(pair: Pair) -> None:
    seal(pair)
    pair[0].send([b"one", b"x" * 100])
    pair[0].send([b"three"])
    assert receive(pair[1], pair[0], 3) == [b"one", b"x" * 100, b"three"]


def test_the_seal_does_not_count_against_the_limit(pair: Pair) -> None:
    seal(pair)
    with pytest.raises(ValueError, match=f"1 to {100 + SEAL_BYTES} bytes"):
        pair[0].send([bytes(101)])


def test_a_message_without_its_seal_ends_it(pair: Pair) -> None:
    seal(pair)
    pair[0].sealing = None
    pair[0].send([b"whatever it says"])
    with pytest.raises(ProtocolError, match="seal does not match"):
        receive(pair[1], pair[0], 1)


# -- TLS ---------------------------------------------------------------------------------------------------------------


def strangers(ours: TLS, theirs: TLS) -> Pair:
    one, other = socket.socketpair()
    dialling, accepting = read_tls(theirs), read_tls(ours)
    assert dialling is not None
    assert accepting is not None
    return Connection(one, LIMIT, dialling.client), Connection(other, LIMIT, accepting.server, accepted=True)


def test_a_certificate_of_another_authority_ends_the_handshake_at_both_ends(ours: TLS, theirs: TLS) -> None:
    one, other = strangers(ours, theirs)
    with pytest.raises(ssl.SSLError):  # noqa: PT012 - after some steps
        for _ in range(100):
            other.agree()
            one.agree()
    one.close()
    other.close()


def test_no_certificate_at_all_is_refused(ours: TLS) -> None:
    one, other = socket.socketpair()
    contexts = read_tls(ours)
    assert contexts is not None
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.load_verify_locations(ours.authority)
    dialling, accepting = Connection(one, LIMIT, bare), Connection(other, LIMIT, contexts.server, accepted=True)
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):  # noqa: PT012 - after some steps
        for _ in range(100):
            dialling.agree()
            accepting.agree()
    dialling.close()
    accepting.close()


def test_what_is_no_tls_is_an_os_error(ours: TLS) -> None:
    one, other = socket.socketpair()
    contexts = read_tls(ours)
    assert contexts is not None
    accepting = Connection(other, LIMIT, contexts.server, accepted=True)
    one.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(OSError, match=r"(?i)http|ssl|tls"):
        accepting.agree()
    accepting.close()
    one.close()
