"""The page for people: one static file, and the headers that keep anything else from running in it.

It must not know what the page shows.
"""

import base64
import hashlib
import re
from pathlib import Path

_PAGE = Path(__file__).with_name("page.html")
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def read_page() -> tuple[bytes, dict[str, str]]:
    """Return the page and its headers. Its own style and script run, by their hashes, and nothing else does."""
    page = _PAGE.read_bytes()
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        f"style-src {_hashes(_STYLE, page)}; script-src {_hashes(_SCRIPT, page)}"
    )
    headers = {
        "content-security-policy": policy,
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-cache",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return page, headers


def _hashes(element: "re.Pattern[bytes]", page: bytes) -> str:
    digests = (hashlib.sha256(content).digest() for content in element.findall(page))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
