"""Finalizers that act in the middle of something: where the garbage collector runs, foreign code does."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def collecting_at_once(act: Callable[[], object], after: int = 1) -> Iterator[None]:
    """The first object made inside that the garbage collector knows makes it run, and with it a finalizer that acts.

    Or one `after` so many.
    """

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            act()

    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        Garbage()
        gc.set_threshold(after, 1, 1)
        gc.enable()
        yield
    finally:
        gc.enable()
        gc.set_threshold(*before)
        gc.collect()
