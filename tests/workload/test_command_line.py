"""The command line becomes options, or one clear line and exit 2."""

import pytest

from workload.command_line import parse
from workload.place import ALONE, Place
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


def test_without_arguments_an_instance_is_alone():
    options = parse([])
    assert (options.place, options.nodes, options.number) == (ALONE, 0, 0)


def test_a_place_in_a_cluster_is_taken_as_given(tmp_path):
    secrets = tmp_path / "secrets"
    secrets.write_text("the new one\nthe-old-one\n".replace(" ", "-"))
    given = f"--listen 127.0.0.1:0 --join a:1 --join b:2 --wait 2 --secret-file {secrets}"
    assert parse(given.split()).place == Place("127.0.0.1:0", ("a:1", "b:2"), ("the-new-one", "the-old-one"), 2)


def test_nodes_begin_so_far_apart_that_the_first_has_loaded_nearly_all():
    assert parse(["--nodes", "3"]).stagger_ms == 3 * (5 + 50 + 50 + 5) + 100
    assert parse(["--nodes", "3", "--scenario", "lookup"]).stagger_ms == 3 * (100 + 500 + 100) + 100


def test_or_as_far_as_is_said():
    assert parse(["--nodes", "3", "--stagger", "0"]).stagger_ms == 0


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
        (["--nodes", "0"], "argument --nodes: '0' is not a whole number from 1 to 32"),
        (["--nodes", "33"], "argument --nodes: '33' is not"),
        (["--nodes", "2", "--join", "a:1"], "--nodes finds the addresses itself"),
        (["--nodes", "2", "--listen", "a:1"], "--nodes finds the addresses itself"),
        (["--nodes", "2", "--compare"], "--compare is for one instance alone"),
        (["--listen", "a:1", "--compare"], "--compare is for one instance alone"),
        (["--stagger", "1"], "--stagger needs --nodes"),
        (["--wait", "1"], "--wait needs --listen or --join"),
        (["--secret-file", "/nonexistent"], "argument --secret-file: cannot read '/nonexistent': No such file"),
        (["--secret-file", "/dev/null"], "argument --secret-file: '/dev/null' has no secret in it"),
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
