"""Two regions with a Redis each, joined by gateways: cut, and healed, while you watch.

Needs `pip install '.[redis]'` and the program redis-server, which it starts twice. Here all nodes are in one process,
to be seen at once. In your services each has its own; `engine=` is all that most of them are given, and one or two of
each region are gateways.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

from lru_cache import LRUCacheDistributed


def start_redis(stack):
    """A Redis on a free port of this machine, that keeps nothing."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--loglevel", "warning"],
        stdout=subprocess.DEVNULL,
    )
    stack.callback(server.wait)
    stack.callback(server.kill)
    return server, f"redis://127.0.0.1:{port}/0?stream=users"


def node(stack, **options):
    return stack.enter_context(LRUCacheDistributed(**options))


def wait_for(value, *caches):
    """Until all of them have it; only to show it. True if they do."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if all(cache.get("greeting") == value for cache in caches):
            return True
        time.sleep(0.01)
    return False


def show(what):
    row = ", ".join(f"{name}: {cache.get('greeting')}" for name, cache in everybody.items())
    print(f"{what:<42}{row}", flush=True)


if shutil.which("redis-server") is None:
    sys.exit("redis-server is not on the PATH: apt-get install redis-server")

with ExitStack() as stack:
    _, sydney = start_redis(stack)
    montreal_redis, montreal = start_redis(stack)
    gateway = node(stack, engine=sydney, local_address=("127.0.0.1", 0), region="sydney")
    other_gateway = node(stack, engine=montreal, remote_address=gateway.local_address, region="montreal")
    everybody = {
        "sydney-1": node(stack, engine=sydney, region="sydney"),
        "sydney-2": node(stack, engine=sydney, region="sydney"),
        "montreal-1": node(stack, engine=montreal, region="montreal"),
        "montreal-2": node(stack, engine=montreal, region="montreal"),
    }
    here, there = everybody["sydney-1"], everybody["montreal-1"]
    for cache in everybody.values():
        assert cache.wait_connected(timeout=10)  # with the log of its region
    for cache in (gateway, other_gateway):
        assert cache.wait_connected(2, timeout=10)  # and with the other gateway

    here.set("greeting", "hello")
    assert wait_for("hello", *everybody.values())
    show("sydney-1 has written")

    other_gateway.close()
    here.set("greeting", "good day")
    assert wait_for("good day", here, everybody["sydney-2"])
    show("montreal's gateway is gone")

    other_gateway = node(stack, engine=montreal, remote_address=gateway.local_address, region="montreal")
    assert wait_for("good day", *everybody.values())
    show("it has another one")

    montreal_redis.send_signal(signal.SIGSTOP)
    there.set("greeting", "bonjour")
    show("its Redis stands still, nobody waits")

    montreal_redis.send_signal(signal.SIGCONT)
    assert wait_for("bonjour", *everybody.values())
    show("its Redis goes on")
