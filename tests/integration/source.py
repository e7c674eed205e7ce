"""The database behind the caches of a cluster: numbered records in a file that all processes share.

A record's value is a number that only rises. It must not know caches. Reading is one load of eight aligned bytes, so
that nobody sees half a number; raising is done under a lock of the file.
"""

import fcntl
import mmap
import os
from pathlib import Path

NUMBER_BYTES = 8


class Source:
    """Records 0 to `records` - 1, all 0 when the file is new."""

    def __init__(self, path: Path | str, records: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self._file, records * NUMBER_BYTES)
        self._map = mmap.mmap(self._file, records * NUMBER_BYTES)
        self._numbers = memoryview(self._map).cast("Q")

    def read(self, record: int) -> int:
        return self._numbers[record]

    def raise_number(self, record: int) -> int:
        """Write the next number, and return it. Also threads of one process exclude each other."""
        lock = os.open(f"/proc/self/fd/{self._file}", os.O_RDWR)  # flock is held by the opening, so open it again
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._numbers[record] += 1
            return self._numbers[record]
        finally:
            os.close(lock)

    def close(self) -> None:
        self._numbers.release()
        self._map.close()
        os.close(self._file)
