"""The command line: arguments in, a command chosen and carried out, or one clear line and its exit status.

Must not know how anything is done. What the extra brings is imported when it is needed.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import NoReturn

from lru_cache.server.client import Client, NotFoundError
from lru_cache.server.errors import CommandError
from lru_cache.server.keys import KEY_FORMATS

EXIT_FAILED = 1
EXIT_MISUSED = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

PROGRAM = "python -m lru_cache"
DEFAULT_NODE = "http://127.0.0.1:8000"
INSTALL = "pip install 'cf_LRU_cache[server]' (in a checkout: pip install -e '.[server]')"

_LARGEST_PORT = 65_535
_MOST_CAPACITY = 1_000_000_000
_MOST_SECONDS = 1e10
_EPILOG = f"""\
exit status:
  {0:<3}  done, or stopped by SIGTERM after all requests were answered
  {EXIT_FAILED:<3}  it could not be done, and one line says why
  {EXIT_MISUSED:<3}  an argument is wrong
  {EXIT_INTERRUPTED:<3}  Ctrl-C
"""
_SERVE_EPILOG = f"""\
other commands (each with --help):
  get KEY          print the value of a key
  set KEY VALUE    set a key, on all nodes
  delete KEY       delete a key, on all nodes
  top              watch a node in the terminal
  make-database    make a database to preload from

{_EPILOG}"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_MISUSED, f"{self.prog}: {' '.join(message.split())} (--help lists the options)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out what the arguments (the process's own, if None) ask for, and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given.pop(0) if given and not given[0].startswith("-") else "serve"
    if name not in COMMANDS:
        return _complain(f"no command is called {name!r}; there is {', '.join(COMMANDS)}", EXIT_MISUSED)
    try:
        return COMMANDS[name](given)
    except CommandError as error:
        return _complain(str(error), EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


# -- the commands ------------------------------------------------------------------------------------------------------


def _serve(arguments: list[str]) -> int:
    given = _serve_parser().parse_args(arguments)
    try:
        from lru_cache.server.node import NodeOptions, run
    except ModuleNotFoundError as error:
        raise _lacks_extra(error) from error
    several = {option: tuple(chain.from_iterable(getattr(given, option))) for option in ("join", "codecs")}
    return run(NodeOptions(**{**vars(given), **several}))


def _get(arguments: list[str]) -> int:
    parser = _client_parser("get", "Print the value of a key. Exit status 1 if there is none.")
    parser.add_argument("key", metavar="KEY")
    given = parser.parse_args(arguments)
    try:
        value = _client(given).get(given.key)
        print(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))  # noqa: T201
    except NotFoundError as error:
        return _complain(str(error), EXIT_FAILED)
    return 0


def _set(arguments: list[str]) -> int:
    parser = _client_parser("set", "Set a key, on all nodes.")
    parser.add_argument("key", metavar="KEY")
    parser.add_argument("value", metavar="VALUE")
    parser.add_argument(
        "--expires-in", type=_seconds, metavar="SECONDS", help="how long to keep it (default: as the node does)"
    )
    given = parser.parse_args(arguments)
    _client(given).set(given.key, given.value, given.expires_in)
    return 0


def _delete(arguments: list[str]) -> int:
    parser = _client_parser("delete", "Delete a key, on all nodes.")
    parser.add_argument("key", metavar="KEY")
    given = parser.parse_args(arguments)
    held = _client(given).delete(given.key)
    print("deleted" if held else "it was not held on this node; all were told")  # noqa: T201
    return 0


def _top(arguments: list[str]) -> int:
    parser = _client_parser("top", "Watch a node in the terminal: its links, and what its cache does.")
    parser.add_argument("--once", action="store_true", help="print what there is now, and end")
    given = parser.parse_args(arguments)
    try:
        from lru_cache.server.top import run
    except ModuleNotFoundError as error:
        raise _lacks_extra(error) from error
    return run(_client(given), given.once)


def _make_database(arguments: list[str]) -> int:
    from lru_cache.server import database

    parser = _Parser(
        prog=f"{PROGRAM} make-database",
        description="Make an SQLite database that a node can be preloaded from: of your pairs, or of made-up ones.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", nargs="?", default="input.db", help="default: input.db")
    parser.add_argument(
        "--from", dest="source", metavar="PAIRS", help="a CSV file with a key and a value in each row, or a JSON object"
    )
    given = parser.parse_args(arguments)
    pairs = database.made_up() if given.source is None else database.read(Path(given.source))
    count = database.write(Path(given.file), pairs)
    print(f"{given.file}: {count:,} pairs")  # noqa: T201
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "serve": _serve,
    "get": _get,
    "set": _set,
    "delete": _delete,
    "top": _top,
    "make-database": _make_database,
}


