"""Services that are scaled and restarted, with nothing but a name to find each other by: as pods, in real processes.

`ASK_SECONDS=5 pytest -rP tests/integration/test_discovery.py` takes the times that docs/operations.md gives.
"""

import json
import os
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.remote_objects import RemoteObject
from tests.integration.cluster import Cluster, until
from tests.integration.namespaces import NamespaceError, run
from tests.integration.pod import NAME, Pod, Zone

ASK_SECONDS = float(os.environ.get("ASK_SECONDS", "1"))
PATIENCE = 30.0
STALE_SECONDS = 0.5  # that a pod may take to learn of a write which was flushed while it was just about to join


LINKS = {3: (2, 2), 12: (5, 8), 5: (4, 4)}  # at least and at most that a node of so many has in the end


class Service:
    """Pods, each at an address of its own and the same port, and the name that stands for them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.zone = Zone(directory / "zone")
        self.zone.publish([])
        self.pods: dict[str, RemoteObject] = {}
        self._port = free_port()
        self._network = f"127.{random.randrange(1, 255)}.{random.randrange(256)}"
        self._count = 0
        self._began = time.monotonic()

    def host(self) -> str:
        """One that nobody had before."""
        self._count += 1
        return f"{self._network}.{self._count}"

    def start(self, host: str | None = None) -> str:
        """Start a pod; nobody is told of it yet."""
        host = self.host() if host is None else host
        self.pods[host] = RemoteObject(Pod, str(self.directory), host, self._port, ASK_SECONDS)
        return host

    def publish(self) -> None:
        self.zone.publish(list(self.pods))

    def wait_known(self) -> None:
        """Wait until each pod has asked for the name since it was last changed."""
        before = {host: pod.ask("asked") for host, pod in self.pods.items()}
        for host, pod in self.pods.items():  # what was asked just now may have been answered before
            until(lambda h=host, p=pod: p.ask("asked") >= before[h] + 2, "it asks")  # type: ignore[misc]

    def end(self, host: str, kill: bool = False) -> None:
        """Take a pod out of the name's answers, and end it, as Kubernetes does."""
        pod = self.pods.pop(host)
        self.publish()
        pod.kill() if kill else pod.close(PATIENCE)

    def scale(self, count: int) -> None:
        """The newest go first, and every third of them is killed."""
        while len(self.pods) > count:
            self.end(list(self.pods)[-1], kill=len(self.pods) % 3 == 0)
        for _ in range(count - len(self.pods)):
            self.start()
            self.publish()

    def wait_whole(self) -> float:
        """Wait until each reaches all others, and looks for nobody else; how long that took."""
        began = time.monotonic()
        for pod in self.pods.values():
            pod.begin("reaches", len(self.pods) - 1, PATIENCE)
        reached = [pod.answer() for pod in self.pods.values()]
        assert all(reached), reached
        took = time.monotonic() - began
        for pod in self.pods.values():
            until(lambda p=pod: {state for _, state in p.ask("peers")} == {"connected"}, "it looks for nobody")  # type: ignore[misc]
        return took

    def wait_told(self, key: str, value: int) -> float:
        """Write in one pod, flush, and see that all have it; how long that took."""
        began = time.monotonic()
        writer = next(iter(self.pods.values()))
        assert writer.ask("set_and_flush", key, value, PATIENCE)
        took = time.monotonic() - began
        assert [pod.ask("peek", key) for pod in self.pods.values()] == [value] * len(self.pods)
        return took

    def has_links(self, least: int, most: int) -> bool:
        return all(least <= pod.ask("links") <= most for pod in self.pods.values())

    def complaints(self) -> list[str]:
        """What pods have logged of addresses. That a pod which was just being greeted has ended is none."""
        lines = [line for pod in self.pods.values() for line in pod.ask("logged")]
        return [line for line in lines if "cannot reach" in line or "myself" in line]

    def close(self) -> None:
        for pod in self.pods.values():
            pod.kill()


def said(what: str, seconds: float) -> None:
    print(f"{what}: {seconds:.2f} s")  # noqa: T201


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.close()


def test_a_service_is_scaled_to_twelve_and_back_to_five(service: Service) -> None:
    for number, count in enumerate((3, 12, 5)):
        service.scale(count)
        said(f"scaled to {count}, until each reaches all", service.wait_whole())
        said(f"a write and a flush everywhere of {count}", service.wait_told("key", number))
        until(lambda c=count: service.has_links(*LINKS[c]), "each has as many links as it needs")  # type: ignore[misc]
    assert service.complaints() == []


def flushed(directory: Path) -> dict[str, list[tuple[float, int]]]:
    """Of each key when which number was everywhere, in order."""
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for path in directory.glob("*.writes"):
        for line in path.read_text().splitlines():
            key, number, at = json.loads(line)
            found[key].append((at, number))
    return found


