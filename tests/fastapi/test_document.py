"""docs/fastapi.md is true: its code runs, and its first block does what it says."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from lru_cache import LRUCacheDistributed
from lru_cache.fastapi import cached
from lru_cache.fastapi.lifespan import cache_of
from tests.fastapi.asking import ask, run

TEXT = (Path(__file__).parent.parent.parent / "docs" / "fastapi.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def app_of(block: str, folder: Path) -> Any:
    folder.chmod(0o700)
    code = block.replace('"my-service"', repr(str(folder / "c.sock")))
    names: dict[str, Any] = {}
    exec(compile(code, "docs/fastapi.md", "exec"), names)
    return names["app"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:40])
def test_its_code_runs(block: str, tmp_path: Path) -> None:
    app = app_of(block, tmp_path)
    assert isinstance(app, Starlette)

    @run(app)
    async def _() -> None:
        assert isinstance(cache_of(app), LRUCacheDistributed)


def test_the_first_block_caches_and_invalidates(tmp_path: Path) -> None:
    app = app_of(BLOCKS[0], tmp_path)

    @run(app)
    async def _() -> None:
        for price in (3, 4):
            for status in ("fwd=miss; stored", "hit; ttl="):
                found = await ask(app, "/prices/tea")
                assert found.json == {"name": "tea", "price": price}
                assert found.cache.startswith(status)
            assert (await ask(app, "/prices/tea?price=4", method="PUT")).status == 200


def test_the_block_on_users_keeps_each_of_them_apart(tmp_path: Path) -> None:
    app = app_of(next(block for block in BLOCKS if "current_user" in block), tmp_path)

    @run(app)
    async def _() -> None:
        head = {"authorization": "x", "accept-language": "de"}
        assert (await ask(app, "/greeting", head)).json == "Guten Tag, Ada"
        assert (await ask(app, "/greeting", head)).cache.startswith("hit")
        assert (await ask(app, "/greeting", {**head, "accept-language": "en"})).json == "Good day, Ada"
        assert (await ask(app, "/greeting")).status == 422


def test_every_option_is_explained() -> None:
    for option in list(inspect.signature(cached.cached_response).parameters)[1:]:
        assert f"{option}=" in TEXT, option
