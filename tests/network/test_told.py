"""One address is enough to find all nodes, and nobody can make a node dial what its own rule does not allow."""

from typing import Any

import pytest

from lru_cache import LRUCacheDistributed
from lru_cache.network import discovery
from lru_cache.network.address import Address
from lru_cache.network.told import allowed, in_networks_of
from tests.concurrency import eventually
from tests.conftest import Nodes


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(discovery, "SHORTEST_ASK_SECONDS", 0.01)


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_one_address_is_enough_to_find_all(nodes: Nodes, host: str) -> None:
    first = nodes(local_address=(host, 0))
    given = ("127.0.0.1", first.local_address[1])  # type: ignore[index]
    others = [nodes(local_address=(host, 0), remote_address=given, may_dial=True) for _ in range(4)]
    assert all(cache.wait_connected(4, timeout=10) for cache in (first, *others))
    assert {peer.found for peer in others[0].peers()} <= {"given", "told", "accepted"}
    first.close()
    others[0].set("key", 1)
    eventually(lambda: all(cache.peek("key") == 1 for cache in others))


def test_a_tree_stays_a_tree_unless_it_is_allowed_to_grow_together(nodes: Nodes) -> None:
    first = nodes(local_address=("127.0.0.1", 0))
    others = [nodes(local_address=("127.0.0.1", 0), remote_address=first.local_address) for _ in range(2)]
    asked: list[Any] = []
    careful = nodes(remote_address=first.local_address, may_dial=asked.append)
    assert first.wait_connected(3, timeout=10)
    eventually(lambda: {cache.local_address for cache in others} <= set(asked))
    assert [len(cache.peers()) for cache in (*others, careful)] == [1, 1, 1]


def test_a_function_says_which(nodes: Nodes) -> None:
    first = nodes(local_address=("127.0.0.1", 0))
    wanted, unwanted = (nodes(local_address=("127.0.0.1", 0), remote_address=first.local_address) for _ in range(2))
    cache = nodes(remote_address=first.local_address, may_dial=lambda address: address == wanted.local_address)
    assert cache.wait_connected(2, timeout=10)
    assert {peer.node for peer in cache.peers()} == {first.node, wanted.node}
    assert unwanted.node not in {peer.node for peer in cache.peers()}


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("10.1.2.3", True),
        ("10.1.2.255", True),
        ("::ffff:10.1.2.7", True),
        ("10.1.3.3", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("2001:db8::ff", True),
        ("2001:db8:0:1::1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_the_rule_is_the_network_of_a_given_address(host: str, is_allowed: bool) -> None:
    rule = in_networks_of([Address("10.1.2.9", 7000), Address("2001:db8::1", 7000), Address(path="/tmp/x.sock")])
    assert rule()((host, 1)) is is_allowed


@pytest.mark.parametrize(
    "host", ["", "name.example", "10.1.2.3.4", "/tmp/x.sock", "10.1.2.3:1", "user@10.1.2.3", "0x7f.1"]
)
def test_what_is_no_ip_address_is_never_dialled(host: str) -> None:
    assert allowed([(host, 7000)], lambda: lambda _: True) == []


def test_what_does_not_listen_is_never_dialled_nor_what_the_rule_is_not_sure_of() -> None:
    assert allowed([("10.1.2.3", 0), ("10.1.2.3", 7000), ("10.1.2.3", 7000)], lambda: lambda _: True) == [
        ("10.1.2.3", 7000)
    ]
    assert allowed([("10.1.2.3", 7000)], lambda: lambda _: "yes") == []  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("value", "error"), [("yes", TypeError), (None, TypeError), (1, TypeError), (True, ValueError)]
)
def test_a_wrong_argument_gets_one_line(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="may_dial") as refused:
        LRUCacheDistributed(may_dial=value)
    assert "\n" not in str(refused.value)
