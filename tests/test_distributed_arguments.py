"""The arguments that `LRUCacheDistributed` has beside `LRUCache`'s: a wrong one gets one line that names it."""

import math
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from lru_cache import TLS, AddressError, LRUCacheDistributed
from tests.concurrency import PATIENCE, link

Nodes = Callable[..., LRUCacheDistributed[Any, Any]]
SPANS = ["connection_timeout", "max_clock_skew", "source_lag"]


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("value", [-1, -0.001, math.nan, -math.inf, timedelta(seconds=-1)])
def test_a_time_must_be_positive(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        LRUCacheDistributed(**{name: value})


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("value", ["5", b"5", [], True, None, Decimal(5), 5j])
def test_a_time_is_a_number_or_a_timedelta(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        LRUCacheDistributed(**{name: value})


@pytest.mark.parametrize("name", ["connection_timeout", "max_clock_skew"])
@pytest.mark.parametrize("value", [0, 0.0, timedelta(0)])
def test_these_times_may_not_be_zero(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        LRUCacheDistributed(**{name: value})


def test_a_source_need_not_lag() -> None:
    LRUCacheDistributed(source_lag=0)
    LRUCacheDistributed(source_lag=timedelta(0))


@pytest.mark.parametrize("name", ["max_clock_skew", "source_lag"])
@pytest.mark.parametrize("value", [math.inf, 10**400])
def test_a_skew_and_a_lag_have_an_end(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        LRUCacheDistributed(**{name: value})


def test_a_connection_timeout_is_told_to_be_in_milliseconds() -> None:
    with pytest.raises(TypeError, match="connection_timeout must be milliseconds"):
        LRUCacheDistributed(connection_timeout="3600")  # type: ignore[arg-type]


def test_a_connection_timeout_is_in_milliseconds(nodes: Nodes) -> None:
    """So a flush that is given no time of its own gives up after these, and not after as many seconds."""
    server = nodes(local_address=("127.0.0.1", 0))
    client = nodes(remote_address=server.local_address, connection_timeout=500)
    link(client, server)
    with server._lock:
        client.set("k", 1)
        assert client.flush() is False


def test_a_timedelta_is_what_it_says() -> None:
    assert LRUCacheDistributed(connection_timeout=timedelta(seconds=2))._silence_seconds == 2
    assert LRUCacheDistributed(connection_timeout=2_000)._silence_seconds == 2


@pytest.mark.parametrize("value", [math.inf, 1e30, 10**400, timedelta.max, 5_000_000_000])
def test_a_connection_timeout_without_end_is_a_long_one(nodes: Nodes, value: Any) -> None:
    server = nodes(local_address=("127.0.0.1", 0), connection_timeout=value)
    client = nodes(remote_address=server.local_address, connection_timeout=value)
    link(client, server)
    client.set("k", 1)
    assert client.flush()
    client.close()


@pytest.mark.parametrize("name", ["insecure", "replicate_loads"])
@pytest.mark.parametrize("value", ["false", "", 0, 1, None])
def test_a_flag_is_true_or_false(name: str, value: Any) -> None:
    """The "false" of an environment must not open a cache to everybody."""
    with pytest.raises(TypeError, match=f"{name} must be True or False"):
        LRUCacheDistributed(**{name: value})


@pytest.mark.parametrize("name", ["region", "cluster"])
@pytest.mark.parametrize("value", [5, b"bytes", True, ["list"]])
def test_a_name_is_text(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} must be a str"):
        LRUCacheDistributed(**{name: value})


@pytest.mark.parametrize("name", ["region", "cluster"])
@pytest.mark.parametrize("value", ["", "x" * 201, "two\nlines", "\x1b[2J", "\ud800"])
def test_a_name_is_short_and_printable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        LRUCacheDistributed(**{name: value})  # type: ignore[arg-type]
    assert len(str(caught.value)) <= 200


def test_a_cluster_has_a_name() -> None:
    with pytest.raises(TypeError, match="cluster"):
        LRUCacheDistributed(cluster=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["Montréal", "東京", "us-east 1", "x" * 200, "\U0001f40c" * 200])
def test_names_of_any_script_link(nodes: Nodes, name: str) -> None:
    server = nodes(local_address=("127.0.0.1", 0), region=name, cluster=name)
    client = nodes(remote_address=server.local_address, region=name, cluster=name)
    link(client, server)
    assert client.peers()[0].region == name


@pytest.mark.parametrize("value", [0, -1])
def test_a_value_has_at_least_a_byte(value: int) -> None:
    with pytest.raises(ValueError, match="maximum_value_bytes must be at least 1"):
        LRUCacheDistributed(maximum_value_bytes=value)


def test_a_value_is_no_longer_than_a_frame() -> None:
    with pytest.raises(ValueError, match="maximum_value_bytes must be at most"):
        LRUCacheDistributed(maximum_value_bytes=1 << 32)
    LRUCacheDistributed(maximum_value_bytes=(1 << 32) - (1 << 22))


@pytest.mark.parametrize("value", ["10", 10.0, None, True])
def test_a_number_of_bytes_is_an_int(value: Any) -> None:
    with pytest.raises(TypeError, match="maximum_value_bytes"):
        LRUCacheDistributed(maximum_value_bytes=value)


@pytest.mark.parametrize("name", ["remote_address", "local_address"])
@pytest.mark.parametrize(
    ("value", "error"),
    [("nonsense", AddressError), (("h", "x"), AddressError), (5, TypeError), (("h", 1, 2), TypeError)],
)
def test_an_address_that_is_none_is_refused_by_name(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        LRUCacheDistributed(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("secret", 5), ("tls", "node.pem"), ("tls", (1, 2, 3)), ("secret", {"a"})])
def test_what_makes_it_safe_is_of_the_right_type(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        LRUCacheDistributed(**{name: value})


def test_a_certificate_that_is_not_there_is_refused_at_construction(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="tls: cannot use certificate"):
        LRUCacheDistributed(tls=TLS(*(str(tmp_path / name) for name in "abc")))


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_to_wait_for_is_at_least_one(nodes: Nodes, count: int) -> None:
    with pytest.raises(ValueError, match="count"):
        nodes().wait_connected(count)


@pytest.mark.parametrize("count", ["1", 1.0, None, True])
def test_a_count_to_wait_for_is_an_int(nodes: Nodes, count: Any) -> None:
    with pytest.raises(TypeError, match="count"):
        nodes().wait_connected(count)


@pytest.mark.parametrize("method", ["flush", "wait_connected"])
@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (math.nan, ValueError), ("1", TypeError), (True, TypeError)]
)
def test_a_timeout_is_a_duration(nodes: Nodes, method: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="timeout"):
        getattr(nodes(), method)(timeout=value)


@pytest.mark.parametrize("timeout", [math.inf, 1e300, timedelta.max, timedelta(seconds=PATIENCE)])
def test_a_timeout_may_be_as_long_as_one_likes(nodes: Nodes, timeout: Any) -> None:
    server = nodes(local_address=("127.0.0.1", 0))
    client = nodes(remote_address=server.local_address)
    assert client.wait_connected(timeout=timeout)
    assert client.flush(timeout=timeout)


def test_a_timeout_of_zero_only_looks(nodes: Nodes) -> None:
    assert nodes().wait_connected(timeout=0) is False


def test_nothing_of_an_address_that_was_refused_stays_open(nodes: Nodes, free_port: int) -> None:
    """An argument after it was wrong: the port must be free again."""
    for _ in range(3):
        with pytest.raises(ValueError, match="max_clock_skew"):
            LRUCacheDistributed(local_address=("127.0.0.1", free_port), max_clock_skew=0)
    nodes(local_address=("127.0.0.1", free_port))


@pytest.mark.parametrize("value", [3, 29.9, timedelta(milliseconds=3)])
def test_a_connection_timeout_that_no_link_survives_is_refused(value: Any) -> None:
    """As by who took it for seconds."""
    with pytest.raises(ValueError, match=r"connection_timeout is in milliseconds.*at least 30.*3600"):
        LRUCacheDistributed(connection_timeout=value)


def test_a_short_connection_timeout_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    LRUCacheDistributed(connection_timeout=100)
    assert caplog.messages == []
    LRUCacheDistributed(connection_timeout=99)
    assert "99" in caplog.text
