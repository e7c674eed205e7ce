"""Builds what there is in C, where that is possible: the store, frames, and the short cuts of replication.

Without a compiler the install succeeds all the same, with the store in Python. LRU_CACHE_REQUIRE_NATIVE=1 makes a
failed build fail the install; LRU_CACHE_SANITIZE=1 builds with the sanitizers that .ci/memory runs the tests under.
Everything else is in pyproject.toml.
"""

import os
import sysconfig

from setuptools import Extension, setup

required = os.environ.get("LRU_CACHE_REQUIRE_NATIVE", "") not in ("", "0")
sanitized = os.environ.get("LRU_CACHE_SANITIZE", "") not in ("", "0")
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

setup(ext_modules=[] if free_threaded and not required else in_c)
