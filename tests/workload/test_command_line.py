"""The command line becomes options, or one clear line and exit 2."""

import pytest

from workload.command_line import parse
from workload.scenarios import LOOKUP, POPULATE


def test_without_arguments_it_is_the_first_seed():
    options = parse([])
    assert options.setting.scenario is POPULATE
    assert (options.threads, options.requests, options.setting.keys, options.total) == (10, 50, 10, 500)
    assert (options.setting.database_ms, options.setting.cache_ms) == (50, 5)


def test_lookup_brings_its_own_latencies():
    setting = parse(["--scenario", "lookup"]).setting
    assert setting.scenario is LOOKUP
    assert (setting.database_ms, setting.cache_ms) == (500, 100)


def test_latencies_can_be_given_for_any_scenario():
    setting = parse(["--scenario", "lookup", "--database-ms", "0", "--cache-ms", "2.5"]).setting
    assert (setting.database_ms, setting.cache_ms) == (0, 2.5)


def test_everything_else_is_taken_as_given():
    given = "--scenario lookup --threads 3 --requests 4 --keys 5 --missing 6 --database f.db --random-seed -7"
    options = parse([*given.split(), "--quiet", "--json"])
    setting = options.setting
    assert (options.threads, options.requests, setting.keys, setting.missing) == (3, 4, 5, 6)
    assert (setting.database_path, options.random_seed, options.quiet, options.json) == ("f.db", -7, True, True)


def test_a_seed_is_chosen_where_none_is_given():
    assert len({parse([]).random_seed for _ in range(10)}) > 1


@pytest.mark.parametrize(
    ("arguments", "printed"), [("", True), ("--quiet", False), ("--json", False), ("--compare", False)]
)
def test_only_a_plain_run_prints_each_request(arguments, printed):
    assert parse(arguments.split()).prints_requests is printed


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--threads", "0"], "argument --threads: '0' is not a whole number from 1 to 1,000"),
        (["--threads", "1001"], "argument --threads: '1001' is not"),
        (["--threads", "ten"], "argument --threads: 'ten' is not"),
        (["--threads", "2.5"], "argument --threads: '2.5' is not"),
        (["--threads"], "argument --threads: expected one argument"),
        (["--requests", "0"], "argument --requests: '0' is not"),
        (["--keys", "0"], "argument --keys: '0' is not"),
        (["--keys", "-3"], "argument --keys: '-3' is not"),
        (["--scenario", "lookup", "--missing", "-1"], "argument --missing: '-1' is not"),
        (["--database-ms", "-1"], "argument --database-ms: '-1' is not a number of milliseconds"),
        (["--database-ms", "nan"], "argument --database-ms: 'nan' is not"),
        (["--database-ms", "inf"], "argument --database-ms: 'inf' is not"),
        (["--cache-ms", "fast"], "argument --cache-ms: 'fast' is not"),
        (["--random-seed", "x"], "argument --random-seed: 'x' is not a whole number"),
        (["--scenario", "sleep"], "argument --scenario: invalid choice: 'sleep'"),
        (["--database", ""], "argument --database: a path is needed"),
        (["--missing", "1"], "--missing needs --scenario lookup"),
        (["--compare", "--database", "f.db"], "--compare gives each way a fresh database"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--thread", "3"], "unrecognized arguments: --thread 3"),
        (["two\nlines"], "unrecognized arguments: two lines"),
    ],
)
def test_a_bad_argument_is_one_clear_line_and_exit_2(capsys, arguments, complaint):
    with pytest.raises(SystemExit) as exit_:
        parse(arguments)
    out, err = capsys.readouterr()
    assert exit_.value.code == 2
    assert out == ""
    assert err.startswith(f"main.py: {complaint}")
    assert err.endswith("\n")
    assert err.count("\n") == 1


def test_help_explains_the_exit_status(capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(["--help"])
    assert exit_.value.code == 0
    assert "130  Ctrl-C" in capsys.readouterr().out
