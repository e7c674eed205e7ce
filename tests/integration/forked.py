"""What a process does that forks while it uses a cache. It must not know what is expected.

`python -m tests.integration.forked SCENARIO ADDRESS` prints what it found as JSON. It is a program of its own, since
pytest's process has threads that are nobody's business here.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lru_cache import lru_cache_distributed
from lru_cache.lru_cache_distributed import LRUCacheDistributed

PATIENCE = 20.0
TIMEOUT_MS = 1500


def until(condition: Callable[[], Any]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def sockets() -> int:
    """How many sockets this process has."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
    return sum(os.readlink(link).startswith("socket:") for link in links if os.path.lexists(link))  # noqa: PTH115


def make(remote: Any, local: Any = None) -> Any:
    return LRUCacheDistributed(remote_address=remote, local_address=local, connection_timeout=TIMEOUT_MS)


def in_child(act: Callable[[], Any]) -> Any:
    """What `act` returns in a child that os.fork made; the child ends without a word to its parent's peers."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.write(writing, json.dumps(act()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with {status}"
    return json.loads(said)


# -- scenarios ---------------------------------------------------------------------------------------------------------


def child_of_a_client(address: Any) -> Any:
    """The child joins its parent's server, and what it writes reaches its parent."""
    cache = make(address)
    assert cache.wait_connected(timeout=PATIENCE)
    cache.set("before", 1)
    cache.flush(timeout=PATIENCE)
    parent_node = cache.node

    def act() -> Any:
        found = {"before": cache.get("before"), "node": cache.node, "connected": cache.wait_connected(timeout=PATIENCE)}
        cache.set("child", "was here")
        return found | {"flushed": cache.flush(timeout=PATIENCE)}

    child = in_child(act)
    heard = until(lambda: cache.peek("child") == "was here")
    cache.set("parent", "goes on")
    return child | {
        "parent_heard": heard,
        "parent_node": parent_node,
        "same_node": cache.node == parent_node,
        "parent_flushed": cache.flush(timeout=PATIENCE),
        "parent_links": len(cache.peers()),
    }


def run_workers(workers: list[Any], answers: Any, cache: Any, patience: float) -> tuple[list[Any], bool, list[int]]:
    """What each of them answers, whether this cache has what each has set, and how they end."""
    for worker in workers:
        worker.start()
    said = [answers.get(timeout=patience) for _ in workers]
    has_all = until(lambda: all(cache.peek(f"worker{number}") == number for number in range(len(workers))))
    cache.set("done", True)
    for worker in workers:
        worker.join(PATIENCE)
    return said, has_all, [worker.exitcode for worker in workers]


def child_of_a_server(address: Any) -> Any:
    """Pre-fork: the parent listens, its children join it, and share their writes."""
    cache = make(None, ("127.0.0.1", 0))
    cache.set("before", 1)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()

    def work(number: int) -> None:
        linked = cache.wait_connected(timeout=PATIENCE)
        cache.set(f"worker{number}", number)
        shared = until(lambda: all(cache.peek(f"worker{i}") == i for i in range(3)))
        answers.put([linked, shared, cache.peek("before"), cache.local_address is None])
        until(lambda: cache.peek("done"))

    workers = [context.Process(target=work, args=(i,)) for i in range(3)]
    said, has_all, exits = run_workers(workers, answers, cache, PATIENCE)
    return {"said": said, "parent_has_all": has_all, "exits": exits}


def fork_in_the_middle(address: Any) -> Any:
    """Threads read, write and load all the while; each of many children finds a whole cache, and may use it."""
    cache = make(address)
    assert cache.wait_connected(timeout=PATIENCE)
    stopped = threading.Event()

    def work(number: int) -> None:
        count = 0
        while not stopped.is_set():
            count += 1
            cache.set((number, count % 50), count)
            cache.get((number, -count % 60), load=list)
            cache.invalidate((number, count % 7))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()

    def act() -> Any:
        cache.set("mine", 1)
        answers = [cache.get("mine"), cache.get("loaded", load=lambda key: 2), len(cache) > 0]
        cache.invalidate("mine")
        cache.close()
        return [*answers, cache.get("mine"), [thread.name for thread in threading.enumerate()]]

    children = [in_child(act) for _ in range(40)]
    stopped.set()
    for thread in threads:
        thread.join(PATIENCE)
    cache.set("after", 1)
    return {"children": children, "flushed": cache.flush(timeout=PATIENCE), "links": len(cache.peers())}


