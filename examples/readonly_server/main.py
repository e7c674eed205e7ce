"""The read-only key-value service: `uvicorn main:app`, and `POST /get_value` answers for 10,000 keys.

It is a node of this library without its command line: a cache, filled from a database, behind the application that
every node serves, with writing refused and version 4 UUIDs for keys.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import generate

from lru_cache import LRUCacheDistributed
from lru_cache.server import preload
from lru_cache.server.app import Settings, make_app

DATABASE = Path(__file__).with_name("pairs.db")

if not DATABASE.exists():
    generate.write(DATABASE)
pairs, _ = preload.read(preload.find(str(DATABASE)))
cache: LRUCacheDistributed[str, str] = LRUCacheDistributed(maximum_capacity=len(pairs), expiration_time=None)
cache.set_many(pairs)

app = make_app(cache, Settings(read_only=True, key_format="uuid4"))
