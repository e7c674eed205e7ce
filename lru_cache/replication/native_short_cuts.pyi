"""Replication's short cuts, in C. Their names mean what they mean in `python_short_cuts`, which is the contract."""

from lru_cache.replication.python_short_cuts import Batch as Batch
from lru_cache.replication.python_short_cuts import ShortCuts as ShortCuts
from lru_cache.replication.python_short_cuts import Stamp as Stamp
