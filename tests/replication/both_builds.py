"""A simulated cluster on either build of the rules, and all that its machines sent: it must be the same on both."""

from contextlib import nullcontext
from hashlib import blake2b
from typing import Any

from lru_cache.testing.any_simulation import simulation_of
from lru_cache.testing.simulation import Simulation
from tests.replication.broken import as_python


def everything_sent(build: str, seed: int, **settings: Any) -> tuple[str, Simulation]:
    """A digest of all messages, of who sent them, and of how it ended.

    "native" is the build that caches use; where that is Python's, both are the same.
    """
    digest = blake2b(digest_size=16)
    with as_python() if build == "python" else nullcontext():
        simulation = simulation_of(seed, **settings)
        send = simulation.send

        def noted(channel: Any, sender: Any, body: bytes) -> None:
            digest.update(b"%d %s " % (len(body), sender.name.encode()) + body)
            send(channel, sender, body)

        simulation.send = noted  # type: ignore[method-assign]
        try:
            ending = repr(simulation.run())
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same on both
            ending = repr(error)
    return f"{digest.hexdigest()} {ending}", simulation
