"""The errors of this library's own, and whom each of them blames.

Plain misuse raises Python's own `TypeError`, `ValueError` and `KeyError`, and what a loader raises reaches its
callers as it is; neither appears here. This file must not import anything.
"""


class LRUCacheError(Exception):
    """The root of what this library raises by itself."""


class RecursiveLoadError(LRUCacheError, RuntimeError):
    """You: a loader asked, directly or through others, for the key that it is loading; waiting would never end."""


class AddressError(LRUCacheError, OSError):
    """You or the machine: an address that cannot be understood, or cannot be bound."""


class ProtocolError(LRUCacheError):
    """The peer: it sent what the protocol does not allow. Ends the link, never the service."""
