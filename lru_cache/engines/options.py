"""What users write to name an engine: a URL, or the options of one by name. It must not know how engines work.

A password in a URL is shown to nobody: neither by `repr`, nor in what an error says.
"""

import re
from dataclasses import dataclass, fields
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

from lru_cache import arguments, extras
from lru_cache.arguments import Duration
from lru_cache.engines.urls import Url, read_url, shown_url
from lru_cache.errors import AddressError

if TYPE_CHECKING:
    from lru_cache.engines.engine import Engine, Refusal

LONGEST_STREAM_CHARACTERS = 100
_STREAM = re.compile(r"[A-Za-z0-9_-]+")
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_SECONDS = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_DURATIONS = ("retention", "latency")


@dataclass(frozen=True, repr=False)
class Options:
    """Of any engine. They may stand behind a `?` in the URL as well."""

    url: str
    stream: str = "default"
    """The name of the log: caches that share entries give the same."""
    retention: Duration = 600
    """For how many seconds records stay. Who was away for longer drops what is older."""
    records: int = 100_000
    """How many records stay at most."""
    latency: Duration = 0.01
    """The least seconds between two looks for news, and between two records of one node."""
    values: bool = True
    """False: the others are told that a key was set, and not to which value; they load it."""

    SCHEMES: ClassVar[tuple[str, ...]] = ()
    PORT: ClassVar[int] = 0
    EXAMPLE: ClassVar[str] = ""
    DRIVER: ClassVar[tuple[str, str]] = ("", "")  # module and class
    PACKAGE: ClassVar[tuple[str, str]] = ("", "")  # what it imports, and the extra that installs that

    def __post_init__(self) -> None:
        options = self.parts.options
        for name, text in options:
            if sum(name == each for each, _ in options) > 1:
                raise AddressError(f"{self.shown!r}: {name[:50]} is given twice in the URL: write it once")
            self._take(name, text)
        if not isinstance(self.stream, str) or not _STREAM.fullmatch(self.stream):
            raise ValueError(f"stream must be made of letters, digits, _ and -, got {self.stream!r}"[:200])
        if len(self.stream) > LONGEST_STREAM_CHARACTERS:
            raise ValueError(f"stream must have at most {LONGEST_STREAM_CHARACTERS} characters")
        for name in _DURATIONS:
            if arguments.seconds(name, getattr(self, name)) == inf:
                raise ValueError(f"{name} must be finite, got {getattr(self, name)!r}")
        self._set("records", arguments.count("records", self.records))
        if not isinstance(self.values, bool):
            raise TypeError(f"values must be True or False, not {self.values!r}"[:200])

    @property
    def parts(self) -> Url:
        """What stands in the URL, its password as well."""
        return read_url(self.url, self.SCHEMES, self.PORT, self.EXAMPLE)

    @property
    def latency_seconds(self) -> float:
        """`latency`, however it was given."""
        return arguments.seconds("latency", self.latency)

    @property
    def retention_seconds(self) -> float:
        """`retention`, however it was given."""
        return arguments.seconds("retention", self.retention)

    def _take(self, name: str, text: str) -> None:
        """An option that stands in the URL."""
        default = {each.name: each.default for each in fields(self)}
        del default["url"]
        if name not in default:
            raise AddressError(f"{self.shown!r}: no option {name[:50]!r}; there are {', '.join(sorted(default))}")
        if getattr(self, name) != default[name]:
            raise ValueError(f"{name} is given twice, in the URL of the engine and beside it: write it once")
        self._set(name, self._read(name, text, default[name]))

    def _read(self, name: str, text: str, default: Any) -> Any:
        shown = f"{self.shown!r}: {name} is"
        if isinstance(default, bool):
            if text.lower() not in _FLAGS:
                raise AddressError(f"{shown} true or false, not {text[:50]!r}")
            return _FLAGS[text.lower()]
        if name in _DURATIONS:
            if not _SECONDS.fullmatch(text):
                raise AddressError(f"{shown} a number of seconds, such as {default}, not {text[:50]!r}")
            return float(text)
        if isinstance(default, int):
            if not _WHOLE.fullmatch(text):
                raise AddressError(f"{shown} a whole number, such as {default}, not {text[:50]!r}")
            return int(text)
        if not text:
            raise AddressError(f"{shown} empty: write {name}=... or leave it out")
        return text

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def shown(self) -> str:
        """The URL for people, and for logs: without user, password and options."""
        return shown_url(self.url)

    def __repr__(self) -> str:
        given = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.name != "url"]
        return f"{type(self).__name__}({', '.join([repr(self.shown), *given])})"

    def require(self) -> None:
        """See to it that what the driver needs can be imported; ImportError says what to install."""
        package, extra = self.PACKAGE
        extras.require(package, self.shown, package, extra)

    def engine(self, cluster: str, refusal: "Refusal") -> "Engine":
        """The driver, for this cluster's log."""
        module, name = self.DRIVER
        driver: Engine = getattr(import_module(module), name)(self, cluster, refusal)
        return driver


