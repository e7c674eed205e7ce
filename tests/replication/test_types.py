"""What the `.pxd` files say is what the `.py` files say, and what the compiler made of both."""

import ast
import gc
import re
from pathlib import Path
from typing import Any

import pytest

import lru_cache.replication.rules
from tests.replication.build import BUILDS, part_of

RULES = Path(lru_cache.replication.rules.__file__).parent
COMPILED = sorted(file.stem for file in RULES.glob("*.pxd"))
X = b"x" * 8


def fields_of_types(text: str) -> dict[str, set[str]]:
    """Class -> its fields, of a `.pxd` file."""
    classes: dict[str, set[str]] = {}
    for block in re.split(r"^cdef class ", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"\w+", block)
        assert name is not None
        fields = classes[name.group()] = set()
        for line in block.splitlines()[1:]:
            if line and not line.startswith(" "):
                break
            declared = re.match(r"    cdef (?:readonly |public )?(?:const )?(?:unsigned )?\w+ ([^()]+)$", line)
            if declared:
                fields |= {field.strip(" *") for field in declared.group(1).split(",")}
    return classes


def fields_of_source(text: str) -> dict[str, set[str]]:
    """Class -> its slots, or what its methods assign to `self` where it has none, of a `.py` file."""
    classes: dict[str, set[str]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            slots = [
                ast.literal_eval(each.value)
                for each in node.body
                if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__slots__"
            ]
            classes[node.name] = set(slots[0]) if slots else assigned_in(node)
    return classes


def assigned_in(node: ast.ClassDef) -> set[str]:
    setters = {each.name for each in node.body if isinstance(each, ast.FunctionDef) and each.decorator_list}
    stored = {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and ast.unparse(each.value) == "self"
    }
    return stored - setters


def test_the_types_are_those_of_files_that_there_are() -> None:
    assert COMPILED
    assert [name for name in COMPILED if not (RULES / f"{name}.py").exists()] == []


@pytest.mark.parametrize("module", COMPILED)
def test_every_field_of_a_type_is_a_slot_and_the_reverse(module: str) -> None:
    """A slot without a field fails once it is used, compiled; a field without a slot, uncompiled."""
    source = fields_of_source((RULES / f"{module}.py").read_text())
    for name, fields in fields_of_types((RULES / f"{module}.pxd").read_text()).items():
        assert source[name] == fields, f"{module}.{name}"


def test_the_reader_of_types_reads_them() -> None:
    """Else the test above holds for anything."""
    fields = fields_of_types((RULES / "wire.pxd").read_text())["Reader"]
    assert fields == {"_data", "_view", "_at", "_end", "extensions", "start", "length"}


@pytest.mark.parametrize("module", COMPILED)
def test_every_name_of_a_module_that_is_typed_is_there(module: str) -> None:
    names = {name for names in re.findall(r"^cdef \w+ ([\w, ]+)$", (RULES / f"{module}.pxd").read_text(), re.MULTILINE)
             for name in names.split(", ")}  # fmt: skip
    assert names - set(dir(part_of("python", module))) == set()


def test_the_compiled_modules_are_all_there_are() -> None:
    source = (RULES.parent / "native_rules" / "__init__.py").read_text()
    (assigned,) = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MODULES"
    ]
    modules = ast.literal_eval(assigned.value)
    assert sorted(modules) == sorted(
        file.stem for file in RULES.glob("*.py") if file.stem not in ("__init__", "uncompiled")
    )
    assert len(set(modules)) == len(modules)


def small(build: str) -> dict[str, Any]:
    """One of each of the small values, of which there may be millions."""
    rules = part_of(build, "public")
    version = rules.Version(5, X)
    stamp = rules.Stamp(b"k", version, True, b"v")
    return {
        "Version": version,
        "Stamp": stamp,
        "Event": rules.Event(rules.Kind.SET, b"k", version, 1, b"v"),
        "Notice": part_of(build, "outbox").Notice(b"k", version, 0, 1, stamp=stamp),
        "Grave": part_of(build, "burials").Grave(b"k", version),
    }


@pytest.mark.parametrize("build", [build for build in BUILDS if build == "native"])
@pytest.mark.parametrize("name", sorted(small("python")))
def test_compiled_the_garbage_collector_never_sees_a_small_value(build: str, name: str) -> None:
    """Orders to the compiler that it does not understand it passes over in silence."""
    value = small(build)[name]
    assert type(value).__name__ == name
    assert not gc.is_tracked(value)


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("name", sorted(small("python")))
def test_a_small_value_takes_no_other_attributes(build: str, name: str) -> None:
    with pytest.raises(AttributeError):
        small(build)[name].another = 1
