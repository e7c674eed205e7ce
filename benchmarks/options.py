"""The options of a measurement, read alike by all of them: what is wrong with a command is said in one line.

This file must not know what is measured.
"""

import argparse
from collections.abc import Callable
from typing import NoReturn


class Options(argparse.ArgumentParser):
    """The options of `python -m benchmarks NAME`."""

    def __init__(self, name: str, description: str | None, effort: bool = True) -> None:
        super().__init__(prog=f"python -m benchmarks {name}", description=description)
        if effort:
            self.add_argument("--quick", action="store_true", help="see that it works; the figures mean little")
            self.add_argument("--json", action="store_true", help="print JSON instead of tables")

    def error(self, message: str) -> NoReturn:
        """End with 2."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def at_least(least: int) -> Callable[[str], int]:
    """A reader of whole numbers, for argparse."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        return number

    return read