@dataclass(frozen=True, repr=False)
class Redis(Options):
    """Redis 6.2 or newer, or Valkey: alone, with Sentinel, or one slot of a Cluster.

    `redis://user:password@host:6379/0`, `rediss://...` for TLS, `unix:///path/of/socket`. Several hosts with commas
    between them are tried in turn: nodes of a Cluster; or Sentinels, where `sentinel` is given.
    """

    sentinel: str = ""
    """What the Sentinels call the primary. The hosts of the URL are theirs."""
    authority: str = ""
    """The path of the certificates that vouch for a server of `rediss://`; without it those of the system do."""
    certificate: str = ""
    """The path of a certificate of ours, if the server asks for one; `key` is that of its key."""
    key: str = ""
    db: int = 0
    """The number of the database; a URL that is no Unix socket's may have it as its path."""

    SCHEMES = ("redis", "rediss", "unix")
    PORT = 6379
    EXAMPLE = "redis://cache.example:6379/0?stream=users"
    DRIVER = ("lru_cache.engines.redis", "RedisEngine")
    PACKAGE = ("redis", "redis")

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = self.parts
        if parts.scheme == "unix":
            if not parts.path or parts.hosts:
                raise AddressError(
                    f"{self.shown!r}: write unix:// and the path of Redis's socket, unix:///run/redis.sock"
                )
        elif parts.path not in ("", "/"):
            if not re.fullmatch("/[0-9]{1,9}", parts.path):
                raise AddressError(f"{self.shown!r}: the path of the URL is the number of a database, such as /0")
            if self.db != 0 or "db" in dict(parts.options):
                raise ValueError("db is given twice, as the path of the engine's URL and beside it: write it once")
            self._set("db", int(parts.path[1:]))
        if not isinstance(self.db, int) or self.db < 0:
            raise ValueError(f"db must be the number of a database, got {self.db!r}"[:200])


@dataclass(frozen=True, repr=False)
class JetStream(Options):
    """NATS 2.10 or newer, with JetStream.

    `nats://user:password@host:4222`, `nats://token@host:4222`, `tls://...`; several hosts with commas between them are
    servers of one cluster.
    """

    replicas: int = 1
    """How many servers keep the log, if it is made here."""
    authority: str = ""
    """The path of the certificates that vouch for a server of `tls://`; without it those of the system do."""
    certificate: str = ""
    """The path of a certificate of ours, if the server asks for one; `key` is that of its key."""
    key: str = ""
    credentials: str = ""
    """The path of a file with a user's JWT and key, as `nsc` makes it."""

    SCHEMES = ("nats", "tls")
    PORT = 4222
    EXAMPLE = "nats://nats.example:4222?stream=users"
    DRIVER = ("lru_cache.engines.jetstream", "JetStreamEngine")
    PACKAGE = ("nats", "nats")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._set("replicas", arguments.count("replicas", self.replicas))


KINDS: tuple[type[Options], ...] = (Redis, JetStream)


def read_engine(value: Options | str) -> Options:
    """The options of what somebody gave as `engine`."""
    if isinstance(value, Options):
        return value
    examples = " or ".join(repr(kind.EXAMPLE) for kind in KINDS)
    if not isinstance(value, str):
        raise TypeError(
            f"engine must be a URL such as {examples}, or Redis(...) or JetStream(...), not {type(value).__name__}"[
                :200
            ]
        )
    scheme = value.partition("://")[0].lower()
    for kind in KINDS:
        if scheme in kind.SCHEMES and "://" in value:
            return kind(value)
    raise AddressError(f"engine: {shown_url(value)!r} is no URL of an engine; write {examples}")