def child_says_nothing(address: Any) -> Any:
    """A child that ends at once, or closes its cache, does not end its parent's link, nor its socket file."""
    path = address
    server = make(None, f"{path}.parent")
    client = make(f"{path}.parent")
    assert client.wait_connected(timeout=PATIENCE)
    before = [peer.node for peer in client.peers()]
    in_child(lambda: None)
    in_child(lambda: [client.close(), server.close()])
    client.set("key", 1)
    flushed = client.flush(timeout=PATIENCE)
    found = {
        "same_peers": [peer.node for peer in client.peers()] == before,
        "flushed": flushed,
        "heard": server.peek("key"),
        "file": Path(f"{path}.parent").exists(),
    }
    client.close()
    server.close()
    return found | {"file_after": Path(f"{path}.parent").exists()}


def child_of_a_closed_cache(address: Any) -> Any:
    """A closed cache stays closed in a child: no threads, no sockets, a local cache."""
    cache = make(address)
    assert cache.wait_connected(timeout=PATIENCE)
    cache.set("key", 1)
    cache.close()
    before = sockets()
    return in_child(lambda: [cache.get("key"), [thread.name for thread in threading.enumerate()], sockets() - before])


def load_in_flight(address: Any) -> Any:
    """A load that another thread had begun does not hang the child that asks for the same key."""
    cache = make(address)
    entered, let_go = threading.Event(), threading.Event()

    def slow(key: str) -> str:
        entered.set()
        let_go.wait(PATIENCE)
        return "parent"

    thread = threading.Thread(target=lambda: cache.get("key", load=slow))
    thread.start()
    entered.wait(PATIENCE)
    child = in_child(lambda: cache.get("key", load=lambda key: "child"))
    let_go.set()
    thread.join(PATIENCE)
    return {"child": child, "parent": cache.get("key")}


def grandchild(address: Any) -> Any:
    """A child's child joins the same server."""
    cache = make(address)
    assert cache.wait_connected(timeout=PATIENCE)

    def act() -> Any:
        def inner() -> Any:
            cache.wait_connected(timeout=PATIENCE)
            cache.set("grandchild", 1)
            return cache.flush(timeout=PATIENCE)

        return in_child(inner)

    return {"flushed": in_child(act), "heard": until(lambda: cache.peek("grandchild") == 1)}


# -- in a local cluster ------------------------------------------------------------------------------------------------


def member(where: Any) -> Any:
    return LRUCacheDistributed(
        local_cluster=where["path"],
        local_address=tuple(where["port"]) if where["port"] else None,
        connection_timeout=TIMEOUT_MS,
    )


def open_files() -> list[str]:
    """What this process has open."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
    return [os.readlink(link) for link in links if os.path.lexists(link)]  # noqa: PTH115


def of_the_network(files: list[str]) -> set[str]:
    return {file for file in files if file.startswith("socket:") or file.endswith(".lock")}


def child_of_a_leader(where: Any) -> Any:
    """The child has nothing of its parent's, and takes over when that closes its cache."""
    cache = member(where)
    assert until(lambda: cache.local_address == (tuple(where["port"]) if where["port"] else where["path"]))
    parents = of_the_network(open_files())
    assert parents
    parent = cache.node
    closing = threading.Thread(target=lambda: until(lambda: cache.peek("k") == "child") and cache.close())

    def act() -> Any:
        kept = sorted({file for file in parents & of_the_network(open_files()) if file.startswith("socket:")})
        joined = cache.wait_connected(timeout=PATIENCE) and [peer.node for peer in cache.peers()] == [parent]
        kept += sorted(parents & of_the_network(open_files()))  # it has looked at the lock by now
        address = cache.local_address
        cache.set("k", "child")
        until(lambda: cache.local_address == tuple(where["port"]))
        return {"kept": kept, "joined": joined, "address": address, "address_after_close": cache.local_address}

    closing.start()
    found = in_child(act)
    closing.join()
    return found | {"heard": cache.peek("k")}


