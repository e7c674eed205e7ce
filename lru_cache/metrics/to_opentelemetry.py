"""Figures by a meter of OpenTelemetry, read when a reader collects. It must not know what a cache counts.

Only the API is used: which SDK there is, if any, and where it sends figures to is the service's business.
"""

import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opentelemetry import metrics
from opentelemetry.metrics import Observation

import lru_cache
from lru_cache.metrics.figures import FIGURES, PREFIX, Figure
from lru_cache.metrics.watched import Named, Watch, Watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import Meter, MeterProvider

    from lru_cache import LRUCache

UNITS = {None: "", "seconds": "s"}  # `""` and not `"1"`, of which exporters to Prometheus make the name's end `_ratio`

# Guards `_shown` and `_shown_globally`: a provider has each instrument once, for all of its caches.
_lock = threading.RLock()
_shown: "WeakKeyDictionary[MeterProvider, Watched]" = WeakKeyDictionary()
_shown_globally: Watched | None = None  # what is global may be set later, and takes over what was made before it


def show(cache: "LRUCache[Any, Any]", name: str, provider: "MeterProvider | None") -> Watch:
    """Show a cache by a provider: None is the global one."""
    global _shown_globally
    with _lock:
        is_global = provider is None or provider is metrics.get_meter_provider()
        watched = _shown_globally if is_global else _shown.get(provider)  # type: ignore[arg-type] # not None here
        if watched is not None:
            return watched.add(cache, name)
        watched = Watched()
        watch = watched.add(cache, name)
        make_instruments(metrics.get_meter(PREFIX, lru_cache.__version__, provider), watched)
        if is_global:
            _shown_globally = watched
        else:
            _shown[provider] = watched  # type: ignore[index] # likewise
        return watch


def make_instruments(meter: "Meter", watched: Watched) -> None:
    """Make one for each figure. They stay: the API has no way to end one. Without a cache they show nothing."""
    reading = Reading(watched)
    for figure in FIGURES:
        make = meter.create_observable_counter if figure.kind == "counter" else meter.create_observable_gauge
        make(f"{PREFIX}.{figure.name}", [reading.of(figure)], UNITS[figure.unit], figure.meaning)


class Reading:
    """One look at all caches for all instruments, though each of these asks by itself.

    An instrument that asks again begins a new one. So the figures of a collection are of one moment, and each cache is
    asked once.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        # Guards what follows: readers collect in threads of their own.
        self._lock = threading.RLock()
        self._asked: set[Figure] = set(FIGURES)
        self._samples: dict[Figure, list[Named]] = {}

    def of(self, figure: Figure) -> "Callable[..., Iterable[Observation]]":
        """The callback of an instrument."""

        def observe(*_: object) -> list[Observation]:
            names = ("cache", *figure.labels)
            return [
                Observation(sample.value, dict(zip(names, (cache, *sample.labels), strict=True)))
                for cache, sample in self._now(figure)
            ]

        return observe

    def _now(self, figure: Figure) -> list[Named]:
        with self._lock:
            if figure in self._asked:
                self._asked.clear()
                self._samples = {}
                for named in self._watched.samples():
                    self._samples.setdefault(named.sample.figure, []).append(named)
            self._asked.add(figure)
            return self._samples.pop(figure, [])
