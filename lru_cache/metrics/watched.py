"""The caches that are shown in one place, such as a registry: by name, and as long as they live.

It must not know what that place is.
"""

import threading
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from lru_cache.metrics.figures import Regions, Sample, by_region, counted, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lru_cache import LRUCache

LONGEST_NAME_CHARACTERS = 200


class Watch:
    """A cache that is shown under a name, until this is closed or the cache is collected. Need not be kept."""

    def __init__(self, watched: "Watched", cache: "LRUCache[Any, Any]", name: str) -> None:
        self._watched = watched
        self._cache = ref(cache)
        self._regions = Regions()
        self.name = name

    @property
    def is_over(self) -> bool:
        """Whether the cache is no longer shown."""
        return self._cache() is None or not self._watched.has(self)

    def close(self) -> None:
        """Show it no longer. The name is free for another cache."""
        self._watched.remove(self)

    def samples(self) -> "Iterator[Sample]":
        """All figures of it, as they are now; none if it was collected."""
        cache = self._cache()
        if cache is None:
            self.close()
            return
        yield from samples(cache)
        if hasattr(cache, "peers"):
            peers = cache.peers()
            yield from counted(peers)
            yield from by_region(peers, self._regions)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.name!r}{', over' if self.is_over else ''}>"


class Named(NamedTuple):
    """A sample of the cache of that name."""

    cache: str
    sample: Sample


class Watched:
    """The caches of one place."""

    def __init__(self) -> None:
        # Guards `_watches`: each name is given once. Reentrant, since a finalizer may close a watch at any point.
        self._lock = threading.RLock()
        self._watches: dict[str, Watch] = {}

    def add(self, cache: "LRUCache[Any, Any]", name: str) -> Watch:
        """Show a cache under a name that no other has."""
        from lru_cache import LRUCache

        if not isinstance(cache, LRUCache):
            raise TypeError(f"cache must be an LRUCache or an LRUCacheDistributed, not {cache!r}"[:200])
        if not isinstance(name, str):
            raise TypeError(f"name must be a text, not {name!r}"[:200])
        if not name or len(name) > LONGEST_NAME_CHARACTERS or not name.isprintable():
            raise ValueError(
                f"name must be 1 to {LONGEST_NAME_CHARACTERS} characters that can be printed, not {name!r}"
            )
        watch = Watch(self, cache, name)
        with self._lock:
            if name in self._watches and not self._watches[name].is_over:
                raise ValueError(f"there is a cache named {name!r} here already: close what showing it has returned")
            self._watches[name] = watch
        return watch

    def has(self, watch: Watch) -> bool:
        """Whether it is one of these."""
        return self._watches.get(watch.name) is watch

    def remove(self, watch: Watch) -> None:
        """Show it no longer, if it is shown at all."""
        with self._lock:
            if self.has(watch):
                del self._watches[watch.name]

    def samples(self) -> list[Named]:
        """All figures of all of them."""
        with self._lock:
            watches = list(self._watches.values())
        return [Named(watch.name, sample) for watch in watches for sample in watch.samples()]
