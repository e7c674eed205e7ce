"""What stands for the module `cython` where the rules run as Python: decorators that do nothing.

The compiler reads them as orders: no collector for objects that can be in no circle, a stock of freed ones for those
that come and go by the thousand. Types are in the `.pxd` files.
"""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def cclass(kind: T) -> T:
    """Have the fields that the `.pxd` file says."""
    return kind


no_gc = final = cclass


def freelist(_: int) -> Callable[[T], T]:
    """Keep so many for the next ones."""
    return cclass


compiled = False
