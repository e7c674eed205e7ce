"""With TLS, who has a certificate of the cluster's authority gets in, and what is said cannot be read on the way."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.integration.addresses import connect
from tests.integration.cluster import SHAPES, Cluster, Node, NodeError, until
from tests.integration.proxy import Direction

SECRET = "a secret that only this test knows"
VALUE = "a value that nobody may read on its way"


class Authority:
    """Issues certificates, as a cluster's own does."""

    def __init__(self, directory: Path, name: str) -> None:
        self._authority = trustme.CA()
        self._directory = directory
        self.path = str(directory / f"{name}.pem")
        self._authority.cert_pem.write_to_path(self.path)

    def issue(self, name: str, **changed: str) -> dict[str, str]:
        """A node's `tls`."""
        issued = self._authority.issue_cert(name)
        files = {"certificate": str(self._directory / f"{name}.pem"), "key": str(self._directory / f"{name}.key")}
        for i, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(files["certificate"], append=i > 0)
        issued.private_key_pem.write_to_path(files["key"])
        return {**files, "authority": self.path, **changed}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("foreign"), "foreign")


def pair(cluster: Cluster, server: dict[str, Any], client: dict[str, Any]) -> tuple[Node, Node]:
    first = cluster.add(local_address=cluster.reserve(), **server).start().wait_started()
    second = cluster.add(remote_address=[cluster.proxy(1, 0).address], **client).start().wait_started()
    return first, second


def overheard(cluster: Cluster) -> bytes:
    return b"".join(bytes(each) for recorded in cluster.proxies[1, 0].recordings for each in recorded.values())


@pytest.mark.parametrize("more", [{}, {"secret": SECRET}])
def test_certificates_of_one_authority_link(cluster: Cluster, authority: Authority, more: dict[str, str]) -> None:
    pair(cluster, {"tls": authority.issue("server"), **more}, {"tls": authority.issue("client"), **more})
    cluster.nodes[0].set("first", VALUE)
    cluster.nodes[1].write_many("key", 3000, VALUE)
    cluster.wait_all_have("first", VALUE)
    cluster.wait_all_have("key2999", VALUE)
    assert cluster.nodes[1].flush(timeout=10) is True
    assert VALUE.encode() not in overheard(cluster)
    assert b"default" not in overheard(cluster)


def test_without_tls_all_can_be_read(cluster: Cluster) -> None:
    """A test that looks for words on the wire could find them."""
    pair(cluster, {}, {})
    cluster.nodes[1].set("key", VALUE)
    cluster.wait_all_have("key", VALUE)
    assert VALUE.encode() in overheard(cluster)


def require_no_link(first: Node, second: Node) -> None:
    for node in (first, second):
        until(lambda n=node: "WARNING" in n.log, f"the log of {node.name} says so")
        assert node.connected() == []
    second.set("key", 1)
    assert first.lacks("key")
    assert second.has("key", 1)
    assert "Traceback" not in first.log + second.log


def test_a_client_with_a_foreign_certificate_is_refused(
    cluster: Cluster, authority: Authority, foreign: Authority
) -> None:
    theirs = foreign.issue("client", authority=authority.path)
    first, second = pair(cluster, {"tls": authority.issue("server")}, {"tls": theirs})
    require_no_link(first, second)
    assert "certificate" in first.log.lower()


def test_a_server_with_a_foreign_certificate_is_refused(
    cluster: Cluster, authority: Authority, foreign: Authority
) -> None:
    theirs = foreign.issue("server", authority=authority.path)
    first, second = pair(cluster, {"tls": theirs}, {"tls": authority.issue("client")})
    require_no_link(first, second)
    assert "certificate" in second.log.lower()


def test_a_client_without_tls_is_refused(cluster: Cluster, authority: Authority) -> None:
    require_no_link(*pair(cluster, {"tls": authority.issue("server")}, {}))


def test_a_server_without_tls_is_refused(cluster: Cluster, authority: Authority) -> None:
    require_no_link(*pair(cluster, {}, {"tls": authority.issue("client")}))


@pytest.fixture
def server(cluster: Cluster, authority: Authority) -> Iterator[Node]:
    """A server with TLS, that serves on whatever a test does to it."""
    node = cluster.add(local_address=cluster.reserve(), tls=authority.issue("server")).start().wait_started()
    yield node
    client = cluster.add(remote_address=[node.options["local_address"]], tls=authority.issue("client"))
    client.start().wait_started()
    client.set("served", 1)
    cluster.wait_all_have("served", 1)
    assert "Traceback" not in node.log


def test_a_client_without_any_certificate_is_refused(server: Node, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.path)
    context.check_hostname = False
    with connect(server.options["local_address"]) as plain:
        wrapped = context.wrap_socket(plain)
        with wrapped, pytest.raises((ssl.SSLError, ConnectionError)):
            wrapped.recv(100)  # TLS 1.3 says it with the first answer


def test_who_stops_in_the_middle_of_the_handshake_is_let_go(server: Node) -> None:
    with connect(server.options["local_address"]) as plain:
        plain.sendall(b"\x16\x03\x01\x02\x00\x01")  # a record that claims 512 bytes
        assert plain.recv(100) == b""


def test_garbage_in_the_place_of_the_handshake_is_refused(server: Node) -> None:
    for i in range(50):
        with connect(server.options["local_address"]) as plain:
            plain.sendall(bytes([i]) * 300)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_old_versions_of_tls_are_refused(server: Node, authority: Authority) -> None:
    mine = authority.issue("old")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")  # or it would be this side that refuses
    context.check_hostname = False
    context.load_verify_locations(authority.path)
    context.load_cert_chain(mine["certificate"], mine["key"])
    with (
        connect(server.options["local_address"]) as plain,
        pytest.raises((ssl.SSLError, ConnectionError), match=r"(?i)alert|reset"),
    ):
        context.wrap_socket(plain)


@pytest.mark.parametrize("direction", [Direction.OUT, Direction.BACK])
def test_a_wrong_byte_ends_the_link_and_it_recovers(
    cluster: Cluster, authority: Authority, direction: Direction
) -> None:
    pair(cluster, {"tls": authority.issue("server")}, {"tls": authority.issue("client")})
    cluster.wait_linked([(1, 0)])
    proxy = cluster.proxies[1, 0]
    before = proxy.accepted
    proxy.corrupt((direction,))
    cluster.nodes[0].set("a", 1)
    cluster.nodes[1].set("b", 2)
    until(lambda: proxy.accepted > before, "the link ends, and is dialled anew")
    cluster.wait_all_have("a", 1)
    cluster.wait_all_have("b", 2)


def test_a_cluster_under_tls_loses_and_finds_its_server(cluster: Cluster, authority: Authority) -> None:
    cluster.build(SHAPES["star"], tls=authority.issue("node"))
    cluster.nodes[0].kill()
    cluster.nodes[1].set("key", "new")
    cluster.heal()
    cluster.wait_all_have("key", "new")


@pytest.mark.parametrize("missing", ["certificate", "key", "authority"])
def test_a_file_that_is_not_there_is_named(cluster: Cluster, authority: Authority, missing: str) -> None:
    node = cluster.add(tls=authority.issue("server", **{missing: "/nowhere.pem"}))
    with pytest.raises(NodeError, match=r"/nowhere\.pem"):
        node.start().wait_started()
