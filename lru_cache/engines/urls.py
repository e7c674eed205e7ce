"""URLs of engines: what is in one, and how it is shown without its password. It must not know what an engine is."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from lru_cache.errors import AddressError
from lru_cache.network.address import Address, parse

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:(?P<who>[^@/?#]*)@)?(?P<hosts>[^@/?#]*)(?P<path>/[^?#]*)?"
    r"(?:\?(?P<query>[^#]*))?"
)
_BEFORE_HOSTS = re.compile(r"//.*@", re.DOTALL)


class Url(NamedTuple):
    """What stands in one."""

    scheme: str
    user: str | None
    password: str | None
    hosts: tuple[Address, ...]  # empty where none is named
    path: str  # without its first slash, but for what is a file's
    options: tuple[tuple[str, str], ...]


def read_url(url: object, schemes: tuple[str, ...], port: int, example: str) -> Url:
    """Read one. `port` is that of hosts which name none."""
    if not isinstance(url, str):
        raise TypeError(f"the URL of an engine is a str such as {example!r}, not {type(url).__name__}")
    matched = _URL.fullmatch(url)
    if matched is None or not url.isprintable() or "@" in (matched["query"] or ""):
        raise AddressError(
            f"{shown_url(url)!r} is no URL of an engine; write {example!r}, with %40 for an @ in a password, "
            "%2F for a /, %3A for a : and %3F for a ?"
        )
    scheme = matched["scheme"].lower()
    if scheme not in schemes:
        known = ", ".join(f"{each}://" for each in schemes)
        raise AddressError(f"{shown_url(url)!r}: the URL must begin with one of {known}, such as {example!r}")
    user, password = _who(matched["who"])
    try:
        hosts = tuple(_host(host, port) for host in matched["hosts"].split(",")) if matched["hosts"] else ()
    except AddressError:
        raise AddressError(f"{shown_url(url)!r}: its host and port cannot be read; write {example!r}") from None
    path = unquote(matched["path"] or "")
    options = tuple(parse_qsl(matched["query"] or "", keep_blank_values=True))
    return Url(scheme, user, password, hosts, path, options)


def shown_url(url: str) -> str:
    """The URL for people, and for logs: without user, password and options."""
    return _BEFORE_HOSTS.sub("//", url).partition("?")[0][:200]  # in this order: a password may have a ? in it


def _who(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    user, colon, password = text.partition(":")
    return unquote(user) or None, unquote(password) if colon else None


def _host(text: str, port: int) -> Address:
    address = parse("the URL", text if re.search(r":[0-9]+$", text) else f"{text}:{port}")
    if address.path is not None or not address.host or address.port == 0:
        raise AddressError("no host with a port")
    return address
