"""Lines never mix, and a reader that goes away is no accident."""

import errno
import io
import os
import sys
import threading

import pytest

from workload.output import Output, OutputClosedError, OutputError


class Recording(io.StringIO):
    """A stream that remembers each call to write."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def write(self, text):
        self.calls.append(text)
        return super().write(text)


class Failing(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


def test_a_line_is_one_call():
    stream = Recording()
    Output(stream).write_line("a line")
    assert stream.calls == ["a line\n"]


def test_a_line_arrives_at_once():
    read, write = os.pipe()
    with os.fdopen(read) as reader, os.fdopen(write, "w") as writer:
        Output(writer).write_line("a line")
        assert reader.readline() == "a line\n"


class Dawdling(io.StringIO):
    """A stream that takes one character at a time, and leaves other threads time to interfere."""

    def write(self, text):
        for character in text:
            super().write(character)


@pytest.fixture
def restless_threads():
    """Threads change after a microsecond instead of five thousand."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_lines_of_many_threads_do_not_mix(restless_threads):
    stream = Dawdling()
    output = Output(stream)
    threads = [
        threading.Thread(target=lambda n=n: [output.write_line(f"{n}" * 100) for _ in range(100)]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert sorted(lines) == sorted(f"{n}" * 100 for n in range(8) for _ in range(100))


def test_a_reader_that_went_away_is_told_apart():
    with pytest.raises(OutputClosedError):
        Output(Failing(BrokenPipeError())).write_line("a line")


def test_a_full_disk_is_told_in_words():
    stream = Failing(OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OutputError, match=r"^cannot write the output: No space left on device$"):
        Output(stream).write_line("a line")


def test_an_output_that_was_never_open_is_told_in_words():
    with pytest.raises(OutputError, match="closed"):
        Output(None).write_line("a line")


def test_what_an_abandoned_output_has_buffered_goes_nowhere():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as writer:  # the end of which would fail if it were still the broken pipe
        writer.write("buffered")
        Output(writer).abandon()


def test_abandoning_an_output_that_was_never_open_is_harmless():
    Output(None).abandon()
