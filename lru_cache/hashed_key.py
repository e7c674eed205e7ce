"""A key of a memoized call, where its members hash slowly. It must not know what calls or caches are."""

from typing import Any


class HashedKey(tuple[Any, ...]):
    """A tuple whose hash is costly, and kept: a miss needs it half a dozen times."""

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            self._hash: int = super().__hash__()
            return self._hash
