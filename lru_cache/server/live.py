"""The figures as they change: one sample a second, for all who watch, and the last minutes for who comes late.

It must not know who watches, nor how it is shown.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lru_cache.server.confirmations import Confirmations
from lru_cache.server.neighbourhood import FAR, Neighbourhood

if TYPE_CHECKING:
    from lru_cache import DistributedStats, LRUCacheDistributed, Peer

SAMPLE_SECONDS = 1.0
HISTORY_SAMPLES = 300
FAR_SECONDS = 5.0  # between two times that nodes behind neighbours are asked who they are, while anybody watches
FAR_PATIENCE_SECONDS = 1.0
MOST_WATCHERS = 64
RATES = (
    "hits",
    "misses",
    "loads",
    "evictions",
    "invalidations",
    "news_in",
    "bytes_in",
    "bytes_out",
    "sets",
    "news_out",
)
"""What is shown as so many a second. What comes later is added at the end, since a page knows them by their place."""
_NAMES_IN_STATS = {
    "news_in": "news_applied",
    "news_out": "news_told",
    "bytes_in": "bytes_received",
    "bytes_out": "bytes_sent",
}

Sample = dict[str, Any]


class Live:
    """What a node tells of itself, sample by sample. All of it runs on one event loop."""

    def __init__(
        self, cache: "LRUCacheDistributed[str, str]", about: dict[str, Any], count_sets: Callable[[], int]
    ) -> None:
        self._cache = cache
        self._about = about
        self._count_sets = count_sets
        self.confirmations = Confirmations(cache)
        self._neighbourhood = Neighbourhood()
        self._history: deque[list[float]] = deque(maxlen=HISTORY_SAMPLES)  # time, and each of RATES
        self._began = time.time()
        self._last_time = time.monotonic()
        self._last = self._counts(cache.stats())
        self._latest: Sample = {}
        self._far: dict[str, Peer] = {}  # the nodes behind neighbours, by their ids, as they last have answered
        self._changed = asyncio.Event()  # replaced by each sample
        self._watchers = 0
        self.stopping = False

    async def run(self) -> None:
        """Sample until cancelled."""
        asking = asyncio.create_task(self._ask_far())
        try:
            while True:
                self.take_sample()
                await asyncio.sleep(SAMPLE_SECONDS)
        finally:
            asking.cancel()

    async def _ask_far(self) -> None:
        """Ask the nodes behind neighbours who they are, in a thread, since that waits for them."""
        while not self.stopping:
            if self._watchers and self._latest.get("beyond"):
                peers = await asyncio.to_thread(self._cache.peers, everywhere=True, timeout=FAR_PATIENCE_SECONDS)
                self._far = {str(peer.node): peer for peer in peers if peer.state == FAR}
            await asyncio.sleep(FAR_SECONDS if self._far else SAMPLE_SECONDS)

    def take_sample(self) -> Sample:
        """Take one now, and give it to all who watch."""
        now, monotonic = time.time(), time.monotonic()
        stats = self._cache.stats()
        seconds = max(monotonic - self._last_time, 1e-3)
        counts = self._counts(stats)
        rates = {name: (counts[name] - self._last[name]) / seconds for name in RATES}
        if self._latest:  # the first has nothing to be compared with
            self._history.append([round(now, 2), *(round(rate, 2) for rate in rates.values())])
        self._last, self._last_time = counts, monotonic
        peers, lags = self._neighbourhood.update(self._cache.peers(), now), self._cache.lags()
        peers, others = self._neighbourhood.beyond(peers, lags, now, self._far)
        self._latest = {
            "time": now,
            "uptime": now - self._began,
            "node": self._cache.node,
            "region": self._cache.region,
            "listens": shown(self._cache.local_address),
            **self._about,
            "stats": asdict(stats),
            "rates": rates,
            "peers": peers,
            "beyond": others,
            "confirmed": asdict(self.confirmations.figures()),
            "happenings": [asdict(happening) for happening in self._neighbourhood.happenings],
        }
        self._wake_watchers()
        return self._latest

    def stop(self) -> None:
        """End all watching."""
        self.stopping = True
        self._wake_watchers()

    @property
    def is_crowded(self) -> bool:
        """Whether no more can watch."""
        return self._watchers >= MOST_WATCHERS

    async def watch(self) -> AsyncIterator[Sample]:
        """Give the latest sample with the history, then each as it is taken. Who is slow misses some."""
        self._watchers += 1
        try:
            sample = {**(self._latest or self.take_sample()), "history": list(self._history)}
            while not self.stopping:
                changed = self._changed
                yield sample
                await changed.wait()
                sample = self._latest
        finally:
            self._watchers -= 1

    def _counts(self, stats: "DistributedStats") -> dict[str, int]:
        counted = {name: getattr(stats, _NAMES_IN_STATS.get(name, name)) for name in RATES if name != "sets"}
        return {**counted, "sets": self._count_sets()}

    def _wake_watchers(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def shown(address: "tuple[str, int] | str | None") -> str | None:
    """Where this node listens, as people write it."""
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else address
