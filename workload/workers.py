"""The workers: threads that make their requests one after another, and time each.

Must not know what serves the requests, what an answer is used for, or why a run is stopped.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from workload.sources import Get
from workload.stop import Stop, Stopped

_TICK_SECONDS = 0.1  # how often the one who waits looks up: often enough for progress, and to see a failure
_GRACE_SECONDS = 10.0  # twice what the database waits for a file that another process holds


@dataclass(frozen=True)
class Answer:
    """One request, served."""

    thread: int
    key: str
    value: str | None
    seconds: float
    cached: bool  # the cache in front held it when it was asked for


class Workers:
    """One thread for each sequence of keys, all let go at one moment; the first failure stops the others.

    `holds` says whether the cache in front has a key; it is asked before each request and not measured.
    `on_answer` is called by the threads, several at once. Call `run` and then, whatever happens, `dismiss`.
    """

    def __init__(
        self,
        sequences: Sequence[Iterable[str]],
        *,
        get: Get,
        holds: Callable[[str], bool],
        on_answer: Callable[[Answer], None],
        stop: Stop,
    ) -> None:
        self._get = get
        self._holds = holds
        self._on_answer = on_answer
        self._stop = stop
        self._go = threading.Event()
        self._errors: list[Exception] = []  # only ever appended to, which needs no lock
        self._threads = [
            # Daemons: one that does not come back from a call must not keep the process from ending.
            threading.Thread(target=self._run, args=(number, keys), name=f"worker-{number}", daemon=True)
            for number, keys in enumerate(sequences, start=1)
        ]
        # Waited for in place of the threads: before Python 3.13, a join that Ctrl-C interrupts takes them for ended.
        self._ended = [threading.Event() for _ in self._threads]

    @property
    def error(self) -> Exception | None:
        """The first exception that a request, or starting a thread, ended in."""
        return self._errors[0] if self._errors else None

    def run(self, on_tick: Callable[[], None] = lambda: None) -> None:
        """Start the threads and wait until all are done or the run is stopped, with a tick now and then."""
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:  # the machine has no more threads
            self._fail(error)
        self._go.set()
        for ended in self._ended:
            while not self._stop.is_set() and not ended.is_set():
                ended.wait(_TICK_SECONDS)
                on_tick()

    def dismiss(self, grace_seconds: float = _GRACE_SECONDS) -> bool:
        """Stop whoever still works, wait for them, and tell whether all came back in time."""
        self._stop.set()
        self._go.set()
        deadline = time.monotonic() + grace_seconds
        return all(
            ended.wait(max(0.0, deadline - time.monotonic()))
            for thread, ended in zip(self._threads, self._ended, strict=True)
            if thread.ident is not None
        )

    def _run(self, number: int, keys: Iterable[str]) -> None:
        try:
            self._work(number, keys)
        finally:
            self._ended[number - 1].set()

    def _work(self, number: int, keys: Iterable[str]) -> None:
        self._go.wait()
        try:
            for key in keys:
                if self._stop.is_set():
                    return
                self._on_answer(self._served(number, key))
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to whoever called run()
            if not self._stop.is_set():  # what fails after that fails because of it
                self._fail(error)

    def _served(self, number: int, key: str) -> Answer:
        cached = self._holds(key)
        began = time.perf_counter()
        value = self._get(key)
        return Answer(number, key, value, time.perf_counter() - began, cached)

    def _fail(self, error: Exception) -> None:
        self._errors.append(error)
        self._stop.set()
