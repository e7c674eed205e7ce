"""Three regions in a ring. One link is cut, then another one, and both are healed, while all of them go on.

Between Montreal and each of its neighbours stands a relay, which is the cable that is cut.
"""

import contextlib
import logging
import socket
import threading
import time

from lru_cache import LRUCacheDistributed


class Relay:
    """Passes bytes on to an address, until it is cut."""

    def __init__(self, target):
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends = []
        self._whole = True
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self._whole = False
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def heal(self):
        self._whole = True

    def _accept(self):
        while True:
            near, _ = self._listener.accept()
            if not self._whole:
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._ends += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


def show(what, caches):
    print(f"{what:<46}", ", ".join(f"{cache.region}: {cache.peek('news')}" for cache in caches))


def wait_until(happened):
    for _ in range(1_500):
        if happened():
            return
        time.sleep(0.01)
    raise TimeoutError


logging.getLogger("lru_cache").setLevel(logging.ERROR)  # that links break is what is shown here
here = ("127.0.0.1", 0)
with contextlib.ExitStack() as stack:

    def open_cache(region, **addresses):
        return stack.enter_context(LRUCacheDistributed(connection_timeout=1000, region=region, **addresses))

    lisbon = open_cache("lisbon", local_address=here)
    sydney = open_cache("sydney", local_address=here, remote_address=lisbon.local_address)
    cable_to_lisbon, cable_to_sydney = Relay(lisbon.local_address), Relay(sydney.local_address)
    montreal = open_cache("montreal", remote_address=[cable_to_lisbon.address, cable_to_sydney.address])
    everyone = [lisbon, sydney, montreal]
    assert all(cache.wait_connected(2, timeout=10) for cache in everyone)

    sydney.set("news", "a ring")
    wait_until(lambda: all(cache.peek("news") == "a ring" for cache in everyone))
    show("sydney writes, and all read it", everyone)

    cable_to_sydney.cut()
    wait_until(lambda: len(sydney.peers()) == 1)
    sydney.set("news", "a detour")
    wait_until(lambda: montreal.peek("news") == "a detour")
    show("one link is cut: news goes the other way round", everyone)

    cable_to_lisbon.cut()
    wait_until(lambda: len(lisbon.peers()) == 1)
    montreal.set("news", "on my own")
    time.sleep(0.01)  # what is written within one millisecond, or by clocks that differ by more, has no sure order
    sydney.set("news", "the newest")
    wait_until(lambda: lisbon.peek("news") == "the newest")
    show("both are cut: each part goes on by itself", everyone)

    cable_to_sydney.heal()
    cable_to_lisbon.heal()
    wait_until(lambda: all(cache.peek("news") == "the newest" for cache in everyone))
    show("both are healed: the newest write wins", everyone)
