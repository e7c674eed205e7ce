"""The options of all measurements: what is wrong with a command is said in one line, and the status is 2."""

import importlib

import pytest

WRONG = {
    "local": (["--size", "x"], "argument --size: 'x' is not a whole number from 1 on"),
    "network": (["--rounds", "0"], "argument --rounds: '0' is not a whole number from 1 on"),
    "django": (["--rounds", "0"], "argument --rounds: '0' is not a whole number from 1 on"),
    "fastapi": (["--rounds", "0"], "argument --rounds: '0' is not a whole number from 1 on"),
    "http": (["--requests", "-1"], "argument --requests: '-1' is not a whole number from 1 on"),
    "replication": (["--size", "99"], "argument --size: '99' is not a whole number from 100 on"),
    "pauses": (["--size", "many"], "argument --size: 'many' is not a whole number from 1 on"),
    "hub": (["--links", "0"], "argument --links: '0' is not a whole number from 1 on"),
    "simulate": (["--first", "x"], "argument --first: 'x' is not a whole number from 0 on"),
    "soak": (["--minutes", "x"], "argument --minutes: 'x' is not a number above 0, and at most 1,440"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_said_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, reason = WRONG[name]
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"benchmarks.{name}").main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(f"python -m benchmarks {name}: {reason}")


@pytest.mark.parametrize("name", WRONG)
def test_an_option_that_there_is_none_of_is_one_line_too(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module(f"benchmarks.{name}").main(["--bogus"])
    assert capsys.readouterr().err.splitlines() == [
        f"python -m benchmarks {name}: unrecognized arguments: --bogus (--help lists the options)"
    ]
