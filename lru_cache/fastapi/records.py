"""An answer as data that a cache can keep and tell other nodes, and the response that is made of it.

This file must not know keys, endpoints, or when an answer is kept.
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypedDict

from starlette.datastructures import Headers
from starlette.responses import Response

from lru_cache.fastapi import fields

if TYPE_CHECKING:
    from starlette.background import BackgroundTask

Pair = tuple[bytes, bytes]
Head = Sequence[Pair]

_WITHOUT_BODY = frozenset((b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary"))
"""What a 304 has of the headers of the answer that it stands for, by RFC 9110, 15.4.5."""
_OF_ONE_ANSWER = frozenset((b"age", b"cache-status", b"connection", b"transfer-encoding"))


class Record(TypedDict):
    """An answer that is kept: plain data, the body as bytes."""

    status: int
    headers: tuple[Pair, ...]
    body: bytes
    etag: bytes
    made: float  # by the clock on the wall
    life: float
    merges: bool  # whether what dependencies say of headers is added, as FastAPI does unless it was given a response


class Refusal(str):
    """Why an answer is not kept, in the words of Cache-Status."""


def record_of(
    response: Response,
    *,
    now: float,
    life: float,
    statuses: Collection[int],
    vary: Sequence[str],
    is_private: bool,
    default: Pair,
    given: Head | None,
) -> Record | Refusal:
    """What is to be kept of a response, or why it is not.

    `default`: the Cache-Control of what says none. `given`: headers that dependencies add to it, None if it gets none.
    """
    if type(response).__call__ is not Response.__call__ or not hasattr(response, "body"):
        return Refusal("stream")
    if response.status_code not in statuses:
        return Refusal("status")
    # An endpoint that passes on what another server said may have given names in any letters.
    said_headers = [(name.lower(), value) for name, value in response.raw_headers]
    headers = Headers(raw=said_headers)
    if "set-cookie" in headers:
        return Refusal("set-cookie")
    said = fields.directives(b", ".join(value for name, value in said_headers if name == b"cache-control"))
    beside = fields.directives(b", ".join(value for name, value in given or () if name == b"cache-control"))
    if "no-store" in (said or beside) or ("private" in (said or beside) and not is_private):
        return Refusal("cache-control")
    varies = fields.names_of(", ".join(headers.getlist("vary")))
    if not set(varies) <= set(vary):
        return Refusal("vary")  # by what is not in the key
    body = bytes(response.body)
    head = [(name, value) for name, value in said_headers if name not in _OF_ONE_ANSWER and name != b"vary"]
    if varies or vary:
        head.append((b"vary", fields.merged(varies, vary).encode("latin-1")))
    if not said:
        head.append(default)
    etag = dict(head).get(b"etag")
    if etag is None:
        etag = _tag(body, headers)
        head.append((b"etag", etag))
    return Record(
        status=response.status_code,
        headers=tuple(head),
        body=body,
        etag=etag,
        made=now,
        life=life,
        merges=given is not None,
    )


def _tag(body: bytes, headers: Any) -> bytes:
    """A strong tag. What says how the body is to be read belongs to what it stands for."""
    digest = blake2b(digest_size=15)
    for name in ("content-type", "content-encoding", "content-language"):
        digest.update(f"{headers.get(name, '')}\n".encode())
    digest.update(body)
    return b'"' + digest.hexdigest().encode() + b'"'


class KeptResponse(Response):
    """A response whose head is made already, so that it costs next to nothing."""

    def __init__(self, status: int, head: list[Pair], body: bytes) -> None:
        self.status_code = status
        self.raw_headers = head
        self.body = body
        self.background: BackgroundTask | None = None


def response_of(
    record: Record,
    status: Pair,
    age: float | None,
    given: Head,
    if_none_match: bytes | None,
    without_body: bool,
    default: Pair,
) -> KeptResponse:
    """The response to one request: 304 if the client has it. `given`: headers that dependencies of this request set."""
    head = [*record["headers"], status] if age is None else [*record["headers"], status, (b"age", b"%d" % age)]
    if given and record["merges"]:
        if default in head and any(name == b"cache-control" for name, _ in given):
            head.remove(default)  # it was for who says nothing
        head += beside(given, head)
    is_success = 200 <= record["status"] < 300  # conditions are for nothing else, by RFC 9110, 13.2.1
    if if_none_match is not None and is_success and fields.has_it(if_none_match, record["etag"]):
        set_here = {id(pair) for pair in given}
        head = [
            pair
            for pair in head
            if pair[0] in _WITHOUT_BODY or pair[0] in (b"age", b"cache-status") or id(pair) in set_here
        ]
        return KeptResponse(304, head, b"")
    return KeptResponse(record["status"], head, b"" if without_body else record["body"])


def beside(given: Iterable[Pair], kept: Head) -> list[tuple[bytes, bytes]]:
    """Those of these headers that stand beside what the answer itself has. Cookies always do, and what may vary."""
    names = {name for name, _ in kept} - {b"set-cookie", b"vary"}
    return [pair for pair in given if pair[0] not in names]
