"""Roll calls: who is there, however many links away, and whether all of them have what one node has written.

A node that is called calls all its other neighbours, and answers when it has what was asked for and they have answered.
A neighbour that somebody else has called already answers at once, and names nobody: so this ends on any graph. If a
link is lost in the middle of it, or others are just about to come, the answer says that it is not whole, and the caller
calls again.

Without I/O, for use under the exchange's lock. This file must not know how messages travel, nor what was written.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

from msgpack import OutOfData, Unpacker, packb  # type: ignore[import-untyped]

from lru_cache.errors import ProtocolError
from lru_cache.replication import NODE_BYTES, messages

CALL, ANSWER = 16, 17  # types of messages
MOST_CALLS = 1_000  # at a time; beyond, the oldest is given up
MOST_NODES = 4_096  # in an answer
LONGEST_BYTES = 1 << 20  # of an answer
LONGEST_TEXT_CHARACTERS = 200
LARGEST_PORT = 65_535
_LARGEST = (1 << 63) - 1
FIELDS = 5
# The first bytes of arrays, maps and extensions, but for the short arrays and maps, which are 0x80 to 0x9F.
_COLLECTIONS = b"\xc7\xc8\xc9\xd4\xd5\xd6\xd7\xd8\xdc\xdd\xde\xdf"

Link = Hashable
Out = list[tuple[Link, bytes]]
Introduction = tuple[bytes, str, str, str, int]  # all of `Present` but the hops


class Present(NamedTuple):
    """A node that has answered."""

    node: bytes
    region: str
    role: str
    host: str  # where it listens; empty until its neighbour, who sees it, has filled it in
    port: int  # 0: it does not
    hops: int


class Call:
    """One call, at one of the nodes that it reaches."""

    def __init__(self, until: int, caller: Link | None, hops: int, waiting: Iterable[Link]) -> None:
        self.until = until
        self.caller = caller  # None: this very node
        self.hops = hops
        self.waiting = set(waiting)  # neighbours that have not answered
        self.nodes: list[Present] = []
        self.is_whole = True
        self.is_done = False


class RollCalls:
    """Those that a node takes part in.

    `introduce` says what others see of it; `has`, whether all that a node wrote until a time is here; `is_settled`,
    whether those are linked with it that are to be; `host_of`, where a neighbour is.
    """

    def __init__(
        self,
        introduce: "Callable[[], Introduction]",
        has: Callable[[bytes, int], bool],
        is_settled: Callable[[], bool] = lambda: True,
        host_of: Callable[[Any], str] = lambda _: "",
    ) -> None:
        self._introduce = introduce
        self._host_of = host_of
        self._has = has
        self._is_settled = is_settled
        self._calls: dict[tuple[bytes, int], Call] = {}
        self._count = 0

    @property
    def are_pending(self) -> bool:
        """Whether any waits for something."""
        return bool(self._calls)

    def begin(self, node: bytes, until: int, links: Iterable[Link]) -> tuple[Call, Out]:
        """Call all others; the call, to be looked at when something has come, and what to send."""
        self._count += 1
        call = self._calls[node, self._count] = Call(until, None, 0, links)
        out = [(link, _pack(CALL, node, self._count, until, 1)) for link in call.waiting]
        return call, out + self.progress()

    def give_up(self, call: Call) -> None:
        """Nobody wants to know any more."""
        self._calls = {key: each for key, each in self._calls.items() if each is not call}

    def received(self, link: Link, body: bytes, links: Iterable[Link]) -> Out:
        """A neighbour calls or answers: what to send."""
        fields = _fields(body)
        key = fields[1], fields[2]
        call = self._calls.get(key)
        if fields[0] == ANSWER:
            if call is None or link not in call.waiting:
                return []
            call.waiting.discard(link)
            call.is_whole = call.is_whole and fields[3]
            nodes = _nodes(fields[4], MOST_NODES - len(call.nodes))
            call.nodes += [each if each.host else each._replace(host=self._host_of(link)) for each in nodes]
            return self.progress()
        until, hops = fields[3], fields[4]
        if call is not None or key[0] == self._introduce()[0]:
            return [(link, _answer(key, True, []))]  # who called us before is told of us
        if len(self._calls) >= MOST_CALLS:
            del self._calls[next(iter(self._calls))]
        others = [each for each in links if each != link]
        self._calls[key] = Call(until, link, hops, others)
        return [(other, _pack(CALL, *key, until, hops + 1)) for other in others] + self.progress()

    def link_down(self, link: Link) -> Out:
        """It answers no more."""
        for key, call in list(self._calls.items()):
            if call.caller == link:
                del self._calls[key]  # and whoever waits for us there says that it is not whole
            elif link in call.waiting:
                call.waiting.discard(link)
                call.is_whole = False
        return self.progress()

    def progress(self) -> Out:
        """Something may have come that is waited for: what to send."""
        out: Out = []
        for key, call in list(self._calls.items()):
            if call.waiting or not self._has(key[0], call.until):
                continue
            call.is_done = True
            call.is_whole = call.is_whole and self._is_settled()
            del self._calls[key]
            if call.caller is not None:
                me = Present(*self._introduce(), call.hops)
                out.append((call.caller, _answer(key, call.is_whole, [me, *call.nodes])))
        return out


def _answer(key: tuple[bytes, int], is_whole: bool, nodes: list[Present]) -> bytes:
    """The first that fit into a message."""
    count = min(len(nodes), MOST_NODES)
    while True:
        body = _pack(ANSWER, *key, is_whole, [item for each in nodes[:count] for item in each])
        if len(body) <= LONGEST_BYTES:
            return body
        count //= 2


def _pack(*items: Any) -> bytes:
    body: bytes = packb(items)
    return body


def _fields(body: bytes) -> list[Any]:
    if len(body) > LONGEST_BYTES:
        raise ProtocolError(f"a roll call of {len(body)} bytes")
    fields = messages.read_by(_read, body)
    kinds = [int, bytes, int, int, int] if fields[0] == CALL else [int, bytes, int, bool, list]
    if (
        any(type(field) is not kind for field, kind in zip(fields, kinds, strict=True))
        or len(fields[1]) != NODE_BYTES
        or not 0 <= fields[2] <= _LARGEST
    ):
        raise ProtocolError("a roll call in other than its form")
    if fields[0] == CALL and not (0 <= fields[3] <= _LARGEST and 0 < fields[4] <= _LARGEST):
        raise ProtocolError("a roll call of a time or of hops that cannot be")
    return fields


def _read(body: bytes) -> list[Any]:
    """The five fields. Item by item, since of arrays within arrays each byte might ask for much memory."""
    reader = Unpacker(max_buffer_size=max(1, len(body)))
    reader.feed(body)
    count = reader.read_array_header()
    fields: list[Any] = [scalar(reader, body) for _ in range(min(count, FIELDS - 1))]
    if count < FIELDS:
        raise ProtocolError("a roll call that lacks a field")
    if fields[0] == ANSWER:
        length = reader.read_array_header()
        if length > MOST_NODES * len(Present._fields):
            raise ProtocolError(f"an answer to a roll call with an array of {length} items")
        fields.append([scalar(reader, body) for _ in range(length)])
    else:
        fields.append(scalar(reader, body))
    for _ in range(count - FIELDS):
        reader.skip()  # what later versions may say
    if reader.tell() != len(body):
        raise OutOfData
    return fields


def scalar(reader: Unpacker, body: bytes) -> Any:
    """The next item of a message of the network's own. ProtocolError for a collection, whatever it would hold."""
    at = reader.tell()
    if at < len(body) and (body[at] & 0xE0 == 0x80 or body[at] in _COLLECTIONS):
        raise ProtocolError("a message with a collection in the place of a value")
    return reader.unpack()


def _nodes(items: list[Any], most: int) -> list[Present]:
    if len(items) % len(Present._fields):
        raise ProtocolError("an answer to a roll call in other than its form")
    length = len(Present._fields)
    found = [Present(*items[at : at + length]) for at in range(0, len(items), length)]
    for each in found:
        texts = each.region, each.role, each.host
        if (
            type(each.node) is not bytes
            or len(each.node) != NODE_BYTES
            or any(type(text) is not str or len(text) > LONGEST_TEXT_CHARACTERS for text in texts)
            or any(not text.isprintable() for text in texts)
            or type(each.port) is not int
            or not 0 <= each.port <= LARGEST_PORT
            or type(each.hops) is not int
            or not 0 < each.hops <= _LARGEST
        ):
            raise ProtocolError("an answer to a roll call names what is no node")
    return found[: max(0, most)]
