"""What codecs of frameworks' classes have in common: one that also copies, and what they look at.

This file must not know caches.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lru_cache.codecs import Codec


class CopyingCodec(Codec[Any]):
    """A codec that also knows how to make a copy, quicker than through data: `copy(value, copied)`."""

    __slots__ = ("copy",)

    def __init__(
        self,
        cls: type[Any],
        name: str | None,
        encode: Callable[[Any], Any],
        decode: Callable[[Any], Any],
        copy: Callable[[Any, Callable[[Any], Any]], Any],
    ) -> None:
        super().__init__(cls, name, encode, decode)
        self.copy = copy


def an(kind: type | tuple[type, ...], data: Any) -> Any:
    """What came, if it is of this type, or of one of these; TypeError else."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if type(data) not in kinds:
        raise TypeError(f"it is {type(data).__name__} where it should be {kinds[0].__name__}")
    return data


def members(value: Any) -> Iterator[Any]:
    """A value, or what is in it if it is a container."""
    if isinstance(value, dict):
        found: Iterable[Any] = value.values()
    elif isinstance(value, (list, tuple, set, frozenset)):
        found = value
    else:
        yield value
        return
    for member in found:
        yield from members(member)
