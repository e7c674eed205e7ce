"""Which class has which codec, and by which name it is known to others: a closed registry.

A value's class is looked up by its exact type, what comes by the name in it, and nothing but the codec of that name is
called. This file must not know how data becomes bytes.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from lru_cache.errors import ProtocolError
from lru_cache.replication.encoding.scalars import type_name
from lru_cache.replication.encoding.standard import STANDARD


class Codec(Protocol):
    """What is asked of a codec."""

    @property
    def type(self) -> type[Any]:
        """The class, exactly."""

    @property
    def name(self) -> str:
        """What others know it by."""

    @property
    def version(self) -> int:
        """Of what it encodes."""

    @property
    def takes_older(self) -> bool:
        """Whether it decodes what older versions have encoded."""

    @property
    def encode(self) -> Callable[[Any], Any]:
        """Makes plain data of a value."""

    @property
    def decode(self) -> Callable[[Any, int], Any]:
        """And a value of data, and the version that it was encoded by."""

    @property
    def of_bytes(self) -> Callable[[bytes], Any] | None:
        """`decode`, where data are bytes whatever the value and the version; else None."""


class UnreadableError(ProtocolError):
    """A value that this node has no codec for, or whose codec refuses it. Other nodes may have one that does not."""

    def __init__(self, codec: str, why: str) -> None:
        super().__init__(f"a value of the codec {codec!r} {why}"[:300])
        self.codec = codec


class Objects:
    """The codecs that one cache was given, beside those of the standard library where they serve."""

    def __init__(
        self, codecs: Iterable[Codec], encoded_already: frozenset[type], standard: Iterable[Codec] = STANDARD
    ) -> None:
        self.of_type: dict[type, Codec] = {each.type: each for each in standard}
        self.of_name: dict[str, Codec] = {each.name: each for each in standard}
        for codec in codecs:
            if codec.type in encoded_already or codec.type in self.of_type:
                raise ValueError(f"codecs: {type_name(codec.type)} is encoded already, or has two codecs")
            if codec.name in self.of_name:
                raise ValueError(f"codecs: two of them are named {codec.name!r}")
            self.of_type[codec.type] = self.of_name[codec.name] = codec

    def data_of(self, codec: Codec, value: object) -> Any:
        """What its codec makes of a value. TypeError or ValueError, which begin after the place."""
        try:
            return codec.encode(value)
        except Exception as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(
                f" is of type {type_name(codec.type)}, whose codec did not encode it: {type(error).__name__}: {error}"
            ) from error

    def codec_of(self, name: str, version: int) -> Codec:
        """The codec of that name, if it reads that version. `UnreadableError` if there is none that does."""
        codec = self.of_name.get(name)
        if codec is None:
            raise UnreadableError(name, "which this node does not have")
        if version != codec.version and (version > codec.version or not codec.takes_older):
            raise UnreadableError(name, f"of version {version}, where this node has {codec.version}")
        return codec

    def value_of(self, codec: Codec, version: int, data: Any) -> Any:
        """What a codec makes of data. `UnreadableError` if it refuses."""
        try:
            value = codec.decode(data, version)
        except Exception as error:
            raise UnreadableError(codec.name, f"that it refuses: {type(error).__name__}: {error}") from error
        if type(value) is not codec.type:
            raise UnreadableError(codec.name, f"of which it made one of type {type_name(type(value))}")
        return value


def line_to_write(kind: type) -> str | None:
    """How to give a cache a codec for this class, if it is of a kind of which we know how."""
    name = kind.__qualname__
    looks = {
        "dataclass": "__dataclass_fields__" in vars(kind),
        "pydantic": hasattr(kind, "__pydantic_validator__"),
        "msgspec": hasattr(kind, "__struct_fields__"),
        "attrs": "__attrs_attrs__" in vars(kind),
        "enum": hasattr(kind, "__members__"),
        "namedtuple": issubclass(kind, tuple) and hasattr(kind, "_fields"),
    }
    for factory, is_so in looks.items():
        if is_so:
            return f"codecs.{factory}({name})"
    return None if kind.__module__ == "builtins" else f"codecs.Codec({name}, encode=..., decode=...)"
