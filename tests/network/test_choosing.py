"""Of many addresses each node dials a few, and all of them are one graph, also without any three of them."""

import itertools
import random
from collections.abc import Iterable
from math import log2

import pytest

from lru_cache.network.address import Address
from lru_cache.network.choosing import ALL_OF, choose, place_of

Graph = dict[Address, set[Address]]


def addresses(count: int) -> list[Address]:
    return [Address(f"10.0.{number // 256}.{number % 256}", 7000) for number in range(count)]


def graph_of(count: int) -> Graph:
    """Who is linked with whom, if each dials what it chooses."""
    nodes = addresses(count)
    linked: Graph = {node: set() for node in nodes}
    for node in nodes:
        for other in choose([each for each in nodes if each != node], place_of(str(node).encode())):
            linked[node].add(other)
            linked[other].add(node)
    return linked


def reached_from(graph: Graph, start: Address, without: Iterable[Address] = ()) -> dict[Address, int]:
    """Everybody who can be reached, and in how many hops."""
    hops, waiting, gone = {start: 0}, [start], set(without)
    for node in waiting:
        for other in graph[node] - hops.keys() - gone:
            hops[other] = hops[node] + 1
            waiting.append(other)
    return hops


@pytest.mark.parametrize("count", range(ALL_OF + 1))
def test_of_few_all_are_dialled(count: int) -> None:
    assert choose(addresses(count), place_of(b"me")) == set(addresses(count))


@pytest.mark.parametrize("count", [9, 10, 11, 12, 16, 17, 33, 64, 100, 200, 1000])
def test_links_grow_with_the_logarithm_and_so_do_hops(count: int) -> None:
    graph = graph_of(count)
    assert max(map(len, graph.values())) <= max(ALL_OF + 2, 2 * (log2(count) + 1))
    assert max(reached_from(graph, next(iter(graph))).values()) <= log2(count)


@pytest.mark.parametrize("count", [9, 10, 11, 13, 17])
def test_any_three_may_be_lost(count: int) -> None:
    graph = graph_of(count)
    for lost in itertools.combinations(graph, 3):
        start = next(node for node in graph if node not in lost)
        assert len(reached_from(graph, start, lost)) == count - 3


@pytest.mark.parametrize("count", [33, 64, 200])
def test_three_of_many_may_be_lost_also_neighbours(count: int) -> None:
    graph = graph_of(count)
    chance = random.Random(count)
    for node in graph:
        for lost in (chance.sample(sorted(graph[node], key=str), 3), chance.sample(sorted(graph, key=str), 3)):
            start = next(each for each in graph if each not in lost)
            assert len(reached_from(graph, start, lost)) == count - 3


def test_who_is_none_of_them_has_a_place_all_the_same() -> None:
    """As a node that does not listen."""
    some, others = (choose(addresses(100), place_of(who)) for who in (b"some", b"other"))
    assert len(some) == len(others) == 7
    assert some != others


def test_one_more_changes_few_links() -> None:
    before, after = graph_of(64), graph_of(65)
    changed = sum(len(before[node] ^ (after[node] & before.keys())) for node in before) / 2
    assert changed <= 2 * 64  # of about six for each, and a new one has twelve
