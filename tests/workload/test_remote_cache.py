"""The imitated distributed cache keeps values, counts its calls, and waits without a lock."""

import threading

from workload.remote_cache import RemoteCache


def test_a_key_that_was_never_set_is_the_default():
    assert RemoteCache[str]().get("key0", "nothing") == "nothing"


def test_what_was_set_is_read():
    cache = RemoteCache[str]()
    cache.set("key0", "value0")
    assert cache.get("key0", None) == "value0"


def test_none_is_a_value_and_not_an_absence():
    cache = RemoteCache[None]()
    cache.set("key0", None)
    assert cache.get("key0", "nothing") is None


def test_every_call_counts():
    cache = RemoteCache[str]()
    cache.get("key0", None)
    cache.set("key0", "value0")
    cache.get("key0", None)
    assert cache.calls == 3


def test_every_call_takes_the_latency():
    slept = []
    cache = RemoteCache[str](latency_seconds=0.005, sleep=slept.append)
    cache.get("key0", None)
    cache.set("key0", "value0")
    assert slept == [0.005, 0.005]


def test_two_threads_wait_for_their_calls_side_by_side():
    """Each waits until the other is waiting too, which a lock around the latency would never allow."""
    both = threading.Barrier(2)
    cache = RemoteCache[str](sleep=lambda seconds: both.wait(timeout=30))
    reader = threading.Thread(target=cache.get, args=("key0", None))
    reader.start()
    cache.set("key0", "value0")
    reader.join()
    assert cache.calls == 2


def test_its_repr_tells_size_and_calls():
    cache = RemoteCache[str]()
    cache.set("key0", "value0")
    assert repr(cache) == "<RemoteCache of 1, calls=1>"
