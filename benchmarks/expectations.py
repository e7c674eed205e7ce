"""What we hold our own cache to, judged from one run's figures; a miss is printed like a pass."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.contenders import BASE, OURS
from benchmarks.speed import Figure

MOST_HIT_RATIO = 9.0
MOST_IMPORT_MILLISECONDS = 40.0
# Faster than these at hits, whatever they are written in.
NAMED_RIVALS = ("moka-py", "theine")


@dataclass(frozen=True)
class Verdict:
    """One expectation and how it came out; None where this run did not measure it."""

    claim: str
    measured: str
    passed: bool | None


def not_measured(claim: str) -> Verdict:
    """Give it a line of its own all the same."""
    return Verdict(claim, "not measured", None)


def judge_hits(
    hits: Mapping[str, Figure | None], hits_without_loop: Figure | None, pure_python: set[str]
) -> list[Verdict]:
    """Compare with the dict, and with each rival in the same run."""
    claim = f"hits at most {MOST_HIT_RATIO:g} x dict.get"
    own = hits.get(OURS.name)
    if own is None:
        return [not_measured(claim), not_measured("hits faster than pure Python peers, moka and theine")]
    measured = f"{own.ratio:.1f} x"
    if hits_without_loop:
        measured += f" ({hits_without_loop.ratio:.1f} x with the loop taken off both)"
    verdicts = [Verdict(claim, measured, own.ratio <= MOST_HIT_RATIO)]
    rivals = dict.fromkeys([*NAMED_RIVALS, *sorted(pure_python)])
    for rival in rivals:
        if rival in (OURS.name, BASE.name):
            continue
        claim = f"hits faster than {rival}"
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
