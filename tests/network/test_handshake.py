"""The handshake, without sockets: who is let in, who is not and in which words, whatever bytes come."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb, unpackb

from lru_cache import ProtocolError
from lru_cache.network.handshake import (
    FRAME_LIMIT_BYTES,
    LONGEST_NAME_CHARACTERS,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    Handshake,
    Hello,
    RefusedError,
    Side,
)
from lru_cache.replication import Goodbye, messages

NODES = {Side.DIALLER: b"dialler.", Side.ACCEPTOR: b"acceptor"}
Judge = Callable[[Hello, float, float], str | None]


def hello(side: Side, **fields: Any) -> Hello:
    usual = Hello(PROTOCOL_VERSION, "default", NODES[side], "here", "both", 10, 5 << 16, 100, 3600, False, b"")
    return usual._replace(**fields)


def one(
    side: Side, secrets: Sequence[bytes] = (), judge: Judge = lambda *_: None, at: float = 0.0, **fields: Any
) -> Handshake:
    return Handshake(side, lambda: hello(side, **fields), secrets, judge)


def both(secrets: Sequence[bytes] = (), other: Sequence[bytes] | None = None) -> tuple[Handshake, Handshake]:
    return one(Side.DIALLER, secrets), one(Side.ACCEPTOR, secrets if other is None else other)


def carry(dialler: Handshake, acceptor: Handshake, step: float = 0.0) -> list[bytes]:
    """Carry what each says to the other until neither says more. All of it, in order; the clock goes on by `step`."""
    now, said = 0.0, []
    waiting = [(acceptor, body) for body in dialler.begin(now)] + [(dialler, body) for body in acceptor.begin(now)]
    while waiting:
        to, body = waiting.pop(0)
        said.append(body)
        now += step
        other = dialler if to is acceptor else acceptor
        waiting += [(other, answer) for answer in to.receive(body, now)]
    return said


# -- when all is well --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secrets", [(), (b"secret",)])
def test_two_of_one_cluster_and_secret_come_to_an_end(secrets: Sequence[bytes]) -> None:
    dialler, acceptor = both(secrets)
    carry(dialler, acceptor)
    assert dialler.done
    assert acceptor.done


def test_each_learns_who_the_other_is() -> None:
    dialler, acceptor = one(Side.DIALLER, region="Bergen", role="client"), one(Side.ACCEPTOR, capacity=77)
    carry(dialler, acceptor)
    assert dialler.peer == acceptor.hello
    assert acceptor.peer == dialler.hello


def test_the_acceptor_is_silent_until_it_was_spoken_to() -> None:
    assert one(Side.ACCEPTOR).begin(0.0) == []


def test_who_accepts_says_nothing_made_with_the_secret_before_the_dialler_has_proved_that_it_has_it() -> None:
    dialler, acceptor = both((b"secret",))
    (first,) = dialler.begin(0.0)
    answers = acceptor.receive(first, 0.0)
    assert [unpackb(answer)[0] for answer in answers] == [0]
    assert acceptor.sealing is None


def test_half_the_round_trip_is_half_of_what_an_answer_takes() -> None:
    dialler, acceptor = both()
    carry(dialler, acceptor, step=0.1)
    assert (dialler.half_trip, acceptor.half_trip) == (pytest.approx(0.1), pytest.approx(0.1))


def test_every_handshake_has_a_nonce_of_its_own() -> None:
    nonces = set()
    for _ in range(10):
        dialler, acceptor = both()
        carry(dialler, acceptor)
        nonces |= {dialler.hello.nonce, acceptor.hello.nonce}
    assert len(nonces) == 20
    assert {len(nonce) for nonce in nonces} == {NONCE_BYTES}


def test_a_hello_is_made_when_it_is_sent() -> None:
    """It tells the time; a TLS handshake before it takes two round trips."""
    asked: list[Side] = []

    def introduce(side: Side) -> Hello:
        asked.append(side)
        return hello(side)

    dialler = Handshake(Side.DIALLER, lambda: introduce(Side.DIALLER), (), lambda *_: None)
    acceptor = Handshake(Side.ACCEPTOR, lambda: introduce(Side.ACCEPTOR), (), lambda *_: None)
    acceptor.begin(0.0)
    assert asked == []
    (first,) = dialler.begin(0.0)
    assert asked == [Side.DIALLER]
    acceptor.receive(first, 0.0)
    assert asked == [Side.DIALLER, Side.ACCEPTOR]


def test_every_frame_is_within_the_limit_also_with_the_longest_names() -> None:
    name = "\U00020000" * LONGEST_NAME_CHARACTERS
    dialler = one(Side.DIALLER, (b"s",), cluster=name, region=name)
    acceptor = one(Side.ACCEPTOR, (b"s",), cluster=name, region=name)
    assert max(map(len, carry(dialler, acceptor))) <= FRAME_LIMIT_BYTES


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
def test_what_one_seals_the_other_opens(side: Side) -> None:
    ends = dict(zip((Side.DIALLER, Side.ACCEPTOR), both((b"secret",)), strict=True))
    carry(ends[Side.DIALLER], ends[Side.ACCEPTOR])
    sealing, opening = ends[side].sealing, ends[side.other].opening
    assert sealing is not None
    assert opening is not None
    assert opening.open(sealing.close(b"body")) == b"body"


def test_without_a_secret_nothing_is_sealed() -> None:
    dialler, acceptor = both()
    carry(dialler, acceptor)
    assert (dialler.sealing, dialler.opening, acceptor.sealing, acceptor.opening) == (None,) * 4


@pytest.mark.parametrize(
    ("dialler", "acceptor"),
    [((b"old", b"new"), (b"old",)), ((b"new", b"old"), (b"old", b"new")), ((b"new",), (b"new", b"old"))],
)
def test_secrets_rotate_without_a_gap(dialler: Sequence[bytes], acceptor: Sequence[bytes]) -> None:
    """The first signs, all verify: a node at each step of a rotation talks to one a step behind or ahead."""
    for one_side, other in ((dialler, acceptor), (acceptor, dialler)):
        ends = both(one_side, other)
        carry(*ends)
        assert ends[0].opening is not None
        assert ends[1].sealing is not None
        assert ends[0].opening.open(ends[1].sealing.close(b"body")) == b"body"


def test_another_secret_is_refused_before_anything_is_proved_to_it() -> None:
    dialler, acceptor = both((b"one",), (b"other",))
    with pytest.raises(RefusedError, match="its secret is not ours"):
        carry(dialler, acceptor)
    assert not acceptor.done
    assert acceptor.sealing is None


@pytest.mark.parametrize(("secrets", "other"), [((b"secret",), ()), ((), (b"secret",))])
def test_a_secret_at_one_end_only_is_refused_in_words_that_say_what_to_do(
    secrets: Sequence[bytes], other: Sequence[bytes]
) -> None:
    with pytest.raises(RefusedError, match="only one side has a secret: give the other one the same"):
        carry(*both(secrets, other))


def test_who_claims_to_have_no_secret_is_not_let_in_by_an_empty_proof() -> None:
    """Nor who claims to have one and proves nothing."""
    stranger, acceptor = one(Side.DIALLER), one(Side.ACCEPTOR, (b"secret",))
    (first,) = stranger.begin(0.0)
    fields = unpackb(first)
    fields[10] = True
    acceptor.receive(packb(fields), 0.0)
    with pytest.raises(RefusedError):
        acceptor.receive(packb([1, b"", 0]), 0.0)
    assert not acceptor.done


def test_the_time_in_a_proof_cannot_be_changed_on_its_way() -> None:
    dialler, acceptor = both((b"secret",))
    (first,) = dialler.begin(0.0)
    (answer,) = acceptor.receive(first, 0.0)
    (proof,) = dialler.receive(answer, 0.0)
    kind, said, present = unpackb(proof)
    with pytest.raises(RefusedError, match="secret"):
        acceptor.receive(packb([kind, said, present + 1]), 0.0)


def test_a_recorded_handshake_proves_nothing_when_it_is_replayed() -> None:
    dialler, acceptor = both((b"secret",))
    first, _, proof, _ = carry(dialler, acceptor)
    again = one(Side.ACCEPTOR, (b"secret",))
    again.receive(first, 0.0)
    with pytest.raises(RefusedError, match="secret"):
        again.receive(proof, 0.0)


def test_a_recorded_acceptor_proves_nothing_to_the_next_dialler() -> None:
    dialler, acceptor = both((b"secret",))
    _, answer, _, proof = carry(dialler, acceptor)
    again = one(Side.DIALLER, (b"secret",))
    again.begin(0.0)
    again.receive(answer, 0.0)
    with pytest.raises(RefusedError, match="secret"):
        again.receive(proof, 0.0)


@pytest.mark.parametrize("secrets", [(), (b"secret",)])
def test_a_hello_that_is_sent_back_is_refused(secrets: Sequence[bytes]) -> None:
    dialler = one(Side.DIALLER, secrets)
    (first,) = dialler.begin(0.0)
    with pytest.raises(RefusedError, match="our own hello"):
        dialler.receive(first, 0.0)


def test_a_proof_that_is_sent_back_with_another_hello_is_refused() -> None:
    dialler = one(Side.DIALLER, (b"secret",))
    (first,) = dialler.begin(0.0)
    fields = unpackb(first)
    fields[11] = os.urandom(NONCE_BYTES)
    (proof,) = dialler.receive(packb(fields), 0.0)
    with pytest.raises(RefusedError, match="secret"):
        dialler.receive(proof, 0.0)


def test_two_acceptors_cannot_be_made_to_prove_to_each_other() -> None:
    """Who sits between them and passes on what each says: neither says anything but its hello."""
    one_side, other = one(Side.ACCEPTOR, (b"secret",)), one(Side.ACCEPTOR, (b"secret",))
    stranger = one(Side.DIALLER)
    fields = unpackb(stranger.begin(0.0)[0])
    fields[10] = True
    (answer,) = one_side.receive(packb(fields), 0.0)
    (second,) = other.receive(answer, 0.0)
    with pytest.raises(ProtocolError):
        one_side.receive(second, 0.0)


@pytest.mark.parametrize("index", range(1, 12))
def test_a_hello_that_was_changed_on_its_way_fails_the_proof(index: int) -> None:
    dialler, acceptor = both((b"secret",))
    fields = unpackb(dialler.begin(0.0)[0])
    if isinstance(fields[index], bool):
        fields.append("a field of the future")
    elif isinstance(fields[index], int):
        fields[index] += 1
    else:
        fields[index] = fields[index][::-1]
    with pytest.raises(RefusedError):  # noqa: PT012 - whichever of these notices
        for answer in acceptor.receive(packb(fields), 0.0):
            for proof in dialler.receive(answer, 0.0):
                acceptor.receive(proof, 0.0)
    assert not acceptor.done


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_another_cluster_is_refused_and_both_are_named() -> None:
    with pytest.raises(RefusedError, match="different clusters: 'default' here, 'other' there"):
        carry(one(Side.DIALLER, cluster="other"), one(Side.ACCEPTOR))


def test_another_version_is_refused_whatever_else_it_says() -> None:
    acceptor = one(Side.ACCEPTOR)
    with pytest.raises(RefusedError, match="different versions of the protocol: 2 here, 1 there"):
        acceptor.receive(packb([0, 1, "something", "else"]), 0.0)


def test_a_refusal_says_what_to_send_and_the_peer_raises_the_same_reason() -> None:
    dialler, acceptor = one(Side.DIALLER, cluster="other"), one(Side.ACCEPTOR)
    with pytest.raises(RefusedError) as caught:
        acceptor.receive(dialler.begin(0.0)[0], 0.0)
    with pytest.raises(RefusedError, match="it refused us: different clusters") as told:
        dialler.receive(caught.value.parting, 0.0)
    assert told.value.by_peer
    assert told.value.parting == b"", "who was refused has nothing to answer"


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("secrets", [(), (b"secret",)])
def test_a_peer_whose_clock_is_wrong_is_refused_by_who_notices(side: Side, secrets: Sequence[bytes]) -> None:
    ends = {
        each: one(each, secrets, (lambda *_: "its clock is off") if each is side else lambda *_: None) for each in Side
    }
    with pytest.raises(RefusedError, match="its clock is off"):
        carry(ends[Side.DIALLER], ends[Side.ACCEPTOR])
    assert not ends[side].done


@pytest.mark.parametrize("side", Side)
def test_the_judge_is_told_the_middle_of_the_round_trip_and_half_of_it(side: Side) -> None:
    asked: list[tuple[Hello, float, float]] = []

    def judge(peer: Hello, half_trip: float, told_at: float) -> None:
        asked.append((peer, half_trip, told_at))

    ends = {each: one(each, (), judge if each is side else lambda *_: None) for each in Side}
    carry(ends[Side.DIALLER], ends[Side.ACCEPTOR], step=0.1)
    ((peer, half_trip, told_at),) = asked
    assert peer == ends[side.other].hello
    assert (half_trip, told_at) == (pytest.approx(0.1), pytest.approx(0.1 if side is Side.DIALLER else 0.2))


def test_a_hello_that_waited_for_long_is_not_taken_for_a_clock_that_is_behind() -> None:
    """In the queue of an acceptor that was stopped, say: the dialler's proof tells the time once more."""
    presents = iter([100, 250])
    asked: list[int] = []
    hello = one(Side.DIALLER)._introduce()
    dialler = Handshake(Side.DIALLER, lambda: hello._replace(present=next(presents)), (), lambda *_: None)
    acceptor = one(Side.ACCEPTOR, (), lambda peer, *_: asked.append(peer.present))
    carry(dialler, acceptor)
    assert asked == [250]


