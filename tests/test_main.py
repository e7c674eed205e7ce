"""`python main.py` does what the seeds ask for, and ends clearly whatever happens.

Tests that need a process of their own (signals, pipes, several instances) start one; the others call `main()`.
"""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import pytest

from main import main
from tests.concurrency import eventually
from workload.remote_cache import RemoteCache

ROOT = Path(__file__).resolve().parents[1]
LINE = re.compile(r"\[(\d+)\] Request '(key\d+)', response '([^']*)', time: \d+\.\d\d ms")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
NO_LATENCY = ("--database-ms", "0", "--cache-ms", "0")
# As a user has it: with a buffer, the one that the interpreter flushes once more at exit.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENDLESS = (*NO_LATENCY, "--requests", "1000000")


@pytest.fixture
def figures(capsys):
    """Run in this process with --json and return the object."""

    def run(*arguments):
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def printed(capsys):
    """Run in this process and return the lines."""

    def run(*arguments):
        assert main(arguments) == 0
        return capsys.readouterr().out.splitlines()

    return run


def requests_in(lines):
    """The (thread, key, value) of each line up to the empty one before the summary; each exactly a request's."""
    matches = [LINE.fullmatch(line) for line in lines[: lines.index("")]]
    assert all(matches)
    return [match.groups() for match in matches]


def values_in(lines):
    values = defaultdict(set)
    for _, key, value in requests_in(lines):
        values[key].add(value)
    return values


def command(*arguments):
    return [sys.executable, "main.py", *arguments]


def finished(*arguments, stdout=subprocess.PIPE):
    return subprocess.run(
        command(*arguments),
        cwd=ROOT,
        env=BUFFERED,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=100,
        check=False,
    )


