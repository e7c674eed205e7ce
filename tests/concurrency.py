"""Threads in tests: started, stopped in the middle, waited for. No test sleeps and hopes."""

import sys
import threading
from collections.abc import Callable
from linecache import getline
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lru_cache import LRUCacheDistributed

PATIENCE = 10.0  # seconds after which something that should have happened has not; never reached when all is well


class Started:
    """A function running in a thread of its own; `result()` waits for it and returns, or raises, what it did."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self._outcome: Any = None
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(function, args, kwargs), daemon=True)
        self.thread.start()

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self._outcome = function(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised again by who asks for the result
            self._error = error

    def result(self) -> Any:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the thread hangs"
        if self._error is not None:
            raise self._error
        return self._outcome


class CountingLock:
    """In the place of a cache's lock: it counts how often that was taken from outside."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self.taken = 0

    def __enter__(self) -> Any:
        self.taken += not self._lock._is_owned()
        return self._lock.__enter__()

    def __exit__(self, *error: object) -> None:
        self._lock.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)


class Gate:
    """Stops a loader in the middle: the test waits until it has `entered`, acts, and lets it go on."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()

    def pass_through(self) -> None:
        self._entered.set()
        assert self._opened.wait(PATIENCE), "nobody opened the gate"

    def wait_entered(self) -> None:
        assert self._entered.wait(PATIENCE), "nobody came to the gate"

    def is_entered(self) -> bool:
        return self._entered.is_set()

    def open(self) -> None:
        self._opened.set()


def eventually(condition: Callable[[], Any]) -> None:
    """Wait for something that another thread is about to do and tells nobody of."""
    pause = threading.Event()
    for _ in range(int(PATIENCE * 1000)):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("it never came true")


def link(*caches: "LRUCacheDistributed[Any, Any]", count: int = 1) -> None:
    """Wait until each of these has so many neighbours."""
    for cache in caches:
        assert cache.wait_connected(count, timeout=PATIENCE), f"{cache} has {cache.peers()}"


def settle(*caches: "LRUCacheDistributed[Any, Any]") -> None:
    """Wait until the neighbours of each of these have what it has written."""
    for cache in caches:
        assert cache.flush(timeout=PATIENCE), f"{cache} has {cache.peers()}"


def interrupted_after(lines: int, act: Callable[[], Any], where: str) -> bool:
    """Raise KeyboardInterrupt at the so-and-so-manieth line of files with such a path; False if there are not so many.

    Not at a `with`, to whose line the tracer returns before its exit, nor at a `try`: there the interpreter lets no
    signal in.
    """
    left = lines

    def tracer(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if where not in frame.f_code.co_filename:
            return tracer
        if event == "line" and not getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith(
            ("with ", "try:")
        ):
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return left <= 0
