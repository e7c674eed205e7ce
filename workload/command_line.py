"""The command line: arguments in, `Options` out, or one clear line and exit 2.

Must not know what is done with them.
"""

import argparse
import dataclasses
import math
import random
from collections.abc import Callable, Sequence
from typing import NoReturn

from workload.database import IN_MEMORY
from workload.scenarios import POPULATE, SCENARIOS
from workload.ways import Setting

EXIT_FAILED = 1
EXIT_MISUSED = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
EXIT_OUTPUT_CLOSED = 141  # 128 + SIGPIPE, likewise

_MOST_THREADS = 1_000
_MOST_REQUESTS = 1_000_000
_MOST_KEYS = 1_000_000
_MOST_MILLISECONDS = 60_000

_DESCRIPTION = "Serve random requests from slow stores through the cache, and print how long each took."
_EPILOG = f"""\
scenarios:
  populate  Both stores start empty; the database takes 50 ms a call, the distributed cache 5 ms. A key
            that the database lacks gets the time of the first thread to populate it, the same for all.
  lookup    key0 is value0 and so on; 500 ms and 100 ms. The data never changes and is cached for ever,
            and so is that a key does not exist (--missing).

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
    return Options(
        setting=setting,
        threads=given.threads,
        requests=given.requests,
        random_seed=random.randrange(2**32) if given.random_seed is None else given.random_seed,
        quiet=given.quiet,
        json=given.json,
        compare=given.compare,
    )


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
    return parser


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