@contextmanager
def started(*arguments, code=None):
    """A process that can be interrupted, even if these tests run in the background, where shells ignore SIGINT."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments] if code else command(*arguments),
            cwd=ROOT,
            env=BUFFERED,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, previous)
    with process:
        try:
            yield process
        finally:
            process.kill()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture(scope="module")
def first_seed():
    """The lines of `python main.py` as it stands, in a process of its own."""
    run = finished()
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.splitlines()


class TestTheFirstSeed:
    """`python main.py` without arguments."""

    def test_ten_threads_make_fifty_requests_each(self, first_seed):
        threads = [int(thread) for thread, _, _ in requests_in(first_seed)]
        assert {thread: threads.count(thread) for thread in threads} == dict.fromkeys(range(1, 11), 50)

    def test_requests_are_for_the_ten_keys(self, first_seed):
        assert set(values_in(first_seed)) <= {f"key{number}" for number in range(10)}

    def test_every_key_has_one_value_whoever_asks(self, first_seed):
        assert {len(values) for values in values_in(first_seed).values()} == {1}

    def test_the_value_is_a_time_with_six_decimals(self, first_seed):
        assert all(TIME.fullmatch(value) for _, _, value in requests_in(first_seed))

    def test_the_summary_follows(self, first_seed):
        summary = [re.split(r"  +", line)[0] for line in first_seed[first_seed.index("") :]]
        assert summary[3:] == [
            "requests",
            "distinct keys",
            "database reads",
            "database writes",
            "distributed-cache calls",
            "p50",
            "p95",
            "p99",
            "max",
            "cached request",
            "total",
        ]


@pytest.mark.parametrize("database_ms", ["0", "50"])
@pytest.mark.parametrize("keys", ["1", "10", "100"])
def test_the_database_is_read_once_for_each_key_that_was_requested(figures, database_ms, keys):
    run = figures("--database-ms", database_ms, "--cache-ms", "0", "--keys", keys)
    assert run["database_reads"] == run["database_writes"] == run["distinct_keys"]


@pytest.mark.parametrize("random_seed", range(10))
def test_threads_without_any_latency_cannot_make_the_database_read_twice(figures, random_seed):
    run = figures(*NO_LATENCY, "--threads", "32", "--random-seed", str(random_seed))
    assert run["database_reads"] == run["distinct_keys"] == 10


@pytest.mark.parametrize("database_ms", ["0", "50"])
def test_a_key_that_does_not_exist_is_asked_of_the_database_once(figures, database_ms):
    run = figures("--scenario", "lookup", "--database-ms", database_ms, "--cache-ms", "0", "--missing", "5")
    assert (run["distinct_keys"], run["database_reads"], run["database_writes"]) == (15, 15, 0)


def test_each_key_takes_two_calls_of_the_distributed_cache(figures):
    """One that finds nothing, one that leaves the value there for other instances."""
    run = figures(*NO_LATENCY)
    assert run["cache_calls"] == 2 * run["distinct_keys"]


def test_all_requests_but_those_that_wait_for_a_load_are_cached(figures):
    run = figures(*NO_LATENCY, "--threads", "1")
    assert run["cached_requests"] == run["requests"] - run["distinct_keys"]


def test_lookup_answers_what_was_preloaded(printed):
    values = values_in(printed("--scenario", "lookup", *NO_LATENCY))
    assert values == {f"key{number}": {f"value{number}"} for number in range(10)}


def test_lookup_answers_none_for_what_does_not_exist(printed):
    values = values_in(printed("--scenario", "lookup", *NO_LATENCY, "--keys", "1", "--missing", "2"))
    assert values == {"key0": {"value0"}, "key1": {"None"}, "key2": {"None"}}


def test_lines_of_many_busy_threads_never_mix(printed):
    lines = printed(*NO_LATENCY, "--threads", "20", "--requests", "500")
    assert len(requests_in(lines)) == 10_000


def test_the_same_seed_makes_the_same_requests(printed):
    once, again = (requests_in(printed(*NO_LATENCY, "--threads", "1", "--random-seed", "7")) for _ in range(2))
    assert [key for _, key, _ in once] == [key for _, key, _ in again]


def test_a_quiet_run_prints_the_summary_only(printed):
    lines = printed(*NO_LATENCY, "--quiet")
    assert lines[0].startswith("populate: 10 threads")
    assert not any(LINE.fullmatch(line) for line in lines)


def test_a_json_run_prints_one_object_and_nothing_else(capsys):
    assert main([*NO_LATENCY, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["requests"] == 500
    assert err == ""


def test_a_run_into_a_file_shows_no_progress():
    assert finished("--quiet").stderr == ""


@pytest.mark.parametrize("how", ["--quiet", "--json", "--compare"])
def test_a_run_that_prints_no_requests_shows_progress_on_a_terminal(capsys, monkeypatch, how):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    main([*NO_LATENCY, how])
    assert "with LRUCacheDistributed: 500 of 500 requests" in terminal.getvalue()
    assert terminal.getvalue().endswith(" \r")


def test_a_run_that_prints_requests_shows_no_progress(capsys, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    main(NO_LATENCY)
    assert terminal.getvalue() == ""


class TestCompare:
    """--compare serves the same requests three ways."""

    def test_it_prints_a_row_for_each_way(self, printed):
        rows = [re.split(r"  +", line) for line in printed(*NO_LATENCY, "--compare")]
        assert [row[:2] for row in rows[4:]] == [
            ["database alone", "500"],
            ["with distributed cache", "500"],
            ["with LRUCacheDistributed", "500"],
        ]

    def test_the_ways_get_the_same_requests(self, figures):
        """So few of so many keys that other random ones would hardly be as many distinct ones twice."""
        ways = figures(*NO_LATENCY, "--compare", "--keys", "1000", "--requests", "100")["ways"]
        assert len({way["distinct_keys"] for way in ways}) == 1

    def test_each_way_saves_what_the_one_before_spent(self, figures):
        alone, remote, ours = figures(*NO_LATENCY, "--compare")["ways"]
        assert alone["database_reads"] == 500
        assert alone["cache_calls"] == 0
        assert 10 <= remote["database_reads"] < 500
        assert remote["cache_calls"] >= 500
        assert (ours["database_reads"], ours["cache_calls"]) == (10, 20)

    def test_each_way_starts_with_fresh_stores(self, figures):
        assert all(way["database_writes"] >= 10 for way in figures(*NO_LATENCY, "--compare")["ways"])

    def test_it_compares_lookups_too(self, figures):
        alone, _, ours = figures("--scenario", "lookup", *NO_LATENCY, "--compare", "--missing", "5")["ways"]
        assert (alone["database_reads"], ours["database_reads"]) == (500, 15)


class TestSharedDatabase:
    """--database PATH is shared by instances."""

    def test_instances_at_the_same_time_see_one_value_for_each_key(self, tmp_path):
        arguments = ("--database", str(tmp_path / "shared.db"), "--database-ms", "5", "--cache-ms", "0")
        processes = [
            subprocess.Popen(command(*arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)
        ]
        values = defaultdict(set)
        for process in processes:
            for key, seen in values_in(process.communicate(timeout=100)[0].splitlines()).items():
                values[key] |= seen
        assert [process.returncode for process in processes] == [0] * 4
        assert len(values) == 10
        assert {len(seen) for seen in values.values()} == {1}

    def test_a_later_instance_finds_the_values_and_writes_none(self, figures, tmp_path):
        arguments = (*NO_LATENCY, "--database", str(tmp_path / "shared.db"))
        figures(*arguments)
        later = figures(*arguments)
        assert (later["database_reads"], later["database_writes"]) == (10, 0)

    def test_lookup_refuses_a_file_in_which_the_keys_have_other_values(self, figures, capsys, tmp_path):
        arguments = (*NO_LATENCY, "--database", str(tmp_path / "shared.db"))
        figures(*arguments)
        assert main([*arguments, "--scenario", "lookup"]) == 2
        assert "where 'value0' is expected" in capsys.readouterr().err


class TestNodes:
    """--nodes N starts N of them, which are one cluster."""

    def test_every_line_says_which_node_it_is_from(self):
        lines = finished("--nodes", "2", *NO_LATENCY).stdout.splitlines()
        requests = lines[: lines.index("")]
        assert sum(bool(re.fullmatch(r"node1 " + LINE.pattern, line)) for line in requests) == 500
        assert sum(bool(re.fullmatch(r"node2 " + LINE.pattern, line)) for line in requests) == 500
        assert len(requests) == 1000

    def test_every_key_has_one_value_on_all_nodes(self):
        lines = finished("--nodes", "3", *NO_LATENCY, "--stagger", "0").stdout.splitlines()
        values = values_in([line.partition(" ")[2] for line in lines[: lines.index("")]] + [""])
        assert {len(seen) for seen in values.values()} == {1}

    @pytest.mark.parametrize("stagger", [(), ("--stagger", "0")])
    def test_every_read_of_the_database_but_the_first_of_its_key_is_accounted_for(self, stagger):
        cluster = json.loads(finished("--nodes", "3", "--json", "--cache-ms", "0", *stagger).stdout)["cluster"]
        assert cluster["distinct_keys"] == 10
        assert cluster["database_reads"] == 10 + cluster["repeated_loads"]
        assert cluster["complete"]

    def test_nodes_that_begin_later_find_what_was_loaded(self):
        run = json.loads(finished("--nodes", "2", "--json", *NO_LATENCY, "--stagger", "3000").stdout)
        assert [node["database_reads"] for node in run["nodes"]] == [10, 0]
        assert run["nodes"][1]["keys_from_others"] == 10

    def test_they_prove_themselves_with_a_secret(self, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("a secret that is long enough".replace(" ", "-"))
        run = finished("--nodes", "2", "--quiet", *NO_LATENCY, "--secret-file", str(secret))
        assert (run.returncode, run.stderr) == (0, "")

    def test_they_share_the_file_that_is_named(self, tmp_path):
        path = str(tmp_path / "shared.db")
        finished("--nodes", "2", "--quiet", *NO_LATENCY, "--database", path)
        again = json.loads(finished("--nodes", "2", "--json", *NO_LATENCY, "--database", path).stdout)
        assert again["cluster"]["database_writes"] == 0

    def test_a_database_that_cannot_be_used_is_one_line_and_exit_2(self, tmp_path):
        run = finished("--nodes", "3", "--database", str(tmp_path))
        assert (run.returncode, run.stdout) == (2, "")
        assert complained(run) == f"main.py: cannot use the database '{tmp_path}': unable to open database file"

    def test_control_c_ends_all_with_what_was_served(self):
        with started("--nodes", "2", *ENDLESS, "--stagger", "0") as process:
            process.stdout.readline()
            children = children_of(process)
            process.send_signal(signal.SIGINT)
            out, err = process.stdout.read(), process.stderr.read()
            process.wait()
        assert (process.returncode, err) == (130, "")
        assert out.endswith("\ninterrupted: this is what was served until then\n")
        assert len(children) == 2
        assert not any(map(is_running, children))

    def test_control_c_before_anything_was_served_ends_all(self):
        with started("--nodes", "3", "--stagger", "60000", "--quiet", *NO_LATENCY) as process:
            eventually(lambda: len(children_of(process)) == 3)
            children = children_of(process)
            process.send_signal(signal.SIGINT)
            process.wait()
        assert process.returncode == 130
        assert not any(map(is_running, children))

    def test_nodes_do_not_outlive_their_parent(self):
        with started("--nodes", "2", *ENDLESS) as process:
            process.stdout.readline()
            children = children_of(process)
            process.kill()
            process.stdout.close()
        assert len(children) == 2
        eventually(lambda: not any(map(is_running, children)))

    def test_the_others_go_on_without_one_that_is_killed(self):
        with started("--nodes", "2", *ENDLESS, "--stagger", "0") as process:
            process.stdout.readline()
            os.kill(children_of(process)[0], signal.SIGKILL)
            while not process.stdout.readline().startswith("node2"):
                pass
            process.send_signal(signal.SIGINT)
            out, err = process.stdout.read(), process.stderr.read()
            process.wait()
        assert process.returncode == 130
        assert re.search(r"^node2 \(interrupted\)", out, re.MULTILINE)
        assert "Traceback" not in err

    def test_a_reader_that_goes_away_ends_all_without_a_traceback(self):
        with started("--nodes", "2", *ENDLESS, "--stagger", "0") as process:
            process.stdout.readline()
            children = children_of(process)
            process.stdout.close()
            said = process.stderr.read()  # a node that ends later may say that it lost the one that ended first
            assert "Traceback" not in said
            assert "main.py" not in said
            assert process.wait() == 141
        assert not any(map(is_running, children))


class TestListenAndJoin:
    """Instances that somebody starts are one cluster."""

    def test_what_one_has_loaded_another_one_finds(self, tmp_path):
        arguments = ("--quiet", "--json", "--database", str(tmp_path / "shared.db"))
        with started(*arguments, "--listen", "127.0.0.1:0", "--wait", "1", "--requests", "1000000") as server:
            address = re.fullmatch(r"main\.py: listening on (\S+)\n", server.stderr.readline())[1]
            # The second one asks for the same keys, and is still at its first request when the first one has them all.
            client = finished(*arguments, "--join", address, "--threads", "1", "--requests", "200")
            server.send_signal(signal.SIGINT)
            loaded = json.loads(server.stdout.read())
        found = json.loads(client.stdout)
        assert loaded["database_reads"] >= 5
        assert (client.returncode, found["distinct_keys"]) == (0, 10)
        assert found["database_reads"] < 10

    def test_one_that_is_not_there_is_told_and_gone_on_without(self):
        run = finished("--quiet", *NO_LATENCY, "--join", "/nonexistent/cache.sock")
        assert run.returncode == 0
        assert complained(run).startswith("cannot reach /nonexistent/cache.sock: No such file or directory")

    @pytest.mark.parametrize("option", ["--listen", "--join"])
    def test_an_address_that_is_none_is_exit_2(self, option):
        run = finished(option, "nonsense")
        assert (run.returncode, run.stdout) == (2, "")
        said = complained(run)
        assert said.startswith(f"main.py: {option}: 'nonsense' is no address; write \"host:port\", ")

    def test_an_address_that_is_taken_is_exit_2(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            run = finished("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        assert (run.returncode, run.stdout) == (2, "")
        assert "Address already in use" in complained(run)

    def test_others_that_do_not_come_are_not_waited_for_for_ever(self, capsys, monkeypatch):
        monkeypatch.setattr("main.OTHERS_SECONDS", 0)
        assert main(["--listen", "127.0.0.1:0", "--wait", "2"]) == 1
        assert "--wait 2: only 0 others were linked" in capsys.readouterr().err


def children_of(process):
    """The processes that a process has started."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listed.stdout.split()]


