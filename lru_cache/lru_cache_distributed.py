"""`LRUCacheDistributed`: the same cache, replicated to every node that it is linked with.

What to keep, tell and believe is `replication/`'s business, and sockets are `network/`'s; here the cache's writes and
loads become news, and news that came becomes what the cache holds. Reads never leave the process.
"""

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from ipaddress import ip_address
from math import inf, isinf
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from weakref import WeakValueDictionary

from lru_cache import arguments
from lru_cache.arguments import MISSING, Duration, Missing
from lru_cache.clock import Clock, SystemClock
from lru_cache.errors import ProtocolError
from lru_cache.loading.single_flight import Flight
from lru_cache.log import logger
from lru_cache.lru_cache import AnyLoader, AnyManyLoader, LRUCache
from lru_cache.network.address import ANY_HOST, Address, AddressLike, parse
from lru_cache.network.choosing import ALL_OF
from lru_cache.network.client import Dialler
from lru_cache.network.discovery import Discovery
from lru_cache.network.exchange import Exchange
from lru_cache.network.greeting import Terms
from lru_cache.network.handshake import LONGEST_NAME_CHARACTERS, PROTOCOL_VERSION, Hello
from lru_cache.network.limited_log import LimitedLog
from lru_cache.network.local_cluster import LocalCluster
from lru_cache.network.monkey_patching import GEVENT, has_gevent, refuse_gevent
from lru_cache.network.peer import Peer
from lru_cache.network.post import path_of
from lru_cache.network.security import Secret, read_secret, read_tls
from lru_cache.network.server import Server
from lru_cache.network.sources import AddressSource, Source, read_remotes
from lru_cache.network.told import MayDial, Rule, allowed, in_networks_of
from lru_cache.replication import (
    FRAME_MARGIN_BYTES,
    NODE_BYTES,
    Limits,
    Replica,
    ShortWay,
    Stamp,
    StoreView,
    Writer,
    seconds_of,
    shortened,
    wire,
)
from lru_cache.replication.encoding import ANY_KEYS, Keys, UnreadableError, Values
from lru_cache.stats import DistributedStats
from lru_cache.store import Entry, Gone, RemovalCause

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from lru_cache.codecs import Codec
    from lru_cache.engines.log_link import LogLink
    from lru_cache.engines.options import Options
    from lru_cache.loading.freshness import Bare
    from lru_cache.network.roll_call import Introduction, Present
    from lru_cache.network.security import TLS
    from lru_cache.network.transport import Dialling, Transport
    from lru_cache.removal import Removal

    Calling = Generator[tuple[Callable[[], bool], float | None], None, list[Present] | None]

K = TypeVar("K")
V = TypeVar("V", bound="Bare")

LARGEST_VALUE_BYTES = 0xFFFF_FFFF - 2 * FRAME_MARGIN_BYTES  # what a frame's header can say, with all around it
LARGEST_CAPACITY = 1 << 53  # that is told or counted with; it may be given as more than any memory has
GRAVES_WITHOUT_BOUND = 50_000  # remembered deletions where entries have no bound
LONGEST_VERSION_BYTES = 100
LONGEST_SILENCE_SECONDS = 1_000_000.0  # a poll counts milliseconds in 31 bits
SHORTEST_SILENCE_SECONDS = 0.03  # in less, three pings that are 10 ms apart do not fit
SHORT_SILENCE_SECONDS = 0.1  # which a thread may have to wait for its turn in a busy process
CLOSING_SHARE = 0.9  # of `connection_timeout`, for threads to end
MOST_CODECS_LOGGED = 1_000  # names that a peer chose
UNREADABLE = object()  # in place of a value that lacks a codec here


