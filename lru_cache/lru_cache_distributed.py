"""`LRUCacheDistributed`: the same cache, replicated to every node that it is linked with.

What to keep, tell and believe is `replication/`'s business, and sockets are `network/`'s; here the cache's writes and
loads become news, and news that came becomes what the cache holds. Reads never leave the process.
"""

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from math import inf, isinf
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from weakref import WeakValueDictionary

from lru_cache import arguments
from lru_cache.arguments import MISSING, Duration, Missing
from lru_cache.clock import Clock, SystemClock
from lru_cache.errors import ProtocolError
from lru_cache.loading.freshness import Loaded
from lru_cache.loading.single_flight import Flight, Landing
from lru_cache.log import logger
from lru_cache.lru_cache import LRUCache
from lru_cache.network.address import Address, AddressLike, parse, parse_many
from lru_cache.network.client import Dialler
from lru_cache.network.exchange import Exchange
from lru_cache.network.greeting import Terms
from lru_cache.network.handshake import LONGEST_NAME_CHARACTERS, PROTOCOL_VERSION, Hello
from lru_cache.network.lines import Lines
from lru_cache.network.peer import Peer
from lru_cache.network.security import Secret, read_secret, read_tls
from lru_cache.network.server import Server
from lru_cache.replication.encoding import decode_value, encode_key, encode_value
from lru_cache.replication.messages import FRAME_MARGIN_BYTES
from lru_cache.replication.replica import Limits, Replica
from lru_cache.replication.shelf import Shelf
from lru_cache.replication.short_cuts import Stamp
from lru_cache.replication.version import NODE_BYTES
from lru_cache.stats import DistributedStats
from lru_cache.store import Entry, Gone, RemovalCause

if TYPE_CHECKING:
    from lru_cache.loading.freshness import Bare
    from lru_cache.network.security import TLS
    from lru_cache.removal import Removal

K = TypeVar("K")
V = TypeVar("V", bound="Bare")

LARGEST_VALUE_BYTES = 0xFFFF_FFFF - 2 * FRAME_MARGIN_BYTES  # what a frame's header can say, with all around it
LARGEST_CAPACITY = 1 << 53  # that is told or counted with; it may be given as more than any memory has
GRAVES_WITHOUT_BOUND = 50_000  # remembered deletions where entries have no bound
LONGEST_SILENCE_SECONDS = 1_000_000.0  # a poll counts milliseconds in 31 bits
CLOSING_SHARE = 0.9  # of `connection_timeout`, for threads to end


