"""A cache is neither copied nor pickled, and says what to do; what holds one can be, without it."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from lru_cache import LRUCache

pytestmark = pytest.mark.usefixtures("each_cache")

COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, pickle.dumps, lambda each: pickle.dumps(each, 0)]


class Service:
    """As in docs/operations.md."""

    def __init__(self, users: LRUCache[str, int]) -> None:
        self.name = "service"
        self.users: LRUCache[str, int] | None = users

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "users": None}


@pytest.mark.parametrize("make_copy", COPIES)
def test_a_cache_is_not_copied_in_a_line_that_says_what_to_do(make_copy: Callable[[Any], Any], each_cache: str) -> None:
    """Two caches on one store would change each other, or fail much later."""
    cache: LRUCache[str, int] = LRUCache()
    cache.set("a", 1)
    with pytest.raises(TypeError) as refused:
        make_copy(cache)
    line = str(refused.value)
    assert line.startswith(f"{each_cache} cannot be copied or pickled")
    assert all(way in line for way in ("dict(cache.items())", "__getstate__", "__deepcopy__"))
    assert "\n" not in line


@pytest.mark.parametrize("make_copy", COPIES)
def test_what_holds_a_cache_is_told_the_same(make_copy: Callable[[Any], Any]) -> None:
    class Holder:
        def __init__(self) -> None:
            self.cache: LRUCache[str, int] = LRUCache()

    if make_copy is copy.copy:
        assert copy.copy(holder := Holder()).cache is holder.cache
        return
    with pytest.raises(TypeError, match="__getstate__"):
        make_copy(vars(Holder()))


def test_what_holds_a_cache_is_copied_without_it_if_it_says_so() -> None:
    service = Service(LRUCache())
    for other in (copy.copy(service), copy.deepcopy(service), pickle.loads(pickle.dumps(service))):
        assert (other.name, other.users) == ("service", None)


def test_a_subclass_may_say_how_it_is_copied() -> None:
    class Mine(LRUCache[Any, Any]):
        def __reduce__(self) -> Any:
            return dict, ()

    assert copy.copy(Mine()) == {}
