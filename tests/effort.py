"""How much is tried where more is better: `pytest` tries enough to see that all is well, `pytest --long` a lot more."""

is_long = False  # set by conftest.py before any test module is imported


def some_or_many(some: int, many: int) -> int:
    """So many seeds, examples or rounds."""
    return many if is_long else some
