"""Make the data: 10,000 version 4 UUIDs, each with a few made-up words. The same each time.

`python generate.py [FILE]` writes an SQLite database (default: pairs.db).
"""

import os
import random
import sqlite3
import string
import sys
import uuid
from contextlib import closing
from pathlib import Path

PAIRS = 10_000
EXAMPLE = ("8a35eb59-62b3-481c-8875-1f248df4c952", "lunmtp ftxemjfob pmo hwoya")
RANDOM_SEED = 20211024


def pairs(count: int = PAIRS) -> dict[str, str]:
    """Return so many pairs; the example is the first of them."""
    chance = random.Random(RANDOM_SEED)
    made = dict([EXAMPLE])
    while len(made) < count:
        made[str(uuid.UUID(int=chance.getrandbits(128), version=4))] = words(chance)
    return made


def words(chance: random.Random) -> str:
    """Return two to five words of three to nine letters."""
    lengths = [chance.randint(3, 9) for _ in range(chance.randint(2, 5))]
    return " ".join("".join(chance.choices(string.ascii_lowercase, k=length)) for length in lengths)


def write(path: Path, count: int = PAIRS) -> None:
    """Write a database with them. It is there only when it is whole, for several processes may look for it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with closing(sqlite3.connect(unfinished)) as database, database:
        database.execute("CREATE TABLE pairs (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
        database.executemany("INSERT INTO pairs VALUES (?, ?)", pairs(count).items())
    unfinished.replace(path)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "pairs.db")
    write(target)
    print(f"{target}: {PAIRS:,} pairs")
