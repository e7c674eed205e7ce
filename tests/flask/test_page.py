"""docs/flask.md is true: its code runs, its versions are those of the extra."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.pages import DOCS, run, snippets_of


@pytest.fixture
def names(tmp_path: Path) -> dict[str, Any]:
    """What its code has made, block by block."""
    found: dict[str, Any] = {"__name__": "shop"}
    for number in range(len(snippets_of("flask.md"))):
        run("flask.md", number, found, tmp_path)
    return found


def test_its_first_block_is_a_service_with_a_cache(names: dict[str, Any]) -> None:
    client, cache = names["app"].test_client(), names["cache"].cache
    assert client.get("/price/tea").json == client.get("/price/tea").json == {"name": "tea", "cents": 250}
    assert cache.has("view//price/tea")
    assert cache.node.stats().size == 3  # the page, the price, and the version of what is memoized


def test_what_it_says_of_get_or_set_is_so(names: dict[str, Any]) -> None:
    with names["app"].app_context():
        assert names["profile"](7) == {"id": 7}
        assert names["cache"].get("profile:7") == {"id": 7}


def test_the_oldest_release_is_that_of_the_extra() -> None:
    (floor,) = re.findall(r'\nflask = \["Flask-Caching>=([\d.]+)"\]', (DOCS.parent / "pyproject.toml").read_text())
    assert f"It works with Flask-Caching {floor} and newer" in (DOCS / "flask.md").read_text()
