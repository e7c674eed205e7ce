"""The nodes of this process: one for each LOCATION and OPTIONS, whoever asks, in whichever thread.

Django makes a backend for each alias in each thread, and for each request on an event loop. They stand before these
nodes, which begin with the first of them and end with the process. This file must not know what is asked of a cache.
"""

import inspect
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from lru_cache import LRUCacheDistributed
from lru_cache.arguments import MISSING
from lru_cache.codecs import Codec
from lru_cache.django import codecs
from lru_cache.django import pickled as pickles
from lru_cache.django.copying import CONTAINERS, UNCHANGING, Copiers, copy_by_hand
from lru_cache.django.pickled import Pickled

# Options that a node has and that mean nothing here, each with what to do about it.
_NOT_HERE = {
    "load_callback": "a view loads what is missing: use get_or_set",
    "load_many": "a view loads what is missing: use get_or_set",
    "expiration_time": "give TIMEOUT",
    "expiration_jitter": "each value has the timeout that it was set with",
    "stale_time": "each value has the timeout that it was set with",
    "refresh_time": "each value has the timeout that it was set with",
    "load_timeout": "a view loads what is missing",
    "retry_time": "a view loads what is missing",
    "copy_on_get": "it is always so",
}
_OF_NODES = inspect.signature(LRUCacheDistributed.__init__).parameters.keys() - _NOT_HERE.keys() - {"self"}
_OURS = frozenset(("counters", "models", "pickle", "MAX_ENTRIES", "CULL_FREQUENCY"))
COUNTERS = ("local", "refuse")


class Node(LRUCacheDistributed[str, Any]):
    """A node that also makes copies, and changes a value in one step. `pickles`: what is no data is pickled."""

    pickles = False
    by_codec: "dict[type, Callable[[Any, Callable[[Any], Any]], Any]]" = {}  # noqa: RUF012 - each node has its own
    copiers: Copiers

    def own(self, value: Any) -> Any:
        """A copy of one's own. TypeError or ValueError for what there is none of."""
        kind = type(value)
        if kind in UNCHANGING:
            return value
        if kind in CONTAINERS or kind is frozenset:
            return copy_by_hand(value, self.own)
        if kind is Pickled:
            return value.value()
        copy = self.by_codec.get(kind)
        return self.copy_of(value) if copy is None else copy(value, self.own)

    def copy_of(self, value: Any) -> Any:
        """Likewise, by way of its bytes."""
        return self._values.decode(self._values.encode(value))

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


_nodes: dict[Any, tuple[Node, Any]] = {}  # with the options, of which some are known by their identity
_lock = threading.Lock()  # one makes a node, and others wait for it


def node_of(location: Any, options: Mapping[str, Any]) -> Node:
    """The node of this place and these options, which is made if nobody has asked for it yet."""
    known = _frozen(location), _frozen(options)
    found = _nodes.get(known)
    if found is None:
        with _lock:
            found = _nodes.get(known)
            if found is None:
                found = _nodes[known] = (_made(location, options), (location, options))
    return found[0]


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


def _made(location: Any, options: Mapping[str, Any]) -> Node:
    given = dict(options)
    for name in given:
        if name in _NOT_HERE:
            raise ImproperlyConfigured(f"OPTIONS[{name!r}] is nothing for Django's caches: {_NOT_HERE[name]}")
        if name not in _OF_NODES and name not in _OURS:
            raise ImproperlyConfigured(
                f"OPTIONS has {name!r}, and there is only {', '.join(sorted(_OF_NODES | _OURS))}"
            )
    place = _place(location)
    for name in place.keys() & given.keys():
        raise ImproperlyConfigured(f"LOCATION={location!r} is {name}=, and OPTIONS has {name!r}, too")
    if "MAX_ENTRIES" in given:
        given.setdefault("maximum_capacity", int(given["MAX_ENTRIES"]))
    pickled = given.get("pickle", False)
    if pickled is not True and pickled is not False:
        raise ImproperlyConfigured(f"OPTIONS['pickle'] must be True or False, not {pickled!r}")
    all_codecs = [*codecs.standard(), *codecs.models_named(given.get("models", ())), *_named(given.pop("codecs", ()))]
    if pickled:
        all_codecs.append(pickles.codec())
    for name in _OURS:
        given.pop(name, None)
    if given.get("values") == "local":
        all_codecs = []
    node = Node(**place, **given, expiration_time=None, codecs=all_codecs)
    node.pickles = pickled
    node.copiers = Copiers(node.own)
    node.by_codec = {each.type: each.copy for each in all_codecs if isinstance(each, codecs.CopyingCodec)}
    return node


def _place(location: Any) -> dict[str, Any]:
    """What LOCATION stands for: nothing, a local cluster, a log on an engine, or where others listen."""
    if location is None or location == "":
        return {}
    if isinstance(location, str) and "://" in location and not location.startswith("dns://"):
        return {"engine": location}
    is_name = isinstance(location, str) and "://" not in location and (os.sep in location or ":" not in location)
    return {"local_cluster" if is_name or isinstance(location, os.PathLike) else "remote_address": location}


def _named(given: Any) -> list[Codec[Any]]:
    """Codecs, or the dotted names of some, or of what has or makes some: settings cannot import the classes."""
    found = []
    for each in (given,) if isinstance(given, str) else given:
        value = import_string(each) if isinstance(each, str) else each
        if callable(value) and not isinstance(value, Codec):
            value = value()
        found += [value] if isinstance(value, Codec) else list(value)
    return found


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()  # who held it is not here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
