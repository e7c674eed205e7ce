"""Asking a node over HTTP, with nothing but the standard library. It must not know what the answers are for."""

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from lru_cache.server.errors import CommandError

TIMEOUT_SECONDS = 10.0
LONGEST_LINE_BYTES = 16 * 1024 * 1024


class NotFoundError(CommandError):
    """The node has no such key."""


class Client:
    """One node, named by its URL."""

    def __init__(self, url: str, token: str | None = None) -> None:
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port, usable = parts.port, parts.scheme in ("http", "https") and parts.hostname
        except ValueError:
            usable = None
        if not usable:
            raise CommandError(f"{url!r} is not the URL of a node, such as http://127.0.0.1:8000")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._secure = parts.scheme == "https"
        self._host = usable
        self._port = port
        self._prefix = parts.path.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def get(self, key: str) -> Any:
        """The value of a key: a text, or what the node makes of any other. NotFoundError if there is none."""
        return self._ask("GET", f"/get/{_quoted(key)}")["val"]

    def set(self, key: str, value: str, expires_in: float | None = None) -> None:
        """Set a key."""
        life = {} if expires_in is None else {"expires_in": expires_in}
        self._ask("POST", "/set", {"key": key, "val": value, **life})

    def delete(self, key: str) -> bool:
        """Delete a key. Whether the node had it."""
        deleted: bool = self._ask("DELETE", f"/keys/{_quoted(key)}")["deleted"]
        return deleted

    def watch(self) -> Iterator[dict[str, Any]]:
        """The node's figures, about once a second, until it ends."""
        with self._answer("GET", "/live", None) as response:
            while line := response.readline(LONGEST_LINE_BYTES):
                yield _decoded(line)

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        with self._answer(method, path, body) as response:
            return _decoded(response.read())

    @contextmanager
    def _answer(self, method: str, path: str, body: Any) -> Iterator[http.client.HTTPResponse]:
        headers = dict(self._headers)
        content = None
        if body is not None:
            content = _encoded(body)
            headers["Content-Type"] = "application/json"
        connection = self._connect()
        try:
            connection.request(method, self._prefix + path, content, headers)
            response = connection.getresponse()
            if response.status != 200:
                raise _refusal(response)
            yield response
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise CommandError(f"cannot talk to {self.url}: {reason}") from error
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_SECONDS, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)


def _quoted(key: str) -> str:
    try:
        return quote(key, safe="")
    except UnicodeEncodeError:
        raise CommandError("the key is not valid Unicode") from None


def _encoded(body: Any) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise CommandError("the key or the value is not valid Unicode") from None


def _decoded(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise CommandError("what answered is not a node of this library")
    return content


def _refusal(response: http.client.HTTPResponse) -> CommandError:
    try:
        message = _decoded(response.read(65_536)).get("message", response.reason)
    except CommandError:
        message = response.reason
    line = " ".join(str(message).split())
    return NotFoundError(line) if response.status == 404 else CommandError(f"the node refused: {line}")
