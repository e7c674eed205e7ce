"""A node does what the process that started it says, and does not outlive it."""

import socket
import threading

import pytest

from workload import parent as parent_module
from workload.control import Channel
from workload.parent import Parent


class Process:
    """What would happen to the process."""

    def __init__(self):
        self.interrupted = threading.Event()
        self.ended = threading.Event()


@pytest.fixture
def process():
    return Process()


@pytest.fixture
def parent(process, monkeypatch):
    monkeypatch.setattr(parent_module, "GRACE_SECONDS", 0)
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    channel.told = Parent(Channel(theirs), process.interrupted.set, process.ended.set)
    yield channel
    channel.close()
    theirs.close()


def test_messages_come_in_order(parent):
    parent.send(a=1)
    parent.send(b=2)
    assert [parent.told.next(), parent.told.next()] == [{"a": 1}, {"b": 2}]


def test_stop_interrupts(parent, process):
    parent.send(stop=True)
    assert process.interrupted.wait(10)
    assert not process.ended.is_set()


def test_the_end_of_the_parent_interrupts_and_then_ends(parent, process):
    parent.close()
    assert process.interrupted.wait(10)
    assert process.ended.wait(10)


def test_nobody_waits_for_a_parent_that_is_gone(parent):
    parent.close()
    parent.told.release()


def test_a_node_that_is_released_goes_its_way(parent, process):
    parent.send(release=True)
    parent.told.release()
    assert not process.interrupted.is_set()