def test_a_goodbye_is_heard_in_every_state() -> None:
    parting = messages.encode(Goodbye("we are full"))
    dialler, acceptor = both()
    for end in (dialler, acceptor):
        end.begin(0.0)
        with pytest.raises(RefusedError, match="it refused us: we are full"):
            end.receive(parting, 0.0)


def test_a_stranger_s_reason_is_one_line_of_the_log() -> None:
    parting = messages.encode(Goodbye("bye\nCRITICAL all is lost\x1b[2J\u2028"))
    with pytest.raises(RefusedError) as caught:
        one(Side.ACCEPTOR).receive(parting, 0.0)
    assert str(caught.value).isprintable()


# -- bytes from strangers ----------------------------------------------------------------------------------------------


def hello_fields(**fields: Any) -> list[Any]:
    return [0, *hello(Side.DIALLER, nonce=bytes(NONCE_BYTES))._replace(**fields)]


@pytest.mark.parametrize(
    "fields",
    [
        {"cluster": b"default"},
        {"cluster": 5},
        {"node": "dialler."},
        {"node": b"short"},
        {"node": b"longer than eight"},
        {"region": None},
        {"region": "x" * (LONGEST_NAME_CHARACTERS + 1)},
        {"region": "two\nlines"},
        {"role": "\x1b[31m"},
        {"role": 1},
        {"capacity": 0},
        {"capacity": -1},
        {"capacity": True},
        {"capacity": 1.5},
        {"capacity": 1 << 63},
        {"present": -1},
        {"present": None},
        {"value_bytes": 0},
        {"silence_ms": 0},
        {"signed": 1},
        {"nonce": b""},
        {"nonce": bytes(NONCE_BYTES + 1)},
    ],
)
def test_an_odd_field_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="its hello"):
        one(Side.ACCEPTOR).receive(packb(hello_fields(**fields)), 0.0)


