"""Builds what there is in C, where that is possible: the store, frames, and the short cuts of replication.

Without a compiler the install succeeds all the same, with the store in Python. LRU_CACHE_REQUIRE_NATIVE=1 makes a
failed build fail the install; LRU_CACHE_SANITIZE=1 builds with the sanitizers that .ci/memory runs the tests under.
LRU_CACHE_PURE_PYTHON=1 builds nothing in C, so that a wheel is one for every Python and machine (py3-none-any).
It also makes the package's description. Everything else is in pyproject.toml.
"""

import os
import re
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

required = os.environ.get("LRU_CACHE_REQUIRE_NATIVE", "") not in ("", "0")
sanitized = os.environ.get("LRU_CACHE_SANITIZE", "") not in ("", "0")
pure = os.environ.get("LRU_CACHE_PURE_PYTHON", "") not in ("", "0")
sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g", "-O1", "-UNDEBUG"] if sanitized else []

in_c = [
    Extension(
        f"lru_cache.{name.replace('/', '.')}",
        [f"lru_cache/{name}.c"],
        depends=["lru_cache/native_module.h"],
        extra_compile_args=sanitizers,
        extra_link_args=sanitizers,
        optional=not required,
    )
    for name in ("store/native_store", "replication/native_frames", "replication/native_short_cuts")
]

# Without the global interpreter lock only the store in Python is right.
free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def described(text: str) -> str:
    """The README as a package index can show it: without pictures, and with the names of files in place of links."""
    text = re.sub(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n*", "", text)

    def named(link: "re.Match[str]") -> str:
        words, path = link["words"], link["path"]
        return f"`{path}`" if words.rstrip("/") in path else f"{words} (`{path}`)"

    text = re.sub(r"\[(?P<words>[^\]]*)\]\((?!https?:|#)(?P<path>[^)#]+)(?:#[^)]*)?\)", named, text)
    return f"{text}\nFiles that are named here are in the source distribution.\n"


setup(
    ext_modules=[] if pure or (free_threaded and not required) else in_c,
    long_description=described((Path(__file__).parent / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
