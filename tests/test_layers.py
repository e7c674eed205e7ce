"""Imports run downwards only, and the local cache imports no more than it needs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lru_cache

PACKAGE = Path(__file__).parent.parent / "lru_cache"

# What each part may import of the package, beside itself. What is not listed may import nothing.
SHARED = {"arguments", "clock", "errors", "log"}
LAYERS: dict[str, set[str]] = {
    "__init__": SHARED | {"loading", "lru_cache", "lru_cache_distributed", "network", "removal", "stats", "store"},
    "arguments": set(),
    "clock": set(),
    "errors": set(),
    "extras": set(),
    "hashed_key": set(),
    "log": set(),
    "stats": set(),
    "store": set(),
    "removal": {"store"},
    "loading": SHARED | {"removal", "store"},
    "memoize": SHARED | {"hashed_key", "loading"},
    "fork": {"loading"},
    "lru_cache": SHARED | {"fork", "loading", "memoize", "removal", "stats", "store"},
    "codecs": set(),
    "copies": SHARED | {"lru_cache_distributed", "replication"},
    "lru_cache_distributed": SHARED
    | {"codecs", "copies", "engines", "loading", "lru_cache", "network", "removal", "replication", "stats", "store"},
    "network": SHARED | {"fork", "replication"},
    "faces": {
        *lru_cache.__all__,
        "arguments",
        "codecs",
        "copies",
    },  # a user like any other; frameworks' faces import it
    "django": {"extras", *lru_cache.__all__, "arguments", "codecs", "copies", "faces"},
    "cachelib": {"extras", *lru_cache.__all__, "arguments", "copies", "faces"},
    "flask": {"extras", "cachelib", "codecs", "copies", "faces"},
    "dogpile": {"extras", *lru_cache.__all__, "arguments", "codecs", "copies", "faces"},
    "fastapi": {"extras", *lru_cache.__all__, "arguments", "log"},  # a user like any other, and nothing imports it
    "engines": SHARED | {"extras", "fork", "network", "replication"},
    "replication": {"errors", "hashed_key", "store"},
    "testing": SHARED | {"lru_cache_distributed", "replication", "store"},
    "metrics": {"extras", *lru_cache.__all__, "stats"},  # a user like any other
    "server": {*lru_cache.__all__, "codecs", "metrics"},  # likewise
    "__main__": {"server"},
}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


COMPILED = "replication/rules"  # under another package's name as well: so what these import of each other is relative


def names_of(node: ast.ImportFrom, path: Path) -> list[str]:
    """What it imports, by its full name."""
    if node.level:
        assert (node.level, path.parent) == (1, PACKAGE / COMPILED), f"{path}: imports are absolute"
        within = f".{node.module}" if node.module else ""
        return [f"lru_cache.{COMPILED.replace('/', '.')}{within}.{alias.name}" for alias in node.names]
    assert not f"{node.module}.".startswith("lru_cache.replication.rules.") or path.parent != PACKAGE / COMPILED, (
        f"{path}: imports of the rules by each other are relative"
    )
    return [f"{node.module}.{alias.name}" for alias in node.names]


def imports_of(path: Path) -> set[str]:
    """The parts of the package that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = names_of(node, path)
        found |= {name.split(".")[1] for name in names if name.startswith("lru_cache.")}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    part = part_of(path)
    assert part in LAYERS, f"say in LAYERS what {part} may import"
    assert imports_of(path) <= LAYERS[part] | {part}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def imports_within(part: str) -> dict[str, set[str]]:
    """The files of a part, each with those of that part that it imports, if only for types."""
    files = {
        path.stem: ast.parse(path.read_text()) for path in (PACKAGE / part).glob("*.py") if path.stem != "__init__"
    }
    package = f"lru_cache.{part.replace('/', '.')}"
    found: dict[str, set[str]] = {}
    for name, tree in files.items():
        modules = {
            imported
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for imported in names_of(node, PACKAGE / part / name)
        }
        found[name] = {other for other in files if any(f"{m}.".startswith(f"{package}.{other}.") for m in modules)}
    return found


@pytest.mark.parametrize("part", [COMPILED, "engines", "faces", "fastapi", "metrics", "network", "testing"])
def test_no_files_of_a_part_import_each_other_in_a_circle(part: str) -> None:
    left = imports_within(part)
    while free := {name for name, imported in left.items() if not imported & set(left)}:
        left = {name: imported for name, imported in left.items() if name not in free}
    assert not left


def modules_after(code: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(shown.stdout.split())


@pytest.mark.parametrize(
    "module", ["socket", "ssl", "select", "asyncio", "msgpack", "dataclasses", "inspect", "logging", "multiprocessing"]
)
def test_the_local_cache_imports_nothing_that_it_does_not_need(module: str) -> None:
    """Sockets for safety, the others for start-up: each costs more than all of ours."""
    code = "from lru_cache import LRUCache; c = LRUCache(str); c.get(1); c.set(2, 3); c.invalidate(2); c.clear()"
    assert module not in modules_after(code)


def test_no_face_imports_what_another_one_is_for() -> None:
    others = {"uvicorn", "prometheus_client", "redis", "nats", "lru_cache.server"}
    frameworks = {"django", "flask", "cachelib", "dogpile", "fastapi", "starlette"}
    for face, needed in (
        ("django", {"django"}),
        ("fastapi", {"fastapi", "starlette"}),
        ("cachelib", {"cachelib"}),
        ("flask", {"flask", "cachelib"}),
        ("dogpile", {"dogpile"}),
        ("faces.nodes", set()),
    ):
        found = modules_after(f"import lru_cache.{face}")
        # Flask-Caching and cachelib look for a client of Redis by themselves.
        assert not found & (others - {"redis"} if "cachelib" in needed else others)
        assert found & frameworks == needed
    core = "import lru_cache.lru_cache_distributed, lru_cache.codecs, lru_cache.copies, lru_cache.engines.redis"
    assert not modules_after(core) & frameworks
    node = modules_after("import lru_cache.server.app")
    assert not node & (frameworks - {"fastapi", "starlette"})
    assert "lru_cache.fastapi" not in node


def test_importing_the_package_imports_none_of_its_parts() -> None:
    assert {name for name in modules_after("import lru_cache") if name.startswith("lru_cache")} == {"lru_cache"}


def test_every_public_name_can_be_imported_and_is_listed() -> None:
    assert set(lru_cache.__all__) == set(lru_cache._HOMES)
    assert set(lru_cache.__all__) <= set(dir(lru_cache))
    for name in lru_cache.__all__:
        assert getattr(lru_cache, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        lru_cache.nonsense  # noqa: B018
