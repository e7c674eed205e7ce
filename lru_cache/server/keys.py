"""Which keys a node takes, and in which form. It must not know where they come from, nor what is kept under them."""

import re

LONGEST_KEY_BYTES = 16_384
"""In UTF-8. Three times that, as a URL may have it, fits into the head of a request."""

KEY_FORMATS = ("uuid4",)
NO_UUID4 = "the key is not a version 4 UUID, such as 8a35eb59-62b3-481c-8875-1f248df4c952"

UUID4_PATTERN = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"

_UUID4 = re.compile(UUID4_PATTERN[1:-1])


class BadKeyError(ValueError):
    """The key is not one that is taken; the message says why."""


def read_key(key: str, key_format: str | None) -> str:
    """Return the key in the form in which it is kept, or raise `BadKeyError`."""
    if key_format == "uuid4":
        return read_uuid4(key)
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise BadKeyError("the key is not valid Unicode") from None
    if length > LONGEST_KEY_BYTES:
        raise BadKeyError(f"the key has {length:,} bytes, more than {LONGEST_KEY_BYTES:,}")
    return key


def read_uuid4(key: str) -> str:
    """Return a version 4 UUID in lower case; upper case is the same UUID. Braces and the like are not its form."""
    if not _UUID4.fullmatch(key):
        raise BadKeyError(NO_UUID4)
    return key.lower()
