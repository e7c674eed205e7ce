"""Secrets out of files. It must not know what they are for."""

from pathlib import Path

from lru_cache.server.errors import CommandError


def read_secret_file(path: str) -> str:
    """Return the one line of a file, or raise `CommandError`."""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not text'}") from error
    if not text:
        raise CommandError(f"{path} is empty")
    if not text.isprintable():
        raise CommandError(f"{path} must have one line of text")
    return text


def read_token_file(path: str) -> str:
    """Return the one line of a file, if a header can carry it, or raise `CommandError`."""
    token = read_secret_file(path)
    if not token.isascii() or " " in token:
        raise CommandError(f"{path} must have ASCII without spaces, for a header to carry")
    return token