class LRUCacheDistributed(LRUCache[K, V]):
    """An `LRUCache` that tells its writes to the caches that it is linked with, and hears of theirs.

    All of `LRUCache`'s arguments, and:

    - `connection_timeout`, in milliseconds: a peer from which nothing is heard for so long is dead, until it is back.
    - `remote_address`: where to dial; one address or a list of them. `local_address`: where to listen. Either, both or
      none. `(host, port)`, `"host:port"`, `"[::1]:port"` or the path of a Unix socket; port 0 takes a free one.
    - `region` names where this is, for people; only caches of one `cluster` talk to each other.
    - `secret` (or the environment's LRU_CACHE_SECRET) proves both sides to each other; of several the first is ours
      and all are taken. `tls` encrypts too: `TLS(certificate, key, authority)`. With neither, only nodes on this
      machine are talked to, unless `insecure=True`.
    - `values="local"`: values are any objects, and stay on the node that set or loaded them; the others are told that
      the key has changed, and drop what they have. The same on all nodes.
    - `replicate_loads=False` keeps what is loaded to this node; writes are told all the same.
    - `max_clock_skew`: nodes whose clocks differ by more seconds are refused. `source_lag`: how many seconds what the
      loader reads may lag behind an invalidation. The same on all nodes.
    - `maximum_value_bytes`: the longest encoded value.

    It works from the moment that it is made, with or without any link. `close()` it in the end, or use `with`.
    """

    _is_whole = False

    def __init__(
        self,
        load_callback: Callable[[K], V | Loaded[V]] | None = None,
        maximum_capacity: int | None = 50_000,
        expiration_time: Duration | None = 5_184_000,
        connection_timeout: float = 3600,
        remote_address: AddressLike | list[AddressLike] | None = None,
        local_address: AddressLike | None = None,
        *,
        region: str | None = None,
        cluster: str = "default",
        secret: Secret | None = None,
        tls: "TLS | tuple[str, str, str] | dict[str, str] | None" = None,
        insecure: bool = False,
        values: Literal["replicated", "local"] = "replicated",
        replicate_loads: bool = True,
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
        load_many: Callable[[list[K]], Mapping[K, V | Loaded[V]]] | None = None,
    ) -> None:
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
        self._remotes = parse_many("remote_address", remote_address)
        self._region = None if region is None else _name("region", region)
        self._cluster = _name("cluster", cluster)
        if values not in ("replicated", "local"):
            raise ValueError(f"values must be 'replicated' or 'local', not {values!r}"[:200])
        self._values_stay = values == "local"
        self._replicates_loads = _flag("replicate_loads", replicate_loads)
        self._maximum_value_bytes = arguments.count("maximum_value_bytes", maximum_value_bytes)
        if self._maximum_value_bytes > LARGEST_VALUE_BYTES:
            raise ValueError(f"maximum_value_bytes must be at most {LARGEST_VALUE_BYTES}, got {maximum_value_bytes}")
        self._insecure = _flag("insecure", insecure)
        self._secrets = read_secret(secret)
        self._contexts = read_tls(tls)
        limits = Limits(
            graves=GRAVES_WITHOUT_BOUND if self._capacity is None else min(self._store.capacity, LARGEST_CAPACITY),
            value_bytes=self._maximum_value_bytes,
            max_clock_skew=_finite("max_clock_skew", max_clock_skew),
            source_lag=_finite("source_lag", source_lag, zero=True),
        )
        self._shelf = Shelf(self._store, self._flights.fence, self._flights.running, encode_key, RemovalCause.REMOTE)
        self._replica = Replica(os.urandom(NODE_BYTES), self._shelf, clock.monotonic(), clock.time(), limits)
        self._loads_untold = 0
        self._undecodable: deque[tuple[K, ProtocolError]] = deque(maxlen=1)  # to be logged by who leaves the lock
        self._lines = Lines()
        self._closed = False
        self._closing = threading.RLock()  # held by who closes; a signal's handler may close, too
        local = None if local_address is None else parse("local_address", local_address)
        self._role = "client" if local is None else "both" if self._remotes else "server"
        self._make_links(self._remotes, local)
        self._start()
        self._is_whole = True

    def _make_links(self, remotes: list[Address], local: Address | None) -> None:
        """Make the links' end of this cache; its threads are started by `_start`."""
        self._exchange = Exchange(self._replica, self._shelf, self._lock, self._clock, self._settle)
        terms = Terms(
            self._introduce,
            self._exchange.judge,
            self._clock.monotonic,
            self._secrets,
            self._contexts,
            self._insecure,
            self._silence_seconds,
        )
        self._server = None if local is None else Server(local, self._exchange, terms)
        try:
            self._diallers = [Dialler(remote, self._exchange, terms) for remote in remotes]
        except BaseException:  # no descriptors left, say
            if self._server is not None:
                self._server.close_at_once()
            raise
        self._let_set_be_short()
        _open_caches[id(self)] = self

    def _let_set_be_short(self) -> None:
        """Where all that `_set` does is what replication's short cuts do too, let them."""
        overridden = self._overrides(LRUCacheDistributed, "_set", "_encode", "_set_locked", "_after_set")
        if overridden or self._keeps_nothing or self._values_stay or not self._lives_are_plain():
            return
        write = self._replica.short_cuts.allow_writes(
            self._lock, self._monotonic, self._freshness.life, self._maximum_value_bytes, self._exchange.tell
        )
        if write is not None:
            self._let_write(write, MISSING)

    def _start(self) -> None:
        for part in (self._server, *self._diallers):
            if part is not None:
                part.start()

    # -- what a replicated cache has beside ------------------------------------------------------------------------

    @property
    def node(self) -> str:
        """The id of this node: new for each start of a process, and after a fork."""
        return self._replica.node.hex()

    @property
    def region(self) -> str | None:
        """Where this is, as it was given."""
        return self._region

    @property
    def local_address(self) -> tuple[str, int] | str | None:
        """Where it listens, with the port that it took; None if it does not."""
        return None if self._server is None else self._server.address.public

    def peers(self) -> list[Peer]:
        """The nodes that it is linked with, and the addresses at which it looks for others."""
        looking = [dialler.peer() for dialler in self._diallers if not self._closed]
        return self._exchange.peers() + [peer for peer in looking if peer is not None]

    def wait_connected(self, count: int = 1, timeout: Duration | None = None) -> bool:
        """Wait until so many nodes are linked with this one; False if they are not in time. None: for ever."""
        return self._exchange.wait_connected(arguments.count("count", count), _timeout(timeout))

    def flush(self, timeout: Duration | None = None) -> bool:
        """Wait until every linked node has what was written here before this call.

        False if one of them has not in time (None: `connection_timeout`), or if none is linked though there are
        addresses to dial.
        """
        seconds = self._silence_seconds if timeout is None else _timeout(timeout)
        return self._exchange.flush(seconds) or not (self._remotes or self._exchange.has_links)

    def close(self) -> None:
        """Say goodbye to all, and end all threads, within `connection_timeout`. It goes on as a local cache."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            deadline = time.monotonic() + self._silence_seconds * CLOSING_SHARE
            parts: list[Server | Dialler] = [*self._diallers]
            if self._server is not None:
                parts.append(self._server)
            for part in parts:
                part.stop()
            self._exchange.close("its cache was closed")
            for part in parts:
                part.join(max(0.0, deadline - time.monotonic()))
            _open_caches.pop(id(self), None)

    def __enter__(self) -> "LRUCacheDistributed[K, V]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stats(self) -> DistributedStats:
        """Return what happened so far, here and between the nodes."""
        links, bytes_in, bytes_out = self._exchange.traffic()
        with self._lock:
            counts = self._replica.counts
            return DistributedStats(
                **vars(super().stats()),
                links=links,
                bytes_received=bytes_in,
                bytes_sent=bytes_out,
                news_applied=counts.applied,
                news_repeated=counts.repeated,
                sets_refused=counts.refused,
                resyncs=counts.resyncs,
                overflows=counts.overflows,
                dropped_by_floors=counts.dropped_by_floors,
                loads_left_out=counts.loads_left_out,
                values_too_large=counts.too_large,
                loads_untold=self._loads_untold,
                graves=len(self._replica.forgotten),
            )

    # -- writing, as news --------------------------------------------------------------------------------------------

    def clear(self) -> None:
        """Drop everything on every node, and whatever is being loaded."""
        with self._lock:
            now = self._monotonic()
            self._flights.fence_all()
            gone = self._store.clear(now)
            self._replica.clear(now)
            gone += self._gone_by_replica_locked()
        self._settle(gone)
        self._exchange.tell()

    def touch(self, key: K, expiration_time: Duration | None | Missing = MISSING) -> bool:
        """Begin the life of an entry anew on every node, as one use of it here. False if none is held."""
        life = self._life(None, expiration_time)
        if life == 0:
            return self.invalidate(key)
        with self._lock:
            now = self._monotonic()
            entry = self._living_locked(key, now)
            if entry is not None:
                self._store.prolong(entry, *self._freshness.ends(now, life))
                self._store.use(entry)
                if isinstance(entry.version, Stamp):
                    self._replica.touch(entry, now)
        self._tell_untold()
        self._exchange.tell()
        return entry is not None

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return what is held for a key, else keep `default` and return it. Does not load."""
        held = self._held(key)
        if held is not MISSING:
            return held
        name, payload = self._encode(key, default)
        with self._lock:
            held = self._held(key)
            if held is not MISSING:
                return held
            flight, gone = self._set_locked(key, default, None, name, payload)
        self._after_set(default, flight, gone)
        return default

    def _held(self, key: K) -> Any:
        with self._lock:
            entry = self._living_locked(key, self._monotonic())
            if entry is None:
                return MISSING
            self._count_hit()
            self._store.use(entry)
            return entry.value

    def _set(self, key: K, value: V, life: float | None) -> None:
        name, payload = self._encode(key, value)
        with self._lock:
            flight, gone = self._set_locked(key, value, life, name, payload)
        self._after_set(value, flight, gone)

    def _set_many(self, items: list[tuple[K, V]], life: float | None) -> None:
        encoded = [(key, value, *self._encode(key, value)) for key, value in items]
        for key, value, name, payload in encoded:
            with self._lock:
                flight, gone = self._set_locked(key, value, life, name, payload)
            self._after_set(value, flight, gone)

    def _encode(self, key: K, value: V) -> tuple[bytes, bytes]:
        """A key and a value as bytes; TypeError or ValueError for what cannot be told."""
        if self._values_stay:
            return encode_key(key), b""
        name, payload = encode_key(key), encode_value(value)
        if len(payload) > self._maximum_value_bytes:
            raise ValueError(
                f"the value of {key!r} has {len(payload)} bytes once encoded, more than maximum_value_bytes="
                f"{self._maximum_value_bytes}"
            )
        return name, payload

    def _set_locked(
        self, key: K, value: V, life: float | None, name: bytes, payload: bytes
    ) -> tuple[Flight[K] | None, list[Gone[K, V]]]:
        now = self._monotonic()
        flight = self._flights.fence(key) if self._flights.running else None
        if self._values_stay:
            # For the others the key has changed. Here it is as if the value had been loaded just after that.
            self._replica.invalidate(name, now)
            began = self._replica.begin_load(now)
            stamp = Stamp(name, began, False, None, began)
        else:
            stamp = self._replica.set(name, payload, now)
        gone = self._store.put(key, value, now, *self._freshness.ends(now, life), stamp)
        if gone:
            self._replica.left(gone)
        if self._keeps_nothing:
            self._remove_locked(key, RemovalCause.EVICTED, now)  # the others are told that the key was written
            gone = []
        return flight, gone

    def _after_set(self, value: V, flight: Flight[K] | None, gone: list[Gone[K, V]]) -> None:
        if flight is not None:
            flight.land(Landing.VALUE, value)
        if self._on_removal is not None:
            self._settle(gone)
        self._exchange.tell()

    def _take(self, key: K) -> Gone[K, V] | None:
        name = _encoded_or_none(key)
        with self._lock:
            now = self._monotonic()
            self._flights.fence(key)
            gone = self._remove_locked(key, RemovalCause.INVALIDATED, now)
            self._invalidations += 1
            if name is not None:
                self._replica.invalidate(name, now)
        self._settle(gone)
        self._exchange.tell()
        return gone[0] if gone and gone[0][3] is RemovalCause.INVALIDATED else None

    def _pop_oldest_locked(self, now: float) -> tuple[list[Gone[K, V]], bool]:
        gone, found = super()._pop_oldest_locked(now)
        self._replica.left(gone)
        if found and isinstance(gone[-1][2], Stamp):
            self._replica.invalidate(gone[-1][2].key, now)
        return gone, found

    def popitem(self) -> tuple[K, V]:
        """Invalidate the least recently used entry, and return it."""
        item = super().popitem()
        self._exchange.tell()
        return item

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

    def _gone_by_replica_locked(self) -> list[Gone[K, V]]:
        gone, self._shelf.gone = self._shelf.gone, []
        return gone

    # -- loads ---------------------------------------------------------------------------------------------------------

    def _prepare_load(self, key: K, value: V) -> tuple[bytes | None, bytes | None]:
        """A load's key and value as bytes. A load that cannot be told is kept here all the same."""
        name = _encoded_or_none(key)
        if name is None:
            self._note_untold("the key %r cannot be encoded: what is loaded for it stays on this node", key)
            return None, None
        if self._values_stay or not self._replicates_loads:
            return name, None
        try:
            payload = encode_value(value)
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
        self._exchange.tell()
        return value

    # -- values that came encoded --------------------------------------------------------------------------------------

    def _miss(self, key: K, default: Any, load: Callable[[K], Any] | None) -> Any:
        value = super()._miss(key, default, load)
        if self._undecodable:
            self._tell_untold()
        return value

    def _misses_are_plain(self) -> bool:
        return self._nobody_hears_of_misses() and not self._overrides(LRUCacheDistributed, "_miss", "_plan")

    def _find_locked(self, key: K) -> Entry[K, V] | None:
        if self._keeps_nothing:
            return None  # what came from others is there to be passed on
        entry = super()._find_locked(key)
        return entry if entry is None or self._decode_locked(entry) else None

    def _living_entries(self) -> list[Entry[K, V]]:
        if self._keeps_nothing:
            return []
        with self._lock:
            living = [entry for entry in super()._living_entries() if self._decode_locked(entry)]
        self._tell_untold()
        return living

    def _decode_locked(self, entry: Entry[K, V]) -> bool:
        """See to it that an entry's value is one that can be handed out; if it does not decode, it is a miss.

        Under the lock, though it may take a while: the codec does not release the interpreter either.
        """
        payload = _payload(entry.value, entry.version)
        if payload is None:
            return True
        try:
            value: Any = decode_value(payload)
        except ProtocolError as error:
            self._undecodable.append((entry.key, error))
            gone = self._store.remove(entry, RemovalCause.REMOTE, self._monotonic())
            if gone is not None:
                self._replica.left([gone])
            return False
        entry.value = value
        entry.fresh_until = self._freshness.fresh_until(entry.deadline)
        return True

    def _tell_untold(self) -> None:
        super()._tell_untold()
        while self._undecodable:
            try:
                key, error = self._undecodable.pop()
            except IndexError:
                return  # another thread told it
            self._lines.warning("undecodable", f"what came for {key!r} does not decode, and is a miss: {error}")

    def _value_of(self, gone: Gone[K, V]) -> V | Missing:
        payload = _payload(gone[1], gone[2])
        if payload is None:
            return gone[1]
        try:
            value: Any = decode_value(payload)
        except ProtocolError as error:
            self._undecodable.append((gone[0], error))
            return MISSING
        return cast("V", value)

    def _settle(self, gone: list[Gone[K, V]]) -> None:
        if self._on_removal is not None and gone:
            values = [(each, self._value_of(each)) for each in gone]
            # What does not decode nobody ever had as a value.
            gone = [(key, value, stamp, cause) for (key, _, stamp, cause), value in values if value is not MISSING]
        super()._settle(gone)

    # -- the network's questions ---------------------------------------------------------------------------------------

    def _introduce(self) -> Hello:
        return Hello(
            version=PROTOCOL_VERSION,
            cluster=self._cluster,
            node=self._replica.node,
            region=self._region or "",
            role=self._role,
            capacity=min(self._store.capacity, LARGEST_CAPACITY),
            present=self._exchange.present(),
            value_bytes=self._maximum_value_bytes,
            silence_ms=max(1, int(min(self._silence_seconds * 1000, 1 << 53))),
            signed=False,
            nonce=b"",
        )

    def _after_fork_in_child(self) -> None:
        """Another node, with its parent's memory: it joins its parent if that listens, else its parent's remotes."""
        super()._after_fork_in_child()
        if not self._is_whole:
            return  # its construction failed, or was another thread's and will never end
        parent = self._server.address if self._server is not None else None
        for part in (self._server, *self._diallers):
            if part is not None:
                part.abandon()
        self._exchange.abandon()
        self._closing = threading.RLock()
        self._replica.renew(os.urandom(NODE_BYTES), self._monotonic())
        if parent is not None:
            self._remotes = [parent]
        self._role = "client"
        self._make_links([] if self._closed else self._remotes, None)

    def __repr__(self) -> str:
        links = self._exchange.traffic()[0]
        return f"<{type(self).__name__} {self.node}: {self._held_of_capacity()}, {links} links>"


