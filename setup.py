"""Builds what is compiled, where that is possible: the store, in C, and the rules of replication, by Cython.

Without a compiler, or without Cython where the build is not isolated, the install succeeds all the same, with those in
Python, and a line says so. LRU_CACHE_REQUIRE_NATIVE=1 makes a failed build fail the install; LRU_CACHE_SANITIZE=1
builds with the sanitizers that .ci/memory runs the tests under. LRU_CACHE_PURE_PYTHON=1 compiles nothing, so that a
wheel is one for every Python and machine (py3-none-any). It also makes the package's description. Everything else is
in pyproject.toml.
"""

import os
import re
import shutil
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError, CompileError

required = os.environ.get("LRU_CACHE_REQUIRE_NATIVE", "") not in ("", "0")
sanitized = os.environ.get("LRU_CACHE_SANITIZE", "") not in ("", "0")
pure = os.environ.get("LRU_CACHE_PURE_PYTHON", "") not in ("", "0")
sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g", "-O1", "-UNDEBUG"] if sanitized else []

RULES = Path("lru_cache/replication/rules")
NATIVE_RULES = "lru_cache.replication.native_rules"
RULES_EXTENSION = f"{NATIVE_RULES}._all"
UNCOMPILED = {"__init__", "uncompiled"}  # of the rules
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,  # types of C come from the .pxd files alone: annotated `float` would change results
    "always_allow_keywords": True,
    "auto_pickle": False,
    "binding": False,
    "boundscheck": False,  # the readers of bytes check for themselves; .ci/memory looks after them
    "c_string_encoding": "utf8",
    "c_string_type": "bytes",
    "cdivision": True,
    "initializedcheck": False,
    "wraparound": False,
}


class TranslationError(CompileError):
    """There is no C of the rules."""


class Build(build_ext):
    """As usual, but that the C of the rules is made first, and that the files of one extension share the cores.

    What cannot be built is one line, or where it is required one error.
    """

    def build_extension(self, extension: Extension) -> None:
        """Build one, of C that is there or is made here."""
        try:
            if extension.name == RULES_EXTENSION:
                extension.sources = self.translated()
            super().build_extension(extension)
        except (BaseError, CCompilerError) as error:
            why = str(error) if isinstance(error, TranslationError) else "the compiler failed, as it says above"
            what = "the rules of replication" if extension.name == RULES_EXTENSION else "the store in C"
            if required:
                raise CompileError(f"LRU_CACHE_REQUIRE_NATIVE is set, and {what} could not be built: {why}") from None
            self.warn(f"{what} could not be built: {why}. What stands in its place is Python, and some times slower.")

    def build_extensions(self) -> None:
        """Build all of them."""
        compile_all = self.compiler.compile

        def compile_at_once(sources: list[str], *arguments: object, **options: object) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                made = pool.map(lambda source: compile_all([source], *arguments, **options), sources)
                return [file for files in made for file in files]

        self.compiler.compile = compile_at_once
        super().build_extensions()

    def translated(self) -> list[str]:
        """The rules as C. They are compiled under another package's name, where their .pxd files are looked for."""
        try:
            from Cython.Build import cythonize
        except ImportError:
            raise TranslationError("Cython is not installed") from None
        types = Path(self.build_temp).resolve() / "types"
        package = types.joinpath(*NATIVE_RULES.split("."))
        shutil.rmtree(types, ignore_errors=True)
        package.mkdir(parents=True)
        for folder in (package, *package.parents):
            if folder == types:
                break
            (folder / "__init__.py").touch()
        for file in RULES.glob("*.pxd"):
            shutil.copy(file, package)
        modules = [
            Extension(f"{NATIVE_RULES}.{file.stem}", [str(file)])
            for file in sorted(RULES.glob("*.py"))
            if file.stem not in UNCOMPILED
        ]
        try:
            translated = cythonize(
                modules,
                compiler_directives=DIRECTIVES,
                include_path=[str(types)],
                build_dir=str(Path(self.build_temp) / "translated"),
                force=True,
                quiet=True,
            )
        except (Exception, SystemExit) as error:  # noqa: BLE001 - another version may fail in any way
            from Cython import __version__

            raise TranslationError(f"Cython {__version__} does not translate them ({type(error).__name__})") from None
        return [source for module in translated for source in module.sources]


in_c = [
    Extension(
        f"lru_cache.{name}",
        sources,
        depends=["lru_cache/native_module.h"],
        extra_compile_args=[*options, *sanitizers],
        extra_link_args=sanitizers,
        optional=not required,
    )
    for name, sources, options in (
        ("store.native_store", ["lru_cache/store/native_store.c"], []),
        ("replication.native_rules._all", [], ["-O2", "-g0", "-Wno-unused-function"]),
    )
]

# Without the global interpreter lock only the store and the rules in Python are right.
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
    cmdclass={"build_ext": Build},
    ext_modules=[] if pure or (free_threaded and not required) else in_c,
    long_description=described((Path(__file__).parent / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
