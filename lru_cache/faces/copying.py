"""Copies of values for who asks, who may change them; and how to make one of a value that is asked for again.

Most values are of a few shapes, of which a copy is a step or two in C, once it is known which of them it is. This file
must not know keys, nor nodes.
"""

import marshal
from collections.abc import Callable
from typing import Any

CONTAINERS = frozenset((dict, list, tuple, set))
MOST_BYTES = 16 << 20  # of all values that are known; then all are forgotten, and known again when they are asked for
LEAST_MARSHALLED_BYTES = 200  # a value of fewer is copied as quickly by hand
MOST_MEMBERS_IN_TURN = 4
_OVERHEAD_BYTES = 300
_MARSHALLED = frozenset((bool, bytes, complex, float, int, str, type(None)))

Copier = Callable[[Any], Any]
Unchanging = frozenset[type]  # of these nobody needs a copy
_FLAT: dict[type, Copier] = {dict: dict.copy, list: list.copy, set: set.copy}


def copy_by_hand(value: Any, copied: Copier, unchanging: Unchanging) -> Any:
    """A copy of one of these containers, whose members `copied` makes copies of."""
    kind = type(value)
    if kind is dict:  # mostly of what nobody can change: quicker than to make one of its members
        made = value.copy()
        for key, each in value.items():
            if type(each) not in unchanging:
                made[key] = copied(each)
        return made
    if kind is list and unchanging.issuperset(map(type, value)):
        return value.copy()
    return kind([each if type(each) in unchanging else copied(each) for each in value])


def _flat(value: Any, unchanging: Unchanging) -> Copier | None:
    """How to copy a container, if nobody can change any of its members."""
    members = value.values() if type(value) is dict else value
    return _FLAT[type(value)] if type(value) in _FLAT and unchanging.issuperset(map(type, members)) else None


def _of_shape(value: Any, unchanging: Unchanging) -> Copier | None:
    """How to copy a value of one of the common shapes."""
    flat = _flat(value, unchanging)
    if flat is not None:
        return flat
    if type(value) is list:
        copiers = {_flat(each, unchanging) if type(each) in _FLAT else None for each in value}
        first, *others = copiers
        return None if others or first is None else lambda held: list(map(first, held))
    if type(value) is not dict:
        return None
    in_turn = {key: _flat(each, unchanging) if type(each) in _FLAT else None for key, each in value.items()}
    in_turn = {key: copier for key, copier in in_turn.items() if type(value[key]) not in unchanging}
    if len(in_turn) > MOST_MEMBERS_IN_TURN or None in in_turn.values():
        return None
    pairs: Any = tuple(in_turn.items())

    def copy(held: Any) -> Any:
        made = held.copy()
        for key, copier in pairs:
            made[key] = copier(held[key])
        return made

    return copy


def _comes_back(value: Any) -> bool:
    """Whether marshal gives back what it was given: of an array, and whatever else has a buffer, it makes bytes."""
    kind = type(value)
    if kind is dict:
        return all(map(_comes_back, value)) and all(map(_comes_back, value.values()))
    return kind in _MARSHALLED or ((kind in CONTAINERS or kind is frozenset) and all(map(_comes_back, value)))


class Copiers:
    """How to copy the values of one node that were asked for. Each holds its value, and is of that very object."""

    def __init__(self, own: Copier, unchanging: Unchanging) -> None:
        self._own = own
        self._unchanging = unchanging
        self._bytes = 0  # about: two threads may add at once
        self.of_name: dict[str, tuple[Any, Copier]] = {}

    def learn(self, name: str, value: Any) -> Copier:
        """How to copy the container that has this name now, which is noted for the next who asks."""
        try:
            data = marshal.dumps(value)
        except ValueError:  # it has members of other classes in it
            data = b""
        copier = _of_shape(value, self._unchanging)
        if (
            copier is None and len(data) >= LEAST_MARSHALLED_BYTES and _comes_back(value)
        ):  # bytes of this process, and for it alone
            copier = lambda _: marshal.loads(data)  # noqa: E731, S302
        copier = copier or self._own
        size = _OVERHEAD_BYTES + 10 * len(data)
        if size <= MOST_BYTES // 16:
            self._bytes += size
            if self._bytes > MOST_BYTES:
                self.of_name.clear()
                self._bytes = size
            self.of_name[name] = value, copier
        return copier