def child_of_a_follower(where: Any) -> Any:
    cache = member(where)
    assert cache.wait_connected(timeout=PATIENCE)
    parents = of_the_network(open_files())

    def act() -> Any:
        kept = sorted(parents & {file for file in open_files() if file.startswith("socket:")})
        joined = cache.wait_connected(timeout=PATIENCE)
        cache.set("k", "child")
        cache.flush(timeout=PATIENCE)
        return {"kept": kept, "joined": joined, "peers": [peer.node for peer in cache.peers()]}

    found = in_child(act)
    until(lambda: cache.peek("k") == "child")
    return found | {"heard": cache.peek("k")}


def child_of_a_killed_leader(where: Any) -> Any:
    """The one that listens is killed while a child of its own lives."""
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        cache = member(where)
        until(lambda: cache.local_address is not None)
        cache.set("k", 1)
        if os.fork() == 0:
            cache.wait_connected(timeout=PATIENCE)
            os.kill(os.getppid(), signal.SIGKILL)
            leads = until(lambda: cache.local_address is not None)
            found = {"leads": leads, "kept": cache.peek("k"), "deposed": cache.local_address != where["path"]}
            os.write(writing, json.dumps(found).encode())
            os._exit(0)
        signal.pause()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(parent, 0)
    return json.loads(said)


def work_in_cluster(where: Any, number: int, answers: Any, cache: Any = None) -> None:
    cache = member(where) if cache is None else cache
    cache.set(f"worker{number}", number)
    answers.put(until(lambda: all(cache.peek(f"worker{i}") == i for i in range(4))))
    until(lambda: cache.peek("done"))


def children_of_each_kind(where: Any) -> Any:
    """Forked with a cache and without, and spawned."""
    cache = member(where)
    spawn, fork = multiprocessing.get_context("spawn"), multiprocessing.get_context("fork")
    answers = spawn.Queue()
    workers: list[Any] = [spawn.Process(target=work_in_cluster, args=(where, number, answers)) for number in range(2)]
    workers += [
        fork.Process(target=work_in_cluster, args=(where, 2, answers)),
        fork.Process(target=work_in_cluster, args=(where, 3, answers, cache)),
    ]
    said, heard, exits = run_workers(workers, answers, cache, 2 * PATIENCE)
    return {"said": said, "heard": heard, "exits": exits}


def forks_amid_takeovers(where: Any) -> Any:
    """Caches come and go, so that some are just taking the post, dialling or letting go of it when one forks."""
    stopped = threading.Event()

    def come_and_go() -> None:
        while not stopped.is_set():
            cache = member(where)
            cache.wait_connected(timeout=0.02)
            cache.close()

    threads = [threading.Thread(target=come_and_go) for _ in range(3)]
    for thread in threads:
        thread.start()
    kept = []
    for _ in range(20):

        def act() -> Any:
            for cache in list(lru_cache_distributed._open_caches.values()):
                cache.close()
            until(lambda: not of_the_network(open_files()))  # what is its own ends; what it has unknowingly stays
            return sorted(of_the_network(open_files()))

        kept.append(in_child(act))
        time.sleep(0.005)
    stopped.set()
    for thread in threads:
        thread.join(PATIENCE)
    last = member(where)
    return {"kept": kept, "leads_at_last": until(lambda: last.local_address is not None)}


SCENARIOS = {
    scenario.__name__: scenario
    for scenario in (
        child_of_a_client,
        child_of_a_server,
        fork_in_the_middle,
        child_says_nothing,
        child_of_a_closed_cache,
        load_in_flight,
        grandchild,
        child_of_a_leader,
        child_of_a_follower,
        child_of_a_killed_leader,
        children_of_each_kind,
        forks_amid_takeovers,
    )
}


if __name__ == "__main__":
    address = json.loads(sys.argv[2])
    found = SCENARIOS[sys.argv[1]](tuple(address) if isinstance(address, list) else address)
    print(json.dumps(found))  # noqa: T201
