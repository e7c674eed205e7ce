"""A stop is seen by whoever looks, and ends every sleep."""

import threading

import pytest

from workload.stop import Stop, Stopped


def test_it_starts_unset():
    assert not Stop().is_set()


def test_once_set_it_is_set():
    stop = Stop()
    stop.set()
    assert stop.is_set()


def test_a_sleep_without_a_stop_just_ends():
    Stop().sleep(0)


def test_a_sleep_after_the_stop_is_refused():
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        stop.sleep(1_000_000)


def test_a_sleep_is_cut_short_by_the_stop():
    stop = Stop()
    setter = threading.Thread(target=stop.set)
    setter.start()
    with pytest.raises(Stopped):
        stop.sleep(1_000_000)
    setter.join()
