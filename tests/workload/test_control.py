"""Objects go in at one end of a channel and come out at the other, and each end notices when the other is gone."""

import socket

import pytest

from workload.control import Channel


@pytest.fixture
def ends():
    both = [Channel(sock) for sock in socket.socketpair()]
    yield both
    for end in both:
        end.close()


def test_objects_come_out_in_order(ends):
    here, there = ends
    here.send(a=1)
    here.send(b=["x", None])
    assert [there.receive(), there.receive()] == [{"a": 1}, {"b": ["x", None]}]


def test_both_ends_may_send(ends):
    here, there = ends
    there.send(a=1)
    assert here.receive() == {"a": 1}


def test_an_object_larger_than_the_socket_takes_at_once_is_whole(ends, start):
    here, there = ends
    sent = start(here.send, a="x" * 1_000_000)
    assert there.receive() == {"a": "x" * 1_000_000}
    assert sent.result() is True


def test_what_was_sent_before_the_end_is_received_before_it(ends):
    here, there = ends
    here.send(a=1)
    here.close()
    assert [there.receive(), there.receive()] == [{"a": 1}, None]


def test_sending_to_an_end_that_is_gone_is_false(ends):
    here, there = ends
    there.close()
    assert here.send(a=1) is False