_open_caches: "WeakValueDictionary[int, LRUCacheDistributed[Any, Any]]" = WeakValueDictionary()


@atexit.register
def _close_all() -> None:
    for cache in list(_open_caches.values()):
        cache.close()


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


def _encoded_or_none(key: object) -> bytes | None:
    try:
        return encode_key(key)
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


def _milliseconds(argument: str, value: Any) -> float:
    """A time in milliseconds (which a timedelta need not say) as seconds, and no more than polls take."""
    if isinstance(value, timedelta):
        return min(arguments.seconds(argument, value), LONGEST_SILENCE_SECONDS)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{argument} must be milliseconds (int, float) or a timedelta, not {type(value).__name__}")
    return arguments.seconds(argument, min(value, LONGEST_SILENCE_SECONDS * 1000)) / 1000


def _finite(argument: str, value: Any, *, zero: bool = False) -> float:
    seconds = arguments.seconds(argument, value, zero=zero)
    if isinf(seconds):
        raise ValueError(f"{argument} must be finite, got {value!r}")
    return seconds


def _flag(argument: str, value: Any) -> bool:
    if not isinstance(value, bool):  # "false", as it comes from an environment, would be true
        raise TypeError(f"{argument} must be True or False, not {value!r}"[:200])
    return value


def _timeout(value: Any) -> float | None:
    if value is None:
        return None
    seconds = arguments.seconds("timeout", value, zero=True)
    return None if seconds == inf else min(seconds, threading.TIMEOUT_MAX)
