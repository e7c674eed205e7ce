"""Under which keys an answer is kept: one for all answers of a path, and one for each of them.

Under the key of a path stands a random text, its generation, and the keys of its answers contain that. So to
invalidate the one key drops all of them, on all nodes, and what an endpoint was computing meanwhile is kept where
nobody looks any more. This file must not know requests, endpoints or caches.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from secrets import token_urlsafe
from typing import Any
from urllib.parse import unquote_plus
from uuid import UUID

from lru_cache import Loaded

OURS = "lru_cache.fastapi"  # before all of our keys: an application has none like that by chance
LONGEST_TEXT = 256  # characters of a part of a key; of what is longer a digest stands there
SHORTEST_GENERATION_SECONDS = 86_400.0  # a new generation costs each answer of its path one run
_TEXTS = frozenset((str, bytes, int, bool, float, type(None), UUID, Decimal, date, datetime))


def key_of_path(path: str) -> tuple[str, str]:
    """The key under which the generation of a path stands."""
    return OURS, path if len(path) <= LONGEST_TEXT else _digest(path)


def path_of(scope: Mapping[str, Any]) -> str:
    """The path that an app was asked for, also of apps mounted in it, without what a proxy puts before all of them."""
    path: str = scope["path"]
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def key_of_answer(generation: str, text: str) -> tuple[str, str, str]:
    """The key of one answer, whose text says by what the answers of a path vary."""
    return OURS, generation, text if len(text) <= LONGEST_TEXT else _digest(text)


def new_generation(seconds: float) -> Loaded[str]:
    """A generation that outlives answers that live so long."""
    return Loaded(token_urlsafe(9), max(SHORTEST_GENERATION_SECONDS, 2 * seconds))


def text_of_query(query: bytes) -> str:
    """A query, sorted by name. Pairs of one name stay in their order, which may mean something."""
    if not query:
        return ""
    text = query.decode("latin-1").replace("\n", "%0A")
    if "&" not in text:
        return text
    return "&".join(sorted(text.split("&"), key=_name_of_pair))


def _name_of_pair(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def text_of_header(value: bytes | None) -> str:
    """A header's value, without the spaces around its members. One that is not there is not an empty one.

    Several lines are not one with all of their members: FastAPI gives the first of them to who asks for a text.
    """
    if value is None:
        return ""
    lines = value.decode("latin-1").split("\n")
    return "=" + "\r".join(",".join(part.strip() for part in line.split(",")) for line in lines)


def text_of_value(name: str, value: Any) -> str:
    """What `by` has made of a value. TypeError unless equal texts stand for equal values only."""
    if type(value) in _TEXTS:
        return repr(value)
    if type(value) is tuple:
        return f"({','.join(text_of_value(name, member) for member in value)})"
    raise TypeError(
        f"by[{name!r}] must give a text, a number, bytes, a date, a UUID, None or a tuple of them, not "
        f"{type(value).__name__}: give it a function, such as lambda {name}: {name}.id"
    )


def joined(headers: Sequence[tuple[bytes, bytes]]) -> Mapping[bytes, bytes]:
    """Headers by name. The values of one that comes several times are one list, of a line for each."""
    found = dict(headers)
    if len(found) < len(headers):
        found = {}
        for name, value in headers:
            found[name] = found[name] + b",\n" + value if name in found else value
    return found


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()
