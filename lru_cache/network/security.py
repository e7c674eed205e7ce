"""Who may talk to us: shared secrets, certificates, and seals on what is said.

This file must not know messages beyond their bytes, nor sockets beyond the contexts that wrap them.

A secret authenticates and does not encrypt; TLS does both. The authority is the cluster's own: a certificate that it
signed makes a member, whatever name is on it.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lru_cache.errors import ProtocolError
from lru_cache.log import logger

if TYPE_CHECKING:
    import ssl

SECRET_VARIABLE = "LRU_CACHE_SECRET"  # noqa: S105 - where the secret is, not what it is
SHORT_SECRET_BYTES = 16
SEAL_BYTES = 16
KEY_BYTES = 32
HASH_BLOCK_BYTES = 64  # of SHA-256
HASHED_AT_ONCE_BYTES = 2_047  # hashlib lets go of the interpreter lock from 2,048 on
HASHED_QUICKLY_BYTES = 65_536  # within a tenth of a millisecond; for more it should let go
_XOR_36, _XOR_5C = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))

Secret = str | bytes | Sequence[str | bytes]


class TLS(NamedTuple):
    """Paths of PEM files: this node's certificate, its key, and the authority that signed those of all nodes."""

    certificate: str
    key: str
    authority: str


class Contexts(NamedTuple):
    """What wraps the sockets that we accepted, and those that we dialled."""

    server: "ssl.SSLContext"
    client: "ssl.SSLContext"


def read_secret(value: "Secret | None") -> tuple[bytes, ...]:
    """Read the argument, or the environment's where there is none. The first signs, all of them verify."""
    if value is None:
        value = os.environ.get(SECRET_VARIABLE) or ()
    elif not isinstance(value, Sequence):
        raise TypeError(f"secret must be str or bytes, or a sequence of them, not {type(value).__name__}")
    elif not value:
        raise ValueError("secret must not be empty; leave it out to have none")
    given = [value] if isinstance(value, str | bytes) else list(value)
    secrets = []
    for secret in given:
        if not isinstance(secret, str | bytes):
            raise TypeError(f"secret must be str or bytes, or a sequence of them, not {type(secret).__name__}")
        if not secret:
            raise ValueError("secret must not be empty; leave it out to have none")
        # An environment's bytes that are no UTF-8 are surrogates in a str.
        secrets.append(secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret)
    if any(len(secret) < SHORT_SECRET_BYTES for secret in secrets):
        logger().warning(
            "a secret of less than %d bytes can be guessed; make one with: "
            'python -c "import secrets; print(secrets.token_urlsafe(32))"',
            SHORT_SECRET_BYTES,
        )
    return tuple(secrets)


