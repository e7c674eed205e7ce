"""What a cache has done so far, as one frozen value. It must not know how anything is counted.

The values are frozen dataclasses to whoever asks, and made without the module of that name, which brings 10 ms of
imports. So this module can be imported with the cache, and `stats()` imports nothing: it must work when there is no
descriptor left.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    class Late:
        """What `dataclasses` keeps of a class, once somebody asks for it."""

        def __init__(self, name):
            self._name = name

        def __get__(self, _, owner):
            import dataclasses

            twin = dataclasses.dataclass(frozen=True)(type(owner.__name__, (), {"__annotations__": owner._fields}))
            found = getattr(twin, self._name)
            setattr(owner, self._name, found)
            return found

    def dataclass(frozen):
        """Make a class one that `dataclasses` takes for its own."""
        assert frozen
        return _freeze

    def _freeze(cls):
        cls._fields = {**getattr(cls, "_fields", {}), **cls.__annotations__}
        cls.__match_args__ = tuple(cls._fields)
        cls.__dataclass_fields__ = Late("__dataclass_fields__")
        cls.__dataclass_params__ = Late("__dataclass_params__")
        return cls


class _Frozen:
    """What a frozen dataclass does."""

    _fields: "dict[str, Any]"

    def __init__(self, *figures: Any, **named: Any) -> None:
        given = {**dict(zip(self._fields, figures, strict=False)), **named}
        if len(given) != len(figures) + len(named) or given.keys() != self._fields.keys():
            raise TypeError(f"{type(self).__name__} takes each of {', '.join(self._fields)} once")
        vars(self).update({name: given[name] for name in self._fields})

    def __setattr__(self, name: str, value: object) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __replace__(self, /, **changes: Any) -> Any:
        return type(self)(**{**vars(self), **changes})

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


GAUGES = frozenset({"size", "capacity", "links", "graves", "log_lag"})
"""The figures below that tell what is now; all other numbers only ever grow. What shows figures goes by this."""


@dataclass(frozen=True)
class Stats(_Frozen):
    """Counts since the cache was made. A `get` is a hit or a miss; stale answers are misses."""

    hits: int
    """`get`s that found a value."""
    misses: int
    """`get`s that found none, or an expired one."""
    loads: int
    """Times that a loader was called, refreshes included."""
    load_failures: int
    """Loads that raised."""
    fenced_loads: int
    """Loads whose result was not kept, since the key was written or invalidated meanwhile."""
    stale_served: int
    """Answers with an expired value, because the loader failed or was slow."""
    evictions: int
    """Entries that left for want of room."""
    expirations: int
    """Entries that left since their life had ended."""
    invalidations: int
    """Calls that invalidated a key, held or not; `invalidate_many` and the like count each key, `clear` counts none."""
    size: int
    """Entries whose life has not ended."""
    capacity: int | None
    """Entries that there is room for. None: without bound."""
    implementation: str
    """`native` if the parts in C are used, else `python`."""


@dataclass(frozen=True)
class DistributedStats(Stats):
    """The same of a replicated cache, and what happened between the nodes. *News* is a write or a load of another."""

    links: int
    """Neighbours that there is a link with, now."""
    bytes_received: int
    """Bytes from neighbours, over all links so far."""
    bytes_sent: int
    """Bytes to neighbours, over all links so far."""
    news_applied: int
    """News of others that changed something here."""
    news_told: int
    """News that neighbours were told, of this node and of others: once for each link."""
    news_repeated: int
    """News that was known already, from another link."""
    prunes: int
    """Times that a neighbour asked not to be told a node's news any more, which it has over another link."""
    grafts: int
    """Times that a neighbour asked for what was kept from it so: it had missed something, or lost a link."""
    sets_refused: int
    """Values that came too late to tell whether they were the newest, and so count as invalidations."""
    resyncs: int
    """Times that a neighbour was told all that it lacked: once for each link, and once for each overflow."""
    overflows: int
    """Times that there was more to tell a neighbour than is remembered."""
    dropped_by_floors: int
    """Values dropped because a neighbour had forgotten how old such values may be: the price of a long partition."""
    loads_left_out: int
    """Loads not told because the neighbour had no room for them."""
    values_too_large: int
    """Values told as invalidations, because the neighbour does not take such long ones."""
    loads_untold: int
    """Loads that could not be encoded, or were too large, and stayed here."""
    undecodable: int
    """Values that came and were misses when they were asked for: this node has no codec for them, or it refused."""
    graves: int
    """Keys whose values are gone and whose age is remembered, now."""
    log_lag: float
    """Seconds since all that the log on an engine had was last read here, or since this began to. 0: there is none."""
    log_broken: int
    """Times that the log was not the one that had been read: a failover, a wipe."""
    log_lost: int
    """Times that records may have been missed, so that what was held from before them was dropped."""
    log_restored: int
    """Records that this node gave back to a log that had lost them."""
    log_refused: int
    """Records of the log that were damaged, of strangers, or dated ahead."""