class LRUCacheDistributed(LRUCache[K, V]):
    """An `LRUCache` that tells its writes to the caches that it is linked with, and hears of theirs.

    All of `LRUCache`'s arguments, and:

    - `connection_timeout`, in milliseconds: a peer from which nothing is heard for so long is dead, until it is back.
    - `remote_address`: where to dial; one address or a list of them. `local_address`: where to listen. Either, both or
      none. `(host, port)`, `"host:port"`, `"[::1]:port"` or the path of a Unix socket; port 0 takes a free one.
      "dns://name:port" dials all addresses of a name, which is asked again and again, and a function all that it
      returns. Of more than eight each node dials a few.
    - `may_dial=True`: nodes that others tell of are dialled, too, if they are in the network of a given address; so one
      address is enough to find all. A function of `(host, port)` says itself which.
    - `region` names where this is, for people; only caches of one `cluster` talk to each other.
    - `version` is that of the application's data, an int or a text: part of each key, so that code of another version
      reads none of what this one keeps. An invalidation, or a `clear`, is of all versions.
    - `secret` (or the environment's LRU_CACHE_SECRET) proves both sides to each other; of several the first is ours
      and all are taken. `tls` encrypts too: `TLS(certificate, key, authority)`. With neither, only nodes on this
      machine are talked to, unless `insecure=True`.
    - `local_cluster="app"`, or the path of a socket: all processes of this user on this machine that give the same are
      linked with each other. One of them listens for the others; `local_address` and `remote_address` are then the
      cluster's, and that one sees to them. When it ends, another takes its place.
    - `values="local"`: values are any objects, and stay on the node that set or loaded them; the others are told that
      the key has changed, and drop what they have. The same on all nodes.
    - `engine="redis://host:6379/0?stream=users"`, or `engines.Redis(...)`, `engines.JetStream(...)`: a log on an engine
      that you run already carries the news to all nodes that name the same stream, however many. With links beside it a
      node passes on between the two.
    - `replicate_loads=False` keeps what is loaded to this node; writes are told all the same. The default is True, and
      with an engine False.
    - `max_clock_skew`: nodes whose clocks differ by more seconds are refused. `source_lag`: how many seconds what the
      loader reads may lag behind an invalidation. The same on all nodes.
    - `maximum_value_bytes`: the longest encoded value.
    - `codecs`: how values of your own classes become data and come back, such as `lru_cache.codecs.dataclass(Point)`.
    - `copy_on_get=True`: whoever asks gets a value of its own, and may change it. Each `get` then decodes it anew.
    - `compress_over`: values of more bytes, once encoded, travel and are kept compressed.

    It works from the moment that it is made, with or without any link. `close()` it in the end, or use `with`.
    """

    _is_whole = False
    _transports: "list[Transport]" = []  # noqa: RUF012 - while there is none yet

    def __init__(
        self,
        load_callback: "AnyLoader[K, V] | None" = None,
        maximum_capacity: int | None = 50_000,
        expiration_time: Duration | None = 5_184_000,
        connection_timeout: float | timedelta = 3600,
        remote_address: "AddressLike | AddressSource | list[AddressLike | AddressSource] | None" = None,
        local_address: AddressLike | None = None,
        *,
        region: str | None = None,
        cluster: str = "default",
        secret: Secret | None = None,
        tls: "TLS | tuple[str, str, str] | dict[str, str] | None" = None,
        insecure: bool = False,
        values: Literal["replicated", "local"] = "replicated",
        replicate_loads: bool | Missing = MISSING,
        max_clock_skew: Duration = 0.5,
        source_lag: Duration = 0,
        maximum_value_bytes: int = 8 * 1024 * 1024,
        expiration_jitter: float = 0.0,
        stale_time: Duration = 0,
        refresh_time: Duration | None = None,
        load_timeout: Duration | None = None,
        retry_time: Duration = 1,
        on_removal: "Callable[[Removal[K, V]], object] | None" = None,
        clock: Clock | None = None,
        load_many: "AnyManyLoader[K, V] | None" = None,
        version: int | str | None = None,
        codecs: "Iterable[Codec[Any]]" = (),
        copy_on_get: bool = False,
        compress_over: int | None = None,
        local_cluster: "str | os.PathLike[str] | None" = None,
        may_dial: "bool | MayDial" = False,
        engine: "Options | str | None" = None,
    ) -> None:
        if _flag("copy_on_get", copy_on_get):
            from lru_cache.copies import copying

            self.__class__ = copying(type(self))
        clock = SystemClock() if clock is None else clock
        super().__init__(
            load_callback,
            maximum_capacity,
            expiration_time,
            expiration_jitter=expiration_jitter,
            stale_time=stale_time,
            refresh_time=refresh_time,
            load_timeout=load_timeout,
            retry_time=retry_time,
            on_removal=on_removal,
            clock=clock,
            load_many=load_many,
        )
        self._clock = clock
        self._silence_seconds = _milliseconds("connection_timeout", connection_timeout)
        self._remotes, self._sources = read_remotes("remote_address", remote_address)
        self._may_dial = _rule(may_dial, self._remotes)
        self._meeting = None if local_cluster is None else path_of("local_cluster", local_cluster)
        self._region = None if region is None else _name("region", region)
        self._cluster = _name("cluster", cluster)
        self._version = _version(version)
        if values not in ("replicated", "local"):
            raise ValueError(f"values must be 'replicated' or 'local', not {values!r}"[:200])
        self._values_stay = values == "local"
        if copy_on_get and self._values_stay:
            raise ValueError("copy_on_get needs the bytes of values, and values='local' keeps none")
        self._options = None if engine is None else _engine(engine)
        self._replicates_loads = (
            self._options is None if replicate_loads is MISSING else _flag("replicate_loads", replicate_loads)
        )
        self._maximum_value_bytes = arguments.count("maximum_value_bytes", maximum_value_bytes)
        if self._maximum_value_bytes > LARGEST_VALUE_BYTES:
            raise ValueError(f"maximum_value_bytes must be at most {LARGEST_VALUE_BYTES}, got {maximum_value_bytes}")
        least = None if compress_over is None else arguments.count("compress_over", compress_over)
        codecs = _codecs(codecs)
        self._values = shortened(Values(codecs, least, self._maximum_value_bytes))
        self._keys = Keys(codecs) if codecs else ANY_KEYS
        self._insecure = _flag("insecure", insecure)
        self._secrets = read_secret(secret)
        self._contexts = read_tls(tls)
        if self._options is not None and not self._secrets and not self._insecure:
            _refuse_far(self._options)
        limits = Limits(
            graves=GRAVES_WITHOUT_BOUND if self._capacity is None else min(self._store.capacity, LARGEST_CAPACITY),
            value_bytes=self._maximum_value_bytes,
            max_clock_skew=_finite("max_clock_skew", max_clock_skew),
            source_lag=_finite("source_lag", source_lag, zero=True),
        )
        self._make_replica(limits)
        self._loads_untold = 0
        self._undecodable: deque[tuple[K, ProtocolError]] = deque(maxlen=100)  # to be logged by who leaves the lock
        self._undecodable_count = 0
        self._codecs_missed: set[str] = set()  # of which a line was logged
        self._log = LimitedLog()
        self._closed = False
        self._is_closing = False
        self._closing = threading.RLock()  # held by who closes; a signal's handler may close, too
        self._local = None if local_address is None else parse("local_address", local_address)
        self._make_links(self._remotes, self._local)
        self._start()
        self._is_whole = True

    def _make_replica(self, limits: Limits) -> None:
        """Make a node with nothing in memory. The simulator gives it another id and smaller limits."""
        self._view, self._replica = wire(
            self._store,
            os.urandom(NODE_BYTES),
            self._clock.monotonic(),
            self._clock.time(),
            limits,
            loading=self._flights.running,
            fence=self._flights.fence,
            version=self._version,
            keys=self._keys,
        )

    def _make_links(self, remotes: list[Address], local: Address | None) -> None:
        """Make the links' end of this cache; its threads are started by `_start`."""
        self._exchange = Exchange(
            self._replica,
            self._lock,
            self._clock,
            self._view.pop_gone,
            self._notify,
            self._presence,
            lambda: self._server is None or self._server.is_settled,
        )
        terms = Terms(
            self._introduce,
            self._exchange.judge,
            self._clock.monotonic,
            self._secrets,
            self._contexts,
            self._insecure,
            self._silence_seconds,
        )
        if local is not None or remotes or self._sources or self._meeting is not None or self._options is not None:
            refuse_gevent()
        self._server: Server | LocalCluster | None = None
        self._transports = []
        self._log_link: LogLink | None = None
        try:
            if self._meeting is not None:
                self._server = LocalCluster(
                    self._meeting, self._exchange, terms, local, lambda: self._outwards(remotes, terms)
                )
                self._transports = [self._server]
            else:
                diallers: list[Dialling] = []
                if local is not None:
                    self._server = Server(local, self._exchange, terms, on_loss=lambda: _note_loss(diallers))
                    self._transports.append(self._server)
                diallers += self._outwards(remotes, terms)
                self._transports += diallers
        except BaseException:  # no descriptors left, say
            self._end_links(0.0)
            raise
        self._share_writes()
        _open_caches[id(self)] = self

    def _outwards(self, remotes: list[Address], terms: Terms) -> "list[Dialling]":
        """What leads away from this machine, or this process: in a local cluster one node has it for all."""
        if self._options is None:
            return self._diallers(remotes, terms)
        from lru_cache.engines.log_link import LogLink

        self._log_link = LogLink(
            self._options,
            self._cluster,
            self._exchange,
            self._secrets,
            self._insecure,
            self._meeting is not None,
            self._log_link,
        )
        return [*self._diallers(remotes, terms), self._log_link]

    def _diallers(self, remotes: list[Address], terms: Terms) -> "list[Dialling]":
        exchange, sources = self._exchange, self._sources
        rule = self._may_dial
        if rule is not None:
            sources = [*sources, Source("told", lambda: allowed(self._listeners(), rule), costs_all=True)]
        if not sources and len(remotes) <= ALL_OF:
            return [Dialler(remote, exchange, terms) for remote in remotes]
        return [
            Discovery(
                remotes,
                sources,
                lambda address, found, on_change: Dialler(address, exchange, terms, found, on_change),
                lambda: self._listening,
                lambda: exchange.node,
            )
        ]

    def _listeners(self) -> list[tuple[str, int]]:
        """Where the other nodes listen, as far as they can be reached and say so."""
        present = self._exchange.wait_for(self._reaching(0, self._silence_seconds))
        if present is None:
            raise OSError("not all have answered")
        return [(each.host, each.port) for each in present]

    def _share_writes(self) -> None:
        """From here on the replica hears of each write, and the links of its news."""
        kind = _LocalSharing if self._values_stay else _Sharing
        self._sharing = kind(
            self._replica, self._view, self._values, self._maximum_value_bytes, self._exchange.send_news
        )
        puts_only = not self._keeps_nothing and not self._values_stay and self._lives_are_plain()
        if puts_only and not self._overrides(LRUCache, "_set"):
            writer = Writer(
                self._replica,
                self._view,
                self._lock,
                self._monotonic,
                self._freshness.life,
                self._maximum_value_bytes,
                self._exchange.pace,
                self._exchange.act,
                self._values.encode,
            )
            self._write_shortly(None, writer.write)

    def _start(self) -> None:
        try:
            for transport in self._transports:
                transport.start()
        except BaseException:  # no threads left, say
            self.close()
            raise

    # -- what a replicated cache has beside ------------------------------------------------------------------------

    @property
    def node(self) -> str:
        """The id of this node: new for each start of a process, after a fork, and where its clock was ahead."""
        return self._replica.node.hex()

    @property
    def region(self) -> str | None:
        """Where this is, as it was given."""
        return self._region

    @property
    def version(self) -> int | str | None:
        """The version of the application's data, as it was given."""
        return self._version

    @property
    def local_address(self) -> tuple[str, int] | str | None:
        """Where it listens, with the port that it took; None if it does not. In a local cluster one node does."""
        return None if self._listening is None else self._listening.public

    @property
    def _listening(self) -> Address | None:
        return None if self._server is None else self._server.listening

    def peers(self, *, everywhere: bool = False, timeout: Duration | None = None) -> list[Peer]:
        """The nodes that it is linked with, and the addresses at which it looks for others.

        `everywhere`: then also the nodes behind those, which are asked for, if they answer in time (None:
        `connection_timeout`).
        """
        looking = [] if self._closed else [peer for transport in self._transports for peer in transport.peers()]
        near = self._exchange.peers()
        if not _flag("everywhere", everywhere):
            return near + looking
        seconds = self._seconds(timeout)
        lags, known = self.lags(), {peer.node for peer in near}
        present = self._exchange.wait_for(self._reaching(0, seconds)) or []
        far = [each for each in present if each.node.hex() not in known]
        return near + [_far_peer(each, lags.get(each.node.hex())) for each in far] + looking

    def lags(self) -> dict[str, float]:
        """How many seconds ago all that a node had written was last known here: of every node heard of, also of those
        behind neighbours.
        """
        with self._lock:
            seen, present = self._replica.seen, self._replica.present(self._monotonic())
        ours = self._replica.node
        return {n.hex(): max(0.0, seconds_of(present) - seconds_of(at)) for n, at in seen.items() if n != ours}

    def wait_connected(self, count: int = 1, timeout: Duration | None = None, *, everywhere: bool = False) -> bool:
        """Wait until so many nodes are linked with this one; False if they are not in time. None: for ever.

        `everywhere`: until so many can be reached, over however many links.
        """
        count, seconds = arguments.count("count", count), _timeout(timeout)
        if _flag("everywhere", everywhere):
            return self._exchange.wait_for(self._reaching(count, seconds)) is not None
        return self._exchange.wait_connected(count, seconds)

    def flush(self, timeout: Duration | None = None, *, everywhere: bool | None = None) -> bool:
        """Wait until every linked node has what was written here before this call.

        `everywhere`: every node that can be reached, over however many links; so it is in a local cluster, unless
        this is False. False if one of them has not in time (None: `connection_timeout`), or if none is linked though
        there are addresses to dial.
        """
        seconds = self._seconds(timeout)
        if self._reaches_everywhere(everywhere):
            return self._exchange.wait_for(self._flushing(seconds)) is not None
        return self._exchange.flush(seconds) or not self._expects_others()

    def _seconds(self, timeout: Duration | None) -> float | None:
        return self._silence_seconds if timeout is None else _timeout(timeout)

    def _reaches_everywhere(self, everywhere: bool | None) -> bool:
        return self._meeting is not None if everywhere is None else _flag("everywhere", everywhere)

    async def aconnected(self, count: int = 1, timeout: Duration | None = None, *, everywhere: bool = False) -> bool:
        """`wait_connected` for a task of an event loop."""
        if _flag("everywhere", everywhere):
            return (
                await self._until_called(self._reaching(arguments.count("count", count), _timeout(timeout))) is not None
            )
        return await self._until(self._exchange.are_connected(arguments.count("count", count)), _timeout(timeout))

    async def aflush(self, timeout: Duration | None = None, *, everywhere: bool | None = None) -> bool:
        """`flush` for a task of an event loop."""
        seconds = self._seconds(timeout)
        if self._reaches_everywhere(everywhere):
            return await self._until_called(self._flushing(seconds)) is not None
        told = await self._until(self._exchange.have_all_written(), seconds) and self._exchange.has_links
        return told or not self._expects_others()

    def _reaching(self, count: int, seconds: float | None) -> "Calling":
        return self._exchange.call_all(lambda call: len(call.nodes) >= count, seconds)

    def _flushing(self, seconds: float | None) -> "Calling":
        exchange = self._exchange
        return exchange.call_all(
            lambda call: bool(call.nodes) or exchange.has_log or not self._expects_others(), seconds, True
        )

    def _expects_others(self) -> bool:
        """Whether there are others to be told, as far as is known here."""
        follows = self._meeting is not None and self._listening is None
        goes_out = bool(self._remotes) or bool(self._sources) or self._options is not None
        return goes_out or follows or self._exchange.has_links

    async def _until_called(self, calling: "Calling") -> "list[Present] | None":
        """Wait, in a task, for all that this yields, and return what it returns."""
        while True:
            try:
                is_so, seconds = next(calling)
            except StopIteration as end:
                return cast("list[Present] | None", end.value)
            try:
                await self._until(is_so, seconds)
            except BaseException:
                calling.close()
                raise

    async def _until(self, is_so: Callable[[], bool], seconds: float | None) -> bool:
        from lru_cache.loading import loops

        exchange = self._exchange
        await loops.until(exchange.subscribe, lambda: exchange.is_over(is_so), seconds)
        with self._lock:
            return is_so()

    async def aclose(self) -> None:
        """`close` for a task of an event loop."""
        from lru_cache.loading import loops

        await loops.in_a_thread(self.close)

    def close(self) -> None:
        """Say goodbye to all, and end all threads, within `connection_timeout`. It goes on as a local cache."""
        with self._closing:
            if self._is_closing:
                return  # by a signal's handler, in the midst of it
            self._closed = self._is_closing = True
            try:
                self._end_links(self._silence_seconds * CLOSING_SHARE)
                _open_caches.pop(id(self), None)
            finally:
                self._is_closing = False

    def _end_links(self, seconds: float) -> None:
        """End all threads, each whatever happened to the one before; the first mistake is raised in the end.

        All of it may be done again, as after an interruption.
        """
        deadline = time.monotonic() + seconds
        with ExitStack() as acts:  # the last one first
            for transport in self._transports:
                acts.callback(lambda each: each.join(max(0.0, deadline - time.monotonic())), transport)
            acts.callback(self._exchange.close, "its cache was closed")
            for transport in self._transports:
                acts.callback(transport.stop)

    def __enter__(self) -> "LRUCacheDistributed[K, V]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "LRUCacheDistributed[K, V]":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def stats(self) -> DistributedStats:
        """Return what happened so far, here and between the nodes."""
        links, bytes_in, bytes_out = self._exchange.traffic()
        local = super().stats()
        log = self._log_link
        with self._lock:
            counts = self._replica.counts
            return DistributedStats(
                **vars(local),
                links=links,
                bytes_received=bytes_in,
                bytes_sent=bytes_out,
                news_applied=counts.applied,
                news_told=counts.told,
                news_repeated=counts.repeated,
                prunes=counts.prunes,
                grafts=counts.grafts,
                sets_refused=counts.refused,
                resyncs=counts.resyncs,
                overflows=counts.overflows,
                dropped_by_floors=counts.dropped_by_floors,
                loads_left_out=counts.loads_left_out,
                values_too_large=counts.too_large,
                loads_untold=self._loads_untold,
                undecodable=self._undecodable_count,
                graves=len(self._replica.forgotten),
                log_lag=0.0 if log is None else log.lag,
                log_broken=0 if log is None else log.counts.broken,
                log_lost=0 if log is None else log.counts.lost,
                log_restored=0 if log is None else log.counts.restored,
                log_refused=0 if log is None else log.counts.refused,
            )

    # -- writing: in `LRUCache`, with what `_Sharing` has beside ------------------------------------------------------

    def _plain_life(self) -> float | None:
        return None  # a write is never only a put

    # -- what leaves by itself: its age stays known -------------------------------------------------------------------

    def _reap_locked(self, now: float, limit: int | None = None) -> list[Gone[K, V]]:
        gone = super()._reap_locked(now, limit)
        if gone:
            self._replica.left(gone)
        return gone

    def _remove_locked(self, key: K, cause: RemovalCause, now: float) -> list[Gone[K, V]]:
        gone = super()._remove_locked(key, cause, now)
        if gone:
            self._replica.left(gone)
        return gone

    # -- loads ---------------------------------------------------------------------------------------------------------

    def _prepare_load(self, key: K, value: V) -> tuple[bytes | None, bytes | None]:
        """A load's key and value as bytes. A load that cannot be told is kept here all the same."""
        name = _encoded_or_none(self._view, key)
        if name is None:
            self._note_untold("the key %r cannot be encoded: what is loaded for it stays on this node", key)
            return None, None
        if self._values_stay or not self._replicates_loads:
            return name, None
        try:
            payload = self._values.encode(value)
        except (TypeError, ValueError) as error:
            self._note_untold("what was loaded for %r stays on this node: %s", key, error)
            return name, None
        if len(payload) > self._maximum_value_bytes:
            self._note_untold("what was loaded for %r stays on this node: it has %d bytes", key, len(payload))
            return name, None
        return name, payload

    def _note_untold(self, line: str, *values: object) -> None:
        with self._lock:
            self._loads_untold += 1
            first = self._loads_untold == 1
        if first:
            logger().warning(line + " (said once; stats().loads_untold counts them)", *values)

    def _put_load_locked(
        self,
        flight: Flight[K],
        value: V,
        life: float | None,
        now: float,
        prepared: tuple[bytes | None, bytes | None],
    ) -> list[Gone[K, V]]:
        name, payload = prepared
        stamp = None
        if name is not None:
            began = self._replica.begin_load(flight.started)
            stamp = self._replica.keep_load(name, payload, began, now)
            if stamp is None:
                return []
        gone = self._store.put(flight.key, value, now, *self._freshness.ends(now, life), stamp)
        self._replica.left(gone)
        return gone

    def _keep_load(self, flight: Flight[K], value: Any, life: float | None, gone: list[Gone[K, V]]) -> Any:
        value = super()._keep_load(flight, value, life, gone)
        self._exchange.send_news()
        return value

    # -- values that came encoded --------------------------------------------------------------------------------------

    def _miss(self, key: K, default: Any, load: Callable[[K], Any] | None) -> Any:
        value = super()._miss(key, default, load)
        if self._undecodable:
            self._notify_of_rest()
        return value

    def _misses_are_plain(self) -> bool:
        return self._nobody_hears_of_misses() and not self._overrides(LRUCacheDistributed, "_miss", "_plan")

    def _find_locked(self, key: K) -> Entry[K, V] | None:
        if self._keeps_nothing:
            return None  # what came from others is there to be passed on
        entry = super()._find_locked(key)
        return entry if entry is None or self._decode_locked(entry) else None

    def __len__(self) -> int:
        return 0 if self._keeps_nothing else super().__len__()

    _entries_at_once = 100  # since to decode a value takes a few microseconds, or longer

    def _is_readable_locked(self, entry: Entry[K, V], now: float) -> bool:
        return not self._keeps_nothing and now < entry.deadline and self._decode_locked(entry)

    def _decode_locked(self, entry: Entry[K, V]) -> bool:
        """See to it that an entry's value is one that can be handed out; if it does not decode, it is a miss.

        What lacks a codec stays, to be passed on to nodes that have it. Under the lock, though it may take a while: the
        codec does not release the interpreter either.
        """
        payload = _payload(entry.value, entry.version)
        if payload is None:
            return entry.value is not UNREADABLE
        try:
            value: Any = self._values.decode(payload)
        except UnreadableError as error:
            self._undecodable_count += 1
            self._undecodable.append((entry.key, error))
            entry.value = cast("V", UNREADABLE)
            return False
        except ProtocolError as error:
            self._undecodable_count += 1
            self._undecodable.append((entry.key, error))
            gone = self._store.remove(entry, RemovalCause.REMOTE, self._monotonic())
            if gone is not None:
                self._replica.left([gone])
            return False
        if entry.value is payload:  # else a codec has written this very key
            entry.value = value
        entry.fresh_until = self._freshness.fresh_until(entry.deadline)
        return True

    def _notify_of_rest(self) -> None:
        super()._notify_of_rest()
        while self._undecodable:
            try:
                key, error = self._undecodable.pop()
            except IndexError:
                return  # another thread was quicker
            line = f"what came for {key!r} does not decode, and is a miss: {error}"
            if not isinstance(error, UnreadableError):
                self._log.warning("undecodable", line)
            elif error.codec not in self._codecs_missed and len(self._codecs_missed) < MOST_CODECS_LOGGED:
                self._codecs_missed.add(error.codec)
                logger().warning("%s (said once for each codec; stats().undecodable counts all)", line)

    def _value_of(self, gone: Gone[K, V]) -> V | Missing:
        payload = _payload(gone[1], gone[2])
        if payload is None:
            return MISSING if gone[1] is UNREADABLE else gone[1]
        try:
            value: Any = self._values.decode(payload)
        except ProtocolError as error:
            self._undecodable.append((gone[0], error))
            return MISSING
        return cast("V", value)

    def _notify(self, gone: list[Gone[K, V]]) -> None:
        if self._on_removal is not None and gone:
            values = [(each, self._value_of(each)) for each in gone]
            # What does not decode nobody ever had as a value.
            gone = [(key, value, stamp, cause) for (key, _, stamp, cause), value in values if value is not MISSING]
        super()._notify(gone)

    # -- the network's questions ---------------------------------------------------------------------------------------

    def _role(self) -> str:
        if self._listening is None:
            return "client"
        return "both" if self._remotes or self._sources else "server"

    def _presence(self) -> "Introduction":
        listening = self._listening
        host, port = ("", 0) if listening is None else (listening.host, listening.port)
        return self._replica.node, self._region or "", self._role(), "" if host in ANY_HOST else host, port

    def _introduce(self) -> Hello:
        return Hello(
            version=PROTOCOL_VERSION,
            cluster=self._cluster,
            node=self._replica.node,
            region=self._region or "",
            role=self._role(),
            capacity=min(self._store.capacity, LARGEST_CAPACITY),
            present=self._exchange.present(),
            value_bytes=self._maximum_value_bytes,
            silence_ms=max(1, int(min(self._silence_seconds * 1000, 1 << 53))),
            signed=False,
            nonce=b"",
        )

    def _after_fork_in_child(self) -> None:
        """Another node, with its parent's memory: it joins its parent if that listens, else its parent's remotes; or
        their local cluster.
        """
        super()._after_fork_in_child()
        if not self._is_whole:  # its construction failed, or was another thread's and will never end
            for transport in self._transports:
                transport.abandon()
            return
        parent = self._listening if self._meeting is None else None
        for transport in self._transports:
            transport.abandon()
        self._exchange.abandon()
        self._closing, self._is_closing = threading.RLock(), False
        self._replica.renew(os.urandom(NODE_BYTES), self._monotonic())
        if parent is not None:
            self._remotes, self._sources, self._options = [parent], [], None
        if self._meeting is None:
            self._local = None
        if (self._remotes or self._sources or self._meeting is not None or self._options) and has_gevent():
            logger().warning("a forked process makes no links: %s", GEVENT)
            self._forget_addresses()
        if self._closed:
            self._forget_addresses()
        self._make_links(self._remotes, self._local)

    def _forget_addresses(self) -> None:
        self._remotes, self._sources, self._local, self._meeting, self._may_dial = [], [], None, None, None
        self._options = None

    def __repr__(self) -> str:
        links = self._exchange.traffic()[0]
        return f"<{type(self).__name__} {self.node}: {self._held_of_capacity()}, {links} links>"


