"""Graves in the order of their burial, in chunks: so that no step of ours, also none that tidies up, goes through all.

This file must not know what a grave is for.
"""

try:
    import cython
except ImportError:
    from . import uncompiled as cython

from .version import Version


@cython.no_gc
@cython.freelist(64)
@cython.cclass
class Grave:
    """One key's newest version. What is buried again gets another."""

    __slots__ = ("chunk", "is_open", "key", "version")

    def __init__(self, key: bytes, version: Version) -> None:
        self.key = key
        self.version = version
        self.chunk = 0
        self.is_open = False  # it no longer counts


def grave_of(key: bytes, version: Version) -> Grave:
    """What `Grave(...)` makes, at less cost where this is compiled."""
    grave = Grave.__new__(Grave)
    grave.key = key
    grave.version = version
    grave.chunk = 0
    grave.is_open = False
    return grave


class Chunk:
    """Graves that were buried one after another; some are open."""

    __slots__ = ("graves", "open", "start")

    def __init__(self) -> None:
        self.graves: list[Grave] = []
        self.start = 0  # those before it were popped
        self.open = 0  # of those from there on


class Burials:
    """The order. Every grave in it is known to its owner by its key, too."""

    __slots__ = ("_chunk", "_chunks", "_first", "_last")

    def __init__(self, chunk: int) -> None:
        self._chunk = chunk  # how many graves are in one
        self._chunks: dict[int, Chunk] = {}
        self._first = 0
        self._last = -1  # the number of the chunk that takes the next one

    def add(self, grave: Grave) -> None:
        """It is the latest."""
        chunk = self._chunks.get(self._last)
        if chunk is None or len(chunk.graves) >= self._chunk:
            self._last += 1
            chunk = self._chunks[self._last] = Chunk()
        grave.chunk = self._last
        chunk.graves.append(grave)

    def remove(self, grave: Grave) -> None:
        """It no longer counts."""
        if grave.is_open:
            return
        grave.is_open = True
        chunk = self._chunks[grave.chunk]
        chunk.open += 1
        count = len(chunk.graves) - chunk.start
        if chunk.open == count and grave.chunk != self._last:
            del self._chunks[grave.chunk]
        elif 2 * chunk.open > count and count > 16:
            chunk.graves = [each for each in chunk.graves[chunk.start :] if not each.is_open]
            chunk.start = chunk.open = 0

    def pop_oldest(self) -> Grave:
        """Take out the one that was buried first. There must be one."""
        while True:
            chunk = self._chunks.get(self._first)
            if chunk is None:
                self._first += 1
                continue
            while chunk.start < len(chunk.graves):
                grave = chunk.graves[chunk.start]
                chunk.start += 1
                if not grave.is_open:
                    grave.is_open = True
                    return grave
                chunk.open -= 1
            del self._chunks[self._first]

    def slice(self, number: int) -> tuple[list[Grave], int]:
        """The graves of a chunk, oldest first, and the number of the next chunk, -1 after the last. Begin with 0."""
        number = max(number, self._first)
        while number <= self._last:
            chunk = self._chunks.get(number)
            number += 1
            if chunk is not None:
                return [grave for grave in chunk.graves[chunk.start :] if not grave.is_open], number
        return [], -1
