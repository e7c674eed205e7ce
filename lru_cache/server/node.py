"""A node: the cache, its socket, its signals, from the first line that it prints to its exit status.

It must not know what is asked for, nor how the command line is written.
"""

import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lru_cache import LRUCacheDistributed, LRUCacheError
from lru_cache.server import named_codecs, preload
from lru_cache.server.app import Settings, make_app
from lru_cache.server.connections import BoundedProtocol
from lru_cache.server.errors import CommandError
from lru_cache.server.keys import BadKeyError, read_key
from lru_cache.server.live import shown
from lru_cache.server.secrets import read_secret_file, read_token_file

if TYPE_CHECKING:
    from lru_cache.codecs import Codec

DEFAULT_DATABASE = "input.db"
DEFAULT_CAPACITY = 50_000
LARGE_PRELOAD_ROWS = 50_000  # from so many on there is a progress bar
FILL_STEP_ROWS = 1_000
DRAIN_SECONDS = 3  # for requests that are being answered
FLUSH_SECONDS = 1.0  # for what was written to be told to the other nodes
JOIN_SECONDS = 2.0
BACKLOG = 2_048
EXIT_INTERRUPTED = 130
OPTIONS = {
    "remote_address": "--join",
    "local_address": "--listen",
    "local_cluster": "--local-cluster",
    "engine": "--engine",
    "region": "--region",
    "codecs": "--codecs",
}
"""The cache's arguments, and the options that they come from."""


@dataclass(frozen=True)
class NodeOptions:
    """How to start a node."""

    host: str = "127.0.0.1"
    port: int = 8000
    preload: str | None = None
    listen: str | None = None
    join: tuple[str, ...] = ()
    local_cluster: str | None = None
    engine: str | None = None
    region: str | None = None
    secret_file: str | None = None
    token_file: str | None = None
    capacity: int | None = None
    expiration: float | None = None
    read_only: bool = False
    key_format: str | None = None
    show_values: bool = False
    codecs: tuple[str, ...] = ()