class _Sharing:
    """What replication has beside a write: its bytes before, its news under the lock, and the links' bell after."""

    def __init__(
        self,
        replica: Replica,
        view: StoreView,
        values: Values | ShortWay,
        longest_value: int,
        send: Callable[[], object],
    ) -> None:
        self._replica = replica
        self._view = view
        self._encode, self._decode = values.encode, values.decode
        self._longest_value = longest_value
        self.send = send

    def prepare(self, key: object, value: object) -> tuple[bytes, bytes]:
        name, payload = self._view.bytes_of(key), self._encode(value)
        if len(payload) > self._longest_value:
            raise ValueError(
                f"the value of {key!r} has {len(payload)} bytes once encoded, more than maximum_value_bytes="
                f"{self._longest_value}"
            )
        return name, payload

    def set_locked(self, prepared: tuple[bytes, bytes], now: float) -> Stamp:
        return self._replica.set(*prepared, now)

    def name(self, key: object) -> bytes | None:
        return _encoded_or_none(self._view, key)

    def name_of(self, key: object, entry: Entry[Any, Any] | None) -> bytes:
        if entry is None or not isinstance(entry.version, Stamp):
            raise TypeError(
                f"a key of class {type(key).__qualname__} cannot be encoded, so no other node can be told that it is "
                "invalid: make keys of numbers, text, bytes, dates, UUIDs and tuples of them"
            )
        return entry.version.key

    def invalidate_locked(self, name: bytes, now: float) -> None:
        self._replica.invalidate(name, now)

    def pop_locked(self, gone: Gone[Any, Any], now: float) -> None:
        if isinstance(gone[2], Stamp) and self._is_readable(gone):  # what nobody had here is none to be taken from all
            self._replica.invalidate(gone[2].key, now)

    def _is_readable(self, gone: Gone[Any, Any]) -> bool:
        payload = _payload(gone[1], gone[2])
        try:
            if payload is not None:
                self._decode(payload)
        except ProtocolError:
            return False
        return gone[1] is not UNREADABLE

    def touch_locked(self, entry: Entry[Any, Any], now: float) -> None:
        if isinstance(entry.version, Stamp):
            self._replica.touch(entry, now)

    def clear_locked(self, now: float) -> list[Gone[Any, Any]]:
        self._replica.clear(now)
        return self._view.pop_gone()

    def left_locked(self, gone: list[Gone[Any, Any]]) -> None:
        if gone:
            self._replica.left(gone)


