"""Values as pickles: for an application that asks for it, and only if its own SECRET_KEY has signed them.

A pickle runs code where it is read. So one that comes from another node is looked at only after its signature. This
file must not know who keeps a value, and nothing else in the package imports pickle.
"""

import pickle
from typing import Any

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from lru_cache.codecs import Codec

_SALT = "lru_cache.django.pickled"


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
        return pickle.loads(self.data)  # noqa: S301 - of this process, or signed by our SECRET_KEY


def _signature(data: bytes, key: str | bytes) -> bytes:
    signed: bytes = salted_hmac(_SALT, data, secret=key, algorithm="sha256").digest()
    return signed


def _signed(value: Pickled) -> list[bytes]:
    return [_signature(value.data, settings.SECRET_KEY), value.data]


def _verified(data: Any) -> Pickled:
    if type(data) is not list or [type(each) for each in data] != [bytes, bytes]:
        raise ValueError("it is no pickle with a signature")
    signature, pickled = data
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if not any(constant_time_compare(signature, _signature(pickled, key)) for key in keys):
        raise ValueError("it was not signed by this SECRET_KEY")
    return Pickled(pickled)


def codec() -> Codec[Pickled]:
    """For caches that pickle: each value is signed where it is told, and verified where it is read."""
    return Codec(Pickled, "lru_cache.django.pickled", _signed, _verified)