def is_running(pid):
    """Whether there is such a process, and not only what is left of it for init to reap."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1] not in ("", "Z")


def complained(run):
    """The one line on standard error."""
    (line,) = run.stderr.splitlines()
    return line


class TestWhatGoesWrong:
    """One clear line, the right exit status, no traceback, no hanging."""

    def test_a_bad_argument_is_exit_2(self):
        run = finished("--threads", "none")
        assert (run.returncode, run.stdout) == (2, "")
        assert complained(run).startswith("main.py: argument --threads: 'none' is not")

    def test_a_database_that_is_a_directory_is_exit_2(self, tmp_path):
        run = finished("--database", str(tmp_path))
        assert (run.returncode, run.stdout) == (2, "")
        assert complained(run) == f"main.py: cannot use the database '{tmp_path}': unable to open database file"

    def test_a_database_that_is_none_is_exit_2(self):
        run = finished("--database", "pyproject.toml")
        assert (run.returncode, run.stdout) == (2, "")
        assert complained(run) == "main.py: cannot use the database 'pyproject.toml': file is not a database"

    def test_a_failing_request_is_exit_1(self, capsys, monkeypatch):
        def failing(self, key):
            raise ValueError("this is\nnot good")

        monkeypatch.setattr("workload.database.Database.get", failing)
        assert main([]) == 1
        assert capsys.readouterr() == ("", "main.py: a request failed: ValueError: this is not good\n")

    def test_a_database_that_fails_later_is_exit_1(self, capsys, monkeypatch):
        def closed(self, key):
            self.close()
            return self.insert(key, "value")

        monkeypatch.setattr("workload.database.Database.get", closed)
        assert main([*NO_LATENCY, "--quiet"]) == 1
        assert capsys.readouterr() == (
            "",
            "main.py: a request failed: cannot use the database ':memory:': Cannot operate on a closed database.\n",
        )

    def test_a_failure_ends_the_waits_of_the_other_threads(self, capsys, monkeypatch):
        """The others wait for a minute, in a distributed cache that only key0 fails in."""
        get = RemoteCache.get

        def failing(self, key, default):
            if key == "key0":
                raise ValueError
            return get(self, key, default)

        monkeypatch.setattr(RemoteCache, "get", failing)
        assert main(["--cache-ms", "60000", "--threads", "50", "--random-seed", "1"]) == 1

    def test_a_reader_that_goes_away_gets_no_traceback(self):
        with started(*ENDLESS) as process:
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait() == 141

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_a_full_disk_is_exit_1(self):
        with Path("/dev/full").open("w") as full:
            run = finished(stdout=full)
        assert run.returncode == 1
        assert complained(run) == "main.py: cannot write the output: No space left on device"

    def test_an_output_that_is_closed_is_exit_1(self):
        run = subprocess.run(
            ["sh", "-c", 'exec "$0" "$@" >&-', *command()],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )
        assert run.returncode == 1
        assert complained(run) == "main.py: cannot write the output: it is closed"


# Says when the first request is about to wait, which is for a minute.
ASLEEP = """
import sys
from workload.stop import Stop
sleep = Stop.sleep
def announced(stop, seconds):
    sys.stdout.write("asleep\\n")
    sys.stdout.flush()
    sleep(stop, seconds)
