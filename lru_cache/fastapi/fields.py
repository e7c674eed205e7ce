"""Fields of HTTP's heads: what clients ask of a cache, which answer they have already, and what they are told.

RFC 9110 and 9111, and RFC 9211 for Cache-Status. This file must not know endpoints, nor how an answer is kept.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

NAME = "lru_cache"  # of this cache, in Cache-Status
_DIRECTIVE = re.compile(r"""([!#$%&'*+.^_`|~0-9a-z-]+)(?:=(?:"([^"]*)"|([^\s,;"]*)))?""")
_ENTITY_TAG = re.compile(rb'"[^"]*"')


class Wishes(NamedTuple):
    """What a client asks of caches on the way."""

    anew: bool = False  # by the endpoint, whatever is kept
    no_store: bool = False
    only_if_cached: bool = False
    oldest: float | None = None  # seconds since it was made
    least_left: float = 0.0  # seconds that it is good for

    def admit(self, age: float, left: float) -> bool:
        """Whether they may be served with an answer of this age, that lives so long."""
        return not self.anew and (self.oldest is None or age <= self.oldest) and left >= self.least_left


NO_WISHES = Wishes()
_ANEW = Wishes(anew=True)


def wishes_of(headers: Mapping[bytes, bytes]) -> Wishes:
    """Read a request's Cache-Control, or the Pragma of clients that know none."""
    asked = headers.get(b"cache-control")
    if asked is None:
        pragma = headers.get(b"pragma")
        return NO_WISHES if pragma is None or b"no-cache" not in pragma.lower() else _ANEW
    found = directives(asked)
    oldest = _seconds(found.get("max-age"))
    return Wishes(
        anew="no-cache" in found or oldest == 0,
        no_store="no-store" in found,
        only_if_cached="only-if-cached" in found,
        oldest=oldest,
        least_left=_seconds(found.get("min-fresh")) or 0.0,
    )


def directives(value: bytes) -> dict[str, str]:
    """The members of a Cache-Control, in small letters, each with its argument or an empty text."""
    found = _DIRECTIVE.finditer(value.decode("latin-1").lower())
    return {each[1]: each[2] or each[3] or "" for each in found}


def told(is_private: bool, cache_control: str | None) -> str:
    """The Cache-Control of what says none itself. What is for one user is private, unless that is denied."""
    said = "no-cache" if cache_control is None else cache_control
    if is_private and directives(said.encode("latin-1")).keys().isdisjoint(
        ("no-store", "private", "public", "s-maxage")
    ):
        return f"private, {said}"
    return said


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def has_it(if_none_match: bytes, entity_tag: bytes) -> bool:
    """Whether a client has the answer with this tag, by weak comparison: a list of tags, or `*` for any."""
    if if_none_match.strip() == b"*":
        return True
    return entity_tag.removeprefix(b"W/") in _ENTITY_TAG.findall(if_none_match)


def cache_status(parameters: str) -> tuple[bytes, bytes]:
    """Cache-Status, as one member of a list with its parameters."""
    return b"cache-status", f"{NAME}; {parameters}".encode()


def names_of(vary: str) -> list[str]:
    """The names in a Vary, in small letters."""
    return [name for name in (part.strip().lower() for part in vary.split(",")) if name]


def merged(vary: Iterable[str], names: Iterable[str]) -> str:
    """A Vary with all of these names, each once."""
    return ", ".join(dict.fromkeys([*vary, *names]))
