"""Opens and closes caches over and over, and prints what the process holds after the first rounds and after the last.

`python -m tests.integration.leaks ROUNDS`. It must not know how much of it is too much.
"""

import gc
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

from lru_cache.lru_cache_distributed import LRUCacheDistributed

FIRST_ROUNDS = 100  # until caches of the interpreter's own are filled
LINKED_EVERY = 5  # rounds; in the others, the client's server is not there


def holdings() -> dict[str, int]:
    gc.collect()
    return {
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "threads": threading.active_count(),
        "tasks": len(os.listdir("/proc/self/task")),  # noqa: PTH208
        "bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    }


def work(number: int, directory: str) -> None:
    path = f"{directory}/socket"
    local = path if number % 2 else ("127.0.0.1", 0)
    with LRUCacheDistributed(local_address=local, connection_timeout=2000) as server:  # type: ignore[var-annotated]
        server.set("key", "value" * 100)
        address = server.local_address if number % LINKED_EVERY == 0 else f"{directory}/nobody"
        with LRUCacheDistributed(remote_address=address, connection_timeout=2000) as client:  # type: ignore[var-annotated]
            if number % LINKED_EVERY == 0:
                assert client.wait_connected(timeout=20)
            client.set("key", number)
            assert client.get("key") == number
    assert not Path(path).exists()


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="lru") as directory:
        for number in range(FIRST_ROUNDS):
            work(number, directory)
        first = holdings()
        for number in range(rounds - FIRST_ROUNDS):
            work(number, directory)
        print(json.dumps({"first": first, "last": holdings(), "left": os.listdir(directory)}))  # noqa: PTH208, T201


if __name__ == "__main__":
    main(int(sys.argv[1]))
