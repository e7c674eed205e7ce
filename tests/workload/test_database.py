"""The database keeps what the first writer wrote, counts, waits without a lock, and says clearly what is wrong."""

import multiprocessing
import sqlite3
import threading
from pathlib import Path

import pytest

from workload.database import Database, DatabaseError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "shared.db")


def insert_and_tell(path, value, gate, answers):
    with Database(path, busy_seconds=30) as database:
        gate.wait()
        answers.put(database.insert("key", value))


def test_a_key_that_was_never_written_is_none():
    with Database() as database:
        assert database.get("key0") is None


def test_what_was_inserted_is_read():
    with Database() as database:
        database.insert("key0", "value0")
        assert database.get("key0") == "value0"


def test_insert_returns_the_value_it_stored():
    with Database() as database:
        assert database.insert("key0", "first") == "first"


def test_insert_returns_the_first_writers_value_to_a_later_one():
    with Database() as database:
        database.insert("key0", "first")
        assert database.insert("key0", "second") == "first"


def test_an_empty_value_is_a_value():
    with Database() as database:
        database.insert("key0", "")
        assert database.insert("key0", "second") == ""


def test_an_insert_counts_as_a_write_and_not_as_a_read():
    with Database() as database:
        database.insert("key0", "first")
        database.insert("key0", "second")
        assert (database.reads, database.writes) == (0, 2)


def test_every_get_counts_as_a_read():
    with Database() as database:
        database.get("key0")
        database.get("key0")
        assert (database.reads, database.writes) == (2, 0)


def test_every_get_and_insert_takes_the_latency():
    slept = []
    with Database(latency_seconds=0.05, sleep=slept.append) as database:
        database.get("key0")
        database.insert("key0", "value0")
    assert slept == [0.05, 0.05]


def test_two_threads_wait_for_their_calls_side_by_side():
    """Each waits until the other is waiting too, which a lock around the latency would never allow."""
    both = threading.Barrier(2)
    with Database(sleep=lambda seconds: both.wait(timeout=30)) as database:
        reader = threading.Thread(target=database.get, args=("key0",))
        reader.start()
        database.insert("key0", "value0")
        reader.join()
        assert (database.reads, database.writes) == (1, 1)


def test_a_wait_that_is_cut_short_is_no_read():
    def interrupted(seconds):
        raise InterruptedError

    with Database(sleep=interrupted) as database:
        with pytest.raises(InterruptedError):
            database.get("key0")
        assert database.reads == 0


