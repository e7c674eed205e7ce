"""The page, for a terminal. It must not know how a node is asked."""

from lru_cache.server.client import Client


def run(client: Client, once: bool) -> int:
    """Show what there is until Ctrl-C, or once."""
    raise NotImplementedError
