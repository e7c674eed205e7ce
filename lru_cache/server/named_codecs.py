"""Codecs that the operator names, out of Python modules. It must not know what they are for.

What a module does when it is imported, it does here: only the command line may name one, and never the network.
"""

import importlib
from collections.abc import Iterable
from typing import Any

from lru_cache.codecs import Codec
from lru_cache.server.errors import CommandError


def load(named: Iterable[str]) -> tuple[Codec[Any], ...]:
    """The codecs that each `MODULE:NAME` stands for, or `CommandError`."""
    return tuple(codec for each in named for codec in _codecs(each))


def _codecs(named: str) -> list[Codec[Any]]:
    module, _, name = named.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), name)
        codecs = list(found) if isinstance(found, Iterable) else [found]
    except (Exception, SystemExit) as error:
        raise CommandError(f"--codecs: cannot take {named}: {type(error).__name__}: {error}") from error
    for codec in codecs:
        if not isinstance(codec, Codec):
            raise CommandError(
                f"--codecs: {named} must be made by lru_cache.codecs, such as [codecs.dataclass(Point)], not {codec!r}"
            )
    return codecs
