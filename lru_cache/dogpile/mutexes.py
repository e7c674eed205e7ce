"""One lock for each key in a process, as long as somebody has it. This file must not know caches."""

import os
import threading
from weakref import WeakValueDictionary


class Mutex:
    """What dogpile asks of one. It may be released by another thread than has acquired it: a refresh is."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def acquire(self, wait: bool = True) -> bool:
        """Have it, or say that it is somebody else's."""
        return self._lock.acquire(wait)

    def release(self) -> None:
        """Let others have it."""
        self._lock.release()

    def locked(self) -> bool:
        """Say whether somebody has it."""
        return self._lock.locked()


_mutexes: WeakValueDictionary[tuple[int, str], Mutex] = WeakValueDictionary()
_lock = threading.Lock()  # of two who ask for a key at once, both get the same


def mutex_of(owner: object, key: str) -> Mutex:
    """That of this key of this owner, which is made if nobody has it now."""
    with _lock:
        return _mutexes.setdefault((id(owner), key), Mutex())


def _after_fork_in_child() -> None:
    """Who held a mutex is not here, so nobody does."""
    global _lock, _mutexes
    _lock, _mutexes = threading.Lock(), WeakValueDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
