"""Which store is asked, which is written, and whose value is the answer."""

import re
from datetime import datetime, timedelta, timezone

import pytest

from workload import sources
from workload.database import Database
from workload.remote_cache import RemoteCache
from workload.sources import CachedSource, DatabaseSource, time_now


@pytest.fixture
def database():
    with Database() as database:
        yield database


def test_the_database_source_answers_what_the_database_holds(database):
    database.insert("key0", "value0")
    assert DatabaseSource(database).get("key0") == "value0"


def test_a_key_that_exists_is_not_written(database):
    database.preload({"key0": "value0"})
    DatabaseSource(database, lambda: "new").get("key0")
    assert database.writes == 0


def test_a_key_that_does_not_exist_is_none_where_nothing_creates(database):
    assert DatabaseSource(database).get("key0") is None
    assert database.writes == 0


def test_a_key_that_does_not_exist_is_created(database):
    assert DatabaseSource(database, lambda: "new").get("key0") == "new"
    assert database.get("key0") == "new"


def test_creating_takes_one_read_and_one_write(database):
    DatabaseSource(database, lambda: "new").get("key0")
    assert (database.reads, database.writes) == (1, 1)


def test_whoever_creates_second_gets_the_first_ones_value(database):
    """The other instance's write falls between our read, which found nothing, and our own write."""

    def create():
        database.insert("key0", "theirs")
        return "ours"

    assert DatabaseSource(database, create).get("key0") == "theirs"


def test_an_answer_of_the_distributed_cache_asks_nobody_else():
    cache = RemoteCache[str | None]()
    cache.set("key0", "value0")
    assert CachedSource(cache, pytest.fail).get("key0") == "value0"


def test_what_the_distributed_cache_lacks_is_asked_of_the_source():
    assert CachedSource(RemoteCache(), lambda key: f"value of {key}").get("key0") == "value of key0"


def test_the_sources_answer_is_put_into_the_distributed_cache():
    cache = RemoteCache[str | None]()
    CachedSource(cache, lambda key: "value0").get("key0")
    assert cache.get("key0", None) == "value0"


def test_that_a_key_does_not_exist_is_asked_of_the_source_once():
    asked = []
    source = CachedSource(RemoteCache(), asked.append)
    assert [source.get("key0"), source.get("key0")] == [None, None]
    assert asked == ["key0"]


def test_a_failing_source_leaves_the_distributed_cache_as_it_was():
    def failing(key):
        raise OSError

    cache = RemoteCache[str | None]()
    with pytest.raises(OSError):
        CachedSource(cache, failing).get("key0")
    assert cache.get("key0", "nothing") == "nothing"


def test_a_created_value_is_the_present_in_utc():
    before = datetime.now(timezone.utc)
    created = datetime.fromisoformat(time_now())
    assert before <= created <= datetime.now(timezone.utc)
    assert created.utcoffset() == timedelta(0)


def test_a_created_value_has_six_decimals_even_on_the_second(monkeypatch):
    class OnTheSecond(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2024, 5, 6, 7, 8, 9, 0, tz)

    monkeypatch.setattr(sources, "datetime", OnTheSecond)
    assert time_now() == "2024-05-06T07:08:09.000000+00:00"


def test_a_created_value_is_iso_8601():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", time_now())
