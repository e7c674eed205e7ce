"""A star: a hub and three worker processes of one machine, over a Unix socket that only this user can open.

The workers know the hub alone, and hear of each other through it.
"""

import multiprocessing
import tempfile
import time
from pathlib import Path

from lru_cache import LRUCacheDistributed

WORKERS = 3


def work(socket_path, number):
    with LRUCacheDistributed(remote_address=socket_path, region=f"worker {number}") as cache:
        assert cache.wait_connected(timeout=20)
        factor = wait_for(cache, "factor")
        cache.set(("result", number), factor * number)
        results = [wait_for(cache, ("result", other)) for other in range(1, WORKERS + 1)]
        # One write, with its end: else lines of two processes may mix where output is not buffered.
        print(f"worker {number} reads the factor {factor}, and the results {results}\n", end="", flush=True)
        cache.set(("done", number), True)
        assert cache.flush()


def wait_for(cache, key):
    """Wait for what another process sets. A service would go on, and load what it does not have yet."""
    for _ in range(2_000):
        if key in cache:
            return cache[key]
        time.sleep(0.01)
    raise TimeoutError(key)


def main():
    with tempfile.TemporaryDirectory() as folder:
        socket_path = str(Path(folder) / "cache.sock")
        with LRUCacheDistributed(local_address=socket_path, region="hub") as hub:
            hub.set("factor", 10)  # before any worker is there: who comes later is told what there is
            spawning = multiprocessing.get_context("spawn")
            workers = [spawning.Process(target=work, args=(socket_path, n), daemon=True) for n in range(1, WORKERS + 1)]
            for worker in workers:
                worker.start()
            for number in range(1, WORKERS + 1):
                wait_for(hub, ("done", number))
            print("the hub has", sorted(key for key in hub if key[0] == "result"))
            for worker in workers:
                worker.join()


if __name__ == "__main__":
    main()
