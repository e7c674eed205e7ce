"""What a run starts from, and that the same seed asks for the same keys."""

import pytest

from workload.database import Database, DatabaseError
from workload.scenarios import LOOKUP, POPULATE, SCENARIOS, key_names, random_keys


@pytest.fixture
def database():
    with Database() as database:
        yield database


def test_the_scenarios_are_found_by_name():
    assert SCENARIOS == {"populate": POPULATE, "lookup": LOOKUP}


def test_the_first_seed_takes_50_and_5_milliseconds():
    assert (POPULATE.database_ms, POPULATE.cache_ms) == (50, 5)


def test_the_second_seed_takes_500_and_100_milliseconds_and_keeps_for_ever():
    assert (LOOKUP.database_ms, LOOKUP.cache_ms, LOOKUP.expiration_time) == (500, 100, None)


def test_populate_starts_empty(database):
    POPULATE.preload(database, keys=10, missing=0)
    assert [database.get(key) for key in key_names(10)] == [None] * 10


def test_lookup_starts_with_a_value_for_each_key(database):
    LOOKUP.preload(database, keys=10, missing=0)
    assert [database.get(f"key{n}") for n in range(10)] == [f"value{n}" for n in range(10)]


def test_missing_keys_do_not_exist(database):
    LOOKUP.preload(database, keys=2, missing=3)
    assert [database.get(f"key{n}") for n in range(2, 5)] == [None] * 3


def test_lookup_refuses_a_database_in_which_missing_keys_exist(database):
    LOOKUP.preload(database, keys=3, missing=0)
    with pytest.raises(DatabaseError, match="key2"):
        LOOKUP.preload(database, keys=2, missing=1)


def test_keys_are_numbered_from_zero():
    assert list(key_names(3)) == ["key0", "key1", "key2"]


def test_as_many_keys_are_asked_for_as_there_are_requests():
    assert len(list(random_keys(key_names(10), 50, 1, thread=1))) == 50


def test_only_the_named_keys_are_asked_for():
    names = key_names(10)
    assert set(random_keys(names, 500, 1, thread=1)) == set(names)


def test_the_same_seed_asks_for_the_same_keys():
    names = key_names(10)
    assert list(random_keys(names, 50, 1, thread=1)) == list(random_keys(names, 50, 1, thread=1))


@pytest.mark.parametrize(("random_seed", "thread"), [(2, 1), (1, 2)])
def test_another_seed_or_thread_asks_for_others(random_seed, thread):
    names = key_names(10)
    assert list(random_keys(names, 50, random_seed, thread)) != list(random_keys(names, 50, 1, thread=1))
