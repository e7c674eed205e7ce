"""The rules of replication, compiled. All of them are in one extension module: it takes half the room of many.

An import finds a module by its file. Here one file has all, so this makes them, in the order in which they need each
other. ImportError where they were not built, and in a sub-interpreter, which compiled modules do not support: there the
same rules run as Python.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

MODULES = (
    "version", "stamp", "event", "burials", "forgetting", "texts", "objects", "wire", "messages", "frames",
    "recent_keys", "outbox", "trees", "neighbour", "origins", "store_view", "sweep", "limits", "batch", "resync",
    "clock_errors", "telling", "believing", "log_neighbour", "replica", "wiring", "pace", "writer", "public",
)  # fmt: skip
SOURCES = Path(__file__).parent.parent / "rules"


class _Loader(ExtensionFileLoader):
    """Knows the source of what it loads: so tracebacks show its lines."""

    def get_source(self, fullname: str) -> str | None:  # type: ignore[override]
        """The rule, as it is written."""
        file = SOURCES / f"{fullname.rpartition('.')[2]}.py"
        return file.read_text("utf-8") if file.exists() else None


def _load_all() -> None:
    folder = Path(__file__).parent
    file = next((path for suffix in EXTENSION_SUFFIXES if (path := folder / f"_all{suffix}").exists()), None)
    if file is None:
        raise ImportError("the rules of replication were not compiled")
    for name in MODULES:
        full_name = f"{__name__}.{name}"
        spec = spec_from_file_location(full_name, file, loader=_Loader(full_name, str(file)))
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[full_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[full_name]
            raise
        globals()[name] = module


_load_all()
