"""Fork: every cache's lock is held across it, so that no child begins in the middle of another thread's write.

So is `opening`, which is held where a descriptor is opened and noted, or closed: the interpreter lets other threads run
in between, and a child would have one unknowingly, and keep a port or a connection alive that its parent has let go.
Who has it takes no cache's lock, and does not wait.

Web servers fork their workers, and threads do not come along. This file must not know what a cache does about it.
"""

import itertools
import os
from threading import RLock, get_ident
from typing import Any, Protocol
from weakref import ref

from lru_cache.loading.circles import forget_other_threads

LONGEST_WAIT_SECONDS = 5.0  # for a lock: a thread that has it may be waiting for another one that we hold already


class Forkable(Protocol):
    """What is asked of a cache."""

    _lock: Any

    def _after_fork_in_child(self) -> None: ...


opening = RLock()
_caches: dict[int, "ref[Forkable]"] = {}  # by a number, in the order in which they were made; a mapping has no hash
_numbers = itertools.count()
_held: dict[int, list[Any]] = {}  # thread -> the locks that it holds for the fork that it is making


def watch(cache: Forkable) -> None:
    """From here on this cache is safe to be forked."""
    number = next(_numbers)
    with opening:  # so that none is new to a fork that has all locks
        _caches[number] = ref(cache, lambda _: _caches.pop(number, None))


def _living() -> list[Forkable]:
    return [cache for each in list(_caches.values()) if (cache := each()) is not None]


def _before() -> None:
    held = _held[get_ident()] = []
    known: dict[int, Forkable] = {}
    while True:
        new = [cache for cache in _living() if id(cache) not in known]
        held.extend(cache._lock for cache in new if cache._lock.acquire(timeout=LONGEST_WAIT_SECONDS))
        known.update((id(cache), cache) for cache in new)
        if not opening.acquire(timeout=LONGEST_WAIT_SECONDS):
            return
        if all(id(cache) in known for cache in _living()):
            held.append(opening)
            return
        opening.release()  # others were made while we waited; who has their locks may want this one


def _in_parent() -> None:
    for lock in reversed(_held.pop(get_ident(), [])):
        lock.release()


def _in_child() -> None:
    global opening
    opening = RLock()
    _held.clear()
    forget_other_threads()
    failures: list[Exception] = []
    for cache in _living():
        try:
            cache._after_fork_in_child()
        except Exception as error:  # noqa: BLE001, PERF203 - what is wrong with one cache is no other's fault
            failures.append(error)
    if failures:
        raise failures[0]  # shown by the interpreter, as it shows what is raised in a finalizer: `logging` is not ready


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
