"""`python -m benchmarks codecs`: what a value of an application's own class costs to encode and to decode.

Beside it, in turn: what msgspec, pydantic and pickle take alone for the same six fields. A replicated `set` encodes
once, and the first `get` on each other node decodes once. Processor time; the median of the rounds.
"""

import json
import pickle
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from time import process_time
from typing import Any

from benchmarks.options import Options, at_least
from benchmarks.tables import table
from lru_cache import codecs
from lru_cache.replication.encoding import Values

ROUNDS = {"full": 15, "quick": 2}
TIMES = {"full": 20_000, "quick": 200}
MOST_TIMES_MSGSPEC = 1.5

FIELDS: dict[str, Any] = {
    "id": 12_345, "name": "Ada Lovelace", "email": "ada@example.org", "age": 36, "score": 99.5, "active": True,
}  # fmt: skip


@dataclass
class User:
    """Six fields."""

    id: int
    name: str
    email: str
    age: int
    score: float
    active: bool


class Way(tuple[str, Any, Callable[[Any], bytes], Callable[[bytes], Any]]):
    """A name, a value, and how it becomes bytes and comes back."""

    __slots__ = ()


def ways() -> Iterator[Way]:
    """All that can be measured here."""
    user = User(**FIELDS)
    ours = Values([codecs.dataclass(User, name="user")])
    yield Way(("a dict, ours", dict(FIELDS), ours.encode, ours.decode))
    yield Way(("a dataclass, ours", user, ours.encode, ours.decode))
    yield Way(("a dataclass, pickle", user, pickle.dumps, pickle.loads))
    if find_spec("msgspec"):
        import msgspec

        struct: Any = msgspec.defstruct("Struct", [(name, type(value)) for name, value in FIELDS.items()])
        own = Values([codecs.msgspec(struct, name="struct")])
        decode = msgspec.msgpack.Decoder(struct).decode
        yield Way(("a msgspec struct, ours", struct(**FIELDS), own.encode, own.decode))
        yield Way(("a msgspec struct, msgspec", struct(**FIELDS), msgspec.msgpack.Encoder().encode, decode))
    if find_spec("pydantic"):
        import pydantic

        model: Any = pydantic.create_model("Model", **{name: (type(value), ...) for name, value in FIELDS.items()})
        own = Values([codecs.pydantic(model, name="model")])
        yield Way(("a pydantic model, ours", model(**FIELDS), own.encode, own.decode))
        as_json = (lambda value: value.model_dump_json().encode(), model.model_validate_json)
        yield Way(("a pydantic model, pydantic", model(**FIELDS), *as_json))


def microseconds(function: Callable[[Any], Any], argument: Any, times: int) -> float:
    """How long one call takes."""
    start = process_time()
    for _ in range(times):
        function(argument)
    return (process_time() - start) / times * 1e6


def measure(rounds: int, times: int) -> dict[str, dict[str, float]]:
    """Each way in turn, round by round."""
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for name, value, encode, decode in ways():
            data = encode(value)
            assert decode(data) == value
            row = found.setdefault(name, {"encode": [], "decode": [], "bytes": [len(data)]})
            row["encode"].append(microseconds(encode, value, times))
            row["decode"].append(microseconds(decode, data, times))
    return {name: {of: statistics.median(each) for of, each in row.items()} for name, row in found.items()}


def text(found: dict[str, dict[str, float]]) -> str:
    """As a table."""
    rows = [
        (
            name,
            *(f"{row[of]:.2f}" for of in ("encode", "decode")),
            f"{row['encode'] + row['decode']:.2f}",
            f"{row['bytes']:.0f}",
        )
        for name, row in found.items()
    ]
    lines = ["Six fields, microseconds", *table(("what, by whom", "encode", "decode", "both", "bytes"), rows)]
    ours, alone = found.get("a msgspec struct, ours"), found.get("a msgspec struct, msgspec")
    if ours and alone:
        ratio = (ours["encode"] + ours["decode"]) / (alone["encode"] + alone["decode"])
        mark = "pass" if ratio <= MOST_TIMES_MSGSPEC else "MISS"
        lines += [
            "",
            f"{mark}  a struct of msgspec takes at most {MOST_TIMES_MSGSPEC:g} x msgspec's own: {ratio:.1f} x",
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the status says whether it ran, not whether we like the figures."""
    options = Options("codecs", __doc__)
    options.add_argument("--rounds", type=at_least(1), help=f"rounds over all ({ROUNDS['full']})")
    chosen = options.parse_args(arguments)
    effort = "quick" if chosen.quick else "full"
    for module in ("msgspec", "pydantic"):
        if not find_spec(module):
            print(f"benchmarks: {module} is not installed, and left out: pip install '.[dev]'", file=sys.stderr)
    found = measure(chosen.rounds or ROUNDS[effort], TIMES[effort])
    print(json.dumps(found, indent=2) if chosen.json else text(found))
    return 0
