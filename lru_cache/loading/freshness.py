"""How long an answer is good. Pure arithmetic: no clock, no lock, no loader is called from here."""

import random
from math import inf, isinf, nextafter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lru_cache import arguments
from lru_cache.arguments import MISSING, Duration, Missing

if TYPE_CHECKING:
    from typing import Protocol

    class _Bare(Protocol):
        def __sizeof__(self) -> int: ...

    Bare = _Bare | type[Any] | None
    """What all values are for type checkers, and `Loaded` is not.

    The bound of the cache's `V`. mypy does not see which part of `User | Loaded[User | None]` is the bare value, as
    long as each part could be.
    """

V_co = TypeVar("V_co", covariant=True)  # so that a loader of `User | None` may say `-> User | Loaded[None]`


class Loaded(Generic[V_co]):
    """What a loader may return instead of a bare value, to choose the life of this one. None: it never expires.
    Zero: it is not kept.
    """

    __slots__ = ("expiration_time", "life", "value")
    if TYPE_CHECKING:
        __sizeof__: None  # type: ignore[assignment]  # so that it is not `Bare`

    def __init__(self, value: V_co, expiration_time: Duration | None | Missing = MISSING) -> None:
        self.value = value
        self.expiration_time = expiration_time
        self.life = None if expiration_time is MISSING else arguments.life("expiration_time", expiration_time)

    def __repr__(self) -> str:
        return f"Loaded({self.value!r}, expiration_time={self.expiration_time!r})"


def value_and_life(answer: Any) -> tuple[Any, float | None]:
    """Split what a loader returned. A life of None is the cache's own."""
    return (answer.value, answer.life) if isinstance(answer, Loaded) else (answer, None)


class Freshness:
    """The durations that a cache was made with, checked, and the moments that follow from them."""

    def __init__(
        self,
        expiration_time: Duration | None,
        expiration_jitter: float,
        stale_time: Duration,
        refresh_time: Duration | None,
        load_timeout: Duration | None,
        retry_time: Duration,
    ) -> None:
        self.life = arguments.life("expiration_time", expiration_time, zero=False)
        self.jitter = arguments.fraction("expiration_jitter", expiration_jitter)
        self.stale_time = arguments.seconds("stale_time", stale_time, zero=True)
        if isinf(self.stale_time):
            raise ValueError("stale_time must be finite: what may be served for ever has not expired")
        self.refresh_time = arguments.optional_seconds("refresh_time", refresh_time)
        self.load_timeout = arguments.optional_seconds("load_timeout", load_timeout)
        self.retry_time = arguments.seconds("retry_time", retry_time)

    def ends(self, now: float, life: float | None) -> tuple[float, float]:
        """When a life that begins now ends, and until when a look-up is a plain hit.

        The cache's own life (None) may be shortened by the jitter, others are exact. A hit is plain to the end, or up
        to the moment from which hits refresh ahead of it.
        """
        if life is None:
            life = self.life
            if self.jitter:
                life *= 1.0 - self.jitter * random.random()  # noqa: S311 - spreads expiry, guards nothing
        deadline = now + life
        return deadline, deadline if self.refresh_time is None else self.fresh_until(deadline)

    def fresh_until(self, deadline: float) -> float:
        """Until when a look-up of what ends then is a plain hit: up to the moment at which hits refresh ahead of it."""
        if self.refresh_time is None:
            return deadline
        return nextafter(deadline - self.refresh_time, inf)  # with just as much left it is still a plain hit
