"""How all tests are run: `--long`, and on how many processes."""

import os
from collections.abc import Generator

import pytest

from tests import effort

PROCESSES_BESIDE_CORES = 1  # tests wait for processes, links and clocks about a third of their time


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`."""
    parser.addoption("--long", action="store_true", help="many more seeds, examples and rounds, by chance where it can")


def pytest_configure(config: pytest.Config) -> None:
    """Tell the tests how much is asked for, before the first of them is imported."""
    effort.is_long = config.getoption("--long")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """The whole suite, where nobody says how, is run on all cores: file by file, since files share fixtures."""
    if is_to_be_shared(config):
        config.option.numprocesses = cores() + PROCESSES_BESIDE_CORES
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False  # the longest files come first as it is
    return (yield)


def is_to_be_shared(config: pytest.Config) -> bool:
    """Whether this is a run of everything, in the first process of it: a few tests are quicker in one."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # or each process of a run would start as many of its own, and those too
        return False
    option = config.option
    names_some = config.args_source is pytest.Config.ArgsSource.ARGS or option.keyword or getattr(option, "lf", False)
    is_open = getattr(option, "numprocesses", 0) is None  # xdist is there, and nobody said `-n`
    return is_open and not names_some and not option.usepdb and not option.collectonly


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Between processes only what is UTF-8 can be told, and tests print and log what is not."""
    return in_utf8((yield))


def in_utf8(told: object) -> object:
    """The same, with all texts such that they can be encoded."""
    if isinstance(told, str):
        return told.encode(errors="backslashreplace").decode()
    if isinstance(told, dict):
        return {key: in_utf8(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return type(told)(map(in_utf8, told))
    return told
