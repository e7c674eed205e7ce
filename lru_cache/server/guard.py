"""Who may ask, and how much: stands in front of the application, and counts what was answered.

It must not know what is asked for, beyond the two paths that are open to all.
"""

import hmac
import ipaddress
import json
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

OPEN_PATHS = ("/", "/health")
METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH")
MOST_HOSTS_REMEMBERED = 64

_BEARER = b"bearer "


class Requests:
    """How many requests were answered, by method, route and status: as many counts as there are of these, not more."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, int]] = Counter()  # only the event loop's thread touches it

    def count(self, scope: Scope, status: int) -> None:
        """One more."""
        route = getattr(scope.get("route"), "path_format", "other")
        method = scope["method"]
        self.counts[(method if method in METHODS else "other", route, status)] += 1


class Guard:
    """Lets pass who has the token, asks this node by a name of its own, and sends no more than is read.

    `only_local` is for a node without a token that only this machine reaches. A browser on it is the danger: another
    site's name may be made to lead here, and then that site's scripts read us. So the name must be an address, or
    localhost.
    """

    def __init__(
        self,
        app: Application,
        *,
        token: str | None,
        only_local: bool,
        maximum_body_bytes: int,
        requests: Requests,
    ) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._only_local = only_local and token is None
        self._maximum_body_bytes = maximum_body_bytes
        self._requests = requests
        self._hosts: dict[bytes, bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counted = False

        async def send_counted(event: Event) -> None:
            nonlocal counted
            if not counted:
                counted = True
                self._requests.count(scope, event["status"])
            await send(event)

        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send_counted, *refusal)
            return
        if scope["method"] not in ("GET", "HEAD"):
            receive = _limited(receive, self._maximum_body_bytes)
        try:
            await self._app(scope, receive, send_counted)
        except Exception:
            if not counted:
                self._requests.count(scope, 500)
            raise

    def _refusal(self, scope: Scope) -> tuple[int, str, Headers] | None:
        headers: Headers = scope["headers"]
        if self._only_local and not self._is_own(_header(headers, b"host")):
            return (
                421,
                "this node answers to its address or localhost only, since it was started without --token-file",
                [],
            )
        if self._token is not None and scope["path"] not in OPEN_PATHS:
            said = _header(headers, b"authorization") or b""
            if said[: len(_BEARER)].lower() != _BEARER or not hmac.compare_digest(said[len(_BEARER) :], self._token):
                return 401, "a token is needed: Authorization: Bearer ...", [(b"www-authenticate", b"Bearer")]
        if scope["method"] not in ("GET", "HEAD"):
            length = _header(scope["headers"], b"content-length") or b"0"
            if len(length) > 18 or int(length) > self._maximum_body_bytes:
                return 413, _too_large(self._maximum_body_bytes), []  # uvicorn reads on, and throws away
        return None

    def _is_own(self, host: bytes | None) -> bool:
        if host is None:
            return True  # no browser leaves it out
        known = self._hosts.get(host)
        if known is None:
            known = _is_local_name(host)
            if len(self._hosts) < MOST_HOSTS_REMEMBERED:
                self._hosts[host] = known
        return known


def _header(headers: Headers, name: bytes) -> bytes | None:
    for held, value in headers:
        if held == name:
            return value
    return None


def _is_local_name(host: bytes) -> bool:
    name = host.decode("latin-1").lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _limited(receive: Receive, maximum_bytes: int) -> Receive:
    """Receive a body that has no more than so many bytes, though its length was not said before."""
    received = 0

    async def receive_limited() -> Event:
        nonlocal received
        event = await receive()
        received += len(event.get("body", b""))
        if received > maximum_bytes:
            raise HTTPException(413, _too_large(maximum_bytes))
        return event

    return receive_limited


def _too_large(maximum_bytes: int) -> str:
    return f"the body has more than {maximum_bytes:,} bytes"


async def _refuse(send: Send, status: int, message: str, headers: Headers) -> None:
    body = json.dumps({"message": message}).encode()
    length = str(len(body)).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