def staleness(directory: Path) -> float:
    """For how long at most anybody read what was older than a flushed write."""
    writes, worst = flushed(directory), 0.0
    for path in directory.glob("*.reads"):
        for line in path.read_text().splitlines():
            key, value, last_read = json.loads(line)
            newer = next((at for at, number in writes[key] if number > value), last_read)
            worst = max(worst, last_read - newer)
    return worst


@pytest.mark.parametrize("kill", [False, True], ids=["in order", "killed"])
@pytest.mark.parametrize("keeps_address", [False, True], ids=["new addresses", "the same addresses"])
def test_a_rolling_restart_under_writes_loses_nothing(service: Service, kill: bool, keeps_address: bool) -> None:
    """As a Deployment does it, a new one first; or a StatefulSet, the old one first, and at its address."""
    service.scale(4)
    service.wait_whole()
    for pod in service.pods.values():
        pod.ask("begin_work")
    took = []
    time.sleep(0.5)
    for host in list(service.pods):
        began = time.monotonic()
        if keeps_address:
            service.end(host, kill)
            new = service.start(host)
            service.publish()
        else:
            new = service.start()
            service.publish()
        assert service.pods[new].ask("reaches", len(service.pods) - 1, PATIENCE)
        took.append(time.monotonic() - began)
        service.pods[new].ask("begin_work")
        if not keeps_address:
            service.end(host, kill)
        time.sleep(0.5)
    for pod in service.pods.values():
        pod.begin("end_work")
    for pod in service.pods.values():
        pod.answer()
    service.wait_whole()
    service.wait_told("key", 1)
    held = [pod.ask("held") for pod in service.pods.values()]
    assert all(each == held[0] for each in held)
    writes = flushed(service.directory)
    assert len(writes) == 8 * 10
    assert {key: held[0].get(key) for key, (*_, last) in writes.items() if held[0].get(key, 0) < last[1]} == {}
    worst = staleness(service.directory)
    said("a new pod until it reaches all, at most", max(took))
    said(f"{sum(map(len, writes.values()))} flushed writes; something older was read for at most", worst)
    assert worst <= STALE_SECONDS


def said_of_dns(pod: RemoteObject) -> list[str]:
    return [line.partition(" ")[2] for line in pod.ask("logged") if "be asked for addresses" in line]


def test_while_dns_is_down_links_stay_and_who_restarts_is_found(service: Service) -> None:
    service.scale(3)
    service.wait_whole()
    service.wait_known()
    service.zone.publish(None)
    first, _, third = service.pods
    until(lambda: any("cannot be asked" in line for line in service.pods[first].ask("logged")), "it is noticed")
    service.wait_told("key", 1)

    service.pods.pop(third).kill()
    service.start(third)  # it finds nobody, and is found at its old address
    said("DNS down, restarted at its address, until all are linked", service.wait_whole())
    service.wait_told("key", 2)

    fourth = service.start()  # nobody knows of it
    assert not service.pods[fourth].ask("reaches", 1, 1.0)
    service.publish()
    said("DNS up again, until all are linked", service.wait_whole())
    service.wait_told("key", 3)
    until(lambda: said_of_dns(service.pods[first])[-1] == "can be asked for addresses again", "it asks")
    assert [line for line in said_of_dns(service.pods[first]) if "Temporary" in line] == [
        "cannot be asked for addresses, the last ones stay: Temporary failure in name resolution"
    ]
    assert service.complaints() == []


@pytest.fixture
def with_hosts(tmp_path: Path) -> tuple[str, ...]:
    """What is put before a command so that it has `hosts` in that directory for a hosts file."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    mount = 'mount --bind "$0" /etc/hosts && exec "$@"'
    prefix = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(hosts))
    try:
        run(*prefix, "true")
    except NamespaceError as error:
        pytest.skip(f"no hosts file of one's own: {error}")
    return prefix


def test_a_hosts_file_is_enough(cluster: Cluster, with_hosts: tuple[str, ...], tmp_path: Path) -> None:
    """Asked by the system's own resolver."""
    port, hosts = free_port(), [f"127.77.0.{number}" for number in range(2, 5)]
    for host in hosts:
        with (tmp_path / "hosts").open("a") as file:
            file.write(f"{host} {NAME}\n")
        node = cluster.add(
            prefix=with_hosts, local_address=[host, port], remote_address=[f"dns://{NAME}:{port}"]
        ).start()
        node.wait_started()
    for node in cluster.nodes:
        until(lambda n=node: len(n.connected()) == 2, "all are linked")  # type: ignore[misc]
    cluster.nodes[0].set("key", 1)
    cluster.wait_all_have("key", 1)