# -- their arguments ---------------------------------------------------------------------------------------------------


def _serve_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"{PROGRAM} [serve]",
        description="Run a cache node that speaks HTTP, alone or as one of a cluster.",
        epilog=_SERVE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to serve HTTP (default: 127.0.0.1, this machine only)")
    add("--port", type=_port, default=8000, help="likewise; 0 takes a free one (default: 8000)")
    add(
        "--preload",
        metavar="FILE[:TABLE[.KEY,VALUE]]",
        help="an SQLite database to begin with (default: input.db in the working directory, if there is one)",
    )
    add("--listen", metavar="ADDR", help="where other nodes may link with this one: HOST:PORT, or a socket's path")
    add(
        "--join",
        metavar="ADDR",
        nargs="+",
        action="append",
        default=[],
        help="nodes to link with: HOST:PORT, a socket's path, or dns://NAME:PORT for all that a name stands for",
    )
    add(
        "--local-cluster",
        metavar="NAME",
        help="be one cluster with all caches of this user on this machine that give this name; "
        "--listen and --join are then the cluster's",
    )
    add(
        "--engine",
        metavar="URL",
        help="hear of other nodes over a log on Redis or NATS: redis://HOST:6379/0?stream=NAME, nats://HOST:4222. "
        "LRU_CACHE_ENGINE in the environment is another way, which shows no password to other users",
    )
    add("--region", metavar="NAME", help="where this node is, for people")
    add(
        "--secret-file", metavar="FILE", help="the cluster's secret; LRU_CACHE_SECRET in the environment is another way"
    )
    add("--token-file", metavar="FILE", help="the bearer token that every request must have (not / and /health)")
    add("--capacity", type=_count, metavar="N", help="pairs to keep (default: 50000 and what is preloaded)")
    add("--expiration", type=_seconds, metavar="SECONDS", help="how long to keep a pair (default: for ever)")
    add("--read-only", action="store_true", help="refuse writes over HTTP")
    add("--key-format", choices=KEY_FORMATS, help="take only such keys")
    add("--show-values", action="store_true", help="let the page show values")
    add(
        "--codecs",
        type=_module_and_name,
        metavar="MODULE:NAME",
        nargs="+",
        action="append",
        default=[],
        help="answer with any value, as JSON; codecs in Python modules, for values of your own classes",
    )
    return parser


def _client_parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"{PROGRAM} {name}",
        description=description,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--node", metavar="URL", default=DEFAULT_NODE, help=f"default: {DEFAULT_NODE}")
    parser.add_argument("--token-file", metavar="FILE", help="the node's bearer token")
    return parser


def _client(given: argparse.Namespace) -> Client:
    from lru_cache.server.secrets import read_token_file

    return Client(given.node, None if given.token_file is None else read_token_file(given.token_file))


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text[:9]) <= _LARGEST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to {_LARGEST_PORT}")


def _module_and_name(text: str) -> str:
    module, _, name = text.partition(":")
    if module and name:
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not MODULE:NAME")


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if 1 <= count <= _MOST_CAPACITY:
        return count
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {_MOST_CAPACITY:,}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if 0 < seconds <= _MOST_SECONDS:
        return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")


# -- what went wrong ---------------------------------------------------------------------------------------------------


def _lacks_extra(error: ModuleNotFoundError) -> Exception:
    """The extra is not installed, unless what is missing is ours."""
    if (error.name or "").split(".")[0] == "lru_cache":
        return error
    return CommandError(f"this needs the package {error.name}, which is not installed: {INSTALL}")


def _complain(line: str, status: int) -> int:
    if sys.stderr is not None:
        print(f"lru_cache: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    return status
