"""Secrets, seals and certificates."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from lru_cache import TLS, ProtocolError
from lru_cache.network.security import SEAL_BYTES, Seal, find_secret, proof, read_secret, read_tls

LONG = "a secret of more than sixteen bytes"
OTHER = "another secret of more than sixteen bytes"


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_secret_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRU_CACHE_SECRET", raising=False)


def test_there_may_be_none() -> None:
    assert read_secret(None) == ()


def test_text_and_bytes_are_the_same_secret() -> None:
    assert read_secret(LONG) == read_secret(LONG.encode()) == read_secret([LONG]) == (LONG.encode(),)


def test_several_keep_their_order() -> None:
    assert read_secret((LONG, OTHER.encode())) == (LONG.encode(), OTHER.encode())


def test_the_environment_has_it_where_there_is_no_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_SECRET", OTHER)
    assert read_secret(None) == (OTHER.encode(),)
    assert read_secret(LONG) == (LONG.encode(),)


def test_an_empty_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_SECRET", "")
    assert read_secret(None) == ()


def test_bytes_in_the_environment_that_are_no_text_are_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_SECRET", (b"\xff" * 32).decode("utf-8", "surrogateescape"))
    assert read_secret(None) == (b"\xff" * 32,)


@pytest.mark.parametrize("value", ["", b"", [], (), [LONG, ""]])
def test_an_empty_secret_is_refused(value: Any) -> None:
    """Whoever configured one meant to be safe."""
    with pytest.raises(ValueError, match="secret must not be empty"):
        read_secret(value)


@pytest.mark.parametrize("value", [5, True, 0, object(), {LONG}, {LONG: 1}, [5], [None], [LONG, 5]])
def test_a_secret_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="secret must be str or bytes, or a sequence"):
        read_secret(value)


@pytest.mark.parametrize(("value", "warns"), [("x" * 15, True), ("x" * 16, False), ([LONG, "short"], True)])
def test_a_short_secret_warns_and_says_how_to_make_one(
    value: Any, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    read_secret(value)
    assert bool(caplog.messages) is warns
    assert all("token_urlsafe" in line for line in caplog.messages)


def test_a_secret_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    read_secret("hunter2")
    assert "hunter2" not in caplog.text


# -- proofs ------------------------------------------------------------------------------------------------------------


def test_a_proof_is_found_by_its_secret_among_several() -> None:
    said = proof(b"two", "dialler", b"transcript")
    assert find_secret((b"one", b"two", b"three"), "dialler", b"transcript", said) == b"two"


@pytest.mark.parametrize(
    ("secret", "side", "transcript"),
    [(b"two", "dialler", b"transcript"), (b"one", "acceptor", b"transcript"), (b"one", "dialler", b"another")],
)
def test_a_proof_is_bound_to_secret_side_and_handshake(secret: bytes, side: str, transcript: bytes) -> None:
    assert find_secret((b"one",), "dialler", b"transcript", proof(secret, side, transcript)) is None


@pytest.mark.parametrize("said", [b"", b"x", b"x" * 32, b"x" * 4000])
def test_a_proof_of_any_length_is_only_wrong(said: bytes) -> None:
    assert find_secret((b"one",), "dialler", b"transcript", said) is None


# -- seals -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def seals() -> tuple[Seal, Seal]:
    return Seal(b"secret", "dialler", b"transcript"), Seal(b"secret", "dialler", b"transcript")


def test_what_is_sealed_is_opened_in_its_order(seals: tuple[Seal, Seal]) -> None:
    sealing, opening = seals
    bodies = [b"a", b"", b"a", bytes(10_000)]
    assert [opening.open(sealed) for sealed in map(sealing.close, bodies)] == bodies


@pytest.mark.parametrize("index", [0, 1, 2, -1, -SEAL_BYTES])
def test_one_changed_bit_is_noticed(seals: tuple[Seal, Seal], index: int) -> None:
    sealed = bytearray(seals[0].close(b"abc"))
    sealed[index] ^= 1
    with pytest.raises(ProtocolError, match="seal does not match"):
        seals[1].open(bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"x", b"x" * SEAL_BYTES])
def test_what_is_too_short_for_a_seal_is_refused(seals: tuple[Seal, Seal], sealed: bytes) -> None:
    with pytest.raises(ProtocolError):
        seals[1].open(sealed)


def test_a_body_sent_twice_is_noticed(seals: tuple[Seal, Seal]) -> None:
    sealed = seals[0].close(b"invalidate a")
    seals[1].open(sealed)
    with pytest.raises(ProtocolError):
        seals[1].open(sealed)


def test_a_body_left_out_is_noticed(seals: tuple[Seal, Seal]) -> None:
    seals[0].close(b"invalidate a")
    with pytest.raises(ProtocolError):
        seals[1].open(seals[0].close(b"set a"))


@pytest.mark.parametrize(
    "other", [Seal(b"other", "dialler", b"t"), Seal(b"secret", "acceptor", b"t"), Seal(b"secret", "dialler", b"u")]
)
def test_each_direction_of_each_link_has_a_key_of_its_own(other: Seal) -> None:
    """So what was sent one way cannot be sent back, nor what was sent on one link be replayed on the next."""
    assert other.close(b"abc") != Seal(b"secret", "dialler", b"t").close(b"abc")


# -- certificates ------------------------------------------------------------------------------------------------------


def test_there_may_be_no_tls() -> None:
    assert read_tls(None) is None


@pytest.mark.parametrize("form", [lambda tls: tls, tuple, list, lambda tls: tls._asdict(), lambda t: [*map(Path, t)]])
def test_every_form_is_read(ours: TLS, form: Any) -> None:
    assert read_tls(form(ours)) is not None


def test_both_sides_ask_for_a_certificate_of_the_authority_whatever_its_name(ours: TLS) -> None:
    contexts = read_tls(ours)
    assert contexts is not None
    for context in contexts:
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert not context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "value", ["node.pem", b"x", 5, True, (), ("a", "b"), ("a", "b", "c", "d"), {"certificate": "a"}, (1, 2, 3)]
)
def test_what_is_no_tls_is_a_type_error_that_names_it(value: Any) -> None:
    with pytest.raises(TypeError, match="tls must be"):
        read_tls(value)


@pytest.mark.parametrize("field", TLS._fields)
@pytest.mark.parametrize("content", [None, "not a certificate"], ids=["absent", "nonsense"])
def test_a_file_that_cannot_be_used_is_named(ours: TLS, field: str, content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=f"tls: cannot use .*{path}"):
        read_tls(ours._replace(**{field: str(path)}))


def test_a_key_of_another_certificate_is_refused(ours: TLS, theirs: TLS) -> None:
    with pytest.raises(ValueError, match="tls: cannot use certificate"):
        read_tls(ours._replace(key=theirs.key))
