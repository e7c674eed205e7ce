"""Keys of one version of an application's data, and of all versions: an array of a mark that says which, and the key.

A node has keys of its own version, made of what it has codecs for. The others it keeps and passes on as `OpaqueKey`, of
which it knows no more than the bytes. This file must not know how a key is encoded.
"""

from msgpack import ExtType, packb  # type: ignore[import-untyped]

VERSION_CODE = 12  # in keys only: the payload is the version, encoded as a key; none stands for all versions
PAIR, _EXT8, _FIXEXT1, _FIXEXT16 = 0x92, 0xC7, 0xD4, 0xD8


class OpaqueKey:
    """A key that no application of this node can ask for. Equal by its bytes."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    @property
    def prefix(self) -> bytes:
        """What all keys of its version begin with; nothing where it has none."""
        return self.data[: plain_start(self.data)]

    def __hash__(self) -> int:
        return hash(self.data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpaqueKey) and other.data == self.data

    def __repr__(self) -> str:
        return f"OpaqueKey({self.data!r})"


def prefix_of(version: bytes) -> bytes:
    """What stands before each key of a version, which is given encoded; of all versions if it is empty."""
    mark: bytes = packb(ExtType(VERSION_CODE, version))
    return bytes((PAIR,)) + mark


OF_ALL_VERSIONS = prefix_of(b"")


def plain_start(data: bytes) -> int:
    """Where in an encoded key the key begins that is the same in all versions; 0 where no version is told."""
    if len(data) < 4 or data[0] != PAIR:
        return 0
    header = data[1]
    if header == _EXT8 and data[3] == VERSION_CODE:
        return 4 + data[2]
    if _FIXEXT1 <= header <= _FIXEXT16 and data[2] == VERSION_CODE:
        return 3 + (1 << (header - _FIXEXT1))
    return 0


def version_in(data: bytes, start: int) -> bytes:
    """The encoded version that the key of these bytes is of, whose plain part starts there."""
    return data[4 if data[1] == _EXT8 else 3 : start]
