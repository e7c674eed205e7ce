"""Changes a value by a view, asks tasks of Celery for it after each change, and says how many had an old one."""

import json
import sys
import time
import urllib.request
from typing import Any

from project import price

MOST_CHANGES = 500


def change(url: str, text: str) -> None:
    """Again, where nobody serves yet, or where not all could be told."""
    for _ in range(600):
        try:
            urllib.request.urlopen(urllib.request.Request(url, text.encode(), method="PUT"), timeout=20).close()
        except OSError:  # noqa: PERF203
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


def main(url: str, wanted: int) -> None:
    """Until both processes of the worker have answered, and so many changes were made."""
    processes: set[int] = set()
    old = changes = 0
    while changes < wanted or (len(processes) < 2 and changes < MOST_CHANGES):
        changes += 1
        change(url, f"{changes} EUR")
        asked: list[Any] = [price.delay("tea") for _ in range(4)]
        for value, process in [each.get(timeout=60) for each in asked]:
            if process in processes:
                old += value != f"{changes} EUR"
            processes.add(process)
    sys.stdout.write(json.dumps([len(processes), old]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
