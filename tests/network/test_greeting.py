"""Two connections until both ends know and accept each other, without a thread: each step is the test's own."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lru_cache import TLS, ProtocolError
from lru_cache.network.connection import ClosedError, Connection
from lru_cache.network.greeting import Greeting, Terms
from lru_cache.network.handshake import FRAME_LIMIT_BYTES, PROTOCOL_VERSION, Hello, RefusedError, Side
from lru_cache.network.security import Contexts, read_tls
from lru_cache.replication import FRAME_MARGIN_BYTES, Limits, time_of
from lru_cache.testing import ManualClock
from tests.concurrency import eventually

Greetings = tuple[Greeting, Greeting]


def terms(
    clock: ManualClock,
    contexts: Contexts | None = None,
    secrets: tuple[bytes, ...] = (),
    insecure: bool = False,
    **fields: Any,
) -> Terms:
    def introduce() -> Hello:
        usual = Hello(
            PROTOCOL_VERSION, "c", b"12345678", "", "both", 10, time_of(clock.time()), 5_000, 3_600, False, b""
        )
        return usual._replace(**fields)

    def judge(peer: Hello, half_trip: float, received_at: float) -> str | None:
        behind = (time_of(clock.time()) - peer.present) / (1000 << 16)
        return f"{behind:.1f} s behind" if behind > Limits().max_clock_skew + half_trip else None

    return Terms(introduce, judge, clock.monotonic, secrets, contexts, insecure, 3.6)


@pytest.fixture
def meet() -> Iterator[Callable[[Terms, Terms], Greetings]]:
    made: list[Greeting] = []

    def make(dialler: Terms, acceptor: Terms) -> Greetings:
        one, other = socket.socketpair()
        client = dialler.contexts.client if dialler.contexts else None
        server = acceptor.contexts.server if acceptor.contexts else None
        made.append(dialler.greet(Connection(one, FRAME_LIMIT_BYTES, client), Side.DIALLER))
        made.append(acceptor.greet(Connection(other, FRAME_LIMIT_BYTES, server, accepted=True), Side.ACCEPTOR))
        return made[0], made[1]

    yield make
    for greeting in made:
        greeting.connection.close()


Meet = Callable[[Terms, Terms], Greetings]


def finish(dialler: Greeting, acceptor: Greeting) -> None:
    done: set[Greeting] = set()

    def both_done() -> bool:
        done.update(each for each in (dialler, acceptor) if each not in done and each.step())
        return len(done) == 2

    eventually(both_done)


@pytest.mark.parametrize("secrets", [(), (b"secret",)])
@pytest.mark.parametrize("tls", [False, True])
def test_both_ends_come_to_know_each_other(
    meet: Meet, clock: ManualClock, ours: TLS, secrets: tuple[bytes, ...], tls: bool
) -> None:
    contexts = read_tls(ours) if tls else None
    dialler, acceptor = meet(
        terms(clock, contexts, secrets, region="Bergen"), terms(clock, contexts, secrets, region="Oslo")
    )
    finish(dialler, acceptor)
    assert (dialler.peer.region, acceptor.peer.region) == ("Oslo", "Bergen")


def test_a_step_before_anything_has_come_is_not_the_end(meet: Meet, clock: ManualClock) -> None:
    dialler, acceptor = meet(terms(clock), terms(clock))
    assert acceptor.step() is False
    assert acceptor.step() is False
    assert dialler.step() is False


def test_frames_are_short_until_the_end_and_long_after_it(meet: Meet, clock: ManualClock) -> None:
    dialler, acceptor = meet(terms(clock), terms(clock, value_bytes=7_000))
    with pytest.raises(ValueError, match="1 to 4096 bytes"):
        dialler.connection.send([bytes(4_097)])
    finish(dialler, acceptor)
    dialler.connection.send([bytes(7_000 + FRAME_MARGIN_BYTES)])
    with pytest.raises(ValueError, match=f"1 to {7_000 + FRAME_MARGIN_BYTES} bytes"):
        dialler.connection.send([bytes(7_001 + FRAME_MARGIN_BYTES)])


def test_a_long_tls_handshake_makes_nobody_s_clock_look_wrong(meet: Meet, clock: ManualClock, ours: TLS) -> None:
    """The time in a hello is that of its sending."""
    contexts = read_tls(ours)
    dialler, acceptor = meet(terms(clock, contexts), terms(clock, contexts))
    agreed = [False, False]
    while not all(agreed):
        clock.advance(2)
        agreed = [dialler.connection.agree(), acceptor.connection.agree()]
    finish(dialler, acceptor)


def test_a_dialler_that_takes_its_time_does_not_make_the_acceptor_s_clock_look_wrong(
    meet: Meet, clock: ManualClock
) -> None:
    dialler, acceptor = meet(terms(clock), terms(clock))
    acceptor.step()
    clock.advance(3)
    finish(dialler, acceptor)


def test_a_refusal_reaches_the_other_end_as_its_reason(meet: Meet, clock: ManualClock) -> None:
    dialler, acceptor = meet(terms(clock, cluster="one"), terms(clock, cluster="other"))
    dialler.step()
    with pytest.raises(RefusedError) as caught:
        acceptor.step()
    acceptor.part(caught.value)
    with pytest.raises(RefusedError, match="it refused us: different clusters: 'other' here, 'one' there"):
        dialler.step()


def test_who_closes_without_a_word_is_told_apart(meet: Meet, clock: ManualClock) -> None:
    dialler, acceptor = meet(terms(clock), terms(clock))
    acceptor.part(ProtocolError("we say nothing"))
    with pytest.raises(ClosedError, match="perhaps only it has tls"):
        dialler.step()


def test_what_was_said_before_it_was_spoken_to_is_heard(meet: Meet, clock: ManualClock) -> None:
    dialler, acceptor = meet(terms(clock), terms(clock))
    acceptor.part(RefusedError("we are full"))
    with pytest.raises(RefusedError, match="it refused us: we are full"):
        dialler.step()


def test_parting_from_who_is_gone_is_no_error(meet: Meet, clock: ManualClock) -> None:
    dialler, acceptor = meet(terms(clock), terms(clock))
    dialler.connection.close()
    acceptor.part(RefusedError("because"))
    acceptor.part(RefusedError("because"))


FAR = (socket.AF_INET, ("192.0.2.1", 5_555))


def test_this_machine_s_nodes_need_no_secret(clock: ManualClock) -> None:
    assert terms(clock).refusal(socket.AF_INET, ("127.0.0.1", 1)) is None
    assert terms(clock).refusal(socket.AF_UNIX, "/x") is None


def test_another_machine_is_refused_with_what_to_do_about_it(clock: ManualClock) -> None:
    refusal = terms(clock).refusal(*FAR)
    assert refusal is not None
    assert all(word in refusal for word in ("192.0.2.1:5555", "secret=", "tls", "insecure=True"))


def test_a_secret_or_tls_or_recklessness_lifts_that(clock: ManualClock, ours: TLS) -> None:
    assert terms(clock, secrets=(b"secret",)).refusal(*FAR) is None
    assert terms(clock, contexts=read_tls(ours)).refusal(*FAR) is None
    assert terms(clock, insecure=True).refusal(*FAR) is None