def test_threads_that_insert_at_once_all_get_one_value():
    gate = threading.Barrier(16)
    answers = []

    def insert(number):
        gate.wait()
        answers.append(database.insert("key0", f"value{number}"))

    with Database() as database:
        threads = [threading.Thread(target=insert, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [database.get("key0")] * 16


def test_databases_in_memory_have_nothing_in_common():
    with Database() as one, Database() as other:
        one.insert("key0", "value0")
        assert other.get("key0") is None


def test_instances_on_one_file_see_the_same_values(path):
    with Database(path) as one, Database(path) as other:
        one.insert("key0", "first")
        assert other.get("key0") == "first"


def test_the_first_writer_wins_over_another_instance(path):
    with Database(path) as one, Database(path) as other:
        one.insert("key0", "first")
        assert other.insert("key0", "second") == "first"


def test_a_file_keeps_its_values(path):
    with Database(path) as database:
        database.insert("key0", "value0")
    with Database(path) as database:
        assert database.get("key0") == "value0"


def test_processes_that_insert_at_once_all_get_one_value(path):
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(4, timeout=60), context.Queue()
    processes = [
        context.Process(target=insert_and_tell, args=(path, f"value{number}", gate, answers)) for number in range(4)
    ]
    for process in processes:
        process.start()
    values = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    answers.close()
    answers.join_thread()
    with Database(path) as database:
        assert values == [database.get("key")] * 4


def test_preloaded_values_are_there():
    with Database() as database:
        database.preload({"key0": "value0", "key1": "value1"})
        assert database.get("key1") == "value1"


def test_preloading_is_neither_counted_nor_slowed_down():
    slept = []
    with Database(latency_seconds=1, sleep=slept.append) as database:
        database.preload({"key0": "value0"})
        assert (database.reads, database.writes, slept) == (0, 0, [])


def test_preloading_what_is_there_already_is_fine(path):
    with Database(path) as one, Database(path) as other:
        one.preload({"key0": "value0"})
        other.preload({"key0": "value0"}, absent=["key1"])


def test_preloading_refuses_a_file_with_another_value(path):
    with Database(path) as database:
        database.insert("key0", "something")
        with pytest.raises(DatabaseError, match="holds 'something' as 'key0', where 'value0' is expected"):
            database.preload({"key0": "value0"})


def test_preloading_refuses_a_file_with_a_key_that_must_not_exist(path):
    with Database(path) as database:
        database.insert("key1", "something")
        with pytest.raises(DatabaseError, match="holds 'something' as 'key1', where nothing is expected"):
            database.preload({}, absent=["key1"])


def test_preloading_that_is_refused_changes_nothing(path):
    with Database(path) as database:
        database.insert("key1", "something")
        with pytest.raises(DatabaseError):
            database.preload({"key0": "value0", "key1": "value1"})
        assert database.get("key0") is None


def test_preloading_that_is_refused_leaves_the_file_to_others(path):
    with Database(path) as one, Database(path, busy_seconds=0) as other:
        one.insert("key0", "something")
        with pytest.raises(DatabaseError):
            one.preload({"key0": "value0"})
        assert other.insert("key1", "value1") == "value1"


def test_a_directory_is_refused_by_name(tmp_path):
    with pytest.raises(DatabaseError, match=f"{tmp_path}.*unable to open"):
        Database(str(tmp_path))


def test_a_file_in_a_directory_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(DatabaseError, match="unable to open"):
        Database(str(tmp_path / "nowhere" / "file.db"))


def test_a_file_that_is_no_database_is_refused(path):
    Path(path).write_text("Dear diary, this is not SQLite.\n" * 100)
    with pytest.raises(DatabaseError, match="not a database"):
        Database(path)


def test_a_file_that_is_no_database_is_left_as_it_was(path):
    Path(path).write_text("Dear diary\n" * 100)
    with pytest.raises(DatabaseError):
        Database(path)
    assert Path(path).read_text() == "Dear diary\n" * 100


def test_a_database_with_somebody_elses_table_is_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE stored (name TEXT)")
    connection.close()
    with pytest.raises(DatabaseError, match="no such column"):
        Database(path)


def test_a_file_that_cannot_be_written_is_refused(path):
    """A file format version of the future does that for root too, whom permissions do not stop."""
    Database(path).close()
    content = bytearray(Path(path).read_bytes())
    content[18] = 3
    Path(path).write_bytes(content)
    with pytest.raises(DatabaseError, match="readonly"):
        Database(path)


def test_a_file_that_stays_locked_is_refused(path):
    with Database(path):
        pass
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(DatabaseError, match="locked"):
            Database(path, busy_seconds=0)
    finally:
        holder.close()


def test_a_file_that_is_locked_later_fails_the_request_clearly(path):
    holder = sqlite3.connect(path, isolation_level=None)
    with Database(path, busy_seconds=0) as database:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseError, match="locked"):
            database.insert("key0", "value0")
        holder.close()


def test_a_lock_that_is_released_in_time_is_waited_for(path):
    """The holder lets go once the other connection is opening or about to: either way it must succeed."""
    Database(path).close()
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    release = threading.Thread(target=holder.execute, args=("ROLLBACK",))
    release.start()
    with Database(path, busy_seconds=60) as database:
        assert database.get("key0") is None
    release.join()
    holder.close()


def test_closing_twice_is_harmless():
    database = Database()
    database.close()
    database.close()


def test_a_closed_database_says_so():
    database = Database()
    database.close()
    with pytest.raises(DatabaseError, match="closed"):
        database.get("key0")


def test_its_repr_tells_the_path_and_the_counts():
    with Database() as database:
        database.get("key0")
        assert repr(database) == "<Database ':memory:' reads=1 writes=0>"
