"""What several nodes did is added up, and every load that was not the first of its key is explained."""

import dataclasses
import json

import pytest

from tests.workload.test_report import SUMMARY
from workload.cluster import NEWS_SECONDS, ClusterResult, NodeResult
from workload.cluster_report import cluster_json, cluster_text
from workload.command_line import parse
from workload.journal import Journal, Load

OPTIONS = parse(["--nodes", "2", "--random-seed", "42"])


def cluster(*loads_of_nodes, complete=True):
    nodes = [
        NodeResult(number, dataclasses.replace(SUMMARY, distinct_keys=2, database_reads=len(loads)), tuple(loads))
        for number, loads in enumerate(loads_of_nodes, start=1)
    ]
    return ClusterResult(tuple(nodes), complete)


ONCE = cluster([Load("a", 0, 1), Load("b", 0, 1)], [])
AT_ONCE = cluster([Load("a", 0, 1)], [Load("a", 0.5, 1.5)])
LATE = cluster([Load("a", 0, 1)], [Load("a", 2, 3)])


def test_a_key_is_counted_once_whoever_loaded_it():
    assert (ONCE.distinct_keys, AT_ONCE.distinct_keys) == (2, 1)


def test_figures_are_added_up():
    assert (AT_ONCE.total("database_reads"), AT_ONCE.total("requests")) == (2, 2 * SUMMARY.requests)


def test_keys_that_a_node_did_not_load_are_from_others():
    assert [node.keys_from_others for node in ONCE.nodes] == [0, 2]


def test_one_load_for_each_key_leaves_nothing_to_explain():
    assert ONCE.repeats == []


def test_a_load_that_began_while_another_one_ran_is_concurrent():
    (repeat,) = AT_ONCE.repeats
    assert (repeat.key, repeat.seconds_after_begin, repeat.is_concurrent) == ("a", 0.5, True)


@pytest.mark.parametrize(("after", "concurrent"), [(NEWS_SECONDS / 2, True), (NEWS_SECONDS, False)])
def test_so_is_one_that_began_before_the_news_could_come(after, concurrent):
    (repeat,) = cluster([Load("a", 0, 1)], [Load("a", 1 + after, 3)]).repeats
    assert repeat.is_concurrent is concurrent


def test_the_first_load_to_begin_is_no_repeat_wherever_it_was():
    (repeat,) = cluster([Load("a", 5, 6)], [Load("a", 0, 1)]).repeats
    assert repeat.seconds_after_begin == 5


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (ONCE, "database reads: 2 for 2 keys: the whole cluster read each key once"),
        (AT_ONCE, "1 key was loaded by several nodes at once: 1 loads began up to 500.0 ms after the first one"),
        (LATE, "1 key was loaded again: 1 loads began up to 1,000.0 ms after another one of their key had ended"),
    ],
)
def test_the_text_says_how_often_the_database_was_read_and_why(result, said):
    assert said in cluster_text(OPTIONS, result)


def test_the_text_has_a_row_for_each_node_and_one_for_all():
    rows = cluster_text(OPTIONS, ONCE).splitlines()[4:7]
    assert [row.split()[:3] for row in rows] == [["node1", "500", "2"], ["node2", "500", "2"], ["all", "1,000", "2"]]


def test_the_text_says_how_to_run_it_again():
    first = cluster_text(OPTIONS, ONCE).splitlines()[0]
    assert first.startswith("2 nodes, begun 430 ms apart, each populate: 10 threads, 50 requests each")


def test_an_interrupted_cluster_says_so():
    assert "interrupted" in cluster_text(OPTIONS, dataclasses.replace(ONCE, complete=False))


def test_the_json_has_the_nodes_and_the_cluster():
    written = json.loads(cluster_json(OPTIONS, AT_ONCE))
    assert [node["node"] for node in written["nodes"]] == [1, 2]
    assert written["cluster"] == {
        "nodes": 2,
        "requests": 2 * SUMMARY.requests,
        "distinct_keys": 1,
        "database_reads": 2,
        "database_writes": 2 * SUMMARY.database_writes,
        "cache_calls": 2 * SUMMARY.cache_calls,
        "repeated_loads": 1,
        "repeated_loads_at_once": 1,
        "complete": True,
    }


def test_a_journal_notes_when_a_load_began_and_ended():
    times = iter([1.0, 2.5])
    journal = Journal(clock=lambda: next(times))
    assert journal.noting(str.upper)("a") == "A"
    assert journal.loads == [Load("a", 1.0, 2.5)]


def test_a_journal_notes_no_load_that_failed():
    journal = Journal()
    with pytest.raises(ZeroDivisionError):
        journal.noting(lambda key: 1 / 0)("a")
    assert journal.loads == []
