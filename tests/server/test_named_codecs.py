"""Codecs that the operator names."""

from pathlib import Path
from uuid import uuid4

import pytest

from lru_cache.codecs import Codec
from lru_cache.server import named_codecs
from lru_cache.server.errors import CommandError

MODULE = """
from dataclasses import dataclass
from enum import Enum

from lru_cache import codecs


@dataclass
class Point:
    x: int


class Color(Enum):
    RED = 1


ONE = codecs.dataclass(Point, name="point")
MORE = [ONE, codecs.enum(Color, name="color")]
ANY = (each for each in MORE)
PAIRS = {"point": ONE}
NONE = None
ENDS = map(int, ["no number"])
"""


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module's name, of its own for each test."""
    name = f"shop_{uuid4().hex}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}_broken.py").write_text("raise OSError('no\\nnetwork')")
    (tmp_path / f"{name}_script.py").write_text("raise SystemExit(0)")
    (tmp_path / f"{name}_misspelt.py").write_text("class:")
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(
    ("named", "found"), [([], []), (["ONE"], ["point"]), (["MORE"], ["point", "color"]), (["ANY"], ["point", "color"])]
)
def test_one_codec_and_any_iterable_of_them_can_be_named(shop: str, named: list[str], found: list[str]) -> None:
    loaded = named_codecs.load(f"{shop}:{name}" for name in named)
    assert [codec.name for codec in loaded] == found
    assert all(isinstance(codec, Codec) for codec in loaded)


def test_several_can_be_named(shop: str) -> None:
    assert [codec.name for codec in named_codecs.load([f"{shop}:ONE", f"{shop}:MORE"])] == ["point", "point", "color"]


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("_nowhere:ONE", "ModuleNotFoundError: No module named"),
        (".py:ONE", "ModuleNotFoundError: No module named"),
        ("_broken:ONE", "OSError: no"),
        ("_script:ONE", "SystemExit: 0"),
        ("_misspelt:ONE", "SyntaxError: "),
        (":MANY", "has no attribute 'MANY'"),
        (":ENDS", "ValueError: invalid literal"),
        (":NONE", "must be made by lru_cache.codecs, such as [codecs.dataclass(Point)], not None"),
        (":Point", "must be made by lru_cache.codecs"),
        (":PAIRS", "must be made by lru_cache.codecs, such as [codecs.dataclass(Point)], not 'point'"),
    ],
)
def test_what_is_no_codec_is_said(shop: str, named: str, why: str) -> None:
    with pytest.raises(CommandError) as refused:
        named_codecs.load([f"{shop}{named}"])
    assert str(refused.value).startswith("--codecs: ")
    assert why in str(refused.value)
