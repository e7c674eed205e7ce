"""docs/dogpile.md is true: its code runs, its versions are those of the extra."""

import re
from pathlib import Path
from typing import Any

from tests.pages import DOCS, run, snippets_of


def test_its_code_runs(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "shop"}
    for number in range(len(snippets_of("dogpile.md"))):
        run("dogpile.md", number, names, tmp_path)
    assert names["price"]("tea") == {"name": "tea", "cents": 250}
    assert names["price"].get("tea") == {"name": "tea", "cents": 250}
    assert names["prices"].region_invalidator.was_soft_invalidated()


def test_the_oldest_release_is_that_of_the_extra() -> None:
    (floor,) = re.findall(r'\ndogpile = \["dogpile.cache>=([\d.]+)"\]', (DOCS.parent / "pyproject.toml").read_text())
    assert f"It works with dogpile.cache {floor} and\nnewer" in (DOCS / "dogpile.md").read_text()