def read_tls(value: Any) -> Contexts | None:
    """Read the argument: certificate, key and authority, as a `TLS`, three paths in this order, or a mapping."""
    if value is None:
        return None
    import ssl

    files = _files(value)
    contexts = Contexts(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    for context in contexts:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False  # the authority signs for this cluster alone: its signature is membership
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(files.certificate, files.key)
        except (OSError, ValueError) as error:
            raise ValueError(f"tls: cannot use certificate {files.certificate} with key {files.key}: {error}") from None
        try:
            context.load_verify_locations(files.authority)
        except (OSError, ValueError) as error:
            raise ValueError(f"tls: cannot use authority {files.authority}: {error}") from None
    return contexts


def _files(value: Any) -> TLS:
    if isinstance(value, dict) and set(value) == set(TLS._fields):
        value = TLS(**value)
    if isinstance(value, str | bytes) or not isinstance(value, Sequence) or len(value) != len(TLS._fields):
        raise TypeError("tls must be TLS(certificate=..., key=..., authority=...): the paths of three PEM files")
    if not all(isinstance(path, str | os.PathLike) for path in value):
        raise TypeError("tls must be three paths, each a str or a path object")
    return TLS(*(os.fspath(path) for path in value))


# -- proofs and keys ---------------------------------------------------------------------------------------------------


def proof(secret: bytes, side: str, transcript: bytes) -> bytes:
    """What only who has the secret can say about this handshake, in this role."""
    return hmac.digest(secret, f"cf_LRU_cache 1 proof {side}\0".encode() + transcript, "sha256")


def find_secret(secrets: Sequence[bytes], side: str, transcript: bytes, said: bytes) -> bytes | None:
    """The secret that this proof was made with, if it is one of ours."""
    found = None
    for secret in secrets:  # all of them, so that the time taken does not tell which it was
        if hmac.compare_digest(proof(secret, side, transcript), said):
            found = secret
    return found


class Seal:
    """Seals the bodies of one direction, or checks them: a MAC over a counter and the body, in the order of sending.

    The counter makes a body that is left out, sent twice or moved as wrong as one that was changed.
    """

    def __init__(self, secret: bytes, side: str, transcript: bytes) -> None:
        self._key = key = hmac.digest(secret, f"cf_LRU_cache 1 key {side}\0".encode() + transcript, "sha256")
        # HMAC by its definition. `hmac.digest` takes twice as long and lets go of the interpreter lock each time, after
        # which another busy thread keeps it for 5 ms; hashlib does so for longer pieces than the ones below.
        self._inner = hashlib.sha256(key.ljust(HASH_BLOCK_BYTES, b"\0").translate(_XOR_36))
        self._outer = hashlib.sha256(key.ljust(HASH_BLOCK_BYTES, b"\0").translate(_XOR_5C))
        self._count = 0

    def close(self, body: bytes) -> bytes:
        """The body with its seal behind it."""
        return body + self._mac(body)

    def open(self, sealed: bytes) -> bytes:
        """The body, once its seal was checked."""
        body = sealed[:-SEAL_BYTES]
        if not hmac.compare_digest(self._mac(body), sealed[-SEAL_BYTES:]):
            raise ProtocolError("a frame's seal does not match: it was changed on its way")
        return body

    def _mac(self, body: bytes) -> bytes:
        count = self._count
        self._count = count + 1
        inner, outer = self._inner.copy(), self._outer.copy()
        if len(body) <= HASHED_AT_ONCE_BYTES - 8:  # most are: in one piece with the counter
            inner.update(count.to_bytes(8, "big") + body)
        else:
            inner.update(count.to_bytes(8, "big"))
            piece = HASHED_AT_ONCE_BYTES if len(body) <= HASHED_QUICKLY_BYTES else len(body)
            for start in range(0, len(body), piece):
                inner.update(body[start : start + piece])
        outer.update(inner.digest())
        return outer.digest()[:SEAL_BYTES]


class RecordSeals:
    """Seals the records of one log, or checks them: a MAC over the content, for this cluster and this log only.

    A record may be read again, or given back by others, so it has no counter. The first secret seals, all verify.
    """

    def __init__(self, secrets: Sequence[bytes], cluster: str, stream: str) -> None:
        names = [name.encode("utf-8", "surrogateescape") for name in (cluster, stream)]
        place = b"".join([len(name).to_bytes(4, "big") + name for name in names])
        self._keys = [hmac.digest(secret, b"cf_LRU_cache 1 log\0" + place, "sha256") for secret in secrets]

    def close(self, content: bytes) -> bytes:
        """The content with its seal behind it."""
        return content + hmac.digest(self._keys[0], content, "sha256")[:SEAL_BYTES]

    def open(self, sealed: bytes) -> bytes | None:
        """The content, or None if the seal is none of ours."""
        content, seal = sealed[:-SEAL_BYTES], sealed[-SEAL_BYTES:]
        found = [hmac.compare_digest(hmac.digest(key, content, "sha256")[:SEAL_BYTES], seal) for key in self._keys]
        return content if any(found) else None