class _LocalSharing(_Sharing):
    """Likewise where values stay: for the others a key has changed. Here it is as if it had been loaded just after."""

    def prepare(self, key: object, value: object) -> tuple[bytes, bytes]:  # noqa: ARG002 - it may be any object
        return self._view.bytes_of(key), b""

    def set_locked(self, prepared: tuple[bytes, bytes], now: float) -> Stamp:
        name, _ = prepared
        self._replica.invalidate(name, now)
        began = self._replica.begin_load(now)
        return Stamp(name, began, False, None, began)


def _note_loss(diallers: "list[Dialling]") -> None:
    for each in diallers:
        each.note_loss()


_open_caches: "WeakValueDictionary[int, LRUCacheDistributed[Any, Any]]" = WeakValueDictionary()


@atexit.register
def _close_all() -> None:
    with ExitStack() as acts:
        for cache in list(_open_caches.values()):
            acts.callback(cache.close)


def _start_all_after_fork() -> None:
    for cache in list(_open_caches.values()):
        if cache._is_whole:
            cache._start()


if hasattr(os, "register_at_fork"):
    # Not with the rest of what is done in a child: `logging` renews its lock there, and a thread that met the old one
    # would wait for ever. Handlers run in the order of registration, and ours here comes after those of all that was
    # imported above.
    os.register_at_fork(after_in_child=_start_all_after_fork)


