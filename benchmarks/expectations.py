"""What we hold our own cache to, judged from one run's figures; a miss is printed like a pass."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.contenders import BASE, OURS, TWIN
from benchmarks.speed import BASE_OF_ROW, Figure

MOST_HIT_RATIO = 1.5
MOST_SET_RATIO = 2.5
MOST_THREADS_RATIO = 1.25  # 0.8 times as many hits a second as a dict has look-ups
MOST_MEMORY_RATIO = 1.3
MOST_PURE_HIT_RATIO = 9.0
MOST_IMPORT_MILLISECONDS = 40.0
MOST_HIT_ON_LOOP_RATIO = 1.5
MOST_LOADS_ON_LOOP_RATIO = 1.3
OURS_MANY = f"{OURS.name}, many"
# The store in Python is faster than these at hits, whatever they are written in.
NAMED_RIVALS = ("moka-py", "theine")

Rows = Mapping[str, Figure | None]


@dataclass(frozen=True)
class Verdict:
    """One expectation and how it came out; None where this run did not measure it."""

    claim: str
    measured: str
    passed: bool | None


def not_measured(claim: str) -> Verdict:
    """Give it a line of its own all the same."""
    return Verdict(claim, "not measured", None)


def judge_native(rows: Rows, rivals: Mapping[str, Rows]) -> list[Verdict]:
    """Compare the store in C with the dict, and with every cache that is safe for threads, row by row."""
    limits = {
        f"hits at most {MOST_HIT_RATIO:g} x dict.get": ("hit", MOST_HIT_RATIO),
        f"sets at most {MOST_SET_RATIO:g} x d[k] = v": ("set", MOST_SET_RATIO),
        f"hits of ten threads at most {MOST_THREADS_RATIO:g} x the dict's": ("10 threads", MOST_THREADS_RATIO),
    }
    verdicts = [judge_limit(claim, rows.get(row), most) for claim, (row, most) in limits.items()]
    for row in BASE_OF_ROW:
        claim = f"{row}: faster than every cache that is safe for threads"
        own = rows.get(row)
        others = {name: figure for name, theirs in rivals.items() if (figure := theirs.get(row)) is not None}
        if own is None or not others:
            verdicts.append(not_measured(claim))
            continue
        name, best = min(others.items(), key=lambda item: item[1].ratio)
        verdicts.append(
            Verdict(claim, f"{own.ratio:.2f} x against {best.ratio:.2f} x ({name})", own.ratio < best.ratio)
        )
    return verdicts


def judge_limit(claim: str, figure: Figure | None, most: float) -> Verdict:
    """Compare one row with a number."""
    if figure is None:
        return not_measured(claim)
    return Verdict(claim, f"{figure.ratio:.2f} x", figure.ratio <= most)


def judge_memory(own: float | None, base: float | None, contents: float) -> Verdict:
    """Weigh an entry with its key and value, as it is in memory, against one of a dict."""
    claim = f"memory at most {MOST_MEMORY_RATIO:g} x a dict's, keys and values included"
    if own is None or base is None:
        return not_measured(claim)
    ratio = (own + contents) / (base + contents)
    measured = f"{ratio:.2f} x ({own / base:.2f} x without keys and values)"
    return Verdict(claim, measured, ratio <= MOST_MEMORY_RATIO)


def judge_hits(hits: Rows, hits_without_loop: Figure | None, pure_python: set[str]) -> list[Verdict]:
    """Compare the store in Python with the dict, and with each rival in the same run."""
    claim = f"pure: hits at most {MOST_PURE_HIT_RATIO:g} x dict.get"
    own = hits.get(TWIN.name)
    if own is None:
        return [not_measured(claim), not_measured("pure: hits faster than pure Python peers, moka and theine")]
    measured = f"{own.ratio:.1f} x"
    if hits_without_loop:
        measured += f" ({hits_without_loop.ratio:.1f} x with the loop taken off both)"
    verdicts = [Verdict(claim, measured, own.ratio <= MOST_PURE_HIT_RATIO)]
    rivals = dict.fromkeys([*NAMED_RIVALS, *sorted(pure_python)])
    for rival in rivals:
        if rival in (OURS.name, TWIN.name, BASE.name):
            continue
        claim = f"pure: hits faster than {rival}"
        figure = hits.get(rival)
        if figure is None:
            verdicts.append(not_measured(claim))
            continue
        verdicts.append(Verdict(claim, f"{own.ratio:.1f} x against {figure.ratio:.1f} x", own.ratio < figure.ratio))
    return verdicts


def judge_import(milliseconds: float | None, sockets: Mapping[str, str]) -> list[Verdict]:
    """Weigh what the local cache brings with it."""
    claim = f"import at most {MOST_IMPORT_MILLISECONDS:g} ms above a bare interpreter"
    if milliseconds is None:
        return [not_measured(claim), not_measured("no socket or ssl imported")]
    verdicts = [Verdict(claim, f"{milliseconds:.1f} ms", milliseconds <= MOST_IMPORT_MILLISECONDS)]
    for module, state in sockets.items():
        # An interpreter whose start-up imports it already cannot tell.
        passed = None if state == "unknown" else state == "no"
        verdicts.append(Verdict(f"{module} is not imported", f"imported: {state}", passed))
    return verdicts


def judge_on_loops(found: Mapping[str, Mapping[str, float]]) -> list[Verdict]:
    """Compare look-ups on an event loop with what is written there by hand, and hits with every cache for loops."""
    most = f"on a loop: hits at most {MOST_HIT_ON_LOOP_RATIO:g} x a coroutine's by hand"
    fastest = "on a loop: hits faster than every other cache's"
    loads = f"on a loop: a thousand loads at most {MOST_LOADS_ON_LOOP_RATIO:g} x the same coroutines gathered"
    own, many = found.get(OURS.name), found.get(OURS_MANY)
    if own is None or many is None:
        return [not_measured(claim) for claim in (most, fastest, loads)]
    hit = own["hit"]
    verdicts = [Verdict(most, f"{hit:.2f} x", hit <= MOST_HIT_ON_LOOP_RATIO)]
    others = {name: figures["hit"] for name, figures in found.items() if name not in (OURS.name, OURS_MANY)}
    if others:
        best = min(others, key=lambda name: others[name])
        verdicts.append(Verdict(fastest, f"{hit:.2f} x against {others[best]:.2f} x ({best})", hit < others[best]))
    else:
        verdicts.append(not_measured(fastest))
    measured = f"{many['loads']:.2f} x by aget_many, {own['loads']:.2f} x by aget"
    return [*verdicts, Verdict(loads, measured, many["loads"] <= MOST_LOADS_ON_LOOP_RATIO)]
