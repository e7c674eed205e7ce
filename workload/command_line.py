"""The command line: arguments in, `Options` out, or one clear line and exit 2.

Must not know what is done with them.
"""

import argparse
import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from workload.database import IN_MEMORY
from workload.place import Place
from workload.scenarios import POPULATE, SCENARIOS
from workload.stacks import Setting

EXIT_FAILED = 1
EXIT_MISUSED = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_OUTPUT_CLOSED = 141  # 128 + SIGPIPE, likewise

_MOST_THREADS = 1_000
_MOST_REQUESTS = 1_000_000
_MOST_KEYS = 1_000_000
_MOST_MILLISECONDS = 60_000
_MOST_NODES = 32
_LOADS_BETWEEN_NODES = 3  # after so many loads one after another, ten threads have asked for nearly all of ten keys
_NEWS_MS = 100  # and a moment more, for the news to travel

_DESCRIPTION = "Serve random requests from slow stores through the cache, and print how long each took."
_EPILOG = f"""\
scenarios:
  populate  Both stores start empty; the database takes 50 ms a call, the distributed cache 5 ms. A key
            that the database lacks gets the time of the first thread to populate it, the same for all.
  lookup    key0 is value0 and so on; 500 ms and 100 ms. The data never changes and is cached for ever,
            and so is that a key does not exist (--missing).

clusters:
  --nodes N  starts N instances as processes on free ports of this machine, links each with each, and has
             them share one database file. Each begins --stagger ms after the one before it, by default so
             late that the first has loaded nearly every key. With --stagger 0 all of them miss the same
             keys in the same moment, and each loads for itself; the summary counts how often.
  --listen, --join
             make instances that you start yourself one cluster; give them one --database to share:
               python main.py --database shared.db --listen 127.0.0.1:7001 --wait 1
               python main.py --database shared.db --join 127.0.0.1:7001
             Beyond this machine they need a secret: --secret-file.

exit status:
  {0:<3}  all requests were served
  {EXIT_FAILED:<3}  a request failed, or the output could not be written
  {EXIT_MISUSED:<3}  an argument is wrong, or --database names what cannot be used
  {EXIT_INTERRUPTED:<3}  Ctrl-C, after a summary of what was served until then
  {EXIT_OUTPUT_CLOSED:<3}  the reader of the output went away
"""


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    setting: Setting
    threads: int
    requests: int
    random_seed: int
    quiet: bool
    json: bool
    compare: bool
    place: Place
    nodes: int  # to start; 0: this process is the only one
    stagger_ms: float  # between the beginnings of two nodes
    number: int  # of this node among those that another process has started; 0: none has
    control: int  # the descriptor on which that process is to be reached

    @property
    def total(self) -> int:
        """The requests of all threads."""
        return self.threads * self.requests

    @property
    def prints_requests(self) -> bool:
        """Whether each request gets its line."""
        return not (self.quiet or self.json or self.compare)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front of it."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_MISUSED, f"{self.prog}: {' '.join(message.split())} (--help lists the options)\n")


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Return what `arguments` (the process's own, if None) ask for."""
    parser = _parser()
    given = parser.parse_args(arguments)
    scenario = SCENARIOS[given.scenario]
    if given.missing and not scenario.preloaded:
        parser.error(f"--missing needs --scenario lookup: {scenario.name} creates every key that does not exist")
    if given.compare and given.database != IN_MEMORY:
        parser.error("--compare gives each way a fresh database, so it cannot use --database")
    setting = Setting(
        scenario=scenario,
        keys=given.keys,
        missing=given.missing,
        database_ms=scenario.database_ms if given.database_ms is None else given.database_ms,
        cache_ms=scenario.cache_ms if given.cache_ms is None else given.cache_ms,
        database_path=given.database,
    )
    _check_cluster(parser, given)
    return Options(
        setting=setting,
        threads=given.threads,
        requests=given.requests,
        random_seed=random.randrange(2**32) if given.random_seed is None else given.random_seed,
        quiet=given.quiet,
        json=given.json,
        compare=given.compare,
        place=Place(given.listen, tuple(given.join), given.secret_file, given.wait),
        nodes=given.nodes,
        stagger_ms=_usual_stagger_ms(setting) if given.stagger is None else given.stagger,
        number=given.node,
        control=given.control,
    )


def _check_cluster(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse what cannot be had together."""
    if given.nodes and (given.listen or given.join):
        parser.error("--nodes finds the addresses itself, so it takes neither --listen nor --join")
    if given.compare and (given.nodes or given.listen or given.join):
        parser.error("--compare is for one instance alone")
    if given.stagger is not None and not given.nodes:
        parser.error("--stagger needs --nodes")
    if given.wait and not (given.listen or given.join):
        parser.error("--wait needs --listen or --join")


def _usual_stagger_ms(setting: Setting) -> float:
    """A load looks into both stores; if the database lacks the key, it writes to both, else to one."""
    database_calls = 1 if setting.scenario.create is None else 2
    load_ms = 2 * setting.cache_ms + database_calls * setting.database_ms
    return _LOADS_BETWEEN_NODES * load_ms + _NEWS_MS


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="main.py",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--scenario", choices=sorted(SCENARIOS), default=POPULATE.name, help="default: populate")
    add("--threads", type=_whole(1, _MOST_THREADS), default=10, metavar="N", help="how many ask at once (default: 10)")
    add(
        "--requests",
        type=_whole(1, _MOST_REQUESTS),
        default=50,
        metavar="N",
        help="of each thread, one after another (default: 50)",
    )
    add(
        "--keys",
        type=_whole(1, _MOST_KEYS),
        default=10,
        metavar="N",
        help="key0, key1, ... to choose from (default: 10)",
    )
    add(
        "--missing",
        type=_whole(0, _MOST_KEYS),
        default=0,
        metavar="N",
        help="so many more keys, which do not exist (lookup only; default: 0)",
    )
    add(
        "--database-ms",
        type=_milliseconds,
        metavar="MS",
        help="what each call of the database takes (default: the scenario's)",
    )
    add(
        "--cache-ms",
        type=_milliseconds,
        metavar="MS",
        help="what each call of the distributed cache takes (default: the scenario's)",
    )
    add(
        "--database",
        type=_path,
        default=IN_MEMORY,
        metavar="PATH",
        help="a SQLite file that instances can share (default: in memory)",
    )
    add(
        "--random-seed",
        type=_integer,
        metavar="N",
        help="the same N asks for the same keys (default: another each time)",
    )
    add("--quiet", action="store_true", help="print the summary only")
    add("--json", action="store_true", help="print the summary only, as JSON")
    add("--compare", action="store_true", help="serve the same requests in three ways and print a table")
    _add_cluster(parser)
    return parser


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--nodes",
        type=_whole(1, _MOST_NODES),
        default=0,
        metavar="N",
        help="start N processes on this machine that are one cluster, and add up what they do",
    )
    add(
        "--stagger",
        type=_milliseconds,
        metavar="MS",
        help="how long after the one before each of them begins (default: three loads and 100 ms)",
    )
    add("--listen", metavar="ADDRESS", help="let other instances join here: host:port, or the path of a Unix socket")
    add("--join", action="append", default=[], metavar="ADDRESS", help="join the instance there; may be repeated")
    add(
        "--wait",
        type=_whole(0, _MOST_NODES),
        default=0,
        metavar="N",
        help="begin when N others are linked with this one (default: when those to --join are, or do not answer)",
    )
    add(
        "--secret-file",
        type=_secrets,
        default=(),
        metavar="PATH",
        help="secrets, one a line: the first is ours, all are taken",
    )
    add("--node", type=int, default=0, help=argparse.SUPPRESS)
    add("--control", type=int, default=-1, help=argparse.SUPPRESS)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if least <= number <= most:
            return number
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least:,} to {most:,}")

    return convert


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _milliseconds(text: str) -> float:
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = math.nan
    if 0 <= milliseconds <= _MOST_MILLISECONDS:
        return milliseconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds from 0 to {_MOST_MILLISECONDS:,}")


def _path(text: str) -> str:
    if not text:  # to SQLite, no name at all is a private file that vanishes at the end
        raise argparse.ArgumentTypeError("a path is needed")
    return text


def _secrets(text: str) -> tuple[str, ...]:
    try:
        lines = Path(text).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise argparse.ArgumentTypeError(f"cannot read {text!r}: {said}") from None
    if not lines:
        raise argparse.ArgumentTypeError(f"{text!r} has no secret in it")
    return tuple(lines)
