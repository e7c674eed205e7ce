"""Each stack asks the stores it names, and whatever it waits for ends with its stop."""

import pytest

from workload import stacks
from workload.database import DatabaseError
from workload.scenarios import LOOKUP, POPULATE
from workload.stacks import Setting
from workload.stop import Stopped


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


def calls(stack):
    return (stack.database.reads, stack.database.writes, stack.remote_cache.calls)


def test_the_database_alone_is_asked_each_time():
    with stacks.database_alone(setting()) as stack:
        assert [stack.get("key0"), stack.get("key0")] == ["value0", "value0"]
        assert calls(stack) == (2, 0, 0)


def test_with_the_distributed_cache_the_database_is_asked_once():
    with stacks.with_remote_cache(setting()) as stack:
        assert [stack.get("key0"), stack.get("key0")] == ["value0", "value0"]
        assert calls(stack) == (1, 0, 3)


def test_with_a_cache_in_front_both_are_asked_once():
    with stacks.with_front(setting(), Dictionary) as stack:
        assert [stack.get("key0"), stack.get("key0")] == ["value0", "value0"]
        assert calls(stack) == (1, 0, 2)


@pytest.mark.parametrize("open_stack", [stacks.database_alone, stacks.with_remote_cache])
def test_a_stack_without_a_cache_in_front_holds_nothing(open_stack):
    with open_stack(setting()) as stack:
        stack.get("key0")
        assert not stack.holds("key0")


def test_a_cache_in_front_holds_what_it_loaded():
    with stacks.with_front(setting(), Dictionary) as stack:
        assert not stack.holds("key0")
        stack.get("key0")
        assert stack.holds("key0")


def test_a_cache_in_front_is_closed_in_the_end():
    fronts = []
    with stacks.with_front(setting(), lambda *given: fronts.append(Dictionary(*given)) or fronts[0]):
        pass
    assert fronts[0].load is None


def test_a_way_is_named_after_the_cache_in_front():
    with stacks.with_front(setting(), Dictionary) as stack:
        assert stack.name == "with Dictionary"


def test_a_key_that_does_not_exist_is_asked_of_the_database_once_even_without_a_cache_in_front():
    with stacks.with_remote_cache(setting()) as stack:
        assert [stack.get("key2"), stack.get("key2")] == [None, None]
        assert stack.database.reads == 1


@pytest.mark.parametrize("open_stack", [stacks.database_alone, stacks.with_remote_cache])
def test_populating_writes_once_and_answers_the_same_from_then_on(open_stack):
    with open_stack(setting(POPULATE, missing=0)) as stack:
        assert stack.get("key0") == stack.get("key0") is not None
        assert stack.database.writes == 1


def test_every_opening_has_fresh_stores():
    with stacks.database_alone(setting(POPULATE, missing=0)) as stack:
        stack.get("key0")
    with stacks.database_alone(setting(POPULATE, missing=0)) as stack:
        assert calls(stack) == (0, 0, 0)
        assert stack.database.get("key0") is None


@pytest.mark.parametrize("slow", [{"database_ms": 1e9}, {"cache_ms": 1e9}])
def test_the_stop_of_a_way_ends_every_wait_in_it(slow):
    with stacks.with_remote_cache(setting(**slow)) as stack:
        stack.stop.set()
        with pytest.raises(Stopped):
            stack.get("key0")


def test_the_database_is_closed_in_the_end():
    with stacks.database_alone(setting()) as stack:
        pass
    with pytest.raises(DatabaseError, match="closed"):
        stack.database.get("key0")


def test_a_database_that_does_not_fit_is_closed_too(tmp_path):
    """Or else the interpreter would warn, and a warning is an error here."""
    path = str(tmp_path / "shared.db")
    with stacks.database_alone(setting(POPULATE, missing=0, database_path=path)) as stack:
        stack.get("key0")
    with pytest.raises(DatabaseError, match="key0"), stacks.database_alone(setting(database_path=path)):
        pass