Stop.sleep = announced
import main
sys.exit(main.main(sys.argv[1:]))
"""


class TestControlC:
    """An interrupted run tells what it served, and ends at once."""

    def test_it_prints_a_partial_summary_and_is_exit_130(self):
        with started(*ENDLESS) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.stdout.read(), process.stderr.read()
            process.wait()
        assert (process.returncode, err) == (130, "")
        assert out.endswith("\ninterrupted: this is what was served until then\n")

    def test_the_partial_summary_counts_the_lines_that_were_printed(self):
        with started(*ENDLESS) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            lines = process.stdout.read().splitlines()
        (total,) = [line.split()[1] for line in lines if line.startswith("requests ")]
        assert int(total.replace(",", "")) == 1 + len(requests_in(lines))

    def test_a_request_that_takes_a_minute_is_not_waited_for(self):
        with started("--database-ms", "60000", "--cache-ms", "60000", "--json", code=ASLEEP) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.stdout.read(), process.stderr.read()
            process.wait()
        assert (process.returncode, err) == (130, "")
        summary = json.loads(out.replace("asleep\n", ""))
        assert (summary["requests"], summary["complete"]) == (0, False)

    def test_a_comparison_prints_the_ways_it_came_to(self):
        with started("--database-ms", "60000", "--compare", code=ASLEEP) as process:
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.stdout.read(), process.stderr.read()
            process.wait()
        assert (process.returncode, err) == (130, "")
        assert "database alone (interrupted)" in out
        assert "with LRUCacheDistributed" not in out


class TestTerminal:
    """At a terminal the figures so far stand below the lines, and in the end the summary does."""

    def test_all_lines_are_there_and_the_summary_is_below(self):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        with subprocess.Popen(
            [sys.executable, ROOT / "main.py", "--requests", "5", "--database-ms", "150"],
            stdout=theirs, stderr=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"},
        ) as process:  # fmt: skip
            os.close(theirs)
            written = b""
            with contextlib.suppress(OSError):  # which is how the end of a terminal is told
                while chunk := os.read(ours, 65_536):
                    written += chunk
        os.close(ours)
        text = written.decode()
        assert process.returncode == 0
        assert text.count("] Request '") == 50
        assert re.search(r"requests +\d+ of 50\r\n", text), "nothing was said on the way"
        assert text.rstrip().splitlines()[-1].startswith("total ")