@pytest.mark.parametrize("length", range(12))
def test_a_hello_that_lacks_fields_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError):
        one(Side.ACCEPTOR).receive(packb(hello_fields()[:length]), 0.0)


def test_fields_of_the_future_are_passed_over() -> None:
    acceptor = one(Side.ACCEPTOR)
    acceptor.receive(packb([*hello_fields(), "new", {"a": 1}]), 0.0)
    assert acceptor.peer is not None


@pytest.mark.parametrize("items", [[1], [1, None], [1, "text"], [0, b""], [2, b""], [], {}, 5, None])
def test_what_is_no_proof_is_refused(items: Any) -> None:
    acceptor = one(Side.ACCEPTOR)
    acceptor.receive(packb(hello_fields()), 0.0)
    with pytest.raises(ProtocolError):
        acceptor.receive(packb(items), 0.0)


@pytest.mark.parametrize("message", [messages.Ping(1), messages.Seen(True, {}), []])
def test_a_message_of_a_link_is_refused_before_the_end_of_the_handshake(message: Any) -> None:
    for met in (False, True):
        acceptor = one(Side.ACCEPTOR)
        if met:
            acceptor.receive(packb(hello_fields()), 0.0)
        with pytest.raises(ProtocolError):
            acceptor.receive(messages.encode(message), 0.0)


