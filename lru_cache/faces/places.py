"""What a location stands for: nothing, a local cluster, a log on an engine, or where others listen.

This file must not know nodes, nor what a framework calls a location.
"""

import os
from typing import Any


def place_of(location: Any) -> dict[str, Any]:
    """The one argument of `LRUCacheDistributed` that it is, with that argument's name."""
    if location is None or location == "":
        return {}
    if isinstance(location, str) and "://" in location and not location.startswith("dns://"):
        return {"engine": location}
    is_name = isinstance(location, str) and "://" not in location and (os.sep in location or ":" not in location)
    return {"local_cluster" if is_name or isinstance(location, os.PathLike) else "remote_address": location}
