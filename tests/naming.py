"""Names of parametrized tests that are the same in every process, since a run of several compares them."""

import re


def named(value: object) -> str:
    """A value as it is written, without where in memory it is."""
    return re.sub(r" at 0x[0-9a-f]+| id='[0-9]+'", "", ascii(value))