# Nested deeper than Python's stack, claims of 4 GB, and whatever else hides in few bytes.
BOMBS = [
    b"\x91" * 4096,
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\x92\x00" * 2000,
    b"",
]
atoms = (
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=9) | st.binary(max_size=40)
)
anything = atoms | st.lists(atoms, max_size=3) | st.dictionaries(st.integers(0, 9), atoms, max_size=3)


def replaced(change: tuple[int, Any]) -> bytes:
    index, item = change
    return bytes(packb([*hello_fields()[:index], item, *hello_fields()[index + 1 :]]))


bodies = (
    st.binary(max_size=200)
    | st.lists(anything, max_size=3).map(packb)
    | st.tuples(st.sampled_from([0, 1, 2, 7]), anything).map(packb)
    | st.tuples(st.integers(0, 12), anything).map(replaced)
    | st.sampled_from(BOMBS)
)


@given(st.sampled_from(Side), st.sampled_from([(), (b"secret",)]), st.lists(bodies, max_size=3))
def test_nothing_but_a_protocol_error_escapes(side: Side, secrets: Sequence[bytes], said: list[bytes]) -> None:
    end = one(side, secrets)
    end.begin(0.0)
    try:
        for body in said:
            if end.done:
                break
            end.receive(body, 0.0)
    except ProtocolError:
        pass
    assert not (end.done and secrets)


@given(cut=st.integers(0, 400), flipped=st.integers(0, 400 * 8), which=st.integers(0, 3))
def test_a_handshake_that_was_cut_or_changed_anywhere_lets_nobody_in(cut: int, flipped: int, which: int) -> None:
    """Every bit of every frame is covered by a proof."""
    dialler, acceptor = both((b"secret",))
    now, number = 0.0, 0
    waiting = [(acceptor, body) for body in dialler.begin(now)]
    changed = False
    try:
        while waiting:
            to, body = waiting.pop(0)
            if number == which:
                wrong = bytearray(body if cut % 2 else body[: cut % len(body)])
                if wrong and cut % 2:
                    wrong[flipped // 8 % len(wrong)] ^= 1 << flipped % 8
                changed, body = bytes(wrong) != body, bytes(wrong)
            number += 1
            other = dialler if to is acceptor else acceptor
            waiting += [(other, answer) for answer in to.receive(body, now)]
    except ProtocolError:
        pass
    assert changed
    assert not (dialler.done and acceptor.done)
