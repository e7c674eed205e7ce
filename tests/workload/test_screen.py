"""What stands at the end of a terminal, as a terminal would show it."""

import io
import os
import re

from workload.output import Output
from workload.screen import Screen


class Terminal(io.StringIO):
    """Shows what was written to it: knows the two commands that are used."""

    def shown(self):
        rows, row = [""], 0
        for command, text in re.findall(r"(\x1b\[\d*[AJ])|([^\x1b]+)", self.getvalue()):
            if command.endswith("A"):
                row -= int(command[2:-1])
            elif command:
                rows[row:] = [""]
            else:
                for part in re.split(r"(\n|\r)", text):
                    if part == "\n":
                        row += 1
                        rows[row:] = rows[row:] or [""]
                    elif part != "\r":
                        rows[row] += part
        return rows[:-1]


def screen(terminal, columns=80, rows=24):
    return Screen(Output(terminal), lambda: os.terminal_size((columns, rows)))


def test_what_is_below_stays_below_the_lines():
    terminal = Terminal()
    watched = screen(terminal)
    watched.write_line("first")
    watched.refresh(["1 so far"])
    assert terminal.shown() == ["first", "1 so far"]
    watched.write_line("second")
    watched.refresh(["2", "so far"])
    assert terminal.shown() == ["first", "second", "2", "so far"]


def test_in_the_end_all_lines_are_there_and_nothing_else():
    terminal = Terminal()
    watched = screen(terminal)
    for number in range(100):
        watched.write_line(str(number))
        if number % 7 == 0:
            watched.refresh([f"{number} so far", "and more"])
    watched.clear()
    assert terminal.shown() == [str(number) for number in range(100)]


def test_what_is_below_is_no_wider_and_no_higher_than_the_terminal():
    terminal = Terminal()
    screen(terminal, columns=5, rows=6).refresh(["123456789"] * 10)
    assert terminal.shown() == ["1234"] * 2


def test_where_nobody_watches_lines_come_at_once_and_nothing_else_does():
    stream = io.StringIO()
    unwatched = Screen(Output(stream))
    unwatched.write_line("a")
    assert stream.getvalue() == "a\n"
    unwatched.refresh(["so far"])
    unwatched.clear()
    assert stream.getvalue() == "a\n"


def test_lines_do_not_wait_for_ever():
    terminal = Terminal()
    watched = screen(terminal)
    for number in range(10_000):
        watched.write_line(str(number))
    assert len(terminal.shown()) == 10_000
