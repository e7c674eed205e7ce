"""Each way asks the stores it names, and whatever it waits for ends with its stop."""

import pytest

from workload import ways
from workload.database import DatabaseError
from workload.scenarios import LOOKUP, POPULATE
from workload.stop import Stopped
from workload.ways import Setting


class Dictionary(dict):
    """The simplest cache in front: it loads what it lacks."""

    def __init__(self, setting, load):
        super().__init__()
        self.load = load

    def get(self, key):
        return self[key] if key in self else self.setdefault(key, self.load(key))

    def close(self):
        self.load = None


def setting(scenario=LOOKUP, **given):
    return Setting(**{"scenario": scenario, "keys": 2, "missing": 1, "database_ms": 0, "cache_ms": 0, **given})


def calls(way):
    return (way.database.reads, way.database.writes, way.remote_cache.calls)


def test_the_database_alone_is_asked_each_time():
    with ways.database_alone(setting()) as way:
        assert [way.get("key0"), way.get("key0")] == ["value0", "value0"]
        assert calls(way) == (2, 0, 0)


def test_with_the_distributed_cache_the_database_is_asked_once():
    with ways.with_remote_cache(setting()) as way:
        assert [way.get("key0"), way.get("key0")] == ["value0", "value0"]
        assert calls(way) == (1, 0, 3)


def test_with_a_cache_in_front_both_are_asked_once():
    with ways.with_front(setting(), Dictionary) as way:
        assert [way.get("key0"), way.get("key0")] == ["value0", "value0"]
        assert calls(way) == (1, 0, 2)


@pytest.mark.parametrize("open_way", [ways.database_alone, ways.with_remote_cache])
def test_a_way_without_a_cache_in_front_holds_nothing(open_way):
    with open_way(setting()) as way:
        way.get("key0")
        assert not way.holds("key0")


def test_a_cache_in_front_holds_what_it_loaded():
    with ways.with_front(setting(), Dictionary) as way:
        assert not way.holds("key0")
        way.get("key0")
        assert way.holds("key0")


def test_a_cache_in_front_is_closed_in_the_end():
    fronts = []
    with ways.with_front(setting(), lambda *given: fronts.append(Dictionary(*given)) or fronts[0]):
        pass
    assert fronts[0].load is None


def test_a_way_is_named_after_the_cache_in_front():
    with ways.with_front(setting(), Dictionary) as way:
        assert way.name == "with Dictionary"


def test_a_key_that_does_not_exist_is_asked_of_the_database_once_even_without_a_cache_in_front():
    with ways.with_remote_cache(setting()) as way:
        assert [way.get("key2"), way.get("key2")] == [None, None]
        assert way.database.reads == 1


@pytest.mark.parametrize("open_way", [ways.database_alone, ways.with_remote_cache])
def test_populating_writes_once_and_answers_the_same_from_then_on(open_way):
    with open_way(setting(POPULATE, missing=0)) as way:
        assert way.get("key0") == way.get("key0") is not None
        assert way.database.writes == 1


def test_every_opening_has_fresh_stores():
    with ways.database_alone(setting(POPULATE, missing=0)) as way:
        way.get("key0")
    with ways.database_alone(setting(POPULATE, missing=0)) as way:
        assert calls(way) == (0, 0, 0)
        assert way.database.get("key0") is None


@pytest.mark.parametrize("slow", [{"database_ms": 1e9}, {"cache_ms": 1e9}])
def test_the_stop_of_a_way_ends_every_wait_in_it(slow):
    with ways.with_remote_cache(setting(**slow)) as way:
        way.stop.set()
        with pytest.raises(Stopped):
            way.get("key0")


def test_the_database_is_closed_in_the_end():
    with ways.database_alone(setting()) as way:
        pass
    with pytest.raises(DatabaseError, match="closed"):
        way.database.get("key0")


def test_a_database_that_does_not_fit_is_closed_too(tmp_path):
    """Or else the interpreter would warn, and a warning is an error here."""
    path = str(tmp_path / "shared.db")
    with ways.database_alone(setting(POPULATE, missing=0, database_path=path)) as way:
        way.get("key0")
    with pytest.raises(DatabaseError, match="key0"), ways.database_alone(setting(database_path=path)):
        pass
