"""docs/migrating.md is true: what it says to write runs; so does what was written, where aiocache and cashews are."""

import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.pages import run, snippets_of

THEIRS = {"aiocache", "cashews"}


def test_its_code_runs(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "shop"}
    ran = 0
    for number, code in enumerate(snippets_of("migrating.md")):
        theirs = THEIRS & set(re.findall(r"^from (\w+)", code, re.MULTILINE))
        if any(find_spec(name) is None for name in theirs):
            continue
        with warnings.catch_warnings():
            if theirs:
                warnings.simplefilter("ignore")  # what they do inside is not ours
            run("migrating.md", number, names, tmp_path)
        ran += not theirs
    assert ran == 3


def test_each_of_both_is_shown() -> None:
    shown = " ".join(snippets_of("migrating.md"))
    assert all(f"from {name} import" in shown for name in THEIRS)
