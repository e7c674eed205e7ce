"""Values as pickles: for an application that asks for it, and only if a secret of its own has signed them.

A pickle runs code where it is read. So one that comes from another node is looked at only after its signature. This
file must not know who keeps a value, and nothing else in the package imports pickle.
"""

import hmac
import pickle
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from lru_cache.codecs import Codec

Secret = str | bytes


class Pickled:
    """A value as a pickle, which nobody can change. Made in this process, or read with a signature that is right."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @classmethod
    def of(cls, value: Any) -> "Pickled":
        """Raise whatever `pickle` does for what it refuses."""
        return cls(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))

    def value(self) -> Any:
        """Make one of one's own."""
        return pickle.loads(self.data)  # noqa: S301 - of this process, or signed by our secret


def _signature(data: bytes, secret: Secret, name: str) -> bytes:
    """By a key made of the name, too: what was signed for another purpose, with the same secret, is worth nothing."""
    key = sha256(name.encode() + (secret.encode() if isinstance(secret, str) else secret)).digest()
    return hmac.digest(key, data, "sha256")


def codec(name: str, secrets: Callable[[], Sequence[Secret]], what: str) -> Codec[Pickled]:
    """For caches that pickle: each value is signed where it is told, and verified where it is read.

    `secrets` gives the one that signs, and behind it those that are taken, too; `what` is what users call it.
    """

    def signed(value: Pickled) -> list[bytes]:
        return [_signature(value.data, secrets()[0], name), value.data]

    def verified(data: Any) -> Pickled:
        if type(data) is not list or [type(each) for each in data] != [bytes, bytes]:
            raise ValueError("it is no pickle with a signature")
        signature, pickled = data
        if not any(hmac.compare_digest(signature, _signature(pickled, secret, name)) for secret in secrets()):
            raise ValueError(f"it was not signed by this {what}")
        return Pickled(pickled)

    return Codec(Pickled, name, signed, verified)
