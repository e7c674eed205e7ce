"""`python -m benchmarks codecs`: what values of an application's own classes cost, alone and between two nodes.

Beside ours, in turn, what msgspec, pydantic and pickle take for the same six fields: alone, and by hand over the same
cache, with `set(key, dumps(value))` and `loads(get(key))`. A replicated `set` encodes once, and the first `get` on each
other node decodes once. Figures are medians of the rounds.
"""

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from time import process_time
from typing import Any

from benchmarks import codec_nodes
from benchmarks.codec_kinds import FIELDS, KINDS, kind_of
from benchmarks.options import Options, at_least
from benchmarks.tables import table
from lru_cache.replication import shortened
from lru_cache.replication.encoding import Values

ROUNDS = {"full": 15, "quick": 2}
NODE_ROUNDS = {"full": 5, "quick": 1}
TIMES = {"full": 20_000, "quick": 200}
MOST_TIMES_MSGSPEC = 1.5

Figures = dict[str, dict[str, float]]  # way -> what -> the median
Way = tuple[str, Any, Callable[[Any], bytes], Callable[[Any], Any]]


def ways() -> list[Way]:
    """A name, a value, and how it becomes bytes and comes back: all that can be measured here."""
    found: list[Way] = []
    for name in KINDS:
        kind = kind_of(name)
        if kind is not None:
            ours = shortened(Values(kind.codecs))  # as a cache has it
            found.append((f"{name}, ours", kind.make(FIELDS), ours.encode, ours.decode))
            if kind.library:
                found.append((f"{name}, {kind.library}", kind.make(FIELDS), kind.dumps, kind.loads))
    return found


def microseconds(function: Callable[[Any], Any], argument: Any, times: int) -> float:
    """How long one call takes."""
    start = process_time()
    for _ in range(times):
        function(argument)
    return (process_time() - start) / times * 1e6


def measure(rounds: int, times: int) -> Figures:
    """Each way in turn, round by round."""
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for name, value, encode, decode in ways():
            data = encode(value)
            assert decode(data) == value
            row = found.setdefault(name, {"encode": [], "decode": [], "bytes": [len(data)]})
            row["encode"].append(microseconds(encode, value, times))
            row["decode"].append(microseconds(decode, data, times))
    medians = {name: {of: statistics.median(each) for of, each in row.items()} for name, row in found.items()}
    for row in medians.values():
        row["both"] = row["encode"] + row["decode"]
    return medians


# -- beside the others -------------------------------------------------------------------------------------------------

CLAIMS = {  # what is compared: the figure, and whether more of it is better
    "encode and decode": ("both", False),
    "sets a second": ("sets", True),
    "the first read": ("first", False),
    "reading again": ("again", False),
}


def beside(alone: Figures, nodes: Figures) -> list[tuple[str, ...]]:
    """Ours as a ratio to each library, figure by figure, and whether we win or lose."""
    rows = []
    for name in KINDS:
        kind = kind_of(name)
        if kind is None or not kind.library:
            continue
        for claim, (figure, more) in CLAIMS.items():
            found = alone if figure == "both" else nodes
            ratio = found[f"{name}, ours"][figure] / found[f"{name}, {kind.library}"][figure]
            rows.append((name, claim, f"{ratio:.2f} x {kind.library}'s", "win" if (ratio > 1) == more else "LOSE"))
    return rows


def verdict(alone: Figures) -> list[str]:
    """What a struct of msgspec is held to."""
    ours, theirs = alone.get("a msgspec struct, ours"), alone.get("a msgspec struct, msgspec")
    if not ours or not theirs:
        return []
    ratio = ours["both"] / theirs["both"]
    mark = "pass" if ratio <= MOST_TIMES_MSGSPEC else "MISS"
    return ["", f"{mark}  a struct of msgspec takes at most {MOST_TIMES_MSGSPEC:g} x msgspec's own: {ratio:.1f} x"]


def text(alone: Figures, nodes: Figures) -> str:
    """As tables."""
    of_alone = [
        (name, *(f"{row[of]:.2f}" for of in ("encode", "decode", "both")), f"{row['bytes']:.0f}")
        for name, row in alone.items()
    ]
    of_nodes = [
        (name, f"{row['sets']:,.0f}", f"{row['of a text']:.2f}", *(f"{row[of]:.2f}" for of in ("first", "again")))
        for name, row in nodes.items()
    ]
    return "\n".join(
        [
            "Six fields, microseconds of the processor",
            *table(("what, by whom", "encode", "decode", "both", "bytes"), of_alone),
            "",
            "Six fields between two processes: sets until applied, and microseconds of the processor for a get there",
            *table(("what, by whom", "sets a second", "of a text's", "first read", "again"), of_nodes),
            "",
            *table(("ours", "in", "ratio", ""), beside(alone, nodes)),
            *verdict(alone),
        ]
    )


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = Options("codecs", __doc__)
    options.add_argument(
        "--rounds", type=at_least(1), help=f"rounds over all ({ROUNDS['full']}, between nodes {NODE_ROUNDS['full']})"
    )
    chosen = options.parse_args(arguments)
    effort = "quick" if chosen.quick else "full"
    for module in ("msgspec", "pydantic"):
        if not find_spec(module):
            print(f"benchmarks: {module} is not installed, and left out: pip install '.[dev]'", file=sys.stderr)
    alone = measure(chosen.rounds or ROUNDS[effort], TIMES[effort])
    nodes = codec_nodes.measure(chosen.rounds or NODE_ROUNDS[effort], TIMES[effort])
    print(json.dumps({"alone": alone, "nodes": nodes}, indent=2) if chosen.json else text(alone, nodes))
    return 0
