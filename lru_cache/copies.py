"""`copy_on_get=True`: whoever asks gets a value of its own, made of the bytes that are kept anyway.

A subclass of the cache's own class that passes on what that answers, copied on the way out: all that such a cache does
otherwise stands there, and the others pay nothing for it. This file must not know how values are told.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any
from uuid import UUID

from lru_cache.arguments import MISSING
from lru_cache.errors import ProtocolError
from lru_cache.replication import Stamp

# Nobody can change one of these, so all may have the same.
UNCHANGING = frozenset(
    (NoneType, bool, int, float, complex, str, bytes, Decimal, datetime, date, time, timedelta, UUID)
)  # fmt: skip


def _payload_of(stamp: Any) -> bytes | None:
    return stamp.payload if isinstance(stamp, Stamp) else None


@cache
def copying(kind: Any) -> Any:  # noqa: C901 - it holds a class, and is not one way through a function
    """The class of caches of this kind that hand out copies. A cache that is being made can become one of it."""

    class Copying(kind):  # type: ignore[misc]  # not a mixin: with two bases it would have another layout in memory
        """What hands out copies."""

        def get(self, key: Any, default: Any = None, *, load: Any = None) -> Any:
            value = super().get(key, MISSING, load=load)
            return default if value is MISSING else self._own_of(key, value)

        def get_many(self, keys: Iterable[Any], *, load_many: Any = None) -> dict[Any, Any]:
            return self._own_of_each(super().get_many(keys, load_many=load_many))

        async def aget(self, key: Any, default: Any = None, *, load: Any = None) -> Any:
            value = await super().aget(key, MISSING, load=load)
            return default if value is MISSING else self._own_of(key, value)

        async def aget_many(self, keys: Iterable[Any], *, load_many: Any = None) -> dict[Any, Any]:
            return self._own_of_each(await super().aget_many(keys, load_many=load_many))

        def peek(self, key: Any, default: Any = None) -> Any:
            value = super().peek(key, MISSING)
            return default if value is MISSING else self._own_of(key, value)

        def setdefault(self, key: Any, default: Any = None) -> Any:
            return self._own_of(key, super().setdefault(key, default))

        def _set(self, key: Any, value: Any, *rest: Any, **more: Any) -> Any:
            """Keep one of the cache's own, which who has set it cannot change."""
            return super()._set(key, self._own(value, None), *rest, **more)

        def _keep_load(self, flight: Any, value: Any, life: float | None, gone: Any) -> Any:
            return super()._keep_load(flight, self._own(value, None), life, gone)

        def _value_of(self, gone: Any) -> Any:
            value = super()._value_of(gone)
            return value if value is MISSING else self._own(value, _payload_of(gone[2]))

        def _collect(self, part: Callable[[Any], Any]) -> list[list[Any]]:
            slices = super()._collect(lambda entry: (part(entry), entry.value, _payload_of(entry.version)))
            return [[self._with_own(*each) for each in some] for some in slices]

        def _with_own(self, part: Any, value: Any, payload: bytes | None) -> Any:
            """A part of an entry: its key, its value, or both."""
            if part is value:
                return self._own(value, payload)
            if type(part) is tuple and len(part) == 2 and part[1] is value:
                return part[0], self._own(value, payload)
            return part

        def _own_of_each(self, found: dict[Any, Any]) -> dict[Any, Any]:
            return {key: self._own_of(key, value) for key, value in found.items()}

        def _own_of(self, key: Any, value: Any) -> Any:
            if type(value) in UNCHANGING:
                return value
            with self._lock:
                entry = self._store.find(key)
                payload = _payload_of(entry.version) if entry is not None and entry.value is value else None
            return self._own(value, payload)

        def _own(self, value: Any, payload: bytes | None) -> Any:
            """A value of one's own. What cannot be encoded, which only a load may bring, cannot be copied either."""
            if type(value) in UNCHANGING:
                return value
            try:
                return self._values.decode(self._values.encode(value) if payload is None else payload)
            except (TypeError, ValueError, ProtocolError):
                return value

    Copying.__name__, Copying.__qualname__, Copying.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return Copying
