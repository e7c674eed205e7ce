"""The logger of this library, imported with the first line that it writes: `logging` costs 6 ms of start-up."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


def logger() -> "logging.Logger":
    """Return the logger that every part of the library writes to."""
    import logging

    return logging.getLogger("lru_cache")
