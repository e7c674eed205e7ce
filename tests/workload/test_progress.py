"""Progress is for people: on a terminal, and gone in the end."""

import io

from workload.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_a_terminal_sees_how_far_it_is():
    terminal = Terminal()
    Progress(terminal, 1500).show("serving", 1200)
    assert terminal.getvalue() == "\rserving: 1,200 of 1,500 requests"


def test_the_line_is_rewritten_in_place():
    terminal = Terminal()
    progress = Progress(terminal, 10)
    progress.show("a long label", 1)
    progress.show("short", 2)
    first, second = terminal.getvalue().split("\r")[1:]
    assert len(second) == len(first)
    assert second.rstrip() == "short: 2 of 10 requests"


def test_clearing_leaves_an_empty_line():
    terminal = Terminal()
    progress = Progress(terminal, 10)
    progress.show("label", 1)
    progress.clear()
    assert terminal.getvalue().endswith("\r" + " " * len("label: 1 of 10 requests") + "\r")


def test_clearing_what_was_never_shown_writes_nothing():
    terminal = Terminal()
    Progress(terminal, 10).clear()
    assert terminal.getvalue() == ""


def test_what_is_no_terminal_gets_nothing():
    file = io.StringIO()
    progress = Progress(file, 10)
    progress.show("label", 1)
    progress.clear()
    assert file.getvalue() == ""


def test_no_stream_at_all_is_fine():
    Progress(None, 10).show("label", 1)
