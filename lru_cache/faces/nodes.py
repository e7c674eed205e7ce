"""The nodes of this process: one for each face, place and options, whoever asks, in whichever thread.

Frameworks make caches for each alias, for each thread, for each application. They stand before these nodes, which begin
with the first of them and end with the process. This file must not know what is asked of a cache.
"""

import inspect
import os
import threading
from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import Any

from lru_cache import LRUCacheDistributed
from lru_cache.arguments import MISSING
from lru_cache.codecs import Codec
from lru_cache.faces.codecs import CopyingCodec
from lru_cache.faces.copying import CONTAINERS, Copiers, copy_by_hand
from lru_cache.faces.face import Face
from lru_cache.faces.pickled import Pickled
from lru_cache.faces.places import place_of

_OF_NODES = inspect.signature(LRUCacheDistributed.__init__).parameters.keys() - {"self"}


class Node(LRUCacheDistributed[str, Any]):
    """A node that also makes copies, and changes a value in one step."""

    face: Face
    pickles = False  # whether what is no data is pickled
    stays = False  # whether values stay here
    by_codec: "dict[type, Callable[[Any, Callable[[Any], Any]], Any]]" = {}  # noqa: RUF012 - each node has its own
    copiers: Copiers

    def own(self, value: Any) -> Any:
        """A copy of one's own. TypeError or ValueError for what there is none of."""
        kind = type(value)
        if kind in self.face.unchanging:
            return value
        if kind in CONTAINERS or kind is frozenset:
            return copy_by_hand(value, self.own, self.face.unchanging)
        if kind is Pickled:
            return value.value()
        copy = self.by_codec.get(kind)
        return self.copy_of(value) if copy is None else copy(value, self.own)

    def own_of(self, name: str, value: Any) -> Any:
        """Likewise, of what has this name: the next time it is quicker."""
        if type(value) in CONTAINERS:
            return self.copiers.learn(name, value)(value)
        return self.own(value)

    def copy_of(self, value: Any) -> Any:
        """Likewise, by way of its bytes."""
        return self._values.decode(self._values.encode(value))

    def kept(self, value: Any) -> Any:
        """What is kept of a value: one of the node's own. TypeError for what cannot be kept, in one line."""
        if type(value) in self.face.unchanging:
            return value
        if self.stays:
            return Pickled.of(value)
        try:
            return self.own(value)
        except Exception:  # noqa: BLE001 - whatever it is: the long way tells what is wrong, and where
            return self._kept_at_length(value)

    def _kept_at_length(self, value: Any) -> Any:
        face = self.face
        try:
            value = face.resolved(value)
        except RecursionError:
            pass  # it contains itself, as is said below
        try:
            return self.copy_of(value)
        except TypeError as error:
            if self.pickles:
                return Pickled.of(value)
            refused, _, instead = str(error).partition(": give it codecs=")
            instead = f"give {face.option('codecs')}: {instead}" if instead else ""
            instead = face.advice(value) or instead
            raise TypeError(f"{refused}: {instead}" if instead else refused) from None

    def change(self, key: str, changed: Callable[[Any], Any]) -> Any:
        """Put what `changed` makes of a value in its place, for the rest of its life. MISSING if there is none.

        One step on this node: others that write this key come before or after it.
        """
        with self._lock:
            value = self.get(key, MISSING)
            entry, now = self._living(key)
            if value is MISSING or entry is None:
                return MISSING
            value = changed(value)
            self.set(key, value, expiration_time=entry.deadline - now)
            return value

    def count(self, key: str, changed: Callable[[Any], Any], begin: Any, expiration_time: float | None) -> Any:
        """`change`, or begin with a value where there is none, in one step on this node."""
        with self._lock:
            value = self.change(key, changed)
            if value is MISSING:
                value = begin
                self.set(key, value, expiration_time=expiration_time)
            return value


_nodes: dict[Any, tuple[Node, Any]] = {}  # with the options, of which some are known by their identity
_lock = threading.Lock()  # one makes a node, and others wait for it


def node_of(face: Face, location: Any, options: Mapping[str, Any]) -> Node:
    """The node of this place and these options, which is made if nobody has asked for it yet."""
    known = face, _frozen(location), _frozen(options)
    found = _nodes.get(known)
    if found is None:
        with _lock:
            found = _nodes.get(known)
            if found is None:
                found = _nodes[known] = (_made(face, location, options), (location, options))
    return found[0]


def end_all() -> None:
    """Close them, so that who asks again begins anew: for tests."""
    while _nodes:
        _nodes.popitem()[1][0].close()


def options_of_nodes(face: Face) -> set[str]:
    """What a node of this face may be given."""
    return (_OF_NODES - face.not_here().keys()) | face.own_options


def _frozen(value: Any) -> Any:
    """What stands for a value in a key: equal for what a settings file writes equally."""
    if isinstance(value, Mapping):
        return frozenset((name, _frozen(member)) for name, member in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value), value


def _made(face: Face, location: Any, options: Mapping[str, Any]) -> Node:
    not_here, known = face.not_here(), options_of_nodes(face)
    for name in options:
        if name in not_here:
            raise face.refusal(f"{face.option(name)} is nothing for {face.whose}: {not_here[name]}")
        if name not in known:
            raise face.refusal(f"{face.options} has {name!r}, and there is only {', '.join(sorted(known))}")
    place = place_of(location)
    for name in place.keys() & options.keys():
        raise face.refusal(f"{face.location}={location!r} is {name}=, and {face.options} has {name!r}, too")
    given = face.prepared(dict(options))
    all_codecs = [*face.codecs(options), *_named(given.pop("codecs", ()))]
    pickles = face.pickles(options)
    if pickles is not None:
        all_codecs.append(pickles)
    stays = given.get("values") == "local"
    if stays:
        all_codecs = []
    node = Node(**place, **given, expiration_time=None, codecs=all_codecs)
    node.face, node.pickles, node.stays = face, pickles is not None, stays
    node.copiers = Copiers(node.own, face.unchanging)
    node.by_codec = {each.type: each.copy for each in all_codecs if isinstance(each, CopyingCodec)}
    return node


def _named(given: Any) -> list[Codec[Any]]:
    """Codecs, or the dotted names of some, or of what has or makes some: settings cannot import the classes."""
    found = []
    for each in (given,) if isinstance(given, (str, Codec)) else given:
        value = resolve_name(each) if isinstance(each, str) else each
        if callable(value) and not isinstance(value, Codec):
            value = value()
        found += [value] if isinstance(value, Codec) else list(value)
    return found


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()  # who held it is not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