def run(options: NodeOptions) -> int:
    """Run a node until it is told to stop, and return its exit status. Raises `CommandError`."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    token = None if options.token_file is None else read_token_file(options.token_file)
    secret = None if options.secret_file is None else read_secret_file(options.secret_file)
    codecs = named_codecs.load(options.codecs)
    pairs = read_pairs(options)
    local = is_loopback(options.host)
    settings = Settings(
        read_only=options.read_only,
        key_format=options.key_format,
        show_values=options.show_values,
        token=token,
        only_local=local,
        codecs=codecs if options.codecs else None,
    )
    with bind(options.host, options.port) as listening, make_cache(options, secret, len(pairs), codecs) as cache:
        if options.join and pairs:
            cache.wait_connected(timeout=JOIN_SECONDS)  # so that what the others hold comes before what the file says
        fill(cache, pairs)
        if not local and token is None:
            _say("warning: whoever can reach this node can use it; give it a --token-file")
        status = serve(make_app(cache, settings), listening, lambda: _announce(cache, listening, len(pairs)))
        cache.flush(timeout=FLUSH_SECONDS)
    return status


# -- what a node starts from -------------------------------------------------------------------------------------------


def read_pairs(options: NodeOptions) -> preload.Pairs:
    """The pairs to begin with, each key in the form in which it is kept."""
    named = options.preload
    if named is None:
        if not Path(DEFAULT_DATABASE).is_file():
            return {}
        named = DEFAULT_DATABASE
    source = preload.find(named)
    with _bar("reading", source.rows) as advance:
        found, incomplete = preload.read(source, advance)
    if incomplete:
        _say(f"warning: {incomplete:,} rows of {named} have no key or no value, and were left out")
    try:
        pairs = {read_key(key, options.key_format): value for key, value in found.items()}
    except BadKeyError as error:
        raise CommandError(f"{named} has a key that is not taken: {error}") from None
    if options.capacity is not None and len(pairs) > options.capacity:
        raise CommandError(f"{named} has {len(pairs):,} pairs, more than --capacity {options.capacity:,}")
    return pairs


def make_cache(
    options: NodeOptions, secret: str | None, preloaded: int, codecs: "tuple[Codec[Any], ...]" = ()
) -> "LRUCacheDistributed[str, str]":
    """Make the cache, with room for what is preloaded and as much again as any has."""
    try:
        return LRUCacheDistributed(
            maximum_capacity=options.capacity or preloaded + DEFAULT_CAPACITY,
            expiration_time=options.expiration,
            remote_address=list(options.join) or None,
            local_address=options.listen,
            local_cluster=options.local_cluster,
            engine=options.engine or os.environ.get("LRU_CACHE_ENGINE") or None,
            region=options.region,
            secret=secret,
            codecs=codecs,
        )
    except (LRUCacheError, ValueError, ImportError) as error:
        raise CommandError(_in_options_words(error)) from error


def _in_options_words(error: Exception) -> str:
    """What the cache says of an argument, which it begins with, said of the option that it came from."""
    said = getattr(error, "strerror", None) or str(error)
    for argument, option in OPTIONS.items():
        if said.startswith(argument):
            said = option + said[len(argument) :]
    return said.replace("write (host, port), ", "write ")  # which nobody can write on a command line


def fill(cache: "LRUCacheDistributed[str, str]", pairs: preload.Pairs) -> None:
    """Keep the pairs that are not held yet, as what a source said: so what was set anywhere in the cluster wins."""
    with _bar("keeping", len(pairs)) as advance:
        for number, (key, value) in enumerate(pairs.items(), 1):
            cache.get(key, load=lambda _, value=value: value)  # type: ignore[misc]
            if number % FILL_STEP_ROWS == 0:
                advance(FILL_STEP_ROWS)


def bind(host: str, port: int) -> socket.socket:
    """Take the port before anything else is begun. The socket listens, so that nobody is refused while we start."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        found.sort(key=lambda each: each[0] is not socket.AF_INET)  # what a name of both kinds is taken for
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise CommandError(f"cannot listen on {where}: {getattr(error, 'strerror', None) or error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise CommandError(f"cannot listen on {where}: {error.strerror}") from error
    return listening


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a socket that is bound to this."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# -- serving -----------------------------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """Uvicorn's, which would die of the signal that it has obeyed; and which would wait for streams that never end."""

    def __init__(self, config: uvicorn.Config, application: FastAPI, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._application = application
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.state.live.stop()
        await super().shutdown(sockets)

    @property
    def was_interrupted(self) -> bool:
        """Whether it was Ctrl-C that ended it."""
        return signal.SIGINT in self._captured_signals


def uvicorn_config(application: FastAPI) -> uvicorn.Config:
    """How the application is served: an access log or a proxy's headers would cost each request, and nobody asked."""
    return uvicorn.Config(
        application,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


def serve(application: FastAPI, listening: socket.socket, on_ready: Callable[[], object]) -> int:
    """Serve until SIGTERM (0) or SIGINT (130), and answer what was asked before."""
    server = _Server(uvicorn_config(application), application, on_ready)
    server.run(sockets=[listening])
    return EXIT_INTERRUPTED if server.was_interrupted else 0


# -- for people --------------------------------------------------------------------------------------------------------


def _announce(cache: "LRUCacheDistributed[str, str]", listening: socket.socket, preloaded: int) -> None:
    host, port = listening.getsockname()[:2]
    pairs = f", {preloaded:,} pairs preloaded" if preloaded else ""
    linked = shown(cache.local_address)
    where = "" if linked is None else f", nodes at {linked}"
    print(f"serving http://{f'[{host}]' if ':' in host else host}:{port}{where}{pairs}", flush=True)  # noqa: T201


def _say(line: str) -> None:
    print(f"lru_cache: {line}", file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def _bar(what: str, total: int, console: Console | None = None) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, if there is much to do."""
    console = Console(stderr=True) if console is None else console
    if total < LARGE_PRELOAD_ROWS or not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda rows: progress.advance(task, rows)