def _payload(value: object, stamp: object) -> bytes | None:
    """The bytes of a value that came encoded and was not asked for yet; None for any other."""
    return stamp.payload if isinstance(stamp, Stamp) and value is stamp.payload else None


def _far_peer(present: "Present", lag: float | None) -> Peer:
    region = present.region or None
    return Peer(present.node.hex(), region, "", present.role, "far", None, lag, 0, found="", hops=present.hops)


def _encoded_or_none(view: StoreView, key: object) -> bytes | None:
    try:
        return view.bytes_of(key)
    except (TypeError, ValueError):
        return None


def _name(argument: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    if not 0 < len(value) <= LONGEST_NAME_CHARACTERS:
        raise ValueError(f"{argument} must have 1 to {LONGEST_NAME_CHARACTERS} characters, got {value!r}"[:200])
    if not value.isprintable():
        raise ValueError(f"{argument} must be printable, since it is told to others and logged, got {value!r}"[:200])
    return value


def _codecs(value: Any) -> "list[Codec[Any]]":
    found = list(arguments.items("codecs", value))
    if not found:
        return []
    from lru_cache.codecs import Codec

    for codec in found:
        if not isinstance(codec, Codec):
            raise TypeError(
                f"codecs must be made by lru_cache.codecs, such as codecs.dataclass(Point), not {codec!r}"[:200]
            )
    return found


def _rule(value: Any, given: list[Address]) -> "Rule | None":
    if value is False:
        return None
    if callable(value):
        return lambda: cast("MayDial", value)
    if value is not True:
        raise TypeError(f"may_dial must be True, False or a function of (host, port), not {value!r}"[:200])
    if not given:
        raise ValueError("may_dial=True allows the networks of given addresses, and remote_address has none")
    return in_networks_of(given)


def _version(value: Any) -> int | str | None:
    if value is None or (type(value) is int and -(1 << 63) <= value < 1 << 63):
        return value
    if type(value) is not str:
        raise TypeError(f"version must be an int of at most 64 bits, a str or None, not {value!r}"[:200])
    if not value.isprintable() or not 0 < len(value.encode()) <= LONGEST_VERSION_BYTES:
        raise ValueError(f"version must be printable and have 1 to {LONGEST_VERSION_BYTES} bytes, got {value!r}"[:200])
    return value


def _milliseconds(argument: str, value: Any) -> float:
    """A time in milliseconds (which a timedelta need not say) as seconds, and no more than polls take."""
    if isinstance(value, timedelta):
        return _long_enough(argument, min(arguments.seconds(argument, value), LONGEST_SILENCE_SECONDS))
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{argument} must be milliseconds (int, float) or a timedelta, not {type(value).__name__}")
    seconds = arguments.seconds(argument, min(value, LONGEST_SILENCE_SECONDS * 1000)) / 1000
    return _long_enough(argument, seconds)


def _long_enough(argument: str, seconds: float) -> float:
    if seconds < SHORTEST_SILENCE_SECONDS:
        raise ValueError(
            f"{argument} is in milliseconds, and {seconds * 1000:g} of them are too few for a link to last: "
            f"give at least {SHORTEST_SILENCE_SECONDS * 1000:g} (the default is 3600)"
        )
    if seconds < SHORT_SILENCE_SECONDS:
        logger().warning(
            "%s is in milliseconds, and after %g of them a busy neighbour may be taken for dead",
            argument,
            seconds * 1000,
        )
    return seconds


def _finite(argument: str, value: Any, *, zero: bool = False) -> float:
    seconds = arguments.seconds(argument, value, zero=zero)
    if isinf(seconds):
        raise ValueError(f"{argument} must be finite, got {value!r}")
    return seconds


def _flag(argument: str, value: Any) -> bool:
    if not isinstance(value, bool):  # "false", as it comes from an environment, would be true
        raise TypeError(f"{argument} must be True or False, not {value!r}"[:200])
    return value


def _engine(value: Any) -> "Options":
    from lru_cache.engines.options import read_engine

    options = read_engine(value)
    options.require()
    return options


def _refuse_far(options: "Options") -> None:
    """Refuse an engine that is on another machine for certain; of a name that is found out when it is looked up."""
    for host in options.parts.hosts:
        try:
            found = ip_address(host.host)
        except ValueError:
            continue
        if not found.is_loopback:
            raise ValueError(
                f"the engine at {options.shown} is on another machine: give all nodes the same secret=..., which seals "
                "what they write there, or insecure=True if everybody who can write there may write this cache"
            )


def _timeout(value: Any) -> float | None:
    if value is None:
        return None
    seconds = arguments.seconds("timeout", value, zero=True)
    return None if seconds == inf else min(seconds, threading.TIMEOUT_MAX)
