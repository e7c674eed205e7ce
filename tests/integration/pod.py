"""One pod of a service, as an object for a process of its own: a cache that finds the others by a name.

Names are not asked of the system: a file stands for the DNS server, which every pod reads anew for each question. It
must not know what is tested. Times are those of the system's monotonic clock, which all processes share.
"""

import json
import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from harness.remote_objects import Held
from lru_cache import LRUCacheDistributed
from lru_cache.network import discovery

NAME = "cache-headless"
KEYS = 10  # of each writer
FLUSH_SECONDS = 5.0
READ_PAUSE_SECONDS = 0.005
_resolve = socket.getaddrinfo


class Zone:
    """What answers for the name: a list of hosts, or None while nobody does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.asked = 0

    def publish(self, hosts: list[str] | None) -> None:
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(hosts))
        draft.replace(self._path)

    def answer(self, host: Any, port: Any, *more: Any, **options: Any) -> Any:
        """In the place of `socket.getaddrinfo`."""
        if host != NAME:
            return _resolve(host, port, *more, **options)
        hosts = json.loads(self._path.read_text())
        self.asked += 1
        if hosts is None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if not hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]


class Pod(Held):
    """It listens at its own host, at the port that all have."""

    def __init__(self, directory: str, host: str, port: int, ask_seconds: float) -> None:
        logging.disable(logging.NOTSET)
        self.lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: self.lines.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("lru_cache").addHandler(handler)
        logging.getLogger("lru_cache").setLevel(logging.INFO)
        discovery.ASK_SECONDS = ask_seconds
        self._zone = Zone(Path(directory) / "zone")
        socket.getaddrinfo = self._zone.answer  # type: ignore[assignment]
        self._directory = Path(directory)
        self._host = host
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.cache: LRUCacheDistributed[str, int] = LRUCacheDistributed(
            local_address=(host, port), remote_address=f"dns://{NAME}:{port}", region=host
        )

    def logged(self) -> list[str]:
        return self.lines

    def asked(self) -> int:
        """How often it has asked for the name."""
        return self._zone.asked

    def reaches(self, count: int, seconds: float) -> bool:
        """Whether there are so many others, over however many links, within that time."""
        return self.cache.wait_connected(count, seconds, everywhere=True)

    def peers(self) -> list[tuple[str, str]]:
        return [(peer.address, peer.state) for peer in self.cache.peers()]

    def links(self) -> int:
        return self.cache.stats().links

    def set_and_flush(self, key: str, value: int, seconds: float) -> bool:
        self.cache.set(key, value)
        return self.cache.flush(seconds, everywhere=True)

    def peek(self, key: str) -> int | None:
        return self.cache.peek(key)

    def held(self) -> dict[str, int]:
        return dict(self.cache.items())

    # -- under load --------------------------------------------------------------------------------------------------

    def begin_work(self) -> None:
        """Write keys of its own, and read all, from now on. What is done is written down."""
        for act in (self._write, self._read):
            self._threads.append(threading.Thread(target=act, daemon=True))
            self._threads[-1].start()

    def end_work(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(2 * FLUSH_SECONDS)

    def _write(self) -> None:
        """Numbers that rise; of each key, which number is everywhere since when."""
        number = 0
        with self._journal("writes") as journal:
            while not self._stopping.is_set():
                number += 1
                key = f"{self._host} {os.getpid()} {number % KEYS}"
                self.cache.set(key, number)
                if self.cache.flush(FLUSH_SECONDS, everywhere=True):
                    journal.write(json.dumps([key, number, time.monotonic()]) + "\n")
                    journal.flush()

    def _read(self) -> None:
        """All that is held, again and again: whatever is read is written down once, with the last time it was read."""
        with self._journal("reads") as journal:
            before: dict[str, tuple[int, float]] = {}
            while not self._stopping.wait(READ_PAUSE_SECONDS):
                for key in list(self.cache):
                    began = time.monotonic()
                    value = self.cache.peek(key)
                    known = before.get(key)
                    if value is None:
                        continue
                    if known is not None and known[0] != value:
                        journal.write(json.dumps([key, *known]) + "\n")
                        journal.flush()
                    before[key] = value, began
            for key, known in before.items():
                journal.write(json.dumps([key, *known]) + "\n")

    def _journal(self, kind: str) -> Any:
        return (self._directory / f"{self._host}-{os.getpid()}.{kind}").open("w")

    def close(self) -> None:
        """As a service does on SIGTERM."""
        self.end_work()
        self.cache.flush(FLUSH_SECONDS)
        self.cache.close()
